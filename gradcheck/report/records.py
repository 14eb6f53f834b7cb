"""Results as lines of JSON: made, written as they end, read again. A record is all that is kept.

Each run has a file of its own, so that no run overwrites another's. What is no record is named with
its file and line, and the rest is read.
"""

from __future__ import annotations

import errno
import json
import math
import os
import platform
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from gradcheck.answer import EntryReport, Outcome, Ruling, RunOptions
from gradcheck.errors import UsageError
from gradcheck.methods import METHODS
from gradcheck.report.failure_text import format_number, format_value

if TYPE_CHECKING:
    from gradcheck.catalog.checks import Check

FORMAT = 1


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Where and how a check was run. ``file`` is the catalog file as the check's id names it."""

    file: str
    seed: int
    device_name: str
    torch: str
    gradcheck: str
    python: str
    platform: str


def run_facts(file: str, run_options: RunOptions, device_name: str) -> RunFacts:
    """The facts of this process; needs no torch, only its installed version."""
    return RunFacts(
        file=file,
        seed=run_options.seed,
        device_name=device_name,
        torch=version("torch"),
        gradcheck=version("gradcheck"),
        python=platform.python_version(),
        platform=_platform(),
    )


@cache
def version(distribution: str) -> str:
    """The installed version, read without importing anything; ``unknown`` if not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of a run's results, all that is kept of a check; docs/interface.md explains it.

    From ``ulps`` to ``radius`` it is about the worst entry, and None where none was judged.
    ``formula`` is what the case says it is, with a line ``where NAME = ...`` for each name of its
    own. ``errors`` are pairs of an input and the worst error there in ulps, as ``Outcome`` says.
    Where the check failed, ``block`` is its text and ``failures`` are its worst entries.
    """

    id: str
    case: str
    file: str
    line: int
    variant: str
    implementation: str
    witness: str
    order: int
    device: str
    dtype: str
    verdict: str
    reason: str
    entries: int
    abstained: int
    counts: dict[str, int]
    points: int
    visited: dict[str, int]
    ulps: float | None
    relative: float | None
    at: dict[str, Any] | None
    index: str | None
    got: float | None
    true: str | None
    radius: str | None
    route: str | None
    blame: str
    guess: str
    guess_kind: str = ""
    seconds: float
    torch: str
    device_name: str
    gradcheck: str
    python: str
    platform: str
    seed: int
    summary: str = ""
    formula: str = ""
    tags: list[str] = field(default_factory=list)
    errors: list[list[Any]] = field(default_factory=list)
    errors_over: str = ""
    block: str = ""
    failures: list[dict[str, Any]] = field(default_factory=list)


_LONGEST_FORMULA = 500  # letters
_FLOATS = ("ulps", "relative", "got", "seconds")
"""The fields that may be infinite or NaN, which JSON holds as text."""


def record(check: Check, outcome: Outcome, facts: RunFacts, block: str = "") -> Record:
    """Return what is kept of a check; ``block`` is the text of its failure."""
    worst = outcome.worst
    case = check.case
    return Record(
        id=f"{facts.file}::{check.name}",
        case=case.name,
        file=facts.file,
        line=case.where.line,
        variant=check.variant.name,
        implementation=check.implementation.text,
        witness=check.witness,
        order=METHODS[check.witness].order,
        device=check.device,
        dtype=check.dtype,
        verdict=outcome.verdict.value,
        reason=_with_utf8(outcome.reason),
        entries=outcome.entries,
        abstained=outcome.abstained,
        counts=outcome.counts,
        points=outcome.points,
        visited=outcome.visited,
        ulps=worst.ulps if worst else None,
        relative=worst.relative if worst else None,
        at=worst.at if worst else None,
        index=worst.index if worst else None,
        got=worst.got if worst else None,
        true=worst.true if worst else None,
        radius=worst.radius if worst else None,
        route=outcome.route or None,
        blame=_with_utf8(outcome.blame),
        guess=str(outcome.guess or ""),
        guess_kind=outcome.guess.kind.value if outcome.guess else "",
        seconds=outcome.seconds,
        torch=facts.torch,
        device_name=facts.device_name,
        gradcheck=facts.gradcheck,
        python=facts.python,
        platform=facts.platform,
        seed=facts.seed,
        summary=case.summary,
        formula=shorten(case.written, _LONGEST_FORMULA),
        tags=list(case.tags),
        errors=[list(pair) for pair in outcome.errors],
        errors_over=outcome.errors_over,
        block=_with_utf8(block),
        failures=[_failure(each) for each in outcome.failures[:_MOST_FAILURES]],
    )


