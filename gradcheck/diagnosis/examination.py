"""The examination of one check: its ruling and, where the code fails, what there is to tell of it.

The failure is brought to its smallest input, and every witness is asked there who is wrong.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from gradcheck.answer import EntryReport, Guess, Outcome, Ruling, RunOptions
from gradcheck.catalog.checks import Check
from gradcheck.devices import has_dtype
from gradcheck.diagnosis.blame import (
    attribute,
    cross_check,
    failing_entries,
    observed,
    wrong_calls,
)
from gradcheck.diagnosis.evidence import gather
from gradcheck.diagnosis.guesses import guess_kind
from gradcheck.methods import METHODS
from gradcheck.methods._torch.calling import CLOSE
from gradcheck.points.generate import Points
from gradcheck.query import Array
from gradcheck.run.array_judging import guess_of_arrays
from gradcheck.run.observation import ALL_CALLS, Asked, Entry, Finding, Observation, ask
from gradcheck.run.ruling import Examination, FailingPoint, calm_warnings
from gradcheck.run.session import Session, session_of

RANDOM = (
    "random: two calls at the same input differ; pin it: seed it within, with torch.manual_seed or "
    "a torch.Generator, or switch it off, as dropout by eval()"
)
BLAMED = "the implementation is random, which no formula is"
STATE = (
    "two calls at the same input differ, with the same random numbers: keep no result, counter or "
    "buffer from one call for another"
)
KEEPS_STATE = "the implementation keeps state from call to call, which no formula does"
ARRAY = "{} is wrong, as its entries show together; each alone might be rounding"
_CALLS = 8
"""As many as tell a coin's sides apart but for one time in a hundred."""


def examine(check: Check, run_options: RunOptions) -> Outcome:
    """Rule on one check, and tell who is wrong where it fails.

    Errors: CatalogError where the case's ``function`` cannot be loaded.
    """
    started = time.perf_counter()
    reason = check.case.without.get(check.witness)
    if reason is None and not has_dtype(check.device, check.dtype):
        reason = f"the device {check.device} has no {check.dtype}"
    if reason is not None:
        outcome = Outcome(Ruling.ABSTAIN, reason, 0, 0, 0, 0.0, {})
    else:
        with calm_warnings(check):
            examination = Examination(check, run_options)
            examination.run()
            outcome = _told_at_last(examination)
    return replace(outcome, seconds=time.perf_counter() - started)


def _told_at_last(examination: Examination) -> Outcome:
    if examination.failed is None:
        return examination.outcome()
    outcome = _diagnosed(examination.failed)
    if examination.failed is examination:
        return outcome
    inputs = examination.failed.session.variant.inputs
    shapes = ", ".join(f"{each.name}: {list(each.shape)}" for each in inputs)
    blame = f"{outcome.blame}, at other shapes than the case's own: {shapes}"
    return replace(outcome, blame=blame)


def _diagnosed(examination: Examination) -> Outcome:
    """Return the outcome of what failed, with the smallest input that shows it and who is wrong."""
    worst = examination.totals.failures[0]
    try:
        failing_point = _chief_failing_point(examination)
        if failing_point.array:
            blame = ARRAY.format(METHODS[examination.check.witness].subject)
            guess = examination.guess_of_array
            return examination.ended(worst.ruling, worst.reason, blame=blame, guess=guess)
        failing = frozenset(entry.label for _, entry in examination.totals.failing)
        differs = _why_calls_differ(examination.check, failing_point, failing)
        if differs is not None:
            return examination.ended(Ruling.DISAGREE, *differs)
        found = _explained(examination, failing_point)
    except Exception as error:  # what failed stays found, whatever else is worked out
        text = f"{type(error).__name__}: {error}"
        found = {"blame": f"{worst.reason}; blame could not be worked out: {text}"}
        return examination.ended(worst.ruling, worst.reason, **found)
    told = found["failures"][0]
    if examination.totals.worst == worst:
        found["worst"] = told
    if told in examination.of_arrays:
        found["guess"] = examination.guess_of_array
    elif told.true:  # what was not a number looks like nothing
        found |= _looks_like(examination, failing_point, found["blame"])
    return examination.ended(told.ruling, told.reason, **found)


