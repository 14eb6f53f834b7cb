"""Right code that rounds in its own way is never called wrong, and hides no wrong formula."""

import math

import numpy as np
import pytest
import torch
from culprits import case_of, check_of
from rounding_twins import TWINS
from wrongs import BRIEF, ChangedGradient, with_gradient

from gradcheck.answer import Ruling, RunOptions
from gradcheck.methods._torch.moves import FREE_PATTERNS, PATTERNS
from gradcheck.methods._torch.rounding import Repeated
from gradcheck.run.ruling import rule

NAMES = {twin.name: twin for twin in TWINS}


def put(declaration, code, witness, dtype="float64"):
    return rule(check_of(case_of(declaration, code), witness, dtype), BRIEF)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("witness", "dtype"),
    [
        ("value", "float64"),
        ("reverse", "float64"),
        ("forward", "float64"),
        ("second", "float64"),
        ("reverse", "float32"),
    ],
)
def test_a_right_implementation_is_not_called_wrong(name, witness, dtype):
    outcome = put(NAMES[name].declaration, NAMES[name].code, witness, dtype)
    assert outcome.verdict in (Ruling.AGREE, Ruling.INACCURATE)
    assert outcome.entries > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("witness", ["value", "reverse", "forward"])
def test_off_by_a_millionth_it_is(name, witness):
    def scaled(*inputs):
        return NAMES[name].code(*inputs) * (1 + 1e-6)

    assert put(NAMES[name].declaration, scaled, witness).verdict is Ruling.DISAGREE


@pytest.mark.parametrize("name", [twin.name for twin in TWINS if ", y:" not in twin.declaration
                                  and ", w:" not in twin.declaration])  # fmt: skip
def test_a_backward_off_by_a_millionth_is_wrong(name):
    code = with_gradient(NAMES[name].code, lambda slope, _: slope * (1 + 1e-6))
    assert put(NAMES[name].declaration, code, "reverse").verdict is Ruling.DISAGREE


def test_there_are_twins_enough():
    assert len(NAMES) == len(TWINS) >= 25


# what the size of the formula's intermediates would excuse

FAR = "{formula: sqrt(1 + x**2), inputs: {x: '[%s]'}, points: [{at: {x: 1e10}}]}"


def _flat(slope, x):
    return torch.where(x.abs() > 1e8, 0 * slope, slope)


def test_a_gradient_that_is_zero_far_out_is_wrong_however_large_its_terms_are():
    code = with_gradient(lambda x: (1 + x * x).sqrt(), _flat)
    outcome = put(FAR % "1e9, 1e11", code, "reverse")
    assert (outcome.verdict, outcome.worst.got) == (Ruling.DISAGREE, 0.0)
    right = put(FAR % "1e9, 1e11", lambda x: (1 + x * x).sqrt(), "reverse")
    assert right.verdict is Ruling.AGREE


CANCELLING = "{formula: cosh(x), inputs: {x: '[1e-12, 1e-10]'}}"


def test_code_that_cancels_says_how_far_its_answers_lie_apart():
    outcome = put(CANCELLING, lambda x: (x.exp() + (-x).exp()) / 2, "reverse")
    assert outcome.verdict is Ruling.INACCURATE
    assert outcome.reason.startswith("within the rounding of the code, whose answers lie ")


def test_what_does_not_cancel_is_not_excused_where_other_code_would():
    flat = with_gradient(torch.cosh, lambda slope, _: 0 * slope)
    assert put(CANCELLING, flat, "reverse").verdict is Ruling.DISAGREE


class _Single(torch.autograd.Function):
    """The sine, its gradient computed in float32."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(context, cotangent):
        (x,) = context.saved_tensors
        return (cotangent.float() * x.float().cos()).to(x.dtype)


def test_a_gradient_computed_in_single_precision_is_no_rounding_of_double():
    assert put("{formula: sin(x), inputs: {x: real}, order: 1}", _Single.apply,
               "reverse").verdict is Ruling.DISAGREE  # fmt: skip


# what cannot be looked into


class _ByNumpy(torch.autograd.Function):
    """x - sin(x), by NumPy, with 1 - cos(x) for its derivative."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x - x.sin()

    @staticmethod
    def backward(context, cotangent):
        (x,) = context.saved_tensors
        return cotangent * torch.as_tensor(1 - np.cos(x.detach().numpy()))


