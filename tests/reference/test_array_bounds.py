"""The bounds of arrays against the exact ones, which differentiate each entry once more."""

import numpy as np
import pytest
from asked import function_of

from gradcheck.dtypes import DTYPES
from gradcheck.query import Query
from gradcheck.reference.array_bounds import (
    bounded_conditioning,
    error_bounds,
    measured_answer,
    rounding_in_balls,
)
from gradcheck.reference.ball_arrays import as_floats
from gradcheck.reference.derivative_graphs import DerivativeGraphs
from gradcheck.reference.enclosures import Status, enclose
from gradcheck.reference.query_rows import plan_rows

F32, BF16 = DTYPES["float32"], DTYPES["bfloat16"]
FACTOR = (4, 12, 128)
"""At most so many times the exact conditioning by order: balls forget what is computed twice."""

FORMULAS = {
    "softmax": ("exp(x)/sum(exp(x))", {"x": (3,)}),
    "quotient": ("(x - y)/(1 + x**2)", {"x": (), "y": ()}),
    "product": ("A @ A", {"A": (2, 2)}),
    "norm": ("x/sqrt(sum(x**2) + 1)", {"x": (3,)}),
    "logarithm": ("log(1 + exp(x))", {"x": ()}),
    "inverse": ("inv(A)", {"A": (2, 2)}),
}


def graphs_of(text, **shapes):
    return DerivativeGraphs(function_of(text, **shapes))


def asked(name, order):
    """The graphs of a formula, the query of all derivatives of an order, and one point."""
    text, shapes = FORMULAS[name]
    graphs = graphs_of(text, **shapes)
    size = graphs.function.size
    point = np.linspace(-0.7, 1.9, size) if size > 1 else np.array([0.7])
    return graphs, Query(order, None, (None,) * order), point[None]


def exact_conditioning_of(graphs, query, point):
    """|g| + sum |x_j dg/dx_j| by the certified derivatives of the next order."""
    above = Query(query.order + 1, None, (None,) * (query.order + 1))
    here, slopes = (enclose(graphs, each, point) for each in (query, above))
    assert (here.status == Status.SETTLED).all()
    assert (slopes.status == Status.SETTLED).all()
    terms = np.abs(as_floats(slopes.balls)) * np.abs(point[0])
    return (np.abs(as_floats(here.balls)) + terms.sum(axis=-1)).reshape(-1)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", FORMULAS)
def test_the_conditioning_by_one_more_derivative_is_the_exact_one(name, order):
    graphs, query, point = asked(name, order)
    found = error_bounds(graphs, query, point, F32).conditioning.reshape(-1)
    exact = exact_conditioning_of(graphs, query, point)
    assert np.allclose(found, exact, rtol=1e-9, atol=1e-13 * exact.max())


def in_floats(graphs, rows, cotangent, dtype=F32):
    found = measured_answer(graphs, rows, cotangent, dtype)
    assert not found.doubt.any()
    return np.abs(found.value) + found.spread, found.error * dtype.unit_roundoff


def in_balls(graphs, rows, cotangent, dtype=F32):
    rounding = rounding_in_balls(graphs, rows, cotangent, dtype)
    reach = graphs.reach(rows.points, normwise=False)
    return bounded_conditioning(graphs, rows, cotangent, reach), rounding


@pytest.mark.parametrize("bounds", [in_floats, in_balls])
@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", FORMULAS)
def test_the_bound_of_the_conditioning_is_never_below_it_and_not_far_above(name, order, bounds):
    graphs, query, point = asked(name, order)
    planned = plan_rows(graphs, query, point)
    bound = planned.arranged([bounds(graphs, rows, c)[0] for rows, c in planned.parts])
    least = exact_conditioning_of(graphs, query, point)
    assert (bound.reshape(-1) >= least * (1 - 1e-5)).all()
    assert (bound <= FACTOR[order] * least.max()).all()


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", FORMULAS)
def test_floats_and_balls_bound_rounding_alike(name, order):
    graphs, query, point = asked(name, order)
    for rows, cotangent in plan_rows(graphs, query, point).parts:
        floats = in_floats(graphs, rows, cotangent)[1]
        balls = in_balls(graphs, rows, cotangent)[1]
        assert (floats >= 0.2 * balls).all()
        assert floats.max() <= 4 * balls.max() + F32.unit_roundoff


SCALES = {
    "cosh": ("(exp(x) + exp(-x))/2", 0, 3.0, np.exp(3.0) + np.exp(-3.0)),
    "a large addend": ("(x + 1e8) - 1e8", 0, 1.0, 1e8 + 1),
    "PyTorch's slope of tanh, 1 - y**2": ("tanh(x)", 1, 20.0, 1.0),
    "its input is left out": ("x - 1e3", 0, 1e3, 0.0),
}


