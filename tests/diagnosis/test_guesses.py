"""What kind of error it looks like, of planted errors of many kinds; and of errors of none."""

import math
from dataclasses import replace

import pytest
import torch
from planted_errors import CONTROLS, FUNCTIONS, MIXED, PLANTED, Call, Plain, guess_of
from wrongs import ruled

import gradcheck
from gradcheck.answer import Ruling

POINTS = 24


def guessed(plain, act, dtype="float64"):
    return guess_of(plain, act, dtype, POINTS)


def one_each(table):
    """Each error in the first of its functions; the others are for benchmarks/guess_rate.py."""
    return [pytest.param(each, FUNCTIONS[each.functions[0]], id=each.name) for each in table]


@pytest.mark.parametrize(("error", "plain"), one_each(PLANTED))
def test_the_kind_of_a_planted_error_is_guessed(error, plain):
    guess = guessed(plain, error.act)
    assert error.is_told_by(guess), guess


@pytest.mark.parametrize(("error", "plain"), one_each(CONTROLS))
def test_nothing_is_guessed_where_no_kind_fits(error, plain):
    assert guessed(plain, error.act) is None


@pytest.mark.parametrize(("error", "plain"), one_each(MIXED))
def test_of_two_errors_at_once_both_are_guessed_or_none(error, plain):
    guess = guessed(plain, error.act)
    assert error.is_told_by(guess), guess


@pytest.mark.parametrize("plain", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_a_true_gradient_is_none_of_these_errors(plain):
    assert guessed(plain, Call.gradients) is None


def test_the_errors_are_of_many_kinds_in_functions_of_many_shapes():
    assert len({each.name for each in PLANTED}) >= 30
    assert len({name for each in PLANTED for name in each.functions}) >= 5


def test_a_place_may_hang_on_the_number_of_each_entry_of_an_array():
    def doubled_beyond_1(call):
        (gradient,) = call.gradients()
        return (torch.where(call.inputs[0] > 1, 2 * gradient, gradient),)

    sines = Plain(
        "{formula: sin(x), inputs: {x: {domain: '(-3, 3)', shape: [4]}}, order: 1}", torch.sin
    )
    guess = guessed(sines, doubled_beyond_1)
    assert str(guess) == "a constant factor of 2, only where x > 1"


# the same in float32, whose numbers say less


@pytest.mark.parametrize(
    "name", ["sign", "factor pi", "transposed", "cotangent ignored", "wrong axis"]
)
def test_a_kind_is_guessed_from_numbers_of_float32(name):
    error = next(each for each in PLANTED if each.name == name)
    guess = guessed(FUNCTIONS[error.functions[0]], error.act, "float32")
    assert error.is_told_by(guess), guess


# constants of the formula


GELU = Plain(
    "{formula: 'x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715*x**3)))', order: 1,"
    " inputs: {x: '(-4, 4)'}}",
    lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
)


def with_few_digits(call):
    return call.gradients(
        function=lambda x: x / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.0447 * x**3)))
    )


def test_a_constant_of_too_few_digits_is_named():
    guess = guessed(GELU, with_few_digits)
    assert (guess.kind, guess.text) == ("digits", "the constant 0.044715 is 0.0447")


# errors as small as those of a lower precision, which are none of its


@pytest.mark.parametrize(
    "excess",
    [lambda x: 1e-7 * (2 + torch.cos(9 * x)), lambda x: 1e-7 * torch.sinh(6 * x)],
    ids=["of one sign", "of many sizes"],
)
def test_errors_of_one_sign_or_of_many_sizes_are_not_those_of_a_lower_precision(excess):
    sine = Plain("{formula: sin(x), inputs: {x: '(-3, 3)'}, order: 1}", torch.sin)
    guess = guessed(sine, lambda call: (call.gradients()[0] * (1 + excess(call.inputs[0])),))
    assert "as if computed" not in str(guess)


# few numbers


SQUARE = "{formula: x**2, inputs: {x: real}, order: 1, points: [{at: {x: 3}}]}"


@pytest.mark.parametrize("place", [3.0])
def test_one_number_at_one_point_is_no_evidence(place):
    """A factor and a missing term look alike there."""
    wrong = ruled(SQUARE, function=lambda x: x**2 + (x - x.detach()) * (x == place))
    assert (wrong.verdict, wrong.guess) == (Ruling.DISAGREE, None)


def test_a_declared_point_alone_is_judged_beside_others():
    """x = 1 leaves open what a gradient of 3 is; other points tell."""
    declared = "{formula: x**2, inputs: {x: '(-3, 3)'}, order: 1, points: [{at: {x: 1}}]}"
    wrong = ruled(declared, function=lambda x: x**2 + 0.5 * (x**2 - (x**2).detach()))
    assert wrong.smallest[0].at == {"x": 1.0}
    assert str(wrong.guess) == "a constant factor of 3/2"


