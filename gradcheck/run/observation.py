"""Putting points to a witness and judging every number of its answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from flint import arb

from gradcheck.answer import Abstention, Agreement, Answer, EntryReport, Remark, Ruling, Violation
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.judge.contraction import Expectation, error_bounds_of, expectations
from gradcheck.judge.judge import Judgement, judge
from gradcheck.methods import METHODS
from gradcheck.reference.evaluate import UNDEFINED, Enclosure, digits
from gradcheck.run.session import Points, Session


@dataclass(frozen=True, slots=True)
class Promises:
    """The answers that a case states at one point, by order and flat position [m * n**order].

    ``conventions`` stand in for derivatives of order 1 that do not exist. ``written`` are known
    answers, to which PyTorch is held besides the formula.
    """

    conventions: Mapping[int, arb] = field(default_factory=dict)
    written: Mapping[int, Mapping[int, arb]] = field(default_factory=dict)


NO_PROMISES = Promises()


@dataclass(frozen=True, slots=True)
class Entry:
    """One number, judged. ``remark`` stands where there was no number."""

    point: int
    claim: Answer | None
    slot: int  # which of the claim's numbers at its point
    got: float
    expected: Expectation | None
    judgement: Judgement
    remark: Remark | None = None


@dataclass(slots=True)
class Observation:
    """What one witness said about some points. It fills while the witness speaks."""

    session: Session
    points: Points
    entries: list[Entry] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)


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
    observation = Observation(session, points)
    rows = session.rows(points)
    for invocation, numbers in session.invocations(points, seed=seed, thorough=thorough):
        for answer in METHODS[session.check.witness].answer(invocation):
            if not isinstance(answer, Answer):
                observation.remarks.append(answer)
                if not isinstance(answer, Agreement):
                    observation.entries.append(_found(answer, numbers[0]))
            else:
                for k, number in enumerate(numbers):
                    _judge_point(observation, (answer, k), (number, rows[number]), promises)
    return observation


def _found(remark: Abstention | Violation, number: int) -> Entry:
    infinite = math.inf if isinstance(remark, Violation) else math.nan
    judgement = Judgement(remark.ruling, remark.reason, None, infinite, infinite)
    return Entry(number, None, 0, math.nan, None, judgement, remark)


def _judge_point(
    observation: Observation,
    said: tuple[Answer, int],
    place: tuple[int, tuple[float, ...]],
    promises: Promises,
) -> None:
    (claim, k), (number, x) = said, place
    session = observation.session
    sizes = (session.truth.outputs, session.truth.size)
    truths = _truths(session, claim.query.order, x, promises)
    values = claim.numbers[k].ravel().tolist()
    for slot, (got, *expected) in enumerate(
        zip(values, *(expectations(claim, k, sizes, each) for each in truths), strict=True)
    ):
        judged = [(each, _judged(session, claim.query.order, x, got, each)) for each in expected]
        worst, judgement = max(judged, key=lambda pair: pair[1].ruling.severity)
        if judgement.ruling is Ruling.DISAGREE and claim.absent:
            judgement = _without_gradient(judgement, claim, slot, session)
        observation.entries.append(Entry(number, claim, slot, got, worst, judgement))


def _without_gradient(
    judgement: Judgement, claim: Answer, slot: int, session: Session
) -> Judgement:
    """The judgement with its reason, where a number is 0 because no gradient came."""
    for position, (name, shape) in enumerate(session.variant.program.inputs):
        slot -= math.prod(shape)
        if slot < 0:
            reason = claim.absent.get(position)
            told = f"{reason} input {position} ({name})" if reason else judgement.reason
            return replace(judgement, reason=told)
    return judgement


def _judged(
    session: Session, order: int, x: tuple[float, ...], got: float, expected: Expectation
) -> Judgement:
    truth, dtype = session.truth, session.dtype
    least_ulps, _ = session.case.accuracy.get(dtype.name, (0, ""))
    return judge(
        got,
        expected.enclosure,
        dtype,
        lambda: error_bounds_of(expected, truth, order, x, dtype),
        lambda: truth.leaves_range(order, expected.asked, x, dtype),
        least_ulps,
    )


def _truths(
    session: Session, order: int, x: tuple[float, ...], promises: Promises
) -> list[list[Enclosure]]:
    """What a claim is held against: the formula, and the formula with what the case states."""
    formula = _formula(session, order, x)
    if promises.conventions and order == 1:
        stand_in = {k: Enclosure(ball, "promised") for k, ball in promises.conventions.items()}
        formula = [stand_in.get(k, each) for k, each in enumerate(formula)]
    if promises.conventions and order == 2:
        formula = [UNDEFINED] * len(formula)
    written = promises.written.get(order)
    if not written:
        return [formula]
    stated = [_stated(written[k], each) if k in written else each for k, each in enumerate(formula)]
    return [formula, stated]


def _stated(answer: arb, formula: Enclosure) -> Enclosure:
    return Enclosure(answer, "written" if formula.status == "settled" else "promised")


def _formula(session: Session, order: int, x: tuple[float, ...]) -> list[Enclosure]:
    try:
        return session.truth.enclosures(order, x)
    except NoDerivative:
        return [UNDEFINED] * (session.truth.outputs * session.truth.size**order)


def entry_report(observation: Observation, entry: Entry) -> EntryReport:
    """One entry, in words and numbers for people."""
    at = {name: values[entry.point].tolist() for name, values in observation.points.items()}
    judgement = entry.judgement
    if entry.claim is None or entry.expected is None:
        label = entry.remark.label if entry.remark else ""
        return EntryReport(at, "the call", label, math.nan, "", "", judgement.ulps,
                        judgement.relative, judgement.ruling, judgement.reason)  # fmt: skip
    ball = entry.expected.enclosure.ball
    return EntryReport(
        at=at,
        index=index_text(
            observation.session, entry.claim.query.order, _without_zeros(observation, entry)
        ),
        label=entry.claim.label,
        got=entry.got,
        true=digits(entry.expected.enclosure),
        radius=ball.rad().str(3, radius=False),
        ulps=judgement.ulps,
        relative=judgement.relative,
        ruling=judgement.ruling,
        reason=judgement.reason,
        grade=judgement.grade,
        directions=() if is_plain(entry) else _directions(entry.claim, _row(observation, entry)),
    )


def is_plain(entry: Entry) -> bool:
    """Whether the number is a derivative itself, and no multiple or sum of such."""
    terms = entry.expected.terms if entry.expected else ()
    return len(terms) == 1 and terms[0][0] == 1.0


def _directions(claim: Answer, row: int) -> tuple[tuple[str, tuple[float, ...]], ...]:
    given = [] if claim.query.cotangent is None else [("cotangent", claim.query.cotangent)]
    given += [("tangent", tangent) for tangent in claim.query.tangents if tangent is not None]
    return tuple((name, tuple(vector[row].tolist())) for name, vector in given)


def _row(observation: Observation, entry: Entry) -> int:
    """Which row of its claim an entry stands in: a call takes one point, or all of them."""
    return entry.point if entry.claim is not None and len(entry.claim.numbers) > 1 else 0


def _without_zeros(observation: Observation, entry: Entry) -> Expectation:
    """The weighted sum less the derivatives that are 0, as long as one is not."""
    assert entry.claim is not None
    assert entry.expected is not None
    x = observation.session.rows(observation.points)[entry.point]
    truth = observation.session.truth.enclosures(entry.claim.query.order, x)
    terms = tuple(term for term in entry.expected.terms if not truth[term[1]].ball.is_zero())
    return replace(entry.expected, terms=terms or entry.expected.terms)


_TOP = {1: "∂", 2: "∂²"}


def index_text(session: Session, order: int, expected: Expectation) -> str:
    """Which derivative a number is: ``∂y[1]/∂x[0, 2]``, or a weighted sum of such."""
    names = _entry_names(session)
    outputs = _positions("y", session.variant.program.shape)
    n = session.truth.size
    parts = []
    for weight, flat in expected.terms:
        digits = [names[flat // n**k % n] for k in reversed(range(order))]
        output = outputs[flat // n**order]
        below = "".join(f"∂{name}" for name in digits)
        text = f"{_TOP[order]}{output}/{below}" if order else output
        parts.append(text if weight == 1.0 else f"{weight:g}·{text}")
    if len(parts) > 3:
        return " + ".join(parts[:2]) + f" + ... ({len(parts)} terms)"
    return " + ".join(parts)


def _entry_names(session: Session) -> list[str]:
    return [
        entry for name, shape in session.variant.program.inputs for entry in _positions(name, shape)
    ]


def _positions(name: str, shape: tuple[int, ...]) -> list[str]:
    if shape == ():
        return [name]
    return [f"{name}[{', '.join(map(str, index))}]" for index in np.ndindex(shape)]
