"""The array graph: a formula as operations on whole arrays, each computed once.

A node is an operator of the table, applied entry by entry, or one of the operations that move
numbers (broadcast, reshape, transpose, gather, scatter, concat), add them (sum, cumsum), multiply
matrices (bmm, inverse, solve), cut the derivative (detach), or take complex numbers apart (conj,
real, imag, complex). Shapes and kinds are static. Several points are one more leading axis for
whoever computes; it is in no shape here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.graph.folding import Exact, Meter, TooLarge, fold
from gradcheck.graph.shapes import bounded, broadcast_shape
from gradcheck.query import Array, Kind, Port, Shape

NodeId = int
"""The number of a node in its graph."""

MOST_NODES = 200_000

CONDITIONS = frozenset({"lt", "le", "eq", "not", "and", "or"})
"""Operators whose result is true or false."""


class Frozen:
    """An array that does not change, as a part of a node: equal arrays are equal."""

    __slots__ = ("_hash", "_key", "array")

    def __init__(self, array: Array) -> None:
        self.array = array
        entries = tuple(array.flat) if array.dtype == object else array.tobytes()
        self._key = (array.shape, entries)
        self._hash = hash(self._key)

    def __reduce__(self) -> tuple[type[Frozen], tuple[Array]]:
        return Frozen, (self.array,)  # a hash is another in each process

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frozen) and self._key == other._key

    def __repr__(self) -> str:
        return f"Frozen({self.array.tolist()})"


NodeAttribute = int | str | tuple[Any, ...] | Frozen | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; ``args`` are earlier nodes. What ``attr`` says depends on ``op``:

    ``input`` its number; ``constant`` a Frozen array of exact numbers or conditions, or a name
    (``pi``, ``e``, ``inf``, ``I``); an operator of the table its integer parameter, or None;
    ``transpose`` the order of the axes; ``sum`` the axes that vanish; ``cumsum`` the axis, and
    whether it runs from the end; ``gather`` and ``scatter`` a Frozen array of positions in the
    flattened argument, or result (equal positions add up); ``concat`` the axis.
    """

    op: str
    args: tuple[int, ...]
    attr: NodeAttribute
    shape: Shape
    kind: Kind

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Step:
    """A node to be evaluated, and whose values are not needed any more then."""

    number: int
    node: Operation
    last_used: tuple[int, ...]


