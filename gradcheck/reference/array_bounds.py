"""What rounding can do to derivatives of array functions; see docs/judge.md.

The conditioning is exact where there are few inputs: one more derivative along each. Elsewhere it
is bounded in one more pass: with balls of radius h |x_j| for the inputs, h small, the answer's ball
has a radius of at least h sum |x_j dg/dx_j|, up to terms in h**2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from flint import acb, arb

from gradcheck.dtypes import Dtype
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.ops.balls import working
from gradcheck.query import Array, Query
from gradcheck.reference.ball_arrays import Balls, is_finite, lift, magnitudes, radii
from gradcheck.reference.derivative_graphs import DerivativeGraphs, Rows, joined
from gradcheck.reference.float_arrays import Scaled
from gradcheck.reference.interpret import evaluate
from gradcheck.reference.query_rows import inner_products, plan

BITS = 256
MOST_EXACT_INPUTS = 32
STEPS = (2.0**-20, 2.0**-50, 2.0**-100)
"""h, from the largest: the next where an input ball leaves the domain."""
_OUTWARDS = 1 + 2.0**-20


@dataclass(frozen=True, slots=True, eq=False)
class ArrayErrorBounds:
    """What rounding can do to each entry of an answer.

    ``conditioning`` is S = |g| + sum |x_j dg/dx_j|, or a bound from above, ``rounding`` is R, the
    radius of the same graph in balls of the dtype's own precision, ``scale`` is M, the largest
    value that the entry is computed from, and ``underflows`` says that one is below the normal
    numbers.

    Shapes: [count, *free] each.
    """

    conditioning: Array
    rounding: Array
    scale: Array
    underflows: Array


def error_bounds(
    graphs: DerivativeGraphs, query: Query, points: Array, dtype: Dtype
) -> ArrayErrorBounds:
    """The bounds of a query's answer at exact points, as ``enclose`` answers it."""
    planned = plan(graphs, query, points)
    found = [_bounds(graphs, rows, cotangent, dtype) for rows, cotangent in planned.parts]
    columns = (np.concatenate(column).reshape(planned.shape) for column in zip(*found, strict=True))
    return ArrayErrorBounds(*columns)


def _bounds(
    graphs: DerivativeGraphs, rows: Rows, cotangent: Array | None, dtype: Dtype
) -> tuple[Array, Array, Array, Array]:
    return (
        _conditioning(graphs, rows, cotangent),
        _rounding(graphs, rows, cotangent, dtype),
        *_scale(graphs, rows, cotangent, dtype),
    )


def _conditioning(graphs: DerivativeGraphs, rows: Rows, cotangent: Array | None) -> Array:
    if cotangent is None and graphs.function.size <= MOST_EXACT_INPUTS:
        try:
            return exact_conditioning(graphs, rows)
        except NoDerivative:
            pass
    return bounded_conditioning(graphs, rows, cotangent)


def exact_conditioning(graphs: DerivativeGraphs, rows: Rows) -> Array:
    """S by the derivative of the answer along each input entry.

    Shapes: [count, free].
    Errors: NoDerivative where the operator table states none.
    """
    graph, size = graphs.function.graph, graphs.function.size
    exact = graphs.balls(rows)
    answer = _answer(graphs, exact, None, BITS)
    found = np.where(is_finite(answer), magnitudes(answer), 0.0)
    nodes = graphs.moved(rows)
    for entry in range(size):
        unit = np.broadcast_to(np.eye(size)[entry], rows.points.shape)
        tangent = graphs.lifted(unit, graphs.function.inputs)
        along = replace(exact, tangents=(*exact.tangents, tangent))
        arrays = graphs.inputs(along)
        with working(BITS, exact=False):
            slopes = joined(evaluate(graph, nodes, arrays, Balls()), rows.count)
        term = np.abs(rows.points[:, entry, None]) * magnitudes(slopes)
        found += np.where(np.isfinite(term), term, 0.0)
    return found


def bounded_conditioning(graphs: DerivativeGraphs, rows: Rows, cotangent: Array | None) -> Array:
    """A bound of S from above, in one more pass; the dependency problem of balls makes it larger.

    Shapes: [count, free].
    """
    exact = graphs.balls(rows)
    answer = _answer(graphs, exact, cotangent, BITS)
    found = np.where(is_finite(answer), magnitudes(answer), 0.0)
    start = np.where(is_finite(answer), radii(answer), np.inf)
    todo = np.arange(rows.count)
    for step in STEPS:
        part = None if cotangent is None else cotangent[todo]
        widened = exact.take(todo)
        moved = Rows(rows.order, _widened(widened.points, step), widened.cotangent,
                     widened.tangents)  # fmt: skip
        wide = _answer(graphs, moved, part, BITS)
        finite = is_finite(wide)
        grown = np.where(finite, radii(wide) * _OUTWARDS - start[todo], 0.0) / step
        done = (finite | ~is_finite(answer[todo])).all(axis=1)
        found[todo[done]] += np.fmax(grown[done], 0.0)
        todo = todo[~done]
        if not todo.size:
            return found
    found[todo] += np.fmax(grown[~done], 0.0)
    return found


def _widened(points: Array, step: float) -> Array:
    def around(x: arb) -> arb:
        return arb(x.mid(), abs(x.mid()) * arb(step))

    def ball(x: arb | acb) -> arb | acb:
        return acb(around(x.real), around(x.imag)) if isinstance(x, acb) else around(x)

    with working(BITS, exact=False):
        return np.asarray(np.frompyfunc(ball, 1, 1)(points), dtype=object)


def _answer(
    graphs: DerivativeGraphs, rows: Rows, cotangent: Array | None, bits: int, rounding: float = 0.0
) -> Array:
    """The answer of rows that hold balls."""
    algebra = Balls(rounding=rounding)
    answer = graphs.run(rows, bits, algebra, exact=rows.order == 0).answer
    return answer if cotangent is None else inner_products(answer, lift(cotangent), bits)


def _rounding(graphs: DerivativeGraphs, rows: Rows, cotangent: Array | None, dtype: Dtype) -> Array:
    """R, with what rounding each product and sum of a contraction can do: FLINT rounds it once."""
    answer = _answer(graphs, graphs.balls(rows), cotangent, dtype.precision, dtype.unit_roundoff)
    return np.where(is_finite(answer), radii(answer), 0.0)


def _scale(
    graphs: DerivativeGraphs, rows: Rows, cotangent: Array | None, dtype: Dtype
) -> tuple[Array, Array]:
    graph = graphs.function.graph
    algebra = Scaled(graph, 2.0**dtype.emin)
    inputs = [algebra.lift(array) for array in graphs.inputs(rows)]
    found = evaluate(graph, graphs.outputs_of(rows), inputs, algebra)
    flat = [each.reshape(each.shape[0], -1) for each in found]
    joined = [np.broadcast_to(each, (rows.count, each.shape[1])) for each in flat]
    records = np.concatenate(joined, axis=1)
    if cotangent is None:
        return records["scale"], records["tiny"]
    asked = cotangent != 0
    terms = np.abs(records["value"] * cotangent).sum(axis=1)
    scale = np.fmax(np.where(asked, records["scale"], 0.0).max(axis=1), terms)
    return scale[:, None], (records["tiny"] & asked).any(axis=1)[:, None]
