"""What entries of low precision show together: a factor, an offset, a row, a stopped sum."""

from dataclasses import replace

import numpy as np
import pytest

from gradcheck.answer import GuessKind
from gradcheck.dtypes import DTYPES
from gradcheck.floats import round_to
from gradcheck.judge.arrays import SampledArray, TermError, oddities, resemblance, without_lost
from gradcheck.randomness import random_words

BFLOAT16 = DTYPES["bfloat16"]
U = BFLOAT16.unit_roundoff
SHAPE = (32, 64)


def evenly(key, shape):
    """Numbers from -1 to 1."""
    return random_words(key, shape).astype(float) / 2.0**63 - 1


TRUE = evenly(1, SHAPE) + 2 * np.sign(evenly(2, SHAPE))


def rounded(exact):
    return round_to(exact, BFLOAT16)


def array(got, true=TRUE, *, rows=0.0):
    """An array, with samples of a code that rounds its result, and ``rows`` u of each row too."""
    own = TRUE if true is None else true
    samples = [
        own * (U * 0.73 * evenly(10 + level, (32, *own.shape)) * (1 + level))
        + own * rows * level * U * evenly(20 + level, (32, *own.shape[:-1], 1))
        for level in range(3)
    ]
    return SampledArray(got, own, tuple(samples), BFLOAT16)


def told(found, *, ordinary=True):
    return [oddity.text for oddity in oddities(found, ordinary=ordinary)]


def test_the_truth_rounded_once_is_no_oddity():
    assert told(array(rounded(TRUE))) == []


@pytest.mark.parametrize(("factor", "share"), [(1.002, "+0.002"), (0.99, "-0.01"), (1.05, "+0.05")])
def test_a_factor_shows_in_the_mean_though_no_entry_shows_it(factor, share):
    found = told(array(rounded(factor * TRUE)))
    assert found[0].startswith(f"the mean signed error over 2,048 entries is {share} of their size")


REPEATED = np.broadcast_to(TRUE[:1], SHAPE)


def test_rows_that_are_the_same_numbers_err_alike():
    off = REPEATED * (1 + 4 * U)
    one = np.where(np.arange(64) == 46, off, rounded(REPEATED))
    assert told(array(one, REPEATED)) == []
    assert told(array(1.05 * REPEATED, REPEATED)) != []


def test_rows_that_err_otherwise_than_the_first_of_the_same_numbers_count():
    wrong = np.where(np.arange(SHAPE[0])[:, None] < 16, 1.0, 1.01) * REPEATED
    assert told(array(rounded(wrong), REPEATED))[0].startswith("the mean signed error")


def test_exact_entries_say_nothing_of_how_far_others_may_be_off():
    """Most numbers are whole; the others are off by up to five units, as by a long sum."""
    whole = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) % 32 != 0
    true = np.where(whole, np.sign(TRUE) * 2.0, TRUE)
    wide = true * (1 + 5 * U * np.where(whole, 0.0, evenly(3, SHAPE)))
    assert told(array(wide, true)) == []
    assert told(array(np.where(whole, true, 1.2 * true), true)) != []


def test_it_is_told_in_standard_errors():
    (first, *_) = told(array(rounded(1.05 * TRUE)))
    assert first.endswith(" standard errors")


def test_a_factor_less_than_rounding_in_the_mean_is_none():
    assert told(array(rounded((1 + U / 2000) * TRUE))) == []


def test_an_offset_that_no_factor_is_shows_too():
    found = told(array(rounded(TRUE + 0.02)))
    assert any(text.startswith("the mean offset") for text in found)


def with_row(factor):
    got = TRUE.copy()
    got[7] *= factor
    return rounded(got)


def test_a_row_that_is_off_by_a_hundredth_is_named():
    found = told(array(with_row(1.01)))
    assert found
    assert all("7" in text for text in found)


def test_a_row_is_not_wrong_where_right_code_rounds_by_rows():
    scales = 1 + U * evenly(5, (32, 1))
    assert told(array(rounded(TRUE * scales), rows=1.0)) == []


