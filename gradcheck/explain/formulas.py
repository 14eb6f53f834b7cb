"""The function and its derivatives as sympy writes them, under the names of our own language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy
from sympy.printing.str import StrPrinter

from gradcheck.catalog.case import Variant
from gradcheck.explain.statements import Derivative, derivatives_of
from gradcheck.ops.table import OPERATORS
from gradcheck.reference import symbolic
from gradcheck.reference.derivative_graphs import GraphFunction
from gradcheck.reference.reference import scalar_operations
from gradcheck.reference.sympy_reader import Untranslatable
from gradcheck.run.entry_text import input_names

Formulas = tuple[tuple[Derivative, Any], ...]

_MOST_OPERATIONS = 120
_MOST_FORMULAS = 64  # of one order

_NAMES = {each.sympy: name for name, each in OPERATORS.items() if each.sympy.isidentifier()}
_NAMES |= {"Abs": "abs", "loggamma": "lgamma"}
_DRAWN_OTHERWISE = {"gamma", "zeta", "digamma", "polygamma"}  # by sympy, with other names


def formulas_of(variant: Variant, orders: Sequence[int]) -> Formulas:
    """Sympy's expression for each derivative; none where they are too many or too long."""
    function = GraphFunction.of(variant.formula)
    symbols = [sympy.Symbol(name, real=True) for name in input_names(variant)]
    if scalar_operations(function) > _MOST_OPERATIONS:
        return ()
    found: list[tuple[Derivative, Any]] = []
    try:
        level = symbolic.expressions(function, symbols)
    except Untranslatable:
        return ()
    for order in orders:
        if len(level) > _MOST_FORMULAS:
            break
        found += zip(derivatives_of(variant, order), level, strict=True)
        level = [sympy.diff(expression, symbol) for expression in level for symbol in symbols]
    return tuple(found)


def formula_text(expression: Any) -> str:
    """The expression in the formula language, on one line."""
    return str(_Language().doprint(expression))


def drawn_equation(name: str, expression: Any) -> list[str]:
    """Return the lines of ``name = expression`` as sympy draws it in two dimensions.

    Empty where it would use other names than the formula language has.
    """
    if not _is_plain(expression):
        return []
    equation = sympy.Eq(sympy.Symbol(name), expression, evaluate=False)
    drawn = sympy.pretty(equation, use_unicode=True, wrap_line=False)
    return [line.rstrip() for line in drawn.splitlines()]


def _is_plain(expression: Any) -> bool:
    """Whether sympy draws it with the names of the formula language alone."""
    logic = (sympy.core.relational.Relational, sympy.logic.boolalg.BooleanFunction)
    if expression.has(sympy.Piecewise, *logic):
        return False
    names = {each.func.__name__ for each in expression.atoms(sympy.Function)}
    return all(_NAMES.get(name) == name for name in names) and not names & _DRAWN_OTHERWISE


class _Language(StrPrinter):  # type: ignore[misc]
    """Sympy's printer of text, with the words of the formula language."""

    def _print_Function(self, expr: Any) -> str:  # noqa: N802 - sympy's names
        name = expr.func.__name__
        arguments = list(expr.args)
        if name == "polygamma" and arguments[0] == 0:
            name, arguments = "digamma", arguments[1:]
        return f"{_NAMES.get(name, name)}({self.stringify(arguments, ', ')})"

    def _print_Piecewise(self, expr: Any) -> str:  # noqa: N802
        *others, (last, _) = expr.args
        text = self._print(last)
        for value, condition in reversed(others):
            text = f"where({self._print(condition)}, {self._print(value)}, {text})"
        return str(text)

    def _print_Relational(self, expr: Any) -> str:  # noqa: N802
        return f"{self._print(expr.lhs)} {expr.rel_op} {self._print(expr.rhs)}"

    def _print_And(self, expr: Any) -> str:  # noqa: N802
        return " and ".join(f"({self._print(each)})" for each in expr.args)

    def _print_Or(self, expr: Any) -> str:  # noqa: N802
        return " or ".join(f"({self._print(each)})" for each in expr.args)

    def _print_Not(self, expr: Any) -> str:  # noqa: N802
        return f"not ({self._print(expr.args[0])})"

    def _print_Exp1(self, _expr: Any) -> str:  # noqa: N802
        return "e"

    def _print_Infinity(self, _expr: Any) -> str:  # noqa: N802
        return "inf"

    def _print_EulerGamma(self, _expr: Any) -> str:  # noqa: N802
        return "(-digamma(1))"
