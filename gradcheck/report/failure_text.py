"""The text of a failed check, made here and nowhere else. It tells what was ruled; it rules not."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from gradcheck.answer import NO_CODE, NOTHING_JUDGED, EntryReport, Outcome, Ruling, Statement
from gradcheck.dtypes import DTYPES

if TYPE_CHECKING:
    from gradcheck.catalog.checks import Check

_ENTRIES = 3  # of each input: enough to see a pattern
_NUMBERS = 64  # a point of more than these is not printed whole
WIDTH = 80
_FEW = 8  # entries of a direction: more are elided
_LONGEST_SCRIPT = 24  # lines
_DIGITS = 12  # of the truth, where it stands in a line beside PyTorch's number


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """What the text says about the check itself.

    ``place`` is ``file:line``; ``implementation`` names the code on trial, empty for the formula's
    own translation; ``command`` runs this check alone. ``source`` is Python text that defines the
    code on trial as ``subject``, empty where there is none; ``several``: it gives several outputs.
    ``shapes`` are those of the case's inputs: at others it cannot keep a point.
    """

    place: str
    name: str
    implementation: str
    command: str
    source: str = ""
    dtype: str = "float64"
    device: str = "cpu"
    several: bool = False
    shapes: Mapping[str, list[int]] = field(default_factory=dict)


def facts_of(check: Check, place: str, command: str) -> CheckFacts:
    """Return the facts of a check that was run: with torch loaded, its code can be written out."""
    from gradcheck.implementations.subject import source_of

    case, variant, on_trial = check.case, check.variant, check.implementation
    source = None
    with suppress(Exception):  # by the code on trial, whose failure is told and must not be lost
        source = source_of(case, variant, on_trial, check.dtype, check.device)
    return CheckFacts(
        place=place,
        name=check.name,
        implementation=check.on_trial,
        command=command,
        source=source or "",
        dtype=check.dtype,
        device=check.device,
        several=len(variant.formula.outputs) > 1,
        shapes={each.name: list(each.shape) for each in variant.inputs},
    )


def block(check_facts: CheckFacts, outcome: Outcome) -> str:
    """Return what a reader needs to act on a failed check; its first line can stand alone.

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


def headline(blame: str, reason: str, guess: str) -> str:
    """Return the cause in one line: who is wrong, else the reason, and what it looks like."""
    cause = _cause(blame, reason).partition("\n")[0]
    return f"{cause}{f' (looks like: {guess})' if guess else ''}"


def _cause(blame: str, reason: str) -> str:
    """Who is wrong; where that is no code on trial, the reason tells more."""
    if blame == NOTHING_JUDGED:
        return reason
    return f"{blame}: {reason}" if blame in NO_CODE else blame or reason


def format_error(entry_report: EntryReport) -> str:
    """The error of one entry, as ``1.5e+03 ulps, relative 3.4e-13``."""
    if math.isnan(entry_report.ulps):
        return "not a number"
    unit = "ulp" if entry_report.ulps == 1 else "ulps"
    return f"{_brief(entry_report.ulps)} {unit}, relative {_brief(entry_report.relative)}"


def format_number(value: complex, part: Callable[[float], str] = repr) -> str:
    """A number as a case says it, ``1.0 - 2.0*I``; ``part`` writes each of its real numbers.

    What is written by ``repr`` reads back as the same number, but for the sign of zero.
    """
    if not isinstance(value, complex):
        return part(float(value))
    real, imaginary = value.real, value.imag
    if _is_nothing(imaginary):
        return part(real)
    if _is_nothing(real):
        return f"{part(imaginary)}*I"
    sign = "-" if math.copysign(1, imaginary) < 0 else "+"
    return f"{part(real)} {sign} {part(abs(imaginary))}*I"


def _is_nothing(part: float) -> bool:
    return part == 0 and math.copysign(1, part) > 0


def filled(text: str, width: int, *, start: str = "", indent: int = 0, breaks: str = "") -> str:
    """Return the text after ``start`` on lines that fit; all but the first are indented.

    Lines end between words, and inside of a word after one of the characters ``breaks``, but before
    a digit (``x/3``) and after a power's two stars; with these, a word longer than a line is cut.
    """
    lines = _Lines(
        width,
        initial_indent=start,
        subsequent_indent=" " * indent,
        break_long_words=bool(breaks),
    )
    lines.breaks = breaks
    return lines.fill(text)


class _Lines(textwrap.TextWrapper):
    """Its ``breaks`` are characters after which a word may end a line."""

    breaks = ""

    def _split(self, text: str) -> list[str]:
        inside = rf"|(?<=[{self.breaks}])(?<!\*\*)(?![\s\d{self.breaks}])" if self.breaks else ""
        return [part for part in re.split(rf"(\s+){inside}", text) if part]


def point_as_yaml(at: dict[str, Any]) -> str:
    """The input as an entry of ``points``; every number reads back as the same float."""
    flow = ", ".join(f"{name}: {format_value(value)}" for name, value in at.items())
    line = f"- at: {{{flow}}}"
    if len(line) <= WIDTH:
        return line
    return "\n".join(["- at:", *(_block_entry(name, value) for name, value in at.items())])


