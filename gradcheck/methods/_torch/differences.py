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

from gradcheck.answer import FiniteDifferenceSettings
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


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """The neighbourhood x ± 2h in which differences of step h are taken.

    ``balls`` hold all derivatives of the orders 0, 1 and 2 over it. The reference is that in real
    coordinates; ``dtype`` is complex where an input is.

    Shapes: point [1, n]; balls [m, n, ..., n] for each order.
    """

    reference: Reference
    point: Array
    dtype: Dtype
    step: float
    balls: tuple[Array, ...]

    @classmethod
    def at(cls, reference: Reference, point: Array, dtype: Dtype) -> Box | None:
        """The box, if values and derivatives up to order 2 are smooth all over it.

        Shapes: [1, n].
        """
        largest = np.abs(point).max(initial=1.0)
        entries = reference.outputs * reference.size**2
        if not 0 < entries <= _MOST_ENTRIES or not largest <= FARTHEST:
            return None
        step = 2.0 ** (math.ceil(math.log2(largest)) - dtype.precision // 3)
        box = np.array([[arb(value, 2 * step) for value in point[0].tolist()]], dtype=object)
        balls = []
        for order in range(3):
            try:
                found, touched = reference.over(order, box)
            except NoDerivative:
                return None
            if touched.any() or not is_finite(found).all():
                return None
            balls.append(found[0])
        return cls(reference, point, dtype, step, tuple(balls))

    def first(self) -> FiniteDifferenceSettings | None:
        """Settings for ``torch.autograd.gradcheck``; None where it cannot testify."""
        return self._settings(0, self.step / 2 * self._radius(2), self._size(1))

    def second(self) -> FiniteDifferenceSettings | None:
        """Settings for ``torch.autograd.gradgradcheck``; None where it cannot testify."""
        return self._settings(1, 2 * self._radius(2), max(self._size(1), self._size(2)))

    def _radius(self, order: int) -> float:
        return float(radii(self.balls[order]).max())

    def _size(self, order: int) -> float:
        return float(magnitudes(self.balls[order]).max())

    def _settings(
        self, order: int, truncation: float, largest: float
    ) -> FiniteDifferenceSettings | None:
        """The tolerance that truncation and rounding explain, if it is narrow enough."""
        if not max(map(self._size, range(3))) <= self.dtype.largest * HEADROOM:
            return None
        noise = self._rounding(order) / self.step + self._inaccuracy(order + 1)
        atol = SAFETY * (truncation + noise) * (math.sqrt(2) if self.dtype.is_complex else 1.0)
        flat = self._size(order) / np.abs(self.point).max(initial=1.0)  # of a constant
        if not atol <= LOOSEST.get(self.dtype.real, 0.0) * max(largest, flat):
            return None
        if self._leaves_range(order + 1):
            return None
        return FiniteDifferenceSettings(self.step, atol, 8 * self.dtype.unit_roundoff ** (2 / 3))

    def _leaves_range(self, order: int) -> bool:
        """Whether PyTorch's own derivatives may be NaN here without being wrong.

        A number below the step is as good as 0: that it underflows does no harm.
        """
        at = np.where(np.abs(self.point) >= self.step, self.point, 0.0)
        return bool(self.reference.leaves_range(Query.of_all(order), at, self.dtype).any())

    def _inaccuracy(self, order: int) -> float:
        """How far PyTorch's own derivatives may be off here without being wrong."""
        largest = max(
            self.reference.largest(Query.of_all(k), self.point, self.dtype)
            for k in range(order + 1)
        )
        return SCALE_FACTOR * self.dtype.unit_roundoff * largest

    def _rounding(self, order: int) -> float:
        """What PyTorch's own rounding may do to values or derivatives in the box, at most."""
        reach = np.abs(self.point[0]) + 2 * self.step
        slopes = magnitudes(self.balls[order + 1])
        conditioning = float((magnitudes(self.balls[order]) + slopes @ reach).max())
        entries = np.arange(1, self.reference.size + 1)
        corner = self.point + entries * CORNER % 1.0 * self.step
        both = np.concatenate([self.point, corner])
        running = float(self.reference.rounding(Query.of_all(order), both, self.dtype).max())
        stable = CONDITIONING_FACTOR * self.dtype.unit_roundoff * conditioning
        return max(stable, ROUNDING_FACTOR * running) + self.dtype.smallest_subnormal
