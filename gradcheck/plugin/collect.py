"""Turns catalog files into items. Imports neither torch nor sympy, and runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import pytest

from gradcheck.catalog.case import Case
from gradcheck.catalog.checks import Check, plan
from gradcheck.catalog.known import KnownFailure, check_known, load_known
from gradcheck.catalog.load import load
from gradcheck.catalog.text import KNOWN_FAILURES
from gradcheck.errors import CatalogError, Problem
from gradcheck.inputs.reach import unreachable
from gradcheck.plugin.folders import shown
from gradcheck.plugin.items import CheckItem
from gradcheck.plugin.state import devices_of, settings_of
from gradcheck.subjects.trust import refusal

_KNOWN = pytest.StashKey[dict[Path, tuple[KnownFailure, ...]]]()


class CatalogFile(pytest.File):
    """One file of cases."""

    obj = None  # pytest.Function asks its parent for one

    def collect(self) -> Iterator[CheckItem]:
        try:
            checks = self._checks()
        except CatalogError as error:
            raise self.CollectError(str(error)) from None
        return CheckItem.all_of(self, checks)

    def _checks(self) -> list[Check]:
        settings = settings_of(self.config)
        cases = load(self.path, shown=shown(self.path, self.config))
        problems = [*_refused(cases, settings.trusted), *unreachable(cases)]
        if problems:
            raise CatalogError(problems)
        known = _known_failures(self.path.parent, self.config)
        check_known(known, {self.path.name: cases})
        return plan(
            cases,
            devices=devices_of(self.config),
            dtypes=settings.dtypes,
            witnesses=settings.witnesses,
            known=known,
        )


def _known_failures(folder: Path, config: pytest.Config) -> tuple[KnownFailure, ...]:
    """Those of a folder, read once for all its files."""
    read = config.stash.setdefault(_KNOWN, {})
    if folder not in read:
        read[folder] = load_known(folder, shown=shown(folder / KNOWN_FAILURES, config))
    return read[folder]


def _refused(cases: Iterable[Case], trusted: tuple[str, ...]) -> Iterator[Problem]:
    """A problem for each function whose module nobody has allowed to be imported."""
    for implementation in chain.from_iterable(case.implementations for case in cases):
        name = implementation.function
        reason = None if name is None else refusal(name, trusted)
        if reason is not None:
            yield Problem(
                implementation.where,
                f"function {name!r} is refused",
                "a function of a trusted module",
                reason,
            )
