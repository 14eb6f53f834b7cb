"""A summary of some results for a pull request, in the Markdown that code hosts read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from gradcheck.report.causes import Cause
from gradcheck.report.overview import MEANINGS, Overview, dtypes_of, title, worst_ulps
from gradcheck.report.records import shorten

_MOST_CAUSES = 20
_MOST_BLOCKS = 5
_MOST_REASONS = 8
_LEAST_ACCURATE = 5
_LONG = 160  # letters of a reason


def markdown(overview: Overview) -> str:
    """Return the summary: counts, failures by cause, accuracy, and what was not tested."""
    return "\n".join(_lines(overview)) + "\n"


def _lines(overview: Overview) -> Iterator[str]:
    yield f"## {'❌' if overview.causes else '✅'} gradcheck: {_plain(title(overview))}"
    yield ""
    devices = sorted({f"{each.device} ({each.device_name})" for each in overview.records})
    yield _plain(
        f"{len(overview.cases):,} cases, {overview.entries:,} gradient entries judged; "
        f"torch {', '.join(overview.releases)} on {', '.join(devices)}."
    )
    yield ""
    counts = [(ruling, number) for ruling, number in overview.counts.items() if number]
    rows = [(f"{number:,}", ruling.value, MEANINGS[ruling]) for ruling, number in counts]
    yield from _table(("checks", "verdict", "meaning"), rows)
    yield from _causes(overview.causes)
    yield from _accuracy(overview)
    yield from _untested(overview)
    if overview.faults:
        yield from ("", "### Not read", "")
        yield from (f"- {_plain(f'{each.place}: {each.found}')}" for each in overview.faults)


def _causes(causes: Sequence[Cause]) -> Iterator[str]:
    if not causes:
        return
    yield from ("", "### Failures, by cause", "")
    for cause in causes[:_MOST_CAUSES]:
        record, count = cause.telling.record, len(cause.others) + 1
        checks = f"{count} check{'' if count == 1 else 's'}"
        place = f"{record.file}:{record.line}"
        yield f"- **{_plain(record.case)}**: {_plain(cause.headline)} ({checks}, {_code(place)})"
    if len(causes) > _MOST_CAUSES:
        yield f"- and {len(causes) - _MOST_CAUSES} more causes"
    for cause in [each for each in causes if each.telling.block][:_MOST_BLOCKS]:
        record = cause.telling.record
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", record.block)), default=0))
        yield from ("", f"<details><summary>{_in_html(record.id)}</summary>", "")
        yield from (f"{fence}text", record.block, fence, "", "</details>")


def _accuracy(overview: Overview) -> Iterator[str]:
    found = overview.least_accurate
    if not found:
        return
    yield from ("", "### Accuracy of what passes", "")
    rows = []
    for dtype in dtypes_of(found):
        ranked = [each for each in found if each.dtype == dtype][:_LEAST_ACCURATE]
        told = ", ".join(f"{_code(each.case)} {worst_ulps(each):.3g}" for each in ranked)
        rows.append((dtype, told))
    yield from _table(("dtype", "least accurate, in ulps"), rows, plain=False)


def _untested(overview: Overview) -> Iterator[str]:
    if not overview.untested:
        return
    yield from ("", "### Not tested, and why", "")
    for each in overview.untested[:_MOST_REASONS]:
        yield f"- {len(each.ids):,} × {_plain(f'{each.witness}: {shorten(each.reason, _LONG)}')}"
    rest = overview.untested[_MOST_REASONS:]
    if rest:
        yield f"- {sum(len(each.ids) for each in rest):,} × for {len(rest)} other reasons"


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, plain: bool = True
) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _ in heads)} |"
    for row in rows:
        yield f"| {' | '.join(map(_plain, row) if plain else row)} |"


_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~!&@$])")


def _plain(text: str) -> str:
    """A text that is no markup, no link and no mention, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split())).replace("\\@", "&#64;")


def _in_html(text: str) -> str:
    """A text within an element, where Markdown has no say."""
    return escape(" ".join(text.split())).replace("@", "&#64;")


def _code(text: str) -> str:
    """A text as code; one with a backtick is escaped instead."""
    line = " ".join(text.split())
    return _plain(line) if "`" in line or "|" in line else f"`{line}`"
