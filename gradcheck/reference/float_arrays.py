"""A graph in float64, each entry with the largest value that it was computed from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradcheck.graph.graph import Frozen, Graph, Node
from gradcheck.ops.table import OPERATORS, on_tensors
from gradcheck.query import Array

_NAMED = {"pi": np.pi, "e": np.e, "inf": np.inf, "I": 1j}
_NEVER_ZERO = frozenset({"exp", "exp2", "sech", "erfc"})
_PRODUCTS = frozenset({"mul", "div", "ipow"})


class Scaled:
    """The algebra of floats that know their ancestors; conditions are plain arrays of booleans.

    An entry is a record: its ``value``, the ``scale`` (the largest magnitude on the way to it) and
    whether something on the way is ``tiny``: not 0, and below the normal numbers of a dtype.
    """

    def __init__(self, graph: Graph, smallest: float) -> None:
        self.smallest = smallest
        complex_ones = any(node.kind == "complex" for node in graph.nodes)
        number = np.complex128 if complex_ones else np.float64
        self.record = np.dtype([("value", number), ("scale", np.float64), ("tiny", np.bool_)])
        self.zero: Any = np.zeros((), dtype=self.record)

    def lift(self, numbers: Array) -> Array:
        """Inputs: they have a value and no ancestors."""
        found = np.zeros(numbers.shape, dtype=self.record)
        found["value"] = numbers
        return found

    def add(self, a: Array, b: Array) -> Array:
        return self._joined(np.asarray(a["value"] + b["value"]), [a, b])

    def _joined(self, values: Array, args: Sequence[Array]) -> Array:
        """Records of new values, which remember the arguments' scales."""
        found = np.zeros(values.shape, dtype=self.record)
        found["value"] = values
        found["scale"] = np.nan_to_num(np.abs(values), nan=0.0, posinf=np.inf)
        found["tiny"] = (np.abs(values) < self.smallest) & (values != 0)
        for arg in args:
            if arg.dtype == self.record:
                found["scale"] = np.maximum(found["scale"], arg["scale"])
                found["tiny"] |= arg["tiny"]
        return found

    def apply(self, graph: Graph, index: int, values: Sequence[Array]) -> Array:
        node = graph.nodes[index]
        with np.errstate(all="ignore"):
            if node.op == "constant":
                return self._constant(node)
            if node.op == "detach":
                return values[0]
            if node.op in _REDUCTIONS:
                return _REDUCTIONS[node.op](self, node, values)
            return self._elementwise(node, values)

    def _constant(self, node: Node) -> Array:
        if isinstance(node.attr, str):
            return self.lift(np.array([_NAMED[node.attr]]))
        assert isinstance(node.attr, Frozen)
        if node.kind == "bool":
            return node.attr.array[None].astype(bool)
        return self.lift(node.attr.array[None].astype(float))

    def _elementwise(self, node: Node, values: Sequence[Array]) -> Array:
        if node.op == "where":
            return np.where(*values)
        numbers = [value["value"] if value.dtype == self.record else value for value in values]
        result = np.asarray(_function(node)(*numbers))
        if node.kind == "bool":
            return result
        found = self._joined(result, values)
        found["tiny"] |= (result == 0) & _underflown(node.op, numbers)
        return found

    # sums and matrices: partial sums are intermediate values too

    def sum(self, node: Node, values: Sequence[Array]) -> Array:
        x, axes = values[0], node.attr
        assert isinstance(axes, tuple)
        kept = [k + 1 for k in range(x.ndim - 1) if k not in axes]
        flat = x.transpose(0, *kept, *(axis + 1 for axis in axes))
        flat = flat.reshape(x.shape[0], *node.shape, -1)
        if not flat.shape[-1]:
            return np.zeros(flat.shape[:-1], dtype=self.record)
        partial = np.cumsum(flat["value"], axis=-1)
        return self._over(partial[..., -1], [flat], np.abs(partial).max(axis=-1))

    def _over(self, values: Array, args: Sequence[Array], partial: Array) -> Array:
        """Records of reduced values: the scale is the largest along the last axis."""
        found = self._joined(values, [])
        found["scale"] = np.fmax(found["scale"], partial)
        for arg in args:
            found["scale"] = np.maximum(found["scale"], arg["scale"].max(axis=-1))
            found["tiny"] |= arg["tiny"].any(axis=-1)
        return found

    def cumsum(self, node: Node, values: Sequence[Array]) -> Array:
        assert isinstance(node.attr, tuple)
        axis, reverse = node.attr
        x = np.flip(values[0], axis + 1) if reverse else values[0]
        found = self._joined(np.cumsum(x["value"], axis=axis + 1), [])
        scale = np.maximum(found["scale"], x["scale"])
        found["scale"] = np.maximum.accumulate(scale, axis=axis + 1)
        found["tiny"] |= np.logical_or.accumulate(x["tiny"], axis=axis + 1)
        return np.flip(found, axis + 1) if reverse else found

    def bmm(self, _node: Node, values: Sequence[Array]) -> Array:
        a, b = values
        found = self._joined(a["value"] @ b["value"], [])
        partial = np.abs(a["value"]) @ np.abs(b["value"])
        if not a.shape[-1]:
            return found
        sides = a["scale"].max(-1, keepdims=True), b["scale"].max(-2, keepdims=True)
        found["scale"] = np.fmax(np.fmax(partial, sides[0]), sides[1])
        found["tiny"] |= a["tiny"].any(-1, keepdims=True) | b["tiny"].any(-2, keepdims=True)
        return found

    def solved(self, node: Node, values: Sequence[Array]) -> Array:
        """Inverses and solutions: each entry is made of all others of its matrix."""
        numbers = [value["value"] for value in values]
        try:
            result = np.linalg.inv(*numbers) if node.op == "inverse" else np.linalg.solve(*numbers)
        except np.linalg.LinAlgError:
            rows = max(value.shape[0] for value in values)
            result = np.full((rows, *node.shape), np.nan)
        found = self._joined(result, [])
        for each in (*values, found):
            largest = np.maximum(each["scale"], np.abs(each["value"])).max((-2, -1), keepdims=True)
            found["scale"] = np.fmax(found["scale"], largest)
            tiny: Array = np.asarray(each["tiny"].any((-2, -1), keepdims=True))
            found["tiny"] |= tiny
        return found


