"""The third witness: three compositions, one third derivative."""

import numpy as np
import pytest
import torch
from invocations import (
    PlainSine,
    Sine,
    SineDetached,
    SineOnce,
    batch,
    claims,
    invocation,
    labels,
    remarks,
    residual,
    said,
)

from gradcheck.answer import Ruling
from gradcheck.methods import second, third

THREE = [
    "reverse over reverse over reverse",
    "forward over reverse over reverse",
    "forward over forward over reverse",
]


def of_x_cubed_times_y(x, y):
    """All third derivatives of x³y, [2, 2, 2]: written by hand."""
    found = np.zeros((2, 2, 2))
    found[0, 0, 0] = 6 * y
    found[0, 0, 1] = found[0, 1, 0] = found[1, 0, 0] = 6 * x
    return found


def test_all_three_find_the_third_derivatives_of_x_cubed_times_y():
    answers = said(third.answer(invocation(lambda x, y: x**3 * y, 3.0, 5.0)))
    assert labels(answers) == THREE
    assert len(answers) == 3 * 3  # three pairs of two tangents each
    derivatives = of_x_cubed_times_y(3.0, 5.0)[None, None]
    assert max(residual(claim, derivatives) for claim in claims(answers)) == 0


def test_all_three_act_on_a_batch():
    x, y = [3.0, -1.0, 0.5], [5.0, 2.0, -4.0]
    answers = said(third.answer(batch(lambda x, y: x**3 * y, x, y)))
    derivatives = np.stack([of_x_cubed_times_y(*point)[None] for point in zip(x, y, strict=True)])
    assert labels(answers) == THREE
    assert max(residual(claim, derivatives) for claim in claims(answers)) == 0


def test_more_than_three_entries_are_told_by_dense_directions():
    x = np.linspace(-1, 1, 5)
    derivatives = np.zeros((1, 1, 5, 5, 5))
    derivatives[0, 0, range(5), range(5), range(5)] = 24 * x
    answers = said(third.answer(invocation(lambda x: (x**4).sum(), x)))
    assert len(answers) == 3
    assert max(residual(claim, derivatives) for claim in answers) < 1e-13


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: 3 * x,
        lambda x, y: x * y,
        lambda x, y: torch.ones((), dtype=x.dtype),
        lambda x, y: x.detach() * 2,
    ],
)
def test_derivatives_that_vanish_are_zeros(function):
    answers = said(third.answer(invocation(function, 3.0, 5.0)))
    assert labels(answers) == THREE
    assert max(residual(claim, np.zeros((1, 1, 2, 2, 2))) for claim in answers) == 0


class Cosine(torch.autograd.Function):
    """Its backward leaves the graph, so that what uses it once more finds a zero."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.cos()

    @staticmethod
    def backward(context, cotangent):
        return -cotangent * context.saved_tensors[0].detach().sin()


class SineRightToOrderTwo(PlainSine):
    @staticmethod
    def backward(context, cotangent):
        return cotangent * Cosine.apply(context.saved_tensors[0])


def test_a_third_derivative_that_vanishes_is_seen_where_the_second_is_right():
    point = invocation(SineRightToOrderTwo.apply, 1.0)
    two, three = next(iter(second.answer(point))), next(iter(third.answer(point)))
    assert residual(two, np.full((1, 1, 1, 1), -np.sin(1.0))) < 1e-15
    assert residual(three, np.full((1, 1, 1, 1, 1), -np.cos(1.0))) > 0.1
    assert three.numbers.tolist() == [[0.0]]


def test_its_twin_is_right():
    first = next(iter(third.answer(invocation(PlainSine.apply, 1.0))))
    assert residual(first, np.full((1, 1, 1, 1, 1), -np.cos(1.0))) < 1e-15


def test_a_backward_that_leaves_the_graph_gives_zeros():
    first = next(iter(third.answer(invocation(SineDetached.apply, 1.0))))
    assert first.numbers.tolist() == [[0.0]]


def test_a_backward_that_is_differentiable_once_abstains_and_names_the_order_to_state():
    first = next(iter(third.answer(invocation(SineOnce.apply, 1.0))))
    assert first.ruling is Ruling.ABSTAIN
    assert first.reason.endswith("(`order: 2` leaves third derivatives out)")


@pytest.mark.skipif(not torch.__version__.startswith("2.13"), reason="a defect of PyTorch 2.13")
def test_nested_forward_mode_of_an_own_function_is_not_believed():
    *others, last = third.answer(invocation(lambda x: 2 * Sine.apply(x) + x, 1.0, own_code=True))
    assert [claim.label for claim in claims(others)] == THREE[:2]
    assert max(residual(claim, np.full((1,) * 5, -2 * np.cos(1.0))) for claim in others) < 1e-15
    assert (last.label, last.ruling) == (THREE[2], Ruling.ABSTAIN)
    assert last.reason.endswith("https://github.com/pytorch/pytorch/issues/197867")


def test_a_missing_capability_is_an_abstention_of_its_composition_only():
    answers = said(third.answer(invocation(PlainSine.apply, 1.0)))
    assert labels(answers) == THREE
    assert [claim.label for claim in claims(answers)] == THREE[:1]
    assert {remark.ruling for remark in remarks(answers)} == {Ruling.ABSTAIN}


def test_an_exception_is_a_disagreement():
    def refuse(x):
        raise ValueError("not today")

    answers = said(third.answer(invocation(refuse, 1.0)))
    assert {(answer.ruling, answer.reason) for answer in answers} == {
        (Ruling.DISAGREE, "raised ValueError: not today")
    }


def test_what_pytorch_gets_wrong_of_an_operator_is_not_laid_on_the_code_that_calls_it():
    softmax = lambda x: torch.softmax(x, 0)[0]  # noqa: E731
    mine = labels_of_numbers(softmax, own_code=True)
    assert THREE[0] in mine
    assert set(mine) <= set(labels_of_numbers(softmax))


def labels_of_numbers(function, **options):
    return labels(claims(third.answer(invocation(function, [0.5, 1.0], **options))))
