"""Removable singularities have the values and derivatives of the function that fills the hole."""

import pytest
from asked import enclosures, reference_of
from flint import arb

from gradcheck.ops.balls import working


def holds(found, known: str) -> bool:
    """Whether the enclosure is settled at a fraction such as -1/3."""
    above, _, below = known.partition("/")
    with working(100, exact=True):
        expected = arb(above) / arb(below or 1)
        return found.status == "settled" and bool(abs(found.ball - expected) < 1e-25)


# Maclaurin: f(0) = a0, f'(0) = a1, f''(0) = 2 a2
REMOVABLE = {
    "sin(x)/x": ("1", "0", "-1/3"),
    "(1 - cos(x))/x**2": ("1/2", "0", "-1/12"),
    "(exp(x) - 1)/x": ("1", "1/2", "1/3"),
    "expm1(x)/x": ("1", "1/2", "1/3"),
    "log(1 + x)/x": ("1", "-1/2", "2/3"),
    "log1p(x)/x": ("1", "-1/2", "2/3"),
    "where(x == 0, 1, sin(x)/x)": ("1", "0", "-1/3"),
    "where(x != 0, sin(x)/x, 1)": ("1", "0", "-1/3"),
    "x/tan(x)": ("1", "0", "-2/3"),
    "x/sin(x)": ("1", "0", "1/3"),
    "x/(exp(x) - 1)": ("1", "-1/2", "1/6"),
    "tanh(x)/x": ("1", "0", "-2/3"),
    "sinh(x)/x": ("1", "0", "1/3"),
    "asin(x)/x": ("1", "0", "1/3"),
    "atan(x)/x": ("1", "0", "-2/3"),
    "(sqrt(1 + x) - 1)/x": ("1/2", "-1/8", "1/8"),
    "(sin(x) - x)/x**3": ("-1/6", "0", "1/60"),
    "sin(x)**2/x": ("0", "1", "0"),
    "x**2/x": ("0", "1", "0"),
    "x/x": ("1", "0", "0"),
    "sin(3*x)/(2*x)": ("3/2", "0", "-9/2"),
    "exp(sin(x)/x - 1)": ("1", "0", "-1/3"),
    "log(1 + x**2)/x**2": ("1", "0", "-1"),
    "1/sin(x) - 1/x": ("0", "1/6", "0"),
}


@pytest.mark.parametrize("text", REMOVABLE)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_removable_singularity_is_filled(text, order):
    (found,) = enclosures(reference_of(text), order, (0.0,))
    assert holds(found, REMOVABLE[text][order])


@pytest.mark.parametrize(
    ("text", "third"),  # 6 a3 of the Maclaurin series
    [
        ("sin(x)/x", "0"),
        ("where(x == 0, 1, sin(x)/x)", "0"),
        ("(exp(x) - 1)/x", "1/4"),
        ("log(1 + x)/x", "-3/2"),
        ("x/(exp(x) - 1)", "0"),
        ("(sqrt(1 + x) - 1)/x", "-15/64"),
        ("x**3/x", "0"),
        ("x**4/x", "6"),
    ],
)
def test_a_removable_singularity_is_filled_in_the_third_order_too(text, third):
    (found,) = enclosures(reference_of(text), 3, (0.0,))
    assert holds(found, third)


POLES = ["gamma(x)", "lgamma(x)", "digamma(x)", "polygamma(1, x)", "polygamma(2, x)"]


@pytest.mark.parametrize("x", [0.0, -1.0, -4.0])
@pytest.mark.parametrize("text", [*POLES, "gamma(x)*(1 + x**2)", "1/polygamma(3, x) + digamma(x)"])
def test_a_pole_of_gamma_and_its_kin_is_no_value(text, x):
    reference = reference_of(text)
    assert [enclosures(reference, order, (x,))[0].status for order in (0, 1)] == ["undefined"] * 2


@pytest.mark.parametrize("text", POLES)
def test_beside_a_pole_they_have_values(text):
    found = [enclosures(reference_of(text), order, (-1 + 2.0**-20,))[0] for order in (0, 1)]
    assert [each.status for each in found] == ["settled", "settled"]


