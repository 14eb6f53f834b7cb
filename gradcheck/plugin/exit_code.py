"""The exit code of `gradcheck run`: 2 for a bad case file, which for pytest is one failure of many.

Loaded by that command alone (``-p gradcheck.plugin.exit_code``): in a project of its own, pytest's
exit codes are pytest's.
"""

from __future__ import annotations

import pytest

from gradcheck.plugin.faults import BAD_FILE


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_BadFiles(), "gradcheck bad files")


class _BadFiles:
    """It has state, as reports come one by one."""

    def __init__(self) -> None:
        self.found = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.found |= report.failed and BAD_FILE in report.keywords

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.found and session.exitstatus == pytest.ExitCode.TESTS_FAILED:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
