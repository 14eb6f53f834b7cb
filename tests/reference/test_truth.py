"""What is certified of a formula, and what rounding may do to it."""

import math

import pytest
from flint import arb

from gradcheck.dtypes import DTYPES
from gradcheck.graph.scalarize import unroll
from gradcheck.language.parse import parse
from gradcheck.ops.balls import working
from gradcheck.reference.truth import MOST_SYMBOLIC_ENTRIES, Truth

F64, F32 = DTYPES["float64"], DTYPES["float32"]


def truth_of(text: str, **shapes: tuple[int, ...]) -> Truth:
    inputs = shapes or {"x": ()}
    return Truth(unroll(parse(text), inputs=inputs, names={}, lets={}, conditions=()))


def test_derivatives_are_flat_with_the_output_first():
    truth = truth_of("[x*y, x + y**2, 3]", x=(), y=())
    assert [float(e.ball) for e in truth.enclosures(0, (2.0, 5.0))] == [10, 27, 3]
    assert [float(e.ball) for e in truth.enclosures(1, (2.0, 5.0))] == [5, 2, 1, 10, 0, 0]
    hessians = [0, 1, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0]
    assert [float(e.ball) for e in truth.enclosures(2, (2.0, 5.0))] == hessians


def test_an_input_of_several_entries_is_flattened_in_its_place():
    truth = truth_of("a*sum(v*[1, 10]) + b", a=(), v=(2,), b=())
    assert [float(e.ball) for e in truth.enclosures(1, (2.0, 3.0, 4.0, 5.0))] == [43, 2, 20, 1]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("text", "x"),
    [("log(x)", -1.0), ("sqrt(x)", -1.0), ("acosh(x)", 0.5), ("lgamma(x)", -1.0),
     ("x*log(x)/log(x)", -2.0), ("atan(x*x) + atanh(-1)", 0.5)],  # to sympy an infinite constant
)  # fmt: skip
def test_where_there_is_no_value_there_is_no_derivative(text, x, order):
    truth = truth_of(text)
    assert truth.enclosures(0, (x,))[0].status == "undefined"
    assert truth.enclosures(order, (x,))[0].status == "undefined"


@pytest.mark.parametrize("text", ["x**3 + 0**x", "x**3 + (x - x)**x"])
def test_a_derivative_that_sympy_cannot_state_is_not_derived_again(text):
    """Its derivative of 0**x is nan, of which it says that the derivative is 0."""
    (found,) = truth_of(text).enclosures(2, (0.5,))
    assert not found.proves or found.ball == 3  # 6 x


def test_a_power_of_zero_has_derivatives_in_its_exponent_and_base():
    """0**y is 0 for all y > 0, and x**y is x**3 at y = 3, so the mixed derivative there is 0."""
    assert [each.ball for each in truth_of("0**x").enclosures(2, (2.0,))] == [0]
    found = truth_of("x**y", x=(), y=()).enclosures(2, (0.0, 3.0))
    assert [(each.status, float(each.ball)) for each in found] == [("settled", 0.0)] * 4


def test_an_output_without_a_value_takes_only_its_own_derivatives_with_it():
    found = truth_of("[log(x), x]").enclosures(1, (-1.0,))
    assert [each.status for each in found] == ["undefined", "settled"]


def test_points_are_remembered():
    truth = truth_of("sin(x)")
    assert truth.enclosures(1, (1.0,)) is truth.enclosures(1, (1.0,))


# what rounding can do


@pytest.mark.parametrize(
    ("text", "point", "order", "index", "known"),
    [
        ("x**3", (2.0,), 1, 0, 12 + 2 * 12),  # |3x²| + |x 6x|
        ("x**3", (-2.0,), 1, 0, 12 + 2 * 12),
        ("x**3", (2.0,), 0, 0, 8 + 2 * 12),  # |x³| + |x 3x²|
        ("x**3", (2.0,), 2, 0, 12 + 2 * 6),  # |6x| + |x 6|
        ("x**2*y", (3.0, 5.0), 1, 0, 30 + 3 * 10 + 5 * 6),  # |2xy| + |x 2y| + |y 2x|
        ("x**2*y", (3.0, 5.0), 1, 1, 9 + 3 * 6),
        ("x - y", (1e10, 1e10), 0, 0, 2e10),  # cancellation: S is large where the value is 0
        ("exp(x)", (0.0,), 1, 0, 1),
        ("log(x)", (4.0,), 1, 0, 0.25 + 4 / 16),
    ],
)
def test_conditioning_is_the_size_and_what_the_inputs_rounding_moves(
    text, point, order, index, known
):
    shapes = dict.fromkeys("xy"[: len(point)], ())
    stress = truth_of(text, **shapes).stress(order, index, point, F64)
    assert stress.conditioning == pytest.approx(known, rel=1e-15)


