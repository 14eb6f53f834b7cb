"""One fold over a graph; what a number is, an algebra says. Points are one more leading axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, Protocol, cast

import numpy as np

from gradcheck.graph.graph import Frozen, Graph, Operation
from gradcheck.query import Array

MOVES = frozenset({"broadcast", "reshape", "transpose", "gather", "scatter", "concat"})
"""Operations that only move entries (scatter also adds): the same in every algebra."""


class Algebra(Protocol):
    """What a number is: how nodes that compute are evaluated, and what an empty place holds."""

    @property
    def zero(self) -> Any: ...

    def add(self, a: Array, b: Array) -> Array:
        """The sum, entry by entry, of what a scatter brings to the same places."""

    def apply(self, graph: Graph, index: int, values: Sequence[Array]) -> Array:
        """The node's result.

        Shapes: [count or 1, *shape] each.
        """


class MovesItself(Protocol):
    """An algebra whose entries are more than one array each: it moves them array by array."""

    def apply(self, graph: Graph, index: int, values: Sequence[Any]) -> Any:
        """The node's result, as in ``Algebra``."""

    def move(self, node: Operation, args: Sequence[Any]) -> Any:
        """The result of a node of ``MOVES``."""


def evaluate(
    graph: Graph, outputs: Sequence[int], inputs: Sequence[Any], algebra: Algebra | MovesItself
) -> list[Any]:
    """The values of nodes, given the arrays of all inputs. A value dies at its last use.

    Shapes: inputs [count or 1, *shape]; results likewise.
    """
    moved = getattr(algebra, "move", None) or partial(move, algebra=cast(Algebra, algebra))
    values: dict[int, Any] = {}
    for step in graph.schedule(outputs):
        node = step.node
        if node.op == "input":
            assert isinstance(node.attr, int)
            values[step.number] = inputs[node.attr]
        elif node.op in MOVES:
            values[step.number] = moved(node, [values[arg] for arg in node.args])
        else:
            args = [values[arg] for arg in node.args]
            values[step.number] = algebra.apply(graph, step.number, args)
        for arg in step.last_used:
            del values[arg]
    return [values[output] for output in outputs]


def move(node: Operation, args: Sequence[Array], algebra: Algebra) -> Array:
    """The result of a node that moves entries."""
    x, rows = args[0], args[0].shape[0]
    attr = node.attr
    if node.op == "broadcast":
        new = len(node.shape) - (x.ndim - 1)
        return np.broadcast_to(x.reshape(rows, *(1,) * new, *x.shape[1:]), (rows, *node.shape))
    if node.op == "reshape":
        return x.reshape(rows, *node.shape)
    if node.op == "transpose":
        assert isinstance(attr, tuple)
        return x.transpose(0, *(axis + 1 for axis in attr))
    if node.op == "concat":
        assert isinstance(attr, int)
        rows = max(arg.shape[0] for arg in args)
        spread = [
            arg if arg.shape[0] == rows else np.broadcast_to(arg, (rows, *arg.shape[1:]))
            for arg in args
        ]
        return np.concatenate(spread, axis=attr + 1)
    assert isinstance(attr, Frozen)
    if node.op == "gather":
        return x.reshape(rows, -1)[:, attr.array]
    return _scattered(x.reshape(rows, -1), attr, node, algebra)


def _scattered(x: Array, places: Frozen, node: Operation, algebra: Algebra) -> Array:
    """Zeros with entries added, in rounds without repeated places: np.add.at is slow on objects."""
    out = np.empty((x.shape[0], math.prod(node.shape)), dtype=x.dtype)
    out[...] = algebra.zero
    for first, (sources, targets) in enumerate(_rounds(places)):
        moved = x[:, sources]
        out[:, targets] = moved if first == 0 else algebra.add(out[:, targets], moved)
    return out.reshape(x.shape[0], *node.shape)


@lru_cache(256)
def _rounds(places: Frozen) -> list[tuple[Array, Array]]:
    """Sources and targets, round by round; in none does a target occur twice."""
    index = places.array.reshape(-1)
    if not index.size:
        return []
    order = np.argsort(index, kind="stable")
    targets = index[order]
    starts = np.flatnonzero(np.r_[True, targets[1:] != targets[:-1]])
    lengths = np.diff(np.r_[starts, targets.size])
    occurrence = np.arange(targets.size) - np.repeat(starts, lengths)
    return [
        (order[occurrence == k], targets[occurrence == k]) for k in range(int(occurrence.max()) + 1)
    ]


def combined(node: Operation, values: Sequence[Array], join: np.ufunc) -> Array:
    """What each entry is computed from, joined: ``np.maximum`` gives the largest, or 0.

    A node that moves entries is none of these: ``move`` serves it.

    Shapes: values and result [count or 1, *shape].
    """
    if node.op == "sum":
        assert isinstance(node.attr, tuple)
        return np.asarray(
            join.reduce(values[0], axis=tuple(axis + 1 for axis in node.attr), initial=0)
        )
    if node.op == "cumsum":
        assert isinstance(node.attr, tuple)
        axis, reverse = node.attr
        x = np.flip(values[0], axis + 1) if reverse else values[0]
        found = join.accumulate(x, axis=axis + 1)
        return np.flip(found, axis + 1) if reverse else found
    if node.op == "bmm":
        left, right = values
        return np.asarray(join(join.reduce(left, axis=-1, keepdims=True, initial=0),
                               join.reduce(right, axis=-2, keepdims=True, initial=0)))  # fmt: skip
    if node.op in ("inverse", "solve"):
        some = [join.reduce(value, axis=(-2, -1), keepdims=True, initial=0) for value in values]
        both = some[0] if len(some) == 1 else join(*some)
        return np.broadcast_to(both, (both.shape[0], *node.shape))
    found = values[0]
    for value in values[1:]:
        found = join(found, value)
    return found
