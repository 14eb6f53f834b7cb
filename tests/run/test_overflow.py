"""NaN and infinity where the truth is finite: whose overflow is it? One rule for all modes."""

import pytest
import torch
from wrongs import ChangedGradient, ruled

import gradcheck
from gradcheck.answer import Ruling, RunOptions

CUBIC = (
    "{formula: 'u**3 + v**2 + 4*u*v', inputs: {u: '[9e24, 2e25]', v: '[1, 2]'},"
    " points: [{at: {u: 1e25, v: 1}}]}"
)
MODES = ("value", "reverse", "forward", "second")


@pytest.mark.parametrize("witness", MODES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_overflow_of_the_formulas_own_convicts_in_no_mode(witness, dtype):
    assert ruled(CUBIC, witness, dtype=dtype).verdict in (Ruling.AGREE, Ruling.INACCURATE)


def test_zero_times_what_overflowed_is_told_as_such():
    outcome = ruled(CUBIC, "forward", dtype="float32")
    told = (
        "NaN where the truth is finite: an intermediate leaves the dtype's range "
        "(float32 overflows in pow at x = 1e+25)"
    )
    assert (outcome.verdict, outcome.reason) == (Ruling.INACCURATE, told)
    assert (outcome.worst.ruling, outcome.worst.reason) == (Ruling.INACCURATE, told)


@pytest.mark.parametrize("witness", MODES)
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_the_same_numbers_convict_where_nothing_overflows(witness, wrong):
    moderate = CUBIC.replace("e25", "e5").replace("9e24", "1e5")
    culprit = lambda u, v: torch.where(u > 0, wrong, u) * u * v  # noqa: E731
    outcome = ruled(moderate, witness, culprit, dtype="float32")
    assert outcome.verdict is Ruling.DISAGREE
    assert "leaves the dtype's range" not in outcome.reason


GAUSS = "{formula: exp(-x**2)/exp(-x**2) + x, inputs: {x: '[%s]'}}"


@pytest.mark.parametrize("witness", [*MODES, "gradcheck"])
def test_zero_over_zero_after_an_underflow_convicts_in_no_mode(witness):
    outcome = ruled(GAUSS % "28, 30", witness)
    assert outcome.verdict in (Ruling.INACCURATE, Ruling.ABSTAIN)


@pytest.mark.parametrize("witness", [*MODES, "gradcheck"])
def test_where_nothing_underflows_all_modes_judge(witness):
    assert ruled(GAUSS % "1, 2", witness).verdict is Ruling.AGREE
    broken = lambda x: torch.where(x > 0, torch.nan, x) * x * x  # noqa: E731
    assert ruled(GAUSS % "1, 2", witness, broken).verdict is Ruling.DISAGREE


RMS_NORM = {
    "formula": "x / sqrt(mean(x**2) + 1)",
    "inputs": {"x": {"domain": "[0.001, 1]", "shape": [256]}},
}


def rms_norm(x):
    return x / (x.square().mean() + 1).sqrt()


@pytest.mark.parametrize("witness", ["value", "reverse", "forward"])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_squares_that_underflow_beside_others_excuse_neither_nan_nor_infinity(witness, wrong):
    """In float16 some of 256 squares nearly always do."""
    assert ruled(RMS_NORM, witness, rms_norm, dtype="float16").verdict is not Ruling.DISAGREE
    culprit = lambda x: rms_norm(x) * (wrong if x.numel() == 256 else 1)  # noqa: E731
    outcome = ruled(RMS_NORM, witness, culprit, dtype="float16")
    assert outcome.verdict is Ruling.DISAGREE
    assert outcome.counts["disagree"] == outcome.entries


@pytest.mark.parametrize("witness", ["value", "reverse", "forward"])
def test_what_underflows_in_formula_and_code_alike_convicts_in_no_mode(witness):
    """0 times infinity from -208 on, where the formula is exp(x) - 1 and exp(x) underflows."""
    formula = "{formula: exp(x) - 1, inputs: {x: '[-1000, -960]'}}"
    code = lambda x: 2 * torch.exp(x / 2) * torch.sinh(x / 2)  # noqa: E731
    assert ruled(formula, witness, code, dtype="float32").verdict is Ruling.INACCURATE
    broken = lambda x: torch.expm1(x) * torch.where(x < 0, torch.nan, 1)  # noqa: E731
    assert ruled(formula, witness, broken, dtype="float32").verdict is Ruling.DISAGREE


class Swish(torch.autograd.Function):
    """x/(1 + exp(-b x)) with the textbook's backward, which squares x."""

    wrong = staticmethod(lambda slope, x, b: slope)

    @staticmethod
    def forward(context, x, b):
        context.save_for_backward(x, b)
        return x * torch.sigmoid(b * x)

    @classmethod
    def backward(cls, context, cotangent):
        x, b = context.saved_tensors
        s = torch.sigmoid(b * x)
        by_x, by_b = s + b * x * s * (1 - s), x * x * s * (1 - s)
        return cotangent * cls.wrong(by_x, x, b), cotangent * cls.wrong(by_b, x, b)


class NotFinite(Swish):
    """The same, and NaN where x lies between 2 and 3."""

    wrong = staticmethod(lambda slope, x, b: torch.where((x > 2) & (x < 3), torch.nan, slope))


SWISH = "{formula: x/(1 + exp(-b*x)), inputs: {x: real, b: positive}}"


@pytest.mark.parametrize(
    ("x", "b"),
    [
        ("[6.1e247, 6.2e247]", "[4.2e-6, 4.3e-6]"),
        ("[-2.3e245, -2.2e245]", "[8.9e-8, 9e-8]"),
        ("[-2.7e182, -2.6e182]", "[0.3, 0.4]"),
        ("[-1.1e166, -1e166]", "[1.8e-244, 1.9e-244]"),
        ("[1e160, 1.1e160]", "[1e-158, 1.1e-158]"),
    ],
)
@pytest.mark.parametrize("witness", ["reverse", "second"])
def test_a_textbook_backward_whose_square_overflows_is_not_convicted(x, b, witness):
    here = SWISH.replace("x: real, b: positive", f"x: '{x}', b: '{b}'")
    outcome = ruled(here[:-1] + ", dtypes: [float64]}", witness, Swish.apply)
    assert outcome.verdict in (Ruling.AGREE, Ruling.INACCURATE)
    assert outcome.counts.get("disagree", 0) == 0


@pytest.mark.parametrize("seed", [1, 2, 4, 7])
def test_at_any_seed_overflow_alone_convicts_nobody(seed):
    outcome = ruled(SWISH, "reverse", Swish.apply, RunOptions(points=64, seed=seed))
    assert outcome.verdict is Ruling.INACCURATE


@pytest.mark.parametrize("witness", ["reverse", "second"])
def test_a_nan_at_a_moderate_input_is_convicted_as_before(witness):
    outcome = ruled(SWISH[:-1] + ", points: [{at: {x: 2.5, b: 1}}]}", witness, NotFinite.apply)
    assert outcome.verdict is Ruling.DISAGREE
    assert {entry.at["x"] for entry in outcome.smallest} == {2.5}


NORM = "{formula: x/sqrt(mean(x**2) + 1/100), inputs: {x: {shape: [3], domain: '[2e19, 4e19]'}}}"


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, Ruling.AGREE), (1.001, Ruling.DISAGREE)])
def test_code_that_stays_in_range_is_judged_where_the_formula_does_not(factor, verdict):
    def scaled(x):
        largest = x.detach().abs().amax()
        part = ChangedGradient.apply(x, lambda slope, _: factor * slope) / largest
        return part * torch.rsqrt(part.square().mean())

    assert ruled(NORM, "reverse", scaled, dtype="float32").verdict is verdict


class Gated(torch.autograd.Function):
    """x (1 + exp(-20 y)), whose exponential underflows in float16; the gradient by x times 1.3."""

    factor = 1.0

    @staticmethod
    def forward(context, x, y):
        context.save_for_backward(x, y)
        return x * (1 + torch.exp(-20 * y))

    @classmethod
    def backward(cls, context, cotangent):
        x, y = context.saved_tensors
        gate = torch.exp(-20 * y)
        return cotangent * (1 + gate) * cls.factor, cotangent * x * gate * -20


class WronglyGated(Gated):
    factor = 1.3


@pytest.mark.parametrize(
    ("code", "verdict"), [(Gated, Ruling.AGREE), (WronglyGated, Ruling.DISAGREE)]
)
def test_what_underflows_on_the_way_excuses_no_wrong_number_but_0(code, verdict):
    inputs = {"x": "[1, 2]", "y": "[1, 2]"}
    asked = {"witness": "reverse", "dtype": "float16", "dtypes": ["float16"], "order": 1}
    (outcome,) = gradcheck.verify(
        code.apply, formula="x*(1 + exp(-20*y))", inputs=inputs, **asked
    ).outcomes.values()
    assert outcome.verdict is verdict
