"""What rounding can do to derivatives of array functions; see docs/judge.md.

All bounds come from one pass in float64 (``float_arrays``), the scale from one with PyTorch's own
local derivatives where they differ. The conditioning is exact where there
are few inputs: one more derivative along each. Points at which float64 says too little are run in
balls: of the dtype's precision, and with balls of radius h |x_j| for the inputs, h small, whose
answer has a radius of at least h sum |x_j dg/dx_j|, up to terms in h**2. At a kink each branch has
its bounds, and the largest stands: how far the branches lie apart is no rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from flint import acb, arb

from gradcheck.dtypes import Dtype
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.ops.balls import working
from gradcheck.query import Array, Query
from gradcheck.reference.ball_arrays import Balls, is_finite, lift, magnitudes, radii
from gradcheck.reference.branches import signs_of_branches
from gradcheck.reference.derivative_graphs import DerivativeGraphs, Rows, joined
from gradcheck.reference.float_arrays import Measured
from gradcheck.reference.interpret import evaluate
from gradcheck.reference.query_rows import MOST_ENTRIES_AT_ONCE, inner_products, plan_rows

_BITS = 256
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
    numbers. ``size`` is what an error is small or large beside; None where that is the entry.

    Shapes: [count, *free] each.
    """

    conditioning: Array
    rounding: Array
    scale: Array
    underflows: Array
    size: Array | None = None


def error_bounds(
    graphs: DerivativeGraphs, query: Query, points: Array, dtype: Dtype, *, normwise: bool = False
) -> ArrayErrorBounds:
    """The bounds of a query's answer at exact points, as ``enclose`` answers it.

    With ``normwise`` each input moves relatively to the largest entry of its array.
    """
    planned = plan_rows(graphs, query, points)
    found = [
        _bounds(graphs, rows, cotangent, dtype, normwise=normwise)
        for rows, cotangent in planned.parts
    ]
    return ArrayErrorBounds(*map(planned.arranged, zip(*found, strict=True)))


def rounding(graphs: DerivativeGraphs, query: Query, points: Array, dtype: Dtype) -> Array:
    """R of a query's answer alone.

    Shapes: [count, *free].
    """
    planned = plan_rows(graphs, query, points)
    found = [_rounding(graphs, *part, dtype) for part in planned.parts]
    return planned.arranged(found)


def largest(graphs: DerivativeGraphs, query: Query, points: Array, dtype: Dtype) -> Array:
    """M of a query's answer alone: of all its entries at a point the largest.

    Shapes: [count].
    """
    graphs = graphs.as_pytorch()
    planned = plan_rows(graphs, query, points)
    scales = [measured_answer(graphs, *part, dtype).scale for part in planned.parts]
    found = planned.arranged(scales)
    return np.asarray(found.reshape(len(found), -1).max(axis=1, initial=0.0))


def _bounds(
    graphs: DerivativeGraphs,
    rows: Rows,
    cotangent: Array | None,
    dtype: Dtype,
    *,
    normwise: bool,
) -> tuple[Array, Array, Array, Array]:
    found = measured_answer(graphs, rows, cotangent, dtype, normwise=normwise)
    by_pytorch, on_its_way = graphs.as_pytorch(), found
    if by_pytorch is not graphs:
        on_its_way = measured_answer(by_pytorch, rows, cotangent, dtype)
    return (
        _conditioning(graphs, rows, cotangent, found, normwise=normwise),
        _rounding(graphs, rows, cotangent, dtype, found),
        _scale(on_its_way),
        on_its_way.tiny,
    )


def _scale(found: Measured) -> Array:
    """M; of an entry that vanishes with all that it is computed from, that of its whole row.

    PyTorch may compute it as a difference of two numbers of the row's size.
    """
    largest = np.fmax(found.scale, np.abs(found.value)).max(axis=1, keepdims=True, initial=0.0)
    return np.where((found.scale == 0) & (found.value == 0), largest, found.scale)


def _conditioning(
    graphs: DerivativeGraphs,
    rows: Rows,
    cotangent: Array | None,
    found: Measured,
    *,
    normwise: bool,
) -> Array:
    reach = graphs.reach(rows.points, normwise=normwise)
    if cotangent is None and graphs.function.size <= MOST_EXACT_INPUTS:
        with suppress(NoDerivative):
            return exact_conditioning(graphs, rows, found, reach)
    conditioning, doubt = np.abs(found.value) + found.spread, _doubtful(found)
    if doubt.any():
        some = _some(doubt, rows, cotangent)
        conditioning[doubt] = bounded_conditioning(graphs, *some, reach[doubt])
    return conditioning


