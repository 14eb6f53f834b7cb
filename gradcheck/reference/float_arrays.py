"""A graph in float64 with what errors do on the way to each entry: running error analysis.

To first order, an error of an argument reaches a result by the local derivative, and rounding adds
its own. With y = f(x, ...), in units of the unit roundoff u:

    error(y) = sum |df/dx| error(x) + |y|         what rounding every operation can do
    spread(y) = sum |df/dx| spread(x)             what a relative change u of the inputs can do

Below the smallest normal number a result is rounded to a multiple of the smallest subnormal: off by
half of it, which is u times the smallest normal number. Sums are such multiples, and exact there.

Where that says little, or float64 does not hold the numbers, the entry is in doubt: balls must
say it. Functions are NumPy's, else read off balls: never those under test.

Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., sections 3.3 and 2.8.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any, ClassVar

import numpy as np

from gradcheck.dtypes import FLOAT32, FLOAT64, Dtype
from gradcheck.floats import round_to
from gradcheck.graph.derivatives import CHOICES, NoDerivative, slope
from gradcheck.graph.graph import Frozen, Graph, NodeAttribute, Operation
from gradcheck.ops.balls import working
from gradcheck.query import Array, Kind, Port
from gradcheck.reference.ball_arrays import (
    EXACT_IF_SUBNORMAL,
    elementwise_balls,
    floats_of,
    lift,
)
from gradcheck.reference.interpret import evaluate, move

_NAMED = {"pi": np.pi, "e": np.e, "inf": np.inf, "I": 1j}
_BALL_BITS = 80
_SMALLEST = 2.0**FLOAT64.emin
_MOST_LOST = 2.0**-33
"""So large a share of a number may float64's own rounding be, lest its slopes be wrong."""
_STEPS = frozenset({"sign", "heaviside", "floor", "ceil", "round"})
_COMPARISONS = frozenset({"lt", "le", "eq"})
_NEVER_ZERO = frozenset({"exp", "exp2", "sech", "erfc"})
_PRODUCTS = frozenset({"mul", "div", "ipow"})
_ENTIRE = frozenset({
    "exp", "exp2", "expm1", "sin", "cos", "sinh", "cosh", "tanh", "sech", "atan", "asinh", "erf",
    "erfc",
})  # fmt: skip
"""Slopes that change by their own size, or less, over a distance of 1 / max(1, |x|)."""
_EXACT = frozenset({"neg", "abs", *_STEPS})


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Entries of a node: their values, and what was met on the way to each.

    ``error`` and ``spread`` as above. ``scale`` is the largest magnitude of an intermediate value,
    ``tiny`` says that one is not 0 and below the normal numbers of the dtype; inputs are none.

    Shapes: [count or 1, *shape] each.
    """

    value: Array
    doubt: Array
    error: Array
    spread: Array
    scale: Array
    tiny: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def parts(self) -> tuple[Array, ...]:
        return self.value, self.doubt, self.error, self.spread, self.scale, self.tiny


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of the entries where they are moved: what an empty place holds, how two add up."""

    zero: Any
    add: Callable[[Array, Array], Array]

    def apply(self, graph: Graph, index: int, values: Sequence[Array]) -> Array:
        raise AssertionError(f"node {index} of {graph} only moves entries")


_FLAG, _SUM = _Part(zero=False, add=np.logical_or), _Part(zero=0.0, add=np.add)
_PARTS = (_SUM, _FLAG, _SUM, _SUM, _Part(zero=0.0, add=np.maximum), _FLAG)


def unmoved(numbers: Array, *, spread: Array | float = 0.0) -> Measured:
    """Inputs and constants: they have a value and nothing before it.

    Shapes: any.
    """
    none = np.broadcast_to(0.0, numbers.shape)
    never = np.broadcast_to(np.zeros((), dtype=bool), numbers.shape)
    return Measured(numbers, never, none, np.broadcast_to(spread, numbers.shape), none, never)


