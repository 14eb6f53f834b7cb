"""What a run of pytest finds: each record as it comes, and each cause of failure once.

Of pytest's reports only those of checks and catalogs are touched, and only in the process that
prints.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO

import pytest

from gradcheck.answer import VARYING, VARYING_BY, Grade, RunOptions
from gradcheck.errors import UsageError
from gradcheck.report import records
from gradcheck.report.causes import Cause, Failure, by_cause, in_catalog_order, record_headline
from gradcheck.report.records import Record, decoded, version

PROPERTY = "gradcheck"
"""The user property by which a record travels from a worker, as JSON."""

_MOMENTS = ("call", "???")  # the second is pytest-xdist's, where a worker has died

_SLOW = 1.0  # seconds: less is nothing to tell
_SLOWEST = 5

HEADLINE = "gradcheck fault"
"""The user property that says what is wrong with a catalog, in one line and without its place."""


class Ledger:
    """A pytest plugin of the controller alone. It has state, as reports come one by one."""

    def __init__(
        self, folder: Path | None, shard: tuple[int, int] | None, earlier: Sequence[Record] = ()
    ) -> None:
        """Begin with what ``earlier`` runs have found: it counts, and is not written again."""
        self.folder, self.shard, self.earlier = folder, shard, earlier
        self.verdicts: Counter[str] = Counter()
        self.entries = 0
        self.abstained = 0
        self.ill_conditioned = 0
        self.varying: Counter[str] = Counter()  # numbers that vary from call to call, by device
        self.varying_by: Counter[str] = Counter()  # ulps at most
        self.worst: dict[str, Record] = {}  # of each case that did not fail
        self.disagreements: list[Record] = []
        self.untested: Counter[str] = Counter()
        self.slowest: list[Record] = []  # worst first
        self._file: TextIO | None = None
        for record in earlier:
            self._count(record)

    def open(self) -> None:
        """Begin the run's own file. Errors: UsageError if it cannot be written."""
        if self.folder is None:
            return
        try:
            self._file = records.begin(self.folder, self.shard)
        except OSError as error:
            raise UsageError(
                f"the report folder {self.folder}: {error.strerror}",
                "a folder that can be written",
                "name another folder",
            ) from None

    @property
    def path(self) -> str:
        """The file of the results; empty where none is written."""
        return self._file.name if self._file is not None else ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        record = record_of(report)
        if record is not None:
            self._write(record)
            self._count(record)

    def pytest_unconfigure(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # a line that could not be written has been said to be lost
                self._file.close()

    def _count(self, record: Record) -> None:
        self.verdicts[record.verdict] += 1
        self.entries += record.entries
        self.abstained += record.abstained
        self.ill_conditioned += record.counts.get(Grade.ILL_CONDITIONED.value, 0)
        if record.counts.get(VARYING):
            self.varying[record.device] += record.counts[VARYING]
            most = max(self.varying_by[record.device], record.counts[VARYING_BY])
            self.varying_by[record.device] = most
        if record.verdict == "disagree":
            self.disagreements.append(record)
        if record.verdict == "abstain":
            reason = record.reason.partition("\n")[0]  # the rest says how to mend a case
            self.untested[f"{record.witness}: {reason}"] += 1
        if record.verdict in {"agree", "inaccurate"} and record.ulps is not None:
            case = f"{record.file}::{record.case}"
            if case not in self.worst or record.ulps > (self.worst[case].ulps or 0.0):
                self.worst[case] = record

        if record.seconds > _SLOW:
            ranked = sorted([*self.slowest, record], key=lambda each: -each.seconds)
            self.slowest = ranked[:_SLOWEST]

    def _write(self, record: Record) -> None:
        if self._file is None:
            return
        try:
            records.write(record, self._file)
        except OSError as error:  # a full disk: better no verdict than one that is not kept
            pytest.exit(f"{self.path} cannot be written: {error.strerror}", returncode=3)


def earlier(results: Path, run_options: RunOptions) -> list[Record]:
    """Return the last record of each check that such a run would ask for again.

    Another seed draws other points, and other code is another check.

    Errors: UsageError for what are no results.
    """
    sought = run_options.seed, version("torch"), version("gradcheck")
    found = {
        record.id: record
        for record in records.read(results)
        if (record.seed, record.torch, record.gradcheck) == sought
    }
    return list(found.values())


_FAILED = "failed"  # how the terminal reporter calls them in its ``stats``


@dataclass(frozen=True, slots=True)
class _Crash:
    """What pytest prints of a failure in one line: ``message`` alone, or all of it."""

    path: str
    lineno: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.lineno}: {self.message}"


