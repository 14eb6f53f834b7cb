"""Sympy's side: a formula as sympy expressions, and sympy's derivatives as a graph of scalars."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import sympy

from gradcheck.graph.derivatives import ARGUMENT_NAMES
from gradcheck.graph.graph import Frozen, Graph, NodeId, Operation
from gradcheck.graph.lower import lower
from gradcheck.language.parse import parse
from gradcheck.ops.balls import working
from gradcheck.ops.table import OPERATORS, Operator
from gradcheck.query import Array, flatten, split
from gradcheck.reference.ball_arrays import Balls, lift
from gradcheck.reference.derivative_graphs import GraphFunction, joined
from gradcheck.reference.interpret import evaluate
from gradcheck.reference.sympy_reader import OWN, Expression, SympyReader, Untranslatable


def symbols(size: int) -> list[Expression]:
    """Real symbols for the input entries of a function."""
    return [sympy.Symbol(f"x{k}", real=True) for k in range(size)]


def expressions(
    function: GraphFunction, inputs: Sequence[Expression], *, takes_complex: bool = False
) -> list[Expression]:
    """The output entries as sympy expressions of the input entries.

    Sympy's complex numbers serve to be read, and certify nothing.

    Errors: Untranslatable for complex numbers, unless they are taken.
    """
    graph = function.graph
    flat = np.empty((1, len(inputs)), dtype=object)
    flat[0] = inputs
    arrays = split(flat, [graph.shape(node) for node in function.inputs])
    nothing = np.empty((1, 0), dtype=object)
    by_number = {
        graph.nodes[node].attr: array for node, array in zip(function.inputs, arrays, strict=True)
    }
    filled = [by_number.get(k, nothing) for k in range(len(graph.inputs))]
    return list(flatten(evaluate(graph, function.outputs, filled, _Sympy(takes_complex)))[0])


@dataclass(frozen=True, slots=True)
class _Sympy:
    """The algebra of sympy's expressions: object arrays of them."""

    takes_complex: bool
    zero = sympy.Integer(0)

    def add(self, a: Array, b: Array) -> Array:
        return np.asarray(a + b, dtype=object)

    def apply(self, graph: Graph, index: int, values: Sequence[Array]) -> Array:
        node = graph.nodes[index]
        if node.kind == "complex" or any(graph.kind(arg) == "complex" for arg in node.args):
            if not self.takes_complex:
                raise Untranslatable("a complex number")
            if node.op in _PARTS:
                function = np.frompyfunc(_PARTS[node.op], len(values), 1)
                return np.asarray(function(*values), dtype=object)
        if node.op == "constant":
            return _constant(node)
        if node.op in _STRUCTURE:
            return _STRUCTURE[node.op](node, *values)
        function = _function(node)
        return np.asarray(np.frompyfunc(function, len(values), 1)(*values), dtype=object)


def _constant(node: Operation) -> Array:
    if isinstance(node.attr, Frozen):
        return np.asarray(np.frompyfunc(_number, 1, 1)(node.attr.array[None]), dtype=object)
    named = np.empty(1, dtype=object)
    named[0] = {"pi": sympy.pi, "e": sympy.E, "inf": sympy.oo, "I": sympy.I}[str(node.attr)]
    return named


def _number(value: Any) -> Expression:
    if isinstance(value, bool):
        return sympy.true if value else sympy.false
    return sympy.Rational(value.numerator, value.denominator)


# structure


def _sum(node: Operation, x: Array) -> Array:
    assert isinstance(node.attr, tuple)
    axes = tuple(axis + 1 for axis in node.attr)
    return np.asarray(np.add.reduce(x, axis=axes, initial=sympy.Integer(0)), dtype=object)


def _cumsum(node: Operation, x: Array) -> Array:
    assert isinstance(node.attr, tuple)
    axis, reverse = node.attr
    x = np.flip(x, axis + 1) if reverse else x
    total = np.add.accumulate(x, axis=axis + 1)
    return np.flip(total, axis + 1) if reverse else total


def _bmm(_node: Operation, a: Array, b: Array) -> Array:
    products = a[..., :, :, None] * b[..., None, :, :]
    return np.asarray(np.add.reduce(products, axis=-2, initial=sympy.Integer(0)), dtype=object)


def _inverse(node: Operation, a: Array) -> Array:
    """Each matrix inverted by cofactors: no division but by the determinant."""
    found = np.empty(a.shape, dtype=object)
    for place in np.ndindex(a.shape[:-2]):
        found[place] = _inverted(a[place])
    return found


def _inverted(matrix: Array) -> Array:
    every = tuple(range(len(matrix)))
    minor = _minors(matrix)
    result = np.empty(matrix.shape, dtype=object)
    for i, j in np.ndindex(matrix.shape):
        cofactor = minor(every[:j] + every[j + 1 :], every[:i] + every[i + 1 :])
        result[i, j] = (-1) ** (i + j) * cofactor / minor(every, every)
    return result


def _minors(matrix: Array) -> Callable[[tuple[int, ...], tuple[int, ...]], Expression]:
    """Determinants of submatrices of one matrix, by expansion along the first row, once each."""
    known: dict[tuple[tuple[int, ...], tuple[int, ...]], Expression] = {}

    def minor(rows: tuple[int, ...], columns: tuple[int, ...]) -> Expression:
        if not rows:
            return sympy.Integer(1)
        if (rows, columns) not in known:
            known[rows, columns] = sum(
                (
                    (-1) ** k * matrix[rows[0], column]
                    * minor(rows[1:], columns[:k] + columns[k + 1 :])
                    for k, column in enumerate(columns)
                ),
                sympy.Integer(0),
            )  # fmt: skip
        return known[rows, columns]

    return minor


