"""Putting points to a witness and judging all the numbers of its answers together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import islice

import numpy as np
from flint import acb, arb

from gradcheck.answer import (
    Abstention,
    Agreement,
    Answer,
    EntryReport,
    Floats,
    Remark,
    Ruling,
    Violation,
)
from gradcheck.catalog.case import Variant
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.judge.contraction import Derivatives, Term, Weights, summed, summed_bounds
from gradcheck.judge.judge import (
    CONDITIONING_FACTOR,
    MOVES_FACTOR,
    Expected,
    Judgement,
    Judgements,
    Mask,
    OwnRounding,
    expected,
    judge,
)
from gradcheck.methods import METHODS
from gradcheck.methods._torch.rounding import AnswerKey, Repeated, Rounding, keyed
from gradcheck.query import Array, Query, complex_entries
from gradcheck.randomness import derive_key, random_signed
from gradcheck.reference.array_bounds import ArrayErrorBounds as ErrorBounds
from gradcheck.reference.ball_arrays import ZERO, magnitudes
from gradcheck.reference.digits import digits
from gradcheck.reference.enclosures import Enclosures, Status
from gradcheck.run.session import Differences, Points, Session

MOST_FAILING = 4_096
"""Wrong numbers of one answer that are looked at one by one: those that are farthest off."""
MOST_TOGETHER = 1 << 14
"""Input entries of points whose answers are judged together: what is larger costs memory."""
MOST_PARTS = 4_096
"""Derivatives of one order that are looked at one by one, where sums of them are not enough."""


@dataclass(frozen=True, slots=True)
class Promises:
    """The answers that a case states at one point, by order and flat position [m * n**order], in
    real coordinates.

    ``conventions`` stand in for derivatives of order 1 that do not exist. ``written`` are known
    answers, to which PyTorch is held besides the formula.
    """

    conventions: Mapping[int, object] = field(default_factory=dict)
    written: Mapping[int, Mapping[int, object]] = field(default_factory=dict)

    def about(self, order: int) -> bool:
        """Whether they change what derivatives of an order are held against."""
        return bool(self.written.get(order)) or (bool(self.conventions) and order in (1, 2))


NO_PROMISES = Promises()


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One answer, judged: a place for each real number of it.

    ``points`` are the numbers of the points of its rows, ``slots`` which of the answer's numbers
    at a point each is, and ``parts`` whether that is its real part (0) or its imaginary part (1).
    ``sizes`` are the numbers of output and input entries.

    Shapes: the arrays of ``truth`` and ``judgements`` are [count, k], as ``got``.
    """

    answer: Answer
    points: Array
    slots: Array
    parts: Array
    sizes: tuple[int, int]
    got: Floats
    truth: Expected
    judgements: Judgements

    def entries(self, where: Mask, most: int | None = None) -> list[Entry]:
        """Those of its numbers, in order; of many the ``most`` that are farthest off."""
        places = np.argwhere(where)
        if most is not None and len(places) > most:
            errors = np.nan_to_num(self.judgements.ulps[where], posinf=np.inf)
            places = places[np.sort(np.argsort(-errors, kind="stable")[:most])]
        return [Entry(self, int(row), int(place)) for row, place in places]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One number, judged."""

    judged: Judged
    row: int
    place: int

    @property
    def point(self) -> int:
        return int(self.judged.points[self.row])

    @property
    def label(self) -> str:
        return self.judged.answer.label

    @property
    def query(self) -> Query:
        return self.judged.answer.query

    @property
    def got(self) -> float:
        return float(self.judged.got[self.row, self.place])

    @property
    def ball(self) -> arb:
        """What holds the truth."""
        ball: arb = self.judged.truth.balls[self.row, self.place]
        return ball

    @property
    def digits(self) -> str:
        """The certified digits of the truth."""
        truth, at = self.judged.truth, (self.row, self.place)
        is_hull = truth.status[at] == Status.KINK and not truth.stated[at]
        return digits(self.ball, is_hull=is_hull, is_proved=bool(truth.proved[at]))

    @property
    def true(self) -> float:
        """The middle of the truth's enclosure."""
        return float(self.ball.mid())

    @property
    def judgement(self) -> Judgement:
        return self.judged.judgements.at((self.row, self.place))

    @property
    def ruling(self) -> Ruling:
        return self.judgement.ruling

    @property
    def weights(self) -> Weights:
        return Weights.of(self.query, self.row)

    def terms(self, most: int) -> list[Term]:
        """The first terms of the weighted sum of derivatives that the number is."""
        inputs = self.judged.sizes[1]
        shape = (self.judged.sizes[0], *(inputs for _ in self.query.tangents))
        return list(islice(self.weights.terms(shape, self.slot), most))

    @property
    def slot(self) -> int:
        return int(self.judged.slots[self.place])

    @property
    def part(self) -> int:
        return int(self.judged.parts[self.place])

    @property
    def is_complex(self) -> bool:
        """Whether the number is one of the two parts of a complex one."""
        return bool((self.judged.parts[self.judged.slots == self.slot] == 1).any())

    @property
    def is_plain(self) -> bool:
        """Whether the number is a derivative itself, and no multiple or sum of such."""
        return self.weights.is_plain()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something said without a number, about a point."""

    point: int
    remark: Abstention | Violation

    @property
    def label(self) -> str:
        return self.remark.label

    @property
    def ruling(self) -> Ruling:
        return self.remark.ruling

    @property
    def judgement(self) -> Judgement:
        infinite = math.inf if isinstance(self.remark, Violation) else math.nan
        return Judgement(self.remark.ruling, self.remark.reason, None, infinite, infinite)


@dataclass(slots=True)
class Observation:
    """What one witness said about some points. It fills while the witness speaks."""

    session: Session
    points: Points
    judged: list[Judged] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    agreed: set[int] = field(default_factory=set)  # points of which a remark says that all agrees
    routes: dict[str, None] = field(default_factory=dict)

    def failing(self, ruling: Ruling) -> list[Entry | Finding]:
        """What is ruled so, or worse."""
        fatal = (Ruling.DISAGREE, *((ruling,) if ruling is not Ruling.DISAGREE else ()))
        found: list[Entry | Finding] = [each for each in self.findings if each.ruling in fatal]
        for judged in self.judged:
            wrong = np.logical_or.reduce([judged.judgements.is_ruled(each) for each in fatal])
            found += judged.entries(wrong, MOST_FAILING)
        return found

    def worst(self, *, plain_first: bool = False) -> Entry | Finding | None:
        """What is ruled worst, of these what is farthest off; None where nothing was judged.

        ``plain_first``: of what is ruled alike a derivative itself before a sum of several.
        """
        found: list[Entry | Finding] = [f for f in self.findings if f.ruling is Ruling.DISAGREE]
        places = ((judged, judged.judgements.worst()) for judged in self.judged)
        found += [Entry(judged, *place) for judged, place in places if place is not None]

        def badness(said: Entry | Finding) -> tuple[int, bool, float]:
            plain = plain_first and isinstance(said, Entry) and said.is_plain
            return said.ruling.severity, plain, said.judgement.ulps

        return max(found, key=badness, default=None)

    def silence(self) -> str:
        """Why nothing was judged."""
        reasons = [each.remark.reason for each in self.findings]
        reasons += [why for judged in self.judged for why in judged.judgements.abstentions()]
        return next(iter(reasons), "says nothing")

    def points_judged(self) -> int:
        """At how many of the points something was judged."""
        found = set(self.agreed)
        found |= {each.point for each in self.findings if each.ruling is not Ruling.ABSTAIN}
        for judged in self.judged:
            rows = (~judged.judgements.is_ruled(Ruling.ABSTAIN)).any(axis=1)
            found |= set(judged.points[rows].tolist())
        return len(found)

    def judges_plain(self) -> bool:
        """Whether a derivative itself was judged, and not only sums of several."""
        return any(
            Weights.of(judged.answer.query, int(row)).is_plain()
            for judged in self.judged
            for row in np.flatnonzero((~judged.judgements.is_ruled(Ruling.ABSTAIN)).any(axis=1))
        )

    @property
    def entries(self) -> list[Entry]:
        """Every number, one by one: for few points and small functions."""
        return [
            entry
            for judged in self.judged
            for entry in judged.entries(np.ones(judged.got.shape, dtype=bool))
        ]


def observe(
    session: Session,
    points: Points,
    seed: int,
    *,
    thorough: bool = True,
    promises: Promises = NO_PROMISES,
) -> Observation:
    """Everything that the check's witness says about the points, judged.

    ``thorough`` asks for every entry, also where each takes a call of its own. ``promises`` are
    what the case states at these points.
    """
    (observation,) = observe_each(session, [Asked(points, seed, promises, thorough)])
    return observation


@dataclass(frozen=True, slots=True)
class Asked:
    """Points that are put to a witness, the seed of its calls, and what the case states there.

    ``thorough`` as in ``observe``; ``measured``: where that matters, the code's own rounding is.
    """

    points: Points
    seed: int
    promises: Promises = NO_PROMISES
    thorough: bool = True
    measured: bool = True

    @property
    def count(self) -> int:
        """How many points there are."""
        return len(next(iter(self.points.values())))

    @property
    def entries(self) -> int:
        """How many input entries the points have."""
        return sum(values.size for values in self.points.values())


def observe_each(session: Session, asked: Sequence[Asked]) -> list[Observation]:
    """``observe`` at several places, whose truths are asked for together where they are small."""
    observations: list[Observation] = []
    told: list[_Told] = []
    entries = 0
    differences = session.differences([each.points for each in asked]) if asked else []
    for each, here in zip(asked, differences, strict=True):
        observation, said = _heard(session, each, here)
        observations.append(observation)
        told += said
        entries += each.entries
        if entries > MOST_TOGETHER:
            _judge_all(session, told)
            told, entries = [], 0
    _judge_all(session, told)
    return observations


def _heard(
    session: Session, asked: Asked, differences: Sequence[Differences]
) -> tuple[Observation, list[_Told]]:
    """What the witness said at one place, and its answers, which are not judged yet."""
    heard = ask(session, asked.points, asked.seed, thorough=asked.thorough, differences=differences)
    observation = Observation(session, asked.points, remarks=[said for said, _ in heard.remarks])
    for remark, number in heard.remarks:
        if isinstance(remark, Agreement):
            observation.agreed.add(number)
        else:
            observation.findings.append(Finding(number, remark))
    rows = session.rows(asked.points)
    return observation, [
        _Told(
            answer, numbers, rows[numbers], observation, asked.promises, call, key, asked.measured
        )
        for (answer, numbers), (call, key) in zip(heard.answers, heard.calls, strict=True)
    ]


def _judge_all(session: Session, told: Sequence[_Told]) -> None:
    for alike in _alike(told):
        _judge(session, alike)


_Said = list[tuple[Answer, Array]]
"""Answers, each with the numbers of the points of its rows."""


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """An answer with the numbers and the rows of its points, and where it belongs."""

    answer: Answer
    numbers: Array
    rows: Array
    observation: Observation
    promises: Promises
    call: Repeated
    called: AnswerKey
    measured: bool

    @property
    def key(self) -> object:
        """The same for answers that are judged together: they leave the same sides free."""
        apart = self.promises.about(self.answer.query.order)
        return tuple(side is None for side in self.answer.query.sides), id(
            self.promises
        ) if apart else None


@dataclass(frozen=True, slots=True)
class Heard:
    """All that a witness said of some points, not judged; a remark with a point's number.

    ``calls`` tells of each answer which call gave it, and which of the call's answers it is.
    """

    answers: _Said
    remarks: list[tuple[Remark, int]]
    calls: list[tuple[Repeated, AnswerKey]]


def ask(
    session: Session,
    points: Points,
    seed: int,
    *,
    thorough: bool = True,
    differences: Sequence[Differences] | None = None,
) -> Heard:
    """Put points to the check's witness; ``differences`` are those there, where they are known."""
    heard = Heard([], [], [])
    witness = session.check.witness
    for invocation, numbers in session.invocations(
        points, seed=seed, thorough=thorough, differences=differences
    ):
        call = Repeated(METHODS[witness].answer, invocation)
        for key, said in keyed(METHODS[witness].answer(invocation)):
            if isinstance(said, Answer):
                assert key is not None
                call.answers[key] = said
                heard.answers.append((said, np.array(numbers)))
                heard.calls.append((call, key))
            else:
                heard.remarks.append((said, numbers[0]))
    return heard


