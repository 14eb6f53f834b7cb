"""Series along a line, x + v t for t from 0 upwards, in s with t = s⁶: roots of t have one too.

An entry of an array is a ``Series``, UNKNOWN (no expansion is known) or MISSING (it is proved that
there is no finite value near the point along this line). What hangs on one input entry alone is
expanded in that one, to both sides (``Sides``): so sin(x)/x has a series along every line, also
where x stands still.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

import numpy as np
from flint import arb, arb_series, ctx

from gradcheck.graph.graph import Frozen, Graph, Operation
from gradcheck.ops.balls import integer_power
from gradcheck.ops.table import OPERATORS
from gradcheck.query import Array
from gradcheck.reference.ball_arrays import constant_balls

RAMIFICATION = 6
TERMS = 10 * RAMIFICATION
SMALL = 2.0**-300
"""What cancels is proved to be smaller, in the bits that limits are computed in."""


class Missing(Enum):
    """What stands for an entry without a series."""

    UNKNOWN = 0
    MISSING = 1


UNKNOWN, MISSING = Missing.UNKNOWN, Missing.MISSING


@dataclass(frozen=True, slots=True)
class Series:
    """s**valuation times a series whose first coefficients are known, the others not."""

    valuation: int
    known: tuple[arb, ...]

    def coefficient(self, power: int) -> arb | None:
        """The coefficient of s**power; None beyond the known ones."""
        k = power - self.valuation
        if k < 0:
            return arb(0)
        return self.known[k] if k < len(self.known) else None


@dataclass(frozen=True, slots=True)
class Sides:
    """What hangs on one input entry alone, beside the point: series, conditions or their absence.

    A constant hangs on none: its ``entry`` is None. ``velocity`` is that of the line.
    """

    entry: int | None
    velocity: arb
    right: Any
    left: Any


class _NoSeries(Exception):
    """An operation whose result has no series, as far as is known (or certainly none)."""

    def __init__(self, kind: Missing = UNKNOWN) -> None:
        super().__init__(kind)
        self.kind = kind


class Lines:
    """The algebra of series. An input holds pairs of its point and its direction."""

    nothing = Series(0, (arb(0),) * TERMS)
    zero: Any = Sides(None, arb(0), nothing, nothing)

    def add(self, a: Array, b: Array) -> Array:
        return np.asarray(_total(a, b), dtype=object)

    def apply(self, graph: Graph, index: int, values: Sequence[Array]) -> Array:
        node = graph.nodes[index]
        if node.op == "constant":
            return _constant(node)
        if node.op == "detach":
            return values[0]
        if node.op == "sum":
            assert isinstance(node.attr, tuple)
            return _summed(values[0], node)
        if node.op == "bmm":
            a, b = values
            return _contracted(_product(a[..., :, :, None], b[..., None, :, :]), -2)
        if node.op not in OPERATORS:
            rows = max(value.shape[0] for value in values)
            return np.full((rows, *node.shape), UNKNOWN, dtype=object)
        square = node.op == "mul" and node.args[0] == node.args[1]
        ufunc = _square if square else _kernel(node.op, node.attr)
        return np.asarray(ufunc(*(values[:1] if square else values)), dtype=object)


def line(entry: int, point: Any, velocity: arb) -> Sides:
    """One input entry, by its number."""
    known = [arb(0)] * TERMS
    known[0] = arb(point)
    sides = []
    for slope in (1, -1):
        known[RAMIFICATION] = arb(slope)
        sides.append(Series(0, tuple(known)))
    return Sides(entry, velocity, *sides)


def _constant(node: Operation) -> Array:
    if node.kind == "bool":
        assert isinstance(node.attr, Frozen)
        return node.attr.array[None]
    return np.asarray(_fixed(constant_balls(node)), dtype=object)


def standing(ball: Any) -> Any:
    """One that does not move, of which a ball is known."""
    if not isinstance(ball, arb):
        return UNKNOWN
    series = Series(0, (ball, *(arb(0),) * (TERMS - 1)))
    return Sides(None, arb(0), series, series)


_fixed = np.frompyfunc(standing, 1, 1)


def _summed(x: Array, node: Operation) -> Array:
    assert isinstance(node.attr, tuple)
    for axis in sorted(node.attr, reverse=True):
        x = _contracted(x, axis + 1)
    return x


def _contracted(x: Array, axis: int) -> Array:
    parts = np.moveaxis(x, axis, 0)
    total = np.full(parts.shape[1:], Lines.zero, dtype=object)
    for part in parts:
        total = np.asarray(_total(total, part), dtype=object)
    return total


# arithmetic


def _stripped(a: Series) -> Series:
    """The same, begun with its first coefficient that is not exactly 0."""
    k = next((k for k, c in enumerate(a.known) if not c.is_zero()), len(a.known))
    return Series(a.valuation + k, a.known[k:])


def _sum_of(a: Series, b: Series) -> Series:
    low = min(a.valuation, b.valuation)
    end = min(a.valuation + len(a.known), b.valuation + len(b.known), low + TERMS)
    pairs = ((a.coefficient(k), b.coefficient(k)) for k in range(low, end))
    return Series(low, tuple(x + y for x, y in pairs if x is not None and y is not None))


def _product_of(a: Series, b: Series) -> Series:
    count = min(len(a.known), len(b.known), TERMS)
    found = _coefficients(_flint(a.known) * _flint(b.known), count)
    return Series(a.valuation + b.valuation, found)


def _quotient_of(a: Series, b: Series) -> Series:
    b = _stripped(b)
    if not b.known or b.known[0].contains(0):
        raise _NoSeries
    a = _stripped(a)
    count = min(len(a.known), len(b.known))
    if all(c.is_zero() for c in b.known[1:]):  # so that what is exact stays so
        found = tuple(c / b.known[0] for c in a.known[:count])
    else:
        found = _coefficients(_flint(a.known[:count]) / _flint(b.known[:count]), count)
    return Series(a.valuation - b.valuation, found)


def _root_of(degree: int, a: Series) -> Series:
    a = _stripped(a)
    if not a.known:
        raise _NoSeries
    if a.known[0] < 0 and degree == 2:
        raise _NoSeries(MISSING)
    if a.known[0] < 0:
        return _negative(_root_of(degree, _negative(a)))
    if a.valuation % degree or not a.known[0] > 0:
        raise _NoSeries
    root = _flint(a.known)
    root = root.sqrt() if degree == 2 else (root.log() / degree).exp()
    return Series(a.valuation // degree, _coefficients(root, len(a.known)))


def _negative(a: Series) -> Series:
    return Series(a.valuation, tuple(-c for c in a.known))


def _power_of(n: int, a: Series) -> Series:
    if n == 0:
        return Lines.nothing if not a.known else _sum_of(_scaled(a, 0), _one())
    base = a if n > 0 else _quotient_of(_one(), a)
    found = base
    for _ in range(abs(n) - 1):
        found = _product_of(found, base)
    return _sharpened(_stripped(base), found, abs(n))


def _sharpened(base: Series, power: Series, n: int) -> Series:
    """A power whose first coefficient is that of a power: the square of a ball is not negative."""
    if not base.known:
        return power
    power = _stripped(power)
    if power.valuation != n * base.valuation or not power.known:
        return power
    return Series(power.valuation, (integer_power(base.known[0], n), *power.known[1:]))


def _one() -> Series:
    return Series(0, (arb(1), *(arb(0),) * (TERMS - 1)))


def _scaled(a: Series, factor: int) -> Series:
    return Series(a.valuation, tuple(c * factor for c in a.known))


def _flint(known: Sequence[arb]) -> arb_series:
    return arb_series(list(known), len(known))


def _coefficients(series: arb_series, count: int) -> tuple[arb, ...]:
    found = series.coeffs()[:count]
    return (*found, *(arb(0),) * (count - len(found)))


# functions


def _sign(a: Series) -> int:
    """The sign for small positive t. Raise _NoSeries where no known term decides."""
    for c in a.known:
        if c > 0:
            return 1
        if c < 0:
            return -1
        if not c.is_zero():
            break
    raise _NoSeries


def _difference(a: Series, b: Series) -> int:
    return _sign(_sum_of(a, _negative(b)))


def _regular(name: str, parameter: Any, a: Series) -> Series:
    """A function that is analytic at the point, by FLINT's series."""
    entry = OPERATORS[name]
    start = a.valuation
    if start < 0:
        a = _stripped(a)
        start = a.valuation
    if start < 0 or not a.known:
        raise _NoSeries
    known = ((arb(0),) * start + a.known)[:TERMS]
    _check_domain(name, Series(0, known))
    if entry.series is None:
        if all(c.is_zero() for c in known[1:]):
            return Series(0, (entry.ball(*_with(parameter), known[0]), *known[1:]))
        raise _NoSeries
    found = _coefficients(entry.series(*_with(parameter), _flint(known)), len(known))
    if not all(c.is_finite() for c in found):
        raise _NoSeries
    return Series(0, found)


