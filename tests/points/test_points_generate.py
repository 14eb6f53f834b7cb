"""Every regime stays in the domain and in the dtype, visits what it names, and never changes."""

import hashlib
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from input_samples import BRAIN, DOUBLE, HALF, SINGLE, domains, lowered, variable

from gradcheck.catalog.domain import parse_domain
from gradcheck.floats import ordinal, round_to
from gradcheck.points.correlated import RELATIONS
from gradcheck.points.generate import generate
from gradcheck.points.marginals import ENTRY_REGIMES
from gradcheck.points.plan import regimes

REGIMES = (*ENTRY_REGIMES, *RELATIONS, "mixed")
dtypes = st.sampled_from([DOUBLE, SINGLE, HALF, BRAIN])
seeds = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize("regime", REGIMES)
@given(domain=domains, seed=seeds, dtype=dtypes)
def test_every_number_is_in_its_domain_and_its_dtype(regime, domain, seed, dtype):
    assume(parse_domain(domain).spans(dtype))
    inputs = (variable("x", domain), variable("A", domain, (2, 3, 3)), variable("y"))
    drawn = generate(inputs, regime, seed, 5, dtype)
    for each in inputs:
        values = drawn[each.name]
        assert values.shape == (5, *each.shape)
        assert all(each.domain.contains(value) for value in values.ravel().tolist())
        assert (round_to(values, dtype) == values).all()


@pytest.mark.parametrize("regime", REGIMES)
def test_a_tensor_without_elements_is_drawn(regime):
    drawn = generate(
        (variable("x", shape=(0, 2)), variable("y", shape=(0, 0))), regime, 1, 4, DOUBLE
    )
    assert drawn["x"].shape == (4, 0, 2)
    assert drawn["y"].shape == (4, 0, 0)


@pytest.mark.parametrize("regime", REGIMES)
def test_the_same_seed_draws_the_same_points_and_another_seed_others(regime):
    inputs = (variable("x", "[-1, 1]", (3, 3)),)
    first, again = (generate(inputs, regime, 7, 8, DOUBLE)["x"] for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != generate(inputs, regime, 8, 8, DOUBLE)["x"].tobytes()


@pytest.mark.parametrize(
    ("dtype", "digest"),
    [(DOUBLE, "27d35f370090eb34"), (SINGLE, "4111b2cbb14ddeeb")],
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_machine_draws_these_bits(dtype, digest):
    inputs = (
        variable("x", "real"),
        variable("A", "(-4, 4)", (2, 3, 3)),
        variable("p", "positive", (2,)),
        variable("S", "real", (3, 3), "positive_definite"),
        variable("Q", "real", (3, 3), "orthogonal"),
        variable("T", "real", (2, 2), "lower_triangular"),
        variable("M", "real", (2, 2), "invertible"),
    )
    found = hashlib.sha256()
    for regime in REGIMES:
        drawn = generate(inputs, regime, 2024, 16, dtype)
        for each in inputs:
            found.update(drawn[each.name].astype("<f8").tobytes())
    assert found.hexdigest()[:16] == digest


def draw(regime, domain="real", shape=(), count=400, dtype=DOUBLE):
    return generate((variable("x", domain, shape),), regime, 3, count, dtype)["x"]


def test_bulk_is_between_an_eighth_and_eight_with_both_signs():
    values = draw("bulk")
    assert np.abs(values).min() >= 0.125
    assert np.abs(values).max() <= 8
    assert 0.4 < np.mean(values > 0) < 0.6
    exponents = np.bincount(np.frexp(np.abs(values))[1] + 2, minlength=6)[:6]
    assert exponents.min() > 40  # of 67, evenly by exponent


def test_bulk_fills_a_bounded_interval_evenly():
    counts, _ = np.histogram(draw("bulk", "(-4, 4)"), bins=8, range=(-4, 4))
    assert counts.min() > 30


def test_bulk_visits_every_interval_of_a_union():
    values = draw("bulk", "(0, 1) | (2, 3)")
    assert 0.4 < np.mean(values > 2) < 0.6


@pytest.mark.parametrize(("dtype", "reach"), [(DOUBLE, 128), (SINGLE, 48)])
def test_three_quarters_of_the_tails_stay_where_products_do_not_overflow(dtype, reach):
    exponents = np.frexp(draw("tails", dtype=dtype))[1] - 1
    assert 0.7 < np.mean(np.abs(exponents) <= reach) < 0.9
    assert exponents.max() > dtype.emax * 0.9
    assert exponents.min() < dtype.emin * 0.9


def test_half_of_the_tails_of_float16_stay_where_squares_do_not_overflow():
    values = np.abs(draw("tails", dtype=HALF, count=1000))
    assert 0.5 < np.mean((values < 256) & (values > 2.0**-8)) < 0.9
    assert values.max() > 2.0**13
    assert values.min() < 2.0**-14


def test_edges_are_the_ends_and_floats_from_one_ulp_to_far_inside():
    steps = ordinal(4.0, DOUBLE) - ordinal(np.abs(draw("edges", "(-4, 4]")), DOUBLE)
    assert set(range(5)) <= set(steps.tolist())
    assert steps.max() > 2**40


def test_the_open_end_is_left_out_and_the_closed_one_visited():
    values = draw("edges", "(-4, 4]")
    assert values.max() == 4
    assert values.min() == -math.nextafter(4, 0)


def test_zeros_have_both_signs():
    values = draw("zeros")
    assert (values == 0).all()
    assert 0.4 < np.mean(np.signbit(values)) < 0.6


def test_zeros_stand_alone_and_among_others():
    zeros = np.sum(draw("zeros", shape=(4,)) == 0, axis=1)
    assert set(zeros.tolist()) == {1, 2, 3, 4}


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE, HALF, BRAIN], ids=lambda dtype: dtype.name)
def test_subnormals_hold_the_smallest_of_both_signs_and_the_border_to_normal_numbers(dtype):
    values = set(draw("subnormals", dtype=dtype).tolist())
    smallest, normal = dtype.smallest_subnormal, 2.0**dtype.emin
    assert {smallest, -smallest, normal, normal - smallest} <= values
    assert max(values) == normal + smallest


