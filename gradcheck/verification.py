"""`gradcheck.verify`: one function on trial from Python, judged as a case of a catalog is."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from typing import Any

import torch
from torch.autograd import forward_ad

from gradcheck.answer import Outcome, RunOptions
from gradcheck.catalog.case import Case, Implementation
from gradcheck.catalog.checks import Check, plan
from gradcheck.catalog.inline import NAME, case_of
from gradcheck.catalog.known_failures import known_of
from gradcheck.dtypes import DTYPES
from gradcheck.errors import CatalogError
from gradcheck.methods import DEFAULT_WITNESSES, WITNESSES
from gradcheck.points.feasibility import infeasible
from gradcheck.report.causes import Failure, by_cause
from gradcheck.report.failure_text import block, facts_of
from gradcheck.report.records import record, run_facts
from gradcheck.report.result import GradientDisagreement, Result, verdict_of, were_on, worst_of
from gradcheck.run import examine

__all__ = ["GradientDisagreement", "Result", "verify"]

_SHOWN = "gradcheck.verify"
_OWN = "gradcheck:verify"  # says that there is code on trial; ``fn`` itself stands in no text
_LONGEST = 40  # of a text that names a function

Names = str | Sequence[str] | None
Known = str | PathLike[str] | Sequence[Mapping[str, Any]]


def verify(  # noqa: PLR0913 - the options of a run, each by its name
    fn: Callable[..., Any] | str | None,
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
    name = _name(fn, formula)
    checks = plan(
        [case],
        devices=(device,),
        dtypes=_chosen("dtype", dtype, tuple(DTYPES), tuple(DTYPES)),
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


def _case(fn: Callable[..., Any] | str | None, keys: dict[str, Any], points: Any) -> Case:
    if isinstance(fn, str):
        keys["torch"] = fn
    elif fn is not None:
        keys = {**_own_keys(fn, keys), **keys}
    if not isinstance(points, int):
        keys["points"] = points
    case = case_of(keys, shown=_SHOWN, labels={})
    problems = infeasible([case])
    if problems:
        raise CatalogError(problems)
    if fn is None or isinstance(fn, str):
        return case
    own = Implementation(text=_on_trial(fn), where=case.where, given=fn)
    return replace(case, implementations=(own,))


def _own_keys(fn: Callable[..., Any], keys: Mapping[str, Any]) -> dict[str, str]:
    """What a case says of its own code: that there is some, and how it is called by name."""
    if not callable(fn):
        raise TypeError(f"fn is a {type(fn).__name__}, expected a callable, text or None")
    parameters = keys.get("parameters")
    placed = parameters.values() if isinstance(parameters, Mapping) else ()
    by_name = _by_name(fn, tuple(name for name in keys["inputs"] if name not in placed))
    return {"function": _OWN, **({"call": by_name} if by_name else {})}


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # each backend has its own
        raise ValueError(f"device {device!r} is not there: {error}") from None


def _check_seed(seed: int) -> None:
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed!r}, expected a whole number from 0 to {2**32 - 1}")


def _on_trial(fn: Callable[..., Any]) -> str:
    """What a failure calls the code on trial."""
    owner, name = getattr(fn, "__self__", None), getattr(fn, "__name__", "")
    if name and getattr(torch, name, None) is fn:
        return f"torch.{name}"
    if isinstance(owner, type) and issubclass(owner, torch.autograd.Function):
        # As in Swish.apply, which is inherited: its own name would be Function.apply.
        return f"{owner.__qualname__}.{name}"
    return _operator(fn) or str(getattr(fn, "__qualname__", type(fn).__qualname__))


def _operator(fn: Callable[..., Any]) -> str:
    """The name of an operator of torch.library, as ``my_ops::swish``; empty for all else.

    Of what was scripted too, which has no other.
    """
    attributes = ["_qualname", "_qualified_op_name"]  # which of them, depends on the version
    if isinstance(fn, torch.jit.ScriptFunction):
        attributes = ["name"]
    names = (getattr(fn, attribute, None) for attribute in attributes)
    return next((name for name in names if isinstance(name, str)), "")


def _name(fn: Callable[..., Any] | str | None, formula: Any) -> str:
    """What the function is called in the names of its checks."""
    if fn is None or isinstance(fn, str):
        text = " ".join(str(formula if fn is None else fn).split())
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    if isinstance(fn, functools.partial):
        fn = fn.func
    return str(_operator(fn) or getattr(fn, "__name__", None) or type(fn).__name__)


def _by_name(fn: Callable[..., Any], names: tuple[str, ...]) -> str | None:
    """How ``fn`` is called with these inputs, unless it is in their order: as a text of `call`."""
    if inspect.isclass(fn):
        return _applied(fn, names) if issubclass(fn, torch.autograd.Function) else None
    signature = _parameters(fn.forward if isinstance(fn, torch.nn.Module) else fn)
    known = {each.name for each in signature if each.kind in _NAMED}
    if not set(names) <= known or _first(signature, len(names)) == names:
        return None
    return f"f({', '.join(f'{name}={name}' for name in names)})"


_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _applied(function: Any, names: tuple[str, ...]) -> str | None:
    """The same for an ``autograd.Function``, whose ``apply`` takes no names."""
    is_apart = function.setup_context is not torch.autograd.Function.setup_context
    context = 0 if is_apart else 1  # before the inputs of forward
    own = _first(_parameters(function.forward)[context:], len(names))
    return None if own == names or set(own) != set(names) else f"f({', '.join(own)})"


def _first(signature: Sequence[inspect.Parameter], count: int) -> tuple[str, ...]:
    """The names that a call with ``count`` arguments in order gives values to."""
    is_named_only = inspect.Parameter.KEYWORD_ONLY
    return tuple(each.name for each in signature if each.kind is not is_named_only)[:count]


def _parameters(fn: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):  # of a function written in C
        return []


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
            torch.autocast(torch.device(device).type, enabled=False),
        ):
            yield
    finally:
        torch.set_default_dtype(dtype)
