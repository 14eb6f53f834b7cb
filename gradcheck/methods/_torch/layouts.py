"""The same numbers elsewhere in memory, and cotangents as they arrive from what follows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

Layout = Callable[[Tensor], Tensor | None]
"""The same numbers laid out otherwise; None where a tensor cannot lie so."""
Dressing = Callable[[Tensor, Tensor], tuple[Tensor, Tensor] | None]
"""What follows a result, and a cotangent of that by which the result's arrives at it."""

_AROUND = float("nan")
"""What lies in memory beside a tensor: to read it shows."""


def laid(tensor: Tensor, layout: Layout) -> Tensor:
    """The tensor in that layout where it can have it, else as it is."""
    found = layout(tensor)
    return tensor if found is None else found


def differ(tensor: Tensor, other: Tensor) -> bool:
    """Whether two tensors of the same numbers lie otherwise in memory."""
    return _lie(tensor) != _lie(other)


def _lie(tensor: Tensor) -> tuple[object, ...]:
    return tensor.stride(), tensor.storage_offset(), tensor.is_conj(), tensor.is_neg()


def as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def strided(tensor: Tensor) -> Tensor | None:
    """Every second entry of a larger tensor."""
    if tensor.ndim == 0:
        return None
    return torch.stack([tensor, torch.full_like(tensor, _AROUND)], -1)[..., 0]


def _transposed(tensor: Tensor) -> Tensor | None:
    return tensor.mT.contiguous().mT if tensor.ndim > 1 else None


def _sliced(tensor: Tensor) -> Tensor:
    """The middle of a larger tensor."""
    beside = torch.full((1,), _AROUND, dtype=tensor.dtype, device=tensor.device)
    return torch.cat([beside, tensor.reshape(-1), beside])[1:-1].reshape(tensor.shape)


def _expanded(tensor: Tensor) -> Tensor | None:
    """One slice shown several times, where all slices along an axis are alike."""
    for axis, length in enumerate(tensor.shape):
        if length > 1:
            alike = tensor.narrow(axis, 0, 1).expand_as(tensor)
            if torch.equal(alike, tensor):
                return alike
    return None


def _conjugated(tensor: Tensor) -> Tensor | None:
    """A view that PyTorch conjugates when it is read."""
    return torch.conj_physical(tensor).conj() if tensor.is_complex() else None


def _negated(tensor: Tensor) -> Tensor:
    """A view that is negated when read, with gaps: so is the imaginary part of a conjugate."""
    negated: Tensor = torch._neg_view(laid(torch.neg(tensor), strided))
    return negated


LAYOUTS: dict[str, Layout] = {
    "transposed": _transposed,
    "strided": strided,
    "expanded": _expanded,
    "sliced": _sliced,
    "lazily conjugated": _conjugated,
    "lazily negated": _negated,
}


def _permuted(tensor: Tensor) -> Tensor | None:
    """The first two axes exchanged in memory."""
    return tensor.transpose(0, 1).contiguous().transpose(0, 1) if tensor.ndim > 2 else None


def _channels_last(tensor: Tensor) -> Tensor | None:
    """The second axis innermost, which is ``torch.channels_last`` of four axes."""
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1) if tensor.ndim > 3 else None


LAYOUTS_OF_MANY_AXES: dict[str, Layout] = {
    "permuted": _permuted,
    "channels-last": _channels_last,
}


def _lying(layout: Layout, result: Tensor, weight: Tensor) -> tuple[Tensor, Tensor] | None:
    other = layout(weight)
    return None if other is None else (result, other)


def _behind_transposition(result: Tensor, weight: Tensor) -> tuple[Tensor, Tensor] | None:
    return (result.mT, weight.mT.contiguous()) if result.ndim > 1 else None


def _behind_cat(result: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Beside others, along the last axis."""
    if result.ndim == 0:
        result, weight = result[None], weight[None]
    beside = torch.zeros_like(result)
    return torch.cat([beside, result], -1), torch.cat([torch.ones_like(weight), weight], -1)


DRESSINGS: dict[str, Dressing] = {
    "that is strided": partial(_lying, strided),
    "from .T": _behind_transposition,
    "from cat": _behind_cat,
    "that is lazily conjugated": partial(_lying, _conjugated),
    "that is lazily negated": partial(_lying, _negated),
    **{f"that is {name}": partial(_lying, each) for name, each in LAYOUTS_OF_MANY_AXES.items()},
}
