"""What an explanation tells, block by block, as text for a terminal and as HTML for a notebook."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from gradcheck.answer import EntryReport, Ruling
from gradcheck.explanation.accuracy import worst
from gradcheck.explanation.formulas import (
    Formula,
    drawn_equation,
    formula_text,
    latex_block,
    latex_equation,
    latex_name,
)
from gradcheck.explanation.graph_drawing import BackwardGraph, tree_lines
from gradcheck.explanation.point import numbers_text
from gradcheck.explanation.statements import FEW, Line, lines_of, title_of
from gradcheck.report.failure_text import without_zeros
from gradcheck.report.result import html_row
from gradcheck.report.table import table, to_width, width
from gradcheck.run.entry_text import THE_CALL

if TYPE_CHECKING:
    from gradcheck.explanation.explanation import Explanation

_ENTRIES = 16  # of an array that is printed whole, unless all are asked for
_TRUTHS = 24  # rows of certified numbers, unless all are asked for
_SHOWN = 6  # of one order, unless all are asked for
_LONGEST = 240  # letters of a formula, unless all are asked for
_BY_PARTS = (
    "complex numbers stand by their real and imaginary parts; PyTorch's gradient of a real y by a "
    "complex z is ∂y/∂re z + i ∂y/∂im z"
)

_OWN = "the formula, translated to PyTorch"


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is told: whether nothing is left out, and what a reader does who wants it all.

    ``styled``: in the colours of a terminal.
    """

    everything: bool = False
    more: str = ".text(everything=True) has"
    styled: bool = False


@dataclass(frozen=True, slots=True)
class _Words:
    text: str
    indent: int = 0


@dataclass(frozen=True, slots=True)
class _Equation:
    name: str
    expression: Any


@dataclass(frozen=True, slots=True)
class _Rows:
    """A table, and the sentences below it; a head that begins with ``>`` stands above numbers."""

    title: str
    heads: tuple[str, ...]
    rows: list[list[str]]
    notes: tuple[_Words, ...] = ()


@dataclass(frozen=True, slots=True)
class _Tree:
    """A backward graph; of an array of more than ``most`` numbers the first ones are told."""

    title: str
    graph: BackwardGraph
    most: float


_Block = _Words | _Equation | _Rows | _Tree


def as_text(found: Explanation, manner: Manner) -> str:
    """Return it for people, as wide as the terminal."""
    head = "".join(f"{to_width(each.text, each.indent)}\n" for each in _head(found, manner))
    return "\n".join([head, *(_block_text(each, manner) for each in _body(found, manner))])


def _block_text(block: _Block, manner: Manner) -> str:
    match block:
        case _Words():
            return to_width(block.text, block.indent) + "\n"
        case _Equation():
            return _equation(block, manner, width())
        case _Tree():
            lines = tree_lines(block.graph, block.most)
            return "\n".join([to_width(block.title), *lines]) + "\n"
    drawn = table(block.heads, block.rows, title=block.title, styled=manner.styled)
    return drawn + "".join(f"{to_width(note.text, note.indent)}\n" for note in block.notes)


def html_of(found: Explanation) -> Iterator[str]:
    manner = Manner()
    first, *others = _head(found, manner)
    yield f"<p><b>{escape(first.text)}</b></p>"
    yield from (f"<p>{escape(words.text)}</p>" for words in others)
    for block in _body(found, manner):
        match block:
            case _Words():
                yield f"<p>{escape(block.text)}</p>"
            case _Equation():
                yield f"<pre>{escape(_equation(block, manner, _WIDE))}</pre>"
            case _Rows():
                yield from _html_table(block)
            case _Tree():
                yield f"<p>{escape(block.title)}</p>{block.graph.svg()}"


_WIDE = 200  # letters of a drawn formula in a notebook, which scrolls


def _html_table(block: _Rows) -> Iterator[str]:
    kept = [k for k in range(len(block.heads)) if any(row[k] for row in block.rows)]
    yield f"<p>{escape(block.title)}</p><table>"
    yield html_row("th", [block.heads[k].removeprefix(">") for k in kept])
    yield from (html_row("td", [row[k] for k in kept]) for row in block.rows)
    yield "</table>"
    yield from (f"<p>{escape(note.text)}</p>" for note in block.notes)


