"""Random functions put to every witness until time is up; each failure shrunk, told and kept.

Hypothesis draws formulas through ``gradcheck.strategies`` and makes a failing one smaller; its
input is made smaller as in any check. The sequence of functions hangs on the seed alone: time says
only where it ends.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from gradcheck.answer import Ruling, RunOptions
from gradcheck.catalog.case import Case
from gradcheck.catalog.checks import Check, plan
from gradcheck.catalog.inline import case_of, flow
from gradcheck.catalog.known_failures import KnownFailure
from gradcheck.catalog.load import load
from gradcheck.cluster import Cluster, Feed, Unit, done
from gradcheck.errors import CatalogError
from gradcheck.language.nodes import Call, Name
from gradcheck.language.torch_names import children
from gradcheck.methods import DEFAULT_WITNESSES
from gradcheck.report.failure_text import block, facts_of
from gradcheck.run import examine
from gradcheck.run.ruling import rule
from gradcheck.strategies import formulas

_SHOWN = "gradcheck fuzz"
_BATCH = 25  # functions of one seed of Hypothesis's
_POINTS = 8  # drawn at each function, by the cheapest witness
_SHAPES = ((), (), (1,), (2,), (3,), (2, 2), (2, 3), (5,), (3, 3))
"""A batch's functions are of one shape; sizes grow as long as it runs."""


@dataclass(frozen=True, slots=True)
class FuzzCause:
    """What fails alike: a witness, and the functions that the formula needs to fail.

    A formula that fails so and names all of them, and more, fails for this cause.
    """

    witness: str
    functions: frozenset[str]

    def explains(self, witness: str, functions: frozenset[str]) -> bool:
        return self.witness in ("", witness) and self.functions <= functions


@dataclass(frozen=True, slots=True)
class FuzzFailure:
    """A failure: the case as text, the block of its check, and where it is kept."""

    case: str
    block: str
    path: Path
    cause: FuzzCause


