"""What the judge asks about numbers that are not simply right, and what it makes of the answers."""

import math
from dataclasses import fields, replace
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
    settled,
    truth_of,
)

from gradcheck.answer import Grade, Ruling
from gradcheck.dtypes import DTYPES
from gradcheck.floats import spacing
from gradcheck.judge.judge import (
    GRADES,
    RULINGS,
    Judgements,
    OwnRounding,
    expected,
    margins,
)
from gradcheck.reference.array_bounds import ArrayErrorBounds as ErrorBounds
from gradcheck.reference.enclosures import Status


def ruled_when(got, truth, told, *, dtype=DOUBLE):
    """Of one number its ruling, or for an agreement its grade."""
    return how(asked([got], [truth], told, dtype=dtype).at(0))


TRUE = settled(1.5)


# who is asked about what


def test_only_what_is_not_simply_right_is_asked_about_and_how_far_it_is_off():
    told = Told()
    found = asked([1.5, 1.5 + 1000 * ULP], [TRUE, TRUE], told)
    only = [False, True]
    assert told.asked == {"bounds": only, "near": only, "own": only, "error": [0.0, 1000 * ULP]}
    assert found.ruling.tolist() == [RULINGS.index(Ruling.AGREE), RULINGS.index(Ruling.DISAGREE)]


def test_whether_the_range_is_left_is_asked_of_what_is_not_finite_where_the_truth_is():
    told = Told(leaves_range=True)
    beyond = settled(Fraction(2) ** 1100)
    asked([1.5, math.nan, math.nan, math.inf], [TRUE, TRUE, beyond, beyond], told)
    assert told.asked["range"] == [False, True, False, False]
    assert told.asked["own"] == [False, True, True, False]
    assert np.isnan(told.asked["error"]).all()


@pytest.mark.parametrize("got", [math.nan, math.inf])
def test_what_underflows_in_the_formula_excuses_no_number_of_code_that_stays_in_range(got):
    in_range, leaving = Told(underflows=True), Told(underflows=True, left="exp underflows")
    assert asked([got], [TRUE], in_range).at(0).ruling is Ruling.DISAGREE
    assert asked([got], [TRUE], leaving).at(0).ruling is Ruling.INACCURATE
    assert asked([got], [TRUE], replace(leaving, underflows=False)).at(0).ruling is Ruling.DISAGREE
    assert "under" not in in_range.asked


def test_what_the_code_tells_is_kept_of_those_alone_that_were_asked_about():
    found = asked([1.5, 1.5 + 1000 * ULP], [TRUE, TRUE], Told(left="exp overflows", spread=1e-9))
    assert found.left.tolist() == ["", "exp overflows"]
    assert np.isnan(found.spread[0])
    found = asked([1.5, math.nan], [TRUE, TRUE], Told(left="exp overflows", spread=1e-9))
    assert found.left.tolist() == ["", "exp overflows"]


def test_the_ulps_of_a_faithful_number_are_its_own_whatever_is_said_of_others():
    stress = replace(CALM, conditioning=1.0)
    found = asked([LEAST["float64"], 1.0], [settled(0.0), settled(0.0)], Told(stress))
    assert found.ulps.tolist() == [1, 2.0**52]


def test_a_truth_without_answers_of_a_case_is_all_the_formulas():
    balls = np.array([arb(1), arb.nan()], dtype=object)
    truth = expected(balls, np.array([int(Status.SETTLED), int(Status.UNDEFINED)]))
    assert truth.proved.tolist() == [True, False]
    assert truth.stated.dtype == bool


# inputs that rounding does not tell from this one

OTHER = settled(2.5)  # the truth on the other side of a tie


@pytest.mark.parametrize(
    ("got", "truth", "near", "ruling"),
    [
        (2.5, TRUE, OTHER, Grade.STABLE),
        (2.5 + ULP, TRUE, OTHER, Grade.STABLE),  # its own rounding: half an ulp, of 2**-51
        (2.5 + 2 * ULP, TRUE, OTHER, Ruling.DISAGREE),
        (2.5, TRUE, TRUE, Ruling.DISAGREE),
        (2.5, TRUE, settled(2.5, "vague"), Ruling.DISAGREE),
        (2.5, settled(1.5, "stated"), OTHER, Ruling.DISAGREE),
    ],
)
def test_an_answer_that_belongs_to_an_input_nearby_is_stable(got, truth, near, ruling):
    assert ruled_when(got, truth, Told(near=(near,))) is ruling


