"""Whether a case's joint constraint can be met at all by the inputs that are drawn for it."""

from __future__ import annotations

from gradcheck.catalog.case import Case
from gradcheck.errors import Problem
from gradcheck.formula.exact import holds
from gradcheck.inputs.generate import regimes
from gradcheck.inputs.points import Site, draw
from gradcheck.inputs.rows import join
from gradcheck.setting import DTYPES

_ROUNDS = 4
_POINTS = 8  # of each regime in each round


def unreachable(case: Case) -> tuple[Problem, ...]:
    """Return a problem for each variant whose `where` no drawn input meets.

    Every regime is tried, in float64; the place is the case's.
    """
    if not case.conditions:
        return ()
    return tuple(
        Problem(
            case.where,
            f"case {case.name}{f'[{variant.name}]' if variant.name else ''}: "
            "no drawn input meets its `where`",
            "a condition that holds on a set of inputs that can be drawn",
            "loosen `where`, narrow the domains of the inputs, "
            "or write the constraint into the formula",
        )
        for variant in case.variants
        if not _reached(Site(case.inputs, variant.program, DTYPES["float64"]))
    )


def _reached(site: Site) -> bool:
    """Say whether some point meets the conditions; the first that does ends the search."""
    for seed in range(_ROUNDS):
        for regime in regimes(site.inputs, site.program):
            rows = join(site.inputs, draw(site, regime, seed, _POINTS)).tolist()
            if any(holds(site.program, row) for row in rows):
                return True
    return False
