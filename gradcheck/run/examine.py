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
    Effort,
    Evidence,
    Outcome,
    Ruling,
)
from gradcheck.catalog.checks import Check
from gradcheck.catalog.witness_names import FACTS, order_of
from gradcheck.errors import ExpressionError
from gradcheck.points.fixed import fixed_points
from gradcheck.points.shrink import smallest
from gradcheck.reference.truth import DerivationsDiffer
from gradcheck.run.answers import contradictions, promised
from gradcheck.run.blame import blame, failing_entries, guess, statements
from gradcheck.run.excuses import Excuse, Excuses
from gradcheck.run.hearing import NO_PROMISES, Entry, Hearing, Promises, hear
from gradcheck.run.repeat import BLAMED, RANDOM, is_random
from gradcheck.run.scene import Points, Scene, scene_of, single, stable_seed
from gradcheck.run.tally import Tally


@dataclass(frozen=True, slots=True)
class Suspect:
    """A failing point, whether it was drawn (and may be shrunk), and the seed of its calls.

    ``ruling`` is that of its worst entry. ``promises`` are what the case states there, without
    which a declared point may not fail, and ``excuse`` is what known failures excuse there.
    """

    points: Points
    seed: int
    ruling: Ruling
    drawn: bool = True
    promises: Promises = NO_PROMISES
    excuse: Excuse | None = None  # that of drawn points


def examine(check: Check, effort: Effort) -> Outcome:
    """Rule on one check.

    Errors: CatalogError where the case's ``function`` cannot be loaded.
    """
    started = time.perf_counter()
    reason = check.case.without.get(check.witness)
    if reason is not None:
        outcome = Outcome(Ruling.ABSTAIN, reason, 0, 0, 0, 0.0, {})
    else:
        with _warnings_raise_nothing():
            outcome = _Trial(check, effort).run()
    return replace(outcome, seconds=time.perf_counter() - started)


@contextmanager
def _warnings_raise_nothing() -> Iterator[None]:
    """Show what a filter of the caller's would raise: a warning says nothing of a gradient."""
    with warnings.catch_warnings():
        warnings.filters = [
            ("default", *each[1:]) if each[0] == "error" else each for each in warnings.filters
        ]
        yield


