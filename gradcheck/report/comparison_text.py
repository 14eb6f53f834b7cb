"""How a comparison of two runs reads: in a terminal, and as Markdown for a pull request."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby

from gradcheck.answer import Ruling
from gradcheck.report.causes import record_headline
from gradcheck.report.comparison import (
    WORSE,
    Change,
    ChangeKind,
    Family,
    RunComparison,
    Side,
    is_only_stale,
)
from gradcheck.report.records import Record
from gradcheck.report.table import table, to_width

_SHOWN = 8  # lines of a kind, unless all are asked for
_LISTED = 100  # in Markdown, which a pull request limits

CHANGE_MEANINGS = {
    ChangeKind.DISAGREES: "a gradient is wrong that was not",
    ChangeKind.KNOWN: "it fails as known_failures.yaml says, and did not before",
    ChangeKind.VANISHED: "only the earlier run has it",
    ChangeKind.ABSTAINS: "nothing is proved any more",
    ChangeKind.LESS_ACCURATE: "more than twice the error, beyond a few ulps",
    ChangeKind.SLOWER: "more than twice the time, and a second",
    ChangeKind.NEW: "only the later run has it",
    ChangeKind.JUDGED: "the earlier run had proved nothing",
    ChangeKind.MORE_ACCURATE: "less than half the error, beyond a few ulps",
    ChangeKind.FIXED: "it failed, and is right",
}


def conclusion(comparison: RunComparison) -> str:
    """Return the whole comparison in one line, which begins with ``worse`` where it is."""
    counts = comparison.counts
    worse = [f"{number:,} {kind.value}" for kind, number in counts.items() if kind in WORSE]
    others = [f"{number:,} {kind.value}" for kind, number in counts.items() if kind not in WORSE]
    slower = [family.file for family in comparison.families if family.is_slower]
    others += [f"{len(slower)} of the files slower as a whole"] if slower else []
    if worse:
        beside = f"; beside that {', '.join(others)}" if others else ""
        return f"worse: {', '.join(worse)}{beside}"
    return f"no worse: {', '.join(others)}" if others else "the same: nothing changed"


def comparison_text(comparison: RunComparison, *, everything: bool = False, styled: bool) -> str:
    """Return what a terminal shows; ``everything``: each check that changed, in a line of its own.

    ``styled``: in the colours of a terminal.
    """
    both = {family.file for family in comparison.families}
    parts = [
        "\n".join(_sides(comparison)),
        _verdict_table(comparison, styled=styled),
        _family_table(comparison, styled=styled),
        *(
            "\n".join(_kind_lines(kind, changes, both, everything=everything))
            for kind, changes in changes_by_kind(comparison)
        ),
        to_width(conclusion(comparison)),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts if part)


def comparison_markdown(comparison: RunComparison) -> str:
    """Return a summary for a pull request: the conclusion, tables, and each kind of change."""
    return "\n\n".join(_markdown(comparison)) + "\n"


def _sides(comparison: RunComparison) -> Iterator[str]:
    for title, side in (("before", comparison.before), ("after", comparison.after)):
        yield to_width(f"{title:8}{side.name}: {_facts(side)}", indent=8)
    for note in comparison.notes:
        yield to_width(f"{'but':8}{note}", indent=8)


def _facts(side: Side) -> str:
    return "; ".join(
        (
            f"torch {' and '.join(side.torch)}",
            ", ".join(side.devices),
            f"seed {', '.join(map(str, side.seeds))}",
            f"{side.checks:,} checks",
        )
    )


def verdict_rows(comparison: RunComparison) -> list[list[str]]:
    before, after = comparison.before, comparison.after
    rows = [["checks", f"{before.checks:,}", f"{after.checks:,}"]]
    rows.append(["in both", *[f"{comparison.matched:,}"] * 2])
    for ruling in Ruling:
        numbers = [side.verdicts[ruling.value] for side in (before, after)]
        rows += [[ruling.value, *(f"{number:,}" for number in numbers)]] if any(numbers) else []
    return rows


def _verdict_table(comparison: RunComparison, *, styled: bool) -> str:
    return table(["", ">before", ">after"], verdict_rows(comparison), styled=styled)


_FAMILY_HEADS = ("file", ">checks in both", ">seconds", "what changed")


def family_rows(comparison: RunComparison) -> list[tuple[str, str, str, str]]:
    """A row for each file in which anything changed."""
    both = {each.file: each for each in comparison.families}
    counts: dict[str, Counter[ChangeKind]] = defaultdict(Counter)
    for change in comparison.changes:
        counts[change.record.file][change.kind] += 1
    rows = []
    for file in sorted(both.keys() | counts.keys()):
        family = both.get(file, Family(file, 0, (0.0, 0.0)))
        told = [f"{counts[file][kind]:,} {kind.value}" for kind in ChangeKind if counts[file][kind]]
        told += ["slower as a whole"] if family.is_slower else []
        seconds = "{:.1f}, then {:.1f}".format(*family.seconds) if family.checks else ""
        rows += [(file, f"{family.checks:,}", seconds, "; ".join(told))] if told else []
    return rows


def _family_table(comparison: RunComparison, *, styled: bool) -> str:
    rows = family_rows(comparison)
    return table(_FAMILY_HEADS, rows, styled=styled) if rows else ""


def changes_by_kind(comparison: RunComparison) -> Iterator[tuple[ChangeKind, list[Change]]]:
    for kind, changes in groupby(comparison.changes, key=lambda change: change.kind):
        yield kind, list(changes)


def _kind_lines(
    kind: ChangeKind, changes: list[Change], both: set[str], *, everything: bool
) -> Iterator[str]:
    yield to_width(f"{kind.value}: {_checks(len(changes))} ({CHANGE_MEANINGS[kind]})", indent=2)
    groups = [[each] for each in changes] if everything else _groups(changes, both)
    cut = len(groups) if everything else _SHOWN
    for file, mine in groupby(groups[:cut], key=lambda group: group[0].record.file):
        yield f"  {file}"
        for group in mine:
            yield to_width(f"    {_name(group)}: {told_change(group[0])}", indent=6)
    if len(groups) > cut:
        yield f"  and {len(groups) - cut} more cases or files; --all lists every check"


def _groups(changes: list[Change], both: set[str]) -> list[list[Change]]:
    """The changes of each case together; those of a whole file where ``both`` runs lack it."""
    found: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        file, case = change.record.file, change.record.case
        found.setdefault((file, case if file in both else ""), []).append(change)
    return list(found.values())


def _name(group: Sequence[Change]) -> str:
    """The first check, which changed most, and how many others did."""
    name = group[0].record.id.partition("::")[2]
    return name if len(group) == 1 else f"{name} and {len(group) - 1:,} more"


def told_change(change: Change) -> str:
    """What changed in a check, from before to after."""
    before, after = change.before, change.after
    if before is None or after is None:
        return _verdict(change.record)
    if change.kind is ChangeKind.SLOWER:
        return f"{before.seconds:.2f} s, then {after.seconds:.2f} s"
    if change.kind in (ChangeKind.LESS_ACCURATE, ChangeKind.MORE_ACCURATE):
        return f"{_ulps(before)}, then {_ulps(after)}{_both_verdicts(before, after)}"
    return f"{_verdict(before)}, then {_verdict(after)}"


def _both_verdicts(before: Record, after: Record) -> str:
    return f" ({before.verdict}, then {after.verdict})" if before.verdict != after.verdict else ""


def _ulps(record: Record) -> str:
    return f"{record.ulps or 0.0:.3g} ulps"


def _verdict(record: Record) -> str:
    if record.verdict in (Ruling.AGREE, Ruling.INACCURATE):
        return record.verdict
    if is_only_stale(record):
        return "right, and still listed in known_failures.yaml"
    reason = record_headline(record).partition("\n")[0]
    return f"{record.verdict}: {reason}"


def _checks(number: int) -> str:
    return f"{number:,} check{'' if number == 1 else 's'}"


def _markdown(comparison: RunComparison) -> Iterator[str]:
    yield f"### Gradients compared: {_escaped(conclusion(comparison))}"
    yield "\n".join(
        f"- {title}: {_code(side.name)}, {_escaped(_facts(side))}"
        for title, side in (("before", comparison.before), ("after", comparison.after))
    )
    if comparison.notes:
        yield "\n".join(f"- but {_escaped(note)}" for note in comparison.notes)
    yield _markdown_table(["", "before", "after"], verdict_rows(comparison))
    if rows := family_rows(comparison):
        yield _markdown_table([head.removeprefix(">") for head in _FAMILY_HEADS], rows)
    both = {family.file for family in comparison.families}
    for kind, changes in changes_by_kind(comparison):
        groups = _groups(changes, both)[:_LISTED]
        listed = [f"- {_code(_name(group))}: {_escaped(told_change(group[0]))}" for group in groups]
        title = f"{kind.value}: {_checks(len(changes))}, {CHANGE_MEANINGS[kind]}"
        yield f"<details><summary>{title}</summary>\n\n" + "\n".join(listed) + "\n\n</details>"


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    ruler = ["---", *["--:"] * (len(heads) - 1)]
    lines = [heads, ruler, *([_escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_SIGNS = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_{}[]<>#|~"} | {"\n": " "})


def _escaped(text: str) -> str:
    """The text as Markdown prints it, whatever is in it."""
    return text.translate(_SIGNS)


def _code(text: str) -> str:
    """The text as code; a name with backquotes is plain text, escaped."""
    plain = text.replace("\n", " ")
    return _escaped(plain) if "`" in plain else f"`{plain}`"
