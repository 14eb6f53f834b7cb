"""Enclosures hold the true value, whatever the formula and the point."""

import math

import mpmath
import pytest
from asked import enclosures, reference_of
from flint import arb
from hypothesis import HealthCheck, event, given, settings
from operator_columns import agree
from random_formulas import FORMULAS, POINTS, by_mpmath, formula_of

from gradcheck.ops import balls
from gradcheck.ops.balls import working
from gradcheck.reference.reference import Reference

PATIENT = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


def value(text: str, *point: float):
    shapes = dict.fromkeys("xyz"[: len(point)], ())
    return enclosures(reference_of(text, **shapes), 0, point)[0]


def slope(text: str, *point: float):
    """The derivative in x."""
    shapes = dict.fromkeys("xyz"[: len(point)], ())
    return enclosures(reference_of(text, **shapes), 1, point)[0]


@PATIENT
@given(FORMULAS, POINTS)
def test_an_enclosure_holds_the_value_of_mpmath_where_there_is_one(tree, point):
    formula = formula_of(tree)
    expected = by_mpmath(formula, point)
    (found,) = enclosures(Reference(formula), 0, point)
    event(f"value: {expected is not None}")
    assert found.proves or expected is None
    assert expected is None or found.status == "kink" or agree(found.ball, expected)
    assert found.status != "kink" or found.ball.overlaps(arb(str(expected)))  # atan2's cut


def test_a_wrong_value_is_not_held():
    assert not agree(value("sin(x)", 1.0).ball, mpmath.cos(1))


# cancellation: as many bits as it takes


@pytest.mark.parametrize(
    ("text", "x", "digits"),
    [
        ("(1 + x) - 1", 1e-300, "1.00000000000000002506e-300"),
        ("(1 + x) - 1", 5e-324, "4.94065645841246544177e-324"),
        ("exp(x) - 1 - x", 1e-10, "5.0000000001666670310e-21"),
        ("(1 - cos(x))/x**2", 1e-100, "0.5"),
        ("(x + 1e200) - 1e200", 1.0, "1"),
        ("sqrt(x + 1) - sqrt(x)", 1e300, "5.00000000000000000000e-151"),
        ("log(1 + x) - x + x**2/2", 1e-50, "3.33333333333333333333e-151"),
        ("sin(x)", math.pi, "1.22464679914735317723e-16"),
        ("x*1e30", 1.0, "1e30"),
        ("x + 123456789012345678901234567890", 1.0, "123456789012345678901234567891"),
    ],
)
def test_precision_rises_until_a_value_is_settled(text, x, digits):
    found = value(text, x)
    with working(200, exact=True):
        assert found.status == "settled"
        assert found.ball.rel_accuracy_bits() >= 73
        assert abs(found.ball / arb(digits) - 1) < 1e-13


def test_a_value_that_is_zero_beyond_all_floats_is_settled():
    assert value("x - x", 0.1).ball == 0
    assert value("sin(x)**2 + cos(x)**2 - 1", 0.1).status == "settled"


# poles and ends of domains


@pytest.mark.parametrize(
    ("text", "x"),
    [("1/x", 0.0), ("log(x)", 0.0), ("log(x)", -1.0), ("sqrt(x)", -5e-324), ("asin(x)", 1.001),
     ("acosh(x)", 0.999), ("atanh(x)", 1.0), ("gamma(x)", -2.0), ("lgamma(x)", 0.0),
     ("digamma(x)", -1.0), ("polygamma(1, x)", 0.0), ("zeta(x)", 1.0), ("x**(-1)", 0.0),
     ("x**0.5", -2.0), ("x**(-1/2)", 0.0), ("erfinv(x)", -1.0), ("1/(x - x)", 1.0), ("x*inf", 1.0),
     ("tan(x)/0", 1.0), ("where(x > 0, log(x), 1/x)", 0.0), ("log(log(x))", 1.0),
     ("sqrt(x)/x", 0.0), ("sign(x)/x", 0.0)],
)  # fmt: skip
def test_a_value_that_does_not_exist_is_never_claimed(text, x):
    assert value(text, x).status in ("undefined", "vague")


