"""Putting points to a witness and judging all the numbers of its answers together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

import numpy as np
from flint import arb

from gradcheck.answer import (
    Abstention,
    Agreement,
    Answer,
    Floats,
    Guess,
    Remark,
    Ruling,
    Violation,
)
from gradcheck.judge.contraction import Term, Weights
from gradcheck.judge.judge import (
    MOVES_FACTOR,
    Expected,
    Judgement,
    Judgements,
    Mask,
    OwnRounding,
)
from gradcheck.methods import METHODS
from gradcheck.methods._torch.rounding import AnswerKey, Repeated, Rounding, keyed
from gradcheck.points.generate import Points, count_of
from gradcheck.query import Array, Query
from gradcheck.randomness import derive_key, random_signed
from gradcheck.reference.digits import digits
from gradcheck.reference.enclosures import Status
from gradcheck.run.joint_query import NO_PROMISES, Coordinates, JointQuery, Promises
from gradcheck.run.session import Differences, Session

MOST_FAILING = 4_096
"""Wrong numbers of one answer that are looked at one by one: those that are farthest off."""
MOST_TOGETHER = 1 << 14
"""Input entries of points whose answers are judged together: what is larger costs memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One answer, judged: a place for each real number of it.

    ``points`` are the numbers of the points of its rows, ``slots`` which of the answer's numbers
    at a point each is, and ``parts`` whether that is its real part (0) or its imaginary part (1).
    ``sizes`` are the numbers of output and input entries. ``call`` gave it, as its ``called``.

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
    call: Repeated
    called: AnswerKey

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
    def because(self) -> str:
        """What the witness says to make it wrong, if it is."""
        return self.judged.answer.because

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
    """Something said without a number, about a point; of an array what kind of error it may be."""

    point: int
    remark: Abstention | Violation
    guess: Guess | None = None
    because: str = ""

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

    @property
    def numbers(self) -> int:
        """How many numbers were judged."""
        return sum(each.got.size for each in self.judged)

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


ALL_CALLS = ("",)
"""What every label begins with."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Points that are put to a witness, the seed of its calls, and what the case states there.

    ``thorough`` as in ``observe``. ``unmeasured`` is how the labels of those calls begin of which
    nobody needs to know whether their own rounding explains what is wrong with them. ``again`` are
    the labels of the answers that are asked for, where these are not all.
    """

    points: Points
    seed: int
    promises: Promises = NO_PROMISES
    thorough: bool = True
    unmeasured: tuple[str, ...] = ()
    again: frozenset[str] = frozenset()

    @property
    def count(self) -> int:
        """How many points there are."""
        return count_of(self.points)

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
    heard = ask(session, asked, differences)
    observation = Observation(session, asked.points, remarks=[said for said, _ in heard.remarks])
    for remark, number in heard.remarks:
        if isinstance(remark, Agreement):
            observation.agreed.add(number)
        else:
            observation.findings.append(Finding(number, remark))
    rows = session.rows(asked.points)
    return observation, [
        _Told(
            answer,
            numbers,
            rows[numbers],
            observation,
            asked.promises,
            call,
            key,
            measured=not answer.label.startswith(asked.unmeasured),
        )
        for (answer, numbers), (call, key) in zip(heard.answers, heard.calls, strict=True)
    ]


def _judge_all(session: Session, told: Sequence[_Told]) -> None:
    for alike in _alike(told):
        _judge(session, alike)


_Said = list[tuple[Answer, Array]]
"""Answers, each with the numbers of the points of its rows."""


