"""The ruling on one check, from its fixed points and then drawn ones. Who is wrong is not asked."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np

from gradcheck.answer import (
    CASE_ITSELF,
    KNOWN_FAILURES,
    NOTHING_JUDGED,
    OWN_DEFECT,
    VARYING,
    VARYING_BY,
    Abstention,
    Agreement,
    EntryReport,
    Floats,
    Grade,
    Guess,
    Outcome,
    Ruling,
    RunOptions,
)
from gradcheck.catalog.checks import Check
from gradcheck.devices import HOST
from gradcheck.dtypes import FLOAT32, FLOAT64
from gradcheck.errors import CatalogError, ExpressionError
from gradcheck.floats import spacing
from gradcheck.judge.judge import Judgement
from gradcheck.methods import METHODS
from gradcheck.points.fixed import FixedPoint, fixed_points
from gradcheck.points.generate import Points, count_of, single
from gradcheck.points.plan import Batch, Site, ordinary_batch
from gradcheck.reference.enclosures import DerivationsDiffer
from gradcheck.run.array_judging import array_findings
from gradcheck.run.entry_text import entry_report
from gradcheck.run.error_curve import error_curve
from gradcheck.run.joint_query import NO_PROMISES, Promises
from gradcheck.run.known_failures import Excuse, KnownFailureMatcher
from gradcheck.run.observation import (
    Asked,
    Entry,
    Finding,
    Judged,
    Observation,
    observe_each,
)
from gradcheck.run.other_shapes import NEAR_SHAPES, checks_of_other_shapes
from gradcheck.run.session import Session, session_of, stable_seed
from gradcheck.run.stated_values import contradictions, promised

ILL_CONDITIONED = (
    "every number is ill-conditioned: rounding of the inputs alone explains any other number too; "
    "give the case points or a domain at which its derivatives are settled by their inputs"
)
DECLARED, OTHER_SHAPES = "declared", "other shapes"
"""What points are called, among the kinds of those that were visited, that the case has, and those
of shapes that it has not."""


@dataclass(frozen=True, slots=True)
class FailingPoint:
    """A failing point, whether it was drawn (and may be shrunk), and the seed of its calls.

    ``ruling`` is that of its worst entry. ``promises`` are what the case states there, without
    which a declared point may not fail, and ``excuse`` is what known failures excuse there. With
    ``array`` no entry fails, but an array, or small ones at several points together.
    """

    points: Points
    seed: int
    ruling: Ruling
    drawn: bool = True
    promises: Promises = NO_PROMISES
    excuse: Excuse | None = None  # that of drawn points
    array: bool = False


def rule(check: Check, run_options: RunOptions) -> Outcome:
    """Rule on one check; where it fails, who is wrong is left open.

    Errors: CatalogError where the case's ``function`` cannot be loaded.
    """
    with calm_warnings(check):
        examination = Examination(check, run_options)
        examination.run()
        return examination.outcome()


@contextmanager
def calm_warnings(check: Check) -> Iterator[None]:
    """Show what a filter of the caller's would raise: a warning says nothing of a gradient.

    What PyTorch says of its own operators is not shown: a catalog asks deprecated ones too.
    """
    with warnings.catch_warnings():
        warnings.filters = [
            ("default", *each[1:]) if each[0] == "error" else each for each in warnings.filters
        ]
        if not check.implementation.is_own_code:
            warnings.simplefilter("ignore", UserWarning)
        yield


_Place = tuple[Asked, Callable[[Observation], None]]
"""What is asked for, and who takes note of what was observed there."""


class Examination:
    """One check while it runs. It changes as points are judged: what is found adds up."""

    def __init__(self, check: Check, run_options: RunOptions) -> None:
        self.check, self.run_options = check, run_options
        self.session: Session = session_of(check)
        self.seed = stable_seed(check.case.name, check.variant.name, run_options.seed)
        self.totals = Totals(strict=run_options.strict_accuracy)
        self.known_failures = KnownFailureMatcher(check, self.session.dtype)
        self.failing_points: list[FailingPoint] = []
        self.heard: list[tuple[Observation, tuple[str, ...]]] = []  # with the kinds of their points
        self.of_arrays: list[EntryReport] = []  # what is wrong with arrays as such
        self.guess_of_array: Guess | None = None  # the first of which there is one
        self.complaints: list[str] = []
        self.place = ""  # of the first answer that the formula contradicts
        self.at_other_shape: Examination | None = None  # that failed there, where none did here

    def run(self) -> None:
        """Judge the declared points and, unless the case contradicts itself, drawn ones."""
        places: list[_Place] = []
        try:
            try:
                places += self.fixed()
                if not self.complaints:
                    places += self.drawn()
            finally:  # where a point is too much for us, those before it are judged
                observations = observe_each(self.session, [asked for asked, _ in places])
                for (_, note), observation in zip(places, observations, strict=True):
                    note(observation)
                if self.check.device != HOST:
                    self._repeat(places, observations)
                self._judge_arrays()
            if METHODS[self.check.witness].reshapes and not (
                self.totals.failing or self.complaints
            ):
                self.ask_at_other_shapes()
        except DerivationsDiffer as error:
            self.complaints.append(f"{OWN_DEFECT}: {error}")
        except ExpressionError as error:
            if not self.totals.failing:  # what was found before stays found
                self.complaints.append(f"nothing was judged: its derivatives take {error.found}")

    def ask_at_other_shapes(self) -> None:
        """Ask at shapes that the case does not declare, until something fails there.

        A backward that is right at no shape near to the case's own is made for that alone.
        """
        several = checks_of_other_shapes(self.check)
        near = [self._looked_at(each) for each in islice(several, NEAR_SHAPES)]
        if any(is_asked and failing is None for is_asked, failing in near):
            looks = chain(near, map(self._looked_at, several))
            self.at_other_shape = next((each for _, each in looks if each is not None), None)

    def _looked_at(self, alternatives: list[list[Check]]) -> tuple[bool, Examination | None]:
        """Whether the code was asked at one other shape, and the examination that failed there."""
        found = next(filter(None, map(self._right_in_value, alternatives)), [])
        self.totals.visited[OTHER_SHAPES] += _ORDINARY if found else 0
        for check in found:
            examination = Examination(check, self.run_options)
            examination.look_at_ordinary_points()
            if examination.is_wrong_there() and self._is_right_here(check.witness):
                return True, examination
        return bool(found), None

    def is_wrong_there(self) -> bool:
        """Whether something fails. Of one entry a deviation is 0, where right code may give NaN."""
        is_one = all(math.prod(each.shape) == 1 for each in self.session.variant.inputs)
        return any(
            not is_one or (isinstance(said, Entry) and math.isfinite(said.got))
            for _, said in self.totals.failing
        )

    def _is_right_here(self, witness: str) -> bool:
        """Whether a witness finds nothing at the case's own shapes, which is for it to tell."""
        examination = Examination(replace(self.check, witness=witness), self.run_options)
        examination.look_at_ordinary_points()
        return not examination.totals.failing

    def _right_in_value(self, checks: list[Check]) -> list[Check]:
        """The checks but that of the value; none where the formula, or the code, is not made so.

        In half precision another function may pass: of code that is right in float64 at the case's
        own shape, the value in float64 is to be right too.
        """
        first, *others = checks
        if not self._finds_nothing(first):
            return []
        wide = replace(first, dtype=FLOAT64.name)
        is_other = (
            self.session.dtype.precision < FLOAT32.precision
            and not self._finds_nothing(wide)
            and self._finds_nothing(replace(wide, variant=self.check.variant))
        )
        return [] if is_other else others

    def _finds_nothing(self, check: Check) -> bool:
        """Whether a few ordinary points are judged, and all of them right."""
        examination = Examination(check, self.run_options)
        examination.look_at_ordinary_points()
        return bool(examination.totals.judged) and not examination.totals.failing

    def look_at_ordinary_points(self) -> None:
        """Judge a few ordinary points, and nothing else."""
        session = self.session
        site = Site(session.variant.inputs, session.variant.formula, session.dtype)
        batch = ordinary_batch(site, self.seed, _ORDINARY)
        asked = Asked(batch.points, self.seed, thorough=False)
        # its derivatives may be too much there, or the code made for the case's shapes
        with suppress(ExpressionError, CatalogError):
            for observation in observe_each(session, [asked] if batch.count else []):
                self._note_drawn(batch, asked, observation)

    def _repeat(self, places: list[_Place], observations: list[Observation]) -> None:
        """Ask an accelerator again where there is most to see: what varies is counted and judged.

        Its kernels may add up in another order at each call.
        """
        most = max(range(len(places)), key=lambda k: places[k][0].entries, default=None)
        if most is None:
            return
        asked, note = places[most]
        first = _numbers(observations[most])
        spread = np.zeros(len(first))
        for _ in range(_REPETITIONS):
            (again,) = observe_each(self.session, [asked])
            numbers = _numbers(again)
            varies = ~((numbers == first) | (np.isnan(numbers) & np.isnan(first)))
            if varies.any():
                note(again)
                ulps = np.abs(numbers - first) / spacing(first, self.session.dtype)
                spread = np.fmax(spread, np.where(varies, np.nan_to_num(ulps, nan=np.inf), 0.0))
        if spread.any():
            self.totals.counts[VARYING] += int(np.count_nonzero(spread))
            self.totals.counts[VARYING_BY] = math.ceil(min(spread.max(), _BEYOND_COUNT))

    # points

    def fixed(self) -> list[_Place]:
        """The declared points, one by one: known answers, conventions, known failures."""
        places: list[_Place] = []
        points = fixed_points(self.check.case, self.check.variant, self.session.dtype)
        for k, fixed in enumerate(points):
            asked = Asked(
                {name: values[None] for name, values in fixed.at.items()},
                self.seed + k,
                promised(fixed.point, self.check.variant),
                unmeasured=self.known_failures.excused_calls(fixed),
            )
            found = contradictions(fixed.point, self.check.variant, self.session.reference)
            if found and not self.complaints:
                self.place = f"{fixed.point.where.path}:{fixed.point.where.line}"
            self.complaints += found
            places.append((asked, partial(self._note_fixed, fixed, asked)))
        return places

    def _note_fixed(self, fixed: FixedPoint, asked: Asked, observation: Observation) -> None:
        excuse = self.known_failures.at(fixed)
        failing = self.totals.add(observation, excuse)
        self.totals.visited[DECLARED] += 1
        self.heard.append((observation, (DECLARED,)))
        if failing:
            failing_point = FailingPoint(
                asked.points,
                asked.seed,
                _worst_ruling(failing),
                drawn=False,
                promises=asked.promises,
                excuse=excuse,
            )
            self.failing_points.append(failing_point)

    @property
    def effort(self) -> RunOptions:
        """The run's options with as many points as the witness takes."""
        method = METHODS[self.check.witness]
        share = method.share if self.session.batched else method.share_alone
        points = self.run_options.points
        if self.known_failures.sought:
            points = max(points, RunOptions().points)
        return replace(self.run_options, points=max(1, round(points * share)))

    def drawn(self) -> list[_Place]:
        """The points that no case declares, in batches."""
        places: list[_Place] = []
        excused = self.known_failures.excused_calls(None)
        for batch in self.session.planned(self.effort):
            asked = Asked(batch.points, self.seed, thorough=False, unmeasured=excused)
            places.append((asked, partial(self._note_drawn, batch, asked)))
            if self.session.batched and batch.count > 1:  # scalar and vectorised kernels differ
                last = batch.taken(np.arange(batch.count) == batch.count - 1)
                asked = Asked(last.points, self.seed, unmeasured=excused)
                places.append((asked, partial(self._note_drawn, last, asked)))
        return places

    def _note_drawn(self, batch: Batch, asked: Asked, observation: Observation) -> None:
        excuse = self.known_failures.at(None, covering=batch.covering)
        failing = self.totals.add(observation, excuse)
        self.totals.visited.update(batch.kinds)
        self.heard.append((observation, batch.kinds))
        if self._leads(failing):
            k = self._brought_home(asked, failing)
            failing_point = FailingPoint(
                single(asked.points, k), asked.seed + k, _worst_ruling(failing)
            )
            self.failing_points.append(failing_point)

    def _judge_arrays(self) -> None:
        """Judge as arrays what was judged entry by entry."""
        for observation, finding in array_findings(self.session, self.heard):
            excuse = self.known_failures.at(None)
            failing = self.totals.add_finding(observation, finding, excuse)
            self.guess_of_array = self.guess_of_array or finding.guess
            self.of_arrays += [entry_report(observation, each) for each in failing]
            if failing and self._leads(failing):
                point = single(observation.points, finding.point)
                self.failing_points.append(
                    FailingPoint(point, self.seed, Ruling.DISAGREE, array=True)
                )

    def _leads(self, failing: list[Entry | Finding]) -> bool:
        """Whether something failed, and worse than at every suspect so far."""
        if not failing:
            return False
        as_bad = {Ruling.DISAGREE, _worst_ruling(failing)}
        return not any(failing_point.ruling in as_bad for failing_point in self.failing_points)

    def _brought_home(self, asked: Asked, failing: list[Entry | Finding]) -> int:
        """The failing point; of what a call on many points raised, the first that raises alone."""
        ruling = _worst_ruling(failing)
        entry = next(each for each in failing if each.ruling is ruling)
        takes_many = self.session.batched or self.session.mapped
        if isinstance(entry, Entry) or not takes_many or asked.count == 1:
            return entry.point
        alone = (
            k
            for k in range(asked.count)
            if self.fails(single(asked.points, k), asked.seed + k, ruling)
        )
        return next(alone, entry.point)

    # the ruling

    @property
    def failed(self) -> Examination | None:
        """The examination in which the code under test fails, and so not the case; None: none."""
        return self if self.totals.failing and not self.complaints else self.at_other_shape

    def outcome(self) -> Outcome:
        """Return the verdict on what was judged so far, without a diagnosis."""
        if self.complaints:
            reason = "; ".join(self.complaints)
            return self.ended(Ruling.DISAGREE, reason, CASE_ITSELF, place=self.place)
        if self.totals.failing:
            worst = entry_report(*self.totals.failing[0])
            return self.ended(worst.ruling, worst.reason)
        if self.at_other_shape:
            return self.at_other_shape.outcome()
        return self._without_failure()

    def _without_failure(self) -> Outcome:
        stale = self.known_failures.complaints()
        if stale:
            return self.ended(Ruling.DISAGREE, "; ".join(stale), KNOWN_FAILURES)
        known = self.known_failures.reason()
        if known:
            return self.ended(Ruling.KNOWN, known)
        reference = self.session.reference
        if self.totals.judged == 0 and reference.outputs * reference.size > 0:
            return self._unjudged()
        if self.totals.inaccurate:
            return self.ended(Ruling.INACCURATE, self.totals.inaccurate)
        if self.totals.is_ill_conditioned:
            return self.ended(Ruling.ABSTAIN, ILL_CONDITIONED)
        return self.ended(Ruling.AGREE, "")

    def _unjudged(self) -> Outcome:
        if self.totals.incapable:
            return self._incapable()
        reasons = ", ".join(f"{reason} ({n} times)" for reason, n in
                            self.totals.abstentions.most_common(3))  # fmt: skip
        return self.ended(
            Ruling.DISAGREE,
            f"nothing was judged: {reasons or 'no point to judge'}",
            NOTHING_JUDGED,
        )

    def _incapable(self) -> Outcome:
        """The witness lacks the means, which is an abstention unless the case requires them."""
        witness, reason = self.check.witness, self.totals.incapable
        if witness not in self.check.case.requires:
            return self.ended(Ruling.ABSTAIN, reason)
        missing = f"{METHODS[witness].subject} is missing, which the case requires: {reason}"
        return self.ended(Ruling.DISAGREE, missing)

    def fails(
        self,
        points: Points,
        seed: int,
        ruling: Ruling,
        only: frozenset[str] = frozenset(),
        unmeasured: tuple[str, ...] = (),
    ) -> bool:
        """Return whether something is ruled so, or worse, at these points.

        ``only`` are the labels of the calls that are asked; all, where there are none.
        ``unmeasured`` as in ``Asked``.
        """
        asked = Asked(points, seed, unmeasured=unmeasured, again=only)
        (found,) = observe_each(self.session, [asked])
        return bool(self.failing(found, ruling))

    def failing(
        self, observation: Observation, ruling: Ruling, excuse: Excuse | None = None
    ) -> list[Entry | Finding]:
        """The entries that are ruled so, or worse, and not excused."""
        excuse = excuse or self.known_failures.at(None)
        failing = observation.failing(ruling)
        return [each for each in failing if not excuse(each.label, each.point, each.because)]

    def ended(self, ruling: Ruling, reason: str, blame: str = "", **found: Any) -> Outcome:
        """Return an outcome with all that was counted; ``found`` are further fields of it."""
        totals = self.totals
        found = {"failures": tuple(totals.failures), "worst": totals.worst, **found}
        over, errors = error_curve(self.session, [observation for observation, _ in self.heard])
        return Outcome(
            verdict=ruling,
            reason=reason,
            entries=totals.judged,
            abstained=totals.abstained,
            points=totals.points,
            seconds=0.0,
            counts=dict(totals.counts),
            visited=dict(totals.visited.most_common()),
            blame=blame,
            route=_route(totals.routes),
            errors=errors,
            errors_over=over,
            **found,
        )


