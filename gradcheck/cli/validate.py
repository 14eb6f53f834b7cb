"""`gradcheck validate` and `gradcheck schema`: every problem of every file, and the format itself.

Runs nothing and imports no torch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradcheck.catalog.files import find_files, is_cases
from gradcheck.catalog.text import LISTS
from gradcheck.cli.output import (
    MEANING,
    READING,
    ExitCode,
    counted,
    emit,
    emit_json,
    epilog,
    with_examples,
)
from gradcheck.errors import CatalogError, Problem

if TYPE_CHECKING:
    from gradcheck.catalog.case import Case
    from gradcheck.catalog.load import CaseFile

_CODES = epilog(
    {
        ExitCode.OK: "no problems",
        ExitCode.BAD_FILE: "problems",
        ExitCode.BAD_USE: MEANING[ExitCode.BAD_USE],
    }
)
_SHOWN = 3
"""Functions of one module that are named; of more, the number is given."""


def register(app: typer.Typer) -> None:
    validating = with_examples(
        _CODES, "gradcheck validate cases", "gradcheck validate cases/mine.yaml --json"
    )
    printing = with_examples(
        READING,
        "gradcheck schema > gradcheck.json",
        "gradcheck schema --known-failures > gradcheck-known.json",
    )
    app.command("validate", epilog=validating, short_help="Report every problem in case files.")(
        validate_command
    )
    app.command("schema", epilog=printing, short_help="Print the case format as JSON Schema.")(
        schema_command
    )


def validate_command(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Files or folders.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the problems as JSON.")] = False,
) -> None:
    """Read case files and report every problem in them; run nothing.

    Each problem has its place, what was found, what was expected, and a fix. The list of known
    failures beside a file is read too, and answers that the formula excludes are problems.
    """
    files = _with_lists(find_files(paths))
    cases, problems = _examine(files)
    if as_json:
        emit_json([_entry(problem) for problem in problems])
    else:
        for problem in problems:
            emit(str(problem))
        for line in _unseen(cases):
            emit(line)
        emit(_summary(len(files), len(cases), problems))
    raise typer.Exit(ExitCode.BAD_FILE if problems else ExitCode.OK)


def _with_lists(files: Sequence[Path]) -> tuple[Path, ...]:
    """The files, and the known failures beside each, which speak of its cases; lists last."""
    beside = (path.with_name(name) for path in files for name in LISTS)
    every = dict.fromkeys((*files, *(path for path in beside if path.exists())))
    return tuple(sorted(every, key=lambda path: not is_cases(path)))


def _unseen(cases: Sequence[Case]) -> Iterator[str]:
    """A line for each module that the cases' own code stands in: nothing was imported."""
    modules: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        for each in case.implementations:
            if each.function:
                modules[each.function.partition(":")[0]].append(each.function)
    for module, functions in modules.items():
        names = list(dict.fromkeys(functions))
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        shown = ", ".join(names[:_SHOWN]) + more
        yield f"not looked at: {shown}; importing {module} would run its code"


def _examine(files: Sequence[Path]) -> tuple[list[Case], list[Problem]]:
    """The sound cases, and every problem."""
    # This takes FLINT along, which `gradcheck --help` need not wait for.
    from gradcheck.catalog.load import CaseFile, no_collection

    loaded: dict[Path, dict[str, tuple[Case, ...]]] = defaultdict(dict)
    sound: list[Case] = []
    problems: dict[Problem, None] = {}  # in order, and each once: two lists tell of each other
    with no_collection():
        for path in files:
            try:
                if is_cases(path):
                    file = CaseFile.at(path, str(path))
                    cases = loaded[path.parent][path.name] = file.cases()
                    _check_sound(file, cases)
                    sound += cases
                else:
                    _check_list(path, loaded[path.parent])
            except CatalogError as error:
                problems |= dict.fromkeys(error.problems)
    return sound, list(problems)


def _check_sound(file: CaseFile, cases: Sequence[Case]) -> None:
    """Errors: CatalogError where no input meets a case's conditions, and for written answers that
    its formula excludes.
    """
    from gradcheck.catalog.answers import contradicted
    from gradcheck.points.feasibility import infeasible

    found = (*file.problems(infeasible, cases), *file.problems(contradicted, cases))
    if found:
        raise CatalogError(found)


def _check_list(path: Path, loaded: Mapping[str, Sequence[Case]]) -> None:
    """Errors: CatalogError for a bad list, or for entries that match nothing in loaded files."""
    from gradcheck.catalog.known_failures import check_known, load_known

    check_known(load_known(path.parent), loaded)


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


def schema_command(
    *,
    known_failures: Annotated[
        bool, typer.Option("--known-failures", help="Of known_failures.yaml instead.")
    ] = False,
) -> None:
    """Print the case format as JSON Schema (draft-07), for editors.

    An editor with a YAML language server completes keys with it, shows what they mean, and marks
    mistakes as you type, once the first line of a file of cases names it:
    # yaml-language-server: $schema=gradcheck.json
    """
    # The tables take FLINT along, which --help need not wait for.
    from gradcheck.catalog.schema import case_schema, known_failures_schema

    emit_json(known_failures_schema() if known_failures else case_schema())
