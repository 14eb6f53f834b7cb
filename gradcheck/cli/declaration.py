"""A case that is declared on the command line: the options that declare it, and the case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradcheck.cli.choices import constant, declared, pairs
from gradcheck.errors import CatalogError, UsageError

if TYPE_CHECKING:
    from gradcheck.catalog.case import Case, Implementation

SHOWN = "<command line>"
_LABELS = {
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
Where = Annotated[list[str] | None, typer.Option(metavar="CONDITION", help="A joint constraint.")]
Let = Annotated[list[str] | None, typer.Option(metavar="NAME=EXPRESSION", help="In order.")]
Constants = Annotated[
    list[str] | None, typer.Option("--constant", metavar="NAME=DATA", help="Such as k=3.")
]
Function = Annotated[
    list[str] | None, typer.Option(metavar="MODULE:NAME", help="Your own code on trial.")
]
Trust = Annotated[
    list[str] | None, typer.Option(metavar="MODULE", help="A module that --function may import.")
]


def keys_of(
    formula: str,
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
        "formula": formula,
        "inputs": {name: declared(text) for name, text in pairs("--input", inputs or ()).items()},
        "constants": {name: constant(name, text) for name, text in given},
        "let": pairs("--let", let or ()),
        **others,
    }
    return {key: value for key, value in keys.items() if value}


def case_of_keys(keys: dict[str, Any], trusted: Sequence[str] = ()) -> Case:
    """The case, read by the catalog's own loader.

    Errors: CommandLineError for what the format refuses, UsageError for untrusted code.
    """
    # The loader takes pydantic and FLINT along, which --help need not wait for.
    from gradcheck.catalog.inline import case_of

    try:
        case = case_of(keys, shown=SHOWN, labels=_LABELS)
    except CatalogError as error:
        raise CommandLineError(error.problems) from None
    refuse_untrusted(case.implementations, trusted)
    return case


def refuse_untrusted(implementations: Sequence[Implementation], trusted: Sequence[str]) -> None:
    """Errors: UsageError for code that would be imported, and may not be."""
    from gradcheck.implementations.trust import refusal

    for each in implementations:
        reason = refusal(each.function, trusted) if each.function else None
        if reason:
            raise UsageError(
                f"the function {each.function} is not trusted", "a module that you trust", reason
            )
