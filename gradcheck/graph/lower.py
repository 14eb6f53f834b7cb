"""From tree to array graph: every name resolved, every shape checked, nothing unrolled."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from gradcheck.errors import ExpressionError
from gradcheck.graph.folding import MOST_WORK
from gradcheck.graph.function_calls import call
from gradcheck.graph.functions import FORMULA_FUNCTIONS, stacked
from gradcheck.graph.graph import Graph
from gradcheck.graph.indexing import comprehension, sequence, subscript
from gradcheck.graph.linear_algebra import matmul
from gradcheck.graph.reading import Reader, integer_or_none
from gradcheck.graph.shapes import Misuse, broadcast_shape
from gradcheck.graph.unknown import UnknownName, foreign_constant, foreign_name
from gradcheck.language.nodes import (
    Attribute,
    Binary,
    Call,
    Comparison,
    Comprehension,
    Literal,
    Name,
    Sequence,
    Subscript,
    Unary,
)
from gradcheck.language.nodes import Node as Tree
from gradcheck.query import Port, Query, Shape

NAMED = ("pi", "e", "inf")


@dataclass(frozen=True, slots=True, eq=False)
class Lowered:
    """A formula as a graph.

    ``inputs`` are the nodes of the graph's input ports, in order. ``results`` are the nodes of
    ``outputs``, None for one that is not judged. ``conditions`` are the nodes of `where`. ``names``
    are those of inputs, constants and lets that the texts mention.
    """

    graph: Graph
    inputs: tuple[int, ...]
    outputs: tuple[Port, ...]
    results: tuple[int | None, ...]
    conditions: tuple[int, ...]
    names: frozenset[str]

    @property
    def ports(self) -> tuple[Port, ...]:
        """The input ports."""
        return tuple(self.graph.inputs[: len(self.inputs)])

    @property
    def ports_on_trial(self) -> tuple[Port | None, ...]:
        """The output ports; None for one that is not judged."""
        pairs = zip(self.outputs, self.results, strict=True)
        return tuple(None if node is None else port for port, node in pairs)

    @property
    def judged(self) -> tuple[Port, ...]:
        """The output ports that are judged."""
        pairs = zip(self.outputs, self.results, strict=True)
        return tuple(port for port, node in pairs if node is not None)

    def free_ports(self, query: Query) -> tuple[Port, ...]:
        """The ports that a query's free side runs over; none where none is free, or several are."""
        free = [k for k, side in enumerate(query.sides) if side is None]
        if len(free) != 1:
            return ()
        return self.judged if free[0] == 0 else self.ports


def in_real_coordinates(formula: Lowered) -> Lowered:
    """Return the same function of real numbers, without conditions: of a complex entry both parts.

    They stand side by side in one more axis of length 2, as in ``torch.view_as_real``. So real
    derivatives are all that there is: none is left out where the function is not holomorphic.
    """
    if all(port.kind != "complex" for port in (*formula.ports, *formula.judged)):
        return formula
    graph, moved = Graph(), {}
    inputs = [graph.input(_in_parts(port)) for port in formula.ports]
    for port, node, real in zip(formula.ports, formula.inputs, inputs, strict=True):
        parts = (graph.index(real, (..., k)) for k in (0, 1))
        moved[node] = graph.complex(*parts) if port.kind == "complex" else real
    judged = [node for node in formula.results if node is not None]
    for node in formula.graph.ancestors(judged):
        if node not in moved:
            found = formula.graph.nodes[node]
            args = [moved[arg] for arg in found.args]
            moved[node] = graph.put(found.op, args, found.attr, found.shape, found.kind)
    results = tuple(_parts(graph, moved[node]) for node in judged)
    outputs = tuple(map(_in_parts, formula.judged))
    return Lowered(graph, tuple(inputs), outputs, results, (), formula.names)


def _in_parts(port: Port) -> Port:
    return Port(port.name, (*port.shape, 2)) if port.kind == "complex" else port


def _parts(graph: Graph, node: int) -> int:
    if graph.kind(node) != "complex":
        return node
    return graph.stack([graph.real(node), graph.imag(node)], len(graph.shape(node)))


