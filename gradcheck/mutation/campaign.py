"""A campaign of planted faults: which, in which cases, and who noticed each.

Which mutants there are hangs on the seed alone; each ends with a result, which is kept as it ends.
"""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradcheck.answer import Ruling, RunOptions
from gradcheck.catalog.case import Case, Implementation, Variant
from gradcheck.catalog.checks import plan
from gradcheck.dtypes import DTYPES
from gradcheck.errors import UsageError
from gradcheck.implementations.subject import subject_of
from gradcheck.methods import DEFAULT_WITNESSES, WITNESSES
from gradcheck.mutation.equivalence import certified_reason, proof, stands, widened, within_rounding
from gradcheck.mutation.kinds import NEEDED, TWIN, FaultKind, FaultPlace
from gradcheck.mutation.planting import Mutant, Strikes
from gradcheck.mutation.rivals import RIVAL_POINTS, RivalTrial, convicting
from gradcheck.points.generate import generate
from gradcheck.run.ruling import rule

KILLED, SURVIVED, EQUIVALENT, WITHIN, ALARM, ACQUITTED = (
    "killed", "survived", "equivalent", "within rounding", "alarm", "acquitted",
)  # fmt: skip
_FEW = 4  # points, the first of all, at which most mutants are convicted
_FILE = "mutants.jsonl"
_PLACES_FIRST = {
    FaultPlace.JVP: "forward", FaultPlace.SECOND: "second", FaultPlace.CALL: "contract",
    FaultPlace.COTANGENT: "contract", FaultPlace.COMPILED: "compiled",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MutationOptions:
    """What every mutant of a campaign has in common.

    ``cases`` and ``each`` are how many are drawn, of cases and of the kinds in each, 0 for all;
    ``entries`` is how many an input must have. ``every_witness`` asks those that follow the first
    that convicts too. The witness `compiled` is asked about what strikes only there.
    """

    kinds: tuple[FaultKind, ...]
    dtype: str = "float64"
    points: int = 64
    seed: int = 0
    cases: int = 8
    each: int = 16
    entries: int = 0
    every_witness: bool = False
    witnesses: tuple[str, ...] = DEFAULT_WITNESSES


@dataclass(frozen=True, slots=True)
class MutantResult:
    """How one mutant ended.

    ``killed_by`` are the witnesses that convict, of those that were ``asked``; ``cause`` says of a
    survivor what numbers tell, of an equivalent mutant why it is, and else what is wrong.
    ``silent`` are the witnesses that have nothing to say of a twin. ``rivals`` says who else
    convicts; those that convict the twin too are left out.
    """

    case: str
    kind: str
    group: str
    place: str
    dtype: str
    outcome: str
    asked: tuple[str, ...] = ()
    killed_by: tuple[str, ...] = ()
    cause: str = ""
    silent: tuple[str, ...] = ()
    rivals: Mapping[str, bool] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def is_bad(self) -> bool:
        """Whether a fault went unnoticed, or right code was convicted."""
        return self.outcome in (SURVIVED, ALARM)


def mutant_result_of(told: Mapping[str, Any]) -> MutantResult:
    """A result from plain data, where tuples are lists."""
    record: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in told.items()
    }
    return MutantResult(**record)


@dataclass(frozen=True, slots=True, eq=False)
class PlantedIn:
    """A case with the kinds that are planted in it; those that are settled by proof are results."""

    case: Case
    dtype: str
    kinds: tuple[FaultKind, ...]
    settled: tuple[MutantResult, ...]

    @property
    def variant(self) -> Variant:
        return self.case.variants[0]


def case_id(case: Case) -> str:
    """``elementary.yaml::sine``."""
    return f"{PurePath(case.where.path).name}::{case.name}"


def drawn_mutants(
    cases: Sequence[Case], known: frozenset[str], options: MutationOptions
) -> list[PlantedIn]:
    """Return what is planted where: PyTorch's own code, in cases that no known failure is about.

    ``known`` are the ids of those.
    """
    of_pytorch = [each for each in cases if not each.implementations[0].is_own_code]
    found: list[PlantedIn] = []
    for case in sorted(of_pytorch, key=lambda each: _rank(options.seed, case_id(each))):
        dtype = _dtype_of(case, options.dtype)
        sizes = [math.prod(each.shape) for each in case.variants[0].inputs]
        if case_id(case) in known or dtype is None or max(sizes) < options.entries:
            continue
        planted = _planted(case, dtype, options)
        if planted.kinds or planted.settled:
            found.append(planted)
        if len(found) == options.cases:
            break
    return found


