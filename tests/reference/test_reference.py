"""What is certified of a formula, what rounding may do to it, and who testifies."""

import itertools
import math
import re

import numpy as np
import pytest
from asked import enclosures, every, formula, reference_of
from flint import acb, arb

from gradcheck.dtypes import DTYPES
from gradcheck.graph.lower import in_real_coordinates
from gradcheck.query import Port, Query
from gradcheck.reference.enclosures import Status
from gradcheck.reference.reference import MOST_SYMBOLIC_ENTRIES, Reference

F64, F32 = DTYPES["float64"], DTYPES["float32"]


def numbers(reference, order, point):
    return [float(each.ball) for each in enclosures(reference, order, point)]


def test_derivatives_come_with_the_output_first():
    reference = reference_of("[x*y, x + y**2, 3]", x=(), y=())
    assert numbers(reference, 0, (2.0, 5.0)) == [10, 27, 3]
    assert numbers(reference, 1, (2.0, 5.0)) == [5, 2, 1, 10, 0, 0]
    assert numbers(reference, 2, (2.0, 5.0)) == [0, 1, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0]


def test_an_input_of_several_entries_is_flattened_in_its_place():
    reference = reference_of("a*sum(v*[1, 10]) + b", a=(), v=(2,), b=())
    assert numbers(reference, 1, (2.0, 3.0, 4.0, 5.0)) == [43, 2, 20, 1]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("text", "x"),
    [("log(x)", -1.0), ("sqrt(x)", -1.0), ("acosh(x)", 0.5), ("lgamma(x)", -1.0),
     ("x*log(x)/log(x)", -2.0), ("atan(x*x) + atanh(-1)", 0.5)],  # to sympy an infinite constant
)  # fmt: skip
def test_where_there_is_no_value_there_is_no_derivative(text, x, order):
    reference = reference_of(text)
    assert not enclosures(reference, 0, (x,))[0].proves
    assert not enclosures(reference, order, (x,))[0].proves


def test_a_single_number_that_the_chain_rule_leaves_open_is_asked_of_sympy():
    """The largest magnitude at 0, along a direction: a kink at which nothing is decided."""
    query = Query(1, np.array([[1.125]]), (np.ones((1, 3)),))
    found = reference_of("amax(abs(x))", x=(3,)).enclose(query, np.zeros((1, 3)))
    assert found.status.shape == (1,)


@pytest.mark.parametrize("text", ["x**3 + 0**x", "x**3 + (x - x)**x"])
def test_a_derivative_that_sympy_cannot_state_is_not_derived_again(text):
    """Its derivative of 0**x is nan, of which it says that the derivative is 0."""
    (found,) = enclosures(reference_of(text), 2, (0.5,))
    assert not found.proves or found.ball == 3  # 6 x


def test_a_power_of_zero_has_derivatives_in_its_exponent_and_base():
    """0**y is 0 for all y > 0, and x**y is x**3 at y = 3, so the mixed derivative there is 0."""
    assert [each.ball for each in enclosures(reference_of("0**x"), 2, (2.0,))] == [0]
    found = enclosures(reference_of("x**y", x=(), y=()), 2, (0.0, 3.0))
    assert [(each.status, float(each.ball)) for each in found] == [("settled", 0.0)] * 4


def test_an_output_without_a_value_takes_only_its_own_derivatives_with_it():
    found = enclosures(reference_of("[log(x), x]"), 1, (-1.0,))
    assert [each.proves for each in found] == [False, True]


# the answer to a question


SIDES = list(itertools.product([True, False], repeat=2))


