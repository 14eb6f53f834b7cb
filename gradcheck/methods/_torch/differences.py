"""Where finite differences can testify, and how: from enclosures over the box that they step in.

By Taylor's theorem a central difference of step h misses the derivative by at most h/2 times the
radius of the second derivatives over x ± h, to which rounding adds the function's own error over h.
Both are enclosed here, so a step outside a smooth neighbourhood is never judged.

All numbers are real coordinates: PyTorch steps along both parts of a complex entry, and compares
the two derivatives as one complex number, which is off by at most sqrt(2) times as much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from flint import arb

from gradcheck.answer import FiniteDifferenceSettings, Floats
from gradcheck.dtypes import Dtype
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.judge.judge import CONDITIONING_FACTOR, ROUNDING_FACTOR, SCALE_FACTOR
from gradcheck.query import Array, Query
from gradcheck.reference.ball_arrays import is_finite, magnitudes, radii
from gradcheck.reference.reference import Reference

SAFETY = 4
_MOST_ENTRIES = 2_000
"""Second derivatives: beyond, a box costs more than it is worth."""
HEADROOM = 2.0**-20
"""How far the function must stay below the dtype's largest number."""
FARTHEST = 2.0**10
"""Beyond, a point is not benign, and a box of special functions takes long to enclose."""
CORNER = 0.7390851332151607
"""Of the step: a number with all its bits, so that rounding in the box shows; entry by entry
another multiple of it, so that differences of entries do not stay as they were."""
LOOSEST = {"float64": 1e-3, "float32": 0.25}
"""A bound that is wider, relative to the largest derivative, is no testimony. In a dtype that
stands not here finite differences have none to give."""


