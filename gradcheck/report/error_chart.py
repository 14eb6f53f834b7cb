"""A small picture of the error over the input, as SVG that takes its colours from the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape

from gradcheck.report.records import Record

_WIDTH, _HEIGHT = 360, 120
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 352, 12, 96
_FAITHFUL = 4.0  # ulps
_LEAST_TOP = 10.0
_COLUMNS = 78  # as many marks fit beside each other: of those above each other the highest is drawn
_APART = 9  # rows between two labels
_MARKS = ("h0", "m-2 0h4", "m0 -2v4", "m-2 -2l4 4m0 -4l-4 4")
"""Dot, dash, bar, cross: dtypes are told apart without colour too."""


@dataclass(frozen=True, slots=True)
class _Point:
    x: float
    ulps: float


def error_chart(by_dtype: Mapping[str, Iterable[Record]]) -> str:
    """Return the SVG of the errors of values and first derivatives; empty where there are none.

    What runs is the input where it is a single number, else the largest magnitude of its entries.
    """
    series = {dtype: _points(records) for dtype, records in by_dtype.items()}
    series = {dtype: points for dtype, points in series.items() if points}
    found = [point for points in series.values() for point in points]
    if not found:
        return ""
    over = next(each.errors_over for records in by_dtype.values() for each in records
                if each.errors)  # fmt: skip
    return _drawn(series, found, over)


def _points(records: Iterable[Record]) -> list[_Point]:
    pairs = [pair for record in records if record.order <= 1 for pair in record.errors]
    found = [_Point(float(x), float(error)) for x, error in pairs]
    return [each for each in found if math.isfinite(each.x) and not math.isnan(each.ulps)]


def _drawn(series: Mapping[str, list[_Point]], found: list[_Point], over: str) -> str:
    low, high = min(each.x for each in found), max(each.x for each in found)
    finite = [each.ulps for each in found if math.isfinite(each.ulps)]
    top = math.log10(1 + max(_LEAST_TOP, *finite, 0.0)) * 1.05
    line = _row(_FAITHFUL, top)
    name = over if over != "magnitude" else "largest |input|"
    said = "; ".join(f"{dtype} at most {_short(_worst(s))} ulps" for dtype, s in series.items())
    return "".join(
        [
            f'<svg class=chart viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img aria-label="'
            f'{escape(f"Error over {name}, from {_short(low)} to {_short(high)}: {said}")}">',
            f'<path class=frame d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}"/>'
            f'<path class=limit d="M{_LEFT} {line:.0f}H{_RIGHT}"/>',
            _label(_LEFT - 5, line + 3, "4", "end") if line < _BOTTOM - _APART else "",
            _label(_LEFT - 5, _BOTTOM + 3, "0", "end"),
            _label(_LEFT - 5, _TOP + 4, _short(_worst(found)), "end"),
            _label(_LEFT, _HEIGHT - 10, _short(low), "start"),
            _label(_RIGHT, _HEIGHT - 10, _short(high), "end"),
            _label((_LEFT + _RIGHT) / 2, _HEIGHT - 10, name, "middle"),
            *(
                f'<path class="series s{k % len(_MARKS)}" d="{_path(points, low, high, top, k)}"/>'
                for k, points in enumerate(series.values())
            ),
            "</svg>",
        ]
    )


def _path(points: list[_Point], low: float, high: float, top: float, number: int) -> str:
    """One mark in each column: of the highest error there."""
    highest: dict[int, float] = {}
    for each in points:
        column = round(_across(each.x, low, high) * _COLUMNS)
        highest[column] = max(highest.get(column, 0.0), each.ulps)
    mark = _MARKS[number % len(_MARKS)]
    return "".join(
        f"M{_LEFT + column * (_RIGHT - _LEFT) / _COLUMNS:.0f} {_row(error, top):.0f}{mark}"
        for column, error in sorted(highest.items())
    )


def _across(x: float, low: float, high: float) -> float:
    """Where a number stands from 0 to 1: by its size near zero, by its magnitude far from it."""
    start, end = math.asinh(low), math.asinh(high)
    return (math.asinh(x) - start) / (end - start) if end > start else 0.5


def _row(error: float, top: float) -> float:
    height = math.log10(1 + error) / top if math.isfinite(error) else 1.0
    return _BOTTOM - min(height, 1.0) * (_BOTTOM - _TOP)


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f"<text x={x:.0f} y={y:.0f} class={anchor}>{escape(text)}</text>"


def _worst(points: Iterable[_Point]) -> float:
    return max(each.ulps for each in points)


def _short(number: float) -> str:
    return "∞" if math.isinf(number) else f"{number:.2g}"
