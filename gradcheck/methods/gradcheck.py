"""PyTorch's own finite differences, at points where they can testify."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from gradcheck.answer import (
    Abstention,
    Agreement,
    FiniteDifferenceSettings,
    Invocation,
    Remark,
    Said,
    Violation,
)
from gradcheck.dtypes import DTYPES
from gradcheck.judge.judge import MOVES_FACTOR
from gradcheck.methods import METHODS, Method
from gradcheck.methods._torch.calling import (
    coordinate_count,
    densified,
    input_leaves,
    input_ports,
    judged_ports,
    layouts,
    result_of,
)
from gradcheck.methods._torch.compositions import slopes_of
from gradcheck.methods._torch.exceptions import guarded
from gradcheck.methods._torch.lacks import raised_by_hook, shortened
from gradcheck.methods._torch.moves import PATTERNS
from gradcheck.methods._torch.rounding import Repeated, same_randomness
from gradcheck.methods.second import REVERSE_REVERSE

METHOD = Method(
    name="gradcheck",
    order=1,
    share=0.1875,
    share_alone=0.1875,
    subject="finite differences",
    differences=True,
)

FIRST, SECOND = "torch.autograd.gradcheck", "torch.autograd.gradgradcheck"
_NO_SETTINGS = "finite differences cannot testify at this point"
_NOISY = "the rounding of the code itself drowns a difference of that step"
_REFUSED = "the code raises at an input beside the point, where a difference is taken"
_FEW_PATTERNS = 2
_LITTLE = 1 / 64
"""Of the widest allowance: so little noise of few patterns stays within it in all of them."""
_FEWEST_DIGITS = 24
"""Bits of the dtype; a difference keeps at most two thirds of them."""


def answer(invocation: Invocation) -> Iterator[Said]:
    yield from guarded(FIRST, _first, invocation)
    if invocation.order >= 2:
        yield from guarded(SECOND, _second, invocation)


def _first(invocation: Invocation) -> Iterator[Remark]:
    if invocation.first is None:
        yield _cannot_testify(invocation, FIRST)
        return
    yield from _each(invocation, FIRST, torch.autograd.gradcheck, invocation.first)


def _second(invocation: Invocation) -> Iterator[Remark]:
    if invocation.second is None:
        yield _cannot_testify(invocation, SECOND)
        return
    inputs = input_leaves(invocation, requires_grad=True)
    results = result_of(invocation, inputs)
    if not any(result.requires_grad for result in results):
        yield Abstention("the result does not require grad", label=SECOND)
        return
    slopes_of(results, inputs, [torch.ones_like(result) for result in results])
    yield from _each(invocation, SECOND, torch.autograd.gradgradcheck, invocation.second)


def _cannot_testify(invocation: Invocation, label: str) -> Abstention:
    reason = _NO_SETTINGS
    if DTYPES[invocation.dtype].precision < _FEWEST_DIGITS:
        reason = f"finite differences have no digits in {invocation.dtype}"
    return Abstention(reason, label=label, incapable=True)


def _each(
    invocation: Invocation,
    label: str,
    examine: Callable[..., bool],
    settings: FiniteDifferenceSettings,
) -> Iterator[Remark]:
    """Point by point: on a batch the cost would grow with its square. Ends at the first failure."""
    inputs, outputs = input_ports(invocation), judged_ports(invocation)
    entries = coordinate_count(inputs) * coordinate_count(outputs)
    passed = 0
    for point in _points(invocation):
        try:
            error = _error_in(point, examine, settings)
        except _Refused as refused:
            yield Abstention(shortened(f"{_REFUSED}: {refused}"), label=label, incapable=True)
            continue
        if error is not None:  # only then is it worth what it costs to ask the code for its noise
            noise = _Noise(point, label, settings)
            error, drowned = _beyond(noise, partial(_error_in, point, examine), settings, error)
            if drowned:
                yield Abstention(_NOISY, label=label)
                continue
        if error is not None:
            yield Violation(shortened(f"{_where(point)}: {error}"), label)
            break
        passed += 1
    if passed:
        yield Agreement(f"{label} passes", passed * entries, label)


def _beyond(
    noise: _Noise,
    error_in: Callable[[FiniteDifferenceSettings], GradcheckError | None],
    settings: FiniteDifferenceSettings,
    error: GradcheckError | None,
) -> tuple[GradcheckError | None, bool]:
    """What is left of an error beside the code's own noise, or else whether that drowns it.

    Most noise shows in the first repetitions. Where it is small beside the widest allowance, what
    fails even there is not worth the others.
    """
    widest = error_in(replace(settings, atol=settings.most))
    for patterns in (_FEW_PATTERNS, PATTERNS):
        found = noise.by(patterns)
        if not settings.atol + found <= settings.most:
            return None, True
        if widest is not None and found <= _LITTLE * settings.most:
            return widest, False
        error = error_in(replace(settings, atol=settings.atol + found))
        if error is None:
            break
    return error, False


class _Refused(Exception):
    """The code raises beside a point: at an input that a formula may take and the code need not."""


class _Noise:
    """How far rounding in the code itself may put a difference and the derivative apart."""

    def __init__(self, point: Invocation, label: str, settings: FiniteDifferenceSettings) -> None:
        asked = [("value", ""), ("reverse", "")]
        if label == SECOND:  # which holds differences of the gradient against its own gradient
            asked = [asked[1], ("second", REVERSE_REVERSE)]
        self._settings = settings
        self._repeated = [
            Repeated.of(
                METHODS[name].answer, replace(point, again=frozenset({call} if call else ()))
            )
            for name, call in asked
        ]

    def by(self, patterns: int) -> float:
        """What so many repetitions show of it, at most."""
        function, derivative = (_spread(each, patterns) for each in self._repeated)
        if function is None or derivative is None:
            return self._settings.unseen
        return MOVES_FACTOR * (function / self._settings.step + derivative)


def _spread(repeated: Repeated, patterns: int) -> float | None:
    """How far the numbers of a call lie apart where operations round otherwise, at most.

    None where the code cannot be looked into.
    """
    keys = list(repeated.answers)
    repeated.ask_until(keys, lambda _key, _rounding: repeated.patterns >= patterns)
    found = [repeated.rounding(key) for key in keys]
    if not found or any(each.opaque for each in found):
        return None
    return float(max(np.abs(each.spread).max(initial=0.0) for each in found))


def _points(invocation: Invocation) -> Iterator[Invocation]:
    if not invocation.batched:
        yield invocation
        return
    for number in range(invocation.count):
        inputs = tuple(array[number : number + 1] for array in invocation.inputs)
        yield replace(invocation, inputs=inputs, batched=False)


def _error_in(
    point: Invocation, examine: Callable[..., bool], settings: FiniteDifferenceSettings
) -> GradcheckError | None:
    """What PyTorch's function says against the code; None where it passes."""
    try:
        _examine(point, examine, settings)
    except GradcheckError as error:
        return error
    return None


