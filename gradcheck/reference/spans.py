"""Whether a formula or its chain rule leaves a dtype's range on the way to an answer.

Then NaN and infinity are what the formula as written may give there, and no sign of a wrong one:
upwards, where a number overflows or is divided by one that underflows. What underflows and is
added to others, or multiplied by them, makes neither. On the way are the values, the lower
derivatives that the answer is a derivative of, and all partial products: PyTorch multiplies in
another sequence than our graphs do.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.dtypes import FLOAT64, Dtype
from gradcheck.graph.graph import Graph, Operation
from gradcheck.ops.balls import working
from gradcheck.query import Array, Query
from gradcheck.reference.ball_arrays import Balls
from gradcheck.reference.conditions import dependence
from gradcheck.reference.derivative_graphs import DerivativeGraphs, Rows, joined
from gradcheck.reference.interpret import combined, evaluate
from gradcheck.reference.query_rows import plan_rows

_BITS = 2_048
"""More than the exponent of any input has: what is infinite here too stands at a pole."""
_FARTHEST = 1 << 40
"""No dtype has such exponents; and a power of what has them still fits into an int64."""

_RECORD = np.dtype([
    ("coarse", object), ("fine", object), ("some", bool),
    ("high", np.int64), ("low", np.int64), ("highest", np.int64), ("lowest", np.int64),
    ("flushed", bool), ("divided", bool),
])  # fmt: skip


def leaves_range(
    graphs: DerivativeGraphs, query: Query, points: Array, dtype: Dtype, *, upwards: bool = False
) -> Array:
    """Whether an intermediate on the way to each entry overflows or underflows; ``upwards``,
    whether one overflows or is divided by another that underflows.

    PyTorch multiplies by a weight of 0 in the query's sides like by any other. An entry that is 0
    whatever the inputs has no way, but where an output overflows: 0 times infinity is NaN.

    Shapes: booleans, [count, *free].
    Errors: NoDerivative.
    """
    weighted = query.mapped(lambda side: np.where(side == 0, 1.0, side))
    planned, with_zeros = (plan_rows(graphs, each, points) for each in (weighted, query))
    found: list[Array] = []
    for (rows, contracted), (asked, _) in zip(planned.parts, with_zeros.parts, strict=True):
        tangents = tuple(tangent != 0 for tangent in rows.tangents)
        cotangent = None if rows.cotangent is None else rows.cotangent != 0
        masks = Rows(rows.order, np.ones_like(rows.points, dtype=bool), cotangent, tangents)
        left = _Way(graphs.as_pytorch(), rows, masks, dtype, upwards=upwards).leaves(asked)
        found.append(left if contracted is None else np.asarray(left.any(axis=1, keepdims=True)))
    return planned.arranged(found)


class _Way:
    """What the answers to some rows are computed from.

    ``masks`` say of each number of the rows whether it is asked for.
    """

    def __init__(
        self,
        graphs: DerivativeGraphs,
        rows: Rows,
        masks: Rows,
        dtype: Dtype,
        *,
        upwards: bool,
    ) -> None:
        self.graphs, self.rows, self.masks, self.dtype = graphs, rows, masks, dtype
        self.upwards = upwards
        # A cotangent and each tangent multiply by 1/2 to 2.
        self.margin = rows.order + 1 if rows.order else 0

    def leaves(self, asked: Rows) -> Array:
        """Whether each entry does. ``asked`` are the rows with the zeros of the query's sides.

        Shapes: [count, free].
        """
        rows = self.rows
        left, over = np.zeros((2, rows.count, self.graphs.function.width), dtype=bool)
        answers = np.zeros((rows.count, rows.points.shape[1]), dtype=bool)
        for count in range(len(rows.tangents) + 1):
            for chosen in itertools.combinations(range(len(rows.tangents)), count):
                records, gradients = self._records(chosen)
                left |= self._beyond(records)
                over |= self._overflows(records)
                if rows.reverse:
                    answers |= self._beyond(gradients)
        if not rows.reverse:  # the last records are the answer's own
            return np.asarray((left & records["some"]) | over)
        assert self.masks.cotangent is not None
        assert asked.cotangent is not None
        hangs = dependence(self.graphs.function)
        answers |= (left & self.masks.cotangent) @ hangs
        if self.upwards:  # forward mode finds one input's after it multiplied all others' by 0
            answers |= (_alone(asked.cotangent) & answers.any(axis=1))[:, None]
        return np.asarray(
            (answers & gradients["some"]) | _times_infinity(over, over @ hangs, asked)
        )

    def _beyond(self, records: Array) -> Array:
        under = records["lowest"] - self.margin < self.dtype.emin
        left = records["divided"] if self.upwards else under
        return np.asarray(left | self._overflows(records))

    def _overflows(self, records: Array) -> Array:
        return np.asarray(records["highest"] + self.margin > self.dtype.emax)

    def _records(self, chosen: Sequence[int]) -> tuple[Array, Array]:
        """The derivative along some of the tangents, and its gradient if there is one."""
        graphs, count, order = self.graphs, self.rows.count, len(chosen)
        rows, masks = (
            Rows(order + self.rows.reverse, each.points, each.cotangent,
                 tuple(each.tangents[k] for k in chosen))
            for each in (self.rows, self.masks)
        )  # fmt: skip
        lower = graphs.forward(order)
        nodes = [*lower, *(graphs.outputs_of(rows) if rows.reverse else ())]
        for finer in (False, True):
            algebra = _Spans(self.dtype, self.margin, exact=rows.order == 0, finer=finer)
            inputs = graphs.inputs(_recorded(algebra, graphs.balls(rows), masks))
            found = evaluate(graphs.function.graph, nodes, inputs, algebra)
            if not algebra.unknown:
                break
        cut = len(lower)
        return joined(found[:cut], count), joined(found[cut:], count)


def _times_infinity(over: Array, moved: Array, asked: Rows) -> Array:
    """Which entries of gradients PyTorch multiplies by what overflows, be it by 0.

    Reverse mode multiplies the cotangents of all outputs by it, and forward mode the tangents of
    all inputs: by either may have been found what is asked of one output, along one input.

    Shapes: over [count, m]; moved [count, n], inputs that such outputs are computed from;
            [count, n].
    """
    ones = [(over, asked.cotangent), *((moved, tangent) for tangent in asked.tangents)]
    found = moved.copy()
    for beside, side in ones:
        assert side is not None
        found |= (_alone(side) & (beside & (side != 0)).any(axis=1))[:, None]
    return found


def _alone(side: Array) -> Array:
    """Which rows ask for one entry of a side: whatever the mode, PyTorch may have asked so."""
    return np.asarray(np.count_nonzero(side, axis=1) == 1)


def _recorded(algebra: _Spans, balls: Rows, masks: Rows) -> Rows:
    cotangent = None
    if balls.cotangent is not None:
        cotangent = algebra.lift(balls.cotangent, masks.cotangent)
    tangents = tuple(map(algebra.lift, balls.tangents, masks.tangents))
    return Rows(balls.order, algebra.lift(balls.points, masks.points), cotangent, tangents)


class _Spans:
    """The algebra of balls that know the span of what they are computed from.

    An entry is a record: its ball in the dtype's precision (``coarse``: there 1 - y² for y near 1
    is not small but unknown), and in many bits if the algebra is ``finer``; whether it is not 0
    whatever the inputs (``some``); the span of the partial products of its own factors
    (``high``, ``low``), and the span of all that is on the way (``highest``, ``lowest``); whether
    it may be taken for 0 since it, or all that it is made of, underflows (``flushed``), and whether
    one on the way is divided by such a number, or has no value beside 0 (``divided``). A cotangent
    and tangents multiply by 1/2 to 2, ``margin`` of them. ``unknown`` says afterwards whether a
    coarse ball was not finite.

    Units: spans in binary exponents, rounded down; 1, the empty product, is always among the
           numbers. A condition, a pole and 0 have the span of 1.
    """

    def __init__(self, dtype: Dtype, margin: int, *, exact: bool, finer: bool) -> None:
        self.exact, self.finer, self.unknown = exact, finer, False
        self.precision = dtype.precision
        self._coarse, self._fine = Balls(), Balls()
        self.emin, self.least = dtype.emin, dtype.emin + margin
        self.zero: Any = np.zeros((), dtype=_RECORD)
        self.zero["coarse"] = self.zero["fine"] = Balls.zero

    def lift(self, balls: Array, some: Array | None) -> Array:
        """Inputs: nothing is on the way to them, but to one that is subnormal it is itself."""
        found = np.zeros(balls.shape, dtype=_RECORD)
        found["coarse"] = found["fine"] = balls
        found["some"] = some
        found["high"], found["low"] = _span(balls, self.emin)
        found["flushed"] = found["low"] < self.emin
        found["lowest"] = np.where(found["flushed"], found["low"], 0)
        return found

    def add(self, a: Array, b: Array) -> Array:
        found = np.zeros(a.shape, dtype=_RECORD)
        with working(self.precision, exact=self.exact):
            found["coarse"] = a["coarse"] + b["coarse"]
        with working(_BITS, exact=self.exact):
            found["fine"] = a["fine"] + b["fine"]
        found["some"] = a["some"] | b["some"]
        self._own(found, is_bool=False)
        found["flushed"] = ~((a["some"] & ~a["flushed"]) | (b["some"] & ~b["flushed"]))
        found["divided"] = a["divided"] | b["divided"]
        self._on_the_way(found, np.maximum(a["highest"], b["highest"]),
                         np.minimum(a["lowest"], b["lowest"]))  # fmt: skip
        return found

    def apply(self, graph: Graph, index: int, values: Sequence[Array]) -> Array:
        node = graph.nodes[index]
        if node.op == "detach":
            return values[0]
        with working(self.precision, exact=self.exact):
            coarse = self._coarse.apply(graph, index, [value["coarse"] for value in values])
        fine = coarse
        if self.finer:
            with working(_BITS, exact=self.exact):
                fine = self._fine.apply(graph, index, [value["fine"] for value in values])
        found = np.zeros(coarse.shape, dtype=_RECORD)
        found["coarse"], found["fine"] = coarse, fine
        self._own(found, is_bool=node.kind == "bool")
        if node.op == "constant":
            found["some"] = found["coarse"] != 0
            return found
        found["some"] = _may_be_something(node, [value["some"] for value in values])
        self._factors(node, values, found)
        self._divisions(node, values, found)
        ends = (combined(node, [value[end] for value in values], join)
                for end, join in (("highest", np.maximum), ("lowest", np.minimum)))  # fmt: skip
        self._on_the_way(found, *ends)
        return found

    def _own(self, found: Array, *, is_bool: bool) -> None:
        """The span of the number itself; the finer ball's where the coarse one says nothing."""
        if is_bool:
            return
        known = np.asarray(_finite(found["coarse"]), dtype=bool)
        self.unknown |= not known.all()
        balls = np.where(known, found["coarse"], found["fine"])
        found["high"], found["low"] = _span(balls, self.emin)

    def _factors(self, node: Operation, values: Sequence[Array], found: Array) -> None:
        """The span of the factors, where the number is a product, beside its own.

        What is rounded down of each factor may be all that takes their product out of the range.
        """
        own = found["high"].copy()
        if node.op in ("neg", "conj"):
            found["high"], found["low"] = values[0]["high"], values[0]["low"]
        elif node.op == "mul":
            for end in ("high", "low"):
                found[end] = values[0][end] + values[1][end]
        elif node.op == "div":
            found["high"] = values[0]["high"] - values[1]["low"]
            found["low"] = values[0]["low"] - values[1]["high"]
        elif node.op == "ipow":
            assert isinstance(node.attr, int)
            exponent = min(max(node.attr, -(1 << 20)), 1 << 20)
            powers = exponent * values[0]["high"], exponent * values[0]["low"]
            found["high"], found["low"] = np.maximum(*powers), np.minimum(*powers)
        elif node.op == "bmm":
            _products(values[0], values[1], found)
        np.maximum(found["high"], own, out=found["high"])
        for end in ("high", "low"):
            found[end] = np.clip(found[end], -_FARTHEST, _FARTHEST)

    def _divisions(self, node: Operation, values: Sequence[Array], found: Array) -> None:
        """What may be taken for 0, and what is divided by it."""
        flushed = [value["flushed"] for value in values]
        if node.op in _SUMS:
            present = [value["some"] & ~value["flushed"] for value in values]
            found["flushed"] = ~combined(node, present, np.logical_or)
        elif node.op == "bmm":
            found["flushed"] = _flushed_products(values[0], values[1], self.least)
        elif node.op not in _NEVER_ZERO and node.kind != "bool":
            found["flushed"] = combined(node, flushed, np.logical_or)
        if node.op != "bmm":
            found["flushed"] |= found["low"] < self.least
        found["divided"] = combined(node, [value["divided"] for value in values], np.logical_or)
        if node.op == "div":
            found["divided"] |= flushed[1]
        elif node.op not in _FINITE_AT_ZERO and not _is_power(node):
            found["divided"] |= combined(node, flushed, np.logical_or)

    def _on_the_way(self, found: Array, highest: Array, lowest: Array) -> None:
        """What is on the way to the arguments, and the factors; a sure 0 has no way."""
        found["highest"] = np.maximum(found["high"], highest)
        found["lowest"] = np.minimum(found["low"], lowest)
        nothing = ~found["some"]
        for part in ("high", "low", "highest", "lowest", "flushed", "divided"):
            found[part][nothing] = 0