def _chief_failing_point(examination: Examination) -> FailingPoint:
    """The first that disagrees; the first of all where every one is only inaccurate."""
    disagreeing = [each for each in examination.failing_points if each.ruling is Ruling.DISAGREE]
    return (disagreeing or examination.failing_points)[0]


def _explained(examination: Examination, failing_point: FailingPoint) -> dict[str, Any]:
    """The smallest failing input, the worst one with plain derivatives, and the blame."""
    points = _smallest(examination, failing_point)
    seed, promises = failing_point.seed, failing_point.promises
    places = [points] if points is failing_point.points else [points, failing_point.points]
    said = [cross_check(examination.session, place, seed, promises) for place in places]
    witness = examination.check.witness
    calls = wrong_calls(witness, [entry for _, entry in examination.totals.failing])
    blamed = attribute(witness, failing_point.ruling, *said, calls=calls)
    return {
        "blame": blamed.text,
        "smallest": tuple(_told(examination, replace(failing_point, points=points))),
        "failures": tuple(_failures(examination)),
        "statements": said[blamed.place],
        "stated_at": _at(places[blamed.place]),
    }


def _looks_like(
    examination: Examination, failing_point: FailingPoint, blame: str
) -> dict[str, Any]:
    """The guess; where it fails itself the blame says so, and who is wrong stays found."""
    try:
        guess = _guess(examination, failing_point)
        return {"guess": guess or guess_of_arrays(examination.session, examination.heard)}
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        return {"blame": f"{blame}; the kind of error could not be worked out: {text}"}


def _guess(examination: Examination, failing_point: FailingPoint) -> Guess | None:
    """What kind of error it looks like, from the inputs that failed and from others."""
    excuse = failing_point.excuse or examination.known_failures.at(None)
    found = {_key(failing_point.points): failing_point}
    for each in examination.totals.failures:
        points = _points_of(examination, each.at)
        found.setdefault(_key(points), FailingPoint(points, examination.seed, each.ruling))
    chief, *others = [
        Asked(each.points, each.seed, each.promises, unmeasured=ALL_CALLS)
        for each in found.values()
    ]
    asked = [chief, *others[:_MOST_FAILING_POINTS]]
    session, effort = examination.session, examination.effort
    return guess_kind(gather(session, asked, effort, failing_point.ruling, excuse))


_MOST_FAILING_POINTS = 16


def _key(points: Points) -> bytes:
    return b"".join(values.tobytes() for values in points.values())


def _points_of(examination: Examination, at: Mapping[str, Any]) -> Points:
    """A single point of what an entry's report says of it."""
    return {
        each.name: np.asarray(
            at[each.name], dtype=np.complex128 if each.domain.complex else np.float64
        )[None]
        for each in examination.session.variant.inputs
    }


def _told(examination: Examination, failing_point: FailingPoint) -> list[EntryReport]:
    """What fails at one input: the derivatives themselves, where those fail."""

    def failing(observation: Observation) -> list[Entry | Finding]:
        return examination.failing(observation, failing_point.ruling, failing_point.excuse)

    where = failing_point.points, failing_point.seed, failing_point.promises
    return failing_entries(examination.session, *where, failing)


def _failures(examination: Examination) -> list[EntryReport]:
    """The kept failures; those of the worst input are asked again, for plain derivatives.

    What is wrong with an array does not show in single ones, and says most where they fail too.
    """
    kept, arrays = examination.totals.failures, examination.of_arrays
    at, ruling = kept[0].at, kept[0].ruling
    points = _points_of(examination, at)
    known = (each for each in examination.failing_points if _at(each.points) == at)
    plain = _told(examination, next(known, FailingPoint(points, examination.seed, ruling)))
    if not plain:
        return kept
    told = {each.reason for each in arrays}
    return [*arrays, *plain, *(e for e in kept if e.at != at and e.reason not in told)]


