"""`gradcheck explain`, `graph` and `plot`: a function, and what witnesses say of it.

`explain` tells of one point, `graph` draws the backward graph there, `plot` a line of points.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from gradcheck.devices import choose, choose_one
from gradcheck.errors import UsageError

if TYPE_CHECKING:
    from gradcheck.catalog.checks import Check
    from gradcheck.explanation.request import Request

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
    int,
    typer.Option(
        "--implementation", metavar="N", min=0, help="Which of several is on trial, from 0."
    ),
]


def register(app: typer.Typer) -> None:
    explaining = with_examples(
        READING,
        "gradcheck explain square_times_three",
        "gradcheck explain 'u**3 + v**2 + 4*u*v' --at u=3 --at v=4",
        "gradcheck explain 'expm1(x)' --at x=-40 --all",
        "gradcheck explain 'x**2' --at x=3 --graph",
    )
    drawing = with_examples(
        READING,
        "gradcheck graph square_times_three -o square.svg",
        "gradcheck graph 'x*sin(x)' --at x=3 -o -",
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
    app.command("graph", epilog=drawing, short_help="Draw the backward graph at one point.")(
        graph_command
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
        bool, typer.Option("--graph", help="Add the backward graph, as a tree.")
    ] = False,
    order: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=3,
            help="Up to which derivative; by default as the case asks.",
        ),
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print the formulas in LaTeX.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Print each witness's every number, and all formulas.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Show value, derivatives, and what every witness says of them, at one point."""
    keys = {"inputs": inputs, "constants": constants, "let": let}
    request = _request(case, at, trust, implementation, **keys, torch=torch, function=function)
    check = _check(request, dtype, device)
    # What listens takes torch and sympy along: seconds that a wrong formula need not wait for.
    from gradcheck.explanation import at_point
    from gradcheck.explanation.blocks import Manner, as_text, latex_of
    from gradcheck.explanation.explanation import json_of

    found = at_point.explain_at(check, request.at, graph=graph, order=order)
    if as_json:
        emit_json(json_of(found))
    elif latex:
        emit(latex_of(found))
    else:
        manner = Manner(everything, more="--all prints", styled=sys.stdout.isatty())
        emit(as_text(found, manner))


def graph_command(  # noqa: PLR0913 - one argument an option, as typer reads them
    case: CaseOrFormula,
    *,
    output: Annotated[
        str,
        typer.Option("-o", "--output-file", metavar="FILE.svg|.dot", help="Where to; - to stdout."),
    ],
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
) -> None:
    """Draw the backward graph at one point: values, gradients, and what each node saves."""
    ending = _check_file(output, (".svg", ".dot"))
    keys = {"inputs": inputs, "constants": constants, "let": let}
    request = _request(case, at, trust, implementation, **keys, torch=torch, function=function)
    check = _check(request, dtype, device)
    # What is drawn takes torch and sympy along: seconds that a wrong formula need not wait for.
    from gradcheck.explanation.at_point import graph_at

    graph = graph_at(check, request.at)
    _write(output, graph.dot() if ending == ".dot" else graph.svg())


def _request(
    case: str, at: list[str] | None, trust: list[str] | None, which: int, **typed: Any
) -> Request:
    """What is asked about; ``typed`` are options that declare a function.

    Errors: UsageError for options that are no pairs.
    """
    keys = typed_keys(**typed)
    # The loader takes FLINT along, which --help need not wait for.
    from gradcheck.explanation.request import Asker, Request

    asker = Asker(SHOWN, LABELS, CommandLineError)
    return Request(case, asker, pairs("--at", at or ()), keys, trust or (), which)


def _check(request: Request, dtype: str, device: str) -> Check:
    from gradcheck.explanation.request import check_of

    return check_of(request, dtype, choose_one(device))


def plot_command(  # noqa: PLR0913 - one argument an option, as typer reads them
    case: CaseOrFormula,
    *,
    output: Annotated[
        str,
        typer.Option(
            "-o", "--output-file", metavar="FILE.svg|.png|.pdf", help="Where to; - to stdout."
        ),
    ],
    running: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="NAME[=DOMAIN]",
            help="What runs, as x, 'x[0, 1]' or 'im z'; twice for a surface.",
        ),
    ] = None,
    start: Annotated[str, typer.Option("--from", metavar="A", help="Where it begins.")] = "",
    end: Annotated[str, typer.Option("--to", metavar="B", help="Where it ends.")] = "",
    at: At = None,
    tangent: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Draw the tangent there; repeatable."),
    ] = None,
    order: Annotated[
        int, typer.Option(metavar="N", min=1, max=2, help="Up to which derivative: 1 or 2.")
    ] = 1,
    torch: Torch = None,
    let: Let = None,
    constants: Constants = None,
    function: Function = None,
    trust: Trust = None,
    implementation: Which = 0,
    entry: Annotated[
        int | None,
        typer.Option(
            "--entry",
            metavar="N",
            min=0,
            help="Which output entry, else the first that depends on what runs.",
        ),
    ] = None,
    points: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=2,
            max=20_000,
            help="How many points: 401, of a surface 41 a side.",
        ),
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Such as float64,float32: a panel of errors each. By default the widest.",
        ),
    ] = "",
    device: Annotated[str, typer.Option(metavar="LIST", help="Such as cpu,cuda.")] = "cpu",
) -> None:
    """Draw a function with its derivatives over one input, and the error of PyTorch's gradient."""
    # The loader takes FLINT along, which --help need not wait for.
    from gradcheck.explanation.request import checks_like, need_matplotlib, owner_of, that_run

    ending = _check_file(output, (".svg", ".png", ".pdf"))
    if ending != ".svg":
        need_matplotlib(f"-o {output}")
    names = [each.partition("=")[::2] for each in running or ()]
    inputs = [f"{owner_of(name)}={domain}" for name, domain in names if domain]
    keys = {"inputs": inputs, "constants": constants, "let": let}
    request = _request(case, at, trust, implementation, **keys, torch=torch, function=function)
    request = replace(request, running=tuple(owner_of(name) for name, _ in names))
    checks = checks_like(_check(request, "", "cpu"), dtype, choose(device))
    # What is drawn takes torch and sympy along: seconds that a wrong formula need not wait for.
    from gradcheck.explanation.curves import Course
    from gradcheck.explanation.surfaces import picture_of

    first, other = that_run([name.strip() for name, _ in names])
    course = Course(
        first,
        start,
        end,
        points=points,
        output=entry,
        order=order,
        tangents=tuple(pairs("--tangent", tangent or ()).items()),
        other=other,
    )
    picture = picture_of(checks, course, request.at)
    if ending == ".svg":
        _write(output, picture.svg())
    else:
        from gradcheck.explanation.figure import save

        save(picture, output)
        emit(f"wrote {output}")


def _check_file(name: str, endings: Sequence[str]) -> str:
    """The ending of a file's name, the first of ``endings`` where it has none.

    Errors: UsageError for a file that cannot be written; before the work, not after it.
    """
    path = Path(name)
    if name != "-" and (path.is_dir() or not path.parent.is_dir()):
        raise UsageError(
            f"-o {name}: {'a folder' if path.is_dir() else 'its folder is not there'}",
            "a file in a folder that is there",
            f"write -o out{endings[0]}",
        )
    if path.suffix.lower() not in ("", *endings):
        raise UsageError(
            f"-o {name}: pictures are not written as {path.suffix}",
            f"a file whose name ends in {', '.join(endings[:-1])} or {endings[-1]}",
            f"write -o {path.with_suffix(endings[0])}",
        )
    return path.suffix.lower() or endings[0]


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