@pytest.mark.parametrize("name", SCALES)
def test_the_scale_is_the_largest_intermediate_value(name):
    text, order, x, by_hand = SCALES[name]
    found = error_bounds(graphs_of(text, x=()), Query(order, None, (None,) * order),
                         np.array([[x]]), F32).scale  # fmt: skip
    assert found.item() == pytest.approx(by_hand, rel=1e-12)


def test_an_entry_that_is_not_asked_for_does_not_condition_another():
    graphs = graphs_of("exp(x)", x=(2,))
    query = Query(1, np.array([[1.0, 0.0]]), (None,))
    found = error_bounds(graphs, query, np.array([[1.0, 50.0]]), F32)
    assert found.conditioning[0, 0] == pytest.approx(2 * np.e, rel=1e-2)
    assert found.conditioning[0, 1] == 0


def test_what_underflows_on_the_way_is_told_from_what_is_zero():
    graphs = graphs_of("exp(x)*1e30", x=(2,))
    found = error_bounds(graphs, Query(0), np.array([[-90.0, 1.0]]), F32)
    assert found.underflows.tolist() == [[True, False]]


@pytest.mark.parametrize("bounds", [in_floats, in_balls])
@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (2.0**-80, 2 * 2.0**-24 * 2.0**-60),  # two products, each off by u of its size
        (2.0**-100, 2.0**-150 * 2.0**60 + 2.0**-24 * 2.0**-80),  # half a subnormal, times z
        (0.0, 0.0),
    ],
)
def test_a_product_that_is_subnormal_is_off_by_half_a_subnormal(x, expected, bounds):
    graphs = graphs_of("(x*y)*z", x=(), y=(), z=())
    point = np.array([[x, 2.0**-40, 2.0**60]])
    (part,) = plan_rows(graphs, Query(0), point).parts
    assert bounds(graphs, *part)[1].item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("x", [0.0, 0.5])
def test_what_branches_do_not_share_is_no_rounding(x):
    graphs = graphs_of("abs(x) - max(x, -x) + x**2", x=())
    query = Query(1, np.ones((1, 1)), (None,))
    (part,) = plan_rows(graphs, query, np.array([[x]])).parts
    conditioning, rounding = in_balls(graphs, *part)
    assert conditioning.item() == pytest.approx(4 * x, abs=1e-5)  # |2x| + |x| 2
    assert rounding.item() < 16 * F32.unit_roundoff


@pytest.mark.parametrize("bounds", [in_floats, in_balls])
def test_a_sum_that_is_subnormal_is_exact(bounds):
    graphs = graphs_of("(x + y)*z", x=(), y=(), z=())
    point = np.array([[2.0**-130, 2.0**-131, 2.0**60]])
    (part,) = plan_rows(graphs, Query(0), point).parts
    assert bounds(graphs, *part)[1].item() <= 2.0**-24 * 2.0**-67


@pytest.mark.parametrize("bounds", [in_floats, in_balls])
def test_each_product_of_a_contraction_is_off_by_half_a_subnormal(bounds):
    graphs = graphs_of("(x @ y)*2.0**60", x=(2,), y=(2,))
    point = np.array([[2.0**-100, 2.0**-100, 2.0**-40, 2.0**-40]])
    (part,) = plan_rows(graphs, Query(0), point).parts
    assert bounds(graphs, *part)[1].item() == pytest.approx(2 * 2.0**-150 * 2.0**60, rel=1e-2)


DOUBTED = {
    "cancels": ("log(exp(x) - 1)", 2.0**-60),
    "underflows": ("exp(x - 800)*exp(400)", 1.3),
    "overflows": ("exp(x)/(1 + exp(x))", 800.0),
    "near a step": ("floor(exp(log(x)))", 3.0),
    "near a comparison": ("where(exp(log(x)) < 3, x, x**2)", 3.0),
    "without a derivative": ("zeta(x, 3)", 2.5),
}


@pytest.mark.parametrize("name", DOUBTED)
def test_what_float64_does_not_hold_is_in_doubt(name):
    text, x = DOUBTED[name]
    graphs = graphs_of(text, x=())
    (rows, _), *_ = plan_rows(graphs, Query(0), np.array([[x]])).parts
    assert measured_answer(graphs, rows, None, F32).doubt.all()


@pytest.mark.parametrize("name", DOUBTED)
def test_the_same_formula_elsewhere_is_not(name):
    graphs = graphs_of(DOUBTED[name][0].replace("zeta(x, 3)", "zeta(3, x)"), x=())
    (rows, _), *_ = plan_rows(graphs, Query(0), np.array([[200.5]])).parts
    assert not measured_answer(graphs, rows, None, F32).doubt.any()


