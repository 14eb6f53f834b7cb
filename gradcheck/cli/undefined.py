"""Why a formula has no value at a point, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flint import arb

from gradcheck.catalog.case import Variant
from gradcheck.catalog.domain import parse_domain
from gradcheck.graph.tape import Operation
from gradcheck.ops.balls import working
from gradcheck.ops.table import OPERATORS
from gradcheck.reference.evaluate import START_BITS, Routine, decimal
from gradcheck.report.failure_text import without_zeros

_DIGITS = 17


def cause(variant: Variant, output: int, x: Sequence[float]) -> str:
    """Say which step of the formula has no value at ``x``: ``-1 is outside the domain of log``.

    ``output`` counts the function's output entries, of which this one has no value there.
    """
    tape, node = variant.program.tape, variant.program.outputs[output]
    needed = sorted(tape.ancestors([node]))
    with working(START_BITS, exact=True):
        traced = Routine(tape, [node]).trace([arb(entry) for entry in x])
    values = dict(zip(needed, traced, strict=True))
    while True:
        before = [each for each in _taken(tape.operations[node], values) if _is_lost(values[each])]
        if not before:
            break
        node = before[0]
    operation = tape.operations[node]
    return _sentence(operation, [values[each] for each in operation.arguments])


def _taken(operation: Operation, values: Mapping[int, Any]) -> tuple[int, ...]:
    """The arguments that the value depends on: of `where` the branch that holds."""
    if operation.operator == "where" and isinstance(values[operation.arguments[0]], bool):
        condition, yes, no = operation.arguments
        return (yes if values[condition] else no,)
    return tuple(operation.arguments)


def _is_lost(value: Any) -> bool:
    return isinstance(value, arb) and not value.is_finite()


def _sentence(operation: Operation, arguments: Sequence[arb]) -> str:
    name, shown = operation.operator, [_number(each) for each in arguments]
    if name == "div":
        return f"{shown[1]} is outside the domain of division"
    if name in ("pow", "ipow"):
        power = shown[1] if name == "pow" else operation.parameter
        return f"{shown[0]} is outside the domain of the power {power}"
    domains = OPERATORS[name].domain if name in OPERATORS else ()
    outside = [
        text
        for text, value, domain in zip(shown, arguments, domains, strict=False)
        if not parse_domain(domain).contains(float(value))
    ]
    if not outside:
        return "the formula is not finite there"
    are = "is" if len(outside) == 1 else "are"
    return f"{' and '.join(outside)} {are} outside the domain of {name}"


def _number(value: Any) -> str:
    return without_zeros(decimal(value, _DIGITS)) if isinstance(value, arb) else ""