def _rank(*parts: object) -> int:
    return zlib.crc32("/".join(map(str, parts)).encode())


def _dtype_of(case: Case, dtype: str) -> str | None:
    """The dtype, or the complex one that has it as parts, if the case runs in it."""
    has = (*case.dtypes, *case.on_request)
    alike = [dtype, *(each.name for each in DTYPES.values() if each.parts == dtype)]
    return next((each for each in alike if each in has), None)


def _planted(case: Case, dtype: str, options: MutationOptions) -> PlantedIn:
    variant, format_ = case.variants[0], DTYPES[dtype]
    kinds: list[FaultKind] = []
    settled: list[MutantResult] = []
    standing = [kind for kind in options.kinds if stands(kind, case, variant)]
    for kind in sorted(standing, key=lambda each: _rank(options.seed, case_id(case), each.name)):
        if options.each and len(kinds) == options.each:
            break
        for outcome, why in (
            (EQUIVALENT, proof(kind, variant, format_)),
            (WITHIN, within_rounding(kind, format_)),
        ):
            if why:
                settled.append(_result(case, dtype, kind, outcome, cause=why))
                break
        else:
            kinds.append(kind)
    return PlantedIn(case, dtype, tuple(kinds), tuple(settled))


def _result(case: Case, dtype: str, kind: FaultKind, outcome: str, **facts: Any) -> MutantResult:
    return MutantResult(
        case_id(case), kind.name, kind.group, str(kind.place), dtype, outcome, **facts
    )


def results(
    planted: Sequence[PlantedIn], options: MutationOptions, kept: KeptResults
) -> Iterator[MutantResult]:
    """Yield each result as it ends: of each case the twin's, then those of its mutants.

    Where the twin is convicted nothing is planted.
    """
    for each in planted:
        trials = _Trials(each, options)
        twin = kept.or_new(each, TWIN, trials.twin)
        if twin is None:
            continue
        yield twin
        if twin.outcome == ALARM:
            continue
        yield from each.settled
        for kind in trials.plantable(twin):
            found = kept.or_new(each, kind, partial(trials.mutant, kind, twin))
            if found is not None:
                yield found