def _head(facts: CheckFacts, outcome: Outcome) -> Iterator[str]:
    cause = _cause(outcome.blame, outcome.reason)
    yield _filled("", f"{outcome.verdict.value}: {cause}", indent=2)
    if outcome.guess:
        yield f"  looks like: {outcome.guess}"
    yield f"  where: {outcome.place or facts.place}"
    yield f"  check: {facts.name}"
    yield f"  on trial: {facts.implementation or 'the formula, translated to PyTorch'}"
    if outcome.reason not in cause:
        yield _filled("  reason: ", outcome.reason)


def _filled(start: str, text: str, indent: int | None = None) -> str:
    """The text after ``start``, on lines that fit; never broken inside a word."""
    return filled(text, WIDTH, start=start, indent=len(start) if indent is None else indent)


def _inputs(outcome: Outcome) -> Iterator[str]:
    smallest = outcome.smallest
    worst = _failures_at_one_input(outcome.failures)
    if smallest and worst and not _is_worse(worst[0], smallest[0]):
        yield from _input("smallest failing input, and the worst:", smallest, outcome.reason)
        return
    if smallest:
        yield from _input("smallest failing input:", smallest, outcome.reason)
    if worst:
        yield from _input("worst failing input:", worst, outcome.reason)


def _is_worse(entry: EntryReport, than: EntryReport) -> bool:
    return _flows(entry.at) != _flows(than.at) and entry.ulps > than.ulps


def _failures_at_one_input(failures: Sequence[EntryReport]) -> list[EntryReport]:
    """The worst failure and what else fails at its input, worst first."""
    return [entry for entry in failures if entry.at == failures[0].at]


def _input(title: str, entries: Sequence[EntryReport], told: str) -> Iterator[str]:
    """The input and its failing entries; a reason that was ``told`` above is not repeated."""
    yield title
    yield from _values(entries[0].at)
    for entry in entries[:_ENTRIES]:
        yield from _entry(entry, told)
    more = len(entries) - _ENTRIES
    if more > 0:
        yield f"    and {more} more {'entry' if more == 1 else 'entries'}"


def _values(at: dict[str, Any]) -> Iterator[str]:
    for name, value in at.items():
        yield f"  {name} = {_elided(value)}"


def _entry(entry: EntryReport, told: str) -> Iterator[str]:
    if entry.true:
        yield _filled("    ", f"{entry.index}  ({_call(entry)})", indent=6)
        yield f"      PyTorch  {entry.got!r}"
        yield f"      true     {_truth(entry)}"
        yield f"      error    {format_error(entry)}"
    else:  # it gave no number to be held against the true one
        yield f"    {entry.index}  ({entry.label})"
    if entry.reason and entry.reason != told:
        yield _filled("      reason   ", entry.reason)


def _call(entry: EntryReport) -> str:
    """The calls that gave the number, and what they contracted, unless it is a derivative."""
    if not entry.directions:
        return entry.label
    given = " and ".join(f"the {name} {_vector(vector)}" for name, vector in entry.directions)
    return f"{entry.label}, {'only ' if entry.only_so else ''}with {given}"


def _vector(numbers: Sequence[complex]) -> str:
    """A cotangent or tangent in short; its entries have few digits."""
    if len(numbers) > 1 and set(numbers) == {1.0}:
        return "of ones"
    shown = [format_number(number, "{:g}".format) for number in numbers]
    return f"[{', '.join(shown if len(shown) <= _FEW else [shown[0], '...', shown[-1]])}]"


def _truth(entry: EntryReport) -> str:
    digits = without_zeros(entry.true)
    is_exact = entry.radius == "0" or digits.startswith("[")  # a hull says its ends
    return digits if is_exact else f"{digits}  ± {entry.radius}"


def without_zeros(text: str) -> str:
    """A decimal number without the zeros at its end that say nothing."""
    plain = "." in text and "e" not in text and not text.startswith("[")
    return text.rstrip("0").rstrip(".") if plain else text


def _conclusion(outcome: Outcome) -> Iterator[str]:
    if not outcome.statements:
        return
    smallest = outcome.smallest
    if smallest and _flows(smallest[0].at) == _flows(outcome.stated_at):
        yield "who says what at the smallest failing input:"
    else:
        shows = "another failing input, where more shows" if smallest else "the input, asked alone"
        yield f"who says what at {shows}:"
        yield from _values(outcome.stated_at)
    width = max(len(each.witness) for each in outcome.statements)
    told: set[str] = set()
    for each in outcome.statements:
        yield _filled(f"  {each.witness:{width}}  ", _briefly(each, told))
        told.add(statement(each))
    if outcome.blame:
        yield _filled("  therefore: ", outcome.blame)


def _briefly(said: Statement, told: set[str]) -> str:
    """What a witness says; the same reason is told once."""
    text = statement(said)
    return f"{_SAYS[said.ruling]}: the same" if text in told and said.entry_report is None else text


