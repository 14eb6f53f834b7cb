"""The chain rule and sympy derive the same, on functions that nobody wrote."""

from dataclasses import replace

import mpmath
import pytest
from hypothesis import HealthCheck, assume, event, given, reject, settings
from operator_columns import agree
from random_formulas import (
    FORMULAS,
    POINTS,
    REGULAR_POINTS,
    SMOOTH_FORMULAS,
    by_mpmath,
    program_of,
)

from gradcheck.graph import derivatives
from gradcheck.graph.scalarize import unroll
from gradcheck.graph.tape import Program
from gradcheck.language.parse import parse
from gradcheck.ops.table import OPERATORS
from gradcheck.reference import forward_mode, symbolic, sympy_reader
from gradcheck.reference.evaluate import Routine, enclose
from gradcheck.reference.truth import DerivationsDiffer, Truth

PATIENT = settings(suppress_health_check=list(HealthCheck))


def by_chain_rule(program: Program, order: int) -> list[int]:
    nodes = list(program.outputs)
    for _ in range(order):
        nodes = [n for row in forward_mode.jacobian(program.tape, nodes, program.size) for n in row]
    return nodes


def by_sympy(program: Program, order: int) -> list[int]:
    return symbolic.derivatives(program.tape, program.outputs, program.size, order)


def both(program: Program, order: int, point: tuple[float, ...]) -> list[tuple]:
    """Each derivative's enclosure by the chain rule, and by sympy."""
    try:
        nodes = by_sympy(program, order)
    except symbolic.Untranslatable:  # sympy's own nan, as of 1/atan2(0, ...)
        reject()
    ours = enclose(Routine(program.tape, by_chain_rule(program, order)), point, exact=False)
    theirs = enclose(Routine(program.tape, nodes), point, exact=False)
    return list(zip(ours, theirs, strict=True))


@settings(PATIENT, max_examples=60)
@given(SMOOTH_FORMULAS, REGULAR_POINTS)
@pytest.mark.parametrize("order", [1, 2])
def test_on_a_smooth_formula_both_derivations_settle_and_overlap(order, tree, point):
    program = program_of(tree)
    pairs = both(program, order, point)
    event(f"{len(program.tape.operations) // 10 * 10} operations")
    assert len(pairs) == 3**order
    assert {each.status for pair in pairs for each in pair} == {"settled"}
    assert all(a.ball.overlaps(b.ball) for a, b in pairs)


@pytest.mark.parametrize("derive_by", [by_chain_rule, by_sympy], ids=["chain rule", "sympy"])
@pytest.mark.parametrize(
    ("order", "known"),
    [
        (1, [108, 108]),  # of x² y³ at (2, 3)
        (2, [54, 108, 108, 72]),
        (3, [0, 54, 54, 72, 54, 72, 72, 24]),  # xxx, xxy, xyx, xyy, ...
        (4, [0, 0, 0, 36, 0, 36, 36, 24, 0, 36, 36, 24, 36, 24, 24, 0]),
    ],
)
def test_either_derivation_gives_the_derivatives_of_the_order_asked_for(derive_by, order, known):
    program = unroll(parse("x**2*y**3"), inputs={"x": (), "y": ()},
                     names={}, lets={}, conditions=())  # fmt: skip
    found = enclose(Routine(program.tape, derive_by(program, order)), (2.0, 3.0), exact=False)
    assert [float(each.ball) for each in found] == known


@settings(PATIENT, max_examples=60)
@given(FORMULAS, POINTS)
def test_on_any_formula_what_both_derivations_settle_overlaps(tree, point):
    Truth(program_of(tree)).enclosures(1, point)  # raises DerivationsDiffer


@settings(PATIENT, max_examples=25)
@given(SMOOTH_FORMULAS, REGULAR_POINTS)
def test_the_gradient_is_the_numerical_one_of_mpmath(tree, point):
    program = program_of(tree)
    slopes = enclose(Routine(program.tape, by_chain_rule(program, 1)), point, exact=False)
    with mpmath.workdps(150):
        step = mpmath.mpf(10) ** -45
        for k, found in enumerate(slopes):
            left, right = [
                by_mpmath(program, (*point[:k], point[k] + sign * step, *point[k + 1 :]), 150)
                for sign in (-1, 1)
            ]
            assume(abs(right) < 10**15)
            expected = (right - left) / (2 * step)
            assert agree(found.ball, expected, mpmath.mpf("1e-40")) or abs(expected) < 1e-30


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


def truth_of(text: str) -> Truth:
    shapes: dict[str, tuple[int, ...]] = {"x": (), "y": ()}
    return Truth(unroll(parse(text), inputs=shapes, names={}, lets={}, conditions=()))


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
        truth_of(text).enclosures(order, (0.75, 0.5))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("name", "wrong", "text"), WRONG)
def test_the_right_one_is_not(name, wrong, text, order):
    assert {e.status for e in truth_of(text).enclosures(order, (0.75, 0.5))} == {"settled"}


def test_a_wrong_derivative_of_sympy_is_noticed(monkeypatch):
    cube_root = sympy_reader.cube_root
    monkeypatch.setattr(cube_root, "fdiff", lambda self, _=1: cube_root(self.args[0]))
    with pytest.raises(DerivationsDiffer) as caught:
        truth_of("cbrt(x)*y").enclosures(1, (8.0, 0.5))
    assert str(caught.value) == (
        "at [8.0, 0.5] the chain rule gives [0.041666666666666666667 +/- 3.34e-22], "
        "sympy [1.0000000000000000000 +/- 3e-25]"
    )


# what sympy cannot state


def test_a_derivative_that_no_table_states_is_refused_by_name():
    with pytest.raises(derivatives.NoDerivative, match="zeta in argument 1"):
        truth_of("zeta(2 + x*x)").enclosures(1, (0.5, 0.5))


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
    found = truth_of(text).enclosures(1, (3.0, 4.0))
    assert [float(each.ball) for each in found] == pytest.approx(gradient, rel=1e-15)


def test_a_hessian_is_what_was_computed_by_hand():
    found = truth_of("x**3*y + y**2").enclosures(2, (2.0, 5.0))
    assert [float(each.ball) for each in found] == [60, 12, 12, 2]


@pytest.mark.parametrize("text", ["x*1.5**10000000.5", "x*sqrt(2)**10000000"])
def test_a_constant_that_sympy_would_write_out_for_hours_is_left_to_the_chain_rule(text):
    truth = truth_of(text)
    assert truth.note(1) == "a constant to so large a power has no form in our operators"
    assert truth.enclosures(1, (1.0, 1.0))[0].status == "settled"
