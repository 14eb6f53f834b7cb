"""Whether a case's joint constraint can be met at all by the inputs that are drawn for it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from gradcheck.catalog.case import Case, Variant
from gradcheck.errors import Problem
from gradcheck.formula.exact import holds
from gradcheck.inputs.generate import regimes
from gradcheck.inputs.points import Site, draw
from gradcheck.inputs.rows import join
from gradcheck.setting import DTYPES

MOST_PROBLEMS = 100
_SECONDS = 4.0  # for all conditions of a file that are not met, as reading has 6 of the 10
_ROUNDS = 4
_POINTS = 8  # of each regime in each round
_FIX = "loosen `where`, narrow the domains of the inputs, or write the constraint into the formula"


def unreachable(cases: Iterable[Case]) -> tuple[Problem, ...]:
    """Return a problem for each variant of a file's cases whose `where` no drawn input meets.

    Every regime is tried, in float64; the place is the case's. After 100 problems, or 4 seconds
    without an input that meets a condition, the last problem says that the search stopped.
    """
    found: list[Problem] = []
    left = _SECONDS
    for case in cases:
        for variant in case.variants if case.conditions else ():
            began = time.monotonic()
            if _reached(Site(case.inputs, variant.program, DTYPES["float64"]), began + left):
                continue
            left -= time.monotonic() - began
            if left <= 0:
                return (*found, _out_of_time(case, variant))
            found.append(_unmet(case, variant))
            if len(found) == MOST_PROBLEMS:
                return (*found, _stopped(case))
    return tuple(found)


def _unmet(case: Case, variant: Variant) -> Problem:
    found = f"{_title(case, variant)}: no drawn input meets its `where`"
    expected = "a condition that holds on a set of inputs that can be drawn"
    return Problem(case.where, found, expected, _FIX)


def _out_of_time(case: Case, variant: Variant) -> Problem:
    found = f"{_title(case, variant)}: no drawn input met its `where` in time; the search stops"
    expected = f"at most {_SECONDS:g} seconds of search for the conditions of a file"
    return Problem(case.where, found, expected, f"{_FIX}, or make it smaller")


def _stopped(case: Case) -> Problem:
    found = f"{MOST_PROBLEMS} conditions that no drawn input meets; the search stopped here"
    return Problem(case.where, found, "fewer problems", "correct these first")


def _title(case: Case, variant: Variant) -> str:
    return f"case {case.name}{f'[{variant.name}]' if variant.name else ''}"


def _reached(site: Site, deadline: float) -> bool:
    """Say whether some point meets the conditions; the first that does ends the search."""
    for seed in range(_ROUNDS):
        for regime in regimes(site.inputs, site.program):
            for row in join(site.inputs, draw(site, regime, seed, _POINTS)).tolist():
                if holds(site.program, row):
                    return True
                if time.monotonic() > deadline:
                    return False
    return False