def _smallest(examination: Examination, failing_point: FailingPoint) -> Points:
    from gradcheck.points.simplification import smallest  # brings Hypothesis, if anything failed

    if not failing_point.drawn or not METHODS[examination.check.witness].by_default:
        return failing_point.points  # where a call is dear, hundreds of them are too many

    session, seed, ruling = examination.session, failing_point.seed, failing_point.ruling
    observation = observed(session, failing_point.points, seed)
    failing = examination.failing(observation, ruling)
    if not failing:  # it may fail only beside other points
        return failing_point.points
    # One call that fails is enough, and each costs as much as all others.
    only = frozenset([failing[0].label])
    calls = _MOST_SHRUNK // max(1, observation.numbers)
    if calls < _FEWEST_CALLS:
        return failing_point.points

    def fails(unmeasured: tuple[str, ...], point: Mapping[str, Array]) -> bool:
        points = {name: np.asarray(values)[None] for name, values in point.items()}
        return examination.fails(points, seed, ruling, only, unmeasured)

    first = {name: values[0] for name, values in failing_point.points.items()}
    where = session.variant.inputs, session.variant.formula, session.dtype
    # To measure what the code loses by rounding itself is most of the work, and is seldom decisive.
    found = smallest(first, partial(fails, ALL_CALLS), *where, most=calls)
    if not fails((), found):
        found = smallest(first, partial(fails, ()), *where, most=calls)
    return {name: values[None] for name, values in found.items()}


_MOST_SHRUNK = 1 << 16
"""Numbers that are judged while an input is made smaller: some seconds."""
_FEWEST_CALLS = 32
"""Fewer make nothing simple of an array; it is told as it is."""


def _at(points: Points) -> dict[str, Any]:
    """A single point as evidence holds it."""
    return {name: values[0].tolist() for name, values in points.items()}


# randomness


def _why_calls_differ(
    check: Check, failing_point: FailingPoint, failing: frozenset[str]
) -> tuple[str, str] | None:
    """Reason and blame, where the value, or what failed, varies between calls."""
    where = failing_point.points, failing_point.seed
    asked: list[tuple[Check, frozenset[str]]] = [
        (replace(check, witness="value"), frozenset()),
        (check, failing),
    ]
    varying = [(one, labels) for one, labels in asked if _varies(session_of(one), labels, *where)]
    if not varying:
        return None
    # Made ready anew, since a state may change in the first calls alone.
    if not all(
        _varies(session_of(one), labels, *where, same_random_numbers=True)
        for one, labels in varying
    ):
        return RANDOM, BLAMED
    # A witness that names its calls says which of them are wrong.
    return None if METHODS[check.witness].usual_call else (STATE, KEEPS_STATE)


def _varies(
    session: Session,
    labels: frozenset[str],
    points: Points,
    seed: int,
    *,
    same_random_numbers: bool = False,
) -> bool:
    """Whether calls differ; where only the first does, it was stale: a guess tells more."""

    def numbers() -> Array:
        with _seeded() if same_random_numbers else nullcontext():
            return _numbers(session, labels, points, seed)

    numbers()
    first = numbers()
    return not all(
        # sums that are added up in another order are no randomness
        len(each) == len(first) and np.allclose(each, first, rtol=CLOSE, equal_nan=True)
        for each in (numbers() for _ in range(_CALLS - 1))
    )


@contextmanager
def _seeded() -> Iterator[None]:
    """The global random generators in one state, and afterwards as they were."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


def _numbers(session: Session, labels: frozenset[str], points: Points, seed: int) -> Array:
    """All numbers that the check's witness says under some labels, one after the other."""
    answers = (answer for answer, _ in ask(session, Asked(points, seed, again=labels)).answers)
    return np.concatenate([np.zeros(0), *(answer.numbers.reshape(-1) for answer in answers)])
