"""The progress of `gradcheck run`, in the place of pytest's letters. It decides nothing.

While it is shown, pytest's reporter counts as ever and prints nothing of a check; whatever anybody
else prints through it, the bar steps aside for.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import pytest

from gradcheck.plugin.results import HEADLINE, record_of
from gradcheck.report.causes import record_headline
from gradcheck.report.progress import Display, Progress, display_of, takes_a_bar

_REPORTER = "terminalreporter"


def register_progress(config: pytest.Config) -> None:
    """Show progress, unless the run tells every check anyhow, or only looks; nothing under -q."""
    reporter = config.pluginmanager.get_plugin(_REPORTER)
    if reporter is not None and config.get_verbosity() <= 0 and not config.getoption("collectonly"):
        config.pluginmanager.register(RunProgress(config, reporter), "gradcheck progress")


class RunProgress:
    """A pytest plugin of the process that prints. It has state, as reports come one by one."""

    def __init__(self, config: pytest.Config, reporter: Any) -> None:
        self._config, self._reporter = config, reporter
        self._progress = Progress("checks")
        self._display: Display | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        self._progress.planned = _planned(item.nodeid for item in getattr(session, "items", ()))
        with self._shown():
            return (yield)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self._progress.planned = _planned(ids)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._progress.start(_short(nodeid))
        self._show()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        record = record_of(report)
        if record is None:
            self._note_fault(report)
            return
        name = _short(report.nodeid)
        self._progress.end(
            name,
            record.witness,
            record.verdict,
            failure=record_headline(record) if report.failed else "",
            seconds=record.seconds,
        )
        self._show()

    def _note_fault(self, report: pytest.TestReport) -> None:
        """A file or case that is wrong: it fails in the place of its checks."""
        headline = dict(report.user_properties).get(HEADLINE)
        if headline is not None and report.when == "call":
            self._progress.end(_short(report.nodeid), "", "faulty", failure=str(headline))
            self._show()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._progress.running.pop(_short(nodeid), None)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_report_teststatus(self) -> Generator[None, Any, Any]:
        """Let the reporter count a report under its category, and print no letter for it."""
        category, *printed = yield
        return (category, "", "") if self._display is not None else (category, *printed)

    def _show(self) -> None:
        """Show what is new, unless somebody has written half a line."""
        if self._display is not None and not self._writer.width_of_current_line:
            self._display.show()

    @property
    def _writer(self) -> Any:
        return self._config.get_terminal_writer()

    @contextmanager
    def _shown(self) -> Generator[None, Any, Any]:
        writer, write = self._writer, self._writer.write
        quiet = self._config.get_verbosity() < 0
        if not quiet:
            writer.line()
        display = self._display = display_of(
            self._progress,
            self._terminal(),
            self._reporter.write_line,
            quiet=quiet,
        )

        def write_beside(*texts: Any, **markup: Any) -> None:
            display.step_aside()
            write(*texts, **markup)

        names_files, self._reporter.showfspath = self._reporter.showfspath, False
        writer.write = write_beside
        try:
            yield
        finally:
            display.step_aside()
            self._display = None
            writer.write = write
            self._reporter.showfspath = names_files

    def _terminal(self) -> TextIO | None:
        """The terminal itself: while a check runs, pytest catches the usual way there."""
        if self._config.getoption("capture") == "no" or not takes_a_bar(sys.stdout):
            return None
        with suppress(OSError, ValueError):
            terminal = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
            self._config.add_cleanup(terminal.close)
            return terminal
        return None


def _planned(nodeids: Iterable[str]) -> Counter[str]:
    return Counter(map(_kind, nodeids))


def _kind(nodeid: str) -> str:
    """The witness, since checks by one take alike long; all else is one kind."""
    parts = nodeid.rpartition("[")[2].split("-")
    return parts[-3] if len(parts) > 2 else ""


def _short(nodeid: str) -> str:
    path, colons, name = nodeid.partition("::")
    return f"{path.rpartition('/')[2]}{colons}{name}"