@dataclass(frozen=True, slots=True)
class RunningErrors:
    """The algebra of ``Measured`` entries, for rounding in a dtype."""

    dtype: Dtype
    zero: ClassVar[Any] = 0.0

    def move(self, node: Operation, args: Sequence[Any]) -> Any:
        columns = zip(*(arg.parts() for arg in args), strict=True)
        moved = [move(node, part, kind) for part, kind in zip(columns, _PARTS, strict=True)]
        found = Measured(*moved)
        if node.op != "scatter":
            return found
        assert isinstance(node.attr, Frozen)
        repeats = int(np.bincount(node.attr.array.reshape(-1), minlength=1).max()) - 1
        if repeats < 1:
            return found
        total = move(node, [np.abs(args[0].value)], _SUM)
        return Measured(found.value, found.doubt, found.error + repeats * total, found.spread,
                        np.maximum(found.scale, total), found.tiny)  # fmt: skip

    def apply(self, graph: Graph, index: int, values: Sequence[Any]) -> Any:
        node = graph.nodes[index]
        with np.errstate(all="ignore"):
            if node.op == "constant":
                return self._of_constant(node)
            if node.op == "detach":
                return values[0]
            if node.op in _REDUCTIONS:
                return _REDUCTIONS[node.op](self, node, values)
            if node.op in CHOICES:
                return self._chosen(node, values)
            if node.kind == "bool":
                return self._condition(node, values)
            return self._elementwise(node, values)

    def _of_constant(self, node: Operation) -> Measured:
        """A constant that the dtype does not hold is rounded, once."""
        found = unmoved(_constant(node))
        if isinstance(node.attr, str) or node.kind == "bool":
            return found
        assert isinstance(node.attr, Frozen)
        held = _held(node.attr, self.dtype)
        return replace(found, error=np.where(held, 0.0, np.abs(found.value)))

    def _elementwise(self, node: Operation, args: Sequence[Measured]) -> Measured:
        numbers = [arg.value for arg in args]
        value = np.asarray(_function(node)(*numbers))
        slopes = _magnitudes_of_slopes(node, numbers, value)
        if _is_to_every_order(node):
            error = self._to_every_order(node, args, np.abs(value))
        else:
            error = _carried(slopes, [arg.error for arg in args])
        vanished = np.asarray((value == 0) & _underflown(node.op, numbers))
        found = Measured(
            value,
            np.asarray(vanished | self._is_lost(node, args)),
            error if node.op in _EXACT else error + self._rounded(node, value),
            _carried(slopes, [arg.spread for arg in args]),
            np.zeros(()),
            vanished,
        )
        return self._remembered(found, args)

    def _rounded(self, node: Operation, value: Array) -> Array:
        """What rounding the result of an operator can do: in half precision, for which functions
        are computed in float32, half an ulp; else as much as is half an ulp of the next power of 2.
        """
        size = np.abs(value)
        if self.dtype.precision < FLOAT32.precision:
            mantissa = np.frexp(size)[0]
            size = size / np.where(mantissa > 0, 2 * mantissa, 1.0)
        if node.op in EXACT_IF_SUBNORMAL:
            return np.asarray(size)
        return self._of_product(size)

    def _to_every_order(self, node: Operation, args: Sequence[Measured], size: Array) -> Array:
        """What the arguments' errors do to a result of a magnitude, however large they are.

        Infinity where a divisor, or what a logarithm is taken of, may vanish.
        """
        u, x = self.dtype.unit_roundoff, args[0]
        magnitude = np.abs(x.value)
        if node.op == "exp":
            return np.asarray(size * np.expm1(u * x.error) / u)
        if node.op == "log":
            return np.asarray(-np.log1p(-np.minimum(u * x.error / magnitude, 1.0)) / u)
        if node.op == "ipow":
            assert isinstance(node.attr, int)
            farthest = magnitude + u * x.error
            return np.asarray(node.attr * farthest ** (node.attr - 1.0) * x.error)
        y = args[1]
        other = np.abs(y.value)
        if node.op == "mul":
            return np.asarray(_carried([other, magnitude], [x.error, y.error])
                              + u * x.error * y.error)  # fmt: skip
        nearest = np.maximum(other - u * y.error, 0.0)
        return np.asarray(_carried([1 / nearest, size / nearest], [x.error, y.error]))

    def _of_product(self, sizes: Array) -> Array:
        """The same of numbers that are no sums."""
        return np.where(sizes > 0, np.maximum(sizes, self.dtype.smallest_normal), 0.0)

    def _remembered(self, found: Measured, args: Sequence[Measured] = ()) -> Measured:
        """A result with its own magnitude, and with what its arguments met, entry by entry."""
        value, magnitude = found.value, np.abs(found.value)
        present = value != 0
        tiny = found.tiny | (magnitude < self.dtype.smallest_normal) & present
        doubt = found.doubt | (magnitude < _SMALLEST) & present
        doubt |= ~np.isfinite(magnitude + found.error + found.spread)
        scale = np.fmax(found.scale, magnitude)
        for arg in args:
            scale = np.maximum(scale, arg.scale)
            doubt, tiny = doubt | arg.doubt, tiny | arg.tiny
        error, spread, scale = np.broadcast_arrays(found.error, found.spread, scale)
        return Measured(value, doubt, error, spread, scale, tiny)

    def _is_lost(self, node: Operation, args: Sequence[Measured]) -> Any:
        """Whether an argument is so uncertain that the first order says little."""
        if node.op in _UNIT_SLOPES or node.op in ("mul", "abs") or _is_product_of_one(node):
            return False
        share = 2.0**-53 / _MOST_LOST
        if not _is_to_every_order(node):
            share = max(8 * self.dtype.unit_roundoff, share)
        if node.op in _ENTIRE:
            (x,) = args
            return share * x.error * np.fmax(1.0, np.abs(x.value)) > 1
        lost = [share * arg.error > np.abs(arg.value) for arg in args]
        if node.op == "div":
            return lost[1]
        found = np.logical_or.reduce(np.broadcast_arrays(*lost))
        return found | self._near_a_step(node, args) if node.op in _STEPS else found

    # conditions and choices

    def _condition(self, node: Operation, args: Sequence[Measured]) -> Measured:
        value = np.asarray(_function(node)(*(arg.value for arg in args)))
        found = unmoved(value)
        doubt: Array = np.logical_or.reduce(np.broadcast_arrays(*(arg.doubt for arg in args)))
        if node.op in _COMPARISONS:
            a, b = args
            doubt = doubt | (self._may_meet(a, b))
        return Measured(found.value, doubt, *found.parts()[2:])

    def _reach(self, x: Measured) -> Array:
        """How far rounding, float64's own too, can have moved a value."""
        return np.asarray(x.error * max(self.dtype.unit_roundoff, 2.0**-51))

    def _near_a_step(self, node: Operation, args: Sequence[Measured]) -> Array:
        x, rest = args[0], [arg.value for arg in args[1:]]
        function = _function(node)
        return np.asarray(
            function(x.value - self._reach(x), *rest) != function(x.value + self._reach(x), *rest)
        )

    def _chosen(self, node: Operation, args: Sequence[Measured]) -> Measured:
        """One of two arguments; where they tie, what is met on the way to either."""
        a, b = args[-2:]
        if node.op == "where":
            first, tied, doubt = args[0].value, np.False_, args[0].doubt
        else:
            first = a.value < b.value if node.op == "min" else a.value > b.value
            tied, doubt = a.value == b.value, self._may_meet(a, b)
        value, unsure, error, spread, scale, tiny = (
            np.where(first, left, right)
            for left, right in zip(a.parts(), b.parts(), strict=True)
        )  # fmt: skip
        if node.op == "where":
            return Measured(value, unsure | doubt, error, spread, scale, tiny)
        error = np.where(tied, np.maximum(a.error, b.error), error)
        spread = np.where(tied, np.maximum(a.spread, b.spread), spread)
        return Measured(value, a.doubt | b.doubt | doubt, error, spread,
                        np.fmax(np.maximum(a.scale, b.scale), np.abs(value)),
                        a.tiny | b.tiny)  # fmt: skip

    def _may_meet(self, a: Measured, b: Measured) -> Array:
        """Whether rounding can have decided which of two values is larger."""
        reach = self._reach(a) + self._reach(b)
        return np.asarray((np.abs(a.value - b.value) <= reach) & (reach > 0))

    # sums and matrices: partial sums are intermediate values too

    def sum(self, node: Operation, values: Sequence[Measured]) -> Measured:
        x, axes = values[0], node.attr
        assert isinstance(axes, tuple)
        kept = [k + 1 for k in range(len(x.shape) - 1) if k not in axes]
        order = (0, *kept, *(axis + 1 for axis in axes))

        def flat(part: Array) -> Array:
            return part.transpose(order).reshape(x.shape[0], *node.shape, -1)

        value, doubt, error, spread, scale, tiny = (flat(part) for part in x.parts())
        if not value.shape[-1]:
            return unmoved(np.zeros(value.shape[:-1]))
        partial = np.cumsum(value, axis=-1)
        steps = np.abs(partial)
        total = Measured(
            partial[..., -1],
            np.asarray(doubt.any(axis=-1)),
            error.sum(axis=-1) + steps[..., 1:].sum(axis=-1),
            spread.sum(axis=-1),
            np.fmax(scale.max(axis=-1), steps.max(axis=-1)),
            np.asarray(tiny.any(axis=-1)),
        )
        return self._remembered(total)

    def cumsum(self, node: Operation, values: Sequence[Measured]) -> Measured:
        assert isinstance(node.attr, tuple)
        axis, reverse = node.attr[0] + 1, node.attr[1]

        def along(ufunc: Any, part: Array) -> Array:
            part = np.flip(part, axis) if reverse else part
            found = ufunc.accumulate(part, axis=axis)
            return np.flip(found, axis) if reverse else found

        x = values[0]
        value = along(np.add, x.value)
        total = Measured(
            value,
            along(np.logical_or, x.doubt),
            along(np.add, x.error + np.abs(value)),
            along(np.add, x.spread),
            along(np.maximum, np.fmax(x.scale, np.abs(value))),
            along(np.logical_or, x.tiny),
        )
        return self._remembered(total)

    def bmm(self, _node: Operation, values: Sequence[Measured]) -> Measured:
        a, b = values
        value, left, right = a.value @ b.value, np.abs(a.value), np.abs(b.value)
        if not a.shape[-1]:
            return unmoved(value)
        terms = left @ right
        own = a.shape[-1] * terms
        if (own < a.shape[-1] ** 2 * self.dtype.smallest_normal).any():
            own = own + self.dtype.smallest_normal * ((left > 0).astype(float) @ (right > 0))
        scale = np.fmax(a.scale.max(-1, keepdims=True), b.scale.max(-2, keepdims=True))
        total = Measured(
            value,
            _either(a.doubt, b.doubt),
            a.error @ right + left @ b.error + own,
            a.spread @ right + left @ b.spread,
            np.fmax(scale, terms),
            _either(a.tiny, b.tiny),
        )
        return self._remembered(total)

    def solved(self, node: Operation, values: Sequence[Measured]) -> Measured:
        """Inverses and solutions: each entry is made of all others of its matrix.

        Of A x = b: dx = A⁻¹ (db - dA x). Elimination is exact for a matrix that is 3 n u |A| off
        (Higham, theorem 9.4).
        """
        a = values[0]
        inverse = _inverted(node, a.value)
        outer, inner = np.abs(inverse), np.abs(inverse)
        value, right = inverse, unmoved(np.zeros(a.shape))
        if node.op == "solve":
            right = values[1]
            value = inverse @ right.value
            inner = np.abs(value)
        grown = outer @ np.abs(a.value)
        error = outer @ (a.error @ inner + right.error) + 3 * a.shape[-1] * grown @ inner
        spread = outer @ (a.spread @ inner + right.spread)
        scales = [each for arg in values for each in (arg.scale, np.abs(arg.value))]
        ill = 2.0**-53 * grown.max((-2, -1), keepdims=True) > _MOST_LOST
        total = Measured(
            value,
            _of_all([*(arg.doubt for arg in values), ill], np.any),
            error,
            spread,
            _of_all([*scales, np.abs(value)], np.max),
            _of_all([arg.tiny for arg in values], np.any),
        )
        return self._remembered(total)


