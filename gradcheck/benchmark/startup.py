"""What a user waits for before and after the checks, and the memory that it takes.

Each command is a process of its own, all in turn, and is measured with all that it starts.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from gradcheck.answer import RunOptions
from gradcheck.benchmark.figures import Figures, Target
from gradcheck.benchmark.timing import CommandCost, Spread, cost_of
from gradcheck.catalog.case import Case
from gradcheck.catalog.checks import plan
from gradcheck.catalog.files import catalog_folder
from gradcheck.diagnosis import examine
from gradcheck.methods import DEFAULT_WITNESSES
from gradcheck.report import records

ITEMS = 10_000
_PYTEST = ("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly")
_COLLECT = (*_PYTEST, "-p", "gradcheck.plugin", "--collect-only", "--gradcheck-device", "cpu")
_IDLE = (*_PYTEST, "-p", "gradcheck.plugin", "--gradcheck-witness", "value")
_COMPLETED = (
    "import os; os.environ.update(_GRADCHECK_COMPLETE='complete_fish', "
    "_TYPER_COMPLETE_ARGS='gradcheck explain squ', _TYPER_COMPLETE_FISH_ACTION='get-args'); "
    "from gradcheck.__main__ import main; main()"
)
_UNKEPT = (
    "import os; os.environ['GRADCHECK_NO_CACHE'] = '1'; "
    "from gradcheck.cli.app import main; main(['validate', {catalog!r}])"
)
_PLAIN = """\
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_plain(number):
    assert True