@pytest.mark.parametrize(("cotangent", "tangent"), SIDES)
def test_a_contracted_answer_is_the_contraction_of_all_derivatives(cotangent, tangent):
    reference = reference_of("[sin(x*y), exp(x) + y**2, x]", x=(), y=())
    points = np.array([[0.5, 0.25], [1.5, -2.0]])
    c = np.array([[1.0, 2.0, -1.0]]) if cotangent else None
    t = np.array([[0.5, 3.0]]) if tangent else None
    found = reference.enclose(Query(2, c, (t, None)), points)
    whole = reference.enclose(every(2), points).balls.astype(float)
    expected = whole if t is None else np.einsum("pmij,i->pmj", whole, t[0])
    expected = expected if c is None else np.einsum("pm...,m->p...", expected, c[0])
    assert found.balls.shape == expected.shape
    assert np.allclose(found.balls.astype(float), expected, rtol=1e-14)


def test_an_answer_does_not_hang_on_what_was_asked_before():
    text, point = "where(x > y, x*y, max(x, y)*tanh(x))", (1.0, 1.0)
    asked_late = reference_of(text, x=(), y=())
    for order, dtype in itertools.product((2, 1, 0), (F32, F64)):
        asked_late.enclose(every(order), np.array([[0.5, 0.75]]))
        asked_late.error_bounds(every(order), np.array([[0.5, 0.75]]), dtype)
        asked_late.leaves_range(every(order), np.array([[0.5, 0.75]]), dtype)
    for order in (1, 2):
        first = reference_of(text, x=(), y=()).enclose(every(order), np.array([point]))
        late = asked_late.enclose(every(order), np.array([point]))
        assert (first.status == late.status).all()
        assert first.route == late.route
        assert [b.str(30) for b in first.balls.flat] == [b.str(30) for b in late.balls.flat]


# what rounding can do


def bounds(reference, order, point, dtype=F64):
    return reference.error_bounds(every(order), np.array([point]), dtype)


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
    reference = reference_of(text, **dict.fromkeys("xy"[: len(point)], ()))
    found = bounds(reference, order, point).conditioning.reshape(-1)[index]
    assert found == pytest.approx(known, rel=1e-14)


@pytest.mark.parametrize("order", [1, 2])
def test_bounds_stand_at_the_place_of_their_entries(order):
    """Of three outputs of two inputs, forward rows give the outputs last."""
    reference = reference_of("[100*x, 10*y, x*y]", x=(), y=())
    found = bounds(reference, order, (1.0, 1.0)).conditioning[0]
    answer = reference.enclose(every(order), np.ones((1, 2))).balls[0].astype(float)
    assert ((found > 0) == (answer != 0)).all()
    assert (found >= np.abs(answer)).all()


def test_rounding_is_the_radius_in_the_precision_of_the_dtype():
    reference = reference_of("exp(x)*sin(x)")
    fine, coarse = (bounds(reference, 1, (1.0,), dtype).rounding.item() for dtype in (F64, F32))
    assert 0 < fine < 40 * F64.unit_roundoff
    assert 2.0**26 < coarse / fine < 2.0**32


def test_rounding_sees_what_cancels_and_conditioning_does_not():
    found = bounds(reference_of("(x + 1e8) - 1e8"), 0, (1.0,), F32)
    assert found.conditioning.item() == pytest.approx(2, abs=1e-6)  # |value| + |x slope|
    assert found.rounding.item() > 1
    assert found.scale.item() >= 1e8


def test_exact_operations_have_no_rounding_beyond_that_of_the_result():
    found = bounds(reference_of("2*x + 1"), 1, (3.0,))
    assert found.rounding.item() <= 2 * F64.unit_roundoff
    assert found.conditioning.item() == pytest.approx(2, rel=1e-15)


def test_the_scale_is_the_largest_intermediate_of_the_derivative_as_pytorch_computes_it():
    # the chain rule of tanh as 1 - y²: the intermediates are y, y² and 1 - y²
    assert bounds(reference_of("tanh(x)"), 1, (20.0,)).scale.item() == pytest.approx(1)
    scale = bounds(reference_of("1e30*x - 1e30*x"), 0, (1.0,)).scale.item()
    assert scale == pytest.approx(1e30)
    scale = bounds(reference_of("exp(x)/exp(x)"), 0, (100.0,)).scale.item()
    assert scale == pytest.approx(math.exp(100))