def _either(a: Array, b: Array) -> Array:
    """Whether one is among those that an entry of a matrix product is made of."""
    return np.asarray(a.any(-1, keepdims=True) | b.any(-2, keepdims=True))


def _of_all(parts: Sequence[Array], over: Any) -> Array:
    """Over all entries of each matrix, of all parts."""
    found = [over(part, axis=(-2, -1), keepdims=True) for part in parts]
    return np.asarray(over(np.stack(np.broadcast_arrays(*found)), axis=0))


_REDUCTIONS: dict[str, Callable[[RunningErrors, Operation, Sequence[Measured]], Measured]] = {
    "sum": RunningErrors.sum,
    "cumsum": RunningErrors.cumsum,
    "bmm": RunningErrors.bmm,
    "inverse": RunningErrors.solved,
    "solve": RunningErrors.solved,
}


def _carried(slopes: Sequence[Any], radii: Sequence[Array]) -> Any:
    """What errors of the arguments do to the result; what has none does nothing."""
    total: Any = 0.0
    for slope_, radius in zip(slopes, radii, strict=True):
        term = slope_ * radius
        if not np.isfinite(term).all():
            term = np.where(radius == 0, 0.0, term)
        total = total + term
    return total


@dataclass(frozen=True, slots=True)
class FloatAlgebra:
    """The algebra of plain floats: nothing is known of their errors."""

    zero: ClassVar[Any] = 0.0

    def add(self, a: Array, b: Array) -> Array:
        return np.asarray(a + b)

    def apply(self, graph: Graph, index: int, values: Sequence[Array]) -> Array:
        return self.of(graph.nodes[index], values)

    def of(self, node: Operation, values: Sequence[Array]) -> Array:
        """The result of a node."""
        with np.errstate(all="ignore"):
            if node.op == "constant":
                return _constant(node)
            if node.op in _ON_FLOATS:
                return np.asarray(_ON_FLOATS[node.op](node, *values))
            return np.asarray(_function(node)(*values))


