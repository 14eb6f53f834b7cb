"""The page of some results: one file of HTML that asks nothing of the network.

All that is there is in the HTML, so that it reads without scripts; the script sorts and filters.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gradcheck.answer import Ruling
from gradcheck.report.causes import Cause
from gradcheck.report.error_chart import error_chart
from gradcheck.report.failure_text import format_value
from gradcheck.report.mathematics import asked, equations
from gradcheck.report.overview import (
    MEANINGS,
    Overview,
    dtypes_of,
    family,
    release_rank,
    title,
    witnesses_of,
    worst_ulps,
    worst_verdict,
)
from gradcheck.report.records import Record, Results, read, read_all, shorten, version

_HERE = Path(__file__).parent
_MOST_BLOCKS = 200
_MOST_WORST = 3
_MOST_OF_LEAGUE = 250
_LONG = 120  # letters of an input
_FEW = 4


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the matrix: what a check is asked by, where and in which dtype."""

    witness: str
    dtype: str
    device: str
    release: str

    @classmethod
    def of(cls, record: Record) -> Column:
        return cls(record.witness, record.dtype, record.device, record.torch)


@dataclass(frozen=True, slots=True)
class Cell:
    """What the checks of a case in a column came to; ``cause`` is the number of a failure's."""

    verdict: str
    cause: int | None
    count: int


@dataclass(frozen=True, slots=True)
class WorstEntry:
    """One of a case's worst entries, as it reads."""

    record: Record
    at: str


@dataclass(frozen=True, slots=True)
class CaseView:
    """What the page shows of a case."""

    number: int
    records: list[Record]
    cells: list[Cell | None]
    grid: list[tuple[str, list[tuple[str, str] | None]]]
    witnesses: list[str]
    dtypes: list[str]
    equations: list[Markup]
    chart: Markup
    worst_entries: list[WorstEntry]

    @property
    def first(self) -> Record:
        return self.records[0]

    @property
    def verdict(self) -> Ruling:
        return worst_verdict(self.records)

    @property
    def ulps(self) -> float:
        return max(map(worst_ulps, self.records))

    @property
    def seconds(self) -> float:
        return math.fsum(each.seconds for each in self.records)


def page(overview: Overview, *, seconds: float, now: datetime) -> str:
    """Return the page; ``seconds`` are what writing derivatives down may take."""
    wanted = {key: asked(records) for key, records in overview.cases.items()}
    known = equations(filter(None, wanted.values()), seconds)
    causes = {id(each): k for k, cause in enumerate(overview.causes) for each in _failed(cause)}
    columns = _columns(overview.records)
    views = [
        _view(number, records, columns, causes, known.get(wanted[key] or (), []))
        for number, (key, records) in enumerate(overview.cases.items())
    ]
    style, script = (page_source(name) for name in ("page.css", "page.js"))
    return (
        page_environment()
        .get_template("page.html")
        .render(
            overview=overview,
            command="report",
            title=title(overview),
            places=_places(overview),
            bar=_bar(overview),
            failed=sum(len(_failed(cause)) for cause in overview.causes),
            commands=[_command(cause.telling.block) for cause in overview.causes],
            columns=columns,
            groups=[(name, len(list(group))) for name, group in groupby(columns, _witness)],
            views=views,
            letters=_LETTERS,
            signs=_SIGNS,
            meanings=MEANINGS,
            most_blocks=_MOST_BLOCKS,
            most_of_league=_MOST_OF_LEAGUE,
            numbers={(view.first.file, view.first.case): view.number for view in views},
            families=sorted({family(each.file) for each in overview.records}),
            several_devices=len(overview.devices) > 1,
            several_releases=len(overview.releases) > 1,
            style=Markup(style),
            script=Markup(script),
            policy=content_policy(style, script),
            left_out=sum(each is not None and each not in known for each in wanted.values()),
            written=f"{now:%Y-%m-%d %H:%M} UTC",
            version=version("gradcheck"),
        )
    )


_LETTERS = {"agree": "a", "abstain": "n", "known": "k", "inaccurate": "i", "disagree": "d"}
"""The class of each verdict in the page: 20,000 cells have one."""


_SIGNS = {"agree": "", "abstain": "", "known": "k ", "inaccurate": "≈ ", "disagree": "✗ "}
"""What stands before an error, so that colour is not all that tells a verdict."""


def _places(overview: Overview) -> str:
    """Where it was run, in short."""
    devices = sorted({f"{each.device} ({each.device_name})" for each in overview.records})
    few = devices if len(devices) <= _FEW else [*devices[:_FEW], f"{len(devices) - _FEW} more"]
    return f"torch {', '.join(overview.releases)} on {', '.join(few)}"


def _bar(overview: Overview) -> list[tuple[str, str, str]]:
    """Each verdict, where its part of the bar begins, and how wide it is, of 1,000."""
    found, start, total = [], 0.0, len(overview.records)
    for ruling, number in overview.counts.items():
        width = 1000 * number / total
        found.append((ruling.value, f"{start:.1f}", f"{width:.1f}"))
        start += width
    return found


_COMMAND = re.compile(r"^to run just this:\n  (.+)$", re.MULTILINE)


def _command(block: str) -> str:
    found = _COMMAND.search(block)
    return found[1] if found else ""


def _witness(column: Column) -> str:
    return column.witness


def write_page(path: Path, earlier: Sequence[Record] = ()) -> Path:
    """Write the page of a run, whose results are in a file, beside it; return where it is.

    Its derivatives are written down as long as a run can wait. A page that is there already is
    replaced as a whole. ``earlier`` records are those that the run took over.

    Errors: OSError where it cannot be written; UsageError where there is no record at all.
    """
    results = read_all([path]) if not earlier else _joined(path, earlier)
    target = path.with_name(_PAGE)
    text = page(Overview(results), seconds=_SECONDS_OF_A_RUN, now=datetime.now(UTC))
    unfinished = path.with_suffix(".html")
    try:
        unfinished.write_text(text, "utf-8", "backslashreplace", "\n")
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