class Exponential(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x.exp()

    @staticmethod
    def setup_context(context, inputs, output):
        context.save_for_backward(output)

    @staticmethod
    def backward(context, cotangent):
        return cotangent * context.saved_tensors[0]


class WrongGradient(Exponential):
    generate_vmap_rule = True

    @staticmethod
    def backward(context, cotangent):
        return 2 * cotangent * context.saved_tensors[0]


class WrongInBatches(Exponential):
    @staticmethod
    def vmap(info, in_dims, x):
        return WrongGradient.apply(x), in_dims[0]


def test_calls_that_alone_are_wrong_are_told_by_how_they_ask():
    result = gradcheck.verify(
        WrongInBatches, "exp(x)", inputs={"x": "(-2, 2)"}, witness="functional", dtype="float64",
        order=1,
    )  # fmt: skip
    ((_, outcome),) = result.outcomes.items()
    told = "a constant factor of 2, only under torch.func.vjp of torch.vmap over points"
    assert str(outcome.guess) == told


@torch.library.custom_op("test_guesses::waves", mutates_args=())
def waves(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x.sin() * y.cos()).sum(-1)


@waves.register_vmap
def _(info, in_dims, x, y):
    x, y = (
        each.expand(info.batch_size, *each.shape) if dim is None else each.movedim(dim, 0)
        for each, dim in zip((x, y), in_dims, strict=True)
    )
    return waves(x, y[:1].expand_as(y)), 0


def test_an_input_of_another_point_of_the_batch_is_told_so():
    inputs = {"x": {"shape": [2]}, "y": {"shape": [2]}}
    result = gradcheck.verify(
        waves, "sum(sin(x)*cos(y))", inputs=inputs, witness="functional", dtype="float64", order=1
    )
    ((_, outcome),) = result.outcomes.items()
    assert str(outcome.guess) == "y is that of the first point of the batch"


class Recurrence(torch.autograd.Function):
    """Of three steps, whose backward goes back by the factor and not by its conjugate."""

    @staticmethod
    def forward(context, z, u):
        first = z * u[0] + u[1]
        context.save_for_backward(z, u, first)
        return torch.stack([u[0], first, z * first + u[2]]).real

    @staticmethod
    def backward(context, cotangent):
        z, u, first = context.saved_tensors
        third = cotangent[2] + 0 * z
        second = cotangent[1] + z * third
        slopes = torch.stack([cotangent[0] + z * second, second, third])
        return third * first.conj() + second * u[0].conj(), slopes


def test_a_sign_of_imaginary_parts_alone_is_told_as_the_conjugate():
    inputs = {"z": {"domain": "|z| < 1"}, "u": {"domain": "complex", "shape": [3]}}
    formula = "[re(u[0]), re(z*u[0] + u[1]), re(z*(z*u[0] + u[1]) + u[2])]"
    result = gradcheck.verify(
        Recurrence, formula, inputs=inputs, witness="reverse", dtype="complex128", order=1
    )
    ((_, outcome),) = result.outcomes.items()
    assert str(outcome.guess).endswith("in u the conjugate")


class WrongInOneRow(Exponential):
    @staticmethod
    def backward(context, cotangent):
        slope = context.saved_tensors[0].conj()
        row = torch.tensor([0.0, 1, 0], dtype=slope.real.dtype)[:, None]
        return cotangent * (slope + row * slope.real.sin())


def test_entries_of_complex_arrays_are_told_by_both_of_their_parts():
    result = gradcheck.verify(
        WrongInOneRow, "exp(z)", inputs={"z": {"domain": "|z| < 2", "shape": [3, 2]}},
        witness="reverse", dtype="complex128", order=1,
    )  # fmt: skip
    ((_, outcome),) = result.outcomes.items()
    assert str(outcome.guess) == "wrong, only in z[1, :]"


# what a double backward does not know of


class Normed(torch.autograd.Function):
    """x over its norm, which the backward keeps."""

    @staticmethod
    def forward(ctx, x):
        norm = x.norm()
        ctx.save_for_backward(x, norm)
        return x / norm

    @staticmethod
    def backward(ctx, grad):
        x, norm = ctx.saved_tensors
        return grad / norm - x * (grad @ x) / norm**3


def test_a_saved_number_that_a_double_backward_takes_for_a_constant_is_named():
    declaration = "{formula: x/sqrt(sum(x**2)), inputs: {x: {domain: '(1/2, 3)', shape: [3]}}}"
    wrong = ruled(declaration, "second", function=Normed.apply)
    told = "sqrt(sum(x**2)) is saved, a constant in the double backward"
    assert (wrong.verdict, wrong.guess.text) == (Ruling.DISAGREE, told)


# half precision, where few numbers fail by themselves


def fused(act):
    """What a kernel of half precision gives that computes in float32."""

    def rounded_once(call):
        inputs = tuple(each.float() for each in call.inputs)
        found = act(replace(call, inputs=inputs, cotangent=call.cotangent.float()))
        return tuple(each.to(call.cotangent.dtype) for each in found)

    return rounded_once


@pytest.mark.parametrize("name", ["a slope of the capped number", "the state before", "sign"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_kind_is_guessed_from_numbers_of_half_precision(name, dtype):
    error = next(each for each in PLANTED if each.name == name)
    guess = guessed(FUNCTIONS[error.functions[0]], fused(error.act), dtype)
    assert error.is_told_by(guess), guess


@pytest.mark.parametrize("name", ["capped", "rms", "softmax", "loop"])
@pytest.mark.parametrize("act", [Call.gradients, fused(Call.gradients)], ids=["by steps", "fused"])
def test_of_right_numbers_of_half_precision_nothing_is_guessed(name, act):
    assert guessed(FUNCTIONS[name], act, "bfloat16") is None
