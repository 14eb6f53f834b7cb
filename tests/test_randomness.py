"""One source of random numbers: published words, unrelated keys, even draws."""

import numpy as np

from gradcheck.randomness import (
    derive_key,
    random_below,
    random_between,
    random_normal,
    random_signed,
    random_words,
)


def test_the_words_are_those_that_splitmix64_is_published_with():
    # The first outputs for seed 1234567, as Rosetta Code lists them under "Splitmix64".
    assert random_words(1234567, (5,)).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_a_key_is_the_same_everywhere_and_labels_do_not_run_together():
    # BLAKE2b of 8 bytes, RFC 7693, of the labels joined by the ASCII unit separator: b2sum -l 64.
    assert derive_key("points", 7) == 8099535746623222261
    assert len({derive_key("a", "bc"), derive_key("ab", "c"), derive_key("abc")}) == 3


def test_numbers_below_a_limit_are_spread_evenly():
    counts = np.bincount(random_below(8, 3, (8000,)), minlength=8)
    assert counts.min() > 900
    assert counts.max() < 1100


def test_numbers_between_two_ends_reach_both_and_stay_within():
    low, high = np.full(200, -3), np.full(200, 2)
    assert set(random_between(low, high, 5).tolist()) == set(range(-3, 3))


def test_a_range_of_all_64_bits_is_drawn_from():
    ends = np.array([-(2**63), -(2**63)]), np.array([2**63 - 2, 2**63 - 2])
    found = random_between(*ends, 5)
    assert len(set(found.tolist())) == 2


def test_signed_numbers_have_both_signs_and_magnitudes_within_their_ends():
    found = random_signed(4, 16, 1, (1000,))
    assert set(np.abs(found).tolist()) == set(range(4, 17))
    assert 400 < (found > 0).sum() < 600


def test_normal_numbers_are_sums_of_the_four_parts_of_words_of_their_key_alone():
    keys, count = [3, 2**64 - 1, 7], 8200
    found = random_normal(keys, count)
    parts = random_words(7, (count,)).view(np.uint16).reshape(count, 4).astype(float)
    expected = (parts.sum(axis=1) - 2 * 65535) * (3**0.5 / 65536)
    assert np.array_equal(found[2], expected)
    assert np.abs(found.mean(axis=1)).max() < 0.04
    assert np.abs(found.std(axis=1) - 1).max() < 0.04
