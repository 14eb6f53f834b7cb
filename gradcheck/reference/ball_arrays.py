"""Balls over arrays: object arrays of ``arb`` and ``acb`` at the precision in force.

Conditions are arrays of True, False, None (undecided) and NOWHERE. Where a condition or a jump is
not decided, a mask of the entries is kept by its node: ``branches`` decides them both ways.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from flint import acb, acb_mat, arb, arb_mat, fmpq

from gradcheck.dtypes import FLOAT64, Dtype
from gradcheck.graph.graph import Frozen, Graph, Operation
from gradcheck.ops.balls import CONTACT, NOWHERE, working
from gradcheck.ops.table import OPERATORS
from gradcheck.query import Array

START_BITS = 128
MOST_BITS = 16_384
SETTLED_BITS = 73
"""Relative accuracy at which a ball is narrow enough: 20 bits beyond float64."""
TINY = arb(2) ** -1200
"""Far below half of float64's smallest subnormal: a value proved smaller counts as 0."""
ZERO = arb(0)

DECIDED = frozenset({"lt", "le", "eq", "sign", "heaviside", "floor", "ceil", "round", "atan2"})
"""Operators that a ball may leave undecided; all others follow from them."""
EXACT_IF_SUBNORMAL = frozenset({
    "add", "sub", "neg", "conj", "real", "imag", "complex", "abs", "where", "min", "max",
    *(DECIDED - {"atan2"}),
})  # fmt: skip
"""Operators whose results are multiples of the smallest subnormal, as their arguments are."""

_NAMED: dict[str, Callable[[], Any]] = {
    "pi": arb.pi, "e": arb.const_e, "inf": arb.pos_inf, "I": lambda: acb(0, 1),
}  # fmt: skip
_UFUNCS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.true_divide,
    "neg": np.negative,
}  # fmt: skip


class Balls:
    """The algebra of balls. It changes while it runs: ``undecided`` collects masks by node.

    ``decisions`` states the sign of each difference that a node of ``DECIDED`` looks at
    (+1, -1; 0 leaves it to the balls). ``varying`` are the nodes that depend on inputs: the others
    are decided exactly. A ``dtype`` adds what rounding in it can do besides: to each contraction
    by every one of its products and sums, since FLINT rounds a dot product once, and to a result
    below the normal numbers by half the smallest subnormal.

    Shapes: a decision [count or 1, *shape of the node].
    """

    zero = ZERO

    def __init__(
        self,
        decisions: Mapping[int, Array] | None = None,
        *,
        dtype: Dtype | None = None,
    ) -> None:
        self.decisions, self.dtype = decisions or {}, dtype
        self.undecided: dict[int, Array] = {}
        self._varying: dict[int, bool] = {}

    def add(self, a: Array, b: Array) -> Array:
        return np.asarray(a + b, dtype=object)

    def apply(self, graph: Graph, index: int, values: Sequence[Array]) -> Array:
        node = graph.nodes[index]
        if node.op == "constant":
            return constant_balls(node)
        if node.op in _STRUCTURE:
            return np.asarray(_STRUCTURE[node.op](node, values), dtype=object)
        if node.op in _MATRICES:
            return self._matrices(node, values)
        if node.op in DECIDED and node.kind != "complex":
            return self._watched(graph, index, values)
        found = elementwise_balls(node, values)
        if self.dtype is None or node.op in EXACT_IF_SUBNORMAL or node.kind == "bool":
            return found
        return _of_smallest(found, self.dtype)

    def _matrices(self, node: Operation, values: Sequence[Array]) -> Array:
        result = _by_matrix(node, values)
        if self.dtype is None or node.op != "bmm":
            return result
        a, b = (np.asarray(magnitudes(value)) for value in values)
        least = self.dtype.smallest_normal * ((a > 0).astype(float) @ (b > 0))
        bound = self.dtype.unit_roundoff * (node_terms(values[0]) * (a @ b) + least)
        return np.asarray(result + _around_zero(bound), dtype=object)

    def _watched(self, graph: Graph, index: int, values: Sequence[Array]) -> Array:
        """The result of a node that may be undecided; what is, is noted."""
        node = graph.nodes[index]
        before, CONTACT.exact = CONTACT.exact, CONTACT.exact or not self._varies(graph, index)
        result, touched = _watching(node.op, node.attr)(*values)
        CONTACT.exact = before
        mask = np.asarray(touched, dtype=bool)
        if not mask.any():
            return np.asarray(result, dtype=object)
        decision = self.decisions.get(index)
        if decision is not None:
            signs = np.broadcast_to(decision, np.broadcast_shapes(decision.shape, mask.shape))
            mask = np.broadcast_to(mask, signs.shape) & (signs == 0)
            values = [np.broadcast_to(value, signs.shape) for value in values]
            result = np.where(signs == 0, result, _FORCED[node.op](signs, *values))
        if mask.any():
            self.undecided[index] = mask
        return np.asarray(result, dtype=object)

    def _varies(self, graph: Graph, index: int) -> bool:
        found = self._varying.get(index)
        if found is None:
            nodes = graph.ancestors([index])
            found = any(graph.nodes[node].op == "input" for node in nodes)
            self._varying[index] = found
        return found


