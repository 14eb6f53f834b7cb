"""The one place where a witness's numbers are held against the certified truth, all at once.

Every constant is derived in docs/judge.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Self

import numpy as np
from flint import arb
from numpy.typing import NDArray

from gradcheck.answer import Floats, Grade, Ruling
from gradcheck.dtypes import Dtype
from gradcheck.floats import spacing
from gradcheck.ops.balls import working
from gradcheck.query import Array
from gradcheck.reference.array_bounds import ArrayErrorBounds as ErrorBounds
from gradcheck.reference.ball_arrays import floats_of, is_finite
from gradcheck.reference.enclosures import Status

FAITHFUL_ULPS = 4
CONDITIONING_FACTOR = 16
ROUNDING_FACTOR = 2
MOVES_FACTOR = 4
SCALE_FACTOR = 64
GREY_FACTOR = 4
SUBNORMALS = 2
NO_DIGIT = 0.5

RULINGS = tuple(Ruling)
GRADES = (None, *Grade)
"""The rulings and grades of ``Judgements``, which count from 0."""
SEVERITIES = np.array([ruling.severity for ruling in RULINGS])

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """Arrays of one shape, one for each field."""

    def taken(self, rows: Array | slice) -> Self:
        """Those at some of the first axis."""
        names: tuple[str, ...] = type(self).__slots__  # much faster than ``fields`` and ``replace``
        return type(self)(*(getattr(self, name)[rows] for name in names))

    def where(self, own: Mask, other: Self) -> Self:
        """These in some places, and others elsewhere."""
        names = [each.name for each in fields(self)]
        chosen = {name: np.where(own, getattr(self, name), getattr(other, name)) for name in names}
        return replace(self, **chosen)


@dataclass(frozen=True, slots=True, eq=False)
class Expected(_Columns):
    """What numbers should be: the truth, or what the case states in its place.

    The truth lies in real ``balls``, and, times 2**``exponent``, in ``middle + low`` ± ``radius``,
    a number of twice the precision of float64.
    ``stated`` are answers of the case: they hold for PyTorch whatever the formula does.

    Shapes: one shape for all, that of the numbers.
    """

    balls: Array
    middle: Floats
    low: Floats
    radius: Floats
    exponent: NDArray[np.int32]
    finite: Mask
    status: Array
    stated: Mask

    @property
    def proved(self) -> Mask:
        """Where a number can be judged."""
        return (self.status <= Status.KINK) | self.stated


@dataclass(frozen=True, slots=True, eq=False)
class OwnRounding(_Columns):
    """What rounding does to the code on trial itself, asked by moves of an ulp.

    ``spread`` is how far apart its answers lie then, and ``ranged`` how far where also what left
    the range is brought back. ``left`` says how an operation of it left the dtype's range,
    ``opaque`` what of it cannot be looked into, so that the distances mean nothing, and ``by_norm``
    which of these are stable by norm and not by entry; all are empty where there is none.

    Shapes: one shape for all, that of the numbers.
    """

    spread: Floats
    ranged: Floats
    left: Array
    opaque: Array
    by_norm: Array

    @classmethod
    def unknown(cls, shape: tuple[int, ...], why: str) -> OwnRounding:
        """That of code that cannot be asked."""
        words = (np.full(shape, text, dtype=object) for text in ("", why, ""))
        return cls(np.zeros(shape), np.zeros(shape), *words)


_SMALL, _RAISED, _BITS = 2.0**-900, 600, 256


def expected(balls: Array, status: Array, stated: Mask | None = None) -> Expected:
    """What real balls of a status say that numbers should be.

    Shapes: one shape for all.
    """
    middle, low, radius = floats_of(balls)
    exponent = np.where(np.abs(middle) < _SMALL, _RAISED, 0).astype(np.int32)
    small = exponent != 0
    if small.any():  # float64 has not the digits below its smallest number
        with working(_BITS, exact=False):
            raised = balls[small] * (arb(2) ** _RAISED)
        middle[small], low[small], radius[small] = floats_of(raised)
    known = np.zeros(balls.shape, dtype=bool) if stated is None else stated
    return Expected(balls, middle, low, radius, exponent, is_finite(balls), status, known)


class Why(IntEnum):
    """Why an entry was not simply right; ``Judgement.reason`` puts it in words."""

    NOTHING = 0
    NO_DERIVATIVE = 1
    NOT_NARROW = 2
    INFINITE_TRUTH = 3
    NOT_A_NUMBER = 4
    INFINITY = 5
    FINITE = 6
    GREY = 7
    NO_DIGIT_RIGHT = 8
    SCALE = 9
    UNDERFLOW = 10
    OFF = 11
    OWN = 12
    OWN_RANGE = 13
    BY_NORM = 14


RANGE = (Why.NOT_A_NUMBER, Why.INFINITY, Why.FINITE, Why.UNDERFLOW, Why.OWN_RANGE)
"""That the dtype's range was left, by the number or on its way."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One number, judged.

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


