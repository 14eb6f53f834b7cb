"""What a constant factor is: a fraction, a length or constant of the case, or a number like pi."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

from gradcheck.run.session import Session

NEAR_ONE = 1e-3
"""A factor so near to 1 is a constant of too few digits."""
_EXACT = 1e-5
"""So well a factor must be known that is given a name which is no fraction: there are many."""
_ROUGH = 2e-2
"""The same of a fraction: there are few."""
_ROUNDING = 64.0
"""Units of rounding that a factor may be off by itself."""


def factor_text(factor: float, doubt: float, session: Session, *, of_mean: bool = False) -> str:
    """Return the factor, and what it is if that can be told: ``1/2``, ``3.14159 (pi)``.

    A name must meet the factor to within its doubt. ``of_mean``: it is known better than a number
    of the dtype, and told to as many digits.
    """
    if factor == 0:
        return "0"
    off = 8 * doubt / abs(factor)
    if of_mean:
        digits = math.ceil(-math.log10(max(doubt, 1e-12)))
        off, factor = off / 2, round(factor, digits)
        if factor == 0:
            return "0"
    else:
        off = max(off, min(_ROUNDING * session.dtype.unit_roundoff, _ROUGH))
    excess = factor - 1
    if abs(excess) < NEAR_ONE:
        digits = round(-math.log10(abs(excess)))
        text = f"1 {'-' if excess < 0 else '+'} {abs(excess):.3g}"
        return f"{text}: a constant of {digits} digits"
    size = abs(factor)
    fraction = _fraction(size) if off <= _ROUGH else ""
    fraction = fraction if fraction and abs(size / _value(fraction) - 1) <= off else ""
    names = _names(session, simple=bool(fraction)) if fraction or off <= _EXACT else ()
    told = (text for text, value in names if abs(size / value - 1) <= off)
    name = " or ".join(itertools.islice(told, 2 if fraction else 1))
    number = f"{'-' if factor < 0 else ''}{fraction or f'{size:.6g}'}"
    return f"{number} ({name})" if name else number


def term_text(
    text: str, excess: float, doubt: float, session: Session, *, of_mean: bool = False
) -> str:
    """Return what error of a term makes ``excess`` of its derivative too many."""
    for known, told in (
        (-1.0, "a missing term"),
        (-2.0, "the sign of a term"),
        (1.0, "a term twice"),
    ):
        if abs(excess - known) <= max(1e-6, 4 * doubt):
            return f"{told}: {text}"
    factor = factor_text(1 + excess, doubt, session, of_mean=of_mean)
    return f"a factor of {factor} in a term: {text}"


def _fraction(size: float) -> str:
    """The simple fraction nearest to a number."""
    nearest = min(_FRACTIONS, key=lambda pair: abs(size * pair[1] / pair[0] - 1))
    above, below = nearest
    return str(above) if below == 1 else f"{above}/{below}"


_FRACTIONS = [
    (above, below)
    for below, above in itertools.product(range(1, 13), range(1, 33))
    if math.gcd(above, below) == 1 and (below == 1 or above < 6)
]


def _value(fraction: str) -> float:
    above, _, below = fraction.partition("/")
    return int(above) / int(below or 1)


def _names(session: Session, *, simple: bool) -> Iterator[tuple[str, float]]:
    """Numbers that a factor may be, with their names; ``simple``: those of the case alone."""
    constants = [each for each in _constants_of(session) if each[1] != 1]
    own = [*constants, *(each for each in _lengths_of(session) if each[1] != 1)]
    for name, value in own:
        yield from ((name, value), (f"1/{name}", 1 / value))
    for name, value in constants if simple else own:
        yield from ((f"{name}**2", value**2), (f"1/{name}**2", value**-2))
    if simple:
        return
    for name, value in own:
        yield from ((f"sqrt({name})", value**0.5), (f"1/sqrt({name})", value**-0.5))
    for name, value in _CONSTANTS.items():
        yield from ((name, value), (f"1/{name}", 1 / value))
        yield from ((f"{name}/2", value / 2), (f"2*{name}", 2 * value), (f"2/{name}", 2 / value))
        for text, number in ((name, value), (f"2*{name}", 2 * value), (f"{name}/2", value / 2)):
            yield from ((f"sqrt({text})", number**0.5), (f"1/sqrt({text})", number**-0.5))
    yield "sqrt(2)", math.sqrt(2)
    yield "1/sqrt(2)", math.sqrt(0.5)


_CONSTANTS = {
    "pi": math.pi,
    "log(2)": math.log(2),
    "log(10)": math.log(10),
    "e": math.e,
    "180/pi": 180 / math.pi,
}


def _constants_of(session: Session) -> Iterator[tuple[str, float]]:
    """The constants and swept values of the case."""
    for name, value in {**session.case.constants, **session.variant.values}.items():
        if isinstance(value, int | float | Fraction) and value > 0:
            yield name, float(value)


def _lengths_of(session: Session) -> Iterator[tuple[str, float]]:
    """The lengths and sizes of its arrays."""
    for port in (*session.variant.formula.ports, *session.variant.formula.judged):
        name, several = port.name or "y", len(port.shape) > 1
        if several:
            yield f"the number of entries of {name}", float(math.prod(port.shape))
        for axis, length in enumerate(port.shape):
            yield f"the length of {name}{f' along {axis}' if several else ''}", float(length)