def test_a_single_entry_is_found_by_its_array():
    got = rounded(TRUE)
    got[3, 5] *= 1.5
    (first, *_) = told(array(got), ordinary=False)
    assert first.startswith("entry [3, 5] is off by ")


def with_zeros(*places):
    """Every entry is off by up to a seventh: a zero is far from the truth, but no 16 σ."""
    got = rounded(TRUE * (1 + 0.15 * evenly(50, SHAPE)))
    for place in places:
        got[place] = 0.0
    loose = tuple(0.15 * TRUE * evenly(40 + level, (32, *SHAPE)) for level in range(3))
    return SampledArray(got, TRUE, loose, BFLOAT16)


def test_a_zero_where_the_truth_is_none_is_found():
    assert told(with_zeros(), ordinary=False) == []
    assert told(with_zeros((3, 5)), ordinary=False) == [
        f"entry [3, 5] is 0 where the truth is {TRUE[3, 5]:.3g}"
    ]
    assert told(with_zeros((3, 5), (9, 1)), ordinary=False) == [
        f"entry [3, 5] is 0 where the truth is {TRUE[3, 5]:.3g}, one of 2 such entries"
    ]


def taken_for_0(scale, below):
    """Numbers of a scale, of which those of a magnitude below a limit are taken for 0."""
    own = array(TRUE)
    true = evenly(4, SHAPE) * scale
    samples = tuple(each / TRUE * true for each in own.samples)
    return replace(
        own, got=rounded(np.where(abs(true) < below, 0, true)), true=true, samples=samples
    )


@pytest.mark.parametrize("ordinary", [True, False])
def test_a_number_that_float32_has_no_normal_number_for_may_be_taken_for_0(ordinary):
    assert told(taken_for_0(1e-36, 2.0**-126), ordinary=ordinary) == []


@pytest.mark.parametrize("scale", [1e-34, 1.0])
def test_larger_ones_may_not(scale):
    (text,) = told(taken_for_0(scale, 0.01 * scale), ordinary=False)
    assert text.startswith("entry ")


def test_where_inputs_are_not_ordinary_nothing_is_asked_of_the_mean():
    assert told(array(rounded(1.01 * TRUE)), ordinary=False) == []


def sums(got, terms=4096, in_the_dtype=0.1):
    """Two sums of so many terms each; the last level adds them up in the dtype."""
    true = np.array([4096.0, -4096.0])
    errors = [true * size * evenly(3, (32, 2)) for size in (U, U, in_the_dtype)]
    return SampledArray(np.array(got), true, tuple(errors), BFLOAT16, terms)


@pytest.mark.parametrize("stopped", [256.0, 512.0, 2048.0])
def test_a_sum_that_stopped_growing_is_named(stopped):
    assert told(sums([stopped, -4096.0])) == [
        f"a sum stagnates: entry [0] is {stopped:.0f} where the truth is 4096; "
        "added up in bfloat16, its terms become too small beside it"
    ]


@pytest.mark.parametrize(("unit", "stagnates"), [(2.0**-126, False), (2.0**-120, True)])
def test_a_sum_whose_terms_a_kernel_may_take_for_0_did_not_stagnate(unit, stagnates):
    found = sums([512.0, -4096.0])
    errors = tuple(each * unit for each in found.samples)
    small = replace(found, got=found.got * unit, true=found.true * unit, samples=errors)
    assert any("stagnates" in text for text in told(small)) is stagnates


def test_the_sum_that_stopped_is_named_beside_numbers_of_which_nothing_is_known():
    found = sums([512.0, 0.0])
    unknown = replace(found, true=np.array([4096.0, np.nan]))
    assert told(unknown)[0].startswith("a sum stagnates: entry [0] is 512")


def test_sums_of_few_terms_do_not_stagnate():
    assert not any("stagnates" in text for text in told(sums([512.0, -4096.0], terms=255)))


