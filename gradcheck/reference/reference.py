"""The certified truth about one formula: the one thing that a judge asks.

Two derivations are held against each other at every point: sympy's and the chain rule on the array
graph where the formula is small, forward and reverse mode elsewhere (``note`` says why).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from flint import arb

from gradcheck.dtypes import Dtype
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.graph.graph import Graph, NodeId
from gradcheck.graph.lower import Lowered
from gradcheck.ops.balls import working
from gradcheck.ops.table import OPERATORS
from gradcheck.query import Array, Query
from gradcheck.reference import array_bounds, enclosures, rounded, spans
from gradcheck.reference.array_bounds import ArrayErrorBounds
from gradcheck.reference.ball_arrays import (
    MOST_BITS,
    START_BITS,
    ZERO,
    is_finite,
    is_settled,
    lift,
    overlaps,
)
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction, Rows
from gradcheck.reference.enclosures import (
    HOPELESS_BITS,
    DerivationsDiffer,
    Enclosures,
    Status,
)
from gradcheck.reference.query_rows import MOST_ENTRIES_AT_ONCE, in_floats, plan_rows

if TYPE_CHECKING:
    from gradcheck.reference.symbolic import SymbolicDerivative

BOX_BITS = 64
MOST_SYMBOLIC_ENTRIES = 150
MOST_SYMBOLIC_OPERATIONS = 1_500


class Reference:
    """Certified values and derivatives of one formula, and what rounding can do to them.

    It writes derivatives when they are first asked for, so it changes; an answer hangs on its
    question alone, never on what was asked before. The outputs are those that are judged. Of an
    order for which the operator table states no derivative, every entry is undefined.

    ``is_stopped`` says that the derivative that is meant is not that of the values.

    Units: ``outputs`` and ``size`` count entries; a complex entry is one.
    """

    def __init__(self, formula: Lowered) -> None:
        self._function = GraphFunction.of(formula)
        self.outputs, self.size = self._function.width, self._function.size
        self.is_stopped = self._function.is_stopped
        self._graphs = DerivativeGraphs(self._function)
        self._sympy: dict[int, tuple[SymbolicDerivative | None, str]] = {}

    def enclose(self, query: Query, points: Array) -> Enclosures:
        """Enclosures of the query's answer at exact points.

        Shapes: points [count, n]; balls and status [count, *free].
        Errors: DerivationsDiffer.
        """
        symbolic = self._symbolic(query.order)
        try:
            found = enclosures.enclose(self._graphs, query, points, alone=symbolic is None)
        except NoDerivative as error:
            shape = self._shape(query, points)
            balls = np.full(shape, arb.nan(), dtype=object)
            return Enclosures(balls, np.full(shape, Status.UNDEFINED), "", str(error))
        if symbolic is None:
            return found
        return self._held(symbolic, query, points, found)

    def in_floats(self, query: Query, points: Array) -> Array:
        """The answer to a query about a real function in plain float64, which nothing certifies.

        Shapes: [count, *free].
        Errors: NoDerivative.
        """
        return in_floats(self._graphs, query, points)

    def error_bounds(
        self, query: Query, points: Array, dtype: Dtype, *, normwise: bool = False
    ) -> ArrayErrorBounds:
        """What rounding can do to each entry of the answer; nothing where there is no derivative.

        With ``normwise`` each input moves relatively to the largest entry of its array.

        Shapes: [count, *free] each.
        """
        try:
            return array_bounds.error_bounds(self._graphs, query, points, dtype, normwise=normwise)
        except NoDerivative:
            shape = self._shape(query, points)
            nothing = np.zeros(shape)
            return ArrayErrorBounds(nothing, nothing, nothing, np.zeros(shape, dtype=bool))

    def rounding_errors(self, query: Query, points: Array, dtype: Dtype) -> tuple[Array, ...]:
        """Samples of what rounding does to an answer, from the best to the worst right code.

        Shapes: [samples, count, *free] each.
        Errors: NoDerivative.
        """
        return rounded.rounding_errors(self._graphs, query, points, dtype)

    def longest_sum(self, query: Query, points: Array) -> int:
        """Return how many terms the longest sum has that an answer is computed from.

        Errors: NoDerivative.
        """
        return rounded.longest_sum(self._graphs, query, points)

    def rounding(self, query: Query, points: Array, dtype: Dtype) -> Array:
        """R of the error bounds alone.

        Shapes: [count, *free].
        Errors: NoDerivative.
        """
        return array_bounds.rounding(self._graphs, query, points, dtype)

    def largest(self, query: Query, points: Array, dtype: Dtype) -> Array:
        """M of the error bounds alone, of all entries at a point the largest.

        Shapes: [count].
        Errors: NoDerivative.
        """
        return array_bounds.largest(self._graphs, query, points, dtype)

    def leaves_range(
        self, query: Query, points: Array, dtype: Dtype, *, upwards: bool = False
    ) -> Array:
        """Whether the formula or its chain rule leaves the dtype's range on the way to each entry;
        ``upwards``, so that infinity or NaN may come of it.

        Shapes: booleans, [count, *free].
        """
        try:
            return spans.leaves_range(self._graphs, query, points, dtype, upwards=upwards)
        except NoDerivative:
            return np.zeros(self._shape(query, points), dtype=bool)

    def over(self, order: int, box: Array, bits: int = BOX_BITS) -> tuple[Array, Array]:
        """All derivatives of an order over boxes, and which boxes met an undecided condition.

        Shapes: box [count, n], balls; derivatives [count, m, n, ...]; touched [count].
        Errors: NoDerivative; ValueError where an entry is complex.
        """
        planned = plan_rows(self._graphs, Query.of_all(order), box)
        found = [self._graphs.enclose(rows, bits, exact=order == 0) for rows, _ in planned.parts]
        rows = np.concatenate([each.touched for each in found]).reshape(len(box), -1)
        touched = np.asarray(rows.any(axis=1))
        return planned.arranged([each.answer for each in found]), touched

    def touches(self, box: Array) -> Array:
        """Which boxes meet a condition that they leave undecided, of the formula or its slope.

        Shapes: box [count, n], balls; booleans [count].
        Errors: NoDerivative.
        """
        rows = Rows(1, box, None, (np.ones(box.shape),))
        return self._graphs.enclose(rows, BOX_BITS, exact=False).touched

    def note(self, order: int) -> str:
        """Why sympy does not testify at this order; empty where it does, and for values."""
        self._symbolic(order)
        return self._sympy[order][1] if order else ""

    def _shape(self, query: Query, points: Array) -> tuple[int, ...]:
        sides = [points, *query.sides]
        count = max(len(side) for side in sides if side is not None)
        return (count, *query.free_shape(self.outputs, self.size))

    # sympy's side

    def _symbolic(self, order: int) -> SymbolicDerivative | None:
        if not order:
            return None
        if order not in self._sympy:
            self._sympy[order] = _sympy_derivative(self._function, order)
        return self._sympy[order][0]

    def _held(
        self, symbolic: SymbolicDerivative, query: Query, points: Array, found: Enclosures
    ) -> Enclosures:
        """The enclosures, held against sympy's; where only those prove anything, they stand.

        Errors: DerivationsDiffer.
        """
        shape, balls, status = found.balls.shape, found.balls, found.status
        second = np.broadcast_to(_contracted(symbolic, query, points, START_BITS), shape)
        apart = is_settled(second) & (status == Status.SETTLED)
        apart[apart] = ~overlaps(balls[apart], second[apart]).astype(bool)
        if apart.any():
            place = tuple(np.argwhere(apart)[0])
            x = points[place[0] if len(points) > 1 else 0].tolist()[:8]
            ours, theirs = (each[place].str(20) for each in (balls, second))
            raise DerivationsDiffer(f"at {x} the chain rule gives {ours}, sympy {theirs}")
        vague = (status == Status.VAGUE).any(axis=tuple(range(1, status.ndim)))
        for row in np.flatnonzero(vague).tolist():
            own = slice(row, row + 1)
            self._fill(symbolic, *_at(query, points, row), balls[own], status[own])
        return found

    def _fill(
        self, symbolic: SymbolicDerivative, query: Query, point: Array, balls: Array, status: Array
    ) -> None:
        """Put sympy's ball where the chain rule is vague, if all that lies below is settled.

        Shapes: point [1, n]; balls and status [1, *free].
        """
        bits = START_BITS
        while True:
            second = _contracted(symbolic, query, point, bits)
            chosen = (status == Status.VAGUE) & is_settled(second)
            hopeless = bits >= HOPELESS_BITS and not is_finite(second).all()
            if chosen.any() or bits >= MOST_BITS or hopeless:
                break
            bits *= 2
        if chosen.any() and self._settled_below(query.order, point):
            balls[chosen], status[chosen] = second[chosen], Status.SETTLED

    def _settled_below(self, order: int, point: Array) -> bool:
        lower = map(Query.of_all, range(order))
        return all((self.enclose(one, point).status == Status.SETTLED).all() for one in lower)


def _at(query: Query, points: Array, row: int) -> tuple[Query, Array]:
    """The query and the point of one row."""

    def one(side: Array) -> Array:
        return side[row : row + 1] if len(side) > 1 else side

    cotangent = None if query.cotangent is None else one(query.cotangent)
    tangents = tuple(None if tangent is None else one(tangent) for tangent in query.tangents)
    return Query(query.order, cotangent, tangents), one(points)


def _contracted(symbolic: SymbolicDerivative, query: Query, points: Array, bits: int) -> Array:
    """Sympy's answer to a query: all derivatives, contracted.

    Shapes: [count or 1, *free].
    """
    step = max(1, MOST_ENTRIES_AT_ONCE // max(1, len(symbolic.nodes)))
    parts = [points[k : k + step] for k in range(0, len(points), step)]
    found = np.concatenate([symbolic.enclose(part, bits) for part in parts])
    with working(bits, exact=False):
        for tangent in query.tangents:
            if tangent is not None:
                count, size = tangent.shape
                sides = lift(tangent).reshape(count, *(1,) * (found.ndim - 2), size)
                found = _added(found * sides, -1)
        if query.cotangent is not None:
            sides = lift(query.cotangent)
            sides = sides.reshape(*sides.shape, *(1,) * (found.ndim - 2))
            found = _added(found * sides, 1)
    return found


def _added(balls: Array, axis: int) -> Array:
    """Their sum along an axis; of none a ball too."""
    return np.asarray(np.add.reduce(balls, axis=axis, initial=ZERO), dtype=object)


def _sympy_derivative(function: GraphFunction, order: int) -> tuple[SymbolicDerivative | None, str]:
    """Sympy's derivative, or none and why."""
    entries = function.width * function.size**order // math.factorial(order)
    operations = scalar_operations(function)
    if entries > MOST_SYMBOLIC_ENTRIES or operations > MOST_SYMBOLIC_OPERATIONS:
        return None, f"{entries} derivatives of {operations} operations are too many for sympy"
    from gradcheck.reference import (
        symbolic,
        sympy_reader,  # sympy loads only where a case is judged
    )

    try:
        return symbolic.derivatives(function, order), ""
    except symbolic.TooLong as error:
        return None, f"{entries} derivatives of {error} are too many for sympy"
    except sympy_reader.Untranslatable as error:
        return None, f"{error} has no form in our operators"


def scalar_operations(function: GraphFunction) -> int:
    """About how many operations on single numbers the function takes."""
    graph = function.graph
    return sum(_scalars(graph, node) for node in graph.ancestors(function.outputs))


def _scalars(graph: Graph, index: NodeId) -> int:
    node = graph.nodes[index]
    if node.op in ("sum", "cumsum"):
        return graph.nodes[node.args[0]].size
    if node.op == "bmm":
        return 2 * node.size * graph.shape(node.args[0])[-1]
    if node.op in ("inverse", "solve"):  # by minors
        n = graph.shape(node.args[0])[-1]
        return (graph.nodes[node.args[0]].size << min(n, 30)) + 2 * node.size * n
    return node.size if node.op in OPERATORS else 0
