"""The certified digits of a ball, as text."""

from __future__ import annotations

import math

from flint import acb, arb

_DIGITS = 20


def digits(ball: arb, *, is_hull: bool = False, is_proved: bool = True) -> str:
    """The decimal digits of a ball's middle; of a hull ``[low, high]``; 0 where that is proved."""
    if is_hull:
        return _hull(float(ball.lower()), float(ball.upper()))
    if is_proved and ball.contains(0):
        return "0"
    return decimal(ball)


def decimal(number: arb | acb, count: int = _DIGITS) -> str:
    """Return so many digits of a ball's middle; ``inf`` or ``nan`` of what is not finite."""
    if number.is_finite():
        return str(number.str(count, radius=False))
    return str(complex(number) if isinstance(number, acb) else float(number))


def _hull(low: float, high: float) -> str:
    """Both ends to a millionth of their distance: a ball's radius has no more than 30 bits."""
    if not low < high < math.inf:
        return f"[{low:g}, {high:g}]"
    places = 6 - math.ceil(math.log10(high - low))
    return f"[{round(low, places) + 0.0:g}, {round(high, places) + 0.0:g}]"
