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
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import hypothesis
import torch
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from gradcheck.answer import NOTHING_JUDGED, Ruling, RunOptions
from gradcheck.catalog.case import Case, Implementation
from gradcheck.catalog.checks import Check, plan
from gradcheck.catalog.inline import case_of, flow
from gradcheck.catalog.known_failures import KnownFailure
from gradcheck.catalog.load import load
from gradcheck.cluster import Cluster, Feed, Unit, done
from gradcheck.diagnosis import examine
from gradcheck.dtypes import DTYPES
from gradcheck.errors import CatalogError
from gradcheck.language.nodes import (
    Binary,
    Call,
    Comparison,
    Comprehension,
    Name,
    Subscript,
    Unary,
    whole_name,
)
from gradcheck.language.nodes import Literal as Constant
from gradcheck.language.torch_names import children
from gradcheck.methods import DEFAULT_WITNESSES, METHODS
from gradcheck.ops.table import OPERATORS
from gradcheck.report.failure_text import block, facts_of
from gradcheck.report.progress import Display, Progress, Unshown
from gradcheck.run.ruling import rule
from gradcheck.strategies import formulas

_SHOWN = "gradcheck fuzz"
_BATCH = 40  # functions of one seed of Hypothesis's
_POINTS = 8  # drawn at each function, by the cheapest witness
_SHAPES = ((), (), (1,), (2,), (3,), (2, 2), (2, 3), (5,), (3, 3), (2, 1, 2))
_LEAVES = 5
"""A batch's functions are of one shape; sizes grow as long as it runs."""
_DOMAINS = {"real": "(-10, 10)", "complex": "|z| < 4"}
_TURNS: tuple[Literal["real", "complex"], ...] = ("real", "real", "complex")
_SHRINKING = 60.0  # seconds beyond the end in which what was found is made small
_WORST_FIRST = ("known", "abstain", "inaccurate")


@dataclass(frozen=True, slots=True)
class FuzzCause:
    """What fails alike: a witness, and the functions and operators that a formula needs to fail.

    A formula that fails so and names all of them, and more, fails for this cause; and so does one
    of whose derivatives this is one: a value that is wrong is a gradient that is wrong of others.
    """

    witness: str
    functions: frozenset[str]

    def explains(self, witness: str, functions: frozenset[str]) -> bool:
        of_it = METHODS[self.witness].order < METHODS[witness].order
        needed = self.functions <= functions if self.functions else not functions
        return needed and (of_it or self.witness == witness)


@dataclass(frozen=True, slots=True)
class FuzzFailure:
    """A failure: the case as text, the block of its check, and where it is kept."""

    case: str
    block: str
    path: Path
    cause: FuzzCause


