"""The one place where a witness's number is held against the certified truth.

Every constant is derived in docs/judge.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from flint import arb

from gradcheck.answer import Grade, Ruling
from gradcheck.dtypes import Dtype
from gradcheck.floats import ulp
from gradcheck.ops.balls import working
from gradcheck.reference.error_bounds import ErrorBounds
from gradcheck.reference.evaluate import Enclosure

FAITHFUL_ULPS = 4
CONDITIONING_FACTOR = 16
ROUNDING_FACTOR = 2
SCALE_FACTOR = 64
GREY_FACTOR = 4
SUBNORMALS = 2
NO_DIGIT = 0.5
BITS = 256


@dataclass(frozen=True, slots=True)
class Judgement:
    """One entry, judged.

    Units: ``ulps`` counts units in the last place of the true value's dtype, ``relative`` is the
           error over the true value; both are NaN where nothing was judged.
    """

    ruling: Ruling
    reason: str = ""
    grade: Grade | None = None
    ulps: float = math.nan
    relative: float = math.nan

    @property
    def judged(self) -> bool:
        return self.ruling is not Ruling.ABSTAIN


def judge(  # noqa: PLR0913 - all that a ruling depends on, each by its name
    got: float,
    truth: Enclosure,
    dtype: Dtype,
    stress: Callable[[], ErrorBounds],
    leaves_range: Callable[[], bool],
    least_ulps: int = 0,
) -> Judgement:
    """Rule on one number.

    ``stress`` is asked only where the number is not faithful, and ``leaves_range``, whether an
    intermediate of the formula or of its chain rule leaves the dtype's range, only where the number
    or the truth is not finite. ``least_ulps`` is the case's own wider allowance, if it states one.
    """
    if not truth.proves:
        return Judgement(Ruling.ABSTAIN, _NOTHING[truth.status])
    with working(BITS, exact=True):
        special = _judge_range(got, truth, dtype, leaves_range)
        if special is not None:
            return special
        error = _error(got, truth)
        magnitude = float(abs(truth.ball).upper())
    spacing = ulp(magnitude, dtype)
    relative = error and (error / magnitude if magnitude else math.inf)
    if error <= FAITHFUL_ULPS * spacing:
        return Judgement(Ruling.AGREE, "", Grade.FAITHFUL, error / spacing, relative)
    return _weigh(_Error(error, spacing, relative), truth, dtype, stress(), least_ulps)


_NOTHING = {
    "undefined": "the formula has no derivative there",
    "vague": "no enclosure that is narrow enough",
}


def _judge_range(
    got: float, truth: Enclosure, dtype: Dtype, leaves_range: Callable[[], bool]
) -> Judgement | None:
    """Where a number or the truth is not finite in the dtype; None where both are."""
    ball = truth.ball
    beyond = abs(ball) >= arb(dtype.overflow)
    if beyond and abs(got) >= dtype.largest and (got > 0) == bool(ball > 0):
        return Judgement(Ruling.AGREE, "", Grade.FAITHFUL, 0.0, 0.0)
    if math.isfinite(got) and not beyond:
        return None
    if not ball.is_finite():
        reason = f"{_name(truth)} is infinite"
        return Judgement(Ruling.DISAGREE, reason, None, math.inf, math.inf)
    what = "NaN" if math.isnan(got) else "infinity" if math.isinf(got) else "a finite number"
    where = "beyond the dtype's range" if beyond else "finite"
    reason = f"{what} where {_name(truth)} is {where}"
    if not truth.stated and (beyond or leaves_range()):
        reason += ": an intermediate leaves the dtype's range"
        return Judgement(Ruling.INACCURATE, reason, None, math.inf, math.inf)
    return Judgement(Ruling.DISAGREE, reason, None, math.inf, math.inf)


def _name(truth: Enclosure) -> str:
    return "the answer in the case" if truth.stated else "the truth"


def _error(got: float, truth: Enclosure) -> float:
    """Distance to the truth: to the hull at a kink, else the most that the ball allows."""
    distance = abs(arb(got) - truth.ball)
    bound = distance.lower() if truth.status == "kink" else distance.upper()
    return max(0.0, float(bound))


def _spacing_of_zero(spacing: float, stress: ErrorBounds, dtype: Dtype) -> float:
    """Where the truth vanishes, an error is counted in ulps of the terms that cancel."""
    terms = max(stress.conditioning, stress.scale)
    if spacing > dtype.smallest_subnormal or not 0.0 < terms < dtype.largest:
        return spacing
    return ulp(terms, dtype)


@dataclass(frozen=True, slots=True)
class _Error:
    """How far a number is off, absolutely and relatively, and the dtype's spacing at the truth."""

    size: float
    spacing: float
    relative: float


def _weigh(
    error: _Error, truth: Enclosure, dtype: Dtype, stress: ErrorBounds, least_ulps: int
) -> Judgement:
    if truth.stated:  # a range that is left explains nothing there
        scale = stress.scale if stress.scale <= dtype.largest else 0.0
        stress = replace(stress, scale=scale, underflows=False)
    u = dtype.unit_roundoff
    ulps = error.size / max(error.spacing, _spacing_of_zero(error.spacing, stress, dtype))
    slack = error.spacing / 2 + SUBNORMALS * dtype.smallest_subnormal
    stable = slack + CONDITIONING_FACTOR * u * stress.conditioning
    explained = slack + ROUNDING_FACTOR * stress.rounding
    if error.size <= max(stable, least_ulps * error.spacing):
        return Judgement(Ruling.AGREE, "", Grade.STABLE, ulps, error.relative)
    # a truth of 0 has no digits to lose
    has_digits = error.relative <= NO_DIGIT or error.relative == math.inf
    if error.size <= explained and has_digits:
        return Judgement(Ruling.AGREE, "", Grade.EXPLAINED, ulps, error.relative)
    grey = GREY_FACTOR * max(stable, explained)
    if error.size <= grey:
        reason = f"beyond the derived allowance, within {GREY_FACTOR} times of it"
        if error.size <= explained:
            reason = (
                "no digit is right, though the rounding of the formula's chain rule explains it"
            )
        return Judgement(Ruling.INACCURATE, reason, None, ulps, error.relative)
    if error.size <= SCALE_FACTOR * u * stress.scale:
        reason = f"within rounding of intermediate values as large as {stress.scale:.3g}"
        return Judgement(Ruling.INACCURATE, reason, None, ulps, error.relative)
    if stress.underflows:
        reason = "an intermediate value underflows"
        return Judgement(Ruling.INACCURATE, reason, None, ulps, error.relative)
    allowed = max(grey, SCALE_FACTOR * u * stress.scale)
    whence = f" from {_name(truth)}" if truth.stated else ""
    reason = f"off by {error.size:.3g}{whence}, where rounding explains {allowed:.3g}"
    return Judgement(Ruling.DISAGREE, reason, None, ulps, error.relative)
