"""The chain rule and sympy derive the same, on functions that nobody wrote."""

from dataclasses import replace

import mpmath
import numpy as np
import pytest
from asked import enclosures, entries, every, function_of, reference_of
from hypothesis import HealthCheck, assume, event, given, reject, settings
from operator_columns import agree
from random_formulas import (
    FORMULAS,
    POINTS,
    REGULAR_POINTS,
    SMOOTH_FORMULAS,
    by_mpmath,
    formula_of,
)

from gradcheck.graph import derivatives
from gradcheck.ops.table import OPERATORS
from gradcheck.reference import symbolic, sympy_reader
from gradcheck.reference.ball_arrays import is_settled, overlaps
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction
from gradcheck.reference.enclosures import DerivationsDiffer, enclose
from gradcheck.reference.reference import Reference

PATIENT = settings(suppress_health_check=list(HealthCheck))
BITS = 512


def by_chain_rule(function: GraphFunction, order: int, point: tuple[float, ...]):
    """All derivatives, flat, by the chain rule alone."""
    graphs = DerivativeGraphs(function)
    return enclose(graphs, every(order), np.array([point]), alone=False).balls.reshape(-1)


def by_sympy(function: GraphFunction, order: int, point: tuple[float, ...]):
    """All derivatives, flat, by sympy alone."""
    try:
        derivative = symbolic.derivatives(function, order)
    except symbolic.Untranslatable:  # sympy's own nan, as of 1/atan2(0, ...)
        reject()
    return derivative.enclose(np.array([point]), BITS).reshape(-1)


@settings(PATIENT, max_examples=60)
@given(SMOOTH_FORMULAS, REGULAR_POINTS)
@pytest.mark.parametrize("order", [1, 2])
def test_on_a_smooth_formula_both_derivations_settle_and_overlap(order, tree, point):
    function = GraphFunction.of(formula_of(tree))
    both = by_chain_rule(function, order, point), by_sympy(function, order, point)
    event(f"{len(function.graph.nodes) // 10 * 10} operations")
    assert both[0].shape == both[1].shape == (3**order,)
    assert is_settled(np.array(both)).all()
    assert overlaps(*both).all()


@pytest.mark.parametrize("derive_by", [by_chain_rule, by_sympy], ids=["chain rule", "sympy"])
@pytest.mark.parametrize(
    ("order", "known"),
    [
        (1, [108, 108]),  # of x² y³ at (2, 3)
        (2, [54, 108, 108, 72]),
        (3, [0, 54, 54, 72, 54, 72, 72, 24]),  # xxx, xxy, xyx, xyy, ...
    ],
)
def test_either_derivation_gives_the_derivatives_of_the_order_asked_for(derive_by, order, known):
    function = function_of("x**2*y**3", x=(), y=())
    assert [float(ball) for ball in derive_by(function, order, (2.0, 3.0))] == known


@settings(PATIENT, max_examples=60)
@given(FORMULAS, POINTS)
def test_on_any_formula_what_both_derivations_settle_overlaps(tree, point):
    enclosures(Reference(formula_of(tree)), 1, point)  # raises DerivationsDiffer


@pytest.mark.parametrize(
    ("comparison", "slopes"),
    [
        *((f"x {sign} x", [1, 0]) for sign in ("==", "<=", ">=")),
        *((f"x {sign} x", [0, 1]) for sign in ("!=", "<", ">")),
        ("y < x + 3", [1, 0]),
    ],
)
def test_a_number_equals_itself_on_either_side_of_any_point(comparison, slopes):
    found = derivatives_of(f"where({comparison}, x, y)", 1, (0.0, 0.0))
    assert [(each.status, float(each.ball)) for each in found] == [
        ("settled", slope) for slope in slopes
    ]


@settings(PATIENT, max_examples=25)
@given(SMOOTH_FORMULAS, REGULAR_POINTS)
def test_the_gradient_is_the_numerical_one_of_mpmath(tree, point):
    formula = formula_of(tree)
    slopes = by_chain_rule(GraphFunction.of(formula), 1, point)
    with mpmath.workdps(150):
        step = mpmath.mpf(10) ** -45
        for k, found in enumerate(slopes):
            left, right = [
                by_mpmath(formula, (*point[:k], point[k] + sign * step, *point[k + 1 :]), 150)
                for sign in (-1, 1)
            ]
            assume(abs(right) < 10**15)
            expected = (right - left) / (2 * step)
            assert agree(found, expected, mpmath.mpf("1e-40")) or abs(expected) < 1e-30