def _accumulated(node: Operation, x: Array) -> Array:
    assert isinstance(node.attr, tuple)
    axis, reverse = node.attr[0] + 1, node.attr[1]
    found = np.cumsum(np.flip(x, axis) if reverse else x, axis=axis)
    return np.flip(found, axis) if reverse else found


def _solved(_node: Operation, a: Array, b: Array) -> Array:
    try:
        return np.asarray(np.linalg.solve(a, b))
    except np.linalg.LinAlgError:
        return np.full(np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) + b.shape[-2:], np.nan)


def _inverted(_node: Operation, a: Array) -> Array:
    try:
        return np.asarray(np.linalg.inv(a))
    except np.linalg.LinAlgError:
        return np.full(a.shape, np.nan)


_ON_FLOATS: Mapping[str, Callable[..., Array]] = {
    "detach": lambda _node, x: x,
    "sum": lambda node, x: x.sum(axis=tuple(axis + 1 for axis in node.attr)),
    "cumsum": _accumulated,
    "bmm": lambda _node, a, b: a @ b,
    "inverse": _inverted,
    "solve": _solved,
}


# functions


@lru_cache(maxsize=256)
def _held(constant: Frozen, dtype: Dtype) -> Array:
    """Which numbers are floats of a dtype; along axes on which all are the same, once."""
    exact = constant.array
    once = tuple(slice(None) if stride else slice(0, 1) for stride in exact.strides)
    numbers = exact[None][:, *once]
    return np.asarray(round_to(numbers.astype(float), dtype) == numbers, dtype=bool)


