"""Each check of the operator table is shown an entry with one wrong column."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from flint import arb
from operator_columns import (
    check_ball,
    check_cancelling,
    check_derivatives,
    check_domain,
    check_holomorphic,
    check_kinks,
    check_series,
    check_smooth,
    check_sympy,
    check_torch,
)

from gradcheck.graph import derivatives
from gradcheck.ops import balls
from gradcheck.ops.table import OPERATORS, Operator

Plant = Callable[..., Operator]


@pytest.fixture
def plant(monkeypatch) -> Plant:
    """Puts a changed entry into the table, for one test."""

    def planted(name: str, **columns: object) -> Operator:
        culprit = replace(OPERATORS[name], **columns)
        monkeypatch.setitem(OPERATORS, name, culprit)
        derivatives.local_derivative.cache_clear()
        return culprit

    yield planted
    monkeypatch.undo()
    derivatives.local_derivative.cache_clear()


WRONG_BALLS = [
    ("sin", arb.cos),
    ("exp", lambda x: x.exp() * (1 + arb(2) ** -60)),  # an error that no float64 could show
    ("sqrt", lambda x: (x + arb(2) ** -1000).sqrt()),  # wrong at tiny numbers only
    ("erfc", lambda x: 1 - x.erf() + arb(0, 1e-3)),  # right, and too wide
    ("gamma", lambda x: abs(x).gamma()),  # wrong at negative numbers only
    ("sign", lambda x: arb(1) if x >= 0 else arb(-1)),  # wrong at 0 only
    ("round", lambda x: (x + arb(0.5)).floor()),  # wrong at ties only
    ("le", balls.less),  # wrong at equal numbers only
    ("or", balls.both),
    ("min", arb.max),
    ("ipow", lambda n, x: balls.integer_power(abs(x), abs(n))),
    ("zeta", lambda s, q: s.zeta(1)),
]


@pytest.mark.parametrize(("name", "wrong"), WRONG_BALLS)
def test_a_wrong_ball_is_convicted(plant, name, wrong):
    with pytest.raises(AssertionError):
        check_ball(plant(name, ball=wrong))


WRONG_DERIVATIVES = [
    ("sin", ("-cos(x)",)),
    ("tanh", ("(1 + 1e-12)*sech(x)**2",)),
    ("div", ("1/b", "y/b")),
    ("mul", ("a", "b")),
    ("pow", ("b*a**(b - 1)", "a**b")),
    ("atan2", ("b/(a*a + b*b)", "a/(a*a + b*b)")),
    ("floor", ("1",)),
    ("ipow", ("n*x**n",)),
    ("besselj", ("(besselj(n - 1, x) + besselj(n + 1, x))/2",)),
    ("polygamma", ("polygamma(n, x)",)),
]


@pytest.mark.parametrize(("name", "wrong"), WRONG_DERIVATIVES)
def test_a_wrong_derivative_is_convicted(plant, name, wrong):
    culprit = plant(name, derivatives=wrong)
    with pytest.raises(AssertionError):
        check_derivatives(culprit)
    with pytest.raises(AssertionError):
        check_sympy(culprit)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("sin", "cos"), ("exp2", "3**x"), ("log1p", "log(x)"), ("floor", "upper_integer"),
     ("min", "maximum"), ("lgamma", "gamma"), ("powlog", "a**b")],
)  # fmt: skip
def test_a_wrong_name_for_sympy_is_convicted(plant, name, wrong):
    with pytest.raises(AssertionError):
        check_sympy(plant(name, sympy=wrong))


@pytest.mark.parametrize(
    ("name", "wrong"), [("tanh", "1 + y**2"), ("expm1", "y"), ("expm1", "y + 1 + 1e-20")]
)
def test_a_cancelling_form_of_another_function_is_convicted(plant, name, wrong):
    with pytest.raises(AssertionError):
        check_cancelling(plant(name, cancelling=wrong))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("sin", torch.cos),
        ("expm1", lambda x: torch.exp(x) - 1 + 1e-13),
        ("log", lambda x: torch.log(x.float()).to(x.dtype)),  # computed through float32
        ("sqrt", lambda x: torch.sqrt(x.double())),  # in another dtype
        ("sub", lambda a, b: b - a),
        ("and", torch.logical_or),
        ("where", lambda a, b, c: torch.where(a, c, b)),
    ],
)
def test_a_wrong_function_of_torch_is_convicted(plant, name, wrong):
    with pytest.raises(AssertionError):
        check_torch(plant(name, torch=wrong))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("sin", lambda x: x.cos()),
        ("cosh", lambda x: (x.exp() - (-x).exp()) / 2),
        ("exp", lambda x: x.exp() + (x - x[0]) ** 2 * arb(1e-30)),  # the second derivative only
        ("mul", lambda a, b: a * b[0]),
        ("ipow", lambda n, x: x ** abs(n)),
    ],
)
def test_a_wrong_series_is_convicted(plant, name, wrong):
    with pytest.raises(AssertionError):
        check_series(plant(name, series=wrong))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("log", ("real",)), ("sqrt", ("nonnegative",)), ("asin", ("[-1, 1]",)),
     ("div", ("real", "real")), ("acosh", ("(0, inf)",)), ("pow", ("real", "real"))],
)  # fmt: skip
def test_a_domain_in_which_the_derivative_does_not_exist_is_convicted(plant, name, wrong):
    with pytest.raises(AssertionError):
        check_domain(plant(name, domain=wrong))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("sign", lambda x: arb(1) if x >= 0 else arb(-1)),
        ("floor", arb.floor),
        ("round", lambda x: (x + arb(0.5)).floor()),
        ("heaviside", lambda a, b: b if a.is_zero() else arb(a > 0)),
        ("lt", lambda a, b: a < b),
        ("eq", lambda a, b: True if a.overlaps(b) else None),
    ],
)
def test_a_kink_that_is_decided_instead_of_left_open_is_convicted(plant, name, wrong):
    with pytest.raises(AssertionError):
        check_kinks(plant(name, ball=wrong))


@pytest.mark.parametrize("name", ["abs", "sign", "floor", "max", "heaviside"])
def test_a_kink_that_is_not_declared_is_convicted(plant, name):
    derivative = {"abs": balls.sign, "max": lambda a, b: balls.sign(a - b)}
    with pytest.raises(AssertionError):
        check_smooth(plant(name, kinks=(), ball=derivative.get(name, OPERATORS[name].ball)))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("acosh", "1/sqrt((x - 1)*(x + 1))"), ("exp", "abs(y)"), ("log", "1/conj(x)")],
)
def test_a_derivative_that_is_right_of_real_numbers_alone_is_convicted(plant, name, wrong):
    with pytest.raises(AssertionError):
        check_holomorphic(plant(name, derivatives=(wrong,)))
