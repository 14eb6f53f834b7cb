"""Weighted sums of derivatives, put together from the derivatives themselves, one by one.

A witness hands out vector-Jacobian products, Jacobian-vector products and the like, and the
reference answers such questions as they are asked. Where a case states an answer, or where some
derivatives of a sum are hulls, the sum is taken here: of balls, of what is known of them, and of
their error bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from flint import arb

from gradcheck.judge.judge import Mask
from gradcheck.ops.balls import working
from gradcheck.query import Array, Query
from gradcheck.reference.array_bounds import ArrayErrorBounds as ErrorBounds
from gradcheck.reference.ball_arrays import ZERO, magnitudes
from gradcheck.reference.enclosures import Status

_BITS = 256
Term = tuple[float | complex, int]
"""A weight, with the flat index of the derivative that it weighs."""


@dataclass(frozen=True, slots=True, eq=False)
class Derivatives:
    """All derivatives of one order at one point.

    ``stated`` are answers of the case in place of the formula's; ``promised`` are those of them
    where the formula has none that is settled.

    Shapes: [m, n, ..., n] each, for m outputs and n input entries, in real coordinates.
    """

    balls: Array
    status: Array
    stated: Mask
    promised: Mask

    @classmethod
    def of(cls, balls: Array, status: Array) -> Derivatives:
        """The formula's own."""
        nothing = np.zeros(balls.shape, dtype=bool)
        return cls(balls, status, nothing, nothing)

    def stating(self, answers: Mapping[int, object], *, instead: bool = False) -> Derivatives:
        """The same with answers of the case, by flat position; ``instead`` of what the formula has.

        Elsewhere an answer is promised only where the formula has nothing settled.
        """
        balls, stated, promised = self.balls.copy(), self.stated.copy(), self.promised.copy()
        for place, answer in answers.items():
            balls.flat[place], stated.flat[place] = answer, True
            promised.flat[place] = instead or self.status.flat[place] != Status.SETTLED
        return replace(self, balls=balls, stated=stated, promised=promised)

    def undefined(self) -> Derivatives:
        """The same where none is there."""
        return Derivatives.of(self.balls, np.full(self.status.shape, int(Status.UNDEFINED)))


@dataclass(frozen=True, slots=True)
class Weights:
    """The sides that a query gives at one of its rows; a free side is None."""

    sides: tuple[Array | None, ...]

    @classmethod
    def of(cls, query: Query, row: int) -> Weights:
        return cls(query.mapped(lambda side: side[row % len(side)]).sides)

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes over which is summed."""
        return tuple(axis for axis, side in enumerate(self.sides) if side is not None)

    def array(self, shape: tuple[int, ...]) -> Array:
        """The weight of each derivative in the sums that it is part of."""
        found = np.ones(shape)
        for axis, side in enumerate(self.sides):
            if side is not None:
                spread = [1] * len(shape)
                spread[axis] = -1
                found = found * side.reshape(spread)
        return found

    @property
    def count(self) -> int:
        """How many derivatives of weight other than 0 each sum has."""
        return math.prod(int(np.count_nonzero(s)) for s in self.sides if s is not None)

    def terms(self, shape: tuple[int, ...], slot: int) -> Iterator[Term]:
        """Each derivative of one sum with its weight, those of weight 0 left out."""
        free = [axis for axis, side in enumerate(self.sides) if side is None]
        place = dict(zip(free, np.unravel_index(slot, [shape[axis] for axis in free]), strict=True))
        choices = [
            [int(place[axis])] if side is None else np.flatnonzero(side).tolist()
            for axis, side in enumerate(self.sides)
        ]
        for index in product(*choices):
            factors = (
                side[i] for side, i in zip(self.sides, index, strict=True) if side is not None
            )
            weight = math.prod(map(complex, factors))
            plain = weight.real if weight.imag == 0 else weight
            yield plain, int(np.ravel_multi_index(index, shape))

    def is_plain(self) -> bool:
        """Whether the sums are derivatives themselves, and no multiples or sums of such."""
        return all(
            side is None or (np.count_nonzero(side) == 1 and side.sum() == 1) for side in self.sides
        )


def summed(parts: Derivatives, weights: Weights) -> tuple[Array, Array, Mask]:
    """The sums: balls, their status, and whether what they are made of is stated.

    Shapes: [*free] each.
    """
    weight = weights.array(parts.balls.shape)
    asked = weight != 0
    terms = np.full(parts.balls.shape, ZERO, dtype=object)
    with working(_BITS, exact=True):
        terms[asked] = parts.balls[asked] * weight[asked]
        balls = _over(weights.axes, terms, np.add.reduce, arb(0))
    known = parts.stated & asked
    status = np.where(asked & ~parts.stated, parts.status, int(Status.SETTLED))
    status = _over(weights.axes, status, np.maximum.reduce, 0)
    promised = _over(weights.axes, parts.promised & asked, np.logical_or.reduce)
    every = _over(weights.axes, parts.stated | ~asked, np.logical_and.reduce)
    some = _over(weights.axes, known, np.logical_or.reduce)
    stated = (status == Status.SETTLED) & (promised | (every & some))
    return balls, status, stated


def summed_bounds(bounds: ErrorBounds, parts: Derivatives, weights: Weights) -> ErrorBounds:
    """S, R and M of the sums: each the sum of the terms', M the largest.

    A hull already allows all that may be, and a promised answer is exact: such a term is allowed
    the rounding of itself alone.

    Shapes: bounds [m, n, ..., n]; [*free] each.
    """
    weight = np.abs(weights.array(parts.balls.shape))
    alone = (parts.status == Status.KINK) & ~parts.stated | parts.promised
    own = np.where(alone, magnitudes(parts.balls), 0.0)
    conditioning = np.where(alone, own, bounds.conditioning)
    rounding, scale = (np.where(alone, 0.0, each) for each in (bounds.rounding, bounds.scale))
    tiny = bounds.underflows & ~alone & (weight != 0)
    terms = np.where(weight == 0, 0.0, np.maximum(weight, 1.0) * scale)
    return ErrorBounds(
        _over(weights.axes, _weighed(weight, conditioning), np.add.reduce),
        _over(weights.axes, _weighed(weight, rounding), np.add.reduce),
        _over(weights.axes, terms, np.maximum.reduce, 0),
        _over(weights.axes, tiny, np.logical_or.reduce),
    )


def _weighed(weight: Array, numbers: Array) -> Array:
    return np.asarray(weight * np.where(weight == 0, 0.0, numbers))


def _over(
    axes: tuple[int, ...], array: Array, reduce: Callable[..., Array], start: object = None
) -> Array:
    """The array reduced over some axes; ``start`` is what no entries give, if not the usual."""
    initial = {} if start is None else {"initial": start}
    for axis in reversed(axes):
        array = np.asarray(reduce(array, axis=axis, **initial))
    return array
