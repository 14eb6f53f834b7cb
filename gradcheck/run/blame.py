"""Who is wrong, from who agrees with whom; and what the error looks like."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from gradcheck.answer import Ruling
from gradcheck.catalog.witness_names import FACTS
from gradcheck.run.hearing import Entry, Hearing, Promises, hear, index_text
from gradcheck.run.scene import Points, Scene, scene_of

WITNESSES = sorted(FACTS.values(), key=lambda facts: facts.order)
_CLOSE = 1e-4
_SHARE = 1e-2
_SMALL = 1e-3
_TRUE = ", true "
_WRONG = ("disagree", "is inaccurate")


Statements = tuple[tuple[str, str], ...]
"""Each witness's name with what it says at one point."""


def statements(scene: Scene, points: Points, seed: int, promises: Promises) -> Statements:
    """What every witness says at one point: agreement, or its worst number beside the truth."""
    said = [("symbolic", _symbolic(scene, points))]
    for facts in WITNESSES:
        if facts.order <= scene.case.order:
            other = scene_of(replace(scene.check, witness=facts.name))
            said.append((facts.name, _statement(hear(other, points, seed, promises=promises))))
    return tuple(said)


def _symbolic(scene: Scene, points: Points) -> str:
    (x,) = scene.rows(points)
    enclosures = scene.truth.enclosures(min(1, scene.case.order), x)
    proved = sum(each.proves for each in enclosures)
    note = scene.truth.note(1)
    routes = f"by the chain rule alone: {note}" if note else "by two derivations that agree"
    return f"{proved} of {len(enclosures)} derivatives enclosed, {routes}"


def _statement(hearing: Hearing) -> str:
    judged = [entry for entry in hearing.entries if entry.judgement.judged]
    if not judged:
        agreed = [each.reason for each in hearing.findings if each.ruling is Ruling.AGREE]
        return agreed[0] if agreed else _abstention(hearing)
    worst = max(judged, key=_badness)
    ruling = worst.judgement.ruling.value
    if worst.claim is None or worst.expected is None:
        return f"{ruling}s: {worst.judgement.reason}" if ruling == "disagree" else ruling
    text = index_text(hearing.scene, worst.claim.order, worst.expected)
    truth = worst.expected.enclosure.ball.str(12, radius=False)
    verb = {"agree": "agrees", "disagree": "disagrees"}.get(ruling, f"is {ruling}")
    return f"{verb}: {text} = {worst.got!r}{_TRUE}{truth}  ({worst.claim.label})"


def _abstention(hearing: Hearing) -> str:
    reasons = [entry.judgement.reason for entry in hearing.entries]
    return f"abstains: {reasons[0]}" if reasons else "says nothing"


def _badness(entry: Entry) -> tuple[int, float]:
    severity = [Ruling.AGREE, Ruling.INACCURATE, Ruling.DISAGREE].index(entry.judgement.ruling)
    return severity, entry.judgement.ulps


def blame(witness: str, *points: Statements) -> str:
    """The conclusion that the pattern of agreement allows, over what was said at some points.

    Who is wrong at one of them is wrong: at the smallest input a fault may not show in all modes.
    """
    told = [dict(said) for said in points]

    def wrong(name: str) -> bool:
        return any(each.get(name, "").startswith(_WRONG) for each in told)

    values = [each["value"] for each in told if each.get("value", "").startswith(_WRONG)]
    if any(_TRUE not in value for value in values):  # it gave no number
        return "the implementation itself fails, whatever is asked of it"
    alone = (witness,), f"only {witness} disagrees"
    for names, text in (*_PATTERNS, alone):
        if all(wrong(name) for name in names):
            return text
    return f"{witness} is wrong only in other calls than a single point's"


_PATTERNS = (
    (
        ("value", "reverse"),
        "the implementation computes another function than the formula: its value and its "
        "gradient are both off; compare what the code means with what the case states",
    ),
    (
        ("value",),
        "the implementation's value is wrong: its forward computation is not the formula's",
    ),
    (
        ("reverse", "forward"),
        "the backward and the forward mode are both wrong: the value is right",
    ),
    (
        ("reverse",),
        "the backward is wrong: value and forward mode are not contradicted",
    ),
    (("forward",), "the forward mode (jvp) is wrong: value and backward are right"),
    (("second",), "the second derivative is wrong: value and first derivatives are right"),
    (
        ("gradcheck",),
        "only finite differences disagree: the implementation is not smooth in its rounding",
    ),
)
"""Whose disagreement says what: the first row fits all of whose witnesses disagree."""