def _rounding(
    graphs: DerivativeGraphs,
    rows: Rows,
    cotangent: Array | None,
    dtype: Dtype,
    found: Measured | None = None,
) -> Array:
    found = found or measured_answer(graphs, rows, cotangent, dtype)
    bound, doubt = found.error * dtype.unit_roundoff, _doubtful(found)
    if doubt.any():
        bound[doubt] = rounding_in_balls(graphs, *_some(doubt, rows, cotangent), dtype)
    return np.asarray(bound)


def _doubtful(found: Measured) -> Array:
    """Which rows are to be bounded by balls."""
    return np.asarray(found.doubt.any(axis=1))


def _some(rows: Array, all_rows: Rows, cotangent: Array | None) -> tuple[Rows, Array | None]:
    return all_rows.take(rows), None if cotangent is None else cotangent[rows]


def measured_answer(
    graphs: DerivativeGraphs,
    rows: Rows,
    cotangent: Array | None,
    dtype: Dtype,
    *,
    normwise: bool = False,
) -> Measured:
    """The answer in float64, with what errors do to it.

    Shapes: [count, free].
    """
    answer = graphs.measure(graphs.outputs_of(rows), rows, dtype, normwise=normwise)
    return answer if cotangent is None else _contracted(answer, cotangent, dtype)


def _contracted(answer: Measured, cotangent: Array, dtype: Dtype) -> Measured:
    """⟨cotangent, answer⟩; what is not asked for counts for nothing."""
    asked, weight = cotangent != 0, np.abs(cotangent)

    def weighed(part: Array) -> Array:
        return np.where(asked, part * weight, 0.0)

    with np.errstate(all="ignore"):
        products = np.where(asked, (np.conj(cotangent) * answer.value).real, 0.0)
        sizes = weighed(np.abs(answer.value))
        partial = np.cumsum(sizes, axis=1)
        own = np.where(sizes > 0, np.maximum(sizes, dtype.smallest_normal), 0.0)
        error = weighed(answer.error).sum(1) + own.sum(1) + partial[:, 1:].sum(1)
        spread = weighed(answer.spread).sum(1)
    columns = (
        products.sum(1), (answer.doubt & asked).any(1), error, spread,
        np.fmax(np.where(asked, answer.scale, 0.0).max(1, initial=0.0), sizes.sum(1)),
        (answer.tiny & asked).any(1),
    )  # fmt: skip
    return Measured(*(np.asarray(column)[:, None] for column in columns))