@pytest.mark.parametrize(
    ("text", "x", "order", "known"),
    # the residues of gamma and digamma at -n are (-1)**n/n! and -1: DLMF 5.2(i)
    [
        ("(x + 3)*gamma(x)", -3.0, 0, "-1/6"),
        ("(x + 2)*digamma(x)", -2.0, 0, "-1"),
        ("x**2*polygamma(1, x)", 0.0, 0, "1"),
        ("x**2*polygamma(1, x)", 0.0, 1, "0"),
        ("x**3*polygamma(2, x)", 0.0, 0, "-2"),
        ("1/gamma(x)", -2.0, 0, "0"),
        ("1/gamma(x)", -2.0, 1, "2"),  # the inverse of the residue
        ("digamma(x)/gamma(x)", -3.0, 0, "6"),
        ("gamma(x)*sin(pi*x)/pi", -2.0, 0, "1/2"),  # 1/gamma(3), DLMF 5.5.3
    ],
)
def test_a_pole_that_is_removed_is_filled(text, x, order, known):
    (found,) = enclosures(reference_of(text), order, (x,))
    assert holds(found, known)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "text",
    ["1/x", "1/x**2", "sin(x)/x**2", "abs(x)/x", "sin(x)/abs(x)", "log(x)/x",
     "x/abs(x)", "where(x < 0, 0, sin(x)/x)"],
)  # fmt: skip
def test_what_is_no_removable_singularity_stays_undefined(text, order):
    assert enclosures(reference_of(text), order, (0.0,))[0].status == "undefined"


@pytest.mark.parametrize(
    ("text", "statuses"),
    [
        ("where(x == 0, 5, sin(x)/x)", ["settled", "undefined", "undefined"]),
        ("where(x >= 0, sin(x)/x, 1 + x)", ["settled", "kink", "undefined"]),
        ("where(x == 0, 0, exp(-1/x**2))", ["settled", "vague", "vague"]),
        ("sqrt(x)", ["settled", "undefined", "undefined"]),
        ("0**x", ["settled", "vague", "vague"]),
        ("x**(3/2)", ["settled", "settled", "undefined"]),
        ("abs(x)*(sin(x)/x)", ["settled", "kink", "undefined"]),
    ],
)
def test_a_value_does_not_make_a_derivative(text, statuses):
    reference = reference_of(text)
    assert [enclosures(reference, order, (0.0,))[0].status for order in range(3)] == statuses


@pytest.mark.parametrize(
    ("text", "order", "known"),
    [
        ("((exp(x) - 1)**12/x**11)/x", 0, "1"),
        ("x**13*(x**13)**-1", 0, "1"),
        ("(exp(x) - 1)**12/x**11", 1, "1"),
        ("(exp(x) - 1)**11/x**10", 2, "11"),  # x + 11/2 x² + ...
        ("sin(x)**13/x**11", 2, "2"),
        ("(1 - cos(x))**6/x**10", 2, "1/32"),
    ],
)
def test_beyond_the_last_known_term_nothing_is_claimed(text, order, known):
    (found,) = enclosures(reference_of(text), order, (0.0,))
    assert not found.proves or holds(found, known)


@pytest.mark.parametrize(
    "text",
    [
        "where(erfinv(x) > 0, 1 + (exp(x) - 1 - x)/x, 1)",  # slopes 1/2 and 0
        "where(x**13 > 0, 1 + (exp(x) - 1 - x)/x, 1)",
        "where(x**13 > 0, sin(x)/x, 5)",  # jumps
    ],
)
def test_a_condition_that_series_cannot_decide_gives_no_limit(text):
    assert not enclosures(reference_of(text), 1, (0.0,))[0].proves


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_where_there_is_no_series_nothing_is_proved(order):
    """exp(-1/x²) is smooth at 0, where all its derivatives vanish, and no series says so."""
    assert enclosures(reference_of("exp(-1/x**2)"), order, (0.0,))[0].status == "vague"


def test_a_filled_hole_is_a_factor_like_any_other():
    reference = reference_of("asinh(y)*(sin(x)/x)", x=(), y=())
    found = enclosures(reference, 1, (0.0, 0.0))
    assert [holds(*pair) for pair in zip(found, ["0", "1"], strict=True)] == [True, True]


