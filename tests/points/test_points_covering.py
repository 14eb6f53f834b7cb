"""The covering set holds what code may branch at, from its beginning on, whatever the seed is."""

import numpy as np
import pytest
from input_samples import COMPLEX, DOUBLE, HALF, SINGLE, lowered, variable

from gradcheck.points.covering import covering

ENTRY_KINDS = {"bulk", "plain", "even", "large", "zeros", "small"}
BOUNDED = {"bulk", "plain", "even", "small", "edges", "breakpoints"}
RELATIONS = {"slices", "ties", "different", "rows", "permuted", "signs", "offsets"}
X = variable("x")
SQUARE = variable("x", shape=(3, 3))
BEGINNING = 18
"""The covering points of a check of 24."""


def cover(formula, *inputs, dtype=DOUBLE):
    kinds, points = covering(inputs, lowered(formula, inputs), dtype)
    return np.array(kinds), points


def of_kind(kind, formula, *inputs, dtype=DOUBLE):
    kinds, points = cover(formula, *inputs, dtype=dtype)
    return points[inputs[0].name][kinds == kind]


@pytest.mark.parametrize(
    ("formula", "one", "expected"),
    [
        ("x**2", X, ENTRY_KINDS),
        ("abs(x - 1)", variable("x", "(0, 3]"), BOUNDED),
        ("sum(x)", SQUARE, {*ENTRY_KINDS, *RELATIONS, "singular"}),
        ("x[0, 0]", variable("x", shape=(2, 2), kind="invertible"), {"bulk", "tails"}),
        ("z", variable("z", "complex"), ENTRY_KINDS),
    ],
    ids=["scalar", "bounded", "matrix", "kind", "complex"],
)
def test_the_first_eighteen_points_hold_every_kind_that_has_a_meaning(formula, one, expected):
    kinds, _ = cover(formula, one, dtype=COMPLEX if one.domain.complex else DOUBLE)
    assert set(kinds[:BEGINNING]) == set(kinds) == expected


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE, HALF], ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("number", [0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 1.5])
def test_each_entry_meets_each_plain_number(number, dtype):
    values = of_kind("plain", "sum(x)", SQUARE, dtype=dtype)
    assert (values == number).any(axis=0).all()


def test_plain_numbers_that_a_domain_leaves_out_have_others_in_their_place():
    values = of_kind("plain", "x", variable("x", "(6, 20)"))
    assert set(range(7, 15)) < set(values.tolist())


def widest_gap(numbers, low, high):
    return np.diff(np.sort([low, *numbers[(numbers > low) & (numbers < high)], high])).max()


@pytest.mark.parametrize(("dtype", "least"), [(DOUBLE, 0), (SINGLE, 0), (HALF, 0.01)])
@pytest.mark.parametrize(
    ("domain", "low", "high"),
    [("real", -10, 10), ("positive", 0, 10), ("(0, 1)", 0, 1), ("[100, 150]", 100, 110)],
)
def test_even_points_leave_no_wide_gap_in_a_domain(domain, low, high, dtype, least):
    found = of_kind("even", "x", variable("x", domain), dtype=dtype)
    assert widest_gap(found, low, high) < 0.02 * (high - low) + least


def test_even_points_reach_each_part_of_a_domain():
    found = of_kind("even", "x", variable("x", "(-inf, -1] | [2, 3)"))
    assert widest_gap(found, -11, -1) < 0.25
    assert widest_gap(found, 2, 3) < 0.25


def test_arrays_hold_as_many_even_numbers_in_fewer_points():
    points = of_kind("even", "sum(x)", SQUARE)
    assert len(points) < 20
    assert widest_gap(points.ravel(), -10, 10) < 0.5
    assert widest_gap(points.ravel(), -2, 2) < 0.3


@pytest.mark.parametrize(("formula", "one"), [("x**2", X), ("sum(x)", variable("x", shape=(2,)))])
def test_the_beginning_is_spread_evenly_too(formula, one):
    kinds, points = cover(formula, one)
    seen = points["x"][:BEGINNING][kinds[:BEGINNING] == "even"].ravel()
    assert widest_gap(seen, -10, 10) <= 20 * 1.9 / len(seen)