def _alike(told: Sequence[_Told]) -> Iterator[list[_Told]]:
    """The answers in groups of those that are judged together."""
    groups: dict[object, list[_Told]] = {}
    for each in told:
        groups.setdefault(each.key, []).append(each)
    return iter(groups.values())


def _judge(session: Session, told: Sequence[_Told]) -> None:
    """Judge one group of answers, each where it belongs."""
    question = _Question.of(session, told)
    coordinates = question.coordinates
    numbers = [each.answer.numbers.reshape(len(each.numbers), -1) for each in told]
    got = coordinates.of_numbers(np.concatenate(numbers))
    truth, judgements = question.judged(got, partial(_own_rounding, told, coordinates))
    about = (
        coordinates.slots,
        coordinates.parts,
        (session.reference.outputs, session.reference.size),
    )
    start = 0
    for each in told:
        part = slice(start, start := start + len(each.numbers))
        judged = judgements.taken(part)
        each.observation.routes.setdefault(question.route)
        each.observation.judged.append(
            Judged(each.answer, each.numbers, *about, got[part], truth.taken(part), judged)
        )


def _own_rounding(
    told: Sequence[_Told], coordinates: _Coordinates, mask: Mask, error: Floats
) -> OwnRounding:
    """What rounding does to the code itself, for the answers that something in the mask is about.

    A call is repeated until that explains the errors. One that is NaN asks for no repetition.

    Shapes: as the mask.
    """
    found = OwnRounding.unknown(mask.shape, "")
    ends = np.cumsum([len(each.numbers) for each in told])
    parts = [slice(end - len(each.numbers), end) for each, end in zip(told, ends, strict=True)]
    for each, part in zip(told, parts, strict=True):
        found.opaque[part] = "" if each.measured else "not measured"
    asked = [
        (each, part)
        for each, part in zip(told, parts, strict=True)
        if each.measured and mask[part].any()
    ]
    calls: dict[int, list[tuple[_Told, slice]]] = {}
    for each, part in asked:
        calls.setdefault(id(each.call), []).append((each, part))
    for alike in calls.values():
        errors = {each.called: np.where(mask[part], error[part], np.nan) for each, part in alike}
        explained = partial(_is_explained, errors, coordinates)
        alike[0][0].call.ask_until(list(errors), explained)
    for each, part in asked:
        rounding = each.call.rounding(each.called)
        found.spread[part] = coordinates.of_numbers(_rows(rounding.spread))
        found.ranged[part] = coordinates.of_numbers(_rows(rounding.ranged))
        found.left[part] = np.array(rounding.left, dtype=object)[:, None]
        found.opaque[part] = rounding.opaque
    return found