def test_any_of_the_inputs_nearby_may_explain_an_answer():
    assert ruled_when(2.5, TRUE, Told(near=(settled(3.5), OTHER))) is Grade.STABLE


def test_so_it_is_where_the_truth_there_has_not_all_its_digits_in_float64():
    near = settled(Fraction(3) * Fraction(2) ** -1000)
    assert ruled_when(2.0**-999, TRUE, Told(near=(near,))) is Grade.STABLE
    assert ruled_when(2.0**-20, TRUE, Told(near=(near,))) is Ruling.DISAGREE


# the code's own rounding: four times how far apart its answers lie, and half an ulp


@pytest.mark.parametrize(
    ("error", "spread", "ruling"),
    [
        (40.5 * ULP, 10 * ULP, Ruling.INACCURATE),
        (41 * ULP, 10 * ULP, Ruling.DISAGREE),
        (40 * ULP, 9.875 * ULP, Ruling.INACCURATE),  # the very end
    ],
)
def test_what_the_code_loses_itself_is_inaccurate(error, spread, ruling):
    truth = settled(Fraction(1.5) - Fraction(error))
    found = asked([1.5], [truth], Told(spread=spread)).at(0)
    assert found.ruling is ruling


def test_the_reason_tells_how_far_apart_the_answers_of_the_code_lie():
    found = asked([1.5 + 40 * ULP], [TRUE], Told(spread=10 * ULP)).at(0)
    assert found.reason == (
        "within the rounding of the code, whose answers lie "
        "2.22e-15 apart when its operations round otherwise"
    )


@pytest.mark.parametrize(
    ("told", "allowed"),
    [
        (Told(spread=10 * ULP), 40.5 * ULP),
        (Told(replace(CALM, conditioning=8.0)), 64.5 * ULP),
        (Told(replace(CALM, rounding=50 * ULP)), 100.5 * ULP),
        (Told(replace(CALM, conditioning=8.0), opaque="a kernel"), 258 * ULP),
        (Told(replace(CALM, scale=20.0), opaque="a kernel"), 640 * ULP),
        (Told(spread=1000 * ULP, opaque="a kernel"), 4000.5 * ULP),
    ],
)
def test_a_wrong_number_is_told_beside_all_that_rounding_explains(told, allowed):
    found = asked([2.5], [TRUE], told)
    assert found.at(0).ruling is Ruling.DISAGREE
    assert found.allowed[0] == allowed
    assert found.at(0).reason == f"off by 1, where rounding explains {allowed:.3g}"


@pytest.mark.parametrize(
    ("error", "told", "ruling"),
    [
        (40 * ULP, Told(ranged=10 * ULP, left="exp overflows"), Ruling.INACCURATE),
        (40 * ULP, Told(ranged=9.875 * ULP, left="exp overflows"), Ruling.INACCURATE),
        (41 * ULP, Told(ranged=10 * ULP, left="exp overflows"), Ruling.DISAGREE),
        (40 * ULP, Told(ranged=10 * ULP), Ruling.DISAGREE),
    ],
)
def test_what_overflowed_in_the_code_explains_what_bringing_it_back_changes(error, told, ruling):
    truth = settled(Fraction(1.5) - Fraction(error))
    found = asked([1.5], [truth], told).at(0)
    assert found.ruling is ruling


def test_an_overflow_in_the_code_is_named_and_excuses_no_answer_that_a_case_states():
    told = Told(ranged=1.0, left="exp overflows")
    found = asked([2.5], [TRUE], told).at(0)
    assert found.reason == "the code leaves the dtype's range: exp overflows"
    assert ruled_when(2.5, settled(1.5, "stated"), told) is Ruling.DISAGREE


# infinities that the code would not give, were its range not left


