"""With the settings made here, the real gradcheck passes what is right and nothing else."""

import numpy as np
import pytest
import torch
from torch.autograd.gradcheck import GradcheckError

from gradcheck.catalog.load import load_text
from gradcheck.dtypes import DTYPES
from gradcheck.methods._torch.differences import Boxes
from gradcheck.reference.reference import Reference

DOUBLE, SINGLE = DTYPES["float64"], DTYPES["float32"]

FUNCTIONS = {
    "sin(x)": (torch.sin, (1.25,)),
    "exp(x)": (torch.exp, (1.5,)),
    "log(x)": (torch.log, (3.7,)),
    "tanh(x)": (torch.tanh, (-0.6,)),
    "sqrt(x)": (torch.sqrt, (2.3,)),
    "x**3 - 2*x": (lambda x: x**3 - 2 * x, (-1.7,)),
    "1/x": (torch.reciprocal, (2.2,)),
    "erf(x)": (torch.erf, (0.4,)),
    "x*y": (torch.mul, (1.5, -2.25)),
    "atan2(x, y)": (torch.atan2, (1.1, 2.3)),
    "sqrt(x**2 + y**2)": (torch.hypot, (3.1, -4.2)),
    "x**y": (torch.pow, (2.5, 1.3)),
    "x*exp(-y**2)": (lambda x, y: x * torch.exp(-(y**2)), (0.8, 0.3)),
    "[x*y, x + 3*y]": (lambda x, y: torch.stack([x * y, x + 3 * y]), (0.7, 1.9)),
    "[x*cos(y), x*sin(y)]": (lambda x, y: torch.stack([x * y.cos(), x * y.sin()]), (2.0, 0.5)),
}
GENTLE = ("x*y", "[x*y, x + 3*y]", "x**2 - 3*x + y")
"""Of second derivatives that do not vary: their differences are exact but for rounding."""


def truth_of(formula, domain="real"):
    names = [name for name in "xy" if name in formula.replace("exp", "")]
    inputs = ", ".join(f"{name}: '{domain}'" for name in names)
    (case,) = load_text(f"f: {{formula: '{formula}', inputs: {{{inputs}}}}}\n", "cases/f.yaml")
    return Reference(case.variants[0].formula)


def first_difference(reference, x, dtype):
    (settings,) = Boxes.at(reference, np.array([x]), dtype).settings(1)[0]
    return settings


def second_difference(reference, x, dtype):
    (settings,) = Boxes.at(reference, np.array([x]), dtype).settings(2)[1]
    return settings


def leaves(numbers, dtype):
    kind = getattr(torch, dtype.name)
    return [torch.tensor(number, dtype=kind, requires_grad=True) for number in numbers]


def rounded(numbers, dtype):
    return tuple(leaf.item() for leaf in leaves(numbers, dtype))


def passes(examine, function, numbers, dtype, settings):
    """Whether PyTorch's own examination passes; in float32 it warns of float32."""
    try:
        return examine(
            function,
            leaves(numbers, dtype),
            eps=settings.step,
            atol=settings.atol,
            rtol=settings.rtol,
            nondet_tol=0.0,
            check_batched_grad=False,
        )
    except GradcheckError:
        return False


class Scaled(torch.autograd.Function):
    """The identity with a gradient that is off by a factor."""

    @staticmethod
    def forward(context, x, factor):
        context.factor = factor
        return x.clone()

    @staticmethod
    def backward(context, cotangent):
        return context.factor * cotangent, None


class Warped(torch.autograd.Function):
    """The identity with a right gradient, whose own derivative is off by a factor."""

    @staticmethod
    def forward(context, x, factor):
        context.factor = factor
        return x.clone()

    @staticmethod
    def backward(context, cotangent):
        return Scaled.apply(cotangent, context.factor), None


def off_by(kind, function, factor):
    return lambda *tensors: function(*(kind.apply(tensor, factor) for tensor in tensors))


pytestmark = pytest.mark.filterwarnings(
    r"ignore:(?s).*(double precision floating point|undefined gradient support)"
)


@pytest.mark.parametrize("formula", FUNCTIONS)
@pytest.mark.parametrize(("dtype", "factor"), [(DOUBLE, 1 + 1e-4), (SINGLE, 1.1)])
def test_gradcheck_passes_the_right_gradient_and_not_a_wrong_one(formula, dtype, factor):
    function, numbers = FUNCTIONS[formula]
    settings = first_difference(truth_of(formula), rounded(numbers, dtype), dtype)
    examine = torch.autograd.gradcheck
    assert passes(examine, function, numbers, dtype, settings)
    assert not passes(examine, off_by(Scaled, function, factor), numbers, dtype, settings)


