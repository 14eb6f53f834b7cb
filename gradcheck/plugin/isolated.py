"""The examination of a check, and the process of its own in which pytest has it made.

What a check runs may crash the interpreter, hang or take all memory: that process is what is lost.
`gradcheck.plugin.isolation` starts and replaces it, and says what became of the check.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import sys
import traceback
from contextlib import nullcontext, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import BinaryIO

import pytest

from gradcheck import devices
from gradcheck.answer import CASE_ITSELF, OWN_DEFECT, Outcome, Ruling, RunOptions
from gradcheck.catalog.checks import Check, plan
from gradcheck.catalog.known_failures import read_known
from gradcheck.catalog.load import load
from gradcheck.errors import CatalogError
from gradcheck.implementations.trust import ProjectModules
from gradcheck.plugin.isolation import READY, CheckRequest, Ended, Setup, unjudged
from gradcheck.plugin.session import prepare_torch


def examined(check: Check, run_options: RunOptions, modules: ProjectModules) -> tuple[Outcome, str]:
    """Examine a check; return how it ended, and what to print instead of its block, if anything.

    ``modules`` are those of the project, from which the check's own code may be imported.
    """
    from gradcheck.diagnosis import examine  # brings torch, which collecting must not pay for

    own = check.implementation.function is not None
    try:
        with modules.in_use() if own else nullcontext():
            return examine(check, run_options), ""
    except CatalogError as error:  # a `function` that is not there shows only now
        return unjudged(Ruling.DISAGREE, str(error), CASE_ITSELF), str(error)
    except pytest.skip.Exception as error:  # by the code on trial
        return unjudged(Ruling.ABSTAIN, f"skipped: {error.msg}"), ""


def own_defect(error: Exception) -> Outcome:
    """Return the outcome of a check in which an error of ours came up."""
    return unjudged(Ruling.DISAGREE, f"{type(error).__name__}: {error}", OWN_DEFECT)


def serve() -> None:
    """Answer one question after the other, until who asks is gone. The life of the process.

    Questions and answers have pipes of their own: what the code on trial prints goes where the
    errors go, of which pytest shows what a failing check has left there. So does the stack
    where the interpreter crashes, or hangs.
    """
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # pytest itself ends the run, and this process
    faulthandler.enable(all_threads=False)
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, all_threads=False)  # where it is to be ended
    _go_first_where_memory_is_short()
    setup: Setup = pickle.load(questions)
    prepare_torch(setup.devices, worker=setup.one_thread)
    import_module("gradcheck.diagnosis")  # what a check is not to be charged for
    modules = ProjectModules(setup.root)
    waiting: SimpleQueue[CheckRequest] = SimpleQueue()
    Thread(target=_hear, args=(questions, waiting), daemon=True).start()
    _say(READY, answers)
    while True:
        _say(_answer(waiting.get(), setup, modules), answers)


def _answer(question: CheckRequest, setup: Setup, modules: ProjectModules) -> Ended:
    try:
        check = checks_of(question.path, question.shown, setup)[question.name]
        name = devices.name_of(check.device)
        return Ended(*examined(check, setup.run_options, modules), name)
    except Exception as error:
        return Ended(own_defect(error), traceback.format_exc(), "unknown")


@cache
def checks_of(path: Path, shown: str, setup: Setup) -> dict[str, Check]:
    """Return the checks of a file as pytest has collected them, by their names."""
    known, _ = read_known(path.parent)
    checks = plan(
        load(path, shown=shown),
        devices=setup.devices,
        dtypes=setup.dtypes,
        witnesses=setup.witnesses,
        known=known,
    )
    return {check.name: check for check in checks}


def _hear(questions: BinaryIO, waiting: SimpleQueue[CheckRequest]) -> None:
    with suppress(EOFError, OSError):
        while True:
            waiting.put(pickle.load(questions))
    os._exit(0)  # even from within a check: nobody waits for its end any more


def _say(what: object, answers: BinaryIO) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    pickle.dump(what, answers)
    answers.flush()


def _go_first_where_memory_is_short() -> None:
    """Let Linux end this process before the one that keeps the results."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