@pytest.mark.parametrize(
    ("text", "known"), [("atan2(x, x/x)", 0), ("(x/x)**x", 1), ("heaviside(x/x, 1/4)", 1)]
)
def test_a_hole_inside_a_formula_is_filled_or_left_open(text, known):
    found = value(text, 0.0)
    assert found.status == "vague" or found.ball.contains(known)


@pytest.mark.parametrize(
    ("text", "x"),
    [("sqrt(x)", 0.0), ("cbrt(x)", 0.0), ("asin(x)", 1.0), ("acosh(x)", 1.0), ("x**0.5", 0.0),
     ("log(x)", -1.0), ("log(x)/log(x)", -3.0), ("x**x", 0.0)],
)  # fmt: skip
def test_a_derivative_that_does_not_exist_is_never_claimed(text, x):
    assert slope(text, x).status in ("undefined", "vague")


@pytest.mark.parametrize(
    ("text", "x"),
    [("where(x > 0, log(x), x)", -1.0), ("x**3", -2.0), ("x**(-3)", -2.0), ("cbrt(x)", -8.0),
     ("sqrt(x)", 5e-324), ("lgamma(x)", -0.5), ("1/x", 5e-324), ("exp(x)", 1e5), ("0*x", 1e308)],
)  # fmt: skip
def test_next_to_it_value_and_derivative_are_settled(text, x):
    assert value(text, x).status == slope(text, x).status == "settled"


# kinks: hulls of one-sided derivatives


@pytest.mark.parametrize(
    ("text", "x", "sides"),
    [
        ("abs(x)", 0.0, (-1, 1)),
        ("max(x, 0)", 0.0, (0, 1)),
        ("min(2*x, 3*x)", 0.0, (2, 3)),
        ("max(x**2, x)", 1.0, (1, 2)),
        ("where(x < 0, -2*x, 5*x)", 0.0, (-2, 5)),
        ("where(x <= 1, x**2, 3*x - 2)", 1.0, (2, 3)),
        ("abs(abs(x) - 1)", 1.0, (-1, 1)),
        ("x*sign(x)", 0.0, (-1, 1)),
        ("x*heaviside(x, 0.5)", 0.0, (0, 1)),
        ("sqrt(x**2)", 0.0, (-1, 1)),
        ("max(x, -x, 3*x)", 0.0, (-1, 3)),
    ],
)
def test_at_a_kink_the_derivative_is_the_hull_of_both_sides(text, x, sides):
    found = slope(text, x)
    assert found.status == "kink"
    assert all(found.ball.contains(side) for side in sides)
    assert not found.ball.contains(sides[0] - 1)
    assert not found.ball.contains(sides[1] + 1)


@pytest.mark.parametrize(
    ("text", "x", "known"),
    [("abs(x)", 1e-300, 1), ("abs(x)", -5e-324, -1), ("x*abs(x)", 0.0, 0), ("abs(x)**3", 0.0, 0),
     ("max(x, 0)", -5e-324, 0), ("where(x < 0, x**2, x**3)", 0.0, 0), ("x*floor(x)", 2.5, 2)],
)  # fmt: skip
def test_beside_a_kink_and_where_both_sides_meet_the_derivative_is_settled(text, x, known):
    found = slope(text, x)
    assert found.status == "settled"
    assert found.ball.contains(known)


# exact mode: a jump has the value that the formula gives it