def _is_explained(
    errors: Mapping[AnswerKey, Floats],
    coordinates: _Coordinates,
    key: AnswerKey,
    rounding: Rounding,
) -> bool:
    allowed = MOVES_FACTOR * coordinates.of_numbers(_rows(rounding.ranged))
    return not (errors[key] > allowed).any()


def _rows(numbers: Array) -> Array:
    return numbers.reshape(len(numbers), -1)


@dataclass(frozen=True, slots=True, eq=False)
class _Coordinates:
    """The real coordinates of the numbers of an answer at a point: of a complex one both parts."""

    slots: Array
    parts: Array

    @classmethod
    def of(cls, query: Query, variant: Variant) -> _Coordinates:
        outputs, inputs = _complex_entries(variant)
        free = [outputs] if query.cotangent is None else []
        free += [inputs for tangent in query.tangents if tangent is None]
        both = np.zeros((), dtype=bool)
        for side in free:
            both = np.logical_or.outer(both, side)
        return cls.of_entries(both.reshape(-1))

    @classmethod
    def of_entries(cls, is_complex: Mask) -> _Coordinates:
        counts = np.where(is_complex, 2, 1)
        slots = np.repeat(np.arange(counts.size), counts)
        return cls(slots, np.arange(slots.size) - (np.cumsum(counts) - counts)[slots])

    def of_numbers(self, numbers: Array) -> Floats:
        """Shapes: [count, free]; [count, k]."""
        if not np.iscomplexobj(numbers):
            return np.asarray(numbers[:, self.slots], dtype=np.float64)
        chosen = numbers[:, self.slots]
        return np.where(self.parts == 0, chosen.real, chosen.imag)

    def of_balls(self, balls: Array) -> Array:
        """Shapes: [count, free]; [count, k], of real balls."""
        chosen = balls[:, self.slots]
        if not self.parts.any() and all(isinstance(ball, arb) for ball in balls[:1].flat):
            return chosen
        return np.asarray(_real_part(chosen, self.parts), dtype=object)


