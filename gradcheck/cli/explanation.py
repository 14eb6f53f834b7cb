"""A function at one point, explained: formula, derivatives, testimony, graph; as text or JSON."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradcheck.answer import EntryReport, Floats, Ruling
from gradcheck.catalog.checks import Check
from gradcheck.cli.backward_graph import GraphNode, backward_graph
from gradcheck.cli.formulas import Formulas, formula_lines, formula_text, formulas_of
from gradcheck.cli.place import entries_of, is_inside, values_at
from gradcheck.cli.request import labelled, title_of
from gradcheck.cli.statements import (
    FEW,
    Derivative,
    Line,
    certain,
    derivatives_of,
    heard,
    lines_of,
    with_witness,
)
from gradcheck.cli.table import filled, table
from gradcheck.cli.undefined import cause
from gradcheck.cli.words import counted, short
from gradcheck.dtypes import DTYPES
from gradcheck.implementations.subject import subject_of
from gradcheck.methods import METHODS
from gradcheck.reference.forward_mode import NoDerivative
from gradcheck.report.failure_text import without_zeros
from gradcheck.run.session import truth_of

_ENTRIES = 16  # of an array that is printed whole, unless all are asked for
_TRUTHS = 24  # rows of certified numbers, unless all are asked for


@dataclass(frozen=True, slots=True)
class Truth:
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
    truths: tuple[Truth, ...]
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


def as_json(found: Explanation) -> dict[str, Any]:
    return {
        **labelled(found.check),
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


def as_text(found: Explanation, *, everything: bool = False) -> str:
    """For people; ``everything``: each number of each witness, each formula, each entry."""
    return "\n".join(_sections(found, everything))


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


def _sections(found: Explanation, everything: bool) -> Iterator[str]:  # noqa: FBT001 - private
    check = found.check
    place = ", ".join(
        f"{name} = {_entries(value.tolist(), everything=everything)}"
        for name, value in found.values.items()
    )
    yield filled(f"{title_of(check)}  at {place}  ({check.dtype} on {check.device})", "  ")
    if check.case.summary not in ("", title_of(check)):
        yield filled(check.case.summary)
    code = check.implementation.text or "the formula, translated to PyTorch"
    yield filled(f"on trial: {code}", "  ")
    if not found.inside:
        yield filled("note: this point lies outside of the case's domain, where it is not tested")
    yield ""
    yield from formula_lines(found.formulas, found.orders, everything=everything)
    yield from _undefined_lines(found)
    outputs = len(check.variant.program.outputs)
    if everything or not outputs or len(found.undefined) < outputs:
        yield _truth_table(found, everything=everything)
        yield _every_statement(found) if everything else _statement_table(found)
    if found.graph:
        yield _graph_table(found, everything=everything)


def _truths(check: Check, values: Mapping[str, Floats], orders: Sequence[int]) -> Iterator[Truth]:
    x = tuple(entries_of(values))
    for order in orders:
        try:
            enclosures = truth_of(check.variant.program).enclosures(order, x)
        except NoDerivative as error:
            yield Truth(Derivative(f"order {order}", order), "", str(error))
            continue
        names = derivatives_of(check.variant, order)
        for name, enclosure in zip(names, enclosures, strict=True):
            yield Truth(name, certain(enclosure), enclosure.status)


def _undefined(check: Check, truths: Sequence[Truth], x: Sequence[float]) -> Iterator[str]:
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


def _undefined_lines(found: Explanation) -> Iterator[str]:
    """The sentence for a point outside of the domain, and what PyTorch gives all the same."""
    for reason in dict.fromkeys(found.undefined):
        yield filled(f"{reason}, and no derivative") + "\n"
    given: dict[str, str] = {}
    for _, said in found.statements:
        if found.undefined and said.true:
            given.setdefault(said.index, repr(said.got))
    if given:
        numbers = ", ".join(f"{got} for {index}" for index, got in list(given.items())[:_ENTRIES])
        yield filled(f"PyTorch gives {numbers}; no number is right there, so none is judged") + "\n"


def _truth_table(found: Explanation, *, everything: bool) -> str:
    """Certified numbers beside PyTorch's first answer; zeros that all agree on are counted."""
    given: dict[str, EntryReport] = {}
    for _, said in found.statements:
        given.setdefault(said.index, said)
    doubted = {said.index for _, said in found.statements if said.ruling is not Ruling.AGREE}
    sizes = Counter(truth.of.order for truth in found.truths)
    telling = [
        truth
        for truth in found.truths
        if everything
        or truth.of.name in doubted
        or sizes[truth.of.order] <= FEW
        or truth.of.tells(is_zero=truth.digits == "0")
    ]
    shown = telling if everything else telling[:_TRUTHS]
    rows = [
        [truth.of.name, truth.digits or truth.status, _got(given.get(truth.of.name))]
        for truth in shown
    ]
    kinks = any(truth.status == "kink" for truth in shown)
    note = "; [low, high] holds every one-sided value of a kink" if kinks else ""
    text = table(["of", "true value", "PyTorch"], rows, title=f"certified{note}")
    return text + _not_shown(len(shown), len(telling), len(found.truths))