@dataclass(frozen=True, slots=True, eq=False)
class Judgements(_Columns):
    """Many numbers, judged.

    ``ruling`` and ``grade`` count in ``RULINGS`` and ``GRADES``; the figures are those of
    ``Judgement``, and what its reason tells: the ``error``, what is ``allowed``, the ``scale`` of
    intermediate values, whether the number is ``beyond`` the range or something on its way is, and
    what ``OwnRounding`` tells of the code.

    Shapes: one shape for all.
    """

    ruling: NDArray[np.int8]
    grade: NDArray[np.int8]
    why: NDArray[np.int8]
    ulps: Floats
    relative: Floats
    error: Floats
    allowed: Floats
    scale: Floats
    beyond: Mask
    leaves_range: Mask
    stated: Mask
    spread: Floats
    left: Array
    opaque: Array
    by_norm: Array

    def at(self, place: int | tuple[int, ...]) -> Judgement:
        """One of them, its reason in words."""
        return Judgement(
            RULINGS[self.ruling[place]],
            _reason(self, place),
            GRADES[self.grade[place]],
            float(self.ulps[place]),
            float(self.relative[place]),
        )

    def is_ruled(self, ruling: Ruling) -> Mask:
        """Which of them are ruled so."""
        found: Mask = self.ruling == RULINGS.index(ruling)
        return found

    def counts(self) -> dict[Ruling, int]:
        """How many of them are ruled in each way."""
        found = np.bincount(self.ruling.reshape(-1), minlength=len(RULINGS))
        return dict(zip(RULINGS, found.tolist(), strict=True))

    def grade_counts(self) -> dict[Grade, int]:
        """How many of them agree in each way."""
        _, *found = np.bincount(self.grade.reshape(-1), minlength=len(GRADES)).tolist()
        return dict(zip(Grade, found, strict=True))

    def abstentions(self) -> dict[str, int]:
        """Why some were not judged, and how many for each reason."""
        counts = np.bincount(self.why[self.is_ruled(Ruling.ABSTAIN)].reshape(-1))
        return {_REASONS[Why(why)]: int(count) for why, count in enumerate(counts) if count}

    def worst(self) -> tuple[int, ...] | None:
        """The place of the one that is ruled worst, of these of the largest error."""
        errors = np.where(np.isnan(self.ulps), -1.0, self.ulps)
        severity = np.where(errors < 0, -1, SEVERITIES[self.ruling])
        if not severity.size or severity.max() < 0:
            return None
        worst = np.where(severity == severity.max(), errors, -1.0)
        return tuple(int(k) for k in np.unravel_index(int(worst.argmax()), worst.shape))

    def worse(self, other: Judgements) -> Judgements:
        """Of two judgements of each number the worse, and of equal ones the first."""
        return self.where(SEVERITIES[self.ruling] >= SEVERITIES[other.ruling], other)


