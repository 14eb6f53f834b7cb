"""Where an input lives: real intervals, or a part of the complex plane. Draws nothing.

A part of the plane is all of it, all of it without cuts, or what meets conditions on the real part,
the imaginary part and the distance from a point: ``complex``, ``complex - (-inf, 0]``,
``|z - 1| < 2 and im > 0``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from flint import acb, arb

from gradcheck.catalog.intervals import (
    Interval,
    Span,
    Spend,
    read_end,
    read_interval,
    read_number,
    refuse_empty,
    split_outside,
)
from gradcheck.dtypes import Dtype
from gradcheck.errors import ExpressionError
from gradcheck.floats import nearest_float
from gradcheck.ops.balls import working
from gradcheck.reference.exact import CONSTANT_BITS, nearest_to_ball
from gradcheck.spelling import nearest as nearest_name

_EXPECTED = (
    "one of real, positive, negative, nonnegative, nonzero, complex, an interval such as "
    "(0, pi/2], or several joined by |"
)
_EXAMPLE = 'write it like "(0, 1)", in quotes: a bracket or a comma ends a bare text in YAML'
_EXPECTED_PLANE = (
    "complex, complex without a cut as in complex - (-inf, 0], or conditions on re, im and |z| "
    "such as |z| < 1, joined by and"
)

Spans = tuple[Span, ...]
_Number = complex  # a name that a field does not hide


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """The numbers whose real part, imaginary part or distance from a point is in an interval.

    ``quantity`` is ``re``, ``im`` or ``distance``.
    """

    quantity: str
    interval: Interval
    centre: acb = field(default_factory=acb)

    def contains(self, value: complex) -> bool:
        if self.quantity != "distance":
            return self.interval.contains(value.real if self.quantity == "re" else value.imag)
        with working(CONSTANT_BITS, exact=True):
            x, y = value.real - self.centre.real, value.imag - self.centre.imag
            square, low, high = x * x + y * y, self.interval.low, self.interval.high
            above = low < 0 or square > low**2 or (not self.interval.low_open and square == low**2)
            below = square < high**2 or (not self.interval.high_open and square == high**2)
            return bool(above and below)


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A part of the real axis (``re``) or of the imaginary axis (``im``) that is taken out."""

    axis: str
    interval: Interval

    def contains(self, value: complex) -> bool:
        along, across = (value.real, value.imag) if self.axis == "re" else (value.imag, value.real)
        return across == 0 and self.interval.contains(along)


@dataclass(frozen=True, slots=True)
class Plane:
    """A part of the complex plane in a dtype, as floats to draw from. Equal texts are equal.

    ``real`` and ``imaginary`` are where the parts may lie; of each of ``discs`` a centre, rounded,
    and where the distance from it may lie; of each of ``cuts`` an axis, and what is taken out.
    """

    domain: Domain = field(compare=False)
    text: str
    dtype: Dtype
    real: Spans = field(compare=False)
    imaginary: Spans = field(compare=False)
    discs: tuple[tuple[complex, Spans], ...] = field(compare=False)
    cuts: tuple[tuple[str, Spans], ...] = field(compare=False)


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """A union of intervals, or a part of the complex plane: where all bounds hold, off the cuts."""

    text: str
    intervals: tuple[Interval, ...]
    complex: bool = False
    bounds: tuple[Bound, ...] = ()
    cuts: tuple[Cut, ...] = ()

    def contains(self, value: _Number) -> bool:
        """Say whether the number certainly lies inside; infinities and NaN never do."""
        if not self.complex:
            real = value.real if value.imag == 0 else math.nan
            return any(interval.contains(real) for interval in self.intervals)
        finite = math.isfinite(value.real) and math.isfinite(value.imag)
        inside = finite and all(bound.contains(value) for bound in self.bounds)
        return inside and not any(cut.contains(value) for cut in self.cuts)

    def spans(self, dtype: Dtype) -> Spans:
        """Return the smallest and the largest finite float of each interval that holds one."""
        return _spans(self, dtype)

    def plane(self, dtype: Dtype) -> Plane:
        """Return the part of the complex plane in a dtype."""
        return _plane(self, dtype)


@lru_cache(maxsize=1024)  # every batch of points asks
def _spans(domain: Domain, dtype: Dtype) -> Spans:
    return tuple(span for interval in domain.intervals for span in interval.span(dtype))


@lru_cache(maxsize=256)
def _plane(domain: Domain, dtype: Dtype) -> Plane:
    discs: list[tuple[_Number, Spans]] = []
    parts: dict[str, Spans] = {}
    parts["re"] = parts["im"] = ((-dtype.largest, dtype.largest),)
    for bound in domain.bounds:
        span = bound.interval.span(dtype)
        if bound.quantity != "distance":
            parts[bound.quantity] = _common(parts[bound.quantity], span)
            continue
        centre = complex(
            nearest_to_ball(bound.centre.real, dtype), nearest_to_ball(bound.centre.imag, dtype)
        )
        reach = max((high for _, high in span), default=0.0)
        for part, middle in (("re", centre.real), ("im", centre.imag)):
            box = (nearest_float(middle - reach, dtype), nearest_float(middle + reach, dtype))
            parts[part] = _common(parts[part], (box,))
        discs.append((centre, _common(span, ((0.0, dtype.largest),))))
    cuts = tuple((cut.axis, cut.interval.span(dtype)) for cut in domain.cuts)
    return Plane(domain, domain.text, dtype, parts["re"], parts["im"], tuple(discs), cuts)


