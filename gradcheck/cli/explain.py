"""`gradcheck explain` and `gradcheck plot`: a function, and what witnesses say of it.

`explain` shows one point, `plot` draws a line of them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gradcheck.catalog.files import complete_case
from gradcheck.cli.arguments import (
    LABELS,
    SHOWN,
    CommandLineError,
    Constants,
    Function,
    Inputs,
    Let,
    Torch,
    Trust,
    pairs,
    typed_keys,
)
from gradcheck.cli.output import READING, emit, emit_json, with_examples
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
OneDtype = Annotated[
    str,
    typer.Option(metavar="NAME", help="By default float64, or complex128 where an input is.",
                 show_default=False),
]  # fmt: skip
OneDevice = Annotated[str, typer.Option(metavar="NAME", help="Such as cpu or cuda:0.")]
Which = Annotated[
    int, typer.Option("--implementation", min=0, help="Which of several is on trial, from 0.")
]


def register(app: typer.Typer) -> None:
    explaining = with_examples(
        READING,
        "gradcheck explain square_times_three",
        "gradcheck explain 'u**3 + v**2 + 4*u*v' --at u=3 --at v=4",
        "gradcheck explain 'expm1(x)' --at x=-40 --all",
        "gradcheck explain 'x**2' --at x=3 --graph",
    )
    plotting = with_examples(
        READING,
        "gradcheck plot square_times_three -o square.svg",
        "gradcheck plot 'sin(x)/x' --from -10 --to 10 -o sinc.svg",
        "gradcheck plot 'tanh(x)' --torch 'torch.tanh(x)' --dtype float32 -o -",
    )
    app.command("explain", epilog=explaining, short_help="Explain a function at one point.")(
        explain_command
    )
    app.command("plot", epilog=plotting, short_help="Draw a function with its derivative.")(
        plot_command
    )


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
    dtype: OneDtype = "",
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
    from gradcheck.explanation.request import Asker, Request, check_of

    request = Request(
        subject=case,
        asker=Asker(SHOWN, LABELS, CommandLineError),
        at=pairs("--at", at or ()),
        keys=typed_keys(
            inputs=inputs, constants=constants, let=let, torch=torch or (), function=function or ()
        ),
        trusted=trust or (),
        implementation=implementation,
    )
    check = check_of(request, dtype, choose_one(device))
    # What listens takes torch and sympy along: seconds that a wrong formula need not wait for.
    from gradcheck.explanation import at_point
    from gradcheck.explanation.explanation import Manner, as_text, json_of

    found = at_point.explain_at(check, request.at, graph=graph)
    if as_json:
        emit_json(json_of(found))
    else:
        manner = Manner(everything, more="--all prints", styled=sys.stdout.isatty())
        emit(as_text(found, manner))


def plot_command(  # noqa: PLR0913 - one argument an option, as typer reads them
    case: CaseOrFormula,
    *,
    output: Annotated[
        str, typer.Option("-o", "--output-file", metavar="FILE.svg", help="Where to; - to stdout.")
    ],
    running: Annotated[
        str,
        typer.Option(
            "--input", metavar="NAME[=DOMAIN]", help="What runs, as x, 'x[0, 1]' or 'im z'."
        ),
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
    dtype: OneDtype = "",
    device: OneDevice = "cpu",
) -> None:
    """Draw a function with its derivative over one input, and the error of PyTorch's gradient."""
    # The loader takes FLINT along, which --help need not wait for.
    from gradcheck.explanation.request import Asker, Request, check_of

    name, declares, domain = running.partition("=")
    owner = name.strip().removeprefix("re ").removeprefix("im ").partition("[")[0].strip()
    request = Request(
        subject=case,
        asker=Asker(SHOWN, LABELS, CommandLineError),
        at=pairs("--at", at or ()),
        keys=typed_keys(
            inputs=[f"{owner}={domain}"] if declares else (),
            constants=constants, let=let, torch=torch or (), function=function or (),
        ),
        running=owner,
        trusted=trust or (),
        implementation=implementation,
    )  # fmt: skip
    _check_file(output)
    check = check_of(request, dtype, choose_one(device))
    # What is drawn takes torch and sympy along: seconds that a wrong formula need not wait for.
    from gradcheck.explanation.curves import Course, survey

    course = Course(name.strip(), start, end, points, entry)
    _write(output, str(survey(check, course, request.at)))


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
