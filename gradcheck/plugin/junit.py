"""What `--junitxml` holds of a check: file and line, verdict and reason, and not its record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gradcheck.plugin.results import PROPERTY, record_told


class JUnitProperties:
    """A pytest plugin of the process that writes the XML, which sees each report before that does.

    A test case gets properties in every family of JUnit's format, and in `xunit1`, which has
    attributes for them, the file and the line from 1, as editors count; pytest's counts from 0.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        writer = self._writer()
        line = report.location[1]
        told = dict(report.user_properties).get(PROPERTY)
        if writer is None or told is None:
            return
        if line is not None:
            writer.node_reporter(report).add_attribute("line", str(line + 1))
        if report.when == "teardown":  # whose properties are written
            report.user_properties[:] = _readable(report, str(told))

    def _writer(self) -> Any:
        """Pytest's own plugin, which has no public name."""
        plugins = self._config.pluginmanager.get_plugins()
        return next((each for each in plugins if hasattr(each, "node_reporter")), None)


def _readable(report: pytest.TestReport, told: str) -> Iterator[tuple[str, object]]:
    record = record_told(told)
    yield from ((name, value) for name, value in report.user_properties if name != PROPERTY)
    yield from {
        "file": record.file,
        "line": record.line,
        "verdict": record.verdict,
        "reason": record.reason or "none",
        "ulps": "none" if record.ulps is None else f"{record.ulps:.3g}",
    }.items()