def guess(failing: list[Entry]) -> str:
    """What kind of error failing entries look like; empty where nothing fits them all.

    Entries of two points tell more than those of one.
    """
    told = [
        _Number(entry.got, float(entry.expected.enclosure.ball.mid()), entry.expected.terms, entry)
        for entry in failing
        if entry.expected is not None and entry.expected.enclosure.ball.is_finite()
    ]
    factor = _factor(told)
    for name, fits in _KINDS:
        if told and all(map(fits, told)) and not (factor and name == _LOST):
            return name
    if told and _are_misplaced(told):
        return "transposed: the right numbers in the wrong places"
    return factor or _term(told)


@dataclass(frozen=True, slots=True)
class _Number:
    """One wrong number beside the true one, and the derivatives that it adds up."""

    got: float
    true: float
    terms: tuple[tuple[float, int], ...]
    entry: Entry

    @property
    def weight(self) -> float:
        """The cotangent's or tangent's weight, where only one entry was asked for."""
        return self.terms[0][0] if len(self.terms) == 1 else 1.0

    @property
    def cotangent(self) -> float:
        """The weight of the one output at the one point, where there are no others."""
        given = self.entry.claim.cotangent if self.entry.claim else None
        return float(given.item()) if given is not None and given.size == 1 else 1.0

    def ignores(self, weight: float) -> bool:
        return weight != 1 and _near(self.got * weight, self.true)


def _near(a: float, b: float) -> bool:
    return math.isfinite(a) and abs(a - b) <= _CLOSE * abs(b) and b != 0


_LOST = "lost accuracy, as if computed in lower precision"
_KINDS: tuple[tuple[str, Callable[[_Number], bool]], ...] = (
    ("not a number", lambda it: math.isnan(it.got)),
    ("infinite", lambda it: math.isinf(it.got)),
    ("zero, where the truth is not", lambda it: it.got == 0 != it.true),
    ("not zero, where the truth is", lambda it: it.true == 0 != it.got),
    ("the sign", lambda it: _near(-it.got, it.true)),
    ("ignores the cotangent", lambda it: it.ignores(it.weight) or it.ignores(it.cotangent)),
    (_LOST, lambda it: abs(it.got - it.true) <= 1e-6 * abs(it.true)),
)


def _are_misplaced(told: list[_Number]) -> bool:
    """Whether every answer holds the right numbers in another order."""
    answers: dict[int, list[_Number]] = {}
    for number in told:
        answers.setdefault(id(number.entry.claim), []).append(number)
    return all(
        len(each) > 1
        and all(
            got == true or _near(got, true)
            for got, true in zip(
                sorted(number.got for number in each),
                sorted(number.true for number in each),
                strict=True,
            )
        )
        for each in answers.values()
    )


def _factor(told: list[_Number]) -> str:
    """A factor that several derivatives share; of one number alone it would say nothing."""
    ratios = _ratios(told)
    alone = {(number.terms[0][1], number.true / number.weight) for number in told
             if len(number.terms) == 1}  # fmt: skip
    if not ratios or len(alone) < 2:
        return ""
    first, excess = ratios[0], ratios[0] - 1
    # What rounding did to the ratios is far below their distance from 1.
    most = min(_CLOSE * abs(first), _SHARE * abs(excess))
    if not all(abs(ratio - first) <= most for ratio in ratios):
        return ""
    small = f"1 {'-' if excess < 0 else '+'} {abs(excess):.3g}"
    return f"a constant factor of {small if abs(excess) < _SMALL else f'{first:.6g}'}"


def _term(told: list[_Number]) -> str:
    ratios = _ratios(told)
    alike = all(_near(ratio, ratios[0]) for ratio in ratios)
    return "" if alike else "a missing or an extra term"


def _ratios(told: list[_Number]) -> list[float]:
    """What was given over the truth; nothing where some truth is 0."""
    if not all(number.true for number in told):
        return []
    return [number.got / number.true for number in told]
