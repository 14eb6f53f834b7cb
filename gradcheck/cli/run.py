"""`gradcheck run`: the catalog, or the user's case files, through pytest.

Of the ini file of the project that the files belong to, the keys ``gradcheck_...`` alone are read.
The rest of it is for the project's own tests, and may name plugins, options and warnings that stop
a run of a catalog.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import iniconfig
import typer

from gradcheck.catalog.files import (
    catalog_folder,
    complete_target,
    holds_no_cases_folder,
    target_of,
)
from gradcheck.catalog.text import absolute_path
from gradcheck.cli.output import RUNNING, emit, with_examples
from gradcheck.errors import UsageError
from gradcheck.interruption import hold


def register(app: typer.Typer) -> None:
    examples = with_examples(
        RUNNING,
        "gradcheck run -n auto",
        "gradcheck run tutorial.yaml --dtype float32 --points 1000",
        "gradcheck run cases --report out --trust my_ops",
        "gradcheck run softmax --witness reverse,forward",
    )
    app.command("run", epilog=examples, short_help="Run the catalog, or your own case files.")(run)


def run(  # noqa: PLR0913 - one argument an option, as typer reads them
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Files, folders, FILE::CASE, or a packaged case; the packaged catalog if there "
            "is none. What stands after `--` goes to pytest as it is.",
            autocompletion=complete_target,
        ),
    ] = None,
    *,
    device: Annotated[str, typer.Option(metavar="LIST", help="auto, or cpu,cuda:1.")] = "auto",
    dtype: Annotated[str, typer.Option(metavar="LIST", help="Such as float64,float32.")] = "",
    witness: Annotated[str, typer.Option(metavar="LIST", help="Such as reverse,forward.")] = "",
    points: Annotated[
        str,
        typer.Option(
            metavar="N", help="Drawn points for each check; a costly one draws 1/16 to 1/2."
        ),
    ] = "",
    seed: Annotated[str, typer.Option(metavar="N", help="The seed of the drawn points.")] = "",
    strict_accuracy: Annotated[
        bool, typer.Option("--strict-accuracy", help="An `inaccurate` verdict fails too.")
    ] = False,
    shard: Annotated[str, typer.Option(metavar="I/N", help="Only the I-th of N parts.")] = "",
    report: Annotated[str, typer.Option(metavar="FOLDER", help="Write the results there.")] = "",
    junitxml: Annotated[
        str, typer.Option(metavar="FILE", help="Write JUnit's XML there, for a build server.")
    ] = "",
    resume: Annotated[
        str, typer.Option(metavar="RESULTS", help="Do only the checks that these results lack.")
    ] = "",
    time_limit: Annotated[
        str, typer.Option(metavar="SECONDS", help="End a check that takes longer; 0: no limit.")
    ] = "",
    memory_limit: Annotated[
        str, typer.Option(metavar="GIB", help="End a check that holds more; 0: no limit.")
    ] = "",
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Isolate no check, as for a debugger.")
    ] = False,
    scheduler: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Let the workers of this Dask scheduler examine."),
    ] = "",
    trust: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE", help="A module that `function:` may import; repeatable."),
    ] = None,
    keyword: Annotated[str, typer.Option("-k", metavar="EXPR", help="As pytest's -k.")] = "",
    marker: Annotated[str, typer.Option("-m", metavar="EXPR", help="As pytest's -m.")] = "",
    processes: Annotated[
        str, typer.Option("-n", metavar="N", help="Worker processes: a number, or auto.")
    ] = "",
    exit_first: Annotated[bool, typer.Option("-x", help="As pytest's -x.")] = False,
    quiet: Annotated[
        int, typer.Option("-q", count=True, show_default=False, help="As pytest's -q; no progress.")
    ] = 0,
    verbose: Annotated[
        int, typer.Option("-v", count=True, show_default=False, help="As pytest's -v.")
    ] = 0,
) -> None:
    """Run the packaged catalog, or the case files or cases named, through pytest.

    Each case is put to every witness, in each of its dtypes, on each device. The summary counts
    the verdicts and groups failures by cause. The pytest command that does the same is printed.
    """
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
        "--resume": resume,
        "--time-limit": time_limit,
        "--memory-limit": memory_limit,
        "--scheduler": scheduler,
    }
    given = [word for flag, value in valued.items() if value for word in (flag, value)]
    if junitxml:  # of pytest's formats the one that has attributes for file and line
        given += ["--junitxml", junitxml, "-o", "junit_family=xunit1"]
    given += ["--strict-accuracy"] if strict_accuracy else []
    given += ["--in-process"] if in_process else []
    given += ["-x"] * exit_first + ["-q"] * quiet + ["-v"] * verbose
    given += [word for module in trust or () for word in ("--trust", module)]
    command = [sys.executable, *pytest_command(paths or [], given)]
    emit("$ " + shlex.join(["python", *command[1:]]))
    _become(command)


def pytest_command(paths: Sequence[str], options: Sequence[str]) -> list[str]:
    """What follows `python` to run these paths, whatever project the current folder belongs to.

    No conftest is read and of the project's ini file only our own keys, no cache is written, and
    the catalog may be read-only. The packaged catalog, taken whole, leaves out what is tagged
    ``large``, unless the options say ``-m``.
    """
    first_extra = next((i for i, path in enumerate(paths) if path.startswith("-")), len(paths))
    extra = list(paths[first_extra:])
    targets = [target_of(path) for path in paths[:first_extra]] or [(catalog_folder(), "")]
    folder = catalog_folder().resolve()
    resolved = [path.resolve() for path, _ in targets]
    packaged = all(path.is_relative_to(folder) for path in resolved)
    root, keys = project_of([path for path, _ in targets])
    return [
        *(["-P"] if packaged else []),  # what lies in a foreign current folder is never imported
        *("-m", "pytest", "-c", os.devnull, f"--rootdir={root}", "--noconftest"),
        *("-p", "no:cacheprovider", "-p", "gradcheck.plugin", "-p", "gradcheck.plugin.short"),
        *("-p", "gradcheck.plugin.command"),
        *_ini_keys(keys, [path for path, _ in targets]),
        *(["-m", "not large"] if folder in resolved and "-m" not in options else []),
        *options,
        *extra,
        *(f"{path}::{name}" if name else str(path) for path, name in targets),
    ]


def _ini_keys(keys: IniKeys, paths: Sequence[Path]) -> Iterator[str]:
    """The project's keys; folders that are no catalog yet are one because the user says so."""
    catalogs = [Path(folder) for folder in shlex.split(keys.get(_CATALOGS, ""))]
    folders = [absolute_path(path) for path in paths if path.is_dir()]
    named = [
        folder
        for folder in folders
        if holds_no_cases_folder(folder)
        and not any(_overlap(folder, catalog) for catalog in catalogs)
    ]
    if named:
        keys = {**keys, _CATALOGS: shlex.join(map(str, [*catalogs, *named]))}
    for key, value in keys.items():
        yield from ("-o", f"{key}={value}")


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


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
        hold()  # it would fall into the start of the interpreter and print a traceback
        os.execv(command[0], command)
    raise typer.Exit(subprocess.run(command, check=False).returncode)


