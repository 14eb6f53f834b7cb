"""Ctrl-C during a run of pytest: it stops the run after what had ended, even if it got lost."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from gradcheck.interruption import Watch
from gradcheck.plugin.folders import is_catalog_name

PLUGIN_NAME = "gradcheck interruptions"


class Interruptions:
    """A pytest plugin of the process that the user started. It holds the watch of one run."""

    def __init__(self) -> None:
        self.watch = Watch()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Watch only where there is something of ours; workers are stopped by their controller."""
        if any(is_catalog_name(item.path.name) for item in session.items):
            self.watch.begin()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, Any, Any]:
        result = yield
        self.watch.check()
        return result

    def pytest_keyboard_interrupt(self) -> None:
        self.watch.finish()  # the second time, while the run is being wound up

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.watch.finish()
        if self.watch.came:  # it may have been lost after the last check
            session.exitstatus = pytest.ExitCode.INTERRUPTED

    def pytest_unconfigure(self) -> None:
        self.watch.end()