@pytest.mark.parametrize("power", ["cbrt(2)", "cbrt(1 + 0*x)", "10000000.5", "sqrt(2)"])
def test_a_constant_to_a_constant_power_is_differentiated_whether_or_not_sympy_can(power):
    assert {e.status for e in derivatives_of(f"x*3**({power})/7**({power})", 1, (0.5, 0.0))} == {
        "settled"
    }


# a wrong derivative


@pytest.fixture
def plant(monkeypatch):
    """Puts wrong local derivatives into the table, for one test."""

    def planted(name: str, **columns: object) -> None:
        monkeypatch.setitem(OPERATORS, name, replace(OPERATORS[name], **columns))
        derivatives.local_derivative.cache_clear()

    yield planted
    monkeypatch.undo()
    derivatives.local_derivative.cache_clear()


def derivatives_of(text: str, order: int, point: tuple[float, float]):
    return enclosures(reference_of(text, x=(), y=()), order, point)


WRONG = [
    ("sin", "-cos(x)", "sin(x)*y"),
    ("exp", "(1 + 1e-15)*y", "exp(x*y)"),  # no float64 could tell
    ("tanh", "1 + y**2", "tanh(x + y)"),
    ("log", "1/(x + 1e-18)", "log(x)"),
    ("ipow", "n*x**n", "(x + y)**3"),
    ("erf", "sqrt(pi)/2*exp(-x**2)", "erf(y)"),
    ("besselj", "besselj(n - 1, x)", "besselj(2, x)"),
]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("name", "wrong", "text"), WRONG)
def test_a_wrong_derivative_in_the_table_is_noticed(plant, name, wrong, text, order):
    plant(name, derivatives=(wrong,))
    with pytest.raises(DerivationsDiffer):
        derivatives_of(text, order, (0.75, 0.5))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("name", "wrong", "text"), WRONG)
def test_the_right_one_is_not(name, wrong, text, order):
    assert {e.status for e in derivatives_of(text, order, (0.75, 0.5))} == {"settled"}


def test_a_wrong_derivative_of_sympy_is_noticed(monkeypatch):
    cube_root = sympy_reader.cube_root
    monkeypatch.setattr(cube_root, "fdiff", lambda self, _=1: cube_root(self.args[0]))
    with pytest.raises(DerivationsDiffer) as caught:
        derivatives_of("cbrt(x)*y", 1, (8.0, 0.5))
    assert str(caught.value) == (
        "at [8.0, 0.5] the chain rule gives [0.041666666666666666667 +/- 3.34e-22], "
        "sympy [1.0000000000000000000 +/- 3e-25]"
    )


# what sympy cannot state


def test_a_derivative_that_no_table_states_leaves_all_undefined_and_is_named():
    reference = reference_of("zeta(2 + x*x)")
    found = reference.enclose(every(1), np.array([[0.5]]))
    assert {each.status for each in entries(found)} == {"undefined"}
    assert found.reason == "no closed form of the derivative of zeta in argument 1"
    assert enclosures(reference, 0, (0.5,))[0].status == "settled"


@pytest.mark.parametrize(
    ("text", "gradient"),
    [
        ("3*x**2 + y", (18, 1)),
        ("x**3*y + 4*x*y", (31 * 4, 39)),
        ("x/y", (0.25, -3 / 16)),
        ("sum([i*x for i in range(5)]) + y*0", (10, 0)),
        ("det([[x, y], [y, x]])", (6, -8)),
        ("where(x < y, x*y, x + y)", (4, 3)),
        ("max(x, y)*x", (4, 3)),
        ("abs(x - y)", (-1, 1)),
        ("sqrt(x*x + y*y)", (0.6, 0.8)),
    ],
)
def test_a_gradient_is_what_was_computed_by_hand(text, gradient):
    found = derivatives_of(text, 1, (3.0, 4.0))
    assert [float(each.ball) for each in found] == pytest.approx(gradient, rel=1e-15)


def test_a_hessian_is_what_was_computed_by_hand():
    found = derivatives_of("x**3*y + y**2", 2, (2.0, 5.0))
    assert [float(each.ball) for each in found] == [60, 12, 12, 2]


@pytest.mark.parametrize("text", ["x*1.5**10000000.5", "x*sqrt(2)**10000000"])
def test_a_constant_that_sympy_would_write_out_for_hours_is_left_to_the_chain_rule(text):
    reference = reference_of(text)
    assert reference.note(1) == "a constant to so large a power has no form in our operators"
    assert enclosures(reference, 1, (1.0,))[0].status == "settled"
