"""Walks through a case's drawn points: the same ones in every process, for every witness."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import count

from hypothesis import Phase, given, seed

from gradcheck.answer import Effort
from gradcheck.catalog.case import Case, Variant
from gradcheck.dtypes import Dtype
from gradcheck.points.batches import Batch, Draft, drafts, realise
from gradcheck.points.engine import every_setting, outside_of_tests
from gradcheck.points.generate import regimes
from gradcheck.points.mixing import branch
from gradcheck.points.points import Site

_RUNS = 16  # of Hypothesis
_RUN = 12  # drafts of one run: there are 11 regimes
_LARGEST_BATCH = 32  # points
_LARGEST_ENTRIES = 4096  # of all points of a batch together
_EMPTY_ROUNDS = 8  # of all regimes, without one point that meets `where`: then it is hopeless


def visit(
    case: Case, variant: Variant, dtype: Dtype, effort: Effort, look: Callable[[Batch], bool]
) -> None:
    """Show ``look`` batches until ``effort.points`` points were seen, or it returns False.

    The regimes that apply come in turn, with equal shares of the points that are left. A batch
    holds at least one point; where no drawn point meets `where`, nothing is shown.
    """
    site = Site(case.inputs, variant.program, dtype)
    left, fruitless = effort.points, 0
    order = regimes(case.inputs, variant.program)
    most = min(_LARGEST_BATCH, _LARGEST_ENTRIES // max(variant.program.size, 1))
    for number, draft in enumerate(_drafts(case, variant, dtype, effort)):
        if left <= 0 or fruitless >= _EMPTY_ROUNDS * len(order):
            return
        turn = number % len(order)
        size = max(1, min(most, -(-left // (len(order) - turn))))
        batch = realise(site, order[turn], draft, size)
        fruitless = 0 if batch.count else fruitless + 1
        left -= batch.count
        if batch.count and not look(batch):
            return


def _drafts(case: Case, variant: Variant, dtype: Dtype, effort: Effort) -> Iterator[Draft]:
    """Return drafts without end, each with a seed of its own.

    They are drawn before anything is looked at, so that no exception of the code on trial passes
    through Hypothesis and no global random state is touched while it runs. Cases share a few runs
    of Hypothesis, because a run takes longer than making a visit's points does.
    """
    key = branch("visit", case.name, variant.name, dtype.name, effort.seed)
    for number in count():
        for place, draft in enumerate(_run(branch("run", effort.seed, (key + number) % _RUNS))):
            yield replace(draft, seed=branch(key, number, place, draft.seed))


@lru_cache(maxsize=_RUNS)
def _run(key: int) -> tuple[Draft, ...]:
    """Return one run's drafts."""
    found: list[Draft] = []
    with outside_of_tests():

        @seed(key)
        @every_setting(_RUN, [Phase.generate])
        @given(drafts())
        def collect(draft: Draft) -> None:
            found.append(draft)

        collect()
    return tuple(found)
