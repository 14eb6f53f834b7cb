"""A function at one point, explained: formula, derivatives, testimony, graph; as text or JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sympy
import torch
from torch import Tensor

from gradcheck.answer import Evidence, Floats
from gradcheck.catalog.checks import Check
from gradcheck.catalog.witness_names import FACTS
from gradcheck.cli.backward_graph import GraphNode, backward_graph
from gradcheck.cli.place import entries_of, entry_names, is_inside, values_at
from gradcheck.cli.request import labelled, title_of
from gradcheck.cli.statements import certain, derivative_names, heard, with_witness, without_zeros
from gradcheck.cli.table import table
from gradcheck.cli.words import short
from gradcheck.formula import symbolic
from gradcheck.formula.derive import NoDerivative
from gradcheck.run.scene import truth_of
from gradcheck.setting import DTYPES
from gradcheck.subjects.subject import subject_of

_MOST_FORMULAS = 12
_MOST_OPERATIONS = 120
_WIDE = 60  # letters of a number in a table


@dataclass(frozen=True, slots=True)
class Explanation:
    """``formulas`` pairs ``∂y/∂x`` with a sympy expression; empty where they are too large.

    ``truths`` holds a name, certified digits, and what kind of knowledge they are; ``statements``
    pairs a witness with one thing that it says.
    """

    check: Check
    values: dict[str, Floats]
    inside: bool
    formulas: tuple[tuple[str, Any], ...]
    truths: tuple[tuple[str, str, str], ...]
    statements: tuple[tuple[str, Evidence], ...]
    graph: tuple[GraphNode, ...]


def explain(check: Check, at: Mapping[str, str], *, graph: bool) -> Explanation:
    """Put the function to every witness at one point.

    Errors: UsageError for a point that is none of this function.
    """
    case, variant = check.case, check.variant
    values = values_at(case, variant, at, DTYPES[check.dtype])
    orders = (0, 1, 2) if case.order >= 2 and not variant.program.shape else (0, 1)
    names = [name for name, facts in FACTS.items()
             if name not in case.without and facts.order in orders]  # fmt: skip
    return Explanation(
        check=check,
        values=values,
        inside=is_inside(case, variant, values),
        formulas=tuple(_formulas(check, orders)),
        truths=tuple(_truths(check, values, orders)),
        statements=tuple(
            (name, said) for name in names for said in heard(with_witness(check, name), values)
        ),
        graph=_graph(check, values) if graph else (),
    )


def as_json(found: Explanation) -> dict[str, Any]:
    return {
        **labelled(found.check),
        "at": {name: value.tolist() for name, value in found.values.items()},
        "inside": found.inside,
        "formulas": {name: str(formula) for name, formula in found.formulas},
        "true": [
            {"what": what, "true": digits, "status": status}
            for what, digits, status in found.truths
        ],
        "statements": [_said_as_json(name, said) for name, said in found.statements],
        "graph": [asdict(node) for node in found.graph],
    }


def as_text(found: Explanation) -> str:
    return "\n".join(_sections(found))


def _said_as_json(witness: str, said: Evidence) -> dict[str, Any]:
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


def _sections(found: Explanation) -> Iterator[str]:
    check = found.check
    place = ", ".join(f"{name} = {_brief(value.tolist())}" for name, value in found.values.items())
    yield f"{title_of(check)}  at {place}  ({check.dtype} on {check.device})"
    if check.case.summary != title_of(check):
        yield check.case.summary
    yield f"on trial: {check.implementation.text or 'the formula, translated to PyTorch'}"
    if not found.inside:
        yield "note: this point lies outside of the case's domain, where it is not tested"
    yield ""
    yield from _formula_lines(found)
    yield _truth_table(found)
    yield _statement_table(found.statements)
    if found.graph:
        yield _graph_table(found)


def _formulas(check: Check, orders: Sequence[int]) -> Iterator[tuple[str, Any]]:
    """Sympy's own expressions and derivatives, where there are few and short ones."""
    program = check.variant.program
    symbols = [sympy.Symbol(name, real=True) for name in entry_names(check.variant)]
    operations = len(program.tape.ancestors(program.outputs))
    if operations > _MOST_OPERATIONS or len(program.outputs) * program.size > _MOST_FORMULAS:
        return
    level = symbolic.expressions(program.tape, program.outputs, symbols)
    for order in orders:
        if len(level) <= _MOST_FORMULAS:
            yield from zip(derivative_names(check.variant, order), level, strict=True)
        level = [sympy.diff(expression, symbol) for expression in level for symbol in symbols]


def _truths(
    check: Check, values: Mapping[str, Floats], orders: Sequence[int]
) -> Iterator[tuple[str, str, str]]:
    x = tuple(entries_of(values))
    for order in orders:
        try:
            enclosures = truth_of(check.variant.program).enclosures(order, x)
        except NoDerivative as error:
            yield f"order {order}", "", str(error)
            continue
        names = derivative_names(check.variant, order)
        for name, enclosure in zip(names, enclosures, strict=True):
            yield name, certain(enclosure), enclosure.status


def _graph(check: Check, values: Mapping[str, Floats]) -> tuple[GraphNode, ...]:
    subject = subject_of(check.case, check.variant, check.implementation, check.dtype, check.device)
    return backward_graph(subject, _leaves(check, values))


def _leaves(check: Check, values: Mapping[str, Floats]) -> dict[str, Tensor]:
    dtype = getattr(torch, check.dtype)
    return {
        name: torch.tensor(value, dtype=dtype, device=check.device, requires_grad=True)
        for name, value in values.items()
    }


def _formula_lines(found: Explanation) -> Iterator[str]:
    for name, formula in found.formulas:
        equation = sympy.Eq(sympy.Symbol(name), formula, evaluate=False)
        text = sympy.pretty(equation, use_unicode=True, wrap_line=False)
        yield "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    if not found.formulas:
        yield "the formula and its derivatives are too long to be printed\n"


def _truth_table(found: Explanation) -> str:
    rows = [[name, digits or status] for name, digits, status in found.truths]
    kinks = any(status == "kink" for _, _, status in found.truths)
    note = "; [low, high] holds every one-sided value of a kink" if kinks else ""
    return table(["", "true value"], rows, title=f"certified{note}")


def _statement_table(statements: Sequence[tuple[str, Evidence]]) -> str:
    rows = [
        [
            witness,
            said.label,
            said.index,
            repr(said.got) if said.true else "",
            without_zeros(said.true),
            "" if math.isnan(said.ulps) else short(said.ulps),
            said.ruling.value,
            _brief(said.reason),
        ]
        for witness, said in statements
    ]
    heads = ["witness", "by", "of", "PyTorch", "true", ">ulps", "verdict", "reason"]
    return table(heads, rows, title="what each witness says")


def _graph_table(found: Explanation) -> str:
    rows = [
        [
            str(number),
            node.name,
            node.grad_fn,
            str(node.is_leaf),
            str(node.requires_grad),
            "" if node.data is None else _brief(node.data),
            _brief(node.grad),
            ", ".join(map(str, node.parents)),
        ]
        for number, node in enumerate(found.graph)
    ]
    heads = [">#", "name", "grad_fn", "is_leaf", "requires_grad", "data", ".grad", "next"]
    what = "the sum of the output" if found.check.variant.program.shape else "the output"
    title = f"the backward graph, after retain_grad() and backward() from {what}"
    return table(heads, rows, title=title)


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) <= _WIDE else text[: _WIDE - 3] + "..."
