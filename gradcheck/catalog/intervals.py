"""Real intervals with exact ends: read from text, and which floats lie inside."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from flint import acb, arb

from gradcheck.dtypes import Dtype
from gradcheck.errors import ExpressionError
from gradcheck.floats import float_above, next_float
from gradcheck.language.parse import parse
from gradcheck.reference.exact import enclose_constant, work_of_constant

_INFINITY = arb("inf")
_WORK_OF_AN_END = 50  # what each takes, however short it is, in units of a graph's work

Span = tuple[float, float]
"""The smallest and the largest float of an interval."""
Spend = Callable[[int], None]
"""Is told the work that an end took, and raises where there may be no more of it."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The real numbers between two ends. An infinite end is always open.

    Units: ``low`` and ``high`` are balls of 256 bits that hold the ends; exact where those are
           dyadic numbers.
    """

    low: arb
    high: arb
    low_open: bool
    high_open: bool

    def contains(self, value: float) -> bool:
        number = arb(value)
        above = number > self.low or (not self.low_open and number == self.low)
        below = number < self.high or (not self.high_open and number == self.high)
        return bool(above and below)

    def span(self, dtype: Dtype) -> tuple[Span, ...]:
        """Return the smallest and the largest finite float inside, if there is one."""
        low, high = _first_float(self, dtype), _last_float(self, dtype)
        return ((low, high),) if low <= high else ()

    @property
    def is_empty(self) -> bool:
        """Whether it certainly holds no number."""
        meet = self.low == self.high and (self.low_open or self.high_open)
        return bool(self.low > self.high or meet)

    def common(self, other: Interval) -> Interval:
        """Return the numbers in both; where it is open which end is further in, no fewer."""
        low, low_open = _further(self.low, self.low_open, other.low, other.low_open)
        high, high_open = _further(-self.high, self.high_open, -other.high, other.high_open)
        return Interval(low, -high, low_open=low_open, high_open=high_open)


def read_interval(part: str, column: int, spend: Spend) -> Interval | None:
    """Return the interval that stands in a part of a text; None where none does."""
    column += len(part) - len(part.lstrip())
    part = part.strip()
    found = re.fullmatch(r"([(\[])(.*)([)\]])", part, re.DOTALL)
    ends = split_outside(found.group(2), ",") if found else []
    if found is None or len(ends) != 2:
        return None
    low, high = (read_end(text, column + offset, spend) for offset, text in ends)
    interval = Interval(
        low,
        high,
        found.group(1) == "(" or not low.is_finite(),
        found.group(3) == ")" or not high.is_finite(),
    )
    _refuse_infinite_bracket(part, column, interval)
    refuse_empty(part, column, interval)
    return interval


def read_end(text: str, column: int, spend: Spend) -> arb:
    """Return a real number, or an infinity.

    Errors: ExpressionError, with the place inside the whole text.
    """
    end = read_number(text, column, spend)
    if isinstance(end, arb) and (end.is_finite() or end in (_INFINITY, -_INFINITY)):
        return end
    raise _no_number(text, column, "the end", "a real number such as 2, 1/3, pi/2 or inf")


def read_number(text: str, column: int, spend: Spend) -> arb | acb:
    """Return a constant number, complex where it names what is complex."""
    shift = column + len(text) - len(text.lstrip()) - 1
    try:
        tree = parse(text.strip())
        spend(_WORK_OF_AN_END + work_of_constant(tree))
        ball = enclose_constant(tree)
    except ExpressionError as error:
        place = (1, error.place[1] + shift)
        raise ExpressionError(place, error.found, error.expected, error.fix) from None
    if ball.shape != ():
        raise _no_number(text, column, "the end", "a real number such as 2, 1/3, pi/2 or inf")
    number: arb | acb = ball.item()
    return number


def _no_number(text: str, column: int, what: str, expected: str) -> ExpressionError:
    place = (1, column + len(text) - len(text.lstrip()))
    return ExpressionError(place, f"{what} {text.strip()!r}", expected, "write one number")


def _refuse_infinite_bracket(part: str, column: int, interval: Interval) -> None:
    if part[0] == "[" and not interval.low.is_finite():
        raise ExpressionError(
            (1, column), f"{part!r}, closed at infinity", "an open end there", "write '('"
        )
    if part[-1] == "]" and not interval.high.is_finite():
        place = (1, column + len(part) - 1)
        raise ExpressionError(
            place, f"{part!r}, closed at infinity", "an open end there", "write ')'"
        )


def _further(a: arb, a_open: bool, b: arb, b_open: bool) -> tuple[arb, bool]:  # noqa: FBT001
    if a > b or b > a:
        return (a, a_open) if a > b else (b, b_open)
    return a.min(b), a_open and b_open if a != b else a_open or b_open


def refuse_empty(part: str, column: int, interval: Interval) -> None:
    """Errors: ExpressionError for an interval without numbers."""
    closed = not interval.low_open and not interval.high_open
    if interval.low < interval.high or (closed and not interval.low > interval.high):
        return
    raise ExpressionError(
        (1, column),
        f"{part!r}, an empty domain",
        "a lower end below the upper one",
        "exchange the ends, or close both for a single number",
    )


def split_outside(text: str, separator: str) -> list[tuple[int, str]]:
    """Return the parts between separators outside of brackets, each with its column from 1.

    Half-open intervals mix the kinds of brackets, so their kind is not looked at.
    """
    parts, begin, depth = [], 0, 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character == separator and depth == 0:
            parts.append((begin + 1, text[begin:position]))
            begin = position + 1
    return [*parts, (begin + 1, text[begin:])]


def _first_float(interval: Interval, dtype: Dtype) -> float:
    """The smallest finite float inside, or inf."""
    low = interval.low
    if not low.is_finite():
        return -dtype.largest
    value = _float_above(low, dtype)
    if not (value > low or (not interval.low_open and low == value)):
        value = next_float(value, dtype).item()
    return value if interval.contains(value) else math.inf


def _last_float(interval: Interval, dtype: Dtype) -> float:
    """The largest finite float inside, or -inf."""
    high = interval.high
    if not high.is_finite():
        return dtype.largest
    value = -_float_above(-high, dtype)
    if not (value < high or (not interval.high_open and high == value)):
        value = -next_float(-value, dtype).item()
    return value if interval.contains(value) else -math.inf


def _float_above(end: arb, dtype: Dtype) -> float:
    """The smallest float of at least the ball's middle. FLINT's own arithmetic would round it."""
    mantissa, exponent = end.mid().man_exp()
    return float_above(int(mantissa), dtype, exponent=int(exponent))