_REPETITIONS = 3
_ORDINARY = 2  # points at each other shape
_BEYOND_COUNT = 2.0**53  # ulps; also of a number that is one at some calls alone


def _numbers(observation: Observation) -> Floats:
    """All real numbers that were judged, one after the other."""
    parts = (judged.got.reshape(-1) for judged in observation.judged)
    return np.concatenate([np.zeros(0), *parts])


def _worst_ruling(failing: list[Entry | Finding]) -> Ruling:
    disagrees = any(entry.ruling is Ruling.DISAGREE for entry in failing)
    return Ruling.DISAGREE if disagrees else Ruling.INACCURATE


def _route(routes: Mapping[str, None]) -> str:
    """The derivations by which all truths were certified that were asked for."""
    parts = {part for route in routes for part in route.split(", ")} - {"value", ""}
    return ", ".join(sorted(parts))


def _first_bad(judged: Judged) -> int:
    """The number of the first point at which something is not ruled to agree."""
    found = judged.judgements
    bad = found.is_ruled(Ruling.DISAGREE) | found.is_ruled(Ruling.INACCURATE)
    return int(judged.points[bad.any(axis=1)].min())


_MOST_FAILURES = 64
POINTS_JUDGED = "points judged"
"""Of the counts the one that is not of entries: at how many of the points anything was judged."""


