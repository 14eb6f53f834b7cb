"""`gradcheck list`: what a catalog holds; imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradcheck.catalog.files import find_files, is_cases, no_case, shown_folder, target_of
from gradcheck.cli.output import READING, counted, emit, emit_json
from gradcheck.errors import CatalogError, Problem

if TYPE_CHECKING:
    from gradcheck.catalog.case import Case


def register(app: typer.Typer) -> None:
    app.command("list", epilog=READING)(listing)


@dataclass(frozen=True, slots=True)
class ListedCase:
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
        typer.Argument(
            metavar="PATH", help="Files, folders, FILE::CASE or CASE; else the packaged catalog."
        ),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List cases, their variants, and how many checks they make on the CPU."""
    entries = _entries(_chosen(paths or [shown_folder()]))
    if as_json:
        emit_json([asdict(entry) for entry in entries])
    else:
        emit("\n".join(_table(entries)))


def _chosen(paths: Sequence[str]) -> dict[Path, set[str]]:
    """The files, and of each the cases that are named; all of them where none is.

    Errors: UsageError for what is no path, file or case.
    """
    chosen: dict[Path, set[str]] = {}
    for path, name in map(target_of, paths):
        if not name:
            chosen.update((file, set()) for file in find_files([str(path)]) if is_cases(file))
        elif chosen.get(path) != set():
            chosen.setdefault(path, set()).add(name.partition("[")[0])
    return chosen


def _entries(chosen: Mapping[Path, set[str]]) -> list[ListedCase]:
    """The cases that are meant.

    Errors: CatalogError with the problems of all files; UsageError for a case that is not there.
    """
    # The loader takes FLINT along, which `gradcheck --help` need not wait for.
    from gradcheck.catalog.load import load, no_collection

    entries: list[ListedCase] = []
    problems: list[Problem] = []
    with no_collection():
        for path, names in chosen.items():
            try:
                cases = {case.name: case for case in load(path, shown=str(path))}
            except CatalogError as error:
                problems += error.problems
                continue
            for name in sorted(names - cases.keys()):
                raise no_case(path, name, cases)
            entries += [_entry(case) for name, case in cases.items() if not names or name in names]
    if problems:
        raise CatalogError(problems)
    return entries


def _entry(case: Case) -> ListedCase:
    from gradcheck.catalog.checks import count

    return ListedCase(
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


def _table(entries: Sequence[ListedCase]) -> Iterator[str]:
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


def _row(entry: ListedCase, width: int) -> str:
    variants = counted(entry.variants, "variant") if entry.variants > 1 else ""
    checks = counted(entry.checks, "check")
    return f"  {entry.case:{width}}  {checks:>12}  {variants:>12}  {entry.summary}".rstrip()