@dataclass(frozen=True, slots=True)
class Told:
    """A report's ``longrepr``: a text, and the line that stands for it."""

    text: str
    reprcrash: _Crash

    def toterminal(self, out: Any) -> None:
        for line in self.text.splitlines():
            out.line(line)

    def __str__(self) -> str:
        return self.text


class FailureReports:
    """A pytest plugin of the controller alone. It keeps what the terminal would print."""

    def __init__(self) -> None:
        self._all: list[Any] | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Give a failure's text its headline; before anyone prints or stores the report."""
        headline = _headline(report)
        if headline is not None and report.failed and isinstance(report.longrepr, str):
            file, line, _ = report.location
            crash = _Crash(file, (line or 0) + 1, headline)
            report.longrepr = Told(report.longrepr, crash)  # type: ignore[assignment]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None, None, None]:
        """Let the reporter, which this wraps, print each cause once under FAILURES."""
        reports = terminalreporter.stats.get(_FAILED)
        if not reports:
            return (yield)
        self._all = list(reports)
        short = terminalreporter.config.option.tbstyle == "line"
        reports[:] = _once(reports, short=short)
        try:
            return (yield)
        finally:
            self._put_back(terminalreporter)

    @pytest.hookimpl(specname="pytest_terminal_summary", tryfirst=True)
    def pytest_all_failures_again(self, terminalreporter: Any) -> None:
        """Give the reporter all reports again, for it calls this before its short summary."""
        self._put_back(terminalreporter)

    def _put_back(self, terminalreporter: Any) -> None:
        if self._all is not None:
            terminalreporter.stats[_FAILED][:] = self._all
            self._all = None


def _once(reports: list[Any], *, short: bool) -> Iterator[Any]:
    """Other people's reports as they are, then a report for each cause, in the catalog's order."""
    checks = {}
    for report in reports:
        record = record_of(report)
        if record is not None and isinstance(report.longrepr, Told):
            checks[record.id] = report, Failure(record, report.longrepr.text)
        else:
            yield report
    failures = in_catalog_order(failure for _, failure in checks.values())
    for cause in by_cause(failures):
        report, _ = checks[cause.telling.record.id]
        told = copy.copy(report)
        told.longrepr = _in_short(report.longrepr, cause) if short else replace(
            report.longrepr, text=cause.text
        )  # fmt: skip
        yield told


def _in_short(longrepr: Told, cause: Cause) -> Told:
    """One line for a cause, as ``--tb=line`` wants it: pytest prints the crash below no text."""
    crash, count = longrepr.reprcrash, len(cause.others) + 1
    message = f"{crash.message} (in {count} checks)" if cause.others else crash.message
    return Told("", replace(crash, message=message))


def _headline(report: pytest.TestReport) -> str | None:
    """What the failure of a check, or of a catalog, is in one line; None for anybody else's."""
    record = record_of(report)
    return dict(report.user_properties).get(HEADLINE) if record is None else record_headline(record)  # type: ignore[return-value]


def record_of(report: Any) -> Record | None:
    """What a check's report carries; None for a report of anybody else's."""
    found = dict(getattr(report, "user_properties", ())).get(PROPERTY)
    return record_told(str(found)) if found is not None and report.when in _MOMENTS else None


@lru_cache(maxsize=1)
def record_told(text: str) -> Record:
    """Return the record that travelled as JSON; several plugins look at one report in turn."""
    return decoded(text)
