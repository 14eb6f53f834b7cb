"""The formula language's functions of arrays and complex numbers, and all its names.

A row of the table says how an array function is called, and what it builds. Semantics are NumPy's
where PyTorch's are the same, and PyTorch's names of arguments. To add a function, add one row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from inspect import Signature, signature

import numpy as np

from gradcheck.graph.graph import Graph, NodeId, without
from gradcheck.graph.linear_algebra import (
    det,
    diag,
    dot,
    eye,
    inv,
    outer,
    trace,
    transpose,
    tril,
    triu,
)
from gradcheck.graph.shapes import Misuse, axis_of, bounded, written
from gradcheck.ops.table import CALLABLE
from gradcheck.query import Shape

_Dims = int | list[int] | None


def stacked(graph: Graph, parts: list[NodeId], dim: int) -> NodeId:
    """Arrays of one shape, joined along a new axis.

    Errors: Misuse where their shapes differ.
    """
    if not parts:
        return graph.constant(np.empty((0,), dtype=object))
    shapes = [graph.shape(part) for part in parts]
    if len(set(shapes)) > 1:
        raise Misuse(f"entries of shapes {written(shapes)}", "entries of one shape")
    bounded((*shapes[0], len(parts)))
    return graph.stack(parts, axis_of(dim, len(shapes[0]) + 1))


def _axes(shape: Shape, dim: _Dims) -> list[int]:
    dims = range(len(shape)) if dim is None else dim if isinstance(dim, list) else [dim]
    axes = sorted(axis_of(each, len(shape)) for each in dims)
    if len(set(axes)) < len(axes):
        raise Misuse(f"dim={dim}, which names a dimension twice", "each dimension once")
    return axes


def _sum(graph: Graph, x: NodeId, dim: _Dims = None, *, keepdim: bool = False) -> NodeId:
    return graph.sum(x, _axes(graph.shape(x), dim), keepdim=keepdim)


def _mean(graph: Graph, x: NodeId, dim: _Dims = None, *, keepdim: bool = False) -> NodeId:
    total = _sum(graph, x, dim, keepdim=keepdim)
    size, left = graph.nodes[x].size, graph.nodes[total].size
    if not size:
        raise Misuse("the mean of no elements", "at least one element")
    return graph.div(total, graph.constant(Fraction(size, max(left, 1))))


def _joined(graph: Graph, op: str, x: NodeId, axes: list[int], nothing: Fraction | None) -> NodeId:
    """All entries along axes joined by an operator, half by half; ``axes`` get the length 1."""
    shape = graph.shape(x)
    kept = tuple(n for axis, n in enumerate(shape) if axis not in axes)
    count = math.prod(shape[axis] for axis in axes)
    order = [*axes, *(axis for axis in range(len(shape)) if axis not in axes)]
    rows = graph.reshape(graph.transpose(x, order), (count, *kept))
    if op in ("min", "max") and graph.kind(x) == "complex":
        raise Misuse(f"the {op} of complex numbers", "real numbers")
    if not count and nothing is None:
        raise Misuse("no elements to reduce", "at least one element")
    total = _tree(graph, op, rows) if count else graph.constant(nothing or 0, (1, *kept))
    return graph.reshape(total, without(shape, axes))


def _tree(graph: Graph, op: str, rows: NodeId) -> NodeId:
    """Rows joined in pairs until one is left: its depth is the logarithm of their number."""
    while (count := graph.shape(rows)[0]) > 1:
        half = count // 2
        pairs = (graph.index(rows, slice(k, 2 * half, 2)) for k in (0, 1))
        joined = graph.elementwise(op, *pairs)
        left = [graph.index(rows, slice(2 * half, count))] if count % 2 else []
        rows = graph.concat([joined, *left], 0)
    return rows


def _reduction(op: str, nothing: Fraction | None) -> Callable[..., NodeId]:
    def reduce(graph: Graph, x: NodeId, dim: _Dims = None, *, keepdim: bool = False) -> NodeId:
        shape = graph.shape(x)
        axes = _axes(shape, dim)
        total = _joined(graph, op, x, axes, nothing)
        kept = tuple(n for axis, n in enumerate(shape) if axis not in axes)
        return total if keepdim else graph.reshape(total, kept)

    return reduce


def _cumsum(graph: Graph, x: NodeId, dim: int = 0) -> NodeId:
    axis = axis_of(dim, len(graph.shape(x)))
    if graph.exact(x) is not None:
        return _running(graph, "add", x, axis)
    return graph.cumsum(x, axis)


def _cumprod(graph: Graph, x: NodeId, dim: int = 0) -> NodeId:
    return _running(graph, "mul", x, axis_of(dim, len(graph.shape(x))))


def _running(graph: Graph, op: str, x: NodeId, axis: int) -> NodeId:
    before = (slice(None),) * axis
    parts = [graph.index(x, (*before, slice(k, k + 1))) for k in range(graph.shape(x)[axis])]
    for k in range(1, len(parts)):
        parts[k] = graph.elementwise(op, parts[k - 1], parts[k])
    return graph.concat(parts, axis) if parts else x


def _reshape(graph: Graph, x: NodeId, shape: list[int]) -> NodeId:
    before = graph.shape(x)
    try:
        after = np.broadcast_to(np.zeros(()), before).reshape(shape).shape
    except ValueError:
        raise Misuse(f"reshape of {list(before)} to {shape}", "as many elements") from None
    return graph.reshape(x, bounded(after))


def _concat(graph: Graph, parts: list[NodeId], dim: int = 0) -> NodeId:
    if not parts:
        raise Misuse("concat of no arrays", "at least one array")
    shapes = [graph.shape(part) for part in parts]
    bounded((sum(map(math.prod, shapes)),))
    axis = axis_of(dim, len(shapes[0]))
    if len({(len(shape), *shape[:axis], None, *shape[axis + 1 :]) for shape in shapes}) > 1:
        raise Misuse(f"concat of shapes {written(shapes)}", "shapes that differ only in dim")
    return graph.concat(parts, axis)


def _stack(graph: Graph, parts: list[NodeId], dim: int = 0) -> NodeId:
    return stacked(graph, parts, dim)


def _filled(value: int) -> Callable[..., NodeId]:
    def fill(graph: Graph, shape: list[int]) -> NodeId:
        return graph.constant(value, bounded(tuple(shape)))

    return fill


@dataclass(frozen=True, slots=True)
class ArrayFunction:
    """A row: ``build`` writes the result into a graph, given it and the arguments.

    Of these the first ``arrays`` are nodes, or the first is a list of nodes (``takes_list``); the
    others are ints, booleans, None or lists of ints, as annotated.
    """

    name: str
    build: Callable[..., NodeId]
    arrays: int = 1
    takes_list: bool = False

    @property
    def signature(self) -> Signature:
        return signature(self.build)

    @property
    def form(self) -> str:
        """How it is called: ``sum(x, dim=None, keepdim=False)``."""
        _graph, *arguments = self.signature.parameters.values()
        shown = (
            each.name if each.default is each.empty else f"{each.name}={each.default}"
            for each in arguments
        )
        return f"{self.name}({', '.join(shown)})"


_ROWS = (
    # reductions
    ArrayFunction("sum", _sum),
    ArrayFunction("prod", _reduction("mul", Fraction(1))),
    ArrayFunction("mean", _mean),
    ArrayFunction("amin", _reduction("min", None)),
    ArrayFunction("amax", _reduction("max", None)),
    ArrayFunction("cumsum", _cumsum),
    ArrayFunction("cumprod", _cumprod),
    # matrices
    ArrayFunction("dot", dot, arrays=2),
    ArrayFunction("outer", outer, arrays=2),
    ArrayFunction("trace", trace),
    ArrayFunction("det", det),
    ArrayFunction("inv", inv),
    ArrayFunction("tril", tril),
    ArrayFunction("triu", triu),
    ArrayFunction("transpose", transpose),
    ArrayFunction("diag", diag),
    # shapes
    ArrayFunction("reshape", _reshape),
    ArrayFunction("concat", _concat, takes_list=True),
    ArrayFunction("stack", _stack, takes_list=True),
    # constants
    ArrayFunction("eye", eye, arrays=0),
    ArrayFunction("zeros", _filled(0), arrays=0),
    ArrayFunction("ones", _filled(1), arrays=0),
)

ARRAY_FUNCTIONS = {row.name: row for row in _ROWS}
if len(ARRAY_FUNCTIONS) < len(_ROWS):
    raise ValueError("two array functions share a name")


def _absolute(graph: Graph, z: NodeId) -> NodeId:
    parts = (graph.elementwise("ipow", part(z), parameter=2) for part in (graph.real, graph.imag))
    return graph.elementwise("sqrt", graph.add(*parts))


def _argument(graph: Graph, z: NodeId) -> NodeId:
    return graph.elementwise("atan2", graph.imag(z), graph.real(z))


def _direction(graph: Graph, z: NodeId) -> NodeId:
    return graph.div(z, _absolute(graph, z))


COMPLEX_FUNCTIONS: dict[str, Callable[[Graph, NodeId], NodeId]] = {
    "re": Graph.real,
    "im": Graph.imag,
    "conj": Graph.conj,
    "arg": _argument,
}
"""Functions that take a complex number apart."""

ON_COMPLEX = {"abs": _absolute, "sign": _direction}
"""Operators of the table that are something else on complex numbers, as PyTorch has it."""

CONSTANTS = frozenset({"pi", "e", "inf", "I"})
FORMULA_FUNCTIONS = CALLABLE | ARRAY_FUNCTIONS.keys() | COMPLEX_FUNCTIONS.keys() | {"stop"}
RESERVED = FORMULA_FUNCTIONS | CONSTANTS | {"range"}
"""Every name of the language: what a case may not take for its own."""
