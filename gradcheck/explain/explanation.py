"""A function at one point, explained: formula, derivatives, what each witness says, the graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from flint import arb
from torch import Tensor

from gradcheck.answer import EntryReport, Floats
from gradcheck.catalog.case import Variant
from gradcheck.catalog.checks import Check
from gradcheck.catalog.domain import parse_domain
from gradcheck.dtypes import DTYPES
from gradcheck.explain.backward_graph import GraphNode, backward_graph
from gradcheck.explain.formulas import Formulas, formula_text, formulas_of
from gradcheck.explain.point import entries_of, is_inside, values_at
from gradcheck.explain.statements import (
    Derivative,
    certain,
    derivatives_of,
    heard,
    title_of,
    with_witness,
)
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.graph.tape import Operation
from gradcheck.implementations.subject import subject_of
from gradcheck.methods import METHODS
from gradcheck.ops.balls import working
from gradcheck.ops.table import OPERATORS
from gradcheck.reference.evaluate import START_BITS, Routine, decimal
from gradcheck.report.failure_text import without_zeros
from gradcheck.run.session import truth_of


@dataclass(frozen=True, slots=True)
class CertifiedValue:
    """A derivative, its certified digits, and what kind of knowledge they are."""

    of: Derivative
    digits: str
    status: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """``formulas`` pairs a derivative with a sympy expression; empty where they are too large.

    ``undefined`` says, for each output that has no value there, why; ``statements`` pairs a
    witness with one thing that it says.
    """

    check: Check
    values: dict[str, Floats]
    inside: bool
    orders: tuple[int, ...]
    formulas: Formulas
    truths: tuple[CertifiedValue, ...]
    undefined: tuple[str, ...]
    statements: tuple[tuple[str, EntryReport], ...]
    graph: tuple[GraphNode, ...]


def explain(check: Check, at: Mapping[str, str], *, graph: bool) -> Explanation:
    """Put the function to every witness at one point.

    Errors: UsageError for a point that is none of this function.
    """
    case, variant = check.case, check.variant
    values = values_at(case, variant, at, DTYPES[check.dtype])
    orders = (0, 1, 2) if case.order >= 2 and not variant.program.shape else (0, 1)
    names = [name for name, method in METHODS.items()
             if name not in case.without and method.order in orders]  # fmt: skip
    truths = tuple(_truths(check, values, orders))
    return Explanation(
        check=check,
        values=values,
        inside=is_inside(case, variant, values),
        orders=orders,
        formulas=formulas_of(variant, orders),
        truths=truths,
        undefined=tuple(_undefined(check, truths, entries_of(values))),
        statements=tuple(
            (name, said) for name in names for said in heard(with_witness(check, name), values)
        ),
        graph=_graph(check, values) if graph else (),
    )


def json_of(found: Explanation) -> dict[str, Any]:
    return {
        "case": title_of(found.check),
        "variant": found.check.variant.name,
        "implementation": found.check.implementation.text,
        "dtype": found.check.dtype,
        "device": found.check.device,
        "at": {name: value.tolist() for name, value in found.values.items()},
        "inside": found.inside,
        "formulas": {name.name: formula_text(formula) for name, formula in found.formulas},
        "true": [
            {"what": truth.of.name, "true": truth.digits, "status": truth.status}
            for truth in found.truths
        ],
        "undefined": list(found.undefined),
        "statements": [_said_as_json(name, said) for name, said in found.statements],
        "graph": [asdict(node) for node in found.graph],
    }


def _said_as_json(witness: str, said: EntryReport) -> dict[str, Any]:
    return {
        "witness": witness,
        "label": said.label,
        "index": said.index,
        "got": said.got,
        "true": said.true,
        "radius": said.radius,
        "ulps": said.ulps,
        "relative": said.relative,
        "verdict": said.ruling.value,
        "reason": said.reason,
    }


def _truths(
    check: Check, values: Mapping[str, Floats], orders: Sequence[int]
) -> Iterator[CertifiedValue]:
    x = tuple(entries_of(values))
    for order in orders:
        try:
            enclosures = truth_of(check.variant.program).enclosures(order, x)
        except NoDerivative as error:
            yield CertifiedValue(Derivative(f"order {order}", order), "", str(error))
            continue
        names = derivatives_of(check.variant, order)
        for name, enclosure in zip(names, enclosures, strict=True):
            yield CertifiedValue(name, certain(enclosure), enclosure.status)


def _undefined(check: Check, truths: Sequence[CertifiedValue], x: Sequence[float]) -> Iterator[str]:
    """Why each output that has no value there has none."""
    for output, truth in enumerate(truth for truth in truths if truth.of.order == 0):
        if truth.status == "undefined":
            yield f"{cause(check.variant, output, x)}: {truth.of.name} has no value there"


def _graph(check: Check, values: Mapping[str, Floats]) -> tuple[GraphNode, ...]:
    subject = subject_of(check.case, check.variant, check.implementation, check.dtype, check.device)
    return backward_graph(subject, _leaves(check, values))


def _leaves(check: Check, values: Mapping[str, Floats]) -> dict[str, Tensor]:
    dtype = getattr(torch, check.dtype)
    return {
        name: torch.tensor(value, dtype=dtype, device=check.device, requires_grad=True)
        for name, value in values.items()
    }


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
