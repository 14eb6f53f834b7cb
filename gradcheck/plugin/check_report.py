"""How a check ended, as texts that travel between processes and machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradcheck.answer import Outcome, Ruling, RunOptions
from gradcheck.plugin.isolation import Ended, unjudged
from gradcheck.report import records
from gradcheck.report.failure_text import block, facts_of

if TYPE_CHECKING:
    from gradcheck.catalog.checks import Check

WORKER_DIED = "the worker that had it examined died"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a report is made of: the record as JSON, and the text of a check that fails."""

    verdict: str
    reason: str
    record: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Teller:
    """What is told of a check beside its outcome.

    ``file`` is the catalog file as the check's id names it, ``command`` what runs the check alone.
    """

    file: str
    command: str
    run_options: RunOptions
    runxfail: bool = False

    def report(self, check: Check, ended: Ended) -> CheckReport:
        outcome = ended.outcome
        text = ended.told or self._block(check, outcome)
        facts = records.run_facts(self.file, self.run_options, ended.device_name)
        record = records.encoded(records.record(check, outcome, facts, text))
        return CheckReport(outcome.verdict.value, outcome.reason, record, text)

    def _block(self, check: Check, outcome: Outcome) -> str:
        """The text of a failure; empty where the check passes in this run."""
        unexpected = outcome.verdict is Ruling.KNOWN and self.runxfail
        if not unexpected and not self.run_options.fails(outcome.verdict):
            return ""
        where = check.case.where
        return block(facts_of(check, f"{where.path}:{where.line}", self.command), outcome)

    def lost(self, check: Check) -> CheckReport:
        """Return the report of a check whose worker died."""
        outcome = unjudged(Ruling.DISAGREE, WORKER_DIED, WORKER_DIED)
        return self.report(check, Ended(outcome, told=WORKER_DIED))
