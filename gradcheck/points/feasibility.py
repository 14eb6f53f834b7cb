"""Whether a case's joint constraint can be met at all by the inputs that are drawn for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gradcheck.catalog.case import Case, Variant
from gradcheck.dtypes import DTYPES
from gradcheck.errors import Problem
from gradcheck.points.generate import to_rows
from gradcheck.points.plan import Site, draw, regimes
from gradcheck.reference.conditions import holds, work_of_holding

_MOST_PROBLEMS = 100
_WORK = 4_000_000  # in units of a tape's, for all conditions of a file
_WORK_OF_A_POINT = 20  # what each takes, however small it is
_ROUNDS = 4
_POINTS = 8  # of each regime in each round
_FIX = "loosen `where`, narrow the domains of the inputs, or write the constraint into the formula"


@dataclass(slots=True)
class _Allowance:
    """What the search may still take for a file; it shrinks with each point that is tried."""

    work: int


def infeasible(cases: Iterable[Case]) -> tuple[Problem, ...]:
    """Return a problem for each variant of a file's cases whose `where` no drawn input meets.

    Every regime is tried, in float64; the place is the case's. After 100 problems, or as much work
    as a file may take, the last problem says that the search stopped. Work is counted and not
    timed, so that every process takes the same files.
    """
    found: list[Problem] = []
    allowance = _Allowance(_WORK)
    for case in cases:
        for variant in case.variants if case.conditions else ():
            if _reached(Site(variant.inputs, variant.formula, DTYPES["float64"]), allowance):
                continue
            if allowance.work < 0:
                return (*found, _out_of_work(case, variant))
            found.append(_unmet(case, variant))
            if len(found) == _MOST_PROBLEMS:
                return (*found, _stopped(case))
    return tuple(found)


def _unmet(case: Case, variant: Variant) -> Problem:
    found = f"{_title(case, variant)}: no drawn input meets its `where`"
    expected = "a condition that holds on a set of inputs that can be drawn"
    return Problem(case.where, found, expected, _FIX)


def _out_of_work(case: Case, variant: Variant) -> Problem:
    found = f"{_title(case, variant)}: no drawn input has met its `where`, and the search stops"
    expected = f"at most {_WORK:,} steps of computation for the conditions of a file"
    return Problem(case.where, found, expected, f"{_FIX}, or make it smaller")


def _stopped(case: Case) -> Problem:
    found = f"{_MOST_PROBLEMS} conditions that no drawn input meets; the search stopped here"
    return Problem(case.where, found, "fewer problems", "correct these first")


def _title(case: Case, variant: Variant) -> str:
    return f"case {case.name}{f'[{variant.name}]' if variant.name else ''}"


def _reached(site: Site, allowance: _Allowance) -> bool:
    """Say whether some point meets the conditions; the first that does ends the search."""
    work = work_of_holding(site.formula) + _WORK_OF_A_POINT
    for seed in range(_ROUNDS):
        for regime in regimes(site.inputs, site.formula):
            rows = to_rows(site.inputs, draw(site, regime, seed, _POINTS))
            rows = rows[: max(1, allowance.work // work + 1)]
            met = holds(site.formula, rows).astype(np.bool_)
            tried = int(met.argmax()) + 1 if met.any() else len(rows)
            allowance.work -= tried * work
            if met.any():
                return True
            if allowance.work < 0:
                return False
    return False
