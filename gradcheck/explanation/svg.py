"""The picture of a function, its derivative, and the error of PyTorch's gradient, as one SVG.

Draws numbers that others have found; compares nothing. The same numbers give the same bytes.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from html import escape

import numpy as np

from gradcheck.answer import Floats, Ruling
from gradcheck.explanation.formulas import latex_block

_WIDTH, _HEIGHT = 820, 640
_LEFT, _RIGHT = 84, 796
_TOP = (84, 396)  # the upper panel's first and last pixel row
_BELOW = (448, 576)
_INK, _PALE, _GRID = "#222222", "#555555", "#e3e3e3"
_LINES = {  # Okabe and Ito's colours, safe for all eyes: values are whole, slopes are dashed
    2: (("#0072b2", ""), ("#d55e00", "7 4")),
    4: (("#0072b2", ""), ("#56b4e9", ""), ("#d55e00", "7 4"), ("#cc79a7", "7 4")),
}
_MARKS = {
    Ruling.AGREE: ("#0072b2", "agree"),
    Ruling.INACCURATE: ("#e69f00", "inaccurate"),
    Ruling.DISAGREE: ("#c1121f", "disagree"),
}
_LONG = 8  # letters; longer labels need more room
_FAITHFUL = 4.0  # ulps; the first grade of the judge


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of the upper panel; NaN is a gap."""

    label: str
    numbers: Floats


@dataclass(frozen=True, slots=True, repr=False)
class Picture:
    """What is drawn over ``x``, which is sorted: of a real output the value and the slope, of a
    complex one both parts of the value, then those of the slope. ``equations`` say in LaTeX what
    the curves are, as far as that is short.

    Shapes: ``x``, ``ulps``, ``rulings`` and the numbers of all curves are equally long.
    Units:  ``ulps`` is NaN where nothing was judged, and inf where the number is no number.
    """

    title: str
    subtitle: str
    variable: str
    x: Floats
    curves: tuple[Curve, ...]
    ulps: Floats
    rulings: tuple[Ruling, ...]
    equations: tuple[str, ...] = ()

    def __str__(self) -> str:
        return draw_svg(self)

    def __repr__(self) -> str:
        return f"<gradcheck plot: {self.title} over {self.variable}; {self.subtitle}>"

    def _repr_html_(self) -> str:
        return str(self)

    def _repr_latex_(self) -> str | None:
        return latex_block(self.equations) if self.equations else None


def draw_svg(picture: Picture) -> str:
    """The SVG document."""
    across = Axis(float(picture.x[0]), float(picture.x[-1]), _LEFT, _RIGHT)
    body = [
        _text(_LEFT, 30, picture.title, size=17, weight="bold"),
        _text(_LEFT, 50, picture.subtitle, size=12, colour=_PALE),
        *_values(picture, across),
        *_errors(picture, across),
        _text((_LEFT + _RIGHT) / 2, 616, picture.variable, size=13, anchor="middle"),
    ]
    return "\n".join([*_head(picture), *body, "</svg>"]) + "\n"


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


def _head(picture: Picture) -> list[str]:
    lines = " and ".join(curve.label for curve in picture.curves)
    summary = f"{lines} over {picture.variable}; below, the error of PyTorch's gradient in ulps."
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="title summary" '
        'font-family="Helvetica, Arial, sans-serif">',
        f'<title id="title">{escape(picture.title)}</title>',
        f'<desc id="summary">{escape(summary)} {escape(picture.subtitle)}</desc>',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        *(_clip(name, panel) for name, panel in (("above", _TOP), ("below", _BELOW))),
    ]


def _values(picture: Picture, across: Axis) -> list[str]:
    low, high = span(np.concatenate([curve.numbers for curve in picture.curves]))
    up = Axis(low, high, _TOP[1], _TOP[0])
    marks = ticks(low, high)
    parts = _frame(
        _TOP, across, [(up.pixel(m), t) for m, t in zip(marks, tick_labels(marks), strict=True)]
    )
    legend: float = _LEFT
    lines = _LINES[len(picture.curves)]
    for curve, (colour, dash) in zip(picture.curves, lines, strict=True):
        parts.append(
            f'<path d="{_line(picture.x, curve.numbers, across, up)}" fill="none" '
            f'stroke="{colour}" stroke-width="2" stroke-linejoin="round" '
            f'stroke-dasharray="{dash or "none"}" clip-path="url(#above)"/>'
        )
        parts += _line_legend(legend, curve.label, colour, dash)
        legend += 52 + 7.2 * len(curve.label)
    return parts


def _line(x: Floats, y: Floats, across: Axis, up: Axis) -> str:
    columns, rows = across.pixels(x), up.pixels(np.nan_to_num(y))
    cut = set(breaks(y, up.low, up.high))
    parts = []
    for index in np.flatnonzero(np.isfinite(y)):
        first = index == 0 or int(index) - 1 in cut
        parts.append(f"{'M' if first else 'L'}{columns[index]:.2f} {rows[index]:.2f}")
        if first and int(index) in cut:
            parts.append("h0.01")  # a lone point would else be invisible
    return "".join(parts)


