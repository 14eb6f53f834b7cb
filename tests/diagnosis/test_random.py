"""A random implementation is told apart from a wrong one."""

import pytest
import torch
from wrongs import SQUARE, ruled

from gradcheck.answer import Ruling
from gradcheck.diagnosis.examination import BLAMED, KEEPS_STATE, RANDOM, STATE

VECTOR = "{formula: x, inputs: {x: {shape: [6], domain: '(1, 4)'}}, order: 1}"


class RandomInBackward(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(context, cotangent):
        (x,) = context.saved_tensors
        return 2 * x * cotangent * torch.rand_like(x)


class WrongEveryThirdTime(torch.autograd.Function):
    calls = 0

    @staticmethod
    def forward(context, x):
        WrongEveryThirdTime.calls += 1
        context.wrong = WrongEveryThirdTime.calls % 3 == 0
        context.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(context, cotangent):
        (x,) = context.saved_tensors
        return (3 if context.wrong else 2) * x * cotangent


def test_state_is_no_randomness():
    outcome = ruled(SQUARE, "reverse", function=WrongEveryThirdTime.apply)
    assert (outcome.reason, outcome.blame) == (STATE, KEEPS_STATE)


@pytest.mark.parametrize("witness", ["value", "reverse", "forward", "contract", "gradcheck"])
def test_dropout_is_random(witness):
    outcome = ruled(VECTOR, witness, function=lambda x: torch.nn.functional.dropout(x, 0.5))
    assert (outcome.verdict, outcome.reason) == (Ruling.DISAGREE, RANDOM)
    assert outcome.blame == BLAMED


def test_a_backward_that_is_random_alone_is_random():
    assert ruled(SQUARE, "reverse", function=RandomInBackward.apply).reason == RANDOM


def seeded(x):
    generator = torch.Generator().manual_seed(3)
    return x * torch.rand(6, generator=generator, dtype=x.dtype)


@pytest.mark.parametrize("function", [seeded, lambda x: 2 * x])
def test_what_is_wrong_in_the_same_way_each_time_is_not_random(function):
    outcome = ruled(VECTOR, "value", function=function)
    assert outcome.verdict is Ruling.DISAGREE
    assert outcome.reason != RANDOM


def test_a_pinned_mask_agrees():
    mask = torch.nn.functional.dropout(torch.ones(6, dtype=torch.float64), 0.5)
    factors = ", ".join(map(str, mask.tolist()))
    pinned = VECTOR.replace("formula: x,", f"constants: {{m: [{factors}]}}, formula: m*x,")
    assert ruled(pinned, "value", function=lambda x: mask * x).verdict is Ruling.AGREE