@pytest.mark.parametrize("x", [5e-324, 1e-300, -1e-10, 1e-3])
def test_beside_the_hole_no_series_is_needed(x):
    reference = reference_of("sin(x)/x")
    assert [enclosures(reference, k, (x,))[0].status for k in range(3)] == ["settled"] * 3
    assert abs(enclosures(reference, 2, (x,))[0].ball + arb(1) / 3) < 1e-5


# several inputs


@pytest.mark.parametrize("point", [(0.0, 1.0, 2.0), (0.0, 0.0, 2.0), (0.0, 0.0, 0.0)])
@pytest.mark.parametrize("text", ["sum(sin(v)/v)", "sum(where(v == 0, 1, sin(v)/v))"])
def test_a_sum_over_a_vector_with_zeros_is_filled(text, point):
    reference = reference_of(text, v=(3,))
    zeros = point.count(0.0)
    assert enclosures(reference, 0, point)[0].status == "settled"
    gradient, hessian = enclosures(reference, 1, point), enclosures(reference, 2, point)
    assert all(holds(each, "0") for each in gradient[:zeros])
    assert {each.status for each in (*gradient, *hessian)} == {"settled"}
    assert all(holds(hessian[4 * k], "-1/3") for k in range(zeros))
    assert holds(hessian[1], "0")


def test_the_derivative_beside_a_filled_hole_is_filled_too():
    reference = reference_of("y*(sin(x)/x) + y**2", x=(), y=())
    assert [
        holds(*pair) for pair in zip(enclosures(reference, 1, (0.0, 3.0)), ["0", "7"], strict=True)
    ]
    found = enclosures(reference, 2, (0.0, 3.0))
    assert all(holds(*pair) for pair in zip(found, ["-1", "0", "0", "2"], strict=True))


def test_the_third_derivatives_beside_a_filled_hole_are_filled_each_with_its_own():
    found = enclosures(reference_of("y*(sin(x)/x) + y**3", x=(), y=()), 3, (0.0, 3.0))
    known = ["0", "-1/3", "-1/3", "0", "-1/3", "0", "0", "6"]  # xxx, xxy, xyx, ..., yyy
    assert [holds(*pair) for pair in zip(found, known, strict=True)] == [True] * 8


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("x*y/(x**2 + y**2)", (0.0, 0.0)),
        ("sin(x*y)/(x*y)", (0.0, 1.0)),  # removable, and beyond what one line can tell
        ("(x**2 - y**2)/(x - y)", (1.0, 1.0)),
        ("x**2*y/(x**4 + y**2)", (0.0, 0.0)),  # has the limit 0 along every line, and none
    ],
)
def test_a_quotient_of_several_inputs_is_never_settled(text, point):
    reference = reference_of(text, x=(), y=())
    statuses = {each.status for order in range(3) for each in enclosures(reference, order, point)}
    assert statuses <= {"undefined", "vague"}


@pytest.mark.parametrize(("order", "status"), [(1, "kink"), (2, "undefined")])
def test_a_norm_at_zero_has_a_value_and_a_kink(order, status):
    reference = reference_of("sqrt(x**2 + y**2)", x=(), y=())
    assert enclosures(reference, 0, (0.0, 0.0))[0].ball == 0
    assert {e.status for e in enclosures(reference, order, (0.0, 0.0))} == {status}


@pytest.mark.parametrize(
    "text",
    [
        "y*(sin(x)/x) + where(x*y > 0, min(abs(x), abs(y))*sign(x), 0)*(sin(x)/x)",
        "abs(y)*(sin(x)/x)",
        "max(x, y)*(sin(x)/x)",
    ],
)
def test_lines_tell_nothing_of_kinks_that_meet_a_filled_hole(text):
    found = enclosures(reference_of(text, x=(), y=()), 1, (0.0, 0.0))[1]
    assert not holds(found, "0")
    assert not holds(found, "1")


def test_an_array_keeps_holes_to_the_entries_that_have_them():
    found = enclosures(reference_of("sin(v)/v", v=(2,)), 1, (0.0, 1.0))
    assert [each.status for each in found] == ["settled"] * 4
    assert abs(found[3].ball - arb("-0.301168678939757")) < 1e-13  # cos 1 - sin 1
