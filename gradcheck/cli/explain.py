"""`gradcheck explain` and `gradcheck plot`: a function, and what witnesses say of it.

`explain` shows one point, `plot` draws a line of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from gradcheck.catalog.case import Case, Implementation, Variant
from gradcheck.catalog.checks import Check
from gradcheck.cli.arguments import (
    SHOWN,
    CommandLineError,
    Constants,
    Function,
    Inputs,
    Let,
    Torch,
    Trust,
    case_of_keys,
    pairs,
    refuse_untrusted,
    typed_keys,
)
from gradcheck.cli.files import case_name_in, complete_case, implementation_of, load_case
from gradcheck.cli.output import READING, emit, emit_json
from gradcheck.devices import choose_one
from gradcheck.dtypes import DTYPES
from gradcheck.errors import ExpressionError, Problem, UsageError, Where
from gradcheck.explain.point import declaration_of
from gradcheck.graph.functions import RESERVED
from gradcheck.language.nodes import Call, Comprehension, Name
from gradcheck.language.parse import parse
from gradcheck.language.torch_names import check_tree

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
    from gradcheck.cli.explain import Request, check_of

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
    from gradcheck.cli.explain import Request, check_of

    name, declares, domain = running.partition("=")
    owner = name.strip().removeprefix("re ").removeprefix("im ").partition("[")[0].strip()
    request = Request(
        subject=case,
        at=pairs("--at", at or ()),
        inputs=[f"{owner}={domain}"] if declares else (),
        running=owner,
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


@dataclass(frozen=True, slots=True)
class Request:
    """The options that say which function; ``texts`` are those that declare a formula's case."""

    subject: str
    at: Mapping[str, str]
    inputs: Sequence[str] = ()
    torch: Sequence[str] = ()
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    trusted: Sequence[str] = ()
    implementation: int = 0
    running: str = ""  # an input that needs no value, as the plot gives it many


def check_of(request: Request, dtype: str, device: str) -> Check:
    """What is on trial, as a check of the witness `reverse`.

    Errors: UsageError and CatalogError for whatever is not there, or not so.
    """
    if dtype and dtype not in DTYPES:
        raise UsageError(
            f"--dtype {dtype}: unknown name", f"one of {', '.join(DTYPES)}", "leave it out"
        )
    case, variant = _case(request)
    is_complex = any(port.kind == "complex" for port in variant.formula.ports)
    dtype = dtype or ("complex128" if is_complex else "float64")
    if DTYPES[dtype].is_complex != is_complex:
        fitting = [each.name for each in DTYPES.values() if each.is_complex == is_complex]
        inputs = "a complex input" if is_complex else "real inputs alone"
        raise UsageError(
            f"--dtype {dtype} for {inputs}", f"one of {', '.join(fitting)}", "leave it out"
        )
    implementation = implementation_of(case, request.implementation)
    refuse_untrusted([implementation], request.trusted)
    return Check(case, variant, implementation, "reverse", device, dtype, case.name, ())


def _case(request: Request) -> tuple[Case, Variant]:
    declared = [text.partition("=")[0].strip() for text in request.inputs]
    reference = case_name_in(request.subject, (*request.at, *declared, request.running))
    if reference is None:
        case = _formula_case(request)
        return case, case.variants[0]
    extra = [name for name, texts in request.texts.items() if texts]
    if extra:
        raise UsageError(
            f"--{extra[0].rstrip('s')} beside the case {reference.case}",
            "a formula, where it is given",
            "leave it out, or write the formula instead of the case's name",
        )
    case, variant = load_case(reference)
    return (_with_torch(case, variant, request.torch) if request.torch else case), variant


def _formula_case(request: Request) -> Case:
    """The formula's case; inputs that nothing declares are real or complex, and of the shape, as
    the value that --at gives."""
    keys = typed_keys(request.subject, inputs=request.inputs, torch=request.torch, **request.texts)
    known = keys.get("inputs", {}).keys() | keys.get("constants", {}).keys()
    known |= keys.get("let", {}).keys()
    for name in _names(request.subject, keys.get("let", {})):
        if name not in known:
            shown = declaration_of(name, request.at[name]) if name in request.at else {}
            keys.setdefault("inputs", {})[name] = {"domain": "real", "shape": [], **shown}
    keys["summary"] = " ".join(request.subject.split())
    return case_of_keys(keys, request.trusted)


def _names(formula: str, lets: Mapping[str, str]) -> list[str]:
    found: dict[str, None] = {}
    for label, text in (("FORMULA", formula), *((f"--let {name}", lets[name]) for name in lets)):
        try:
            found |= dict.fromkeys(_free_names(text))
        except ExpressionError as error:
            where = Where(f"{SHOWN} {label}", *error.place)
            problem = Problem(where, error.found, error.expected, error.fix)
            raise CommandLineError([problem]) from None
    return list(found)


def _free_names(formula: str) -> list[str]:
    """The names of a formula that the language does not define, in order.

    Errors: ExpressionError for what is no formula.
    """
    found: dict[str, None] = {}
    _gather(parse(formula), frozenset(RESERVED), found)
    return list(found)


def _gather(node: object, bound: frozenset[str], found: dict[str, None]) -> None:
    if isinstance(node, Name) and node.name not in bound:
        found[node.name] = None
    if isinstance(node, Comprehension):
        bound |= {loop.name for loop in node.loops}
    if isinstance(node, (tuple, list)):
        for item in node:
            _gather(item, bound, found)
    elif is_dataclass(node):
        for each in fields(node):
            if not (isinstance(node, Call) and each.name == "function"):
                _gather(getattr(node, each.name), bound, found)


def _with_torch(case: Case, variant: Variant, texts: Sequence[str]) -> Case:
    """The case with other code on trial."""
    names = frozenset((*(each.name for each in case.inputs), *case.constants, *variant.values))
    found = []
    for text in texts:
        try:
            tree = parse(text)
            check_tree(tree, names)
        except ExpressionError as error:
            raise UsageError(f"--torch {text}: {error.found}", error.expected, error.fix) from None
        found.append(Implementation(text, case.where, tree=tree))
    return replace(case, implementations=tuple(found))
