"""`gradcheck new`: a case, written out with comments once its code was found to agree.

A file that is there is only ever added to, in one step: it is whole before and after it.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradcheck.answer import RunOptions
from gradcheck.catalog.text import LISTS, SUFFIXES, decode, read_text
from gradcheck.cli.arguments import (
    CommandLineError,
    Conditions,
    Constants,
    Devices,
    Dtypes,
    Function,
    Inputs,
    Let,
    Order,
    PointCount,
    Seed,
    Torch,
    Trust,
    Witnesses,
    case_of_keys,
    pairs,
    typed_keys,
)
from gradcheck.cli.check import (
    chosen_checks,
    counts_of,
    exit_code,
    judge_case,
    refuse_no_input,
    report,
)
from gradcheck.cli.output import MEANING, ExitCode, complain, emit, epilog, with_examples
from gradcheck.errors import CatalogError, UsageError

if TYPE_CHECKING:
    from gradcheck.catalog.case import Case

_CODES = epilog(
    {
        ExitCode.OK: "written",
        ExitCode.DISAGREE: "the code disagrees, and nothing is written",
        ExitCode.BAD_FILE: MEANING[ExitCode.BAD_FILE],
        ExitCode.INTERNAL: MEANING[ExitCode.INTERNAL],
        ExitCode.BAD_USE: MEANING[ExitCode.BAD_USE],
    }
)
_TRIES = 24  # points, the plainest first, of which one must have certain answers


def register(app: typer.Typer) -> None:
    examples = with_examples(
        _CODES,
        "gradcheck new cube --formula 'x**3' --input x=real --torch 'x*x*x'",
        "gradcheck new swish --formula 'x/(1 + exp(-x))' --input 'x=(-5, 5)' \\",
        "    --torch 'x*torch.sigmoid(x)' --at x=1 -o cases/mine.yaml",
    )
    app.command("new", epilog=examples, short_help="Write a case, after a run that agrees.")(
        new_command
    )


def new_command(  # noqa: PLR0913 - one argument an option, as typer reads them
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the case is called.")],
    *,
    formula: Annotated[str, typer.Option(metavar="FORMULA", help="The function: the truth.")],
    torch: Torch = None,
    inputs: Inputs = None,
    where: Conditions = None,
    let: Let = None,
    constants: Constants = None,
    function: Function = None,
    trust: Trust = None,
    summary: Annotated[str, typer.Option(metavar="TEXT", help="One line: what it is.")] = "",
    at: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="The point whose answer is written; repeatable."),
    ] = None,
    output: Annotated[
        str,
        typer.Option("-o", "--output-file", metavar="FILE", help="A new file, or one to add to."),
    ] = "",
    order: Order = 2,
    device: Devices = "auto",
    dtype: Dtypes = "",
    witness: Witnesses = "",
    points: PointCount = 64,
    seed: Seed = 0,
) -> None:
    """Write a complete, commented case, after one run that agrees.

    The case goes to standard output, or to the end of FILE, whose other text stays as it is. It has
    a point whose value and derivatives are certified; comments say what else a case can say. Where
    the code disagrees, the failure is explained and nothing is written.
    """
    refuse_no_input(inputs)
    typed = typed_keys(formula=formula, inputs=inputs, constants=constants, let=let,
                       torch=torch, function=function, where=where, order=order)  # fmt: skip
    keys = {"summary": summary or " ".join(formula.split()), **typed}
    choice = chosen_checks(device, dtype, witness)
    file = Path(output) if output else None
    if file:
        _refuse_file(file, name)
    # The loader takes FLINT along, which --help need not wait for.
    from gradcheck.catalog.case_text import case_lines

    case, keys = _with_point(name, keys, pairs("--at", at or ()), trust or ())
    run_options = RunOptions(points=points, seed=seed)
    judged = judge_case(case, choice, run_options)
    if exit_code(judged, run_options) != ExitCode.OK:
        emit("\n".join(report(judged, run_options)))
        complain(f"{name} is not written")
        raise typer.Exit(exit_code(judged, run_options))
    lines = list(case_lines(name, keys))
    if file:
        _add(file, name, lines)
        again = [
            "gradcheck",
            "run",
            f"{file}::{name}",
            *(f"--trust={each}" for each in trust or ()),
        ]
        emit(f"wrote {name} to {file}; to run it: {shlex.join(again)}")
    else:
        emit("\n".join(lines))
    complain(counts_of(judged))


# the point


def _with_point(
    name: str, keys: dict[str, Any], at: dict[str, str], trusted: Sequence[str]
) -> tuple[Case, dict[str, Any]]:
    """The case and its keys, with a point and certified answers where there is such a point.

    Errors: CommandLineError for what the format refuses, UsageError for untrusted code.
    """
    case = case_of_keys(keys, trusted, name=name)
    from gradcheck.explanation.known_answer import known_answers, readable_points

    for values in [at] if at else islice(readable_points(case.variants[0]), _TRIES):
        try:
            bare = case_of_keys({**keys, "points": [{"at": values}]}, trusted, name=name)
        except CommandLineError:
            if at:
                raise
            continue  # rounded for reading, it is no point of the case
        answers = known_answers(bare, bare.points[0])
        if answers or at:
            whole = {**keys, "points": [{"at": values, **answers}]}
            return case_of_keys(whole, trusted, name=name), whole
    return case, keys


# the file


def _refuse_file(file: Path, name: str) -> None:
    """Errors: UsageError for what cannot be written or added to, CatalogError for a bad file."""
    if file.suffix not in SUFFIXES or file.name in LISTS:
        found = "a list of known failures" if file.name in LISTS else "no case file"
        raise UsageError(
            f"-o {file}: {found}", "a name that ends in .yaml", "write -o cases/mine.yaml"
        )
    if file.is_dir() or not (file.parent.is_dir() or file.parent.parent.is_dir()):
        found = "a folder" if file.is_dir() else "its folder is not there"
        fix = "name a file" if file.is_dir() else f"make the folder {file.parent.parent}"
        raise UsageError(f"-o {file}: {found}", "a file in a folder that is there", fix)
    names = _names_in(file)
    if name in names:
        raise UsageError(
            f"-o {file}: it has a case {name} already",
            "a name that is not there",
            "choose another name, or remove that case first",
        )


def _names_in(file: Path) -> list[str]:
    """The cases of a file; none of one that is not there, or holds only comments.

    Errors: CatalogError for a bad file.
    """
    from gradcheck.catalog.load import load
    from gradcheck.catalog.problems import Complaints
    from gradcheck.catalog.yaml_document import compose

    if not file.exists() or compose(read_text(file, str(file)), Complaints("")) is None:
        return []
    return [case.name for case in load(file, shown=str(file))]


def _add(file: Path, name: str, lines: Sequence[str]) -> None:
    """Write a new file, or one that is there with the case at its end and all else as it was.

    Errors: UsageError where that makes no file of all these cases; then nothing is written.
    """
    from gradcheck.catalog.load import load_text

    _refuse_file(file, name)  # again: the run took its time
    before = file.read_bytes() if file.exists() else b""
    end = "\r\n" if b"\r\n" in before else "\n"
    head = _modeline(file) if not before else ["", ""] if before[-1:] != b"\n" else [""]
    whole = before + "".join(line + end for line in [*head, *lines]).encode()
    wanted = [*_names_in(file), name]
    try:
        found = [case.name for case in load_text(decode(whole, str(file)), str(file))]
    except CatalogError as error:
        found = [str(error)]
    if found != wanted:
        raise UsageError(
            f"-o {file}: nothing can be added at its end",
            "a map of cases in block style",
            "name another file",
        )
    _replace(file, whole)


def _replace(file: Path, content: bytes) -> None:
    """Put the content in the file's place, whole or not at all.

    Errors: UsageError where it cannot be written.
    """
    target = file.resolve()  # a link stays a link
    written = ""
    try:
        target.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as stream:
            written = stream.name
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        mode = target.stat().st_mode if target.exists() else 0o666 & ~_umask()
        Path(written).chmod(mode & 0o7777)
        Path(written).replace(target)
    except OSError as error:
        Path(written).unlink(missing_ok=True) if written else None
        raise UsageError(
            f"-o {file}: {error.strerror}", "a file that can be written", "name another file"
        ) from None


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _modeline(file: Path) -> list[str]:
    """The first line of a new file: it tells editors of the schema that lies beside or above it."""
    from gradcheck.catalog.schema import CASE_ID

    folder = file.resolve().parent
    for above in (folder, *folder.parents):
        for schema in (above / "gradcheck.json", above / "schema" / "case.json"):
            if schema.is_file() and CASE_ID in schema.read_text("utf-8", "replace"):
                path = Path(os.path.relpath(schema, folder)).as_posix()
                return [f"# yaml-language-server: $schema={path}", ""]
    return []
