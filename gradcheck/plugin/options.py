"""The options of a run: one table, read from the command line or the ini file, into one value."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gradcheck.answer import RunOptions
from gradcheck.dtypes import DTYPES
from gradcheck.errors import UsageError
from gradcheck.methods import DEFAULT_WITNESSES, WITNESSES
from gradcheck.plugin.isolation import CheckLimits
from gradcheck.spelling import chosen, meant, nearest

SHORT = "gradcheck.plugin.short"
"""The module that adds the short spellings; it is also the name of that plugin."""

_MOST_POINTS = 1_000_000
CATALOGS = "gradcheck_catalogs"
"""The ini key for folders of cases; it is no option."""


@dataclass(frozen=True, slots=True)
class Option:
    """A command-line option ``--gradcheck-NAME`` and its ini key ``gradcheck_NAME``.

    ``metavar`` is None for a switch. A ``repeatable`` option may be given several times.
    """

    name: str
    metavar: str | None
    help: str
    repeatable: bool = False

    @property
    def key(self) -> str:
        return "gradcheck_" + self.name.replace("-", "_")


OPTIONS = (
    Option("device", "LIST", "devices, such as cpu,cuda:1; auto (default): cpu and what is there"),
    Option("dtype", "LIST", "dtypes (default: those of each case; half precision by name)"),
    Option("witness", "LIST", f"witnesses (default: {','.join(DEFAULT_WITNESSES)})"),
    Option(
        "points",
        "N",
        f"drawn points for each check (default: {RunOptions().points}); `second`, `gradcheck` and "
        "code that takes one point at a time get a part of them, at least 1/16",
    ),
    Option("seed", "N", f"the seed of the drawn points (default: {RunOptions().seed})"),
    Option("strict-accuracy", None, "an `inaccurate` verdict fails too"),
    Option("shard", "I/N", "only the I-th of N parts, the same part on every machine"),
    Option(
        "report",
        "FOLDER",
        "write the results there, a file for each run (report.html comes at a later stage)",
    ),
    Option(
        "resume",
        "RESULTS",
        "do only the checks that this file, or folder, of results lacks, and count the others; "
        "the new results go beside them, unless a report folder is named",
    ),
    Option(
        "time-limit",
        "SECONDS",
        f"end a check that takes longer, as failed (default: {CheckLimits().seconds:g}; 0: none)",
    ),
    Option(
        "memory-limit",
        "GIB",
        "end a check whose process holds more memory, as failed "
        f"(default: {CheckLimits().memory:g}; 0: none; on Linux alone)",
    ),
    Option(
        "in-process",
        None,
        "run checks in pytest's own process, as for a debugger: a crash there ends the run, and "
        "nothing is limited",
    ),
    Option(
        "scheduler",
        "ADDRESS",
        "have the checks examined by the workers of this Dask scheduler, such as tcp://host:8786",
    ),
    Option("trust", "MODULE", "a module that `function:` may import; repeatable", repeatable=True),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the options say, read and checked; ``device`` is decided later, as it may need torch.

    ``dtypes`` is empty where each case has its own.
    """

    device: str
    dtypes: tuple[str, ...]
    witnesses: tuple[str, ...]
    run_options: RunOptions
    shard: tuple[int, int] | None
    report: Path | None
    resumed: Path | None
    limits: CheckLimits
    in_process: bool
    scheduler: str
    trusted: tuple[str, ...]


def add_options(parser: pytest.Parser, prefix: str) -> None:
    """Spell every option as ``--PREFIXname``; all spellings of one option set the same value."""
    group = parser.getgroup("gradcheck", "gradcheck: certified verdicts on gradients")
    for option in OPTIONS:
        flag, text = f"--{prefix}{option.name}", option.help
        if option.metavar is None:
            group.addoption(flag, dest=option.key, action="store_true", default=None, help=text)
        else:
            action = "append" if option.repeatable else "store"
            name = option.metavar
            group.addoption(
                flag, dest=option.key, action=action, default=None, metavar=name, help=text
            )


