"""What a failed check's witness gave, as arrays beside the truth, where it failed and elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from gradcheck.answer import Floats, GuessKind, Ruling, RunOptions
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.judge.judge import Mask
from gradcheck.methods._torch.directions import PLAIN
from gradcheck.points.generate import single
from gradcheck.points.plan import Recipe, Site, batch_of
from gradcheck.query import Array, Port, Query, owners
from gradcheck.reference.derivative_graphs import GraphFunction
from gradcheck.reference.enclosures import Status
from gradcheck.run.known_failures import Excuse
from gradcheck.run.observation import ALL_CALLS, Asked, Judged, Observation, observe_each
from gradcheck.run.rewriting import evaluated
from gradcheck.run.session import Session, stable_seed

_OWN_POINTS = 12
"""Ordinary points, asked one after the other: what one call leaves behind shows in the next."""
_FEWEST_POINTS = 4
_DIGITS = 16.0
"""Units of rounding within which a number is right to all its digits."""
_NUDGE = 2.0**-50
_MOST_NUMBERS = 1 << 15
"""Derivatives of all points together that are compared."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Answers that leave the same sides free: a row for each at a point, in the order of the calls.

    ``allowed`` is what rounding explains, NaN where that was not asked for. ``usable`` are numbers
    that can be held against another: beside a truth that is a single finite number. ``right`` are
    those that no fault touched, to all their digits; others neither fail nor say so. ``in_floats``
    are those whose truth the chain rule in plain float64 knows too: at no removable singularity, by
    no cancellation. ``before`` is the row of the call before, -1 where there is none that is known.
    ``absent`` says that no gradient came.

    Shapes: ``points`` [rows, n], each side of ``query`` [rows, entries], ``before`` and ``labels``
            [rows], the others [rows, k], ``slots`` and ``parts`` [k].
    """

    session: Session
    query: Query
    points: Floats
    labels: Array
    before: Array
    slots: Array
    parts: Array
    got: Floats
    true: Floats
    allowed: Floats
    fails: Mask
    usable: Mask
    right: Mask
    absent: Mask
    in_floats: Mask

    def answered(self, query: Query, points: Floats | None = None) -> Floats:
        """What the true answers to another query, or at other points, would be, in float64.

        The query leaves the same sides free; functions of real numbers alone.

        Shapes: [rows, k].
        """
        asked_at = self.points if points is None else points
        found = self.session.reference.in_floats(query, asked_at)
        return found.reshape(len(self.points), -1)

    def directions(self) -> Iterator[Floats]:
        """What a constant derivative is multiplied by: the cotangent or tangent, or nothing."""
        for side in self.query.sides:
            if side is not None and side.shape[1] in (1, self.true.shape[1]):
                yield np.broadcast_to(side, self.true.shape)
        yield np.ones(self.true.shape)

    @property
    def asked(self) -> Mask:
        """The failing numbers that an alternative must explain."""
        return self.fails & self.usable & np.isfinite(self.got)

    @property
    def moved_points(self) -> Floats:
        """The points moved by ulps, each other number up. Shapes: [rows, n]."""
        signs = np.where(np.arange(self.points.shape[1]) % 2, -1.0, 1.0)
        return np.asarray(self.points * (1 + _NUDGE * signs))

    @property
    def at_kinks(self) -> Mask:
        """The rows at a kink, where right code may choose. Shapes: [rows, 1]."""
        return np.asarray(~self.usable.all(axis=1, keepdims=True))

    @property
    def free_ports(self) -> tuple[Port, ...]:
        """The ports that the free side runs over; none where several sides are free, or none is."""
        return self.session.variant.formula.free_ports(self.query)


@dataclass(frozen=True, slots=True, eq=False)
class Alternative:
    """Numbers that wrong code would have given.

    They are ``base``, or ``base + k * slope`` with one unknown k for all entries. ``simple`` is
    believed also where no words tell in which places. ``in_floats`` are computed by the chain rule
    in plain float64, not from the certified truth. Where ``partial`` ones are NaN they say nothing.
    So many numbers of each entry were ``fitted`` to what the code gave. A ``far_fetched`` one is
    believed only where no other before it has a place in words. ``beside`` gives the base at points
    that are moved by ulps, for what it may be off by its own rounding.

    Shapes: [rows, k] each.
    """

    kind: GuessKind
    text: str
    base: Floats
    slope: Floats | None = None
    simple: bool = False
    in_floats: bool = False
    partial: bool = False
    fitted: int = 0
    far_fetched: bool = False
    beside: Callable[[], Floats | None] | None = None


def gather(
    session: Session,
    failing: Sequence[Asked],
    effort: RunOptions,
    ruling: Ruling,
    excuse: Excuse,
) -> list[Evidence]:
    """Return what the witness says where it failed, at the drawn points, and at ordinary ones.

    ``failing`` are points known to fail, the first of them also without directions.
    """
    most = max(_FEWEST_POINTS, _MOST_NUMBERS // max(1, _numbers_of_a_point(session)))
    own = _ordinary(session, min(_OWN_POINTS, most))
    first = failing[0]
    asked = [replace(first, seed=PLAIN), *failing[:most]]
    drawn = list(_drawn(session, effort, most))
    chains = [
        *([each] for each in observe_each(session, [*asked, *drawn])),
        observe_each(session, own),
    ]
    found: dict[tuple[bool, ...], list[_Rows]] = {}
    for chain in chains:
        for key, rows in _rows_of(chain, ruling, excuse):
            found.setdefault(key, []).append(rows)
    return [_joined(session, rows) for rows in found.values()]


def _numbers_of_a_point(session: Session) -> int:
    return int(session.reference.outputs * session.reference.size)


def _ordinary(session: Session, count: int) -> list[Asked]:
    variant = session.variant
    seed = stable_seed("ordinary", session.case.name, variant.name)
    site = Site(variant.inputs, variant.formula, session.dtype)
    batch = batch_of(site, "bulk", Recipe(seed, ()), count)
    return [
        Asked(single(batch.points, k), seed + k, unmeasured=ALL_CALLS) for k in range(batch.count)
    ]


def _drawn(session: Session, effort: RunOptions, most: int) -> Iterator[Asked]:
    seed = stable_seed("drawn", session.case.name, session.variant.name)
    for batch in session.planned(effort):
        kept = batch.taken(np.arange(batch.count) < most)
        most -= kept.count
        if kept.count:
            yield Asked(kept.points, seed, thorough=False, unmeasured=ALL_CALLS)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """One answer's rows. ``number`` is the answer's place among the chain's calls of its label."""

    judged: Judged
    points: Floats
    before: bool
    fails: Mask


