"""Which output entries can depend on which input entries: one random linear pass over the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.graph.graph import Array, Graph
from gradcheck.query import split
from gradcheck.reference.derivative_graphs import ArrayFunction
from gradcheck.reference.interpret import evaluate

MOST_INPUTS = 4_096


def dependence(function: ArrayFunction) -> Array:
    """Whether an output entry is computed from an input entry; yes where there are too many.

    Shapes: [m, n], booleans.
    """
    size, width = function.size, function.width
    if size > MOST_INPUTS:
        return np.ones((width, size), dtype=bool)
    graph = function.graph
    shapes = [graph.shape(node) for node in function.inputs]
    arrays = split(np.eye(size, dtype=bool), shapes)
    by_number = {
        graph.nodes[node].attr: array for node, array in zip(function.inputs, arrays, strict=True)
    }
    inputs = [by_number.get(k, np.zeros((1, 0), dtype=bool)) for k in range(len(graph.inputs))]
    found = evaluate(graph, function.outputs, inputs, _Dependence())
    flat = [
        np.broadcast_to(each.reshape(each.shape[0], -1), (size, each[0].size)) for each in found
    ]
    return np.concatenate(flat, axis=1).T if flat else np.zeros((0, size), dtype=bool)


class _Dependence:
    """The algebra of "depends on": rows are input entries."""

    zero: Any = False

    def apply(self, graph: Graph, index: int, values: Sequence[Array]) -> Array:
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