def test_integers_are_small_numbers_in_quarters():
    values = draw("integers")
    assert (values * 4 == np.rint(values * 4)).all()
    assert np.abs(values).max() == 10
    assert np.mean(values == np.rint(values)) > 0.6


def test_ties_hold_equal_entries_and_points_where_all_are_equal():
    distinct = [len(set(np.abs(row).tolist())) for row in draw("ties", shape=(5,))]
    assert set(distinct) == {1, 2, 3}


def test_ties_reach_across_inputs_of_one_domain_only():
    inputs = (variable("x"), variable("y"), variable("p", "positive"))
    drawn = generate(inputs, "ties", 1, 100, DOUBLE)
    assert 0.3 < np.mean(drawn["x"] == drawn["y"]) < 0.9
    assert not (drawn["x"] == drawn["p"]).any()


def test_offsets_are_close_together_compared_with_their_size():
    values = draw("offsets", shape=(3,))
    spread = np.ptp(values, axis=1) / np.abs(values).max(axis=1)
    assert np.mean(spread < 1e-6) > 0.4
    assert np.abs(values).max() > 1e6


def test_singular_matrices_are_exactly_singular_and_some_are_zero():
    (a, b), (c, d) = np.moveaxis(draw("singular", shape=(2, 2)), 0, -1)
    assert (a * d == b * c).all()
    zero = (a == 0) & (b == 0) & (c == 0) & (d == 0)
    assert 0.1 < np.mean(zero) < 0.4
    assert np.mean((a == c) & (b == d) & ~zero) > 0.1


def test_larger_singular_matrices_lose_rank():
    matrices = draw("singular", shape=(2, 4, 4), count=50)
    assert (np.linalg.matrix_rank(matrices) < 4).all()


def test_mixed_holds_numbers_of_every_regime_at_once():
    values = draw("mixed", "(-4, 4)", (6,))
    assert (values == 0).any()
    assert (np.abs(values) > 4 - 1e-15).any()
    assert ((values != 0) & (np.abs(values) < 1e-300)).any()


@pytest.mark.parametrize(
    ("domain", "shape", "expected"),
    [
        ("real", (), "bulk tails zeros subnormals integers mixed"),
        ("positive", (), "bulk tails edges subnormals integers mixed"),
        ("(2, 3)", (2,), "bulk edges integers slices ties offsets mixed"),
        (
            "real",
            (2, 2),
            "bulk tails zeros subnormals integers slices ties different rows permuted signs "
            "offsets singular mixed",
        ),
        ("real", (0,), "bulk"),
    ],
)
def test_only_regimes_that_have_a_meaning_are_named(domain, shape, expected):
    inputs = (variable("x", domain, shape),)
    assert " ".join(regimes(inputs, lowered("sum(x)", inputs))) == expected


@pytest.mark.parametrize(
    ("formula", "there"), [("max(x, 0)", True), ("where(x > 1, x, 0)", True), ("x**2", False)]
)
def test_breakpoints_are_looked_for_where_the_formula_has_kinks(formula, there):
    inputs = (variable("x"),)
    assert ("breakpoints" in regimes(inputs, lowered(formula, inputs))) is there