@pytest.mark.parametrize("formula", GENTLE)
@pytest.mark.parametrize(("dtype", "factor"), [(DOUBLE, 1 + 1e-4), (SINGLE, 1.1)])
def test_gradgradcheck_passes_the_right_second_derivative_and_not_a_wrong_one(
    formula, dtype, factor
):
    function = FUNCTIONS.get(formula, (lambda x, y: x**2 - 3 * x + y,))[0]
    numbers = (0.7, 1.9)
    settings = second_difference(truth_of(formula), rounded(numbers, dtype), dtype)
    examine = torch.autograd.gradgradcheck
    torch.manual_seed(0)  # it draws its own cotangents
    assert passes(examine, function, numbers, dtype, settings)
    assert not passes(examine, off_by(Warped, function, factor), numbers, dtype, settings)


@pytest.mark.parametrize(
    "formula", sorted(FUNCTIONS.keys() - {"atan2(x, y)", "x**y"})
)  # they vary too much
def test_in_double_precision_gradgradcheck_passes_all_that_is_right(formula):
    function, numbers = FUNCTIONS[formula]
    settings = second_difference(truth_of(formula), numbers, DOUBLE)
    torch.manual_seed(0)
    assert passes(torch.autograd.gradgradcheck, function, numbers, DOUBLE, settings)
    culprit = off_by(Warped, function, 1.5)
    assert not passes(torch.autograd.gradgradcheck, culprit, numbers, DOUBLE, settings)


@pytest.mark.parametrize(
    ("formula", "testify"), [("x + (sin(x) - x)", True), ("x + stop(sin(x) - x)", False)]
)
def test_of_a_gradient_that_is_meant_differences_say_nothing(formula, testify):
    assert (first_difference(truth_of(formula), (0.7,), DOUBLE) is not None) is testify


def test_the_default_settings_let_the_same_fault_pass():
    culprit = off_by(Scaled, torch.sin, 1 + 1e-4)
    assert torch.autograd.gradcheck(culprit, leaves([1.25], DOUBLE), check_batched_grad=False)


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@pytest.mark.parametrize(
    ("formula", "numbers"),
    [
        ("abs(x)", (0.0,)),
        ("abs(x)", (1e-7,)),  # a step beside the kink
        ("max(x, y)", (2.0, 2.0)),
        ("floor(x)", (3.0,)),
        ("1/x", (1e-8,)),  # beside a pole
        ("tan(x)", (1.5707963,)),
        ("log(x)", (1e-7,)),  # beside the edge of the domain
        ("sqrt(x)", (0.0,)),
        ("x**2", (1e30,)),  # a point that is not benign
    ],
)
def test_where_differences_say_nothing_they_do_not_testify(formula, numbers, dtype):
    truth = truth_of(formula)
    settings = [first_difference(truth, rounded(numbers, dtype), dtype)]
    settings += [second_difference(truth, rounded(numbers, dtype), dtype)]
    assert settings == [None, None]


def test_what_is_too_steep_for_float32_is_left_to_float64():
    steep = truth_of("sin(1000*x)")  # the step of float32 is more than a wave
    high = truth_of("exp(exp(x))")  # at 4.4 near the largest number of float32
    assert first_difference(steep, (1.0,), SINGLE) is None
    assert first_difference(steep, (1.0,), DOUBLE) is not None
    assert first_difference(high, rounded((4.4,), SINGLE), SINGLE) is None
    assert first_difference(high, (4.4,), DOUBLE) is not None


@pytest.mark.parametrize(
    ("formula", "numbers"),
    [
        ("abs(x)", (1.0,)),
        ("max(x, y)", (2.0, 1.0)),
        ("1/x", (1.0,)),
        ("tan(x)", (0.5,)),
        ("log(x)", (1.0,)),
        ("sqrt(x)", (1.0,)),
        ("x**2", (3.0,)),
    ],
)
@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
def test_away_from_there_they_testify(formula, numbers, dtype):
    assert first_difference(truth_of(formula), numbers, dtype) is not None


def test_the_step_grows_with_the_input():
    truth = truth_of("sin(x)")
    near, far = (first_difference(truth, (x,), DOUBLE).step for x in (1.0, 50.0))
    assert (near, far) == (2.0**-17, 2.0**-11)


def test_a_vaguer_point_gets_a_wider_tolerance():
    narrow = first_difference(truth_of("sin(x)"), (1.0,), DOUBLE)
    wide = first_difference(truth_of("sin(8*x)"), (1.0,), DOUBLE)
    assert narrow.atol < wide.atol
