"""The smallest and most readable input that still fails. Hypothesis shrinks; we say what is simple.

Every entry has a list of simpler numbers, the simplest first, and Hypothesis minimises the rank in
each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice, takewhile
from random import Random
from typing import Any

import numpy as np
from hypothesis import (
    HealthCheck,
    Phase,
    Verbosity,
    control,
    currently_in_test_context,
    find,
    settings,
)
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from gradcheck.answer import Floats
from gradcheck.catalog.case import Input
from gradcheck.dtypes import Dtype
from gradcheck.floats import real_coordinates, round_to
from gradcheck.graph.lower import Lowered
from gradcheck.points.generate import (
    coordinate_spans,
    from_coordinates,
    to_coordinates,
    to_rows,
    within,
)
from gradcheck.points.marginals import Bounds, in_spans
from gradcheck.points.matrices import belongs
from gradcheck.query import Array
from gradcheck.reference.conditions import holds

Values = dict[str, Array]
"""One point: for each input an array of its shape."""

_MOST_SLOTS = 64  # that are shrunk on their own; more are put together in groups
_MOST_RANKS = 47
_HIGHEST = 98  # rank that is drawn; Hypothesis mixes in larger ones that it finds in loaded modules
MOST_CALLS = 400  # of ``fails``, in all
_ROUNDS = 3
_EVERY_SETTING = settings(
    max_examples=300,
    derandomize=False,
    database=None,
    verbosity=Verbosity.quiet,
    phases=[Phase.generate, Phase.shrink],
    stateful_step_count=1,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    deadline=None,
    print_blob=False,
    backend="hypothesis",
)
"""Those of one round, all of them: no profile of a test around it has a say."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Entries that are simplified together, and the simpler numbers of each."""

    entries: tuple[int, ...]
    simpler: tuple[Simpler, ...]

    @property
    def ranks(self) -> int:
        return max(map(len, self.simpler))


class FailureTest:
    """Asks whether candidates fail, each once; changes as it counts its calls.

    After the last call that is allowed, nothing new fails: so shrinking ends, wherever it stands.
    """

    def __init__(
        self, fails: Callable[[Values], bool], fits: Callable[[Floats], bool], most: int
    ) -> None:
        self._fails, self._fits, self._most = fails, fits, most
        self._known: dict[bytes, bool] = {}

    def ask(self, row: Floats, point: Values) -> bool:
        key = row.tobytes()
        if key not in self._known:
            if len(self._known) >= self._most or not self._fits(row):
                return False
            self._known[key] = self._fails(point)
        return self._known[key]


def smallest(  # noqa: PLR0913 - what is shrunk, and within what
    point: Values,
    fails: Callable[[Values], bool],
    inputs: tuple[Input, ...],
    formula: Lowered,
    dtype: Dtype,
    *,
    most: int = MOST_CALLS,
) -> Values:
    """Return the simplest input found for which ``fails`` holds, or ``point`` if none is simpler.

    ``fails`` is asked at most ``most`` times, never more than 400, and only about floats of the
    dtype that lie in the domains, are matrices of their kind, and meet the formula's `where`. The
    result depends on nothing but the arguments.

    Shapes: each array has its input's shape, without an axis for points.
    """
    row = to_coordinates(inputs, {name: values[None] for name, values in point.items()})[0]

    def fits(candidate: Floats) -> bool:
        points = from_coordinates(inputs, candidate[None])
        if not within(inputs, points, dtype).all():
            return False
        kinds = ((each.kind, points[each.name]) for each in inputs)
        if not all(kind is None or not values.size or belongs(kind, values, dtype)
                   for kind, values in kinds):  # fmt: skip
            return False
        return holds(formula, to_rows(inputs, points))[0] is True

    test = FailureTest(fails, fits, min(most, MOST_CALLS))
    before = -1
    for _ in range(_ROUNDS):
        slots = _slots(row, inputs, dtype)
        if len(slots) in (0, before):
            break
        before = len(slots)
        row = _shrink(row, _grouped(slots), inputs, test)
    return from_coordinates(inputs, row)


def _shrink(row: Floats, slots: list[Slot], inputs: tuple[Input, ...], test: FailureTest) -> Floats:
    """Return the row with every slot at the lowest rank at which it still fails."""
    best = row

    def failing(ranks: Sequence[int]) -> bool:
        nonlocal best
        candidate = _placed(row, slots, ranks)
        bad = test.ask(candidate, from_coordinates(inputs, candidate))
        best = candidate if bad else best
        return bad

    try:
        with _outside_of_tests():
            ranks = find(
                st.tuples(*(st.integers(0, _HIGHEST) for _ in slots)),
                failing,
                settings=_EVERY_SETTING,
                random=Random(0),
            )
    except NoSuchExample:
        return row
    return _placed(row, slots, ranks)


def _outside_of_tests() -> AbstractContextManager[Any]:
    """Return a context in which no Hypothesis test is running, whatever test this is called from.

    Hypothesis refuses a run inside a test, for which only the test's author could make an
    exception. A run here has a seed of its own, and draws nothing from the test around it.
    """
    if not currently_in_test_context():
        return nullcontext()
    return control._current_build_context.with_value(None)


def _placed(row: Floats, slots: list[Slot], ranks: Sequence[int]) -> Floats:
    """Return the row with every slot at its rank; ranks beyond the last are the original."""
    placed = row.copy()
    for slot, rank in zip(slots, ranks, strict=True):
        for entry, steps in zip(slot.entries, slot.simpler, strict=True):
            # Lists of a group differ in length: each is counted from its own end.
            from_last = max(slot.ranks - 1 - rank, 0)
            placed[entry] = steps[max(len(steps) - 1 - from_last, 0)]
    return placed


