"""Dual tensors: inputs that carry a tangent, and results that carry one or none."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor
from torch.autograd import forward_ad


@cache
def warm_up() -> None:
    """Let PyTorch load what forward mode needs; 2.13 warns there of its own use of TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.func.jvp(torch.sin, (torch.ones(()),), (torch.ones(()),))


@contextmanager
def dual_level() -> Iterator[None]:
    """``torch.autograd.forward_ad.dual_level``, warmed up."""
    warm_up()
    with forward_ad.dual_level():
        yield


def duals(inputs: Sequence[Tensor], tangents: Sequence[Tensor]) -> list[Tensor]:
    """The inputs with their tangents. Only within a ``dual_level``."""
    return [
        forward_ad.make_dual(leaf, part)  # type: ignore[no-untyped-call]
        for leaf, part in zip(inputs, tangents, strict=True)
    ]


def tangent_of(result: Tensor) -> Tensor | None:
    """The tangent of a result, or None where nothing carried one to it."""
    tangent: Tensor | None = forward_ad.unpack_dual(result).tangent  # type: ignore[no-untyped-call]
    return tangent