def latex_of(found: Explanation) -> str:
    """The formulas with their values at the point, aligned; values alone where there are none."""
    digits = {truth.of.name: truth.digits for truth in found.truths if truth.digits}
    shown = [
        each
        for order in found.orders
        for each in _telling([e for e in found.formulas if e[0].order == order], Manner())
    ]
    lines = [
        latex_equation(of.name, formula)
        + ("" if formula.is_number else _latex_value(digits.get(of.name, "")))
        for of, formula in shown
    ]
    if not lines:
        alone = list(digits.items())[:_TRUTHS]
        lines = [f"{latex_name(name)} &{_latex_value(number)}" for name, number in alone]
    return latex_block(lines)


def _latex_value(digits: str) -> str:
    """``= 1.5 \\cdot 10^{-3}``; empty where nothing is certified."""
    number, exponent, power = digits.partition("e")
    scale = rf" \cdot 10^{{{int(power)}}}" if exponent and "[" not in digits else ""
    return f" = {number if scale else digits}{scale}" if digits else ""


def _head(found: Explanation, manner: Manner) -> Iterator[_Words]:
    check = found.check
    yield _Words(heading_of(found, manner), 2)
    if check.case.summary not in ("", title_of(check)):
        yield _Words(check.case.summary)
    yield _Words(f"on trial: {check.implementation.text or _OWN}", 2)
    if not found.inside:
        yield _Words("note: this point lies outside of the case's domain, where it is not tested")


def heading_of(found: Explanation, manner: Manner) -> str:
    check = found.check
    place = ", ".join(
        f"{name} = {_entries(value.tolist(), manner)}" for name, value in found.values.items()
    )
    return f"{title_of(check)}  at {place}  ({check.dtype} on {check.device})"


def _body(found: Explanation, manner: Manner) -> Iterator[_Block]:
    formula = found.check.variant.formula
    by_parts = any(port.kind == "complex" for port in (*formula.ports, *formula.judged))
    if by_parts:
        yield _Words(_BY_PARTS)
    for order in found.orders:
        level = [each for each in found.formulas if each[0].order == order]
        yield from _formula_blocks(order, level, manner)
        whole = sum(truth.of.order == order for truth in found.truths)
        if 0 < len(level) < whole and not by_parts:  # a complex formula is that of both parts
            more = whole - len(level)
            verb = "is" if more == 1 else "are"
            yield _Words(f"{more:,} more of order {order} {verb} not derived as formulas")
    yield from _undefined_words(found)
    outputs = sum(truth.of.order == 0 for truth in found.truths)
    if manner.everything or not outputs or len(found.undefined) < outputs:
        yield _truth_rows(found, manner)
        yield _every_statement(found) if manner.everything else _statement_rows(found, manner)
        yield from _allowance_rows(found, manner)
        yield from _precision_rows(found, manner)
    if found.graph:
        yield _tree(found, manner)


def _formula_blocks(order: int, level: Sequence[Formula], manner: Manner) -> Iterator[_Block]:
    """Each formula of an order as an equation; zeros and repetitions are only counted."""
    telling = _telling(level, manner)
    whole = manner.everything or len(level) <= FEW
    shown = telling if whole else telling[:_SHOWN]
    yield from (_Equation(of.name, expression) for of, expression in shown)
    left_out = _left_out(order, len(level), len(telling), len(shown), manner)
    if left_out:
        yield _Words(left_out)


def _telling(level: Sequence[Formula], manner: Manner) -> list[Formula]:
    """The formulas of one order that are worth a line; of few all."""
    whole = manner.everything or len(level) <= FEW
    return [each for each in level if whole or each[0].tells(is_zero=each[1] == 0)]


def _left_out(order: int, count: int, telling: int, shown: int, manner: Manner) -> str:
    """What is not shown of one order, in a sentence; empty where nothing is left out."""
    kind = ("value", "first derivative", "second derivative", "third derivative")[order]
    if not count:
        return f"the {kind}s are too long to be derived as formulas"
    if shown < telling:
        return f"... and {telling - shown} more {kind}s that are not 0; {manner.more} them"
    if not shown:
        return f"every {kind} is 0"
    swapped = ", or repeats one of these in another order" if order > 1 else ""
    return f"every other {kind} is 0{swapped}" if shown < count else ""


def _equation(block: _Equation, manner: Manner, columns: int) -> str:
    drawn = drawn_equation(block.name, block.expression)
    if drawn and max(map(len, drawn)) <= columns:
        return "\n".join(drawn) + "\n"
    text = formula_text(block.expression)
    if len(text) > _LONGEST and not manner.everything:
        text = f"{text[:_LONGEST]}... ({len(text)} letters; {manner.more} them)"
    return to_width(f"{block.name} = {text}", 4) + "\n"


