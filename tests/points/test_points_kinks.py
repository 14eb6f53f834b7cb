"""Kinks are found to the last float, with floats on both sides."""

import math
from fractions import Fraction

import numpy as np
import pytest
from input_samples import DOUBLE, SINGLE, lowered, variable

from gradcheck.floats import ordinal
from gradcheck.points.kinks import breakpoints, kinks

X, Y = variable("x"), variable("y")


def find(formula, *inputs, seed=1, count=6, dtype=DOUBLE):
    return breakpoints(inputs, lowered(formula, inputs), seed, count, dtype)


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE], ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("operator", ["<", "<=", ">", ">=", "=="])
def test_a_comparison_with_a_number_is_hit_exactly_and_beside(operator, dtype):
    values = find(f"where(x {operator} 1.5, x, 0)", X, count=8, dtype=dtype)["x"]
    steps = set((ordinal(values, dtype) - ordinal(1.5, dtype)).tolist())
    assert {-1, 0, 1} < steps
    relative = np.sort(np.abs(values / 1.5 - 1))
    assert (relative[-2:] > 3e-4).all()  # one far on either side
    assert (relative[-2:] < 1e-3).all()
    assert (relative[-4:-2] < 1e-3 / 2).all()


def test_a_kink_between_floats_has_the_two_nearest_on_its_sides():
    values = find("abs(x - 0.1)", X)["x"].tolist()
    below = max(value for value in values if Fraction(value) < Fraction(1, 10))
    above = min(value for value in values if Fraction(value) > Fraction(1, 10))
    assert math.nextafter(below, 1) == above == 0.1


def test_the_arguments_of_a_maximum_meet():
    drawn = find("max(x, y)", X, Y, count=6)
    gaps = ordinal(drawn["x"], DOUBLE) - ordinal(drawn["y"], DOUBLE)
    assert 0 in gaps
    assert np.abs(gaps).max() == 1


@pytest.mark.parametrize(
    ("formula", "grid"), [("floor(x)", 0.0), ("ceil(3*x)/3", 0.0), ("round(x)", 0.5)]
)
def test_jumps_of_rounding_are_found(formula, grid):
    scale = 3 if "3" in formula else 1
    values = find(formula, X, seed=2)["x"] * scale - grid
    assert (np.abs(values - np.rint(values)) < 1e-14).all()
    assert len(values) == 6


def test_a_kink_inside_a_formula_is_found():
    values = find("where(exp(x) > 5, x, sin(x))", X, count=3)["x"]
    assert np.abs(values - math.log(5)).max() < 1e-15


def test_different_kinks_come_in_one_batch():
    values = find("min(max(x, -2.5), 3.5)", X, count=6)["x"]
    assert {-2.5, 3.5} <= set(values.tolist())


def test_a_kink_among_many_entries_is_found():
    x = variable("x", shape=(200,))
    values = find("max(x[150], 0.25)", x)["x"]
    assert (np.abs(values[:, 150] - 0.25) < 1e-14).all()
    assert len(values)


def test_points_stay_in_the_domain():
    values = find("abs(x - 1)", variable("x", "(0, 1) | (1, 2)"), count=8)["x"]
    assert len(values)
    assert 1.0 not in values


def test_matrices_of_a_kind_stay_as_they_are_drawn():
    drawn = find("max(A[0, 0], x)", variable("A", "real", (2, 2), "symmetric"), X, count=3)
    assert (drawn["A"] == np.swapaxes(drawn["A"], 1, 2)).all()
    assert (np.abs(drawn["A"][:, 0, 0] - drawn["x"]) < 1e-14).all()


@pytest.mark.parametrize("formula", ["x**2", "max(x**2 + 1, 0)"])
def test_nothing_is_found_where_there_is_no_kink(formula):
    assert find(formula, X)["x"].shape == (0,)


def test_the_conditions_of_where_count_as_kinks():
    found = lowered("x", (X,), "x > 2")
    assert len(kinks(found)) == 1


def test_the_same_seed_finds_the_same_points():
    first, again = (find("max(x, y) + abs(x - y/3)", X, Y, seed=9) for _ in range(2))
    assert all(first[name].tobytes() == again[name].tobytes() for name in "xy")


@pytest.mark.parametrize("threshold", ["20", "1000", "-500", "1/1000"])
@pytest.mark.parametrize("seed", range(4))
def test_a_kink_far_from_ordinary_numbers_is_found(threshold, seed):
    values = find(f"where(x > {threshold}, x, 0)", X, seed=seed, count=3, dtype=SINGLE)["x"]
    assert len(values) == 3
    assert np.abs(values / float(Fraction(threshold)) - 1).max() < 1e-6


def test_a_kink_is_found_in_an_array_of_a_million_entries():
    x = variable("x", shape=(1000, 1000))
    values = find("sum(max(x, 1/4))", x, seed=3, count=2)["x"].reshape(2, -1)
    changed = np.flatnonzero(values[0] != values[1])
    assert changed.size == 1
    assert np.abs(values[:, changed] - 0.25).max() < 1e-15


def test_a_kink_that_hangs_on_too_many_numbers_is_left():
    assert find("max(sum(x), 1/4)", variable("x", shape=(100, 1000)), count=2)["x"].size == 0
