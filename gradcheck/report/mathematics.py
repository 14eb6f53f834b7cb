"""A case's function and derivatives as MathML, where they are small; else nothing.

Records are anyone's: their formulas are parsed by our own grammar and never evaluated, and sympy
works on them in a process of its own, which ends where one of them takes too long.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from gradcheck.errors import ExpressionError
from gradcheck.graph.lower import lower
from gradcheck.language.nodes import Node
from gradcheck.language.parse import parse
from gradcheck.ops.table import OPERATORS
from gradcheck.reference.derivative_graphs import GraphFunction
from gradcheck.reference.reference import scalar_operations
from gradcheck.report.records import Record

_MOST_OPERATIONS = 24
_MOST_INPUTS = 3
_SECONDS_EACH = 3.0  # the first waits for sympy
_LONGEST = 1_600  # letters of MathML
_WHERE = re.compile(r"where ([A-Za-z_]\w*) = (.*)", re.ASCII)
_LONG_NUMBER = re.compile(r"-?\d+(/\d+)?(?<=.{8})")
_NAMES = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


Wanted = tuple[str, ...]
"""A formula, and the names of its inputs."""


def asked(records: Sequence[Record]) -> Wanted | None:
    """Return what is to be written down of a case; None of one that is not of few real numbers."""
    names = _scalar_inputs(records)
    formula = records[0].formula
    is_whole = formula and not formula.endswith(" ...")
    return (formula, *names) if is_whole and 0 < len(names) <= _MOST_INPUTS else None


def equations(wanted: Iterable[Wanted], seconds: float) -> dict[Wanted, list[str]]:
    """Return ``y = ...`` and the derivatives of each as MathML, as far as the time goes.

    What is too large has none; what took too long, and what there was no time for, is left out.
    """
    began = time.monotonic()
    rest = list(dict.fromkeys(wanted))
    found: dict[Wanted, list[str]] = {}
    while rest and (left := seconds - (time.monotonic() - began)) > 0:
        answers = _answers(rest, left)
        found |= dict(zip(rest, answers, strict=False))
        rest = rest[len(answers) + 1 :]  # without the one at which the process ended
    return found


def _answers(wanted: Sequence[Wanted], seconds: float) -> list[list[str]]:
    """What a process of its own says to the first of them, until it ends or the time is up."""
    command = [sys.executable, "-P", "-m", __name__]
    questions = "\n".join(map(json.dumps, wanted)).encode()
    environment = os.environ | {"PYTHONHASHSEED": "0"}  # sympy's ways, and its time, differ with it
    try:
        done = subprocess.run(
            command,
            input=questions,
            capture_output=True,
            timeout=seconds,
            check=False,
            env=environment,
        )
        text: bytes | None = done.stdout
    except subprocess.TimeoutExpired as error:
        text = error.stdout
    *lines, _ = (text or b"").split(b"\n")
    return [json.loads(line) for line in lines]


def main() -> None:
    """Answer the questions of standard input, a line each; end where one takes too long."""
    for line in sys.stdin:
        faulthandler.dump_traceback_later(_SECONDS_EACH, exit=True)
        formula, *names = json.loads(line)
        print(json.dumps(_tried(formula, names)), flush=True)


def _tried(formula: str, names: Sequence[str]) -> list[str]:
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
    import sympy  # half a second that the page itself need not wait for

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
    text = _MI.sub(lambda found: f"<mi>{_WORDS.get(found[1], found[1])}</mi>", text)
    return text.replace("&ExponentialE;", "e").replace("&InvisibleTimes;", "\u2062")


_MI = re.compile(r"<mi>(\w+)</mi>")
_WORDS = {operator.sympy: operator.name for operator in OPERATORS.values()}
"""Sympy's classes, and ours, by the names that a formula has for them."""


def _condition(when: Any) -> str:
    return "<mtext>otherwise</mtext>" if when == True else _presented(when)  # noqa: E712 - sympy's


def _quotient(symbol: Any, *, alone: bool) -> str:
    d = "<mi>d</mi>" if alone else "<mo>∂</mo>"
    below = _presented(symbol)
    return f"<mfrac><mrow>{d}<mi>y</mi></mrow><mrow>{d}{below}</mrow></mfrac>"


if __name__ == "__main__":
    main()