def _examine(
    point: Invocation, examine: Callable[..., bool], settings: FiniteDifferenceSettings
) -> None:
    dense = _WithDenseGradient.apply if _gives_sparse_gradients(point) else lambda tensor: tensor
    inputs = input_leaves(point, requires_grad=True)
    here = [tensor.detach().clone() for tensor in inputs]

    def function(*tensors: Tensor) -> tuple[Tensor, ...]:
        try:
            return result_of(point, [dense(tensor) for tensor in tensors])  # type: ignore[no-untyped-call]
        except Exception as error:
            if all(map(torch.equal, tensors, here)):
                raise
            raise _Refused(f"{type(error).__name__}: {error}") from error

    ask = partial(
        examine,
        function,
        inputs,
        eps=settings.step,
        atol=settings.atol,
        rtol=settings.rtol,
        raise_exception=True,
        nondet_tol=0.0,
        check_batched_grad=False,
    )
    with _repeatable(point), _quiet():
        try:
            ask()
        except Exception as error:
            if not raised_by_hook(error.__cause__ or error):
                raise
            ask(check_undefined_grad=False)  # PyTorch hands a hook None, who is made for a tensor


def _gives_sparse_gradients(point: Invocation) -> bool:
    inputs = input_leaves(point, requires_grad=True)
    live = [result for result in result_of(point, inputs) if result.requires_grad]
    if not live:
        return False
    weights = [torch.ones_like(result) for result in live]
    return bool(layouts(torch.autograd.grad(live, inputs, weights, allow_unused=True)))


class _WithDenseGradient(torch.autograd.Function):
    """Changes nothing but a sparse gradient, which PyTorch's gradcheck refuses to compare."""

    @staticmethod
    def forward(_: Any, tensor: Tensor) -> Tensor:
        return tensor.view_as(tensor)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor | None:
        return densified(gradient)


@contextmanager
def _repeatable(point: Invocation) -> Iterator[None]:
    """gradgradcheck draws its own cotangents: from the invocation's seed, and leaving no trace."""
    with same_randomness(point.device):
        # Not torch.manual_seed on the CPU: it formats a stack for every backend that is not there.
        seeded = torch.default_generator if torch.device(point.device).type == "cpu" else torch
        seeded.manual_seed(point.seed)
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the two warnings of gradcheck about what it is asked to do here on purpose."""
    with warnings.catch_warnings():
        for message in (".*not a double precision floating point", ".*undefined gradient support"):
            warnings.filterwarnings("ignore", message=f"(?s){message}")
        yield


def _where(point: Invocation) -> str:
    return "at " + ", ".join(str(array[0].tolist()) for array in point.inputs)