@dataclass(frozen=True, slots=True, eq=False)
class _Along:
    """That numbers are some rows of a call's gradients times a tangent.

    Shapes: rows [count], tangent [entries].
    """

    rows: Array
    tangent: Array


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
    along: _Along | None = None

    def taken(self, rows: Array) -> _Told:
        """Some of its rows."""
        query = self.answer.query.mapped(
            lambda side: np.broadcast_to(side, (len(self.numbers), side.shape[1]))[rows]
        )
        answer = replace(self.answer, query=query, numbers=self.answer.numbers[rows])
        return replace(self, answer=answer, numbers=self.numbers[rows], rows=self.rows[rows])

    def spread(self, numbers: Array) -> Array:
        """How far these numbers lie apart where the call's do so. Shapes: [count, k]."""
        rows = numbers.reshape(len(numbers), -1)
        if self.along is None:
            return rows
        sizes = np.abs(rows[self.along.rows]) * np.abs(self.along.tangent)
        return np.asarray(sizes.sum(axis=1, keepdims=True))

    def left(self, words: tuple[str, ...]) -> Array:
        """What is said of each row, of what is said of the call's. Shapes: [count, 1]."""
        found = np.array(words, dtype=object)[:, None]
        return found if self.along is None else found[self.along.rows]

    @property
    def key(self) -> object:
        """The same for answers that are judged together: they leave the same sides free."""
        free = tuple(side is None for side in self.answer.query.sides)
        apart = self.promises.about(self.answer.query.order)
        return free, self.measured, id(self.promises) if apart else None


@dataclass(frozen=True, slots=True)
class Heard:
    """All that a witness said of some points, not judged; a remark with a point's number.

    ``calls`` tells of each answer which call gave it, and which of the call's answers it is.
    """

    answers: _Said
    remarks: list[tuple[Remark, int]]
    calls: list[tuple[Repeated, AnswerKey]]


def ask(session: Session, asked: Asked, differences: Sequence[Differences] | None = None) -> Heard:
    """Put points to the check's witness; ``differences`` are those there, where they are known."""
    heard = Heard([], [], [])
    method = METHODS[session.check.witness]
    for invocation, numbers in session.invocations(
        asked.points,
        seed=asked.seed,
        thorough=asked.thorough,
        differences=differences,
        again=asked.again,
    ):
        call = Repeated(method.answer, invocation, compiles=method.compiles)
        for key, said in keyed(method.answer(invocation)):
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
    queries = [each.answer.query for each in told]
    coordinates = Coordinates.of(queries[0], session.variant)
    numbers = [each.answer.numbers.reshape(len(each.numbers), -1) for each in told]
    got = coordinates.of_numbers(np.concatenate(numbers))
    question = JointQuery.of(session, queries, [each.rows for each in told], got, told[0].promises)
    claims = question.claims
    truth, judgements = question.judged(partial(_own_rounding, told, coordinates, claims.first))
    truth, judgements = truth.taken(claims.places), judgements.taken(claims.places)
    about = (
        coordinates.slots,
        coordinates.parts,
        (session.reference.outputs, session.reference.size),
    )
    start = 0
    for each in told:
        rows: Array | slice = slice(start, start + len(each.numbers))
        start += len(each.numbers)
        if each.along is not None:  # nothing else is told that the gradient's entries did not tell
            wrong = judgements.taken(rows).is_ruled(Ruling.DISAGREE).any(axis=1)
            if not wrong.any():
                continue
            rows = start - len(each.numbers) + np.flatnonzero(wrong)
            each = each.taken(np.flatnonzero(wrong))  # noqa: PLW2901
        each.observation.routes.setdefault(question.route)
        each.observation.judged.append(
            Judged(
                each.answer,
                each.numbers,
                *about,
                got[rows],
                truth.taken(rows),
                judgements.taken(rows),
                each.call,
                each.called,
            )
        )
    for along in _along_kinks(session, told, truth, judgements):
        _judge(session, along)


def _along_kinks(
    session: Session, told: Sequence[_Told], truth: Expected, judgements: Judgements
) -> Iterator[list[_Told]]:
    """Of gradients with several hulls, at which nothing is wrong, the products with two tangents.

    The entries of a row belong to one branch, or to a mixture of several, which a hull of each
    alone does not tell: of a maximum at a tie they add up to 1. Forward mode is asked so itself,
    and what a user wrote may have none.
    """
    query = told[0].answer.query
    is_gradient = query.order == 1 and query.cotangent is not None and query.free_inputs == (0,)
    if not (is_gradient and session.check.implementation.is_own_code) or truth.stated.any():
        return
    kinked = (truth.status == Status.KINK).sum(axis=1) > 1
    proved = (truth.status <= Status.KINK).all(axis=1)
    told_of = kinked & proved & ~judgements.is_ruled(Ruling.DISAGREE).any(axis=1)
    if not told_of.any() or np.iscomplexobj(told[0].answer.numbers):
        return
    width = truth.status.shape[1]
    mixed = random_signed(8, 16, derive_key("along kinks"), (width,)) / 8
    places = np.split(told_of, np.cumsum([len(each.numbers) for each in told])[:-1])
    for tangent in (np.ones(width), mixed):
        yield [
            _along(each, tangent, np.flatnonzero(here))
            for each, here in zip(told, places, strict=True)
            if here.any()
        ]


