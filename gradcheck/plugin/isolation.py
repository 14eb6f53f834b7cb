"""Has checks examined in a process of its own, and says which of them crashes, hangs or bloats it.

Imports no torch, nor what reads catalogs. The other side is `gradcheck.plugin.isolated`.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import BinaryIO

from gradcheck.answer import Outcome, Ruling, RunOptions

READY = "ready"
"""The first word of the process, once it has imported torch: from then on a check's time counts."""

_PROGRAM = (
    "import sys; sys.path[:], sys.argv[1:] = sys.argv[1:], []; "
    "from gradcheck.plugin.isolated import serve; serve()"
)
_LOOK = 0.1  # seconds between two looks at the limits
_LAST_WORDS = 0.5  # seconds
_GIB = 2**30
_KILLED = 9  # SIGKILL, which Windows lacks


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """How long a check may take and how much memory its process may hold; 0 is no limit.

    Units: seconds, and GiB of resident memory, which is known on Linux alone.
    """

    seconds: float = 300
    memory: float = 8


@dataclass(frozen=True, slots=True)
class Setup:
    """What the process is told once: how to make checks, and how to run them."""

    root: Path
    devices: tuple[str, ...]
    dtypes: tuple[str, ...]
    witnesses: tuple[str, ...]
    run_options: RunOptions
    one_thread: bool


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """Which check is to be examined: its name, in a file that messages call ``shown``."""

    path: Path
    shown: str
    name: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How a check ended; ``told`` is printed where there is something instead of its block."""

    outcome: Outcome
    told: str = ""
    device_name: str = "unknown"


def unjudged(ruling: Ruling, reason: str, blame: str = "", seconds: float = 0.0) -> Outcome:
    """Return the outcome of a check in which nothing was judged."""
    return Outcome(ruling, reason, 0, 0, 0, seconds, {}, blame=blame)


class IsolationError(RuntimeError):
    """The process that examines does not start."""


class _Lost(Exception):
    """The process was lost in a check; ``in_doubt``: by the doing of another, perhaps."""

    def __init__(self, how: str, *, in_doubt: bool, seconds: float) -> None:
        super().__init__(how)
        self.in_doubt, self.seconds = in_doubt, seconds

    @property
    def outcome(self) -> Outcome:
        """Who is to blame is the check, whatever part of what it runs."""
        reason = f"{self}; where it was stands in what it printed, if that could be learnt"
        return unjudged(Ruling.DISAGREE, reason, str(self), self.seconds)


class Examiner:
    """Puts questions to a process, and replaces it when it dies. Its state is that process.

    A verdict depends on the check alone. Where the process had examined others before, or was
    killed from outside, the check is examined once more in a fresh one, and what happens there
    counts.
    """

    def __init__(self, setup: Setup, limits: CheckLimits) -> None:
        self.setup, self.limits = setup, limits
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: SimpleQueue[object] = SimpleQueue()

    def ended(self, question: CheckRequest) -> Ended:
        """Return how the check ended, whether the process outlived it or not.

        Errors: IsolationError.
        """
        try:
            try:
                return self._asked(question)
            except _Lost as lost:
                if not lost.in_doubt:
                    raise
            return self._asked(question)
        except _Lost as lost:
            return Ended(lost.outcome)

    def end(self) -> None:
        """End the process, whatever it does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            with suppress(OSError):  # of a question that it has not heard
                process.stdin.close()  # type: ignore[union-attr]

    def _asked(self, question: CheckRequest) -> Ended:
        """Errors: _Lost, IsolationError."""
        was_fresh = self._process is None
        try:
            process = self._process or self._start()
            began = time.monotonic()
            with suppress(OSError):  # it is dead, as the answer will say
                _say(question, process)
            found = self._answer(process, began)
        except BaseException:  # Ctrl-C, or somebody else's time limit
            self.end()
            raise
        if isinstance(found, Ended):
            return found
        self.end()
        in_doubt = not was_fresh or process.returncode == -_KILLED
        raise _Lost(found, in_doubt=in_doubt, seconds=time.monotonic() - began)

    def _start(self) -> subprocess.Popen[bytes]:
        self._answers = SimpleQueue()
        process = self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, *map(str, sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        _say(self.setup, process)
        Thread(target=_listen, args=(process.stdout, self._answers), daemon=True).start()
        if self._answers.get() != READY:
            code = process.wait()
            raise IsolationError(f"the process that examines ended at its start, with code {code}")
        return process

    def _answer(self, process: subprocess.Popen[bytes], began: float) -> Ended | str:
        """What the process says, or how it was lost."""
        while True:
            with suppress(Empty):
                found = self._answers.get(timeout=_LOOK)
                return found if isinstance(found, Ended) else _death(process)
            excess = self._excess(process.pid, time.monotonic() - began)
            if excess:
                _ask_for_stack(process)
                return excess

    def _excess(self, process: int, seconds: float) -> str:
        """Which limit the check has passed."""
        if 0 < self.limits.seconds < seconds:
            return f"it did not end within {self.limits.seconds:g} s"
        if 0 < self.limits.memory * _GIB < _resident(process):
            return f"it takes more than {self.limits.memory:g} GiB of memory"
        return ""


def _death(process: subprocess.Popen[bytes]) -> str:
    with suppress(subprocess.TimeoutExpired):  # it has closed its pipe, and lives
        process.wait(_LAST_WORDS)
    code = process.returncode
    if code is None or code >= 0:
        return f"it ends the process that examines it, with exit code {code}"
    if code == -_KILLED:
        return "the process that examines it was killed (SIGKILL), by hand or for its memory"
    names = {each.value: each.name for each in signal.Signals}
    name = names.get(-code, f"signal {-code}")
    return f"it crashes the process that examines it ({name}, {signal.strsignal(-code)})"


def _ask_for_stack(process: subprocess.Popen[bytes]) -> None:
    if hasattr(signal, "SIGUSR1"):
        process.send_signal(signal.SIGUSR1)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LAST_WORDS)


def _say(what: object, process: subprocess.Popen[bytes]) -> None:
    pickle.dump(what, process.stdin)  # type: ignore[arg-type]
    process.stdin.flush()  # type: ignore[union-attr]


def _listen(answers: BinaryIO, heard: SimpleQueue[object]) -> None:
    """Pass on every answer, and None at the end, whatever that is."""
    try:
        with answers:
            while True:
                heard.put(pickle.load(answers))
    except Exception:
        heard.put(None)


def _resident(process: int) -> int:
    """How many bytes of memory a process holds; 0 where that is not known."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1])
    except (OSError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