SMALL = "{formula: x - sin(x), inputs: {x: '[1e-9, 1e-8]'}, order: 1}"


def test_what_is_computed_outside_of_torch_is_named_and_excused_as_before():
    outcome = put(SMALL, _ByNumpy.apply, "reverse")
    assert outcome.verdict is Ruling.INACCURATE
    assert outcome.reason.endswith("(Tensor.numpy cannot be looked into)")


# range


def test_what_overflows_in_the_code_is_named_with_its_operand():
    quotient = "{formula: x/(x**2 + 1), inputs: {x: '[1e20, 1e21]'}, points: [{at: {x: 1e20}}]}"
    outcome = put(quotient, lambda x: x / (x * x + 1), "value", "float32")
    assert outcome.verdict is Ruling.INACCURATE
    assert "the code leaves the dtype's range: float32 overflows in mul at x = " in outcome.reason


def test_an_infinity_that_the_code_meets_on_its_way_is_inaccurate():
    distance = "{formula: abs(x), inputs: {x: '[1e25, 1e26]'}}"
    outcome = put(distance, lambda x: (x * x).sqrt(), "value", "float32")
    assert outcome.verdict is Ruling.INACCURATE
    assert outcome.reason.startswith("the code leaves the dtype's range: float32 overflows in mul")


def test_an_infinity_from_nowhere_is_wrong():
    distance = "{formula: abs(x), inputs: {x: '[1e25, 1e26]'}}"
    wrong = put(distance, lambda x: torch.where(x > 0, torch.inf, x), "value", "float32")
    assert (wrong.verdict, wrong.worst.reason) == (
        Ruling.DISAGREE,
        "infinity where the truth is finite",
    )


def test_nan_is_wrong_where_only_the_code_leaves_the_range_and_says_where():
    outcome = put("{formula: tanh(x), inputs: {x: '[100, 200]'}, points: [{at: {x: 100}}]}",
                  lambda x: x.exp().square() / x.exp().square(), "value", "float32")  # fmt: skip
    assert outcome.verdict is Ruling.DISAGREE
    assert outcome.reason == (
        "NaN where the truth is finite, and the formula stays in range: "
        "float32 overflows in exp at x = 100"
    )


def test_changed_gradients_are_what_the_tests_say():
    x = torch.ones((), requires_grad=True)
    ChangedGradient.apply(x, lambda slope, _: slope * 3).backward()
    assert x.grad == 3


def test_zero_times_a_pole_is_no_overflow():
    square = "{formula: x**2, inputs: {x: '[0, 1]'}, points: [{at: {x: 0}}], order: 1}"
    code = with_gradient(torch.square, lambda slope, x: slope * x * x.pow(-1))
    outcome = put(square, code, "reverse")
    assert (outcome.verdict, outcome.reason) == (
        Ruling.DISAGREE,
        "NaN where the truth is finite",
    )
    right = with_gradient(torch.square, lambda slope, x: slope * x.pow(0))
    assert put(square, right, "reverse").verdict is Ruling.AGREE


# at the smallest numbers

ROUNDED_UP = "{formula: sqrt(x**2 + y**2), inputs: {x: positive, y: positive}, order: 1}"


def test_a_result_that_is_rounded_to_the_smallest_number_may_be_off_by_as_much():
    at_least = put(ROUNDED_UP, torch.hypot, "reverse")  # 1 where 0.71 is true, at [5e-324, 5e-324]
    assert at_least.verdict is Ruling.INACCURATE


def test_its_sign_may_not():
    def negative(x, y):
        return torch.where(x < 1e-320, -1, 1) * torch.hypot(x, y)

    assert put(ROUNDED_UP, negative, "reverse").verdict is Ruling.DISAGREE


ROOT = "{formula: sqrt(x), inputs: {x: '%s'}, order: 1, dtypes: [float64], points: [{at: {x: %s}}]}"


def _without_a_number_below(limit):
    def code(x):
        return torch.where(x < limit, math.nan, 1.0) * x.sqrt()

    return code


