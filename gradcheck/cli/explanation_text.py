"""What `gradcheck explain` prints for people: an explanation as formulas, sentences and tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradcheck.answer import EntryReport, Ruling
from gradcheck.cli.output import counted, short
from gradcheck.cli.table import table, to_width, width
from gradcheck.explain.explanation import Explanation
from gradcheck.explain.formulas import Formulas, drawn_equation, formula_text
from gradcheck.explain.statements import FEW, Line, lines_of, title_of
from gradcheck.report.failure_text import format_number, without_zeros

_ENTRIES = 16  # of an array that is printed whole, unless all are asked for
_TRUTHS = 24  # rows of certified numbers, unless all are asked for
_SHOWN = 6  # of one order, unless all are asked for
_LONGEST = 240  # letters of a formula, unless all are asked for
_NO_FORMULAS = (
    "derivatives of complex numbers stand as numbers alone, by real and imaginary parts; PyTorch's "
    "gradient of a real y by a complex z is ∂y/∂re z + i ∂y/∂im z"
)


def as_text(found: Explanation, *, everything: bool = False) -> str:
    """For people; ``everything``: each number of each witness, each formula, each entry."""
    return "\n".join(_sections(found, everything))


def _sections(found: Explanation, everything: bool) -> Iterator[str]:  # noqa: FBT001 - private
    check = found.check
    place = ", ".join(
        f"{name} = {_entries(value.tolist(), everything=everything)}"
        for name, value in found.values.items()
    )
    yield to_width(f"{title_of(check)}  at {place}  ({check.dtype} on {check.device})", 2)
    if check.case.summary not in ("", title_of(check)):
        yield to_width(check.case.summary)
    code = check.implementation.text or "the formula, translated to PyTorch"
    yield to_width(f"on trial: {code}", 2)
    if not found.inside:
        yield to_width("note: this point lies outside of the case's domain, where it is not tested")
    yield ""
    formula = found.check.variant.formula
    if any(port.kind == "complex" for port in (*formula.ports, *formula.judged)):
        yield to_width(_NO_FORMULAS) + "\n"
    else:
        yield from _formula_lines(found.formulas, found.orders, everything=everything)
    yield from _undefined_lines(found)
    outputs = sum(truth.of.order == 0 for truth in found.truths)
    if everything or not outputs or len(found.undefined) < outputs:
        yield _truth_table(found, everything=everything)
        yield _every_statement(found) if everything else _statement_table(found)
    if found.graph:
        yield _graph_table(found, everything=everything)


def _formula_lines(found: Formulas, orders: Sequence[int], *, everything: bool) -> Iterator[str]:
    """Each formula as an equation; zeros and repetitions are only counted."""
    for order in orders:
        level = [each for each in found if each[0].order == order]
        whole = everything or len(level) <= FEW
        telling = [each for each in level if whole or each[0].tells(is_zero=each[1] == 0)]
        shown = telling if whole else telling[:_SHOWN]
        for of, expression in shown:
            yield _equation(of.name, expression, everything=everything) + "\n"
        left_out = _left_out(order, len(level), len(telling), len(shown))
        if left_out:
            yield to_width(left_out) + "\n"


def _left_out(order: int, count: int, telling: int, shown: int) -> str:
    """What is not shown of one order, in a sentence; empty where nothing is left out."""
    kind = ("value", "first derivative", "second derivative")[order]
    if not count:
        return f"the {kind}s are too long to be printed"
    if shown < telling:
        return f"... and {telling - shown} more {kind}s that are not 0; --all prints them"
    if not shown:
        return f"every {kind} is 0"
    swapped = ", or repeats one of these in the other order" if order == 2 else ""
    return f"every other {kind} is 0{swapped}" if shown < count else ""


def _equation(name: str, expression: Any, *, everything: bool) -> str:
    drawn = drawn_equation(name, expression)
    if drawn and max(map(len, drawn)) <= width():
        return "\n".join(drawn)
    text = formula_text(expression)
    if len(text) > _LONGEST and not everything:
        text = f"{text[:_LONGEST]}... ({len(text)} letters; --all prints them)"
    return to_width(f"{name} = {text}", 4)


def _undefined_lines(found: Explanation) -> Iterator[str]:
    """The sentence for a point outside of the domain, and what PyTorch gives all the same."""
    for reason in dict.fromkeys(found.undefined):
        yield to_width(f"{reason}, and no derivative") + "\n"
    given: dict[str, str] = {}
    for _, said in found.statements:
        if found.undefined and said.true:
            given.setdefault(said.index, repr(said.got))
    if given:
        numbers = ", ".join(f"{got} for {index}" for index, got in list(given.items())[:_ENTRIES])
        yield (
            to_width(f"PyTorch gives {numbers}; no number is right there, so none is judged") + "\n"
        )


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
        return to_width(f"... and {count - shown} more; --all prints them") + "\n"
    if shown < count:
        rest = counted(count - shown, "other derivative")
        swapped = "0, or as above in the other order"
        return to_width(f"{rest} not shown: {swapped}; --all prints them") + "\n"
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
    return to_width(f"{line.witness} {said.ruling.value}: {said.reason} (by {by})", 2)


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
    what = "the output" if found.check.variant.is_scalar else "the sum of the output"
    title = f"the backward graph, after retain_grad() and backward() from {what}"
    return table(heads, rows, title=title)


def _entries(value: Any, *, everything: bool) -> str:
    """A number or an array; of a long one the first entries, each whole."""
    flat = np.ravel(value)
    if everything or len(flat) <= _ENTRIES:
        return _written(value)
    first = ", ".join(map(_written, flat[:3].tolist()))
    return f"[{first}, ...] ({len(flat)} numbers)"


def _written(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return format_number(value) if isinstance(value, complex) else str(value)