def test_rounding_is_the_radius_in_the_precision_of_the_dtype():
    truth = truth_of("exp(x)*sin(x)")
    fine, coarse = truth.stress(1, 0, (1.0,), F64), truth.stress(1, 0, (1.0,), F32)
    assert 0 < fine.rounding < 40 * F64.unit_roundoff
    assert 2.0**26 < coarse.rounding / fine.rounding < 2.0**32
    assert truth.radii(1, (1.0,), F64) == [fine.rounding]


def test_rounding_sees_what_cancels_and_conditioning_does_not():
    stress = truth_of("(x + 1e8) - 1e8").stress(0, 0, (1.0,), F32)
    assert stress.conditioning == pytest.approx(2, abs=1e-6)  # |value| + |x slope|
    assert stress.rounding > 1
    assert stress.scale >= 1e8


def test_exact_operations_have_no_rounding():
    stress = truth_of("2*x + 1").stress(1, 0, (3.0,), F64)
    assert (stress.rounding, stress.conditioning, stress.scale) == (0, 2, 0)


def test_the_scale_of_a_derivative_that_vanishes_is_that_of_its_order():
    truth = truth_of("1e30*x + y*z", x=(), y=(), z=())
    at = (1.0, 2.0, 3.0)
    assert [truth.stress(1, k, at, F64).scale for k in range(3)] == [0, 0, 0]
    assert truth.stress(2, 0, at, F64).scale == 1  # ∂²/∂x², where ∂²/∂y∂z is 1
    assert truth.stress(2, 5, at, F64).scale == 0  # ∂²/∂y∂z itself


def test_the_scale_is_the_largest_intermediate_of_the_derivative_as_pytorch_computes_it():
    # the chain rule of tanh as 1 - y²: the intermediates are y, y² and 1 - y²
    assert truth_of("tanh(x)").stress(1, 0, (20.0,), F64).scale == pytest.approx(1)
    assert truth_of("1e30*x - 1e30*x").stress(1, 0, (1.0,), F64).scale == pytest.approx(1e30)
    assert truth_of("exp(x)/exp(x)").largest(0, (100.0,)) == pytest.approx(math.exp(100))


@pytest.mark.parametrize(("x", "underflows"), [(-750.0, True), (1.0, False), (-90.0, False)])
def test_an_intermediate_below_the_normal_numbers_is_reported(x, underflows):
    assert truth_of("exp(x)*2").stress(1, 0, (x,), F64).underflows is underflows


def test_the_same_number_underflows_sooner_in_float32():
    assert truth_of("exp(x)*2").stress(1, 0, (-90.0,), F32).underflows is True


def test_conditioning_of_what_is_infinite_in_float_stays_a_number():
    assert truth_of("exp(x)").stress(1, 0, (1e4,), F64).conditioning == math.inf
    assert truth_of("log(x)").stress(1, 0, (0.0,), F64).conditioning == 0


# who testifies


def test_where_sympy_testifies_too_there_is_nothing_to_note():
    assert truth_of("sin(x)").note(1) == truth_of("sin(x)").note(2) == ""


def test_where_sympy_would_take_too_long_the_note_says_so():
    truth = truth_of("sum(v**2)", v=(64,))
    assert truth.note(1) == ""
    assert truth.note(2) == "2048 derivatives of 191 operations are too many for sympy"
    assert MOST_SYMBOLIC_ENTRIES < 64**2 / 2
    assert truth.enclosures(2, (1.5,) * 64)[0].ball == 2


def test_where_sympy_has_no_form_in_our_operators_the_note_names_it():
    truth = truth_of("zeta(2, x)")
    assert truth.note(1) == ""
    assert truth_of("zeta(x, 2)").note(1).endswith("has no form in our operators")


def test_the_chain_rule_alone_is_enough():
    truth = truth_of("sum([sin(i*x) for i in range(400)])")
    assert truth.note(1).endswith("are too many for sympy")
    assert truth.enclosures(1, (0.0,))[0].ball == 399 * 400 // 2


def test_a_box_is_enclosed_as_a_whole():
    with working(64, exact=False):
        (found,) = truth_of("x**2").over(1, [arb(3, 1)])
    assert found.contains(4)
    assert found.contains(8)
    assert not found.contains(3.9)
