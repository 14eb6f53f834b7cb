"""The graphs that answer a query: forward (a derivative along tangents) and reverse (a gradient).

D is Dᵏ⁻¹f(x)[t₁, ..., tₖ₋₁] by k - 1 jvps. Forward: one more jvp, along tₖ. Reverse: the vjp of D,
whose inner product with tₖ is the forward answer's with the cotangent: the two are held together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gradcheck.dtypes import Dtype
from gradcheck.graph.derivatives import jvp, vjp
from gradcheck.graph.graph import Graph
from gradcheck.graph.lower import Lowered
from gradcheck.ops.balls import working
from gradcheck.ops.table import OPERATORS
from gradcheck.query import Array, Port, flatten, split
from gradcheck.reference.ball_arrays import Balls, lift, touched_rows
from gradcheck.reference.float_arrays import FloatAlgebra, Measured, RunningErrors, unmoved
from gradcheck.reference.interpret import evaluate


@dataclass(frozen=True, slots=True)
class GraphFunction:
    """A function of arrays: some nodes of a graph from others, which are inputs."""

    graph: Graph
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @classmethod
    def of(cls, formula: Lowered) -> GraphFunction:
        """A formula, without the outputs that are not judged."""
        judged = tuple(node for node in formula.results if node is not None)
        return cls(formula.graph, formula.inputs, judged)

    @property
    def width(self) -> int:
        """The number of output entries."""
        return sum(math.prod(self.graph.shape(node)) for node in self.outputs)

    @property
    def size(self) -> int:
        """The number of input entries."""
        return sum(math.prod(self.graph.shape(node)) for node in self.inputs)

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` takes something for a constant, so that differences tell another slope."""
        nodes = self.graph.nodes
        return any(nodes[k].op == "detach" for k in self.graph.ancestors(self.outputs))

    def refuse_complex(self) -> None:
        """Errors: ValueError where an entry is complex."""
        if any(self.graph.kind(node) == "complex" for node in (*self.inputs, *self.outputs)):
            raise ValueError("all derivatives of complex numbers: ask in real coordinates")


@dataclass(frozen=True, slots=True)
class Rows:
    """Questions that one pass answers, one a row; all arrays flat.

    ``reverse`` needs the cotangent and one tangent less than ``order``; forward takes no cotangent.

    Shapes: points [count, n]; cotangent [count, m]; each tangent [count, n].
    """

    order: int
    points: Array
    cotangent: Array | None
    tangents: tuple[Array, ...]

    @property
    def reverse(self) -> bool:
        return len(self.tangents) < self.order

    @property
    def count(self) -> int:
        return len(self.points)

    def take(self, rows: Array | slice) -> Rows:
        """Some of the rows."""
        cotangent = None if self.cotangent is None else self.cotangent[rows]
        tangents = tuple(tangent[rows] for tangent in self.tangents)
        return Rows(self.order, self.points[rows], cotangent, tangents)


@dataclass(frozen=True, slots=True)
class Pass:
    """What one evaluation of rows in balls found.

    ``lower`` are the values and the forward derivatives of lower orders.

    Shapes: answer [count, free]; lower [count, max(1, order), m]; touched [count].
    """

    answer: Array
    lower: Array
    touched: Array
    undecided: Mapping[int, Array]


