"""What changed between two runs: one release and the next, CPU and CUDA. It reads records alone.

Checks are matched by their ids; by their ids but for the device where the two runs have no device
in common. What got better and what is only different is told beside what got worse.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gradcheck.answer import KNOWN_FAILURES, NO_LONGER_FAILS, Ruling
from gradcheck.report.causes import record_headline
from gradcheck.report.records import Record, in_json_types

_FACTOR = 2  # of errors and of times: less is no news
_FEW_ULPS = 4  # an error below is the rounding of a faithful answer, and counts as this much
_SECONDS = 1.0  # that something must take longer, beside the factor


class ChangeKind(StrEnum):
    """What became of a check, the worst first. Each is its own text."""

    DISAGREES = "newly disagreeing"
    KNOWN = "newly a known failure"
    VANISHED = "vanished"
    ABSTAINS = "newly abstaining"
    LESS_ACCURATE = "less accurate"
    SLOWER = "slower"
    NEW = "newly there"
    JUDGED = "no longer abstaining"
    MORE_ACCURATE = "more accurate"
    FIXED = "fixed"


WORSE = frozenset({ChangeKind.DISAGREES, ChangeKind.KNOWN, ChangeKind.VANISHED})
"""The kinds of which one alone makes a run worse than the one before."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one check; ``before`` or ``after`` is None where a run lacks it."""

    kind: ChangeKind
    before: Record | None
    after: Record | None

    @property
    def record(self) -> Record:
        """The check as the later run has it, or else the earlier."""
        found = self.after or self.before
        if found is None:
            raise ValueError("a change is about a check that one of the runs has")
        return found

    @property
    def size(self) -> float:
        """How much it is, for an order among changes of one kind: seconds, a factor, or 0."""
        if self.before is None or self.after is None:
            return 0.0
        if self.kind is ChangeKind.SLOWER:
            return self.after.seconds - self.before.seconds
        if self.kind in (ChangeKind.LESS_ACCURATE, ChangeKind.MORE_ACCURATE):
            errors = [max(each.ulps or 0.0, 1.0) for each in (self.before, self.after)]
            return max(errors) / min(errors)
        return 0.0


