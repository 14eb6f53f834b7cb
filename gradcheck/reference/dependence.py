"""What depends on what in a graph, entry by entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck.graph.graph import Graph
from gradcheck.query import Array, split
from gradcheck.reference.derivative_graphs import GraphFunction
from gradcheck.reference.interpret import evaluate

MOST_INPUTS = 4_096


def dependence(function: GraphFunction) -> Array:
    """Whether an output entry is computed from an input entry; yes where there are too many.

    Shapes: [m, n], booleans.
    """
    size, width = function.size, function.width
    if size > MOST_INPUTS:
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
        found = self._joined(graph, index, values)
        return found | self.seeds[index] if index in self.seeds else found

    def _joined(self, graph: Graph, index: int, values: Sequence[Array]) -> Array:
        node = graph.nodes[index]
        if node.op == "constant":
            return np.zeros((1, *node.shape), dtype=bool)
        if node.op == "sum":
            assert isinstance(node.attr, tuple)
            return np.asarray(values[0].any(axis=tuple(axis + 1 for axis in node.attr)))
        if node.op == "cumsum":
            assert isinstance(node.attr, tuple)
            axis, reverse = node.attr
            x = np.flip(values[0], axis + 1) if reverse else values[0]
            found = np.logical_or.accumulate(x, axis=axis + 1)
            return np.flip(found, axis + 1) if reverse else found
        if node.op == "bmm":
            left, right = values
            return np.asarray(left.any(axis=-1, keepdims=True) | right.any(axis=-2, keepdims=True))
        if node.op in ("inverse", "solve"):
            some = [value.any(axis=(-2, -1), keepdims=True) for value in values]
            return np.broadcast_to(np.logical_or.reduce(some), (some[0].shape[0], *node.shape))
        found = values[0]
        for value in values[1:]:
            found = found | value
        return found
