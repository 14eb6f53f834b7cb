"""Matrices in the formula language: products, determinants, inverses, triangles, diagonals."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gradcheck.graph.arrays import (
    ONE,
    ZERO,
    Array,
    Misuse,
    array_of,
    axis_of,
    elementwise,
    full,
    reduced,
)
from gradcheck.graph.tape import Number, Tape, apply

Indices = tuple[int, ...]
LARGEST_MATRIX = 8


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
    total = reduced(tape, "add", products, ZERO)(-1)
    total = total if a.ndim > 1 else total[..., 0, :]
    return total if b.ndim > 1 else total[..., 0]


def dot(tape: Tape, a: Array, b: Array) -> Array:
    if a.ndim != 1 or a.shape != b.shape:
        raise Misuse(f"dot of {list(a.shape)} and {list(b.shape)}", "two vectors of one length")
    return matmul(tape, a, b)


def outer(tape: Tape, a: Array, b: Array) -> Array:
    if a.ndim != 1 or b.ndim != 1:
        raise Misuse(f"outer of {list(a.shape)} and {list(b.shape)}", "two vectors")
    return elementwise(tape, "mul", a[:, None], b[None, :])


def _square(x: Array, name: str) -> int:
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise Misuse(f"{name} of shape {list(x.shape)}", "a square matrix")
    return int(x.shape[-1])


def trace(tape: Tape, x: Array) -> Array:
    if x.ndim != 2:
        raise Misuse(f"trace of shape {list(x.shape)}", "a matrix")
    return reduced(tape, "add", np.diagonal(x), ZERO)()


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


def det(tape: Tape, x: Array) -> Array:
    def of_matrix(matrix: Array) -> Array:
        every = tuple(range(len(matrix)))
        return array_of(_minors(tape, matrix)(every, every))

    return _over_batch(tape, x, "det", of_matrix)


def inv(tape: Tape, x: Array) -> Array:
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


def tril(tape: Tape, x: Array, diagonal: int = 0) -> Array:
    return np.where(_above(tape, x) <= diagonal, x, array_of(ZERO))


def triu(tape: Tape, x: Array, diagonal: int = 0) -> Array:
    return np.where(_above(tape, x) >= diagonal, x, array_of(ZERO))


def transpose(_tape: Tape, x: Array, dim0: int = -2, dim1: int = -1) -> Array:
    return x if x.ndim < 2 else np.swapaxes(x, axis_of(dim0, x.ndim), axis_of(dim1, x.ndim))


def diag(tape: Tape, x: Array) -> Array:
    if x.ndim == 2:
        return np.diagonal(x).copy()
    if x.ndim != 1:
        raise Misuse(f"diag of shape {list(x.shape)}", "a vector or a matrix")
    result = full(tape, (len(x), len(x)), ZERO)
    for i, value in enumerate(x):
        result[i, i] = value
    return result


def eye(tape: Tape, n: int) -> Array:
    result = full(tape, (n, n), ZERO)
    for i in range(n):
        result[i, i] = ONE
    return result
