"""Removable singularities of one and several variables, and what is proved to have no limit."""

import numpy as np
import pytest
from asked import function_of
from flint import arb

from gradcheck.graph.lower import lower
from gradcheck.language.parse import parse
from gradcheck.query import Query
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction
from gradcheck.reference.enclosures import Status, enclose

SINC = "sin(x)/x"
GUARDED = "where(x == 0, 1, sin(x)/x)"
RADIUS = "sqrt(x**2 + y**2)"
SINC_OF_RADIUS = f"sin({RADIUS})/{RADIUS}"
MATERN = f"(1 + sqrt(5)*{RADIUS} + 5/3*(x**2 + y**2))*exp(-sqrt(5)*{RADIUS})"


def asked(text, order, point):
    shapes = dict.fromkeys("xy"[: len(point)], ())
    lowered = lower(parse(text), inputs=shapes, names={}, lets={}, conditions=())
    graphs = DerivativeGraphs(GraphFunction(lowered.graph, lowered.inputs, lowered.results))
    return enclose(graphs, Query(order, None, (None,) * order), np.array([point]))


LIMITS = [
    (SINC, (0.0,), 0, [1]),
    (SINC, (0.0,), 1, [0]),
    (SINC, (0.0,), 2, [-1 / arb(3)]),
    (SINC, (0.0,), 3, [0]),
    (GUARDED, (0.0,), 3, [0]),
    (SINC_OF_RADIUS, (0.0, 0.0), 0, [1]),
    (SINC_OF_RADIUS, (0.0, 0.0), 1, [0, 0]),
    (SINC_OF_RADIUS, (0.0, 0.0), 2, [-1 / arb(3), 0, 0, -1 / arb(3)]),
    (MATERN, (0.0, 0.0), 0, [1]),
    (MATERN, (0.0, 0.0), 1, [0, 0]),
    (MATERN, (0.0, 0.0), 2, [-5 / arb(3), 0, 0, -5 / arb(3)]),
]
"""sin(r)/r = 1 - r²/6 + ..., DLMF 10.49.3; Matérn 5/2: 1 - 5r²/6 + ..., Rasmussen and Williams,
Gaussian Processes for Machine Learning (2006), 4.17."""


@pytest.mark.parametrize(("text", "point", "order", "expected"), LIMITS)
def test_a_removable_singularity_has_the_limit(text, point, order, expected):
    found = asked(text, order, point)
    assert (found.status == Status.SETTLED).all()
    for ball, true in zip(found.balls.reshape(-1), expected, strict=True):
        assert abs(ball - true) < 1e-14


def test_a_limit_keeps_all_bits_of_a_tiny_tangent():
    """log(1 + x)/x = 1 - x/2 + ..., and a tangent of 1e-6 is small beside the lines' own."""
    lowered = lower(parse("log(1 + x)/x"), inputs={"x": ()}, names={}, lets={}, conditions=())
    graphs = DerivativeGraphs(GraphFunction(lowered.graph, lowered.inputs, lowered.results))
    tangent = 1.4440433989081535e-06
    query = Query(1, None, (np.array([[tangent]]),))
    (ball,) = enclose(graphs, query, np.array([[0.0]])).balls.reshape(-1)
    assert float(ball.mid()) == -tangent / 2


def test_the_distance_has_a_kink_at_its_origin():
    found = asked(RADIUS, 1, (0.0, 0.0))
    assert (found.status == Status.KINK).all()
    assert [float(ball.rad()) for ball in found.balls[0, 0]] == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("text", "point", "order"),
    [
        ("log(x)", (-1.0,), 0), ("log(x)", (0.0,), 0), ("1/x", (0.0,), 0), ("x*log(x)", (0.0,), 0),
        ("log(x)", (-1.0,), 1), ("sqrt(x)", (0.0,), 1), ("cbrt(x)", (0.0,), 1),
        ("asin(x)", (1.0,), 1), ("sqrt(x**2)", (0.0,), 2), (RADIUS, (0.0, 0.0), 2),
    ],
)  # fmt: skip
def test_what_is_proved_to_have_no_value_or_derivative_is_undefined(text, point, order):
    assert (asked(text, order, point).status == Status.UNDEFINED).all()


def test_lines_alone_do_not_prove_a_limit():
    """x²y/(x⁴ + y²) tends to 0 along every line, and to ½ along the parabola y = x²."""
    found = asked("x**2*y/(x**4 + y**2)", 0, (0.0, 0.0))
    assert found.status.tolist() == [[Status.VAGUE]]


def test_a_value_that_is_another_along_another_line_is_none():
    found = asked("x**2/(x**2 + y**2)", 0, (0.0, 0.0))
    assert found.status.tolist() != [[Status.SETTLED]]


def test_a_form_that_is_not_linear_is_no_derivative():
    """x³/(x² + y²) has a derivative along every line, and none."""
    found = asked("x**3/(x**2 + y**2)", 1, (0.0, 0.0))
    assert Status.SETTLED not in found.status


SQUARES = "v[0]**2 + v[1]**2"
LENGTH = f"sqrt(where({SQUARES} > 0, {SQUARES}, 1))"  # of v, but 1 for that of 0


def beside(text, y):
    """The gradient by y and v at v = 0, where a condition of v is undecided."""
    graphs = DerivativeGraphs(function_of(text, y=(), v=(2,)))
    found = enclose(graphs, Query(1, np.ones((1, 1)), (None,)), np.array([[y, 0.0, 0.0]]))
    return found.status[0].tolist(), found.balls[0]


def test_a_limit_written_out_for_some_inputs_alone_holds_from_every_value_of_the_others():
    """atan(|v|/y)/|v| tends to 1/y as v does to 0 (DLMF 4.24.3); of that times v[0] the slope by
    v[0] at -2 is -1/2."""
    text = f"where({SQUARES} > 0, atan({LENGTH}/y)/{LENGTH}, 1/y)*v[0]"
    status, balls = beside(text, -2.0)
    assert status == [Status.SETTLED] * 3
    for ball, true in zip(balls, (0, -0.5, 0), strict=True):
        assert abs(ball - true) < 1e-14


@pytest.mark.parametrize(
    ("text", "y"),
    [
        (f"where({SQUARES} > 0, y*sin({LENGTH})/{LENGTH}, 2*y)", 0.0),  # is 2 y where v is 0
        (f"where({SQUARES} > 0, sin({LENGTH}*y)/{LENGTH}, y**2)", 1.0),  # has the slope 2 there
        (f"where({SQUARES} > 0, sin({LENGTH}*y)/{LENGTH}, y + 1)", 1.0),  # jumps
    ],
)
def test_what_does_not_fit_the_values_beside_it_is_not_settled(text, y):
    assert beside(text, y)[0][0] != Status.SETTLED


def test_one_that_does_is():
    status, balls = beside(f"where({SQUARES} > 0, sin({LENGTH}*y)/{LENGTH}, y)", 1.0)
    assert status == [Status.SETTLED] * 3
    assert abs(balls[0] - 1) < 1e-14