_real_part = np.frompyfunc(
    lambda ball, part: (
        (ball.imag if part else ball.real) if isinstance(ball, acb) else (ZERO if part else ball)
    ),
    2,
    1,
)


def _complex_entries(variant: Variant) -> tuple[Mask, Mask]:
    """Which output entries, and which input entries, are complex."""
    return complex_entries(variant.formula.judged), complex_entries(variant.formula.ports)


class _Question:
    """The query of several answers at once, each distinct row of it asked once.

    ``again`` are, for each row of the answers, the numbers of the row that was asked.
    """

    def __init__(
        self, session: Session, query: Query, points: Array, again: Array, promises: Promises
    ) -> None:
        self.session, self.promises, self.again = session, promises, again
        self.query, self.points = query, points
        self.coordinates = _Coordinates.of(query, session.variant)
        self.real = _in_real_coordinates(query, session.variant)
        self.stated: Enclosures | None = None
        order = query.order
        if promises.about(order) and _count(session, order) <= MOST_STATED:
            self.stated = _enclosures_of_all(session, order, points[:1])

    @cached_property
    def enclosures(self) -> Enclosures:
        """The formula's answer, where the case states nothing."""
        return self.session.reference.enclose(self.query, self.points)

    @property
    def route(self) -> str:
        return (self.stated or self.enclosures).route

    @classmethod
    def of(cls, session: Session, told: Sequence[_Told]) -> _Question:
        points = np.concatenate([each.rows for each in told])
        sides = [
            _stacked(each) for each in zip(*(each.answer.query.sides for each in told), strict=True)
        ]
        keyed = np.concatenate([points, *(side for side in sides if side is not None)], axis=1)
        first, again = _distinct(keyed)
        cotangent, *tangents = (None if side is None else side[first] for side in sides)
        query = Query(len(tangents), cotangent, tuple(tangents))
        return cls(session, query, points[first], again, told[0].promises)

    def judged(
        self, got: Floats, own_rounding: Callable[[Mask, Floats], OwnRounding]
    ) -> tuple[Expected, Judgements]:
        """The judgements of the numbers, and what they were held against.

        Where the case states answers, the formula is one thing that they must meet, and the
        formula with these answers another.
        """
        found: list[tuple[Expected, Judgements]] = []
        for truth, bounds in self._held():
            judged = judge(
                got,
                truth,
                self.session.dtype,
                bounds,
                self._leaves_range,
                own_rounding,
                self._neighbours,
                self._least_ulps(),
            )
            found.append((truth, judged))
        truth, judged = found[0]
        for other_truth, other in found[1:]:
            worse = judged.worse(other)
            truth = truth.where(worse.ruling == judged.ruling, other_truth)
            judged = worse
        return truth, judged

    def _least_ulps(self) -> int:
        return self.session.case.accuracy.get(self.session.dtype.name, (0, ""))[0]

    def _held(self) -> Iterator[tuple[Expected, Callable[[Mask], ErrorBounds]]]:
        if self.stated is not None:
            derivatives = Derivatives.of(self.stated.balls[0], self.stated.status[0])
            for stated in _versions(derivatives, self.query.order, self.promises):
                yield self._summed(stated), partial(self._by_parts, derivatives=stated)
        else:
            count = len(self.points)
            balls = self.coordinates.of_balls(self.enclosures.balls.reshape(count, -1))
            yield self._expected(balls, self._status), self._bounds

    # what numbers should be

    @property
    def _status(self) -> Array:
        """Shapes: [count, k], as the numbers."""
        return self.enclosures.status.reshape(len(self.points), -1)[:, self.coordinates.slots]

    def _expected(self, balls: Array, status: Array, stated: Mask | None = None) -> Expected:
        return expected(balls, status, stated).taken(self.again)

    def _summed(self, derivatives: Derivatives) -> Expected:
        rows = range(len(self.points))
        found = [summed(derivatives, Weights.of(self.real, row)) for row in rows]
        stacked = (np.stack(each).reshape(len(rows), -1) for each in zip(*found, strict=True))
        return self._expected(*stacked)

    # what rounding can do

    def _bounds(self, mask: Mask) -> ErrorBounds:
        asked = self._rows(mask)
        query, size = _of_size_one(self.query.mapped(lambda side: side[asked]))
        found = self._of_rows(
            self.session.reference.error_bounds(query, self.points[asked], self.session.dtype)
        )
        found = ErrorBounds(
            found.conditioning * size,
            found.rounding * size,
            found.scale * np.maximum(size, 1.0),
            found.underflows,
        )
        found = self._spread(found, asked, mask.shape)
        kinks = mask & (self._status[self.again] == Status.KINK)
        return self._at_kinks(found, kinks) if kinks.any() else found

    def _at_kinks(self, bounds: ErrorBounds, kinks: Mask) -> ErrorBounds:
        """A hull allows all that may be: only what is beside it in a sum has bounds there."""
        order, columns = self.query.order, _columns(bounds)
        few = _count(self.session, order) <= MOST_PARTS
        for row in self._rows(kinks):
            here = self.again == row
            if few:
                derivatives = _derivatives(self.session, order, self.points[row : row + 1])
                stress = self._stress(self.points[row : row + 1])
                found = summed_bounds(stress, derivatives, Weights.of(self.real, row))
                parts = [each.reshape(-1) for each in _columns(found)]
            else:
                size = magnitudes(self.enclosures.balls[row].reshape(-1))[self.coordinates.slots]
                parts = [size, 0.0 * size, 0.0 * size, np.zeros(size.shape, dtype=bool)]
            at = kinks & here[:, None]
            columns = [np.where(at, part, each) for part, each in zip(parts, columns, strict=True)]
        return ErrorBounds(*columns)

    def _by_parts(self, mask: Mask, derivatives: Derivatives) -> ErrorBounds:
        stress = self._stress(self.points[:1])
        asked = self._rows(mask)
        found = [summed_bounds(stress, derivatives, Weights.of(self.real, row)) for row in asked]
        stacked = [
            np.stack(each).reshape(len(asked), -1)
            for each in zip(*map(_columns, found), strict=True)
        ]
        return self._spread(ErrorBounds(*stacked), asked, mask.shape)

    def _stress(self, point: Array) -> ErrorBounds:
        """The bounds of all derivatives in real coordinates, one by one, at one point."""
        query = Query.of_all(self.query.order)
        real = self.session.in_real_coordinates
        point = _parts(point, _complex_entries(self.session.variant)[1])
        found = real.error_bounds(query, point, self.session.dtype)
        return ErrorBounds(*(each[0] for each in _columns(found)))

    def _leaves_range(self, mask: Mask) -> Mask:
        asked = self._rows(mask)
        query = _without_zeros_of(self.query.mapped(lambda side: side[asked]))
        found = self.session.reference.leaves_range(query, self.points[asked], self.session.dtype)
        left = np.zeros((len(self.points), mask.shape[1]), dtype=bool)
        left[asked] = found.reshape(len(asked), -1)[:, self.coordinates.slots]
        return left[self.again]

    def _neighbours(self, mask: Mask) -> Iterator[Expected]:
        """The truths at inputs beside these, where a kink or a jump lies between.

        There no relative change of the derivative tells what one of the inputs does to it.
        """
        asked = self._rows(mask)
        asked = asked[self._decides_near(asked)]
        if not asked.size:
            return
        query = self.query.mapped(lambda side: side[asked])
        for number in range(NEIGHBOURS):
            points = self._beside(self.points[asked], number)
            found = self.session.reference.enclose(query, points)
            balls, status = self.enclosures.balls.copy(), self.enclosures.status.copy()
            balls[asked], status[asked] = found.balls, found.status
            yield self._expected(balls, status)

    def _beside(self, points: Array, number: int) -> Array:
        """Each entry moved as far as ``stable`` lets it, or a little; two at a time, mirrored."""
        key = derive_key("beside", number // 2)
        reach = (
            CONDITIONING_FACTOR / (1 if number % 4 < 2 else 8) * self.session.dtype.unit_roundoff
        )
        signs = random_signed(1, 1, key, points.shape) * (1 - 2 * (number % 2))
        moved: Array = points * (1 + reach * signs)
        return moved

    def _decides_near(self, asked: Array) -> Mask:
        """Whether a condition of the formula is undecided within reach of each point."""
        reach = CONDITIONING_FACTOR * self.session.dtype.unit_roundoff
        if np.iscomplexobj(self.points) or not asked.size:
            return np.zeros(len(asked), dtype=bool)
        boxes = [[arb(x, abs(x) * reach) for x in row] for row in self.points[asked].tolist()]
        try:
            touched = self.session.reference.touches(np.array(boxes, dtype=object))
        except NoDerivative:
            return np.zeros(len(asked), dtype=bool)
        return np.asarray(touched)

    def _rows(self, mask: Mask) -> Array:
        """The asked rows that something in the mask is about."""
        return np.unique(self.again[mask.any(axis=1)])

    def _of_rows(self, bounds: ErrorBounds) -> ErrorBounds:
        slots = self.coordinates.slots
        return ErrorBounds(*(each.reshape(len(each), -1)[:, slots] for each in _columns(bounds)))

    def _spread(self, bounds: ErrorBounds, asked: Array, shape: tuple[int, ...]) -> ErrorBounds:
        """Bounds of some asked rows as those of all rows of the answers."""
        place = np.zeros(len(self.points), dtype=np.intp)
        place[asked] = np.arange(len(asked))
        assert shape[0] == len(self.again)
        return ErrorBounds(*(each[place[self.again]] for each in _columns(bounds)))


NEIGHBOURS = 8
"""Inputs beside one at which the truth is asked. Of a kink that lies between, half are beyond."""
MOST_STATED = 1 << 16
"""Derivatives of one order at a point where the case states some of them."""


def _versions(derivatives: Derivatives, order: int, promises: Promises) -> Iterator[Derivatives]:
    """The derivatives that the formula has, and these with what the case states."""
    if promises.conventions and order == 1:
        derivatives = derivatives.stating(promises.conventions, instead=True)
    if promises.conventions and order == 2:
        derivatives = derivatives.undefined()
    yield derivatives
    written = promises.written.get(order)
    if written:
        yield derivatives.stating(written)


def _derivatives(session: Session, order: int, point: Array) -> Derivatives:
    """All derivatives of an order in real coordinates, one by one, at one point, [1, n]."""
    found = _enclosures_of_all(session, order, point)
    return Derivatives.of(found.balls[0], found.status[0])


def _enclosures_of_all(session: Session, order: int, point: Array) -> Enclosures:
    return session.derivatives(order, _parts(point, _complex_entries(session.variant)[1]))


def _parts(rows: Array, is_complex: Mask) -> Array:
    """Rows of entries as rows of real coordinates."""
    return _Coordinates.of_entries(is_complex).of_numbers(rows) if is_complex.any() else rows.real


def _in_real_coordinates(query: Query, variant: Variant) -> Query:
    """The same question about the function of real coordinates.

    The real part of conj(c)·y is the inner product of the coordinates of c and y.
    """
    outputs, inputs = _complex_entries(variant)
    kinds = (outputs, *(inputs for _ in query.tangents))
    cotangent, *tangents = (
        None if side is None else _parts(side, kind)
        for side, kind in zip(query.sides, kinds, strict=True)
    )
    return Query(query.order, cotangent, tuple(tangents))


def _count(session: Session, order: int) -> int:
    """How many derivatives of an order there are, in real coordinates."""
    real = session.in_real_coordinates
    return int(real.outputs * real.size**order)


def _columns(bounds: ErrorBounds) -> list[Array]:
    return [bounds.conditioning, bounds.rounding, bounds.scale, bounds.underflows]


def _stacked(sides: Sequence[Array | None]) -> Array | None:
    given = [side for side in sides if side is not None]
    return np.concatenate(given) if given else None


def _of_size_one(query: Query) -> tuple[Query, Floats]:
    """The query with sides whose largest entry is 1, and for each row what they were multiplied by.

    An error is multiplied by the sides wherever on its way it arises, and so is M.

    Shapes: [count, 1].
    """
    given = [side for side in query.sides if side is not None]
    total = math.prod(map(_sizes, given), start=np.ones((1, 1)))
    return query.mapped(lambda side: side / _sizes(side)), total


def _sizes(side: Array) -> Floats:
    """The largest magnitude of each row; 1 for one of zeros. Shapes: [count, 1]."""
    size = np.abs(side).max(axis=1, keepdims=True, initial=0.0)
    return np.where(size == 0, 1.0, size)


def _without_zeros_of(query: Query) -> Query:
    """The query with ones for zeros: PyTorch multiplies by a 0 like by any other number."""
    return query.mapped(lambda side: np.where(side == 0, 1.0, side))


def _distinct(rows: Array) -> tuple[Array, Array]:
    """The numbers of rows that differ in a bit, and for each row its place among them."""
    places: dict[bytes, int] = {}
    first: list[int] = []
    again = []
    for number, row in enumerate(np.ascontiguousarray(rows)):
        place = places.setdefault(row.tobytes(), len(first))
        if place == len(first):
            first.append(number)
        again.append(place)
    return np.array(first, dtype=np.intp), np.array(again, dtype=np.intp)


# in words


def entry_report(observation: Observation, entry: Entry | Finding) -> EntryReport:
    """One entry, in words and numbers for people."""
    at = {name: values[entry.point].tolist() for name, values in observation.points.items()}
    judgement = entry.judgement
    if isinstance(entry, Finding):
        return EntryReport(at, "the call", entry.label, math.nan, "", "", judgement.ulps,
                        judgement.relative, judgement.ruling, judgement.reason)  # fmt: skip
    ball = entry.ball
    return EntryReport(
        at=at,
        index=index_text(observation, entry),
        label=entry.label,
        got=entry.got,
        true=entry.digits,
        radius=ball.rad().str(3, radius=False),
        ulps=judgement.ulps,
        relative=judgement.relative,
        ruling=judgement.ruling,
        reason=_reason(judgement, entry, observation.session),
        grade=judgement.grade,
        directions=() if entry.is_plain else _directions(entry),
    )


def _reason(judgement: Judgement, entry: Entry, session: Session) -> str:
    """The judgement's reason; where a number is 0 because no gradient came, that."""
    absent = entry.judged.answer.absent
    if judgement.ruling is not Ruling.DISAGREE or not absent:
        return judgement.reason
    slot = entry.slot
    for position, port in enumerate(session.variant.inputs):
        slot -= math.prod(port.shape)
        if slot < 0:
            told = absent.get(position)
            return f"{told} input {position} ({port.name})" if told else judgement.reason
    return judgement.reason


def _directions(entry: Entry) -> tuple[tuple[str, tuple[float, ...]], ...]:
    names = ("cotangent", *("tangent" for _ in entry.query.tangents))
    return tuple(
        (name, tuple(side.tolist()))
        for name, side in zip(names, entry.weights.sides, strict=True)
        if side is not None
    )


_TOP = {1: "∂", 2: "∂²", 3: "∂³"}
_MOST_TERMS = 3
"""Of a weighted sum that is told whole."""
_PARTS = ("re ", "im ")


def index_text(observation: Observation, entry: Entry) -> str:
    """Which derivative a number is: ``∂y[1]/∂x[0, 2]``, or a weighted sum of such."""
    session, order = observation.session, entry.query.order
    n = session.reference.size
    shape = (session.reference.outputs, *(n for _ in range(order)))
    count = entry.weights.count
    terms = entry.terms(MOST_PARTS)
    if count <= MOST_PARTS and math.prod(shape) <= MOST_PARTS:
        terms = _without_zeros(observation, entry, terms)
        count = len(terms)
    told = terms if count <= _MOST_TERMS else terms[: _MOST_TERMS - 1]
    outputs, inputs = output_names(session.variant), input_names(session.variant)
    parts = []
    for weight, flat in told:
        below = "".join(f"∂{inputs[flat // n**k % n]}" for k in reversed(range(order)))
        output = outputs[flat // n**order]
        text = f"{_TOP[order]}{output}/{below}" if order else output
        parts.append(text if weight == 1.0 else f"{weight:g}·{text}")
    text = " + ".join(parts) + ("" if count == len(told) else f" + ... ({count} terms)")
    return _PARTS[entry.part] + text if entry.is_complex else text


def _without_zeros(observation: Observation, entry: Entry, terms: list[Term]) -> list[Term]:
    """The terms of a sum less the derivatives that are 0, as long as one is not."""
    session, order = observation.session, entry.query.order
    point = session.rows(observation.points)[entry.point][None]
    vanishes = np.asarray(_is_zero(_derivatives(session, order, point).balls), dtype=bool)
    outputs, inputs = _complex_entries(session.variant)
    for axis, kind in enumerate((outputs, *(inputs for _ in range(order)))):
        starts = np.flatnonzero(_Coordinates.of_entries(kind).parts == 0)
        vanishes = np.logical_and.reduceat(vanishes, starts, axis=axis)
    return [term for term in terms if not vanishes.flat[term[1]]] or terms


_is_zero = np.frompyfunc(lambda ball: ball.is_zero(), 1, 1)


def output_names(variant: Variant) -> list[str]:
    """What the output entries are called: ``y``, ``y[0, 1]``, or after their output's name."""
    ports = variant.formula.judged
    return [name for port in ports for name in _positions(port.name or "y", port.shape)]


def input_names(variant: Variant) -> list[str]:
    """What the input entries are called: ``x``, ``x[0, 1]``."""
    ports = variant.formula.ports
    return [name for port in ports for name in _positions(port.name, port.shape)]


def _positions(name: str, shape: tuple[int, ...]) -> list[str]:
    if shape == ():
        return [name]
    return [f"{name}[{', '.join(map(str, index))}]" for index in np.ndindex(shape)]
