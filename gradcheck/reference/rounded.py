"""A graph in float64 whose every result is rounded, again and again: how far right code may be off.

Rounding to nearest makes equal errors for equal numbers, so each node's results are rounded on one
grid of a dtype, which is shifted at random from sample to sample: y is rounded to y' with
y' = round(t y) / t, t in [1, 2). Sums err as if they were added up one after the other: of n terms
with the sum s and the sum of squares T, by about u sqrt(n (s²/3 + T/6)). The samples give the null
distribution of any statistic of an array, correlations included. They are no bound: docs/judge.md.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gradcheck.answer import Floats
from gradcheck.dtypes import FLOAT32, FLOAT64, Dtype
from gradcheck.graph.graph import Frozen, Graph, Operation
from gradcheck.query import Array, Query
from gradcheck.randomness import derive_key, random_normal, random_words
from gradcheck.reference.derivative_graphs import DerivativeGraphs, Rows, joined
from gradcheck.reference.float_arrays import FloatAlgebra
from gradcheck.reference.interpret import evaluate, move
from gradcheck.reference.query_rows import plan_rows

SAMPLES = 32
RMS = 0.42
"""Root mean square of a rounding error over u |y|: sqrt(1/3 E[1/m²]), log m even in [1, 2)."""
_LIBRARY_ULPS, _COMMON_ULPS = 3.0, 1.0
"""Functions in float32 are good to about 1.5 units of rounding, and biased by half of one."""
_MOST_AT_ONCE = 1 << 22
"""Entries of all nodes, over the points and samples that are run together."""
_EXACT = frozenset({
    "neg", "abs", "sign", "heaviside", "floor", "ceil", "round", "min", "max", "where", "lt", "le",
    "eq", "not", "and", "or", "detach", "real", "imag", "conj", "complex",
})  # fmt: skip
_ARITHMETIC = frozenset({"add", "sub", "mul", "div", "sqrt", "ipow", "sum", "cumsum", "bmm"})


@dataclass(frozen=True, slots=True)
class Level:
    """How an implementation rounds: results in one dtype, sums while they grow in another.

    ``perturbed``: inputs are off by a rounding too, which no algorithm can do better than.
    """

    operations: Dtype
    sums: Dtype
    perturbed: bool = False


def levels(dtype: Dtype) -> tuple[Level, ...]:
    """From the best that code can do in a dtype to the worst that is right."""
    if dtype.precision >= FLOAT32.precision:
        return Level(dtype, dtype), Level(dtype, dtype, perturbed=True)
    return Level(FLOAT32, FLOAT32), Level(dtype, FLOAT32), Level(dtype, dtype, perturbed=True)


def rounding_errors(
    graphs: DerivativeGraphs, query: Query, points: Array, dtype: Dtype
) -> tuple[Floats, ...]:
    """Return samples of the errors of a query's answer, for each level.

    Shapes: [samples, count, *free] each.
    """
    graphs = graphs.as_pytorch()
    planned = plan_rows(graphs, query, points)
    found = []
    for number, level in enumerate(levels(dtype)):
        parts = [_errors(graphs, rows, level, dtype, number) for rows, _ in planned.parts]
        each = [planned.arranged([part[k] for part in parts]) for k in range(SAMPLES)]
        found.append(np.stack(each))
    return tuple(found)


def longest_sum(graphs: DerivativeGraphs, query: Query, points: Array) -> int:
    """Return how many terms the longest sum has that a query's answer is computed from."""
    (rows, _), *_ = plan_rows(graphs, query, points).parts
    graph = graphs.function.graph
    return max((_terms(graph, node) for node in graph.ancestors(graphs.outputs_of(rows))),
               default=0)  # fmt: skip


