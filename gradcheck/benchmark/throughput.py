"""Certified gradient entries per second, beside finite differences and beside PyTorch alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch

from gradcheck.answer import RunOptions
from gradcheck.benchmark.figures import Figures, Target
from gradcheck.benchmark.timing import Spread, Work, alternate
from gradcheck.catalog.case import Case
from gradcheck.catalog.checks import Check, plan
from gradcheck.dtypes import DTYPES
from gradcheck.methods import DEFAULT_WITNESSES
from gradcheck.methods.reverse import MOST_ROWS
from gradcheck.points.generate import Points, count_of
from gradcheck.randomness import derive_key
from gradcheck.run.observation import Observation, observe
from gradcheck.run.session import Session, session_of

FEW_POINTS = 16
"""Of the points, for whoever takes them one by one and slowly."""
CERTIFIED, SLOW, FAST = "reverse", "gradcheck", "gradcheck, fast"
BARE, TOGETHER = "bare passes", "bare passes, all points in one call"
_LEAST_CASES = 3
_OVER_SLOW, _OVER_BARE = 40, 20


def throughput(cases: Sequence[Case], *, points: int, seconds: float) -> Iterator[Figures]:
    """Yield what is certified in a second beside others, and by each witness.

    Of many cases as many are measured as the time allows, in an order that hangs on no catalog.
    """
    yield beside_others(cases, points=points, seconds=seconds / 2)
    yield by_witness(cases, points=points, seconds=seconds / 2)


@dataclass(frozen=True, slots=True)
class _Rates:
    """Of one case what each side does in a second, as medians; and how they stand in each round."""

    file: str
    rounds: list[dict[str, float]]

    def rate(self, side: str) -> float:
        return median(each[side] for each in self.rounds)

    def ratio(self, side: str, other: str) -> float:
        """The median of the rounds' ratios."""
        return median(each[side] / each[other] for each in self.rounds)


def beside_others(cases: Sequence[Case], *, points: int, seconds: float) -> Figures:
    """Return for each file the entries per second of certified reverse mode and of the others."""
    checks = _checks(cases, (CERTIFIED,))
    measured = _each(checks, partial(_beside, points=points), seconds)
    files = dict.fromkeys(check.case.where.path for check in checks)
    rows = [
        (file, *_row([each for each in measured if each.file == file]))
        for file in files
        if any(each.file == file for each in measured)
    ]
    over_slow = [each.ratio(CERTIFIED, SLOW) for each in measured]
    behind = [each.ratio(BARE, CERTIFIED) for each in measured]
    return Figures(
        "Beside finite differences and bare passes",
        f"{len(measured)} of {len(checks)} cases, float64, {points:,} points and covering ones. "
        "Certified: truth enclosed by two derivations, PyTorch's gradient by two calls, each entry "
        "judged; an entry counts once. torch.autograd.gradcheck, slow and fast, is called point by "
        "point, as are the bare passes: one forward, and one backward for each output entry. "
        "Ratios: the median of the cases, the least and the most.",
        ("file", "cases", "certified/s", "over slow gradcheck", "over fast gradcheck",
         "bare passes are faster", "in one call they are faster"),
        tuple(rows),
        (
            _target(f"certified `reverse` at least {_OVER_SLOW} times slow gradcheck", over_slow,
                    median(over_slow) >= _OVER_SLOW),
            _target(f"within {_OVER_BARE} times the bare passes, point by point", behind,
                    median(behind) <= _OVER_BARE),
        ),
    )  # fmt: skip


def _target(wanted: str, ratios: Sequence[float], met: bool) -> Target:  # noqa: FBT001
    found = Spread.of(ratios)
    seen = f"{found.median:.3g} times, median of {len(ratios)} cases"
    return Target(wanted, f"{seen} ({found.least:.3g} to {found.most:.3g})", met)


def _row(rates: Sequence[_Rates]) -> tuple[Any, ...]:
    together = [each for each in rates if TOGETHER in each.rounds[0]]
    return (
        len(rates),
        median(each.rate(CERTIFIED) for each in rates),
        Spread.of([each.ratio(CERTIFIED, SLOW) for each in rates]),
        Spread.of([each.ratio(CERTIFIED, FAST) for each in rates]),
        Spread.of([each.ratio(BARE, CERTIFIED) for each in rates]),
        Spread.of([each.ratio(TOGETHER, CERTIFIED) for each in together]) if together else "",
    )


def by_witness(cases: Sequence[Case], *, points: int, seconds: float) -> Figures:
    """Return what each of the default witnesses has judged in a second."""
    firsts = _checks(cases, (CERTIFIED,))
    measured = _each(firsts, partial(_witnesses, points=points), seconds)
    rows = []
    for name in DEFAULT_WITNESSES:
        asked = [each for each in measured if name in each.rounds[0]]
        if asked:
            rates = Spread.of([each.rate(name) for each in asked])
            beside = rates.median / median(each.rate(CERTIFIED) for each in asked)
            rows.append((name, len(asked), rates, beside))
    return Figures(
        "By witness",
        f"{len(measured)} of {len(firsts)} cases, float64, each witness's share of {points:,} "
        "points, and covering ones. Every number that a witness gave and that was judged counts, "
        "for each of its calls; the median of the cases, the least and the most.",
        ("witness", "cases", "numbers judged/s", "times reverse"),
        tuple(rows),
    )


Measure = Callable[[Check, float], list[dict[str, float]]]


