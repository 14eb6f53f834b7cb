"""Arrays of the formula language: NumPy arrays of unrolled numbers, their limits and broadcasting.

Semantics are NumPy's where PyTorch's are the same.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.graph.tape import Number, Tape, apply

Array = NDArray[Any]
Dims = int | list[int] | None
MOST_ELEMENTS = 65_536
MOST_DIMENSIONS = 16
ZERO, ONE = Fraction(0), Fraction(1)


class Misuse(Exception):
    """An array function was called in a way that it does not allow: found, expected."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found, expected)
        self.found, self.expected = found, expected


def array_of(values: Any) -> Array:
    """Nested lists of numbers, or one number, as an object array.

    Errors: Misuse where the lists are ragged.
    """
    if isinstance(values, np.ndarray):
        return values
    if not isinstance(values, list | tuple):
        result = np.empty((), dtype=object)
        result[()] = values
        return result
    return stacked([array_of(value) for value in values], 0)


def bounded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape itself, if an array may have it; a length of 0 does not excuse the others."""
    if min(shape, default=0) < 0:
        raise Misuse(f"an array of shape {list(shape)}", "no negative length")
    if math.prod(length or 1 for length in shape) > MOST_ELEMENTS:
        raise Misuse(f"an array of shape {list(shape)}", f"at most {MOST_ELEMENTS:,} elements")
    if len(shape) > MOST_DIMENSIONS:
        raise Misuse(f"an array of {len(shape)} dimensions", f"at most {MOST_DIMENSIONS}")
    return shape


def full(tape: Tape, shape: tuple[int, ...], value: Number) -> Array:
    result = np.empty(bounded(shape), dtype=object)
    tape.spend(result.size // 8)
    result.fill(value)
    return result


def stacked(parts: list[Array], dim: int) -> Array:
    if not parts:
        return np.empty((0,), dtype=object)
    shapes = {part.shape for part in parts}
    if len(shapes) > 1:
        raise Misuse(f"entries of shapes {shapes_of(parts)}", "entries of one shape")
    bounded((*parts[0].shape, len(parts)))
    return np.stack(parts, axis=axis_of(dim, parts[0].ndim + 1))


def shapes_of(parts: list[Array]) -> str:
    return " and ".join(dict.fromkeys(str(list(part.shape)) for part in parts))


def axis_of(dim: int, ndim: int) -> int:
    """The axis that ``dim`` names, counted from 0."""
    if ndim == 0:
        raise Misuse(f"dim={dim} of a single number", "an array")
    if not -ndim <= dim < ndim:
        raise Misuse(f"dim={dim} of an array of {ndim} dimensions", f"{-ndim} <= dim < {ndim}")
    return dim % ndim


def elementwise(tape: Tape, operator: str, *arrays: Array, parameter: Any = None) -> Array:
    """An operator of the table on arrays that broadcast."""
    return broadcast(partial(apply, tape, operator, parameter=parameter), *arrays)


def broadcast(function: Callable[..., Number], *arrays: Array) -> Array:
    """A function of numbers on arrays that broadcast, entry by entry."""
    if not any(array.ndim for array in arrays):
        return array_of(function(*(array.item() for array in arrays)))
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        raise Misuse(f"shapes {shapes_of(list(arrays))}", "shapes that broadcast") from None
    columns = [np.broadcast_to(array, bounded(shape)).ravel().tolist() for array in arrays]
    return _shaped([function(*values) for values in zip(*columns, strict=True)], shape)


def _shaped(entries: list[Number], shape: tuple[int, ...]) -> Array:
    result = np.empty(len(entries), dtype=object)
    result[:] = entries
    return result.reshape(shape)


def _paired(tape: Tape, operator: str, a: list[Number], b: list[Number]) -> list[Number]:
    return [apply(tape, operator, *pair) for pair in zip(a, b, strict=True)]


def reduced(tape: Tape, operator: str, x: Array, start: Fraction | None) -> Callable[..., Array]:
    """An array joined by an operator, as a function of ``dim`` and ``keepdim``.

    ``start`` is what no elements give; None refuses them.
    """

    def along(dim: Dims = None, *, keepdim: bool = False) -> Array:
        dims = range(x.ndim) if dim is None else dim if isinstance(dim, list) else [dim]
        axes = sorted(axis_of(each, x.ndim) for each in dims)
        if len(set(axes)) < len(axes):
            raise Misuse(f"dim={dim}, which names a dimension twice", "each dimension once")
        moved = np.moveaxis(x, axes, list(range(len(axes))))
        kept = moved.shape[len(axes) :]
        rows = moved.reshape(math.prod(moved.shape[: len(axes)]), math.prod(kept)).tolist()
        if not rows and start is None:
            raise Misuse("no elements to reduce", "at least one element")
        rows = rows or [[start] * math.prod(kept)]
        total = _shaped(reduce(partial(_paired, tape, operator), rows), kept)
        if keepdim:
            return total.reshape([1 if i in axes else n for i, n in enumerate(x.shape)])
        return total

    return along


def scanned(tape: Tape, operator: str, x: Array, dim: int) -> Array:
    """An array of the running totals along ``dim``."""
    axis = axis_of(dim, x.ndim)
    moved = np.moveaxis(x, axis, 0)
    rows = moved.reshape(len(moved), math.prod(moved.shape[1:])).tolist()
    running = itertools.accumulate(rows, partial(_paired, tape, operator))
    return np.moveaxis(_shaped([*itertools.chain(*running)], moved.shape), 0, axis)