@pytest.mark.parametrize("power", [1, 2, 3, 5])
def test_a_power_of_what_cancels_has_the_bound_of_balls_and_needs_none(power):
    graphs = graphs_of(f"(exp(log(x)) - 3)**{power}", x=())
    (part,) = plan_rows(graphs, Query(0), np.array([[3.0]])).parts
    assert not measured_answer(graphs, *part, F32).doubt.any()
    floats, balls = (bounds(graphs, *part)[1].item() for bounds in (in_floats, in_balls))
    assert 0.4**power * balls <= floats <= 4 * balls  # a ball's radius is that of the last bit


@pytest.mark.parametrize("power", [-1, -2])
def test_an_inverse_of_what_cancels_is_in_doubt(power):
    graphs = graphs_of(f"(exp(log(x)) - 3)**{power}", x=())
    (part,) = plan_rows(graphs, Query(0), np.array([[3.0]])).parts
    assert measured_answer(graphs, *part, F32).doubt.all()


@pytest.mark.parametrize(
    "text", ["exp(v @ w)", "log(2 + v @ w)", "1/(2 + v @ w)", "exp(v @ w)/(1 + exp(v @ w))"]
)
def test_what_a_large_error_does_has_the_bound_of_balls_and_needs_none(text):
    """In bfloat16 the contraction of 16 products is off by up to ½, of its value 0.01."""
    graphs = graphs_of(text, v=(16,), w=(16,))
    point = np.array([[1.0] * 16 + [0.5, -0.5] * 7 + [0.5, -0.49]])
    (part,) = plan_rows(graphs, Query(0), point).parts
    floats, balls = (
        [each.item() for each in bounds(graphs, *part, BF16)] for bounds in (in_floats, in_balls)
    )
    assert floats[0] == pytest.approx(balls[0], rel=1e-2)
    assert 0.4 * balls[1] <= floats[1] <= 4 * balls[1]


@pytest.mark.parametrize("text", ["log(0.25 + v @ w)", "1/(0.25 + v @ w)"])
def test_what_a_large_error_makes_infinite_is_in_doubt(text):
    graphs = graphs_of(text, v=(16,), w=(16,))
    point = np.array([[1.0] * 16 + [0.5, -0.5] * 8])
    (part,) = plan_rows(graphs, Query(0), point).parts
    assert measured_answer(graphs, *part, BF16).doubt.all()
    assert not measured_answer(graphs, *part, F32).doubt.any()


def test_what_is_in_doubt_is_bounded_by_balls():
    """d/dx exp(x)/(1 + exp(x)) = exp(-x) far out, so that S = (1 + x) exp(-x)."""
    graphs = graphs_of("exp(x)/(1 + exp(x))", x=())
    found = error_bounds(graphs, Query(1, None, (None,)), np.array([[600.0], [720.0]]), F32)
    expected = [601 * np.exp(-600), 721 * np.exp(-720)]
    assert found.conditioning.reshape(-1) == pytest.approx(expected, rel=1e-6)


def test_a_bound_at_one_point_does_not_hang_on_the_others():
    graphs = graphs_of("exp(x)/sum(exp(x))", x=(2,))
    points = np.array([[0.5, 1.0], [800.0, 0.0], [1.0, -1.0]])
    query = Query(1, np.array([[1.0, -2.0]]), (None,))
    together = error_bounds(graphs, query, points, F32)
    alone = [error_bounds(graphs, query, point[None], F32) for point in points]
    for part in ("conditioning", "rounding", "scale", "underflows"):
        joined = np.concatenate([getattr(each, part) for each in alone])
        assert np.array_equal(getattr(together, part), joined)


def scales(text, tangent, **shapes):
    query = Query(2, np.ones((1, 1)), (np.array([tangent]), None))
    found = error_bounds(graphs_of(text, **shapes), query, np.array([[3.0, 5.0]]), F32)
    return found.scale.tolist()


def test_a_derivative_that_vanishes_with_all_on_its_way_has_the_scale_of_those_beside_it():
    assert scales("x*y", [1.0, 0.0], x=(), y=()) == [[1, 1]]
    assert scales("7*x*y", [0.0, 1.0], x=(), y=()) == [[7, 7]]


def test_one_that_cancels_keeps_its_own_scale_and_where_all_vanish_there_is_none():
    ((cancelled, beside),) = scales("x**2 - x*x + 100*x*y", [1.0, 0.0], x=(), y=())
    assert cancelled < 10 < beside == 100
    assert scales("x + y", [1.0, 0.0], x=(), y=()) == [[0, 0]]