def touched_rows(balls: Balls, count: int) -> Array:
    """Which points met an undecided condition.

    Shapes: [count].
    """
    found = np.zeros(count, dtype=bool)
    for mask in balls.undecided.values():
        found |= mask.reshape(mask.shape[0], -1).any(axis=1)
    return found


# entry by entry


def elementwise_balls(node: Operation, values: Sequence[Array]) -> Array:
    """The result of an operator of the table, at the precision in force; no mask is kept."""
    if node.kind == "complex":
        kernel, values = _complex_kernel(node.op, node.attr), [_lifted(each) for each in values]
    else:
        kernel = _UFUNCS.get(node.op) or _kernel(node.op, node.attr)
    with np.errstate(invalid="ignore"):  # FLINT's own floats may be nan on the way
        return np.asarray(kernel(*values), dtype=object)


@cache
def _kernel(op: str, parameter: Any) -> Any:
    entry = OPERATORS[op]
    function = partial(entry.ball, parameter) if entry.parameter else entry.ball
    return np.frompyfunc(function, entry.arity, 1)


@cache
def _watching(op: str, parameter: Any) -> Any:
    """The kernel with a second result: whether it met its boundary."""
    entry = OPERATORS[op]

    def watched(*args: Any) -> tuple[Any, bool]:
        CONTACT.touched = False
        return entry.ball(*args), CONTACT.touched

    return np.frompyfunc(watched, entry.arity, 2)


@cache
def _complex_kernel(op: str, parameter: Any) -> Any:
    entry = OPERATORS[op]
    function = _COMPLEX.get(op) or getattr(acb, op)
    if entry.parameter and op in _COMPLEX:
        function = partial(function, parameter)

    def whole(*args: Any) -> acb:
        """FLINT gives a pole at a real number the imaginary part 0, where it has none."""
        found = function(*args)
        return found if found.is_finite() else _NO_COMPLEX

    return np.frompyfunc(whole, entry.arity, 1)


_NO_COMPLEX = acb(arb.nan(), arb.nan())


def _complex_power(n: int, z: acb) -> acb:
    if n == 0:
        return 0 * z + 1
    return z**n if n > 0 else 1 / z**-n


def _complex_where(condition: Any, a: acb, b: acb) -> acb:
    if condition is NOWHERE:
        return _NO_COMPLEX
    if condition is None:
        return acb(a.real.union(b.real), a.imag.union(b.imag))
    return a if condition else b


