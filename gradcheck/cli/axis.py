"""Axes: which range to show, where the ticks stand, and how a number is written there."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from gradcheck.answer import Floats

_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
_OUTLIER = 8.0  # a range this many times that of the middle nine tenths is a pole's
_LARGEST = 2.0**1022  # beyond it the arithmetic of the axis itself would overflow


@dataclass(frozen=True, slots=True)
class Axis:
    """A line of pixels that numbers are mapped to.

    Units: ``low`` and ``high`` are numbers and ``start`` and ``end`` the pixels they get.
    """

    low: float
    high: float
    start: float
    end: float

    def pixels(self, numbers: Floats) -> Floats:
        """Pixels; far outside numbers stay near the axis, where the clipping hides them."""
        share = (np.clip(numbers, -_LARGEST, _LARGEST) - self.low) / (self.high - self.low)
        return self.start + np.clip(share, -2.0, 3.0) * (self.end - self.start)

    def pixel(self, number: float) -> float:
        return float(self.pixels(np.array([number]))[0])


def span(numbers: Floats) -> tuple[float, float]:
    """A range that shows the numbers, poles cut off, with a margin; never empty.

    NaN and infinities count for nothing.
    """
    finite = np.sort(numbers[np.isfinite(numbers) & (np.abs(numbers) < _LARGEST)])
    if not finite.size:
        return -1.0, 1.0
    low, high = float(finite[0]), float(finite[-1])
    inner_low, inner_high = np.quantile(finite, [0.05, 0.95]).tolist()
    inner = inner_high - inner_low
    if high - low > _OUTLIER * inner > 0.0:
        low, high = max(low, inner_low - inner / 2), min(high, inner_high + inner / 2)
    margin = 0.05 * (high - low) or max(0.5, 0.05 * abs(low))
    return low - margin, high + margin


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round numbers inside the range, about ``count`` of them."""
    step = _nice_step((high - low) / count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def tick_labels(values: list[float]) -> list[str]:
    """The numbers as text, all with as many digits as tell neighbours apart."""
    if len(values) < 2:
        return [write(value) for value in values]
    step = min(b - a for a, b in itertools.pairwise(values))
    largest = max(map(abs, values))
    digits = max(4, math.ceil(math.log10(largest / step)) + 2) if largest else 1
    return [write(0.0 if abs(value) < step / 2 else value, digits) for value in values]


def write(number: float, digits: int = 6) -> str:
    """A number for human eyes, with a true minus sign."""
    if math.isnan(number):
        return "NaN"
    text = f"{number:.{digits}g}".replace("inf", "∞").replace("e+0", "e").replace("e-0", "e-")
    return text.replace("e+", "e").replace("-", "−")


def _nice_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return next(nice * power for nice in _NICE if nice * power >= raw * (1 - 1e-9))