_ROOT_FILES = ("pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg", ".git")
_INI_FILES = {  # in pytest's order; whether one without a section for pytest is its ini file too
    "pytest.toml": True,
    ".pytest.toml": True,
    "pytest.ini": True,
    ".pytest.ini": True,
    "pyproject.toml": False,
    "tox.ini": False,
    "setup.cfg": False,
}
_PREFIX = "gradcheck_"
_CATALOGS = "gradcheck_catalogs"

IniKeys = dict[str, str]


def project_of(paths: Sequence[Path]) -> tuple[Path, IniKeys]:
    """Return the folder that ids are relative to, and the ini keys that are ours, as text.

    The project is that of the folder which all paths share, found as pytest finds it. Folders
    among the values are absolute.

    Errors: UsageError for an ini file that cannot be read.
    """
    folders = [
        absolute_path(path) if path.is_dir() else absolute_path(path).parent for path in paths
    ]
    shared = Path(os.path.commonpath(folders))
    for folder in (shared, *shared.parents):
        for name, alone in _INI_FILES.items():
            section = _section(folder / name) if (folder / name).is_file() else None
            if section or (section is not None and alone):
                return folder, dict(_ours(section, folder))
    return _marked(shared), {}


def _marked(shared: Path) -> Path:
    above = (shared, *shared.parents)
    marked = (folder for folder in above if any((folder / name).exists() for name in _ROOT_FILES))
    return next(marked, shared.parent if shared.name == "cases" else shared)


def _section(path: Path) -> Mapping[str, Any] | None:
    """What a file says to pytest; None where it has no section for it."""
    try:
        if path.suffix == ".toml":
            return _table(tomllib.loads(path.read_text(encoding="utf-8")), path.name)
        sections = iniconfig.IniConfig(str(path)).sections
    except (OSError, ValueError, iniconfig.ParseError) as error:
        raise UsageError(
            f"{path}: {error}", "an ini file that pytest can read", "repair or remove it"
        ) from None
    return sections.get("tool:pytest" if path.name == "setup.cfg" else "pytest")


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    table = document if name != "pyproject.toml" else document.get("tool", {})
    found: Any = table.get("pytest")
    if isinstance(found, dict):
        options: Any = found.get("ini_options", found)
        return options if isinstance(options, dict) else None
    return None


def _ours(section: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, str]]:
    for key, value in section.items():
        if key.startswith(_PREFIX):
            words = list(map(str, value)) if isinstance(value, list) else [str(value)]
            if key == _CATALOGS:
                given = words if isinstance(value, list) else shlex.split(str(value))
                words = [str(folder / word) for word in given]
            yield (
                key,
                shlex.join(words) if isinstance(value, list) or key == _CATALOGS else words[0],
            )
