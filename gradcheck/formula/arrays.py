"""Reductions and array functions of the formula language, on NumPy arrays of unrolled numbers.

Semantics are NumPy's where PyTorch's are the same, and PyTorch's names of arguments.
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

from gradcheck.formula.tape import Number, Tape, apply

Array = NDArray[Any]
Indices = tuple[int, ...]
Dims = int | list[int] | None
MOST_ELEMENTS = 65_536
MOST_DIMENSIONS = 16
LARGEST_MATRIX = 8
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
        raise Misuse(f"entries of shapes {_shapes(parts)}", "entries of one shape")
    bounded((*parts[0].shape, len(parts)))
    return np.stack(parts, axis=_axis(dim, parts[0].ndim + 1))


def _shapes(parts: list[Array]) -> str:
    return " and ".join(dict.fromkeys(str(list(part.shape)) for part in parts))


def _axis(dim: int, ndim: int) -> int:
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
        raise Misuse(f"shapes {_shapes(list(arrays))}", "shapes that broadcast") from None
    columns = [np.broadcast_to(array, bounded(shape)).ravel().tolist() for array in arrays]
    return _shaped([function(*values) for values in zip(*columns, strict=True)], shape)


def _shaped(entries: list[Number], shape: tuple[int, ...]) -> Array:
    result = np.empty(len(entries), dtype=object)
    result[:] = entries
    return result.reshape(shape)


def _paired(tape: Tape, operator: str, a: list[Number], b: list[Number]) -> list[Number]:
    return [apply(tape, operator, *pair) for pair in zip(a, b, strict=True)]


def _reduced(tape: Tape, operator: str, x: Array, start: Fraction | None) -> Callable[..., Array]:
    def along(dim: Dims = None, *, keepdim: bool = False) -> Array:
        dims = range(x.ndim) if dim is None else dim if isinstance(dim, list) else [dim]
        axes = sorted(_axis(each, x.ndim) for each in dims)
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


def _sum(tape: Tape, x: Array, dim: Dims = None, *, keepdim: bool = False) -> Array:
    return _reduced(tape, "add", x, ZERO)(dim, keepdim=keepdim)


def _prod(tape: Tape, x: Array, dim: Dims = None, *, keepdim: bool = False) -> Array:
    return _reduced(tape, "mul", x, ONE)(dim, keepdim=keepdim)


def _mean(tape: Tape, x: Array, dim: Dims = None, *, keepdim: bool = False) -> Array:
    total = _sum(tape, x, dim, keepdim=keepdim)
    if x.size == 0:
        raise Misuse("the mean of no elements", "at least one element")
    return elementwise(tape, "div", total, array_of(Fraction(x.size, max(total.size, 1))))


def _amin(tape: Tape, x: Array, dim: Dims = None, *, keepdim: bool = False) -> Array:
    return _reduced(tape, "min", x, None)(dim, keepdim=keepdim)


def _amax(tape: Tape, x: Array, dim: Dims = None, *, keepdim: bool = False) -> Array:
    return _reduced(tape, "max", x, None)(dim, keepdim=keepdim)


def _scan(tape: Tape, operator: str, x: Array, dim: int) -> Array:
    axis = _axis(dim, x.ndim)
    moved = np.moveaxis(x, axis, 0)
    rows = moved.reshape(len(moved), math.prod(moved.shape[1:])).tolist()
    running = itertools.accumulate(rows, partial(_paired, tape, operator))
    return np.moveaxis(_shaped([*itertools.chain(*running)], moved.shape), 0, axis)


def _cumsum(tape: Tape, x: Array, dim: int = 0) -> Array:
    return _scan(tape, "add", x, dim)


def _cumprod(tape: Tape, x: Array, dim: int = 0) -> Array:
    return _scan(tape, "mul", x, dim)


def matmul(tape: Tape, a: Array, b: Array) -> Array:
    """``a @ b`` with NumPy's rules for vectors, matrices and batches of them."""
    if not (a.ndim and b.ndim) or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise Misuse(f"{list(a.shape)} @ {list(b.shape)}", "inner dimensions that agree")
    rows = a if a.ndim > 1 else a[None, :]
    columns = b if b.ndim > 1 else b[:, None]
    wide = (*rows.shape[:-1], 1, rows.shape[-1])
    products = elementwise(
        tape, "mul", rows.reshape(wide), np.swapaxes(columns, -1, -2)[..., None, :, :]
    )
    total = _sum(tape, products, -1)
    total = total if a.ndim > 1 else total[..., 0, :]
    return total if b.ndim > 1 else total[..., 0]


def _dot(tape: Tape, a: Array, b: Array) -> Array:
    if a.ndim != 1 or a.shape != b.shape:
        raise Misuse(f"dot of {list(a.shape)} and {list(b.shape)}", "two vectors of one length")
    return matmul(tape, a, b)


def _outer(tape: Tape, a: Array, b: Array) -> Array:
    if a.ndim != 1 or b.ndim != 1:
        raise Misuse(f"outer of {list(a.shape)} and {list(b.shape)}", "two vectors")
    return elementwise(tape, "mul", a[:, None], b[None, :])


def _square(x: Array, name: str) -> int:
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise Misuse(f"{name} of shape {list(x.shape)}", "a square matrix")
    return int(x.shape[-1])


def _trace(tape: Tape, x: Array) -> Array:
    if x.ndim != 2:
        raise Misuse(f"trace of shape {list(x.shape)}", "a matrix")
    return _sum(tape, np.diagonal(x))


