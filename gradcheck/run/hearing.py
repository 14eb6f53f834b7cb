"""Putting points to a witness and judging every number of its answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from gradcheck.answer import Claim, Evidence, Finding, Ruling
from gradcheck.formula.derive import NoDerivative
from gradcheck.formula.evaluate import UNDEFINED, Enclosure, digits
from gradcheck.run.scene import Points, Scene
from gradcheck.verdict.contract import Expectation, expectations, stress_of
from gradcheck.verdict.judge import Judgement, judge
from gradcheck.witnesses import witness

Promises = Mapping[int, Enclosure]
_NONE: Promises = {}


@dataclass(frozen=True, slots=True)
class Entry:
    """One number, judged. ``finding`` stands where there was no number."""

    point: int
    claim: Claim | None
    slot: int  # which of the claim's numbers at its point
    got: float
    expected: Expectation | None
    judgement: Judgement
    finding: Finding | None = None


@dataclass(slots=True)
class Hearing:
    """What one witness said about some points. It fills while the witness speaks."""

    scene: Scene
    points: Points
    entries: list[Entry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def hear(
    scene: Scene, points: Points, seed: int, *, thorough: bool = True, promises: Promises = _NONE
) -> Hearing:
    """Everything that the check's witness says about the points, judged.

    ``thorough`` asks for every entry, also where each takes a call of its own. ``promises`` are
    the conventions at these points, which stand in for the truth of order 1.
    """
    hearing = Hearing(scene, points)
    rows = scene.rows(points)
    for trial, numbers in scene.trials(points, seed=seed, thorough=thorough):
        for answer in witness(scene.check.witness).testify(trial):
            if isinstance(answer, Finding):
                hearing.findings.append(answer)
                if answer.ruling is not Ruling.AGREE:
                    hearing.entries.append(_found(answer, numbers[0]))
            else:
                for k, number in enumerate(numbers):
                    _judge_point(hearing, (answer, k), (number, rows[number]), promises)
    return hearing


def _found(finding: Finding, number: int) -> Entry:
    infinite = math.inf if finding.ruling is Ruling.DISAGREE else math.nan
    judgement = Judgement(finding.ruling, finding.reason, None, infinite, infinite)
    return Entry(number, None, 0, math.nan, None, judgement, finding)


def _judge_point(
    hearing: Hearing,
    said: tuple[Claim, int],
    place: tuple[int, tuple[float, ...]],
    promises: Promises,
) -> None:
    (claim, k), (number, x) = said, place
    scene = hearing.scene
    sizes = (scene.truth.outputs, scene.truth.size)
    truth = _truth(scene, claim.order, x, promises)
    least = scene.case.accuracy[0] if scene.case.accuracy else 0
    values = claim.numbers[k].ravel().tolist()
    for slot, (got, expected) in enumerate(
        zip(values, expectations(claim, k, sizes, truth), strict=True)
    ):
        judgement = judge(
            got,
            expected.enclosure,
            scene.dtype,
            lambda expected=expected: stress_of(  # type: ignore[misc]
                expected, scene.truth, claim.order, x, scene.dtype
            ),
            least,
        )
        hearing.entries.append(Entry(number, claim, slot, got, expected, judgement))


def _truth(scene: Scene, order: int, x: tuple[float, ...], promises: Promises) -> list[Enclosure]:
    try:
        truth = scene.truth.enclosures(order, x)
    except NoDerivative:
        return [UNDEFINED] * (scene.truth.outputs * scene.truth.size**order)
    if order == 1 and promises:
        return [promises.get(k, each) for k, each in enumerate(truth)]
    if order == 2 and promises:
        return [UNDEFINED] * len(truth)
    return truth


def evidence(hearing: Hearing, entry: Entry) -> Evidence:
    """One entry, in words and numbers for people."""
    at = {name: values[entry.point].tolist() for name, values in hearing.points.items()}
    judgement = entry.judgement
    if entry.claim is None or entry.expected is None:
        label = entry.finding.label if entry.finding else ""
        return Evidence(at, "the call", label, math.nan, "", "", judgement.ulps,
                        judgement.relative, judgement.ruling, judgement.reason)  # fmt: skip
    ball = entry.expected.enclosure.ball
    return Evidence(
        at=at,
        index=index_text(hearing.scene, entry.claim.order, entry.expected),
        label=entry.claim.label,
        got=entry.got,
        true=digits(entry.expected.enclosure),
        radius=ball.rad().str(3, radius=False),
        ulps=judgement.ulps,
        relative=judgement.relative,
        ruling=judgement.ruling,
        reason=judgement.reason,
        grade=judgement.grade,
    )


_TOP = {1: "∂", 2: "∂²"}


def index_text(scene: Scene, order: int, expected: Expectation) -> str:
    """Which derivative a number is: ``∂y[1]/∂x[0, 2]``, or a weighted sum of such."""
    names = _entry_names(scene)
    outputs = _positions("y", scene.variant.program.shape)
    n = scene.truth.size
    parts = []
    for weight, flat in expected.terms:
        digits = [names[flat // n**k % n] for k in reversed(range(order))]
        output = outputs[flat // n**order]
        below = "".join(f"∂{name}" for name in digits)
        text = f"{_TOP[order]}{output}/{below}" if order else output
        parts.append(text if weight == 1.0 else f"{weight:g}·{text}")
    if len(parts) > 3:
        return " + ".join(parts[:2]) + f" + ... ({len(parts)} terms)"
    return " + ".join(parts)


def _entry_names(scene: Scene) -> list[str]:
    return [
        entry for name, shape in scene.variant.program.inputs for entry in _positions(name, shape)
    ]


def _positions(name: str, shape: tuple[int, ...]) -> list[str]:
    if shape == ():
        return [name]
    return [f"{name}[{', '.join(map(str, index))}]" for index in np.ndindex(shape)]