def test_a_sum_that_is_off_as_sums_in_the_dtype_are_by_chance_did_not_stagnate():
    assert not any("stagnates" in text for text in told(sums([2048.0, -4096.0], in_the_dtype=0.4)))


def test_a_sum_that_is_a_little_off_did_not_stagnate():
    assert told(sums([3900.0, -4096.0])) == []


def test_what_the_code_itself_moves_by_is_no_oddity():
    found = array(rounded(1.01 * TRUE))
    oddity = next(oddities(found, ordinary=True))
    swinging = np.stack([TRUE * 1.01, TRUE * 0.99])
    assert oddity.is_explained(found.error, swinging)
    still = np.stack([found.got, found.got * (1 + U * evenly(9, SHAPE))])
    assert not oddity.is_explained(found.error, still)


def test_what_is_not_finite_neither_excuses_nor_hides_an_excuse():
    found = array(rounded(1.01 * TRUE))
    oddity = next(oddities(found, ordinary=True))
    error = found.error.copy()
    error[0, 0] = np.nan
    for swing in (0.01, 0.0):
        moved = np.stack([TRUE * (1 + swing), TRUE * (1 - swing)])
        moved[0, 0, 0], moved[1, 1, 1] = np.nan, np.inf
        assert oddity.is_explained(error, moved) is (swing > 0)


def test_an_entry_that_moves_take_out_of_range_is_no_oddity_and_another_stays_one():
    found = lone_entry()
    oddity = next(oddities(found, ordinary=True))
    moved = np.stack([found.got, found.got])
    moved[0, 0, 0] = np.inf
    assert not oddity.is_explained(found.error, moved)
    moved[0, 3, 5] = np.inf
    assert oddity.is_explained(found.error, moved)


def test_what_is_all_wrong_in_one_half_is_told_though_the_other_half_is_right():
    got = rounded(TRUE)
    got[16:] = got[:16]
    found = array(got)
    oddity = next(oddities(found, ordinary=True))
    assert oddity.text.startswith("errors scatter ")
    moved = np.stack([rounded(got * (1 + 2 * U * evenly(key, SHAPE))) for key in range(30, 34)])
    assert not oddity.is_explained(found.error, moved)
    moved[::2] = TRUE[::-1]  # and if the code's own rounding does as much
    assert oddity.is_explained(found.error, moved)


def test_a_term_is_measured_by_numbers_as_exactly_as_they_were_given():
    """Where the truth nearly vanishes and the answer lacks a term, that answer was rounded."""
    true = np.where(evenly(7, SHAPE) > 0.9, TRUE / 1e4, TRUE)
    got = array(rounded(true - TERM), true)
    found = resemblance(replace(got, lines=with_term(got.got).lines))
    assert abs(found.value + 1) < 4 * found.doubt


def test_a_column_that_is_off_by_as_much_as_rounding_is_named():
    wrong = TRUE.copy()
    wrong[:, 40] += 0.01
    assert any("mean offset of index 40 of axis 1" in text for text in told(array(rounded(wrong))))


def test_a_few_entries_that_round_worse_make_no_column_wrong():
    got = rounded(TRUE)
    got[:4, 40] += 12 * U  # some 10 σ of each, and 20 of the column if they counted in full
    assert told(array(got)) == []


def test_a_few_entries_that_are_off_by_much_of_themselves_make_no_row_wrong():
    got = rounded(TRUE)
    got[7, :8] *= 1 + 6 * U  # some 14 σ of each, and 14 of the row if they counted in full
    assert told(array(got)) == []


THIRDS = TRUE[:, :48]


def of_a_rounded_constant(got):
    """An array, with samples of code that may round a factor of all numbers."""
    found = array(got, THIRDS)
    common = [level * U * THIRDS * evenly(70 + level, (32, 1, 1)) for level in range(3)]
    samples = tuple(a + b for a, b in zip(found.samples, common, strict=True))
    return replace(found, samples=samples)


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_a_third_that_is_off_is_named_though_it_widens_the_scatter_of_all(factor):
    wrong = THIRDS.copy()
    wrong[:, 16:32] *= factor
    found = " ".join(told(of_a_rounded_constant(rounded(wrong))))
    assert "index 16 to 31 of axis 1" in found
    assert told(of_a_rounded_constant(rounded(THIRDS))) == []