_STRUCTURE: dict[str, Callable[..., Array]] = {
    "detach": lambda _node, x: np.frompyfunc(OWN["stop"], 1, 1)(x),
    "sum": _sum,
    "cumsum": _cumsum,
    "bmm": _bmm,
    "inverse": _inverse,
    "solve": lambda node, a, b: _bmm(node, _inverse(node, a), b),
    **dict.fromkeys(("conj", "real"), lambda _node, x: x),
}

_PARTS: dict[str, Callable[..., Expression]] = {
    "conj": sympy.conjugate,
    "real": sympy.re,
    "imag": sympy.im,
    "complex": lambda a, b: a + sympy.I * b,
}


# entry by entry

_MOST_CONSTANT = 4_096
"""Of the exponent of a constant: sympy writes the power of a number out, however long it is."""


def _power(base: Expression, exponent: Expression) -> Expression:
    """Raise Untranslatable unless sympy knows that the power of a number is a short one."""
    if base.is_number and exponent.is_number:
        short = sympy.Le(abs(exponent), _MOST_CONSTANT)  # sympy leaves it open for our functions
        if short is not sympy.true:
            raise Untranslatable("a constant to so large a power")
    return base**exponent


_PLAIN: dict[str, Callable[..., Expression]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda x: -x,
    "ipow": lambda n, x: _power(x, sympy.Integer(n)),
    "pow": _power,
    "lt": sympy.Lt,
    "le": sympy.Le,
    "eq": sympy.Eq,
    "not": sympy.Not,
    "and": sympy.And,
    "or": sympy.Or,
    "where": lambda c, a, b: sympy.Piecewise((a, c), (b, True), evaluate=False),
}


def _function(node: Operation) -> Callable[..., Expression]:
    """An operator of the table on sympy's expressions."""
    entry = OPERATORS[node.op]
    function = _PLAIN.get(node.op)
    if function is None and not entry.sympy.isidentifier():
        return partial(_spelled_out, entry, node.attr)
    function = function or OWN.get(entry.sympy) or getattr(sympy, entry.sympy)
    return partial(function, node.attr) if entry.parameter else function


def _spelled_out(entry: Operator, parameter: Any, *arguments: Expression) -> Expression:
    """An operator that sympy has no function for, by what it is in the formula language."""
    lowered = lower(
        parse(entry.sympy),
        inputs=dict.fromkeys(ARGUMENT_NAMES[entry.arity], ()),
        names={} if parameter is None else {"n": parameter},
        lets={},
        conditions=(),
    )
    return expressions(GraphFunction.of(lowered), arguments)[0]


# derivatives


@dataclass(frozen=True, slots=True)
class SymbolicDerivative:
    """All derivatives of an order, written once: a graph of scalars, one input for each entry.

    Shapes: ``nodes`` are flat; they stand for ``shape``, [m, n, ...].
    """

    graph: Graph
    nodes: tuple[NodeId, ...]
    shape: tuple[int, ...]

    def enclose(self, points: Array, bits: int) -> Array:
        """Balls for all derivatives at exact points.

        Shapes: points [count, n]; [count, m, n, ...].
        """
        inputs = list(lift(points).T)
        with working(bits, exact=False):
            found = evaluate(self.graph, self.nodes, inputs, Balls())
        return joined(found, len(points)).reshape(len(points), *self.shape)


MOST_WRITTEN = 5_000
"""Nodes of all outputs' expressions, written out. Sympy goes through each anew wherever it stands:
two steps of Runge and Kutta, of 296 operations, took it 32 s. The catalog has 2,400 at most."""


class TooLong(Exception):
    """Expressions that sympy would take too long to differentiate; the text says how long."""


def derivatives(function: GraphFunction, order: int) -> SymbolicDerivative:
    """Sympy's derivatives of ``order`` (1 or more) by the input entries.

    Errors: Untranslatable where a derivative has no form in our operators; TooLong.
    """
    size, graph = function.size, Graph()
    inputs = symbols(size)
    reader = SympyReader(graph, inputs)
    nodes: list[int] = []
    written = expressions(function, inputs)
    length = _length(written)
    if length > MOST_WRITTEN:
        raise TooLong(f"{length:,} operations, written out,")
    for expression in written:
        slopes = _each_once(expression, inputs, order)
        known = {entries: reader.node(slope) for entries, slope in slopes.items()}
        nodes += [
            known[tuple(sorted(entries, reverse=True))]
            for entries in itertools.product(range(size), repeat=order)
        ]
    return SymbolicDerivative(graph, tuple(nodes), (function.width, *(size,) * order))


def _length(written: Sequence[Expression]) -> int:
    """The nodes of some expressions, each counted wherever it stands."""

    @cache
    def length(expression: Expression) -> int:
        return 1 + sum(map(length, expression.args))

    return sum(map(length, written))


def _each_once(
    expression: Expression, inputs: list[Expression], order: int
) -> dict[tuple[int, ...], Expression]:
    """The derivatives of ``order`` by entries that do not rise: their sequence does not matter.

    Errors: Untranslatable where sympy gives nan, of which the next derivative would be 0.
    """
    found: dict[tuple[int, ...], Expression] = {(): expression}
    for _ in range(order):
        found = {
            (*entries, j): sympy.diff(lower_one, inputs[j])
            for entries, lower_one in found.items()
            for j in range(entries[-1] + 1 if entries else len(inputs))
        }
        if any(slope.has(sympy.nan, sympy.zoo) for slope in found.values()):
            raise Untranslatable("sympy's nan")
    return found
