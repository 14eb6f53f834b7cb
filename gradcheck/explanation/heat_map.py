"""The picture of a function of two numbers as heat maps with contours: one SVG.

Draws numbers that others have found; compares nothing. The same numbers give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradcheck.answer import Floats
from gradcheck.explanation.axes import Axis, span, svg_number, tick_labels, ticks
from gradcheck.explanation.drawn import Drawn
from gradcheck.explanation.svg import document, fitted, paint, text, wrapped

_WIDTH, _LEFT, _RIGHT = 820, 72, 796
_SIDE = 270  # pixels of a map
_GAP = 132  # between the maps of a row: room for the numbers
_BAR = 14  # pixels: the width of the scale
_LEVELS = 14
_POLE = 100.0  # a range this many times that of the middle nine tenths is a pole's
_COLOURS = [(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)]  # viridis
_FINER = 4  # so many times: cells between points, by which the levels have smooth borders


@dataclass(frozen=True, slots=True)
class HeatMap:
    """One map. Shapes: numbers [len(y), len(x)]; NaN is a gap."""

    label: str
    numbers: Floats
    legend: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Surface(Drawn):
    """A function over two numbers that run: ``fields`` are the value and both slopes, and
    ``equations`` say in LaTeX what these are, as far as that is short.

    Units: ``errors`` are those of PyTorch's slopes, the larger one, in ulps; ``disagrees`` says
    where one of them is wrong.
    """

    title: str
    subtitle: str
    variables: tuple[str, str]
    x: Floats
    y: Floats
    fields: tuple[HeatMap, ...]
    errors: Floats
    disagrees: NDArray[np.bool_]
    setting: str
    equations: tuple[str, ...] = ()

    def svg(self) -> str:
        """Return the picture as an SVG document."""
        return _draw(self)

    def __repr__(self) -> str:
        over = " and ".join(self.variables)
        return f"<gradcheck plot: {self.title} over {over}; {self.subtitle}>"


def maps_of(surface: Surface) -> list[tuple[str, Floats, list[float]]]:
    """The title of each map, its numbers, and the bounds of its levels."""
    maps = [
        (each.legend or each.label, each.numbers, _levels(each.numbers)) for each in surface.fields
    ]
    judged, wrong = int(np.isfinite(surface.errors).sum()), int(surface.disagrees.sum())
    all_told = f"{judged} of {surface.errors.size} judged"
    told = f"{judged} judged, {wrong} disagree" if wrong else all_told
    title = f"ulps in {surface.setting}: {told}"
    return [*maps, (title, surface.errors, [0.0, 0.5, 1, 2, 4, 10, 100, 1e4, 1e8, 1e16])]


def _levels(numbers: Floats) -> list[float]:
    """Round numbers from the least to the largest, unless a pole would swallow all others."""
    low, high = inner = span(numbers)
    finite = numbers[np.isfinite(numbers)]
    if finite.size and np.ptp(finite) < _POLE * (inner[1] - inner[0]):
        low, high = span(np.array([finite.min(), finite.max()]))
    return ticks(low, high, _LEVELS)


def _draw(surface: Surface) -> str:
    body, row = [], 12.0
    for line in wrapped(surface.title, 17, _RIGHT - _LEFT, 2):
        body.append(text(_LEFT, row := row + 20, line, size=17, weight="bold"))
    for line in wrapped(surface.subtitle, 12, _RIGHT - _LEFT, 2):
        body.append(text(_LEFT, row := row + 18, line, colour="pale"))
    for number, (title, numbers, levels) in enumerate(maps_of(surface)):
        left = _LEFT + (number % 2) * (_SIDE + _GAP)
        top = row + 40 + (number // 2) * (_SIDE + 84)
        across = Axis(float(surface.x[0]), float(surface.x[-1]), left, left + _SIDE)
        up = Axis(float(surface.y[0]), float(surface.y[-1]), top + _SIDE, top)
        body.append(text(left, top - 10, fitted(title, 13, _SIDE + 60), size=13))
        body += _cells(surface, numbers, levels, across, up)
        if numbers is surface.errors:
            body += _crosses(surface, across, up)
        body += _frame(surface, across, up)
        body += _scale(levels, across.end + 12, up)
    height = row + 40 + 2 * (_SIDE + 84) - 16
    over = " and ".join(surface.variables)
    summary = f"value and slopes over {over}, and the error of PyTorch's; {surface.subtitle}"
    return document(surface.title, summary, (_WIDTH, height), body)


def _cells(
    surface: Surface, numbers: Floats, levels: list[float], across: Axis, up: Axis
) -> Iterator[str]:
    """All cells of one level as one shape; a cell without a number stays empty."""
    x, y = surface.x, surface.y
    if numbers is not surface.errors:
        x, y, numbers = _finer(x), _finer(y), _finer(_finer(numbers.T).T)
    columns, rows = _borders(x, across), _borders(y, up)
    banded = band_of(numbers, levels)
    for band in range(len(levels) + 1):
        parts = []
        for k, line in enumerate(banded == band):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(int), [0]])))
            top, bottom = rows[k + 1], rows[k]
            for first, last in zip(edges[::2], edges[1::2], strict=True):
                width = columns[last] - columns[first]
                parts.append(
                    f"M{columns[first]:.1f} {top:.1f}h{width:.1f}v{bottom - top:.1f}h{-width:.1f}z"
                )
        if parts:
            colour = colour_of(band, len(levels))
            yield f'<path d="{"".join(parts)}" fill="{colour}" shape-rendering="crispEdges"/>'


def _crosses(surface: Surface, across: Axis, up: Axis) -> Iterator[str]:
    """A cross at each point where PyTorch's slope is wrong."""
    rows, columns = np.nonzero(surface.disagrees)
    spots = zip(across.pixels(surface.x[columns]), up.pixels(surface.y[rows]), strict=True)
    path = "".join(f"M{x - 2:.1f} {y - 2:.1f}l4 4m-4 0l4-4" for x, y in spots)
    if path:
        yield f'<path d="{path}" {paint("red")}/>'


