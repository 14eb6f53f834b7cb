"""`gradcheck list`: what a catalog holds; imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradcheck.cli.case_files import find_files, is_cases
from gradcheck.cli.catalog_folder import shown_folder
from gradcheck.cli.exit_codes import READING
from gradcheck.cli.output import emit, emit_json
from gradcheck.cli.words import counted
from gradcheck.errors import CatalogError, Problem

if TYPE_CHECKING:
    from gradcheck.catalog.case import Case


def register(app: typer.Typer) -> None:
    app.command("list", epilog=READING)(listing)


@dataclass(frozen=True, slots=True)
class Entry:
    """One case in the list; ``checks`` is counted on the CPU alone, in the case's dtypes."""

    file: str
    line: int
    case: str
    summary: str
    variants: int
    implementations: int
    checks: int
    order: int
    dtypes: tuple[str, ...]
    tags: tuple[str, ...]


def listing(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Files or folders; else the packaged catalog."),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List cases, their variants, and how many checks they make on the CPU."""
    files = [path for path in find_files(paths or [shown_folder()]) if is_cases(path)]
    entries = _entries(files)
    if as_json:
        emit_json([asdict(entry) for entry in entries])
    else:
        emit("\n".join(_table(entries)))


def _entries(files: Sequence[Path]) -> list[Entry]:
    """Errors: CatalogError with the problems of all files."""
    # The loader takes pydantic and FLINT along, which `gradcheck --help` need not wait for.
    from gradcheck.catalog.load import load, no_collection

    entries: list[Entry] = []
    problems: list[Problem] = []
    with no_collection():
        for path in files:
            try:
                entries += map(_entry, load(path, shown=str(path)))
            except CatalogError as error:
                problems += error.problems
    if problems:
        raise CatalogError(problems)
    return entries


def _entry(case: Case) -> Entry:
    from gradcheck.catalog.checks import count

    return Entry(
        file=case.where.path,
        line=case.where.line,
        case=case.name,
        summary=case.summary,
        variants=len(case.variants),
        implementations=len(case.implementations),
        checks=count(case),
        order=case.order,
        dtypes=case.dtypes,
        tags=case.tags,
    )


def _table(entries: Sequence[Entry]) -> Iterator[str]:
    width = max((len(entry.case) for entry in entries), default=0)
    for file in dict.fromkeys(entry.file for entry in entries):
        yield file
        for entry in entries:
            if entry.file == file:
                yield _row(entry, width)
        yield ""
    files = counted(len({entry.file for entry in entries}), "file")
    cases = counted(len(entries), "case")
    variants = counted(sum(entry.variants for entry in entries), "variant")
    checks = counted(sum(entry.checks for entry in entries), "check")
    yield f"{files}, {cases}, {variants}, {checks} on the CPU"


def _row(entry: Entry, width: int) -> str:
    variants = counted(entry.variants, "variant") if entry.variants > 1 else ""
    checks = counted(entry.checks, "check")
    return f"  {entry.case:{width}}  {checks:>12}  {variants:>12}  {entry.summary}".rstrip()