def _with(parameter: Any) -> tuple[Any, ...]:
    return () if parameter is None else (parameter,)


_EDGES: dict[str, tuple[tuple[int, int, bool], ...]] = {
    "log": ((0, 1, True),), "log2": ((0, 1, True),), "log10": ((0, 1, True),),
    "log1p": ((-1, 1, True),), "asin": ((-1, 1, False), (1, -1, False)),
    "acos": ((-1, 1, False), (1, -1, False)), "acosh": ((1, 1, False),),
    "atanh": ((-1, 1, True), (1, -1, True)), "erfinv": ((-1, 1, True), (1, -1, True)),
}  # fmt: skip
"""Ends of the real domain: the number, the side inside, and whether there is no value at it."""


def _check_domain(name: str, a: Series) -> None:
    for end, inside, open_end in _EDGES.get(name, ()):
        offset = _sum_of(a, _negative(_scaled(_one(), end)))
        if all(c.is_zero() for c in offset.known):
            raise _NoSeries(MISSING if open_end else UNKNOWN)
        outside = _sign(offset) != inside
        if outside or (open_end and offset.known[0].is_zero()):
            raise _NoSeries(MISSING)


def _real_power(a: Series, b: Series) -> Series:
    """a**b. What grows like t has a power of every constant exponent that makes a power of s."""
    a, exponent = _stripped(a), b.coefficient(0)
    if b.valuation < 0 or exponent is None or not a.known:
        raise _NoSeries
    if a.known[0] < 0:
        raise _NoSeries(UNKNOWN if exponent.contains_integer() else MISSING)
    valuation = a.valuation * exponent
    constant = all(c.is_zero() for c in b.known[1:])
    if not a.known[0] > 0 or not (a.valuation == 0 or (constant and valuation.is_integer())):
        raise _NoSeries
    found = _regular("exp", None, _product_of(b, _regular("log", None, Series(0, a.known))))
    return Series(int(valuation.unique_fmpz() or 0), found.known)


