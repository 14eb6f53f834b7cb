"""Dual tensors: inputs that carry a tangent, and results that carry one or none.

Also whether duals within duals (nested forward mode) can be believed of a user's own code. In
PyTorch 2.13 the second derivative through any ``autograd.Function`` is silently zero there, be its
``jvp`` ever so right (https://github.com/pytorch/pytorch/issues/197867), and a 0-dimensional tensor
times a Python float has a float64 tangent (https://github.com/pytorch/pytorch/issues/90065). The
defects are not the user's, so the witness abstains until PyTorch gets the probes right.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gradcheck.answer import Floats, Invocation
from gradcheck.methods._torch.calling import split
from gradcheck.methods._torch.graph import runs_own_function


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


def duals(inputs: Sequence[Tensor], tangent: Floats, invocation: Invocation) -> list[Tensor]:
    """The inputs with their parts of ``tangent`` [count, n]. Only within a ``dual_level``."""
    parts = split(tangent, invocation)
    return [
        forward_ad.make_dual(leaf, part)  # type: ignore[no-untyped-call]
        for leaf, part in zip(inputs, parts, strict=True)
    ]


def tangent_of(result: Tensor) -> Tensor | None:
    """The tangent of a result, or None where nothing carried one to it."""
    tangent: Tensor | None = forward_ad.unpack_dual(result).tangent  # type: ignore[no-untyped-call]
    return tangent


_ISSUE = "https://github.com/pytorch/pytorch/issues/197867"
_PROMOTION = "https://github.com/pytorch/pytorch/issues/90065"


def reason_to_distrust(result: Tensor) -> str | None:
    """Why nested forward mode says nothing about what computed ``result``, or None."""
    if not runs_own_function(result) or _is_sound():
        return None
    return f"PyTorch's nested forward mode is wrong for every autograd.Function: {_ISSUE}"


def reason_to_excuse(tangent: Tensor, dtype: torch.dtype) -> str | None:
    """Why a second tangent of another dtype than the inputs' is PyTorch's doing, or None."""
    if tangent.dtype == dtype or tangent.ndim or not _promotes(dtype):
        return None
    return f"PyTorch's nested forward mode promotes where a Python float takes part: {_PROMOTION}"


@cache
def _promotes(dtype: torch.dtype) -> bool:
    """Whether the second tangent of x² / 2 leaves the dtype."""
    warm_up()
    one = torch.ones((), dtype=dtype)

    def slope(x: Tensor) -> Tensor:
        found: Tensor = torch.func.jvp(lambda t: t * t * 0.5, (x,), (one,))[1]
        return found

    return bool(torch.func.jvp(slope, (one,), (one,))[1].dtype != dtype)


@cache
def _is_sound() -> bool:
    """Whether PyTorch finds that the second derivative of x² is 2."""
    warm_up()
    one = torch.ones((), dtype=torch.float64)

    def slope(x: Tensor) -> Tensor:
        found: Tensor = torch.func.jvp(_Square.apply, (x,), (one,))[1]
        return found

    return bool(torch.func.jvp(slope, (one,), (one,))[1] == 2)


class _Square(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x * x

    @staticmethod
    def setup_context(context: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        context.save_for_forward(*inputs)

    @staticmethod
    def jvp(context: Any, tangent: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        product: Tensor = 2 * x * tangent
        return product
