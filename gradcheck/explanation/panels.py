"""A picture as one SVG: a panel of curves, and below it one for the errors in each dtype.

Draws numbers that others have found; compares nothing. The same numbers give the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.answer import Floats, Ruling
from gradcheck.explanation.axes import Axis, breaks, poles, span, svg_number, tick_labels, ticks
from gradcheck.explanation.svg import (
    document,
    fitted,
    key_of,
    paint,
    text,
    text_width,
    wrapped,
)

if TYPE_CHECKING:
    from gradcheck.explanation.picture import Claim, Curve, Errors, Picture, Tangent

_WIDTH = 820
_LEFT, _RIGHT = 92, 796
_CURVES, _ERRORS = 312, 112  # pixels: how high the panels are
# Of one curve of each order, and of two: the parts of a complex result.
_HUES: dict[int, dict[int, tuple[str, ...]]] = {
    1: {0: ("blue",), 1: ("orange",), 2: ("green",)},
    2: {0: ("blue", "sky"), 1: ("orange", "amber"), 2: ("green", "frame")},
}
_DASHES = {0: "none", 1: "7 4", 2: "2 3"}  # told apart without colours, too
_CLAIM_DASHES = {0: "5 2 1 2", 1: "11 3", 2: "2 2"}  # of PyTorch's own curves, all red
_MARKS = {
    Ruling.AGREE: ("blue", "agree"),
    Ruling.INACCURATE: ("amber", "inaccurate"),
    Ruling.DISAGREE: ("red", "disagree"),
    Ruling.ABSTAIN: ("frame", "not judged"),
}
_LONG = 8  # letters; longer labels need more room
_LEGEND = 13  # pixels


@dataclass(frozen=True, slots=True)
class _Panel:
    """A frame with its axes. Units: pixels; ``key`` begins the name of its clipping path."""

    key: str
    across: Axis
    up: Axis

    @property
    def top(self) -> float:
        return self.up.end

    @property
    def bottom(self) -> float:
        return self.up.start

    @property
    def clip(self) -> str:
        return f'clip-path="url(#{self.key}-{self.top:.0f})"'


@dataclass(frozen=True, slots=True)
class _Sample:
    """What stands before a text in a legend: an element drawn with its left end at a place."""

    text: str
    colour: str
    dash: str = ""
    ruling: Ruling | None = None
    glyph: str = ""


def draw_svg(picture: Picture) -> str:
    """The SVG document."""
    room = _RIGHT - _LEFT
    key = key_of(picture.title, picture.subtitle, picture.variable, repr(picture.x[[0, -1]]))
    body: list[str] = []
    row = 12.0
    for line in wrapped(picture.title, 17, room, 2):
        body.append(text(_LEFT, row := row + 20, line, size=17, weight="bold"))
    for line in wrapped(picture.subtitle, 12, room, 3):
        body.append(text(_LEFT, row := row + 18, line, colour="pale"))
    across = Axis(float(picture.x[0]), float(picture.x[-1]), _LEFT, _RIGHT)
    low, high = shown_range(picture)
    drawn, row = _legend(_curve_samples(picture, low, high), row + 12)
    panel = _Panel(key, across, Axis(low, high, row + 10 + _CURVES, row + 10))
    body += [*drawn, *_curve_panel(picture, panel)]
    row = panel.bottom + 56
    for errors in picture.errors:
        parts, row = _error_panel(errors, key, across, row, _slope_name(picture))
        body += [*parts, _label_below(row, picture.variable)]
        row += 56
    return document(picture.title, _summary(picture), (_WIDTH, row + 4), body)


def summary_of(errors: Errors) -> str:
    """``agree 334, not judged 67``."""
    counts = Counter(errors.rulings)
    return ", ".join(
        f"{label} {counts[ruling]}" for ruling, (_, label) in _MARKS.items() if counts[ruling]
    )


def legend_of(curve: Curve) -> str:
    """The curve's equation, or its name alone."""
    return curve.legend or curve.name or curve.label


