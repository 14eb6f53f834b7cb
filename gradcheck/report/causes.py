"""Which failed checks have one cause, and the text that tells each cause once."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from textwrap import shorten
from typing import Any, TypeVar

from gradcheck.answer import NO_CODE, NOTHING_JUDGED, Ruling
from gradcheck.dtypes import DTYPES
from gradcheck.methods import WITNESSES
from gradcheck.report.failure_text import WIDTH, headline
from gradcheck.report.records import Record

_T = TypeVar("_T")
_LEAST = 40  # of what a line tells after a long name
_DIFFERENCES = "gradcheck"
"""The witness of finite differences, which do not say what is wrong."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed check: its record, as the results hold it, and the block it prints alone."""

    record: Record
    block: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """Failures of one cause: the most telling one, and the others in the order given."""

    telling: Failure
    others: tuple[Failure, ...]

    @property
    def headline(self) -> str:
        return record_headline(self.telling.record)

    @property
    def text(self) -> str:
        """The block of the most telling failure, and a line for each of the others."""
        if not self.others:
            return self.telling.block
        count = len(self.others)
        title = f"the same cause, in {count} more {'check' if count == 1 else 'checks'}:"
        return "\n".join([self.telling.block, "", title, *map(self._line, self.others)])

    def _line(self, other: Failure) -> str:
        record, telling = other.record, self.telling.record
        told = [] if record.reason == telling.reason else [record.reason]
        if record.blame not in (telling.blame, ""):
            told.insert(0, record.blame)
        name = record.id.partition("::")[2]
        start = f"  {name}: "
        wide = max(WIDTH - len(start), _LEAST)
        return start + shorten("; ".join(told or ["the same"]), wide, placeholder=" ...")


def record_headline(record: Record) -> str:
    """Return the headline of the failure that a record is about, without its place."""
    place = rf"{re.escape(record.file)}(:\d+)+: "
    return headline(record.blame, re.sub(f"^{place}", "", record.reason), record.guess)


def by_cause(failures: Iterable[Failure]) -> list[Cause]:
    """Return the failures grouped by cause, in the order in which the causes first come.

    What one implementation of a case does wrong in one variant on one device is one cause, and
    variants and devices share it whose most telling failures blame the same and look alike. What is
    wrong with the case itself, or was not judged, is no implementation's: it is one cause for all.
    """
    blamed = _grouped(_grouped(failures, _place), _blamed)
    merged = [alike for groups in blamed for alike in _alike(groups)]
    return [_cause([each for group in groups for each in group]) for groups in merged]


def _alike(groups: list[list[Failure]]) -> list[list[list[Failure]]]:
    """The groups by the kind of error; what looks like nothing known goes with the first."""
    kinds = [_most_telling(group).record.guess_kind for group in groups]
    first = next(filter(None, kinds), "")
    found: dict[str, list[list[Failure]]] = {}
    for kind, group in zip(kinds, groups, strict=True):
        found.setdefault(kind or first, []).append(group)
    return list(found.values())


def _grouped(items: Iterable[_T], key: Callable[[_T], Hashable]) -> list[list[_T]]:
    found: dict[Hashable, list[_T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return list(found.values())


def _place(failure: Failure) -> Hashable:
    record = failure.record
    if record.blame in NO_CODE:
        return _no_code(record)
    return record.file, record.case, record.implementation, record.variant, record.device


def _blamed(group: list[Failure]) -> Hashable:
    record = _most_telling(group).record
    if record.blame in NO_CODE:
        return _no_code(record)
    cause = record.blame or record.reason
    return record.file, record.case, record.implementation, cause


def _no_code(record: Record) -> Hashable:
    reason = record.reason if record.blame != NOTHING_JUDGED else ""  # that counts entries
    return record.file, record.case, record.blame, reason


def _cause(group: list[Failure]) -> Cause:
    telling = _most_telling(group)
    return Cause(telling, tuple(each for each in group if each is not telling))


def _most_telling(group: list[Failure]) -> Failure:
    """The first of those that tell most, so that the order of the checks decides the rest."""
    return min(group, key=_rank)


def _rank(failure: Failure) -> tuple[bool, bool, bool, int, int]:
    record = failure.record
    return (
        record.verdict != Ruling.DISAGREE.value,
        record.witness == _DIFFERENCES,
        record.order > 1,
        _number_in(tuple(DTYPES), record.dtype),
        record.order,
    )


_NUMBER = re.compile(r"(\d+)")
_DIGITS = 20  # longer than any number in an id


def in_catalog_order(failures: Iterable[Failure]) -> list[Failure]:
    """Return the failures as the catalog has them, for workers report in any order."""
    return sorted(failures, key=_in_catalog)


def _in_catalog(failure: Failure) -> tuple[Any, ...]:
    """Numbers in an id are compared as numbers: those of implementations, and of variants."""
    record = failure.record
    before, _, _ = record.id.rpartition(f"{record.witness}-{record.device}-")
    parts = [part.zfill(_DIGITS) if part.isdecimal() else part for part in _NUMBER.split(before)]
    return (
        record.file,
        record.line,
        parts,
        _number_in(WITNESSES, record.witness),
        record.device,
        _number_in(tuple(DTYPES), record.dtype),
    )


def _number_in(names: tuple[str, ...], name: str) -> int:
    """The place of a name among those that this version knows; others come last."""
    return names.index(name) if name in names else len(names)
