"""How pytest tells of failed checks: each cause once, and in the short summary the reason first.

Of the reports only those of checks and catalogs are touched, and only in the process that prints.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gradcheck.dtypes import DTYPES
from gradcheck.methods import WITNESSES
from gradcheck.plugin.faults import HEADLINE
from gradcheck.plugin.ledger import PROPERTY
from gradcheck.report.causes import Cause, Failure, by_cause, record_headline
from gradcheck.report.records import Record, decoded

_NUMBER = re.compile(r"(\d+)")
_WIDTH = 20  # digits: longer than any number in an id
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
        record = _record(report)
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
    record = _record(report)
    return dict(report.user_properties).get(HEADLINE) if record is None else record_headline(record)  # type: ignore[return-value]


def _record(report: Any) -> Record | None:
    """What a check's report carries; None for a report of anybody else's."""
    found = dict(getattr(report, "user_properties", ())).get(PROPERTY)
    return decoded(str(found)) if found is not None and report.when == "call" else None


def in_catalog_order(failures: Iterable[Failure]) -> list[Failure]:
    """Return the failures as the catalog has them, for workers report in any order."""
    return sorted(failures, key=_place)


def _place(failure: Failure) -> tuple[Any, ...]:
    """Numbers in an id are compared as numbers: those of implementations, and of variants."""
    record = failure.record
    before, _, _ = record.id.rpartition(f"{record.witness}-{record.device}-")
    parts = [part.zfill(_WIDTH) if part.isdecimal() else part for part in _NUMBER.split(before)]
    dtypes = list(DTYPES)
    return (
        record.file,
        record.line,
        parts,
        WITNESSES.index(record.witness),
        record.device,
        dtypes.index(record.dtype),
    )
