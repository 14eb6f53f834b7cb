"""Which batches of points a case is checked at: the same ones in every process and every method.

A regime says what sort of points; a recipe says which of that sort. Points that do not meet a
formula's `where` are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from gradcheck.answer import Floats, RunOptions
from gradcheck.catalog.case import Case, Input, Variant
from gradcheck.dtypes import DTYPES, Dtype
from gradcheck.floats import round_to
from gradcheck.graph.lower import Lowered
from gradcheck.points.correlated import Fields, groups
from gradcheck.points.generate import fields_of, generate, to_rows
from gradcheck.points.kinks import breakpoints, kinks
from gradcheck.points.marginals import ENTRY_REGIMES, in_spans
from gradcheck.points.matrices import MADE, SCALED
from gradcheck.randomness import derive_key, random_below
from gradcheck.reference.conditions import holds

_LARGEST_BATCH = 32  # points
_LARGEST_ENTRIES = 4096  # of all points of a batch together
_FEWEST = 2  # points of a check, however large its arrays are
_EMPTY_ROUNDS = 8  # of all regimes, without one point that meets `where`: then it is hopeless
MOST_SPECIALS = 3  # plain numbers laid over a batch, at most
SCALES = ("+e0", "-e0", "+e-1", "-e-1", "+e1", "-e1", "+e-2", "-e-2", "+e-4", "-e-4", "+e3", "-e3")


@dataclass(frozen=True, slots=True)
class Site:
    """Where points are drawn: a variant's inputs and formula, and the dtype."""

    inputs: tuple[Input, ...]
    formula: Lowered
    dtype: Dtype


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
    """What is decided of a batch before its regime is known."""

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
    """Return recipes without end, each with a seed of its own."""
    key = derive_key("recipe", case.name, variant.name, dtype.name, run_options.seed)
    return (_recipe(derive_key(key, number)) for number in count())


def _recipe(key: int) -> Recipe:
    """Return the recipe of a key, which is its seed too, with any number of plain numbers."""
    some = random_below(MOST_SPECIALS + 1, derive_key(key, "specials"), ()).item()
    plain = random_below(100, derive_key(key, "plain"), (some, 3)).tolist()
    scales = random_below(len(SCALES), derive_key(key, "scales"), (some,)).tolist()
    specials = (
        Special(row, entry, digits, SCALES[scale])
        for (row, entry, digits), scale in zip(plain, scales, strict=True)
    )
    return Recipe(key, tuple(specials))


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


# regimes


def regimes(inputs: tuple[Input, ...], formula: Lowered) -> tuple[str, ...]:
    """Return the regimes that have a meaning for these inputs, ``bulk`` first.

    They do not depend on the dtype: float64 decides.
    """
    fields = fields_of(inputs, DTYPES["float64"])
    free = tuple(field for field in fields if field.size and field.kind not in MADE)
    found = ["bulk", *(name for name in ENTRY_REGIMES if name != "bulk" and _occurs(name, free))]
    scaled = any(field.size and field.kind in SCALED for field in fields)
    if scaled and "tails" not in found:
        found.insert(1, "tails")
    if groups(free):
        found += ["ties", "offsets"]
    if any(field.square for field in fields):
        found.append("singular")
    if free and kinks(formula):
        found.append("breakpoints")
    return (*found, "mixed") if len(found) > 2 else tuple(found)


def _occurs(regime: str, fields: Fields) -> bool:
    return any(field.draw(regime, 0, (1,)) is not None for field in fields)


def draw(site: Site, regime: str, seed: int, count: int) -> dict[str, Floats]:
    """Return at most ``count`` points of the regime, whether they meet `where` or not.

    Shapes: [found, *shape] for each input.
    """
    if regime == "breakpoints":
        return breakpoints(site.inputs, site.formula, seed, count, site.dtype)
    return generate(site.inputs, regime, seed, count, site.dtype)


def meeting(site: Site, points: dict[str, Floats]) -> dict[str, Floats]:
    """Return the points that certainly meet the formula's conditions."""
    if not site.formula.conditions:
        return points
    kept = holds(site.formula, to_rows(site.inputs, points)).astype(np.bool_)
    return {name: values[kept] for name, values in points.items()}
