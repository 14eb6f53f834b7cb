"""How a long command shows what it does, and lets Ctrl-C end it so that what ended can be told."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gradcheck.cli.output import complain
from gradcheck.interruption import Watch
from gradcheck.report.progress import Display, Progress, display_of


@contextmanager
def progress_shown(progress: Progress, *, quiet: bool) -> Iterator[Display]:
    """Show progress on standard error, where the command is not quiet, until the block ends.

    Errors: KeyboardInterrupt at Ctrl-C, where a process that tells nothing would end at once.
    """
    watch = _watched()
    display = display_of(progress, sys.stderr, complain, quiet=quiet)
    try:
        display.show()
        yield display
        watch.check()
    finally:
        display.step_aside()
        watch.end()


def _watched() -> Watch:
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # what nohup ignores stays ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)
    watch = Watch()
    watch.raises = True
    watch.begin()
    return watch
