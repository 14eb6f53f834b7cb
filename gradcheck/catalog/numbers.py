"""The numbers that constant expressions stand for: exact where written so, else balls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from flint import arb, fmpq

from gradcheck.dtypes import DTYPES
from gradcheck.language.nodes import Binary, Literal, Node, Sequence, Unary
from gradcheck.ops.balls import working
from gradcheck.reference.exact import CONSTANT_BITS, enclose_constant, nearest, work_of_constant

_BEYOND = arb(2) ** 2000
"""Larger than every float; what is larger is not rounded but counted as infinite."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """An array of them.

    Shapes: ``entries`` are those of an array of ``shape``, flattened.
    """

    shape: tuple[int, ...]
    entries: list[Fraction | arb]

    def rounded(self, dtype: str) -> list[float]:
        """The entries as numbers of the dtype; infinite where they are beyond its range."""
        return [_rounded(entry, dtype) for entry in self.entries]


def numbers_of(tree: Node) -> Numbers:
    """What nested lists of constant expressions stand for.

    Errors: ExpressionError for what is no constant, has no value, or is no rectangular list.
    """
    entries: list[Fraction | arb] = []
    shape = _read(tree, entries)
    if shape is not None:
        return Numbers(shape, entries)
    balls = enclose_constant(tree)
    return Numbers(balls.shape, balls.ravel().tolist())


def work_of(tree: Node) -> int:
    """Return what ``numbers_of`` takes. Units: those of a tape's work."""
    if isinstance(tree, Sequence):
        return 1 + sum(map(work_of, tree.items))
    return 1 if _plain(tree) is not None else work_of_constant(tree)


def _read(tree: Node, entries: list[Fraction | arb]) -> tuple[int, ...] | None:
    """The shape of ``tree``, whose numbers go to ``entries``; None for lists that have none."""
    if isinstance(tree, Sequence):
        shapes = {_read(item, entries) for item in tree.items}
        inner = shapes.pop() if len(shapes) == 1 else None
        return None if inner is None else (len(tree.items), *inner)
    plain = _plain(tree)
    if plain is not None:
        entries.append(plain)
        return ()
    balls = enclose_constant(tree)
    entries += balls.ravel().tolist()
    return balls.shape


def _plain(tree: Node) -> Fraction | None:
    """The exact value of a number, its negative, or a quotient of two: what most entries are."""
    match tree:
        case Literal(Fraction() as value):
            return value
        case Unary("-", Literal(Fraction() as value)):
            return -value
        case Binary("/", left, Literal(Fraction() as below)) if below:
            above = _plain(left)
            return None if above is None else above / below
    return None


def _rounded(entry: Fraction | arb, dtype: str) -> float:
    if isinstance(entry, Fraction):
        if entry.denominator == 1 and abs(entry) <= 2 ** DTYPES[dtype].precision:
            return float(entry)
        with working(CONSTANT_BITS, exact=True):
            entry = arb(fmpq(entry.numerator, entry.denominator))
    if abs(entry) < _BEYOND:
        return nearest(entry, DTYPES[dtype])
    return math.inf if entry > 0 else -math.inf