@pytest.mark.parametrize(
    ("x", "dtype", "underflows"),
    [(-750.0, F64, True), (1.0, F64, False), (-90.0, F64, False), (-90.0, F32, True)],
)
def test_an_intermediate_below_the_normal_numbers_is_reported(x, dtype, underflows):
    assert bounds(reference_of("exp(x)*2"), 1, (x,), dtype).underflows.item() is underflows


def test_where_no_derivative_is_stated_nothing_is_said_of_rounding_and_range():
    reference = reference_of("zeta(x, 2)")
    assert bounds(reference, 1, (1.5,)).rounding.tolist() == [[[0.0]]]
    assert reference.leaves_range(every(1), np.array([[1.5]]), F64).tolist() == [[[False]]]
    assert bounds(reference, 0, (1.5,)).rounding.item() > 0


# who testifies


def test_where_sympy_testifies_too_there_is_nothing_to_note():
    assert reference_of("sin(x)").note(1) == reference_of("sin(x)").note(2) == ""


@pytest.mark.parametrize(
    ("text", "shapes", "query", "route"),
    [
        ("sin(x)", {"x": ()}, Query(0), "value"),
        ("sin(x)", {"x": ()}, Query(1, np.ones((1, 1)), (None,)), "symbolic+reverse"),
        ("sin(x)", {"x": ()}, Query(1, np.ones((1, 1)), (np.ones((1, 1)),)), "symbolic+forward"),
        ("v", {"v": (50,)}, Query(1, np.ones((1, 50)), (None,)), "reverse+forward"),
        ("v", {"v": (50,)}, Query(1, None, (np.ones((1, 50)),)), "forward+reverse"),
        ("max(x, -x)", {"x": ()}, Query(1, None, (None,)), "symbolic+reverse, branches"),
        ("sin(x)/x", {"x": ()}, Query(1, None, (None,)), "symbolic+reverse, limits"),
    ],
)
def test_the_route_names_the_derivations_and_how_kinks_and_holes_were_answered(
    text, shapes, query, route
):
    reference = reference_of(text, **shapes)
    point = np.zeros((1, reference.size))
    assert reference.enclose(query, point).route == route


def test_where_sympy_would_take_too_long_the_note_says_so():
    reference = reference_of("sum(v**2)", v=(64,))
    assert reference.note(1) == ""
    assert reference.note(2) == "2048 derivatives of 128 operations are too many for sympy"
    assert MOST_SYMBOLIC_ENTRIES < 64**2 / 2
    assert enclosures(reference, 2, (1.5,) * 64)[0].ball == 2


def test_where_few_operations_are_many_written_out_the_note_says_so():
    text = "x"
    for _ in range(6):
        text = f"tanh({text} @ {text})"
    reference = reference_of(text, x=(2, 2))
    assert re.fullmatch(
        r"16 derivatives of [\d,]+ operations, written out, are too many for sympy",
        reference.note(1),
    )
    assert enclosures(reference, 1, (0.5,) * 4)[0].status == "settled"


def test_where_sympy_has_no_form_in_our_operators_the_note_names_it():
    assert reference_of("zeta(2, x)").note(1) == ""
    assert reference_of("zeta(x, 2)").note(1).endswith("has no form in our operators")


def test_the_chain_rule_alone_is_enough():
    reference = reference_of("sum([sin(i*x) for i in range(600)])")
    assert reference.note(1).endswith("are too many for sympy")
    assert enclosures(reference, 1, (0.0,))[0].ball == 599 * 600 // 2


def test_what_is_held_fast_has_no_derivative_to_sympy_either():
    reference = reference_of("x*stop(x**2)")
    assert reference.note(1) == ""
    assert numbers(reference, 1, (3.0,)) == [9]


