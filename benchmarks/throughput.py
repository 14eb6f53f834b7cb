"""Certified gradient entries per second of `reverse`, beside looped `torch.autograd.gradcheck`.

Run by hand or by `tox -e bench`; never a test. Both judge the same functions at the same points,
in turn, in one process with one thread, so that the ratio holds where single figures do not.
Seconds are those of the processor. Certified means: truth enclosed by both derivations, PyTorch's
gradient by two calls, each entry judged. The other side is `gradcheck` in its slow mode with
default settings, point by point.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch

from gradcheck.answer import RunOptions
from gradcheck.catalog.checks import Check, plan
from gradcheck.catalog.load import load
from gradcheck.run.observation import observe
from gradcheck.run.session import Points, Session, session_of, single

CASES = Path(__file__).parent.parent / "cases"
SLOW_POINTS = 16  # of the points, for the side that takes them one by one


def main() -> None:
    """Print a line for each case, then the figures of the whole file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, default=CASES / "polynomials.yaml")
    parser.add_argument("--points", type=int, default=256)
    options = parser.parse_args()
    torch.set_num_threads(1)
    checks = plan(load(options.file), devices=("cpu",), dtypes=("float64",), witnesses=("reverse",))
    first = {check.case.name: check for check in reversed(checks)}
    rows = [measure(check, options.points) for check in reversed(first.values())]
    report(rows)
    print(f"cost of twice the points: {linearity(first.popitem()[1], options.points):.2f} times")


def measure(check: Check, count: int) -> tuple[str, float, float]:
    """Entries per second of both sides."""
    session = session_of(check)
    batches = [each.points for each in session.planned(RunOptions(points=count))]
    observe(session, single(batches[0], 0), seed=0)  # first calls are slow
    certified = _certified(session, batches)
    differences = _differences(session, batches)
    print(
        f"{check.case.name:40} {certified:12,.0f} {differences:12,.0f} "
        f"{certified / differences:8.1f}",
        file=sys.stderr,
    )
    return check.case.name, certified, differences


def _certified(session: Session, batches: list[Points]) -> float:
    started = time.process_time()
    count = sum(len(session.rows(observe(session, points, seed=0).points)) for points in batches)
    return count * _entries(session) / (time.process_time() - started)


def _differences(session: Session, batches: list[Points]) -> float:
    rows = [row for points in batches for row in _tensors(session, points)][:SLOW_POINTS]
    started = time.process_time()
    for row in rows:
        torch.autograd.gradcheck(session.subject, row, raise_exception=False)
    return len(rows) * _entries(session) / (time.process_time() - started)


def _entries(session: Session) -> int:
    """Gradient entries of a point. `reverse` asks for each at least twice; it counts once."""
    return session.reference.outputs * session.reference.size


def _tensors(session: Session, points: Points) -> list[tuple[torch.Tensor, ...]]:
    columns = [points[each.name] for each in session.case.inputs]
    return [
        tuple(torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in row)
        for row in zip(*columns, strict=True)
    ]


def linearity(check: Check, count: int) -> float:
    """How much longer twice the points take."""
    session = session_of(check)
    times = []
    for points in (count, 2 * count):
        batches = [each.points for each in session.planned(RunOptions(points=points))]
        runs = []
        for _ in range(5):
            started = time.process_time()
            for batch in batches:
                observe(session, batch, seed=0)
            runs.append(time.process_time() - started)
        times.append(min(runs))
    return times[1] / times[0]


def report(rows: list[tuple[str, float, float]]) -> None:
    ratios = sorted(certified / differences for _, certified, differences in rows)
    print(f"{len(rows)} cases; entries per second, median of the cases:")
    print(f"  certified reverse          {statistics.median(row[1] for row in rows):12,.0f}")
    print(f"  torch.autograd.gradcheck   {statistics.median(row[2] for row in rows):12,.0f}")
    print(f"  ratio: least {ratios[0]:.1f}, median {statistics.median(ratios):.1f}")


if __name__ == "__main__":
    main()
