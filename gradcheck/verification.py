"""`gradcheck.verify`: one function on trial from Python, judged as a case of a catalog is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from gradcheck.answer import Effort, Evidence, Outcome, Ruling
from gradcheck.catalog.case import Case, Implementation
from gradcheck.catalog.checks import Check, plan
from gradcheck.catalog.inline import case_of
from gradcheck.catalog.witness_names import WITNESSES
from gradcheck.errors import CatalogError
from gradcheck.inputs.reach import unreachable
from gradcheck.records import record, run_facts
from gradcheck.run import examine
from gradcheck.setting import DTYPES
from gradcheck.verdict.block import CheckFacts, block
from gradcheck.verdict.causes import Failure, by_cause

_SHOWN = "gradcheck.verify"
_OWN = "gradcheck:verify"  # says that there is code on trial; ``fn`` itself stands in no text

Names = str | Sequence[str] | None


class GradientDisagreement(AssertionError):
    """A gradient is wrong; the text is the block of a failed check, once for each cause."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a function on trial.

    ``verdict`` is the worst that any check found, abstentions left aside while others judged.
    ``worst`` is the entry with the largest error, a failing one before any other; None where
    nothing was judged. ``outcomes`` maps the name of each check to how it ended. ``blocks`` are
    the texts of what failed, one for each cause.
    """

    verdict: str
    worst: Evidence | None
    outcomes: dict[str, Outcome]
    blocks: tuple[str, ...]

    def raise_for_disagreement(self) -> None:
        """Errors: GradientDisagreement if any check disagrees."""
        if self.blocks:
            raise GradientDisagreement("\n\n".join(self.blocks))


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
    **keys: Any,
) -> Result:
    """Judge ``fn`` against a formula: every witness, float64 and float32, many points.

    ``fn`` is a function, a subclass of ``autograd.Function``, an ``nn.Module``, or text in the
    torch language; None puts the formula's own translation on trial. It is called with tensors in
    the order of ``inputs``. ``keys`` are further keys of a case (`where`, `let`, `constants`,
    `order`, ...). ``points`` is how many points are drawn, or a list of fixed ones as in a case.

    Errors: CatalogError for what the case format refuses; ValueError for an unknown witness,
            dtype, seed or number of points, and for a device that is not there; TypeError for
            what is no option at all, as a ``torch.dtype`` for the name of one.
    """
    _check_device(device)
    _check_seed(seed)
    effort = Effort(points=_count(points), seed=seed)
    case = _case(fn, {"formula": formula, "inputs": dict(inputs), **keys}, points)
    checks = plan(
        [case],
        devices=(device,),
        dtypes=_chosen("dtype", dtype, tuple(DTYPES)),
        witnesses=_chosen("witness", witness, WITNESSES),
    )
    judged = [(check, examine(check, effort)) for check in checks]
    return Result(
        verdict=_verdict([outcome.ruling for _, outcome in judged]),
        worst=_worst([outcome for _, outcome in judged]),
        outcomes={check.name: outcome for check, outcome in judged},
        blocks=tuple(cause.text for cause in by_cause(_failures(judged, effort))),
    )


def _case(fn: Callable[..., Any] | str | None, keys: dict[str, Any], points: Any) -> Case:
    if isinstance(fn, str):
        keys["torch"] = fn
    elif fn is not None and not callable(fn):
        raise TypeError(f"fn is a {type(fn).__name__}, expected a callable, text or None")
    elif fn is not None:
        keys.setdefault("function", _OWN)
    if not isinstance(points, int):
        keys["points"] = points
    case = case_of(keys, shown=_SHOWN, labels={})
    problems = unreachable([case])
    if problems:
        raise CatalogError(problems)
    if fn is None or isinstance(fn, str):
        return case
    own = Implementation(text=_name(fn), where=case.where, call=fn)
    return replace(case, implementations=(own,))


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # each backend has its own
        raise ValueError(f"device {device!r} is not there: {error}") from None


def _check_seed(seed: int) -> None:
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed!r}, expected a whole number from 0 to {2**32 - 1}")


def _name(fn: Callable[..., Any]) -> str:
    owner = getattr(fn, "__self__", None)
    if isinstance(owner, type):  # as in Swish.apply, which is inherited and would not be told so
        return f"{owner.__qualname__}.{fn.__name__}"
    # An operator of torch.library says its name in one of these ways, by the version of PyTorch.
    attributes = ("_qualname", "_qualified_op_name", "__qualname__")
    names = (getattr(fn, attribute, None) for attribute in attributes)
    return next((name for name in names if isinstance(name, str)), type(fn).__qualname__)


def _count(points: int | Sequence[Mapping[str, Any]]) -> int:
    if not isinstance(points, int):
        return Effort().points
    if points < 1:
        raise ValueError(f"points is {points}, expected at least 1")
    return points


def _chosen(what: str, names: Names, known: Sequence[str]) -> tuple[str, ...]:
    """The names in the order of ``known``; all of them where none is given."""
    if not isinstance(names, str | Sequence | None):
        raise TypeError(f"{what} is {names!r}, expected text such as {known[0]!r}, or a list of it")
    given = names.split(",") if isinstance(names, str) else list(names or known)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"{what} {unknown[0]!r} is unknown, expected some of {', '.join(known)}")
    return tuple(name for name in known if name in given)


def _verdict(rulings: Sequence[Ruling]) -> str:
    order = list(Ruling)
    judged: list[Ruling] = [ruling for ruling in rulings if ruling is not Ruling.ABSTAIN]
    return max(judged, key=order.index, default=Ruling.ABSTAIN).value


def _worst(outcomes: Sequence[Outcome]) -> Evidence | None:
    failures = [outcome.failures[0] for outcome in outcomes if outcome.failures]
    judged = [outcome.worst for outcome in outcomes if outcome.worst is not None]
    return max(failures or judged, key=lambda evidence: evidence.ulps, default=None)


def _failures(judged: Sequence[tuple[Check, Outcome]], effort: Effort) -> Iterator[Failure]:
    for check, outcome in judged:
        if outcome.ruling is Ruling.DISAGREE:
            facts = run_facts(_SHOWN, effort, check.device)
            yield Failure(record(check, outcome, facts), _block(check, outcome))


def _block(check: Check, outcome: Outcome) -> str:
    again = f"{_SHOWN}(..., witness={check.witness!r}, dtype={check.dtype!r})"
    return block(CheckFacts(_SHOWN, check.name, check.on_trial, again), outcome)