_PAGE = "report.html"
_SECONDS_OF_A_RUN = 2.0


def _joined(path: Path, earlier: Sequence[Record]) -> Results:
    return Results({"earlier results": tuple(earlier), str(path): tuple(read(path))}, ())


def _failed(cause: Cause) -> list[Record]:
    return [failure.record for failure in (cause.telling, *cause.others)]


def _columns(records: Sequence[Record]) -> list[Column]:
    witnesses, dtypes = witnesses_of(records), dtypes_of(records)
    return sorted(
        {Column.of(record) for record in records},
        key=lambda each: (
            witnesses.index(each.witness),
            dtypes.index(each.dtype),
            each.device != "cpu",
            each.device,
            release_rank(each.release),
        ),
    )


def _view(
    number: int,
    records: list[Record],
    columns: Sequence[Column],
    causes: dict[int, int],
    written: Sequence[str],
) -> CaseView:
    by_column: defaultdict[Column, list[Record]] = defaultdict(list)
    for record in records:
        by_column[Column.of(record)].append(record)
    by_dtype = {
        dtype: [each for each in records if each.dtype == dtype] for dtype in dtypes_of(records)
    }
    return CaseView(
        number=number,
        records=records,
        cells=[
            _cell(by_column[column], causes) if column in by_column else None for column in columns
        ],
        grid=_grid(records),
        witnesses=witnesses_of(records),
        dtypes=[dtype for dtype, found in by_dtype.items() if any(e.errors for e in found)],
        equations=[Markup(each) for each in written],
        chart=Markup(error_chart(by_dtype)),
        worst_entries=_worst_entries(records),
    )


def _cell(records: list[Record], causes: dict[int, int]) -> Cell:
    known = (causes[id(each)] for each in records if id(each) in causes)
    return Cell(worst_verdict(records).value, next(known, None), len(records))


def _grid(records: Sequence[Record]) -> list[tuple[str, list[tuple[str, str] | None]]]:
    """A row for each code on trial, dtype and place: by witness the verdict and the error."""
    witnesses = witnesses_of(records)
    rows: dict[tuple[str, ...], dict[str, Record]] = defaultdict(dict)
    for each in records:
        where = each.variant, each.implementation, each.dtype, each.device, each.torch
        rows[where][each.witness] = each
    shown = _varying(list(rows))
    return [
        (
            " · ".join(part for part, varies in zip(where, shown, strict=True) if varies and part),
            [_figure(found[name]) if name in found else None for name in witnesses],
        )
        for where, found in rows.items()
    ]


def _varying(keys: Sequence[tuple[str, ...]]) -> list[bool]:
    """Which parts tell the rows apart; the dtype is always told."""
    return [
        place == 2 or len(set(parts)) > 1 for place, parts in enumerate(zip(*keys, strict=True))
    ]


def _figure(record: Record) -> tuple[str, str]:
    return record.verdict, _number(record.ulps) if record.ulps is not None else "–"


def _worst_entries(records: Sequence[Record]) -> list[WorstEntry]:
    judged = [each for each in records if each.at is not None and each.true is not None]
    ranked = sorted(judged, key=lambda each: (-Ruling(each.verdict).severity, -worst_ulps(each)))
    found: dict[str, WorstEntry] = {}
    for each in ranked:
        at = _point(each.at or {})
        found.setdefault(f"{each.index} {at} {each.dtype}", WorstEntry(each, at))
    return list(found.values())[:_MOST_WORST]


def _point(at: dict[str, Any]) -> str:
    text = ", ".join(f"{name} = {_value(value)}" for name, value in at.items())
    return shorten(text, _LONG)


def _value(value: Any) -> str:
    """Numbers as a case says them; a complex one is a text in a record already."""
    try:
        return format_value(value)
    except (TypeError, ValueError):
        return f"[{', '.join(map(_value, value))}]" if isinstance(value, list) else str(value)


# how values read on the page


@cache
def page_environment() -> Environment:
    made = Environment(
        autoescape=True,
        loader=FileSystemLoader(_HERE),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_visible,
    )
    made.filters |= {
        "number": _number,
        "count": "{:,}".format,
        "family": family,
        "short": shorten,
        "duration": _duration,
    }
    return made


def _visible(value: Any) -> Any:
    """A text whose control characters and marks of direction are shown, not obeyed."""
    if isinstance(value, str) and not isinstance(value, Markup) and _UNSEEN.search(value):
        return "".join(
            f"\\u{ord(letter):04x}" if unicodedata.category(letter) in _CONTROLS
            and letter not in "\n\t" else letter for letter in value
        )  # fmt: skip
    return value


_UNSEEN = re.compile(r"[^\n\t\x20-\x7e\u00a1-\u024f\u0370-\u03ff\u2100-\u22ff]")
_CONTROLS = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _number(number: float | None) -> str:
    """Three digits at most, as people read them; nothing of what a record does not say."""
    if number is None:
        return ""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "∞"
    if number and not 0.01 <= abs(number) < 1e4:
        return f"{number:.1e}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.2g}"


def _duration(seconds: float) -> str:
    if seconds >= 120:
        return f"{seconds / 60:,.1f} min"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


@cache
def page_source(name: str) -> str:
    return (_HERE / name).read_text("utf-8").strip()


def content_policy(style: str, script: str = "") -> str:
    """Return what a page may load: nothing but its own style and script."""
    scripts = f"; script-src '{_hash(script)}'" if script else ""
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'{scripts}"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
