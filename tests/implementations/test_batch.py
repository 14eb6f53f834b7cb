"""Whether an implementation acts on each point alone is found by trial."""

import sys

import pytest
import torch

from gradcheck.implementations.batch import acts_on_each_point

POINTS = (torch.tensor([0.5, 1.5, -2.0]), torch.tensor([1.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: x * y + torch.sin(x),
        lambda x, y: torch.log(x) * y,  # NaN at a negative x, in both
        torch.hypot,
    ],
)
def test_elementwise_functions_act_on_each_point(function):
    assert acts_on_each_point(function, POINTS)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: torch.softmax(x, 0) * y,
        lambda x, y: (x * y).sum(),
        lambda x, y: x * y if x > 0 else -x,
        lambda x, y: [x, y],
        lambda x, y: torch.ones(()),
        lambda x, y: (x * y).reshape(-1),
        lambda x, y: x[..., 0] + y,
        lambda x, y: x - x.mean() + y,
        lambda x, y: sys.exit(1),
    ],
)
def test_functions_that_mix_points_or_refuse_batches_do_not(function):
    assert not acts_on_each_point(function, POINTS)


def test_the_points_are_not_changed_by_the_trial():
    acts_on_each_point(lambda x, y: x.mul_(y), POINTS)
    assert POINTS[0].tolist() == [0.5, 1.5, -2.0]
