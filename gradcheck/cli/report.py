"""`gradcheck report`: one page, summary or log from the results of any number of runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradcheck.cli.output import READING, complain, counted, emit, json_ready, with_examples
from gradcheck.errors import UsageError

if TYPE_CHECKING:
    from gradcheck.report.overview import Overview

_PAGE = "report.html"
_SECONDS = 20.0
"""What writing derivatives down may take: a thousand cases need about half of it."""


def register(app: typer.Typer) -> None:
    examples = with_examples(
        READING,
        "gradcheck report out/",
        "gradcheck report cpu/ cuda/ -o both.html",
        "gradcheck report out/ --markdown",
    )
    app.command("report", epilog=examples, short_help="Make a page of results.")(report_command)


def report_command(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULTS", help="Files of results, or folders of --report."),
    ],
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to write; - is the screen.")
    ] = "",
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Write a summary for a pull request.")
    ] = False,
    sarif: Annotated[
        bool, typer.Option("--sarif", help="Write failures as SARIF 2.1.0, for code hosts.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write what the page says as JSON.")
    ] = False,
) -> None:
    """Make one page from the results of any number of runs and machines.

    The page is report.html unless -o names another file; it needs no network. A summary, SARIF or
    JSON goes to the screen. Lines that are no results are named, and the rest is used.
    """
    chosen = [name for name, on in (("--markdown", markdown), ("--sarif", sarif),
                                    ("--json", as_json)) if on]  # fmt: skip
    if len(chosen) > 1:
        raise UsageError(" and ".join(chosen), "one of them", "call the command once for each")
    from gradcheck.report.overview import Overview  # with FLINT, for which --help need not wait
    from gradcheck.report.records import read_all

    overview = Overview(read_all(results))
    for fault in overview.faults:
        complain(str(fault))
    text = _FORMS[chosen[0] if chosen else ""](overview)
    target = output or ("-" if chosen else _PAGE)
    if target == "-":
        emit(text.rstrip("\n"))
    else:
        _write(text, Path(target))
        checks, size = counted(len(overview.records), "check"), len(text.encode()) / 1e6
        emit(f"{target}: {counted(len(overview.cases), 'case')}, {checks}, {size:.1f} MB")


def _as_page(overview: Overview) -> str:
    from gradcheck.report.page import page

    return page(overview, seconds=_SECONDS, now=datetime.now(UTC))


def _as_markdown(overview: Overview) -> str:
    from gradcheck.report.markdown import markdown

    return markdown(overview)


def _as_sarif(overview: Overview) -> str:
    from gradcheck.report.sarif import sarif

    return json.dumps(sarif(overview), ensure_ascii=False, indent=2)


def _as_json(overview: Overview) -> str:
    from gradcheck.report.overview import overview_json

    return json.dumps(
        json_ready(overview_json(overview)), ensure_ascii=False, indent=2, allow_nan=False
    )


_FORMS: dict[str, Callable[[Any], str]] = {
    "": _as_page,
    "--markdown": _as_markdown,
    "--sarif": _as_sarif,
    "--json": _as_json,
}


def _write(text: str, path: Path) -> None:
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}",
            "a file that can be written",
            "name another file with -o",
        ) from None
