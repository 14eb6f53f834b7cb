"""Complex points lie in their part of the plane, and visit cuts, axes, circles and zero."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from input_samples import COMPLEX, COMPLEX_SINGLE, case, lowered, variable

from gradcheck.answer import RunOptions
from gradcheck.floats import real_coordinates, round_to
from gradcheck.points.correlated import RELATIONS
from gradcheck.points.generate import from_coordinates, generate, to_coordinates
from gradcheck.points.kinks import breakpoints
from gradcheck.points.marginals import ENTRY_REGIMES
from gradcheck.points.matrices import belongs
from gradcheck.points.plan import Site, covering_batch, planned, regimes
from gradcheck.points.simplification import smallest

REGIMES = (*ENTRY_REGIMES, *RELATIONS, "mixed")
PARTS = (
    "complex",
    "complex - (-inf, 0]",
    "complex - (-inf, -1] - [1, inf)",
    "complex - I*[1, inf) - {0, 1/3 + I}",
    "|z| < 1",
    "|z - 1 + 2*I| <= 1/3",
    "1 < |z| < 2 and im > 0",
    "re > 0",
    "-pi < im <= pi",
    "|z| > 0",
    "0 < re < 1e-30 and |z| < 1",
)


def draw(regime, domain="complex", shape=(), count=400, dtype=COMPLEX):
    return generate((variable("z", domain, shape),), regime, 3, count, dtype)["z"]


@pytest.mark.parametrize("regime", REGIMES)
@given(
    domain=st.sampled_from(PARTS),
    seed=st.integers(0, 2**64 - 1),
    dtype=st.sampled_from([COMPLEX, COMPLEX_SINGLE]),
)
def test_every_number_is_in_its_part_of_the_plane_and_its_dtype(regime, domain, seed, dtype):
    inputs = (variable("z", domain), variable("A", domain, (2, 3, 3)), variable("x", "(0, 1)"))
    drawn = generate(inputs, regime, seed, 3, dtype)
    for each in inputs:
        values = drawn[each.name]
        assert values.shape == (3, *each.shape)
        assert values.dtype == (np.complex128 if each.domain.complex else np.float64)
        assert all(each.domain.contains(value) for value in values.ravel().tolist())
        assert (round_to(values, dtype) == values).all()


def test_nothing_is_drawn_where_conditions_exclude_each_other():
    """Conditions that are not refused when they are read: pi is known by a ball alone."""
    assert draw("bulk", "|z| <= pi and re >= pi and im > 0").shape == (0,)


def test_bulk_is_spread_over_all_quarters_and_over_directions():
    values = draw("bulk")
    for turn in (1, 1j, -1, -1j):
        turned = values * turn
        assert 0.15 < np.mean((turned.real > 0) & (turned.imag >= 0)) < 0.4
    assert np.abs(values).min() > 0.1
    assert np.abs(values).max() < 12
    on_axes = (values.real == 0) | (values.imag == 0)
    assert 0.05 < np.mean(on_axes) < 0.3


def test_bulk_fills_a_disc_up_to_its_border():
    distance = np.abs(draw("bulk", "|z - 1 - I| < 1") - 1 - 1j)
    counts, _ = np.histogram(distance, bins=4, range=(0, 1))
    assert counts.min() > 30


def test_edges_lie_on_both_sides_of_a_cut_down_to_the_smallest_float():
    values = draw("edges", "complex - (-inf, 0]", count=1000)
    left = values[values.real < 0]
    near = left[np.abs(left.imag) < 1e-15]
    assert (near.imag > 0).any()
    assert (near.imag < 0).any()
    assert np.abs(near.imag).min() == 5e-324


def test_edges_of_a_cut_on_the_imaginary_axis_lie_beside_it():
    values = draw("edges", "complex - I*[1, inf)", count=1000)
    near = values[(values.imag >= 1) & (np.abs(values.real) < 1e-15)]
    assert set(np.sign(near.real).tolist()) == {-1.0, 1.0}


def test_edges_of_a_disc_are_within_ulps_of_the_circle_and_on_it_where_it_is_closed():
    gaps = np.abs(np.abs(draw("edges", "|z| <= 1", count=1000)) - 1)
    assert np.mean(gaps < 1e-15) > 0.2
    on_it = draw("edges", "|z| <= 1", count=1000)
    assert {1, -1, 1j, -1j} <= set(on_it[np.abs(on_it) == 1].tolist())


def test_a_plane_without_edges_has_none():
    inputs = (variable("z", "complex"),)
    assert "edges" not in regimes(inputs, lowered("z", inputs))
    inputs = (variable("z", "im > 0"),)
    assert "edges" in regimes(inputs, lowered("z", inputs))


def test_zeros_hold_the_origin_both_axes_and_both_signs():
    values = draw("zeros")
    real, imaginary = values.real == 0, values.imag == 0
    assert (real | imaginary).all()
    assert all(np.mean(each) > 0.2 for each in (real & imaginary, real & ~imaginary,
                                                ~real & imaginary))  # fmt: skip
    signs = np.signbit(real_coordinates(values[real & imaginary]))
    assert len(set(map(tuple, signs.tolist()))) == 4


def test_tails_reach_far_in_modulus_and_in_one_part_alone():
    values = draw("tails", count=1000)
    assert np.abs(values.real).max() > 1e100
    binades = np.frexp(values.imag)[1] - np.frexp(values.real)[1]
    assert binades.max() > 100
    assert binades.min() < -100


def test_ties_hold_equal_numbers_opposite_ones_and_conjugates():
    rows = draw("ties", shape=(4,))
    pairs = np.array([(row[i], row[j]) for row in rows for i in range(4) for j in range(i)])
    a, b = pairs.T
    for other in (b, -b, b.conj()):
        assert np.mean((a == other) & (a.imag != 0)) > 0.02


def test_all_entries_lie_on_one_axis_of_the_plane():
    values = draw("axes", shape=(3,))
    assert ((values.imag == 0).all(axis=1) | (values.real == 0).all(axis=1)).all()
    assert (values.real != 0).any(axis=1).sum() == (values.imag != 0).any(axis=1).sum()


def test_offsets_are_close_together_compared_with_their_size():
    values = draw("offsets", shape=(3,))
    spread = np.abs(values - values[:, :1]).max(axis=1) / np.abs(values).max(axis=1)
    assert np.mean((spread > 0) & (spread < 1e-6)) > 0.3


@pytest.mark.parametrize(
    "kind", ["symmetric", "positive_definite", "invertible", "orthogonal", "lower_triangular"]
)
@pytest.mark.parametrize("dtype", [COMPLEX, COMPLEX_SINGLE], ids=lambda dtype: dtype.name)
def test_complex_matrices_are_of_their_kind(kind, dtype):
    matrices = generate((variable("A", "complex", (3, 3), kind),), "bulk", 5, 40, dtype)["A"]
    assert all(belongs(kind, matrix[None], dtype) for matrix in matrices)
    assert (matrices.imag != 0).any()


def test_a_definite_matrix_that_is_not_hermitian_is_none():
    assert not belongs("positive_definite", np.array([[[2, 1j], [1j, 2]]]), COMPLEX)
    assert belongs("positive_definite", np.array([[[2, 1j], [-1j, 2]]]), COMPLEX)


def test_coordinates_are_both_parts_side_by_side_and_lead_back():
    inputs = (variable("x"), variable("z", "complex", (2,)), variable("e", "complex", (0,)))
    points = generate(inputs, "bulk", 1, 3, COMPLEX)
    rows = to_coordinates(inputs, points)
    assert rows.shape == (3, 5)
    assert (rows[:, 3:] == real_coordinates(points["z"][:, 1])).all()
    back = from_coordinates(inputs, rows)
    assert all((back[name] == points[name]).all() for name in points)


def test_a_kink_in_the_modulus_is_found_by_moving_one_part():
    inputs = (variable("z", "complex"),)
    values = breakpoints(inputs, lowered("max(re(z)**2 + im(z)**2, 4)", inputs), 1, 6, COMPLEX)["z"]
    exact = [Fraction(z.real) ** 2 + Fraction(z.imag) ** 2 - 4 for z in values.tolist()]
    assert len(values) == 6
    assert max(map(abs, exact)) < 1e-13
    assert min(exact) <= 0 <= max(exact)


def test_a_failing_complex_number_shrinks_part_by_part_within_its_domain():
    inputs = (variable("z", "complex - (-inf, 0]"),)
    found = smallest(
        {"z": np.array(-3.7218 + 0.0123j)}, lambda point: bool(point["z"].real < -1), inputs,
        lowered("z", inputs), COMPLEX,
    )["z"].item()  # fmt: skip
    assert found == -2 + 1j


def test_the_batches_of_a_complex_case_hold_as_many_points_as_were_asked_for():
    chosen = case("re(z)*im(w)", (variable("z", "|z| < 2"), variable("w", "complex", (2,))),
                  "re(z) < 1")  # fmt: skip
    variant = chosen.variants[0]
    covering = covering_batch(Site(variant.inputs, variant.formula, COMPLEX_SINGLE))
    batch = planned(chosen, variant, COMPLEX_SINGLE, RunOptions(64, 0), covering)
    assert batch.count == 64
    assert {"bulk", "tails", "zeros", "mixed", "edges"} <= set(batch.kinds[batch.covering :])
    assert {"bulk", "plain", "zeros", "edges", "small"} <= set(batch.kinds[: batch.covering])
    values = batch.points["z"]
    assert (values.real < 1).all()
    assert (np.abs(values) < 2).all()
    assert math.isclose(np.abs(values).max(), 2, rel_tol=1e-3)
