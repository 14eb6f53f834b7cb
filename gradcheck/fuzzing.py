"""Random functions put to every witness until time is up; each failure shrunk, told and kept.

Hypothesis draws formulas through ``gradcheck.strategies`` and makes a failing one smaller; its
input is made smaller as in any check. The sequence of functions hangs on the seed alone: time says
only where it ends.
"""

from __future__ import annotations

import hashlib
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
        shape = _shape(number)
        failure = _smallest(campaign, functions(shape), f"{seed}/{number}", until)
        if failure is None:
            number += 1  # else the same functions again, now that this cause is known
            continue
        keys, check = failure
        found = _kept(campaign, keys, check)
        campaign.found.append(found)
        yield found


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


def _kept(campaign: Campaign, keys: Mapping[str, Any], check: Check) -> FuzzFailure:
    """Write the case into the folder, whole or not at all."""
    text = _as_yaml(keys)
    name = hashlib.sha256(text.encode()).hexdigest()[:12]
    path = campaign.folder / f"fuzz-{name}.yaml"
    campaign.folder.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(text, "utf-8")
    draft.replace(path)
    cause = FuzzCause(check.witness, functions_of(check.case))
    return FuzzFailure(text, _block(check, str(path)), path, cause)


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
