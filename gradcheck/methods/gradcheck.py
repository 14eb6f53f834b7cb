"""PyTorch's own finite differences, at points where they can testify."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from gradcheck.answer import Claim, Difference, Finding, Ruling, Trial
from gradcheck.methods._torch.call import (
    densified,
    input_size,
    layouts,
    leaves,
    output_size,
    result_of,
)
from gradcheck.methods._torch.exceptions import hear
from gradcheck.methods._torch.graph import refuse_to_go_on
from gradcheck.methods._torch.lacks import shortened

FIRST, SECOND = "torch.autograd.gradcheck", "torch.autograd.gradgradcheck"
_NO_SETTINGS = "finite differences cannot testify at this point"


def testify(trial: Trial) -> Iterator[Claim | Finding]:
    yield from hear(FIRST, _first, trial)
    if trial.order >= 2:
        yield from hear(SECOND, _second, trial)


def _first(trial: Trial) -> Iterator[Finding]:
    if trial.first is None:
        yield Finding(Ruling.ABSTAIN, _NO_SETTINGS, label=FIRST, incapable=True)
        return
    yield from _each(trial, FIRST, torch.autograd.gradcheck, trial.first)


def _second(trial: Trial) -> Iterator[Finding]:
    if trial.second is None:
        yield Finding(Ruling.ABSTAIN, _NO_SETTINGS, label=SECOND, incapable=True)
        return
    inputs = leaves(trial, requires_grad=True)
    result = result_of(trial, inputs)
    if not result.requires_grad:
        yield Finding(Ruling.ABSTAIN, "the result does not require grad", label=SECOND)
        return
    weights = torch.ones_like(result, requires_grad=True)
    refuse_to_go_on(
        torch.autograd.grad(result, inputs, weights, create_graph=True, allow_unused=True)
    )
    yield from _each(trial, SECOND, torch.autograd.gradgradcheck, trial.second)


def _each(
    trial: Trial, label: str, examine: Callable[..., bool], settings: Difference
) -> Iterator[Finding]:
    """Point by point: on a batch the cost would grow with its square. Ends at the first failure."""
    entries = input_size(trial) * output_size(trial)
    passed = 0
    for point in _points(trial):
        try:
            _examine(point, examine, settings)
        except GradcheckError as error:
            reason = shortened(f"{_where(point)}: {error}")
            yield Finding(Ruling.DISAGREE, reason, max(entries, 1), label)
            break
        passed += 1
    if passed:
        yield Finding(Ruling.AGREE, f"{label} passes", passed * entries, label)


def _points(trial: Trial) -> Iterator[Trial]:
    if not trial.batched:
        yield trial
        return
    for number in range(trial.count):
        inputs = tuple(array[number : number + 1] for array in trial.inputs)
        yield replace(trial, inputs=inputs, batched=False)


def _examine(point: Trial, examine: Callable[..., bool], settings: Difference) -> None:
    dense = _WithDenseGradient.apply if _gives_sparse_gradients(point) else lambda tensor: tensor

    def function(*tensors: Tensor) -> Tensor:
        return result_of(point, [dense(tensor) for tensor in tensors])  # type: ignore[no-untyped-call]

    with _repeatable(point), _quiet():
        examine(
            function,
            leaves(point, requires_grad=True),
            eps=settings.step,
            atol=settings.atol,
            rtol=settings.rtol,
            raise_exception=True,
            nondet_tol=0.0,
            check_batched_grad=False,
        )


def _gives_sparse_gradients(point: Trial) -> bool:
    inputs = leaves(point, requires_grad=True)
    result = result_of(point, inputs)
    if not result.requires_grad:
        return False
    gradients = torch.autograd.grad(result, inputs, torch.ones_like(result), allow_unused=True)
    return bool(layouts(gradients))


class _WithDenseGradient(torch.autograd.Function):
    """Changes nothing but a sparse gradient, which PyTorch's gradcheck refuses to compare."""

    @staticmethod
    def forward(_: Any, tensor: Tensor) -> Tensor:
        return tensor.view_as(tensor)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor | None:
        return densified(gradient)


@contextmanager
def _repeatable(point: Trial) -> Iterator[None]:
    """gradgradcheck draws its own cotangents: from the trial's seed, and leaving no trace."""
    device = torch.device(point.device)
    forked: dict[str, Any] = {"devices": []}
    if device.type != "cpu":
        forked = {"devices": [device.index or 0], "device_type": device.type}
    with torch.random.fork_rng(**forked):
        # Not torch.manual_seed on the CPU: it formats a stack for every backend that is not there.
        seeded = torch.default_generator if device.type == "cpu" else torch
        seeded.manual_seed(point.seed)
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the two warnings of gradcheck about what it is asked to do here on purpose."""
    with warnings.catch_warnings():
        for message in (".*not a double precision floating point", ".*undefined gradient support"):
            warnings.filterwarnings("ignore", message=f"(?s){message}")
        yield


def _where(point: Trial) -> str:
    return "at " + ", ".join(str(array[0].tolist()) for array in point.inputs)
