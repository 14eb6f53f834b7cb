"""Answers in low precision, and large ones, judged as arrays: each alone, and those of a check.

What entry by entry is convicted already is not asked again, but for the name of its fault.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, islice

import numpy as np

from gradcheck.answer import Floats, Guess, GuessKind, Ruling, Violation
from gradcheck.dtypes import FLOAT32
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.judge.arrays import (
    FEWEST_ENTRIES,
    Oddity,
    SampledArray,
    TermError,
    are_said_once,
    may_stagnate,
    oddities,
    resemblance,
    stagnation,
    without_lost,
)
from gradcheck.judge.judge import RANGE
from gradcheck.methods._torch.rounding import AnswerKey
from gradcheck.query import Array, Port, Query, owners
from gradcheck.reference.enclosures import Status
from gradcheck.run.factors import factor_text, term_text
from gradcheck.run.lines import lines
from gradcheck.run.observation import Finding, Judged, Observation
from gradcheck.run.session import Session

LARGE_ARRAY = 1_024
"""Entries of an array of float32 from which on it is judged as such; in half precision any is."""
ORDINARY = "bulk"
"""The kind of drawn points at which errors average out; elsewhere a few entries decide."""
_MOST_ROWS = 256
_MOST_NUMBERS = 1 << 15
"""Of so many points, and of answers of so many numbers in all, arrays are taken together."""


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """The part of an answer at one point that lies in one array."""

    observation: Observation
    judged: Judged
    row: int
    kind: str
    columns: Array
    port: Port

    @property
    def point(self) -> int:
        return int(self.judged.points[self.row])

    @property
    def array(self) -> tuple[str, str, bytes]:
        """Of which call, port and entries it is."""
        return self.judged.answer.label, self.port.name, self.columns.tobytes()

    @property
    def got(self) -> Floats:
        """Shapes: [entries of the array]."""
        found: Floats = self.judged.got[self.row, self.columns]
        return found

    @property
    def true(self) -> Floats:
        """NaN where nothing, or a hull, is proved, or the range was left.

        Shapes: [entries of the array].
        """
        truth, at = self.judged.truth, (self.row, self.columns)
        left_range = np.isin(self.judged.judgements.why[at], RANGE)
        middle = np.ldexp(truth.middle[at], -truth.exponent[at])
        known = truth.proved[at] & truth.finite[at] & (truth.status[at] == Status.SETTLED)
        found: Floats = np.where(known & ~left_range, middle, np.nan)
        return found

    @property
    def leaves_range(self) -> bool:
        """Whether an operation of the code leaves the dtype's range at the point."""
        return bool(self.judged.call.left(self.judged.called)[self.row])

    @property
    def is_looked_into(self) -> bool:
        """Whether it is known what the code gives where its operations round otherwise."""
        return bool(len(self.judged.call.moved(self.judged.called)))

    @property
    def disagrees(self) -> bool:
        return bool(self.judged.judgements.is_ruled(Ruling.DISAGREE)[self.row].any())


def array_findings(
    session: Session, heard: Sequence[tuple[Observation, Sequence[str]]]
) -> Iterator[tuple[Observation, Finding]]:
    """Yield what is wrong with arrays, each with where it was observed.

    ``heard`` are observations with the kinds of their points.
    """
    if not _applies(session):
        return
    is_half = session.dtype.precision < FLOAT32.precision
    pools: dict[tuple[str, str, bytes], list[_Row]] = {}
    known: set[tuple[Hashable, ...]] = set()
    told = False
    for observation, kinds in heard:
        rows = list(_each_once(_rows(session, observation, kinds), known))
        alone = [row for row in rows if _stands_alone(row, is_half=is_half)]
        for found in _found_alone(session, alone):
            told = True
            yield found
        for part in chain.from_iterable(_taken_together(row) for row in rows if is_half):
            pools.setdefault(part.array, []).append(part)
    for parts in pools.values():
        if _tells_more(parts, told=told) and not any(part.disagrees for part in parts):
            yield from _found_together(session, parts)


def _taken_together(row: _Row) -> Iterator[_Row]:
    """What of an array is judged with the same at other points: a small one, the few entries that a
    large one repeats, and a large one itself where it is ordinary.
    """
    if not _stands_alone(row, is_half=True):
        yield row
    elif row.columns.size >= FEWEST_ENTRIES:
        yield from _repeated_part(row)
        if row.kind == ORDINARY:
            yield row


def _tells_more(rows: Sequence[_Row], *, told: bool) -> bool:
    """Whether an array at several points may tell what each alone does not.

    ``told`` says that something is wrong with one that stands alone.
    """
    if rows[0].columns.size >= FEWEST_ENTRIES:
        return len(rows) > 1 and not told
    return _is_whole(rows[0]) or any(row.kind == ORDINARY for row in rows)