"""

WITHOUT_PLUGIN, WITH_PLUGIN = "pytest, without the plugin", "pytest, with the plugin"
HELP, COMPLETE = "gradcheck --help", "completion of a case"
LIST, VALIDATE = "gradcheck list", "gradcheck validate, the catalog"
COLLECT, MANY_ITEMS = "pytest --collect-only, the catalog", "pytest --collect-only, many items"
AS_MANY = "pytest --collect-only, as many plain tests"
FIRST_VALIDATE = "gradcheck validate, as if for the first time"
FEW_IDLE, MORE_IDLE = "pytest, checks without work", "pytest, three times as many"
PAGE = "gradcheck report, many results"
_MOST = {HELP: 0.4, COMPLETE: 0.4, LIST: 0.5, VALIDATE: 0.5, COLLECT: 0.6, MANY_ITEMS: 3.0}
"""Seconds that each may take."""
_MOST_IDLE = 1.0  # milliseconds


@dataclass(frozen=True, slots=True)
class Commands:
    """What is measured, in a folder that holds what it needs; ``items`` and ``idle`` count it."""

    folder: Path
    words: Mapping[str, Sequence[str]]
    items: int
    idle: int


def startup(cases: Sequence[Case], *, seconds: float, items: int = ITEMS) -> Iterator[Figures]:
    """Yield the seconds and the memory of each command; ``cases`` are what a page is made of."""
    with tempfile.TemporaryDirectory() as folder:
        commands = _written(Path(folder), cases, items)
        taken = _in_turn(commands, seconds)
    middle = {name: Spread.of([each.seconds for each in every]) for name, every in taken.items()}
    bare = middle[WITHOUT_PLUGIN].median
    yield Figures(
        "Start-up, collection and reporting",
        f"seconds of the processor; rounds: {len(taken[WITHOUT_PLUGIN])}, "
        f"the median, least and most. Many items: {commands.items:,}; many results: {items:,}; "
        f"checks without work: {commands.idle:,}, which abstain at once. Bytecode and what is kept "
        "of case files are there from a round before, but for what is done as if for the first "
        "time.",
        ("command", "seconds", "times a bare pytest", "peak, MiB"),
        tuple(
            (name, spread, spread.median / bare, max(each.peak for each in taken[name]) / 2**20)
            for name, spread in middle.items()
        ),
        tuple(_targets({name: spread.median for name, spread in middle.items()}, commands)),
    )


def _targets(seconds: Mapping[str, float], commands: Commands) -> Iterator[Target]:
    for name, most in _MOST.items():
        what = name.replace("many", f"{commands.items:,}")
        seen = seconds[name]
        yield Target(f"{what}: under {most:g} s", f"{seen:.2f} s", seen < most)
    each = 1e3 * (seconds[MORE_IDLE] - seconds[FEW_IDLE]) / (2 * commands.idle)
    wanted = f"a check without work under {_MOST_IDLE:g} ms"
    yield Target(wanted, f"{each:.2f} ms", each < _MOST_IDLE)


def _in_turn(commands: Commands, seconds: float) -> dict[str, list[CommandCost]]:
    """All commands, round by round, until time is up; the first round is not kept."""
    taken: dict[str, list[CommandCost]] = {name: [] for name in commands.words}
    used = 0.0
    surroundings = {
        "XDG_CACHE_HOME": str(commands.folder / "cache"),
        "PYTHONPYCACHEPREFIX": str(commands.folder / "compiled"),
        "PYTHONDONTWRITEBYTECODE": "",  # as it is where a user has installed it
    }
    for number in range(100):
        for name, words in commands.words.items():
            found = cost_of([sys.executable, *words], commands.folder, surroundings)
            used += found.seconds if number else 0.0
            taken[name] += [found] if number else []
        if number and used > seconds:
            break
    return taken


def _written(folder: Path, cases: Sequence[Case], items: int) -> Commands:
    """What the commands need, written into the folder."""
    folder.mkdir(exist_ok=True)
    (folder / "test_plain.py").write_text("def test_plain():\n    assert True\n")
    count = _write_many(folder / "many", items)
    idle = max(1, items // 20)
    (folder / "test_many.py").write_text(_PLAIN.format(count=count))
    _write_idle(folder / "idle", idle)
    _write_idle(folder / "more", 3 * idle)
    _write_results(folder / "results", cases, items)
    module, catalog = ("-m", "gradcheck"), str(catalog_folder())
    words = {
        WITHOUT_PLUGIN: ("-m", *_PYTEST, "-p", "no:gradcheck.plugin", "test_plain.py"),
        WITH_PLUGIN: ("-m", *_PYTEST, "-p", "gradcheck.plugin", "test_plain.py"),
        HELP: (*module, "--help"),
        COMPLETE: ("-c", _COMPLETED),
        LIST: (*module, "list"),
        VALIDATE: (*module, "validate", catalog),
        COLLECT: ("-m", *_COLLECT, "--rootdir", ".", catalog),
        FIRST_VALIDATE: ("-c", _UNKEPT.format(catalog=catalog)),
        MANY_ITEMS: ("-m", *_COLLECT, "many"),
        AS_MANY: ("-m", *_PYTEST, "-p", "no:gradcheck.plugin", "--collect-only", "test_many.py"),
        FEW_IDLE: ("-m", *_IDLE, "idle"),
        MORE_IDLE: ("-m", *_IDLE, "more"),
        PAGE: (*module, "report", "results", "-o", "page.html"),
    }
    return Commands(folder, words, count, idle)


def _write_many(folder: Path, items: int) -> int:
    """Write a catalog of so many checks, ten files at most; return how many they are exactly."""
    folder.mkdir()
    each = 4 * len(DEFAULT_WITNESSES)  # two implementations in two dtypes
    count = -(-items // each)
    for number in range(min(10, count)):
        (folder / f"file{number}.yaml").write_text("".join(
            f"case{k}:\n  formula: {k + 1}*x**2 + sin({k + 1}*x)\n  inputs: {{x: real}}\n"
            f"  order: 3\n  torch: [{k + 1}*x**2 + torch.sin({k + 1}*x), "
            f"{k + 1}*x*x + torch.sin({k + 1}*x)]\n"
            for k in range(number, count, 10)
        ))  # fmt: skip
    return count * each


def _write_idle(folder: Path, checks: int) -> None:
    """Write a catalog of checks that a case is without: each is put to nobody."""
    folder.mkdir()
    cases = "".join(
        f"case{k}:\n  formula: x\n  inputs: {{x: real}}\n  dtypes: [float64]\n"
        "  without: {value: nothing is to be done}\n"
        for k in range(checks)
    )
    (folder / "idle.yaml").write_text(cases)


def _write_results(folder: Path, cases: Sequence[Case], count: int) -> None:
    """Write results of so many checks of the cases, each as the first of them ended."""
    options = RunOptions(points=8)
    dtypes = ("float64", "float32")
    checks = plan(cases, devices=("cpu",), dtypes=dtypes, witnesses=DEFAULT_WITNESSES)
    outcome = examine(checks[0], options)
    folder.mkdir()
    with (folder / "results.jsonl").open("w", encoding="utf-8") as file:
        for check in islice(cycle(checks), count):
            facts = records.run_facts(check.case.where.path, options, "a CPU")
            records.write(records.record(check, outcome, facts), file)
