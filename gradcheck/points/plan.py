"""Which batches of points a case is checked at: the same ones in every process and every method.

Hypothesis draws a seed and a few plain numbers for each batch: integers below 100 and nothing else.
It mixes numbers that it finds in the source of loaded modules into larger ones, and floats: then
points would depend on what else was imported.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count

from hypothesis import Phase, given, seed
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from gradcheck.answer import Floats, RunOptions
from gradcheck.catalog.case import Case, Variant
from gradcheck.dtypes import Dtype
from gradcheck.floats import round_to
from gradcheck.points.engine import every_setting, outside_of_tests
from gradcheck.points.marginals import in_spans
from gradcheck.points.regimes import Site, draw, meeting, regimes
from gradcheck.randomness import derive_key

_RUNS = 16  # of Hypothesis
_RUN = 12  # recipes of one run: there are 11 regimes
_LARGEST_BATCH = 32  # points
_LARGEST_ENTRIES = 4096  # of all points of a batch together
_FEWEST = 2  # points of a check, however large its arrays are
_EMPTY_ROUNDS = 8  # of all regimes, without one point that meets `where`: then it is hopeless
_SPECIALS = 3  # plain numbers laid over a batch, at most
_SCALES = ("+e0", "-e0", "+e-1", "-e-1", "+e1", "-e1", "+e-2", "-e-2", "+e-4", "-e-4", "+e3", "-e3")


@dataclass(frozen=True, slots=True)
class Batch:
    """Points of one regime.

    Shapes: each of ``points`` is [count, *shape].
    """

    regime: str
    seed: int
    points: dict[str, Floats]

    @property
    def count(self) -> int:
        return min((len(values) for values in self.points.values()), default=0)


@dataclass(frozen=True, slots=True)
class Special:
    """A plain number, digits × scale, and the place in a batch that it is laid over."""

    row: int
    entry: int
    digits: int
    scale: str  # a sign, and a power of ten: +e-2

    @property
    def value(self) -> float:
        return float(self.scale[0] + str(self.digits) + self.scale[1:])


@dataclass(frozen=True, slots=True)
class Recipe:
    """What Hypothesis decides of a batch before its regime is known."""

    seed: int
    specials: tuple[Special, ...]


def affordable(points: int, size: int) -> int:
    """Return at how many of so many points a check is made, whose inputs have ``size`` entries.

    Beyond 4,096 entries they are fewer, so that a check looks at as many entries as one of that
    size does; but at two points, an ordinary one and one with large and small numbers.
    """
    return min(points, max(_FEWEST, points * _LARGEST_ENTRIES // max(size, _LARGEST_ENTRIES)))


def drawn_batches(
    case: Case, variant: Variant, dtype: Dtype, run_options: RunOptions
) -> Iterator[Batch]:
    """Yield batches that hold ``run_options.points`` points together, or what is affordable.

    The regimes that apply come in turn, with equal shares of the points that are left. A batch
    holds at least one point; where no drawn point meets `where`, there is no batch.
    """
    site = Site(variant.inputs, variant.formula, dtype)
    size = sum(math.prod(each.shape) for each in variant.inputs)
    left, fruitless = affordable(run_options.points, size), 0
    order = regimes(variant.inputs, variant.formula)
    most = max(1, min(_LARGEST_BATCH, _LARGEST_ENTRIES // max(size, 1)))
    for number, recipe in enumerate(_recipes(case, variant, dtype, run_options)):
        if left <= 0 or fruitless >= _EMPTY_ROUNDS * len(order):
            return
        turn = number % len(order)
        count = max(1, min(most, -(-left // (len(order) - turn))))
        batch = batch_of(site, order[turn], recipe, count)
        fruitless = 0 if batch.count else fruitless + 1
        left -= batch.count
        if batch.count:
            yield batch


def _recipes(
    case: Case, variant: Variant, dtype: Dtype, run_options: RunOptions
) -> Iterator[Recipe]:
    """Return recipes without end, each with a seed of its own.

    They are drawn before anything is looked at, so that no exception of the code under test passes
    through Hypothesis and no global random state is touched while it runs. Cases share a few runs
    of Hypothesis, because a run takes longer than making a case's points does.
    """
    key = derive_key("visit", case.name, variant.name, dtype.name, run_options.seed)
    for number in count():
        run = _run(derive_key("run", run_options.seed, (key + number) % _RUNS))
        for place, recipe in enumerate(run):
            yield replace(recipe, seed=derive_key(key, number, place, recipe.seed))


@lru_cache(maxsize=_RUNS)
def _run(key: int) -> tuple[Recipe, ...]:
    """Return one run's recipes."""
    found: list[Recipe] = []
    with outside_of_tests():

        @seed(key)
        @every_setting(_RUN, [Phase.generate])
        @given(recipes())
        def collect(recipe: Recipe) -> None:
            found.append(recipe)

        collect()
    return tuple(found)


def recipes() -> SearchStrategy[Recipe]:
    """Return a strategy of seeds and special numbers."""
    below_100 = st.integers(0, 99)
    special = st.builds(Special, below_100, below_100, below_100, st.sampled_from(_SCALES))
    specials = st.lists(special, max_size=_SPECIALS).map(tuple)
    seeds = st.builds(lambda low, high: low + 100 * high, below_100, below_100)
    return st.builds(Recipe, seeds, specials)


def batch_of(site: Site, regime: str, recipe: Recipe, count: int) -> Batch:
    """Return the batch that a recipe describes, without the points that do not meet `where`.

    The last point never carries a special number, so that a regime is seen in every batch.
    """
    points = draw(site, regime, recipe.seed, count)
    if regime != "breakpoints":  # few and dear
        _overlay(site, recipe, points)
    return Batch(regime, recipe.seed, meeting(site, points))


def _overlay(site: Site, recipe: Recipe, points: dict[str, Floats]) -> None:
    """Lay the special numbers over fresh arrays, where they are in the domain."""
    free = [each for each in site.inputs if each.kind is None and points[each.name].size]
    count = len(points[site.inputs[0].name])
    if count < 2 or not free:
        return
    for special in recipe.specials:
        chosen = free[special.entry % len(free)]
        row = points[chosen.name].reshape(count, -1)[special.row % (count - 1)]
        value = round_to([special.value], site.dtype)
        if in_spans(value, chosen.domain.spans(site.dtype)).all():
            row[special.entry // len(free) % len(row)] = value.item()