class _Trials:
    """The trials of one case. State: what its mutants share is made once."""

    def __init__(self, planted: PlantedIn, options: MutationOptions) -> None:
        self.planted, self.options = planted, options
        self._subjects: dict[str, Any] = {}
        widths = widened(planted.variant)
        self._wide = widths if self._takes(widths) else [None] * len(widths)

    def plantable(self, twin: MutantResult) -> list[FaultKind]:
        """The kinds that the code can have.

        Without those of broadcast inputs where it takes none that are wide, and of derivatives
        that PyTorch lacks there.
        """
        takes_wide = any(self._wide)
        return [
            kind for kind in self.planted.kinds
            if (takes_wide or kind.place is not FaultPlace.REDUCTION)
            and NEEDED[kind.place] not in twin.silent
        ]  # fmt: skip

    def twin(self) -> MutantResult:
        began = time.monotonic()
        subject = self._of(TWIN, Strikes())
        needed = {NEEDED[kind.place] for kind in self.planted.kinds}
        witnesses = [each for each in WITNESSES if each in needed | {*self.options.witnesses}]
        found = self._rulings(TWIN, subject, witnesses, self.options.points)
        alarms = _convicted_by(found)
        cause = "; ".join(f"{name}: {found[name][1]}" for name in alarms)
        silent = tuple(name for name, (ruling, _) in found.items() if ruling is Ruling.ABSTAIN)
        return _result(
            self.planted.case, self.planted.dtype, TWIN, ALARM if alarms else ACQUITTED,
            asked=tuple(found), killed_by=alarms, cause=cause, silent=silent,
            rivals=self._rivals(TWIN), seconds=round(time.monotonic() - began, 2),
        )  # fmt: skip

    def mutant(self, kind: FaultKind, twin: MutantResult) -> MutantResult:
        began = time.monotonic()
        case, dtype = self.planted.case, self.planted.dtype
        strikes = Strikes()
        asked, killed_by, worst = self._judged(kind, strikes)
        outcome, cause = SURVIVED, _cause(strikes, worst, dtype)
        if killed_by:
            outcome, cause = KILLED, worst[killed_by[0]][1]
        if not killed_by:
            why = certified_reason(
                kind, self.planted.variant, DTYPES[dtype], self.options.seed,
                is_passed=strikes.calls > 0,
            )  # fmt: skip
            outcome, cause = (EQUIVALENT, why) if why else (outcome, cause)
        rivals = {
            name: convicts
            for name, convicts in (self._rivals(kind) if outcome != EQUIVALENT else {}).items()
            if not twin.rivals.get(name, True)
        }
        seconds = round(time.monotonic() - began, 2)
        return _result(case, dtype, kind, outcome, asked=asked, killed_by=killed_by, cause=cause,
                       rivals=rivals, seconds=seconds)  # fmt: skip

    def _judged(
        self, kind: FaultKind, strikes: Strikes
    ) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, tuple[Ruling, str]]]:
        """Who was asked, who convicts, and what was ruled: first at few points, then at all."""
        first = _PLACES_FIRST.get(kind.place, "reverse")
        others = [name for name in self.options.witnesses if name not in (first, "value")]
        others.sort(key="functional".__eq__)  # it costs most
        asked = [first] if first in (*self.options.witnesses, "compiled") else []
        witnesses = asked if kind.place is FaultPlace.COMPILED else [*asked, *others]
        found: dict[str, tuple[Ruling, str]] = {}
        for points in sorted({min(_FEW, self.options.points), self.options.points}):
            for witness in witnesses:
                killed = _convicted_by(found)
                if witness in killed or (killed and not self.options.every_witness):
                    continue
                found |= self._rulings(kind, self._of(kind, strikes), [witness], points)
        return tuple(found), _convicted_by(found), found

    def _rulings(
        self, kind: FaultKind, subject: Mutant, witnesses: Sequence[str], points: int
    ) -> dict[str, tuple[Ruling, str]]:
        """The ruling and its reason by each witness that the case has, and is not without."""
        case = self.planted.case
        witnesses = [each for each in witnesses if each not in case.without]

        def mutant(*inputs: Tensor) -> Any:
            return subject(*inputs)

        own = Implementation(text=f"{case.name} ({kind.name})", where=case.where, given=mutant)
        changed = replace(case, implementations=(own,), variants=(self.planted.variant,))
        checks = plan(
            [changed], devices=("cpu",), dtypes=(self.planted.dtype,), witnesses=witnesses
        )
        run_options = RunOptions(points=points, seed=self.options.seed)
        outcomes = {check.witness: rule(check, run_options) for check in checks}
        return {name: (each.verdict, each.reason) for name, each in outcomes.items()}

    def _of(self, kind: FaultKind, strikes: Strikes) -> Mutant:
        return Mutant(self.right, kind, strikes, tuple(self._wide))

    def right(self, *inputs: Tensor) -> Any:
        """The case's own implementation, in the dtype that it is called in."""
        dtype = str(inputs[0].dtype).removeprefix("torch.")
        if dtype not in DTYPES or DTYPES[self.planted.dtype].parts == dtype:
            dtype = self.planted.dtype  # an index, or a real input beside complex ones
        if dtype not in self._subjects:
            case = self.planted.case
            self._subjects[dtype] = subject_of(
                case, self.planted.variant, case.implementations[0], dtype, "cpu"
            )
        return self._subjects[dtype](*inputs)

    def _takes(self, widths: Sequence[torch.Size | None]) -> bool:
        """Whether the code gives the same for inputs that are widened before."""
        inputs = self._points(1)
        if not inputs or not any(widths):
            return False
        wide = [x if w is None else x.expand(w) for x, w in zip(inputs[0], widths, strict=True)]
        try:
            pairs = zip(_tensors(self.right(*inputs[0])), _tensors(self.right(*wide)), strict=True)
            return all(
                a.shape == b.shape and torch.allclose(a, b, equal_nan=True) for a, b in pairs
            )
        except (RuntimeError, IndexError, ValueError, TypeError):
            return False

    def _points(self, count: int) -> list[tuple[Tensor, ...]]:
        """Ordinary inputs."""
        variant, dtype = self.planted.variant, DTYPES[self.planted.dtype]
        points = generate(variant.inputs, "bulk", self.options.seed, count, dtype)
        rows = [points[each.name] for each in variant.inputs]
        return [
            tuple(_tensor(row[k], dtype.name, dtype.real) for row in rows)
            for k in range(len(rows[0]))
        ]

    def _rivals(self, kind: FaultKind) -> dict[str, bool]:
        case = self.planted.case
        subject = self._of(kind, Strikes())
        return convicting(RivalTrial(
            lambda *inputs: _tensors(subject(*inputs)),
            lambda *inputs: _tensors(self.right(*inputs)),
            self._points(RIVAL_POINTS), min(case.order, 2) if "second" not in case.without else 1,
            "forward" not in case.without,
        ))  # fmt: skip


