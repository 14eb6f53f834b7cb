"""Ctrl-C always ends what runs, wherever it falls.

Python raises KeyboardInterrupt in whatever code happens to run. A callback of the garbage collector
(Hypothesis has one), a ``__del__`` or a broad ``except`` swallows it there, and the run goes on.
"""

from __future__ import annotations

import os
import signal
import sys
import time

TYPE_CHECKING = False  # the command loads this first: each further import is a moment unguarded
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

_CODE = 2  # as ExitCode.INTERRUPTED, which takes longer to load than a user may need to press keys


def end_at_once() -> None:
    """From now on end this process on Ctrl-C without raising anything, with exit code 2."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # what nohup ignores stays ignored
        signal.signal(signal.SIGINT, _end)


def hold() -> None:
    """Let a Ctrl-C wait until ``release``, also in the program that takes this process over."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def release() -> None:
    """Let in the Ctrl-C that waited. Errors: KeyboardInterrupt if there was one."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


class Deferred:
    """Let a Ctrl-C wait until the block ends, as where an import must not be broken off.

    By the handler and not by ``hold``, which masks one thread: those that NumPy and torch start
    would take the signal all the same. Outside the main thread, which Python alone interrupts,
    nothing is deferred.
    """

    def __enter__(self) -> None:
        self.came = False
        self._before = signal.getsignal(signal.SIGINT)
        try:
            signal.signal(signal.SIGINT, self._remember)
        except ValueError:  # not the main thread
            self._before = None

    def __exit__(self, *_raised: object) -> None:
        """Errors: KeyboardInterrupt if one came, if that is what the handler before raises."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self.came:
            signal.raise_signal(signal.SIGINT)

    def _remember(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True


class Watch:
    """Remembers that Ctrl-C came, since raising it may lead to nothing. It changes when that is.

    ``came`` stays true, so that who ends a piece of work can ask for it. It is raised at once only
    where ``raises`` says that it may be, or if it comes again: elsewhere it may fall between two
    steps of a caller that must not be parted.
    """

    def __init__(self) -> None:
        self._came_at: float | None = None
        self.raises = False
        self._hook = sys.unraisablehook

    @property
    def came(self) -> bool:
        return self._came_at is not None

    @property
    def waited(self) -> float:
        """How long ago it came, in seconds; 0 if it did not."""
        return 0.0 if self._came_at is None else time.monotonic() - self._came_at

    def begin(self) -> None:
        """Take Python's own handler's place; a handler of somebody else is left alone."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._raise)
            self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable

    def finish(self) -> None:
        """Let Ctrl-C end the process at once from here on, if this was watched."""
        if signal.getsignal(signal.SIGINT) == self._raise:
            end_at_once()

    def end(self) -> None:
        """Give Python's handler its place again."""
        if sys.unraisablehook == self._unraisable:
            sys.unraisablehook = self._hook
        if signal.getsignal(signal.SIGINT) in (self._raise, _end):
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def check(self) -> None:
        """Errors: KeyboardInterrupt if one came, for the case that it got lost."""
        if self.came:
            raise KeyboardInterrupt

    def _raise(self, _number: int, _frame: FrameType | None) -> None:
        again, self._came_at = self.came, time.monotonic()
        if self.raises or again:
            raise KeyboardInterrupt

    def _unraisable(self, lost: sys.UnraisableHookArgs) -> None:
        if not (self.came and lost.exc_type is KeyboardInterrupt):
            self._hook(lost)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    try:
        os.write(2, b"interrupted\n")
    finally:  # even if nobody reads standard error any more
        os._exit(_CODE)
