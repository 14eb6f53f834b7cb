"""Other ways to look at a gradient, on the same mutants: what they notice.

Each is given what its users give it: a function and a few ordinary inputs. What convicts right code
too has told nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.gradcheck import GradcheckError

_Differentiable = Callable[..., tuple[Tensor, ...]]

RIVAL_POINTS = 4
_SLOW_ENTRIES = 32  # beyond, torch.autograd.gradcheck is asked in its fast mode


@dataclass(frozen=True, slots=True)
class RivalTrial:
    """A function on trial, the right one beside it, inputs, and which derivatives there are."""

    mutant: _Differentiable
    right: _Differentiable
    inputs: Sequence[tuple[Tensor, ...]]
    order: int
    forward: bool


def _torch_gradcheck(trial: RivalTrial, **tolerances: Any) -> bool:
    for inputs in trial.inputs:
        leaves = _leaves(inputs)
        fast = sum(x.numel() for x in leaves) > _SLOW_ENTRIES
        torch.autograd.gradcheck(
            trial.mutant, leaves, check_forward_ad=trial.forward, fast_mode=fast, **tolerances
        )
        if trial.order > 1:
            torch.autograd.gradgradcheck(trial.mutant, leaves, fast_mode=fast, **tolerances)
    return False


_JAX_STEP = 1e-4
_JAX_TOLERANCE = {
    torch.float64: 1e-5, torch.float32: 2e-3, torch.bfloat16: 1e-1, torch.float16: 1e-2,
    torch.complex64: 1e-3, torch.complex128: 1e-5,
}  # fmt: skip
"""``EPS`` and ``default_gradient_tolerance`` of ``jax._src.public_test_util``."""


def _jax_style(trial: RivalTrial) -> bool:
    """As ``jax.test_util.check_grads``: one random direction a mode, by central differences.

    Source: jax/_src/public_test_util.py, check_jvp and check_vjp.
    """
    for inputs in trial.inputs:
        if _jax_differs(trial.mutant, inputs, forward=trial.forward):
            return True
        second = partial(_pulled, trial.mutant)
        if trial.order > 1 and _jax_differs(second, inputs, forward=False):
            return True
    return False


def _pulled(function: _Differentiable, *inputs: Tensor) -> tuple[Tensor, ...]:
    """The gradient by one cotangent, which can be differentiated."""
    leaves = inputs if any(x.requires_grad for x in inputs) else _leaves(inputs)
    results = [each for each in function(*leaves) if each.requires_grad]
    weights = _drawn(results, seed=1)
    found = torch.autograd.grad(results, leaves, weights, create_graph=True, allow_unused=True)
    return tuple(
        torch.zeros_like(x) if g is None else g for g, x in zip(found, leaves, strict=True)
    )


def _jax_differs(function: _Differentiable, inputs: Sequence[Tensor], *, forward: bool) -> bool:
    tangents = _drawn(inputs, seed=0)
    ahead, behind = (
        [each.detach() for each in function(*_moved(inputs, tangents, step))]
        for step in (_JAX_STEP, -_JAX_STEP)
    )
    slopes = [(a - b) * (0.5 / _JAX_STEP) for a, b in zip(ahead, behind, strict=True)]
    if forward and not all(map(_jax_close, _pushed(function, inputs, tangents), slopes)):
        return True
    leaves = _leaves(inputs)
    results = function(*leaves)
    cotangents = _drawn(results, seed=2)
    live = [k for k, each in enumerate(results) if each.requires_grad]
    if not live:
        return False
    found = torch.autograd.grad(
        [results[k] for k in live], leaves, [cotangents[k] for k in live], allow_unused=True
    )
    pairs = [(t, g) for t, g in zip(tangents, found, strict=True) if g is not None]
    return not _jax_close(_inner(pairs), _inner(zip(slopes, cotangents, strict=True)))


def _moved(inputs: Sequence[Tensor], tangents: Sequence[Tensor], step: float) -> list[Tensor]:
    return [x.detach() + step * t for x, t in zip(inputs, tangents, strict=True)]


def _inner(pairs: Any) -> Tensor:
    return torch.stack([(a.conj() * b).sum().real.double() for a, b in pairs]).sum()


def _jax_close(found: Tensor, expected: Tensor) -> bool:
    tolerance = _JAX_TOLERANCE.get(expected.dtype, 1e-5)
    return torch.allclose(
        found.to(expected.dtype), expected, atol=tolerance, rtol=tolerance, equal_nan=True
    )


def _pushed(
    function: _Differentiable, inputs: Sequence[Tensor], tangents: Sequence[Tensor]
) -> list[Tensor]:
    with forward_ad.dual_level():
        duals = [
            forward_ad.make_dual(x.detach(), t)  # type: ignore[no-untyped-call]
            for x, t in zip(inputs, tangents, strict=True)
        ]
        found = [forward_ad.unpack_dual(each) for each in function(*duals)]  # type: ignore[no-untyped-call]
        return [torch.zeros_like(y.primal) if y.tangent is None else y.tangent for y in found]


def _assert_close(trial: RivalTrial) -> bool:
    """``torch.testing.assert_close`` against the right code's own derivatives, in any dtype."""
    for inputs in trial.inputs:
        for found, right in zip(_all(trial, trial.mutant, inputs), _all(trial, trial.right, inputs),
                                strict=True):  # fmt: skip
            torch.testing.assert_close(found, right, equal_nan=True)
    return False


def _all(
    trial: RivalTrial, function: _Differentiable, inputs: Sequence[Tensor]
) -> Iterator[Tensor]:
    """Gradients, tangents and second derivatives along drawn directions."""
    leaves = _leaves(inputs)
    slopes = _pulled(function, *leaves)
    yield from (each.detach() for each in slopes)
    if trial.forward:
        yield from _pushed(function, inputs, _drawn(inputs, seed=0))
    live = [each for each in slopes if each.requires_grad]
    if trial.order > 1 and live:
        found = torch.autograd.grad(live, leaves, _drawn(live, seed=3), allow_unused=True)
        yield from (each for each in found if each is not None)


def _leaves(inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple(x.detach().clone().requires_grad_() for x in inputs)


def _drawn(like: Sequence[Tensor], *, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(x.shape, dtype=x.dtype, generator=generator) for x in like]


RIVALS: dict[str, Callable[[RivalTrial], bool]] = {
    "torch": _torch_gradcheck,
    "tightened": partial(_torch_gradcheck, eps=1e-6, atol=1e-9, rtol=1e-6),
    "jax style": _jax_style,
    "assert_close": _assert_close,
}
"""``torch.autograd.gradcheck`` and ``gradgradcheck`` by their defaults and by tight tolerances, the
check of JAX, and ``assert_close`` against the gradient that is right."""


def convicting(trial: RivalTrial) -> dict[str, bool]:
    """Return who convicts; an exception is a conviction."""
    return {name: _convicts(rival, trial) for name, rival in RIVALS.items()}


def _convicts(rival: Callable[[RivalTrial], bool], trial: RivalTrial) -> bool:
    torch.manual_seed(0)  # gradgradcheck draws its cotangents
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return rival(trial)
        except (GradcheckError, AssertionError, RuntimeError, ValueError, TypeError):
            return True
