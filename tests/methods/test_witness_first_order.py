"""Value, reverse and forward: right numbers of right code, telling numbers of culprits."""

import math

import numpy as np
import pytest
import torch
from invocations import (
    PlainSine,
    Sine,
    SineOfWrongSign,
    SineThatIgnoresItsCotangent,
    SineWrongInForward,
    batch,
    claims,
    invocation,
    remarks,
    residual,
    said,
)

from gradcheck.answer import Ruling
from gradcheck.methods import forward, reverse, value

POLAR = ([[0.8, 1.5]], [[0.6, 2.0]])


def polar(r, t):
    return torch.stack([r * torch.cos(t), r * torch.sin(t)])


def polar_jacobian(r, t):
    return np.array([[math.cos(t), -r * math.sin(t)], [math.sin(t), r * math.cos(t)]])


@pytest.mark.parametrize("witness", [reverse, forward])
def test_a_jacobian_is_told_entry_by_entry_and_contracted(witness):
    answers = said(witness.answer(invocation(polar, 2.0, 0.5, output_shape=(2,))))
    assert not remarks(answers)
    assert len(claims(answers)) == {reverse: 4, forward: 3}[witness]
    jacobian = polar_jacobian(2.0, 0.5)[None]
    assert max(residual(claim, jacobian) for claim in claims(answers)) < 1e-15


@pytest.mark.parametrize("witness", [reverse, forward])
def test_a_batch_is_one_call_with_its_own_direction_for_each_point(witness):
    calls = []

    def product(x, y):
        calls.append(x.shape)
        return x * torch.sin(y)

    x, y = np.array([1.0, -2.0, 3.0]), np.array([0.5, 0.25, 4.0])
    answers = said(witness.answer(batch(product, x, y)))
    jacobian = np.stack([np.sin(y), x * np.cos(y)], axis=1)[:, None, :]
    assert not remarks(answers)
    assert max(residual(claim, jacobian) for claim in claims(answers)) < 1e-15
    assert set(calls) == {(3,)}


def test_both_ways_of_reverse_mode_are_heard():
    answers = said(reverse.answer(invocation(torch.sin, 1.0)))
    assert [answer.label for answer in answers] == ["torch.autograd.grad", "Tensor.backward"]


@pytest.mark.parametrize(
    ("function", "factor"),
    [(Sine, 1.0), (PlainSine, 1.0), (SineOfWrongSign, -1.0), (lambda x: 0.99 * x.sin(), 0.99)],
)
def test_reverse_mode_tells_the_derivative_that_the_code_has_right_or_wrong(function, factor):
    call = getattr(function, "apply", function)
    jacobian = np.array([[[factor * math.cos(1.0)]]])
    answers = claims(reverse.answer(invocation(call, 1.0)))
    assert max(residual(claim, jacobian) for claim in answers) < 1e-15


def test_a_backward_that_ignores_its_cotangent_gives_itself_away():
    answers = claims(reverse.answer(invocation(SineThatIgnoresItsCotangent.apply, 1.0)))
    assert min(residual(claim, np.array([[[math.cos(1.0)]]])) for claim in answers) > 0.1


def test_a_culprit_in_forward_mode_gives_itself_away():
    (claim,) = forward.answer(invocation(SineWrongInForward.apply, 1.0))
    assert residual(claim, np.array([[[-math.cos(1.0)]]])) < 1e-15


@pytest.mark.parametrize("witness", [reverse, forward])
def test_the_gradient_of_an_unused_input_is_zero(witness):
    answers = claims(witness.answer(invocation(lambda x, y: x * x, 3.0, 4.0)))
    assert max(residual(claim, np.array([[[6.0, 0.0]]])) for claim in answers) == 0


