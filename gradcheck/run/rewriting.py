"""Formulas rewritten step by step, and what is computed of them in plain float64; steps in words.

The array graph of a formula is copied, and some of its steps are made otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np

from gradcheck.answer import Floats
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.graph.graph import Frozen, Graph, Operation
from gradcheck.query import Port, Query, Shape, split
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction, Rows
from gradcheck.reference.query_rows import in_floats

_MOST_STEPS = 60
"""Steps of a formula each of which is tried with a fault."""


def arguments(function: GraphFunction) -> Iterator[tuple[int, int]]:
    """The arguments of the steps that depend on an input: a step and a place."""
    for node in live_steps(function):
        yield from ((node, k) for k in range(len(function.graph.nodes[node].args)))


def told_of(function: GraphFunction, text: str, node: int, k: int) -> str:
    arg = function.graph.nodes[node].args[k]
    return text.format(text_of(function.graph, node), text_of(function.graph, arg))


def live_steps(function: GraphFunction) -> list[int]:
    """The steps that depend on an input, outermost first."""
    graph, live = function.graph, set(function.inputs)
    for node in graph.ancestors(function.outputs):
        if not live.isdisjoint(graph.nodes[node].args) and graph.kind(node) == "real":
            live.add(node)
    found = sorted(live - set(function.inputs), reverse=True)
    return found if len(found) <= _MOST_STEPS else []


def evaluated(function: GraphFunction | None, query: Query, points: Floats) -> Floats | None:
    """What a function, if there is one, answers in float64; None where it does not tell.

    Shapes: points [count, n]; [count, *free].
    """
    return None if function is None else evaluated_graphs(DerivativeGraphs(function), query, points)


def evaluated_graphs(graphs: DerivativeGraphs, query: Query, points: Floats) -> Floats | None:
    """As ``evaluated``."""
    if query.cotangent is None and query.free_inputs:
        return None
    try:
        return in_floats(graphs, query, points)
    except (NoDerivative, ZeroDivisionError):
        return None


Rewrite = Callable[[Graph, int, list[int]], int]


def rewritten(function: GraphFunction, changes: Mapping[int, Rewrite]) -> GraphFunction:
    """The function with some steps made by a change from the graph and the step's arguments."""
    old, new = function.graph, Graph()
    new.inputs = list(old.inputs[: len(function.inputs)])
    place: dict[int, int] = {}
    for number in old.ancestors([*function.outputs, *function.inputs]):
        node, args = old.nodes[number], [place[arg] for arg in old.nodes[number].args]
        change = changes.get(number)
        place[number] = (
            new.put(node.op, args, node.attr, node.shape, node.kind)
            if change is None
            else change(new, number, args)
        )
    where = ([place[each] for each in nodes] for nodes in (function.inputs, function.outputs))
    return GraphFunction(new, *map(tuple, where))


def copied(function: GraphFunction, graph: Graph, number: int, args: Sequence[int]) -> int:
    node = function.graph.nodes[number]
    return graph.put(node.op, args, node.attr, node.shape, node.kind)


def change_of(graph: Graph, node: int) -> int:
    """What a node changes by: 0, with the node's own derivatives."""
    return graph.sub(node, graph.detach(node))


_UNCHANGED: Mapping[int, Rewrite] = {}


def copied_above(
    function: GraphFunction, graph: Graph, top: int, changes: Mapping[int, Rewrite] = _UNCHANGED
) -> int:
    """A node and all that it is made of, put into a rewritten function's graph with changes."""
    place: dict[int, int] = {}
    for number in function.graph.ancestors([top]):
        args = [place[arg] for arg in function.graph.nodes[number].args]
        own = changes.get(number)
        place[number] = (
            copied(function, graph, number, args) if own is None else own(graph, number, args)
        )
    return place[top]


def with_held(function: GraphFunction, places: Collection[int]) -> Rewrite:
    """Some arguments are constant."""

    def change(graph: Graph, number: int, args: list[int]) -> int:
        held = [graph.detach(arg) if k in places else arg for k, arg in enumerate(args)]
        return copied(function, graph, number, held)

    return change


def is_moving(function: GraphFunction, node: int) -> bool:
    """Whether a node is made of numbers that may change."""
    return function.graph.kind(node) == "real" and function.graph.exact(node) is None