_COMPLEX: dict[str, Callable[..., Any]] = {
    "add": acb.__add__, "sub": acb.__sub__, "mul": acb.__mul__, "div": acb.__truediv__,
    "neg": acb.__neg__, "ipow": _complex_power, "where": _complex_where,
    "pow": lambda a, b: (b * a.log()).exp(),
    "powlog": lambda n, a, b: (b * a.log()).exp() * a.log() ** n,
    "exp2": lambda z: (z * arb(2).log()).exp(),
    "log2": lambda z: z.log() / arb(2).log(),
    "log10": lambda z: z.log() / arb.const_log10(),
}  # fmt: skip

_to_complex = np.frompyfunc(
    lambda z: z if isinstance(z, (acb, bool)) or z is None else acb(z), 1, 1
)


def _lifted(values: Array) -> Array:
    return np.asarray(_to_complex(values), dtype=object)


def constant_balls(node: Operation) -> Array:
    if isinstance(node.attr, str):
        return _single(_NAMED[node.attr]())
    assert isinstance(node.attr, Frozen)
    if node.kind == "bool":
        return node.attr.array[None]
    return np.asarray(_rational(node.attr.array[None]), dtype=object)


_rational = np.frompyfunc(lambda q: arb(fmpq(q.numerator, q.denominator)), 1, 1)


def _single(value: Any) -> Array:
    array = np.empty(1, dtype=object)
    array[0] = value
    return array


# forced decisions: the sign of the difference stands for the whole comparison


def _floor_below(signs: Array, x: Array, *, shift: float = 0.0) -> Array:
    """The integer on the chosen side of the jump that ``x + shift`` touches."""
    place = np.frompyfunc(lambda b: (b + shift + 0.5).mid().floor(), 1, 1)(x)
    return np.asarray(place - (signs < 0), dtype=object)


_to_arb = np.frompyfunc(arb, 1, 1)

_FORCED: dict[str, Callable[..., Any]] = {
    "lt": lambda signs, a, b: (signs < 0).astype(object),
    "le": lambda signs, a, b: (signs < 0).astype(object),
    "eq": lambda signs, a, b: np.zeros(signs.shape, dtype=bool).astype(object),
    "sign": lambda signs, x: _to_arb(signs),
    "heaviside": lambda signs, x, at_zero: _to_arb((signs > 0).astype(int)),
    "floor": _floor_below,
    "ceil": lambda signs, x: _floor_below(signs, x) + 1,
    "round": lambda signs, x: _floor_below(signs, x, shift=0.5),
    "atan2": lambda signs, y, x: np.where(signs > 0, _atan2(abs(y), x), -_atan2(abs(y), x)),
}
"""In terms of the difference of the arguments; of ``y`` for atan2, of x less the place of the jump
for floor, ceil and round."""

_atan2: Any = np.frompyfunc(arb.atan2, 2, 1)


# structure


def _sum(node: Operation, values: Sequence[Array]) -> Array:
    x, axes = values[0], node.attr
    assert isinstance(axes, tuple)
    if not x.size:
        return np.full((x.shape[0], *node.shape), ZERO, dtype=object)
    return np.asarray(np.add.reduce(x, axis=tuple(axis + 1 for axis in axes)), dtype=object)


def _cumsum(node: Operation, values: Sequence[Array]) -> Array:
    assert isinstance(node.attr, tuple)
    axis, reverse = node.attr
    x = np.flip(values[0], axis + 1) if reverse else values[0]
    total = np.add.accumulate(x, axis=axis + 1)
    return np.flip(total, axis + 1) if reverse else total


def _entrywise(
    function: Callable[..., Any], arity: int
) -> Callable[[Operation, Sequence[Array]], Array]:
    ufunc = np.frompyfunc(function, arity, 1)
    return lambda _node, values: np.asarray(ufunc(*values), dtype=object)


_STRUCTURE: dict[str, Callable[[Operation, Sequence[Array]], Array]] = {
    "detach": lambda _node, values: values[0],
    "sum": _sum,
    "cumsum": _cumsum,
    "conj": _entrywise(lambda z: acb(z).conjugate(), 1),
    "real": _entrywise(lambda z: acb(z).real, 1),
    "imag": _entrywise(lambda z: acb(z).imag, 1),
    "complex": _entrywise(acb, 2),
}

