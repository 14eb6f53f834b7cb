"""The compiled code: it is compiled anew each time, and what differs when it is, is convicted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from culprits import case_of, check_of
from invocations import (
    Itself,
    PlainSine,
    batch,
    claims,
    invocation,
    labels,
    remarks,
    residual,
    said,
)

import gradcheck
from gradcheck.answer import Abstention, Ruling, RunOptions, Violation
from gradcheck.catalog.known_failures import KnownFailure
from gradcheck.errors import Where
from gradcheck.methods import compiled, reverse, value
from gradcheck.query import Port
from gradcheck.run.ruling import rule

pytestmark = pytest.mark.filterwarnings("default")
"""The compiler warns of what it meets within PyTorch; a run lets no warning raise either."""

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


LOST = "where no input is among what is saved for the backward"


@pytest.mark.parametrize("function", [torch.exp, torch.tanh, lambda x: torch.sqrt(x + 1)])
def test_a_second_derivative_that_the_compiler_silently_drops_is_told_as_its_defect(function):
    answers = said(compiled.answer(invocation(function, 3.0, own_code=True)))
    (second,) = (each for each in claims(answers) if each.query.order == 2)
    assert second.numbers.tolist() == [[0.0]]
    assert LOST in second.because


@pytest.mark.parametrize(("number", "verdict"), [(181581, Ruling.KNOWN), (1, Ruling.DISAGREE)])
def test_and_is_known_by_the_name_of_its_issue_alone(number, verdict):
    issue = f"https://github.com/pytorch/pytorch/issues/{number}"
    place = Where("cases/known_failures.yaml", 1, 3)
    entry = KnownFailure(place, "other.yaml", "another", None, {}, issue, "so", everywhere=True)
    case = case_of("{formula: exp(x), inputs: {x: '(-2, 2)'}}", torch.exp)
    check = check_of(case, "compiled", known=[entry])
    assert rule(check, RunOptions(points=2)).verdict is verdict


def test_a_second_derivative_that_is_zero_in_eager_mode_too_is_none_of_its_defects():
    answers = said(compiled.answer(invocation(lambda x: 3 * x, 3.0, own_code=True)))
    (second,) = (each for each in claims(answers) if each.query.order == 2)
    assert second.numbers.tolist() == [[0.0]]
    assert not second.because


def test_a_cotangent_that_the_compiler_takes_no_leaf_for_is_none():
    def parts(z):
        return [(z * z).real.clone(), (z * z).imag.clone()]

    outputs = (Port("re", ()), Port("im", ()))
    answers = said(compiled.answer(invocation(parts, 1 + 2j, dtype="complex128", outputs=outputs)))
    assert not remarks(answers)
    assert LOST in claims(answers)[-1].because


def test_beside_a_derivative_of_the_users_own_it_abstains():
    own = invocation(lambda x: torch.exp(Itself.apply(x)), 3.0, own_code=True)
    (remark,) = remarks(compiled.answer(own))
    assert LOST in remark.reason
    assert all(not each.because for each in claims(said(compiled.answer(own))))


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


def test_what_the_compiler_fails_at_by_itself_abstains(monkeypatch):
    def fails(*_arguments, **_keywords):
        raise IndexError("tuple index out of range\n\nfrom user code: somewhere")

    monkeypatch.setattr(torch._dynamo.convert_frame, "trace_frame", fails)
    told = remarks(compiled.answer(invocation(square, 3.0, order=1)))
    assert labels(told) == CALLS
    assert {each.reason for each in told} == {
        "the compiler fails: IndexError: tuple index out of range "
        "(`without: {compiled: why}` leaves compiled code out)"
    }


def test_what_the_code_raises_is_none_of_the_compiler():
    def refusing(x):
        raise IndexError("tuple index out of range")

    told = remarks(compiled.answer(invocation(refusing, 3.0, order=1)))
    assert {type(each) for each in told} == {Violation}


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


def factor():
    """What a culprit multiplies by."""
    return 1.5 if torch.compiler.is_compiling() else 1.0


class WrongForward(PlainSine):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.sin() * factor()


class WrongBackward(PlainSine):
    @staticmethod
    def backward(context, cotangent):
        return cotangent * context.saved_tensors[0].cos() * factor()


def furthest(witness, function):
    """How far what a witness says of the value and the gradient of sin at 0.5 is from that."""
    truths = np.array([[np.sin(0.5)]]), np.array([[[np.cos(0.5)]]])
    said_of = claims(witness.answer(invocation(function, 0.5, order=1)))
    return max(residual(each, truths[each.query.order]) for each in said_of)


@pytest.mark.parametrize("culprit", [WrongForward, WrongBackward])
def test_what_is_wrong_only_when_it_is_compiled_is_seen(culprit):
    assert furthest(compiled, culprit.apply) > 0.2


@pytest.mark.parametrize("witness", [value, reverse])
@pytest.mark.parametrize("culprit", [WrongForward, WrongBackward])
def test_eager_mode_does_not_see_it(culprit, witness):
    assert furthest(witness, culprit.apply) < 1e-15


def test_its_twin_is_right():
    assert furthest(compiled, PlainSine.apply) < 1e-15


def test_a_check_by_it_is_judged_as_any_other():
    case = {"formula": "sin(x)", "inputs": {"x": "(0.5, 1.5)"}, "order": 1, "points": 2}
    options = {"dtype": "float64", "witness": "compiled"}
    assert gradcheck.verify(torch.sin, **case, **options).verdict == "agree"


class OneAndAHalfTimes(Itself):
    """Its value is right."""

    @staticmethod
    def backward(_context, cotangent):
        return 1.5 * cotangent


def wrong_where_compiled(x):
    x = OneAndAHalfTimes.apply(x) if torch.compiler.is_compiling() else x
    return differences(x)


def differences(x):
    return (x[1] - x[0]) * (x[2] - x[0]) * (x[2] - x[1])


@pytest.mark.parametrize(
    ("code", "verdict"),
    [(wrong_where_compiled, Ruling.DISAGREE), (differences, Ruling.AGREE)],
)
def test_a_factor_of_compiled_code_is_not_taken_for_rounding_that_nobody_knows(code, verdict):
    """In bfloat16 four times the allowance of products of differences hold half of them."""
    found = gradcheck.verify(
        code,
        formula="(x[1] - x[0])*(x[2] - x[0])*(x[2] - x[1])",
        inputs={"x": {"domain": "[-100, 100]", "shape": [3]}},
        order=1,
        dtypes=["bfloat16"],
        witness="compiled",
    )
    assert {outcome.verdict for outcome in found.outcomes.values()} == {verdict}