def sloped(
    function: GraphFunction, node: int, k: int, slope: Callable[..., int]
) -> GraphFunction | None:
    """A local derivative is another: what ``slope`` makes of the step and its argument's change."""
    found = function.graph.nodes[node]
    if found.shape != function.graph.shape(found.args[k]) or not is_moving(function, found.args[k]):
        return None

    def change(graph: Graph, number: int, args: list[int]) -> int:
        moving = args[k]
        args[k] = graph.detach(moving)
        step = copied(function, graph, number, args)
        change_of_it = change_of(graph, moving)
        return graph.add(step, slope(graph, graph.detach(step), change_of_it))

    return rewritten(function, {node: change})


# one more input


def added_input(function: GraphFunction, graph: Graph, shape: Shape = ()) -> int:
    """The input that a rewritten function has beside its own."""
    return graph.put("input", (), len(function.inputs), shape, "real")


def with_input(
    function: GraphFunction, changes: Mapping[int, Rewrite], shape: Shape = ()
) -> DerivativeGraphs:
    """The function with some steps made of one more input, its last, too."""
    found = rewritten(function, changes)
    found.graph.inputs.append(Port("added", shape, "real"))
    inputs = (*found.inputs, added_input(function, found.graph, shape))
    return DerivativeGraphs(GraphFunction(found.graph, inputs, found.outputs))


def asked_with(
    graphs: DerivativeGraphs, query: Query, points: Floats, added: Floats
) -> Floats | None:
    """What a function with one more input answers for several arrays in its place, in float64.

    Shapes: added [several, count, entries]; [several, count, free].
    """
    several, count, size = added.shape
    tangents = tuple(_beside_zeros(side, size) for side in query.tangents)
    asks = Query(query.order, query.cotangent, tangents)
    asks = asks.mapped(lambda side: np.tile(side, (several, 1)))
    tiled = np.concatenate([np.tile(points, (several, 1)), added.reshape(-1, size)], axis=1)
    found = evaluated_graphs(graphs, asks, tiled)
    if found is None:
        return None
    own = found[..., : points.shape[1]] if query.free_inputs else found
    return own.reshape(several, count, -1)


def _beside_zeros(side: Floats | None, size: int) -> Floats | None:
    return None if side is None else np.pad(side, ((0, 0), (0, size)))


def values_of(function: GraphFunction, nodes: Sequence[int], points: Floats) -> list[Floats]:
    """What nodes are at points, in float64. Shapes: [count, *shape] each."""
    graphs = DerivativeGraphs(GraphFunction(function.graph, function.inputs, tuple(nodes)))
    shapes = [function.graph.shape(node) for node in nodes]
    return list(split(graphs.in_floats(nodes, Rows(0, points, None, ())), shapes))


def number_of(attr: object) -> float | None:
    if isinstance(attr, Frozen):
        return float(attr.array.item()) if not isinstance(attr.array.item(), bool) else None
    return {"pi": math.pi, "e": math.e}.get(str(attr))


# in words

_LONGEST = 32
THROUGH = frozenset({"broadcast", "reshape", "detach"})
_INFIX = {"add": " + ", "sub": " - ", "mul": "*", "div": "/", "bmm": " @ ", "pow": "**"}


def text_of(graph: Graph, node: int) -> str:
    """A node as a short text in the formula language; what is long is cut."""
    text = _text(graph, node, 6)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _text(graph: Graph, node: int, depth: int) -> str:
    found = graph.nodes[node]
    if found.op == "input":
        return graph.inputs[found.attr].name  # type: ignore[index]
    if found.op == "constant":
        return _constant_text(found)
    if depth == 0:
        return "..."
    args = [_text(graph, arg, depth - 1) for arg in found.args]
    if found.op in THROUGH - {"detach"}:
        return args[0]
    if found.op in _INFIX:
        return _INFIX[found.op].join(map(_grouped, args))
    if found.op == "ipow":
        return f"{_grouped(args[0])}**{found.attr}"
    if found.op == "neg":
        return f"-{_grouped(args[0])}"
    name = _NAMES.get(found.op, found.op)
    return f"{name}({', '.join(args)})"


def _constant_text(found: Operation) -> str:
    if isinstance(found.attr, str):
        return found.attr
    number = number_of(found.attr) if found.shape == () else None
    return "[...]" if number is None else f"{number:.6g}"


_NAMES = {"detach": "stop", "gather": "part", "scatter": "spread"}


def _grouped(text: str) -> str:
    return f"({text})" if " " in text or text.startswith("-") else text
