"""Complex numbers in a formula: their parts, and which operators take them."""

from __future__ import annotations

from collections.abc import Callable

from gradcheck.graph.graph import Graph, NodeId


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

HOLOMORPHIC = frozenset({
    "add", "sub", "mul", "div", "neg", "ipow", "pow", "powlog", "where", "sqrt",
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p",
    "sin", "cos", "tan", "asin", "acos", "atan",
    "sinh", "cosh", "tanh", "sech", "asinh", "acosh", "atanh",
})  # fmt: skip
"""Operators of the table that mean the same on complex numbers, with the same derivative."""