@dataclass(slots=True)
class Campaign:
    """What was looked at and found so far. State: it grows as functions are judged.

    ``dtypes`` are those in which functions are looked at; those that each has where there are none.
    ``progress`` counts functions by how they ended: `refused` are texts that are no case, such as
    one that divides by the constant 0, and `known` what fails for a cause that is known.
    ``silent`` counts the checks that abstain, and what is refused, by the reason.
    """

    folder: Path
    excused: Sequence[FuzzCause]
    dtypes: tuple[str, ...] = ()
    found: list[FuzzFailure] = field(default_factory=list)
    progress: Progress = field(default_factory=lambda: Progress("functions"))
    display: Display = field(default_factory=Unshown)
    checks: int = 0
    silent: Counter[str] = field(default_factory=Counter)
    mended: list[Path] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Batches over which workers died, as the seed of each."""
    passed: set[str] = field(default_factory=set)
    """The functions that were looked at in vain, and are not looked at again."""

    @property
    def causes(self) -> list[FuzzCause]:
        return [*self.excused, *(each.cause for each in self.found)]

    def count(self, verdict: str, number: int = 1) -> None:
        self.progress.add(verdict, number)
        self.display.show()


@dataclass(frozen=True, slots=True)
class FunctionKind:
    """What the functions of a batch have in common: their shape, domain, and largest size."""

    shape: tuple[int, ...]
    domain: Literal["real", "complex"]
    leaves: int = _LEAVES


def functions(kind: FunctionKind) -> SearchStrategy[dict[str, Any]]:
    """Return a strategy of cases as keys: one input or two, what they share, an output or two."""
    alone = st.just({"x": kind.shape})
    ones = (1,) * len(kind.shape)
    both = st.sampled_from([kind.shape, (), ones]).map(lambda y: {"x": kind.shape, "y": y})
    return (alone | both).flatmap(lambda shapes: _functions(shapes, kind))


def _functions(
    shapes: Mapping[str, tuple[int, ...]], kind: FunctionKind
) -> SearchStrategy[dict[str, Any]]:
    def drawn(*names: str) -> SearchStrategy[str]:
        return formulas(
            *names, kinks=True, domain=kind.domain, shape=kind.shape, leaves=kind.leaves
        )

    one, shared = drawn(*shapes), drawn(*shapes, "u")
    plain = one.map(lambda text: {"formula": text})
    sharing = st.builds(lambda part, text: {"let": {"u": part}, "formula": text}, one, shared)
    several = st.builds(lambda a, b: {"formula": {"first": a, "second": b}}, one, one)
    declared = {
        name: {"domain": _DOMAINS[kind.domain], "shape": list(shape)}
        for name, shape in shapes.items()
    }
    return st.one_of(plain, sharing, several).map(lambda keys: {**keys, "inputs": declared})


def fuzz(campaign: Campaign, *, seed: int, until: float) -> Iterator[FuzzFailure]:
    """Yield each failure of a cause that was not there before, as it is found.

    What earlier campaigns left in the folder is looked at first. ``until`` is a moment of
    ``time.monotonic``.
    """
    yield from _replayed(campaign)
    number = 0
    while time.monotonic() < until:
        found = _of_batch(campaign, seed, number, until)
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
        _add(campaign, answer)
        if answer["found"] is None:
            continue
        again.append(number)  # there may be another cause behind this one
        found = _failure_of(answer["found"])
        if _is_known(found.cause, campaign.causes):
            campaign.count("known")  # another batch was first
            continue
        _keep(campaign, found)
        yield found


def _batch(campaign: Campaign, seed: int, number: int, until: float) -> Unit:
    return {
        "seed": seed,
        "number": number,
        "folder": str(campaign.folder),
        "dtypes": list(campaign.dtypes),
        "causes": [[cause.witness, sorted(cause.functions)] for cause in campaign.causes],
        "until": time.time() + until - time.monotonic(),
    }


def look_at_batch(unit: Unit) -> dict[str, Any]:
    """On a worker: look at a batch of functions, and return what was found, as plain data."""
    causes = [FuzzCause(witness, frozenset(names)) for witness, names in unit["causes"]]
    campaign = Campaign(Path(unit["folder"]), causes, tuple(unit["dtypes"]))
    until = time.monotonic() + unit["until"] - time.time()
    found = _of_batch(campaign, unit["seed"], unit["number"], until)
    told = None
    if found is not None:
        cause = [found.cause.witness, sorted(found.cause.functions)]
        told = {"case": found.case, "block": found.block, "path": str(found.path), "cause": cause}
    return {
        "counts": dict(campaign.progress.found),
        "checks": campaign.checks,
        "silent": dict(campaign.silent),
        "found": told,
    }


def _add(campaign: Campaign, answer: Mapping[str, Any]) -> None:
    """Count what a worker has looked at."""
    campaign.checks += answer["checks"]
    campaign.silent.update(answer["silent"])
    for verdict, number in answer["counts"].items():
        campaign.count(verdict, number)


def _failure_of(told: Mapping[str, Any]) -> FuzzFailure:
    witness, names = told["cause"]
    cause = FuzzCause(witness, frozenset(names))
    return FuzzFailure(told["case"], told["block"], Path(told["path"]), cause)


def _of_batch(campaign: Campaign, seed: int, number: int, until: float) -> FuzzFailure | None:
    """The smallest failing function of a batch, told; None where none fails."""
    kind = _kind(number, campaign.dtypes)
    failure = _smallest(campaign, functions(kind), f"{seed}/{number}", until)
    found = None if failure is None else _told(campaign, *failure)
    campaign.progress.running.clear()
    return found


def _kind(number: int, dtypes: Sequence[str]) -> FunctionKind:
    """The kind of a batch: one in three is of complex numbers, where the dtypes let it."""
    domains = [each for each in _TURNS
               if not dtypes or any(DTYPES[name].is_complex == (each == "complex")
                                    for name in dtypes)]  # fmt: skip
    growth = number // len(_SHAPES)
    shape = tuple(length + growth for length in _SHAPES[number % len(_SHAPES)])
    return FunctionKind(shape, domains[number % len(domains)], _LEAVES + growth)


def _replayed(campaign: Campaign) -> Iterator[FuzzFailure]:
    for path in sorted(campaign.folder.glob("*.yaml")):
        for case in load(path):
            campaign.progress.start_alone(f"again: {path.name}")
            check = failing(campaign, _checks(campaign, case), ())
            if check is None:
                campaign.mended.append(path)
                continue
            told = _block(check, str(path))
            found = FuzzFailure(path.read_text("utf-8"), told, path, _cause_of(check))
            campaign.found.append(found)
            yield found


def _smallest(
    campaign: Campaign, cases: SearchStrategy[dict[str, Any]], seed: str, until: float
) -> tuple[dict[str, Any], Check] | None:
    """The smallest failing function of a batch, and the check that fails; None where none does.

    Once one has failed, those that are smaller are asked about by the same witness alone.
    """
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
        if time.monotonic() > until + (_SHRINKING if smallest else 0):
            return
        check = (
            _failing_again(campaign, keys, smallest[0][1]) if smallest else _first(campaign, keys)
        )
        if check is not None:
            smallest[:] = [(keys, check)]
            campaign.progress.start_alone(f"made smaller: {_spelled(keys)}")
            raise _Failed

    try:
        every_witness_agrees()
    except (_Failed, hypothesis.errors.Flaky):  # flaky: time ran out between two calls
        return smallest[0]
    return None


class _Failed(Exception):
    """A witness disagrees; Hypothesis makes the function smaller."""


def _first(campaign: Campaign, keys: Mapping[str, Any]) -> Check | None:
    """The first check of a function that fails, if it was not looked at before."""
    text = json.dumps(keys)
    if text in campaign.passed:
        return None
    campaign.progress.start(_spelled(keys))
    try:
        check = failing(campaign, _checks(campaign, _case(keys)), campaign.causes)
    except CatalogError as error:  # a formula of constants that has no value, or is too large
        campaign.silent[f"refused: {error.problems[0].found}"] += 1
        campaign.count("refused")
        check = None
    if check is None:
        campaign.passed.add(text)
    campaign.progress.running.clear()
    return check


def _spelled(keys: Mapping[str, Any]) -> str:
    """A function as the terminal's line shows it: ``abs(x) + u, u = x + x``."""
    formula, lets = keys["formula"], keys.get("let", {})
    outputs = formula if isinstance(formula, Mapping) else {"": formula}
    named = [*outputs.items(), *lets.items()]
    return ", ".join(f"{name} = {text}" if name else str(text) for name, text in named)


