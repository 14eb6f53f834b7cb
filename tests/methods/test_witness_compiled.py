"""The compiled code: it is compiled anew each time, and what differs when it is, is convicted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from invocations import batch, claims, invocation, labels, remarks, residual, said

import gradcheck
from gradcheck.answer import Abstention
from gradcheck.methods import compiled

CALLS = [
    "under torch.compile",
    "under torch.compile with dynamic shapes",
    "under torch.compile with create_graph",
]


def square(x):
    return x * x


def test_every_call_finds_the_value_and_the_gradient_of_a_square():
    answers = said(compiled.answer(invocation(square, 3.0, order=1)))
    value, gradient = np.array([[9.0]]), np.array([[[6.0]]])
    assert labels(answers) == CALLS
    assert max(residual(each, value) for each in answers if each.query.order == 0) == 0
    assert max(residual(each, gradient) for each in answers if each.query.order == 1) == 0


def test_every_call_takes_a_batch_of_points():
    x = np.array([3.0, -1.0, 0.5])
    answers = said(compiled.answer(batch(square, x, order=1)))
    gradients = [each for each in claims(answers) if each.query.order == 1]
    assert max(residual(each, (2 * x).reshape(3, 1, 1)) for each in gradients) == 0


def test_a_second_derivative_that_the_compiler_has_no_rule_for_abstains():
    (remark,) = remarks(compiled.answer(invocation(square, 3.0)))
    assert remark.label == "at order 2 under torch.compile"
    assert "does not currently support double backward" in remark.reason


@torch.library.custom_op("gradcheck_tests::of_unknown_shape", mutates_args=())
def of_unknown_shape(x: torch.Tensor) -> torch.Tensor:
    return x * 2


of_unknown_shape.register_autograd(lambda context, cotangent: 2 * cotangent)


@of_unknown_shape.register_fake
def _(x):
    raise RuntimeError("who knows of what shape it is")


def test_what_the_compiler_refuses_abstains_with_its_reason():
    told = remarks(compiled.answer(invocation(of_unknown_shape, 3.0, order=1)))
    assert labels(told) == CALLS
    assert all(isinstance(each, Abstention) and each.incapable for each in told)
    assert all("who knows of what shape it is" in each.reason for each in told)
    assert all("`without: {compiled: why}`" in each.reason for each in told)


def test_each_call_compiles_anew():
    compilations = []

    def watched(x):
        if torch.compiler.is_compiling():
            compilations.append(1)
        return x * 2

    for _ in range(2):
        said(compiled.answer(invocation(watched, 3.0, order=1)))
    assert len(compilations) == 2 * len(CALLS)
    watched(torch.ones(()))
    assert len(compilations) == 2 * len(CALLS)


class Wave(torch.autograd.Function):
    """sin(x), of which the compiled forward, or backward, is ``factor`` times what it should be."""

    factor = 1.0
    spoils = "nothing"

    @classmethod
    def spoilt(cls, part):
        return cls.factor if cls.spoils == part and torch.compiler.is_compiling() else 1.0

    @classmethod
    def forward(cls, context, x):
        context.save_for_backward(x)
        return x.sin() * cls.spoilt("forward")

    @classmethod
    def backward(cls, context, cotangent):
        return cotangent * context.saved_tensors[0].cos() * cls.spoilt("backward")


class WrongForward(Wave):
    factor, spoils = 1.5, "forward"


class WrongBackward(Wave):
    factor, spoils = 1.5, "backward"


SINE = {"formula": "sin(x)", "inputs": {"x": {"domain": "(0.5, 1.5)", "shape": [3]}}, "order": 1}


def judged(function, witness):
    return gradcheck.verify(function, **SINE, dtype="float64", points=8, witness=witness)


@pytest.mark.parametrize("culprit", [WrongForward, WrongBackward])
def test_what_is_wrong_only_when_it_is_compiled_is_convicted(culprit):
    result = judged(culprit.apply, "compiled")
    assert result.verdict == "disagree"
    assert "right in eager mode, wrong under torch.compile" in " ".join(result.blocks[0].split())


@pytest.mark.parametrize("culprit", [WrongForward, WrongBackward])
def test_no_other_witness_sees_it(culprit):
    assert judged(culprit.apply, ("value", "reverse", "contract")).verdict == "agree"


def test_its_twin_is_acquitted():
    assert judged(Wave.apply, "compiled").verdict == "agree"
