"""Where a formula or its chain rule leaves a dtype's range, and where it does not."""

import numpy as np
import pytest

from gradcheck.dtypes import DTYPES
from gradcheck.graph.lower import lower
from gradcheck.language.parse import parse
from gradcheck.query import Query
from gradcheck.reference.reference import Reference

DOUBLE, SINGLE = DTYPES["float64"], DTYPES["float32"]


def reference(text, **shapes):
    inputs = shapes or {"x": ()}
    return Reference(lower(parse(text), inputs=inputs, names={}, lets={}, conditions=()))


def leaves(text, order, index, at, dtype=DOUBLE, **shapes):
    query = Query(order, None, (None,) * order)
    found = reference(text, **shapes).leaves_range(query, np.array([at]), dtype)
    return found.reshape(-1)[index]


def leaves_upwards(text, order, at):
    query = Query(order, None, (None,) * order)
    return reference(text).leaves_range(query, np.array([[at]]), DOUBLE, upwards=True).item()


@pytest.mark.parametrize(
    ("text", "at", "order"),
    [
        ("exp(x)/exp(x)", 710.0, 0),
        ("exp(x)", 1e300, 0),
        ("exp(-x)", 1e300, 0),
        ("exp(-x**2)", 30.0, 0),
        ("x**3", 1e110, 1),  # the value; the derivative is 3e220
        ("x**3", 7.8e102, 0),  # 2**341 and more, and 2**1023 is in range
        ("x*x*x - 3*x", 7.8e102, 0),
        ("x**4", 1e110, 2),  # the first derivative
        ("where(x <= 0, exp(x), 1 + x)", 900.0, 1),  # the branch that is not taken
        ("(x*1e200)*(x*1e-200)*x", 1e120, 0),  # multiplied in another sequence
        ("1/(x/1e200)", 1e-150, 0),
    ],
)
def test_what_overflows_or_underflows_on_the_way_leaves_the_range(text, at, order):
    assert leaves(text, order, 0, (at,))


@pytest.mark.parametrize(
    ("text", "at", "order"),
    [
        ("exp(x)/exp(x)", 700.0, 0),
        ("exp(-x**2)", 20.0, 2),
        ("x**3", 1e90, 1),
        ("x**3", 5.5e102, 0),
        ("x + 1", 1e307, 1),
        ("where(x <= 0, exp(x), 1 + x)", 20.0, 1),
        ("tanh(x)", 20.0, 1),
        ("tanh(x)", 1e5, 1),  # 1 - y² is 0 there, and does not underflow
        ("where(x == 0, 1, sin(x)/x)", 0.0, 1),  # a pole is no overflow
        ("1/x", 0.0, 0),
        ("x*0", 1e300, 0),
    ],
)
def test_what_does_not_stays_in_the_range(text, at, order):
    assert not leaves(text, order, 0, (at,))


@pytest.mark.parametrize(
    ("text", "at", "order"),
    [
        ("exp(x)/exp(x)", 710.0, 0),
        ("exp(x)/exp(x)", -710.0, 0),
        ("log(exp(x))", -710.0, 0),
        ("x/sqrt(x**2)", 1e-155, 0),
        ("sqrt(x**2)", 1e-170, 1),
        ("x**2/(x**2 + x**4)", 1e-160, 0),
        ("x**2/sum([x**2, x**4])", 1e-160, 0),
        ("x**2/([x, x] @ [x, x**2])", 1e-160, 0),
        ("x/(x*1e-200*1e200)", 1e-150, 0),
        ("x**-2", 1e-160, 0),
        ("1/x", 1e-309, 0),
        ("exp(-1/x**2)", 1e-160, 1),
    ],
)
def test_what_is_divided_by_a_number_that_underflows_leaves_it_upwards(text, at, order):
    assert leaves_upwards(text, order, at)


@pytest.mark.parametrize(
    ("text", "at", "order"),
    [
        ("exp(-x**2)", 30.0, 2),
        ("x**2", 1e-160, 2),
        ("x/sqrt(x**2 + 1)", 1e-160, 1),
        ("x/sqrt(sum([x**2, 1]))", 1e-160, 1),
        ("x/sqrt([x, 1] @ [x, 1])", 1e-160, 1),
        ("log(1 + exp(x))", -710.0, 2),
        ("1/exp(x**2)", 1e-160, 1),
        ("tanh(x**2)", 1e-160, 1),
    ],
)
def test_what_underflows_and_is_added_or_multiplied_does_not_leave_it_upwards(text, at, order):
    assert leaves(text, order, 0, (at,))
    assert not leaves_upwards(text, order, at)


@pytest.mark.parametrize(("dtype", "left"), [(DOUBLE, False), (SINGLE, True)])
@pytest.mark.parametrize(("order", "index"), [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 3)])
def test_the_value_is_on_the_way_to_all_its_derivatives(order, index, dtype, left):
    at = (1e25, 1.0)
    assert leaves("u**3 + v**2 + 4*u*v", order, index, at, dtype, u=(), v=()) == left


def test_what_an_entry_does_not_depend_on_is_not_on_its_way():
    at, text = (1.0, -1000.0), "[exp(v[0]), exp(v[1])]"  # which underflows
    found = [leaves(text, 1, index, at, v=(2,)) for index in range(4)]
    assert found == [False, False, False, True]  # ∂y[1]/∂v[1] alone


def test_what_overflows_is_multiplied_by_zeros_too():
    """jacfwd asks for ∂y[1]/∂v[0] with a tangent of 0 of v[1], jacrev so for ∂y[0]/∂v[1]."""
    at, text = (1.0, 1000.0), "[exp(v[0]), exp(v[1])]"
    found = [leaves(text, 1, index, at, v=(2,)) for index in range(4)]
    assert found == [False, True, True, True]
    assert leaves(text, 2, 1, at, v=(2,))  # ∂²y[0]/∂v[0]∂v[1]
    assert not leaves(text, 2, 0, at, v=(2,))
    assert leaves("exp(u**2) + v", 2, 1, (30.0, 1.0), u=(), v=())  # ∂²y/∂u∂v, which is 0
    assert not leaves("exp(u**2) + v", 2, 1, (20.0, 1.0), u=(), v=())


@pytest.mark.parametrize(("at", "left"), [(1e-3, True), (0.1, False)])
def test_a_derivative_that_overflows_is_multiplied_by_zeros_too(at, left):
    """jacfwd asks for ∂y/∂v with a tangent of 0 of u, whose derivative is 1/u**2."""
    query, half = Query(1, np.ones((1, 1)), (None,)), DTYPES["float16"]
    points = np.array([[at, 1]])
    found = reference("v/u", u=(), v=()).leaves_range(query, points, half, upwards=True)
    assert found.tolist() == [[left, left]]


def test_that_of_several_outputs_together_is_not():
    query, half = Query(1, np.ones((1, 2)), (None,)), DTYPES["float16"]
    points = np.array([[1e-3, 1]])
    found = reference("[1/v[0], v[1]]", v=(2,)).leaves_range(query, points, half, upwards=True)
    assert found.tolist() == [[True, False]]


def test_a_cotangent_may_double_what_is_at_the_edge():
    assert not leaves("x**2", 0, 0, (1.3e154,))
    assert leaves("x**2", 1, 0, (1.3e154,))  # 1.69e308, to be multiplied by up to 2