def claim_legend(picture: Picture, claim: Claim) -> str:
    """Whose curve it is."""
    return f"{_whose(picture, claim)}, where it differs"


def missing_legend(picture: Picture, claim: Claim) -> str:
    """At how many places it has no number."""
    return f"{_whose(picture, claim)}: infinite or NaN at {len(claim.missing)}"


def _whose(picture: Picture, claim: Claim) -> str:
    names = {curve.label: curve.name or curve.label for curve in picture.curves}
    return f"PyTorch's {names.get(claim.of, claim.of)} in {claim.dtype}"


def tangent_legend(picture: Picture, tangent: Tangent) -> str:
    """Where it touches, and how steep it is."""
    place, slope = (svg_number(number, 6) for number in (tangent.x, tangent.slope))
    return f"tangent at {picture.variable} = {place}, slope {slope}"


def _slope_name(picture: Picture) -> str:
    names = [curve.name or curve.label for curve in picture.curves if curve.order == 1]
    return " and ".join(names)


def _summary(picture: Picture) -> str:
    lines = " and ".join(curve.label for curve in picture.curves)
    ends = f"{svg_number(float(picture.x[0]))} to {svg_number(float(picture.x[-1]))}"
    told = "; ".join(f"{each.setting}: {summary_of(each)}" for each in picture.errors)
    more = "".join(f"; {claim_legend(picture, each)}" for each in picture.claims if each.has_curve)
    more += "".join(
        f"; {missing_legend(picture, each)}" for each in picture.claims if each.missing.size
    )
    more += "".join(f"; {tangent_legend(picture, each)}" for each in picture.tangents)
    return (
        f"{lines} over {picture.variable}, from {ends}{more}; below, the error of PyTorch's "
        f"gradient in ulps: {told}. {picture.subtitle}"
    )


def shown_range(picture: Picture) -> tuple[float, float]:
    """What the upper panel shows: the true curves, PyTorch's own as far as that leaves these
    visible, and where tangents touch."""
    low, high = span(np.concatenate([curve.numbers for curve in picture.curves]))
    for claim in picture.claims:
        if not claim.has_curve:
            continue
        least, most = span(claim.numbers)
        room = 2 * (high - low)
        low, high = min(low, max(least, low - room)), max(high, min(most, high + room))
    touched = [each.y for each in picture.tangents]
    return min([low, *touched]), max([high, *touched])


def claim_order(picture: Picture, claim: Claim) -> int:
    """Of which order the curve is that PyTorch has otherwise."""
    return next(curve.order for curve in picture.curves if curve.label == claim.of)


def _claim_dash(picture: Picture, claim: Claim) -> str:
    return _CLAIM_DASHES[claim_order(picture, claim)]


def _hue(picture: Picture, curve: Curve) -> str:
    alike = [each for each in picture.curves if each.order == curve.order]
    place = next(k for k, each in enumerate(alike) if each is curve)
    return _HUES[min(len(alike), 2)][curve.order][place]


def _curve_samples(picture: Picture, low: float, high: float) -> Iterator[_Sample]:
    for curve in picture.curves:
        yield _Sample(legend_of(curve), _hue(picture, curve), _DASHES[curve.order])
    for claim in picture.claims:
        if claim.has_curve:
            yield _Sample(claim_legend(picture, claim), "red", _claim_dash(picture, claim))
        if claim.missing.size:
            yield _Sample(missing_legend(picture, claim), "red", glyph="M4 -4l8 8m0 -8l-8 8")
    for tangent in picture.tangents:
        yield _Sample(tangent_legend(picture, tangent), "pink", "none")
    if poles_of(picture, low, high):
        yield _Sample("pole", "frame", "1 3")
    if any(cut_off(curve.numbers, low, high) for curve in picture.curves):
        yield _Sample("beyond the frame", "frame", glyph="M4 4l5 -9l5 9z")


