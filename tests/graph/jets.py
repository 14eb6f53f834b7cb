"""Polynomials in one step s, cut after its third power: what f(x + s t) is along a direction."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

ORDER = 3


class Jet:
    """Coefficients of 1, s, s², s³; exact."""

    def __init__(self, *coefficients):
        self.c = [Fraction(one) for one in (*coefficients, *[0] * ORDER)][: ORDER + 1]

    def __add__(self, other):
        return Jet(*(a + b for a, b in zip(self.c, _jet(other).c, strict=True)))

    def __mul__(self, other):
        b = _jet(other).c
        return Jet(*(sum(self.c[i] * b[k - i] for i in range(k + 1)) for k in range(ORDER + 1)))

    def __truediv__(self, other):
        b, found = _jet(other).c, []
        for k in range(ORDER + 1):
            found.append((self.c[k] - sum(found[i] * b[k - i] for i in range(k))) / b[0])
        return Jet(*found)

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + _jet(other) * -1

    def __rsub__(self, other):
        return _jet(other) - self

    def __rtruediv__(self, other):
        return _jet(other) / self

    def __pow__(self, n):
        result = Jet(1)
        for _ in range(n):
            result = result * self
        return result

    def __lt__(self, other):
        return self.c[0] < _jet(other).c[0]

    def __gt__(self, other):
        return self.c[0] > _jet(other).c[0]

    def __le__(self, other):
        return not self > other

    def __ge__(self, other):
        return not self < other

    __radd__, __rmul__ = __add__, __mul__


def _jet(value) -> Jet:
    return value if isinstance(value, Jet) else Jet(value)


def moved(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """``x + s t``, entry by entry."""
    return np.frompyfunc(Jet, 2, 1)(x, t)


def coefficients(values: np.ndarray, power: int) -> list[Fraction]:
    """Of one power of s in every entry, flattened."""
    return [_jet(value).c[power] for value in np.asarray(values, dtype=object).flat]
