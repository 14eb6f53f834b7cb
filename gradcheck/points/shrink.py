"""The smallest and most readable input that still fails. Hypothesis shrinks; we say what is simple.

Every entry has a ladder of simpler numbers, and Hypothesis minimises the rung of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from hypothesis import Phase, find
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from gradcheck.answer import Floats
from gradcheck.catalog.case import Input
from gradcheck.dtypes import Dtype
from gradcheck.graph.tape import Program
from gradcheck.points.engine import every_setting, outside_of_tests
from gradcheck.points.entries import inside
from gradcheck.points.generate import fields_of
from gradcheck.points.kinds import belongs
from gradcheck.points.ladder import Ladder, identity, ladder, thin
from gradcheck.points.relations import Field
from gradcheck.points.rows import join, split
from gradcheck.reference.exact import holds

Point = dict[str, Floats]
"""One point: for each input an array of its shape."""

_MOST_SLOTS = 64  # that are shrunk on their own; more are put together in groups
_MOST_RUNGS = 45
_HIGHEST = 98  # rung that is drawn; see ``batches`` for why it is below 100
_EXAMPLES = 300  # of Hypothesis, in one round
_CALLS = 400  # of ``fails``, in all
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Slot:
    """Entries that are simplified together, and the rungs of each."""

    entries: tuple[int, ...]
    ladders: tuple[Ladder, ...]

    @property
    def height(self) -> int:
        return max(map(len, self.ladders))


class Trials:
    """Asks whether candidates fail, each once; changes as it counts its calls.

    After the last call that is allowed, nothing new fails: so shrinking ends, wherever it stands.
    """

    def __init__(self, fails: Callable[[Point], bool], fits: Callable[[Floats], bool]) -> None:
        self._fails, self._fits = fails, fits
        self._known: dict[bytes, bool] = {}

    def ask(self, row: Floats, point: Point) -> bool:
        key = row.tobytes()
        if key not in self._known:
            if len(self._known) >= _CALLS or not self._fits(row):
                return False
            self._known[key] = self._fails(point)
        return self._known[key]


def smallest(
    point: Point,
    fails: Callable[[Point], bool],
    inputs: tuple[Input, ...],
    program: Program,
    dtype: Dtype,
) -> Point:
    """Return the simplest input found for which ``fails`` holds, or ``point`` if none is simpler.

    ``fails`` is asked at most 400 times, and only about floats of the dtype that lie in the
    domains, are matrices of their kind, and meet the formula's `where`. The result depends on
    nothing but the arguments.

    Shapes: each array has its input's shape, without an axis for points.
    """
    row = join(inputs, {name: values[None] for name, values in point.items()})[0]
    fields = fields_of(inputs, dtype)

    def fits(candidate: Floats) -> bool:
        if not all(_fits(split(inputs, candidate)[field.name], field) for field in fields):
            return False
        return holds(program, candidate.tolist()) is True

    trials = Trials(fails, fits)
    before = -1
    for _ in range(_ROUNDS):
        slots = _slots(row, inputs, dtype)
        if len(slots) in (0, before):
            break
        before = len(slots)
        row = _shrink(row, _grouped(slots), inputs, trials)
    return split(inputs, row)


def _shrink(row: Floats, slots: list[Slot], inputs: tuple[Input, ...], trials: Trials) -> Floats:
    """Return the row with every slot on the lowest rung on which it still fails."""
    best = row

    def failing(rungs: Sequence[int]) -> bool:
        nonlocal best
        candidate = _placed(row, slots, rungs)
        bad = trials.ask(candidate, split(inputs, candidate))
        best = candidate if bad else best
        return bad

    try:
        with outside_of_tests():
            rungs = find(
                st.tuples(*(st.integers(0, _HIGHEST) for _ in slots)),
                failing,
                settings=every_setting(_EXAMPLES, [Phase.generate, Phase.shrink]),
                random=Random(0),
            )
    except NoSuchExample:
        return row
    return _placed(row, slots, rungs)


def _placed(row: Floats, slots: list[Slot], rungs: Sequence[int]) -> Floats:
    """Return the row with every slot on its rung; rungs beyond the top are the original."""
    placed = row.copy()
    for slot, rung in zip(slots, rungs, strict=True):
        for entry, steps in zip(slot.entries, slot.ladders, strict=True):
            # Ladders of a group differ in length: each is climbed from its own top.
            below_top = max(slot.height - 1 - rung, 0)
            placed[entry] = steps[max(len(steps) - 1 - below_top, 0)]
    return placed


def _slots(row: Floats, inputs: tuple[Input, ...], dtype: Dtype) -> list[Slot]:
    """Return what can still be made simpler."""
    numbers = split(inputs, np.arange(len(row), dtype=np.float64))
    slots: list[Slot] = []
    for each in inputs:
        places = numbers[each.name]
        simple = np.zeros(each.shape)
        if each.kind not in (None, "symmetric") and places.size:
            simple = identity(each.shape)
        if each.kind == "orthogonal":
            slots += _whole_matrices(row, places, simple)
            continue
        for entries in _mirrored(each, places):
            start = float(simple.flat[entries[0] - int(places.flat[0])])
            rungs = ladder(float(row[entries[0]]), each.domain.spans(dtype), dtype, simplest=start)
            slots.append(Slot(entries, (rungs,) * len(entries)))
    return [slot for slot in slots if slot.height > 1]


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
    rungs = [(float(s), float(row[n])) for n, s in zip(entries, simple.flat, strict=True)]
    changed = any(low != high for low, high in rungs)
    return [Slot(tuple(entries), tuple(rungs))] if changed else []


def _grouped(slots: list[Slot]) -> list[Slot]:
    """Return at most 64 slots, with so few rungs that the top of all is drawn soon."""
    count = min(len(slots), _MOST_SLOTS)
    rungs = max(2, min(_MOST_RUNGS, 200 // count))
    grouped = []
    for part in np.array_split(np.arange(len(slots)), count):
        members = [slots[number] for number in part]
        entries = tuple(entry for slot in members for entry in slot.entries)
        steps = tuple(thin(each, rungs) for slot in members for each in slot.ladders)
        grouped.append(Slot(entries, steps))
    return grouped


def _fits(values: Floats, field: Field) -> bool:
    """Say whether an input's values lie in its domain and are of its kind."""
    if not inside(values, field.spans).all():
        return False
    return field.kind is None or not values.size or belongs(field.kind, values, field.dtype)