def _legend(samples: Iterator[_Sample], row: float) -> tuple[list[str], float]:
    """The samples in as many lines as they take, and the row of the last line."""
    parts: list[str] = []
    column, row = float(_LEFT), row + 8
    for sample in samples:
        content = fitted(sample.text, _LEGEND, _RIGHT - _LEFT - 34)
        needed = 34 + text_width(content, _LEGEND)
        if column > _LEFT and column + needed > _RIGHT:
            column, row = float(_LEFT), row + 19
        parts += [*_sample(sample, column, row), text(column + 33, row + 4, content, size=_LEGEND)]
        column += needed + 22
    return parts, row


def _sample(sample: _Sample, column: float, row: float) -> Iterator[str]:
    if sample.ruling is not None:
        yield _stroke(_mark(column + 24, row, sample.ruling), sample.colour, sample.ruling)
    elif sample.glyph:
        yield (
            f'<path transform="translate({column + 8:.2f} {row:.2f})" d="{sample.glyph}" '
            f"{paint(sample.colour)}/>"
        )
    else:
        yield _path(f"M{column:.2f} {row:.2f}h26", sample.colour, sample.dash)


def _curve_panel(picture: Picture, panel: _Panel) -> list[str]:
    marks = ticks(panel.up.low, panel.up.high)
    labels = [(panel.up.pixel(m), t) for m, t in zip(marks, tick_labels(marks), strict=True)]
    parts = _frame(panel, labels)
    parts.append(_label_below(panel.bottom, picture.variable))
    names = ", ".join(curve.name or curve.label for curve in picture.curves)
    parts.append(_label_beside(panel, fitted(names, _LEGEND, _CURVES)))
    for place in poles_of(picture, panel.up.low, panel.up.high):
        column = panel.across.pixel(place)
        parts.append(_path(f"M{column:.2f} {panel.top}V{panel.bottom}", "frame", "1 3"))
    for tangent in picture.tangents:
        parts += _tangent(tangent, panel)
    for curve in picture.curves:
        line = _line(picture.x, curve.numbers, panel)
        parts.append(_path(line, _hue(picture, curve), _DASHES[curve.order], panel.clip, 2.0))
        parts += _triangles(picture, curve, panel)
    for claim in picture.claims:
        line = _line(claim.x, claim.numbers, panel)
        parts.append(_path(line, "red", _claim_dash(picture, claim), panel.clip, 2.5))
        parts += _crosses(claim, panel)
    return parts


def poles_of(picture: Picture, low: float, high: float) -> list[float]:
    """The poles of all curves; those of a derivative stand where those of the value do."""
    apart = 0.02 * (picture.x[-1] - picture.x[0])
    found: list[float] = []
    for curve in picture.curves:
        for place in poles(picture.x, curve.numbers, low, high):
            if all(abs(place - other) > apart for other in found):
                found.append(place)
    return found


def cut_off(numbers: Floats, low: float, high: float) -> list[tuple[int, bool]]:
    """Of each stretch beyond the frame its farthest point, and whether that is above."""
    found = []
    for above, beyond in ((True, numbers > high), (False, numbers < low)):
        places = np.flatnonzero(beyond)
        for stretch in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1):
            if stretch.size:
                farthest = stretch[int(np.argmax(np.abs(numbers[stretch])))]
                found.append((int(farthest), above))
    return found


MOST_TRIANGLES = 40  # of one curve; more would be a pattern and no marks


def _triangles(picture: Picture, curve: Curve, panel: _Panel) -> Iterator[str]:
    for place, above in cut_off(curve.numbers, panel.up.low, panel.up.high)[:MOST_TRIANGLES]:
        column = min(max(panel.across.pixel(float(picture.x[place])), _LEFT + 5), _RIGHT - 5)
        row, rise = (panel.top + 10, -9) if above else (panel.bottom - 10, 9)
        yield _path(f"M{column - 5:.2f} {row}l5 {rise}l5 {-rise}z", _hue(picture, curve), "")