_REDUCTIONS: dict[str, Callable[[Scaled, Node, Sequence[Array]], Array]] = {
    "sum": Scaled.sum,
    "cumsum": Scaled.cumsum,
    "bmm": Scaled.bmm,
    "inverse": Scaled.solved,
    "solve": Scaled.solved,
}

_PARTS: dict[str, Callable[..., Any]] = {
    "conj": np.conj, "real": np.real, "imag": np.imag, "complex": lambda a, b: a + 1j * b,
}  # fmt: skip


def _function(node: Node) -> Callable[..., Any]:
    """PyTorch's function of float64 arrays; a real node never sees an imaginary part of 0."""
    if node.op in _PARTS:
        return _PARTS[node.op]
    entry = OPERATORS[node.op]

    function = on_tensors(entry)

    def call(*numbers: Array) -> Array:
        import torch  # only here: validating a catalog computes no scale

        real = node.kind != "complex"
        tensors = [torch.from_numpy(np.array(x.real if real else x)) for x in numbers]
        return np.asarray(function(node.attr, *tensors) if entry.parameter
                          else function(*tensors))  # fmt: skip

    return call


def _underflown(op: str, numbers: Sequence[Array]) -> Any:
    """Whether a result of 0 is none: the float64 below it is rounded to 0."""
    if op in _NEVER_ZERO:
        return np.isfinite(numbers[0])
    if op in _PRODUCTS:
        return np.logical_and.reduce(
            [np.isfinite(x) & (x != 0) for x in np.broadcast_arrays(*numbers)]
        )
    return False