def _constant(node: Operation) -> Array:
    if isinstance(node.attr, str):
        return np.array([_NAMED[node.attr]])
    assert isinstance(node.attr, Frozen)
    return node.attr.array[None].astype(bool if node.kind == "bool" else float)


def _libm(function: Callable[[float], float]) -> Callable[[Array], Array]:
    """A function of the C library for arrays: a hundred times as fast as balls."""
    of_each = np.frompyfunc(function, 1, 1)
    return lambda x: np.asarray(of_each(x), dtype=float)


_NUMPY: Mapping[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.true_divide,
    "neg": np.negative, "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "conj": np.conj, "real": np.real, "imag": np.imag, "complex": lambda a, b: a + 1j * b,
}  # fmt: skip
_NUMPY_OF_REALS: Mapping[str, Callable[..., Any]] = {
    "pow": np.power, "abs": np.abs, "sign": np.sign, "heaviside": np.heaviside,
    "floor": np.floor, "ceil": np.ceil, "round": np.rint, "cbrt": np.cbrt, "exp2": np.exp2,
    "expm1": np.expm1, "log2": np.log2, "log10": np.log10, "log1p": np.log1p,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "atan2": np.arctan2,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "sech": lambda x: 1 / np.cosh(x),
    "lt": np.less, "le": np.less_equal, "eq": np.equal,
    "not": np.logical_not, "and": np.logical_and, "or": np.logical_or,
    "where": np.where, "min": np.minimum, "max": np.maximum,
    "erf": _libm(math.erf), "erfc": _libm(math.erfc),
}  # fmt: skip