def _failing_again(campaign: Campaign, keys: Mapping[str, Any], before: Check) -> Check | None:
    """The check of a smaller function that fails as one before it did."""
    try:
        checks = _checks(campaign, _case(keys))
    except CatalogError:
        return None
    for check in checks:
        if (check.witness, check.dtype) != (before.witness, before.dtype):
            continue
        if _ruled(check)[0] is Ruling.DISAGREE and not _is_known(_cause_of(check), campaign.causes):
            return check
    return None


def _case(keys: Mapping[str, Any]) -> Case:
    return case_of(keys, shown=_SHOWN, labels={})


def _checks(campaign: Campaign, case: Case) -> list[Check]:
    return plan([case], devices=("cpu",), dtypes=campaign.dtypes, witnesses=DEFAULT_WITNESSES)


def _ruled(check: Check) -> tuple[Ruling, str]:
    """The ruling and its reason; a function that is nowhere judged is no failure."""
    outcome = rule(check, RunOptions(points=_POINTS))
    if outcome.blame == NOTHING_JUDGED:
        return Ruling.ABSTAIN, outcome.reason
    return outcome.verdict, outcome.reason


def failing(
    campaign: Campaign, checks: Sequence[Check], causes: Sequence[FuzzCause]
) -> Check | None:
    """The first check that disagrees, for none of the causes; None if none. All are counted."""
    met: set[str] = set()
    for check in checks:
        verdict, reason = _ruled(check)
        campaign.checks += 1
        if verdict is Ruling.ABSTAIN:
            campaign.silent[f"{check.witness}: {reason}"] += 1
        if verdict is not Ruling.DISAGREE:
            met.add(str(verdict))
        elif _is_known(_cause_of(check), causes):
            met.add("known")
        else:
            campaign.count(str(verdict))
            return check
    campaign.count(next((each for each in _WORST_FIRST if each in met), "agree"))
    return None