_SAYS = {
    Ruling.AGREE: "agrees",
    Ruling.ABSTAIN: "abstains",
    Ruling.INACCURATE: "is inaccurate",
    Ruling.DISAGREE: "disagrees",
}


def statement(said: Statement) -> str:
    """Return what a witness says, in words."""
    entry = said.entry_report
    if entry is None:
        told = said.ruling is Ruling.AGREE  # as "torch.autograd.gradcheck passes"
        return said.note if told else f"{_SAYS[said.ruling]}: {said.note}"
    text = f"{_SAYS[said.ruling]}: {entry.index} = {entry.got!r}"
    if said.ruling is Ruling.AGREE:
        return text
    call = f"  ({_call(entry)})" if entry.label != said.witness else ""
    return f"{text}, true {_rounded(entry.true)}{call}"


def _rounded(true: str) -> str:
    """A true number as one reads it beside another; a hull and ``inf`` stay as they are."""
    return str(_few(Decimal(true))).lower() if true[-1].isdigit() else true


def _few(number: Decimal) -> Decimal:
    few = +number.normalize(Context(prec=_DIGITS))
    return few.quantize(Decimal(1)) if few == few.to_integral() and abs(few) < 10**_DIGITS else few


def _repetition(facts: CheckFacts, outcome: Outcome) -> Iterator[str]:
    yield "to run just this:"
    yield f"  {facts.command}"
    entry_report = (*outcome.smallest, *outcome.failures)
    if not entry_report:
        return
    at = entry_report[0].at
    count = len(list(_numbers(list(at.values()))))
    if count > _NUMBERS:
        yield f"the input holds {count} numbers, too many to print;"
        yield "  --report keeps the worst whole"
        return
    if any(_shape(at[name]) != shape for name, shape in facts.shapes.items() if name in at):
        return
    yield "to keep this input, under the case's `points`:"
    yield textwrap.indent(point_as_yaml(at), "    ")
    if any(number == 0 and math.copysign(1, number) < 0 for number in _numbers(list(at.values()))):
        yield "    # a zero here is negative; a case file cannot say so"
    script = _script(facts, at)
    if 0 < len(script) <= _LONGEST_SCRIPT:
        yield "to see its value and gradient (by a cotangent of ones) without gradcheck:"
        yield from (textwrap.indent(line, "    ") for line in script)


def _script(facts: CheckFacts, at: dict[str, Any]) -> list[str]:
    """Lines of Python that need nothing but torch and the code on trial; none without its source.

    The tensors come in the order of the inputs, which is that of ``at``.
    """
    if not facts.source or {"torch", "subject"} & at.keys():
        return []
    y = "result" if "y" in at else "y"
    names = ", ".join(at)
    ones = f"[torch.ones_like(each) for each in {y}]" if facts.several else f"torch.ones_like({y})"
    imported = [] if "import torch\n" in facts.source else ["import torch"]
    return [
        *imported,
        *facts.source.rstrip().splitlines(),
        "",
        *(f"{name} = {_tensor(value, facts)}" for name, value in at.items()),
        f"{y} = subject({names})",
        f"print({y}, torch.autograd.grad({y}, [{names}], {ones}))",
    ]


def _tensor(value: Any, facts: CheckFacts) -> str:
    """The call that makes an input's tensor; a real one has the dtype of a complex one's parts."""
    text = re.sub(r"\b(inf|nan)\b", r"float('\1')", _python(value))
    parts = DTYPES[facts.dtype].parts
    dtype = parts if parts and "complex(" not in text else facts.dtype
    return f"torch.tensor({text}, dtype=torch.{dtype}, device={facts.device!r}, requires_grad=True)"


def _python(value: Any) -> str:
    """A number or nested lists of them; both parts of a complex one, whose signs else get lost."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_python, value))}]"
    if isinstance(value, complex):
        return f"complex({value.real!r}, {value.imag!r})"
    return repr(float(value))


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, complex):
        yield from (value.real, value.imag)
    else:
        yield float(value)


def format_value(value: Any) -> str:
    """A number, or nested lists of them, as a case says it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(format_value, value))}]"
    return format_number(value)


def _flows(at: dict[str, Any]) -> str:
    """Equal exactly where the floats are the same, the sign of zero included."""
    return "; ".join(f"{name}={format_value(value)}" for name, value in at.items())


def _block_entry(name: str, value: Any) -> str:
    """``name: [...]`` on lines that fit; a flow sequence may be broken at any blank."""
    text = f"    {name}: {format_value(value)}"
    return filled(text, WIDTH - 4, indent=len(name) + 6)


def _elided(value: Any) -> str:
    """One line; of long dimensions the ends are shown, and the shape is told."""
    text = format_value(value)
    if len(text) <= WIDTH:
        return text
    return f"{_ends(value)}  (shape {_shape(value)})"


def _ends(value: Any) -> str:
    if not isinstance(value, list | tuple):
        return format_number(value, _brief)
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