@dataclass(frozen=True, slots=True)
class Family:
    """The checks of one file that both runs have, and the seconds that they took together."""

    file: str
    checks: int
    seconds: tuple[float, float]

    @property
    def is_slower(self) -> bool:
        return _takes_longer(*self.seconds)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs: what it is called, its checks, and where they were run."""

    name: str
    checks: int
    verdicts: Counter[str]
    torch: tuple[str, ...]
    devices: tuple[str, ...]
    gradcheck: tuple[str, ...]
    python: tuple[str, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """What changed from ``before`` to ``after``.

    ``matched`` checks stand in both. ``notes`` say what hampers the comparison: other seeds, other
    points. The changes are in the order of their kinds, then of files, then of their sizes.
    """

    before: Side
    after: Side
    matched: int
    notes: tuple[str, ...]
    changes: tuple[Change, ...]
    families: tuple[Family, ...]

    @property
    def is_worse(self) -> bool:
        return any(change.kind in WORSE for change in self.changes)

    @property
    def counts(self) -> dict[ChangeKind, int]:
        """How many changes there are of each kind that occurs, the worst kind first."""
        found = Counter(change.kind for change in self.changes)
        return {kind: found[kind] for kind in ChangeKind if found[kind]}


def compare(
    before: Iterable[Record], after: Iterable[Record], names: tuple[str, str] = ("before", "after")
) -> RunComparison:
    """Return what changed. Of a check that a run has several times, the last record counts."""
    sides = _last(before), _last(after)
    shared = {each.device for each in sides[0]} & {each.device for each in sides[1]}
    grouped = [_grouped_by_key(side, by_device=bool(shared)) for side in sides]
    pairs = [
        (one, other)
        for key in grouped[0]
        if key in grouped[1]
        for one in grouped[0][key]
        for other in grouped[1][key]
    ]
    changes = [Change(kind, *pair) for pair in pairs for kind in _kinds(*pair)]
    changes += _alone(ChangeKind.VANISHED, *grouped)
    changes += _alone(ChangeKind.NEW, *reversed(grouped))
    return RunComparison(
        before=_side(names[0], sides[0]),
        after=_side(names[1], sides[1]),
        matched=len(pairs),
        notes=tuple(_notes(pairs)),
        changes=tuple(sorted(changes, key=_order)),
        families=tuple(_families(pairs)),
    )


def on_device(records: Iterable[Record], device: str) -> list[Record]:
    """Return those on a device; ``cuda`` means every one of its kind."""
    return [each for each in records if device in (each.device, each.device.partition(":")[0])]


def comparison_json(comparison: RunComparison) -> dict[str, Any]:
    """Return the whole comparison in types that JSON has."""
    return {
        "format": 1,
        "worse": comparison.is_worse,
        "before": _side_json(comparison.before),
        "after": _side_json(comparison.after),
        "matched": comparison.matched,
        "notes": list(comparison.notes),
        "counts": {kind.value: number for kind, number in comparison.counts.items()},
        "changes": [_change_json(each) for each in comparison.changes],
        "families": [
            {
                "file": each.file,
                "checks": each.checks,
                "seconds": list(each.seconds),
                "slower": each.is_slower,
            }
            for each in comparison.families
        ],
    }


def _last(records: Iterable[Record]) -> list[Record]:
    return list({record.id: record for record in records}.values())


def _grouped_by_key(records: list[Record], *, by_device: bool) -> dict[Hashable, list[Record]]:
    found: dict[Hashable, list[Record]] = defaultdict(list)
    for record in records:
        found[record.id if by_device else _name_on_any_device(record)].append(record)
    return found


def _name_on_any_device(record: Record) -> str:
    ending = f"-{record.device}-{record.dtype}]"
    return f"{record.id.removesuffix(ending)}-{record.dtype}]"


def _alone(
    kind: ChangeKind, mine: dict[Hashable, list[Record]], others: dict[Hashable, list[Record]]
) -> Iterator[Change]:
    """The checks that only one of the runs has."""
    for key, records in mine.items():
        for record in records if key not in others else ():
            sides = (record, None) if kind is ChangeKind.VANISHED else (None, record)
            yield Change(kind, *sides)


def _kinds(before: Record, after: Record) -> Iterator[ChangeKind]:
    """What changed in a check that both runs have."""
    kind = _kind_of_verdict(before, after) or _kind_of_accuracy(before, after)
    if kind is not None:
        yield kind
    if _takes_longer(before.seconds, after.seconds):
        yield ChangeKind.SLOWER


def _kind_of_verdict(before: Record, after: Record) -> ChangeKind | None:
    failed = before.verdict in _FAILING and not is_only_stale(before)
    if failed and (after.verdict in _PASSING or is_only_stale(after)):
        return ChangeKind.FIXED
    if before.verdict == after.verdict and is_only_stale(before) == is_only_stale(after):
        return None
    if after.verdict == Ruling.DISAGREE:
        return ChangeKind.DISAGREES
    if after.verdict == Ruling.ABSTAIN:
        return ChangeKind.ABSTAINS
    if after.verdict == Ruling.KNOWN:
        return None if failed else ChangeKind.KNOWN
    return ChangeKind.JUDGED if before.verdict == Ruling.ABSTAIN else None


_PASSING = frozenset({Ruling.AGREE, Ruling.INACCURATE})
_FAILING = frozenset({Ruling.DISAGREE, Ruling.KNOWN})


def is_only_stale(record: Record) -> bool:
    """Whether the check fails only since the list of known failures has it, and it is right."""
    return record.blame == KNOWN_FAILURES and NO_LONGER_FAILS in record.reason


def _kind_of_accuracy(before: Record, after: Record) -> ChangeKind | None:
    if not {before.verdict, after.verdict} <= _PASSING:
        return None
    if _is_less_accurate(before, after):
        return ChangeKind.LESS_ACCURATE
    return ChangeKind.MORE_ACCURATE if _is_less_accurate(after, before) else None


def _is_less_accurate(before: Record, after: Record) -> bool:
    if (before.verdict, after.verdict) == (Ruling.AGREE, Ruling.INACCURATE):
        return True
    if after.verdict == Ruling.AGREE != before.verdict:
        return False
    return (after.ulps or 0.0) > _FACTOR * max(before.ulps or 0.0, _FEW_ULPS)


def _takes_longer(before: float, after: float) -> bool:
    return after > _FACTOR * before and after - before > _SECONDS


def _notes(pairs: Sequence[tuple[Record, Record]]) -> Iterator[str]:
    """What else differs than what is compared."""
    seeds = sorted({(one.seed, other.seed) for one, other in pairs if one.seed != other.seed})
    if seeds:
        which = ", ".join(f"{one} and {other}" for one, other in seeds)
        yield f"the seeds differ ({which}): other points were drawn, so errors may differ by chance"
    points = sum(one.points != other.points for one, other in pairs)
    if points:
        yield (
            f"{points:,} of {len(pairs):,} checks had another number of points, "
            "so errors and times may differ by that alone"
        )
    versions = sorted({each.gradcheck for pair in pairs for each in pair})
    if any(one.gradcheck != other.gradcheck for one, other in pairs):
        yield f"the releases of gradcheck differ ({' and '.join(versions)}): so may the judge"


def _order(change: Change) -> tuple[int, str, float, str]:
    record = change.record
    return list(ChangeKind).index(change.kind), record.file, -change.size, record.id


def _families(pairs: Sequence[tuple[Record, Record]]) -> Iterator[Family]:
    files: dict[str, list[tuple[Record, Record]]] = defaultdict(list)
    for pair in pairs:
        files[pair[1].file].append(pair)
    for file, mine in sorted(files.items()):
        seconds = [sum(each.seconds for each in side) for side in zip(*mine, strict=True)]
        yield Family(file, len(mine), (seconds[0], seconds[1]))


def _side(name: str, records: list[Record]) -> Side:
    return Side(
        name=name,
        checks=len(records),
        verdicts=Counter(each.verdict for each in records),
        torch=tuple(sorted({each.torch for each in records})),
        devices=tuple(sorted({f"{each.device} ({each.device_name})" for each in records})),
        gradcheck=tuple(sorted({each.gradcheck for each in records})),
        python=tuple(sorted({each.python for each in records})),
        seeds=tuple(sorted({each.seed for each in records})),
    )


def _side_json(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "checks": side.checks,
        "verdicts": {ruling.value: side.verdicts[ruling.value] for ruling in Ruling},
        "torch": list(side.torch),
        "devices": list(side.devices),
        "gradcheck": list(side.gradcheck),
        "python": list(side.python),
        "seeds": list(side.seeds),
    }


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind.value,
        "worse": change.kind in WORSE,
        "file": change.record.file,
        "case": change.record.case,
        "before": _record_json(change.before),
        "after": _record_json(change.after),
    }


def _record_json(record: Record | None) -> dict[str, Any] | None:
    if record is None:
        return None
    told = {
        "id": record.id,
        "verdict": record.verdict,
        "headline": record_headline(record),
        "ulps": record.ulps,
        "seconds": record.seconds,
        "points": record.points,
    }
    return {name: in_json_types(value) for name, value in told.items()}
