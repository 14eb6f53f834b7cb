"""What is wrong with a catalog, as items that fail: no reason to stop a project's other tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gradcheck.errors import CatalogError, Problem
from gradcheck.plugin.markers import fault_markers

BAD_FILE = "gradcheck_bad_file"
"""The keyword of these items, by which their reports are known."""

HEADLINE = "gradcheck fault"
"""The user property that says what is wrong, in one line and without its place."""


class FaultItem(pytest.Item):
    """Fails with an error that was met when a file was read; ``line`` is where that begins."""

    line = 1

    def __init__(self, *, error: Exception, **rest: Any) -> None:
        super().__init__(**rest)
        self.error = error
        if isinstance(error, CatalogError) and error.problems:
            self.line = error.problems[0].where.line
        self.keywords[BAD_FILE] = True
        for marker in fault_markers(self.config):
            self.add_marker(marker)

    def runtest(self) -> None:
        if not isinstance(self.error, CatalogError):
            raise self.error  # a defect of ours, with its traceback
        first = self.error.problems[0]
        self.user_properties.append((HEADLINE, f"{first.found}: {first.fix}"))
        pytest.fail(self.message(), pytrace=False)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]
        """Return the message as plain text, to which a headline can be given."""
        if isinstance(excinfo.value, pytest.fail.Exception):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def message(self) -> str:
        return str(self.error)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.line - 1, self.name


class RefusedItem(FaultItem):
    """A case with code that nobody has allowed to be imported.

    ``problems`` are by the module that is to be allowed. How to allow one is said once a run.
    """

    def __init__(self, *, problems: dict[str, Problem], **rest: Any) -> None:
        super().__init__(error=CatalogError(problems.values()), **rest)
        self.problems = problems

    def message(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        refused = [item for item in self.session.items if isinstance(item, RefusedItem)]
        for module, problem in self.problems.items():
            first = next(item for item in refused if module in item.problems)
            yield str(problem) if first is self else _short(problem, module, first.nodeid)


def _short(problem: Problem, module: str, other: str) -> str:
    return f"{problem.where}: {problem.found}: {module!r} is not trusted, see {other}"