class Graph(Meter):
    """Grows by its methods, which return the number of a node, and never shrinks.

    Equal nodes are one. What is constant is folded exactly, so a constant is a node ``constant``,
    or one that is broadcast.

    Errors: Misuse for shapes that do not fit; ZeroDivisionError where constants are divided by
            zero; TooLarge past a limit, where there are limits.
    """

    def __init__(self, allowance: float = math.inf) -> None:
        super().__init__(allowance)
        self.nodes: list[Operation] = []
        self.inputs: list[Port] = []
        self._known: dict[Operation, int] = {}
        self._schedules: dict[tuple[int, ...], tuple[Step, ...]] = {}
        self._numbers: dict[tuple[bool, Exact | int], int] = {}

    def put(
        self, op: str, args: Sequence[int], attr: NodeAttribute, shape: Sequence[int], kind: Kind
    ) -> int:
        """The node, new or known; nothing is checked, folded or simplified."""
        node = Operation(op, tuple(args), attr, tuple(shape), kind)
        known = self._known.get(node)
        if known is not None:
            return known
        if self.limited:
            if node.shape:
                bounded(node.shape)
            if len(self.nodes) >= MOST_NODES:
                raise TooLarge(f"more than {MOST_NODES:,} operations")
        self.spend(2)
        self.nodes.append(node)
        self._known[node] = len(self.nodes) - 1
        return len(self.nodes) - 1

    def shape(self, node: int) -> Shape:
        return self.nodes[node].shape

    def kind(self, node: int) -> Kind:
        return self.nodes[node].kind

    def ancestors(self, nodes: Iterable[int]) -> list[int]:
        """All nodes that the given ones are computed from, themselves included, in order."""
        found: set[int] = set()
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting.extend(self.nodes[node].args)
        return sorted(found)

    def places(self, nodes: Iterable[int]) -> dict[int, int]:
        """The place of each ancestor where all are counted from the nodes, arguments first.

        It hangs on what the nodes are alone, and not on when they were written.
        """
        found: dict[int, int] = {}
        waiting = list(nodes)[::-1]
        while waiting:
            node = waiting[-1]
            missing = [arg for arg in self.nodes[node].args if arg not in found]
            if missing:
                waiting.extend(missing[::-1])
            else:
                found.setdefault(node, len(found))
                waiting.pop()
        return found

    def schedule(self, nodes: Iterable[int]) -> tuple[Step, ...]:
        """The ancestors of nodes as steps, in order; a value dies at its last use."""
        asked = tuple(nodes)
        if asked not in self._schedules:
            needed = self.ancestors(asked)
            last = {arg: node for node in needed for arg in self.nodes[node].args}
            kept = set(asked)
            self._schedules[asked] = tuple(
                Step(index, node, tuple({a for a in node.args if last[a] == index} - kept))
                for index, node in ((each, self.nodes[each]) for each in needed)
            )
        return self._schedules[asked]

    def copy(self, allowance: float = math.inf) -> Graph:
        """Return a graph with the same nodes, which grows apart from this one."""
        other = Graph(allowance)
        other.nodes, other.inputs = list(self.nodes), list(self.inputs)
        other._known, other._numbers = dict(self._known), dict(self._numbers)
        return other

    # leaves

    def input(self, port: Port) -> int:
        self.inputs.append(port)
        return self.put("input", (), len(self.inputs) - 1, port.shape, port.kind)

    def constant(self, value: Exact | int | Array, shape: Shape = ()) -> int:
        """An exact number, or array of them, or of conditions; one number fills ``shape``."""
        if isinstance(value, np.ndarray):
            return self.broadcast(self._constant(value), shape) if shape else self._constant(value)
        key = isinstance(value, bool), value
        if key not in self._numbers:
            entry = np.empty((), dtype=object)
            entry[()] = value
            self._numbers[key] = self._constant(entry)
        node = self._numbers[key]
        return self.broadcast(node, shape) if shape else node

    def _constant(self, value: Array) -> int:
        value = value.astype(object)  # NumPy's own numbers become Python's
        kind: Kind = "bool" if value.size and isinstance(value.flat[0], bool) else "real"
        array = np.empty(value.shape, dtype=object)
        array[...] = value if kind == "bool" else np.frompyfunc(Fraction, 1, 1)(value)
        self.spend(array.size // (32 if kind == "bool" else 3))
        return self.put("constant", (), Frozen(array), array.shape, kind)

    def named(self, name: str) -> int:
        """One of the constants ``pi``, ``e``, ``inf`` and ``I``."""
        return self.put("constant", (), name, (), "complex" if name == "I" else "real")

    def exact(self, node: int) -> Array | None:
        """The entries of a constant; None of what is none."""
        core = self._core(node)
        if core is None or core.shape == self.shape(node):
            return core
        return np.broadcast_to(core, self.shape(node))

    def number(self, node: int) -> Exact | None:
        """The number that all entries of a constant are, as far as can be seen at once."""
        core = self._core(node)
        return core.item() if core is not None and core.ndim == 0 else None

    def _core(self, node: int) -> Array | None:
        """A constant before it is broadcast."""
        found = self.nodes[node]
        if found.op == "broadcast":
            found = self.nodes[found.args[0]]
        attr = found.attr
        return attr.array if found.op == "constant" and isinstance(attr, Frozen) else None

    # entry by entry

    def elementwise(self, op: str, *args: int, parameter: int | None = None) -> int:
        """An operator of the table on arrays that broadcast."""
        shape = broadcast_shape([self.shape(arg) for arg in args])
        folded = self._folded(op, args, parameter)
        if folded is not None:
            return self.broadcast(folded, shape)
        shorter = self._shortened(op, args, parameter)
        if shorter is not None and self.shape(shorter) == shape:
            return shorter
        kind = self._kind_of(op, args)
        return self.put(op, [self.broadcast(arg, shape) for arg in args], parameter, shape, kind)

    def _kind_of(self, op: str, args: Sequence[int]) -> Kind:
        if op in CONDITIONS:
            return "bool"
        kinds = {self.kind(arg) for arg in args}
        if op == "where":
            kinds = {self.kind(arg) for arg in args[1:]}
        return joined_kind(kinds)

    def _folded(self, op: str, args: Sequence[int], parameter: int | None) -> int | None:
        cores = [self._core(arg) for arg in args]
        known = [core for core in cores if core is not None]
        if len(known) < len(cores):
            return None
        if not any(core.ndim for core in known):
            self.spend(2)
            one = fold(self, op, [core.item() for core in known], parameter)
            return None if one is None else self.constant(one)
        spread = np.broadcast_arrays(*known)
        self.spend(2 * spread[0].size)
        result = np.empty(spread[0].shape, dtype=object)
        columns = (array.ravel().tolist() for array in spread)
        for k, values in enumerate(zip(*columns, strict=True)):
            result.flat[k] = fold(self, op, values, parameter)
            if result.flat[k] is None:
                return None
        if op in CONDITIONS and not result.size:
            return self.put("constant", (), Frozen(result), result.shape, "bool")
        return self.constant(result)

    def _shortened(self, op: str, args: Sequence[int], parameter: int | None) -> int | None:
        """Identities that hold wherever the other operand is defined."""
        first = self.number(args[0])
        if op == "ipow" and parameter == 1:
            return args[0]
        if op == "where" and first is not None:
            return args[1] if first else args[2]
        if len(args) != 2:
            return None
        second = self.number(args[1])
        if op in _RIGHT_NEUTRAL and second is not None and second == _RIGHT_NEUTRAL[op]:
            return args[0]
        if op in ("add", "mul", "and", "or") and first is not None and first == _RIGHT_NEUTRAL[op]:
            return args[1]
        if op in ("and", "or"):
            return next((a for a, known in zip(args, (first, second), strict=True)
                         if known is not None), None)  # fmt: skip
        return None

    def add(self, a: int, b: int) -> int:
        return self.elementwise("add", a, b)

    def sub(self, a: int, b: int) -> int:
        return self.elementwise("sub", a, b)

    def mul(self, a: int, b: int) -> int:
        return self.elementwise("mul", a, b)

    def div(self, a: int, b: int) -> int:
        return self.elementwise("div", a, b)

    def neg(self, a: int) -> int:
        return self.elementwise("neg", a)

    # numbers that move

    def broadcast(self, node: int, shape: Sequence[int]) -> int:
        shape = tuple(shape)
        if self.shape(node) == shape:
            return node
        broadcast_shape([self.shape(node), shape])
        while self.nodes[node].op == "broadcast":
            node = self.nodes[node].args[0]
        if self.shape(node) == shape:
            return node
        return self.put("broadcast", (node,), None, shape, self.kind(node))

    def reshape(self, node: int, shape: Sequence[int]) -> int:
        shape = tuple(shape)
        while self.nodes[node].op == "reshape":
            node = self.nodes[node].args[0]
        if self.shape(node) == shape:
            return node
        return self._moved("reshape", node, None, shape, lambda array: array.reshape(shape))

    def transpose(self, node: int, order: Sequence[int]) -> int:
        order = tuple(order)
        if order == tuple(range(len(order))):
            return node
        shape = tuple(self.shape(node)[axis] for axis in order)
        return self._moved("transpose", node, order, shape, lambda array: array.transpose(order))

    def gather(self, node: int, index: Array) -> int:
        """Entries of the flattened array, in the shape of ``index``."""
        if self.nodes[node].size == index.size and _is_counting(index):
            return self.reshape(node, index.shape)
        if self.nodes[node].op == "reshape":
            node = self.nodes[node].args[0]
        inner = self.nodes[node].attr
        if self.nodes[node].op == "gather" and isinstance(inner, Frozen):
            return self.gather(self.nodes[node].args[0], inner.array.reshape(-1)[index])
        self.spend(index.size // 128)
        frozen = Frozen(np.ascontiguousarray(index, dtype=np.int64).reshape(index.shape))
        return self._moved(
            "gather", node, frozen, index.shape, lambda array: array.reshape(-1)[index]
        )

    def index(self, node: int, key: Any) -> int:
        """NumPy's indexing by integers, slices, ``...`` and arrays of integers.

        Errors: IndexError and ValueError as NumPy's.
        """
        return self.gather(node, np.asarray(positions(self.shape(node))[key]))

    def scatter(self, node: int, index: Array, shape: Sequence[int]) -> int:
        """Zeros of ``shape`` with the entries added at positions of the flattened result."""
        self.spend(index.size // 128)
        frozen = Frozen(np.ascontiguousarray(index, dtype=np.int64).reshape(index.shape))
        return self.put("scatter", (node,), frozen, shape, self.kind(node))

    def concat(self, parts: Sequence[int], axis: int) -> int:
        if len(parts) == 1:
            return parts[0]
        shape = list(self.shape(parts[0]))
        shape[axis] = sum(self.shape(part)[axis] for part in parts)
        known = [self.exact(part) for part in parts]
        if all(array is not None for array in known):
            return self._joined(np.concatenate(known, axis=axis), parts)  # type: ignore[arg-type]
        self.spend(len(parts))
        kind = joined_kind(self.kind(part) for part in parts)
        return self.put("concat", parts, axis, shape, kind)

    def stack(self, parts: Sequence[int], axis: int) -> int:
        shape = self.shape(parts[0])
        known = [self.exact(part) for part in parts]
        if all(array is not None for array in known):
            return self._joined(np.stack(known, axis=axis), parts)  # type: ignore[arg-type]
        longer = (*shape[:axis], 1, *shape[axis:])
        return self.concat([self.reshape(part, longer) for part in parts], axis)

    def _joined(self, array: Array, parts: Sequence[int]) -> int:
        self.spend(array.size // 8)
        kind = joined_kind(self.kind(part) for part in parts)
        return self.put("constant", (), Frozen(array), array.shape, kind)

    def _moved(
        self, op: str, node: int, attr: NodeAttribute, shape: Shape, move: Callable[[Array], Array]
    ) -> int:
        """An operation that only moves numbers; a constant is moved at once."""
        found = self.nodes[node]
        if found.op == "broadcast" and not self.shape(found.args[0]):
            return self.broadcast(found.args[0], shape)
        known = self.exact(node)
        if known is None:
            return self.put(op, (node,), attr, shape, found.kind)
        self.spend(math.prod(shape) // 8)
        moved = np.empty(shape, dtype=object)
        moved[...] = move(known)
        return self.put("constant", (), Frozen(moved), shape, found.kind)

    # sums and products

    def sum(self, node: int, axes: Iterable[int], *, keepdim: bool = False) -> int:
        """The sum over ``axes``, which count from 0."""
        axes, shape = tuple(sorted(axes)), self.shape(node)
        if not axes:
            return node
        kept = [length for axis, length in enumerate(shape) if axis not in axes]
        known = self.exact(node)
        total = self._added(known, axes) if known is not None else None
        if total is None:
            total = self.put("sum", (node,), axes, kept, self.kind(node))
        return self.reshape(total, without(shape, axes)) if keepdim else total

    def _added(self, known: Array, axes: Shape) -> int | None:
        """A sum of constants; None where only balls can compute it."""
        rows = np.moveaxis(known, axes, range(len(axes)))
        kept = rows.shape[len(axes) :]
        totals: list[Exact] = [Fraction(0)] * math.prod(kept)
        self.spend(2 * known.size)
        for row in rows.reshape(-1, len(totals)).tolist():
            sums = [fold(self, "add", pair) for pair in zip(totals, row, strict=True)]
            totals = [one for one in sums if one is not None]
            if len(totals) < len(sums):
                return None
        return self.constant(np.array(totals, dtype=object).reshape(kept))

    def cumsum(self, node: int, axis: int, *, reverse: bool = False) -> int:
        return self.put("cumsum", (node,), (axis, reverse), self.shape(node), self.kind(node))

    def bmm(self, a: int, b: int) -> int:
        """The products of matrices ``[..., m, k] @ [..., k, n]`` whose leading axes broadcast."""
        (*lead_a, m, k), (*lead_b, _, n) = self.shape(a), self.shape(b)
        lead = broadcast_shape([tuple(lead_a), tuple(lead_b)])
        a, b = self.broadcast(a, (*lead, m, k)), self.broadcast(b, (*lead, k, n))
        kind = joined_kind((self.kind(a), self.kind(b)))
        return self.put("bmm", (a, b), None, (*lead, m, n), kind)

    def inverse(self, a: int) -> int:
        return self.put("inverse", (a,), None, self.shape(a), self.kind(a))

    def solve(self, a: int, b: int) -> int:
        """The solutions ``x`` of ``a @ x = b``; both have the same leading axes."""
        kind = joined_kind((self.kind(a), self.kind(b)))
        return self.put("solve", (a, b), None, self.shape(b), kind)

    def transposed(self, node: int) -> int:
        """Each matrix transposed: the last two axes exchanged."""
        n = len(self.shape(node))
        return self.transpose(node, (*range(n - 2), n - 1, n - 2))

    # derivatives cut, complex numbers

    def detach(self, node: int) -> int:
        """The same numbers, whose derivative is 0."""
        if self._core(node) is not None:
            return node
        return self.put("detach", (node,), None, self.shape(node), self.kind(node))

    def conj(self, node: int) -> int:
        return node if self.kind(node) != "complex" else self._part("conj", node, "complex")

    def real(self, node: int) -> int:
        return node if self.kind(node) != "complex" else self._part("real", node, "real")

    def imag(self, node: int) -> int:
        if self.kind(node) != "complex":
            return self.constant(0, self.shape(node))
        return self._part("imag", node, "real")

    def complex(self, real: int, imag: int) -> int:
        return self.put("complex", (real, imag), None, self.shape(real), "complex")

    def _part(self, op: str, node: int, kind: Kind) -> int:
        return self.put(op, (node,), None, self.shape(node), kind)


_RIGHT_NEUTRAL: dict[str, Exact] = {
    "add": Fraction(0),
    "sub": Fraction(0),
    "mul": Fraction(1),
    "div": Fraction(1),
    "and": True,
    "or": False,
}


def joined_kind(kinds: Iterable[Kind]) -> Kind:
    """The kind of an array that holds entries of all these kinds."""
    kinds = set(kinds)
    return "complex" if "complex" in kinds else "real" if kinds != {"bool"} else "bool"


@lru_cache(maxsize=64)
def positions(shape: Shape) -> NDArray[np.int64]:
    """The number of each entry of an array, counted through the flattened array."""
    numbers = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    numbers.flags.writeable = False
    return numbers


def _is_counting(index: NDArray[Any]) -> bool:
    return bool((index.reshape(-1) == np.arange(index.size)).all())


def without(shape: Shape, axes: Iterable[int]) -> Shape:
    """The shape with these axes of length 1."""
    return tuple(1 if axis in axes else length for axis, length in enumerate(shape))