def _function(node: Operation) -> Callable[..., Any]:
    if node.op == "ipow":
        power: Any = node.attr
        return lambda x: np.power(x, float(power)) if np.isrealobj(x) else x**power
    found = _NUMPY.get(node.op)
    if found is None and node.kind != "complex":
        found = _NUMPY_OF_REALS.get(node.op)
    return found if found is not None else lambda *numbers: _by_balls(node, numbers)


def _by_balls(node: Operation, numbers: Sequence[Array]) -> Array:
    """A function of one number of each number once: many points are often the same again."""
    if len(numbers) != 1:
        return _each_by_balls(node, numbers)
    once, places = np.unique(numbers[0], return_inverse=True)
    return np.asarray(_each_by_balls(node, [once])[places].reshape(numbers[0].shape))


def _each_by_balls(node: Operation, numbers: Sequence[Array]) -> Array:
    with working(_BALL_BITS, exact=False):
        balls = elementwise_balls(node, [lift(x) for x in np.broadcast_arrays(*numbers)])
    if node.kind != "complex":
        return floats_of(balls)[0]
    parts = (np.frompyfunc(part, 1, 1)(balls) for part in (lambda z: z.real, lambda z: z.imag))
    real, imag = (floats_of(np.asarray(part, dtype=object))[0] for part in parts)
    return real + 1j * imag


def _underflown(op: str, numbers: Sequence[Array]) -> Any:
    """Whether a result of 0 is none: the float64 below it is rounded to 0."""
    if op in _NEVER_ZERO:
        return np.isfinite(numbers[0])
    if op in _PRODUCTS:
        return np.logical_and.reduce(
            [np.isfinite(x) & (x != 0) for x in np.broadcast_arrays(*numbers)]
        )
    return False


def _is_to_every_order(node: Operation) -> bool:
    """Whether what errors do to a result is told to every order, not to the first alone."""
    return node.op in ("exp", "log", "mul", "div") or _is_product_of_one(node)


def _is_product_of_one(node: Operation) -> bool:
    """Whether a node multiplies a number by itself."""
    return node.op == "ipow" and isinstance(node.attr, int) and node.attr > 0


_UNIT_SLOPES = frozenset({"add", "sub", "neg", "conj", "real", "imag", "complex"})


def _magnitudes_of_slopes(node: Operation, numbers: Sequence[Array], value: Array) -> list[Any]:
    """The absolute values of the local derivatives, by the operator table."""
    if node.op in _UNIT_SLOPES:
        return [1.0] * len(numbers)
    if node.op == "mul":
        return [np.abs(numbers[1]), np.abs(numbers[0])]
    kinds: tuple[Kind, ...] = tuple("complex" if np.iscomplexobj(x) else "real" for x in numbers)
    inputs = [*numbers, value]
    found = (_slope_graph(node.op, node.attr, kinds, node.kind, k) for k in range(len(numbers)))
    return [
        np.nan if each is None else np.abs(evaluate(*each, inputs, FloatAlgebra())[0])
        for each in found
    ]


@cache
def _slope_graph(
    op: str, attr: NodeAttribute, kinds: tuple[Kind, ...], kind: Kind, k: int
) -> tuple[Graph, list[int]] | None:
    """A local derivative as a graph of its own, of the arguments and the value."""
    graph = Graph()
    args = [graph.input(Port(f"x{k}", (), each)) for k, each in enumerate(kinds)]
    node = graph.put(op, args, attr, (), kind)
    try:
        found = slope(graph, node, k)
    except NoDerivative:
        return None
    graph.nodes[node] = Operation("input", (), len(args), (), kind)
    return graph, [found]