def _common(some: Spans, others: Spans) -> Spans:
    pairs = ((max(a[0], b[0]), min(a[1], b[1])) for a in some for b in others)
    return tuple((low, high) for low, high in pairs if low <= high)


_NAMED = {
    "real": "(-inf, inf)",
    "positive": "(0, inf)",
    "negative": "(-inf, 0)",
    "nonnegative": "[0, inf)",
    "nonzero": "(-inf, 0) | (0, inf)",
}
DOMAIN_NAMES = (*_NAMED, "complex")
STRUCTURES = ("positive_definite", "symmetric", "invertible", "lower_triangular", "orthogonal")
"""The kinds of matrices that can be drawn, which stand beside a domain."""
_INTERVAL = r"\s*[(\[][^|]*,[^|]*[)\]]\s*"
INTERVALS = rf"^{_INTERVAL}(\|{_INTERVAL})*$|^\s*complex\s*-|\b(re|im)\b.*[<>]|\|.*[<>]|[<>].*\|"
"""What an editor is told of intervals and of parts of the plane; ends are expressions."""

_OF_THE_PLANE = re.compile(r"\b(complex|re|im)\b|\|\s*z\b")


def parse_domain(text: str, spend: Spend = lambda _: None) -> Domain:
    """Return the domain that ``text`` names or writes out.

    Errors: ExpressionError, with the place inside ``text``, for what is neither, for an end that
            is no constant real number, and for an interval without numbers.
    """
    word = text.strip()
    if word in DOMAIN_NAMES:
        return _named(word)
    if _OF_THE_PLANE.search(word) and not any(name in text for name in _NAMED):
        return _part_of_plane(text, spend)
    return Domain(word, tuple(_intervals(text, spend)))


@lru_cache
def _named(word: str) -> Domain:
    if word == "complex":
        return Domain(word, (), complex=True)
    return Domain(word, tuple(_intervals(_NAMED[word], lambda _: None)))


def _intervals(text: str, spend: Spend) -> Iterator[Interval]:
    for column, part in split_outside(text, "|"):
        interval = read_interval(part, column, spend)
        if interval is None:
            place = (1, column + len(part) - len(part.lstrip()))
            raise ExpressionError(place, *_no_interval(part.strip()))
        yield interval


def _no_interval(part: str) -> tuple[str, str, str]:
    if part in DOMAIN_NAMES:
        expected = f"intervals joined by |, such as {_NAMED.get(part, '(0, 1)')}"
        return f"the domain {part} in a union", expected, "write it as an interval"
    if part in STRUCTURES:
        fix = f"write kind: {part}, beside the domain: it says which matrices are drawn"
        return f"{part!r}, which is no domain", _EXPECTED, fix
    if part.isidentifier():
        fix = nearest_name(part, DOMAIN_NAMES, "choose one of these")
        return f"the unknown domain {part!r}", _EXPECTED, fix
    return f"{part!r}, which is no domain" if part else "an empty domain", _EXPECTED, _EXAMPLE


# the complex plane


def _part_of_plane(text: str, spend: Spend) -> Domain:
    bounds: list[Bound] = []
    cuts: list[Cut] = []
    start = 0
    for found in [*re.finditer(r"\band\b", text), None]:
        part = text[start : found.start() if found else len(text)]
        column = start + len(part) - len(part.lstrip()) + 1
        if re.match(r"complex\b", part.strip()):
            _read_cuts(part.strip(), column, spend, bounds, cuts)
        else:
            bounds.append(_read_condition(part.strip(), column, spend))
        if _contradict(bounds):
            raise ExpressionError((1, column), *_no_number(text[: start - 3], part))
        start = found.end() if found else start
    return Domain(text.strip(), (), complex=True, bounds=tuple(bounds), cuts=tuple(cuts))


_APART = Interval(arb(0), arb("inf"), low_open=True, high_open=True)


def _refused(column: int, part: str) -> ExpressionError:
    found = f"{part!r}, which is no part of the complex plane" if part else "an empty condition"
    return ExpressionError((1, column), found, _EXPECTED_PLANE, "write one of these")


def _read_cuts(part: str, column: int, spend: Spend, bounds: list[Bound], cuts: list[Cut]) -> None:
    """Read what is taken out of the plane: intervals on an axis, and points in braces."""
    (_, whole), *rest = split_outside(part, "-")
    if whole.strip() != "complex":
        raise _refused(column, part)
    for offset, cut in rest:
        word = cut.strip()
        place = column + offset - 1 + len(cut) - len(cut.lstrip())
        if word[:1] == "{" and word[-1:] == "}":
            for shift, number in split_outside(word[1:-1], ","):
                centre = acb(read_number(number, place + shift, spend))
                bounds.append(Bound("distance", _APART, centre))
            continue
        axis = re.match(r"I\s*\*\s*", word)
        shift = axis.end() if axis else 0
        interval = read_interval(word[shift:], place + shift, spend)
        if interval is None:
            raise _refused(place, word)
        cuts.append(Cut("im" if axis else "re", interval))


