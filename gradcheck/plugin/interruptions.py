"""Ctrl-C during a run of pytest: it stops the run after what had ended, even if it got lost."""

from __future__ import annotations

import traceback
from collections.abc import Generator
from typing import Any

import pytest

from gradcheck.interruption import Watch
from gradcheck.plugin.folders import is_catalog_name

PLUGIN_NAME = "gradcheck interruptions"
_GRACE = 3.0  # seconds in which workers tell of the Ctrl-C that they had too


class Interruptions:
    """A pytest plugin of the process that the user started. It holds the watch of one run."""

    def __init__(self) -> None:
        self.watch = Watch()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Watch only where there is something of ours; workers are stopped by their controller."""
        if any(is_catalog_name(item.path.name) for item in session.items):
            self.watch.begin()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self) -> Generator[None, Any, Any]:
        return (yield from self._phase())

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None, Any, Any]:
        return (yield from self._phase())

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Generator[None, Any, Any]:
        return (yield from self._phase())

    def _phase(self) -> Generator[None, Any, Any]:
        """Raise it within what a test does itself; pytest's own steps around it are not parted."""
        self.watch.check()
        self.watch.raises = True
        try:
            return (yield)
        finally:
            self.watch.raises = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, Any, Any]:
        try:
            result = yield
        except KeyboardInterrupt as error:
            if _lacks_lines(error):
                raise KeyboardInterrupt from None
            raise
        self.watch.check()
        return result

    def pause(self) -> None:
        """Let Ctrl-C in, while nothing but other machines works. Errors: KeyboardInterrupt."""
        self.watch.check()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, error: object) -> None:
        """Replace no worker that Ctrl-C ended before it could say so."""
        if error not in (None, "keyboard-interrupt"):
            self.watch.check()

    def pytest_runtest_logstart(self) -> None:
        """End the run where a worker begins a check although Ctrl-C came: it has not had it."""
        if self.watch.waited > _GRACE:
            self.watch.check()

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        self.watch.finish()  # the second time, while the run is being wound up

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.watch.finish()
        if self.watch.came:  # it may have been lost after the last check
            session.exitstatus = pytest.ExitCode.INTERRUPTED

    def pytest_unconfigure(self) -> None:
        self.watch.end()


def _lacks_lines(error: BaseException) -> bool:
    """Whether a frame has no line: Ctrl-C may fall there, and pytest fails to show such a one."""
    return any(line is None for _, line in traceback.walk_tb(error.__traceback__))
