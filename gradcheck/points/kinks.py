"""Where a formula may have a kink or a jump, and points at and beside them.

The nodes are those at which the operator table says so, and each entry of an array is a place of
its own. The points are found by bisection between sampled points, in the order of the floats: it
ends at two neighbouring floats on either side of a kink, or at the float that lies on it. All
searches of a batch go in step, so that an evaluation answers them all; each computes the few
entries that are looked at and what they need.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from flint import arb

from gradcheck.answer import Floats
from gradcheck.catalog.case import Input
from gradcheck.catalog.domain import Spans
from gradcheck.dtypes import Dtype
from gradcheck.floats import float_at, from_real_coordinates, largest_ordinal, ordinal
from gradcheck.graph.lower import Lowered
from gradcheck.ops.balls import working
from gradcheck.ops.table import OPERATORS
from gradcheck.points.generate import (
    coordinate_spans,
    from_coordinates,
    generate,
    to_coordinates,
    within,
)
from gradcheck.query import Array
from gradcheck.randomness import derive_key, random_words
from gradcheck.reference.ball_arrays import Balls, lift
from gradcheck.reference.interpret import evaluate
from gradcheck.reference.slices import GraphSlice, sliced


@dataclass(frozen=True, slots=True)
class Kink:
    """A node's arguments, and what they are at its kinks, entry by entry.

    ``where`` is ``tie`` (two arguments are equal), ``0``, ``integers`` or ``halves``. ``size`` is
    how many entries there are.
    """

    arguments: tuple[int, ...]
    where: str
    size: int


def kinks(formula: Lowered) -> tuple[Kink, ...]:
    """Return the kinks of the formula and of its conditions that depend on an input, each once."""
    nodes = formula.graph.nodes
    depends: set[int] = set()
    found: dict[Kink, None] = {}
    wanted = [node for node in formula.results if node is not None]
    for number in formula.graph.ancestors((*wanted, *formula.conditions)):
        node = nodes[number]
        if node.op == "input" or not depends.isdisjoint(node.args):
            depends.add(number)
            entry = OPERATORS.get(node.op)
            for where in entry.kinks if entry is not None else ():
                arguments = node.args[: 2 if where == "tie" else 1]
                real = all(nodes[argument].kind == "real" for argument in arguments)
                if node.size and real and not depends.isdisjoint(arguments):
                    found[Kink(arguments, where, node.size)] = None
    return tuple(found)


_SAMPLES = (("bulk", 6), ("integers", 4))
_TAILS = 12
_LARGE = 1 << 14  # entries, of which only few samples are drawn
_MOST_SAMPLED = 2  # of each sort
_FAR = 2.0**14  # beyond most constants of a formula; its square is in range everywhere
_BITS = 128  # of the evaluation: a float64 and the result of a few operations on it
_WORK = 400_000  # numbers computed for one batch, at most
_STEPS = 100  # evaluations of one search, about
_MOST_PLACES = 256  # that are looked at in one batch
_AHEAD = 3  # halvings that are asked for at once


def _offsets(dtype: Dtype) -> tuple[int, ...]:
    """How far from a kink points lie, in floats: at it, beside it, 1e-3 and 1e-8 away or so."""
    far, near = 1 << max(dtype.precision - 11, 2), 1 << (dtype.precision // 2)
    return 0, 1, -1, far, -far, near, -near, 2


@dataclass(frozen=True, slots=True)
class Hit:
    """A point whose entry number ``entry``, at ``place`` among the floats, is beside a kink."""

    values: Floats
    entry: int
    place: int

    def at(self, dtype: Dtype, offset: int = 0) -> Floats:
        """Return the point so many floats away."""
        largest = largest_ordinal(dtype)
        row = self.values.copy()
        row[self.entry] = float_at(min(max(self.place + offset, -largest), largest), dtype).item()
        return row


def breakpoints(
    inputs: tuple[Input, ...], formula: Lowered, seed: int, count: int, dtype: Dtype
) -> dict[str, Floats]:
    """Return points on kinks and on both sides of them, the nearest first.

    Shapes: [found, *shape] for each input; found is at most ``count``, and 0 where no kink was met.
    """
    found = _hits(inputs, formula, seed, max(1, count // 3), dtype)
    hits = list({(hit.at(dtype).tobytes(), hit.entry): hit for hit in found}.values())
    offsets = _offsets(dtype)
    rows = np.zeros((count if hits else 0, sum(_widths(inputs))))
    for number, row in enumerate(rows):
        hit = hits[number % len(hits)]
        row[:] = hit.at(dtype, offsets[number // len(hits) % len(offsets)])
    points = from_coordinates(inputs, rows)
    good = within(inputs, points, dtype)
    return {name: values[good] for name, values in points.items()}


def _hits(
    inputs: tuple[Input, ...], formula: Lowered, seed: int, wanted: int, dtype: Dtype
) -> list[Hit]:
    """Return up to ``wanted`` hits, of as many different kinks as there are."""
    samples = _samples(inputs, seed, dtype)
    waiting = _shuffled(kinks(formula), seed, wanted)
    hits: list[Hit] = []
    work = _WORK
    while waiting and len(hits) < wanted:
        view = _view(formula, waiting[: wanted - len(hits)], work // _STEPS)
        if view is None:
            break
        work -= view.work * _STEPS
        done, found = _found(view, samples, seed, len(hits), dtype)
        hits += found
        waiting = waiting[done:]
    return hits


def _samples(inputs: tuple[Input, ...], seed: int, dtype: Dtype) -> Floats:
    """Return points to search between, near ones first; matrices of a kind are all the same."""
    drawn = []
    most = _MOST_SAMPLED if sum(_widths(inputs)) > _LARGE else _TAILS
    key = derive_key(seed, "breakpoints")
    for regime, count in (*_SAMPLES, ("tails", _TAILS)):
        points = generate(inputs, regime, key, min(count, most), dtype)
        drawn.append(to_coordinates(inputs, points))
    if len(drawn[0]):
        drawn.insert(-1, np.array([_far(inputs, number, dtype) for number in (_FAR, -_FAR)]))
    samples = np.concatenate(drawn)
    start = 0
    for each, width in zip(inputs, _widths(inputs), strict=True):
        if each.kind is not None:
            samples[:, start : start + width] = samples[:1, start : start + width]
        start += width
    return samples


def _widths(inputs: tuple[Input, ...]) -> list[int]:
    """How many real coordinates each input has."""
    return [math.prod(each.shape) * (2 if each.domain.complex else 1) for each in inputs]


def _far(inputs: tuple[Input, ...], number: float, dtype: Dtype) -> Floats:
    """Return a point with all coordinates as near to a number as their domains allow."""
    return np.array([_nearest(number, spans) for spans in coordinate_spans(inputs, dtype)])


@lru_cache  # the entries of an input share their spans
def _nearest(number: float, spans: Spans) -> float:
    nearest = [min(max(number, low), high) for low, high in spans]
    return min(nearest, key=lambda value: abs(value - number))


_Place = tuple[Kink, int]
"""A kink, and one of its entries."""


def _shuffled(found: tuple[Kink, ...], seed: int, wanted: int) -> list[_Place]:
    """Return places in an order that depends on the seed, twice over for those that fail."""
    starts = np.cumsum([0, *(kink.size for kink in found)])
    order = np.argsort(random_words(derive_key(seed, "order"), (int(starts[-1]),)), kind="stable")
    places = [
        (found[kink], int(number - starts[kink]))
        for number in order[: max(_MOST_PLACES, 4 * wanted)].tolist()
        for kink in [int(np.searchsorted(starts, number, side="right")) - 1]
    ]
    return places * (1 + -(-wanted // max(len(places), 1)))


# what is evaluated


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """Some places of kinks, and the slice of the graph that computes their arguments.

    ``columns`` are the real coordinates of a point that it needs, by their number in a row.
    """

    places: list[_Place]
    slice: GraphSlice
    columns: Array

    @property
    def work(self) -> int:
        return sum(node.size for node in self.slice.graph.nodes) * len(self.places)

    def gaps(self, rows: Array, shifts: Sequence[int]) -> Array:
        """The signed distance from each kink, in the argument, at rows of the columns alone.

        Shapes: [count, columns]; an object array [count, places].
        """
        arrays, start = [], 0
        for port, (_, places) in zip(self.slice.graph.inputs, self.slice.inputs, strict=True):
            width = len(places) * (2 if port.kind == "complex" else 1)
            part = rows[:, start : start + width]
            if port.kind == "complex":
                part = from_real_coordinates(part.reshape(len(rows), -1, 2))
            arrays.append(lift(part))
            start += width
        nodes = [
            [self.slice.at(argument, np.array([entry])) for argument in kink.arguments]
            for kink, entry in self.places
        ]
        flat = [node for pair in nodes for node in pair]
        gaps = np.empty((len(rows), len(nodes)), dtype=object)
        with working(_BITS, exact=True):
            balls = iter(evaluate(self.slice.graph, flat, arrays, Balls()))
            for number, (kink, _) in enumerate(self.places):
                first, *second = (next(balls)[:, 0] for _ in kink.arguments)
                half = arb(1) / 2 if kink.where == "halves" else arb(0)
                gaps[:, number] = first - (second[0] if second else shifts[number] - half)
        return gaps


def _view(formula: Lowered, places: list[_Place], most: int) -> _View | None:
    """Return as many of the places as may be evaluated together; None where one is too many."""
    graph, starts = formula.graph, {}
    start = 0
    for node in formula.inputs:
        starts[node] = start
        start += graph.nodes[node].size * (2 if graph.kind(node) == "complex" else 1)
    while places:
        wanted: dict[int, list[int]] = {}
        for kink, entry in places:
            for argument in kink.arguments:
                wanted.setdefault(argument, []).append(entry)
        found = sliced(graph, wanted)
        columns = np.concatenate([
            starts[node] + _coordinates(where, graph.kind(node)) for node, where in found.inputs
        ])  # fmt: skip
        view = _View(places, found, columns)
        if view.work <= most:
            return view
        places = places[: len(places) // 2]
    return None


def _coordinates(places: Array, kind: str) -> Array:
    """The real coordinates of entries of an input."""
    return (2 * places[:, None] + np.arange(2)).ravel() if kind == "complex" else places


def _level(gap: arb, where: str) -> int | None:
    """Return a whole number that grows by one at each kink on the way up."""
    if not gap.is_finite() or gap.rad() > 1:
        return None
    if where in ("tie", "0"):
        return 1 if gap > 0 else 0
    return math.floor(float(gap.mid()))


def _side(gap: arb) -> int | None:
    """Return -1, 0 (on the kink, or too near to tell), or 1; None: undefined."""
    if not gap.is_finite():
        return None
    return 1 if gap > 0 else -1 if gap < 0 else 0


# the search


_Search = Generator[Array, "list[int | None]", "Hit | None"]
"""Asks on which side of its kink rows of the columns are, until it has found where the kink is."""
_Bisection = Generator["list[int]", "list[int | None]", "int | None"]


def _found(
    view: _View, samples: Floats, seed: int, known: int, dtype: Dtype
) -> tuple[int, list[Hit]]:
    """Return how many of the places are dealt with, and the hits among them.

    Where a search finds nothing, those after it are left: they start from other samples then.
    """
    levels = _levels(view, samples[:, view.columns])
    searches: dict[int, tuple[_Search, int]] = {}
    for number in range(len(view.places)):
        key = derive_key(seed, known + len(searches))
        pair = _opposite([row[number] for row in levels], key)
        if pair is not None:
            low, high, level = pair
            shift = level if view.places[number][0].where in ("integers", "halves") else 0
            searches[number] = _search(samples[low], samples[high], view.columns, dtype), shift
    ended = _all_ended(view, searches)
    hits: list[Hit] = []
    for number in searches:
        hit = ended[number]
        if hit is None:
            return number + 1, hits
        hits.append(hit)
    return len(view.places), hits


def _levels(view: _View, rows: Array) -> list[list[int | None]]:
    gaps = view.gaps(rows, [0] * len(view.places))
    return [
        [_level(gap, kink.where) for gap, (kink, _) in zip(row, view.places, strict=True)]
        for row in gaps.tolist()
    ]


def _opposite(levels: list[int | None], key: int) -> tuple[int, int, int] | None:
    """Return two samples below and above a kink, and the level of the one above."""
    count = len(levels)
    start = int(random_words(key, (1,))[0]) % min(_SAMPLES[0][1], count)
    order = [number for number in (*range(start, count), *range(start))
             if levels[number] is not None]  # fmt: skip
    for number in order[1:]:
        pair = sorted([(levels[order[0]], order[0]), (levels[number], number)])
        (lower, low), (upper, high) = pair
        if lower != upper:
            return low, high, int(upper or 0)
    return None


def _all_ended(view: _View, searches: dict[int, tuple[_Search, int]]) -> dict[int, Hit | None]:
    """Run searches in step, each to its end."""
    shifts = [searches[number][1] if number in searches else 0
              for number in range(len(view.places))]  # fmt: skip
    ended: dict[int, Hit | None] = {}
    asked = {number: next(search) for number, (search, _) in searches.items()}
    while asked:
        gaps = view.gaps(np.concatenate(list(asked.values())), shifts)
        start = 0
        for number, rows in list(asked.items()):
            sides = [_side(gap) for gap in gaps[start : start + len(rows), number].tolist()]
            start += len(rows)
            try:
                asked[number] = searches[number][0].send(sides)
            except StopIteration as stop:
                ended[number] = stop.value
                del asked[number]
    return ended


def _search(low: Floats, high: Floats, columns: Array, dtype: Dtype) -> _Search:
    """Find where the kink lies between two points, changing one entry; None where it is lost."""

    def on_the_way(numbers: list[int]) -> Array:
        switched = columns < np.array(numbers)[:, None]
        return np.where(switched, high[columns], low[columns])

    number = yield from _asking(_bisection(0, len(low)), on_the_way)
    if number is None:
        return None
    entry = min(number, len(low) - 1)
    values = np.concatenate([high[:entry], low[entry:]])
    first, last = ordinal([low[entry], high[entry]], dtype).tolist()

    def moved(places: list[int]) -> Array:
        rows = np.repeat(values[columns][None], len(places), axis=0)
        rows[:, columns == entry] = float_at(places, dtype)[:, None]
        return rows

    place = yield from _asking(_bisection(first, last), moved)
    return None if place is None else Hit(values, entry, place)


def _asking(bisection: _Bisection, rows_of: Any) -> Generator[Array, list[int | None], int | None]:
    """A bisection that asks for rows instead of numbers."""
    try:
        numbers = next(bisection)
        while True:
            numbers = bisection.send((yield rows_of(numbers)))
    except StopIteration as stop:
        found: int | None = stop.value
        return found


def _bisection(start: int, end: int) -> _Bisection:
    """Find the last number, on the way from start to end, on start's side, or one on the kink."""
    first, last = yield [start, end]
    if first == 0 or start == end:
        return start
    goal = end
    while abs(end - start) > 1:
        numbers = _middles(start, end, _AHEAD)
        sides = dict(zip(numbers, (yield numbers), strict=True))
        while (middle := (start + end) // 2) in sides and abs(end - start) > 1:
            found = sides[middle]
            if found is None:
                return None
            if found == 0:
                return middle
            start, end = (middle, end) if found == first else (start, middle)
    return end if end == goal and last == 0 else start


def _middles(start: int, end: int, halvings: int) -> list[int]:
    """Return every number that so many halvings may come to."""
    if not halvings or abs(end - start) <= 1:
        return []
    middle = (start + end) // 2
    return [
        middle,
        *_middles(start, middle, halvings - 1),
        *_middles(middle, end, halvings - 1),
    ]
