"""Where finite differences can testify, and how: from enclosures over the box that they step in.

By Taylor's theorem a central difference of step h misses the derivative by at most h/2 times the
radius of the second derivatives over x ± h, to which rounding adds the function's own error over h.
Both are enclosed here, so a step outside a smooth neighbourhood is never judged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from flint import arb

from gradcheck.answer import FiniteDifferenceSettings
from gradcheck.dtypes import Dtype
from gradcheck.judge.judge import CONDITIONING_FACTOR, ROUNDING_FACTOR, SCALE_FACTOR
from gradcheck.ops.balls import CONTACT, working
from gradcheck.reference.error_bounds import upper_float
from gradcheck.reference.truth import Truth

SAFETY = 4
MOST_ENTRIES = 2_000
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


def first_difference(
    truth: Truth, x: tuple[float, ...], dtype: Dtype
) -> FiniteDifferenceSettings | None:
    """Settings for ``torch.autograd.gradcheck`` at x; None where it cannot testify."""
    box = _Box.at(truth, x, dtype)
    if box is None or not truth.size * truth.outputs:
        return None
    truncation = box.step / 2 * box.radius(2)
    return box.settings(0, truncation, _largest(box.balls(1)))


def second_difference(
    truth: Truth, x: tuple[float, ...], dtype: Dtype
) -> FiniteDifferenceSettings | None:
    """Settings for ``torch.autograd.gradgradcheck`` at x; None where it cannot testify."""
    box = _Box.at(truth, x, dtype)
    if box is None or not truth.size * truth.outputs:
        return None
    largest = max(_largest(box.balls(1)), _largest(box.balls(2)))
    return box.settings(1, 2 * box.radius(2), largest)


class _Box:
    """The neighbourhood x ± 2h in which differences of step h are taken."""

    def __init__(self, truth: Truth, x: tuple[float, ...], dtype: Dtype, step: float) -> None:
        self.truth, self.x, self.dtype, self.step = truth, x, dtype, step
        self._known: dict[int, list[arb] | None] = {}

    @classmethod
    def at(cls, truth: Truth, x: tuple[float, ...], dtype: Dtype) -> _Box | None:
        """The box, if values and derivatives up to order 2 are smooth all over it."""
        largest = max([1.0, *map(abs, x)])
        if truth.outputs * truth.size**2 > MOST_ENTRIES or not largest <= FARTHEST:
            return None
        exponent = math.ceil(math.log2(largest)) - dtype.precision // 3
        box = cls(truth, x, dtype, 2.0**exponent)
        smooth = all(box.smooth(order) for order in (0, 1, 2))
        return box if smooth else None

    def smooth(self, order: int) -> bool:
        with working(64, exact=False):
            points = [arb(value, 2 * self.step) for value in self.x]
            balls = self.truth.over(order, points)
            self._known[order] = balls
            return not CONTACT.touched and all(ball.is_finite() for ball in balls)

    def balls(self, order: int) -> list[arb]:
        return self._known[order] or []

    def radius(self, order: int) -> float:
        return max((upper_float(ball.rad()) for ball in self.balls(order)), default=0.0)

    def settings(
        self, order: int, truncation: float, largest: float
    ) -> FiniteDifferenceSettings | None:
        """The tolerance that truncation and rounding explain, if it is narrow enough."""
        highest = max(map(_largest, (self.balls(0), self.balls(1), self.balls(2))))
        if not highest <= self.dtype.largest * HEADROOM:
            return None
        noise = self.rounding(order) / self.step + self.inaccuracy(order + 1)
        atol = SAFETY * (truncation + noise)
        flat = _largest(self.balls(order)) / max([1.0, *map(abs, self.x)])  # of a constant
        if not atol <= LOOSEST.get(self.dtype.name, 0.0) * max(largest, flat):
            return None
        if self.leaves_range(order + 1):
            return None
        return FiniteDifferenceSettings(self.step, atol, 8 * self.dtype.unit_roundoff ** (2 / 3))

    def leaves_range(self, order: int) -> bool:
        """Whether PyTorch's own derivatives may be NaN here without being wrong.

        A number below the step is as good as 0: that it underflows does no harm.
        """
        count = self.truth.outputs * self.truth.size**order
        at = tuple(value if abs(value) >= self.step else 0.0 for value in self.x)
        return self.truth.leaves_range(order, range(count), at, self.dtype)

    def inaccuracy(self, order: int) -> float:
        """How far PyTorch's own derivatives may be off here without being wrong."""
        return SCALE_FACTOR * self.dtype.unit_roundoff * self.truth.largest(order, self.x)

    def rounding(self, order: int) -> float:
        """What PyTorch's own rounding may do to values or derivatives in the box, at most."""
        n = self.truth.size
        slopes = [upper_float(abs(ball).upper()) for ball in self.balls(order + 1)]
        reach = [abs(value) + 2 * self.step for value in self.x]
        conditioning = max(
            upper_float(abs(ball).upper())
            + sum(r * slope for r, slope in zip(reach, slopes[k * n : k * n + n], strict=True))
            for k, ball in enumerate(self.balls(order))
        )
        corner = tuple(value + (k * CORNER % 1.0) * self.step for k, value in enumerate(self.x, 1))
        running = max(
            radius for at in (self.x, corner) for radius in self.truth.radii(order, at, self.dtype)
        )
        stable = CONDITIONING_FACTOR * self.dtype.unit_roundoff * conditioning
        return max(stable, ROUNDING_FACTOR * running) + self.dtype.smallest_subnormal


def _largest(balls: Sequence[arb]) -> float:
    return max((upper_float(abs(ball).upper()) for ball in balls), default=0.0)