@dataclass(slots=True)
class Campaign:
    """What was looked at and found so far. State: it grows as functions are judged."""

    folder: Path
    excused: Sequence[FuzzCause]
    found: list[FuzzFailure] = field(default_factory=list)
    functions: int = 0
    known: int = 0
    mended: list[Path] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Batches over which workers died, as the seed of each."""


def functions(shape: tuple[int, ...]) -> SearchStrategy[dict[str, Any]]:
    """Return a strategy of cases of this shape, as keys: one input or two, and what they share."""
    inputs = st.sampled_from([("x",), ("x", "y")])
    return inputs.flatmap(lambda names: _functions(names, shape))


def _functions(names: tuple[str, ...], shape: tuple[int, ...]) -> SearchStrategy[dict[str, Any]]:
    declared = {name: {"domain": "(-10, 10)", "shape": list(shape)} for name in names}
    plain = formulas(*names, kinks=True, shape=shape).map(lambda text: {"formula": text})
    shared = st.builds(
        lambda part, text: {"let": {"u": part}, "formula": text},
        formulas(*names, kinks=True, shape=shape),
        formulas(*names, "u", kinks=True, shape=shape),
    )
    return st.one_of(plain, shared).map(lambda keys: {**keys, "inputs": declared})


def fuzz(campaign: Campaign, *, seed: int, until: float) -> Iterator[FuzzFailure]:
    """Yield each failure of a cause that was not there before, as it is found.

    What earlier campaigns left in the folder is looked at first. ``until`` is a moment of
    ``time.monotonic``.
    """
    yield from _replayed(campaign)
    number = 0
    while time.monotonic() < until:
        found = _of_batch(campaign, f"{seed}/{number}", _shape(number), until)
        if found is None:
            number += 1  # else the same functions again, now that this cause is known
            continue
        _keep(campaign, found)
        yield found


def fuzz_on(
    cluster: Cluster, campaign: Campaign, *, seed: int, until: float
) -> Iterator[FuzzFailure]:
    """As ``fuzz``, the batches of functions by the workers of a cluster, several at once.

    Which functions come hangs on the seed alone; which of two failures of one cause is told, on who
    is first. A batch over which workers die is told as lost. Errors: as ``gradcheck.cluster.done``.
    """
    yield from _replayed(campaign)
    again: list[int] = []
    numbers = itertools.count()

    def batches() -> Iterator[Unit]:
        while time.monotonic() < until:
            yield _batch(campaign, seed, again.pop() if again else next(numbers), until)

    for each in done(cluster, "gradcheck.fuzzing:look_at_batch", [Feed(batches())]):
        number, answer = each.unit["number"], each.answer
        if answer is None:
            campaign.lost.append(f"{seed}/{number}")
            continue
        campaign.functions += answer["functions"]
        campaign.known += answer["known"]
        if answer["found"] is None:
            continue
        again.append(number)  # there may be another cause behind this one
        found = _failure_of(answer["found"])
        if any(each.cause.explains(found.cause.witness, found.cause.functions)
               for each in campaign.found):  # fmt: skip
            campaign.known += 1  # another batch was first
            continue
        _keep(campaign, found)
        yield found


def _batch(campaign: Campaign, seed: int, number: int, until: float) -> Unit:
    causes = [*campaign.excused, *(each.cause for each in campaign.found)]
    return {
        "seed": seed,
        "number": number,
        "folder": str(campaign.folder),
        "causes": [[cause.witness, sorted(cause.functions)] for cause in causes],
        "until": time.time() + until - time.monotonic(),
    }


def look_at_batch(unit: Unit) -> dict[str, Any]:
    """On a worker: look at a batch of functions, and return what was found, as plain data."""
    causes = [FuzzCause(witness, frozenset(names)) for witness, names in unit["causes"]]
    campaign = Campaign(Path(unit["folder"]), causes)
    number = unit["number"]
    until = time.monotonic() + unit["until"] - time.time()
    found = _of_batch(campaign, f"{unit['seed']}/{number}", _shape(number), until)
    told = None
    if found is not None:
        cause = [found.cause.witness, sorted(found.cause.functions)]
        told = {"case": found.case, "block": found.block, "path": str(found.path), "cause": cause}
    return {"functions": campaign.functions, "known": campaign.known, "found": told}


def _failure_of(told: Mapping[str, Any]) -> FuzzFailure:
    witness, names = told["cause"]
    cause = FuzzCause(witness, frozenset(names))
    return FuzzFailure(told["case"], told["block"], Path(told["path"]), cause)


def _of_batch(
    campaign: Campaign, seed: str, shape: tuple[int, ...], until: float
) -> FuzzFailure | None:
    """The smallest failing function of a batch, told; None where none fails."""
    failure = _smallest(campaign, functions(shape), seed, until)
    return None if failure is None else _told(campaign, *failure)


def _shape(number: int) -> tuple[int, ...]:
    growth = number // len(_SHAPES)
    return tuple(length + growth for length in _SHAPES[number % len(_SHAPES)])


def _replayed(campaign: Campaign) -> Iterator[FuzzFailure]:
    for path in sorted(campaign.folder.glob("*.yaml")):
        for case in load(path):
            check = failing(campaign, case, again=True)
            if check is None:
                campaign.mended.append(path)
                continue
            cause = FuzzCause(check.witness, functions_of(case))
            found = FuzzFailure(path.read_text("utf-8"), _block(check, str(path)), path, cause)
            campaign.found.append(found)
            yield found


def _smallest(
    campaign: Campaign, cases: SearchStrategy[dict[str, Any]], seed: str, until: float
) -> tuple[dict[str, Any], Check] | None:
    """The smallest failing function of a batch, and the check that fails; None where none does."""
    smallest: list[tuple[dict[str, Any], Check]] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=_BATCH,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @hypothesis.given(cases)
    def every_witness_agrees(keys: dict[str, Any]) -> None:
        if time.monotonic() > until:
            return
        case = _case(keys)
        check = None if case is None else failing(campaign, case)
        if check is not None:
            smallest[:] = [(keys, check)]
            raise _Failed

    try:
        every_witness_agrees()
    except (_Failed, hypothesis.errors.Flaky):  # flaky: time ran out between two calls
        return smallest[0]
    return None


class _Failed(Exception):
    """A witness disagrees; Hypothesis makes the function smaller."""


def _case(keys: Mapping[str, Any]) -> Case | None:
    try:
        return case_of(keys, shown=_SHOWN, labels={})
    except CatalogError:  # a formula of constants that has no value, or is too large
        return None


def failing(campaign: Campaign, case: Case, *, again: bool = False) -> Check | None:
    """The first check of the case that disagrees, for no cause that is known; None if none."""
    campaign.functions += 1
    named = functions_of(case)
    checks = plan([case], devices=("cpu",), dtypes=(), witnesses=DEFAULT_WITNESSES)
    causes = [*campaign.excused, *(each.cause for each in campaign.found if not again)]
    for check in checks:
        if rule(check, RunOptions(points=_POINTS)).verdict is not Ruling.DISAGREE:
            continue
        if not any(cause.explains(check.witness, named) for cause in causes):
            return check
        campaign.known += 1
    return None


def _told(campaign: Campaign, keys: Mapping[str, Any], check: Check) -> FuzzFailure:
    text = _as_yaml(keys)
    name = hashlib.sha256(text.encode()).hexdigest()[:12]
    path = campaign.folder / f"fuzz-{name}.yaml"
    cause = FuzzCause(check.witness, functions_of(check.case))
    return FuzzFailure(text, _block(check, str(path)), path, cause)


def _keep(campaign: Campaign, found: FuzzFailure) -> None:
    """Write the case into the folder, whole or not at all."""
    campaign.folder.mkdir(parents=True, exist_ok=True)
    draft = found.path.with_suffix(f".{os.getpid()}")
    draft.write_text(found.case, "utf-8")
    draft.replace(found.path)
    campaign.found.append(found)


def _as_yaml(keys: Mapping[str, Any]) -> str:
    lines = (f"  {key}: {flow(value)}\n" for key, value in keys.items())
    return f"found_by_fuzz:\n{''.join(lines)}"


def _block(check: Check, path: str) -> str:
    return block(facts_of(check, path, f"gradcheck run {json.dumps(path)}"),
                 examine(check, RunOptions(points=_POINTS)))  # fmt: skip


def functions_of(case: Case) -> frozenset[str]:
    """The functions that the formula and its intermediate results name."""
    trees = case.formula.values() if isinstance(case.formula, dict) else [case.formula]
    return frozenset(
        name for tree in (*trees, *case.lets.values()) if tree is not None for name in _called(tree)
    )


def _called(tree: object) -> Iterator[str]:
    if isinstance(tree, Call) and isinstance(tree.function, Name):
        yield tree.function.name
    for below in children(tree):
        yield from _called(below)


def excused_by(known: Sequence[KnownFailure], cases: Sequence[Case]) -> tuple[FuzzCause, ...]:
    """The causes that known failures tell of: those of cases that name one function alone.

    Whatever the witness: a value that is wrong is a derivative that is wrong of another function.
    """
    by_name = {(Path(case.where.path).name, case.name): functions_of(case) for case in cases}
    named = {by_name.get((each.file, each.case), frozenset()) for each in known}
    return tuple(FuzzCause("", functions) for functions in named if len(functions) == 1)
