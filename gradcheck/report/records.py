"""Results as lines of JSON: made, written as they end, read again. A record is all that is kept.

Each run has a file of its own, so that no run overwrites another's.
"""

from __future__ import annotations

import errno
import json
import math
import os
import platform
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from gradcheck.answer import Outcome, RunOptions
from gradcheck.errors import UsageError
from gradcheck.methods import METHODS
from gradcheck.report.failure_text import format_number

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


_FLOATS = ("ulps", "relative", "got", "seconds")
"""The fields that may be infinite or NaN, which JSON holds as text."""


def record(check: Check, outcome: Outcome, facts: RunFacts) -> Record:
    """Return what is kept of a check."""
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
    )


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
    """Return the record that a line of JSON holds.

    Errors: ValueError for any other text.
    """
    value = json.loads(line)
    if not isinstance(value, dict) or value.pop("format", None) != FORMAT:
        raise ValueError(f"no record of format {FORMAT}")
    try:
        floats = {name: value[name] and float(value[name]) for name in _FLOATS}
        return Record(**{**value, **floats})
    except (KeyError, TypeError) as error:
        raise ValueError(str(error)) from None


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


def read(path: Path) -> list[Record]:
    """Return the records of a file, in order, or of all ``results*.jsonl`` in a folder, by name.

    A last line that a kill cut off is left out.

    Errors: UsageError if a file cannot be read, another line is not a record, or the folder holds
            no results.
    """
    if not path.is_dir():
        return _read_file(path)
    files = sorted(path.glob("results*.jsonl"))
    if not files:
        raise UsageError(
            f"{path} holds no results",
            "a folder with the results of a run",
            "name the FOLDER of `pytest cases --report FOLDER`",
        )
    return [record for file in files for record in _read_file(file)]


def _read_file(path: Path) -> list[Record]:
    try:
        *lines, rest = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}",
            "the results of a run",
            "name a file that `pytest cases --report FOLDER` wrote, or its folder",
        ) from None
    records = [_parsed(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]
    try:
        return [*records, _parsed(rest, str(path))]
    except UsageError:
        return records


def _parsed(line: bytes, place: str) -> Record:
    with suppress(ValueError):  # of JSON and of UTF-8 alike
        return decoded(line)
    found = line[:40].decode("utf-8", "backslashreplace")
    raise UsageError(
        f"{place}: {found!r} is no record",
        f"a JSON object with format {FORMAT}",
        "remove the line, or run the checks again with --report",
    )


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