@pytest.mark.parametrize(
    ("scale", "left", "status", "ruling"),
    [
        (math.inf, "mean overflows", "settled", Ruling.INACCURATE),  # what is made of infinity is 0
        (2.0 * DOUBLE.largest, "mean overflows", "settled", Ruling.INACCURATE),
        (1.0 * DOUBLE.largest, "mean overflows", "settled", Ruling.DISAGREE),
        (math.inf, "", "settled", Ruling.DISAGREE),
        (math.inf, "mean overflows", "stated", Ruling.DISAGREE),
    ],
)
def test_where_formula_and_code_overflow_no_finite_number_convicts(scale, left, status, ruling):
    stress = ErrorBounds(conditioning=0.0, rounding=0.0, scale=scale, underflows=False)
    found = asked([0.0], [settled(1.0, status)], Told(stress, left=left)).at(0)
    assert found.ruling is ruling


@pytest.mark.parametrize(("got", "ruling"), [(1e160, Ruling.DISAGREE), (1e139, Ruling.AGREE)])
def test_a_large_number_beside_a_tiny_truth_is_off_by_itself(got, ruling):
    stress = ErrorBounds(conditioning=1e157, rounding=0.0, scale=0.0, underflows=False)
    found = asked([got], [settled(2.0**-900)], Told(stress))
    assert (found.at(0).ruling, found.error[0]) == (ruling, got)


@pytest.mark.parametrize(
    ("got", "told", "ruling"),
    [
        (math.inf, Told(left="exp overflows", ranged=1.0), Ruling.INACCURATE),
        (math.inf, Told(left="exp overflows", ranged=0.0), Ruling.DISAGREE),
        (math.inf, Told(left="", ranged=1.0), Ruling.DISAGREE),
        (math.nan, Told(left="exp overflows", ranged=1.0), Ruling.DISAGREE),
    ],
)
def test_an_infinity_of_an_overflow_in_the_code_is_inaccurate(got, told, ruling):
    assert asked([got], [TRUE], told).at(0).ruling is ruling


def test_that_overflow_is_named():
    found = asked([math.inf], [TRUE], Told(left="exp overflows", ranged=1.0)).at(0)
    assert found.reason == "the code leaves the dtype's range: exp overflows"


def test_the_code_is_told_which_infinities_are_to_be_brought_back():
    told = Told()
    asked([math.inf, math.nan, 1.5], [TRUE, TRUE, TRUE], told)
    assert told.asked["error"][0] == math.inf
    assert np.isnan(told.asked["error"][1:]).all()
    told = Told(leaves_range=True)
    asked([math.inf, 1.5], [TRUE, TRUE], told)
    assert np.isnan(told.asked["error"]).all()


def test_a_truth_beyond_the_range_is_told_as_such_and_has_no_error():
    beyond = settled(Fraction(2) ** 1100)
    found = asked([math.nan, math.inf, 1.5], [beyond, beyond, TRUE], Told())
    assert found.at(0).reason == (
        "NaN where the truth is beyond the dtype's range: an intermediate leaves the dtype's range"
    )
    assert (found.ulps[0], found.relative[0]) == (math.inf, math.inf)
    assert (found.ulps[1], found.relative[1]) == (0, 0)


def test_a_nan_at_a_finite_truth_is_infinitely_far_off():
    found = asked([math.nan], [TRUE], Told())
    assert (found.ulps[0], found.relative[0]) == (math.inf, math.inf)


EDGE = Fraction(2) ** 128 - Fraction(2) ** 103  # from here on float32 rounds to infinity


@pytest.mark.parametrize(
    ("truth", "grade"),
    [
        (settled(EDGE), Grade.FAITHFUL),
        (settled(EDGE + Fraction(2) ** 60), Grade.FAITHFUL),
        (settled(EDGE - Fraction(2) ** 60), Ruling.DISAGREE),
        (truth_of(arb(float(EDGE), 2.0**60)), Ruling.DISAGREE),  # not all of it
        (settled(-EDGE), Ruling.INACCURATE),
    ],
)
def test_infinity_is_right_where_all_of_the_truth_rounds_to_it(truth, grade):
    assert ruled_when(math.inf, truth, Told(), dtype=SINGLE) is grade


# truths that are known but for a little


def test_an_error_is_counted_to_the_far_end_of_a_truth_and_to_the_near_end_of_a_hull():
    wide = arb(1.5, 2.5 * ULP)
    assert ruled_when(1.5 + ULP, truth_of(wide), Told()) is Grade.FAITHFUL
    assert ruled_when(1.5 + 2 * ULP, truth_of(wide), Told()) is Ruling.DISAGREE
    assert ruled_when(1.5 + 6 * ULP, truth_of(wide, "kink"), Told()) is Grade.FAITHFUL
    assert ruled_when(1.5 + 7 * ULP, truth_of(wide, "kink"), Told()) is Ruling.DISAGREE