def _minors(tape: Tape, x: Array) -> Callable[[Indices, Indices], Number]:
    """Determinants of submatrices of one matrix, by expansion along the first row, once each."""
    known: dict[tuple[Indices, Indices], Number] = {}

    def minor(rows: Indices, columns: Indices) -> Number:
        if not rows:
            return ONE
        if (rows, columns) not in known:
            total: Number = ZERO
            for k, column in enumerate(columns):
                rest = minor(rows[1:], columns[:k] + columns[k + 1 :])
                term = apply(tape, "mul", x[rows[0], column], rest)
                total = apply(tape, "sub" if k % 2 else "add", total, term)
            known[rows, columns] = total
        return known[rows, columns]

    return minor


def _over_batch(tape: Tape, x: Array, name: str, of_matrix: Callable[[Array], Array]) -> Array:
    n = _square(x, name)
    if n > LARGEST_MATRIX:
        raise Misuse(f"{name} of a {n}x{n} matrix", f"at most {LARGEST_MATRIX}x{LARGEST_MATRIX}")
    batch = x.shape[:-2]
    if not batch:
        return of_matrix(x)
    tape.spend(10 * math.prod(batch))
    parts = [of_matrix(x[index]) for index in np.ndindex(batch)]
    inner = parts[0].shape if parts else (() if name == "det" else (n, n))
    return (np.stack(parts) if parts else np.empty((0, *inner), object)).reshape(batch + inner)


def _det(tape: Tape, x: Array) -> Array:
    def of_matrix(matrix: Array) -> Array:
        every = tuple(range(len(matrix)))
        return array_of(_minors(tape, matrix)(every, every))

    return _over_batch(tape, x, "det", of_matrix)


def _inv(tape: Tape, x: Array) -> Array:
    def of_matrix(matrix: Array) -> Array:
        every = tuple(range(len(matrix)))
        minor = _minors(tape, matrix)
        result = np.empty(matrix.shape, dtype=object)
        for i, j in np.ndindex(matrix.shape):
            cofactor = minor(every[:j] + every[j + 1 :], every[:i] + every[i + 1 :])
            signed = apply(tape, "neg", cofactor) if (i + j) % 2 else cofactor
            result[i, j] = apply(tape, "div", signed, minor(every, every))
        return result

    return _over_batch(tape, x, "inv", of_matrix)


def _above(tape: Tape, x: Array) -> NDArray[np.int_]:
    """How far each entry of a matrix stands above its diagonal."""
    if x.ndim < 2:
        raise Misuse(f"a triangle of shape {list(x.shape)}", "a matrix")
    rows, columns = x.shape[-2:]
    tape.spend(rows * columns // 8)
    return np.arange(columns) - np.arange(rows)[:, None]


def _tril(tape: Tape, x: Array, diagonal: int = 0) -> Array:
    return np.where(_above(tape, x) <= diagonal, x, array_of(ZERO))


def _triu(tape: Tape, x: Array, diagonal: int = 0) -> Array:
    return np.where(_above(tape, x) >= diagonal, x, array_of(ZERO))


def _transpose(_tape: Tape, x: Array, dim0: int = -2, dim1: int = -1) -> Array:
    return x if x.ndim < 2 else np.swapaxes(x, _axis(dim0, x.ndim), _axis(dim1, x.ndim))


def _reshape(_tape: Tape, x: Array, shape: list[int]) -> Array:
    try:
        result = x.reshape(shape)
    except ValueError:
        raise Misuse(f"reshape of {list(x.shape)} to {shape}", "as many elements") from None
    bounded(result.shape)
    return result


def _concat(tape: Tape, parts: list[Array], dim: int = 0) -> Array:
    if not parts:
        raise Misuse("concat of no arrays", "at least one array")
    total = sum(part.size for part in parts)
    bounded((total,))
    tape.spend(len(parts) + total // 8)
    try:
        result = np.concatenate(parts, axis=_axis(dim, parts[0].ndim))
    except ValueError:
        raise Misuse(
            f"concat of shapes {_shapes(parts)}", "shapes that differ only in dim"
        ) from None
    bounded(result.shape)
    return result


def _stack(tape: Tape, parts: list[Array], dim: int = 0) -> Array:
    result = stacked(parts, dim)
    tape.spend(len(parts) + result.size // 8)
    return result


def _diag(tape: Tape, x: Array) -> Array:
    if x.ndim == 2:
        return np.diagonal(x).copy()
    if x.ndim != 1:
        raise Misuse(f"diag of shape {list(x.shape)}", "a vector or a matrix")
    result = full(tape, (len(x), len(x)), ZERO)
    for i, value in enumerate(x):
        result[i, i] = value
    return result


def _eye(tape: Tape, n: int) -> Array:
    result = full(tape, (n, n), ZERO)
    for i in range(n):
        result[i, i] = ONE
    return result


def _zeros(tape: Tape, shape: list[int]) -> Array:
    return full(tape, tuple(shape), ZERO)


def _ones(tape: Tape, shape: list[int]) -> Array:
    return full(tape, tuple(shape), ONE)


ARRAY_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "sum": _sum, "prod": _prod, "mean": _mean, "amin": _amin, "amax": _amax, "cumsum": _cumsum,
    "cumprod": _cumprod, "dot": _dot, "outer": _outer, "trace": _trace, "det": _det, "inv": _inv,
    "tril": _tril, "triu": _triu, "transpose": _transpose, "reshape": _reshape,
    "concat": _concat, "stack": _stack, "diag": _diag, "eye": _eye, "zeros": _zeros,
    "ones": _ones,
}  # fmt: skip
"""Called with the tape and the arguments: arrays, then ints, booleans or lists of ints."""

LIST_FUNCTIONS = frozenset({"concat", "stack"})
"""Whose first argument is a list of arrays."""
SHAPE_FUNCTIONS = frozenset({"eye", "zeros", "ones"})
"""Whose first argument is no array, but a size or a shape."""
