"""Code as its author wrote it: a mistake that only `call` or `parameters` reaches is convicted.

Each culprit has a twin in the same words that is right.
"""

from dataclasses import replace

import pytest
import torch
from culprits import case_of, check_of

from gradcheck.answer import Ruling, RunOptions
from gradcheck.diagnosis.examination import KEEPS_STATE, examine
from gradcheck.run.ruling import Examination

FEW = RunOptions(points=8)
"""A mistake in a formula shows at the first points."""


def ruled(case, witness="reverse"):
    """The outcome, without a diagnosis, which has tests of its own and takes its time."""
    examination = Examination(check_of(case, witness), FEW)
    examination.run()
    return examination.outcome()


def verdict(case, witness="reverse"):
    return ruled(case, witness).verdict


class Attention(torch.autograd.Function):
    """Attention and its log-sum-exp; the backward takes a ``share`` of the latter's cotangent."""

    @staticmethod
    def forward(ctx, *given):
        q, k, v, scale, share = given
        scores = q @ k.mT * scale
        weights = scores.softmax(-1)
        out = weights @ v
        ctx.save_for_backward(q, k, v, weights, out)
        ctx.scale, ctx.share = scale, share
        return out, scores.logsumexp(-1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g, g_lse):
        q, k, v, weights, out = ctx.saved_tensors
        slope = g @ v.mT - (g * out).sum(-1, keepdim=True) + ctx.share * g_lse[:, None]
        slope = weights * slope * ctx.scale
        return slope @ k, slope.mT @ q, weights.mT @ g, None, None


def attention(tensors, options):
    out, lse = Attention.apply(*tensors, options["scale"], options["share"])
    return {"rest": [lse, None], "out": out}


ATTENTION = (
    "{inputs: {q: {shape: [1, 1], domain: '(-2, 2)'}, k: {shape: [2, 1], domain: '(-2, 2)'}, "
    "v: {shape: [2, 1], domain: '(-2, 2)'}}, let: {s: 'exp(q @ k.T / 2)'}, "
    "formula: {out: 's @ v / sum(s, dim=1, keepdim=True)', lse: 'log(sum(s, dim=1))'}, "
    "sweep: {share: [%d]}, order: 1, function: 'm:f', call: '%s'}"
)
CALLED = 'f([q, k, v], {"scale": 0.5, "share": share})'
OUTPUTS = f'{{"lse": {CALLED}["rest"][0], "out": {CALLED}["out"]}}'


@pytest.mark.parametrize(("share", "expected"), [(1, Ruling.AGREE), (0, Ruling.DISAGREE)])
def test_a_cotangent_of_the_second_output_that_is_thrown_away(share, expected):
    assert verdict(case_of(ATTENTION % (share, OUTPUTS), attention)) is expected


class Scaling(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, factor):
        ctx.save_for_backward(x, w)
        ctx.factor = factor
        return x * w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g * w, ctx.factor * (g * x).sum(0), None


class Scaled(torch.nn.Module):
    """A module whose weight's gradient is multiplied by a factor."""

    def __init__(self, factor):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        self.factor = factor

    def forward(self, x, *, negate=False):
        found = Scaling.apply(x, self.weight, self.factor)
        return -found if negate else found


PLACED = (
    "{inputs: {x: {shape: [3, 2]}, w: {shape: [2]}}, order: 1, function: 'm:f', "
    "parameters: {weight: w}, "
)


@pytest.mark.parametrize(("factor", "expected"), [(1, Ruling.AGREE), (2, Ruling.DISAGREE)])
@pytest.mark.parametrize("how", ["formula: x*w}", "formula: -x*w, call: 'f(x, negate=True)'}"])
def test_a_wrong_gradient_of_a_parameter(how, factor, expected):
    assert verdict(case_of(PLACED + how, Scaled(factor))) is expected


def test_a_wrong_gradient_of_a_parameter_is_not_seen_where_the_parameter_is_no_input():
    unplaced = (
        "{inputs: {x: {shape: [3, 2]}}, constants: {w: [1.0, 2.0]}, formula: x*w, order: 1, "
        "function: 'm:f'}"
    )
    assert verdict(case_of(unplaced, Scaled(2))) is Ruling.AGREE


@pytest.mark.parametrize(("factor", "expected"), [(2, Ruling.AGREE), (1, Ruling.DISAGREE)])
def test_a_wrong_gradient_of_an_argument_that_is_given_by_its_name(factor, expected):
    class Power(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, b):
            ctx.save_for_backward(x, b)
            return x * b**2

        @staticmethod
        def backward(ctx, g):
            x, b = ctx.saved_tensors
            return g * b**2, factor * g * x * b

    def power(x, *, base):
        return Power.apply(x, base)

    case = "{inputs: {x: real, b: real}, formula: x*b**2, function: 'm:f', call: 'f(x, base=b)'}"
    assert verdict(case_of(case, power)) is expected