def test_a_relative_error_is_of_the_largest_that_the_truth_may_be():
    assert asked([2.0], [truth_of(arb(1, 0.25))], Told()).relative[0] == 1.0


# digits


@pytest.mark.parametrize(
    ("got", "size", "grade"),
    [
        (0.75, None, Grade.STABLE),  # of 1.5 just half is left
        (0.75 - ULP, None, Grade.ILL_CONDITIONED),
        (-1.5, 6.0, Grade.STABLE),
        (-1.5 - 2 * ULP, 6.0, Grade.ILL_CONDITIONED),
        (0.75, 0.1, Grade.STABLE),
    ],
)
def test_digits_are_those_of_the_number_or_of_its_array(got, size, grade):
    told = Told(replace(CALM, conditioning=1e16, size=size))
    assert ruled_when(got, TRUE, told) is grade


@pytest.mark.parametrize(
    ("error", "ruling"), [(100 * ULP, Grade.EXPLAINED), (101 * ULP, Ruling.DISAGREE)]
)
def test_what_rounding_of_the_formula_explains_ends_where_it_is_derived_to_end(error, ruling):
    told = Told(replace(CALM, rounding=49.75 * ULP))
    assert ruled_when(1.5 + error, TRUE, told) is ruling


def test_a_range_that_the_formula_leaves_widens_nothing_where_a_case_states_the_answer():
    told = Told(replace(CALM, scale=math.inf), opaque="a kernel")
    found = asked([5.0], [settled(1.0, "stated")], told).at(0)
    assert found.reason == "off by 4 from the answer in the case, where rounding explains 4.44e-16"


def test_what_the_chain_rule_loses_is_no_disagreement_of_code_as_large_in_between():
    told = Told(replace(CALM, rounding=1.0, scale=1e16))
    found = asked([-1.5], [TRUE], told).at(0)
    assert found.ruling is Ruling.DISAGREE
    told = Told(replace(CALM, rounding=2.0, scale=1e16))
    found = asked([-1.5], [TRUE], told).at(0)
    assert found.reason == (
        "no digit is right, though the rounding of the formula's chain rule explains it"
    )


# stability by norm


def test_code_that_cannot_be_asked_is_stable_by_norm_nowhere():
    norms = ErrorBounds(*(np.array([part]) for part in (1e3, 0.0, 1e3, False, 1e3)))
    told = Told(norms=norms)
    told.own = lambda mask, _error: OwnRounding.unknown(mask.shape, "_linalg_svd")
    assert ruled_when(1.5 + 100 * ULP, TRUE, told) is Ruling.DISAGREE
    assert "norms" not in told.asked


@pytest.mark.parametrize(
    ("error", "size", "ruling"),
    [
        (32 * ULP * 1e3, 1e3, Ruling.INACCURATE),  # four times sixteen units of roundoff
        (32 * ULP * 1e3 + 4 * ULP, 1e3, Ruling.DISAGREE),
        (0.5, 1.0, Ruling.DISAGREE),
    ],
)
def test_the_norm_of_an_array_ends_what_it_explains(error, size, ruling):
    norms = ErrorBounds(*(np.array([part]) for part in (1e3, 0.0, 1e3, False, size)))
    told = Told(opaque="_linalg_svd", by_norm="svd", norms=norms)
    truth = settled(Fraction(2.0) - Fraction(error))
    assert asked([2.0], [truth], told).at(0).ruling is ruling


def test_of_half_the_norm_no_digit_is_right():
    norms = ErrorBounds(*(np.array([part]) for part in (1e30, 0.0, 1e30, False, 4.0)))
    told = Told(opaque="_linalg_svd", by_norm="svd", norms=norms)
    assert ruled_when(3.0, settled(1.0), told) is Ruling.INACCURATE
    assert ruled_when(3.0 + 2 * ULP, settled(1.0), told) is Ruling.DISAGREE


def test_the_norm_is_asked_of_what_is_still_open():
    norms = ErrorBounds(*(np.array([part, part]) for part in (1.0, 0.0, 1.0, False, 1.0)))
    told = Told(by_norm="svd", norms=norms)
    asked([1.5, 2.5], [TRUE, TRUE], told)
    assert told.asked["norms"] == [False, True]


