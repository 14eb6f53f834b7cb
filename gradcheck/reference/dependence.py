"""What depends on what in a graph, entry by entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck.graph.graph import Graph
from gradcheck.query import Array, split
from gradcheck.reference.derivative_graphs import GraphFunction
from gradcheck.reference.interpret import combined, evaluate

_MOST_INPUTS = 4_096


def dependence(function: GraphFunction) -> Array:
    """Whether an output entry is computed from an input entry; yes where there are too many.

    Shapes: [m, n], booleans.
    """
    size, width = function.size, function.width
    if size > _MOST_INPUTS:
        return np.ones((width, size), dtype=bool)
    graph = function.graph
    shapes = [graph.shape(node) for node in function.inputs]
    units = split(np.eye(size, dtype=bool), shapes)
    return reach(graph, function.outputs, dict(zip(function.inputs, units, strict=True)), size).T


def reach(graph: Graph, outputs: Sequence[int], seeds: Mapping[int, Array], count: int) -> Array:
    """Which entries of the outputs are computed from which seeds: marked entries of some nodes.

    Shapes: each seed [count, *shape of its node], booleans; [count, entries of all outputs].
    """
    inputs = [np.zeros((1, *port.shape), dtype=bool) for port in graph.inputs]
    for node, seed in seeds.items():
        if graph.nodes[node].op == "input":
            inputs[int(graph.nodes[node].attr)] = seed  # type: ignore[arg-type]
    found = evaluate(graph, outputs, inputs, _Dependence(seeds))
    flat = [np.broadcast_to(each.reshape(each.shape[0], -1), (count, each[0].size))
            for each in found]  # fmt: skip
    return np.concatenate(flat, axis=1)


class _Dependence:
    """The algebra of "depends on": one row for each seed."""

    zero: Any = False

    def __init__(self, seeds: Mapping[int, Array]) -> None:
        self.seeds = seeds

    def add(self, a: Array, b: Array) -> Array:
        return np.asarray(a | b)

    def apply(self, graph: Graph, index: int, values: Sequence[Array]) -> Array:
        node = graph.nodes[index]
        if node.op == "constant":
            found = np.zeros((1, *node.shape), dtype=bool)
        else:
            found = combined(node, values, np.logical_or)
        return found | self.seeds[index] if index in self.seeds else found