def _along(gradient: _Told, tangent: Array, rows: Array) -> _Told:
    """What some rows of a gradient say of the derivative along a tangent."""
    part = gradient.taken(rows)
    numbers = (part.answer.numbers * tangent).sum(axis=-1)
    tangents = np.broadcast_to(tangent, (len(rows), len(tangent)))
    query = Query(1, part.answer.query.cotangent, (tangents,))
    answer = Answer(gradient.answer.label, query, numbers)
    return replace(part, answer=answer, along=_Along(rows, tangent))


def _own_rounding(
    told: Sequence[_Told], coordinates: Coordinates, first: Array, mask: Mask, error: Floats
) -> OwnRounding:
    """What rounding does to the code itself, for the claims that something in the mask is about.

    ``first`` are the rows of the answers that made the claims. A call is repeated until that
    explains the errors. One that is NaN asks for no repetition. Where a few calls were repeated to
    the end, and rounding is not near to what a number is off by, others of which that is so too
    are repeated a little: they change no verdict.

    Shapes: as the mask; first [claims].
    """
    found = OwnRounding.unknown(mask.shape, "" if told[0].measured else "not measured")
    if not told[0].measured:
        return found
    calls: dict[int, list[_Claimed]] = {}
    end = 0
    for each in told:
        start, end = end, end + len(each.numbers)
        part = slice(*np.searchsorted(first, [start, end]))
        if mask[part].any():
            wrong = np.where(mask[part], error[part], np.nan)
            claimed = _Claimed(each, coordinates, part, first[part] - start, wrong)
            calls.setdefault(id(each.call), []).append(claimed)
    beyond = 0
    for alike in calls.values():
        keys = {claimed.told.called: claimed for claimed in alike}
        call = alike[0].told.call
        is_enough = beyond >= _MEASURED_FULLY
        patterns = _FEW_PATTERNS if is_enough else math.inf
        call.ask_until(list(keys), partial(_is_settled, call, keys, patterns))
        if not is_enough:
            beyond += any(claimed.is_beyond(call.rounding(key)) for key, claimed in keys.items())
        for claimed in alike:
            claimed.note(found)
    return found


_MEASURED_FULLY, _FEW_PATTERNS = 3, 2
_FAR = 1 << 10
"""Times what rounding explains."""


def _is_settled(
    call: Repeated,
    claimed: Mapping[AnswerKey, _Claimed],
    patterns: float,
    key: AnswerKey,
    rounding: Rounding,
) -> bool:
    """Whether rounding explains an answer, or after so many patterns is not near to that."""
    if call.patterns >= patterns and claimed[key].is_beyond(rounding):
        return True
    return claimed[key].is_explained(rounding)


@dataclass(frozen=True, slots=True, eq=False)
class _Claimed:
    """The claims that an answer was the first to make: where they are, its rows, their errors."""

    told: _Told
    coordinates: Coordinates
    part: slice
    rows: Array
    error: Floats

    def is_explained(self, rounding: Rounding) -> bool:
        return not (self.error > MOVES_FACTOR * self._of(rounding.ranged)).any()

    def is_beyond(self, rounding: Rounding) -> bool:
        """Whether a number is much farther off than what is known of the code explains."""
        if rounding.opaque or any(rounding.left):
            return False
        return bool((self.error > _FAR * MOVES_FACTOR * self._of(rounding.spread)).any())

    def note(self, found: OwnRounding) -> None:
        """Write down what rounding does to the answer."""
        rounding, part = self.told.call.rounding(self.told.called), self.part
        found.spread[part] = self._of(rounding.spread)
        found.ranged[part] = self._of(rounding.ranged)
        found.left[part] = self.told.left(rounding.left)[self.rows]
        found.opaque[part] = rounding.opaque
        found.by_norm[part] = rounding.by_norm

    def _of(self, numbers: Array) -> Floats:
        return self.coordinates.of_numbers(self.told.spread(numbers)[self.rows])