def lower(  # noqa: PLR0913 - what a case says of its formula, each by its name
    formula: Tree | Mapping[str, Tree | None],
    *,
    inputs: Mapping[str, Shape | Port],
    names: Mapping[str, object],
    lets: Mapping[str, Tree],
    conditions: tuple[Tree, ...],
    translated: bool = False,
    graph: Graph | None = None,
) -> Lowered:
    """The formula as an array graph, for one choice of constants and sweep values (``names``).

    A formula of several outputs maps their names to what they are. One that is ``translated`` for
    its trial may name only what PyTorch has too. It is written on ``graph``, whose ``work`` says
    afterwards what it took, even if it is refused.

    Errors: ExpressionError with a ``source`` that says which text it stands in: ``formula``,
            ``formula NAME``, ``let NAME`` or ``where N`` (from 0).
    """
    graph = Graph(MOST_WORK) if graph is None else graph
    ports = [_port(name, shape) for name, shape in inputs.items()]
    nodes = tuple(map(graph.input, ports))
    scope = {name: constant(graph, value) for name, value in names.items()}
    scope |= {port.name: node for port, node in zip(ports, nodes, strict=True)}
    reader = Lowering(graph, scope)
    reader.translates = translated
    for name, tree in lets.items():
        scope[name] = reader.text(tree, f"let {name}")
    several = formula if isinstance(formula, Mapping) else {"": formula}
    results = {
        name: None if tree is None else reader.result(tree, f"formula {name}".rstrip())
        for name, tree in several.items()
    }
    reader.translates = False
    found = tuple(reader.condition(tree, f"where {k}") for k, tree in enumerate(conditions))
    graph.allowance = float("inf")  # derivatives are written on it too: they are counted before
    outputs = tuple(_output(graph, name, node) for name, node in results.items())
    return Lowered(graph, nodes, outputs, tuple(results.values()), found, frozenset(reader.used))


def _port(name: str, shape: Shape | Port) -> Port:
    return shape if isinstance(shape, Port) else Port(name, shape)


def _output(graph: Graph, name: str, node: int | None) -> Port:
    return Port(name, ()) if node is None else Port(name, graph.shape(node), graph.kind(node))


def constant(graph: Graph, value: Any) -> int:
    """A number, a condition, or nested lists of them, as a node.

    Errors: Misuse where the lists are ragged.
    """
    if isinstance(value, list | tuple):
        return stacked(graph, [constant(graph, item) for item in value], 0)
    return graph.constant(value if isinstance(value, bool) else Fraction(value))