# at 0, -1, -2, ...: the shift to 1, by gamma(x + 1) = x gamma(x)


MOST_SHIFTS = 64


def _shifts(a: Series) -> int:
    """How many steps of 1 lead from a pole to 1; 0 elsewhere, and where a pole is not exact."""
    start = a.coefficient(0)
    if a.valuation < 0 or start is None or not (start.is_exact() and start.is_integer()):
        return 0
    if start > 0 or not start > -MOST_SHIFTS:
        return 0
    if all(c.is_zero() for c in a.known[1 - a.valuation :]):
        raise _NoSeries(MISSING)  # it stays there
    return 1 - int(start.unique_fmpz() or 0)


def _shifted(a: Series, k: int) -> Series:
    return _sum_of(a, _scaled(_one(), k))


def _gamma(a: Series) -> Series:
    """Γ(x) = Γ(x + m) / (x (x + 1) ... (x + m - 1)), DLMF 5.5.1."""
    m = _shifts(a)
    found = _regular("gamma", None, _shifted(a, m))
    for k in range(m):
        found = _quotient_of(found, _shifted(a, k))
    return found


def _log_of_gamma(a: Series) -> Series:
    """At a pole it grows like a logarithm, which is no power."""
    if _shifts(a):
        raise _NoSeries(MISSING)
    return _regular("lgamma", None, a)


def _polygamma(n: int, a: Series) -> Series:
    """ψₙ(x) = ψₙ(x + m) - (-1)ⁿ n! times the sum of 1/(x + k)ⁿ⁺¹ for k < m, DLMF 5.15.5."""
    m = _shifts(a)
    found = _regular("polygamma", n, _shifted(a, m))
    factor = -((-1) ** n) * math.factorial(n)
    for k in range(m):
        found = _sum_of(found, _scaled(_power_of(-n - 1, _shifted(a, k)), factor))
    return found


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": _sum_of,
    "sub": lambda a, b: _sum_of(a, _negative(b)),
    "mul": _product_of, "div": _quotient_of, "neg": _negative, "ipow": _power_of,
    "sqrt": partial(_root_of, 2), "cbrt": partial(_root_of, 3), "pow": _real_power,
    "lt": lambda a, b: _difference(a, b) < 0,
    "le": lambda a, b: _difference(a, b) < 0,
    "eq": lambda a, b: _difference(a, b) == 0,
    "not": lambda a: not a, "and": lambda a, b: a and b, "or": lambda a, b: a or b,
    "abs": lambda a: a if _sign(a) > 0 else _negative(a),
    "sign": lambda a: _scaled(_one(), _sign(a)),
    "min": lambda a, b: a if _difference(a, b) < 0 else b,
    "max": lambda a, b: a if _difference(a, b) > 0 else b,
    "gamma": _gamma, "lgamma": _log_of_gamma,
    "digamma": partial(_polygamma, 0), "polygamma": _polygamma,
}  # fmt: skip


