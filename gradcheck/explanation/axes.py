"""Axes: which range shows numbers, round numbers on it, and where a line must be interrupted."""

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
        return [svg_number(value) for value in values]
    step = min(b - a for a, b in itertools.pairwise(values))
    largest = max(map(abs, values))
    digits = max(4, math.ceil(math.log10(largest / step)) + 2) if largest else 1
    return [svg_number(0.0 if abs(value) < step / 2 else value, digits) for value in values]


def svg_number(number: float, digits: int = 6) -> str:
    """A number for human eyes, with a true minus sign."""
    if math.isnan(number):
        return "NaN"
    text = f"{number:.{digits}g}".replace("inf", "∞").replace("e+0", "e").replace("e-0", "e-")
    return text.replace("e+", "e").replace("-", "−")


def _nice_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return next(nice * power for nice in _NICE if nice * power >= raw * (1 - 1e-9))


def breaks(numbers: Floats, low: float, high: float) -> list[int]:
    """Where a line must be interrupted: index i means between point i and point i + 1.

    A line breaks at a gap; where it leaves the range on one side and returns on the other, or
    falls back against the direction that it has on both sides (a pole); and where it jumps, ten
    times farther than on either side. What is hardly visible never breaks.
    """
    steps = np.diff(np.clip(numbers, -(2.0**1022), 2.0**1022))
    around = np.pad(steps, 2, constant_values=np.nan)
    left, right = around[1:-3], around[3:-1]
    sizes = np.fmax(np.abs(left), np.abs(right))
    direction = np.sign(np.stack([around[:-4], left, right, around[4:]]))
    against = (direction == -np.sign(steps)).all(axis=0)
    visible = np.abs(steps) > 0.04 * (high - low)
    here, there = numbers[:-1], numbers[1:]
    across = ((here > high) & (there < low)) | ((here < low) & (there > high))
    jump = visible & (against | (np.abs(steps) / 10.0 > np.nan_to_num(sizes)))
    gap = ~(np.isfinite(here) & np.isfinite(there))
    return [int(index) for index in np.flatnonzero(jump | across | gap)]


def poles(x: Floats, y: Floats, low: float, high: float) -> list[float]:
    """Where a line is interrupted that lies beyond the range on both sides, or grows towards there
    from both. Shapes: all alike."""
    finite = np.flatnonzero(np.isfinite(y))
    beyond = (y < low) | (y > high)
    cut = np.array(breaks(y, low, high), dtype=int)
    return [
        float((x[here] + x[there]) / 2)
        for here, there in itertools.pairwise(finite.tolist())
        if ((cut >= here) & (cut < there)).any()
        and (
            (beyond[here] and beyond[there]) or (_grows(y[: here + 1][::-1]) and _grows(y[there:]))
        )
    ]


def _grows(line: Floats) -> bool:
    """Whether a line grows ever faster towards its first point."""
    if len(line) < 3:
        return False
    last, before = abs(line[0] - line[1]), abs(line[1] - line[2])
    return bool(abs(line[0]) > abs(line[1]) and last > 1.5 * before > 0)