DifferenceSettings = list[FiniteDifferenceSettings | None]
"""Those at some points; None where finite differences cannot testify."""


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """The neighbourhoods x ± 2h of points, in which differences of step h are taken.

    They are those of the points at which values and derivatives up to order 2 are smooth all over
    the box: ``numbers`` of ``count`` points. ``balls`` hold all derivatives of the orders 0, 1 and
    2 over each. The reference is that in real coordinates; ``dtype`` is complex where an input is.

    ``scales`` are the largest values that derivatives of these orders are computed from.

    Shapes: numbers, steps and each of the scales [boxes]; points [boxes, n]; balls
            [boxes, m, n, ..., n] for each order.
    """

    reference: Reference
    dtype: Dtype
    count: int
    numbers: Array
    points: Array
    steps: Array
    balls: tuple[Array, ...]
    scales: tuple[Floats, ...]

    @classmethod
    def at(cls, reference: Reference, points: Array, dtype: Dtype) -> Boxes:
        """Those boxes at some points that are smooth.

        Shapes: [count, n].
        """
        count = len(points)
        largest = np.abs(points).max(axis=1, initial=1.0)
        few = 0 < reference.outputs * reference.size**2 <= _MOST_ENTRIES
        smooth = np.full(count, few and not reference.is_stopped) & (largest <= FARTHEST)
        numbers, balls = np.flatnonzero(smooth), list[Array]()
        exponents = np.ceil(np.log2(largest[numbers])).astype(int) - dtype.precision // 3
        steps = np.ldexp(1.0, exponents)
        boxes = _around(points[numbers], 2 * steps[:, None])
        for order in range(3):
            found, smooth = _smooth(reference, order, boxes)
            balls = [each[smooth] for each in (*balls, found)]
            numbers, steps, boxes = numbers[smooth], steps[smooth], boxes[smooth]
        points = points[numbers]
        scales = (
            reference.largest(Query.of_all(order), points, dtype) if len(points) else steps
            for order in range(3)
        )
        return cls(reference, dtype, count, numbers, points, steps, tuple(balls), tuple(scales))

    def settings(self, most: int) -> tuple[DifferenceSettings, DifferenceSettings]:
        """Settings for ``torch.autograd.gradcheck`` at each point, and for ``gradgradcheck``.

        ``most`` is the order up to which is asked: below 2 there are none of the second.
        """
        first = self._settings(0, self.steps / 2 * self._radius(2), self._size(1))
        if most < 2:
            return first, [None] * self.count
        largest = np.maximum(self._size(1), self._size(2))
        return first, self._settings(1, 2 * self._radius(2), largest)

    def _radius(self, order: int) -> Floats:
        return _largest(radii(self.balls[order]))

    def _size(self, order: int) -> Floats:
        return _largest(magnitudes(self.balls[order]))

    def _settings(self, order: int, truncation: Floats, largest: Floats) -> DifferenceSettings:
        """The tolerances that truncation and rounding explain, where they are narrow enough."""
        found: DifferenceSettings = [None] * self.count
        if not len(self.steps):
            return found
        factor = SAFETY * (math.sqrt(2) if self.dtype.is_complex else 1.0)
        atol = factor * (truncation + self._rounding(order) / self.steps)
        unseen = factor * self._inaccuracy(order + 1)
        flat = self._size(order) / np.abs(self.points).max(axis=1, initial=1.0)  # of a constant
        with np.errstate(invalid="ignore"):  # of balls without an end
            most = LOOSEST.get(self.dtype.real, 0.0) * np.maximum(largest, flat)
        narrow = atol <= most
        for k in range(3):
            narrow &= self._size(k) <= self.dtype.largest * HEADROOM
        narrow[narrow] = ~self._leave_range(order + 1, narrow)
        rtol = 8 * self.dtype.unit_roundoff ** (2 / 3)
        for k in np.flatnonzero(narrow).tolist():
            numbers = (float(each[k]) for each in (self.steps, atol, unseen, most))
            step, tolerance, *beyond = numbers
            settings = FiniteDifferenceSettings(step, tolerance, rtol, *beyond)
            found[self.numbers[k]] = settings
        return found

    def _leave_range(self, order: int, where: Array) -> Array:
        """Whether PyTorch's own derivatives may be NaN there without being wrong.

        A number below the step is as good as 0: that it underflows does no harm. All entries are
        asked about at once, by one weighted sum of them.
        """
        points = self.points[where]
        if not len(points):
            return np.zeros(0, dtype=bool)
        at = np.where(np.abs(points) >= self.steps[where, None], points, 0.0)
        tangent = np.ones((1, self.reference.size))
        cotangent = np.ones((1, self.reference.outputs))
        query = Query(order, cotangent, (*[tangent] * (order - 1), None))
        return np.asarray(self.reference.leaves_range(query, at, self.dtype).any(axis=1))

    def _inaccuracy(self, order: int) -> Floats:
        """How far PyTorch's own derivatives may be off there without being wrong."""
        largest = np.max(self.scales[: order + 1], axis=0)
        return np.asarray(SCALE_FACTOR * self.dtype.unit_roundoff * largest)

    def _rounding(self, order: int) -> Floats:
        """What PyTorch's own rounding may do to values or derivatives in each box, at most."""
        reach = np.abs(self.points) + 2 * self.steps[:, None]
        slopes = magnitudes(self.balls[order + 1])
        moved = np.einsum("b...n,bn->b...", slopes, reach)
        conditioning = _largest(magnitudes(self.balls[order]) + moved)
        entries = np.arange(1, self.reference.size + 1)
        corners = self.points + entries * CORNER % 1.0 * self.steps[:, None]
        both = np.concatenate([self.points, corners])
        running = self.reference.rounding(Query.of_all(order), both, self.dtype)
        running = _largest(running).reshape(2, -1).max(axis=0)
        stable = CONDITIONING_FACTOR * self.dtype.unit_roundoff * conditioning
        noise = np.maximum(stable, ROUNDING_FACTOR * running) + self.dtype.underflow_step
        return np.asarray(noise)


_around = np.frompyfunc(lambda middle, radius: arb(float(middle), float(radius)), 2, 1)


def _largest(numbers: Floats) -> Floats:
    """Of each box the largest. Shapes: [boxes, ...]; [boxes]."""
    return np.asarray(numbers.max(axis=tuple(range(1, numbers.ndim))))


def _smooth(reference: Reference, order: int, boxes: Array) -> tuple[Array, Array]:
    """All derivatives of an order over boxes, and which boxes are smooth in them."""
    nowhere = np.zeros(len(boxes), dtype=bool)
    if not len(boxes):
        return nowhere, nowhere
    try:
        found, touched = reference.over(order, boxes)
    except NoDerivative:
        return nowhere, nowhere
    finite = is_finite(found).reshape(len(boxes), -1).all(axis=1)
    return found, finite & ~touched
