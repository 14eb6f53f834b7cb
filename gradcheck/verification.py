"""`gradcheck.verify`: one function on trial from Python, judged as a case of a catalog is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from typing import Any

import torch
from torch.autograd import forward_ad

from gradcheck.answer import Outcome, RunOptions
from gradcheck.catalog.case import Case
from gradcheck.catalog.checks import Check, plan
from gradcheck.catalog.inline import NAME
from gradcheck.catalog.known_failures import known_of
from gradcheck.devices import make_known
from gradcheck.diagnosis import examine
from gradcheck.dtypes import DTYPES
from gradcheck.errors import CatalogError
from gradcheck.implementations.given import Given, case_given, name_given
from gradcheck.methods import DEFAULT_WITNESSES, WITNESSES
from gradcheck.methods._torch.calling import without_autocast
from gradcheck.points.feasibility import infeasible
from gradcheck.report.causes import Failure, by_cause
from gradcheck.report.failure_text import block, facts_of
from gradcheck.report.records import record, run_facts
from gradcheck.report.result import GradientDisagreement, Result, verdict_of, were_on, worst_of

__all__ = ["GradientDisagreement", "Result", "verify"]

_SHOWN = "gradcheck.verify"

Names = str | Sequence[str] | None
Known = str | PathLike[str] | Sequence[Mapping[str, Any]]


def verify(  # noqa: PLR0913 - the options of a run, each by its name
    fn: Given,
    formula: Any,
    inputs: Mapping[str, Any],
    *,
    witness: Names = None,
    dtype: Names = None,
    points: int | Sequence[Mapping[str, Any]] = 64,
    seed: int = 0,
    device: str = "cpu",
    strict_accuracy: bool = False,
    known_failures: Known = (),
    **keys: Any,
) -> Result:
    """Judge ``fn`` against a formula: every witness, float64 and float32, many points.

    ``fn`` is a function, a subclass of ``autograd.Function``, an ``nn.Module``, or text in the
    torch language; None puts the formula's own translation on trial. It is called with a tensor
    for each of ``inputs``, by name where its signature has all the names, else in their order, or
    as `call` says. ``keys`` are further keys of a case (`call`, `parameters`, `where`, `let`,
    `constants`, `order`, `requires`, ...). ``points`` is
    how many points are drawn, or a list of fixed ones as in a case. ``strict_accuracy`` makes an
    `inaccurate` check fail. ``known_failures`` are entries as in known_failures.yaml, which need
    not name the case, or the path of such a file, whose entries about ``fn``'s name are taken.

    What is judged is what the caller would get: under ``torch.no_grad`` nothing has a gradient.
    The result names the modes that were on.

    Errors: CatalogError for what the case format refuses; ValueError for an unknown witness,
            dtype, seed or number of points, and for a device that is not there; TypeError for
            what is no option at all, as a ``torch.dtype`` for the name of one.
    """
    _check_device(device)
    _check_seed(seed)
    if not isinstance(inputs, Mapping):
        raise TypeError(f"inputs is {inputs!r}, expected a mapping such as {{'x': 'real'}}")
    run_options = RunOptions(points=_count(points), seed=seed, strict_accuracy=strict_accuracy)
    case = _case(fn, {"formula": formula, "inputs": dict(inputs), **keys}, points)
    name = name_given(fn, formula)
    checks = plan(
        [case],
        devices=(device,),
        dtypes=_chosen("dtype", dtype, tuple(DTYPES), ()),
        witnesses=_chosen("witness", witness, WITNESSES, DEFAULT_WITNESSES),
        known=known_of(known_failures, case, name, f"{_SHOWN} known_failures"),
    )
    named = [replace(each, name=name + each.name.removeprefix(NAME)) for each in checks]
    modes = modes_on(device)
    judged = [(check, _examined(check, run_options, modes)) for check in named]
    outcomes = {check.name: outcome for check, outcome in judged}
    return Result(
        verdict=verdict_of(outcomes),
        worst=worst_of(outcomes),
        outcomes=outcomes,
        blocks=tuple(cause.text for cause in by_cause(_failures(judged, run_options))),
        modes=modes,
    )


def _examined(check: Check, run_options: RunOptions, modes: tuple[str, ...]) -> Outcome:
    """The outcome; a failure that is not there without the modes is blamed on them."""
    outcome = examine(check, run_options)
    if not modes or not run_options.fails(outcome.verdict):
        return outcome
    with usual_modes(check.device):
        is_usual = run_options.fails(examine(check, run_options).verdict)
    if is_usual:
        blame = f"{outcome.blame or outcome.reason}; {were_on(modes)}"
        return replace(outcome, blame=blame)
    return replace(outcome, blame=were_on(modes), guess=None)


def _case(fn: Given, keys: dict[str, Any], points: Any) -> Case:
    if not isinstance(points, int):
        keys["points"] = points
    case = case_given(fn, keys, _SHOWN)
    problems = infeasible([case])
    if problems:
        raise CatalogError(problems)
    return case


def _check_device(device: str) -> None:
    try:
        make_known(device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:  # each backend has its own
        raise ValueError(f"device {device!r} is not there: {error}") from None


def _check_seed(seed: int) -> None:
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed!r}, expected a whole number from 0 to {2**32 - 1}")


def _count(points: int | Sequence[Mapping[str, Any]]) -> int:
    if not isinstance(points, int):
        return RunOptions().points
    if points < 1:
        raise ValueError(f"points is {points}, expected at least 1")
    return points


def _chosen(
    what: str, names: Names, known: Sequence[str], default: Sequence[str]
) -> tuple[str, ...]:
    """The names in the order of ``known``; the default ones where none is given."""
    if not isinstance(names, str | Sequence | None):
        raise TypeError(f"{what} is {names!r}, expected text such as {known[0]!r}, or a list of it")
    given = names.split(",") if isinstance(names, str) else list(names or default)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"{what} {unknown[0]!r} is unknown, expected some of {', '.join(known)}")
    return tuple(name for name in known if name in given)


def _failures(
    judged: Sequence[tuple[Check, Outcome]], run_options: RunOptions
) -> Iterator[Failure]:
    for check, outcome in judged:
        if run_options.fails(outcome.verdict):
            facts = run_facts(_SHOWN, run_options, check.device)
            yield Failure(record(check, outcome, facts), _block(check, outcome))


def _block(check: Check, outcome: Outcome) -> str:
    again = f"{_SHOWN}(..., witness={check.witness!r}, dtype={check.dtype!r})"
    return block(facts_of(check, _SHOWN, again), outcome)


_USUAL = torch.float32  # torch's default dtype, where nobody has set another


def modes_on(device: str) -> tuple[str, ...]:
    """Return what a caller has switched on, as it is written; empty where nothing is."""
    return tuple(_modes(torch.device(device).type))


def _modes(kind: str) -> Iterator[str]:
    if torch.is_inference_mode_enabled():
        yield "torch.inference_mode()"
    elif not torch.is_grad_enabled():
        yield "torch.no_grad()"
    if torch.is_autocast_enabled(kind):
        yield f'torch.autocast("{kind}", dtype={torch.get_autocast_dtype(kind)})'
    if torch.get_default_dtype() != _USUAL:
        yield f"torch.set_default_dtype({torch.get_default_dtype()})"
    if forward_ad._current_level >= 0:
        yield "torch.autograd.forward_ad.dual_level()"
    if torch._C._functorch.peek_interpreter_stack() is not None:
        yield "a transform of torch.func"


@contextmanager
def usual_modes(device: str) -> Iterator[None]:
    """Leave the modes for a while; a transform of torch.func and a dual level cannot be left."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(_USUAL)
    try:
        with (
            torch.inference_mode(mode=False),
            torch.enable_grad(),
            without_autocast(torch.device(device).type),
        ):
            yield
    finally:
        torch.set_default_dtype(dtype)