def _products(left: Array, right: Array, found: Array) -> None:
    """A contraction: its products are on the way to it, and whether there are any."""
    highest, lowest = np.zeros((2, *found.shape), dtype=np.int64)
    some = np.zeros(found.shape, dtype=bool)
    for k in range(left.shape[-1]):
        a, b = left[..., :, k, None], right[..., None, k, :]
        both = a["some"] & b["some"]
        some |= both
        np.maximum(highest, np.where(both, a["high"] + b["high"], 0), out=highest)
        np.minimum(lowest, np.where(both, a["low"] + b["low"], 0), out=lowest)
    found["some"] = some
    found["high"] = np.maximum(found["high"], highest)
    found["low"] = np.minimum(found["low"], lowest)


def _flushed_products(left: Array, right: Array, least: int) -> Array:
    """Which entries of a contraction are made of nothing but products that underflow."""
    present: Any = np.zeros((), dtype=bool)
    for k in range(left.shape[-1]):
        a, b = left[..., :, k, None], right[..., None, k, :]
        under = a["flushed"] | b["flushed"] | (a["low"] + b["low"] < least)
        present = present | (a["some"] & b["some"] & ~under)
    return np.asarray(~present)


def _may_be_something(node: Operation, some: Sequence[Array]) -> Array:
    """Whether an entry is not 0 whatever the inputs, as far as its arguments show."""
    if node.op == "mul":
        return np.asarray(some[0] & some[1])
    if node.op in ("div", "neg") or _is_power(node):
        return some[0] if len(some) == 1 else np.broadcast_arrays(*some)[0]
    if node.op == "where":
        return np.asarray(some[1] | some[2])
    if node.op == "solve":
        return np.broadcast_to(some[1].any(axis=-2, keepdims=True), (len(some[1]), *node.shape))
    if node.op in _SUMS:
        return combined(node, some, np.logical_or)
    return np.ones((1, *node.shape), dtype=bool)