_MATRICES: dict[str, Callable[..., Any]] = {
    "bmm": lambda a, b: a * b,
    "inverse": lambda a: a.inv(),
    "solve": lambda a, b: a.solve(b),
}


def _by_matrix(node: Operation, values: Sequence[Array]) -> Array:
    """FLINT's matrices, one by one; nan where a matrix is not proved to be regular."""
    matrix = acb_mat if node.kind == "complex" else arb_mat
    lead = np.broadcast_shapes(*(value.shape[:-2] for value in values))
    spread = [np.broadcast_to(value, (*lead, *value.shape[-2:])) for value in values]
    out = np.empty((*lead, *node.shape[-2:]), dtype=object)
    out[...] = ZERO
    if not out.size or not all(value.size for value in spread):
        return out
    for k in np.ndindex(*lead):
        try:
            found = _MATRICES[node.op](*(matrix(value[k].tolist()) for value in spread))
        except ZeroDivisionError:
            out[k] = _NO_COMPLEX if node.kind == "complex" else arb.nan()
        else:
            entries = np.empty(out.shape[-2] * out.shape[-1], dtype=object)
            entries[:] = found.entries()
            out[k] = entries.reshape(out.shape[-2:])
    return out


def node_terms(left: Array) -> int:
    """How many products each entry of a contraction adds."""
    return int(left.shape[-1])


# in and out


def lift(numbers: Array) -> Array:
    """Exact balls of floats, real or complex."""
    numbers = np.asarray(numbers)
    if numbers.dtype == object:
        return numbers
    if np.iscomplexobj(numbers):
        exact = np.frompyfunc(lambda z: acb(z.real, z.imag), 1, 1)
        return np.asarray(exact(numbers.astype(complex)), dtype=object).reshape(numbers.shape)
    exact = np.frompyfunc(arb, 1, 1)
    return np.asarray(exact(numbers.astype(float)), dtype=object).reshape(numbers.shape)


def is_finite(balls: Array) -> Array:
    return np.asarray(_finite(balls)).astype(bool)


def is_settled(balls: Array) -> Array:
    """Which balls are narrow: 20 bits beyond float64, or proved to be below every float."""
    settled = np.asarray(_accurate(balls)).astype(bool)
    if not settled.all():
        settled[~settled] = _below_floats(balls[~settled]).astype(bool)
    return settled


def radii(balls: Array) -> Array:
    """Upper bounds of the radii; inf where a ball is not finite."""
    return _upper(np.asarray(_radius(balls)))


def magnitudes(balls: Array) -> Array:
    """Upper bounds of the absolute values; inf where a ball is not finite."""
    return _upper(np.asarray(_magnitude(balls)))


def as_floats(balls: Array) -> Array:
    """The midpoints as floats, complex where a ball is."""
    if has_complex(balls):
        return np.asarray(np.frompyfunc(complex, 1, 1)(balls)).astype(complex)
    return np.asarray(balls.astype(float))


def has_complex(balls: Array) -> bool:
    return acb in set(map(type, balls.reshape(-1).tolist()))