def _no_number(before: str, part: str) -> tuple[str, str, str]:
    found = f"{part.strip()!r}, which no number of {before.strip()!r} meets"
    return found, "conditions that some number meets", "correct one of them, or leave one out"


# contradictions: what all bounds leave of the plane is a box, seen from each centre


def _contradict(bounds: Sequence[Bound]) -> bool:
    """Whether certainly no number meets all bounds; some contradictions of three are not seen."""
    sides = {"re": _REAL_LINE, "im": _REAL_LINE}
    with working(CONSTANT_BITS, exact=True):
        for bound in bounds:
            if bound.quantity != "distance":
                sides[bound.quantity] = sides[bound.quantity].common(bound.interval)
        discs = [bound for bound in bounds if bound.quantity == "distance"]
        for disc in discs:
            reach, is_open = disc.interval.high, disc.interval.high_open
            for side, middle in (("re", disc.centre.real), ("im", disc.centre.imag)):
                box = Interval(middle - reach, middle + reach, low_open=is_open, high_open=is_open)
                sides[side] = sides[side].common(box)
        if any(side.is_empty for side in sides.values()):
            return True
        distances = [(disc, _distances(sides, disc.centre)) for disc in discs]
        distances += [(disc, _across(other, disc.centre)) for disc in discs for other in discs
                      if other is not disc]  # fmt: skip
        return any(disc.interval.common(each).is_empty for disc, each in distances)


_REAL_LINE = Interval(arb("-inf"), arb("inf"), low_open=True, high_open=True)


def _distances(sides: Mapping[str, Interval], centre: acb) -> Interval:
    """The distances of a box's numbers from a point, those of closed ends where they may be."""
    near = far = arb(0)
    near_open = far_open = False
    for side, middle in ((sides["re"], centre.real), (sides["im"], centre.imag)):
        low, high = side.low - middle, side.high - middle
        if low > 0 or high < 0:
            near += (low if low > 0 else high) ** 2
            near_open |= side.low_open if low > 0 else side.high_open
        far += abs(low).max(abs(high)) ** 2
        far_open |= side.low_open and side.high_open
    return Interval(near.sqrt(), far.sqrt(), low_open=near_open, high_open=far_open)


def _across(bound: Bound, centre: acb) -> Interval:
    """The distances from a point of numbers at certain distances from another point."""
    apart, near, far = abs(bound.centre - centre), bound.interval.low, bound.interval.high
    low, low_open = arb(0), False
    if far < apart:
        low, low_open = apart - far, bound.interval.high_open
    elif near > apart:
        low, low_open = near - apart, bound.interval.low_open
    return Interval(low, apart + far, low_open=low_open, high_open=bound.interval.high_open)


_COMPARISON = re.compile(r"<=|>=|<|>")
_DISTANCE = re.compile(r"\|\s*z\s*([+-].*)?\|")
_QUANTITY = re.compile(rf"re|im|{_DISTANCE.pattern}")


def _read_condition(part: str, column: int, spend: Spend) -> Bound:
    """Read ``re > 0``, ``1 < |z| <= 2`` and their like."""
    signs = _COMPARISON.findall(part)
    starts = [0, *(found.end() for found in _COMPARISON.finditer(part))]
    pieces = _COMPARISON.split(part)
    named = [k for k, piece in enumerate(pieces) if _QUANTITY.fullmatch(piece.strip())]
    one_way = len({sign[0] for sign in signs}) == 1
    if not one_way or len(named) != 1 or (len(pieces), *named) not in ((2, 0), (2, 1), (3, 1)):
        raise _refused(column, part)
    (middle,) = named
    low, high = (arb("-inf"), True), (arb("inf"), True)
    for k in {*range(len(pieces))} - {middle}:
        sign = signs[min(k, middle)]
        end = read_end(pieces[k], column + starts[k], spend), sign[1:] != "="
        is_low = (sign[0] == "<") == (k < middle)
        low, high = (end, high) if is_low else (low, end)
    interval = Interval(low[0], high[0], low_open=low[1], high_open=high[1])
    refuse_empty(part, column, interval)
    return _bound(pieces[middle], column + starts[middle], interval, spend)


def _bound(piece: str, column: int, interval: Interval, spend: Spend) -> Bound:
    """The bound on a quantity that a piece of text names."""
    distance = _DISTANCE.fullmatch(piece.strip())
    if distance is None:
        return Bound(piece.strip(), interval)
    column += len(piece) - len(piece.lstrip())
    if interval.high < 0 or (interval.high == 0 and interval.high_open):
        part = Interval(arb(0), interval.high, low_open=False, high_open=True)
        refuse_empty(piece.strip(), column, part)
    if not distance.group(1):
        return Bound("distance", interval)
    offset = read_number(f"0{distance.group(1)}", column + distance.start(1) - 1, spend)
    return Bound("distance", interval, -acb(offset))