def test_a_slice_is_repeated_along_the_first_axis_or_the_last_as_in_an_expanded_tensor():
    points = of_kind("slices", "sum(x)", variable("x", shape=(2, 3)))
    assert any((point == point[:1]).all() for point in points)
    assert any((point == point[:, :1]).all() for point in points)


def test_zeros_of_both_signs_fill_a_point_each():
    signs = [tuple(np.unique(np.signbit(row))) for row in of_kind("zeros", "sum(x)", SQUARE)[:2]]
    assert signs == [(False,), (True,)]


@pytest.mark.parametrize(("kind", "past"), [("large", 1), ("small", -1)])
@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE], ids=lambda dtype: dtype.name)
def test_magnitudes_reach_from_the_ordinary_to_the_ends_of_the_range(kind, past, dtype):
    found = np.log2(np.abs(of_kind(kind, "x", X, dtype=dtype))) * past
    extreme = dtype.emax - 1 if past > 0 else dtype.precision - dtype.emin - 3
    assert found[0] < 4.1
    assert 10 < found[1] < 11 or past < 0
    assert found.max() >= extreme
    assert np.diff(np.sort(found)).max() <= dtype.emax / 2 + dtype.precision


def test_some_points_are_large_in_one_entry_and_some_in_all_with_both_signs():
    counts = (np.abs(of_kind("large", "sum(x)", SQUARE)) > 8).sum(axis=(1, 2))
    assert set(counts.tolist()) == {1, 9}
    assert (of_kind("large", "x", X) < 0).any()


def test_ends_of_a_domain_are_visited_with_their_neighbours_within():
    found = set(of_kind("edges", "x", variable("x", "[1, 3)")).tolist())
    below = np.nextafter(3.0, 0.0)
    assert {1.0, np.nextafter(1.0, 2.0), below, np.nextafter(below, 0.0)} < found
    assert any(1.0 < x < 1.01 for x in found - {np.nextafter(1.0, 2.0)})


def test_a_kink_is_visited_with_both_neighbours_and_from_further_away():
    gaps = of_kind("breakpoints", "max(x, 1.5)", X) - 1.5
    assert {0.0, 2.0**-52, -(2.0**-52)} < set(gaps.tolist())
    assert (np.abs(gaps) > 1e-4).any()


def test_relations_are_what_their_names_say():
    def rows(kind):
        return of_kind(kind, "sum(x)", SQUARE)

    assert any(len(np.unique(point)) == 1 for point in rows("ties"))
    shares = [sorted(np.unique(point, return_counts=True)[1]) for point in rows("different")]
    assert [1, 8] in shares
    assert any((point[0] == point[1]).all() and (point[1] == point[2]).all()
               for point in rows("rows"))  # fmt: skip
    assert any((point[:, :1] == point).all() for point in rows("rows"))
    flat = rows("permuted").reshape(-1, 9)
    assert any((np.diff(row) >= 0).all() for row in flat)
    assert any((np.diff(row) <= 0).all() for row in flat)
    multisets = [tuple(np.sort(row)) for row in flat]
    assert len(set(multisets)) < len(multisets)
    assert {tuple(np.unique(np.sign(point))) for point in rows("signs")} == {(1.0,), (-1.0,)}


def test_inputs_of_one_shape_are_equal_at_some_point():
    kinds, points = cover("sum(x*y)", variable("x", shape=(4,)), variable("y", shape=(4,)))
    equal = (points["x"] == points["y"]).all(axis=1)
    assert equal[kinds == "rows"].any()


@pytest.mark.parametrize("domain", ["(0, 1)", "positive", "[2, 2]", "(-inf, -1] | [2, 3)"])
def test_every_point_lies_in_its_domain(domain):
    one = variable("x", domain, (2,))
    kinds, points = cover("sum(x)", one)
    assert len(kinds) == len(points["x"]) > 0
    assert all(one.domain.contains(x) for x in points["x"].ravel().tolist())
