"""`gradcheck validate`: every problem of every file; runs nothing and imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gradcheck.cli.case_files import find_files, is_cases
from gradcheck.cli.exit_codes import MEANING, ExitCode, epilog
from gradcheck.cli.output import emit, emit_json
from gradcheck.cli.words import counted
from gradcheck.errors import CatalogError, Problem

_CODES = epilog(
    {
        ExitCode.OK: "no problems",
        ExitCode.BAD_FILE: "problems",
        ExitCode.BAD_USE: MEANING[ExitCode.BAD_USE],
    }
)


def register(app: typer.Typer) -> None:
    app.command("validate", epilog=_CODES)(validate)


def validate(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Files or folders.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the problems as JSON.")] = False,
) -> None:
    """Read case files and report every problem in them; run nothing."""
    files = find_files(paths)
    cases, problems = _examine(files)
    if as_json:
        emit_json([_entry(problem) for problem in problems])
    else:
        for problem in problems:
            emit(str(problem))
        emit(_summary(len(files), cases, problems))
    raise typer.Exit(ExitCode.BAD_FILE if problems else ExitCode.OK)


def _examine(files: Sequence[Path]) -> tuple[int, list[Problem]]:
    """How many sound cases there are, and every problem."""
    cases = 0
    problems: list[Problem] = []
    for path in files:
        try:
            cases += _sound(path)
        except CatalogError as error:
            problems += error.problems
    return cases, problems


def _sound(path: Path) -> int:
    """How many cases a file holds. Errors: CatalogError with all its problems."""
    # These take pydantic and FLINT along, which `gradcheck --help` need not wait for.
    from gradcheck.catalog.known import load_known
    from gradcheck.catalog.load import load
    from gradcheck.inputs.reach import unreachable

    if not is_cases(path):
        load_known(path.parent)
        return 0
    cases = load(path, shown=str(path))
    found = unreachable(cases)
    if found:
        raise CatalogError(found)
    return len(cases)


def _entry(problem: Problem) -> dict[str, object]:
    where = problem.where
    return {
        "file": where.path,
        "line": where.line,
        "column": where.column,
        "found": problem.found,
        "expected": problem.expected,
        "fix": problem.fix,
    }


def _summary(files: int, cases: int, problems: Sequence[Problem]) -> str:
    read = counted(files, "file")
    if not problems:
        return f"{read}, {counted(cases, 'case')}: no problems"
    bad = len({problem.where.path for problem in problems})
    return f"{counted(len(problems), 'problem')} in {bad} of {read}"
