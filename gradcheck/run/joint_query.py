"""The truth for several answers at once: one query, of which each distinct row is asked once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
from flint import acb, arb

from gradcheck.answer import Floats
from gradcheck.catalog.case import Accuracy, Variant
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.judge.contraction import Derivatives, Weights, summed, summed_bounds
from gradcheck.judge.judge import (
    CONDITIONING_FACTOR,
    Expected,
    Judgements,
    Mask,
    OwnRounding,
    expected,
    judge,
)
from gradcheck.query import Array, Query, complex_entries, owners
from gradcheck.randomness import derive_key, random_signed
from gradcheck.reference.array_bounds import ArrayErrorBounds as ErrorBounds
from gradcheck.reference.ball_arrays import ZERO, magnitudes
from gradcheck.reference.enclosures import Enclosures, Status
from gradcheck.run.session import Session

MOST_PARTS = 4_096
"""Derivatives of one order that are looked at one by one, where sums of them are not enough."""


@dataclass(frozen=True, slots=True)
class Promises:
    """The answers that a case states at one point, by order and flat position [m * n**order], in
    real coordinates.

    ``conventions`` stand in for derivatives of order 1 that do not exist. ``written`` are known
    answers, to which PyTorch is held besides the formula.
    """

    conventions: Mapping[int, object] = field(default_factory=dict)
    written: Mapping[int, Mapping[int, object]] = field(default_factory=dict)

    def about(self, order: int) -> bool:
        """Whether they change what derivatives of an order are held against."""
        return bool(self.written.get(order)) or (bool(self.conventions) and order in (1, 2))


NO_PROMISES = Promises()


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """The real coordinates of the numbers of an answer at a point: of a complex one both parts."""

    slots: Array
    parts: Array

    @classmethod
    def of(cls, query: Query, variant: Variant) -> Coordinates:
        outputs, inputs = complex_sides(variant)
        free = [outputs] if query.cotangent is None else []
        free += [inputs for tangent in query.tangents if tangent is None]
        both = np.zeros((), dtype=bool)
        for side in free:
            both = np.logical_or.outer(both, side)
        return cls.of_entries(both.reshape(-1))

    @classmethod
    def of_entries(cls, is_complex: Mask) -> Coordinates:
        counts = np.where(is_complex, 2, 1)
        slots = np.repeat(np.arange(counts.size), counts)
        return cls(slots, np.arange(slots.size) - (np.cumsum(counts) - counts)[slots])

    def of_numbers(self, numbers: Array) -> Floats:
        """Shapes: [count, free]; [count, k]."""
        if not np.iscomplexobj(numbers):
            return np.asarray(numbers[:, self.slots], dtype=np.float64)
        chosen = numbers[:, self.slots]
        return np.where(self.parts == 0, chosen.real, chosen.imag)

    def of_balls(self, balls: Array) -> Array:
        """Shapes: [count, free]; [count, k], of real balls."""
        chosen = balls[:, self.slots]
        if not self.parts.any() and all(isinstance(ball, arb) for ball in balls[:1].flat):
            return chosen
        return np.asarray(_real_part(chosen, self.parts), dtype=object)


_real_part = np.frompyfunc(
    lambda ball, part: (
        (ball.imag if part else ball.real) if isinstance(ball, acb) else (ZERO if part else ball)
    ),
    2,
    1,
)


def complex_sides(variant: Variant) -> tuple[Mask, Mask]:
    """Which output entries, and which input entries, are complex."""
    return complex_entries(variant.formula.judged), complex_entries(variant.formula.ports)


@dataclass(frozen=True, slots=True, eq=False)
class Claims:
    """What the rows of answers say, each once: the same numbers, to the same question, are one.

    ``asked`` are the numbers of the rows that were asked, ``first`` those of the rows that said it
    first, and ``places`` is, for each row of the answers, the number of its claim.

    Shapes: got [claims, k]; asked, first [claims]; places [rows].
    """

    got: Floats
    asked: Array
    first: Array
    places: Array

    @classmethod
    def of(cls, asked: Array, got: Floats) -> Claims:
        first, places = _distinct(np.concatenate([asked[:, None], got], axis=1))
        return cls(got[first], asked[first], first, places)


class JointQuery:
    """The query of several answers at once, each distinct row of it asked once.

    ``again`` are, for each claim of the answers, the numbers of the row that was asked.
    """

    def __init__(
        self, session: Session, query: Query, points: Array, claims: Claims, promises: Promises
    ) -> None:
        self.session, self.promises, self.claims = session, promises, claims
        self.query, self.points, self.again = query, points, claims.asked
        self.coordinates = Coordinates.of(query, session.variant)
        self.real = _in_real_coordinates(query, session.variant)
        self.stated: Enclosures | None = None
        order = query.order
        if promises.about(order) and _count(session, order) <= MOST_STATED:
            self.stated = _enclosures_of_all(session, order, points[:1])

    @cached_property
    def enclosures(self) -> Enclosures:
        """The formula's answer, where the case states nothing."""
        return self.session.reference.enclose(self.query, self.points)

    @property
    def route(self) -> str:
        return (self.stated or self.enclosures).route

    @classmethod
    def of(
        cls,
        session: Session,
        queries: Sequence[Query],
        rows: Sequence[Array],
        got: Floats,
        promises: Promises,
    ) -> JointQuery:
        """That of queries which leave the same sides free, each with the rows of its points.

        ``got`` are all their answers' numbers, in real coordinates.
        """
        points = np.concatenate(rows)
        sides = [_stacked(each) for each in zip(*(each.sides for each in queries), strict=True)]
        keyed = np.concatenate([points, *(side for side in sides if side is not None)], axis=1)
        first, again = _distinct(keyed)
        cotangent, *tangents = (None if side is None else side[first] for side in sides)
        query = Query(len(tangents), cotangent, tuple(tangents))
        return cls(session, query, points[first], Claims.of(again, got), promises)

    def judged(
        self, own_rounding: Callable[[Mask, Floats], OwnRounding]
    ) -> tuple[Expected, Judgements]:
        """The judgements of the claims, and what they were held against.

        Where the case states answers, the formula is one thing that they must meet, and the
        formula with these answers another.
        """
        found: list[tuple[Expected, Judgements]] = []
        for truth, by_entry in self._held():
            bounds = partial(self._by_norm, truth) if self._accuracy.normwise else by_entry
            judged = judge(
                self.claims.got,
                truth,
                self.session.dtype,
                bounds,
                partial(self._leaves_range, upwards=True),
                own_rounding,
                self._neighbours,
                self._accuracy.ulps,
                partial(self._by_norm, truth),
                partial(self._leaves_range, upwards=False),
            )
            found.append((truth, judged))
        truth, judged = found[0]
        for other_truth, other in found[1:]:
            worse = judged.worse(other)
            truth = truth.where(worse.ruling == judged.ruling, other_truth)
            judged = worse
        return truth, judged

    @property
    def _accuracy(self) -> Accuracy:
        return self.session.case.accuracy.get(self.session.dtype.name, _BY_ENTRY)

    def _held(self) -> Iterator[tuple[Expected, Callable[[Mask], ErrorBounds]]]:
        if self.stated is not None:
            derivatives = Derivatives.of(self.stated.balls[0], self.stated.status[0])
            for stated in _versions(derivatives, self.query.order, self.promises):
                yield self._summed(stated), partial(self._by_parts, derivatives=stated)
        else:
            yield self._of_enclosures(self.enclosures.balls, self.enclosures.status), self._bounds

    # what numbers should be

    def _of_enclosures(self, balls: Array, status: Array) -> Expected:
        """Shapes: [count, *free] each."""
        count = len(self.points)
        real = self.coordinates.of_balls(balls.reshape(count, -1))
        return self._expected(real, self._of_slots(status))

    def _of_slots(self, status: Array) -> Array:
        """Shapes: [count, *free]; [count, k], as the numbers."""
        return status.reshape(len(self.points), -1)[:, self.coordinates.slots]

    def _expected(self, balls: Array, status: Array, stated: Mask | None = None) -> Expected:
        return expected(balls, status, stated).taken(self.again)

    def _summed(self, derivatives: Derivatives) -> Expected:
        rows = range(len(self.points))
        found = [summed(derivatives, Weights.of(self.real, row)) for row in rows]
        stacked = (np.stack(each).reshape(len(rows), -1) for each in zip(*found, strict=True))
        return self._expected(*stacked)

    # what rounding can do

    def _by_norm(self, truth: Expected, mask: Mask) -> ErrorBounds:
        """The bounds of code that is stable by norm: it answers nearly right, by the norm of each
        array, at an input that is nearly right by the norm of each array.
        """
        bounds = self._bounds(mask, normwise=True)
        sizes = np.ldexp(np.abs(truth.middle) + truth.radius, -truth.exponent)
        groups = self._arrays()
        largest = [_largest_of(groups, each) for each in (*_columns(bounds), sizes)]
        return ErrorBounds(*largest)

    def _arrays(self) -> Array:
        """The number of the array that each number of a row lies in: of its last free side."""
        formula = self.session.variant.formula
        outputs_free = self.query.cotangent is None
        ports = formula.ports if self.query.free_inputs else formula.judged
        inner = owners(ports) if self.query.free_inputs or outputs_free else np.zeros(1, int)
        shape = self.query.free_shape(self.session.reference.outputs, self.session.reference.size)
        outer = np.arange(math.prod(shape[:-1]))
        numbers = np.add.outer(outer * (len(ports) + 1), inner).reshape(-1)
        return np.asarray(numbers[self.coordinates.slots])

    def _bounds(self, mask: Mask, *, normwise: bool = False) -> ErrorBounds:
        asked = self._rows(mask)
        query, size = _of_size_one(self.query.mapped(lambda side: side[asked]))
        found = self._of_rows(
            self.session.reference.error_bounds(
                query, self.points[asked], self.session.dtype, normwise=normwise
            )
        )
        found = ErrorBounds(
            found.conditioning * size,
            found.rounding * size,
            found.scale * np.maximum(size, 1.0),
            found.underflows,
        )
        found = self._spread(found, asked, mask.shape)
        status = self._of_slots(self.enclosures.status)
        kinks = mask & (status[self.again] == Status.KINK)
        return self._at_kinks(found, kinks) if kinks.any() else found

    def _at_kinks(self, bounds: ErrorBounds, kinks: Mask) -> ErrorBounds:
        """A hull allows all that may be: only what is beside it in a sum has bounds there."""
        order, columns = self.query.order, _columns(bounds)
        few = _count(self.session, order) <= MOST_PARTS
        for row in self._rows(kinks):
            here = self.again == row
            if few:
                derivatives = all_derivatives(self.session, order, self.points[row : row + 1])
                stress = self._stress(self.points[row : row + 1])
                found = summed_bounds(stress, derivatives, Weights.of(self.real, row))
                parts = [each.reshape(-1) for each in _columns(found)]
            else:
                size = magnitudes(self.enclosures.balls[row].reshape(-1))[self.coordinates.slots]
                parts = [size, 0.0 * size, 0.0 * size, np.zeros(size.shape, dtype=bool)]
            at = kinks & here[:, None]
            columns = [np.where(at, part, each) for part, each in zip(parts, columns, strict=True)]
        return ErrorBounds(*columns)

    def _by_parts(self, mask: Mask, derivatives: Derivatives) -> ErrorBounds:
        stress = self._stress(self.points[:1])
        asked = self._rows(mask)
        found = [summed_bounds(stress, derivatives, Weights.of(self.real, row)) for row in asked]
        stacked = [
            np.stack(each).reshape(len(asked), -1)
            for each in zip(*map(_columns, found), strict=True)
        ]
        return self._spread(ErrorBounds(*stacked), asked, mask.shape)

    def _stress(self, point: Array) -> ErrorBounds:
        """The bounds of all derivatives in real coordinates, one by one, at one point."""
        query = Query.of_all(self.query.order)
        real = self.session.in_real_coordinates
        point = _parts(point, complex_sides(self.session.variant)[1])
        found = real.error_bounds(query, point, self.session.dtype)
        return ErrorBounds(*(each[0] for each in _columns(found)))

    def _leaves_range(self, mask: Mask, *, upwards: bool) -> Mask:
        asked = self._rows(mask)
        query = self.query.mapped(lambda side: side[asked])
        found = self.session.reference.leaves_range(
            query, self.points[asked], self.session.dtype, upwards=upwards
        )
        left = np.zeros((len(self.points), mask.shape[1]), dtype=bool)
        left[asked] = found.reshape(len(asked), -1)[:, self.coordinates.slots]
        return left[self.again]

    def _neighbours(self, mask: Mask) -> Iterator[Expected]:
        """The truths at inputs beside these, where a kink or a jump lies between.

        There no relative change of the derivative tells what one of the inputs does to it.
        """
        asked = self._rows(mask)
        asked = asked[self._decides_near(asked)]
        if not asked.size:
            return
        query = self.query.mapped(lambda side: side[asked])
        for number in range(NEIGHBOURS):
            points = self._beside(self.points[asked], number)
            found = self.session.reference.enclose(query, points)
            balls, status = self.enclosures.balls.copy(), self.enclosures.status.copy()
            balls[asked], status[asked] = found.balls, found.status
            yield self._of_enclosures(balls, status)

    def _beside(self, points: Array, number: int) -> Array:
        """Each entry moved as far as ``stable`` lets it, or a little; two at a time, mirrored."""
        key = derive_key("beside", number // 2)
        reach = (
            CONDITIONING_FACTOR / (1 if number % 4 < 2 else 8) * self.session.dtype.unit_roundoff
        )
        signs = random_signed(1, 1, key, points.shape) * (1 - 2 * (number % 2))
        moved: Array = points * (1 + reach * signs)
        return moved

    def _decides_near(self, asked: Array) -> Mask:
        """Whether a condition of the formula is undecided within reach of each point."""
        reach = CONDITIONING_FACTOR * self.session.dtype.unit_roundoff
        if np.iscomplexobj(self.points) or not asked.size:
            return np.zeros(len(asked), dtype=bool)
        boxes = [[arb(x, abs(x) * reach) for x in row] for row in self.points[asked].tolist()]
        try:
            touched = self.session.reference.touches(np.array(boxes, dtype=object))
        except NoDerivative:
            return np.zeros(len(asked), dtype=bool)
        return np.asarray(touched)

    def _rows(self, mask: Mask) -> Array:
        """The asked rows that something in the mask is about."""
        return np.unique(self.again[mask.any(axis=1)])

    def _of_rows(self, bounds: ErrorBounds) -> ErrorBounds:
        slots = self.coordinates.slots
        return ErrorBounds(*(each.reshape(len(each), -1)[:, slots] for each in _columns(bounds)))

    def _spread(self, bounds: ErrorBounds, asked: Array, shape: tuple[int, ...]) -> ErrorBounds:
        """Bounds of some asked rows as those of all rows of the answers."""
        place = np.zeros(len(self.points), dtype=np.intp)
        place[asked] = np.arange(len(asked))
        assert shape[0] == len(self.again)
        return ErrorBounds(*(each[place[self.again]] for each in _columns(bounds)))


def _largest_of(groups: Array, numbers: Array) -> Array:
    """For each number the largest of its group, row by row. Shapes: [k]; [count, k] both."""
    names, places = np.unique(groups, return_inverse=True)
    found = np.zeros((len(numbers), len(names)), dtype=numbers.dtype)
    for group in range(len(names)):
        found[:, group] = np.fmax.reduce(numbers[:, places == group], axis=1)
    return found[:, places]


_BY_ENTRY = Accuracy("")
NEIGHBOURS = 8
"""Inputs beside one at which the truth is asked. Of a kink that lies between, half are beyond."""
MOST_STATED = 1 << 16
"""Derivatives of one order at a point where the case states some of them."""


def _versions(derivatives: Derivatives, order: int, promises: Promises) -> Iterator[Derivatives]:
    """The derivatives that the formula has, and these with what the case states."""
    if promises.conventions and order == 1:
        derivatives = derivatives.stating(promises.conventions, instead=True)
    if promises.conventions and order == 2:
        derivatives = derivatives.undefined()
    yield derivatives
    written = promises.written.get(order)
    if written:
        yield derivatives.stating(written)


def all_derivatives(session: Session, order: int, point: Array) -> Derivatives:
    """All derivatives of an order in real coordinates, one by one, at one point, [1, n]."""
    found = _enclosures_of_all(session, order, point)
    return Derivatives.of(found.balls[0], found.status[0])


def _enclosures_of_all(session: Session, order: int, point: Array) -> Enclosures:
    return session.derivatives(order, _parts(point, complex_sides(session.variant)[1]))


def _parts(rows: Array, is_complex: Mask) -> Array:
    """Rows of entries as rows of real coordinates."""
    return Coordinates.of_entries(is_complex).of_numbers(rows) if is_complex.any() else rows.real


def _in_real_coordinates(query: Query, variant: Variant) -> Query:
    """The same question about the function of real coordinates.

    The real part of conj(c)·y is the inner product of the coordinates of c and y.
    """
    outputs, inputs = complex_sides(variant)
    kinds = (outputs, *(inputs for _ in query.tangents))
    cotangent, *tangents = (
        None if side is None else _parts(side, kind)
        for side, kind in zip(query.sides, kinds, strict=True)
    )
    return Query(query.order, cotangent, tuple(tangents))


def _count(session: Session, order: int) -> int:
    """How many derivatives of an order there are, in real coordinates."""
    real = session.in_real_coordinates
    return int(real.outputs * real.size**order)


def _columns(bounds: ErrorBounds) -> list[Array]:
    return [bounds.conditioning, bounds.rounding, bounds.scale, bounds.underflows]


def _stacked(sides: Sequence[Array | None]) -> Array | None:
    given = [side for side in sides if side is not None]
    return np.concatenate(given) if given else None


def _of_size_one(query: Query) -> tuple[Query, Floats]:
    """The query with sides whose largest entry is 1, and for each row what they were multiplied by.

    An error is multiplied by the sides wherever on its way it arises, and so is M.

    Shapes: [count, 1].
    """
    given = [side for side in query.sides if side is not None]
    total = math.prod(map(_sizes, given), start=np.ones((1, 1)))
    return query.mapped(lambda side: side / _sizes(side)), total


def _sizes(side: Array) -> Floats:
    """The largest magnitude of each row; 1 for one of zeros. Shapes: [count, 1]."""
    size = np.abs(side).max(axis=1, keepdims=True, initial=0.0)
    return np.where(size == 0, 1.0, size)


def _distinct(rows: Array) -> tuple[Array, Array]:
    """The numbers of rows that differ in a bit, and for each row its place among them."""
    places: dict[bytes, int] = {}
    first: list[int] = []
    again = []
    for number, row in enumerate(np.ascontiguousarray(rows)):
        place = places.setdefault(row.tobytes(), len(first))
        if place == len(first):
            first.append(number)
        again.append(place)
    return np.array(first, dtype=np.intp), np.array(again, dtype=np.intp)