def _cause_of(check: Check) -> FuzzCause:
    return FuzzCause(check.witness, functions_of(check.case))


def _is_known(cause: FuzzCause, causes: Sequence[FuzzCause]) -> bool:
    return any(each.explains(cause.witness, cause.functions) for each in causes)


def _told(campaign: Campaign, keys: Mapping[str, Any], check: Check) -> FuzzFailure:
    text = _as_yaml(keys)
    name = hashlib.sha256(text.encode()).hexdigest()[:12]
    path = campaign.folder / f"fuzz-{name}.yaml"
    return FuzzFailure(text, _block(check, str(path)), path, _cause_of(check))


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
    """The functions and operators that the formula and its intermediate results are made of."""
    trees = case.formula.values() if isinstance(case.formula, dict) else [case.formula]
    return frozenset(
        name for tree in (*trees, *case.lets.values()) if tree is not None for name in _called(tree)
    )


def _called(tree: object) -> Iterator[str]:
    match tree:
        case Call(Name(name)):
            yield name
        case Binary(operator) | Unary(operator):
            yield operator
        case Comparison(operators):
            yield from operators
        case Subscript():
            yield "[]"
        case Comprehension(body):
            yield from _called(body)
    for below in children(tree):
        yield from _called(below)


def excused_by(known: Sequence[KnownFailure], cases: Sequence[Case]) -> tuple[FuzzCause, ...]:
    """The causes that known failures tell of: those of an operator itself, called with inputs.

    What is known of other code, or of one point alone, excuses no formula.
    """
    alone = [case for case in cases if _operator_of(case)]
    checks = plan(alone, devices=("cpu",), dtypes=(), witnesses=DEFAULT_WITNESSES, known=known)
    causes = {
        _cause_of(check)
        for check in checks
        if _is_translation(check.implementation, _operator_of(check.case))
        for each in check.known
        if each.at is None and each.applies(check, torch.__version__)
    }
    return tuple(sorted(causes, key=lambda each: (each.witness, sorted(each.functions))))


def _operator_of(case: Case) -> str:
    """The function that a case calls with inputs and numbers, if the formula is nothing else."""
    match case.formula:
        case Call(Name(name), arguments) if all(isinstance(x, Name | Constant) for x in arguments):
            return name
    return ""


def _is_translation(implementation: Implementation, name: str) -> bool:
    """Whether code is what a formula that names the function is translated to."""
    if not isinstance(implementation.tree, Call):
        return not implementation.text
    called = "".join(whole_name(implementation.tree.function))
    entry = OPERATORS.get(name)
    if entry is not None:
        return called == entry.torch or not isinstance(entry.torch, str)
    return called in (f"torch.{name}", f"torch.linalg.{name}")