# many judgements


@pytest.mark.parametrize("dtype", [SINGLE, DTYPES["bfloat16"]])
@pytest.mark.parametrize("true", [1.5, 2.0**-10, 0.0])
@pytest.mark.parametrize(
    "stress",
    [
        CALM,
        replace(CALM, conditioning=100.0),
        replace(CALM, rounding=2.0**-10),
        replace(CALM, rounding=9.0),
        replace(CALM, conditioning=2.0**-10, scale=3.0),
    ],
)
def test_margins_are_what_the_judge_rules_by(dtype, true, stress):
    found = margins(np.array([true]), dtype, stress)
    inside, outside = (true + found.agreeing.item() * part for part in (0.999, 1.001))
    assert isinstance(ruled_at(inside, true, stress, dtype), Grade)
    assert isinstance(ruled_at(outside, true, stress, dtype), Ruling)
    ulps = asked([outside], [settled(true)], Told(stress), dtype=dtype).ulps[0]
    assert ulps == pytest.approx((outside - true) / found.ulp.item(), rel=1e-9)


def ruled_at(got, true, stress, dtype):
    return ruled_when(got, settled(true), Told(stress), dtype=dtype)


def test_the_parts_of_a_margin_are_ordered_as_the_judge_grades():
    found = margins(np.array([1.5]), DOUBLE, ErrorBounds(8.0, 1.0, 0.0, underflows=False))
    assert found.ulp.item() == spacing(1.5, DOUBLE) == ULP
    assert found.slack.item() == ULP / 2
    assert found.faithful.item() == 4 * ULP
    assert found.stable.item() == 64.5 * ULP
    assert found.explained.item() == 0.75  # of 1.5 no more than half


def three():
    """One that agrees, one that is inaccurate, one wrong, and one that is not judged."""
    truths = [TRUE, TRUE, TRUE, settled(1.5, "undefined")]
    return asked([1.5, 1.5 + 40 * ULP, 2.5, 1.5], truths, Told(spread=10 * ULP))


def test_judgements_are_counted():
    found = three()
    assert found.counts() == {ruling: int(ruling is not Ruling.KNOWN) for ruling in Ruling}
    assert found.grade_counts() == {grade: int(grade is Grade.FAITHFUL) for grade in Grade}
    assert found.abstentions() == {"the formula has no derivative there": 1}
    assert found.is_ruled(Ruling.DISAGREE).tolist() == [False, False, True, False]


def test_of_arrays_of_any_shape_every_number_is_counted():
    wrong = asked([2.5] * 4, [settled(1.5, "undefined")] * 3 + [TRUE], Told())
    columns = (getattr(wrong, each.name).reshape(2, 2) for each in fields(wrong))
    square = Judgements(*columns)
    assert square.counts()[Ruling.DISAGREE] == 1
    assert square.counts()[Ruling.KNOWN] == 0
    assert sum(square.grade_counts().values()) == 0
    assert square.abstentions() == {"the formula has no derivative there": 3}
    assert square.worst() == (1, 1)


def test_the_worst_is_ruled_worst_and_of_these_the_farthest_off():
    assert three().worst() == (2,)
    assert three().taken(slice(0, 2)).worst() == (1,)
    assert three().taken(slice(3, 4)).worst() is None
    assert three().taken(slice(0, 0)).worst() is None
    both = asked([2.5, 3.5, 3.0], [TRUE, TRUE, TRUE], Told())
    assert both.worst() == (1,)
    assert asked([1.5], [TRUE], Told()).worst() == (0,)
    far = asked([1.5 + 3 * ULP, 1.5 + 2 * ULP], [TRUE, TRUE], Told())
    assert far.worst() == (0,)


def test_of_two_judgements_the_worse_stands_and_of_equal_ones_the_first():
    right = asked([1.5, 1.5, 2.5], [TRUE] * 3, Told())
    wrong = asked([1.5 + ULP, 2.5, 1.5], [TRUE] * 3, Told())
    assert right.worse(wrong).ulps.tolist() == [0, 2.0**52, 2.0**52]
    assert wrong.worse(right).ulps.tolist() == [1, 2.0**52, 2.0**52]
    assert [GRADES[k] for k in right.worse(wrong).grade] == [Grade.FAITHFUL, None, None]