def exact_conditioning(
    graphs: DerivativeGraphs, rows: Rows, found: Measured, reach: Array
) -> Array:
    """S by the derivative of the answer along each input entry; ``found`` is the answer in floats.

    Shapes: reach [count, n], as ``DerivativeGraphs.reach`` gives it; [count, free].
    Errors: NoDerivative where the operator table states none.
    """
    size, doubt = graphs.function.size, _doubtful(found)
    magnitude = np.abs(found.value)
    if doubt.any():
        some = rows.take(doubt)
        magnitude[doubt] = _magnitudes_in_balls(graphs, graphs.outputs_of(rows), some)
    total = [magnitude[:0]]
    step = max(1, MOST_ENTRIES_AT_ONCE // max(1, size * magnitude.shape[1]))
    for start in range(0, rows.count, step):
        cut = slice(start, start + step)
        some = rows.take(cut)
        along = some.take(np.repeat(np.arange(some.count), size))
        units = np.tile(np.eye(size), (some.count, 1))
        along = replace(along, tangents=(*along.tangents, units))
        slopes = np.abs(graphs.in_floats(graphs.moved(rows), along))
        unsure = np.repeat(doubt[cut], size) | ~np.isfinite(slopes).all(axis=1)
        if unsure.any():
            slopes[unsure] = _magnitudes_in_balls(graphs, graphs.moved(rows), along.take(unsure))
        terms = reach[cut][:, :, None] * slopes.reshape(some.count, size, slopes.shape[1])
        total.append(terms.sum(axis=1))
    return np.asarray(magnitude + np.concatenate(total))


def _magnitudes_in_balls(graphs: DerivativeGraphs, nodes: Sequence[int], rows: Rows) -> Array:
    """Absolute values of nodes; 0 where they have none.

    Shapes: [count, entries of the nodes].
    """
    exact = graphs.balls(rows)
    with working(_BITS, exact=rows.order == 0):
        arrays = evaluate(graphs.function.graph, nodes, graphs.inputs(exact), Balls())
    sizes = magnitudes(joined(arrays, exact.count))
    return np.where(np.isfinite(sizes), sizes, 0.0)


_Decisions = Mapping[int, Array]
"""Signs of what is undecided, as ``Balls`` takes them."""
_Measure = Callable[[Rows, Array | None, Array, _Decisions], Array]
"""What of an answer to some rows, under decisions; the array has the numbers of the rows."""


def _over_branches(
    graphs: DerivativeGraphs, rows: Rows, cotangent: Array | None, measure: _Measure
) -> Array:
    """A measure of the answer, at kinks the largest of all branches.

    Shapes: [count, free].
    """
    found = measure(rows, cotangent, np.arange(rows.count), {})
    touched = graphs.enclose(rows, _BITS).touched if rows.order else np.zeros(rows.count, bool)
    kinks = np.flatnonzero(touched)
    if kinks.size:
        numbers, decisions = signs_of_branches(graphs, rows.take(kinks))
        chosen = kinks[numbers]
        part = None if cotangent is None else cotangent[chosen]
        each = measure(rows.take(chosen), part, chosen, decisions)
        starts = np.searchsorted(numbers, np.arange(kinks.size))
        found[kinks] = np.maximum.reduceat(each, starts, axis=0)
    return found


def bounded_conditioning(
    graphs: DerivativeGraphs, rows: Rows, cotangent: Array | None, reach: Array
) -> Array:
    """A bound of S from above, in one more pass; the dependency problem of balls makes it larger.

    Shapes: reach [count, n], as ``DerivativeGraphs.reach`` gives it; [count, free].
    """

    def measure(some: Rows, part: Array | None, numbers: Array, decisions: _Decisions) -> Array:
        return _conditioning_of_boxes(graphs, some, part, reach[numbers], decisions)

    return _over_branches(graphs, rows, cotangent, measure)


def _conditioning_of_boxes(
    graphs: DerivativeGraphs,
    rows: Rows,
    cotangent: Array | None,
    reach: Array,
    decisions: _Decisions,
) -> Array:
    exact = graphs.balls(rows)
    answer = _answer(graphs, exact, cotangent, _BITS, decisions)
    found = np.where(is_finite(answer), magnitudes(answer), 0.0)
    start = np.where(is_finite(answer), radii(answer), np.inf)
    todo = np.arange(rows.count)
    for step in STEPS:
        part = None if cotangent is None else cotangent[todo]
        widened = exact.take(todo)
        moved = Rows(rows.order, _widened(widened.points, step * reach[todo]), widened.cotangent,
                     widened.tangents)  # fmt: skip
        signs = {node: each[todo] for node, each in decisions.items()}
        wide = _answer(graphs, moved, part, _BITS, signs)
        finite = is_finite(wide)
        grown = np.where(finite, radii(wide) * _OUTWARDS - start[todo], 0.0) / step
        done = (finite | ~is_finite(answer[todo])).all(axis=1)
        found[todo[done]] += np.fmax(grown[done], 0.0)
        todo = todo[~done]
        if not todo.size:
            return found
    found[todo] += np.fmax(grown[~done], 0.0)
    return found


def _widened(points: Array, sizes: Array) -> Array:
    def around(x: arb, size: float) -> arb:
        return arb(x.mid(), size)

    def ball(x: arb | acb, size: float) -> arb | acb:
        if isinstance(x, acb):
            return acb(around(x.real, size), around(x.imag, size))
        return around(x, size)

    with working(_BITS, exact=False):
        return np.asarray(np.frompyfunc(ball, 2, 1)(points, sizes), dtype=object)


def _answer(  # noqa: PLR0913 - all that an answer in balls hangs on
    graphs: DerivativeGraphs,
    rows: Rows,
    cotangent: Array | None,
    bits: int,
    decisions: _Decisions,
    dtype: Dtype | None = None,
) -> Array:
    """The answer of rows that hold balls."""
    algebra = Balls(decisions, dtype=dtype)
    answer = graphs.run(rows, bits, algebra, exact=rows.order == 0).answer
    return answer if cotangent is None else inner_products(answer, lift(cotangent), bits)


def rounding_in_balls(
    graphs: DerivativeGraphs, rows: Rows, cotangent: Array | None, dtype: Dtype
) -> Array:
    """R by balls, with what rounding each product and sum of a contraction can do, and below the
    normal numbers: FLINT rounds a contraction once, and has no smallest number.

    Shapes: [count, free].
    """

    def measure(some: Rows, part: Array | None, _: Array, decisions: _Decisions) -> Array:
        answer = _answer(graphs, graphs.balls(some), part, dtype.precision, decisions, dtype)
        return np.where(is_finite(answer), radii(answer), 0.0)

    return _over_branches(graphs, rows, cotangent, measure)