@dataclass(slots=True)
class Totals:
    """It grows with every hearing; ``strict`` counts what is inaccurate as a failure."""

    strict: bool
    counts: Counter[str] = field(default_factory=Counter)
    visited: Counter[str] = field(default_factory=Counter)  # points by kind
    points: int = 0
    routes: dict[str, None] = field(default_factory=dict)
    judged: int = 0
    abstained: int = 0
    leading: tuple[Observation, Entry | Finding] | None = None  # what is ruled worst so far
    failing: list[tuple[Observation, Entry | Finding]] = field(default_factory=list)
    incapable: str = ""  # why the witness could say nothing, where PyTorch lacks the means
    abstentions: Counter[str] = field(default_factory=Counter)
    told: list[EntryReport] | None = None  # of what fails, once somebody has asked

    def add(self, observation: Observation, excuse: Excuse) -> list[Entry | Finding]:
        """Count a hearing; returns what fails in it, less what is excused."""
        self.points += count_of(observation.points)
        self.counts[POINTS_JUDGED] += observation.points_judged()
        self.routes |= observation.routes
        for remark in observation.remarks:
            if isinstance(remark, Agreement):
                self.judged += remark.entries
                self.counts[Ruling.AGREE.value] += remark.entries
        failing: list[Entry | Finding] = []
        for finding in observation.findings:
            failing += self._count_finding(finding, excuse)
        for judged in observation.judged:
            failing += self._count(judged, excuse)
        self._keep_worst(observation)
        self._keep(observation, failing)
        return failing

    def add_finding(
        self, observation: Observation, finding: Finding, excuse: Excuse
    ) -> list[Entry | Finding]:
        """Count what was found out later about an observation; returns it if it fails."""
        failing: list[Entry | Finding] = [*self._count_finding(finding, excuse)]
        if failing:
            self.leading = observation, finding
        self._keep(observation, failing)
        return failing

    def _count(self, judged: Judged, excuse: Excuse) -> list[Entry]:
        """Count the numbers of one answer; returns those that fail."""
        found = judged.judgements
        counts = found.counts()
        if counts[Ruling.ABSTAIN]:
            self.abstentions.update(found.abstentions())
        bad = counts[Ruling.DISAGREE] + counts[Ruling.INACCURATE]
        answer = judged.answer
        excused = bad > 0 and excuse(answer.label, _first_bad(judged), answer.because)
        if excused:
            counts = {**counts, Ruling.DISAGREE: 0, Ruling.INACCURATE: 0, Ruling.KNOWN: bad}
        self.abstained += counts[Ruling.ABSTAIN]
        self.judged += found.ruling.size - counts[Ruling.ABSTAIN]
        told = {ruling.value: number for ruling, number in counts.items()}
        told |= {grade.value: number for grade, number in found.grade_counts().items()}
        self.counts.update({name: number for name, number in told.items() if number})
        if excused:
            return []
        fatal = [ruling for ruling in self.fatal if counts[ruling]]
        return [
            entry
            for ruling in fatal
            for entry in judged.entries(found.is_ruled(ruling), _MOST_FAILURES)
        ]

    def _count_finding(self, finding: Finding, excuse: Excuse) -> list[Finding]:
        remark = finding.remark
        if isinstance(remark, Abstention):
            self.abstained += 1
            self.abstentions[remark.reason] += 1
            self.counts[Ruling.ABSTAIN.value] += 1
            if remark.incapable:
                self.incapable = self.incapable or remark.reason
            return []
        self.judged += 1
        excused = excuse(finding.label, finding.point, finding.because)
        self.counts[Ruling.KNOWN.value if excused else Ruling.DISAGREE.value] += 1
        return [] if excused else [finding]

    @property
    def fatal(self) -> tuple[Ruling, ...]:
        """The rulings that fail a check."""
        return (Ruling.DISAGREE, Ruling.INACCURATE) if self.strict else (Ruling.DISAGREE,)

    @property
    def inaccurate(self) -> str:
        """Why the worst entry is inaccurate; empty where it is not."""
        if self.leading is None or self.leading[1].ruling is not Ruling.INACCURATE:
            return ""
        return entry_report(*self.leading).reason

    @property
    def worst(self) -> EntryReport | None:
        """The judged entry that is ruled worst."""
        return entry_report(*self.leading) if self.leading else None

    @property
    def is_ill_conditioned(self) -> bool:
        """Whether nothing but the conditioning of the function speaks for what agrees."""
        ill_conditioned = self.counts[Grade.ILL_CONDITIONED.value]
        return 0 < ill_conditioned == self.judged

    def _keep_worst(self, observation: Observation) -> None:
        worst = observation.worst()
        if worst is None:
            return
        known = self.leading
        if known is None or _badness(worst.judgement) > _badness(known[1].judgement):
            self.leading = observation, worst

    def _keep(self, observation: Observation, failing: list[Entry | Finding]) -> None:
        self.failing += [(observation, entry) for entry in failing]
        self.failing.sort(key=lambda each: _badness(each[1].judgement), reverse=True)
        del self.failing[_MOST_FAILURES:]
        self.told = None

    @property
    def failures(self) -> list[EntryReport]:
        """The failing entries that are kept, worst first."""
        if self.told is None:  # each may ask for all derivatives at its point
            self.told = [entry_report(*each) for each in self.failing]
        return self.told


def _badness(judged: Judgement) -> tuple[int, float]:
    """What is ruled worse is worse, however small its error."""
    return judged.ruling.severity, judged.ulps
