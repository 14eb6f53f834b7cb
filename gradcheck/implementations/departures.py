"""Where a user's code departs from what PyTorch makes of the formula: inputs worth a look.

Neither of the two is the truth, and nothing is ruled here: a departure is a point at which the
witnesses look first. So a band is found in which code goes wrong, however narrow and wherever it
lies, at the price of a few calls that no truth is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import forward_ad

from gradcheck.answer import Floats
from gradcheck.dtypes import Dtype
from gradcheck.implementations.comparisons import differentiable
from gradcheck.methods._torch.calling import dual_level
from gradcheck.methods._torch.directions import drawn
from gradcheck.methods._torch.exceptions import out_of_turn

_Called = Callable[..., Any]
looking: ContextVar[bool] = ContextVar("looking", default=False)
"""Whether what is called now is looked at here, and so judged by nobody."""
_MOST = 3
"""Departures of each derivative: the gradient, the tangent and the gradient's derivative; beside
the largest number of the point, and beside the entry itself, which is often rounding."""


DirectionalDerivatives = Sequence[NDArray[Any] | None]
"""The gradient, its derivative and the tangent at the points of a call, each [count, n]; None:
there is none."""


def departing(
    ours: Sequence[DirectionalDerivatives],
    theirs: Sequence[DirectionalDerivatives],
    places: Floats,
    dtype: Dtype,
) -> list[int]:
    """Return the numbers of points at which a derivative of the two differs by more than rounding.

    ``places`` orders the points of all calls: of neighbours that differ one is returned, and narrow
    neighbourhoods come first.
    """
    order, found = np.argsort(places, kind="stable"), dict[int, None]()
    least = 2.0 ** -(dtype.precision // 2)
    for by_entry in (False, True):
        for one, other in zip(zip(*ours, strict=True), zip(*theirs, strict=True), strict=True):
            pairs = zip(one, other, strict=True)
            apart = np.concatenate([_apart(*pair, by_entry=by_entry) for pair in pairs])
            if len(apart) == len(order):
                found |= dict.fromkeys(order[_peaks(apart[order], least)].tolist())
    return list(found)


def _peaks(apart: Floats, least: float) -> list[int]:
    """Return the highest of each run beyond the least, of the shortest runs."""
    beyond = np.flatnonzero(apart > least)
    runs = np.split(beyond, np.flatnonzero(np.diff(beyond) > 1) + 1) if beyond.size else []
    return [int(run[np.argmax(apart[run])]) for run in sorted(runs, key=len)[:_MOST]]


def _apart(ours: NDArray[Any] | None, theirs: NDArray[Any] | None, *, by_entry: bool) -> Floats:
    """Return by how much two answers differ at most, at each point, relatively.

    That is beside the largest number of the point, or beside each entry. What of ``theirs`` is no
    finite number says nothing.

    Shapes: [count, n] each; [count].
    """
    if ours is None or theirs is None or ours.shape != theirs.shape:
        there = ours if ours is not None else theirs
        return np.zeros(1 if there is None else len(there))
    with np.errstate(all="ignore"):
        size = np.nan_to_num(np.abs(ours) + np.abs(theirs))
        size = size if by_entry else size.max(axis=1, keepdims=True, initial=0.0)
        apart = np.abs(ours - theirs) / size
    apart = np.where(ours == theirs, 0.0, np.where(np.isfinite(ours), apart, 1.0))
    known = np.where(np.isfinite(theirs), apart, 0.0)
    return np.asarray(np.nan_to_num(known).max(axis=1, initial=0.0))


def directional_derivatives(
    function: _Called, inputs: Sequence[Tensor], count: int, asked: Sequence[bool]
) -> DirectionalDerivatives:
    """Return the derivatives along fixed directions at all points of a call.

    Of the three those that are ``asked`` for; the gradient where its derivative is.
    """
    before = looking.set(True)
    try:
        return _derivatives(function, inputs, count, asked)
    finally:
        looking.reset(before)


def _derivatives(
    function: _Called, inputs: Sequence[Tensor], count: int, asked: Sequence[bool]
) -> DirectionalDerivatives:
    found: list[NDArray[Any] | None] = []
    for derive, wanted in ((_reverse, asked[:2]), (_forward, asked[2:])):
        answers: list[NDArray[Any] | None] = []
        with out_of_turn():
            several = derive(function, [each.detach().clone() for each in inputs])
            for answer in islice(several, sum(wanted)):
                answers.append(_joined(answer, count))
        found += [*answers, None, None][: len(wanted)]
    return found


def _reverse(function: _Called, leaves: list[Tensor]) -> Iterator[list[Tensor]]:
    for leaf in leaves:
        leaf.requires_grad_()
    results = differentiable(function(*leaves))
    yield _gradients(results, leaves, create_graph=False)
    slopes = _gradients(results, leaves, create_graph=True)
    yield _gradients(differentiable(slopes), leaves, create_graph=False)


def _gradients(results: list[Tensor], leaves: list[Tensor], *, create_graph: bool) -> list[Tensor]:
    weights = [_direction(each, 7 + k) for k, each in enumerate(results)]
    found = torch.autograd.grad(
        results, leaves, weights, retain_graph=True, create_graph=create_graph, allow_unused=True
    )
    pairs = zip(found, leaves, strict=True)
    return [torch.zeros_like(leaf) if each is None else each for each, leaf in pairs]


def _forward(function: _Called, inputs: list[Tensor]) -> Iterator[list[Tensor]]:
    with dual_level():
        tangents = [_direction(each, k) for k, each in enumerate(inputs)]
        duals = map(forward_ad.make_dual, inputs, tangents)
        results = function(*duals)
        several = results if isinstance(results, list | tuple) else [results]
        slopes = [forward_ad.unpack_dual(each).tangent for each in several]  # type: ignore[no-untyped-call]
        yield [each.detach() for each in slopes if each is not None]


def _direction(tensor: Tensor, stream: int) -> Tensor:
    numbers = torch.from_numpy(drawn(0, stream, (1, tensor.numel())).copy()).reshape(tensor.shape)
    found = numbers.to(dtype=tensor.dtype, device=tensor.device)
    return found * (1 + 0.5j) if tensor.is_complex() else found


def _joined(tensors: list[Tensor], count: int) -> NDArray[Any]:
    """Return the numbers of each point, wide. Shapes: [count, n]."""
    wide = [
        each.detach().cpu().to(torch.complex128 if each.is_complex() else torch.float64)
        for each in tensors
    ]
    return np.concatenate([each.reshape(count, -1).resolve_conj().numpy() for each in wide], axis=1)
