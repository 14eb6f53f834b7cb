"""What has been judged so far in one check, and how it ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from gradcheck.answer import Abstention, Agreement, EntryReport, Grade, Ruling
from gradcheck.judge.judge import Judgement
from gradcheck.run.known_failures import Excuse
from gradcheck.run.observation import Entry, Finding, Judged, Observation, entry_report

_MOST_FAILURES = 64


@dataclass(slots=True)
class Totals:
    """It grows with every hearing; ``strict`` counts what is inaccurate as a failure."""

    strict: bool
    counts: Counter[str] = field(default_factory=Counter)
    points: int = 0
    routes: dict[str, None] = field(default_factory=dict)
    judged: int = 0
    abstained: int = 0
    worst: EntryReport | None = None
    failing: list[tuple[EntryReport, Entry | Finding]] = field(default_factory=list)
    incapable: str = ""  # why the witness could say nothing, where PyTorch lacks the means
    abstentions: Counter[str] = field(default_factory=Counter)

    def add(self, observation: Observation, excuse: Excuse) -> list[Entry | Finding]:
        """Count a hearing; returns what fails in it, less what is excused."""
        self.points += len(next(iter(observation.points.values())))
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

    def _count(self, judged: Judged, excuse: Excuse) -> list[Entry]:
        """Count the numbers of one answer; returns those that fail."""
        found = judged.judgements
        counts = {ruling: int(found.is_ruled(ruling).sum()) for ruling in Ruling}
        for reason, number in found.abstentions().items():
            self.abstentions[reason] += number
        bad = counts[Ruling.DISAGREE] + counts[Ruling.INACCURATE]
        excused = bad > 0 and excuse(judged.answer.label)
        if excused:
            counts = {**counts, Ruling.DISAGREE: 0, Ruling.INACCURATE: 0, Ruling.KNOWN: bad}
        self.abstained += counts[Ruling.ABSTAIN]
        self.judged += found.ruling.size - counts[Ruling.ABSTAIN]
        told = {ruling.value: number for ruling, number in counts.items()}
        told |= {grade.value: int(found.is_graded(grade).sum()) for grade in Grade}
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
        excused = excuse(finding.label)
        self.counts[Ruling.KNOWN.value if excused else Ruling.DISAGREE.value] += 1
        return [] if excused else [finding]

    @property
    def fatal(self) -> tuple[Ruling, ...]:
        """The rulings that fail a check."""
        return (Ruling.DISAGREE, Ruling.INACCURATE) if self.strict else (Ruling.DISAGREE,)

    @property
    def inaccurate(self) -> str:
        """Why the worst entry is inaccurate; empty where it is not."""
        worst = self.worst
        return worst.reason if worst and worst.ruling is Ruling.INACCURATE else ""

    @property
    def is_ill_conditioned(self) -> bool:
        """Whether nothing but the conditioning of the function speaks for what agrees."""
        ill_conditioned = self.counts[Grade.ILL_CONDITIONED.value]
        return 0 < ill_conditioned == self.judged

    def _keep_worst(self, observation: Observation) -> None:
        worst = observation.worst()
        if worst is None:
            return
        if self.worst is None or _badness(worst.judgement) > _badness(self.worst):
            self.worst = entry_report(observation, worst)

    def _keep(self, observation: Observation, failing: list[Entry | Finding]) -> None:
        found = sorted(failing, key=lambda each: _badness(each.judgement), reverse=True)
        self.failing += [
            (entry_report(observation, entry), entry) for entry in found[:_MOST_FAILURES]
        ]
        self.failing.sort(key=lambda each: _badness(each[0]), reverse=True)
        del self.failing[_MOST_FAILURES:]

    @property
    def failures(self) -> list[EntryReport]:
        """The failing entries that are kept, worst first."""
        return [told for told, _ in self.failing]


def _badness(judged: Judgement | EntryReport) -> tuple[int, float]:
    """What is ruled worse is worse, however small its error."""
    return judged.ruling.severity, judged.ulps