class Lowering(Reader):
    """The fold with all rules of the formula language; ``private`` names of the table are added."""

    def __init__(
        self, graph: Graph, scope: dict[str, int], *, private: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(graph, scope, _RULES, FORMULA_FUNCTIONS | private)

    def text(self, tree: Tree, source: str) -> int:
        """The value of one text of a case; an error is marked with its ``source``."""
        try:
            return self.value(tree)
        except ExpressionError as error:
            error.source = source  # type: ignore[attr-defined]
            raise

    def result(self, tree: Tree, source: str) -> int:
        node = self.text(tree, source)
        try:
            return self.must_be_numbers(node, tree)
        except ExpressionError as error:
            error.source = source  # type: ignore[attr-defined]
            raise

    def condition(self, tree: Tree, source: str) -> int:
        node = self.text(tree, source)
        if self.shape(node) != () or self.graph.kind(node) != "bool":
            error = ExpressionError(
                getattr(tree, "place", (1, 1)),
                "no single condition",
                "a comparison that is true or false at a point",
                "write a comparison, and amin(...) or amax(...) over the entries of an array",
            )
            error.source = source  # type: ignore[attr-defined]
            raise error
        return node


def _literal(reader: Reader, tree: Literal) -> int:
    if isinstance(tree.value, str) or tree.value is None:
        reader.refuse(tree.place, repr(tree.value), "a number", "leave it out")
    return reader.graph.constant(tree.value)


def _name(reader: Reader, tree: Name) -> int:
    if tree.name in reader.scope:
        reader.used.add(tree.name)
        return reader.scope[tree.name]
    if tree.name in (*NAMED, "I"):
        return reader.graph.named(tree.name)
    if tree.name in reader.functions:
        reader.refuse(
            tree.place, f"{tree.name!r} without arguments", "a call", f"write {tree.name}(x)"
        )
    raise UnknownName(tree.place, tree.name, [*reader.scope, *NAMED])


def _attribute(reader: Reader, tree: Attribute) -> int:
    if foreign_name(tree, reader.scope):
        raise foreign_constant(tree)
    base = reader.value(tree.base)
    shape = reader.shape(base)
    if tree.name not in ("T", "shape"):
        reader.refuse(tree.place, f"'.{tree.name}'", ".shape or .T", "call a function instead")
    if tree.name == "T":
        return reader.graph.transpose(base, range(len(shape))[::-1])
    return reader.graph.constant(np.array(shape, dtype=object))


_SYMBOLS = {"+": "add", "-": "sub", "*": "mul", "/": "div", "and": "and", "or": "or"}


def _unary(reader: Reader, node: Unary) -> int:
    if node.operator == "not":
        return reader.graph.elementwise("not", reader.conditions(node.operand))
    operand = reader.numbers(node.operand)
    return reader.graph.neg(operand) if node.operator == "-" else operand


def _binary(reader: Reader, node: Binary) -> int:
    spine = [node]  # a chain nests to the left: walked, not recursed
    while isinstance(spine[-1].left, Binary):
        spine.append(spine[-1].left)
    boolean = spine[-1].operator in ("and", "or")
    total = (reader.conditions if boolean else reader.numbers)(spine[-1].left)
    for step in reversed(spine):
        try:
            total = _combine(reader, step, total)
        except Misuse as error:
            reader.refuse(step.place, error.found, error.expected, "change the shapes")
    return total


def _combine(reader: Reader, step: Binary, left: int) -> int:
    if step.operator in ("and", "or"):
        left = reader.must_be_conditions(left, step.left)
        return reader.graph.elementwise(step.operator, left, reader.conditions(step.right))
    left, right = reader.must_be_numbers(left, step.left), reader.numbers(step.right)
    if step.operator == "@":
        return matmul(reader.graph, left, right)
    if step.operator == "**":
        return _power(reader.graph, left, right)
    if step.operator in ("//", "%"):
        return _division_with_remainder(reader, step, left, right)
    return reader.graph.elementwise(_SYMBOLS[step.operator], left, right)


def _division_with_remainder(reader: Reader, step: Binary, left: int, right: int) -> int:
    """``a // b`` is floor(a/b), and ``a % b`` is a - b*floor(a/b), as in Python."""
    for value, tree in ((left, step.left), (right, step.right)):
        reader.must_be_real(value, tree, repr(step.operator))
    graph = reader.graph
    quotient = graph.elementwise("floor", graph.elementwise("div", left, right))
    if step.operator == "//":
        return quotient
    return graph.elementwise("sub", left, graph.elementwise("mul", right, quotient))


def _power(graph: Graph, base: int, exponent: int) -> int:
    """``base**exponent``; integer exponents that are constant give integer powers."""
    one = graph.number(exponent)
    if one is not None:
        shape = broadcast_shape([graph.shape(base), graph.shape(exponent)])
        return graph.broadcast(_constant_power(graph, base, exponent, one), shape)
    entries = graph.exact(exponent)
    if entries is None or all(integer_or_none(entry) is None for entry in entries.flat):
        return graph.elementwise("pow", base, exponent)
    return _constant_powers(graph, base, exponent)


def _constant_power(graph: Graph, base: int, exponent: int, value: object) -> int:
    n = integer_or_none(value)
    if n is None:
        return graph.elementwise("pow", base, exponent)
    if n == 0:  # 1 everywhere, and undefined where the base is
        return graph.add(graph.mul(base, graph.constant(0)), graph.constant(1))
    return graph.elementwise("ipow", base, parameter=n)


def _constant_powers(graph: Graph, base: int, exponent: int) -> int:
    """Powers of several constant exponents: those of one exponent together."""
    shape = broadcast_shape([graph.shape(base), graph.shape(exponent)])
    base = graph.reshape(graph.broadcast(base, shape), (math.prod(shape),))
    entries = np.broadcast_to(graph.exact(exponent), shape).reshape(-1)  # type: ignore[arg-type]
    parts, places = [], []
    for value in dict.fromkeys(entries.tolist()):
        (chosen,) = np.nonzero(entries == value)
        parts.append(
            _constant_power(graph, graph.gather(base, chosen), graph.constant(value), value)
        )
        places.append(chosen)
    order = np.argsort(np.concatenate(places))
    return graph.reshape(graph.gather(graph.concat(parts, 0), order), shape)


def _comparison(reader: Reader, node: Comparison) -> int:
    values = [reader.real_numbers(operand, "a comparison") for operand in node.operands]
    total = None
    for operator, left, right in zip(node.operators, values, values[1:], strict=False):
        one = _compare(reader.graph, operator, left, right)
        total = one if total is None else reader.graph.elementwise("and", total, one)
    assert total is not None
    return total


def _compare(graph: Graph, operator: str, left: int, right: int) -> int:
    if left == right and graph.nodes[left].op == "input":  # what is computed may be undefined
        return graph.constant(operator in ("==", "<=", ">="), graph.shape(left))
    if operator in (">", ">="):
        operator, left, right = operator.replace(">", "<"), right, left
    if operator == "!=":
        return graph.elementwise("not", _compare(graph, "==", left, right))
    return graph.elementwise({"<": "lt", "<=": "le", "==": "eq"}[operator], left, right)


_RULES: dict[type, Callable[[Any, Any], int]] = {
    Literal: _literal,
    Name: _name,
    Attribute: _attribute,
    Unary: _unary,
    Binary: _binary,
    Comparison: _comparison,
    Sequence: sequence,
    Comprehension: comprehension,
    Subscript: subscript,
    Call: call,
}