def band_of(numbers: Floats, levels: list[float]) -> NDArray[np.int64]:
    """Between which levels each number lies; -1 for what is none."""
    found = np.searchsorted(np.array(levels), np.nan_to_num(numbers, nan=0.0), side="right")
    return np.asarray(np.where(np.isnan(numbers), -1, found))


def colour_of(band: int, count: int) -> str:
    """From dark to bright, and so for all eyes, in print too."""
    stops = np.linspace(0, count, len(_COLOURS))
    mixed = (np.interp(band, stops, channel) for channel in zip(*_COLOURS, strict=True))
    return "#" + "".join(f"{round(float(each)):02x}" for each in mixed)


def _finer(numbers: Floats) -> Floats:
    """Numbers between neighbours, linear; a gap stays one. Shapes: [..., n]."""
    count = numbers.shape[-1]
    places = np.linspace(0, count - 1, _FINER * (count - 1) + 1)
    left = np.minimum(places.astype(int), count - 2)
    share = places - left
    return np.asarray(numbers[..., left] * (1 - share) + numbers[..., left + 1] * share)


def _borders(places: Floats, axis: Axis) -> list[float]:
    """Of each cell around a place where it begins, and where the last one ends."""
    pixels = axis.pixels(places)
    inner = (pixels[1:] + pixels[:-1]) / 2
    return [axis.start, *(round(each, 1) for each in inner.tolist()), axis.end]


def _frame(surface: Surface, across: Axis, up: Axis) -> Iterator[str]:
    marks, heights = ticks(across.low, across.high, 5), ticks(up.low, up.high, 6)
    for mark, label in zip(marks, tick_labels(marks), strict=True):
        yield text(across.pixel(mark), up.start + 17, label, anchor="middle", colour="pale")
    for mark, label in zip(heights, tick_labels(heights), strict=True):
        yield text(across.start - 8, up.pixel(mark) + 4, label, anchor="end", colour="pale")
    middle = (across.start + across.end) / 2, (up.start + up.end) / 2
    yield text(middle[0], up.start + 35, surface.variables[0], size=13, anchor="middle")
    yield text(
        across.start - 50, middle[1], surface.variables[1], size=13, anchor="middle", turned=True
    )
    yield (
        f'<rect x="{across.start}" y="{up.end}" width="{_SIDE}" height="{_SIDE}" {paint("frame")}/>'
    )


def _scale(levels: list[float], left: float, up: Axis) -> Iterator[str]:
    """The colours with the numbers between them."""
    height = _SIDE / (len(levels) + 1)
    for band in range(len(levels) + 1):
        top = up.start - (band + 1) * height
        yield (
            f'<rect x="{left}" y="{top:.1f}" width="{_BAR}" height="{height:.1f}" '
            f'fill="{colour_of(band, len(levels))}"/>'
        )
    every = max(1, len(levels) // 10)
    labels = tick_labels(levels) if levels[-1] < 1e6 else [svg_number(each) for each in levels]
    for band, label in list(enumerate(labels))[::every]:
        yield text(left + _BAR + 5, up.start - (band + 1) * height + 4, label, size=11,
                   colour="pale")  # fmt: skip
