"""Set-valued primitives over real balls: what a function may be when its argument is only enclosed.

One rule carries kinks: a condition whose ball touches its boundary is undecided, and the value is
the hull of both sides. In exact mode (values, not derivatives) a condition between exact numbers
is decided, so that sign(0) is 0 and a jump has the value that the formula gives it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from flint import acb, arb, arb_series, ctx, fmpz


class Nowhere(Enum):
    """The answer of a condition whose operand has no value."""

    NOWHERE = "nowhere"


NOWHERE = Nowhere.NOWHERE
Condition = bool | Nowhere | None
"""True, False, nowhere, or None where the ball touches the boundary."""


@dataclass(slots=True)
class Contact:
    """What an evaluation met. It changes while one runs, as FLINT's own context does."""

    exact: bool = False
    touched: bool = False


CONTACT = Contact()


class working:  # noqa: N801 - a context, written like the function that it stands for
    """Evaluate in ``precision`` bits; the contact tells whether a boundary was met.

    A class, since it is entered for every number that is judged: half the cost of a generator.
    """

    __slots__ = ("before", "exact", "precision")

    def __init__(self, precision: int, *, exact: bool) -> None:
        self.precision, self.exact = precision, exact

    def __enter__(self) -> Contact:
        self.before = ctx.prec, CONTACT.exact
        ctx.prec, CONTACT.exact, CONTACT.touched = self.precision, self.exact, False
        return CONTACT

    def __exit__(self, *_exception: object) -> None:
        ctx.prec, CONTACT.exact = self.before


def _equal(a: arb, b: arb) -> bool:
    """Whether two balls hold one number: in exact mode by its value, else as one and the same.

    What moves and chooses numbers keeps their balls, so that the smallest of an array is the very
    ball of that entry: beside an input too one equals the other.
    """
    if CONTACT.exact and a.is_exact() and b.is_exact():
        return True
    return a is b and not a.is_nan()


def smaller(a: arb, b: arb) -> arb:
    return a if a < b else b if b < a else a.min(b)


def larger(a: arb, b: arb) -> arb:
    return a if a > b else b if b > a else a.max(b)


def _undecided(a: arb, b: arb) -> Condition:
    """The answer for equal numbers is the caller's; elsewhere there is none."""
    if a.is_nan() or b.is_nan():
        return NOWHERE
    CONTACT.touched = True
    return None


def less(a: arb, b: arb) -> Condition:
    if a < b:
        return True
    if a > b:
        return False
    if _equal(a, b):
        return False
    return _undecided(a, b)


def less_or_equal(a: arb, b: arb) -> Condition:
    if a < b:
        return True
    if a > b:
        return False
    if _equal(a, b):
        return True
    return _undecided(a, b)


def equal(a: arb, b: arb) -> Condition:
    if not a.overlaps(b) and not (a.is_nan() or b.is_nan()):
        return False
    if _equal(a, b):
        return True
    return _undecided(a, b)


def negation(a: Condition) -> Condition:
    return not a if isinstance(a, bool) else a


def both(a: Condition, b: Condition) -> Condition:
    if a is False or b is False:
        return False
    if a is NOWHERE or b is NOWHERE:
        return NOWHERE
    return None if a is None or b is None else True


def either(a: Condition, b: Condition) -> Condition:
    if a is True or b is True:
        return True
    if a is NOWHERE or b is NOWHERE:
        return NOWHERE
    return None if a is None or b is None else False


def where(condition: Condition, a: arb, b: arb) -> arb:
    if condition is NOWHERE:
        return arb.nan()
    if condition is None:
        return a.union(b) if a.is_finite() and b.is_finite() else arb.nan()
    return a if condition else b


def sign(x: arb) -> arb:
    if x > 0:
        return arb(1)
    if x < 0:
        return arb(-1)
    if CONTACT.exact and x.is_zero():
        return arb(0)
    CONTACT.touched = True
    return arb(0, 1) if x.is_finite() else arb.nan()


def heaviside(x: arb, at_zero: arb) -> arb:
    if x > 0:
        return arb(1)
    if x < 0:
        return arb(0)
    if CONTACT.exact and x.is_zero():
        return at_zero
    CONTACT.touched = True
    return arb(0).union(arb(1)).union(at_zero) if x.is_finite() else arb.nan()


def floor(x: arb) -> arb:
    result = x.floor()
    if not x.contains_integer():
        return result
    CONTACT.touched = True
    if result.is_exact() and not (CONTACT.exact and x.is_exact()):
        return result.union(result - 1)  # the ball only reaches down to the jump
    return result


def ceiling(x: arb) -> arb:
    return -floor(-x)


