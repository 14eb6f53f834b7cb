"""How accurate numbers must be at a point, and why; and the same numbers in each precision."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradcheck.answer import EntryReport, Floats, Ruling
from gradcheck.catalog.checks import Check
from gradcheck.dtypes import DTYPES
from gradcheck.errors import UsageError
from gradcheck.explanation.point import values_at
from gradcheck.explanation.statements import (
    derivative_place,
    derivatives_at,
    derivatives_of,
    heard,
    with_witness,
)
from gradcheck.judge.judge import MOVES_FACTOR, margins
from gradcheck.methods._torch.directions import PLAIN
from gradcheck.points.generate import to_coordinates
from gradcheck.query import Array, Query
from gradcheck.reference.enclosures import Status
from gradcheck.run.joint_query import MOST_PARTS
from gradcheck.run.observation import Judged, observe
from gradcheck.run.session import real_reference_of, session_of

_WITNESSES = ("value", "reverse")  # whose numbers of order 0 and 1 are told


@dataclass(frozen=True, slots=True)
class Allowance:
    """Where the error comes from that one derivative may have; see docs/judge.md.

    ``condition`` is S over the derivative. Units: the others are ulps, with what the rounding of
    the result takes. ``by_moves`` is NaN where the code cannot be looked into.
    """

    of: str
    condition: float
    by_conditioning: float
    by_rounding: float
    by_moves: float
    agrees: float


@dataclass(frozen=True, slots=True)
class Precision:
    """What PyTorch gives in one dtype, at the point as it is rounded to that; ``note``: why not."""

    dtype: str
    said: EntryReport | None
    note: str = ""


def allowances_at(check: Check, values: Mapping[str, Array]) -> Iterator[Allowance]:
    """The allowance of each value and first derivative that is certified to a number."""
    real, dtype = real_reference_of(check.variant), DTYPES[check.dtype]
    point = to_coordinates(check.variant.inputs, {name: x[None] for name, x in values.items()})
    for order, witness in enumerate(_WITNESSES):
        if real.outputs * real.size**order > MOST_PARTS:
            return  # nobody reads so many
        found = derivatives_at(real, order, point)
        truth = np.array([float(ball.mid()) for ball in found.balls.flat])
        with np.errstate(all="ignore"):
            stress = real.error_bounds(Query.of_all(order), point, dtype)
            flat = replace(
                stress,
                **{
                    name: np.ravel(getattr(stress, name))
                    for name in ("conditioning", "rounding", "scale", "underflows")
                },
            )
        allowed = margins(truth, dtype, flat)
        moves = _moves(with_witness(check, witness), values, order)
        names = derivatives_of(check.variant, order)
        for k in np.flatnonzero(found.status.ravel() == Status.SETTLED):
            own = allowed.slack[k] + MOVES_FACTOR * moves.get(int(k), math.nan)
            with np.errstate(all="ignore"):
                parts = (allowed.stable[k], allowed.explained[k], own, allowed.agreeing[k])
                yield Allowance(
                    names[k].name,
                    float(flat.conditioning[k] / abs(truth[k])),
                    *(float(each / allowed.ulp[k]) for each in parts),
                )


def _moves(check: Check, values: Mapping[str, Array], order: int) -> dict[int, float]:
    """W of each derivative: how far apart the code's numbers lie when its operations are moved."""
    if check.witness in check.case.without:
        return {}
    points = {name: np.asarray(value)[None] for name, value in values.items()}
    observation = observe(session_of(check), points, PLAIN)
    spreads = {id(judged): _spread(judged) for judged in observation.judged}
    found: dict[int, float] = {}
    for entry in observation.entries:
        if entry.query.order == order and entry.weights.count == 1:
            spread = spreads[id(entry.judged)][entry.row, entry.place]
            found.setdefault(derivative_place(check.variant, entry), float(spread))
    return found


def _spread(judged: Judged) -> Floats:
    """Shapes: those of the judged numbers."""
    judged.call.ask_until([judged.called], lambda _key, _rounding: False)
    rounding = judged.call.rounding(judged.called)
    if rounding.opaque or rounding.spread.size != judged.answer.numbers.size:
        return np.full(judged.got.shape, math.nan)
    numbers = rounding.spread.reshape(len(judged.points), -1)[:, judged.slots]
    return np.where(judged.parts == 0, numbers.real, numbers.imag)


def precisions_at(
    check: Check, at: Mapping[str, str], values: Mapping[str, Array]
) -> Iterator[Precision]:
    """What PyTorch gives in each dtype of the inputs' kind, the most precise first.

    ``values`` are those at the point in the check's dtype: of inputs that ``at`` leaves out.
    """
    is_complex = DTYPES[check.dtype].is_complex
    kinds = [dtype for dtype in DTYPES.values() if dtype.is_complex == is_complex]
    for dtype in sorted(kinds, key=lambda each: -each.precision):
        here = replace(check, dtype=dtype.name)
        try:
            rounded = values_at(check.case, check.variant, at, dtype, values)
        except UsageError as error:
            yield Precision(dtype.name, None, str(error).partition("\n")[0])
            continue
        yield from _precision(here, rounded)


def _precision(check: Check, values: Mapping[str, Array]) -> Iterator[Precision]:
    for order, witness in enumerate(_WITNESSES):
        if witness not in check.case.without:
            said: dict[str, EntryReport] = {}
            for each in heard(with_witness(check, witness), values):
                if each.true or each.ruling is not Ruling.AGREE:
                    said.setdefault(each.index, each)
            known = [of.name for of in derivatives_of(check.variant, order)]
            for index, each in said.items():
                note = "" if index in known and each.true else each.reason
                yield Precision(check.dtype, each, note)


def worst(group: Sequence[EntryReport]) -> EntryReport:
    """The entry of largest error."""
    return max(group, key=lambda said: -1.0 if math.isnan(said.ulps) else said.ulps)
