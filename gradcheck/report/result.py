"""What `gradcheck.verify` gives back: every check's outcome, and how it reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from gradcheck.answer import EntryReport, Outcome, Ruling
from gradcheck.report.failure_text import format_error, format_value

_REASONS = 3  # why something was not judged
_WIDE = 60  # letters of an input in a line

_MEANINGS = {
    Ruling.AGREE: "passed: every derivative that was judged is right",
    Ruling.ABSTAIN: "neither passed nor failed: nothing was proved",
    Ruling.KNOWN: "passed: it fails only where known_failures says that it does",
    Ruling.INACCURATE: "passed: no wrong formula, but digits are lost",
}


class GradientDisagreement(AssertionError):
    """A gradient is wrong; the text is the block of a failed check, for each check that failed."""

    __module__ = "gradcheck"  # where it is imported from


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """What came of a function on trial.

    ``verdict`` is the worst that any check found, abstentions left aside while others judged.
    ``worst`` is the entry with the largest error, a failing one before any other; None where
    nothing was judged. ``outcomes`` maps the name of each check to how it ended. ``blocks`` are
    the texts of the checks that failed. ``modes`` are those of torch that were on.
    """

    verdict: Ruling
    worst: EntryReport | None
    outcomes: dict[str, Outcome]
    blocks: tuple[str, ...]
    modes: tuple[str, ...] = ()

    def raise_for_disagreement(self) -> None:
        """Errors: GradientDisagreement if any check failed."""
        __tracebackhide__ = True
        if self.blocks:
            raise GradientDisagreement("\n\n".join(self.blocks))

    def __str__(self) -> str:
        return "\n".join([_headline(self), *(f"  {line}" for line in _lines(self))])

    def __repr__(self) -> str:
        return f"<gradcheck result: {_headline(self)}; {_checks(self.outcomes)}>"

    def _repr_html_(self) -> str:
        return "".join(_html(self))

    def _repr_latex_(self) -> str:
        return _latex(self)


def were_on(modes: tuple[str, ...]) -> str:
    """Say which modes were on, in one sentence."""
    return f"{' and '.join(modes)} {'was' if len(modes) == 1 else 'were'} on when verify was called"


def worst_of(outcomes: Mapping[str, Outcome]) -> EntryReport | None:
    """Return the entry of largest error, a failing one before any other.

    What gave a number comes before what gave none, whose error is infinite.
    """
    failures = [outcome.failures[0] for outcome in outcomes.values() if outcome.failures]
    judged = [outcome.worst for outcome in outcomes.values() if outcome.worst is not None]
    return max(failures or judged, key=lambda each: (bool(each.true), each.ulps), default=None)


def verdict_of(outcomes: Mapping[str, Outcome]) -> Ruling:
    """Return the worst verdict of all checks; abstentions count where nothing else is."""
    verdicts = [outcome.verdict for outcome in outcomes.values()]
    return max(verdicts, key=lambda ruling: ruling.severity, default=Ruling.ABSTAIN)


def _headline(result: Result) -> str:
    """The verdict, and what it means for the reader."""
    if result.verdict is Ruling.DISAGREE:
        failed = [each for each in result.outcomes.values() if each.verdict is Ruling.DISAGREE]
        causes = Counter(each.blame or each.reason for each in failed)
        return f"{result.verdict.value}: failed: {causes.most_common(1)[0][0]}"
    meaning = _MEANINGS[result.verdict]
    if result.blocks:
        meaning = meaning.replace("passed", "failed, as strict_accuracy asks", 1)
    return f"{result.verdict.value}: {meaning}"


def _lines(result: Result) -> Iterator[str]:
    outcomes = result.outcomes.values()
    if result.modes and were_on(result.modes) not in _headline(result):
        yield were_on(result.modes)
    counts = Counter(outcome.verdict.value for outcome in outcomes)
    yield f"{_checks(result.outcomes)}: " + ", ".join(
        f"{counts[ruling.value]} {ruling.value}" for ruling in Ruling if counts[ruling.value]
    )
    judged, left = (sum(getattr(each, what) for each in outcomes) for what in _ENTRIES)
    points = sum(outcome.points for outcome in outcomes)
    yield f"{judged:,} entries judged at {points:,} points; {left:,} not judged"
    if result.worst is not None:
        yield f"worst: {_entry(result.worst)} [{_owner(result)}]"
    yield from _not_judged(result)


_ENTRIES = ("entries", "abstained")


def _not_judged(result: Result) -> Iterator[str]:
    """The checks that proved nothing, by their reason."""
    reasons: dict[str, list[str]] = {}
    for name, outcome in result.outcomes.items():
        if outcome.verdict is Ruling.ABSTAIN:
            reasons.setdefault(outcome.reason, []).append(name)
    for reason, names in list(reasons.items())[:_REASONS]:
        yield f"not judged: {', '.join(names)}: {reason}"
    if len(reasons) > _REASONS:
        yield f"not judged: others, for {len(reasons) - _REASONS} more reasons"


def _checks(outcomes: Mapping[str, Outcome]) -> str:
    return f"{len(outcomes)} check{'' if len(outcomes) == 1 else 's'}"


def _owner(result: Result) -> str:
    """The name of the check that found the worst entry."""
    return next(
        name
        for name, outcome in result.outcomes.items()
        if result.worst in (outcome.worst, *outcome.failures[:1])
    )


def _entry(entry: EntryReport) -> str:
    """One judged entry in one line."""
    place = ", ".join(f"{name} = {_cut(value)}" for name, value in entry.at.items())
    if not entry.true:
        return f"{entry.reason}, at {place}"
    numbers = f"PyTorch {entry.got!r}, true {entry.true}"
    return f"{format_error(entry)}: {entry.index} at {place}: {numbers}"


def _cut(value: Any) -> str:
    text = format_value(value)
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 3]}..."


_HEADS = ("check", "verdict", "entries", "not judged", "worst error", "reason")


def _html(result: Result) -> Iterator[str]:
    """A table with one row for each check, for a notebook."""
    yield f"<p><b>{escape(_headline(result))}</b></p>"
    if result.modes:
        yield f"<p>{escape(were_on(result.modes))}</p>"
    yield "<table>"
    yield html_row("th", _HEADS)
    yield from (html_row("td", row) for row in _rows(result))
    yield "</table>"


def _rows(result: Result) -> Iterator[tuple[str, ...]]:
    """One row for each check, below ``_HEADS``."""
    for name, outcome in result.outcomes.items():
        worst = "" if outcome.worst is None else format_error(outcome.worst)
        reason = outcome.blame or outcome.reason
        counts = (str(outcome.entries), str(outcome.abstained))
        yield name, outcome.verdict.value, *counts, worst, reason


def _latex(result: Result) -> str:
    """The same table as an array in LaTeX, for a notebook that is printed."""
    rows = [_HEADS, *_rows(result)]
    cells = [" & ".join(f"\\text{{{_latex_text(cell)}}}" for cell in row) for row in rows]
    return "$$\\begin{array}{llrrll}\n" + " \\\\\n".join(cells) + "\n\\end{array}$$"


def _latex_text(text: str) -> str:
    """A text in which nothing is a command of LaTeX's."""
    return "".join(_LATEX.get(letter, letter) for letter in text)


_LATEX = {letter: f"\\{letter}" for letter in "#$%&_{}"}
_SIGNS = {"\\": "backslash", "~": "sim", "^": "wedge", "<": "lt", ">": "gt"}
_LATEX |= {letter: f"$\\{name}$" for letter, name in _SIGNS.items()}


def html_row(tag: str, cells: Sequence[str]) -> str:
    """Return one row of a table, of ``td`` or ``th``."""
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
