"""Arithmetic, comparisons and logic in a formula: signs, operators and their chains."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from gradcheck.graph.arrays import Array, Misuse, broadcast, elementwise
from gradcheck.graph.integers import integer_or_none
from gradcheck.graph.matrices import matmul
from gradcheck.graph.tape import Number, Tape, apply
from gradcheck.language.nodes import Binary, Comparison, Unary

if TYPE_CHECKING:
    from gradcheck.graph.unroll import Unroller

_SYMBOLS = {"+": "add", "-": "sub", "*": "mul", "/": "div", "and": "and", "or": "or"}


def unary(reader: Unroller, node: Unary) -> Array:
    if node.operator == "not":
        return elementwise(reader.tape, "not", reader.conditions(node.operand))
    operand = reader.numbers(node.operand)
    return elementwise(reader.tape, "neg", operand) if node.operator == "-" else operand


def binary(reader: Unroller, node: Binary) -> Array:
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


def _combine(reader: Unroller, step: Binary, left: Array) -> Array:
    if step.operator in ("and", "or"):
        left = reader.must_be_conditions(left, step.left)
        return elementwise(reader.tape, step.operator, left, reader.conditions(step.right))
    left, right = reader.must_be_numbers(left, step.left), reader.numbers(step.right)
    if step.operator == "@":
        return matmul(reader.tape, left, right)
    if step.operator == "**":
        return broadcast(partial(_power, reader.tape), left, right)
    return elementwise(reader.tape, _SYMBOLS[step.operator], left, right)


def _power(tape: Tape, base: Number, exponent: Number) -> Number:
    n = integer_or_none(exponent)
    if n is None:
        return apply(tape, "pow", base, exponent)
    if n == 0:  # 1 everywhere, and undefined where the base is
        nothing = apply(tape, "mul", base, Fraction(0))
        return apply(tape, "add", nothing, Fraction(1))
    return apply(tape, "ipow", base, parameter=n)


def comparison(reader: Unroller, node: Comparison) -> Array:
    values = [reader.numbers(operand) for operand in node.operands]
    total = None
    for operator, left, right in zip(node.operators, values, values[1:], strict=False):
        one = _compare(reader, operator, left, right)
        total = one if total is None else elementwise(reader.tape, "and", total, one)
    assert total is not None
    return total


def _compare(reader: Unroller, operator: str, left: Array, right: Array) -> Array:
    if operator in (">", ">="):
        operator, left, right = operator.replace(">", "<"), right, left
    if operator == "!=":
        return elementwise(reader.tape, "not", _compare(reader, "==", left, right))
    return elementwise(reader.tape, {"<": "lt", "<=": "le", "==": "eq"}[operator], left, right)
