"""`gradcheck explain`: a function at one point, and what every witness says of it there."""

from __future__ import annotations

from typing import Annotated

import typer

from gradcheck.cli.arguments import Constants, Function, Inputs, Let, Torch, Trust, pairs
from gradcheck.cli.files import complete_case
from gradcheck.cli.output import READING, emit, emit_json
from gradcheck.devices import choose_one

CaseOrFormula = Annotated[
    str,
    typer.Argument(
        metavar="CASE|FORMULA",
        help="A case of the packaged catalog, FILE.yaml::CASE, or a formula.",
        autocompletion=complete_case,
    ),
]
At = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="Such as x=3; repeatable.")
]
OneDtype = Annotated[str, typer.Option(metavar="NAME", help="float64 or float32.")]
OneDevice = Annotated[str, typer.Option(metavar="NAME", help="Such as cpu or cuda:0.")]
Which = Annotated[
    int, typer.Option("--implementation", min=0, help="Which of several is on trial, from 0.")
]


def register(app: typer.Typer) -> None:
    app.command("explain", epilog=READING)(explain_command)


def explain_command(  # noqa: PLR0913 - one argument an option, as typer reads them
    case: CaseOrFormula,
    *,
    at: At = None,
    torch: Torch = None,
    inputs: Inputs = None,
    let: Let = None,
    constants: Constants = None,
    function: Function = None,
    trust: Trust = None,
    implementation: Which = 0,
    dtype: OneDtype = "float64",
    device: OneDevice = "cpu",
    graph: Annotated[
        bool, typer.Option("--graph", help="Add the backward graph, node by node.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Print each witness's every number, and all formulas.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Show value, derivatives, and what every witness says of them, at one point."""
    # The loader takes FLINT along, which --help need not wait for.
    from gradcheck.cli.request import Request, check_of

    request = Request(
        subject=case,
        at=pairs("--at", at or ()),
        inputs=inputs or (),
        torch=torch or (),
        texts={"let": let or (), "constants": constants or (), "function": function or ()},
        trusted=trust or (),
        implementation=implementation,
    )
    check = check_of(request, dtype, choose_one(device))
    # What listens takes torch and sympy along: seconds that a wrong formula need not wait for.
    from gradcheck.cli.explanation_text import as_text
    from gradcheck.explain import explanation

    found = explanation.explain(check, request.at, graph=graph)
    if as_json:
        emit_json(explanation.json_of(found))
    else:
        emit(as_text(found, everything=everything))