def judge(  # noqa: PLR0913 - all that a ruling depends on, each by its name
    got: Floats,
    truth: Expected,
    dtype: Dtype,
    bounds: Callable[[Mask], ErrorBounds],
    leaves_range: Callable[[Mask], Mask],
    own_rounding: Callable[[Mask, Floats], OwnRounding],
    neighbours: Callable[[Mask], Iterable[Expected]] = lambda _: (),
    least_ulps: int = 0,
    bounds_by_norm: Callable[[Mask], ErrorBounds] | None = None,
    underflows: Callable[[Mask], Mask] = np.zeros_like,
) -> Judgements:
    """Rule on numbers.

    ``bounds`` is asked for the numbers that are not faithful, ``leaves_range``, whether the
    formula or its chain rule leaves the dtype's range so that infinity or NaN may come of it, for
    those that are not finite or whose truth is not, ``underflows``, whether it leaves it in any
    way, for those of them where the code does too, ``neighbours``, the truths at inputs that
    rounding does not tell from these, for those that the function's conditioning does not explain,
    and ``own_rounding`` for those that none of it explains, with how far each is off: NaN where
    only how the range is left is to be told. All are asked once or never, the last one twice at
    most.
    ``least_ulps`` is the case's own wider allowance, if it states one. ``bounds_by_norm`` is asked
    where a kernel of the code is stable by norm only.

    Shapes: one shape for all; what is said of numbers that were not asked about is not read.
    """
    sheet = _Sheet(got, truth)
    with np.errstate(all="ignore"):
        unproved = ~truth.proved
        sheet.rule(unproved & (truth.status == Status.UNDEFINED), _ABSTAIN, Why.NO_DERIVATIVE)
        sheet.rule(unproved, _ABSTAIN, Why.NOT_NARROW)
        _rule_range(sheet, dtype, leaves_range, underflows, own_rounding)
        allowed = _rule_error(sheet, dtype, bounds, least_ulps)
        if allowed is not None and sheet.open.any():
            for near in neighbours(sheet.open.copy()):
                fits = near.proved & ~truth.stated & (_error(got, near) <= allowed.stable)
                sheet.rule(fits, _AGREE, grade=_STABLE)
        if allowed is not None and sheet.open.any():
            _rule_own(sheet, dtype, allowed, own_rounding, bounds_by_norm)
    return sheet.found


_ABSTAIN, _AGREE, _INACCURATE, _DISAGREE = (
    RULINGS.index(each)
    for each in (Ruling.ABSTAIN, Ruling.AGREE, Ruling.INACCURATE, Ruling.DISAGREE)
)
_FAITHFUL, _STABLE, _EXPLAINED, _ILL_CONDITIONED = map(GRADES.index, Grade)


class _Sheet:
    """The judgements while they are made: each number is ruled by the first rule that fits."""

    def __init__(self, got: Floats, truth: Expected) -> None:
        self.got, self.truth = got, truth
        self.open = np.ones(got.shape, dtype=bool)
        codes = np.zeros((3, *got.shape), dtype=np.int8)
        figures = np.full((6, *got.shape), math.nan)
        flags = np.zeros((2, *got.shape), dtype=bool)
        words = np.full((3, *got.shape), "", dtype=object)
        self.found = Judgements(
            codes[0], codes[1], codes[2],
            figures[0], figures[1], figures[2], figures[3], figures[4],
            flags[0], flags[1], truth.stated, figures[5], *words,
        )  # fmt: skip

    def rule(self, where: Mask, ruling: int, why: Why = Why.NOTHING, grade: int = 0) -> None:
        """Rule on the numbers that are still open there."""
        where = where & self.open
        self.found.ruling[where], self.found.grade[where] = ruling, grade
        self.found.why[where] = why
        self.open &= ~where

    def note(self, own: OwnRounding, where: Mask) -> None:
        """Keep what the code's own rounding is, for the reasons."""
        found = self.found
        found.spread[where], found.left[where] = own.spread[where], own.left[where]
        found.opaque[where] = own.opaque[where]


def _rule_range(
    sheet: _Sheet,
    dtype: Dtype,
    leaves_range: Callable[[Mask], Mask],
    underflows: Callable[[Mask], Mask],
    own_rounding: Callable[[Mask, Floats], OwnRounding],
) -> None:
    """Where a number or the truth is not finite in the dtype."""
    got, truth, found = sheet.got, sheet.truth, sheet.found
    beyond = _overflows(truth, dtype)
    special = sheet.open & (beyond | ~np.isfinite(got))
    if not special.any():
        return
    found.beyond[:] = beyond
    found.ulps[special] = found.relative[special] = math.inf
    same = beyond & (np.abs(got) >= dtype.largest) & ((got > 0) == (truth.middle > 0))
    found.ulps[special & same] = found.relative[special & same] = 0.0
    sheet.rule(special & same, _AGREE, grade=_FAITHFUL)
    sheet.rule(special & ~truth.finite, _DISAGREE, Why.INFINITE_TRUTH)
    excused = sheet.open & special & ~truth.stated
    if excused.any():
        asked = excused & ~beyond
        found.leaves_range[:] = excused & (beyond | (asked.any() and leaves_range(asked)))
        # infinities that are finite where what overflowed in the code is brought back
        back = asked & np.isinf(got) & ~found.leaves_range
        own = own_rounding(excused, np.where(back, math.inf, math.nan))
        sheet.note(own, excused)
        both = asked & ~found.leaves_range & (own.left != "")
        if both.any():
            found.leaves_range[:] |= both & underflows(both)
        sheet.rule(back & (own.left != "") & (own.ranged != 0), _INACCURATE, Why.OWN_RANGE)
    for why, is_so in (
        (Why.NOT_A_NUMBER, np.isnan(got)),
        (Why.INFINITY, np.isinf(got)),
        (Why.FINITE, np.isfinite(got)),
    ):
        sheet.rule(special & is_so & found.leaves_range, _INACCURATE, why)
        sheet.rule(special & is_so, _DISAGREE, why)


