"""Turns catalog files into items. Imports neither torch nor sympy, and runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from gradcheck.catalog.case import Case
from gradcheck.catalog.checks import plan
from gradcheck.catalog.known_failures import KnownFailure, check_known, list_beside, read_known
from gradcheck.catalog.load import CaseFile
from gradcheck.errors import CatalogError, Problem
from gradcheck.implementations.trust import refusal
from gradcheck.plugin.folders import asked_of, shown
from gradcheck.plugin.items import CheckItem, FaultItem, RefusedItem
from gradcheck.plugin.session import devices_of, settings_of
from gradcheck.points.feasibility import infeasible

_KNOWN = pytest.StashKey[dict[Path, tuple[KnownFailure, ...]]]()
_WHOLE_FILE = "case-file"  # no case can be called so, nor as the next
_LIST = "known-failures"


class CatalogFile(pytest.File):
    """One file of cases."""

    obj = None  # pytest.Function asks its parent for one

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the checks of sound cases, and an item for each fault.

        Of a file with a faulty case nothing is run; it has one item, or those that were asked for.
        """
        asked = asked_of(self.path, self.config)
        try:
            cases = self._cases()
        except Exception as error:  # a defect of ours, too, must not stop other tests
            for name in asked or [_WHOLE_FILE]:
                yield FaultItem.from_parent(self, name=name, error=error)
            return
        refused = {case: problems for case in cases if (problems := self._refused(case))}
        for case, problems in refused.items():
            yield from self._refusals(case, problems, asked)
        yield from self._checks([case for case in cases if case not in refused], cases)

    def _cases(self) -> tuple[Case, ...]:
        """Errors: CatalogError with all problems of the file."""
        file = CaseFile.at(self.path, shown(self.path, self.config))
        cases = file.cases()
        problems = file.problems(infeasible, cases)
        if problems:
            raise CatalogError(problems)
        return cases

    def _checks(self, sound: Sequence[Case], cases: Sequence[Case]) -> Iterator[pytest.Item]:
        known, problems = _known_failures(self.path.parent, self.config)
        try:
            check_known(known, {self.path.name: cases})
        except CatalogError as error:
            problems = (*problems, *error.problems)
        if problems:
            yield FaultItem.from_parent(self, name=_LIST, error=CatalogError(problems))
        settings = settings_of(self.config)
        checks = plan(
            sound,
            devices=devices_of(self.config),
            dtypes=settings.dtypes,
            witnesses=settings.witnesses,
            known=known,
        )
        yield from CheckItem.all_of(self, checks)

    def _refused(self, case: Case) -> dict[str, Problem]:
        """A problem for each top module of the case's code that nobody has allowed."""
        trusted = settings_of(self.config).trusted
        found: dict[str, Problem] = {}
        for implementation in case.implementations:
            name = implementation.function
            reason = None if name is None else refusal(name, trusted)
            if name is not None and reason is not None:
                title, expected = f"function {name!r} is refused", "a function of a trusted module"
                problem = Problem(implementation.where, title, expected, reason)
                found.setdefault(name.partition(":")[0].partition(".")[0], problem)
        return found

    def _refusals(
        self, case: Case, problems: dict[str, Problem], asked: Iterable[str]
    ) -> Iterator[RefusedItem]:
        names = [name for name in asked if name.partition("[")[0] == case.name]
        for name in names or [case.name]:
            yield RefusedItem.from_parent(self, name=name, problems=problems)


def _known_failures(
    folder: Path, config: pytest.Config
) -> tuple[tuple[KnownFailure, ...], tuple[Problem, ...]]:
    """The entries of a folder, read once for all its files; the first of these hears the faults."""
    read = config.stash.setdefault(_KNOWN, {})
    problems: tuple[Problem, ...] = ()
    if folder not in read:
        path = list_beside(folder)
        name = None if path is None else shown(path, config)
        read[folder], problems = read_known(folder, shown=name)
    return read[folder], problems