def _crosses(claim: Claim, panel: _Panel) -> Iterator[str]:
    """At the lower edge, above the places where PyTorch has no number."""
    columns = panel.across.pixels(claim.missing)
    _, apart = np.unique(columns // 12, return_index=True)
    for column in columns[apart].tolist():
        yield _path(f"M{column - 4:.2f} {panel.bottom - 10}l8 8m0 -8l-8 8", "red", "", "", 1.5)


def _tangent(tangent: Tangent, panel: _Panel) -> list[str]:
    ends = np.array([panel.across.low, panel.across.high])
    with np.errstate(over="ignore"):
        heights = tangent.y + tangent.slope * (ends - tangent.x)
    spots = zip(panel.across.pixels(ends), _far_pixels(panel.up, heights), strict=True)
    line = "M" + "L".join(f"{column:.2f} {row:.2f}" for column, row in spots)
    column, row = panel.across.pixel(tangent.x), panel.up.pixel(tangent.y)
    return [
        _path(line, "pink", "none", panel.clip, 1.6),
        f'<circle cx="{column:.2f}" cy="{row:.2f}" r="4.5" {paint("pink")} stroke-width="2"/>',
    ]


def _far_pixels(up: Axis, heights: Floats) -> Floats:
    """Pixels that keep a straight line straight, also where it ends far outside of the frame."""
    share = (heights - up.low) / (up.high - up.low)
    return np.clip(up.start + share * (up.end - up.start), -1e6, 1e6)


def _line(x: Floats, y: Floats, panel: _Panel) -> str:
    columns, rows = panel.across.pixels(x), panel.up.pixels(np.nan_to_num(y))
    cut = set(breaks(y, panel.up.low, panel.up.high))
    parts = []
    for index in np.flatnonzero(np.isfinite(y)):
        first = index == 0 or int(index) - 1 in cut
        parts.append(f"{'M' if first else 'L'}{columns[index]:.2f} {rows[index]:.2f}")
        if first and int(index) in cut:
            parts.append("h0.01")  # a lone point would else be invisible
    return "".join(parts)


def _error_panel(
    errors: Errors, key: str, across: Axis, row: float, name: str
) -> tuple[list[str], float]:
    """The panel of one dtype below ``row``, and where it ends."""
    title = f"error of PyTorch's {name} in {errors.setting}; the band is what agrees"
    parts = [text(_LEFT, row, fitted(title, _LEGEND, _RIGHT - _LEFT), size=_LEGEND)]
    counts = Counter(errors.rulings)
    samples = [
        _Sample(f"{label} {counts[ruling]}", colour, ruling=ruling)
        for ruling, (colour, label) in _MARKS.items()
        if counts[ruling]
    ]
    drawn, row = _legend(iter(samples), row + 10)
    panel = _Panel(key, across, _ulp_axis(errors, row + 12))
    labels = _ulp_ticks(panel.up)
    if np.isposinf(errors.ulps).any():
        first = panel.top + 4.0
        labels = [(first, "∞"), *(each for each in labels if each[0] > first + 12)]
    parts += [*drawn, *_band(errors, panel), *_frame(panel, labels), _label_beside(panel, "ulps")]
    rows = np.clip(panel.up.pixels(_height(errors.ulps)), panel.top + 4, panel.bottom)
    columns = across.pixels(errors.x)
    for ruling, (colour, _) in _MARKS.items():
        chosen = [k for k, ruled in enumerate(errors.rulings) if ruled is ruling]
        shape = "".join(
            _mark(columns[k], panel.bottom - 4 if np.isnan(rows[k]) else rows[k], ruling)
            for k in chosen
        )
        if shape:
            parts.append(_stroke(shape, colour, ruling))
    return parts, panel.bottom


def _height(ulps: Floats) -> Floats:
    return np.asarray(np.log10(1.0 + ulps))


def _ulp_axis(errors: Errors, row: float) -> Axis:
    """From 0 to the largest error, and to what is allowed where that is not much more."""
    found = errors.ulps[np.isfinite(errors.ulps)]
    allowed = errors.allowed[np.isfinite(errors.allowed)]
    usual = float(np.median(allowed)) if allowed.size else 0.0
    top = float(_height(np.array(max([10.0, 2 * min(usual, 1e6), *found])))) * 1.12
    return Axis(-0.05 * top, top, row + _ERRORS, row)


def _band(errors: Errors, panel: _Panel) -> list[str]:
    """What agrees, from 0 upwards."""
    known = np.isfinite(errors.allowed)
    columns = panel.across.pixels(errors.x)
    rows = panel.up.pixels(_height(np.where(known, errors.allowed, 0.0)))
    places = np.flatnonzero(known)
    shapes = []
    for stretch in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1):
        if stretch.size > 1:
            edge = "L".join(f"{columns[k]:.1f} {max(rows[k], panel.top):.1f}" for k in stretch)
            shapes.append(
                f"M{columns[stretch[0]]:.1f} {panel.bottom:.1f}L{edge}"
                f"L{columns[stretch[-1]]:.1f} {panel.bottom:.1f}z"
            )
    return [f'<path d="{"".join(shapes)}" {paint("band")}/>'] if shapes else []


