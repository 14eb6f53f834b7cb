"""The text of a failed check, made here and nowhere else. It tells what was ruled; it rules not."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gradcheck.answer import Evidence, Outcome

_ENTRIES = 3  # of each input: enough to see a pattern
_NUMBERS = 64  # a point of more than these is not printed whole
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """What the text says about the check itself.

    ``place`` is ``file:line``; ``implementation`` is the code on trial as its author wrote it,
    empty for the formula's own translation; ``command`` runs this check alone.
    """

    place: str
    name: str
    implementation: str
    command: str


def block(check_facts: CheckFacts, outcome: Outcome) -> str:
    """What a reader needs to act on a failed check; its first line can stand alone.

    Units: numbers are printed so that they read back as the same floats; errors in ulps and
           relatively, to two digits.
    """
    parts = (
        _head(check_facts, outcome),
        _inputs(outcome),
        _conclusion(outcome),
        _repetition(check_facts, outcome),
    )
    return "\n\n".join("\n".join(lines) for lines in map(list, parts) if lines)


def format_error(evidence: Evidence) -> str:
    """The error of one entry, as ``1.5e+03 ulps, relative 3.4e-13``."""
    if math.isnan(evidence.ulps):
        return "not a number"
    unit = "ulp" if evidence.ulps == 1 else "ulps"
    return f"{_brief(evidence.ulps)} {unit}, relative {_brief(evidence.relative)}"


def point_as_yaml(at: dict[str, Any]) -> str:
    """The input as an entry of ``points``; every number reads back as the same float."""
    flow = ", ".join(f"{name}: {_flow(value)}" for name, value in at.items())
    line = f"- at: {{{flow}}}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join(["- at:", *(_block_entry(name, value) for name, value in at.items())])


def _head(facts: CheckFacts, outcome: Outcome) -> Iterator[str]:
    guess = f" (looks like: {outcome.guess})" if outcome.guess else ""
    summary = outcome.blame or outcome.reason
    yield f"{facts.place}: {outcome.ruling.value}: {summary}{guess}"
    yield f"  check: {facts.name}"
    yield f"  on trial: {facts.implementation or 'the formula, translated to PyTorch'}"
    if outcome.blame and outcome.reason:
        yield f"  reason: {outcome.reason}"


def _inputs(outcome: Outcome) -> Iterator[str]:
    smallest = outcome.smallest[:_ENTRIES]
    worst = _failures_at_one_input(outcome.failures)[:_ENTRIES]
    if smallest and worst and _flows(smallest[0].at) == _flows(worst[0].at):
        yield from _input("smallest failing input, and the worst:", worst, outcome.reason)
        return
    if smallest:
        yield from _input("smallest failing input:", smallest, outcome.reason)
    if worst:
        yield from _input("worst failing input:", worst, outcome.reason)


def _failures_at_one_input(failures: Sequence[Evidence]) -> list[Evidence]:
    """The worst failure and what else fails at its input, worst first."""
    return [entry for entry in failures if entry.at == failures[0].at]


def _input(title: str, entries: Sequence[Evidence], told: str) -> Iterator[str]:
    """The input and its failing entries; a reason that was ``told`` above is not repeated."""
    yield title
    for name, value in entries[0].at.items():
        yield f"  {name} = {_elided(value)}"
    described = ["\n".join(_entry(entry, told)) for entry in entries]
    yield from dict.fromkeys(described)  # two calls may fail with one text


def _entry(entry: Evidence, told: str) -> Iterator[str]:
    if entry.true:
        yield f"    {entry.index}"
        yield f"      PyTorch  {entry.got!r}  ({entry.label})"
        radius = "" if entry.true.startswith("[") else f"  ± {entry.radius}"  # of a hull: its ends
        yield f"      true     {entry.true}{radius}"
        yield f"      error    {format_error(entry)}"
    else:  # it gave no number to be held against the true one
        yield f"    {entry.index}  ({entry.label})"
    if entry.reason and entry.reason != told:
        yield f"      reason   {entry.reason}"


def _conclusion(outcome: Outcome) -> Iterator[str]:
    if not outcome.statements:
        return
    yield "who says what at the smallest failing input:"
    width = max(len(witness) for witness, _ in outcome.statements)
    for witness, statement in outcome.statements:
        yield f"  {witness:{width}}  {statement}"
    if outcome.blame:
        yield f"  therefore: {outcome.blame}"


def _repetition(facts: CheckFacts, outcome: Outcome) -> Iterator[str]:
    yield "to run just this:"
    yield f"  {facts.command}"
    evidence = (*outcome.smallest, *outcome.failures)
    if not evidence:
        return
    at = evidence[0].at
    count = len(list(_numbers(list(at.values()))))
    if count > _NUMBERS:
        yield f"the input holds {count} numbers, too many to print; --report keeps the worst whole"
        return
    yield "to keep this input, under the case's `points`:"
    yield textwrap.indent(point_as_yaml(at), "    ")
    if any(number == 0 and math.copysign(1, number) < 0 for number in _numbers(list(at.values()))):
        yield "    # a zero here is negative; a case file cannot say so"


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
    else:
        yield float(value)


def _flow(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    return repr(float(value))


def _flows(at: dict[str, Any]) -> str:
    """Equal exactly where the floats are the same, the sign of zero included."""
    return "; ".join(f"{name}={_flow(value)}" for name, value in at.items())


def _block_entry(name: str, value: Any) -> str:
    """``name: [...]`` on lines that fit; a flow sequence may be broken at any blank."""
    text = f"    {name}: {_flow(value)}"
    indent = " " * (len(name) + 6)
    return textwrap.fill(text, _WIDTH - 4, subsequent_indent=indent, break_on_hyphens=False)


def _elided(value: Any) -> str:
    """One line; of long dimensions the ends are shown, and the shape is told."""
    text = _flow(value)
    if len(text) <= _WIDTH:
        return text
    return f"{_ends(value)}  (shape {_shape(value)})"


def _ends(value: Any) -> str:
    if not isinstance(value, list | tuple):
        return _brief(float(value))
    if len(value) <= 3:
        return f"[{', '.join(map(_ends, value))}]"
    return f"[{_ends(value[0])}, ..., {_ends(value[-1])}]"


def _shape(value: Any) -> list[int]:
    if not isinstance(value, list | tuple):
        return []
    return [len(value), *(_shape(value[0]) if value else [])]


def _brief(number: float) -> str:
    """Two significant digits, whole numbers below 10,000 in full."""
    if abs(number) < 10_000 and number == int(number):
        return str(int(number))
    return f"{number:.2g}"
