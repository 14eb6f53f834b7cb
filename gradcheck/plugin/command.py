"""What `gradcheck run` asks of pytest: catalogs alone, Ctrl-C of its own, and 2 for a bad file.

Loaded by the command (``-p gradcheck.plugin.command``) and never by a user's project.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gradcheck.interruption import end_at_once, hold, release
from gradcheck.plugin import interruptions
from gradcheck.plugin.folders import as_of_items, is_catalog_name
from gradcheck.plugin.items import BAD_FILE
from gradcheck.plugin.progress import register_progress
from gradcheck.plugin.session import has_workers, worker_input

_NARROWED = pytest.StashKey[list[tuple[Path, str, str]]]()


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C in: from here on pytest ends cleanly. Before, it would print a traceback."""
    if worker_input(config) is None:
        config.pluginmanager.get_plugin(interruptions.PLUGIN_NAME).watch.begin()  # type: ignore[union-attr]
        config.pluginmanager.register(_BadFiles(), "gradcheck bad files")
        register_progress(config)
    release()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> Generator[None, Any, Any]:
    """Hold Ctrl-C while workers are started: they inherit that, until they are configured."""
    if not has_workers(session.config):
        return (yield)
    hold()
    try:
        return (yield)
    finally:
        release()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if worker_input(config) is None:
        end_at_once()  # the interpreter still takes a while to end


@pytest.hookimpl(tryfirst=True)
def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector:
    """Take each folder for a plain one: pytest imports the ``__init__.py`` of a package."""
    return pytest.Dir.from_parent(parent, path=path)


@pytest.hookimpl(tryfirst=True)
def pytest_ignore_collect(collection_path: Path) -> bool | None:
    return True if collection_path.is_file() and not is_catalog_name(collection_path.name) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Collect the whole case where ``CASE[VARIANT]`` is named, as pytest knows whole ids alone."""
    config = session.config
    config.stash[_NARROWED] = list(_asked(config))
    if not has_workers(config):  # workers get the arguments as they were given
        config.args[:] = dict.fromkeys(_whole(argument) for argument in config.args)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = config.stash[_NARROWED]
    chosen = [item for item in items if any(_is_meant(item, *each) for each in asked)]
    left_out = len(items) - len(chosen)
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    if exitstatus != pytest.ExitCode.NO_TESTS_COLLECTED:
        return
    left_out = len(terminalreporter.stats.get("deselected", ()))
    if left_out:
        terminalreporter.write_line(
            f"nothing selected: {left_out:,} checks are there, and none is what was asked for\n"
            "  expected: a name, or an expression after -k or -m, that a check has\n"
            "  fix:      write `gradcheck run PATH -- --collect-only -q`, which prints all names"
        )
    else:
        terminalreporter.write_line(
            f"nothing selected: no check in {', '.join(config.args)}\n"
            "  expected: a catalog, which is a YAML file of cases\n"
            "  fix:      name a file or folder of cases, or loosen the options that select"
        )


class _BadFiles:
    """The exit code of a bad case file, which for pytest is one failure of many.

    It has state, as reports come one by one.
    """

    def __init__(self) -> None:
        self.found = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.found |= report.failed and BAD_FILE in report.keywords

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.found and session.exitstatus == pytest.ExitCode.TESTS_FAILED:
            session.exitstatus = pytest.ExitCode.INTERRUPTED


def _asked(config: pytest.Config) -> Iterator[tuple[Path, str, str]]:
    """The path, case and brackets of each argument."""
    for argument in config.args:
        path, _, name = argument.partition("::")
        case, _, brackets = name.partition("[")
        yield as_of_items(path, config), case, brackets.removesuffix("]")


def _whole(argument: str) -> str:
    path, _, name = argument.partition("::")
    return f"{path}::{name.partition('[')[0]}" if name else path


def _is_meant(item: pytest.Item, path: Path, case: str, brackets: str) -> bool:
    """Whether an argument names the item: by its folder, file, case, variant or whole id."""
    if not item.path.is_relative_to(path):
        return False
    name, _, parts = item.name.partition("[")
    if not case or not brackets:
        return case in ("", name)
    variant = getattr(getattr(item, "check", None), "variant", None)
    named = brackets in (parts.removesuffix("]"), getattr(variant, "name", None))
    return case == name and named
