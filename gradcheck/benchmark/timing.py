"""Seconds in alternation, so that ratios hold where a busy machine moves single figures."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Work = Callable[[int], Callable[[], Any]]
"""Makes ready what is timed, for the number of a round: no two rounds have the same points."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, with the least and the most of them."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        return cls(statistics.median(figures), min(figures), max(figures))


def alternate(sides: Mapping[str, Work], seconds: float) -> list[dict[str, float]]:
    """Return of each round what each side took: all sides in turn, round by round.

    Every round is whole; there is one at least, and none begins after so many seconds. First
    calls are slow, so that a round that is not kept comes before.

    Units: seconds of the processor.
    """
    rounds: list[dict[str, float]] = []
    _round(sides, 0)
    end = time.process_time() + seconds
    while not rounds or time.process_time() < end:
        rounds.append(_round(sides, len(rounds) + 1))
    return rounds


def _round(sides: Mapping[str, Work], number: int) -> dict[str, float]:
    taken = {}
    for name, work in sides.items():
        run = work(number)
        start = time.process_time()
        run()
        taken[name] = max(time.process_time() - start, sys.float_info.min)
    return taken


def growth(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return the exponent of growth: the slope of the costs over the sizes, both as logarithms."""
    fitted = statistics.linear_regression([*map(math.log, sizes)], [*map(math.log, costs)])
    return fitted.slope


@dataclass(frozen=True, slots=True)
class CommandCost:
    """What a process took with all that it started, and what it printed.

    Units: ``seconds`` of the processor, ``peak`` in bytes.
    """

    seconds: float
    peak: int
    printed: str


# A small process stands between: a child's peak is not less than its parent's at the start.
_BETWEEN = """\
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
taken = used.ru_utime + used.ru_stime, used.ru_maxrss
print(json.dumps([done.returncode, *taken, done.stdout, done.stderr]))
"""


def cost_of(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> CommandCost:
    """Return what a command took that is run in a folder, with more in its environment.

    Errors: RuntimeError where it did not end well.
    """
    between = [sys.executable, "-c", _BETWEEN, *command]
    env = {**os.environ, **environment}
    done = subprocess.run(between, cwd=folder, env=env, capture_output=True, text=True, check=True)
    code, seconds, peak, printed, told = json.loads(done.stdout)
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with {code}:\n{printed}{told}")
    return CommandCost(seconds, peak * (1 if sys.platform == "darwin" else 1024), printed)
