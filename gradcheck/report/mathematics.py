"""A case's function and derivatives as MathML, where they are small; else nothing.

Records are anyone's: their formulas are parsed by our own grammar and never evaluated.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from gradcheck.errors import ExpressionError
from gradcheck.graph.lower import lower
from gradcheck.language.nodes import Node
from gradcheck.language.parse import parse
from gradcheck.reference.derivative_graphs import GraphFunction
from gradcheck.reference.reference import scalar_operations
from gradcheck.report.records import Record

_MOST_OPERATIONS = 24
_MOST_INPUTS = 3
_LONGEST = 1_600  # letters of MathML
_WHERE = re.compile(r"where ([A-Za-z_]\w*) = (.*)", re.ASCII)
_LONG_NUMBER = re.compile(r"-?\d+(/\d+)?(?<=.{8})")
_NAMES = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(slots=True)
class Printer:
    """Prints until its ``seconds`` are spent: it has state, as time goes by."""

    seconds: float
    began: float = field(default_factory=time.monotonic)
    left_out: int = 0

    def equations(self, records: Sequence[Record]) -> list[str]:
        """Return ``y = ...`` and the derivatives of a case of a few real numbers as MathML."""
        names = _scalar_inputs(records)
        formula = records[0].formula
        if not formula or not 0 < len(names) <= _MOST_INPUTS or formula.endswith(" ..."):
            return []
        if time.monotonic() - self.began > self.seconds:
            self.left_out += 1
            return []
        try:
            return list(_equations(formula, names))
        except Exception:  # sympy's, of whatever kind: a page without an equation is still a page
            return []


def _scalar_inputs(records: Iterable[Record]) -> list[str]:
    """The inputs' names, if each is one real number in the checks that judged anything."""
    at = next((each.at for each in records if each.at), {})
    real = all(isinstance(value, int | float) or value in _NO_JSON for value in at.values())
    return list(at) if real and all(map(_NAMES.fullmatch, at)) else []


_NO_JSON = ("nan", "inf", "-inf")


def _equations(formula: str, names: Sequence[str]) -> Iterator[str]:
    import sympy  # half a second that a run without formulas need not wait for

    from gradcheck.reference import symbolic

    tree, lets, constants = _in_parts(formula)
    inputs = dict.fromkeys((*names, *constants), ())
    lowered = lower(tree, inputs=inputs, names={}, lets=lets, conditions=())
    function = GraphFunction.of(lowered)
    if scalar_operations(function) > _MOST_OPERATIONS or function.width != 1:
        return
    every = [sympy.Symbol(name, real=True) for name in inputs]
    (value,) = symbolic.expressions(function, every)
    symbols = every[: len(names)]
    yield from islice(_printed("<mi>y</mi>", value), 1)
    for symbol in symbols:
        slope = sympy.diff(value, symbol)
        if not slope.has(sympy.Derivative, sympy.Subs):
            yield from _printed(_quotient(symbol, alone=len(symbols) == 1), slope)


def _in_parts(formula: str) -> tuple[Node, dict[str, Node], list[str]]:
    """The formula and what it is made of as trees, and which constants keep their names.

    Errors: ExpressionError.
    """
    first, *lines = formula.split("\n")
    found = [_WHERE.fullmatch(line) for line in lines]
    if not all(found):
        raise ExpressionError((1, 1), "several outputs", "one", "")
    lets = {match[1]: match[2] for match in found if match}
    long = [name for name, text in lets.items() if _LONG_NUMBER.fullmatch(text)]
    return parse(first), {k: parse(lets[k]) for k in lets if k not in long}, long


def _printed(left: str, expression: Any) -> Iterator[str]:
    right = _presented(expression)
    if right and len(right) <= _LONGEST:
        yield f"<math displaystyle=true><mrow>{left}<mo>=</mo>{right}</mrow></math>"


def _presented(expression: Any) -> str:
    """Sympy's own MathML; a choice between expressions as a brace."""
    import sympy

    if isinstance(expression, sympy.Piecewise):
        parts = [(_presented(value), _condition(when)) for value, when in expression.args]
        if not all(value and when for value, when in parts):
            return ""
        rows = "".join(f"<mtr><mtd>{value}</mtd><mtd>{when}</mtd></mtr>" for value, when in parts)
        return f"<mrow><mo>{{</mo><mtable>{rows}</mtable></mrow>"
    if expression.has(sympy.Piecewise):
        return ""
    text: str = sympy.mathml(expression, printer="presentation")
    return text.replace("&ExponentialE;", "e").replace("&InvisibleTimes;", "\u2062")


def _condition(when: Any) -> str:
    return "<mtext>otherwise</mtext>" if when == True else _presented(when)  # noqa: E712 - sympy's


def _quotient(symbol: Any, *, alone: bool) -> str:
    d = "<mi>d</mi>" if alone else "<mo>∂</mo>"
    below = _presented(symbol)
    return f"<mfrac><mrow>{d}<mi>y</mi></mrow><mrow>{d}{below}</mrow></mfrac>"
