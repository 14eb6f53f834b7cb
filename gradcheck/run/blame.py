"""Who is wrong, from who agrees with whom; and what the error looks like."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from gradcheck.answer import Ruling
from gradcheck.run.hearing import Entry, Hearing, hear, index_text
from gradcheck.run.scene import Points, Scene, scene_of

WITNESSES = ("value", "reverse", "forward", "gradcheck", "second")
_CLOSE = 1e-4


def statements(scene: Scene, points: Points, seed: int) -> tuple[tuple[str, str], ...]:
    """What every witness says at one point: agreement, or its worst number beside the truth."""
    said = [("symbolic", _symbolic(scene, points))]
    for name in WITNESSES:
        if name == "second" and scene.case.order < 2:
            continue
        other = scene_of(replace(scene.check, witness=name))
        said.append((name, _statement(hear(other, points, seed))))
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
    return f"{verb}: {text} = {worst.got!r}, true {truth}  ({worst.claim.label})"


def _abstention(hearing: Hearing) -> str:
    reasons = [entry.judgement.reason for entry in hearing.entries]
    return f"abstains: {reasons[0]}" if reasons else "says nothing"


def _badness(entry: Entry) -> tuple[int, float]:
    severity = [Ruling.AGREE, Ruling.INACCURATE, Ruling.DISAGREE].index(entry.judgement.ruling)
    return severity, entry.judgement.ulps


def blame(witness: str, said: tuple[tuple[str, str], ...]) -> str:
    """The conclusion that the pattern of agreement allows."""
    told = dict(said)

    def wrong(name: str) -> bool:
        return told.get(name, "").startswith(("disagree", "is inaccurate"))

    for names, text in _PATTERNS:
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
        "PyTorch's backward and its forward mode are both wrong: the value is right",
    ),
    (
        ("reverse",),
        "PyTorch's backward is wrong: value and forward mode are not contradicted",
    ),
    (("forward",), "PyTorch's forward mode (jvp) is wrong: value and backward are right"),
    (("second",), "PyTorch's second derivative is wrong: value and first derivatives are right"),
    (
        ("gradcheck",),
        "only finite differences disagree: the implementation is not smooth in its rounding",
    ),
)
"""Whose disagreement says what: the first row fits all of whose witnesses disagree."""


def guess(failing: list[Entry]) -> str:
    """What kind of error the failing entries of one point look like; empty where none fits."""
    pairs = [
        (entry.got, float(entry.expected.enclosure.ball.mid()), _weight(entry))
        for entry in failing
        if entry.expected is not None and entry.expected.enclosure.ball.is_finite()
    ]
    for name, fits in _KINDS:
        if pairs and all(fits(*pair) for pair in pairs):
            return name
    return _factor(pairs)


def _weight(entry: Entry) -> float:
    """The cotangent's or tangent's weight, where only one entry was asked for."""
    assert entry.expected is not None
    return entry.expected.terms[0][0] if len(entry.expected.terms) == 1 else 1.0


def _near(a: float, b: float) -> bool:
    return math.isfinite(a) and abs(a - b) <= _CLOSE * abs(b) and b != 0


_Fit = Callable[[float, float, float], bool]
_KINDS: tuple[tuple[str, _Fit], ...] = (
    ("not a number", lambda got, true, weight: math.isnan(got)),
    ("infinite", lambda got, true, weight: math.isinf(got)),
    ("zero where there is a gradient", lambda got, true, weight: got == 0 != true),
    ("a gradient where there is none", lambda got, true, weight: true == 0 != got),
    ("the sign", lambda got, true, weight: _near(-got, true)),
    ("ignores the cotangent", lambda got, true, weight: weight != 1 and _near(got * weight, true)),
    (
        "lost accuracy, as if computed in lower precision",
        lambda got, true, weight: abs(got - true) <= 1e-6 * abs(true),
    ),
)


def _factor(pairs: list[tuple[float, float, float]]) -> str:
    ratios = [got / true for got, true, _ in pairs if true]
    if not ratios or len(ratios) < len(pairs):
        return ""
    if all(_near(ratio, ratios[0]) for ratio in ratios):
        return f"a constant factor of {ratios[0]:.6g}" if len(ratios) > 1 else ""
    return "a missing or an extra term"
