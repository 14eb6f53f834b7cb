"""What GitHub's pages show of a run: annotations at the cases that fail, and a summary of the step.

It is on where the environment says so (`GITHUB_ACTIONS`), and writes what their documentation calls
workflow commands: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gradcheck.plugin.results import HEADLINE, record_of
from gradcheck.report.causes import Failure, by_cause, in_catalog_order
from gradcheck.report.records import Record, Results

_MOST = 10  # annotations of a type that GitHub shows of one step
_MOST_BYTES = 1_000_000  # of a step's summary; GitHub takes 1 MiB


@dataclass(frozen=True, slots=True)
class Annotation:
    """What GitHub shows beside a line of a file; without a ``file`` beside none."""

    title: str
    text: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = {"file": self.file, "line": str(self.line)} if self.file else {}
        pairs = {**place, "title": self.title}.items()
        told = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in pairs)
        return f"::error {told}::{_escaped(self.text)}"


class GitHubReports:
    """A pytest plugin of the controller alone. It has state, as reports come one by one."""

    def __init__(self, config: pytest.Config) -> None:
        self._root = config.rootpath
        self._records: list[Record] = []
        self._failures: list[Failure] = []
        self._faults: list[Annotation] = []

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        record = record_of(report)
        headline = dict(report.user_properties).get(HEADLINE)
        if record is not None:
            self._records.append(record)
            if report.failed:
                self._failures.append(Failure(record, record.block))
        elif headline is not None and report.when == "call":
            file, line, _ = report.location
            place = _in_repository(self._root / file)
            self._faults.append(
                Annotation("gradcheck: the file is wrong", str(headline), place, (line or 0) + 1)
            )

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        causes = by_cause(in_catalog_order(self._failures))
        annotations = [*self._faults, *(_annotation(each, self._root) for each in causes)]
        for annotation in _few(annotations):
            terminalreporter.write_line(str(annotation))
        target = os.environ.get("GITHUB_STEP_SUMMARY")
        if target and self._records:
            _add(self._summary(), Path(target))

    def _summary(self) -> str:
        from gradcheck.report.markdown import markdown  # with FLINT, where there is a catalog
        from gradcheck.report.overview import Overview

        return markdown(Overview(Results({"this run": tuple(self._records)}, ())))


def _annotation(cause: Any, root: Path) -> Annotation:
    record, count = cause.telling.record, len(cause.others) + 1
    name = record.id.partition("::")[2]
    others = "" if count == 1 else f", and in {count - 1} more checks"
    text = f"{cause.headline}\nin {name}{others}"
    return Annotation(
        f"gradcheck: {record.case}", text, _in_repository(root / record.file), record.line
    )


def _few(annotations: Sequence[Annotation]) -> Iterator[Annotation]:
    """No more than GitHub shows; the last says how many are left out."""
    if len(annotations) <= _MOST:
        yield from annotations
        return
    yield from annotations[: _MOST - 1]
    rest = f"{len(annotations) - _MOST + 1} more causes: see the summary of this step, or its log"
    yield Annotation("gradcheck", rest)


def _in_repository(path: Path) -> str:
    """The path as GitHub knows it; empty for a file that is not of the repository."""
    workspace = Path(os.environ.get("GITHUB_WORKSPACE", Path.cwd())).resolve()
    found = path.resolve()
    return found.relative_to(workspace).as_posix() if found.is_relative_to(workspace) else ""


def _escaped(text: str, more: str = "") -> str:
    """The text as a workflow command has it: nothing in it ends the command or begins another."""
    for sign in ("%", "\r", "\n", *more):
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


def _add(text: str, target: Path) -> None:
    """Add to the step's summary, to which other steps' commands may have written."""
    content = text.encode()[:_MOST_BYTES].decode(errors="ignore")
    with target.open("a", encoding="utf-8") as file:
        file.write(f"{content}\n")