def _overflows(truth: Expected, dtype: Dtype) -> Mask:
    """Whether all of a truth rounds to infinity in the dtype, or the case states infinity."""
    edge = float(dtype.overflow) if dtype.overflow < 2**1024 - 2**970 else math.inf
    size = np.abs(truth.middle)
    inward = np.copysign(truth.low, truth.low * truth.middle) - truth.radius
    found: Mask = (size > edge) | ((size == edge) & ((inward >= 0) | np.isinf(size)))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Allowances:
    """What errors are held against: see the table in docs/judge.md."""

    slack: Floats
    stable: Floats
    explained: Floats
    of_scale: Floats
    overflows: Mask
    underflows: Mask


def _rule_error(
    sheet: _Sheet, dtype: Dtype, bounds: Callable[[Mask], ErrorBounds], least_ulps: int
) -> _Allowances | None:
    """Where both are finite, by how far the number is off; None where all is ruled on."""
    got, truth, found = sheet.got, sheet.truth, sheet.found
    raised = _raised_error(got, truth)
    error = _lowered(raised, got, truth)
    magnitude = np.ldexp(np.abs(truth.middle) + truth.radius, -truth.exponent)
    relative = np.where(error == 0, 0.0, np.where(magnitude > 0, error / magnitude, math.inf))
    space = spacing(magnitude, dtype)
    faithful = raised <= np.ldexp(FAITHFUL_ULPS * space, truth.exponent)
    todo = sheet.open
    found.error[todo], found.relative[todo] = error[todo], relative[todo]
    found.ulps[todo] = (error / space)[todo]
    sheet.rule(faithful, _AGREE, grade=_FAITHFUL)
    if not sheet.open.any():
        return None
    return _weigh(sheet, space, dtype, bounds(sheet.open.copy()), least_ulps)


def _error(got: Floats, truth: Expected) -> Floats:
    """How far each number is off at most; of a hull at least."""
    return _lowered(_raised_error(got, truth), got, truth)


def _lowered(raised: Floats, got: Floats, truth: Expected) -> Floats:
    """Raised errors as they are; of a large number, raised as far as a tiny truth, found anew."""
    error = np.ldexp(raised, -truth.exponent)
    beyond = np.isinf(error) & np.isfinite(got)
    return np.where(beyond, np.abs(got - np.ldexp(truth.middle, -truth.exponent)), error)


def _raised_error(got: Floats, truth: Expected) -> Floats:
    distance = np.abs((np.ldexp(got, truth.exponent) - truth.middle) - truth.low)
    kink = (truth.status == Status.KINK) & ~truth.stated
    return np.maximum(np.where(kink, distance - truth.radius, distance + truth.radius), 0.0)


