"""Where an input lives: real intervals with exact ends. Draws nothing; says what lies inside."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from flint import arb

from gradcheck.dtypes import Dtype
from gradcheck.errors import ExpressionError
from gradcheck.floats import float_above, next_float
from gradcheck.language.parse import parse
from gradcheck.reference.exact import enclose_constant, work_of_constant
from gradcheck.spelling import nearest

_INFINITY = arb("inf")
_EXPECTED = (
    "one of real, positive, negative, nonnegative, nonzero, complex, an interval such as "
    "(0, pi/2], or several joined by |"
)
_EXAMPLE = 'write it like "(0, 1)", in quotes: a bracket or a comma ends a bare text in YAML'


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


@dataclass(frozen=True, slots=True)
class Domain:
    """A union of intervals, or the complex plane (then without intervals)."""

    text: str
    intervals: tuple[Interval, ...]
    complex: bool = False

    def contains(self, value: float) -> bool:
        """Whether the float certainly lies inside; infinities and NaN never do."""
        return any(interval.contains(value) for interval in self.intervals)

    def spans(self, dtype: Dtype) -> tuple[tuple[float, float], ...]:
        """The smallest and the largest finite float of each interval that holds one."""
        pairs = ((_first_float(each, dtype), _last_float(each, dtype)) for each in self.intervals)
        return tuple((low, high) for low, high in pairs if low <= high)


_NAMED = {
    "real": "(-inf, inf)",
    "positive": "(0, inf)",
    "negative": "(-inf, 0)",
    "nonnegative": "[0, inf)",
    "nonzero": "(-inf, 0) | (0, inf)",
}
DOMAIN_NAMES = (*_NAMED, "complex")
_INTERVAL = r"\s*[(\[][^|]*,[^|]*[)\]]\s*"
INTERVALS = rf"^{_INTERVAL}(\|{_INTERVAL})*$"
"""What an editor is told of intervals: their brackets and commas; ends are expressions."""


_WORK_OF_AN_END = 50  # what each takes, however short it is, in units of a tape's work

Spend = Callable[[int], None]
"""Is told the work that an end took, and raises where there may be no more of it."""


def parse_domain(text: str, spend: Spend = lambda _: None) -> Domain:
    """The domain that ``text`` names or writes out.

    Errors: ExpressionError, with the place inside ``text``, for what is neither, for an end that
            is no constant real number, and for an interval without numbers.
    """
    word = text.strip()
    if word == "complex":
        return Domain("complex", (), complex=True)
    if word in _NAMED:
        return _named(word)
    parts = _split(text, "|")
    return Domain(word, tuple(_read_interval(part, column, spend) for column, part in parts))


@cache
def _named(word: str) -> Domain:
    return Domain(word, parse_domain(_NAMED[word]).intervals)


def _read_interval(part: str, column: int, spend: Spend) -> Interval:
    column += len(part) - len(part.lstrip())
    part = part.strip()
    found = re.fullmatch(r"([(\[])(.*)([)\]])", part, re.DOTALL)
    ends = _split(found.group(2), ",") if found else []
    if found is None or len(ends) != 2:
        raise ExpressionError((1, column), *_no_interval(part))
    low, high = (_read_end(text, column + offset, spend) for offset, text in ends)
    interval = Interval(
        low,
        high,
        found.group(1) == "(" or not low.is_finite(),
        found.group(3) == ")" or not high.is_finite(),
    )
    _refuse_infinite_bracket(part, column, interval)
    _refuse_empty(part, column, interval)
    return interval


def _no_interval(part: str) -> tuple[str, str, str]:
    if part in DOMAIN_NAMES:
        expected = f"intervals joined by |, such as {_NAMED.get(part, '(0, 1)')}"
        return f"the domain {part} in a union", expected, "write it as an interval"
    if part.isidentifier():
        fix = nearest(part, DOMAIN_NAMES, "choose one of these")
        return f"the unknown domain {part!r}", _EXPECTED, fix
    return f"{part!r}, which is no domain" if part else "an empty domain", _EXPECTED, _EXAMPLE


def _read_end(text: str, column: int, spend: Spend) -> arb:
    shift = column + len(text) - len(text.lstrip()) - 1
    try:
        tree = parse(text.strip())
        spend(_WORK_OF_AN_END + work_of_constant(tree))
        ball = enclose_constant(tree)
    except ExpressionError as error:
        place = (1, error.place[1] + shift)
        raise ExpressionError(place, error.found, error.expected, error.fix) from None
    if ball.shape == ():
        end: arb = ball.item()
        if end.is_finite() or end in (_INFINITY, -_INFINITY):
            return end
    raise ExpressionError(
        (1, 1 + shift),
        f"the end {text.strip()!r}",
        "a real number such as 2, 1/3, pi/2 or inf",
        "write one number",
    )


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


def _refuse_empty(part: str, column: int, interval: Interval) -> None:
    closed = not interval.low_open and not interval.high_open
    if interval.low < interval.high or (closed and not interval.low > interval.high):
        return
    raise ExpressionError(
        (1, column),
        f"{part!r}, an empty domain",
        "a lower end below the upper one",
        "exchange the ends, or close both for a single number",
    )


def _split(text: str, separator: str) -> list[tuple[int, str]]:
    """The parts between separators outside of brackets, each with its column from 1.

    Half-open intervals mix the kinds of brackets, so their kind is not looked at.
    """
    parts, begin, depth = [], 0, 0
    for position, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
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
