"""The second witness: four compositions, one Hessian."""

import numpy as np
import pytest
import torch
from invocations import (
    PlainSine,
    Sine,
    SineDetached,
    SineOfWrongSign,
    SineOnce,
    batch,
    claims,
    invocation,
    labels,
    residual,
    said,
)

from gradcheck.answer import Ruling
from gradcheck.methods import second

FOUR = [
    "reverse over reverse",
    "forward over reverse",
    "reverse over forward",
    "forward over forward",
]


def test_all_four_find_the_hessian_of_x_squared_times_y():
    answers = said(second.answer(invocation(lambda x, y: x**2 * y, 3.0, 5.0)))
    assert labels(answers) == FOUR
    assert len(answers) == 2 + 2 + 2 + 3
    hessian = np.array([[10.0, 6.0], [6.0, 0.0]])[None, None]
    assert max(residual(claim, hessian) for claim in claims(answers)) == 0


def test_all_four_act_on_a_batch():
    x, y = np.array([3.0, -1.0, 0.5]), np.array([5.0, 2.0, -4.0])
    answers = said(second.answer(batch(lambda x, y: x**2 * y, x, y)))
    hessian = np.stack([2 * y, 2 * x, 2 * x, 0 * x], axis=1).reshape(3, 1, 2, 2)
    assert labels(answers) == FOUR
    assert max(residual(claim, hessian) for claim in claims(answers)) == 0


def test_the_outputs_of_a_vector_function_are_contracted_or_free():
    answers = said(
        second.answer(
            invocation(
                lambda x: torch.stack([x[0] ** 3, x[0] * x[1]]), [2.0, 7.0], output_shape=(2,)
            )
        )
    )
    hessian = np.array([[[12.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]])[None]
    assert labels(answers) == FOUR
    assert max(residual(claim, hessian) for claim in claims(answers)) == 0


def test_more_than_six_entries_are_told_by_dense_directions():
    x = np.linspace(-1, 1, 7)
    answers = said(second.answer(invocation(lambda x: (x**3).sum(), x)))
    assert len(answers) == 4
    assert max(residual(claim, np.diag(6 * x)[None, None]) for claim in answers) < 1e-14


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: 3 * x,
        lambda x, y: x + y,
        lambda x, y: torch.ones((), dtype=x.dtype),
        lambda x, y: x.detach() * 2,
    ],
)
def test_derivatives_that_vanish_are_zeros(function):
    answers = said(second.answer(invocation(function, 3.0, 5.0)))
    assert labels(answers) == FOUR
    assert max(residual(claim, np.zeros((1, 1, 2, 2))) for claim in answers) == 0


def test_an_own_function_is_heard_wherever_pytorch_can():
    answers = said(second.answer(invocation(Sine.apply, 1.0, own_code=True)))
    hessian = np.full((1, 1, 1, 1), -np.sin(1.0))
    assert [claim.label for claim in claims(answers)][:3] == FOUR[:3]
    assert max(residual(claim, hessian) for claim in claims(answers)) < 1e-15


@pytest.mark.skipif(not torch.__version__.startswith("2.13"), reason="a defect of PyTorch 2.13")
def test_nested_forward_mode_of_an_own_function_is_not_believed():
    *_, last = second.answer(invocation(lambda x: 2 * Sine.apply(x) + x, 1.0, own_code=True))
    assert (last.label, last.ruling) == (FOUR[3], Ruling.ABSTAIN)
    assert last.reason.endswith("https://github.com/pytorch/pytorch/issues/197867")


def half_square(x):
    return 0.5 * x * x


def widened(x):
    return (x * x).double()


def of_forward_over_forward(function, **settings):
    answers = second.answer(invocation(function, 3.0, dtype="float32", **settings))
    return [answer for answer in answers if answer.label == second.FORWARD_FORWARD]


def stacked_half_square(x):
    return torch.stack([half_square(x)])


@pytest.mark.parametrize("function", [half_square, stacked_half_square])
def test_that_pytorch_promotes_a_python_float_is_not_laid_on_the_user(function):
    shape = np.shape(function(torch.zeros(())))
    (mine,) = of_forward_over_forward(function, own_code=True, output_shape=shape)
    assert (mine.ruling, mine.incapable) == (Ruling.ABSTAIN, True)
    assert mine.reason.endswith("https://github.com/pytorch/pytorch/issues/90065")
    (theirs,) = of_forward_over_forward(function, output_shape=shape)
    assert theirs.ruling is Ruling.DISAGREE


def test_a_result_of_another_dtype_is_the_users_own_doing():
    (finding,) = of_forward_over_forward(widened, own_code=True)
    assert finding.ruling is Ruling.DISAGREE
    assert finding.reason == "the result has dtype torch.float64, expected torch.float32"


def test_a_wrong_backward_gives_itself_away_where_it_is_used():
    answers = claims(second.answer(invocation(SineOfWrongSign.apply, 1.0)))
    right = np.full((1, 1, 1, 1), -np.sin(1.0))
    wrong = {claim.label for claim in answers if residual(claim, right) > 0.1}
    assert {FOUR[0], FOUR[1]} <= wrong


def test_a_missing_capability_is_an_abstention_of_its_composition_only():
    answers = said(second.answer(invocation(PlainSine.apply, 1.0)))
    assert labels(answers) == FOUR
    assert [claim.label for claim in claims(answers)] == [FOUR[0]]
    assert {answer.ruling for answer in answers[1:]} == {Ruling.ABSTAIN}


def test_a_backward_that_is_differentiable_once_abstains():
    first = next(iter(second.answer(invocation(SineOnce.apply, 1.0))))
    assert first.ruling is Ruling.ABSTAIN
    assert "once_differentiable" in first.reason


def test_a_backward_that_leaves_the_graph_gives_zeros():
    first = next(iter(second.answer(invocation(SineDetached.apply, 1.0))))
    assert first.numbers.tolist() == [[0.0]]


def test_an_exception_is_a_disagreement():
    def refuse(x):
        raise ValueError("not today")

    answers = said(second.answer(invocation(refuse, 1.0)))
    assert {answer.ruling for answer in answers} == {Ruling.DISAGREE}
    assert {answer.reason for answer in answers} == {"raised ValueError: not today"}
