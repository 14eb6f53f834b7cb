"""Shrinking ends at a readable input that fails, and at the original where nothing simpler does."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from input_samples import DOUBLE, SINGLE, lowered, variable

from gradcheck.points.simplification import simpler_numbers, smallest

REAL = ((-DOUBLE.largest, DOUBLE.largest),)


def shrink(point, fails, *inputs, where=(), dtype=DOUBLE):
    calls = []

    def counted(candidate):
        calls.append(candidate)
        return fails(candidate)

    arrays = {name: np.array(value, dtype=np.float64) for name, value in point.items()}
    formula = lowered("0*x" if not inputs[0].shape else "sum(0*x)", inputs, *where)
    found = smallest(arrays, counted, inputs, formula, dtype)
    assert len(calls) <= 400
    return {name: values.tolist() for name, values in found.items()}


X, Y = variable("x"), variable("y")


@pytest.mark.parametrize(
    ("value", "fails", "expected"),
    [
        (123456.789, lambda x: x > 1000, 2000.0),
        (123456.789, lambda x: x != 0, 1.0),
        (-3.7218, lambda x: x < 0, -1.0),
        (0.0374921, lambda x: 0 < x < 0.1, 0.05),
        (2.71828, lambda x: x > 2.5, 3.0),
        (1.2345e-200, lambda x: 0 < x < 1e-100, 1e-125),
        (123456.789, lambda x: True, 0.0),
    ],
)
def test_a_number_becomes_the_simplest_that_fails(value, fails, expected):
    assert shrink({"x": value}, lambda p: fails(p["x"]), X) == {"x": expected}


@pytest.mark.parametrize(
    "value", [-0.0, 0.1, math.nextafter(1.5, 2), -7.23456789e-5, 5e-324, 1.7976931348623157e308]
)
def test_a_number_that_alone_fails_stays_as_it_is(value):
    found = shrink({"x": value}, lambda p: p["x"].tobytes() == np.float64(value).tobytes(), X)
    assert found["x"] == value
    assert math.copysign(1, found["x"]) == math.copysign(1, value)


def test_entries_that_do_not_matter_become_zero():
    x = variable("x", shape=(2, 3))
    start = [[1.7, -2.3, 0.9], [4.4, 5.1, -6.6]]
    found = shrink({"x": start}, lambda p: p["x"][1, 0] > 3, x)
    assert found["x"] == [[0.0, 0.0, 0.0], [4.0, 0.0, 0.0]]


def test_entries_shrink_on_their_own():
    found = shrink({"x": 812.3, "y": -0.00321}, lambda p: p["x"] > 100 and p["y"] < 0, X, Y)
    assert found == {"x": 200.0, "y": -1.0}


def test_many_entries_are_shrunk_in_groups():
    x = variable("x", shape=(300,))
    start = np.linspace(1.1, 7.9, 300)
    found = np.array(shrink({"x": start}, lambda p: p["x"][137] > 2, x)["x"])
    assert found[137] > 2
    assert np.count_nonzero(found) <= 5


def test_where_holds_for_every_candidate():
    asked = []
    found = shrink(
        {"x": 7.25, "y": 3.5}, lambda p: asked.append(p) or True, X, Y, where=("x > y", "y > 1")
    )
    assert all(each["x"] > each["y"] > 1 for each in asked)
    assert found["x"] > found["y"] > 1
    assert found == {"x": round(found["x"], 1), "y": round(found["y"], 1)}


def test_candidates_stay_in_the_domain_and_the_dtype():
    asked = []
    inputs = (variable("x", "(0, 1)"),)
    shrink({"x": float(np.float32(0.7321))}, lambda p: asked.append(p["x"].item()) or True, *inputs,
           dtype=SINGLE)  # fmt: skip
    assert asked
    assert all(0 < x < 1 and float(np.float32(x)) == x for x in asked)


@pytest.mark.parametrize(
    ("kind", "start", "expected"),
    [
        ("symmetric", [[1.5, 2.5], [2.5, -3.5]], [[0.0, 1.0], [1.0, 0.0]]),
        ("positive_definite", [[1.5, 0.25], [0.25, 2.5]], None),
        ("lower_triangular", [[1.5, 0.0], [2.5, 2.0]], None),
        ("invertible", [[0.25, 1.5], [2.0, 0.125]], None),
    ],
)
def test_matrices_stay_of_their_kind(kind, start, expected):
    inputs = (variable("x", "real", (2, 2), kind),)
    found = shrink({"x": start}, lambda p: p["x"][1, 0] != 0, *inputs)["x"]
    assert expected in (None, found)
    assert found[1][0] != 0
    assert len(set(np.ravel(found).tolist()) - {0.0, 1.0, -1.0}) <= 1


def test_an_orthogonal_matrix_becomes_the_identity_or_stays():
    inputs = (variable("x", "real", (2, 2), "orthogonal"),)
    start = [[0.6, -0.8], [0.8, 0.6]]
    assert shrink({"x": start}, lambda p: True, *inputs)["x"] == [[1.0, 0.0], [0.0, 1.0]]
    assert shrink({"x": start}, lambda p: p["x"][0, 1] != 0, *inputs)["x"] == start


def test_the_same_failure_shrinks_to_the_same_input():
    def once():
        return shrink({"x": 17.3, "y": 0.37}, lambda p: p["x"] * p["y"] > 1.1, X, Y)

    assert once() == once()


@pytest.fixture
def short_profile():
    before = settings.get_current_profile_name()
    settings.register_profile("short", max_examples=1, phases=[], derandomize=True)
    settings.load_profile("short")
    yield
    settings.load_profile(before)


def test_no_profile_of_hypothesis_changes_what_a_failure_shrinks_to(short_profile):
    assert settings().max_examples == 1
    assert shrink({"x": 123456.789}, lambda p: p["x"] > 1000, X) == {"x": 2000.0}


def test_a_tensor_without_elements_stays():
    assert shrink({"x": np.zeros((0, 2))}, lambda p: True, variable("x", shape=(0, 2))) == {"x": []}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_ladder_ends_at_its_number_and_holds_nothing_twice(value):
    rungs = simpler_numbers(value, REAL, DOUBLE)
    assert rungs[-1] == value
    assert len(rungs) <= 47
    assert len(set(rungs)) == len(rungs) - (value == 0 and len(rungs) > 1)


def test_no_more_is_asked_than_is_allowed():
    asked = []

    def fails(candidate):
        asked.append(candidate)
        return bool((candidate["x"] != 0).any())

    x = variable("x", shape=(8,))
    start = {"x": np.arange(1.0, 9.0) / 7}
    formula = lowered("sum(0*x)", (x,))
    found = smallest(start, fails, (x,), formula, DOUBLE, most=20)
    assert 0 < len(asked) <= 20
    assert fails(found)