def _ulp_ticks(up: Axis) -> list[tuple[float, str]]:
    decades = int(up.high)
    every = max(1, -(-decades // 4))
    powers = range(every, decades + 1, every)
    return [
        (up.pixel(0.0), "0"),
        *(
            (up.pixel(float(np.log10(1.0 + 10.0**p))), f"1e{p}" if p > 3 else str(10**p))
            for p in powers
        ),
    ]


def _mark(column: float, row: float, ruling: Ruling) -> str:
    """A cross, a tick or a point: told apart without colour, too."""
    if ruling is Ruling.DISAGREE:
        return f"M{column - 3:.2f} {row - 3:.2f}l6 6m0 -6l-6 6"
    if ruling is Ruling.ABSTAIN:
        return f"M{column:.2f} {row - 3:.2f}v6"
    return f"M{column:.2f} {row:.2f}h0"


def _stroke(path: str, colour: str, ruling: Ruling) -> str:
    thin = ruling in (Ruling.DISAGREE, Ruling.ABSTAIN)
    return (
        f'<path d="{path}" {paint(colour)} stroke-width="{1.5 if thin else 4.2}" '
        'stroke-linecap="round"/>'
    )


def _path(shape: str, colour: str, dash: str, clip: str = "", width: float = 1.5) -> str:
    return (
        f'<path d="{shape}" {paint(colour)} stroke-width="{width:g}" stroke-linejoin="round" '
        f'stroke-dasharray="{dash or "none"}" {clip}/>'
    )


def _frame(panel: _Panel, rows: Sequence[tuple[float, str]]) -> list[str]:
    """The grid of a panel, its numbers, the lines around it, and what clips its curves."""
    across, top, bottom = panel.across, panel.top, panel.bottom
    marks = ticks(across.low, across.high, 8)
    if max(map(len, tick_labels(marks))) > _LONG:
        marks = ticks(across.low, across.high, 3)
    size = f'x="{_LEFT}" y="{top:.2f}" width="{_RIGHT - _LEFT}" height="{bottom - top:.2f}"'
    parts = [f'<clipPath id="{panel.key}-{top:.0f}"><rect {size}/></clipPath>']
    for mark, label in zip(marks, tick_labels(marks), strict=True):
        column = across.pixel(mark)
        parts.append(f'<path d="M{column:.2f} {top:.2f}V{bottom:.2f}" {paint("grid")}/>')
        parts.append(text(column, bottom + 17, label, anchor="middle", colour="pale"))
    for row, label in rows:
        parts.append(f'<path d="M{_LEFT} {row:.2f}H{_RIGHT}" {paint("grid")}/>')
        parts.append(text(_LEFT - 8, row + 4, label, anchor="end", colour="pale"))
    return [*parts, f"<rect {size} {paint('frame')}/>"]


def _label_below(bottom: float, name: str) -> str:
    return text((_LEFT + _RIGHT) / 2, bottom + 35, name, size=_LEGEND, anchor="middle")


def _label_beside(panel: _Panel, name: str) -> str:
    middle = (panel.top + panel.bottom) / 2
    return text(24, middle, name, size=_LEGEND, anchor="middle", turned=True)