@dataclass(slots=True)
class DerivativeGraphs:
    """The derivative graphs of one function, written when first asked for: hence it changes.

    ``cancelling`` takes PyTorch's own local derivatives where the operator table states them.
    """

    function: GraphFunction
    cancelling: bool = False
    _as_pytorch: DerivativeGraphs | None = None
    _tangents: list[tuple[int, ...]] = field(default_factory=list)
    _cotangents: tuple[int, ...] | None = None
    _derivatives: dict[int, tuple[int, ...]] = field(default_factory=dict)
    _gradients: dict[int, tuple[int, ...]] = field(default_factory=dict)
    _moved: dict[tuple[int, bool], tuple[int, ...]] = field(default_factory=dict)

    def forward(self, order: int) -> tuple[int, ...]:
        """Nodes of Dᵏf[t₁, ..., tₖ], one for each output."""
        if order == 0:
            return self.function.outputs
        if order not in self._derivatives:
            lower, inputs = self.forward(order - 1), self.function.inputs
            found = jvp(self.function.graph, lower, inputs, self.tangent(order - 1),
                        cancelling=self.cancelling)  # fmt: skip
            self._derivatives[order] = tuple(found)
        return self._derivatives[order]

    def reverse(self, order: int) -> tuple[int, ...]:
        """Nodes of the gradient of ⟨c, Dᵏ⁻¹f[t₁, ..., tₖ₋₁]⟩, one for each input."""
        if order not in self._gradients:
            lower, inputs = self.forward(order - 1), self.function.inputs
            found = vjp(self.function.graph, lower, inputs, self.cotangents(),
                        cancelling=self.cancelling)  # fmt: skip
            self._gradients[order] = tuple(found)
        return self._gradients[order]

    def as_pytorch(self) -> DerivativeGraphs:
        """The same mathematics by PyTorch's own local derivatives, some of which cancel."""
        if self._as_pytorch is None:
            graph = self.function.graph
            used = {graph.nodes[node].op for node in graph.ancestors(self.function.outputs)}
            cancelling = any(OPERATORS[op].cancelling for op in used & OPERATORS.keys())
            self._as_pytorch = (
                DerivativeGraphs(self.function, cancelling=True) if cancelling else self
            )
        return self._as_pytorch

    def tangent(self, k: int) -> tuple[int, ...]:
        """The inputs that hold the k-th tangent."""
        while len(self._tangents) <= k:
            self._tangents.append(
                self._ports(f"tangent {len(self._tangents)}", self.function.inputs)
            )
        return self._tangents[k]

    def cotangents(self) -> tuple[int, ...]:
        if self._cotangents is None:
            self._cotangents = self._ports("cotangent", self.function.outputs)
        return self._cotangents

    def _ports(self, name: str, nodes: Sequence[int]) -> tuple[int, ...]:
        graph = self.function.graph
        return tuple(
            graph.input(Port(f"{name} of {k}", graph.shape(node), graph.kind(node)))
            for k, node in enumerate(nodes)
        )

    def outputs_of(self, rows: Rows) -> tuple[int, ...]:
        """The nodes that answer the rows."""
        return self.reverse(rows.order) if rows.reverse else self.forward(rows.order)

    def moved(self, rows: Rows) -> tuple[int, ...]:
        """Nodes of the answer's derivative along one more tangent."""
        key = rows.order, rows.reverse
        if key not in self._moved:
            answers, inputs = self.outputs_of(rows), self.function.inputs
            along = self.tangent(len(rows.tangents))
            self._moved[key] = tuple(jvp(self.function.graph, answers, inputs, along))
        return self._moved[key]

    def lower(self, order: int) -> list[int]:
        """Nodes of the values and of the forward derivatives below an order."""
        return [node for k in range(max(1, order)) for node in self.forward(k)]

    def inputs(self, rows: Rows) -> list[Array]:
        """The arrays of all inputs of the graph, in their order; of those not asked for, none."""
        graph = self.function.graph
        arrays: dict[int, Array] = {}
        sides = [(self.function.inputs, rows.points)]
        sides += [(self.tangent(k), tangent) for k, tangent in enumerate(rows.tangents)]
        if rows.cotangent is not None:
            sides.append((self.cotangents(), rows.cotangent))
        for nodes, flat in sides:
            shapes = [graph.shape(node) for node in nodes]
            arrays.update(zip(nodes, split(flat, shapes), strict=True))
        missing = np.zeros((1, 0))
        by_number = {graph.nodes[node].attr: array for node, array in arrays.items()}
        return [by_number.get(k, missing) for k in range(len(graph.inputs))]

    def balls(self, rows: Rows) -> Rows:
        """The rows with exact balls for their numbers."""
        inputs, outputs = self.function.inputs, self.function.outputs
        cotangent = None if rows.cotangent is None else self.lifted(rows.cotangent, outputs)
        tangents = tuple(self.lifted(tangent, inputs) for tangent in rows.tangents)
        return Rows(rows.order, self.lifted(rows.points, inputs), cotangent, tangents)

    def enclose(
        self,
        rows: Rows,
        bits: int,
        decisions: Mapping[int, Array] | None = None,
        *,
        exact: bool = False,
    ) -> Pass:
        """One evaluation in balls of so many bits; ``exact`` as in ``balls.working``."""
        return self.run(self.balls(rows), bits, Balls(decisions), exact=exact)

    def run(self, rows: Rows, bits: int, algebra: Balls, *, exact: bool = False) -> Pass:
        """The same of rows that hold balls already, in an algebra of balls."""
        answers, lower = self.outputs_of(rows), self.lower(rows.order)
        with working(bits, exact=exact):
            found = evaluate(self.function.graph, [*answers, *lower], self.inputs(rows), algebra)
        answer, below = (
            joined(arrays, rows.count) for arrays in (found[: len(answers)], found[len(answers) :])
        )
        orders = max(1, rows.order)
        levels = below.reshape(rows.count, orders, below.shape[1] // orders)
        return Pass(answer, levels, touched_rows(algebra, rows.count), algebra.undecided)

    def in_floats(self, nodes: Sequence[int], rows: Rows) -> Array:
        """Nodes in plain float64.

        Shapes: [count, entries of the nodes].
        """
        found = evaluate(self.function.graph, nodes, self.numbers(rows), FloatAlgebra())
        return joined(found, rows.count)

    def numbers(self, rows: Rows) -> list[Array]:
        """The inputs of the graph as floats; entries of a real port are real."""
        return [
            array if port.kind == "complex" else array.real
            for array, port in zip(self.inputs(rows), self.function.graph.inputs, strict=True)
        ]

    def reach(self, points: Array, *, normwise: bool) -> Array:
        """What a relative change of 1 does to each input entry, or by norm: to each input array.

        Shapes: [count, n] both.
        """
        sizes = np.abs(points)
        if not normwise:
            return sizes
        shapes = [self.function.graph.shape(node) for node in self.function.inputs]
        parts = [part.reshape(len(part), -1) for part in split(sizes, shapes)]
        largest = [np.maximum.reduce(part, axis=1, keepdims=True, initial=0.0) for part in parts]
        return np.concatenate(
            [np.broadcast_to(one, part.shape) for one, part in zip(largest, parts, strict=True)],
            axis=1,
        )

    def measure(
        self, nodes: Sequence[int], rows: Rows, dtype: Dtype, *, normwise: bool = False
    ) -> Measured:
        """Nodes in float64, with what errors in a dtype do; each part flat.

        Shapes: [count, entries of the nodes].
        """
        graph = self.function.graph
        entries = [unmoved(numbers) for numbers in self.numbers(rows)]
        reach = self.reach(rows.points, normwise=normwise)
        shapes = [graph.shape(node) for node in self.function.inputs]
        for node, spread in zip(self.function.inputs, split(reach, shapes), strict=True):
            k = graph.nodes[node].attr
            assert isinstance(k, int)
            entries[k] = unmoved(entries[k].value, spread=spread)
        found = evaluate(graph, nodes, entries, RunningErrors(dtype))
        return Measured(
            *(
                joined(part, rows.count)
                for part in zip(*(each.parts() for each in found), strict=True)
            )
        )

    def lifted(self, flat: Array, nodes: Sequence[int]) -> Array:
        """Exact balls; entries of a real port are real also where others are complex."""
        graph = self.function.graph
        if not np.iscomplexobj(flat):
            return lift(flat)
        parts = split(flat, [graph.shape(node) for node in nodes])
        kinds = [graph.kind(node) for node in nodes]
        return flatten([
            lift(part if kind == "complex" else part.real)
            for part, kind in zip(parts, kinds, strict=True)
        ])  # fmt: skip


def joined(arrays: Sequence[Array], count: int) -> Array:
    """Flat rows, each of them there also where a constant has one for all."""
    flat = [array.reshape(len(array), math.prod(array.shape[1:])) for array in arrays]
    rows = [np.broadcast_to(array, (count, array.shape[1])) for array in flat]
    return np.concatenate(rows, axis=1) if rows else np.empty((count, 0), dtype=object)