def _undefined_words(found: Explanation) -> Iterator[_Words]:
    """The sentence for a point outside of the domain, and what PyTorch gives all the same."""
    for reason in dict.fromkeys(found.undefined):
        yield _Words(f"{reason}, and no derivative")
    given: dict[str, str] = {}
    for _, said in found.statements:
        if found.undefined and said.true:
            given.setdefault(said.index, repr(said.got))
    if given:
        numbers = ", ".join(f"{got} for {index}" for index, got in list(given.items())[:_ENTRIES])
        yield _Words(f"PyTorch gives {numbers}; no number is right there, so none is judged")


def _truth_rows(found: Explanation, manner: Manner) -> _Rows:
    """Certified numbers beside PyTorch's first answer; zeros that all agree on are counted."""
    given: dict[str, EntryReport] = {}
    for _, said in found.statements:
        given.setdefault(said.index, said)
    doubted = {said.index for _, said in found.statements if said.ruling is not Ruling.AGREE}
    sizes = Counter(truth.of.order for truth in found.truths)
    telling = [
        truth
        for truth in found.truths
        if manner.everything
        or truth.of.name in doubted
        or sizes[truth.of.order] <= FEW
        or truth.of.tells(is_zero=truth.digits == "0")
    ]
    shown = telling if manner.everything else telling[:_TRUTHS]
    rows = [
        [truth.of.name, truth.digits or truth.status, truth.radius, _got(given.get(truth.of.name))]
        for truth in shown
    ]
    kinks = any(truth.status == "kink" for truth in shown)
    note = "; [low, high] holds every one-sided value of a kink" if kinks else ""
    not_shown = _not_shown(len(shown), len(telling), len(found.truths), manner)
    return _Rows(f"certified{note}", ("of", "true value", "±", "PyTorch"), rows, not_shown)


def _got(said: EntryReport | None) -> str:
    return repr(said.got) if said is not None and said.true else ""


def _not_shown(shown: int, telling: int, count: int, manner: Manner) -> tuple[_Words, ...]:
    rest = count - shown
    if shown < telling:
        return (_Words(f"... and {rest} more; {manner.more} them"),)
    if not rest:
        return ()
    others = f"{rest:,} other derivative{'' if rest == 1 else 's'}"
    return (_Words(f"{others} not shown: 0, or as above in the other order; {manner.more} them"),)


def _statement_rows(found: Explanation, manner: Manner) -> _Rows:
    """One line for each witness that says one thing; why, where it does not agree, below."""
    lines = lines_of(found.statements)
    return _Rows(
        f"what each witness says; {manner.more} every number",
        ("witness", "of", "PyTorch", ">ulps", "verdict"),
        [_line_cells(line) for line in lines],
        tuple(_Words(reason, 2) for reason in _reasons(lines)),
    )


def _reasons(lines: Sequence[Line]) -> Iterator[str]:
    """Why witnesses do not agree; those that have one reason, together."""
    told: dict[tuple[str, ...], Line] = {}
    for line in lines:  # of many numbers the worst is told first, and its reason alone
        apart = line.worst.reason if line.worst.ruling is Ruling.ABSTAIN else ""
        told.setdefault((line.witness, line.worst.ruling, apart), line)
    alike: dict[tuple[Ruling, str], list[Line]] = {}
    for line in told.values():
        alike.setdefault((line.worst.ruling, line.worst.reason), []).append(line)
    for (ruling, reason), group in alike.items():
        *others, last = (line.witness for line in group)
        if others and ruling is not Ruling.AGREE:
            yield f"{', '.join(others)} and {last} {ruling.value}: {reason}"
        elif ruling is not Ruling.AGREE:
            yield _reason(group[0])


def _line_cells(line: Line) -> list[str]:
    said = line.worst
    of, got = said.index, _got(said)
    if of == THE_CALL and len(line.by) == 1:
        of = line.by[0].removeprefix("torch.autograd.")
    if line.entries > 1:
        of, got = f"{line.entries} entries", ""
    return [line.witness, of, got, _ulps(said), said.ruling.value]


def _reason(line: Line) -> str:
    """Why a witness does not agree, and by which of its calls."""
    said = line.worst
    more = f" and {len(line.by) - FEW} other ways" if len(line.by) > FEW + 1 else ""
    by = ", ".join(line.by[: FEW if more else None])
    return f"{line.witness} {said.ruling.value}: {said.reason} ({by}{more})"


