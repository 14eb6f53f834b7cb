"""The rows of a query: a free side is asked entry by entry, but for the one that a pass answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flint import acb, arb

from gradcheck.ops.balls import working
from gradcheck.query import Array, Query
from gradcheck.reference.ball_arrays import ZERO
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction, Rows

MOST_ENTRIES_AT_ONCE = 1 << 16
"""Entries of the largest array, over the points that are run together."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The rows that answer a query, in parts that fit the memory.

    Each part has beside it what a forward answer is contracted with; None where it stays free.
    ``outputs_last`` says that the rows give the free output as the last axis.

    Shapes: ``shape`` is that of the answer, [count, *free].
    """

    parts: tuple[tuple[Rows, Array | None], ...]
    shape: tuple[int, ...]
    outputs_last: bool

    def arranged(self, parts: Sequence[Array]) -> Array:
        """The answers of all parts in the shape of the query's answer."""
        rows = np.concatenate(parts)
        if not self.outputs_last:
            return rows.reshape(self.shape)
        count, width, *inputs = self.shape
        return np.moveaxis(rows.reshape(count, *inputs, width), -1, 1)


def plan_rows(graphs: DerivativeGraphs, query: Query, points: Array) -> Plan:
    """The rows of a query at points, [count, n].

    Errors: ValueError where several sides of complex entries are free.
    """
    function = graphs.function
    if sum(side is None for side in query.sides) > 1:
        function.refuse_complex()
    rows, contracted = _rows(query, points, function)
    step = _step(graphs, rows)
    cuts = [slice(start, start + step) for start in range(0, max(rows.count, 1), step)]
    parts = [(rows.take(cut), None if contracted is None else contracted[cut]) for cut in cuts]
    count = rows.count // max(1, _questions(query, function))
    shape = (count, *query.free_shape(function.width, function.size))
    forward = query.cotangent is None and not rows.reverse
    return Plan(tuple(parts), shape, outputs_last=forward)


def _expanded(query: Query, function: GraphFunction) -> tuple[bool, int]:
    """Whether the cotangent is asked for entry by entry, and so many tangents are."""
    free = len(query.free_inputs)
    if not free:
        return False, 0
    if query.cotangent is None and function.width > function.size:
        return False, free
    return query.cotangent is None, free - 1


def _questions(query: Query, function: GraphFunction) -> int:
    """How many rows one point takes."""
    by_output, tangents = _expanded(query, function)
    return int((function.width if by_output else 1) * function.size**tangents)


def _rows(query: Query, points: Array, function: GraphFunction) -> tuple[Rows, Array | None]:
    """The rows of a query; beside them the cotangents to contract a forward answer with."""
    width, size = function.width, function.size
    given = [points, *query.sides]
    count = max(array.shape[0] for array in given if array is not None)
    by_output, by_input = _expanded(query, function)
    questions = _questions(query, function)

    def repeated(array: Array) -> Array:
        return np.repeat(np.broadcast_to(array, (count, array.shape[1])), questions, axis=0)

    def units(length: int, inner: int) -> Array:
        """Unit vectors, each ``inner`` times, over and over."""
        return np.tile(np.repeat(np.eye(length), inner, axis=0),
                       (count * questions // max(1, length * inner), 1))  # fmt: skip

    cotangent = units(width, questions // width) if by_output else None
    if query.cotangent is not None:
        cotangent = repeated(query.cotangent)
    tangents = [repeated(tangent) for tangent in query.tangents if tangent is not None]
    tangents += [units(size, size ** (by_input - 1 - k)) for k in range(by_input)]
    forward = len(tangents) == query.order
    rows = Rows(query.order, repeated(points), None if forward else cotangent, tuple(tangents))
    return rows, cotangent if forward else None


def _step(graphs: DerivativeGraphs, rows: Rows) -> int:
    """How many rows fit at once."""
    graph = graphs.function.graph
    nodes = graph.ancestors(graphs.outputs_of(rows))
    largest = max((graph.nodes[node].size for node in nodes), default=1)
    return max(1, MOST_ENTRIES_AT_ONCE // max(1, largest))


def in_floats(graphs: DerivativeGraphs, query: Query, points: Array) -> Array:
    """The answer to a query about a real function in plain float64, which nothing certifies.

    Shapes: [count, *free].
    Errors: NoDerivative.
    """
    planned = plan_rows(graphs, query, points)
    found = []
    with np.errstate(all="ignore"):
        for rows, contracted in planned.parts:
            answer = graphs.in_floats(graphs.outputs_of(rows), rows)
            if contracted is not None:
                answer = (answer * contracted).sum(axis=1, keepdims=True)
            found.append(answer)
    return planned.arranged(found)


def inner_products(a: Array, b: Array, bits: int) -> Array:
    """The inner products of real coordinates, row by row, in balls.

    Shapes: [count, entries] each; [count, 1].
    """
    with working(bits, exact=False):
        total = np.full(a.shape[0], ZERO, dtype=object)
        if a.shape[1]:
            total = np.asarray(np.add.reduce(_real_product(a, b), axis=1), dtype=object)
    return total[:, None]


_real_product = np.frompyfunc(
    lambda a, b: (
        a * b if isinstance(a, arb) and isinstance(b, arb) else (acb(a).conjugate() * b).real
    ),
    2,
    1,
)