def round_half_even(x: arb) -> arb:
    if x.is_integer():
        return x
    shifted = x + arb(1) / 2
    result = shifted.floor()
    if not shifted.contains_integer():
        return result
    CONTACT.touched = True
    if CONTACT.exact and x.is_exact() and shifted.is_exact():
        return result if (result / 2).is_integer() else result - 1
    return result.union(result - 1)


def integer_power(x: arb, n: int) -> arb:
    """``x**n`` for an integer n >= 0; FLINT gives nan for an inexact ball around 0."""
    if n == 0:
        return 0 * x + 1  # undefined where x is
    power = x**n
    if not power.is_nan() or x.is_exact() or not x.mid().is_zero():
        return power
    bound = abs(x).upper() ** n
    return bound.union(-bound if n % 2 else arb(0))


def real_power(x: arb, y: arb) -> arb:
    """``x**y`` on the reals: undefined for a negative base unless the exponent is an integer."""
    if y.is_exact() and y.is_integer():
        n = int(y.unique_fmpz() or 0)
        if abs(n) < 1 << 40:
            return integer_power(x, n) if n >= 0 else 1 / integer_power(x, -n)
    if x > 0:
        return x**y
    if x.is_zero():
        return arb(0) if y > 0 else arb.nan()
    if x >= 0 and y > 0:
        return (x.upper() ** y).union(arb(0))
    return arb.nan()


def power_times_log(n: int, x: arb, y: arb) -> arb:
    """``x**y * log(x)**n``, with its limit 0 at x = 0 for y > 0."""
    if n == 0:
        return real_power(x, y)
    if x.is_zero():
        return arb(0) if y > 0 else arb.nan()
    return real_power(x, y) * integer_power(x.log(), n)


def cbrt(x: arb) -> arb:
    if x >= 0:
        return x.root(3)
    if x <= 0:
        return -((-x).root(3))
    bound = abs(x).upper().root(3).upper()
    return arb(0, bound)


def lgamma(x: arb) -> arb:
    """log |gamma(x)|, as PyTorch means lgamma."""
    return x.lgamma() if x > 0 else -abs(x.rgamma()).log()


def polygamma(n: int, x: arb) -> arb:
    if x.contains_integer() and not x > 0:
        return arb.nan()  # a pole, or too near to tell: FLINT would run for seconds
    if n == 0:
        return x.digamma()
    return acb(x).polygamma(acb(n)).real


def polygamma_series(n: int, s: arb_series) -> arb_series:
    """polygamma over a power series: Taylor's, whose k-th coefficient is polygamma(n + k) / k!."""
    start, *rest = s.coeffs() or [arb(0)]
    first = next((k for k, c in enumerate(rest, 1) if not c.is_zero()), ctx.cap)
    step = arb_series([arb(0), *rest], ctx.cap)
    found = arb_series([arb(0)], ctx.cap)
    for k in reversed(range(1 + (ctx.cap - 1) // first)):
        found = found * step + polygamma(n + k, start) / math.factorial(k)
    return found


def zeta(s: arb, q: arb) -> arb:
    return s.zeta(q) if s > 1 and q > 0 else arb.nan()


_NARROW = 20  # bits that the ends of a ball have in common


def bessel_j(n: int, x: arb) -> arb:
    return x.bessel_j(arb(fmpz(n)))


def bessel_i(n: int, x: arb) -> arb:
    """I_n; over a wide ball by its ends, since it grows with |x| (DLMF 10.37).

    There FLINT's would be far wider than the range, after seconds at some precisions.
    """
    order = arb(fmpz(n))
    if not x.is_finite() or x.rel_accuracy_bits() > _NARROW:
        return x.bessel_i(order)
    least, most = arb(x.abs_lower()).bessel_i(order), arb(x.abs_upper()).bessel_i(order)
    if n % 2 == 0 or x > 0:
        return least.union(most)
    return (-most).union(-least if x < 0 else most)


def erfc(x: arb) -> arb:
    """erfc, with its relative accuracy also where it is far below every float (DLMF 7.11.2)."""
    if not x > 32:
        return x.erfc()
    half = arb(1) / 2
    return (-x * x).exp() * (x * x).hypgeom_u(half, half) / arb.pi().sqrt()


def atan2(y: arb, x: arb) -> arb:
    if y.is_zero() and x.is_zero() and not CONTACT.exact:
        return arb.nan()
    if y.contains(0) and not x > 0:  # the cut, where the value jumps from pi to -pi
        CONTACT.touched = True
    if y.is_zero() and x <= 0:  # either: a float's zero has a sign, and numbers have none
        return arb.pi().union(-arb.pi())
    return arb.nan() if y.is_nan() or x.is_nan() else arb.atan2(y, x)  # FLINT: [-pi, pi]