def _is_power(node: Operation) -> bool:
    return node.op == "ipow" and isinstance(node.attr, int) and node.attr > 0


_NEVER_ZERO = frozenset({"exp", "exp2", "cos", "cosh", "sech", "erfc"})
_FINITE_AT_ZERO = _NEVER_ZERO | {
    "add", "sub", "mul", "sum", "cumsum", "bmm", "neg", "abs", "conj", "real", "imag", "complex",
    "lt", "le", "eq", "not", "and", "or", "where", "sign", "heaviside", "floor", "ceil", "round",
    "min", "max", "sqrt", "cbrt", "expm1", "log1p", "sin", "tan", "asin", "acos", "atan", "atan2",
    "sinh", "tanh", "asinh", "atanh", "erf", "erfinv",
}  # fmt: skip
_SUMS = frozenset({"add", "sub", "sum", "cumsum", "conj", "real", "imag", "complex"})


def _span(balls: Array, emin: int) -> tuple[Array, Array]:
    """Of each ball, the exponents of the largest number and of the smallest that is not 0.

    Shapes: those of ``balls`` each.
    """
    upper = np.asarray(_abs_upper(balls).astype(float))
    floor = (np.frexp(upper)[1] - 1).astype(np.int64)
    beyond = ~(np.isfinite(upper) & (upper >= _SMALLEST))
    if beyond.any():
        floor[beyond] = _floor(balls[beyond])
    may_vanish = (floor >= emin) & np.equal(_abs_lower(balls).astype(float), 0.0)
    return np.maximum(floor, 0), np.where(may_vanish, 0, np.minimum(floor, 0))


def _floor_of(ball: Any) -> int:
    """The exponent of the largest number of a ball; 0 where there is none."""
    if not ball.is_finite() or ball == 0:
        return 0
    mantissa, exponent = ball.abs_upper().man_exp()
    floor = int(exponent) + int(mantissa).bit_length() - 1
    return min(max(floor, -_FARTHEST), _FARTHEST)


_SMALLEST = 2.0**FLOAT64.emin
_abs_upper = np.frompyfunc(lambda ball: ball.abs_upper(), 1, 1)
_abs_lower = np.frompyfunc(lambda ball: ball.abs_lower(), 1, 1)
_floor = np.frompyfunc(_floor_of, 1, 1)
_finite = np.frompyfunc(lambda ball: ball.is_finite(), 1, 1)
