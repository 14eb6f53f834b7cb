"""The array functions of the formula language on tensors, with the signatures of its unrolling.

``gradcheck.graph.functions`` says the same on array graphs; a test holds the two
together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gradcheck.implementations.tensors import Home

Dims = int | list[int] | None


def _axes(x: Tensor, dim: Dims) -> list[int]:
    dims = range(x.ndim) if dim is None else dim if isinstance(dim, list) else [dim]
    return sorted({each % x.ndim for each in dims})


def _reduction(reduce: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def along(_home: Home, x: Tensor, dim: Dims = None, *, keepdim: bool = False) -> Tensor:
        axes = _axes(x, dim)  # PyTorch takes an empty list for all, NumPy for none
        return reduce(x, axes, keepdim=keepdim) if axes else x.clone()

    return along


def _prod(x: Tensor, axes: list[int], *, keepdim: bool) -> Tensor:
    for axis in reversed(axes):  # torch.prod takes one dimension
        x = torch.prod(x, axis, keepdim=keepdim)
    return x


def _cumsum(_home: Home, x: Tensor, dim: int = 0) -> Tensor:
    return torch.cumsum(x, dim)


def _cumprod(_home: Home, x: Tensor, dim: int = 0) -> Tensor:
    return torch.cumprod(x, dim)


def _tril(_home: Home, x: Tensor, diagonal: int = 0) -> Tensor:
    return torch.tril(x, diagonal)


def _triu(_home: Home, x: Tensor, diagonal: int = 0) -> Tensor:
    return torch.triu(x, diagonal)


def _transpose(_home: Home, x: Tensor, dim0: int = -2, dim1: int = -1) -> Tensor:
    return x if x.ndim < 2 else torch.transpose(x, dim0, dim1)


def _reshape(_home: Home, x: Tensor, shape: list[int]) -> Tensor:
    return torch.reshape(x, shape)


def _concat(_home: Home, parts: list[Tensor], dim: int = 0) -> Tensor:
    return torch.cat(parts, dim)


def _stack(_home: Home, parts: list[Tensor], dim: int = 0) -> Tensor:
    return torch.stack(parts, dim)


def _eye(home: Home, n: int) -> Tensor:
    return torch.eye(n, dtype=home.dtype, device=home.device)


def _zeros(home: Home, shape: list[int]) -> Tensor:
    return torch.zeros(shape, dtype=home.dtype, device=home.device)


def _ones(home: Home, shape: list[int]) -> Tensor:
    return torch.ones(shape, dtype=home.dtype, device=home.device)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _reduction(torch.sum),
    "prod": _reduction(_prod),
    "mean": _reduction(torch.mean),
    "amin": _reduction(torch.amin),
    "amax": _reduction(torch.amax),
    "cumsum": _cumsum,
    "cumprod": _cumprod,
    "dot": lambda _home, a, b: torch.dot(a, b),
    "outer": lambda _home, a, b: torch.outer(a, b),
    "trace": lambda _home, x: torch.trace(x),
    "det": lambda _home, x: torch.linalg.det(x),
    "inv": lambda _home, x: torch.linalg.inv(x),
    "tril": _tril,
    "triu": _triu,
    "transpose": _transpose,
    "reshape": _reshape,
    "concat": _concat,
    "stack": _stack,
    "diag": lambda _home, x: torch.diag(x),
    "eye": _eye,
    "zeros": _zeros,
    "ones": _ones,
}
"""Called with the home, the leading arrays, and ints, booleans or lists of ints for the rest."""

ARRAYS = {"dot": 2, "outer": 2, "eye": 0, "zeros": 0, "ones": 0}
"""How many leading arguments are arrays, where it is not one."""
