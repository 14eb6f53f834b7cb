"""`gradcheck explain` and `gradcheck plot`: a function, and what witnesses say of it.

`explain` shows one point, `plot` draws a line of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gradcheck.cli.arguments import Constants, Function, Inputs, Let, Torch, Trust, pairs
from gradcheck.cli.files import complete_case
from gradcheck.cli.output import READING, emit, emit_json
from gradcheck.devices import choose_one
from gradcheck.errors import UsageError

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
    app.command("plot", epilog=READING)(plot)


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


def plot(  # noqa: PLR0913 - one argument an option, as typer reads them
    case: CaseOrFormula,
    *,
    output: Annotated[
        str, typer.Option("-o", "--output-file", metavar="FILE.svg", help="Where to; - to stdout.")
    ],
    running: Annotated[
        str,
        typer.Option("--input", metavar="NAME[=DOMAIN]", help="What runs, as x or 'x[0, 1]'."),
    ] = "",
    start: Annotated[str, typer.Option("--from", metavar="A", help="Where it begins.")] = "",
    end: Annotated[str, typer.Option("--to", metavar="B", help="Where it ends.")] = "",
    at: At = None,
    torch: Torch = None,
    let: Let = None,
    constants: Constants = None,
    function: Function = None,
    trust: Trust = None,
    implementation: Which = 0,
    entry: Annotated[int, typer.Option("--entry", min=0, help="Which output entry.")] = 0,
    points: Annotated[int, typer.Option(min=2, max=20_000, help="How many points.")] = 401,
    dtype: OneDtype = "float64",
    device: OneDevice = "cpu",
) -> None:
    """Draw a function with its derivative over one input, and the error of PyTorch's gradient."""
    # The loader takes FLINT along, which --help need not wait for.
    from gradcheck.cli.request import Request, check_of

    name, declares, _ = running.partition("=")
    request = Request(
        subject=case,
        at=pairs("--at", at or ()),
        inputs=[running] if declares else (),
        running=name.partition("[")[0].strip(),
        torch=torch or (),
        texts={"let": let or (), "constants": constants or (), "function": function or ()},
        trusted=trust or (),
        implementation=implementation,
    )
    _check_file(output)
    check = check_of(request, dtype, choose_one(device))
    # What is drawn takes torch and sympy along: seconds that a wrong formula need not wait for.
    from gradcheck.explain.curves import Course, survey
    from gradcheck.explain.svg import draw_svg

    drawn = draw_svg(survey(check, Course(name.strip(), start, end, points, entry), request.at))
    _write(output, drawn)


def _check_file(name: str) -> None:
    """Errors: UsageError for a file that cannot be written; before the work, not after it."""
    path = Path(name)
    if name != "-" and (path.is_dir() or not path.parent.is_dir()):
        raise UsageError(
            f"-o {name}: {'a folder' if path.is_dir() else 'its folder is not there'}",
            "a file in a folder that is there",
            "write -o out.svg",
        )
    if path.suffix.lower() not in ("", ".svg"):
        raise UsageError(
            f"-o {name}: the picture is an SVG, and {path.suffix} another format",
            "a file whose name ends in .svg",
            f"write -o {path.with_suffix('.svg')}",
        )


def _write(name: str, text: str) -> None:
    if name == "-":
        emit(text.rstrip("\n"))
        return
    try:
        Path(name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(
            f"-o {name}: {error.strerror}", "a file that can be written", "name another file"
        ) from None
    emit(f"wrote {name}")
