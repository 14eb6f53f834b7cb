"""Several outputs: each is judged, all are differentiated together and each alone."""

from collections import namedtuple

import numpy as np
import pytest
import torch
from invocations import batch, claims, invocation, labels, residual, said

from gradcheck.answer import Ruling
from gradcheck.methods import forward, gradcheck, reverse, second, third, value
from gradcheck.query import Port

PAIR = (Port("out", (2,)), Port("total", ()))
JACOBIAN = np.array([[[4.0, 0.0], [3.0, 2.0], [1.0, 1.0]]])  # of [x², xy], x + y at (2, 3)
HESSIAN = np.zeros((1, 3, 2, 2))
HESSIAN[0, 0, 0, 0] = 2.0
HESSIAN[0, 1, 0, 1] = HESSIAN[0, 1, 1, 0] = 1.0


def pair(x, y):
    return torch.stack([x * x, x * y]), x + y


def point(function, ports=PAIR, **options):
    return invocation(function, 2.0, 3.0, outputs=ports, **options)


Named = namedtuple("Named", ["out", "total"])


@pytest.mark.parametrize("gather", [tuple, list, lambda both: Named(*both)])
def test_outputs_come_in_any_sequence_and_are_joined_in_order(gather):
    (claim,) = said(value.answer(point(lambda x, y: gather(pair(x, y)))))
    assert claim.numbers.tolist() == [[4.0, 6.0, 5.0]]


def test_every_row_and_column_of_the_jacobian_is_right():
    backward, push = said(reverse.answer(point(pair))), said(forward.answer(point(pair)))
    assert len(backward) == (1 + 3) + 1
    assert len(push) == 1 + 2
    assert max(residual(claim, JACOBIAN) for claim in (*backward, *push)) == 0


@pytest.mark.parametrize("witness", [second, third])
def test_higher_derivatives_contract_all_outputs(witness):
    expected = {second: HESSIAN, third: np.zeros((1, 3, 2, 2, 2))}[witness]
    answers = said(witness.answer(point(pair)))
    assert max(residual(claim, expected) for claim in claims(answers)) == 0


def test_outputs_of_a_batch_have_an_axis_of_points_each():
    ports = (Port("product", ()), Port("total", ()))
    points = batch(lambda x, y: (x * y, x + y), [2.0, -1.0], [3.0, 0.5], outputs=ports)
    jacobian = np.array([[[3.0, 2.0], [1.0, 1.0]], [[0.5, -1.0], [1.0, 1.0]]])
    (claim,) = said(value.answer(points))
    assert claim.numbers.tolist() == [[6.0, 5.0], [-0.5, -0.5]]
    answers = [*said(reverse.answer(points)), *said(forward.answer(points))]
    assert max(residual(each, jacobian) for each in answers) == 0


def test_an_output_that_is_not_judged_may_be_anything():
    ports = (None, Port("total", ()), None)
    (claim,) = said(value.answer(point(lambda x, y: (None, x + y, "words"), ports)))
    assert claim.numbers.tolist() == [[5.0]]
    answers = said(reverse.answer(point(lambda x, y: (x * y, x + y, 0), ports)))
    assert max(residual(each, JACOBIAN[:, 2:]) for each in answers) == 0


@pytest.mark.parametrize("result", [lambda x: x, lambda x: (x,), lambda x: [x]])
def test_a_single_output_with_a_name_may_come_alone(result):
    (claim,) = said(value.answer(invocation(result, 2.0, outputs=(Port("out", ()),))))
    assert claim.numbers.tolist() == [[2.0]]


class SecondOutputWrong(torch.autograd.Function):
    """Right by its first output."""

    factor = 2.0

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.sin(), x * x

    @staticmethod
    def backward(context, first, second):
        (x,) = context.saved_tensors
        return first * x.cos() + SecondOutputWrong.factor * second * x