def _every_statement(found: Explanation) -> _Rows:
    rows = [
        [witness, said.label, *_numbers(said), _ulps(said), said.ruling.value, said.reason]
        for witness, said in found.statements
    ]
    heads = ("witness", "by", "of", "PyTorch", "true", ">ulps", "verdict", "reason")
    return _Rows("what each witness says", heads, rows)


def _numbers(said: EntryReport) -> list[str]:
    """Which derivative, what PyTorch gave, and what is true; blank where nothing was given."""
    if not said.true:
        return [said.index, "", ""]
    return [said.index, repr(said.got), "" if said.true == "nan" else without_zeros(said.true)]


def _ulps(said: EntryReport) -> str:
    return "" if math.isnan(said.ulps) else f"{said.ulps:.3g}"


def _allowance_rows(found: Explanation, manner: Manner) -> Iterator[_Block]:
    """Where the error comes from that each number may have; of many numbers the first."""
    told = {truth.of.name: truth.of.tells(is_zero=truth.digits == "0") for truth in found.truths}
    telling = [each for each in found.allowances if manner.everything or told.get(each.of)]
    by_order = ([each for each in telling if each.of.startswith("∂") == of] for of in (False, True))
    most = None if manner.everything else FEW
    shown = [each for group in by_order for each in group[:most]]
    rows = [
        [each.of, *(_figure(number) for number in (
            each.condition, each.by_conditioning, each.by_rounding, each.by_moves, each.agrees
        ))]
        for each in shown
    ]  # fmt: skip
    if rows:
        heads = ("of", ">condition", ">16 u S", ">2 R", ">4 W", ">agrees up to")
        yield _Rows("how many ulps each number may be off, and where they come from", heads, rows,
                    tuple(_notes(found, len(telling) - len(shown), manner)))  # fmt: skip


def _notes(found: Explanation, more: int, manner: Manner) -> Iterator[_Words]:
    if more:
        yield _Words(f"... and {more} more; {manner.more} them")
    yield _Words(_MEANING)
    if any(math.isnan(each.by_moves) for each in found.allowances):
        yield _Words(
            "W is not told where PyTorch gives sums of derivatives alone, as of an array, or where "
            "the code cannot be looked into"
        )


_MEANING = (
    "condition: S over the number, where S is what relative changes of the inputs do to it; R: "
    "what rounding adds up to in the formula's own steps; W: how far the code's answers lie apart "
    "when each of its steps is moved by an ulp, which makes a number inaccurate and not wrong; "
    "each with the rounding of the result itself"
)


def _figure(number: float) -> str:
    return "" if math.isnan(number) else f"{number:.3g}"


def _precision_rows(found: Explanation, manner: Manner) -> Iterator[_Block]:
    """The same numbers in each dtype; of many numbers of an order the worst."""
    rows, notes = [], []
    for dtype in dict.fromkeys(each.dtype for each in found.precisions):
        here = [each for each in found.precisions if each.dtype == dtype]
        notes += [_Words(f"{dtype}: {each.note}", 2) for each in here if each.note]
        said = [each.said for each in here if each.said is not None]
        for group in (_of_order(said, 0), _of_order(said, 1)):
            whole = manner.everything or len(group) <= FEW
            rows += [_precision_cells(dtype, each) for each in (group if whole else [])]
            if not whole:
                cells = _precision_cells(dtype, worst(group))
                rows.append([dtype, f"{cells[1]}, worst of {len(group)}", *cells[2:]])
    if rows:
        heads = ("dtype", "of", "PyTorch", ">ulps", "verdict")
        yield _Rows("the same in each precision, of the point as that rounds it", heads, rows,
                    tuple(dict.fromkeys(notes)))  # fmt: skip


def _of_order(said: Sequence[EntryReport], order: int) -> list[EntryReport]:
    return [each for each in said if each.true and each.index.startswith("∂") == bool(order)]


def _precision_cells(dtype: str, said: EntryReport) -> list[str]:
    return [dtype, said.index, _got(said), _ulps(said), said.ruling.value]


def _tree(found: Explanation, manner: Manner) -> _Tree:
    what = "the output" if found.check.variant.is_scalar else "the sum of the output"
    title = f"the backward graph, after retain_grad() and backward() from {what}"
    return _Tree(title, found.graph, math.inf if manner.everything else _ENTRIES)


def _entries(value: Any, manner: Manner) -> str:
    """A number or an array; of a long one the first entries, each whole."""
    return numbers_text(value, most=math.inf if manner.everything else _ENTRIES)
