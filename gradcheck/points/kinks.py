"""Where a formula may have a kink or a jump, and points at and beside them.

The nodes are those at which the operator table says so. The points are found by bisection between
sampled points, in the order of the floats: it ends at two neighbouring floats on either side of a
kink, or at the float that lies on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from flint import arb

from gradcheck.answer import Floats
from gradcheck.catalog.case import Input
from gradcheck.dtypes import Dtype
from gradcheck.floats import float_at, largest_ordinal, ordinal
from gradcheck.graph.tape import Program
from gradcheck.ops.balls import working
from gradcheck.ops.table import OPERATORS
from gradcheck.points.generate import from_rows, generate, to_rows
from gradcheck.points.marginals import inside
from gradcheck.points.random import derive_key, random_words
from gradcheck.reference.evaluate import Routine


@dataclass(frozen=True, slots=True)
class Kink:
    """A node's arguments, and what they are at its kinks.

    ``where`` is ``tie`` (two arguments are equal), ``0``, ``integers`` or ``halves``.
    """

    arguments: tuple[int, ...]
    where: str


def kinks(program: Program) -> tuple[Kink, ...]:
    """Return the kinks of the formula and of its conditions that depend on an input, each once."""
    operations = program.tape.operations
    depends: set[int] = set()
    found: dict[Kink, None] = {}
    for node in sorted(program.tape.ancestors((*program.outputs, *program.conditions))):
        operation = operations[node]
        if operation.operator == "input" or not depends.isdisjoint(operation.arguments):
            depends.add(node)
            entry = OPERATORS.get(operation.operator)
            for where in entry.kinks if entry is not None else ():
                arguments = operation.arguments[: 2 if where == "tie" else 1]
                if not depends.isdisjoint(arguments):
                    found[Kink(arguments, where)] = None
    return tuple(found)


_SAMPLES = (("bulk", 6), ("integers", 4))
_TAILS = 12
_FAR = 2.0**14  # beyond most constants of a formula; its square is in range everywhere
_BITS = 128  # of the evaluation: a float64 and the result of a few operations on it
_WORK = 400_000  # operations evaluated for one batch, at most
_STEPS = 100  # evaluations of one search, about
_OFFSETS = (0, 1, -1, 2, -2, 3, -3, 4)

Side = Callable[[list[float]], "int | None"]
"""Which side of a kink a point is on: -1, 0 (on it, or too near to tell), 1; None: undefined."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A point whose entry number ``entry``, at ``place`` among the floats, is beside a kink."""

    values: list[float]
    entry: int
    place: int