def cancelling(got):
    """An array of which right code may lose every fifth number, but for code that rounds once."""
    lost = np.where(evenly(60, SHAPE) > 0.6, 1.0, U)
    samples = [
        TRUE * evenly(61 + level, (32, *SHAPE)) * (lost if level else U) for level in range(3)
    ]
    return SampledArray(got, TRUE, tuple(samples), BFLOAT16)


@pytest.mark.parametrize(
    "wrong", [1.003 * TRUE, with_row(1.01), np.where(np.arange(64) == 5, 1.01, 1.0) * TRUE]
)
def test_what_other_code_may_lose_hides_no_factor_of_the_rest(wrong):
    assert told(cancelling(rounded(TRUE))) == []
    assert told(cancelling(rounded(wrong)))[0].startswith("the mean ")


TERM = evenly(3, SHAPE) / 4


def line_of(numbers):
    return TermError(GuessKind.TERM, "t", numbers)


def with_term(got):
    """An array whose truth has a term, and what a relative change of that would add."""
    return replace(array(got), lines=lambda: iter([line_of(TERM)]))


def test_a_term_that_is_a_little_off_shows_where_the_mean_and_the_entries_show_nothing():
    got = rounded(TRUE + 0.01 * TERM)
    assert told(array(got)) == []
    (text,) = told(with_term(got))
    assert text.startswith("a factor of 1.01 in a term: t, ")


def test_of_right_code_no_term_is_off():
    assert told(with_term(rounded(TRUE))) == []


def test_a_few_entries_that_are_off_by_much_make_no_term_wrong():
    row = np.where(np.arange(SHAPE[0])[:, None] == 3, TRUE, 0.0)

    def told_of(share):
        got = rounded(TRUE + share * row)
        return told(replace(array(got), lines=lambda: iter([line_of(row)])))

    few = np.where(np.arange(SHAPE[1]) < 6, 6 * U, 0.0)
    assert told_of(few) == []  # 14 σ each, and 10 of the term if they counted in full
    assert [text for text in told_of(1.5 * U) if text.startswith("a factor of ")]


def test_errors_resemble_what_leaves_nothing_that_is_wrong():
    found = resemblance(with_term(rounded(TRUE - TERM)))
    assert found.line.kind is GuessKind.TERM
    assert abs(found.value + 1) < 4 * found.doubt < 0.1


def test_a_factor_of_all_is_told_before_a_term():
    assert resemblance(with_term(rounded(1.01 * TRUE))).line.kind is GuessKind.FACTOR


def test_errors_that_no_single_factor_explains_resemble_nothing():
    wrong = TRUE - TERM
    wrong[5] *= 1.5
    assert resemblance(with_term(rounded(wrong))) is None


def test_right_code_resembles_nothing():
    assert resemblance(with_term(rounded(TRUE))) is None


# what the code's own moves excuse


def lone_entry():
    got = rounded(TRUE)
    got[3, 5] *= 1.5
    return array(got)


@pytest.mark.parametrize(
    "made",
    [
        lambda: with_zeros((3, 5)),
        lone_entry,
        lambda: array(rounded(1.01 * TRUE)),
        lambda: array(rounded(TRUE + 0.02)),
        lambda: array(with_row(1.01)),
        lambda: with_term(rounded(TRUE + 0.02 * TERM)),
    ],
)
def test_each_oddity_is_excused_by_moves_that_make_as_much_of_it_and_by_no_others(made):
    found = made()
    all_of_it = list(oddities(found, ordinary=True))
    # moves of the code that change it by as much, in both directions, and by a hundredth of that
    alike = np.array([found.error, -found.error])
    assert [each.text for each in all_of_it if not each.is_explained(found.error, alike)] == []
    assert not any(each.is_explained(found.error, alike / 100) for each in all_of_it)
    assert not any(each.is_explained(found.error, alike[:0]) for each in all_of_it)


