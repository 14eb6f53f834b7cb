"""A function at one point, explained: formula, derivatives, testimony, graph; as text or JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sympy
import torch
from torch import Tensor

from gradcheck.answer import Floats
from gradcheck.cli.backward_graph import GraphNode, backward_graph
from gradcheck.cli.hearing import (
    Hearing,
    Statement,
    certain,
    derivative_names,
    statements,
    trial_at,
)
from gradcheck.cli.place import entries_of, entry_names, is_inside, values_at
from gradcheck.cli.request import labelled
from gradcheck.cli.table import table
from gradcheck.cli.words import short
from gradcheck.formula import symbolic
from gradcheck.setting import DTYPES

_WITNESSES = ("value", "reverse", "forward", "second")  # gradcheck has no numbers to show
_MOST_FORMULAS = 12
_MOST_OPERATIONS = 120
_WIDE = 60  # letters of a number in the table of the graph


@dataclass(frozen=True, slots=True)
class Explanation:
    """``formulas`` pairs ``∂y/∂x`` with a sympy expression; empty where they are too large."""

    hearing: Hearing
    values: dict[str, Floats]
    inside: bool
    formulas: tuple[tuple[str, Any], ...]
    truths: tuple[tuple[str, str, str], ...]  # name, certified digits, status
    statements: tuple[Statement, ...]
    graph: tuple[GraphNode, ...]


def explain(hearing: Hearing, at: Mapping[str, str], *, graph: bool) -> Explanation:
    """Put the function to every witness at one point.

    Errors: UsageError for a point that is none of this function.
    """
    case, variant = hearing.case, hearing.variant
    values = values_at(case, variant, at, DTYPES[hearing.dtype])
    orders = (0, 1, 2) if case.order >= 2 and not variant.program.shape else (0, 1)
    names = [name for name in _WITNESSES if name not in case.without]
    trial = trial_at(hearing, values, orders[-1])
    return Explanation(
        hearing=hearing,
        values=values,
        inside=is_inside(case, variant, values),
        formulas=tuple(_formulas(hearing, orders)),
        truths=tuple(_truths(hearing, values, orders)),
        statements=tuple(statements(hearing, trial, names if 2 in orders else names[:3])),
        graph=backward_graph(hearing.subject(), _leaves(hearing, values)) if graph else (),
    )


def as_json(found: Explanation) -> dict[str, Any]:
    return {
        **labelled(found.hearing),
        "at": {name: value.tolist() for name, value in found.values.items()},
        "inside": found.inside,
        "formulas": {name: str(formula) for name, formula in found.formulas},
        "true": [
            {"what": what, "true": digits, "status": status}
            for what, digits, status in found.truths
        ],
        "statements": [asdict(said) for said in found.statements],
        "graph": [asdict(node) for node in found.graph],
    }


def as_text(found: Explanation) -> str:
    return "\n".join(_sections(found))


def _sections(found: Explanation) -> Iterator[str]:
    hearing = found.hearing
    name = hearing.case.name + (f"[{hearing.variant.name}]" if hearing.variant.name else "")
    head = [name] if hearing.case.where.line > 1 or name != "inline" else []
    place = ", ".join(f"{key} = {_brief(value.tolist())}" for key, value in found.values.items())
    yield "  ".join([*head, f"at {place}", f"({hearing.dtype} on {hearing.device})"])
    if hearing.case.summary:
        yield hearing.case.summary
    yield f"on trial: {hearing.implementation.text or 'the formula, translated to PyTorch'}"
    if not found.inside:
        yield "note: this point lies outside of the case's domain, where it is not tested"
    yield ""
    yield from _formula_lines(found)
    yield _truth_table(found)
    yield _statement_table(found.statements)
    if found.graph:
        yield _graph_table(found)


def _formulas(hearing: Hearing, orders: Sequence[int]) -> Iterator[tuple[str, Any]]:
    """Sympy's own expressions and derivatives, where there are few and short ones."""
    program = hearing.variant.program
    n = program.size
    symbols = [sympy.Symbol(name, real=True) for name in entry_names(hearing.variant)]
    operations = len(program.tape.ancestors(program.outputs))
    if operations > _MOST_OPERATIONS or len(program.outputs) * n > _MOST_FORMULAS:
        return
    level = symbolic.expressions(program.tape, program.outputs, symbols)
    for order in orders:
        if len(level) <= _MOST_FORMULAS:
            yield from zip(derivative_names(hearing, order), level, strict=True)
        level = [sympy.diff(expression, symbol) for expression in level for symbol in symbols]


def _truths(
    hearing: Hearing, values: Mapping[str, Floats], orders: Sequence[int]
) -> Iterator[tuple[str, str, str]]:
    x = tuple(entries_of(values))
    for order in orders:
        enclosures = hearing.truth.enclosures(order, x)
        for name, enclosure in zip(derivative_names(hearing, order), enclosures, strict=True):
            yield name, certain(enclosure), enclosure.status


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


def _statement_table(said: Sequence[Statement]) -> str:
    rows = [
        [
            each.witness,
            each.label,
            each.what,
            "" if not each.what else repr(each.got),
            each.true if each.what else "",
            "" if math.isnan(each.ulps) else short(each.ulps),
            each.verdict,
            each.reason,
        ]
        for each in said
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
            str(None) if node.grad is None else _brief(node.grad),
            ", ".join(map(str, node.parents)),
        ]
        for number, node in enumerate(found.graph)
    ]
    heads = [">#", "name", "grad_fn", "is_leaf", "requires_grad", "data", ".grad", "next"]
    what = "the sum of the output" if found.hearing.variant.program.shape else "the output"
    return table(
        heads, rows, title=f"the backward graph, after retain_grad() and backward() from {what}"
    )


def _leaves(hearing: Hearing, values: Mapping[str, Floats]) -> dict[str, Tensor]:
    dtype = getattr(torch, hearing.dtype)
    return {
        name: torch.tensor(value, dtype=dtype, device=hearing.device, requires_grad=True)
        for name, value in values.items()
    }


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) <= _WIDE else text[: _WIDE - 3] + "..."
