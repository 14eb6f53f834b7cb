"""The table of the formula language's reductions and array functions, on unrolled numbers.

Semantics are NumPy's where PyTorch's are the same, and PyTorch's names of arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from gradcheck.graph.arrays import (
    ONE,
    ZERO,
    Array,
    Dims,
    Misuse,
    array_of,
    axis_of,
    bounded,
    elementwise,
    full,
    reduced,
    scanned,
    shapes_of,
    stacked,
)
from gradcheck.graph.matrices import det, diag, dot, eye, inv, outer, trace, transpose, tril, triu
from gradcheck.graph.tape import Tape


def _sum(tape: Tape, x: Array, dim: Dims = None, *, keepdim: bool = False) -> Array:
    return reduced(tape, "add", x, ZERO)(dim, keepdim=keepdim)


def _prod(tape: Tape, x: Array, dim: Dims = None, *, keepdim: bool = False) -> Array:
    return reduced(tape, "mul", x, ONE)(dim, keepdim=keepdim)


def _mean(tape: Tape, x: Array, dim: Dims = None, *, keepdim: bool = False) -> Array:
    total = _sum(tape, x, dim, keepdim=keepdim)
    if x.size == 0:
        raise Misuse("the mean of no elements", "at least one element")
    return elementwise(tape, "div", total, array_of(Fraction(x.size, max(total.size, 1))))


def _amin(tape: Tape, x: Array, dim: Dims = None, *, keepdim: bool = False) -> Array:
    return reduced(tape, "min", x, None)(dim, keepdim=keepdim)


def _amax(tape: Tape, x: Array, dim: Dims = None, *, keepdim: bool = False) -> Array:
    return reduced(tape, "max", x, None)(dim, keepdim=keepdim)


def _cumsum(tape: Tape, x: Array, dim: int = 0) -> Array:
    return scanned(tape, "add", x, dim)


def _cumprod(tape: Tape, x: Array, dim: int = 0) -> Array:
    return scanned(tape, "mul", x, dim)


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
        result = np.concatenate(parts, axis=axis_of(dim, parts[0].ndim))
    except ValueError:
        raise Misuse(
            f"concat of shapes {shapes_of(parts)}", "shapes that differ only in dim"
        ) from None
    bounded(result.shape)
    return result


def _stack(tape: Tape, parts: list[Array], dim: int = 0) -> Array:
    result = stacked(parts, dim)
    tape.spend(len(parts) + result.size // 8)
    return result


def _zeros(tape: Tape, shape: list[int]) -> Array:
    return full(tape, tuple(shape), ZERO)


def _ones(tape: Tape, shape: list[int]) -> Array:
    return full(tape, tuple(shape), ONE)


ARRAY_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "sum": _sum, "prod": _prod, "mean": _mean, "amin": _amin, "amax": _amax, "cumsum": _cumsum,
    "cumprod": _cumprod, "dot": dot, "outer": outer, "trace": trace, "det": det, "inv": inv,
    "tril": tril, "triu": triu, "transpose": transpose, "reshape": _reshape,
    "concat": _concat, "stack": _stack, "diag": diag, "eye": eye, "zeros": _zeros,
    "ones": _ones,
}  # fmt: skip
"""Called with the tape and the arguments: arrays, then ints, booleans or lists of ints."""

LIST_FUNCTIONS = frozenset({"concat", "stack"})
"""Whose first argument is a list of arrays."""
SHAPE_FUNCTIONS = frozenset({"eye", "zeros", "ones"})
"""Whose first argument is no array, but a size or a shape."""