def _each(checks: Sequence[Check], measure: Measure, seconds: float) -> list[_Rates]:
    """The cases one by one until time is up, each with its share."""
    end = time.process_time() + seconds
    found: list[_Rates] = []
    for check in _mixed(checks):
        if len(found) >= _LEAST_CASES and time.process_time() > end:
            break
        found.append(_Rates(check.case.where.path, measure(check, seconds / len(checks))))
    return found


def _mixed(checks: Sequence[Check]) -> list[Check]:
    """In an order that is the same in every run, and mixes files and families."""
    return sorted(checks, key=lambda check: derive_key(check.case.where.path, check.name))


def _checks(cases: Sequence[Case], witnesses: Sequence[str]) -> list[Check]:
    """The first check of each case that is not without the witnesses, in double precision."""
    wide = [name for name, dtype in DTYPES.items() if dtype.real == "float64"]
    asked = [case for case in cases if not case.without.keys() & set(witnesses)]
    planned = plan(asked, devices=("cpu",), dtypes=wide, witnesses=witnesses)
    first: dict[int, Check] = {}
    for check in planned:
        first.setdefault(id(check.case), check)
    return list(first.values())


def _beside(check: Check, seconds: float, *, points: int) -> list[dict[str, float]]:
    """Entries per second of each side, round by round."""
    session = session_of(check)
    outputs = session.reference.outputs
    entries = session.reference.size * (outputs if outputs <= MOST_ROWS else 1)
    whole = session.reference.size * outputs
    certified = sum(map(count_of, _batches(session, 1, points))) * entries
    counts = {CERTIFIED: certified, **dict.fromkeys((SLOW, FAST, BARE), FEW_POINTS * whole)}
    sides: dict[str, Work] = {
        CERTIFIED: lambda number: partial(_certify, session, _batches(session, number, points)),
        SLOW: lambda number: partial(_differences, session, _few(session, number), fast=False),
        FAST: lambda number: partial(_differences, session, _few(session, number), fast=True),
        BARE: lambda number: partial(_bare, session, _few(session, number)),
    }
    if session.batched:
        sides[TOGETHER] = lambda number: partial(
            _bare_together, session, _together(session, _batches(session, number, points))
        )
        counts[TOGETHER] = certified
    return [
        {side: counts[side] / taken for side, taken in each.items()}
        for each in alternate(sides, seconds)
    ]


def _witnesses(check: Check, seconds: float, *, points: int) -> list[dict[str, float]]:
    """Numbers judged per second by each witness, round by round."""
    found = plan([check.case], devices=("cpu",), dtypes=(check.dtype,), witnesses=DEFAULT_WITNESSES)
    sessions: dict[str, Session] = {}
    for each in found:
        if each.witness not in check.case.without and each.variant is check.variant:
            sessions.setdefault(each.witness, session_of(each))
    judged: dict[str, int] = {}

    def run(name: str, session: Session, batches: list[Points]) -> None:
        judged[name] = sum(_judged(each) for each in _certify(session, batches))

    sides: dict[str, Work] = {
        name: lambda number, name=name, session=session: partial(  # type: ignore[misc]
            run, name, session, _batches(session, number, points)
        )
        for name, session in sessions.items()
    }
    rounds = alternate(sides, seconds)
    return [
        {name: judged[name] / taken for name, taken in each.items() if judged[name]}
        for each in rounds
    ]


def _batches(session: Session, number: int, points: int) -> list[Points]:
    return [each.points for each in session.planned(RunOptions(points=points, seed=number))]


def _few(session: Session, number: int) -> list[list[torch.Tensor]]:
    """Points one by one, as leaves."""
    return [
        row for points in _batches(session, number, FEW_POINTS) for row in _rows(session, points)
    ][-FEW_POINTS:]


def _rows(session: Session, points: Points) -> Iterator[list[torch.Tensor]]:
    columns = [points[each.name] for each in session.variant.inputs]
    for row in zip(*columns, strict=True):
        yield [torch.tensor(value, requires_grad=True) for value in row]


def _together(session: Session, batches: list[Points]) -> list[torch.Tensor]:
    (points,) = batches
    return [torch.tensor(points[x.name], requires_grad=True) for x in session.variant.inputs]


def _certify(session: Session, batches: Sequence[Points]) -> list[Observation]:
    return [observe(session, points, seed=0) for points in batches]


def _judged(observation: Observation) -> int:
    reference = observation.session.reference
    agreed = len(observation.agreed) * reference.outputs * reference.size
    return agreed + sum(each.got.size for each in observation.judged)


def _differences(session: Session, rows: Sequence[list[torch.Tensor]], *, fast: bool) -> None:
    for row in rows:
        torch.autograd.gradcheck(session.subject, row, raise_exception=False, fast_mode=fast)


def _bare(session: Session, rows: Sequence[list[torch.Tensor]]) -> None:
    """One forward at each point, and one backward for each output entry."""
    for row in rows:
        for result in _results(session, row):
            for entry in result.reshape(-1):
                _backward(entry, row)


def _bare_together(session: Session, points: list[torch.Tensor]) -> None:
    """One forward and one backward for all points, where code takes them all in one call."""
    for result in _results(session, points):
        _backward(result, points)


def _results(session: Session, inputs: list[torch.Tensor]) -> Iterator[torch.Tensor]:
    found = session.subject(*inputs)
    results = found if isinstance(found, (tuple, list)) else (found,)
    yield from (result for result in results if result.requires_grad)


def _backward(result: torch.Tensor, inputs: list[torch.Tensor]) -> None:
    weights = torch.ones_like(result)
    torch.autograd.grad(result, inputs, weights, retain_graph=True, allow_unused=True)
