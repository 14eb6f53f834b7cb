"""A user's code is looked at first where it departs from the formula as PyTorch differentiates it.

What decides in these culprits is NumPy's, so that nobody hears with what they compare.
"""

import numpy as np
import pytest
import torch

import gradcheck


def struck(x, where):
    """1/2 where NumPy says so of the numbers, else 1."""
    held = where(x.detach().double().numpy())
    return torch.from_numpy(np.where(held, 0.5, 1.0)).to(x.dtype)


def never(numbers):
    return np.zeros(numbers.shape, dtype=bool)


def sine(where):
    class Sine(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, cotangent):
            (x,) = ctx.saved_tensors
            return cotangent * x.cos() * struck(x, where)

    return Sine


def cube(where):
    """Its backward has a derivative of its own, which goes wrong."""

    class Slope(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, cotangent):
            ctx.save_for_backward(x, cotangent)
            return 3 * x * x * cotangent

        @staticmethod
        def backward(ctx, other):
            x, cotangent = ctx.saved_tensors
            return 6 * x * cotangent * other * struck(x, where), 3 * x * x * other

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, cotangent):
            return Slope.apply(*ctx.saved_tensors, cotangent)

    return Cube


def product(where):
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.prod()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, cotangent):
            (x,) = ctx.saved_tensors
            others = [torch.cat([x[:k], x[k + 1 :]]).prod() for k in range(len(x))]
            return cotangent * torch.stack(others) * struck(x, where)

    return Product


def huber(where):
    class Huber(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.nn.functional.huber_loss(x, torch.zeros_like(x), "sum", delta=1.375)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, cotangent):
            (x,) = ctx.saved_tensors
            return cotangent * x.clamp(-1.375, 1.375) * struck(x, where)

    return Huber


SINE = {"formula": "sin(x)", "inputs": {"x": "real"}, "order": 1, "witness": "reverse"}
CULPRITS = {
    "a narrow band": (sine, lambda x: (x > 6.2) & (x < 6.22), SINE),
    "a band of large numbers": (sine, lambda x: (x > 3000) & (x < 5000), SINE),
    "a band of small numbers": (sine, lambda x: (x > 1e-6) & (x < 4e-6), SINE),
    "a number": (sine, lambda x: np.abs(x - 7) < 1e-3, SINE),
    "a narrow band of the second derivative": (
        cube,
        lambda x: (x > 3.21) & (x < 3.24),
        {"formula": "x**3", "inputs": {"x": "real"}, "witness": "second"},
    ),
    "one zero, which is the last": (
        product,
        lambda x: (x == 0) & (x[-1] == 0) & (x[:-1] != 0).all(),
        {"formula": "prod(x)", "inputs": {"x": {"shape": [5]}}, "order": 1, "witness": "reverse"},
    ),
    "beside a kink": (
        huber,
        lambda x: (x > 1.375) & (x < 1.4),
        {
            "formula": "sum(where(abs(x) <= 11/8, x**2/2, 11/8*(abs(x) - 11/16)))",
            "inputs": {"x": {"shape": [4]}},
            "order": 1,
            "witness": "reverse",
        },
    ),
}


@pytest.mark.parametrize("name", CULPRITS)
def test_what_goes_wrong_in_a_narrow_place_is_convicted(name):
    make, where, case = CULPRITS[name]
    assert gradcheck.verify(make(where), **case).verdict == "disagree"


@pytest.mark.parametrize("name", CULPRITS)
def test_its_twin_is_acquitted(name):
    make, _, case = CULPRITS[name]
    assert gradcheck.verify(make(never), **case).verdict == "agree"


def test_what_goes_wrong_where_the_case_does_not_hold_is_acquitted():
    make, where, case = CULPRITS["a narrow band"]
    result = gradcheck.verify(make(where), **case, where="abs(x - 6.21) > 1/100")
    assert result.verdict == "agree"
