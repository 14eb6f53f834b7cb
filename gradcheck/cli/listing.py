"""`gradcheck list`: what a catalog holds; imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gradcheck.catalog.files import shown_folder
from gradcheck.cli.arguments import Paths, cases_of
from gradcheck.cli.output import READING, counted, emit, emit_json, with_examples

if TYPE_CHECKING:
    from gradcheck.catalog.case import Case


def register(app: typer.Typer) -> None:
    examples = with_examples(
        READING,
        "gradcheck list",
        "gradcheck list tutorial.yaml",
        "gradcheck list cases --json",
    )
    app.command("list", epilog=examples, short_help="List cases and how many checks they make.")(
        listing
    )


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
    paths: Paths = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List cases, their variants, and how many checks they make on the CPU.

    Without a PATH these are the cases of the packaged catalog. Nothing is run.
    """
    entries = [_entry(case) for case in cases_of(paths or [shown_folder()])]
    if as_json:
        emit_json([asdict(entry) for entry in entries])
    else:
        emit("\n".join(_table(entries)))


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
