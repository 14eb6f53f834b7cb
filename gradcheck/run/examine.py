"""Running one check: the case's fixed points first, then drawn ones; then the ruling."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradcheck.answer import (
    CASE_ITSELF,
    KNOWN_FAILURES,
    NOTHING_JUDGED,
    OWN_DEFECT,
    EntryReport,
    Outcome,
    Ruling,
    RunOptions,
)
from gradcheck.catalog.checks import Check
from gradcheck.catalog.witness_names import FACTS, order_of
from gradcheck.errors import ExpressionError
from gradcheck.points.fixed import fixed_points
from gradcheck.points.simplification import smallest
from gradcheck.reference.truth import DerivationsDiffer
from gradcheck.run.diagnosis import attribute, classify_error, cross_check, failing_entries
from gradcheck.run.known_failures import IsExcused, KnownFailureMatcher
from gradcheck.run.observation import NO_PROMISES, Entry, Observation, Promises, observe
from gradcheck.run.repeat import BLAMED, RANDOM, is_random
from gradcheck.run.session import Points, Session, session_of, single, stable_seed
from gradcheck.run.stated_values import contradictions, promised
from gradcheck.run.totals import Totals


@dataclass(frozen=True, slots=True)
class FailingPoint:
    """A failing point, whether it was drawn (and may be shrunk), and the seed of its calls.

    ``ruling`` is that of its worst entry. ``promises`` are what the case states there, without
    which a declared point may not fail, and ``excuse`` is what known failures excuse there.
    """

    points: Points
    seed: int
    ruling: Ruling
    drawn: bool = True
    promises: Promises = NO_PROMISES
    excuse: IsExcused | None = None  # that of drawn points


def examine(check: Check, run_options: RunOptions) -> Outcome:
    """Rule on one check.

    Errors: CatalogError where the case's ``function`` cannot be loaded.
    """
    started = time.perf_counter()
    reason = check.case.without.get(check.witness)
    if reason is not None:
        outcome = Outcome(Ruling.ABSTAIN, reason, 0, 0, 0, 0.0, {})
    else:
        with _warnings_raise_nothing():
            outcome = _Examination(check, run_options).run()
    return replace(outcome, seconds=time.perf_counter() - started)


@contextmanager
def _warnings_raise_nothing() -> Iterator[None]:
    """Show what a filter of the caller's would raise: a warning says nothing of a gradient."""
    with warnings.catch_warnings():
        warnings.filters = [
            ("default", *each[1:]) if each[0] == "error" else each for each in warnings.filters
        ]
        yield