def _weigh(
    sheet: _Sheet, space: Floats, dtype: Dtype, stress: ErrorBounds, least_ulps: int
) -> _Allowances:
    """Rule on numbers that are not faithful, by what rounding can do there."""
    truth, found = sheet.truth, sheet.found
    error, relative, u = found.error, found.relative, dtype.unit_roundoff
    # a range that is left explains nothing where the case states the answer
    scale = np.where(truth.stated & (stress.scale > dtype.largest), 0.0, stress.scale)
    underflows = stress.underflows & ~truth.stated
    todo = sheet.open.copy()
    terms = np.maximum(stress.conditioning, scale)
    found.ulps[todo] = (error / np.maximum(space, _spacing_of_zero(space, terms, dtype)))[todo]
    slack, stable, explained = _allowed(space, dtype, stress)
    # a truth of 0 has no digits to lose
    has_digits = (relative <= NO_DIGIT) | np.isinf(relative)
    if stress.size is not None:
        has_digits |= error <= NO_DIGIT * stress.size
    within = error <= np.maximum(stable, least_ulps * space)
    sheet.rule(within & has_digits, _AGREE, grade=_STABLE)
    sheet.rule(within, _AGREE, grade=_ILL_CONDITIONED)
    sheet.rule((error <= explained) & has_digits, _AGREE, grade=_EXPLAINED)
    found.scale[todo] = scale[todo]
    of_scale, overflows = SCALE_FACTOR * u * scale, scale > dtype.largest
    return _Allowances(slack, stable, explained, of_scale, overflows, underflows)


def _allowed(space: Floats, dtype: Dtype, stress: ErrorBounds) -> tuple[Floats, Floats, Floats]:
    """What the result's own rounding explains, what conditioning does, and what R does."""
    slack = space / 2 + SUBNORMALS * dtype.underflow_step
    stable = slack + CONDITIONING_FACTOR * dtype.unit_roundoff * stress.conditioning
    return slack, stable, slack + ROUNDING_FACTOR * stress.rounding


@dataclass(frozen=True, slots=True, eq=False)
class Margins:
    """How far off numbers may be and agree, and what allows it; `judge` rules by the same.

    ``ulp`` is what errors are counted in: of a truth of 0 an ulp of the terms that cancel.
    ``slack`` is the rounding of the result itself, which is part of all others.

    Shapes: those of the truths.
    """

    ulp: Floats
    slack: Floats
    faithful: Floats
    stable: Floats
    explained: Floats

    @property
    def agreeing(self) -> Floats:
        """The largest error that agrees."""
        return np.maximum(np.maximum(self.faithful, self.stable), self.explained)


def margins(truth: Floats, dtype: Dtype, stress: ErrorBounds) -> Margins:
    """What errors of numbers are held against whose truths are these, away from kinks."""
    with np.errstate(all="ignore"):
        space = spacing(np.abs(truth), dtype)
        terms = np.maximum(stress.conditioning, stress.scale)
        slack, stable, explained = _allowed(space, dtype, stress)
        digits = np.where(truth == 0, math.inf, NO_DIGIT * np.abs(truth))
        ulp = np.maximum(space, _spacing_of_zero(space, terms, dtype))
        return Margins(ulp, slack, FAITHFUL_ULPS * space, stable, np.minimum(explained, digits))


def _rule_own(
    sheet: _Sheet,
    dtype: Dtype,
    allowed: _Allowances,
    own_rounding: Callable[[Mask, Floats], OwnRounding],
    bounds_by_norm: Callable[[Mask], ErrorBounds] | None,
) -> None:
    """Rule on numbers that neither the function's nor the formula's rounding explains.

    What the code itself loses is no disagreement. Where it cannot be asked, the formula's
    intermediates stand in.
    """
    found, todo = sheet.found, sheet.open.copy()
    error, stated = found.error, sheet.truth.stated
    own = own_rounding(todo, np.where(todo, error, 0.0))
    sheet.note(own, todo)
    opaque, left = own.opaque != "", (own.left != "") & ~stated
    by_moves = allowed.slack + MOVES_FACTOR * own.spread
    by_range = allowed.slack + MOVES_FACTOR * own.ranged
    grey = GREY_FACTOR * np.maximum(allowed.stable, allowed.explained)
    by_scale = np.maximum(grey, allowed.of_scale)
    explains = np.maximum(by_moves, np.maximum(allowed.stable, allowed.explained))
    found.allowed[todo] = np.where(opaque, np.maximum(by_scale, by_moves), explains)[todo]
    sheet.rule(error <= by_moves, _INACCURATE, Why.OWN)
    # by how much a number is off that was made of what overflowed, nothing tells: 1/infinity is 0
    sheet.rule(left & ((error <= by_range) | allowed.overflows), _INACCURATE, Why.OWN_RANGE)
    if bounds_by_norm is not None:
        _rule_by_norm(sheet, dtype, own, bounds_by_norm)
    # a branch may leave out what rounding hides, and a fused kernel of half precision add up in it:
    # moves of an ulp do not show that
    by_chain = (opaque | (error <= allowed.of_scale)) & (error <= allowed.explained)
    sheet.rule(by_chain, _INACCURATE, Why.NO_DIGIT_RIGHT)
    sheet.rule(opaque & (error <= grey), _INACCURATE, Why.GREY)
    sheet.rule(opaque & (error <= allowed.of_scale), _INACCURATE, Why.SCALE)
    # 0 is what such a number becomes, or what stands where it would be divided by
    lost = opaque | (left & (sheet.got == 0)) | (error <= allowed.explained)
    sheet.rule(allowed.underflows & lost, _INACCURATE, Why.UNDERFLOW)
    sheet.rule(todo, _DISAGREE, Why.OFF)


