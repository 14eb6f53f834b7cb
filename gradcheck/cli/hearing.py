"""Who says what at one point: each witness's numbers beside the certified truth. Loads torch.

Every direction is 1 here, so that a witness answers with the derivatives themselves, as a reader
expects them, and not with their random projections.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from flint import arb

from gradcheck.answer import Claim, Finding, Floats, Trial
from gradcheck.catalog.case import Case, Implementation, Variant
from gradcheck.cli.place import entry_names
from gradcheck.formula.evaluate import Enclosure
from gradcheck.formula.truth import Truth
from gradcheck.setting import DTYPES
from gradcheck.subjects.subject import Subject, subject_of
from gradcheck.verdict.contract import Expectation, expectations, stress_of
from gradcheck.verdict.judge import judge
from gradcheck.witnesses import witness
from gradcheck.witnesses.stand.directions import PLAIN

_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Statement:
    """One number of one witness, judged; or a finding, which has no number.

    ``true`` is a decimal string of certified digits, the hull at a kink, or empty where nothing
    is certain. NaN stands for what was not measured.
    """

    witness: str
    label: str
    what: str
    got: float
    true: str
    ulps: float
    relative: float
    verdict: str
    reason: str


@dataclass(frozen=True, slots=True)
class Hearing:
    """An implementation of a case, and where it runs."""

    case: Case
    variant: Variant
    implementation: Implementation
    dtype: str
    device: str
    truth: Truth

    @property
    def sizes(self) -> tuple[int, int]:
        """m output entries and n input entries."""
        return self.truth.outputs, self.truth.size

    def subject(self) -> Subject:
        return subject_of(self.case, self.variant, self.implementation, self.dtype, self.device)


def trial_at(hearing: Hearing, values: Mapping[str, Floats], order: int) -> Trial:
    """One call at one point, every direction 1."""
    return Trial(
        function=hearing.subject(),
        inputs=tuple(np.asarray(value)[None] for value in values.values()),
        batched=False,
        output_shape=hearing.variant.program.shape,
        order=order,
        dtype=hearing.dtype,
        device=hearing.device,
        seed=PLAIN,
    )


def statements(hearing: Hearing, trial: Trial, witnesses: Sequence[str]) -> Iterator[Statement]:
    """What each witness says of the trial, entry by entry; sums of entries are left out."""
    x = tuple(float(entry) for array in trial.inputs for entry in array.ravel())
    for name in witnesses:
        for said in witness(name).testify(trial):
            if isinstance(said, Finding):
                yield _finding(name, said)
            else:
                yield from _judged(hearing, name, said, x)


def certain(enclosure: Enclosure) -> str:
    """The certified digits of an enclosure; a hull as ``[low, high]``; else empty."""
    if not enclosure.proves:
        return ""
    ball = enclosure.ball
    if enclosure.status == "kink":
        return f"[{float(ball.lower()):.6g}, {float(ball.upper()):.6g}]"
    text = str(arb(ball).str(_DIGITS, radius=False))
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def derivative_names(hearing: Hearing, order: int) -> list[str]:
    """``y``, ``∂y/∂x``, ``∂²y/∂x∂z`` for all derivatives of ``order``, flat as in ``Truth``."""
    shape = hearing.variant.program.shape
    inputs = entry_names(hearing.variant)
    declared = {each.name for each in hearing.case.inputs}
    y = next(name for name in ("y", "f", "F", "result") if name not in declared)
    names = [f"{y}[{', '.join(map(str, i))}]" if shape else y for i in np.ndindex(shape)]
    if order == 0:
        return names
    if order == 1:
        return [f"∂{y}/∂{x}" for y in names for x in inputs]
    return [
        f"∂²{y}/∂{a}²" if a == b else f"∂²{y}/∂{a}∂{b}"
        for y in names
        for a in inputs
        for b in inputs
    ]


def _finding(name: str, said: Finding) -> Statement:
    nothing = math.nan
    ruling = said.ruling.value
    return Statement(name, said.label, "", nothing, "", nothing, nothing, ruling, said.reason)


def _judged(hearing: Hearing, name: str, claim: Claim, x: tuple[float, ...]) -> Iterator[Statement]:
    truth = hearing.truth.enclosures(claim.order, x)
    names = derivative_names(hearing, claim.order)
    numbers = claim.numbers[0].ravel().tolist()
    expected = expectations(claim, 0, hearing.sizes, truth)
    for got, expectation in zip(numbers, expected, strict=True):
        if len(expectation.terms) == 1:
            what = names[expectation.terms[0][1]]
            said = Statement(name, claim.label, what, got, "", 0.0, 0.0, "", "")
            yield _ruled(said, hearing, claim.order, expectation, x)


def _ruled(
    said: Statement,
    hearing: Hearing,
    order: int,
    expectation: Expectation,
    x: tuple[float, ...],
) -> Statement:
    dtype = DTYPES[hearing.dtype]
    accuracy = hearing.case.accuracy
    ruled = judge(
        said.got,
        expectation.enclosure,
        dtype,
        lambda: stress_of(expectation, hearing.truth, order, x, dtype),
        accuracy[0] if accuracy else 0,
    )
    return replace(
        said,
        true=certain(expectation.enclosure),
        ulps=ruled.ulps,
        relative=ruled.relative,
        verdict=ruled.ruling.value,
        reason=ruled.reason,
    )
