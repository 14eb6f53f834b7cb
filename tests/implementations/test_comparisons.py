"""What code compares with is heard in both directions, and only that."""

import pytest
import torch

from gradcheck.implementations.comparisons import compared_constants

CALLS = [[torch.tensor(x, dtype=torch.float64)] for x in (0.3, -1.7, 12.0)]


class Backward(torch.autograd.Function):
    """Its backward alone compares."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(context, cotangent):
        (x,) = context.saved_tensors
        return torch.where(x >= 4.5, 2 * x * cotangent, 2 * x * cotangent)


class Slope(torch.autograd.Function):
    """2x, whose own backward alone compares."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return 2 * x

    @staticmethod
    def backward(context, cotangent):
        (x,) = context.saved_tensors
        return torch.where(x >= 3.5, 2 * cotangent, 2 * cotangent)


class TwiceDifferentiable(Backward):
    @staticmethod
    def backward(context, cotangent):
        return Slope.apply(context.saved_tensors[0]) * cotangent


class Forward(Backward):
    """Its forward rule alone compares."""

    @staticmethod
    def forward(context, x):
        context.save_for_forward(x)
        return x * x

    @staticmethod
    def jvp(context, tangent):
        (x,) = context.saved_tensors
        return torch.where(x >= 6.5, 2 * x * tangent, 2 * x * tangent)


def by_threshold_of_a_tensor(x):
    return torch.where(x > torch.tensor(2.5, dtype=x.dtype), x, 0 * x)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: torch.where((x > 5) & (x < 6), x, x * x), (5.0, 6.0)),
        (lambda x: torch.clamp(x, min=-2.5, max=3), (-2.5, 3.0)),
        (lambda x: torch.nn.functional.threshold(x, 0.25, 7.0), (0.25, 7.0)),
        (by_threshold_of_a_tensor, (2.5,)),
        (Backward.apply, (4.5,)),
        (TwiceDifferentiable.apply, (3.5,)),
        (Forward.apply, (6.5,)),
        (lambda x: x * 3 + torch.sin(x - 2), ()),
        (lambda x: torch.maximum(x, x * x), ()),
    ],
    ids=[
        "window",
        "clamp",
        "threshold",
        "tensor",
        "backward",
        "second",
        "forward",
        "smooth",
        "of inputs",
    ],
)
def test_the_constants_of_comparisons_are_heard(function, expected):
    assert compared_constants(function, CALLS) == expected


def test_what_is_heard_before_an_exception_counts():
    def function(x):
        if (x > 1.5).item():
            raise ValueError
        return x * torch.zeros(3)[5]

    assert compared_constants(function, CALLS) == (1.5,)


def test_at_most_eight_constants_are_taken():
    def function(x):
        return sum(torch.where(x > n, x, 2 * x) for n in range(20))

    assert compared_constants(function, CALLS) == tuple(map(float, range(8)))


def test_listening_changes_no_number():
    def function(x):
        return torch.where(x > 5, x.exp(), x.sin())

    (leaf,) = CALLS[0]
    before = function(leaf)
    compared_constants(function, CALLS)
    assert torch.equal(function(leaf), before)
    assert not leaf.requires_grad
