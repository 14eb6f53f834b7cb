"""Which points a case is checked at: the same ones in every process and every method.

First comes the covering set, which hangs on no seed, then drawn points: a regime says what sort of
points, a recipe says which of that sort. Points that do not meet a formula's `where` are left out,
and those that have been there before.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, count

import numpy as np
from numpy.typing import NDArray

from gradcheck.answer import Floats, RunOptions
from gradcheck.catalog.case import Case, Input, Variant
from gradcheck.dtypes import DTYPES, Dtype
from gradcheck.floats import round_to
from gradcheck.graph.lower import Lowered
from gradcheck.points.correlated import Fields, related
from gradcheck.points.covering import covering
from gradcheck.points.fixed import fixed_points
from gradcheck.points.generate import fields_of, generate, to_rows
from gradcheck.points.kinks import breakpoints, kinks
from gradcheck.points.marginals import ENTRY_REGIMES, in_spans
from gradcheck.points.matrices import MADE, SCALED
from gradcheck.query import Array
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
    """Points, and of which kind each is.

    The first ``covering`` of them are of the covering set.
    Shapes: each of ``points`` is [count, *shape].
    """

    kinds: tuple[str, ...]
    points: dict[str, Array]
    covering: int = 0

    @property
    def count(self) -> int:
        return len(self.kinds)

    def taken(self, chosen: NDArray[np.bool_]) -> Batch:
        """Return the chosen points."""
        kinds = tuple(compress(self.kinds, chosen.tolist()))
        points = {name: values[chosen] for name, values in self.points.items()}
        return Batch(kinds, points, int(chosen[: self.covering].sum()))


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


def covering_batch(site: Site, aims: tuple[float, ...] = ()) -> Batch:
    """Return the covering set, without the points that do not meet `where`.

    ``aims`` are numbers with which the code on trial compares what it computes.
    """
    kinds, points = covering(site.inputs, site.formula, site.dtype, aims)
    return meeting(site, Batch(kinds, points, len(kinds)))


def ordinary_batch(site: Site, seed: int, count: int) -> Batch:
    """Return at most so many ordinary points that meet `where`."""
    return batch_of(site, "bulk", Recipe(seed, ()), count)


def beginning_with(batch: Batch, found: dict[str, Array]) -> Batch:
    """Return the covering set with points that were found at its code, behind its first two."""
    count = len(next(iter(found.values())))
    numbers = np.arange(batch.count)
    found_batch = Batch(("found",) * count, found, count)
    return _joined([batch.taken(numbers < _FEWEST), found_batch, batch.taken(numbers >= _FEWEST)])


def planned(
    case: Case, variant: Variant, dtype: Dtype, run_options: RunOptions, covering: Batch
) -> Batch:
    """Return ``run_options.points`` points, or as many as are affordable.

    Three quarters of them, or the whole, are the covering set (as ``covering_batch`` returns it);
    then come drawn ones. Declared points are not repeated, and none comes twice. Where nothing new
    meets `where`, they are fewer.
    """
    site = Site(variant.inputs, variant.formula, dtype)
    left = affordable(run_options.points, _size(site))
    known = {_bits(each.at) for each in fixed_points(case, variant, dtype)}
    fresh = _unknown(covering, known)
    chosen = fresh.taken(np.arange(fresh.count) < _share(left))
    recipes = _recipes(case, variant, dtype, run_options)
    return _joined([chosen, *_drawn(site, recipes, left - chosen.count, known)])


def parts(batch: Batch) -> list[Batch]:
    """Return a batch in parts none of which is large, for code that takes a point at a time."""
    size = sum(values.size for values in batch.points.values()) // max(batch.count, 1)
    most = max(1, _LARGEST_ENTRIES // max(size, 1))
    numbers = np.arange(batch.count) // most
    return [batch.taken(numbers == part) for part in range(-(-batch.count // most))]


def _joined(batches: Sequence[Batch]) -> Batch:
    """Return the points of several batches, of which those with covering points come first."""
    kinds = tuple(kind for batch in batches for kind in batch.kinds)
    names = batches[0].points
    points = {name: np.concatenate([batch.points[name] for batch in batches]) for name in names}
    return Batch(kinds, points, sum(batch.covering for batch in batches))


def _size(site: Site) -> int:
    return sum(math.prod(each.shape) for each in site.inputs)


def _share(points: int) -> int:
    """Return how many of so many points are of the covering set, if it has as many."""
    return -(-points * 3 // 4)


def _drawn(site: Site, recipes: Iterator[Recipe], left: int, known: set[bytes]) -> Iterator[Batch]:
    """Yield drawn points: the regimes come in turn, with equal shares of those that are left.

    Where no drawn point meets `where`, or is new, there is no batch.
    """
    order, fruitless = regimes(site.inputs, site.formula), 0
    most = max(1, min(_LARGEST_BATCH, _LARGEST_ENTRIES // max(_size(site), 1)))
    for number, recipe in enumerate(recipes):
        if left <= 0 or fruitless >= _EMPTY_ROUNDS * len(order):
            return
        turn = number % len(order)
        count = max(1, min(most, -(-left // (len(order) - turn))))
        batch = _unknown(batch_of(site, order[turn], recipe, count), known)
        fruitless = 0 if batch.count else fruitless + 1
        left -= batch.count
        if batch.count:
            yield batch


def _unknown(batch: Batch, known: set[bytes]) -> Batch:
    """Return the points that are not known yet, each once; they are known then."""
    new = np.zeros(batch.count, dtype=np.bool_)
    for number in range(batch.count):
        bits = _bits({name: values[number] for name, values in batch.points.items()})
        new[number] = bits not in known
        known.add(bits)
    return batch.taken(new)


def _bits(point: dict[str, Array]) -> bytes:
    found = hashlib.blake2b(digest_size=16)
    for values in point.values():
        found.update(values.tobytes())
    return found.digest()


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
    count = len(points[site.inputs[0].name])
    return meeting(site, Batch((regime,) * count, points))


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
    found += related(free)
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


def meeting(site: Site, batch: Batch) -> Batch:
    """Return the points that certainly meet the formula's conditions, as the dtype has them."""
    if site.dtype.flushes:
        sizes = np.abs(to_rows(site.inputs, batch.points))
        is_subnormal = (sizes > 0) & (sizes < site.dtype.smallest_normal)
        batch = batch.taken(~np.asarray(is_subnormal.any(axis=1)))
    if not site.formula.conditions:
        return batch
    return batch.taken(holds(site.formula, to_rows(site.inputs, batch.points)).astype(np.bool_))