def _found_together(
    session: Session, rows: Sequence[_Row]
) -> Iterator[tuple[Observation, Finding]]:
    """What is wrong with the same array at several points, taken together.

    Where something is odd, points are left out at which the code leaves the range: what it gives
    there is off by more than rounding, and what moves do there would explain anything. So are those
    at which it goes another way while it is looked at, if it does not so at all.
    """
    size = max((row.judged.got.shape[1] for row in rows), default=1)
    some = rows[: min(_MOST_ROWS, max(1, _MOST_NUMBERS // size))]
    if sum(row.columns.size for row in some) < FEWEST_ENTRIES:
        return
    samples = _samples(session, some)
    if samples is None:
        return
    is_odd = any(True for _ in oddities(_sampled(session, some, samples), ordinary=True))
    if not is_odd:
        return
    in_range = [row for row in some if not row.leaves_range]
    told = [row for row in in_range if row.is_looked_into] or in_range
    if len(told) < len(some):
        yield from _found_together(session, told)
    else:
        yield from _found(some, samples, session, ordinary=True)


def _found_alone(session: Session, rows: Sequence[_Row]) -> Iterator[tuple[Observation, Finding]]:
    """What is wrong with arrays, in their order; the samples of an answer are those of each."""
    alike: dict[Hashable, list[int]] = {}
    for number, row in enumerate(rows):
        alike.setdefault(_question(row), []).append(number)
    found: dict[int, list[tuple[Observation, Finding]]] = {}
    for numbers in alike.values():
        samples = _samples(session, [rows[numbers[0]]])
        for number in numbers:
            row = rows[number]
            ordinary = row.kind == ORDINARY
            found[number] = list(_found([row], samples, session, ordinary=ordinary))
    for number in range(len(rows)):
        yield from found[number]


def _each_once(rows: Iterable[_Row], known: set[tuple[Hashable, ...]]) -> Iterator[_Row]:
    """The rows without those that give the same answer to the same question in another call."""
    for row in rows:
        key = (row.port.name, *_question(row), row.got.tobytes())
        if key not in known:
            known.add(key)
            yield row


def _question(row: _Row) -> tuple[Hashable, ...]:
    """What was asked, and at which point."""
    sides = _query_of(row).sides
    point = b"".join(values[row.point].tobytes() for values in row.observation.points.values())
    return (point, *(None if side is None else side.tobytes() for side in sides))


def _applies(session: Session) -> bool:
    """Whether any array of a check can be judged as such: in half precision, and large in float32.

    In float64 an error that shows in the mean of an array shows in its entries.
    """
    dtype, formula = session.dtype, session.variant.formula
    sizes = [math.prod(port.shape) for port in (*formula.ports, *formula.judged)]
    if dtype.is_complex or dtype.precision > FLOAT32.precision:
        return False
    return dtype.precision < FLOAT32.precision or max(sizes, default=0) >= LARGE_ARRAY


def _stands_alone(row: _Row, *, is_half: bool) -> bool:
    """Whether an array is judged without those at other points; where a sum stopped, any is."""
    if not is_half:
        return bool(row.columns.size >= LARGE_ARRAY)
    return bool(row.columns.size >= FEWEST_ENTRIES) or may_stagnate(row.got, row.true)


def _repeated_part(row: _Row) -> Iterator[_Row]:
    """The few entries that a large array repeats, as the gradient of a sum in rows does.

    They are taken together with those at other points, as small arrays are, if ordinary points have
    the same: equal inputs alone make none. Nothing where there are enough to judge, and where some
    repetition errs otherwise.
    """
    true, got = (each.reshape(row.port.shape) for each in (row.true, row.got))
    once = are_said_once(true, got - true)
    errs_alike = (once == are_said_once(true, np.zeros_like(true))).all()
    if np.count_nonzero(once) < FEWEST_ENTRIES and errs_alike:
        yield replace(row, columns=row.columns[once.reshape(-1)])


def _is_whole(row: _Row) -> bool:
    return bool(row.columns.size == math.prod(row.port.shape))


def _rows(session: Session, observation: Observation, kinds: Sequence[str]) -> Iterator[_Row]:
    for judged in observation.judged:
        ports = session.variant.formula.free_ports(judged.answer.query)
        if judged.parts.any() or np.iscomplexobj(judged.answer.numbers):
            continue
        owner = owners(ports)
        for number, port in enumerate(ports):
            columns = np.flatnonzero(owner == number)
            for row in range(len(judged.points)):
                kind = kinds[int(judged.points[row])]
                yield _Row(observation, judged, row, kind, columns, port)


def _found(
    rows: Sequence[_Row], samples: _Samples | None, session: Session, *, ordinary: bool
) -> Iterator[tuple[Observation, Finding]]:
    """What is wrong with one array, or with those at several points taken together."""
    if samples is None:
        return
    first, array = rows[0], _sampled(session, rows, samples)
    for oddity in _unexplained(array, rows, ordinary=ordinary):
        text = f"{first.port.name or 'output'}: {oddity.text}"
        remark = Violation(text, first.judged.answer.label)
        guess = _guess(session, array)
        yield first.observation, Finding(first.point, remark, guess)
        return


def guess_of_arrays(
    session: Session, heard: Sequence[tuple[Observation, Sequence[str]]]
) -> Guess | None:
    """Return what kind of error some arrays whose entries fail have, where entries do not tell."""
    dtype = session.dtype
    if dtype.is_complex or dtype.precision > FLOAT32.precision:
        return None
    failing = (
        row
        for observation, kinds in heard
        for row in _each_once(_rows(session, observation, kinds), set())
        if row.kind == ORDINARY and row.disagrees and row.columns.size >= FEWEST_ENTRIES
    )
    asked = (([row], _samples(session, [row])) for row in islice(failing, _MOST_GUESSED))
    arrays = (_sampled(session, rows, samples) for rows, samples in asked if samples is not None)
    found = (_guess(session, array) for array in arrays)
    return next((guess for guess in found if guess is not None), None)


_MOST_GUESSED = 4


def _guess(session: Session, array: SampledArray) -> Guess | None:
    """What kind of error it looks like; of few entries nothing is told."""
    found = resemblance(array) if array.true.size >= FEWEST_ENTRIES else None
    if found is None:
        return None
    line = found.line
    if line.kind is GuessKind.DIGITS:
        return Guess(line.kind, found.text)
    if line.kind is GuessKind.TERM:
        text = term_text(line.text, found.value, found.doubt, session, of_mean=True)
        return Guess(line.kind, text)
    factor = factor_text(1 + found.value, found.doubt, session, of_mean=True)
    return Guess(line.kind, f"{line.text} of {factor}")


def _unexplained(array: SampledArray, rows: Sequence[_Row], *, ordinary: bool) -> Iterator[Oddity]:
    if rows[0].disagrees or array.true.size < FEWEST_ENTRIES:
        yield from stagnation(array)
        return
    if any(True for _ in oddities(array, ordinary=ordinary)):
        moved = _moved(rows, array.true.shape)
        told = without_lost(array, moved)
        for oddity in oddities(told, ordinary=ordinary):
            if not oddity.is_explained(told.error, moved):
                yield oddity


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """What right code's rounding does to an answer, its longest sum, and what may be off in it.

    Shapes: errors [samples, count, *free] each; the numbers of lines [count, *free].
    """

    errors: tuple[Array, ...]
    terms: int
    lines: Callable[[], Sequence[tuple[GuessKind, str, Floats]]]


def _samples(session: Session, rows: Sequence[_Row]) -> _Samples | None:
    """The samples for arrays of one answer each; None where the formula has no such derivative."""
    queries = [_query_of(row) for row in rows]
    sides = [
        None if first is None else np.concatenate([query.sides[k] for query in queries])
        for k, first in enumerate(queries[0].sides)
    ]
    query = Query(queries[0].order, sides[0], tuple(sides[1:]))
    points = np.concatenate([session.rows(row.observation.points)[row.point][None] for row in rows])
    try:
        errors = session.reference.rounding_errors(query, points, session.dtype)
        terms = session.reference.longest_sum(query, points)
        formula = session.variant.formula
        return _Samples(errors, terms, cache(lambda: list(lines(formula, query, points))))
    except NoDerivative:
        return None


def _sampled(session: Session, rows: Sequence[_Row], samples: _Samples) -> SampledArray:
    columns, shape = rows[0].columns, _shape(rows)
    got = np.stack([row.got for row in rows]).reshape(shape)
    true = np.stack([row.true for row in rows]).reshape(shape)
    errors = tuple(each[:, :, columns].reshape(-1, *shape) for each in samples.errors)

    def changes() -> Iterator[TermError]:
        for kind, text, numbers in samples.lines():
            yield TermError(kind, text, numbers[:, columns].reshape(shape))

    return SampledArray(got, true, errors, session.dtype, samples.terms, changes)


def _shape(rows: Sequence[_Row]) -> tuple[int, ...]:
    first = rows[0]
    shape = first.port.shape if _is_whole(first) else (first.columns.size,)
    return shape if len(rows) == 1 else (len(rows), *shape)


def _query_of(row: _Row) -> Query:
    return row.judged.answer.query.mapped(lambda side: side[row.row % len(side)][None])


def _moved(rows: Sequence[_Row], shape: tuple[int, ...]) -> Floats:
    """The array by each pattern of moves; of the patterns that all rows have."""
    told: dict[tuple[int, AnswerKey], Array] = {}
    for row in rows:
        asked = id(row.judged.call), row.judged.called
        if asked not in told:
            told[asked] = row.judged.call.moved(row.judged.called)
    found = [told[id(row.judged.call), row.judged.called][:, row.row] for row in rows]
    patterns = min(len(each) for each in found)
    if not patterns:
        return np.zeros((0, *shape))
    stacked = [
        each.reshape(len(each), -1)[:patterns, row.columns]
        for each, row in zip(found, rows, strict=True)
    ]
    return np.stack(stacked, axis=1).reshape(patterns, *shape)
