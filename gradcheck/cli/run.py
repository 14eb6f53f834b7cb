"""`gradcheck run`: the catalog, or the user's case files, through pytest."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from gradcheck.cli.case_files import check_path, holds_no_cases_folder
from gradcheck.cli.catalog_folder import catalog_folder
from gradcheck.cli.exit_codes import RUNNING
from gradcheck.cli.output import emit
from gradcheck.errors import UsageError

_ROOT_FILES = ("pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg", ".git")


def register(app: typer.Typer) -> None:
    app.command("run", epilog=RUNNING)(run)


def run(  # noqa: PLR0913 - one argument an option, as typer reads them
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Files, FILE::CASE, or folders; the packaged catalog if there is none. What "
            "stands after `--` goes to pytest as it is.",
        ),
    ] = None,
    *,
    device: Annotated[str, typer.Option(metavar="LIST", help="auto, or cpu,cuda:1.")] = "auto",
    dtype: Annotated[str, typer.Option(metavar="LIST", help="Such as float64,float32.")] = "",
    witness: Annotated[str, typer.Option(metavar="LIST", help="Such as reverse,forward.")] = "",
    points: Annotated[str, typer.Option(metavar="N", help="Drawn points for each check.")] = "",
    seed: Annotated[str, typer.Option(metavar="N", help="The seed of the drawn points.")] = "",
    strict_accuracy: Annotated[
        bool, typer.Option("--strict-accuracy", help="An `inaccurate` verdict fails too.")
    ] = False,
    shard: Annotated[str, typer.Option(metavar="I/N", help="Only the I-th of N parts.")] = "",
    report: Annotated[str, typer.Option(metavar="FOLDER", help="Write the results there.")] = "",
    trust: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE", help="A module that `function:` may import; repeatable."),
    ] = None,
    keyword: Annotated[str, typer.Option("-k", metavar="EXPR", help="As pytest's -k.")] = "",
    marker: Annotated[str, typer.Option("-m", metavar="EXPR", help="As pytest's -m.")] = "",
    processes: Annotated[
        str, typer.Option("-n", metavar="N", help="Worker processes: a number, or auto.")
    ] = "",
) -> None:
    """Run the packaged catalog, or the case files named, through pytest."""
    valued = {
        "-n": _workers(processes),
        "-k": keyword,
        "-m": marker,
        "--device": "" if device == "auto" else device,
        "--dtype": dtype,
        "--witness": witness,
        "--points": points,
        "--seed": seed,
        "--shard": shard,
        "--report": report,
    }
    given = [word for flag, value in valued.items() if value for word in (flag, value)]
    given += ["--strict-accuracy"] if strict_accuracy else []
    given += [word for module in trust or () for word in ("--trust", module)]
    command = [sys.executable, *pytest_command(paths or [], given)]
    emit("$ " + shlex.join(["python", *command[1:]]))
    _become(command)


def pytest_command(paths: Sequence[str], options: Sequence[str]) -> list[str]:
    """What follows `python` to run these paths, whatever project the current folder belongs to.

    No ini file and no conftest is read, no cache is written, and the catalog may be read-only.
    """
    first_extra = next((i for i, path in enumerate(paths) if path.startswith("-")), len(paths))
    chosen, extra = list(paths[:first_extra]), list(paths[first_extra:])
    safe = [] if chosen else ["-P"]  # what lies in a foreign current folder is never imported
    chosen = chosen or [str(catalog_folder())]
    for path in chosen:
        check_path(path.partition("::")[0])
    return [
        *safe,
        *("-m", "pytest", "-c", os.devnull, f"--rootdir={_root(chosen)}", "--noconftest"),
        *("-p", "no:cacheprovider", "-p", "gradcheck.plugin", "-p", "gradcheck.plugin.short"),
        *_catalogs(chosen),
        *options,
        *extra,
        *chosen,
    ]


def _catalogs(paths: Sequence[str]) -> Iterator[str]:
    """Folders that are no `cases`, nor hold one, are catalogs because the user says so."""
    folders = [Path(path).resolve() for path in paths if Path(path).is_dir()]
    named = [shlex.quote(str(folder)) for folder in folders if holds_no_cases_folder(folder)]
    if named:
        yield from ("-o", f"gradcheck_catalogs={' '.join(named)}")


def _root(paths: Sequence[str]) -> Path:
    """The folder that ids are relative to, and whose pyproject.toml says what is trusted."""
    folders = [_folder(Path(path.partition("::")[0]).resolve()) for path in paths]
    shared = Path(os.path.commonpath(folders))
    above = (shared, *shared.parents)
    marked = (folder for folder in above if any((folder / name).exists() for name in _ROOT_FILES))
    return next(marked, shared.parent if shared.name == "cases" else shared)


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _workers(text: str) -> str:
    if not text:
        return ""
    if text not in ("auto", "logical") and not (text.isascii() and text.isdigit()):
        raise UsageError(
            f"-n {text}: not a number of processes",
            "a whole number, or auto",
            "write -n auto for one process a core",
        )
    if find_spec("xdist") is None:
        raise UsageError(
            "-n needs pytest-xdist, which is not installed",
            "pytest-xdist in the same environment as gradcheck",
            "pip install pytest-xdist, or leave -n out",
        )
    return text


def _become(command: list[str]) -> None:
    """Let pytest take this process over, so that signals and its exit code are its own."""
    sys.stdout.flush()
    if os.name == "posix":
        os.execv(command[0], command)
    raise typer.Exit(subprocess.run(command, check=False).returncode)