def _rows_of(
    chain: Iterable[Observation], ruling: Ruling, excuse: Excuse
) -> Iterator[tuple[tuple[bool, ...], _Rows]]:
    """The answers of observations that followed each other, by the sides that they leave free."""
    seen: set[tuple[bool, ...]] = set()
    for observation in chain:
        rows = observation.session.rows(observation.points)
        for judged in observation.judged:
            key = tuple(side is None for side in judged.answer.query.sides)
            judgements = judged.judgements
            fails = judgements.is_ruled(Ruling.DISAGREE) | judgements.is_ruled(ruling)
            answer = judged.answer
            if fails.any() and excuse(answer.label, int(judged.points[0]), answer.because):
                continue
            follows = key in seen and len(judged.points) == 1
            yield key, _Rows(judged, rows[judged.points], follows, fails)
            seen.add(key)


def _joined(session: Session, rows: Sequence[_Rows]) -> Evidence:
    each = [one.judged for one in rows]
    counts = [len(one.points) for one in each]
    sides = [
        None if one[0] is None else _spread(one, counts)
        for one in zip(*(one.answer.query.sides for one in each), strict=True)
    ]
    starts = np.cumsum([0, *counts[:-1]])
    before = [
        np.full(count, start - 1 if one.before else -1)
        for one, start, count in zip(rows, starts, counts, strict=True)
    ]
    got = np.concatenate([one.got for one in each])
    true = np.concatenate([np.ldexp(one.truth.middle, -one.truth.exponent) for one in each])
    fails = np.concatenate([one.fails for one in rows])
    settled = [(one.truth.status == Status.SETTLED) | one.truth.stated for one in each]
    usable = np.concatenate(settled) & np.isfinite(true)
    is_real = not each[0].parts.any() and not np.iscomplexobj(rows[0].points)
    query = Query(len(sides) - 1, sides[0], tuple(sides[1:]))
    points = np.concatenate([one.points for one in rows])
    return Evidence(
        session,
        query,
        points,
        np.repeat([one.answer.label for one in each], counts),
        np.concatenate(before),
        each[0].slots,
        each[0].parts,
        got,
        true,
        np.concatenate([one.judgements.allowed for one in each]),
        fails,
        usable,
        usable & ~fails & _is_near(session, got, true),
        np.concatenate([_absent(session, one) for one in each]),
        _known_in_floats(session, query, points, true)
        if is_real
        else np.zeros(true.shape, dtype=bool),
    )


def _known_in_floats(session: Session, query: Query, points: Floats, true: Floats) -> Mask:
    """Which true numbers the chain rule in float64 gives, to all their digits."""
    try:
        found = session.reference.in_floats(query, points).reshape(true.shape)
    except NoDerivative:
        return np.zeros(true.shape, dtype=bool)
    return _is_near(session, found, true)


def _is_near(session: Session, numbers: Floats, true: Floats) -> Mask:
    with np.errstate(all="ignore"):
        far = np.abs(numbers - true) > _DIGITS * session.dtype.unit_roundoff * np.abs(true)
    return np.asarray(~far & np.isfinite(numbers))


def _spread(sides: Sequence[Array | None], counts: Sequence[int]) -> Array:
    """One side of several queries, with a row for each point."""
    given = [side for side in sides if side is not None]
    return np.concatenate(
        [np.broadcast_to(a, (n, a.shape[1])) for a, n in zip(given, counts, strict=True)]
    )


def _absent(session: Session, judged: Judged) -> Mask:
    """Whether a number is 0 because no gradient came for its input."""
    found = np.zeros(judged.got.shape, dtype=bool)
    inputs = judged.answer.query.free_inputs
    if judged.answer.absent and inputs and judged.answer.query.cotangent is not None:
        owner = owners(session.variant.formula.ports)
        gone = np.isin(owner, list(judged.answer.absent))
        found[:] = gone[judged.slots % len(owner)]
    return found


Faulty = tuple[GuessKind, str, GraphFunction]
"""The kind of a fault, what it is in words, and the formula with it."""


def answered(evidence: Evidence, functions: Iterable[Faulty]) -> Iterator[Alternative]:
    """What functions with a fault would have given, those that do not tell left out."""
    for kind, text, other in functions:
        base = evaluated(other, evidence.query, evidence.points)
        if base is not None:
            beside = partial(evaluated, other, evidence.query, evidence.moved_points)
            yield Alternative(kind, text, base.reshape(evidence.true.shape), beside=beside)