@pytest.mark.parametrize(
    ("text", "x", "known"),
    [("sign(x)", 0.0, 0), ("sign(x)", -0.0, 0), ("where(x >= 0, 1, 2)", 0.0, 1),
     ("where(x > 0, 1, 2)", 0.0, 2), ("where(x == 0, 1, 2)", 0.0, 1),
     ("where(x != 0, 1, 2)", 0.0, 2),
     ("heaviside(x, 0.25)", 0.0, 0.25), ("heaviside(x)", 0.0, 0.5), ("floor(x)", 3.0, 3),
     ("ceil(x)", 3.0, 3), ("round(x)", 2.5, 2), ("round(x)", 3.5, 4), ("round(x)", -0.5, 0),
     ("where(2*x <= 1, 1, 2)", 0.5, 1), ("where(0 <= x < 1, 1, 2)", 0.0, 1),
     ("where(not x > 0 and x == 0, 1, 2)", 0.0, 1), ("abs(x)", -0.0, 0),
     ("where(x < 1/10, 1, 2)", 0.1, 2), ("where(x == 1/10, 1, 2)", 0.1, 2)],
)  # fmt: skip
def test_the_value_at_a_jump_is_what_the_formula_says(text, x, known):
    found = value(text, x)
    assert (found.status, found.ball) == ("settled", known)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("text", "x"),
    [("floor(x)", 2.0), ("sign(x)", 0.0), ("x*ceil(x)", 2.0), ("x*round(x)", 2.5),
     ("where(x == 0, 5, x**2)", 0.0), ("where(x > 0, x + 1, x)", 0.0), ("atan2(x, -1)", 0.0),
     ("erf(atan2(x, x))", 0.0)],
)  # fmt: skip
def test_at_a_jump_there_is_no_derivative(text, x, order):
    """A function that is not continuous has none, and no one-sided ones on both sides."""
    assert value(text, x).proves
    assert enclosures(reference_of(text), order, (x,))[0].status in ("undefined", "vague")


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize(
    "condition",
    ["log(x) > 0", "log(x) <= 0", "log(x) == 0", "not log(x) > 0", "x < 0 and log(x) > 0",
     "x > 0 or log(x) > 0"],
)  # fmt: skip
def test_without_an_answer_to_its_condition_a_choice_has_no_value(condition, order):
    """Also where both branches are the same: log(-1) is no real number."""
    reference = reference_of(f"where({condition}, 3*x, 3*x)")
    assert enclosures(reference, order, (-1.0,))[0].status == "undefined"


def test_what_decides_a_condition_alone_decides_it():
    found = value("where(x < 0 or log(x) > 0, 1, 2) + where(x > 0 and log(x) > 0, 10, 20)", -1.0)
    assert (found.status, found.ball) == ("settled", 21)


@pytest.mark.parametrize("x", [0.0, -0.0, -1.0])
def test_on_its_branch_cut_the_angle_is_that_of_either_side(x):
    """IEEE 754-2019, 9.2.1: atan2(±0, -1) is ±pi and atan2(±0, -0) too, by the sign of the zero."""
    found = value(f"atan2(0*x, {x} + 0*x)", 1.0)
    assert found.status == "kink"
    assert all(found.ball.contains(angle) for angle in (math.pi, 0, -math.pi))


@pytest.mark.parametrize("function", [balls.sign, balls.floor, balls.ceiling])
def test_without_exact_mode_a_jump_is_a_hull(function):
    with working(64, exact=True):
        assert function(arb(0)) == 0
    with working(64, exact=False) as contact:
        assert function(arb(0)).rad() >= 0.5
        assert contact.touched


def test_precision_and_mode_are_given_back():
    with working(64, exact=True), working(300, exact=False):
        pass
    with working(64, exact=True):
        assert balls.sign(arb(0)) == 0
        assert not balls.CONTACT.touched


@pytest.mark.parametrize(
    ("n", "x", "known"),
    [(2, arb(0, 0.5), (0, 0.25)), (3, arb(0, 0.5), (-0.125, 0.125)), (0, arb(0, 0.5), (1, 1)),
     (10**9, arb(0, 0.5), (0, 0)), (1, arb(0, 0.5), (-0.5, 0.5))],
)  # fmt: skip
def test_a_power_of_a_ball_around_zero_is_enclosed(n, x, known):
    found = balls.integer_power(x, n)
    assert found.contains(known[0])
    assert found.contains(known[1])
    assert abs(found) < 1.01