@pytest.mark.parametrize("witness", [reverse, forward])
def test_the_gradient_of_a_constant_is_zero_and_the_label_says_why(witness):
    constant = invocation(lambda x: torch.ones((), dtype=x.dtype), 3.0)
    answers = said(witness.answer(constant))
    assert {(*answer.numbers.ravel().tolist(), "zeros" in answer.label) for answer in answers} == {
        (0.0, True)
    }


@pytest.mark.parametrize("witness", [reverse, forward])
def test_more_entries_than_eight_are_told_by_one_dense_direction(witness):
    x = np.linspace(-1, 1, 9)
    answers = said(witness.answer(invocation(torch.sin, x, output_shape=(9,))))
    assert len(answers) == {reverse: 2, forward: 1}[witness]
    assert max(residual(claim, np.diag(np.cos(x))[None]) for claim in answers) < 1e-15


@pytest.mark.parametrize("witness", [value, reverse, forward])
def test_tensors_without_elements_are_heard(witness):
    answers = said(witness.answer(invocation(torch.sin, [], output_shape=(0,))))
    assert not remarks(answers)
    assert {claim.numbers.size for claim in claims(answers)} == {0}


def test_a_function_without_jvp_is_an_abstention_with_its_reason():
    (finding,) = forward.answer(invocation(PlainSine.apply, 1.0))
    assert finding.ruling is Ruling.ABSTAIN
    assert finding.reason == (
        "You must implement the jvp function for custom autograd.Function to use it with forward "
        "mode AD. (write a jvp, or `without: {forward: why}` leaves forward mode out)"
    )


def test_the_value_is_told():
    (claim,) = value.answer(invocation(polar, 2.0, 0.0, output_shape=(2,)))
    assert claim.numbers.tolist() == [[2.0, 0.0]]


def test_float32_numbers_come_back_exactly():
    (claim,) = value.answer(invocation(lambda x: x / 3, 1.0, dtype="float32"))
    assert claim.numbers.tolist() == [[float(np.float32(1) / np.float32(3))]]


@pytest.mark.parametrize("witness", [value, reverse, forward])
@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x.reshape(1), "the result has shape [1], expected []"),
        (lambda x: x.float(), "the result has dtype torch.float32, expected torch.float64"),
        (lambda x: x.to("meta"), "the result is on meta, expected cpu"),
        (
            lambda x: (x, x),
            "the implementation returned a tuple of 2, expected one tensor: let `formula` name each"
            " output (`{first: ..., second: null}`, null for one that is not judged), or name a "
            "function that returns one of them",
        ),
        (lambda x: 1.0, "the implementation returned a float, expected one tensor"),
        (lambda x: 1 / 0, "raised ZeroDivisionError: division by zero"),
        (lambda x: x.reshape(2), "raised RuntimeError: shape '[2]' is invalid for input of size 1"),
    ],
)
def test_misconduct_is_a_disagreement_with_its_reason(witness, function, reason):
    answers = said(witness.answer(invocation(function, 1.0)))
    assert {(each.ruling, each.reason) for each in answers} == {(Ruling.DISAGREE, reason)}


def test_a_sparse_result_is_misconduct():
    (finding,) = value.answer(invocation(torch.Tensor.to_sparse, [1.0], output_shape=(1,)))
    assert finding.reason == (
        "the result has layout torch.sparse_coo, expected torch.strided: return it by to_dense()"
    )


@pytest.mark.parametrize(
    "function", [lambda x: x.mul_(2), lambda x: x.mul_(1), lambda x: x.data.add_(1) * 2]
)
def test_an_implementation_that_changes_its_input_is_convicted(function):
    (finding,) = remarks(value.answer(invocation(function, 1.0)))
    assert (finding.ruling, finding.reason) == (
        Ruling.DISAGREE,
        "the implementation changed its input 0",
    )


@pytest.mark.parametrize("witness", [reverse, forward])
def test_a_nan_is_a_number_like_any_other(witness):
    answers = claims(witness.answer(invocation(torch.sqrt, -1.0)))
    assert all(np.isnan(claim.numbers).all() for claim in answers)
