"""Exact arithmetic on the constants of a formula, and the limits that all its work keeps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from gradcheck.language.limits import MOST_DIGITS

MOST_WORK = 800_000
_LARGEST = 10**MOST_DIGITS

Exact = Fraction | bool
"""A constant: a number, or a condition that needs no input."""


class TooLarge(Exception):
    """A formula would pass a limit while it is written out; the text says which."""


class Meter:
    """Counts work, in units of about 2 µs: constants are computed at once and leave no nodes.

    ``allowance`` is the work that may still be done, ``work`` what has been done. With a finite
    allowance all limits are kept, without one none: what is written there was counted before.
    """

    def __init__(self, allowance: float = math.inf) -> None:
        self.allowance, self.work = allowance, 0

    @property
    def limited(self) -> bool:
        return self.allowance < math.inf

    def spend(self, work: int) -> None:
        self.allowance -= work
        self.work += work
        if self.allowance < 0:
            raise TooLarge(f"more than {MOST_WORK:,} steps of computation")


def fold(
    meter: Meter, operator: str, values: Sequence[Exact], parameter: Fraction | int | None = None
) -> Exact | None:
    """The operator applied to constants, exactly; None where only balls can compute it.

    Errors: ZeroDivisionError for a division by zero; TooLarge past a limit.
    """
    exact = EXACT.get(operator)
    if exact is None:
        return None
    if operator == "ipow":
        values = (*values, Fraction(parameter or 0))
        power = (_bits(values[0]) - 2) * abs(int(values[1]))
        if power > 2 * _LARGEST.bit_length():
            return _refused(meter)
        meter.spend((max(power, 0) >> 10) ** 2)
    meter.spend(1 + (sum(map(_bits, values)) >> 10) ** 2)  # what gcd and products take
    result: Fraction = exact(*values)
    if max(abs(result.numerator), result.denominator) >= _LARGEST:
        return _refused(meter)
    return result


def _bits(value: Exact) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()


def _refused(meter: Meter) -> Exact | None:
    """None for a number that is too long: where there are no limits, balls will compute it."""
    if meter.limited:
        raise TooLarge(f"a number of more than {MOST_DIGITS:,} digits")
    return None


EXACT: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: Fraction(a) / b,
    "neg": lambda a: -a,
    "ipow": pow,
    "abs": abs,
    "sign": lambda a: Fraction((a > 0) - (a < 0)),
    "floor": lambda a: Fraction(a.__floor__()),
    "ceil": lambda a: Fraction(a.__ceil__()),
    "round": lambda a: Fraction(round(a)),
    "min": min,
    "max": max,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
    "not": lambda a: not a,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "where": lambda c, a, b: a if c else b,
}
"""Operators of the table on exact numbers."""
