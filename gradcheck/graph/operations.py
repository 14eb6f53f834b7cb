"""Arithmetic, comparisons and logic in a formula: signs, operators and their chains."""

from __future__ import annotations

import math

import numpy as np

from gradcheck.graph.graph import Graph
from gradcheck.graph.linear_algebra import matmul
from gradcheck.graph.reading import Reader, integer_or_none
from gradcheck.graph.shapes import Misuse, broadcast_shape
from gradcheck.language.nodes import Binary, Comparison, Unary

_SYMBOLS = {"+": "add", "-": "sub", "*": "mul", "/": "div", "and": "and", "or": "or"}


def unary(reader: Reader, node: Unary) -> int:
    if node.operator == "not":
        return reader.graph.elementwise("not", reader.conditions(node.operand))
    operand = reader.numbers(node.operand)
    return reader.graph.neg(operand) if node.operator == "-" else operand


def binary(reader: Reader, node: Binary) -> int:
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
        return power(reader.graph, left, right)
    return reader.graph.elementwise(_SYMBOLS[step.operator], left, right)


def power(graph: Graph, base: int, exponent: int) -> int:
    """``base**exponent``; integer exponents that are constant give integer powers."""
    one = graph.number(exponent)
    if one is not None:
        shape = broadcast_shape([graph.shape(base), graph.shape(exponent)])
        return graph.broadcast(_power(graph, base, exponent, one), shape)
    entries = graph.exact(exponent)
    if entries is None or all(integer_or_none(entry) is None for entry in entries.flat):
        return graph.elementwise("pow", base, exponent)
    return _powers(graph, base, exponent)


def _power(graph: Graph, base: int, exponent: int, value: object) -> int:
    n = integer_or_none(value)
    if n is None:
        return graph.elementwise("pow", base, exponent)
    if n == 0:  # 1 everywhere, and undefined where the base is
        return graph.add(graph.mul(base, graph.constant(0)), graph.constant(1))
    return graph.elementwise("ipow", base, parameter=n)


def _powers(graph: Graph, base: int, exponent: int) -> int:
    """Powers of several constant exponents: those of one exponent together."""
    shape = broadcast_shape([graph.shape(base), graph.shape(exponent)])
    base = graph.reshape(graph.broadcast(base, shape), (math.prod(shape),))
    entries = np.broadcast_to(graph.exact(exponent), shape).reshape(-1)  # type: ignore[arg-type]
    parts, places = [], []
    for value in dict.fromkeys(entries.tolist()):
        (chosen,) = np.nonzero(entries == value)
        parts.append(_power(graph, graph.gather(base, chosen), graph.constant(value), value))
        places.append(chosen)
    order = np.argsort(np.concatenate(places))
    return graph.reshape(graph.gather(graph.concat(parts, 0), order), shape)


def comparison(reader: Reader, node: Comparison) -> int:
    values = [reader.real_numbers(operand, "a comparison") for operand in node.operands]
    total = None
    for operator, left, right in zip(node.operators, values, values[1:], strict=False):
        one = _compare(reader.graph, operator, left, right)
        total = one if total is None else reader.graph.elementwise("and", total, one)
    assert total is not None
    return total


def _compare(graph: Graph, operator: str, left: int, right: int) -> int:
    if operator in (">", ">="):
        operator, left, right = operator.replace(">", "<"), right, left
    if operator == "!=":
        return graph.elementwise("not", _compare(graph, "==", left, right))
    return graph.elementwise({"<": "lt", "<=": "le", "==": "eq"}[operator], left, right)
