"""Whether the conditions of `where` hold at points, and what depends on what in a graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck.graph.graph import Graph
from gradcheck.graph.lower import Lowered
from gradcheck.ops.balls import working
from gradcheck.query import Array, split
from gradcheck.reference.ball_arrays import Balls, lift
from gradcheck.reference.derivative_graphs import GraphFunction
from gradcheck.reference.interpret import MOVES, combined, evaluate

_BITS = (64, 256, 1024)
_MOST_AT_ONCE = 1 << 16  # entries of the largest array, over the points that are run together
_WORK_OF_A_BALL = 8  # an operation in ball arithmetic, in units of a graph's work


def holds(formula: Lowered, rows: Array) -> Array:
    """Return whether all conditions hold at each point: True, False, or None where it stays open.

    ``astype(bool)`` of it says where they certainly hold.

    Shapes: rows [count, n], the entries of all inputs joined in order; an object array [count].
    """
    found = np.ones(len(rows), dtype=bool).astype(object)
    if not formula.conditions:
        return found
    sizes = [formula.graph.nodes[node].size for node in _needed(formula)]
    step = max(1, _MOST_AT_ONCE // max(sizes))
    for start in range(0, len(rows), step):
        found[start : start + step] = _decided(formula, rows[start : start + step])
    return found


def _decided(formula: Lowered, rows: Array) -> Array:
    """The same of rows that fit the memory: those that stay open are run again in more bits."""
    answers = np.full(len(rows), None, dtype=object)
    left = np.arange(len(rows))
    for bits in _BITS:
        found = _at(formula, rows[left], bits)
        answers[left] = _conjunction(found)
        is_open = [not all(isinstance(one, bool) for one in row) for row in found.tolist()]
        left = left[np.array(is_open, dtype=bool)]
        if not len(left):
            break
    return answers


def _at(formula: Lowered, rows: Array, bits: int) -> Array:
    """Every condition at every point. Shapes: [count, conditions]."""
    arrays = node_arrays(formula, rows, formula.conditions)
    with working(bits, exact=True):
        found = evaluate(formula.graph, formula.conditions, arrays, Balls())
    return np.stack([np.broadcast_to(each, (len(rows),)) for each in found], axis=1)


def node_arrays(formula: Lowered, rows: Array, wanted: Sequence[int]) -> list[Array]:
    """Return exact balls for the inputs of the graph that the wanted nodes need; others are empty.

    Shapes: rows [count, n]; for each input of the graph [count, *shape].
    """
    graph = formula.graph
    needed = set(graph.ancestors(wanted))
    arrays = [np.zeros((1, 0))] * len(graph.inputs)
    parts = split(rows, [graph.shape(node) for node in formula.inputs])
    for node, part in zip(formula.inputs, parts, strict=True):
        number = graph.nodes[node].attr
        if node in needed and isinstance(number, int):
            arrays[number] = lift(part if graph.kind(node) == "complex" else part.real)
    return arrays


def _conjunction(found: Array) -> list[bool | None]:
    return [
        False if False in row else True if all(one is True for one in row) else None
        for row in found.tolist()
    ]


def work_of_holding(formula: Lowered) -> int:
    """Return what ``holds`` takes at one point.

    Units: those of ``Graph.work``.
    """
    if not formula.conditions:
        return 0
    graph = formula.graph
    size = sum(graph.nodes[node].size for node in formula.inputs)
    return size + _WORK_OF_A_BALL * sum(_operations(graph, node) for node in _needed(formula))


def _needed(formula: Lowered) -> list[int]:
    return formula.graph.ancestors(formula.conditions)


def _operations(graph: Graph, node: int) -> int:
    """How many numbers a node computes: a contraction multiplies as often as it adds."""
    here = graph.nodes[node]
    if here.op in MOVES:
        return 0
    if here.op in ("bmm", "inverse", "solve"):
        return here.size * max(1, graph.shape(here.args[0])[-1])
    return max([here.size, *(math.prod(graph.shape(arg)) for arg in here.args)])


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
    flat = [np.broadcast_to(each.reshape(len(each), math.prod(each.shape[1:])),
                            (count, math.prod(each.shape[1:])))
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