def _guarded(function: Callable[..., Any], *args: Any) -> Any:
    for absent in (MISSING, UNKNOWN):
        if any(arg is absent for arg in args):
            return absent
    try:
        return function(*args)
    except _NoSeries as error:
        return error.kind
    except (ValueError, ZeroDivisionError, TypeError, NotImplementedError):
        return UNKNOWN


def _chosen(condition: Any, a: Any, b: Any) -> Any:
    if isinstance(condition, Missing):
        return condition
    return a if condition else b


def _kernel(op: str, parameter: Any) -> Any:
    entry = OPERATORS[op]
    if op == "where":
        return np.frompyfunc(partial(_on_sides, _chosen), 3, 1)
    function = _FUNCTIONS.get(op)
    if function is None:
        function = partial(_regular, op, parameter) if entry.arity == 1 else _no_series
    elif entry.parameter:
        function = partial(function, parameter)
    return _lifted(function, entry.arity)


def _no_series(*_args: Any) -> Any:
    raise _NoSeries


def _lifted(function: Callable[..., Any], arity: int) -> Any:
    return np.frompyfunc(partial(_on_sides, partial(_guarded, function)), arity, 1)


# one input entry alone


def _on_sides(function: Callable[..., Any], *args: Any) -> Any:
    """A function on both sides of one input entry; along the line, where several meet."""
    sides = [arg for arg in args if isinstance(arg, Sides)]
    moving = [each for each in sides if each.entry is not None]
    alone = all(isinstance(arg, Sides | bool) for arg in args)
    if not alone or len({each.entry for each in moving}) > 1 or not sides:
        return function(*map(on_line, args))
    right = function(*(arg.right if isinstance(arg, Sides) else arg for arg in args))
    if not moving:
        return Sides(None, sides[0].velocity, right, right)
    left = function(*(arg.left if isinstance(arg, Sides) else arg for arg in args))
    return Sides(moving[0].entry, moving[0].velocity, right, left)


def on_line(value: Any) -> Any:
    """What a value is along the line."""
    if not isinstance(value, Sides):
        return value
    if value.entry is None or value.velocity > 0:
        return _paced(value.right, value.velocity if value.entry is not None else arb(1))
    if value.velocity < 0:
        return _paced(value.left, -value.velocity)
    if not isinstance(value.right, Series) or not isinstance(value.left, Series):
        return value.right if value.right is value.left else UNKNOWN
    return _paced(_two_sided(value.right, value.left), value.velocity)


def _paced(series: Any, velocity: arb) -> Any:
    """The series of f(x + v t) from that of f(x + t)."""
    if not isinstance(series, Series) or velocity == 1:
        return series
    powers = range(series.valuation, series.valuation + len(series.known))
    moved = (c if c.is_zero() else c * _pace(velocity, k)
             for k, c in zip(powers, series.known, strict=True))  # fmt: skip
    return Series(series.valuation, tuple(moved))


def _pace(velocity: arb, power: int) -> arb:
    if power % RAMIFICATION:
        return velocity ** (arb(power) / RAMIFICATION)
    whole = integer_power(velocity, abs(power) // RAMIFICATION)
    return whole if power >= 0 else 1 / whole


def _two_sided(right: Series, left: Series) -> Any:
    """Taylor's series, as far as both sides have the same."""
    start = min(right.valuation, left.valuation)
    known: list[arb] = []
    for power in range(start, TERMS):
        a, b = right.coefficient(power), left.coefficient(power)
        if a is None or b is None:
            break
        b = -b if power // RAMIFICATION % 2 else b
        whole = power >= 0 and power % RAMIFICATION == 0
        if not (abs(a - b) < SMALL and (whole or (abs(a) < SMALL and abs(b) < SMALL))):
            break
        if power >= 0:
            known.append(a.union(b) if whole else arb(0))
    return Series(max(start, 0), tuple(known)) if known else UNKNOWN


class capped:  # noqa: N801 - a context, written like the function that it stands for
    """Let FLINT's series have as many terms as ours."""

    def __enter__(self) -> None:
        self.before, ctx.cap = ctx.cap, TERMS

    def __exit__(self, *_exception: object) -> None:
        ctx.cap = self.before


_total = _lifted(_sum_of, 2)
_product = _lifted(_product_of, 2)
_square = _lifted(partial(_power_of, 2), 1)
