"""The columns of the operator table are held against each other and against mpmath."""

import mpmath
import pytest
import torch
from known_values import KNOWN
from operator_columns import (
    CONDITIONS,
    agree,
    ball_of,
    check_ball,
    check_cancelling,
    check_derivatives,
    check_domain,
    check_floats,
    check_holomorphic,
    check_kinks,
    check_series,
    check_smooth,
    check_sympy,
    check_torch,
)
from operator_points import HARD, MPMATH, REGULAR

from gradcheck.ops.table import OPERATORS, on_tensors

EVERY = sorted(OPERATORS)
STATED = [name for name in EVERY if None not in OPERATORS[name].derivatives]
SLOPED = [name for name in STATED if name not in CONDITIONS]
SERIES = [name for name in EVERY if OPERATORS[name].series]
HOLOMORPHIC = [name for name in EVERY if OPERATORS[name].holomorphic]
OF_ONE = [name for name in HOLOMORPHIC if OPERATORS[name].arity == 1 and name != "ipow"]
CANCELLING = [name for name in EVERY if OPERATORS[name].cancelling]
KINKED = [name for name in EVERY if OPERATORS[name].kinks]
SMOOTH = [name for name in SLOPED if name not in KINKED and name != "where"]


@pytest.mark.parametrize("table", [REGULAR, HARD, MPMATH, KNOWN])
def test_every_operator_is_tested(table):
    assert sorted(table) == EVERY


@pytest.mark.parametrize("name", EVERY)
def test_the_ball_holds_the_value_of_mpmath(name):
    check_ball(OPERATORS[name])


@pytest.mark.parametrize("name", EVERY)
def test_the_ball_holds_a_value_that_was_written_by_hand(name):
    point, value, _source = KNOWN[name]
    with mpmath.workdps(60):
        known = value if isinstance(value, bool) else mpmath.mpf(value)
        got = ball_of(OPERATORS[name], point)
        assert got is known or agree(got, known, mpmath.mpf("1e-49"))


@pytest.mark.parametrize("name", SLOPED)
def test_the_local_derivatives_are_the_derivatives(name):
    check_derivatives(OPERATORS[name])


@pytest.mark.parametrize("name", SLOPED)
def test_sympy_knows_the_same_function_and_the_same_derivatives(name):
    check_sympy(OPERATORS[name])


@pytest.mark.parametrize("name", CANCELLING)
def test_the_form_that_cancels_is_the_same_derivative(name):
    check_cancelling(OPERATORS[name])


@pytest.mark.parametrize("name", EVERY)
def test_float64_computes_the_same_function(name):
    check_floats(OPERATORS[name])


@pytest.mark.parametrize("name", EVERY)
def test_torch_computes_the_same_function(name):
    check_torch(OPERATORS[name])


@pytest.mark.parametrize("name", SERIES)
def test_the_series_has_the_value_and_the_derivatives_as_coefficients(name):
    check_series(OPERATORS[name])


@pytest.mark.parametrize("name", SLOPED)
def test_the_derivative_is_defined_in_the_whole_domain(name):
    check_domain(OPERATORS[name])


@pytest.mark.parametrize("name", KINKED)
def test_a_hull_at_a_kink_holds_both_one_sided_limits(name):
    check_kinks(OPERATORS[name])


@pytest.mark.parametrize("name", SMOOTH)
def test_an_operator_without_kinks_meets_none(name):
    check_smooth(OPERATORS[name])


@pytest.mark.parametrize("name", EVERY)
def test_an_operator_has_one_derivative_for_each_argument_and_a_source(name):
    entry = OPERATORS[name]
    assert len(entry.derivatives) == entry.arity
    assert entry.source


@pytest.mark.parametrize("name", sorted(CONDITIONS))
def test_a_condition_has_no_slope(name):
    assert set(OPERATORS[name].derivatives) == {"0"}


def test_only_the_derivative_of_zeta_in_its_exponent_is_not_stated():
    assert {name for name in EVERY if name not in STATED} == {"zeta"}
    assert OPERATORS["zeta"].derivatives[0] is None


LIMITED = [entry for entry in OPERATORS.values() if entry.torch_orders]


@pytest.mark.parametrize("entry", LIMITED, ids=lambda entry: entry.name)
def test_pytorch_has_the_orders_that_the_table_says_and_no_next_one(entry):
    x = torch.tensor(0.5)
    for order in entry.torch_orders:
        assert torch.isfinite(on_tensors(entry)(order, x))
    with pytest.raises(NotImplementedError):
        on_tensors(entry)(max(entry.torch_orders) + 1, x)


def test_some_operators_are_limited_to_some_orders():
    assert [entry.name for entry in LIMITED] == ["besselj", "besseli"]


@pytest.mark.parametrize("name", OF_ONE)
def test_what_is_holomorphic_has_the_same_derivative_on_complex_numbers(name):
    check_holomorphic(OPERATORS[name])


def test_some_operators_are_holomorphic_and_some_are_not():
    assert {"exp", "log", "sinh"} < set(OF_ONE) < set(EVERY) - {"abs", "floor", "erf"}
