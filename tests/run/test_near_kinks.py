"""Beside a kink, what belongs to an input a few ulps away is not wrong; farther off it is."""

import numpy as np
import pytest
import torch
from culprits import case_of, check_of
from wrongs import BRIEF

from gradcheck.answer import Grade, Ruling
from gradcheck.judge.judge import RULINGS, OwnRounding
from gradcheck.query import Query
from gradcheck.run.joint_query import NO_PROMISES, JointQuery
from gradcheck.run.ruling import rule
from gradcheck.run.session import session_of


class Sparsemax(torch.autograd.Function):
    """Of two numbers, by bisection; the backward asks which are above the threshold."""

    @staticmethod
    def forward(context, x):
        low, high = x.max() - 1, x.max()
        for _ in range(60):
            middle = (low + high) / 2
            total = (x - middle).clamp(min=0).sum()
            low, high = torch.where(total > 1, middle, low), torch.where(total > 1, high, middle)
        shares = (x - high).clamp(min=0)
        context.save_for_backward(shares)
        return shares

    @staticmethod
    def backward(context, cotangent):
        (shares,) = context.saved_tensors
        support = (shares > context.threshold).to(cotangent.dtype)
        return support * (cotangent - (cotangent * support).sum() / support.sum())


class Right(Sparsemax):
    @staticmethod
    def forward(context, x):
        context.threshold = 0.0
        return Sparsemax.forward(context, x)


class Wrong(Sparsemax):
    """It takes no number into the support that is given less than a tenth."""

    @staticmethod
    def forward(context, x):
        context.threshold = 0.1
        return Sparsemax.forward(context, x)


FORMULA = "{formula: 'max(min((1 + [x[0] - x[1], x[1] - x[0]])/2, 1), 0)', order: 1, "
INPUT = "inputs: {x: {shape: [2], domain: '[0, 3]'}}, points: [{at: {x: [%s]}}]}"
BESIDE = FORMULA + INPUT % "2, 1.0000000000000002"  # 1 + 2**-52: the second share is 2**-53
APART = FORMULA + INPUT % "2, 1.00001"


def put(declaration, code, **changes):
    return rule(check_of(case_of(declaration, code, **changes), "reverse"), BRIEF)


def test_the_other_sides_derivative_is_stable_an_ulp_from_the_kink():
    outcome = put(BESIDE, Right.apply)
    assert outcome.verdict is Ruling.AGREE
    assert outcome.counts[Grade.STABLE.value] > 0


def test_the_same_derivative_is_wrong_where_the_kink_is_farther_away():
    assert put(APART, Right.apply).verdict is Ruling.AGREE
    assert put(APART, Wrong.apply).verdict is Ruling.DISAGREE


STEP = "{formula: 'where(x < 1, x**2, 3*x)', inputs: {x: '[0, 2]'}, points: [{at: {x: %s}}]}"


@pytest.mark.parametrize(
    ("at", "limit", "verdict"),
    [("0.9999999999999998", 1 - 2e-16, Ruling.AGREE), ("0.9999999", 0.9999998, Ruling.DISAGREE)],
)
def test_the_value_beyond_a_jump_too(at, limit, verdict):
    """The code jumps a little earlier than the formula."""

    def code(x):
        return torch.where(x < limit, x * x, 3 * x)

    assert rule(check_of(case_of(STEP % at, code), "value"), BRIEF).verdict is verdict


def test_a_number_of_neither_side_is_wrong_beside_a_kink():
    def code(x):
        return torch.where(x < 1, torch.where(x > 1 - 1e-15, 0 * x + 2, x * x), 3 * x)

    declaration = STEP % "0.9999999999999998"
    assert rule(check_of(case_of(declaration, code), "value"), BRIEF).verdict is Ruling.DISAGREE


@pytest.mark.parametrize(("at", "ruling"), [(1 - 2.0**-52, "agree"), (0.9999999, "disagree")])
def test_whole_jacobians_too(at, ruling):
    """There two sides of the question are free: the outputs and the inputs."""
    declaration = STEP.replace("'[0, 2]'", "{shape: [2], domain: '[0, 2]'}") % "[1/2, 3/2]"
    session = session_of(check_of(case_of(declaration, lambda x: x), "reverse"))
    later = np.array([[3.0, 0.0, 0.0, 3.0]])  # beyond the jump the slope is 3
    asked = JointQuery.of(session, [Query.of_all(1)], [np.array([[at, 1.5]])], later, NO_PROMISES)
    _, judged = asked.judged(lambda mask, _: OwnRounding.unknown(mask.shape, ""))
    assert RULINGS[judged.ruling[0, 0]] == ruling
    assert [RULINGS[each] for each in judged.ruling[0, 1:]] == ["agree"] * 3