def test_no_number_at_an_input_that_is_subnormal_is_inaccurate():
    declaration = ROOT % ("[1e-320, 1e-318]", "1e-319")
    code = _without_a_number_below(1e-310)
    assert put(declaration, code, "reverse").verdict is Ruling.INACCURATE


def test_no_number_at_a_normal_input_is_wrong():
    declaration = ROOT % ("[1e-304, 1e-302]", "1e-303")
    code = _without_a_number_below(1e-300)
    assert put(declaration, code, "reverse").verdict is Ruling.DISAGREE


# branches

SOFTPLUS = "{formula: log(1 + exp(x)), inputs: {x: '[0, 100]'}, points: [{at: {x: %s}}]}"


def _straight_beyond(limit):
    def code(x):
        return torch.where(x > limit, x, x.clamp(max=limit).exp().log1p())

    return code


def test_a_branch_may_leave_out_what_rounding_of_the_formula_hides():
    outcome = put(SOFTPLUS % 60, _straight_beyond(40), "second")
    assert outcome.verdict is Ruling.INACCURATE


def test_a_branch_may_not_leave_out_more():
    assert put(SOFTPLUS % 25, _straight_beyond(20), "second").verdict is Ruling.DISAGREE


def test_zeros_without_memory_below_an_operator_made_of_others_end_no_process():
    def code(x):
        return torch.ldexp(x, torch.tensor(3.0, dtype=x.dtype)) + torch.ldexp(x, x.detach().round())

    outcome = put("{formula: 8*x + x, inputs: {x: '(-0.4, 0.4)'}, order: 1}", code, "forward")
    assert outcome.verdict is Ruling.AGREE


# how often a call is repeated that rounding does not explain


def patterns_of(monkeypatch, factor):
    """By how many patterns each call was repeated whose gradients are off by a factor."""
    calls = []
    asked = Repeated.ask_until

    def noted(self, *args):
        calls.append(self)
        asked(self, *args)

    monkeypatch.setattr(Repeated, "ask_until", noted)
    declaration = "{formula: '[sin(x[0]), x[0]*x[1]]', inputs: {x: {domain: '(1, 2)', shape: [2]}}}"
    code = with_gradient(lambda x: torch.stack([x[0].sin(), x.prod()]), lambda g, _: g * factor)
    check = check_of(case_of(declaration, code), "reverse", "float64")
    assert rule(check, RunOptions()).verdict is Ruling.DISAGREE
    return [each.patterns for each in calls]


def test_where_rounding_is_far_from_explaining_some_calls_others_are_repeated_a_little(monkeypatch):
    found = patterns_of(monkeypatch, 2)
    assert len(found) > 3
    assert set(found[:3]) == {PATTERNS + FREE_PATTERNS}
    assert set(found[3:]) == {2}


def test_what_is_off_by_little_is_repeated_to_the_end(monkeypatch):
    found = patterns_of(monkeypatch, 1 + 1e-13)
    assert len(found) > 3
    assert set(found) == {PATTERNS + FREE_PATTERNS}


# what PyTorch's trigamma is off by


class LogGamma(torch.autograd.Function):
    """The slope of a Dirichlet likelihood's terms, times ``off``."""

    @staticmethod
    def forward(ctx, x, off):
        ctx.save_for_backward(x)
        ctx.off = off
        return (x - 1) * torch.digamma(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * ctx.off * (torch.digamma(x) + (x - 1) * torch.polygamma(1, x)), None


@pytest.mark.parametrize(
    ("off", "verdict"),
    [(1.0, Ruling.INACCURATE), (1 + 1e-6, Ruling.DISAGREE), (-1.0, Ruling.DISAGREE)],
)
def test_code_that_calls_pytorchs_trigamma_is_off_by_what_that_is(off, verdict):
    declaration = "{formula: (x - 1)*digamma(x), inputs: {x: '(1/2, 8)'}}"
    assert put(declaration, lambda x: LogGamma.apply(x, off), "reverse").verdict is verdict


def test_of_pytorch_itself_it_is_a_fault():
    declaration = (
        "{formula: 'polygamma(1, x)', inputs: {x: '(1/2, 8)'}, torch: 'torch.polygamma(1, x)'}"
    )
    found = rule(check_of(case_of(declaration), "value", "float64"), BRIEF)
    assert found.verdict is Ruling.DISAGREE
