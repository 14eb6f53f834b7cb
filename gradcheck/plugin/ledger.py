"""What the controller keeps of a run: each record is written as it comes, and then added up."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import pytest

from gradcheck.errors import UsageError
from gradcheck.report import records
from gradcheck.report.records import Record

PROPERTY = "gradcheck"
"""The user property by which a record travels from a worker, as JSON."""


class Ledger:
    """A pytest plugin of the controller alone. It has state, as reports come one by one."""

    def __init__(self, folder: Path | None, shard: tuple[int, int] | None) -> None:
        self.folder, self.shard = folder, shard
        self.verdicts: Counter[str] = Counter()
        self.entries = 0
        self.abstained = 0
        self.worst: dict[str, Record] = {}  # of each case that did not fail
        self.disagreements: list[Record] = []
        self.untested: Counter[str] = Counter()
        self._file: TextIO | None = None

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
        if report.when != "call":
            return
        for name, text in report.user_properties:
            if name == PROPERTY:
                self._add(records.decoded(str(text)))

    def pytest_unconfigure(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # a line that could not be written has been said to be lost
                self._file.close()

    def _add(self, record: Record) -> None:
        self._write(record)
        self.verdicts[record.verdict] += 1
        self.entries += record.entries
        self.abstained += record.abstained
        if record.verdict == "disagree":
            self.disagreements.append(record)
        if record.verdict == "abstain":
            reason = record.reason.partition("\n")[0]  # the rest says how to mend a case
            self.untested[f"{record.witness}: {reason}"] += 1
        if record.verdict in {"agree", "inaccurate"} and record.ulps is not None:
            case = f"{record.file}::{record.case}"
            if case not in self.worst or ulps(record) > ulps(self.worst[case]):
                self.worst[case] = record

    def _write(self, record: Record) -> None:
        if self._file is None:
            return
        try:
            records.write(record, self._file)
        except OSError as error:  # a full disk: better no verdict than one that is not kept
            pytest.exit(f"{self.path} cannot be written: {error.strerror}", returncode=3)


def ulps(record: Record) -> float:
    """Return the worst error of a record; 0 where none was judged."""
    return record.ulps or 0.0
