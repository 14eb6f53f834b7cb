"""Shapes of arrays in a formula: their limits, how they broadcast, and what misuse is told.

Semantics are NumPy's where PyTorch's are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from gradcheck.query import Shape

MOST_ELEMENTS = 1_048_576
"""Of a tensor that a case names: an input, an output, constants."""
MOST_BETWEEN = 4 * MOST_ELEMENTS
"""Of an intermediate result: the scores of attention are larger than what it takes and gives."""
MOST_DIMENSIONS = 16


class Misuse(Exception):
    """An array function was called in a way that it does not allow: found, expected."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found, expected)
        self.found, self.expected = found, expected


def bounded(shape: Shape) -> Shape:
    """The shape itself, if an array may have it; a length of 0 does not excuse the others."""
    if min(shape, default=0) < 0:
        raise Misuse(f"an array of shape {list(shape)}", "no negative length")
    if math.prod(length or 1 for length in shape) > MOST_BETWEEN:
        raise Misuse(f"an array of shape {list(shape)}", f"at most {MOST_BETWEEN:,} elements")
    if len(shape) > MOST_DIMENSIONS:
        raise Misuse(f"an array of {len(shape)} dimensions", f"at most {MOST_DIMENSIONS}")
    return shape


def broadcast_shape(shapes: Iterable[Shape]) -> Shape:
    """The shape that all of them broadcast to.

    Errors: Misuse where there is none.
    """
    shapes = list(shapes)
    if all(shape == shapes[0] for shape in shapes):
        return shapes[0]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise Misuse(f"shapes {written(shapes)}", "shapes that broadcast") from None


def written(shapes: Iterable[Shape]) -> str:
    """Each of them once, in words: ``[2] and [3, 1]``."""
    return " and ".join(dict.fromkeys(str(list(shape)) for shape in shapes))


def axis_of(dim: int, ndim: int) -> int:
    """The axis that ``dim`` names, counted from 0."""
    if ndim == 0:
        raise Misuse(f"dim={dim} of a single number", "an array")
    if not -ndim <= dim < ndim:
        raise Misuse(f"dim={dim} of an array of {ndim} dimensions", f"{-ndim} <= dim < {ndim}")
    return dim % ndim