def _got(said: EntryReport | None) -> str:
    return repr(said.got) if said is not None and said.true else ""


def _not_shown(shown: int, telling: int, count: int) -> str:
    if shown < telling:
        return filled(f"... and {count - shown} more; --all prints them") + "\n"
    if shown < count:
        rest = counted(count - shown, "other derivative")
        swapped = "0, or as above in the other order"
        return filled(f"{rest} not shown: {swapped}; --all prints them") + "\n"
    return ""


def _statement_table(found: Explanation) -> str:
    """One line for each witness that says one thing; why, where it does not agree, below."""
    lines = lines_of(found.statements)
    heads = ["witness", "of", "PyTorch", ">ulps", "verdict"]
    title = "what each witness says; --all prints every number"
    text = table(heads, [_line_cells(line) for line in lines], title=title)
    reasons: dict[tuple[str, ...], str] = {}
    for line in lines:  # of many numbers the worst is told first, and its reason alone
        told = line.worst.reason if line.worst.ruling is Ruling.ABSTAIN else ""
        reasons.setdefault((line.witness, line.worst.ruling, told), _reason(line))
    return text + "".join(f"{reason}\n" for reason in reasons.values() if reason)


def _line_cells(line: Line) -> list[str]:
    said = line.worst
    of, got = said.index, _got(said)
    if line.entries > 1:
        of, got = f"{line.entries} entries", ""
    return [line.witness, of, got, _ulps(said), said.ruling.value]


def _reason(line: Line) -> str:
    """Why a witness does not agree, and by which of its calls; empty where it does."""
    said = line.worst
    if said.ruling is Ruling.AGREE:
        return ""
    by = ", ".join(line.by)
    return filled(f"{line.witness} {said.ruling.value}: {said.reason} (by {by})", "  ")


def _every_statement(found: Explanation) -> str:
    rows = [
        [witness, said.label, *_numbers(said), _ulps(said), said.ruling.value, said.reason]
        for witness, said in found.statements
    ]
    heads = ["witness", "by", "of", "PyTorch", "true", ">ulps", "verdict", "reason"]
    return table(heads, rows, title="what each witness says")


def _numbers(said: EntryReport) -> list[str]:
    """Which derivative, what PyTorch gave, and what is true; blank where nothing was given."""
    if not said.true:
        return [said.index, "", ""]
    return [said.index, repr(said.got), "" if said.true == "nan" else without_zeros(said.true)]


def _ulps(said: EntryReport) -> str:
    return "" if math.isnan(said.ulps) else short(said.ulps)


def _graph_table(found: Explanation, *, everything: bool) -> str:
    rows = [
        [
            str(number),
            node.name,
            node.grad_fn,
            str(node.is_leaf),
            str(node.requires_grad),
            "" if node.data is None else _entries(node.data, everything=everything),
            _entries(node.grad, everything=everything),
            ", ".join(map(str, node.parents)),
        ]
        for number, node in enumerate(found.graph)
    ]
    heads = [">#", "name", "grad_fn", "is_leaf", "requires_grad", "data", ".grad", "next"]
    what = "the sum of the output" if found.check.variant.program.shape else "the output"
    title = f"the backward graph, after retain_grad() and backward() from {what}"
    return table(heads, rows, title=title)


def _entries(value: Any, *, everything: bool) -> str:
    """A number or an array; of a long one the first entries, each whole."""
    flat = np.ravel(value)
    if everything or len(flat) <= _ENTRIES:
        return str(value)
    first = ", ".join(map(repr, flat[:3].tolist()))
    return f"[{first}, ...] ({len(flat)} numbers)"
