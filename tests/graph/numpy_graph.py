"""An array graph run by NumPy in complex128: a reading of its nodes that is not ours."""

from __future__ import annotations

import numpy as np

UFUNCS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative,
    "pow": np.power, "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "sin": np.sin, "cos": np.cos,
    "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "atan2": np.arctan2,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "sech": lambda z: 1 / np.cosh(z),
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "lt": np.less,
    "where": np.where, "conj": np.conj, "real": np.real, "imag": np.imag, "bmm": np.matmul,
    "complex": lambda a, b: a + 1j * b, "inverse": np.linalg.inv,
}  # fmt: skip
NAMED = {"I": 1j, "pi": np.pi, "e": np.e}


def _scattered(node, x):
    result = np.zeros(node.size, dtype=complex)
    np.add.at(result, node.attr.array.reshape(-1), x.reshape(-1))
    return result.reshape(node.shape)


def _constant(node):
    if isinstance(node.attr, str):
        return np.asarray(NAMED[node.attr])
    return node.attr.array.astype(bool if node.kind == "bool" else float)


WITH_ATTRIBUTES = {
    "broadcast": lambda node, x: np.broadcast_to(x, node.shape),
    "reshape": lambda node, x: x.reshape(node.shape),
    "transpose": lambda node, x: x.transpose(node.attr),
    "sum": lambda node, x: x.sum(axis=node.attr),
    "gather": lambda node, x: x.reshape(-1)[node.attr.array],
    "scatter": _scattered,
    "concat": lambda node, *parts: np.concatenate(parts, axis=node.attr),
    "ipow": lambda node, x: x**node.attr,
    "powlog": lambda node, a, b: a**b * np.log(a) ** node.attr,
    "constant": _constant,
}


def run(graph, nodes, inputs):
    """The arrays of the nodes."""
    values = {}
    for k in graph.ancestors(nodes):
        node = graph.nodes[k]
        args = [values[arg] for arg in node.args]
        if node.op == "input":
            values[k] = np.asarray(inputs[node.attr])
        elif node.op in WITH_ATTRIBUTES:
            values[k] = np.asarray(WITH_ATTRIBUTES[node.op](node, *args))
        else:
            values[k] = np.asarray(UFUNCS[node.op](*args))
    return [values[k] for k in nodes]
