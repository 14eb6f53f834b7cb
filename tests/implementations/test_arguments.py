"""A function that takes other arguments than the inputs is told what it is called with."""

import functools

import pytest
import torch

from gradcheck.implementations.arguments import WrongArgumentsError, taking_inputs

X = torch.ones(2)
CALLED = "the function is called with the one input and nothing else"
FIX = "constants and values of a sweep are not passed; name a function that fills them in"


def scaled(x, alpha):
    return alpha * x


@functools.wraps(scaled)
def wrapped(*args):
    return scaled(*args)


def nullary():
    return X


class Power(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, n):
        return x**n


class Layer(torch.nn.Module):
    def forward(self, x, y):
        return x + y


@torch.library.custom_op("gradcheck_tests::power", mutates_args=())
def power(x: torch.Tensor, n: int) -> torch.Tensor:
    return x**n


@pytest.mark.parametrize(
    ("function", "said", "signature"),
    [
        (scaled, "scaled() missing 1 required positional argument: 'alpha'", "(x, alpha)"),
        (wrapped, "scaled() missing 1 required positional argument: 'alpha'", "(x, alpha)"),
        (nullary, "nullary() takes 0 positional arguments but 1 was given", "()"),
        (Power.apply, "Power.forward() missing 1 required positional argument: 'n'", "(ctx, x, n)"),
        (Layer(), "Layer.forward() missing 1 required positional argument: 'y'", "(x, y)"),
    ],
)
def test_what_is_missing_and_what_is_given_are_told(function, said, signature):
    with pytest.raises(WrongArgumentsError) as caught:
        taking_inputs(function)(X)
    assert str(caught.value) == f"{said} - {CALLED}: {FIX} (its signature: {signature})"


@pytest.mark.parametrize("function", [power, torch.ops.gradcheck_tests.power, torch.atan2])
def test_what_is_not_written_in_python_is_told_so_too(function):
    with pytest.raises(WrongArgumentsError) as caught:
        taking_inputs(function)(X)
    assert str(caught.value).endswith(f" - {CALLED}: {FIX}")


def calls_another_wrongly(x):
    return scaled(x)


def test_a_mistake_inside_of_the_function_is_its_own():
    with pytest.raises(TypeError, match="missing 1 required") as caught:
        taking_inputs(calls_another_wrongly)(X)
    assert type(caught.value) is TypeError


def test_a_function_that_fits_is_called():
    assert taking_inputs(scaled)(X, 2 * X).tolist() == [2.0, 2.0]
