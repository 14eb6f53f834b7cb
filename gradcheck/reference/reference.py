"""The certified truth about one formula: the one thing that a judge asks."""

from __future__ import annotations

import itertools

import numpy as np
from flint import arb

from gradcheck.dtypes import Dtype
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.graph.lower import Lowered
from gradcheck.query import Array, Query
from gradcheck.reference import array_bounds, enclosures, spans
from gradcheck.reference.array_bounds import ArrayErrorBounds
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction, Rows
from gradcheck.reference.enclosures import Enclosures, Status

BOX_BITS = 64


class Reference:
    """Certified values and derivatives of one formula, and what rounding can do to them.

    It writes derivative graphs when they are first asked for, so it changes; an answer hangs on
    its question alone, never on what was asked before. The outputs are those that are judged. Of
    an order for which the operator table states no derivative, every entry is undefined.

    Units: ``outputs`` and ``size`` count entries; a complex entry is one.
    """

    def __init__(self, formula: Lowered) -> None:
        judged = tuple(node for node in formula.results if node is not None)
        function = GraphFunction(formula.graph, formula.inputs, judged)
        self.outputs, self.size = function.width, function.size
        self._graphs = DerivativeGraphs(function)

    def enclose(self, query: Query, points: Array) -> Enclosures:
        """Enclosures of the query's answer at exact points.

        Shapes: points [count, n]; balls and status [count, *free].
        Errors: DerivationsDiffer.
        """
        try:
            return enclosures.enclose(self._graphs, query, points)
        except NoDerivative as error:
            shape = self._shape(query, points)
            balls = np.full(shape, arb.nan(), dtype=object)
            return Enclosures(balls, np.full(shape, Status.UNDEFINED), "", str(error))

    def error_bounds(self, query: Query, points: Array, dtype: Dtype) -> ArrayErrorBounds:
        """What rounding can do to each entry of the answer; nothing where there is no derivative.

        Shapes: [count, *free] each.
        """
        try:
            return array_bounds.error_bounds(self._graphs, query, points, dtype)
        except NoDerivative:
            shape = self._shape(query, points)
            nothing = np.zeros(shape)
            return ArrayErrorBounds(nothing, nothing, nothing, np.zeros(shape, dtype=bool))

    def leaves_range(self, query: Query, points: Array, dtype: Dtype) -> Array:
        """Whether the formula or its chain rule leaves the dtype's range on the way to each entry.

        Shapes: booleans, [count, *free].
        """
        try:
            return spans.leaves_range(self._graphs, query, points, dtype)
        except NoDerivative:
            return np.zeros(self._shape(query, points), dtype=bool)

    def over(self, order: int, box: Array, bits: int = BOX_BITS) -> tuple[Array, Array]:
        """All derivatives of an order over boxes, and which boxes met an undecided condition.

        Shapes: box [count, n], balls; derivatives [count, m, n, ...]; touched [count].
        Errors: NoDerivative.
        """
        n, count = self.size, len(box)
        chosen = np.array(list(itertools.product(range(n), repeat=order)), dtype=int)
        units = np.tile(np.eye(n)[chosen.reshape(n**order, order)], (count, 1, 1))
        rows = Rows(order, np.repeat(box, n**order, axis=0), None, tuple(np.moveaxis(units, 1, 0)))
        found = self._graphs.enclose(rows, bits, exact=order == 0)
        answer = np.moveaxis(found.answer.reshape(count, n**order, self.outputs), 1, 2)
        touched = np.asarray(found.touched.reshape(count, n**order).any(axis=1))
        return answer.reshape(count, self.outputs, *(n,) * order), touched

    def note(self, order: int) -> str:
        """Why sympy does not testify at this order; empty where it does."""
        return f"sympy is not asked for derivatives of order {order}"

    def _shape(self, query: Query, points: Array) -> tuple[int, ...]:
        sides = [points, query.cotangent, *query.tangents]
        count = max(len(side) for side in sides if side is not None)
        return (count, *query.free_shape(self.outputs, self.size))