def test_a_stopped_sum_is_excused_by_no_moves():
    made = sums([256.0, -4096.0])
    (found,) = oddities(made, ordinary=True)
    assert not found.is_explained(made.error, np.array([made.error, -made.error]))


# how parts are named


DEEP = (4, 16, 64)
DEEP_TRUE = evenly(31, DEEP) + 2 * np.sign(evenly(32, DEEP))


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ((2,), "index 2 of axis 0"),
        ((slice(None), 5), "index 5 of axis 1"),
        ((slice(None), slice(None), 7), "index 7 of axis 2"),
        ((slice(None), slice(None), slice(16, 32)), "index 16 to 31 of axis 2"),
        ((1, 4), "row 20"),
        ((1,), "row 16 to 31"),
    ],
)
def test_a_part_of_a_deep_array_is_named_by_its_axis_or_by_rows_throughout(place, name):
    assert name in " ".join(told(array(rounded(scaled(place)), DEEP_TRUE)))


def scaled(place):
    got = DEEP_TRUE.copy()
    got[place] *= 1.05
    return got


def test_matrices_are_numbered_throughout_too():
    true = DEEP_TRUE.reshape(2, 2, 16, 64)
    got = true.copy()
    got[1, 0] *= 1.05
    assert "of matrix 2 is +0.037 of its size" in " ".join(told(array(rounded(got), true)))


def test_of_right_code_no_part_is_off():
    assert told(array(rounded(DEEP_TRUE), DEEP_TRUE)) == []


# entries that cannot be compared


def test_what_is_not_finite_counts_nowhere():
    got = rounded(TRUE)
    got[2, 2], got[9, 9] = np.inf, np.nan
    assert told(array(got)) == []
    off = rounded(1.01 * TRUE)
    off[2, 2] = np.inf
    assert told(array(off))[0].startswith("the mean signed error over 2,047 entries is +0.01")


def test_a_great_many_standard_errors_are_not_counted():
    exact = SampledArray(1.5 * TRUE, TRUE, tuple(np.zeros((8, *SHAPE)) for _ in range(3)), BFLOAT16)
    assert all("e+" not in text for text in told(exact))


@pytest.mark.parametrize(("factor", "is_odd"), [(1.0, False), (1.01, True)])
@pytest.mark.parametrize("unknown", [np.nan, np.inf])
def test_entries_of_which_the_samples_tell_nothing_do_not_count(unknown, factor, is_odd):
    found = array(rounded(factor * TRUE))
    for each in found.samples:
        each[:, 3, 5:40] = unknown
    assert bool(told(found)) is is_odd


@pytest.mark.parametrize("truth", [np.nan, 1e200])
def test_a_truth_that_is_not_known_or_out_of_range_hides_no_factor(truth):
    true = np.where(np.arange(64) == 7, truth, TRUE)
    found = told(array(rounded(1.01 * TRUE), true))
    assert found[0].startswith("the mean signed error over 2,016 entries is +0.01")


@pytest.mark.parametrize(("moves", "are_lost"), [(2.0, True), (0.1, False)])
def test_zeros_tell_nothing_where_moves_make_numbers_as_large_as_the_truth_of_them(moves, are_lost):
    zeros = np.arange(TRUE.size).reshape(SHAPE) % 64 < 16
    found = array(np.where(zeros, 0.0, rounded(TRUE)))
    moved = found.got + moves * np.array([1, -1, 1, -1])[:, None, None] * np.abs(TRUE)
    assert bool(told(found))
    assert bool(told(without_lost(found, moved))) is not are_lost


def test_what_is_not_lost_is_as_wrong_as_before():
    found = array(rounded(1.01 * TRUE))
    moved = found.got + 10 * np.array([1, -1])[:, None, None] * np.abs(TRUE)
    assert told(without_lost(found, moved)) == told(found) != []
