"""What several commands take: PATHs, NAME=VALUE pairs, and a case that is declared by them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradcheck.catalog.files import complete_target, find_files, is_cases, no_case, target_of
from gradcheck.errors import CatalogError, Problem, UsageError
from gradcheck.implementations.trust import ProjectModules

if TYPE_CHECKING:
    from gradcheck.catalog.case import Case

_KINDS = ("positive_definite", "symmetric", "invertible", "lower_triangular", "orthogonal")
_NEXT_PAIR = re.compile(r",(?=\s*[A-Za-z_]\w*\s*=(?!=))")


Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH",
        help="Files, folders, FILE::CASE or CASE; else the packaged catalog.",
        autocompletion=complete_target,
    ),
]


def cases_of(paths: Sequence[str]) -> list[Case]:
    """The cases that the paths mean, file by file.

    Errors: CatalogError with the problems of all files; UsageError for what is no path, file or
            case.
    """
    # The loader takes FLINT along, which `gradcheck --help` need not wait for.
    from gradcheck.catalog.load import load, no_collection

    found: list[Case] = []
    problems: list[Problem] = []
    with no_collection():
        for path, names in _chosen(paths).items():
            try:
                cases = {case.name: case for case in load(path, shown=str(path))}
            except CatalogError as error:
                problems += error.problems
                continue
            for name in sorted(names - cases.keys()):
                raise no_case(path, name, cases)
            found += [case for name, case in cases.items() if not names or name in names]
    if problems:
        raise CatalogError(problems)
    return found


def _chosen(paths: Sequence[str]) -> dict[Path, set[str]]:
    """The files, and of each the cases that are named; all of them where none is."""
    chosen: dict[Path, set[str]] = {}
    for path, name in map(target_of, paths):
        if not name:
            chosen.update((file, set()) for file in find_files([str(path)]) if is_cases(file))
        elif chosen.get(path) != set():
            chosen.setdefault(path, set()).add(name.partition("[")[0])
    return chosen


def pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE pairs; one text may hold several, separated by commas.

    Errors: UsageError for what is no pair, and for a name that comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        for part in _NEXT_PAIR.split(text):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not (name and equals and value):
                raise UsageError(
                    f"{option} {part}: no value for a name", "NAME=VALUE", f"write {option} x=..."
                )
            if name in found:
                raise UsageError(
                    f"{option} {part}: {name} for the second time",
                    "each name once",
                    "remove one of them",
                )
            found[name] = value
    return found


def input_of(text: str) -> Any:
    """An input as the case format declares it, from DOMAIN, DOMAIN:SHAPE or KIND:SHAPE.

    ``real:3,3`` is the domain real and the shape [3, 3].
    """
    domain, colon, shape = text.rpartition(":")
    if not colon:
        domain, shape = text, ""
    sizes = [size.strip() for size in shape.split(",") if size.strip()]
    if not all(size.isascii() and size.isdigit() and len(size) < 6 for size in sizes):
        raise UsageError(
            f"--input ...={text}: {shape!r} is no shape",
            "dimensions separated by commas after the colon",
            "write --input A=real:3,3",
        )
    word = domain.strip() or "real"
    key = "kind" if word in _KINDS else "domain"
    return {key: word, "shape": [int(size) for size in sizes]}


def typed_constant(name: str, text: str) -> Any:
    """A number, a boolean or nested lists of them, exactly as written.

    Errors: UsageError for anything else.
    """
    words = re.sub(r"\b(True|False)\b", lambda match: match[0].lower(), text)
    words = re.sub(r"(?<![\w.])\.(?=\d)", "0.", words)  # JSON has no .5
    try:
        value = json.loads(words, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse)
        return value if _is_data(value) else _refuse(text)
    except (ValueError, RecursionError, ArithmeticError):
        raise UsageError(
            f"--constant {name}={text[:40]}: not a constant",
            "a number, true, false, or nested lists of them",
            "write --constant k=3 or --constant 'index=[[0, 2], [1, 0]]'",
        ) from None


def _is_data(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_data, value))
    return isinstance(value, (bool, Decimal))


def _refuse(text: str) -> Any:
    raise ValueError(text)


SHOWN = "<command line>"
LABELS = {
    "formula": "FORMULA",
    "inputs": "--input",
    "torch": "--torch",
    "function": "--function",
    "where": "--where",
    "let": "--let",
    "constants": "--constant",
    "order": "--order",
    "points": "--at",
}


class CommandLineError(CatalogError):
    """What is declared on the command line is no case; bad use, and no bad file."""


Torch = Annotated[
    list[str] | None,
    typer.Option(metavar="CODE", help="PyTorch code on trial; repeatable. Else the formula's own."),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="NAME=DOMAIN[:SHAPE]", help="Such as x=real, 'A=real:3,3'."),
]
Conditions = Annotated[
    list[str] | None, typer.Option(metavar="CONDITION", help="A joint constraint.")
]
Let = Annotated[list[str] | None, typer.Option(metavar="NAME=EXPRESSION", help="In order.")]
Constants = Annotated[
    list[str] | None, typer.Option("--constant", metavar="NAME=DATA", help="Such as k=3.")
]
Function = Annotated[
    list[str] | None, typer.Option(metavar="MODULE:NAME", help="Your own code on trial.")
]


def _look_in_current_folder(context: typer.Context, trusted: list[str] | None) -> list[str] | None:
    """Find modules in the current folder too, as `gradcheck run` does, while the command runs."""
    if trusted:
        context.with_resource(ProjectModules(Path.cwd()).in_use())
    return trusted


Trust = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODULE",
        help="A module that may be imported, from the current folder too.",
        callback=_look_in_current_folder,
    ),
]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Order = Annotated[int, typer.Option(metavar="N", min=1, max=3, help="The highest derivative.")]
Devices = Annotated[str, typer.Option("--device", metavar="LIST", help="auto, or cpu,cuda:1.")]
Dtypes = Annotated[str, typer.Option("--dtype", metavar="LIST", help="Such as float64,float32.")]
Witnesses = Annotated[
    str, typer.Option("--witness", metavar="LIST", help="Such as reverse,forward.")
]
PointCount = Annotated[int, typer.Option(metavar="N", min=1, max=1_000_000, help="Drawn points.")]
Seed = Annotated[int, typer.Option(metavar="N", min=0, max=2**32 - 1, help="Of the drawn points.")]


def typed_keys(
    *,
    inputs: Sequence[str] | None,
    constants: Sequence[str] | None = None,
    let: Sequence[str] | None = None,
    **others: Any,
) -> dict[str, Any]:
    """The keys of a case, from options as they were typed; what was not given is left out.

    Errors: UsageError for options that are no pairs.
    """
    given = pairs("--constant", constants or ()).items()
    keys = {
        "inputs": {name: input_of(text) for name, text in pairs("--input", inputs or ()).items()},
        "constants": {name: typed_constant(name, text) for name, text in given},
        "let": pairs("--let", let or ()),
        **others,
    }
    return {key: value for key, value in keys.items() if value}


def case_of_keys(keys: dict[str, Any], trusted: Sequence[str] = (), *, name: str = "") -> Case:
    """The case, read by the catalog's own loader; ``name`` is what was typed, if anything was.

    Errors: CommandLineError for what the format refuses, UsageError for untrusted code.
    """
    # The loader takes FLINT along, which --help need not wait for.
    from gradcheck.catalog.inline import case_of
    from gradcheck.implementations.trust import refuse_untrusted

    try:
        if name:
            case = case_of(keys, shown=SHOWN, labels={"": "NAME", **LABELS}, name=name)
        else:
            case = case_of(keys, shown=SHOWN, labels=LABELS)
    except CatalogError as error:
        raise CommandLineError(error.problems) from None
    refuse_untrusted(case.implementations, trusted)
    return case
