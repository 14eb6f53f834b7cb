"""Checks in one line, and functions whose gradient is changed at will."""

from __future__ import annotations

import torch
from culprits import case_of, check_of

from gradcheck.answer import RunOptions
from gradcheck.diagnosis import examine

BRIEF = RunOptions(points=8)
SQUARE = "{formula: x**2, inputs: {x: real}, order: 1}"


def ruled(
    declaration, witness="reverse", function=None, run_options=BRIEF, dtype="float64", **changes
):
    return examine(check_of(case_of(declaration, function, **changes), witness, dtype), run_options)


class ChangedGradient(torch.autograd.Function):
    """The identity, with whatever ``change`` makes of its gradient."""

    @staticmethod
    def forward(context, x, change):
        context.change = change
        context.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(context, cotangent):
        return context.change(cotangent, *context.saved_tensors), None


def with_gradient(function, change):
    """The function, its gradient at x changed; ``change`` takes the gradient and x."""
    return lambda x: function(ChangedGradient.apply(x, change))


def wrong_at(place):
    """A square of float64 that is wrong at one number, told by its bits: nothing compares it."""
    bits = torch.tensor(place, dtype=torch.float64).view(torch.int64)
    return with_gradient(
        torch.square, lambda slope, x: torch.where(x.view(torch.int64) == bits, slope + 1, slope)
    )