def _convicted_by(found: Mapping[str, tuple[Ruling, str]]) -> tuple[str, ...]:
    return tuple(name for name, (ruling, _) in found.items() if ruling is Ruling.DISAGREE)


def _tensor(numbers: Any, dtype: str, real: str) -> Tensor:
    kind = dtype if np.iscomplexobj(numbers) else real
    return torch.tensor(numbers, dtype=getattr(torch, kind))


def _tensors(result: Any) -> tuple[Tensor, ...]:
    """The outputs that have derivatives."""
    several = result if isinstance(result, list | tuple) else [result]
    return tuple(
        each for each in several
        if isinstance(each, Tensor) and (each.is_floating_point() or each.is_complex())
    )  # fmt: skip


def _cause(strikes: Strikes, found: Mapping[str, tuple[Ruling, str]], dtype: str) -> str:
    """What numbers say of why nobody convicts."""
    if not strikes.calls:
        return "the call in which it strikes was never made"
    if not strikes.changed:
        return f"it never struck: passed {strikes.calls} times, it changed no number"
    ulps = strikes.largest / (2 * DTYPES[dtype].unit_roundoff)
    size = f"by at most {strikes.largest:.2g} of the largest of their array ({ulps:.2g} ulps)"
    ruled = [name for name, (ruling, _) in found.items() if ruling is Ruling.INACCURATE]
    told = f"; inaccurate by {', '.join(ruled)}" if ruled else ""
    return f"it changed {strikes.changed} numbers, {size}{told}"


class KeptResults:
    """Results in a folder, one line each, written as they end. State: the file grows.

    Without a folder nothing is kept. Of an earlier campaign with the same settings, results are
    taken over. After ``until``, a moment of ``time.monotonic``, there are no new ones.
    ``begin`` is told the case and the kind of each new one, when it is begun.
    """

    def __init__(
        self,
        folder: Path | None,
        options: MutationOptions,
        until: float = math.inf,
        begin: Callable[[str], object] = lambda name: None,
    ) -> None:
        self._until, self._begin = until, begin
        self._path = None if folder is None else folder / _FILE
        common = {key: value for key, value in asdict(options).items() if key in _COMMON}
        common["witnesses"] = list(options.witnesses)  # as JSON has it
        self._settings = {**common, "torch": torch.__version__}
        self._found: dict[tuple[str, str, str], MutantResult] = {}
        if self._path is not None:
            self._read(self._path)

    def _read(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_text("utf-8").splitlines() if path.exists() else []
            path.touch()
        except OSError as error:
            raise UsageError(
                f"--report {path.parent}: {error.strerror}",
                "a folder that can be written",
                "name another folder",
            ) from None
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:  # cut off by a kill
                continue
            if record.pop("settings", None) == self._settings:
                found = mutant_result_of(record)
                self._found[found.case, found.kind, found.dtype] = found

    @property
    def seconds_left(self) -> float | None:
        """Until there are no new results; None where there is no limit."""
        return None if math.isinf(self._until) else self._until - time.monotonic()

    def of(self, planted: PlantedIn) -> list[MutantResult]:
        """What is kept of a case's twin and its mutants."""
        keys = [
            (case_id(planted.case), kind.name, planted.dtype) for kind in (TWIN, *planted.kinds)
        ]
        return [self._found[key] for key in keys if key in self._found]

    def or_new(
        self, planted: PlantedIn, kind: FaultKind, make: Callable[[], MutantResult]
    ) -> MutantResult | None:
        """The result that is kept, or a new one, which is; None where time is up."""
        key = case_id(planted.case), kind.name, planted.dtype
        if key in self._found:
            return self._found[key]
        if time.monotonic() > self._until:
            return None
        self._begin(f"{key[0]}, {key[1]}")
        return self.keep(make())

    def keep(self, found: MutantResult) -> MutantResult:
        """The result, which is written unless it was before."""
        key = found.case, found.kind, found.dtype
        if key not in self._found and self._path is not None:
            line = json.dumps({**asdict(found), "settings": self._settings}, ensure_ascii=False)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        self._found[key] = found
        return found


_COMMON = ("points", "seed", "every_witness", "witnesses")
