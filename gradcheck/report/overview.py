"""What the results of some runs say together: counts, causes, what was not tested, how accurate.

Page, summary and SARIF tell the same, and this is it.
"""

from __future__ import annotations

import ast
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import PurePath
from statistics import median
from typing import Any

from packaging.version import InvalidVersion, Version

from gradcheck.answer import Ruling
from gradcheck.dtypes import DTYPES
from gradcheck.methods import WITNESSES
from gradcheck.report.causes import Cause, Failure, by_cause, in_catalog_order
from gradcheck.report.records import Fault, Record, Results

MEANINGS = {
    Ruling.DISAGREE: "failed: rounding cannot explain it, or there is a NaN or an exception",
    Ruling.INACCURATE: "passed: no wrong formula, but digits are lost",
    Ruling.KNOWN: "expected: it fails where known_failures.yaml says so",
    Ruling.ABSTAIN: "not judged: nothing was proved",
    Ruling.AGREE: "passed: as accurate as dtype and function allow",
}
"""What each verdict means for a reader, worst first."""


@dataclass(frozen=True, slots=True)
class Run:
    """One file of results: where it was run, and what it holds. ``records`` are not empty."""

    file: str
    records: tuple[Record, ...]

    @property
    def first(self) -> Record:
        return self.records[0]

    @property
    def devices(self) -> list[str]:
        """The devices, with the names that they give themselves."""
        return sorted({f"{each.device} ({each.device_name})" for each in self.records})

    @property
    def seconds(self) -> float:
        return math.fsum(each.seconds for each in self.records)


@dataclass(frozen=True, slots=True)
class Untested:
    """Checks that proved nothing, for one reason."""

    witness: str
    reason: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccuracyOf:
    """How far off agreeing and inaccurate checks of one file, witness or operator are in a dtype.

    Units: ulps.
    """

    name: str
    dtype: str
    checks: int
    entries: int
    median: float
    worst: Record


