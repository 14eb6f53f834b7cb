"""Sympy's side: the scalar program as sympy expressions, and sympy's derivatives as a program."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import sympy

from gradcheck.graph.scalarize import written
from gradcheck.graph.tape import Number, Operation, Scalar, Tape, node_of
from gradcheck.language.parse import parse
from gradcheck.ops.table import OPERATORS, Operator
from gradcheck.reference.scalar_reader import ScalarReader
from gradcheck.reference.sympy_reader import OWN, Expression, Untranslatable


def symbols(size: int) -> list[Expression]:
    """Real symbols for the input entries of a program."""
    return [sympy.Symbol(f"x{k}", real=True) for k in range(size)]


def expressions(tape: Tape, nodes: Iterable[int], inputs: list[Expression]) -> list[Expression]:
    """The nodes as sympy expressions of ``inputs``."""
    nodes = tuple(nodes)
    known: dict[int, Expression] = {}
    for node in sorted(tape.ancestors(nodes)):
        operation = tape.operations[node]
        arguments = [known[argument] for argument in operation.arguments]
        known[node] = _expression(operation, arguments, inputs)
    return [known[node] for node in nodes]


def _expression(
    operation: Operation, arguments: list[Expression], inputs: list[Expression]
) -> Expression:
    parameter: Any = operation.parameter
    if operation.operator == "input":
        return inputs[int(parameter)]
    if operation.operator == "number":
        return sympy.Rational(parameter.numerator, parameter.denominator)
    if operation.operator == "constant":
        return {"pi": sympy.pi, "e": sympy.E, "inf": sympy.oo}[parameter]
    if operation.operator in ("true", "false"):
        return sympy.true if operation.operator == "true" else sympy.false
    plain = _PLAIN.get(operation.operator)
    if plain is not None:
        return plain(*arguments) if parameter is None else plain(parameter, *arguments)
    entry = OPERATORS[operation.operator]
    if not entry.sympy.isidentifier():
        return _spelled_out(entry, arguments, parameter)
    function = OWN.get(entry.sympy) or getattr(sympy, entry.sympy)
    return function(*arguments) if parameter is None else function(parameter, *arguments)


_MOST_CONSTANT = 4_096
"""Of the exponent of a constant: sympy writes the power of a number out, however long it is."""


def _power(base: Expression, exponent: Expression) -> Expression:
    if base.is_number and exponent.is_number and abs(exponent) > _MOST_CONSTANT:
        raise Untranslatable("a constant to so large a power")
    return base**exponent


_PLAIN: dict[str, Any] = {
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


def _spelled_out(entry: Operator, arguments: list[Expression], parameter: Any) -> Expression:
    """An operator that sympy has no function for, by what it is in the formula language."""
    tape = Tape()
    names = "x" if entry.arity == 1 else "abc"[: entry.arity]
    values: dict[str, Number] = {
        name: Scalar(tape, tape.put(Operation("input", (), k))) for k, name in enumerate(names)
    }
    constants = {} if parameter is None else {"n": int(parameter)}
    result = written(tape, parse(entry.sympy), values, constants)
    return expressions(tape, [node_of(tape, result)], arguments)[0]


def derivatives(tape: Tape, outputs: Iterable[int], size: int, order: int) -> list[int]:
    """Return nodes, on the same tape, of sympy's derivatives of ``order`` by the input entries.

    Shapes: flat, [m * n**order] for m outputs and n = ``size`` input entries; ``order`` >= 1.
    Errors: Untranslatable where a derivative has no form in our operators.
    """
    inputs = symbols(size)
    reader = ScalarReader(tape, inputs)
    nodes: list[int] = []
    for expression in expressions(tape, outputs, inputs):
        slopes = _each_once(expression, inputs, order)
        known = {entries: reader.node(slope) for entries, slope in slopes.items()}
        nodes += [
            known[tuple(sorted(entries, reverse=True))]
            for entries in itertools.product(range(size), repeat=order)
        ]
    return nodes


def _each_once(
    expression: Expression, inputs: list[Expression], order: int
) -> dict[tuple[int, ...], Expression]:
    """The derivatives of ``order`` by entries that do not rise: their sequence does not matter.

    Errors: Untranslatable where sympy gives nan, of which the next derivative would be 0.
    """
    found: dict[tuple[int, ...], Expression] = {(): expression}
    for _ in range(order):
        found = {
            (*entries, j): sympy.diff(lower, inputs[j])
            for entries, lower in found.items()
            for j in range(entries[-1] + 1 if entries else len(inputs))
        }
        if any(slope.has(sympy.nan, sympy.zoo) for slope in found.values()):
            raise Untranslatable("sympy's nan")
    return found