def test_what_is_held_fast_stays_so_beside_a_singularity():
    # At -1 the branch that is not taken is infinite, and the value alone goes on along lines.
    reference = reference_of("where(x < 0, x**2, log(x + 1)) + stop(x)")
    assert numbers(reference, 1, (-1.0,)) == [-2]


def test_a_limit_is_found_where_nothing_is_held_fast():
    reference = reference_of("sin(x)/x + x")
    assert numbers(reference, 1, (0.0,)) == [1]


def test_an_inverse_is_derived_by_sympy_too():
    reference = reference_of("inv(A)", A=(2, 2))
    found = reference.enclose(every(1), np.array([[2.0, 1.0, 0.0, 1.0]]))
    assert found.route == "symbolic+reverse"
    assert (found.status == Status.SETTLED).all()


def test_a_box_is_enclosed_as_a_whole():
    box = np.array([[arb(3, 1)]], dtype=object)
    found, touched = reference_of("x**2").over(1, box)
    assert found.shape == (1, 1, 1)
    assert found[0, 0, 0].contains(4)
    assert found[0, 0, 0].contains(8)
    assert not found[0, 0, 0].contains(3.9)
    assert touched.tolist() == [False]


def test_a_box_over_a_kink_is_told_from_one_beside_it():
    box = np.array([[arb(0, 1)], [arb(3, 1)]], dtype=object)
    found, touched = reference_of("abs(x)").over(1, box)
    assert touched.tolist() == [True, False]
    assert found[0, 0, 0].contains(-1)
    assert found[1, 0, 0] == 1


def test_a_box_knows_all_derivatives_of_an_order():
    reference = reference_of("[x*y, x*x*y]", x=(), y=())
    found, _ = reference.over(2, np.array([[arb(2), arb(5)]], dtype=object))
    assert found.astype(float).tolist() == [[[[0, 1], [1, 0]], [[10, 4], [4, 0]]]]


@pytest.mark.parametrize(
    ("text", "jacobian"),
    [
        ("z**2", [[6, -8], [8, 6]]),  # 2z, by the equations of Cauchy and Riemann
        ("conj(z)", [[1, 0], [0, -1]]),
        ("re(z)*im(z)", [[4, 3]]),
        ("im(z) + I*re(z)", [[0, 1], [1, 0]]),
    ],
)
def test_a_box_of_complex_numbers_knows_the_derivatives_along_both_parts(text, jacobian):
    reference = Reference(in_real_coordinates(formula(text, z=Port("z", (), "complex"))))
    found, _ = reference.over(1, np.array([[arb(3), arb(4)]], dtype=object))
    assert found[0].astype(float).tolist() == jacobian


def test_all_derivatives_of_complex_numbers_are_asked_for_in_real_coordinates_alone():
    complex_one = Reference(formula("z**2", z=Port("z", (), "complex")))
    told = "all derivatives of complex numbers: ask in real coordinates"
    with pytest.raises(ValueError, match=told):
        complex_one.enclose(every(1), np.array([[1 + 2j]]))
    with pytest.raises(ValueError, match=told):
        complex_one.over(1, np.array([[acb(1, 2)]], dtype=object))
    gradient = Query(1, np.array([[1.0]]), (None,))
    assert complex_one.enclose(gradient, np.array([[1 + 2j]])).balls.astype(complex) == 2 - 4j


@pytest.mark.parametrize("text", ["im(1/z)", "im(z**-2)", "im(inv([[z, 0], [0, 1]])[0, 1])"])
def test_at_a_pole_neither_part_of_a_complex_number_has_a_value(text):
    """FLINT's numbers have an imaginary part of 0 there."""
    reference = Reference(formula(text, z=Port("z", (), "complex")))
    found = reference.enclose(every(0), np.array([[0j]]))
    assert found.status[0, 0] >= Status.UNDEFINED


def test_outputs_that_are_not_judged_are_none():
    lowered = formula("[x, 2*x]")
    assert Reference(lowered).outputs == 2