_MOST_FAILURES = 5
_MOST_NUMBERS = 64  # of an input: more are left out, but for the worst entry


def _failure(entry: EntryReport) -> dict[str, Any]:
    """An entry as a record has it."""
    whole = len(format_value(list(entry.at.values())).split(",")) <= _MOST_NUMBERS
    return {
        "at": entry.at if whole else None,
        "index": entry.index,
        "call": entry.label,
        "got": entry.got,
        "true": entry.true,
        "ulps": entry.ulps,
        "relative": entry.relative,
        "verdict": entry.ruling.value,
        "reason": _with_utf8(entry.reason),
    }


def as_json(record: Record) -> dict[str, Any]:
    """Return a record in types that JSON has, never NaN, its format first."""
    return {
        "format": FORMAT,
        **{name: in_json_types(each) for name, each in asdict(record).items()},
    }


def encoded(record: Record) -> str:
    """Return a record as one line of JSON."""
    return json.dumps(as_json(record), ensure_ascii=False, allow_nan=False)


def decoded(line: str | bytes) -> Record:
    """Return the record that a line of JSON holds; fields that this version has not are left out.

    Errors: ValueError for any other text.
    """
    try:
        value = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise ValueError(f"no record of format {FORMAT}")
    known = {name: value[name] for name in _IS_RIGHT if name in value}
    try:
        known |= {name: known[name] and float(known[name]) for name in _FLOATS}
        found = Record(**known)
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(str(error)) from None
    for name, is_right in _IS_RIGHT.items():
        if not is_right(getattr(found, name)):
            raise ValueError(f"{name} is no {Record.__annotations__[name]}")
    if found.verdict not in list(Ruling):
        raise ValueError(f"the verdict {found.verdict!r}")
    return found


def _is_a(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds) and not isinstance(value, bool)


def _is_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_a(int), value.values()))


def _is_list(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_right, value))


def _is_pairs(value: Any) -> bool:
    """Whether it is a list of pairs of numbers, of which JSON may lack some."""
    return isinstance(value, list) and all(
        isinstance(pair, list)
        and len(pair) == 2
        and all(type(each) in _NUMBERS or each in _NAMED for each in pair)
        for pair in value
    )


_NUMBERS = {int, float}
_NAMED = ("nan", "inf", "-inf")


_KINDS: dict[str, Callable[[Any], bool]] = {
    "str": _is_a(str),
    "int": _is_a(int),
    "float": _is_a(float, int),
    "str | None": _is_a(str, type(None)),
    "float | None": _is_a(float, int, type(None)),
    "dict[str, Any] | None": _is_a(dict, type(None)),
    "dict[str, int]": _is_counts,
    "list[str]": _is_list(_is_a(str)),
    "list[list[Any]]": _is_pairs,
    "list[dict[str, Any]]": _is_list(_is_a(dict)),
}
_IS_RIGHT = {each.name: _KINDS[str(each.type)] for each in fields(Record)}
"""For each field whether a value from a file is one of its kind: anyone can write a file."""


def begin(folder: Path, shard: tuple[int, int] | None) -> TextIO:
    """Return the new file of a run, ``results-RUN.jsonl`` in the folder, which is made if missing.

    RUN sorts by time and is unique, even where the shards of a run begin at once on two machines.

    Errors: OSError where it cannot be written.
    """
    began = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    part = "-{}of{}".format(*shard) if shard else ""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"results-{began}{part}-{secrets.token_hex(4)}.jsonl"
    return path.open("x", encoding="utf-8", newline="\n")