def relu_(x):
    return x.relu_()


def test_an_operator_that_writes_into_its_argument_is_called_on_a_clone():
    case = "{inputs: {x: real}, formula: 'max(x, 0)', order: 1, function: 'm:f', call: %s}"
    assert verdict(case_of(case % "f(x.clone())", relu_)) is Ruling.AGREE
    assert verdict(case_of(case % "f(x)", relu_)) is Ruling.DISAGREE


class Rounded(torch.autograd.Function):
    """Rounding whose backward passes the gradient, as if it were not there."""

    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, g):
        return g


def test_a_meant_gradient_is_stated_by_stop():
    case = "{inputs: {x: '(-3, 3)'}, formula: %s, function: 'm:f'}"
    assert verdict(case_of(case % "x + stop(round(x) - x)", Rounded)) is Ruling.AGREE
    assert verdict(case_of(case % "round(x)", Rounded)) is Ruling.DISAGREE


class Counting(torch.nn.Module):
    """It gives more with each call, unless it does not drift."""

    def __init__(self, drift):
        super().__init__()
        self.drift = drift
        self.register_buffer("count", torch.zeros(()))
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, x):
        self.count += 1
        return x * self.weight * (1 + self.drift * self.count)


COUNTED = (
    "{inputs: {x: {shape: [2], domain: '(1, 2)'}, w: '(1, 2)'}, formula: x*w, function: 'm:f', "
    "parameters: {weight: w}}"
)


def test_a_buffer_that_changes_what_a_module_gives_is_noticed_and_one_that_does_not_is_none():
    found = examine(check_of(case_of(COUNTED, Counting(1)), "value"), FEW)
    assert (found.verdict, found.blame) == (Ruling.DISAGREE, KEEPS_STATE)
    assert verdict(case_of(COUNTED, Counting(0))) is Ruling.AGREE


class Centered(torch.nn.Module):
    """It keeps a running mean by assignment, as a training step does; it may be used too."""

    def __init__(self, share):
        super().__init__()
        self.share = share
        self.register_buffer("running", torch.zeros((), dtype=torch.float64))

    def forward(self, x):
        with torch.no_grad():
            self.running = 0.9 * self.running + 0.1 * x.mean()
        return x - x.mean() + self.share * self.running


@pytest.mark.parametrize(("share", "expected"), [(0, Ruling.AGREE), (1, Ruling.DISAGREE)])
def test_what_a_module_assigns_to_a_buffer_stays_in_no_transform(share, expected):
    centered = (
        "{inputs: {x: {shape: [3], domain: '(1, 2)'}}, formula: x - mean(x), function: 'm:f'}"
    )
    assert verdict(case_of(centered, Centered(share)), "functional") is expected


class Cube(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, n):
        return x**n

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.n = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * ctx.n * x ** (ctx.n - 1), None

    @staticmethod
    def jvp(ctx, tangent, _):
        (x,) = ctx.saved_tensors
        return tangent * ctx.n * x ** (ctx.n - 1)


class CubeWithoutJvp(Cube):
    jvp = staticmethod(torch.autograd.Function.jvp)


@torch.library.custom_op("gradcheck_tests_own::cube", mutates_args=())
def operator(x: torch.Tensor, n: int) -> torch.Tensor:
    return x**n


operator.register_autograd(
    lambda ctx, g: (g * ctx.n * ctx.saved_tensors[0] ** (ctx.n - 1), None),
    setup_context=lambda ctx, inputs, output: (
        ctx.save_for_backward(inputs[0]),
        setattr(ctx, "n", inputs[1]),
    )[0],
)
CUBED = "{inputs: {x: real}, formula: x**3, function: 'm:f', call: 'f(x, 3)'}"


@pytest.mark.parametrize("function", [Cube, CubeWithoutJvp, operator])
def test_what_takes_a_number_beside_its_input_is_right_in_reverse_mode(function):
    assert verdict(case_of(CUBED, function)) is Ruling.AGREE


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (Cube, (Ruling.AGREE, Ruling.AGREE)),
        (CubeWithoutJvp, (Ruling.ABSTAIN, Ruling.DISAGREE)),
        (operator, (Ruling.ABSTAIN, Ruling.DISAGREE)),
    ],
)
def test_a_missing_rule_abstains_unless_the_case_requires_the_witness(function, expected):
    case = case_of(CUBED, function)
    required = replace(case, requires=("forward",))
    assert (verdict(case, "forward"), verdict(required, "forward")) == expected


def test_what_is_required_and_missing_is_told():
    case = case_of(CUBED, CubeWithoutJvp, requires=("forward",))
    assert ruled(case, "forward").reason == (
        "the forward mode is missing, which the case requires: You must implement the jvp function "
        "for custom autograd.Function to use it with forward mode AD. (write a jvp, or `without: "
        "{forward: why}` leaves forward mode out)"
    )