def breakpoints(
    inputs: tuple[Input, ...], program: Program, seed: int, count: int, dtype: Dtype
) -> dict[str, Floats]:
    """Return points on kinks and on both sides of them, a few ulps away at most.

    Shapes: [found, *shape] for each input; found is at most ``count``, and 0 where no kink was met.
    """
    hits = _hits(inputs, program, seed, max(1, count // 2), dtype)
    largest = largest_ordinal(dtype)
    rows = []
    for number in range(count if hits else 0):
        hit = hits[number % len(hits)]
        place = hit.place + _OFFSETS[number // len(hits) % len(_OFFSETS)]
        row = list(hit.values)
        row[hit.entry] = float_at(min(max(place, -largest), largest), dtype).item()
        rows.append(row)
    array = np.array(rows, dtype=np.float64).reshape(len(rows), program.size)
    return _within(inputs, from_rows(inputs, array), dtype)


def _hits(
    inputs: tuple[Input, ...], program: Program, seed: int, wanted: int, dtype: Dtype
) -> list[Hit]:
    """Return up to ``wanted`` hits, of as many different kinks as there are."""
    samples = _samples(inputs, seed, dtype)
    hits: list[Hit] = []
    work = _WORK
    for kink in _shuffled(kinks(program), seed, wanted):
        work -= len(program.tape.ancestors(kink.arguments)) * _STEPS
        if work < 0 or len(hits) == wanted:
            break
        routine = Routine(program.tape, kink.arguments)
        pair = _opposite(routine, kink, samples, derive_key(seed, len(hits)))
        hit = _search(*pair, dtype) if pair is not None else None
        if hit is not None:
            hits.append(hit)
    return hits


def _samples(inputs: tuple[Input, ...], seed: int, dtype: Dtype) -> list[list[float]]:
    """Return points to search between, near ones first; matrices of a kind are all the same."""
    drawn: list[list[float]] = []
    for regime, count in (*_SAMPLES, ("tails", _TAILS)):
        points = generate(inputs, regime, derive_key(seed, "breakpoints"), count, dtype)
        drawn += to_rows(inputs, points).tolist()
    far = [_far(inputs, number, dtype) for number in (_FAR, -_FAR)] if drawn else []
    drawn[-_TAILS:-_TAILS] = far
    start = 0
    for each in inputs:
        end = start + math.prod(each.shape)
        if each.kind is not None:
            for row in drawn:
                row[start:end] = drawn[0][start:end]
        start = end
    return drawn


def _far(inputs: tuple[Input, ...], number: float, dtype: Dtype) -> list[float]:
    """Return a point with all entries as near to a number as their domains allow."""
    row: list[float] = []
    for each in inputs:
        nearest = [min(max(number, low), high) for low, high in each.domain.spans(dtype)]
        row += [min(nearest, key=lambda value: abs(value - number))] * math.prod(each.shape)
    return row


def _shuffled(found: tuple[Kink, ...], seed: int, wanted: int) -> Iterator[Kink]:
    """Return the kinks in an order that depends on the seed, twice over for those that fail."""
    order = np.argsort(random_words(derive_key(seed, "order"), (len(found),)), kind="stable")
    for _ in range(1 + -(-wanted // max(len(found), 1))):
        yield from (found[number] for number in order)


def _opposite(
    routine: Routine, kink: Kink, samples: list[list[float]], key: int
) -> tuple[Side, list[float], list[float]] | None:
    """Return two samples on opposite sides of a kink, and what tells the sides apart."""
    first, start = None, int(random_words(key, (1,))[0]) % _SAMPLES[0][1]
    for point in (*samples[start:], *samples[:start]):
        level = _level(routine, kink, point)
        if level is None:
            continue
        first = first or (level, point)
        if level != first[0]:
            low, high = sorted((first, (level, point)))
            return _side(routine, kink, high[0]), low[1], high[1]
    return None


def _level(routine: Routine, kink: Kink, point: list[float]) -> int | None:
    """Return a whole number that grows by one at each kink on the way up."""
    gap = _gap(routine, kink, 0, point)
    if not gap.is_finite() or gap.rad() > 1:
        return None
    if kink.where in ("tie", "0"):
        return 1 if gap > 0 else 0
    return math.floor(float(gap.mid()))


def _side(routine: Routine, kink: Kink, level: int) -> Side:
    """Return what tells on which side of the kink just below ``level`` a point lies."""
    shift = level if kink.where in ("integers", "halves") else 0

    def side(point: list[float]) -> int | None:
        gap = _gap(routine, kink, shift, point)
        if not gap.is_finite():
            return None
        return 1 if gap > 0 else -1 if gap < 0 else 0

    return side


def _gap(routine: Routine, kink: Kink, shift: int, point: list[float]) -> arb:
    """Return the signed distance from the kink, in the argument."""
    with working(_BITS, exact=True):
        arguments: list[arb] = routine.run([arb(value) for value in point])
        half = arb(1) / 2 if kink.where == "halves" else arb(0)
        subtrahend: arb = arguments[1] if kink.where == "tie" else shift - half
        gap: arb = arguments[0] - subtrahend
        return gap


def _search(side: Side, low: list[float], high: list[float], dtype: Dtype) -> Hit | None:
    """Return where the kink lies between two points, changing one entry; None where it is lost."""

    def on_the_way(number: int) -> list[float]:
        return high[:number] + low[number:]

    number = _bisect(lambda n: side(on_the_way(n)), 0, len(low))
    if number is None:
        return None
    entry = min(number, len(low) - 1)
    values = on_the_way(entry)
    first, last = ordinal([low[entry], high[entry]], dtype).tolist()

    def moved(place: int) -> list[float]:
        return [*values[:entry], float_at(place, dtype).item(), *values[entry + 1 :]]

    place = _bisect(lambda n: side(moved(n)), first, last)
    return None if place is None else Hit(values, entry, place)


def _bisect(side: Callable[[int], int | None], start: int, end: int) -> int | None:
    """Return the last number, on the way from start to end, on start's side, or one on the kink."""
    first = side(start)
    if first == 0 or start == end:
        return start
    while abs(end - start) > 1:
        middle = (start + end) // 2
        found = side(middle)
        if found is None:
            return None
        if found == 0:
            return middle
        start, end = (middle, end) if found == first else (start, middle)
    return end if side(end) == 0 else start


def _within(
    inputs: tuple[Input, ...], points: dict[str, Floats], dtype: Dtype
) -> dict[str, Floats]:
    """Return the points that lie in the domains."""
    good = np.ones(len(points[inputs[0].name]), dtype=np.bool_)
    for each in inputs:
        found = inside(points[each.name], each.domain.spans(dtype))
        good &= found.all(axis=tuple(range(1, found.ndim)))
    return {name: values[good] for name, values in points.items()}