class _Examination:
    """One check while it runs: it changes as points are judged."""

    def __init__(self, check: Check, run_options: RunOptions) -> None:
        self.check, self.run_options = check, run_options
        self.session: Session = session_of(check)
        self.seed = stable_seed(check.case.name, check.variant.name, run_options.seed)
        self.totals = Totals(strict=run_options.strict_accuracy)
        self.known_failures = KnownFailureMatcher(check, self.session.dtype)
        self.failing_points: list[FailingPoint] = []
        self.complaints: list[str] = []
        self.place = ""  # of the first answer that the formula contradicts

    def run(self) -> Outcome:
        try:
            self.fixed()
            if not self.complaints:
                self.drawn()
        except DerivationsDiffer as error:
            self.complaints.append(f"{OWN_DEFECT}: {error}")
        except ExpressionError as error:
            if not self.totals.failures:  # what was found before stays found
                self.complaints.append(f"nothing was judged: its derivatives take {error.found}")
        return self.outcome()

    # points

    def fixed(self) -> None:
        """The declared points, one by one: known answers, conventions, known failures."""
        program = self.check.variant.program
        points = fixed_points(self.check.case, self.check.variant, self.session.dtype)
        for k, fixed in enumerate(points):
            found = contradictions(fixed.point, self.session.truth)
            if found and not self.complaints:
                self.place = f"{fixed.point.where.path}:{fixed.point.where.line}"
            self.complaints += found
            at = {name: values[None] for name, values in fixed.at.items()}
            promises = promised(fixed.point, program)
            observation = observe(self.session, at, self.seed + k, promises=promises)
            excuse = self.known_failures.at(fixed)
            failing = self.totals.add(observation, excuse)
            if failing:
                failing_point = FailingPoint(at, self.seed + k, _worst_ruling(failing), drawn=False)
                self.failing_points.append(replace(failing_point, promises=promises, excuse=excuse))

    def drawn(self) -> None:
        facts = FACTS[self.check.witness]
        share = facts.share if self.session.batched else facts.share_alone
        run_options = replace(
            self.run_options, points=max(1, round(self.run_options.points * share))
        )
        for points in self.session.drawn(run_options):
            self._look(points)

    def _look(self, points: Points) -> None:
        count = len(next(iter(points.values())))
        observation = observe(self.session, points, self.seed, thorough=False)
        excuse = self.known_failures.at(None)
        failing = self.totals.add(observation, excuse)
        if self._leads(failing):
            k = self._brought_home(points, failing)
            failing_point = FailingPoint(single(points, k), self.seed + k, _worst_ruling(failing))
            self.failing_points.append(failing_point)
        if self.session.batched and count > 1:  # scalar and vectorised kernels differ
            alone = single(points, count - 1)
            failing = self.totals.add(self._again(alone, self.seed), excuse)
            if self._leads(failing):
                self.failing_points.append(FailingPoint(alone, self.seed, _worst_ruling(failing)))

    def _leads(self, failing: list[Entry]) -> bool:
        """Whether something failed, and worse than at every suspect so far."""
        if not failing:
            return False
        as_bad = {Ruling.DISAGREE, _worst_ruling(failing)}
        return not any(failing_point.ruling in as_bad for failing_point in self.failing_points)

    def _brought_home(self, points: Points, failing: list[Entry]) -> int:
        """The failing point; of what a call on many points raised, the first that raises alone."""
        ruling = _worst_ruling(failing)
        entry = next(each for each in failing if each.judgement.ruling is ruling)
        count = len(next(iter(points.values())))
        if entry.claim is not None or not self.session.batched:
            return entry.point
        alone = (k for k in range(count) if self._fails(single(points, k), self.seed + k, ruling))
        return next(alone, entry.point)

    # the ruling

    def outcome(self) -> Outcome:
        if self.complaints:
            reason = "; ".join(self.complaints)
            return self._ended(Ruling.DISAGREE, reason, CASE_ITSELF, place=self.place)
        if self.totals.failures:
            return self._convicted()
        stale = self.known_failures.complaints()
        if stale:
            return self._ended(Ruling.DISAGREE, "; ".join(stale), KNOWN_FAILURES)
        known = self.known_failures.reason()
        if known:
            return self._ended(Ruling.KNOWN, known)
        if self.totals.judged == 0 and self.session.truth.outputs * self.session.truth.size > 0:
            return self._unjudged()
        if self.totals.inaccurate:
            return self._ended(Ruling.INACCURATE, self.totals.inaccurate)
        return self._ended(Ruling.AGREE, "")

    def _unjudged(self) -> Outcome:
        if self.totals.incapable:
            return self._ended(Ruling.ABSTAIN, self.totals.incapable)
        reasons = ", ".join(f"{reason} ({n} times)" for reason, n in
                            self.totals.abstentions.most_common(3))  # fmt: skip
        return self._ended(
            Ruling.DISAGREE,
            f"nothing was judged: {reasons or 'no point to judge'}",
            NOTHING_JUDGED,
        )

    def _convicted(self) -> Outcome:
        worst = self.totals.failures[0]
        try:
            failing_point = self._chief_failing_point()
            if is_random(self.session, failing_point.points, failing_point.seed):
                return self._ended(Ruling.DISAGREE, RANDOM, BLAMED)
            found = self._explained(failing_point)
        except Exception as error:  # what failed stays found, whatever else is worked out
            text = f"{type(error).__name__}: {error}"
            found = {"blame": f"{worst.reason}; blame could not be worked out: {text}"}
            return self._ended(worst.ruling, worst.reason, **found)
        told = found["failures"][0]
        if self.totals.worst == worst:
            found["worst"] = told
        if not told.true:  # what was not a number looks like nothing
            found["guess"] = ""
        return self._ended(told.ruling, told.reason, **found)

    def _chief_failing_point(self) -> FailingPoint:
        """The first that disagrees; the first of all where every one is only inaccurate."""
        disagreeing = [each for each in self.failing_points if each.ruling is Ruling.DISAGREE]
        return (disagreeing or self.failing_points)[0]

    def _explained(self, failing_point: FailingPoint) -> dict[str, Any]:
        """The smallest failing input, the worst one with plain derivatives, and the blame."""
        points = self._smallest(failing_point)
        seed, promises = failing_point.seed, failing_point.promises
        places = [points] if points is failing_point.points else [points, failing_point.points]
        said = [cross_check(self.session, place, seed, promises) for place in places]
        blamed = attribute(self.check.witness, failing_point.ruling, *said)
        heard = [observe(self.session, place, seed, promises=promises) for place in places]
        failing = [
            entry
            for each in heard
            for entry in self._failing(each, failing_point.ruling, failing_point.excuse)
        ]
        return {
            "blame": blamed.text,
            "smallest": tuple(self._told(replace(failing_point, points=points))),
            "failures": tuple(self._failures()),
            "statements": said[blamed.place],
            "stated_at": _at(places[blamed.place]),
            "guess": classify_error(failing, [entry for _, entry in self.totals.failing]),
        }

    def _told(self, failing_point: FailingPoint) -> list[EntryReport]:
        """What fails at one input: the derivatives themselves, where those fail."""

        def failing(observation: Observation) -> list[Entry]:
            return self._failing(observation, failing_point.ruling, failing_point.excuse)

        where = failing_point.points, failing_point.seed, failing_point.promises
        return failing_entries(self.session, *where, failing)

    def _failures(self) -> list[EntryReport]:
        """The kept failures; those of the worst input are asked again, for plain derivatives."""
        kept = self.totals.failures
        at, ruling = kept[0].at, kept[0].ruling
        points = {name: np.asarray(values, dtype=np.float64)[None] for name, values in at.items()}
        known = (each for each in self.failing_points if _at(each.points) == at)
        plain = self._told(next(known, FailingPoint(points, self.seed, ruling)))
        return [*plain, *(each for each in kept if each.at != at)] if plain else kept

    def _smallest(self, failing_point: FailingPoint) -> Points:
        if not failing_point.drawn:
            return failing_point.points

        def fails(point: Mapping[str, object]) -> bool:
            points = {name: np.asarray(values)[None] for name, values in point.items()}
            return self._fails(points, failing_point.seed, failing_point.ruling)

        first = {name: values[0] for name, values in failing_point.points.items()}
        if not fails(first):  # it fails only beside other points
            return failing_point.points
        program = self.check.variant.program
        found = smallest(first, fails, self.check.case.inputs, program, self.session.dtype)
        return {name: values[None] for name, values in found.items()}

    def _again(self, points: Points, seed: int) -> Observation:
        return observe(self.session, points, seed)

    def _fails(self, points: Points, seed: int, ruling: Ruling) -> bool:
        return bool(self._failing(self._again(points, seed), ruling))

    def _failing(
        self, observation: Observation, ruling: Ruling, excuse: IsExcused | None = None
    ) -> list[Entry]:
        """The entries that are ruled so, or worse, and not excused."""
        excuse = excuse or self.known_failures.at(None)
        fatal = {Ruling.DISAGREE, ruling}
        return [e for e in observation.entries if e.judgement.ruling in fatal and not excuse(e)]

    def _ended(self, ruling: Ruling, reason: str, blame: str = "", **found: Any) -> Outcome:
        totals = self.totals
        found = {"failures": tuple(totals.failures), "worst": totals.worst, **found}
        return Outcome(
            verdict=ruling,
            reason=reason,
            entries=totals.judged,
            abstained=totals.abstained,
            points=totals.points,
            seconds=0.0,
            counts=dict(totals.counts),
            blame=blame,
            route=self.session.truth.route(order_of(self.check.witness)),
            **found,
        )


def _worst_ruling(failing: list[Entry]) -> Ruling:
    disagrees = any(entry.judgement.ruling is Ruling.DISAGREE for entry in failing)
    return Ruling.DISAGREE if disagrees else Ruling.INACCURATE


def _at(points: Points) -> dict[str, Any]:
    """A single point as evidence holds it."""
    return {name: values[0].tolist() for name, values in points.items()}
