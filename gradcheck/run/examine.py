"""Running one check: the case's fixed points first, then drawn ones; then the ruling."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from gradcheck.answer import Effort, Evidence, Outcome, Ruling
from gradcheck.catalog.checks import Check
from gradcheck.catalog.witness_names import order_of
from gradcheck.errors import ExpressionError
from gradcheck.formula.truth import DerivationsDiffer, too_many
from gradcheck.inputs.fixed import fixed_points
from gradcheck.inputs.shrink import smallest
from gradcheck.run.answers import contradictions, promised
from gradcheck.run.blame import blame, guess, statements
from gradcheck.run.excuses import Excuses
from gradcheck.run.hearing import Entry, Hearing, Promises, evidence, hear
from gradcheck.run.scene import Points, Scene, scene_of, single, stable_seed
from gradcheck.run.tally import Tally

SHARES = {
    "value": (1, 3 / 8),
    "reverse": (1, 3 / 8),
    "forward": (1, 3 / 16),
    "second": (1 / 2, 1 / 16),
    "gradcheck": (1 / 16, 1 / 16),
}
"""Of the drawn points, by what a witness costs: where one call takes many points, and elsewhere."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A failing point, whether it was drawn (and may be shrunk), and the seed of its calls.

    ``promises`` are the conventions there, without which a declared point may not fail.
    """

    points: Points
    seed: int
    drawn: bool
    promises: Promises = field(default_factory=dict)


def examine(check: Check, effort: Effort) -> Outcome:
    """Rule on one check.

    Errors: CatalogError where the case's ``function`` cannot be loaded.
    """
    started = time.perf_counter()
    reason = check.case.without.get(check.witness)
    excess = too_many(check.variant.program, order_of(check.witness))
    if reason is not None:
        outcome = Outcome(Ruling.ABSTAIN, reason, 0, 0, 0, 0.0, {})
    elif excess:
        refused = f"nothing was judged: {excess} in this version; make the shapes smaller"
        outcome = Outcome(Ruling.DISAGREE, refused, 0, 0, 0, 0.0, {}, blame="nothing judged")
    else:
        outcome = _Trial(check, effort).run()
    return replace(outcome, seconds=time.perf_counter() - started)


class _Trial:
    """One check while it runs: it changes as points are judged."""

    def __init__(self, check: Check, effort: Effort) -> None:
        self.check, self.effort = check, effort
        self.scene: Scene = scene_of(check)
        self.seed = stable_seed(check.case.name, check.variant.name, effort.seed)
        self.tally = Tally(strict=effort.strict_accuracy)
        self.excuses = Excuses(check, self.scene.dtype)
        self.suspect: Suspect | None = None
        self.complaints: list[str] = []

    def run(self) -> Outcome:
        try:
            self.fixed()
            if not self.complaints:
                self.drawn()
        except DerivationsDiffer as error:
            self.complaints.append(f"a defect of gradcheck, not of PyTorch: {error}")
        except ExpressionError as error:
            self.complaints.append(f"nothing was judged: its derivatives take {error.found}")
        return self.outcome()

    # points

    def fixed(self) -> None:
        """The declared points, one by one: known answers, conventions, known failures."""
        program = self.check.variant.program
        points = fixed_points(self.check.case, self.check.variant, self.scene.dtype)
        for k, fixed in enumerate(points):
            self.complaints += contradictions(fixed.point, self.scene.truth)
            at = {name: values[None] for name, values in fixed.at.items()}
            promises = promised(fixed.point, program)
            hearing = hear(self.scene, at, self.seed + k, promises=promises)
            if self.tally.add(hearing, self.excuses.at(fixed)):
                self._suspect(Suspect(at, self.seed + k, drawn=False, promises=promises))

    def drawn(self) -> None:
        share = SHARES[self.check.witness][0 if self.scene.batched else 1]
        effort = replace(self.effort, points=max(1, round(self.effort.points * share)))
        for points in self.scene.drawn(effort):
            self._look(points)

    def _look(self, points: Points) -> None:
        count = len(next(iter(points.values())))
        hearing = hear(self.scene, points, self.seed, thorough=False)
        excuse = self.excuses.at(None)
        failing = self.tally.add(hearing, excuse)
        if failing and self.suspect is None:
            k = self._brought_home(points, failing[0])
            self._suspect(Suspect(single(points, k), self.seed + k, drawn=True))
        if self.scene.batched and count > 1:  # scalar and vectorised kernels differ
            alone = single(points, count - 1)
            if self.tally.add(self._again(alone, self.seed), excuse):
                self._suspect(Suspect(alone, self.seed, drawn=True))

    def _brought_home(self, points: Points, entry: Entry) -> int:
        """The failing point; of what a call on many points raised, the first that raises alone."""
        count = len(next(iter(points.values())))
        if entry.claim is not None or not self.scene.batched:
            return entry.point
        alone = (k for k in range(count) if self._fails(single(points, k), self.seed + k))
        return next(alone, entry.point)

    def _suspect(self, suspect: Suspect) -> None:
        self.suspect = self.suspect or suspect

    # the ruling

    def outcome(self) -> Outcome:
        if self.complaints:
            return self._ended(Ruling.DISAGREE, "; ".join(self.complaints), "the case itself")
        if self.tally.failures:
            return self._convicted()
        stale = self.excuses.complaints()
        if stale:
            return self._ended(Ruling.DISAGREE, "; ".join(stale), "known_failures.yaml")
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
            "nothing judged",
        )

    def _convicted(self) -> Outcome:
        assert self.suspect is not None
        points, seed = self._smallest(self.suspect), self.suspect.seed
        promises = self.suspect.promises
        hearing = hear(self.scene, points, seed, promises=promises)
        first = hear(self.scene, self.suspect.points, seed, promises=promises)
        failing, before = self._failing(hearing), self._failing(first)
        places = [points] if points is self.suspect.points else [points, self.suspect.points]
        said = [statements(self.scene, place, seed, promises) for place in places]
        ordered = sorted(failing, key=lambda entry: entry.judgement.ulps, reverse=True)
        worst = self.tally.failures[0]
        return self._ended(
            worst.ruling,
            worst.reason,
            blame(self.check.witness, *said),
            smallest=tuple(evidence(hearing, entry) for entry in ordered),
            statements=said[0],
            guess=guess([*failing, *before]),
        )

    def _smallest(self, suspect: Suspect) -> Points:
        if not suspect.drawn:
            return suspect.points

        def fails(point: Mapping[str, object]) -> bool:
            points = {name: np.asarray(values)[None] for name, values in point.items()}
            return self._fails(points, suspect.seed)

        first = {name: values[0] for name, values in suspect.points.items()}
        if not fails(first):  # it fails only beside other points
            return suspect.points
        program = self.check.variant.program
        found = smallest(first, fails, self.check.case.inputs, program, self.scene.dtype)
        return {name: values[None] for name, values in found.items()}

    def _again(self, points: Points, seed: int) -> Hearing:
        return hear(self.scene, points, seed)

    def _fails(self, points: Points, seed: int) -> bool:
        return bool(self._failing(self._again(points, seed)))

    def _failing(self, hearing: Hearing) -> list[Entry]:
        excuse = self.excuses.at(None)
        fatal = {Ruling.DISAGREE} | ({Ruling.INACCURATE} if self.effort.strict_accuracy else set())
        return [e for e in hearing.entries if e.judgement.ruling in fatal and not excuse(e)]

    def _ended(self, ruling: Ruling, reason: str, blamed: str = "", **found: object) -> Outcome:
        tally = self.tally
        failures: tuple[Evidence, ...] = tuple(tally.failures)
        return Outcome(
            ruling=ruling,
            reason=reason,
            entries=tally.judged,
            abstained=tally.abstained,
            points=tally.points,
            seconds=0.0,
            counts=dict(tally.counts),
            worst=tally.worst,
            failures=failures,
            blame=blamed,
            route=self.scene.truth.route(order_of(self.check.witness)),
            **found,  # type: ignore[arg-type]
        )