def _slots(row: Floats, inputs: tuple[Input, ...], dtype: Dtype) -> list[Slot]:
    """Return what can still be made simpler."""
    numbers = from_coordinates(inputs, np.arange(len(row), dtype=np.float64))
    spans = coordinate_spans(inputs, dtype)
    slots: list[Slot] = []
    for each in inputs:
        places = numbers[each.name]
        simple = np.zeros(each.shape)
        if each.kind not in (None, "symmetric") and places.size:
            simple = identity(each.shape)
        if each.domain.complex:
            places, simple = real_coordinates(places), real_coordinates(simple)
        if each.kind == "orthogonal" or (each.kind is not None and each.domain.complex):
            slots += _whole_matrices(row, places, simple)
            continue
        for entries in _mirrored(each, places):
            start = float(simple.flat[entries[0] - int(places.flat[0])])
            value = float(row[entries[0]])
            simpler = simpler_numbers(value, spans[entries[0]], dtype, simplest=start)
            slots.append(Slot(entries, (simpler,) * len(entries)))
    return [slot for slot in slots if slot.ranks > 1]


def _mirrored(each: Input, places: Floats) -> list[tuple[int, ...]]:
    """Return the entries that have one value: pairs in symmetric matrices, others alone."""
    numbers = places.astype(np.int64)
    if each.kind not in ("symmetric", "positive_definite", "lower_triangular") or not numbers.size:
        return [(int(number),) for number in numbers.flat]
    found: list[tuple[int, ...]] = []
    for matrix in numbers.reshape(-1, each.shape[-1], each.shape[-1]):
        for i, j in zip(*np.tril_indices(each.shape[-1]), strict=True):
            pair = sorted({int(matrix[i, j]), int(matrix[j, i])})
            found.append(tuple(pair[-1:] if each.kind == "lower_triangular" else pair))
    return found


def _whole_matrices(row: Floats, places: Floats, simple: Floats) -> list[Slot]:
    """Return a slot for all matrices together: identities, or what they are."""
    entries = [int(place) for place in places.flat]
    pairs = [(float(s), float(row[n])) for n, s in zip(entries, simple.flat, strict=True)]
    changed = any(low != high for low, high in pairs)
    return [Slot(tuple(entries), tuple(pairs))] if changed else []


def _grouped(slots: list[Slot]) -> list[Slot]:
    """Return at most 64 slots, with so few ranks that the last of all is drawn soon."""
    count = min(len(slots), _MOST_SLOTS)
    ranks = max(2, min(_MOST_RANKS, 200 // count))
    grouped = []
    for part in np.array_split(np.arange(len(slots)), count):
        members = [slots[number] for number in part]
        entries = tuple(entry for slot in members for entry in slot.entries)
        steps = tuple(thin(each, ranks) for slot in members for each in slot.simpler)
        grouped.append(Slot(entries, steps))
    return grouped


Simpler = tuple[float, ...]
"""Numbers from the simplest to the original one."""

_DECADES = 6  # on either side of 1, in steps of 1, 2, 5; then few


def simpler_numbers(value: float, spans: Bounds, dtype: Dtype, *, simplest: float = 0.0) -> Simpler:
    """Return numbers simpler than one: zero, ones, small round numbers, its leading digits, itself.

    Each is a float of the dtype in the domain. The original is the last, as it is: a negative
    zero stays one.
    """
    if value == simplest and math.copysign(1, value) == math.copysign(1, simplest):
        return (value,)
    wanted = dict.fromkeys((simplest, *_plain(value)))
    rounded = round_to(list(wanted), dtype)
    fitting = dict.fromkeys(rounded[in_spans(rounded, spans)].tolist())
    simpler = takewhile(lambda each: each != value or each == 0, fitting)
    return (*simpler, value) if value else (*islice(simpler, 1), value)


def thin(numbers: Simpler, most: int) -> Simpler:
    """Return at most ``most`` of the numbers, evenly, the first and the last among them."""
    if len(numbers) <= most:
        return numbers
    kept = np.unique(np.linspace(0, len(numbers) - 1, most).astype(np.int64))
    return tuple(numbers[number] for number in kept)


def _plain(value: float) -> Iterator[float]:
    yield from (0.0, 1.0, -1.0)
    sign, size = math.copysign(1.0, value), abs(value)
    if size == 0.0 or not math.isfinite(size):
        return
    yield from (sign * each for each in _round_numbers(size))
    for digits in (1, 2, 3, 4, 6, 8, 12, 16):
        yield float(f"{value:.{digits - 1}e}")


def _round_numbers(size: float) -> Iterator[float]:
    """Return round numbers from 1 towards ``size``, and the integers around it."""
    exponent = int(f"{size:e}".partition("e")[2])
    way = 1 if exponent >= 0 else -1
    for power in range(0, exponent + way, way):
        if abs(power) <= _DECADES:
            digits = (1, 2, 3, 4, 5) if power == 0 < way else (1, 2, 5)[::way]
            steps = [float(f"{digit}e{power}") for digit in digits]
            yield from (step for step in steps if step * way <= size * way)
        elif power % 25 == 0:
            yield float(f"1e{power}")
    if 1 < size < 100:
        yield from (math.floor(size), math.ceil(size))


def identity(shape: tuple[int, ...]) -> Floats:
    """Return identity matrices of the shape [..., size, size]."""
    return np.broadcast_to(np.eye(shape[-1]), shape).copy()