def floats_of(balls: Array) -> tuple[Array, Array, Array]:
    """Return ``(hi, lo, rad)`` such that each real ball lies in ``hi + lo ± rad``, exactly read.

    ``hi`` is the float nearest to the midpoint and ``lo`` the one nearest to what is left; ``rad``
    is rounded upwards. A number is infinite where ``hi`` is, and its ``rad`` is 0 where all of the
    ball rounds to that infinity, else inf. Where there is no number, ``hi`` is NaN and ``rad`` inf.

    Shapes: those of ``balls`` each, in float64.
    """
    flat = np.asarray(balls, dtype=object).reshape(-1)
    parts = np.empty((3, flat.size))
    with working(_SPLIT_BITS, exact=False):
        for start in range(0, flat.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            parts[:, block] = _floats(flat[block])
    hi, lo, rad = (part.reshape(np.shape(balls)) for part in parts)
    return hi, lo, rad


def _floats(balls: Array) -> tuple[Array, Array, Array]:
    hi = balls.astype(float)
    rest = balls - hi
    lo = rest.astype(float)
    rad = magnitudes(rest - lo)
    beyond = ~np.isfinite(hi)
    if beyond.any():
        lo[beyond] = 0.0
        rad[beyond] = np.where(_overflows(balls[beyond]).astype(bool), 0.0, np.inf)
    return hi, lo, rad


def _upper(bounds: Array) -> Array:
    """Bounds as floats, rounded upwards."""
    found = np.asarray(bounds.astype(float))
    above = np.nextafter(np.where(np.isnan(found), np.inf, found), np.inf)
    vanished = found == 0
    above[vanished] = _if_not_zero(bounds[vanished])
    return above


_finite = np.frompyfunc(lambda ball: ball.is_finite(), 1, 1)


def _is_accurate(ball: arb | acb) -> bool:
    if isinstance(ball, acb):
        return _is_accurate(ball.real) and _is_accurate(ball.imag)
    return bool(ball.rel_accuracy_bits() >= SETTLED_BITS and ball.is_finite())


_accurate = np.frompyfunc(_is_accurate, 1, 1)
_below_floats = np.frompyfunc(
    lambda ball: (
        bool(abs(ball) < TINY)
        if isinstance(ball, arb)
        else all(
            abs(x) < TINY or x.rel_accuracy_bits() >= SETTLED_BITS for x in (ball.real, ball.imag)
        )
    ),
    1,
    1,
)
_radius = np.frompyfunc(lambda ball: ball.rad(), 1, 1)
_magnitude = np.frompyfunc(lambda ball: ball.abs_upper(), 1, 1)
_overflows = np.frompyfunc(lambda ball: bool(abs(ball) >= FLOAT64.overflow), 1, 1)
_SPLIT_BITS = 192
_BLOCK = 1 << 12
"""Balls that are split at a time: the memory of their parts is used again while it is warm."""
_least = math.nextafter(0.0, 1.0)


def _if_not_zero(bounds: Array) -> Array:
    """0 for what is exactly 0, and the least positive float for what is only rounded to it."""
    return np.where(np.asarray(np.equal(bounds, 0)).astype(bool), 0.0, _least)


_around_zero_of = np.frompyfunc(lambda bound: arb(0, bound), 1, 1)


def _of_smallest(balls: Array, dtype: Dtype) -> Array:
    """Balls, wider where a number is rounded to a multiple of the smallest subnormal."""
    small = np.asarray(_lower_magnitude(balls) < arb(dtype.smallest_normal), dtype=bool)
    if not small.any():
        return balls
    found, half = balls.copy(), _single(arb(0, dtype.underflow_step) / 2)
    found[small] = _with_half_a_subnormal(balls[small], half)
    return found


def _widened_by(ball: arb | acb, half: arb) -> arb | acb:
    if not ball.is_finite() or ball == 0:
        return ball
    return ball + (acb(half, half) if isinstance(ball, acb) else half)


_with_half_a_subnormal = np.frompyfunc(_widened_by, 2, 1)
_lower_magnitude = np.frompyfunc(lambda ball: ball.abs_lower(), 1, 1)


def _around_zero(bounds: Array) -> Array:
    return np.asarray(_around_zero_of(bounds), dtype=object)


def _joined(a: Any, b: Any) -> Any:
    if isinstance(a, acb) or isinstance(b, acb):
        a, b = acb(a), acb(b)
        return acb(_joined(a.real, b.real), _joined(a.imag, b.imag))
    return a.union(b) if a.is_finite() and b.is_finite() else arb.nan()


union = np.frompyfunc(_joined, 2, 1)
"""The smallest ball around two, entry by entry; nan where one is not finite."""

overlaps = np.frompyfunc(lambda a, b: bool((acb(a) if isinstance(b, acb) else a).overlaps(b)), 2, 1)