def _errors(picture: Picture, across: Axis) -> list[str]:
    found = picture.ulps[np.isfinite(picture.ulps)]
    top = np.log10(1.0 + max(10.0, float(found.max()) if found.size else 0.0)) * 1.12
    up = Axis(-0.05 * top, float(top), _BELOW[1], _BELOW[0])
    rows_of_ticks = _ulp_ticks(up)
    if np.isposinf(picture.ulps).any():
        first = _BELOW[0] + 4.0
        rows_of_ticks = [(first, "∞"), *(each for each in rows_of_ticks if each[0] > first + 12)]
    parts = _frame(_BELOW, across, rows_of_ticks)
    parts.append(
        _text(_LEFT, _BELOW[0] - 10, "error of PyTorch's gradient, in ulps (dotted: 4)", size=13)
    )
    row = up.pixel(np.log10(1.0 + _FAITHFUL))
    parts.append(f'<path d="M{_LEFT} {row:.2f}H{_RIGHT}" stroke="#009e73" stroke-dasharray="2 3"/>')
    rows = np.clip(up.pixels(np.log10(1.0 + picture.ulps)), _BELOW[0] + 4, _BELOW[1])
    columns = across.pixels(picture.x)
    legend: float = _RIGHT
    for ruling, (colour, label) in reversed(_MARKS.items()):
        chosen = [i for i, ruled in enumerate(picture.rulings) if ruled is ruling]
        seen = [i for i in chosen if not np.isnan(picture.ulps[i])]
        if not seen:
            continue
        shape = "".join(_mark(columns[i], rows[i], ruling) for i in seen)
        parts.append(_stroke(shape, colour, 1.6 if ruling is Ruling.DISAGREE else 4.2))
        legend -= 26 + 7.0 * len(f"{label} {len(seen)}")
        parts += _mark_legend(legend, f"{label} {len(seen)}", ruling)
    return parts


def _ulp_ticks(up: Axis) -> list[tuple[float, str]]:
    decades = int(up.high)
    every = max(1, -(-decades // 5))
    powers = range(every, decades + 1, every)
    return [
        (up.pixel(0.0), "0"),
        *(
            (up.pixel(float(np.log10(1.0 + 10.0**p))), f"1e{p}" if p > 3 else str(10**p))
            for p in powers
        ),
    ]


def _mark(column: float, row: float, ruling: Ruling) -> str:
    if ruling is Ruling.DISAGREE:  # a cross: told apart without colour, too
        return f"M{column - 3:.2f} {row - 3:.2f}l6 6m0 -6l-6 6"
    return f"M{column:.2f} {row:.2f}h0"


def _stroke(path: str, colour: str, width: float) -> str:
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}" '
        'stroke-linecap="round"/>'
    )


def _frame(
    panel: tuple[int, int],
    across: Axis,
    rows: list[tuple[float, str]],
) -> list[str]:
    """The grid of a panel, its numbers, and the lines around it."""
    top, bottom = panel
    marks = ticks(across.low, across.high, 8)
    if max(map(len, tick_labels(marks))) > _LONG:
        marks = ticks(across.low, across.high, 3)
    parts = []
    for mark, label in zip(marks, tick_labels(marks), strict=True):
        column = across.pixel(mark)
        parts.append(f'<path d="M{column:.2f} {top}V{bottom}" stroke="{_GRID}"/>')
        parts.append(_text(column, bottom + 18, label, anchor="middle", colour=_PALE))
    for row, label in rows:
        parts.append(f'<path d="M{_LEFT} {row:.2f}H{_RIGHT}" stroke="{_GRID}"/>')
        parts.append(_text(_LEFT - 8, row + 4, label, anchor="end", colour=_PALE))
    parts.append(
        f'<rect x="{_LEFT}" y="{top}" width="{_RIGHT - _LEFT}" height="{bottom - top}" '
        f'fill="none" stroke="{_PALE}"/>'
    )
    return parts


def _line_legend(column: float, label: str, colour: str, dash: str) -> list[str]:
    return [
        f'<path d="M{column:.2f} 68h26" stroke="{colour}" stroke-width="2" '
        f'stroke-dasharray="{dash or "none"}"/>',
        _text(column + 32, 72, label, size=13),
    ]


def _mark_legend(column: float, label: str, ruling: Ruling) -> list[str]:
    colour, _ = _MARKS[ruling]
    row = _BELOW[0] - 14
    width = 1.6 if ruling is Ruling.DISAGREE else 4.2
    return [
        _stroke(_mark(column + 6, row, ruling), colour, width),
        _text(column + 14, row + 4, label, size=12),
    ]


def _clip(name: str, panel: tuple[int, int]) -> str:
    top, bottom = panel
    return (
        f'<clipPath id="{name}"><rect x="{_LEFT}" y="{top}" width="{_RIGHT - _LEFT}" '
        f'height="{bottom - top}"/></clipPath>'
    )


def _text(column: float, row: float, text: str, **style: object) -> str:
    size, colour = style.get("size", 12), style.get("colour", _INK)
    anchor, weight = style.get("anchor", "start"), style.get("weight", "normal")
    return (
        f'<text x="{column:.2f}" y="{row:.2f}" font-size="{size}" fill="{colour}" '
        f'text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
    )


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