def write(record: Record, file: TextIO) -> None:
    """Add a record as a line that outlives a kill of this process, handed to the system at once.

    Errors: OSError where it cannot be written, or the file is no longer there.
    """
    file.write(encoded(record) + "\n")
    file.flush()
    if not Path(file.name).exists():  # writing to a removed file succeeds
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), file.name)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is no record: ``place`` is the file, and the line if it is one.

    ``is_cut`` where it is a last line, as a kill leaves it.
    """

    place: str
    found: str
    fix: str
    is_cut: bool = False

    @property
    def error(self) -> UsageError:
        expected = f"a JSON object with format {FORMAT}"
        return UsageError(f"{self.place}: {self.found}", expected, self.fix)

    def __str__(self) -> str:
        return str(self.error)


@dataclass(frozen=True, slots=True)
class Results:
    """What some files hold: the records of each in order, by its path, and what is none."""

    files: dict[str, tuple[Record, ...]]
    faults: tuple[Fault, ...]

    @property
    def records(self) -> list[Record]:
        return [record for records in self.files.values() for record in records]


def read_all(paths: Iterable[Path]) -> Results:
    """Return all that can be read of files, and of the ``results*.jsonl`` in folders.

    What else is in them is a fault, and stops nothing. A file that is named twice is read once.

    Errors: UsageError if a file cannot be read, a folder holds no results, or no file has a record.
    """
    paths = list(paths)
    found = {
        path.resolve(): (str(path), *_read_file(path)) for each in paths for path in _files_of(each)
    }
    results = Results(
        {name: tuple(records) for name, records, _ in found.values()},
        tuple(fault for *_, faults in found.values() for fault in faults),
    )
    if not results.records:
        named = ", ".join(map(str, paths))
        raise UsageError(f"{named}: no record of a check", _RESULTS, _NAME_RESULTS)
    return results


def read(path: Path) -> list[Record]:
    """Return the records of a file, in order, or of all ``results*.jsonl`` in a folder, by name.

    A last line that a kill cut off is left out.

    Errors: UsageError if a file cannot be read, another line is not a record, or the folder holds
            no results.
    """
    found: list[Record] = []
    for file in _files_of(path):
        records, faults = _read_file(file)
        for fault in faults:
            if not fault.is_cut:
                raise fault.error
        found += records
    return found


_RESULTS = "the results of a run"
_NAME_RESULTS = "name a file that `pytest cases --report FOLDER` wrote, or its folder"


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("results*.jsonl"))
    if not files:
        raise UsageError(
            f"{path} holds no results",
            "a folder with the results of a run, files results*.jsonl",
            "name the FOLDER of `pytest cases --report FOLDER`",
        )
    return files


_TOLD = 3
"""Faults of one file that are told one by one."""


def _read_file(path: Path) -> tuple[list[Record], list[Fault]]:
    records: list[Record] = []
    faults: list[Fault] = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                found = _parsed(line, f"{path}:{number}")
                if isinstance(found, Fault):
                    faults.append(found)
                else:
                    records.append(found)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", _RESULTS, _NAME_RESULTS
        ) from None
    return records, _in_short(faults, str(path)) if records else _as_foreign(faults, str(path))


def _in_short(faults: list[Fault], path: str) -> list[Fault]:
    """The first faults, and how many more there are."""
    rest = len(faults) - _TOLD
    if rest <= 0:
        return faults
    return [*faults[:_TOLD], Fault(path, f"{rest:,} more lines are no records", _REMOVE)]


def _as_foreign(faults: list[Fault], path: str) -> list[Fault]:
    """Of a file without a record that it is none; what a kill left of one line stays that."""
    return [Fault(path, "no line is a record", _REMOVE)] if len(faults) > 1 else faults


_REMOVE = "remove the line, or run the checks again with --report"


def _parsed(line: bytes, place: str) -> Record | Fault:
    try:
        return decoded(line)
    except ValueError:  # of JSON and of UTF-8 alike
        pass
    newer = _newer_format(line)
    if newer:
        return Fault(
            place, f"a record of format {newer}", "a newer gradcheck wrote it: install that"
        )
    found = line.rstrip(b"\n")[:40].decode("utf-8", "backslashreplace")
    if not line.endswith(b"\n"):
        fix = "the check that it is of is left out; `--resume` runs what lacks a record"
        return Fault(place, f"{found!r} is cut off", fix, is_cut=True)
    return Fault(place, f"{found!r} is no record", _REMOVE)


def _newer_format(line: bytes) -> int:
    """The format of a record that a later release wrote; else 0."""
    try:
        said = json.loads(line)["format"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0
    return said if isinstance(said, int) and said > FORMAT else 0


def shorten(text: str, most: int) -> str:
    """Return the text, or its beginning and an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 4]} ..."


def _with_utf8(text: str) -> str:
    """Return a text without lone surrogates, as a user's exception may have: they have no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def in_json_types(value: Any) -> Any:
    """The same in types that JSON has; a float that it lacks becomes its name, and a complex
    number the text that a case has for it.
    """
    if isinstance(value, Mapping):
        return {str(key): in_json_types(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [in_json_types(item) for item in value]
    if isinstance(value, str):
        return _with_utf8(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, complex):
        return format_number(value)
    number = float(value)
    return number if math.isfinite(number) else repr(number)


@cache
def _platform() -> str:
    return platform.platform()