@dataclass(frozen=True, slots=True)
class Difference:
    """Two records of what is the same check elsewhere."""

    one: Record
    other: Record

    @property
    def is_notable(self) -> bool:
        """Whether the verdicts differ, or one is more than twice as far off as the other."""
        one, other = sorted((self.one.ulps or 0.0, self.other.ulps or 0.0))
        return self.one.verdict != self.other.verdict or other > max(2 * one, 4.0)


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Two devices, or two releases of torch, by the checks that both have."""

    what: str
    one: str
    other: str
    pairs: tuple[Difference, ...]

    @property
    def notable(self) -> list[Difference]:
        return [each for each in self.pairs if each.is_notable]

    @property
    def verdicts_differ(self) -> int:
        return sum(each.one.verdict != each.other.verdict for each in self.pairs)


class Overview:
    """What the records of all runs say together; of one run done twice the later counts."""

    def __init__(self, results: Results) -> None:
        self.faults: tuple[Fault, ...] = results.faults
        self.runs = [Run(file, records) for file, records in results.files.items() if records]
        latest = {_identity(record): record for record in results.records}
        failures = (Failure(record, record.block) for record in latest.values())
        self.records = [failure.record for failure in in_catalog_order(failures)]

    @cached_property
    def counts(self) -> dict[Ruling, int]:
        """How many checks there are of each verdict, worst first."""
        found = Counter(record.verdict for record in self.records)
        return {ruling: found[ruling] for ruling in MEANINGS}

    @cached_property
    def causes(self) -> list[Cause]:
        """What failed, by cause; what shows in most checks comes first."""
        failed = [each for each in self.records if has_failed(each)]
        found = by_cause(Failure(record, record.block) for record in failed)
        return sorted(found, key=lambda cause: -len(cause.others))

    @cached_property
    def cases(self) -> dict[tuple[str, str], list[Record]]:
        """The checks of each case, by its file and name."""
        found: defaultdict[tuple[str, str], list[Record]] = defaultdict(list)
        for record in self.records:
            found[record.file, record.case].append(record)
        return dict(found)

    @cached_property
    def untested(self) -> list[Untested]:
        """What proved nothing and why; the most frequent reason first."""
        found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for record in self.records:
            if record.verdict == Ruling.ABSTAIN:
                reason = record.reason.partition("\n")[0]
                found[record.witness, reason].append(record.id)
        ranked = sorted(found.items(), key=lambda each: -len(each[1]))
        return [Untested(*key, tuple(ids)) for key, ids in ranked]

    @property
    def entries(self) -> int:
        return sum(record.entries for record in self.records)

    @property
    def abstained(self) -> int:
        return sum(record.abstained for record in self.records)

    @cached_property
    def ill_conditioned(self) -> int:
        return sum(record.counts.get("ill-conditioned", 0) for record in self.records)

    @cached_property
    def releases(self) -> list[str]:
        """The older one first."""
        return sorted({record.torch for record in self.records}, key=release_rank)

    @cached_property
    def devices(self) -> list[str]:
        return sorted({record.device for record in self.records}, key=lambda name: name != "cpu")

    @cached_property
    def comparisons(self) -> list[SideBySide]:
        """Each other device beside the first, and each release beside the one before it."""
        found = [
            self._compared("device", self.devices[0], device, ("torch", "seed"))
            for device in self.devices[1:]
        ]
        found += [
            self._compared("torch", one, other, ("device", "seed"))
            for one, other in zip(self.releases, self.releases[1:], strict=False)
        ]
        return [each for each in found if each.pairs]

    def _compared(self, what: str, one: str, other: str, same: Sequence[str]) -> SideBySide:
        def by_check(name: str) -> dict[Any, Record]:
            chosen = (each for each in self.records if getattr(each, what) == name)
            return {(*_check(each), *(getattr(each, n) for n in same)): each for each in chosen}

        here, there = by_check(one), by_check(other)
        pairs = tuple(Difference(here[key], there[key]) for key in here if key in there)
        return SideBySide(what, one, other, pairs)

    def accuracy(self, by: str) -> list[AccuracyOf]:
        """How accurate what passed is, by ``file``, ``witness`` or ``operator`` and by dtype.

        The operators are a league: the least accurate first.
        """
        found: defaultdict[tuple[str, str], list[Record]] = defaultdict(list)
        for record in filter(is_accurate_somehow, self.records):
            is_of = operator_of(record.implementation) if by == "operator" else getattr(record, by)
            if is_of:
                found[is_of, record.dtype].append(record)
        groups = [
            AccuracyOf(
                name=name,
                dtype=dtype,
                checks=len(group),
                entries=sum(each.entries for each in group),
                median=median(map(worst_ulps, group)),
                worst=max(group, key=worst_ulps),
            )
            for (name, dtype), group in found.items()
        ]
        return sorted(groups, key=_rank) if by == "operator" else groups

    @cached_property
    def least_accurate(self) -> list[Record]:
        """Of each case and dtype the check that passed and is farthest off, the worst first."""
        found: dict[tuple[str, str, str], Record] = {}
        for record in filter(is_accurate_somehow, self.records):
            key = record.file, record.case, record.dtype
            if key not in found or worst_ulps(record) > worst_ulps(found[key]):
                found[key] = record
        return sorted(found.values(), key=worst_ulps, reverse=True)

    @cached_property
    def slowest(self) -> list[Record]:
        return sorted(self.records, key=lambda each: -_finite(each.seconds))

    @cached_property
    def seconds_by_witness(self) -> dict[str, list[float]]:
        found: defaultdict[str, list[float]] = defaultdict(list)
        for record in self.records:
            found[record.witness].append(_finite(record.seconds))
        return dict(sorted(found.items(), key=lambda each: -math.fsum(each[1])))


def title(overview: Overview) -> str:
    """Say in one line how it went."""
    counts, total = overview.counts, len(overview.records)
    failed = sum(map(has_failed, overview.records))
    if failed:
        return f"{failed:,} of {total:,} checks {'fails' if failed == 1 else 'fail'}"
    passed = total - counts[Ruling.ABSTAIN]
    left = f", {counts[Ruling.ABSTAIN]:,} judged nothing" if counts[Ruling.ABSTAIN] else ""
    return f"No check fails: {passed:,} of {total:,} pass{left}"


def has_failed(record: Record) -> bool:
    """Whether the check failed in its run, in which what is inaccurate may have."""
    return record.verdict == Ruling.DISAGREE or bool(record.block)


def is_accurate_somehow(record: Record) -> bool:
    """Whether a check passed with a number that says how accurate."""
    passed = record.verdict in (Ruling.AGREE, Ruling.INACCURATE) and not record.block
    return passed and record.ulps is not None


def worst_ulps(record: Record) -> float:
    """Return the worst error of a record; 0 where none was judged, or it is no number."""
    return 0.0 if record.ulps is None or math.isnan(record.ulps) else record.ulps


def worst_verdict(records: Iterable[Record]) -> Ruling:
    """Return the worst verdict of some checks; an abstention counts where nothing else is."""
    return max((Ruling(each.verdict) for each in records), key=lambda ruling: ruling.severity)


def ordered(names: Iterable[str], known: Sequence[str]) -> list[str]:
    """Return the names in the order in which they are known; others come last."""
    places = {name: place for place, name in enumerate(known)}
    return sorted(set(names), key=lambda name: (places.get(name, len(places)), name))


def witnesses_of(records: Iterable[Record]) -> list[str]:
    return ordered((record.witness for record in records), WITNESSES)


def dtypes_of(records: Iterable[Record]) -> list[str]:
    return ordered((record.dtype for record in records), tuple(DTYPES))


def family(file: str) -> str:
    """Return what a catalog file is about, as its name says."""
    return PurePath(file).stem or file


def _rank(each: AccuracyOf) -> tuple[float, float, str]:
    return -worst_ulps(each.worst), -each.median, each.name


def release_rank(name: str) -> tuple[bool, Version | str]:
    """Return what sorts releases; what is no version, in records of anyone, comes first."""
    try:
        return True, Version(name)
    except InvalidVersion:
        return False, name


@cache
def operator_of(code: str) -> str:
    """Return the one function that code on trial calls; empty where it does anything beside that.

    A method of a tensor is ``Tensor.name``, and a user's function ``module:name``.
    """
    if _OWN.fullmatch(code):
        return code
    try:
        tree = ast.parse(code[:_LONGEST_CODE], mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    match [each for each in ast.walk(tree) if isinstance(each, (ast.Call, ast.BinOp))]:
        case [ast.Call(func=ast.Attribute(value=owner, attr=name))]:
            root = re.sub(r"^F$", "torch.nn.functional", ast.unparse(owner))
            return f"{root if root.startswith('torch') else 'Tensor'}.{name}"
    return ""


_OWN = re.compile(r"[\w.]+:[\w.]+", re.ASCII)
_LONGEST_CODE = 400  # letters


def _finite(number: float) -> float:
    return number if math.isfinite(number) else 0.0


def _check(record: Record) -> tuple[str, ...]:
    """What is the same check on every device and in every release."""
    return (
        *(record.file, record.case, record.variant),
        *(record.implementation, record.witness, record.dtype),
    )


def _identity(record: Record) -> tuple[Any, ...]:
    where = record.torch, record.gradcheck, record.python, record.platform, record.device_name
    return record.id, record.seed, *where


def overview_json(overview: Overview) -> dict[str, Any]:
    """Return what the page says as plain data: counts, causes, accuracy, what was not tested."""
    return {
        "title": title(overview),
        "cases": len(overview.cases),
        "checks": len(overview.records),
        "counts": {ruling.value: number for ruling, number in overview.counts.items()},
        "entries": overview.entries,
        "abstained": overview.abstained,
        "runs": [
            {
                "file": run.file,
                "torch": run.first.torch,
                "devices": run.devices,
                "platform": run.first.platform,
                "seed": run.first.seed,
                "checks": len(run.records),
                "seconds": run.seconds,
            }
            for run in overview.runs
        ],
        "causes": [
            {
                "case": cause.telling.record.case,
                "file": cause.telling.record.file,
                "line": cause.telling.record.line,
                "cause": cause.headline,
                "guess_kind": cause.telling.record.guess_kind,
                "checks": [each.record.id for each in (cause.telling, *cause.others)],
                "block": cause.telling.block,
            }
            for cause in overview.causes
        ],
        "not_tested": [
            {"witness": each.witness, "reason": each.reason, "checks": list(each.ids)}
            for each in overview.untested
        ],
        "least_accurate": [
            {"check": each.id, "ulps": each.ulps, "relative": each.relative}
            for each in overview.least_accurate[:_LEAST_ACCURATE]
        ],
        "faults": [f"{fault.place}: {fault.found}" for fault in overview.faults],
    }


_LEAST_ACCURATE = 30