def _terms(graph: Graph, index: int) -> int:
    node = graph.nodes[index]
    if node.op == "bmm":
        return int(graph.shape(node.args[0])[-1])
    if node.op == "sum":
        return int(graph.nodes[node.args[0]].size // max(1, node.size))
    if node.op == "scatter":
        return int(_repeats(node).max(initial=0))
    return 0


def _repeats(node: Operation) -> Array:
    """How many entries a scatter adds up at each place. Shapes: [*shape]."""
    assert isinstance(node.attr, Frozen)
    found = np.bincount(node.attr.array.reshape(-1), minlength=math.prod(node.shape))
    return found.reshape(node.shape)


def _errors(
    graphs: DerivativeGraphs, rows: Rows, level: Level, dtype: Dtype, number: int
) -> Floats:
    """Shapes: [samples, count, free]."""
    nodes, graph = graphs.outputs_of(rows), graphs.function.graph
    entries = sum(graph.nodes[node].size for node in graph.ancestors(nodes))
    step = max(1, _MOST_AT_ONCE // max(1, entries * rows.count))
    true = graphs.in_floats(nodes, rows)

    def sampled(algebra: Rounded) -> Floats:
        tiled = rows.take(np.tile(np.arange(rows.count), len(algebra.samples)))
        if level.perturbed:
            tiled = replace(tiled, points=algebra.perturbed(tiled.points, dtype))
        values = evaluate(graph, nodes, graphs.numbers(tiled), algebra)
        answer = joined(values, tiled.count)
        if level.operations != dtype:  # the result itself is of the dtype
            answer = algebra.on_grid(answer, dtype, derive_key("result", number))
        found: Floats = answer.reshape(len(algebra.samples), rows.count, -1) - true
        return found

    names: dict[int, int] = {}
    ended, endless, underflows = [], [], False
    for start in range(0, SAMPLES, step):
        chosen = range(start, min(start + step, SAMPLES))
        algebra = Rounded(level, rows.count, chosen, number, names)
        ended.append(sampled(algebra))
        endless.append(sampled(algebra.without_end()) if algebra.underflows else ended[-1])
        underflows |= algebra.underflows
    errors = np.concatenate(ended)
    if not underflows:
        return errors
    scaled = np.concatenate(endless)
    with np.errstate(over="ignore"):  # of what is far out of the dtype's range
        return np.where((scaled**2).mean(axis=0) > (errors**2).mean(axis=0), scaled, errors)


@dataclass(slots=True)
class Rounded:
    """The algebra of floats that are rounded after each operation, several samples at once.

    Rows are samples × points. A node draws by what it computes, never by its number, which hangs
    on what was asked before. ``underflows`` says afterwards whether a number other than 0 was below
    the normal ones; without ``has_end`` it is rounded like any other. ``names`` are those that
    nodes have so far, at this level.
    """

    level: Level
    count: int
    samples: range
    number: int
    names: dict[int, int]
    has_end: bool = True
    underflows: bool = False
    zero: float = 0.0
    _plain: FloatAlgebra = field(default_factory=FloatAlgebra)
    _drawn: dict[tuple[int, tuple[int, ...]], Floats] = field(default_factory=dict)

    def without_end(self) -> Rounded:
        """The same samples, by the same random numbers."""
        return replace(self, has_end=False)

    def add(self, a: Array, b: Array) -> Array:
        return np.asarray(a + b)

    def move(self, node: Operation, args: Sequence[Array]) -> Array:
        found = move(node, args, self)
        if node.op != "scatter":
            return found
        terms = _repeats(node)
        if terms.max(initial=0) < 2:
            return found
        squares = move(node, [args[0] ** 2], self)
        key = derive_key("scatter", *node.shape, self.number)
        return np.asarray(found + self._of_sum(found, terms, squares, key))

    def apply(self, graph: Graph, index: int, values: Sequence[Array]) -> Array:
        node = graph.nodes[index]
        with np.errstate(all="ignore"):
            found = self._plain.of(node, values)
            if node.op in _EXACT or node.kind != "real":
                return found
            key = self._key(graph, index)
            if node.op == "constant":
                whole = _rounded(found, self.level.sums)
                if np.array_equal(whole, found):
                    return found
                return self.on_grid(self._spread(found), self.level.sums, key)
            found = self._accumulated(graph, index, self._spread(found), values, key)
            return self.on_grid(found, self.level.operations, key)

    def _accumulated(
        self, graph: Graph, index: int, found: Array, values: Sequence[Array], key: int
    ) -> Array:
        """The result with what its own computation errs, before it is rounded."""
        node = graph.nodes[index]
        if node.op in ("sum", "bmm"):
            terms = _terms(graph, index)
            squares = self._plain.of(node, [value**2 for value in values])
            return np.asarray(found + self._of_sum(found, np.asarray(terms), squares, key))
        if node.op == "cumsum":
            error = RMS * self.level.sums.unit_roundoff * found * self._noise(found, key)
            return np.asarray(found + self._plain.of(node, [error]))
        if node.op in ("inverse", "solve"):
            largest = np.abs(found).max(axis=(-2, -1), keepdims=True, initial=0.0)
            error = self.level.operations.unit_roundoff * largest * self._noise(found, key)
            return np.asarray(found + error)
        if node.op not in _ARITHMETIC and self.level.operations.precision >= FLOAT32.precision:
            own = _LIBRARY_ULPS * RMS * self._noise(found, key) / 2
            common = _COMMON_ULPS * (self._shifts(derive_key(key, "bias"), found.ndim) - 1.5)
            return np.asarray(found * (1 + self.level.operations.unit_roundoff * (own + common)))
        return found

    def _of_sum(self, total: Array, terms: Array, squares: Array, key: int) -> Array:
        size = np.sqrt(terms * (total**2 / 3 + squares / 6)) * (terms > 1)
        error = RMS * self.level.sums.unit_roundoff * size * self._noise(total, key)
        return np.asarray(error)

    # randomness

    def _key(self, graph: Graph, index: int) -> int:
        """A number that hangs on what a node computes."""
        if index not in self.names:
            node = graph.nodes[index]
            attr: object = node.attr
            if node.op == "input":
                assert isinstance(node.attr, int)
                attr = graph.inputs[node.attr].name
            if isinstance(attr, Frozen):
                attr = _digest(attr.array)
            below = sorted(self._key(graph, arg) for arg in node.args)
            self.names[index] = derive_key(node.op, str(attr), *node.shape, *below)
        return derive_key(self.names[index], self.number)

    def perturbed(self, points: Array, dtype: Dtype) -> Array:
        """Shapes: [rows, n]."""
        noise = RMS * self._noise(points, derive_key("inputs", self.number))
        return np.asarray(points * (1 + dtype.unit_roundoff * noise))

    def on_grid(self, values: Array, dtype: Dtype, key: int) -> Array:
        """Numbers rounded to the dtype's precision, on a grid of each sample's own."""
        if dtype == FLOAT64:
            return values
        shifts = self._shifts(key, values.ndim)
        shifted = values * shifts
        found = _rounded(shifted, dtype)
        if self.has_end:
            tiny = np.abs(shifted) < dtype.smallest_normal
            tiny &= shifted != 0
            if tiny.any():
                self.underflows = True
                found = np.where(tiny, np.rint(shifted / dtype.underflow_step)
                                 * dtype.underflow_step, found)  # fmt: skip
        found /= shifts
        return found

    def _spread(self, values: Array) -> Array:
        rows = len(self.samples) * self.count
        return values if len(values) == rows else np.broadcast_to(values, (rows, *values.shape[1:]))

    def _shifts(self, key: int, dimensions: int) -> Array:
        """A number in [1, 2) for each sample, the same at all points. Shapes: [rows, 1, ...]."""
        words = random_words(key, (SAMPLES,))[self.samples.start : self.samples.stop]
        shifts = 1.0 + (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return np.repeat(shifts, self.count).reshape(-1, *(1,) * (dimensions - 1))

    def _noise(self, like: Array, key: int) -> Array:
        """Numbers of mean 0 and variance 1, about normal, for each sample its own."""
        shape = like.shape[1:]
        if (key, shape) not in self._drawn:
            keys = [derive_key(key, sample) for sample in self.samples]
            found = random_normal(keys, math.prod(shape, start=self.count))
            self._drawn[key, shape] = found.reshape(len(keys) * self.count, *shape)
        return self._drawn[key, shape]


def _digest(numbers: Array) -> str:
    """The same in every process: the bytes of an array of objects are where these lie."""
    exact = numbers.dtype == object
    content = str(numbers.tolist()).encode() if exact else numbers.tobytes()
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _rounded(values: Array, dtype: Dtype) -> Array:
    """Numbers to nearest of a dtype without ends. ``floats.round_to`` is exact and slow.

    Source: Dekker, "A floating-point technique for extending the available precision", 1971.
    """
    spread = values * (2.0 ** (53 - dtype.precision) + 1)
    low = spread - values
    return np.asarray(np.subtract(spread, low, out=low))
