"""An array graph run on exact fractions by NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from gradcheck.graph.graph import Graph, Operation
from gradcheck.graph.lower import lower
from gradcheck.language.parse import parse

NUMPY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "abs": np.absolute,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": lambda a: np.rint(float(a)),  # np.rint takes no fractions; a half is one in binary
    "min": np.minimum,
    "max": np.maximum,
    "lt": np.less,
    "le": np.less_equal,
    "eq": np.equal,
    "not": np.logical_not,
    "and": np.logical_and,
    "or": np.logical_or,
    "where": lambda a, b, c: np.where(a, b, c).item(),
    "ipow": np.power,
}
"""What each operator does, as NumPy does it to Python's fractions."""


def call(operator: str, *arguments: Fraction | bool | int) -> Fraction | bool:
    """One operation, as NumPy computes it."""
    found = NUMPY[operator](*arguments)
    return bool(found) if isinstance(found, bool | np.bool_) else Fraction(found)


def _entrywise(node: Operation, *arguments: np.ndarray) -> np.ndarray:
    given = [] if node.attr is None else [node.attr]
    one = np.frompyfunc(lambda *values: call(node.op, *values, *given), len(arguments), 1)
    return np.asarray(one(*arguments), dtype=object)


def _summed(node: Operation, x: np.ndarray) -> np.ndarray:
    return np.asarray(np.add.reduce(x, axis=node.attr, initial=Fraction(0)), dtype=object)


def _running(node: Operation, x: np.ndarray) -> np.ndarray:
    axis, reverse = node.attr
    total = np.add.accumulate(np.flip(x, axis) if reverse else x, axis=axis)
    return np.flip(total, axis) if reverse else total


def _scattered(node: Operation, x: np.ndarray) -> np.ndarray:
    result = np.full(node.size, Fraction(0), dtype=object)
    np.add.at(result, node.attr.array.reshape(-1), x.reshape(-1))
    return result.reshape(node.shape)


def _product(_node: Operation, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    products = a[..., :, :, None] * b[..., None, :, :]
    return np.asarray(np.add.reduce(products, axis=-2, initial=Fraction(0)), dtype=object)


def _inverted(_node: Operation, a: np.ndarray) -> np.ndarray:
    """By Gauss and Jordan's elimination, matrix by matrix."""
    result = np.empty(a.shape, dtype=object)
    for place in np.ndindex(a.shape[:-2]):
        n = a.shape[-1]
        rows = np.concatenate([a[place], np.array(identity(n), dtype=object)], axis=1)
        for k in range(n):
            pivot = next(i for i in range(k, n) if rows[i, k])
            rows[[k, pivot]] = rows[[pivot, k]]
            rows[k] = rows[k] / rows[k, k]
            for i in range(n):
                if i != k:
                    rows[i] = rows[i] - rows[i, k] * rows[k]
        result[place] = rows[:, n:]
    return result


def identity(n: int) -> list[list[Fraction]]:
    return [[Fraction(i == j) for j in range(n)] for i in range(n)]


_NODES = {
    "constant": lambda node: node.attr.array,
    "broadcast": lambda node, x: np.broadcast_to(x, node.shape),
    "reshape": lambda node, x: x.reshape(node.shape),
    "transpose": lambda node, x: x.transpose(node.attr),
    "gather": lambda node, x: np.asarray(x.reshape(-1)[node.attr.array], dtype=object),
    "concat": lambda node, *parts: np.concatenate(parts, axis=node.attr),
    "scatter": _scattered, "sum": _summed, "cumsum": _running, "bmm": _product,
    "inverse": _inverted,
    "solve": lambda node, a, b: _product(node, _inverted(node, a), b),
}  # fmt: skip


def run(graph: Graph, nodes: Sequence[int], inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The arrays of the nodes, every operation done by NumPy."""
    values: dict[int, np.ndarray] = {}
    for index in graph.ancestors(nodes):
        node = graph.nodes[index]
        arguments = [values[arg] for arg in node.args]
        if node.op == "input":
            values[index] = inputs[node.attr]
        else:
            values[index] = _NODES.get(node.op, _entrywise)(node, *arguments)
    return [values[node] for node in nodes]


def of_inputs(text: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The formula with all arrays as inputs."""
    shapes = {name: array.shape for name, array in arrays.items()}
    formula = lower(parse(text), inputs=shapes, names={}, lets={}, conditions=())
    return run(formula.graph, formula.results, list(arrays.values()))[0]


def of_constants(text: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The formula with all arrays as constants, most of which are computed while it is lowered."""
    names = {name: array.tolist() for name, array in arrays.items()}
    formula = lower(parse(text), inputs={}, names=names, lets={}, conditions=())
    return run(formula.graph, formula.results, [])[0]
