"""What has been judged so far in one check, and how it ends."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from gradcheck.answer import EntryReport, Ruling
from gradcheck.judge.judge import Judgement
from gradcheck.run.known_failures import IsExcused
from gradcheck.run.observation import Entry, Observation, entry_report

_MOST_FAILURES = 64


@dataclass(slots=True)
class Totals:
    """It grows with every hearing; ``strict`` counts what is inaccurate as a failure."""

    strict: bool
    counts: Counter[str] = field(default_factory=Counter)
    points: int = 0
    judged: int = 0
    abstained: int = 0
    worst: EntryReport | None = None
    failing: list[tuple[EntryReport, Entry]] = field(default_factory=list)
    incapable: str = ""  # why the witness could say nothing, where PyTorch lacks the means
    abstentions: Counter[str] = field(default_factory=Counter)

    def add(self, observation: Observation, excuse: IsExcused) -> list[Entry]:
        """Count a hearing; returns its failing entries, less those that are excused."""
        self.points += len(next(iter(observation.points.values())))
        for finding in observation.findings:
            if finding.ruling is Ruling.AGREE:
                self.judged += finding.entries
                self.counts[Ruling.AGREE.value] += finding.entries
        failing = [entry for entry in observation.entries if self._count(entry, excuse)]
        self._keep_worst(observation)
        self._keep(observation, failing)
        return failing

    def _count(self, entry: Entry, excuse: IsExcused) -> bool:
        ruling, judgement = entry.judgement.ruling, entry.judgement
        if ruling is Ruling.ABSTAIN:
            self.abstained += 1
            self.abstentions[judgement.reason] += 1
            self.counts[ruling.value] += 1
            if entry.finding is not None and entry.finding.incapable:
                self.incapable = self.incapable or judgement.reason
            return False
        self.judged += 1
        if excuse(entry):
            self.counts[Ruling.KNOWN.value] += 1
            return False
        self.counts[ruling.value] += 1
        if judgement.grade is not None:
            self.counts[judgement.grade.value] += 1
        return ruling is Ruling.DISAGREE or (self.strict and ruling is Ruling.INACCURATE)

    @property
    def inaccurate(self) -> str:
        """Why the worst entry is inaccurate; empty where it is not."""
        worst = self.worst
        return worst.reason if worst and worst.ruling is Ruling.INACCURATE else ""

    def _keep_worst(self, observation: Observation) -> None:
        judged = [entry for entry in observation.entries if not math.isnan(entry.judgement.ulps)]
        if judged:
            worst = max(judged, key=lambda entry: _badness(entry.judgement))
            if self.worst is None or _badness(worst.judgement) > _badness(self.worst):
                self.worst = entry_report(observation, worst)

    def _keep(self, observation: Observation, failing: list[Entry]) -> None:
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