@contextmanager
def one_owner(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> Iterator[None]:
    """While options are added: a short spelling that is somebody else's too is a usage error.

    Errors: pytest.UsageError; argparse's own error, which pytest shows with a traceback, for
            options that are none of ours.
    """
    try:
        yield
        if pluginmanager.has_plugin(SHORT):
            parser.parse_known_args([])  # before 9, pytest looks for conflicts only here
    except argparse.ArgumentError as error:
        option = str(error).rpartition(": ")[2]
        is_ours = option in [f"--{each.name}" for each in OPTIONS]
        if not (is_ours and pluginmanager.has_plugin(SHORT)):
            raise
        conflict = UsageError(
            f"{_loader_of_short(pluginmanager)}: {SHORT} adds the option {option}, which another "
            "plugin or conftest.py adds too",
            "one owner of each option",
            f"leave {SHORT} out: --gradcheck-{option.removeprefix('--')} does the same",
        )
        raise pytest.UsageError(str(conflict)) from None


def _loader_of_short(pluginmanager: pytest.PytestPluginManager) -> str:
    """Where it says that the short spellings are to be loaded."""
    for plugin in pluginmanager.get_plugins():
        named = getattr(plugin, "pytest_plugins", ())
        if SHORT in ([named] if isinstance(named, str) else named):
            return str(getattr(plugin, "__file__", plugin))
    return f"-p {SHORT}"


def add_ini_keys(parser: pytest.Parser) -> None:
    for option in OPTIONS:
        if option.metavar is None:
            parser.addini(option.key, option.help, type="bool", default=False)
        elif option.repeatable:
            parser.addini(option.key, option.help, type="args", default=[])
        else:
            parser.addini(option.key, option.help, type="string", default="")
    help_text = "folders of case files, in place of every folder named `cases`; none if empty"
    parser.addini(CATALOGS, help_text, type="paths", default=None)


def settings(config: pytest.Config) -> Settings:
    """What this run was asked for.

    Errors: UsageError, naming the option or the ini key that is wrong.
    """
    given = _Given(config)
    report, resumed = (
        config.invocation_params.dir / folder if (folder := given.text(name)) else None
        for name in ("report", "resume")
    )
    if report is None and resumed is not None:
        report = resumed if resumed.is_dir() else resumed.parent
    return Settings(
        device=given.text("device") or "auto",
        dtypes=_names(given, "dtype", tuple(DTYPES)),
        witnesses=_names(given, "witness", WITNESSES) or DEFAULT_WITNESSES,
        run_options=RunOptions(
            points=_number(given, "points", RunOptions().points, range(1, _MOST_POINTS + 1)),
            seed=_number(given, "seed", RunOptions().seed, range(2**32)),
            strict_accuracy=given.switch("strict-accuracy"),
        ),
        shard=_shard(given),
        report=report,
        resumed=resumed,
        limits=CheckLimits(
            seconds=_limit(given, "time-limit", CheckLimits().seconds),
            memory=_limit(given, "memory-limit", CheckLimits().memory),
        ),
        in_process=given.switch("in-process") or config.option.usepdb or config.option.trace,
        scheduler=given.text("scheduler"),
        trusted=(*given.list("trust"), *_trusted_by_project(config.rootpath)),
    )


def spelling(config: pytest.Config, name: str) -> str:
    """How the user gave an option: on the command line, as it is spelled there, or in the ini."""
    key = _key(name)
    if config.getoption(key) is None:
        return key
    return f"--{name}" if config.pluginmanager.has_plugin(SHORT) else f"--gradcheck-{name}"


@dataclass(frozen=True, slots=True)
class _Given:
    """The words that were given: those of the command line before those of the ini file."""

    config: pytest.Config

    def text(self, name: str) -> str:
        given = self._value(name)
        return str(given).strip()

    def list(self, name: str) -> tuple[str, ...]:
        given = self._value(name)
        return tuple(map(str, given)) if isinstance(given, Iterable) else ()

    def switch(self, name: str) -> bool:
        return bool(self._value(name))

    def spelling(self, name: str) -> str:
        return spelling(self.config, name)

    def _value(self, name: str) -> object:
        key = _key(name)
        given = self.config.getoption(key)
        return self.config.getini(key) if given is None else given


def _key(name: str) -> str:
    return next(option.key for option in OPTIONS if option.name == name)


def _names(given: _Given, name: str, known: Sequence[str]) -> tuple[str, ...]:
    return chosen(given.spelling(name), given.text(name), known)


def _number(given: _Given, name: str, default: int, allowed: range) -> int:
    text = given.text(name)
    if not text:
        return default
    # At most ten digits, so that `int` is quick; no number that is allowed has more.
    if re.fullmatch(r"[0-9]{1,10}", text) and int(text) in allowed:
        return int(text)
    raise UsageError(
        f"{given.spelling(name)} {text}: not such a number",
        f"a whole number from {allowed[0]} to {allowed[-1]}",
        f"leave it out, which means {default}",
    )


def _limit(given: _Given, name: str, default: float) -> float:
    text = given.text(name)
    if not text:
        return default
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return float(text)
    raise UsageError(
        f"{given.spelling(name)} {text}: no limit",
        "a number such as 60 or 0.5; 0 for no limit",
        f"leave it out, which means {default:g}",
    )


def _shard(given: _Given) -> tuple[int, int] | None:
    text = given.text("shard")
    if not text:
        return None
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if match and 1 <= int(match[1]) <= int(match[2]):
        return int(match[1]), int(match[2])
    raise UsageError(
        f"{given.spelling('shard')} {text}: no part of a whole",
        "I/N with 1 <= I <= N",
        "write 1/5 for the first of five parts",
    )


def _trusted_by_project(root: Path) -> tuple[str, ...]:
    """What ``trust`` under ``[tool.gradcheck]`` in the root's pyproject.toml allows.

    Errors: UsageError for a file that cannot be read, and for any other key or type there.
    """
    path = root / "pyproject.toml"
    if not path.exists():
        return ()
    import tomllib  # a fifth of what starting costs, where there is nothing to read

    try:
        whole = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}", "a TOML file", "repair or remove the file") from None
    tool = whole.get("tool", {})
    table = tool.get("gradcheck", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(
            f"{path}: gradcheck = {table!r} under [tool]",
            "a table with the key trust",
            'write trust = ["my_package"] under [tool.gradcheck]',
        )
    for key in table.keys() - {"trust"}:
        raise UsageError(
            f"{path}: the unknown key {key!r} under [tool.gradcheck]",
            "the key trust",
            nearest(key, ["trust"], _otherwise(key)),
        )
    trust = table.get("trust", [])
    if isinstance(trust, list) and all(isinstance(module, str) for module in trust):
        return tuple(trust)
    raise UsageError(
        f"{path}: trust = {trust!r} under [tool.gradcheck]",
        "a list of module names",
        'write trust = ["my_package"]',
    )


def _otherwise(key: str) -> str:
    """The fix for a key that belongs to pytest's own table: all others do."""
    keys = [option.key for option in OPTIONS] + [CATALOGS]
    name = "gradcheck_" + key.replace("-", "_").removeprefix("gradcheck_")
    near = meant(name, keys, likeness=0.8)
    return f"write {near} under [tool.pytest.ini_options]" if near else "remove it"
