"""Hypothesis strategies: one example describes a batch of points.

Only integers below 100 are drawn. Hypothesis mixes numbers that it finds in the source of loaded
modules into larger ones, and floats: then points would depend on what else was imported.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from gradcheck.answer import Floats
from gradcheck.catalog.case import Input
from gradcheck.dtypes import Dtype
from gradcheck.graph.tape import Program
from gradcheck.points.entries import inside
from gradcheck.points.generate import regimes
from gradcheck.points.ordinals import round_to
from gradcheck.points.points import Site, draw, meeting

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
class Draft:
    """What Hypothesis decides of a batch before its regime is known."""

    seed: int
    specials: tuple[Special, ...]


def batches(
    inputs: tuple[Input, ...], program: Program, dtype: Dtype, count: int
) -> SearchStrategy[Batch]:
    """Return a strategy of batches of at most ``count`` points, of every regime that applies.

    A batch holds only points that meet the formula's `where`, and may be empty for that.
    """
    site = Site(inputs, program, dtype)
    names = st.sampled_from(regimes(inputs, program))
    return st.builds(lambda name, draft: realise(site, name, draft, count), names, drafts())


def drafts() -> SearchStrategy[Draft]:
    """Return a strategy of seeds and special numbers."""
    below_100 = st.integers(0, 99)
    special = st.builds(Special, below_100, below_100, below_100, st.sampled_from(_SCALES))
    specials = st.lists(special, max_size=_SPECIALS).map(tuple)
    seeds = st.builds(lambda low, high: low + 100 * high, below_100, below_100)
    return st.builds(Draft, seeds, specials)


def realise(site: Site, regime: str, draft: Draft, count: int) -> Batch:
    """Return the batch that a draft describes, without the points that do not meet `where`.

    The last point never carries a special number, so that a regime is seen in every batch.
    """
    points = draw(site, regime, draft.seed, count)
    if regime != "breakpoints":  # few and dear
        _overlay(site, draft, points)
    return Batch(regime, draft.seed, meeting(site, points))


def _overlay(site: Site, draft: Draft, points: dict[str, Floats]) -> None:
    """Lay the special numbers over fresh arrays, where they are in the domain."""
    free = [each for each in site.inputs if each.kind is None and points[each.name].size]
    count = len(points[site.inputs[0].name])
    if count < 2 or not free:
        return
    for special in draft.specials:
        chosen = free[special.entry % len(free)]
        row = points[chosen.name].reshape(count, -1)[special.row % (count - 1)]
        value = round_to([special.value], site.dtype)
        if inside(value, chosen.domain.spans(site.dtype)).all():
            row[special.entry // len(free) % len(row)] = value.item()