class _Trial:
    """One check while it runs: it changes as points are judged."""

    def __init__(self, check: Check, effort: Effort) -> None:
        self.check, self.effort = check, effort
        self.scene: Scene = scene_of(check)
        self.seed = stable_seed(check.case.name, check.variant.name, effort.seed)
        self.tally = Tally(strict=effort.strict_accuracy)
        self.excuses = Excuses(check, self.scene.dtype)
        self.suspects: list[Suspect] = []
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
            if not self.tally.failures:  # what was found before stays found
                self.complaints.append(f"nothing was judged: its derivatives take {error.found}")
        return self.outcome()

    # points

    def fixed(self) -> None:
        """The declared points, one by one: known answers, conventions, known failures."""
        program = self.check.variant.program
        points = fixed_points(self.check.case, self.check.variant, self.scene.dtype)
        for k, fixed in enumerate(points):
            found = contradictions(fixed.point, self.scene.truth)
            if found and not self.complaints:
                self.place = f"{fixed.point.where.path}:{fixed.point.where.line}"
            self.complaints += found
            at = {name: values[None] for name, values in fixed.at.items()}
            promises = promised(fixed.point, program)
            hearing = hear(self.scene, at, self.seed + k, promises=promises)
            excuse = self.excuses.at(fixed)
            failing = self.tally.add(hearing, excuse)
            if failing:
                suspect = Suspect(at, self.seed + k, _worst_ruling(failing), drawn=False)
                self.suspects.append(replace(suspect, promises=promises, excuse=excuse))

    def drawn(self) -> None:
        facts = FACTS[self.check.witness]
        share = facts.share if self.scene.batched else facts.share_alone
        effort = replace(self.effort, points=max(1, round(self.effort.points * share)))
        for points in self.scene.drawn(effort):
            self._look(points)

    def _look(self, points: Points) -> None:
        count = len(next(iter(points.values())))
        hearing = hear(self.scene, points, self.seed, thorough=False)
        excuse = self.excuses.at(None)
        failing = self.tally.add(hearing, excuse)
        if self._leads(failing):
            k = self._brought_home(points, failing)
            suspect = Suspect(single(points, k), self.seed + k, _worst_ruling(failing))
            self.suspects.append(suspect)
        if self.scene.batched and count > 1:  # scalar and vectorised kernels differ
            alone = single(points, count - 1)
            failing = self.tally.add(self._again(alone, self.seed), excuse)
            if self._leads(failing):
                self.suspects.append(Suspect(alone, self.seed, _worst_ruling(failing)))

    def _leads(self, failing: list[Entry]) -> bool:
        """Whether something failed, and worse than at every suspect so far."""
        if not failing:
            return False
        as_bad = {Ruling.DISAGREE, _worst_ruling(failing)}
        return not any(suspect.ruling in as_bad for suspect in self.suspects)

    def _brought_home(self, points: Points, failing: list[Entry]) -> int:
        """The failing point; of what a call on many points raised, the first that raises alone."""
        ruling = _worst_ruling(failing)
        entry = next(each for each in failing if each.judgement.ruling is ruling)
        count = len(next(iter(points.values())))
        if entry.claim is not None or not self.scene.batched:
            return entry.point
        alone = (k for k in range(count) if self._fails(single(points, k), self.seed + k, ruling))
        return next(alone, entry.point)

    # the ruling

    def outcome(self) -> Outcome:
        if self.complaints:
            reason = "; ".join(self.complaints)
            return self._ended(Ruling.DISAGREE, reason, CASE_ITSELF, place=self.place)
        if self.tally.failures:
            return self._convicted()
        stale = self.excuses.complaints()
        if stale:
            return self._ended(Ruling.DISAGREE, "; ".join(stale), KNOWN_FAILURES)
        known = self.excuses.reason()
        if known:
            return self._ended(Ruling.KNOWN, known)
        if self.tally.judged == 0 and self.scene.truth.outputs * self.scene.truth.size > 0:
            return self._unjudged()
        if self.tally.inaccurate:
            return self._ended(Ruling.INACCURATE, self.tally.inaccurate)
        return self._ended(Ruling.AGREE, "")

    def _unjudged(self) -> Outcome:
        if self.tally.incapable:
            return self._ended(Ruling.ABSTAIN, self.tally.incapable)
        reasons = ", ".join(f"{reason} ({n} times)" for reason, n in
                            self.tally.abstentions.most_common(3))  # fmt: skip
        return self._ended(
            Ruling.DISAGREE,
            f"nothing was judged: {reasons or 'no point to judge'}",
            NOTHING_JUDGED,
        )

    def _convicted(self) -> Outcome:
        worst = self.tally.failures[0]
        try:
            suspect = self._chief_suspect()
            if is_random(self.scene, suspect.points, suspect.seed):
                return self._ended(Ruling.DISAGREE, RANDOM, BLAMED)
            found = self._explained(suspect)
        except Exception as error:  # what failed stays found, whatever else is worked out
            text = f"{type(error).__name__}: {error}"
            found = {"blame": f"{worst.reason}; blame could not be worked out: {text}"}
            return self._ended(worst.ruling, worst.reason, **found)
        told = found["failures"][0]
        if self.tally.worst == worst:
            found["worst"] = told
        if not told.true:  # what was not a number looks like nothing
            found["guess"] = ""
        return self._ended(told.ruling, told.reason, **found)

    def _chief_suspect(self) -> Suspect:
        """The first that disagrees; the first of all where every one is only inaccurate."""
        disagreeing = [each for each in self.suspects if each.ruling is Ruling.DISAGREE]
        return (disagreeing or self.suspects)[0]

    def _explained(self, suspect: Suspect) -> dict[str, Any]:
        """The smallest failing input, the worst one with plain derivatives, and the blame."""
        points = self._smallest(suspect)
        seed, promises = suspect.seed, suspect.promises
        places = [points] if points is suspect.points else [points, suspect.points]
        said = [statements(self.scene, place, seed, promises) for place in places]
        blamed = blame(self.check.witness, suspect.ruling, *said)
        heard = [hear(self.scene, place, seed, promises=promises) for place in places]
        failing = [
            entry for each in heard for entry in self._failing(each, suspect.ruling, suspect.excuse)
        ]
        return {
            "blame": blamed.text,
            "smallest": tuple(self._told(replace(suspect, points=points))),
            "failures": tuple(self._failures()),
            "statements": said[blamed.place],
            "stated_at": _at(places[blamed.place]),
            "guess": guess(failing, [entry for _, entry in self.tally.failing]),
        }

    def _told(self, suspect: Suspect) -> list[Evidence]:
        """What fails at one input: the derivatives themselves, where those fail."""

        def failing(hearing: Hearing) -> list[Entry]:
            return self._failing(hearing, suspect.ruling, suspect.excuse)

        where = suspect.points, suspect.seed, suspect.promises
        return failing_entries(self.scene, *where, failing)

    def _failures(self) -> list[Evidence]:
        """The kept failures; those of the worst input are asked again, for plain derivatives."""
        kept = self.tally.failures
        at, ruling = kept[0].at, kept[0].ruling
        points = {name: np.asarray(values, dtype=np.float64)[None] for name, values in at.items()}
        known = (each for each in self.suspects if _at(each.points) == at)
        plain = self._told(next(known, Suspect(points, self.seed, ruling)))
        return [*plain, *(each for each in kept if each.at != at)] if plain else kept

    def _smallest(self, suspect: Suspect) -> Points:
        if not suspect.drawn:
            return suspect.points

        def fails(point: Mapping[str, object]) -> bool:
            points = {name: np.asarray(values)[None] for name, values in point.items()}
            return self._fails(points, suspect.seed, suspect.ruling)

        first = {name: values[0] for name, values in suspect.points.items()}
        if not fails(first):  # it fails only beside other points
            return suspect.points
        program = self.check.variant.program
        found = smallest(first, fails, self.check.case.inputs, program, self.scene.dtype)
        return {name: values[None] for name, values in found.items()}

    def _again(self, points: Points, seed: int) -> Hearing:
        return hear(self.scene, points, seed)

    def _fails(self, points: Points, seed: int, ruling: Ruling) -> bool:
        return bool(self._failing(self._again(points, seed), ruling))

    def _failing(
        self, hearing: Hearing, ruling: Ruling, excuse: Excuse | None = None
    ) -> list[Entry]:
        """The entries that are ruled so, or worse, and not excused."""
        excuse = excuse or self.excuses.at(None)
        fatal = {Ruling.DISAGREE, ruling}
        return [e for e in hearing.entries if e.judgement.ruling in fatal and not excuse(e)]

    def _ended(self, ruling: Ruling, reason: str, blame: str = "", **found: Any) -> Outcome:
        tally = self.tally
        found = {"failures": tuple(tally.failures), "worst": tally.worst, **found}
        return Outcome(
            verdict=ruling,
            reason=reason,
            entries=tally.judged,
            abstained=tally.abstained,
            points=tally.points,
            seconds=0.0,
            counts=dict(tally.counts),
            blame=blame,
            route=self.scene.truth.route(order_of(self.check.witness)),
            **found,
        )


def _worst_ruling(failing: list[Entry]) -> Ruling:
    disagrees = any(entry.judgement.ruling is Ruling.DISAGREE for entry in failing)
    return Ruling.DISAGREE if disagrees else Ruling.INACCURATE


def _at(points: Points) -> dict[str, Any]:
    """A single point as evidence holds it."""
    return {name: values[0].tolist() for name, values in points.items()}