def _rule_by_norm(
    sheet: _Sheet,
    dtype: Dtype,
    own: OwnRounding,
    bounds_by_norm: Callable[[Mask], ErrorBounds],
) -> None:
    """Rule on numbers of a kernel that is stable by norm; of half the norm no digit is right."""
    found, normed = sheet.found, sheet.open & (own.by_norm != "") & ~sheet.truth.stated
    if not normed.any():
        return
    stress = bounds_by_norm(normed)
    assert stress.size is not None
    _, stable, explained = _allowed(spacing(0.0, dtype), dtype, stress)
    allowed = np.minimum(GREY_FACTOR * np.maximum(stable, explained), NO_DIGIT * stress.size)
    within = normed & (found.error <= allowed)
    found.by_norm[within] = own.by_norm[within]
    sheet.rule(within, _INACCURATE, Why.BY_NORM)


def _spacing_of_zero(space: Floats, terms: Floats, dtype: Dtype) -> Floats:
    """Where the truth vanishes, an error is counted in ulps of the terms that cancel."""
    vanishes = (space <= dtype.underflow_step) & (terms > 0) & (terms < dtype.largest)
    return np.where(vanishes, spacing(np.where(vanishes, terms, 0.0), dtype), space)


def _reason(judged: Judgements, place: int | tuple[int, ...]) -> str:
    """Why a number is not simply right, in words."""
    why = Why(judged.why[place])
    name = "the answer in the case" if judged.stated[place] else "the truth"
    left, opaque = str(judged.left[place]), str(judged.opaque[place])
    if why in _WHAT:
        where = "beyond the dtype's range" if judged.beyond[place] else "finite"
        text = f"{_WHAT[why]} where {name} is {where}"
        if judged.leaves_range[place]:
            return text + ": an intermediate leaves the dtype's range" + (left and f" ({left})")
        return text + (left and f", and the formula stays in range: {left}")
    if why is Why.INFINITE_TRUTH:
        return f"{name} is infinite"
    if why is Why.OWN:
        return (
            "within the rounding of the code, whose answers lie "
            f"{judged.spread[place]:.3g} apart when its operations round otherwise"
        )
    if why is Why.OWN_RANGE:
        return f"the code leaves the dtype's range: {left}"
    if why is Why.OFF:
        whence = f" from {name}" if judged.stated[place] else ""
        error, allowed = judged.error[place], judged.allowed[place]
        return f"off by {error:.3g}{whence}, where rounding explains {allowed:.3g}"
    if why is Why.SCALE:
        text = f"within rounding of intermediate values as large as {judged.scale[place]:.3g}"
    else:
        text = _REASONS[why]
    by_norm = str(judged.by_norm[place])
    opaque = by_norm or opaque
    lacks = "is stable by norm only" if by_norm else "cannot be looked into"
    return text + (opaque and f" ({opaque} {lacks})")


_WHAT = {
    Why.NOT_A_NUMBER: "NaN",
    Why.INFINITY: "infinity",
    Why.FINITE: "a finite number",
}
_REASONS = {
    Why.NOTHING: "",
    Why.NO_DERIVATIVE: "the formula has no derivative there",
    Why.NOT_NARROW: "no enclosure that is narrow enough",
    Why.GREY: f"beyond the derived allowance, within {GREY_FACTOR} times of it",
    Why.NO_DIGIT_RIGHT: (
        "no digit is right, though the rounding of the formula's chain rule explains it"
    ),
    Why.BY_NORM: "within rounding by the norm of its array, though not by its own size",
    Why.UNDERFLOW: "an intermediate value underflows",
}