def test_a_backward_wrong_in_the_second_output_is_right_in_the_first_alone(monkeypatch):
    ports = (Port("sine", ()), Port("square", ()))
    jacobian = np.array([[[np.cos(2.0)], [4.0]]])
    both, first, other, _ = right = said(
        reverse.answer(invocation(SecondOutputWrong.apply, 2.0, outputs=ports))
    )
    assert max(residual(claim, jacobian) for claim in right) < 1e-15
    monkeypatch.setattr(SecondOutputWrong, "factor", 3.0)
    both, first, other, _ = said(
        reverse.answer(invocation(SecondOutputWrong.apply, 2.0, outputs=ports))
    )
    assert residual(first, jacobian) < 1e-15
    assert min(residual(claim, jacobian) for claim in (both, other)) > 0.1


class NeedsBothCotangents(SecondOutputWrong):
    """Wrong where one output alone is differentiated: the other's cotangent is None then."""

    @staticmethod
    def forward(context, x):
        context.set_materialize_grads(False)
        return SecondOutputWrong.forward(context, x)

    @staticmethod
    def backward(context, first, second):
        (x,) = context.saved_tensors
        return None if first is None or second is None else first * x.cos() + 2 * second * x


@pytest.mark.parametrize("size", [1, 9])
def test_each_output_is_differentiated_alone_as_users_do(size):
    ports = (Port("sine", (size,)), Port("square", (size,)))
    x = np.linspace(1, 2, size)
    jacobian = np.concatenate([np.diag(np.cos(x)), np.diag(2 * x)])[None]
    answers = said(reverse.answer(invocation(NeedsBothCotangents.apply, x, outputs=ports)))
    wrong = [residual(claim, jacobian) > 0.1 for claim in answers]
    assert wrong == [False] + [True] * 2 + [False]


def test_an_output_that_is_not_differentiable_gives_zeros_and_is_named():
    answers = said(reverse.answer(point(lambda x, y: (pair(x, y)[0], (x + y).detach()))))
    detached = "torch.autograd.grad (output 'total' does not require grad: zeros)"
    assert labels(answers)[:2] == [detached, "torch.autograd.grad"]
    (claim, *_) = said(forward.answer(point(lambda x, y: (pair(x, y)[0], (x + y).detach()))))
    assert claim.label.endswith("(output 'total' has no tangent: zeros)")


def test_finite_differences_hold_every_output_against_its_derivative():
    from invocations import FINE

    (held,) = gradcheck.answer(point(pair, first=FINE, order=1))
    assert (held.ruling, held.entries) == (Ruling.AGREE, 6)
    ports = (Port("sine", ()), Port("square", ()))
    wrong = type("Wrong", (SecondOutputWrong,), {"backward": staticmethod(
        lambda context, first, second: first * context.saved_tensors[0].cos()
    )})  # fmt: skip
    (failed,) = gradcheck.answer(invocation(wrong.apply, 2.0, outputs=ports, first=FINE, order=1))
    assert failed.ruling is Ruling.DISAGREE


@pytest.mark.parametrize("witness", [value, reverse, forward, second, third])
@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (
            lambda x, y: x + y,
            "the implementation returned a Tensor, expected 2 outputs in a tuple or a list, as the "
            "formula names them: out, total",
        ),
        (
            lambda x, y: (*pair(x, y), x),
            "the implementation returned a tuple of 3, expected 2 outputs in a tuple or a list, as "
            "the formula names them: out, total",
        ),
        (lambda x, y: (pair(x, y)[0], 5.0), "output 'total' is a float, expected a tensor"),
        (lambda x, y: pair(x, y)[::-1], "output 'out' has shape [], expected [2]"),
        (
            lambda x, y: (pair(x, y)[0], (x + y).float()),
            "output 'total' has dtype torch.float32, expected torch.float64",
        ),
        (
            lambda x, y: (pair(x, y)[0], (x + y).to("meta")),
            "output 'total' is on meta, expected cpu",
        ),
    ],
    ids=["one", "three", "a number", "swapped", "dtype", "device"],
)
def test_what_is_wrong_with_an_output_is_said_with_its_name(witness, function, reason):
    answers = said(witness.answer(point(function)))
    assert {(each.ruling, each.reason) for each in answers} == {(Ruling.DISAGREE, reason)}
