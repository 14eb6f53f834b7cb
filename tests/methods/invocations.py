"""Invocations made by hand, and culprits to test."""

from __future__ import annotations

import numpy as np
import torch

from gradcheck.answer import Answer, FiniteDifferenceSettings, Invocation
from gradcheck.query import Port

FINE = FiniteDifferenceSettings(step=1e-6, atol=1e-8, rtol=1e-6)


def invocation(function, *inputs, output_shape=(), dtype="float64", **options):
    """An invocation at one point; inputs are numbers or nested lists, complex ones among them."""
    arrays = tuple(array([each]) for each in inputs)
    settings = {"order": 2, "device": "cpu", "seed": 7, "batched": False, **options}
    settings = {"outputs": (Port("", output_shape),), **settings}
    return Invocation(function, arrays, dtype=dtype, **settings)


def batch(function, *inputs, **options):
    """An invocation at many points at once; inputs are lists of numbers."""
    settings = {"order": 2, "device": "cpu", "seed": 7, "dtype": "float64", **options}
    settings = {"outputs": (Port("", ()),), **settings}
    return Invocation(function, tuple(map(array, inputs)), batched=True, **settings)


def array(numbers):
    """Numbers as a point holds them: float64, or complex128 where one is complex."""
    found = np.array(numbers)
    return found if np.iscomplexobj(found) else found.astype(np.float64)


def said(answers):
    """Everything that a witness says: one that says nothing would pass every test of its words."""
    found = list(answers)
    assert found, "the witness said nothing"
    return found


def claims(answers):
    """The answers in numbers, of which there are some."""
    found = [answer for answer in answers if isinstance(answer, Answer)]
    assert found, "the witness gave no number"
    return found


def remarks(answers):
    return [answer for answer in answers if not isinstance(answer, Answer)]


def is_given(tangent):
    return tangent is not None


def residual(claim, derivatives):
    """How far a claim is from contracting all derivatives [count, m, n, ...], at most."""
    expected = derivatives
    if claim.query.cotangent is not None:
        expected = np.einsum("cm,cm...->c...", claim.query.cotangent, expected)
    for tangent in filter(is_given, claim.query.tangents):
        expected = np.einsum("c...n,cn->c...", expected, tangent)
    assert claim.numbers.shape == expected.shape
    return np.abs(claim.numbers - expected).max(initial=0.0)


def labels(answers):
    return list(dict.fromkeys(answer.label for answer in answers))


class Sine(torch.autograd.Function):
    """Right, in every mode."""

    factor = 1.0

    @staticmethod
    def forward(x):
        return x.sin()

    @staticmethod
    def setup_context(context, inputs, output):
        context.save_for_backward(*inputs)
        context.save_for_forward(*inputs)

    @classmethod
    def slope(cls, x):
        return cls.factor * x.cos()

    @staticmethod
    def backward(context, cotangent):
        return cotangent * Sine.slope(context.saved_tensors[0])

    @staticmethod
    def jvp(context, tangent):
        return tangent * Sine.slope(context.saved_tensors[0])


class SineOfWrongSign(Sine):
    """Wrong in reverse mode only."""

    @staticmethod
    def backward(context, cotangent):
        return -cotangent * context.saved_tensors[0].cos()


class SineThatIgnoresItsCotangent(Sine):
    @staticmethod
    def backward(context, cotangent):
        return context.saved_tensors[0].cos() + 0 * cotangent


class SineWrongInForward(Sine):
    @staticmethod
    def jvp(context, tangent):
        return -tangent * context.saved_tensors[0].cos()


class PlainSine(torch.autograd.Function):
    """As most are written: without ``setup_context``, without ``jvp``."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(context, cotangent):
        return cotangent * context.saved_tensors[0].cos()


class SineOnce(PlainSine):
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, cotangent):
        return cotangent * context.saved_tensors[0].cos()


class SineDetached(PlainSine):
    """Its backward leaves the graph, so that the second derivative vanishes silently."""

    @staticmethod
    def backward(context, cotangent):
        return cotangent * context.saved_tensors[0].detach().cos()


class Itself(torch.autograd.Function):
    """A derivative of a user's own, and a right one."""

    @staticmethod
    def forward(x):
        return x.clone()

    @staticmethod
    def setup_context(context, inputs, output):
        pass

    @staticmethod
    def backward(context, cotangent):
        return cotangent.clone()

    @staticmethod
    def jvp(context, tangent):
        return tangent.clone()
