"""Whether `where` holds at points: proved, refuted, or left open; many points at once."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.graph.lower import lower
from gradcheck.language.parse import parse
from gradcheck.query import Port
from gradcheck.reference.conditions import holds, work_of_holding


def formula_with(*conditions: str, **inputs):
    ports = inputs or {"x": ()}
    trees = tuple(map(parse, conditions))
    return lower(
        parse(" + ".join(f"0*sum({name})" for name in ports)),
        inputs=ports, names={}, lets={}, conditions=trees,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "x", "answer"),
    [("x > 0", 5e-324, True), ("x > 0", 0.0, False), ("x >= 0", 0.0, True),
     ("sin(x)**2 + cos(x)**2 == 1", 1.0, None), ("x**2 == 2", 1.4142135623730951, False),
     ("x < 1 or log(x) > 0", 0.5, True), ("log(x) > 0", -1.0, None), ("floor(x) == 2", 2.0, True)],
)  # fmt: skip
def test_a_condition_at_a_point_holds_or_not_or_stays_open(text, x, answer):
    assert holds(formula_with(text), np.array([[x]])).tolist() == [answer]


def test_rows_are_decided_each_for_itself_and_only_where_all_conditions_hold():
    formula = formula_with("x > 0", "sin(x)**2 + cos(x)**2 == 1 or x == 2", "x < 3")
    rows = np.array([[-1.0], [1.0], [2.0], [3.0]])
    assert holds(formula, rows).tolist() == [False, None, True, False]
    assert holds(formula, rows).astype(bool).tolist() == [False, False, True, False]


def test_a_difference_below_float64_is_decided_in_more_bits():
    formula = formula_with("x + 2**-100 > 1", "1 + x*2**-600 > 1")
    assert holds(formula, np.array([[1.0], [0.0]])).tolist() == [True, False]


def test_conditions_look_at_whole_arrays():
    formula = formula_with("amin(x) > 0", "amax(x @ y) < 8", x=(2, 2), y=(2, 2))
    ones, large, bad = [1.0] * 8, [2.0] * 8, [1.0] * 3 + [0.0] + [1.0] * 4
    assert holds(formula, np.array([ones, large, bad])).tolist() == [True, False, False]


def test_a_condition_on_a_complex_number_looks_at_its_parts():
    formula = formula_with("im(z) > 0", "abs(z) < 2", z=Port("z", (), "complex"))
    rows = np.array([[1j], [1 - 1j], [2 + 1j]])
    assert holds(formula, rows).tolist() == [True, False, False]


def test_without_conditions_all_points_are_taken_at_no_cost():
    assert holds(formula_with(), np.zeros((3, 1))).tolist() == [True] * 3
    assert work_of_holding(formula_with()) == 0


def test_a_condition_on_more_numbers_is_more_work():
    small, large = (formula_with("sum(exp(x)) > 0", x=(size,)) for size in (4, 400))
    assert 80 < work_of_holding(large) / work_of_holding(small) < 100


def test_many_points_of_a_large_array_are_decided_in_parts():
    formula = formula_with("sum(x) > 0", x=(100_000,))
    assert holds(formula, np.array([[1.0] * 100_000, [-1.0] * 100_000])).tolist() == [True, False]
