"""A few entries of a graph's nodes as a graph of their own: nothing else is computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.graph.graph import Frozen, Graph, positions
from gradcheck.query import Array, Port
from gradcheck.reference.interpret import MOVES, move

Places = NDArray[np.int64]
"""Entries of a node by their number in the flattened array, in order, each once."""


@dataclass(slots=True, eq=False)
class GraphSlice:
    """The entries that were asked for, as nodes of a smaller graph. It grows while it is made.

    All its nodes are flat. ``inputs`` are its ports: an input node of the whole graph, and which
    entries of it the port takes.
    """

    whole: Graph
    graph: Graph = field(default_factory=Graph)
    inputs: list[tuple[int, Places]] = field(default_factory=list)
    places: dict[int, Places] = field(default_factory=dict)
    nodes: dict[int, int] = field(default_factory=dict)

    def at(self, node: int, places: Array) -> int:
        """The node that has these entries of a node of the whole graph, in the shape of places."""
        known = self.places[node]
        return self.graph.gather(self.nodes[node], np.searchsorted(known, places))


def sliced(graph: Graph, wanted: Mapping[int, Iterable[int]]) -> GraphSlice:
    """Return the slice that computes the wanted entries of some nodes, and what they need."""
    found = GraphSlice(graph)
    needed = graph.ancestors(wanted)
    asked: dict[int, list[Array]] = {node: [] for node in needed}
    for node, places in wanted.items():
        asked[node].append(np.asarray(list(places), dtype=np.int64))
    for node in reversed(needed):
        places = np.unique(np.concatenate([each.ravel() for each in asked.pop(node)]))
        found.places[node] = places
        for arg, sources in zip(graph.nodes[node].args, _sources(graph, node, places), strict=True):
            asked[arg].append(sources)
    for node in needed:
        found.nodes[node] = _built(found, node)
    return found


def _sources(graph: Graph, node: int, places: Places) -> list[Array]:
    """Which entries of each argument are needed for entries of a node.

    Shapes: of sums, cumulative sums and contractions [entries, terms]; of other matrices
            [matrices, rows, columns]; of what adds or joins [sources of it]; else [entries].
    """
    here = graph.nodes[node]
    shapes = [graph.shape(arg) for arg in here.args]
    if here.op == "concat":
        return _parts(shapes, _moved(graph, node, shapes)[places])
    if here.op == "scatter":
        assert isinstance(here.attr, Frozen)
        return [np.flatnonzero(np.isin(here.attr.array.reshape(-1), places))]
    if here.op in MOVES:
        return [_moved(graph, node, shapes)[places]]
    if here.op in ("sum", "cumsum"):
        return [_terms(here.op, here.attr, shapes[0])[_line(graph, node, places)]]
    if here.op == "bmm":
        return _factors(shapes, places)
    if here.op in ("inverse", "solve"):
        batch = np.unique(places // math.prod(here.shape[-2:]))
        return [positions(shape).reshape(-1, *shape[-2:])[batch] for shape in shapes]
    return [places for _ in here.args]


class _Positions:
    """The algebra that only moves; nothing is computed with positions."""

    zero: Any = -1

    def add(self, a: Array, b: Array) -> Array:
        raise NotImplementedError

    def apply(self, graph: Graph, index: int, values: Sequence[Array]) -> Array:
        raise NotImplementedError


def _moved(graph: Graph, node: int, shapes: Sequence[tuple[int, ...]]) -> Array:
    """Where each entry of the result comes from; arguments are numbered through, one by one."""
    starts = np.cumsum([0, *(math.prod(shape) for shape in shapes)])
    args = [positions(shape)[None] + start for shape, start in zip(shapes, starts, strict=False)]
    return np.asarray(move(graph.nodes[node], args, _Positions()).reshape(-1))


def _parts(shapes: Sequence[tuple[int, ...]], numbers: Array) -> list[Array]:
    """Numbers that run through all arguments, as places in each."""
    starts = np.cumsum([0, *(math.prod(shape) for shape in shapes)])
    return [numbers[(numbers >= low) & (numbers < high)] - low for low, high in pairwise(starts)]


def _terms(op: str, attr: Any, shape: tuple[int, ...]) -> Array:
    """Of each line that is added up the places. Shapes: [lines, terms]."""
    axes = attr if op == "sum" else attr[:1]
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    lines = positions(shape).transpose(*kept, *axes)
    terms = math.prod(shape[axis] for axis in axes)
    return lines.reshape(math.prod(shape[axis] for axis in kept), terms)


def _line(graph: Graph, node: int, places: Places) -> Array:
    """In which line each entry of a sum is; of a cumulative sum which lines hold some."""
    here = graph.nodes[node]
    if here.op == "sum":
        return places
    assert isinstance(here.attr, tuple)
    index = list(np.unravel_index(places, here.shape))
    del index[here.attr[0]]
    lengths = [length for axis, length in enumerate(here.shape) if axis != here.attr[0]]
    if not lengths:
        return np.zeros(min(1, len(places)), dtype=np.int64)
    return np.unique(np.ravel_multi_index(index, lengths))


def _factors(shapes: Sequence[tuple[int, ...]], places: Places) -> list[Array]:
    """The row and the column that each entry of a product of matrices is made of."""
    (m, k), n = shapes[0][-2:], shapes[1][-1]
    batch, row, column = places // (m * n), places // n % m, places % n
    inner = np.arange(k)
    left = ((batch * m + row) * k)[:, None] + inner
    right = (batch * k * n + column)[:, None] + inner * n
    return [left, right]


def _built(found: GraphSlice, node: int) -> int:
    """The node of the smaller graph that has the places of a node of the whole one."""
    here, places = found.whole.nodes[node], found.places[node]
    if not len(places):
        empty = Frozen(np.empty(0, dtype=object))
        return found.graph.put("constant", (), empty, (0,), here.kind)
    if here.op in _LEAVES:
        return _LEAVES[here.op](found, node)
    sources = _sources(found.whole, node, places)
    if here.op == "concat":
        return _concat(found, node, sources)
    args = [found.at(arg, each) for arg, each in zip(here.args, sources, strict=True)]
    if here.op in _COMPUTED:
        return _COMPUTED[here.op](found, node, args, sources)
    if here.op in MOVES:
        return args[0]
    return found.graph.put(here.op, args, here.attr, (len(places),), here.kind)


def _input(found: GraphSlice, node: int) -> int:
    places = found.places[node]
    found.inputs.append((node, places))
    return found.graph.input(Port(f"{node}", (len(places),), found.whole.kind(node)))


def _constant(found: GraphSlice, node: int) -> int:
    attr = found.whole.nodes[node].attr
    if isinstance(attr, str):
        return found.graph.broadcast(found.graph.named(attr), (1,))
    assert isinstance(attr, Frozen)
    return found.graph.put("constant", (), Frozen(attr.array.reshape(-1)[found.places[node]]),
                           (len(found.places[node]),), found.whole.kind(node))  # fmt: skip


def _concat(found: GraphSlice, node: int, sources: Sequence[Array]) -> int:
    """The pieces one after the other, and then in their order."""
    whole, args = found.whole, found.whole.nodes[node].args
    pieces = [found.at(arg, each) for arg, each in zip(args, sources, strict=True) if each.size]
    shapes = [whole.shape(arg) for arg in args]
    order = _moved(whole, node, shapes)[found.places[node]]
    starts = np.cumsum([0, *(math.prod(shape) for shape in shapes)])
    joined = np.concatenate([each + low for each, low in zip(sources, starts, strict=False)])
    ranks = np.argsort(joined, kind="stable")
    return found.graph.gather(found.graph.concat(pieces, 0),
                              ranks[np.searchsorted(joined[ranks], order)])  # fmt: skip


def _picked(graph: Graph, node: int, numbers: Array, places: Places) -> int:
    """The entries with these numbers of an array whose entries are numbered so."""
    flat = numbers.reshape(-1)
    ranks = np.argsort(flat, kind="stable")
    return graph.gather(node, ranks[np.searchsorted(flat[ranks], places)])


_LEAVES = {"input": _input, "constant": _constant}


def _scatter(found: GraphSlice, node: int, args: list[int], sources: list[Array]) -> int:
    places, attr = found.places[node], found.whole.nodes[node].attr
    assert isinstance(attr, Frozen)
    targets = np.searchsorted(places, attr.array.reshape(-1)[sources[0]])
    return found.graph.scatter(args[0], targets, (len(places),))


def _cumsum(found: GraphSlice, node: int, args: list[int], sources: list[Array]) -> int:
    attr = found.whole.nodes[node].attr
    assert isinstance(attr, tuple)
    lines = found.graph.cumsum(args[0], 1, reverse=attr[1])
    return _picked(found.graph, lines, sources[0], found.places[node])


def _matrices(found: GraphSlice, node: int, args: list[int], sources: list[Array]) -> int:
    graph = found.graph
    matrices = graph.inverse(*args) if len(args) == 1 else graph.solve(*args)
    return _picked(graph, matrices, sources[-1], found.places[node])


_COMPUTED: dict[str, Callable[[GraphSlice, int, list[int], list[Array]], int]] = {
    "scatter": _scatter,
    "sum": lambda found, _node, args, _sources: found.graph.sum(args[0], (1,)),
    "bmm": lambda found, _node, args, _sources: found.graph.sum(found.graph.mul(*args), (1,)),
    "cumsum": _cumsum,
    "inverse": _matrices,
    "solve": _matrices,
}
"""What is not computed entry by entry from entries at the same places."""
