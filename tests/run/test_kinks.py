"""Where no derivative exists: the hull of the one-sided ones, or what PyTorch promises."""

import math

import pytest
import torch
from wrongs import ruled

from gradcheck.answer import Ruling

RELU = "{formula: 'max(x, 0)', inputs: {x: real}, order: 1, points: [{at: {x: 0}%s}]}"
PROMISE = ", convention: {x: 0}, because: documented"


def relu_like(slope):
    """max(x, 0) whose gradient at 0 is ``slope``."""

    class Relu(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(context, cotangent):
            (x,) = context.saved_tensors
            return cotangent * torch.where(x == 0, slope, (x > 0).to(x.dtype))

    return Relu.apply


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_any_subgradient_agrees_at_a_kink(slope):
    assert ruled(RELU % "", function=relu_like(slope)).verdict is Ruling.AGREE


@pytest.mark.parametrize("slope", [-0.5, 1.5, math.nan])
def test_what_is_no_subgradient_disagrees_at_a_kink(slope):
    outcome = ruled(RELU % "", function=relu_like(slope))
    assert outcome.verdict is Ruling.DISAGREE
    assert outcome.smallest[0].at == {"x": 0.0}
    assert outcome.smallest[0].true.startswith("[")


LARGEST = (
    "{formula: 'amax(x)', inputs: {x: {shape: [3]}}, order: 1, points: [{at: {x: [2, 2, 1]}}]}"
)


def largest(share):
    """The largest of three numbers; at a tie each has ``share`` of the gradient."""

    class Largest(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            return x.amax()

        @staticmethod
        def backward(context, cotangent):
            (x,) = context.saved_tensors
            is_largest = (x == x.amax()).to(x.dtype)
            return cotangent * is_largest * share(is_largest)

    return Largest.apply


@pytest.mark.parametrize("share", [lambda most: 1 / most.sum(), lambda most: most.cumsum(0) == 1])
def test_a_mixture_of_branches_agrees_at_a_tie(share):
    assert ruled(LARGEST, function=largest(share)).verdict is Ruling.AGREE


@pytest.mark.parametrize("witness", ["reverse", "contract"])
def test_what_each_branch_of_a_tie_has_alone_disagrees_together(witness):
    """Each entry is one that some branch has, and the sum of them is 2 where it is 1 in all."""
    outcome = ruled(LARGEST, witness, function=largest(lambda _most: 1.0))
    assert outcome.verdict is Ruling.DISAGREE
    assert all(len(set(entry.at["x"])) < 3 for entry in outcome.failures)


FLAT = "{formula: 'abs(x) - max(x, -x)', inputs: {x: real}, order: 1, points: [{at: {x: 0}}]}"


def flat(slope):
    """0, with a gradient that is ``slope`` at 0."""

    class Flat(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            return 0 * x

        @staticmethod
        def backward(context, cotangent):
            (x,) = context.saved_tensors
            return cotangent * torch.where(x == 0, slope, 0 * x)

    return Flat.apply


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("slope", "verdict"), [(0.0, Ruling.AGREE), (1.0, Ruling.DISAGREE)])
def test_how_far_branches_lie_apart_explains_nothing_where_their_sum_is_smooth(
    slope, verdict, dtype
):
    assert ruled(FLAT, function=flat(slope), dtype=dtype).verdict is verdict


def test_a_convention_is_honoured():
    assert ruled(RELU % PROMISE, function=relu_like(0.0)).verdict is Ruling.AGREE
    assert ruled(RELU % PROMISE, function=torch.relu).verdict is Ruling.AGREE


def test_another_subgradient_than_the_promised_one_disagrees():
    outcome = ruled(RELU % PROMISE, function=relu_like(1.0))
    assert outcome.verdict is Ruling.DISAGREE
    assert {entry.at["x"] for entry in outcome.smallest} == {0.0}
    assert outcome.blame.startswith("the backward is wrong")


def test_a_convention_binds_forward_mode_too():
    outcome = ruled(RELU % PROMISE, "forward", function=torch.relu)
    assert outcome.verdict is Ruling.AGREE


# second derivatives, and jumps: where nothing exists nothing is judged

ONLY_AT_ZERO = "{formula: %s, inputs: {x: '[0, 0]'}, points: [{at: {x: 0}%s}]}"


@pytest.mark.parametrize("formula", ["abs(x)", "'max(x, 0)'", "'where(x > 0, x, 2*x)'"])
def test_where_the_first_derivative_is_a_hull_there_is_no_second(formula):
    assert ruled(ONLY_AT_ZERO % (formula, "")).counts["agree"] > 0
    second = ruled(ONLY_AT_ZERO % (formula, ""), "second")
    assert (second.entries, second.abstained > 0) == (0, True)


@pytest.mark.parametrize("formula", ["floor(x)", "x + sign(x)", "'where(x > 0, 1 + x, x)'"])
def test_at_a_jump_there_is_no_derivative_but_what_is_promised(formula):
    silent = ruled(ONLY_AT_ZERO % (formula, ""))
    assert (silent.entries, silent.abstained > 0) == (0, True)
    promised = ruled(ONLY_AT_ZERO % (formula, ", convention: {x: 7}"))
    assert promised.verdict is Ruling.DISAGREE
    assert promised.counts["disagree"] > 0


LARGEST_ALONE = """{{
  let: {{top: "amax(x, dim=1, keepdim=True)", share: "exp(x)/sum(exp(x), dim=1, keepdim=True)"}},
  formula: "where(x {comparison} top, share, 0)",
  inputs: {{x: {{shape: [2, 2], domain: "(-3, 3)"}}}},
  where: "amin(abs(x[:, 0] - x[:, 1])) > 1/100",
  order: 1}}"""


def largest_alone(x, constant):
    """The softmax where it is largest, as a router gives it."""
    x = x - (x.detach() if constant else x).logsumexp(-1, keepdim=True)  # wrong where constant
    return x.exp() * torch.nn.functional.one_hot(x.argmax(-1), 2)


@pytest.mark.parametrize("comparison", [">=", "=="])
@pytest.mark.parametrize(("constant", "verdict"), [(True, "disagree"), (False, "agree")])
def test_an_entry_beside_the_largest_which_it_is_meets_no_boundary(comparison, constant, verdict):
    outcome = ruled(
        LARGEST_ALONE.format(comparison=comparison),
        function=lambda x: largest_alone(x, constant=constant),
    )
    assert outcome.verdict == verdict
    assert not outcome.abstained
