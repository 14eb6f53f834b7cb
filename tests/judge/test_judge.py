"""The judge may be generous or strict, but it must never be silent."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from flint import arb
from hand_made import (
    CALM,
    DOUBLE,
    LEAST,
    SINGLE,
    ULP,
    Told,
    asked,
    how,
    judged,
    ruled,
    ruled_of_code_that_shows_itself,
    settled,
    truth_of,
)

from gradcheck.answer import Grade, Ruling
from gradcheck.dtypes import DTYPES
from gradcheck.ops.balls import working
from gradcheck.reference.array_bounds import ArrayErrorBounds as ErrorBounds


def never(_mask):
    raise AssertionError("the judge asked what it need not know of a faithful number")


# faithful numbers


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e-310, 2.0**-1074, 1e300])
def test_the_true_number_is_faithful_and_no_ulp_off(value):
    judgement = judged(value, settled(value), DOUBLE, never, never)
    assert (how(judgement), judgement.ulps, judgement.relative) == (Grade.FAITHFUL, 0, 0)


@pytest.mark.parametrize("steps", [1, 3, 4, -1, -4])
def test_up_to_four_ulps_are_faithful_without_an_explanation(steps):
    judgement = judged(1.5 + steps * ULP, settled(1.5), DOUBLE, never, never)
    assert (how(judgement), judgement.ulps) == (Grade.FAITHFUL, abs(steps))


@pytest.mark.parametrize("steps", [4, -4])
def test_among_subnormal_numbers_ulps_are_counted_as_exactly(steps):
    with working(256, exact=True):
        truth = truth_of(arb(9.3) * arb(2) ** -1074)  # 0.3 of an ulp above the ninth
    near = ruled((9 + steps) * 2.0**-1074, truth)
    assert near.ulps == pytest.approx(abs(steps - 0.3), abs=0.51)
    assert (how(near) is Grade.FAITHFUL) == (abs(steps - 0.3) <= 4)


@pytest.mark.parametrize("steps", [5, -5])
def test_a_fifth_ulp_needs_an_explanation(steps):
    judgement = ruled(1.5 + steps * ULP, settled(1.5))
    assert (how(judgement), judgement.ulps) == (Ruling.DISAGREE, 5)
    assert judgement.reason == "off by 1.11e-15, where rounding explains 4.44e-16"


def test_the_error_is_told_relatively_too():
    assert ruled(2.5, settled(2.0)).relative == 0.25
    assert ruled(2.5, settled(0.0)).relative == math.inf


def test_the_truth_may_lie_between_two_floats():
    with working(256, exact=True):
        third = truth_of(arb(1) / 3, "settled")
    assert ruled(1 / 3, third).ulps == pytest.approx(1 / 3, rel=1e-9)
    assert ruled(math.nextafter(1 / 3, 1), third).ulps == pytest.approx(2 / 3, rel=1e-9)


@pytest.mark.parametrize(
    ("got", "ruling"),
    [
        (1.4e-9, (Ruling.AGREE, Grade.EXPLAINED)),
        (1.6e-9, (Ruling.INACCURATE, None)),
        (0.0, (Ruling.INACCURATE, None)),
    ],
)
def test_rounding_alone_does_not_explain_a_number_without_a_right_digit(got, ruling):
    """As a quotient that cancels does: R is 1e-8, however the function is conditioned."""
    judgement = ruled(got, settled(1e-9), stress=replace(CALM, rounding=1e-8))
    assert (judgement.ruling, judgement.grade) == ruling


def test_a_truth_that_is_proved_tiny_is_zero():
    tiny = truth_of(arb(0, 2.0**-1000) * arb(2) ** -1000)
    judgement = ruled(1e-9, tiny, stress=replace(CALM, rounding=1e-8))
    assert (judgement.ruling, judgement.grade) == (Ruling.AGREE, Grade.EXPLAINED)


def test_rounding_explains_what_is_not_zero_where_the_truth_is():
    judgement = ruled(1e-9, settled(0.0), stress=replace(CALM, rounding=1e-8))
    assert (judgement.ruling, judgement.grade) == (Ruling.AGREE, Grade.EXPLAINED)


@pytest.mark.parametrize(
    ("got", "grade"),
    [
        (1.4e-9, Grade.STABLE),
        (1.6e-9, Grade.ILL_CONDITIONED),
        (0.0, Grade.ILL_CONDITIONED),
        (-1e-9, Grade.ILL_CONDITIONED),
    ],
)
def test_an_agreement_that_a_zero_would_share_is_ill_conditioned(got, grade):
    """S is 1e7, of which 16 u are 1.8e-8: a function near which its inputs say nothing of it."""
    judgement = ruled(got, settled(1e-9), stress=replace(CALM, conditioning=1e7))
    assert (judgement.ruling, judgement.grade) == (Ruling.AGREE, grade)


def test_a_truth_of_zero_is_met_as_stable():
    judgement = ruled(1e-9, settled(0.0), stress=replace(CALM, conditioning=1e7))
    assert (judgement.ruling, judgement.grade) == (Ruling.AGREE, Grade.STABLE)


# each bound, on both sides


@pytest.mark.parametrize(
    ("stress", "last", "inside", "outside"),
    [
        # half an ulp and 16 u S, u being half an ulp of 1: S = 100 explains 800.5 ulps
        (replace(CALM, conditioning=100.0), 800, Grade.STABLE, Ruling.INACCURATE),
        # four times that are the grey zone: 3,202 ulps
        (replace(CALM, conditioning=100.0), 3202, Ruling.INACCURATE, Ruling.DISAGREE),
        # half an ulp and 2 R: R = 50 ulps explain 100.5
        (replace(CALM, rounding=50 * ULP), 100, Grade.EXPLAINED, Ruling.INACCURATE),
        # and four times that
        (replace(CALM, rounding=50 * ULP), 402, Ruling.INACCURATE, Ruling.DISAGREE),
        # 64 u M: M = 10 explains 320 ulps
        (replace(CALM, scale=10.0), 320, Ruling.INACCURATE, Ruling.DISAGREE),
    ],
)
@pytest.mark.parametrize("side", [1, -1])
def test_each_bound_ends_where_it_is_derived_to_end(stress, last, inside, outside, side):
    truth = settled(1.5)
    assert how(ruled(1.5 + side * last * ULP, truth, stress=stress)) is inside
    assert how(ruled(1.5 + side * (last + 1) * ULP, truth, stress=stress)) is outside


def test_the_same_bounds_in_float32():
    stress, ulp = replace(CALM, conditioning=100.0), 2.0**-23
    truth = settled(1.5)
    assert how(ruled(1.5 + 800 * ulp, truth, dtype=SINGLE, stress=stress)) is Grade.STABLE
    assert how(ruled(1.5 + 801 * ulp, truth, dtype=SINGLE, stress=stress)) is Ruling.INACCURATE
    assert how(ruled(1.5 + 3202 * ulp, truth, dtype=SINGLE, stress=stress)) is Ruling.INACCURATE
    assert how(ruled(1.5 + 3203 * ulp, truth, dtype=SINGLE, stress=stress)) is Ruling.DISAGREE


def test_the_wider_allowance_of_a_case_ends_too():
    assert ruled(1.5 + 1000 * ULP, settled(1.5), least_ulps=1000).ruling is Ruling.AGREE
    assert ruled(1.5 + 1001 * ULP, settled(1.5), least_ulps=1000).ruling is Ruling.DISAGREE


def test_an_underflow_of_an_intermediate_is_inaccurate_and_says_so():
    judgement = ruled(0.0, settled(1e-300), stress=replace(CALM, underflows=True))
    assert judgement.ruling is Ruling.INACCURATE
    assert judgement.reason == "an intermediate value underflows (a kernel cannot be looked into)"


@pytest.mark.parametrize(
    ("underflows", "steps", "ruling"),
    [
        (True, 40, Ruling.INACCURATE),  # all digits may go where steps are rounded to subnormals
        (False, 40, Ruling.DISAGREE),  # where none is, a formula that cancels explains no 0
        (True, 44, Ruling.DISAGREE),  # beyond two times the rounding, two steps and a half
    ],
)
def test_rounding_to_subnormals_explains_an_answer_without_a_digit(underflows, steps, ruling):
    stress = replace(CALM, rounding=20 * LEAST["float64"], underflows=underflows)
    truth = settled(steps * LEAST["float64"])
    assert ruled_of_code_that_shows_itself(0.0, truth, stress).ruling is ruling


def test_what_is_inaccurate_names_its_excuse():
    stress = replace(CALM, conditioning=100.0)
    assert ruled(1.5 + 900 * ULP, settled(1.5), stress=stress).reason == (
        "beyond the derived allowance, within 4 times of it (a kernel cannot be looked into)"
    )
    judgement = ruled(1.0 + 300 * ULP, settled(1.0), stress=replace(CALM, scale=12.0))
    assert judgement.reason == (
        "within rounding of intermediate values as large as 12 (a kernel cannot be looked into)"
    )


# where the truth vanishes, or nearly


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
def test_subnormal_truths_are_measured_in_the_smallest_step(dtype):
    step = LEAST[dtype.name]
    assert ruled(7 * step, settled(3 * step), dtype=dtype).ulps == 4
    assert how(ruled(7 * step, settled(3 * step), dtype=dtype)) is Grade.FAITHFUL
    # two steps are allowed for what underflows, and half a one; four times as much is grey
    assert how(ruled(11 * step, settled(3 * step), dtype=dtype)) is Ruling.INACCURATE
    assert how(ruled(14 * step, settled(3 * step), dtype=dtype)) is Ruling.DISAGREE


@pytest.mark.parametrize("exponent", [-1076, -1190, -1300])
def test_a_truth_below_every_float_is_zero(exponent):
    assert how(ruled(0.0, settled(Fraction(2) ** exponent))) is Grade.FAITHFUL
    assert how(ruled(1e-300, settled(Fraction(2) ** exponent))) is Ruling.DISAGREE


def test_an_error_at_zero_is_counted_in_ulps_of_the_terms_that_cancel():
    stress = replace(CALM, conditioning=1.0)
    assert ruled(100 * ULP, settled(0.0), stress=stress).ulps == 100
    assert ruled(100 * ULP, settled(0.0)).ulps == 100 * 2.0**1022


# numbers and truths that are not finite


@pytest.mark.parametrize(("dtype", "exponent"), [(DOUBLE, 1024), (SINGLE, 128)])
def test_infinity_agrees_where_the_truth_rounds_to_it(dtype, exponent):
    beyond = settled(Fraction(2) ** exponent)
    edge = settled(Fraction(2) ** exponent - Fraction(2) ** (exponent - dtype.precision - 1))
    for truth in (beyond, edge):
        assert how(ruled(math.inf, truth, dtype=dtype)) is Grade.FAITHFUL
        assert how(ruled(dtype.largest, truth, dtype=dtype)) is Grade.FAITHFUL


@pytest.mark.parametrize(("dtype", "exponent"), [(DOUBLE, 1024), (SINGLE, 128)])
def test_infinity_disagrees_where_the_truth_rounds_to_a_float(dtype, exponent):
    below = Fraction(2) ** exponent - Fraction(2) ** (exponent - dtype.precision)
    judgement = ruled(math.inf, settled(below), dtype=dtype)
    assert judgement.ruling is Ruling.DISAGREE
    assert judgement.reason == "infinity where the truth is finite"
    assert how(ruled(dtype.largest, settled(below), dtype=dtype)) is Grade.FAITHFUL


@pytest.mark.parametrize("got", [-math.inf, -DOUBLE.largest, 1.0, math.nan])
def test_nothing_else_agrees_with_a_truth_beyond_the_range(got):
    judgement = ruled(got, settled(Fraction(2) ** 1024))
    assert judgement.ruling is Ruling.INACCURATE
    assert judgement.reason.endswith("an intermediate leaves the dtype's range")


@pytest.mark.parametrize("got", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_excused_by_an_intermediate_that_leaves_the_range(got):
    assert ruled(got, settled(1.0), leaves_range=True).ruling is Ruling.INACCURATE
    assert ruled(got, settled(1.0)).ruling is Ruling.DISAGREE


def test_an_intermediate_that_leaves_the_range_excuses_no_finite_number():
    assert ruled(2.0, settled(1.0), leaves_range=True).ruling is Ruling.DISAGREE


@pytest.mark.parametrize(
    "truth",
    [
        settled(1.0),
        settled(0.0),
        settled(Fraction(2) ** 1100),
        truth_of(arb(0.5, 0.5), "kink"),
        settled(0.0, "stated"),
        truth_of(arb.pos_inf(), "stated"),
    ],
)
@pytest.mark.parametrize(
    "stress", [CALM, ErrorBounds(math.inf, math.inf, math.inf, underflows=True)]
)
@pytest.mark.parametrize("leaves_range", [False, True])
def test_a_nan_never_agrees(truth, stress, leaves_range):
    judgement = ruled(math.nan, truth, stress=stress, leaves_range=leaves_range, least_ulps=10**6)
    assert judgement.ruling in (Ruling.INACCURATE, Ruling.DISAGREE)


def test_a_nan_disagrees_where_nothing_leaves_the_range():
    judgement = ruled(math.nan, settled(1.0))
    assert (judgement.ruling, judgement.reason) == (
        Ruling.DISAGREE,
        "NaN where the truth is finite",
    )
    assert judgement.ulps == math.inf


# kinks, conventions, and what proves nothing

HULL = truth_of(arb(0.5, 0.5), "kink")  # of the slopes of relu at 0


@pytest.mark.parametrize("got", [0.0, 0.25, 1.0, 1.0 + 4 * ULP, -4 * ULP])
def test_every_number_in_the_hull_agrees(got):
    assert how(ruled(got, HULL)) is Grade.FAITHFUL


@pytest.mark.parametrize("got", [-0.1, 1.1, -1e-8, 1.0 + 1e-8, math.inf])
def test_a_number_outside_the_hull_disagrees(got):
    assert ruled(got, HULL).ruling is Ruling.DISAGREE


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("undefined", "the formula has no derivative there"),
        ("vague", "no enclosure that is narrow enough"),
    ],
)
@pytest.mark.parametrize("got", [0.0, math.nan, math.inf])
def test_without_a_proof_the_judge_abstains_with_a_reason(status, reason, got):
    judgement = judged(got, truth_of(arb.nan(), status), DOUBLE, never, never)
    assert (judgement.ruling, judgement.reason, judgement.judged) == (
        Ruling.ABSTAIN,
        reason,
        False,
    )
    assert math.isnan(judgement.ulps)


def test_a_convention_is_held_to_the_number():
    promise = settled(0.0, "stated")
    assert [how(ruled(got, promise)) for got in (0.0, -0.0, 0.5, 1.0)] == [
        Grade.FAITHFUL,
        Grade.FAITHFUL,
        Ruling.DISAGREE,
        Ruling.DISAGREE,
    ]


def test_a_convention_may_be_infinite():
    promise = truth_of(arb.neg_inf(), "stated")
    assert ruled(-math.inf, promise).ruling is Ruling.AGREE
    for got in (math.inf, 0.0, math.nan):
        judgement = ruled(got, promise)
        assert (judgement.ruling, judgement.reason) == (
            Ruling.DISAGREE,
            "the answer in the case is infinite",
        )


# answers that a case states

WRITTEN = settled(1.0, "stated")
OVERWHELMED = ErrorBounds(conditioning=1.0, rounding=0.0, scale=math.inf, underflows=True)


@pytest.mark.parametrize(
    ("got", "reason"),
    [
        (math.nan, "NaN where the answer in the case is finite"),
        (math.inf, "infinity where the answer in the case is finite"),
        (-math.inf, "infinity where the answer in the case is finite"),
        (5.0, "off by 4 from the answer in the case, where rounding explains 7.55e-15"),
        (0.0, "off by 1 from the answer in the case, where rounding explains 7.55e-15"),
    ],
)
@pytest.mark.parametrize("leaves_range", [False, True])
def test_a_written_answer_holds_also_where_the_formula_leaves_the_range(got, reason, leaves_range):
    judgement = ruled(got, WRITTEN, stress=OVERWHELMED, leaves_range=leaves_range)
    assert (judgement.ruling, judgement.reason) == (Ruling.DISAGREE, reason)


def test_a_written_answer_beyond_the_range_is_held_to_infinity():
    beyond = settled(Fraction(2) ** 1024, "stated")
    assert ruled(math.inf, beyond).ruling is Ruling.AGREE
    for got in (math.nan, -math.inf, 1.0):
        assert ruled(got, beyond, leaves_range=True).ruling is Ruling.DISAGREE


@pytest.mark.parametrize(
    ("stress", "last", "inside", "outside"),
    [
        (replace(CALM, conditioning=100.0), 800, Grade.STABLE, Ruling.INACCURATE),
        (replace(CALM, conditioning=100.0), 3202, Ruling.INACCURATE, Ruling.DISAGREE),
        (replace(CALM, rounding=50 * ULP), 100, Grade.EXPLAINED, Ruling.INACCURATE),
        (replace(CALM, scale=10.0), 320, Ruling.INACCURATE, Ruling.DISAGREE),
    ],
)
def test_a_written_answer_is_allowed_the_same_rounding_as_the_truth(stress, last, inside, outside):
    written = settled(1.5, "stated")
    assert how(ruled(1.5 + last * ULP, written, stress=stress)) is inside
    assert how(ruled(1.5 + (last + 1) * ULP, written, stress=stress)) is outside


# sums in half precision

SUM = replace(CALM, rounding=2000.0, scale=8000.0)
"""Of 64 terms near 1,000 of both signs, added up in bfloat16."""


@pytest.mark.parametrize(
    ("got", "bounds", "dtype", "ruling"),
    [
        (32.0, SUM, "bfloat16", Ruling.INACCURATE),
        (32.0, SUM, "float16", Ruling.INACCURATE),
        (32.0, SUM, "float32", Ruling.DISAGREE),
        (32.0, replace(SUM, scale=100.0), "bfloat16", Ruling.DISAGREE),
        (32.0, replace(SUM, rounding=30.0), "bfloat16", Ruling.DISAGREE),
    ],
)
def test_half_precision_is_not_blamed_for_what_its_own_sums_lose(got, bounds, dtype, ruling):
    truth = settled(-48.0)
    found = ruled_of_code_that_shows_itself(got, truth, bounds, dtype=DTYPES[dtype])
    assert found.ruling is ruling


# stability by norm


def by_norm(got, true, size, *, kernel="svd"):
    """One small entry of an array whose largest entry is ``size``."""
    largest = ErrorBounds(*(np.array([part]) for part in (size, 0.0, size, False, size)))
    told = Told(opaque="_linalg_svd", by_norm=kernel, norms=largest)
    return asked([got], [settled(true)], told).at(0)


def test_an_error_that_is_small_by_norm_is_inaccurate_where_the_kernel_is_stable_by_norm():
    found = by_norm(1.0 + 20 * 2.0**-53 * 1e6, 1.0, 1e6)
    assert found.ruling is Ruling.INACCURATE
    assert found.reason == (
        "within rounding by the norm of its array, though not by its own size "
        "(svd is stable by norm only)"
    )


@pytest.mark.parametrize(
    ("got", "kernel"), [(1.0 + 80 * 2.0**-53 * 1e6, "svd"), (1.0 + 20 * 2.0**-53 * 1e6, "")]
)
def test_one_that_is_larger_or_of_another_kernel_is_wrong(got, kernel):
    assert by_norm(got, 1.0, 1e6, kernel=kernel).ruling is Ruling.DISAGREE
