"""Arrays of low precision are judged as such: the whole way from code to verdict."""

import math

import pytest
import torch
from torch.nn import functional

import gradcheck
from gradcheck.answer import GuessKind, Ruling

ROWS = {"x": {"shape": [16, 32], "domain": "(-4, 4)"}}
SOFTMAX = {
    "formula": "e/sum(e, dim=1, keepdim=True)",
    "let": {"e": "exp(x)"},
    "inputs": ROWS,
    "points": 24,
}
SILU = {"formula": "x/(1 + exp(-x))", "inputs": {"x": "(-4, 4)"}}


def scaled(code, factor):
    """The code, computed in float32, with its gradient scaled before it is rounded."""

    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            return code(x.float()).to(x.dtype)

        @staticmethod
        def backward(context, cotangent):
            x = context.saved_tensors[0].float().requires_grad_()
            with torch.enable_grad():
                value = code(x)
            (found,) = torch.autograd.grad(value, x, cotangent.float())
            return (found * factor).to(cotangent.dtype)

    return Scaled.apply


def softmax(x):
    return torch.softmax(x, 1)


def outcome_of(code, declared, dtype, witness="reverse"):
    keys = {"order": 1, "dtypes": [dtype], "dtype": dtype, "witness": witness, **declared}
    (outcome,) = gradcheck.verify(code, **keys).outcomes.values()
    return outcome


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_factor_that_no_entry_shows_is_convicted_and_told(dtype):
    outcome = outcome_of(scaled(softmax, 1.01), SOFTMAX, dtype)
    assert outcome.verdict is Ruling.DISAGREE
    assert outcome.reason.startswith("x: the mean signed error over ")
    assert outcome.reason.endswith(" standard errors")
    assert outcome.counts["disagree"] >= 1
    assert outcome.blame == (
        "the backward is wrong, as its entries show together; each alone might be rounding"
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("code", [softmax, scaled(softmax, 1.0)])
def test_right_code_is_acquitted(code, dtype):
    assert outcome_of(code, SOFTMAX, dtype).verdict is not Ruling.DISAGREE


@pytest.mark.parametrize(("dtype", "factor"), [("float16", 1.002), ("bfloat16", 1.01)])
def test_of_single_numbers_the_mean_over_the_points_is_judged(dtype, factor):
    outcome = outcome_of(scaled(functional.silu, factor), SILU, dtype)
    assert outcome.verdict is Ruling.DISAGREE
    assert "the mean signed error" in outcome.reason


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("code", [functional.silu, scaled(functional.silu, 1.0)])
def test_right_code_of_single_numbers_is_acquitted(code, dtype):
    assert outcome_of(code, SILU, dtype).verdict is not Ruling.DISAGREE


SILU_OF_ARRAYS = {**SILU, "inputs": {"x": {"shape": [8, 8], "domain": "(-4, 4)"}}}


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, Ruling.AGREE), (1.0015, Ruling.DISAGREE)])
def test_a_factor_that_no_point_shows_alone_shows_at_several_together(factor, verdict):
    outcome = outcome_of(scaled(functional.silu, factor), SILU_OF_ARRAYS, "bfloat16")
    assert outcome.verdict is verdict
    assert verdict is Ruling.AGREE or "the mean signed error over 192 entries" in outcome.reason


def test_where_code_leaves_the_range_at_all_points_no_array_is_judged():
    """The square's slope is off by 6 units of rounding, beside a term that is always lost."""
    square = scaled(lambda x: x * x, 1.003)
    declared = {"formula": "x*x", "inputs": {"x": "(20, 30)"}}
    told = outcome_of(lambda x: square(x) + 0 * torch.exp(-x - 20), declared, "float16")
    assert told.verdict is Ruling.AGREE
    assert outcome_of(square, declared, "float16").verdict is Ruling.DISAGREE


LARGE = {"formula": "sum(x*x, dim=1)", "inputs": {"x": {"shape": [32, 64]}}, "points": 2}


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, Ruling.AGREE), (1 + 4e-7, Ruling.DISAGREE)])
def test_a_large_array_of_float32_is_judged_as_one(factor, verdict):
    code = scaled(lambda x: (x * x).sum(1), factor)
    assert outcome_of(code, LARGE, "float32").verdict is verdict


BIAS = {
    "formula": "c/sqrt(mean(c*c, dim=1, keepdim=True) + 1/2) + b",
    "let": {"c": "x - mean(x, dim=1, keepdim=True)"},
    "inputs": {"x": {"shape": [1024, 2], "domain": "(-2, 2)"}, "b": {"shape": [2]}},
    "points": 2,
}


def stopping(x, b):
    """Layer norm whose bias gradient is added up in the dtype."""
    return functional.layer_norm(x, (2,), None, None, 0.5) + Stopping.apply(b, len(x))


class Stopping(torch.autograd.Function):
    @staticmethod
    def forward(_context, b, rows):
        return b.expand(rows, *b.shape)

    @staticmethod
    def backward(_context, cotangent):
        return cotangent.cumsum(0)[-1].clamp(max=256), None


def test_a_sum_that_stagnates_is_convicted_by_name_where_its_entry_is_too():
    outcome = outcome_of(stopping, BIAS, "bfloat16", "contract")
    assert outcome.verdict is Ruling.DISAGREE
    assert outcome.reason == (
        "b: a sum stagnates: entry [0] is 256 where the truth is 1024; added up in bfloat16, its "
        "terms become too small beside it"
    )
    assert "off by 768" in "; ".join(each.reason for each in outcome.failures)


def test_a_sum_that_does_not_is_acquitted():
    def layer_norm(x, b):
        return functional.layer_norm(x, (2,), None, None, 0.5) + b

    assert outcome_of(layer_norm, BIAS, "bfloat16", "contract").verdict is not Ruling.DISAGREE


RMS_NORM = {
    "formula": "x/sqrt(mean(x*x, dim=1, keepdim=True) + 1/100000)",
    "inputs": {"x": {"shape": [32, 96], "domain": "(-3, 3)"}},
    "points": 8,
}


def rms_norm(divided_by):
    """RMS norm, fused: computed in float32, rounded once, with its backward written out."""

    class Fused(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            wide = x.float()
            return (wide * inverse(wide)).to(x.dtype)

        @staticmethod
        def backward(context, cotangent):
            x, given = context.saved_tensors[0].float(), cotangent.float()
            r = inverse(x)
            inner = (given * x).sum(1, keepdim=True) / divided_by
            return (r * (given - x * r * r * inner)).to(cotangent.dtype)

    def inverse(x):
        return torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-5)

    return Fused.apply


def test_a_mean_over_one_too_few_is_convicted_and_guessed_though_each_number_rounds_as_much():
    outcome = outcome_of(rms_norm(95), RMS_NORM, "bfloat16")
    assert outcome.verdict is Ruling.DISAGREE
    assert " in a term: in " in outcome.reason
    assert str(outcome.guess).startswith("a factor of 1.01")
    assert outcome.guess.kind is GuessKind.TERM


def test_the_mean_over_all_is_acquitted():
    assert outcome_of(rms_norm(96), RMS_NORM, "bfloat16").verdict is not Ruling.DISAGREE


def test_of_a_kernel_that_is_wrong_everywhere_the_worst_entries_are_told():
    outcome = outcome_of(scaled(softmax, 2.0), {**SOFTMAX, **WIDE}, "float32")
    assert str(outcome.guess) == "a constant factor of 2"
    assert 1 < len(outcome.smallest) <= 64  # of 3,072
    assert outcome.smallest[0].ulps == max(each.ulps for each in outcome.smallest)


WIDE = {"inputs": {"x": {"shape": [48, 64], "domain": "(-4, 4)"}}, "points": 2}


class SumHeldConstant(torch.autograd.Function):
    """Softmax whose backward leaves out what comes through the sum; rounded once."""

    @staticmethod
    def forward(context, x):
        value = softmax(x.float())
        context.save_for_backward(value)
        return value.to(x.dtype)

    @staticmethod
    def backward(context, cotangent):
        return (context.saved_tensors[0] * cotangent.float()).to(cotangent.dtype)


def test_a_term_that_is_missing_is_named_though_half_precision_rounds_each_entry():
    outcome = outcome_of(SumHeldConstant.apply, {**SOFTMAX, **WIDE, "points": 8}, "bfloat16")
    assert outcome.verdict is Ruling.DISAGREE
    assert str(outcome.guess).startswith("a missing term: in exp(x)/sum(exp(x)) the derivative by")


TWO = {"x": {"shape": [48, 32], "domain": "(-4, 4)"}, "y": {"shape": [48, 32]}}
GLU = {"formula": "x[:, :16]/(1 + exp(-x[:, 16:]))", "inputs": {"x": TWO["x"]}, "points": 8}
PRODUCT = {"formula": "mean(x*y)", "inputs": TWO, "points": 8}
GELU = {
    "formula": "x*(1 + erf(x/sqrt(2)))/2",
    "inputs": {"x": {"shape": [64, 96], "domain": "(-4, 4)"}},
    "points": 8,
}


@pytest.mark.parametrize(
    ("code", "declared"),
    [
        pytest.param(functional.glu, GLU, id="a sigmoid is rounded and then taken from 1"),
        pytest.param(lambda x, y: (x * y).mean(), PRODUCT, id="one number is rounded for all"),
        pytest.param(functional.gelu, GELU, id="rounded once"),
    ],
)
def test_kernels_that_round_on_their_way_are_acquitted(code, declared):
    assert outcome_of(code, declared, "bfloat16").verdict is not Ruling.DISAGREE


def gelu_with(root_of_two_pi):
    """GELU, fused, with its backward by hand."""

    class Fused(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            return functional.gelu(x)

        @staticmethod
        def backward(context, cotangent):
            x = context.saved_tensors[0].float()
            density = torch.exp(-x * x / 2) / root_of_two_pi
            slope = (1 + torch.erf(x / 2**0.5)) / 2 + x * density
            return (cotangent.float() * slope).to(cotangent.dtype)

    return Fused.apply


@pytest.mark.parametrize(
    ("code", "declared"),
    [
        pytest.param(scaled(functional.glu, 1.004), GLU, id="glu"),
        pytest.param(gelu_with(2.5), GELU, id="gelu"),
    ],
)
def test_what_is_off_by_less_than_a_unit_of_rounding_is_convicted(code, declared):
    assert outcome_of(code, declared, "bfloat16").verdict is Ruling.DISAGREE


LESS_THREE = {
    "formula": "x - 3",
    "inputs": {"x": {"shape": [8, 64], "domain": "(1024, 2040)"}},
    "points": 8,
}


def test_one_rounding_error_for_all_numbers_of_a_grid_is_no_wrong_offset():
    """Multiples of 8, less 3, round to themselves: each is 3 too large, and right."""
    assert outcome_of(lambda x: x - 3, LESS_THREE, "bfloat16", "value").verdict is Ruling.AGREE


def test_an_offset_that_is_no_such_error_is_wrong():
    outcome = outcome_of(lambda x: (x.float() - 2).to(x.dtype) + 8, LESS_THREE, "bfloat16", "value")
    assert outcome.verdict is Ruling.DISAGREE


BATCH_NORM = {
    "formula": "d / sqrt(mean(d**2, dim=[0, 2], keepdim=True) + 1/128)",
    "let": {"d": "x - mean(x, dim=[0, 2], keepdim=True)"},
    "inputs": {"x": {"domain": "[-8, 8]", "shape": [16, 5, 16]}},
    "points": 2,
}


def strided_batch_norm(x):
    return functional.batch_norm(x.mT.contiguous().mT, None, None, training=True, eps=1 / 128)


@pytest.mark.parametrize("seed", range(4))
def test_one_rounding_error_in_a_kernel_that_is_taken_apart_is_no_wrong_offset(seed):
    """The cotangent less its mean, of which the kernel takes the rest off afterwards."""
    declared = {**BATCH_NORM, "seed": seed}
    assert outcome_of(strided_batch_norm, declared, "float16").verdict is Ruling.AGREE
    culprit = lambda x: strided_batch_norm(x) + 0.004 * (x - x.detach())[:, :1]  # noqa: E731
    assert outcome_of(culprit, declared, "float16").verdict is Ruling.DISAGREE


MEAN_OF_ROWS = {"formula": "mean(x, dim=1)", "inputs": {"x": {"shape": [12, 48]}}, "points": 24}


def mean_over(terms):
    return scaled(lambda x: x.mean(1), 48 / terms)


def test_what_a_gradient_repeats_within_an_array_is_judged_over_several_points():
    """It has 12 numbers at a point, each 48 times: too few to be judged there."""
    outcome = outcome_of(mean_over(47), MEAN_OF_ROWS, "bfloat16")
    assert outcome.verdict is Ruling.DISAGREE
    assert outcome.reason.startswith("x: the mean signed error over ")


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(mean_over(48), id="fused"),
        pytest.param(lambda x: x.mean(1), id="PyTorch's"),
        pytest.param(
            lambda x: x.sum(1) * torch.tensor(1 / 48, dtype=x.dtype), id="by a rounded constant"
        ),
    ],
)
def test_right_code_may_repeat_numbers_within_an_array(code):
    assert outcome_of(code, MEAN_OF_ROWS, "bfloat16").verdict is Ruling.AGREE


def test_of_what_right_code_gives_exactly_no_standard_errors_are_counted():
    same = {"formula": "x*1", "inputs": {"x": {"shape": [16, 64]}}, "points": 8}
    outcome = outcome_of(scaled(torch.clone, 1.02), same, "bfloat16")
    assert outcome.reason == (
        "x: the mean signed error over 1,024 entries is +0.021 of their size, "
        "over a million standard errors"
    )


# points at which the code leaves the range

OVERFLOWING = {
    "formula": "-1/sqrt(x**2 + y**2)",
    "inputs": {"x": "(-1000, 1000)", "y": "(-1000, 1000)"},
    "where": ["x**2 + y**2 > 1"],
}


class OffByFourUlps(torch.autograd.Function):
    """The identity, whose gradient is 4 ulps of float16 too large."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient * 1.004


def potential(x, y):
    return -torch.rsqrt(x**2 + y**2)  # beyond 256 the squares overflow in float16


@pytest.mark.parametrize("seed", [1, 2])
def test_points_at_which_the_code_leaves_the_range_count_in_no_mean(seed):
    outcome = outcome_of(potential, {**OVERFLOWING, "seed": seed}, "float16", "forward")
    assert outcome.verdict is Ruling.INACCURATE


@pytest.mark.parametrize("seed", [0, 1])
def test_at_the_others_a_factor_shows(seed):
    def wrong(x, y):
        return potential(OffByFourUlps.apply(x), y)

    outcome = outcome_of(wrong, {**OVERFLOWING, "seed": seed}, "float16")
    assert outcome.verdict is Ruling.DISAGREE
    assert outcome.reason.startswith("x: the mean signed error over ")


# kernels that take subnormal numbers for 0

FLUSHED = {
    "some numbers": ["(-2e-37, 2e-37)", "(-4, 4)"],
    "products": ["(-1e-18, 1e-18)", "(-1e-18, 1e-18)"],
    "all numbers": ["(-1e-38, 1e-38)", "(-4, 4)"],
}


def product(domains):
    inputs = {n: {"shape": [40, 40], "domain": d} for n, d in zip("xw", domains, strict=True)}
    return {"formula": "x @ w", "inputs": inputs, "points": 8, "seed": 1}


@pytest.mark.parametrize("witness", ["value", "reverse"])
@pytest.mark.parametrize("domains", FLUSHED.values(), ids=FLUSHED)
def test_a_matrix_product_may_take_subnormal_numbers_for_0(domains, witness):
    """PyTorch's own does so in bfloat16 where the processor has VDPBF16PS."""
    found = outcome_of(torch.matmul, product(domains), "bfloat16", witness)
    assert found.verdict is not Ruling.DISAGREE


@pytest.mark.parametrize("lost", ["some numbers", "products"])
def test_what_it_does_not_lose_so_is_wrong(lost):
    def wrong(x, w):
        return torch.matmul(x, w) * 1.5

    found = outcome_of(wrong, product(FLUSHED[lost]), "bfloat16", "value")
    assert found.verdict is Ruling.DISAGREE


@pytest.mark.parametrize(
    ("code", "verdict"),
    [(functional.gelu, Ruling.AGREE),
     (lambda x: torch.where(x.abs() < 1e-30, 0 * x, functional.gelu(x)), Ruling.DISAGREE)],
)  # fmt: skip
def test_a_number_of_bfloat16_that_is_subnormal_may_be_taken_for_0(code, verdict):
    """PyTorch's ``gelu`` does so in bfloat16, where it is long enough for a vector."""
    declared = {"formula": "x*(1 + erf(x/sqrt(2)))/2", "inputs": {"x": "real"}}
    assert outcome_of(code, declared, "bfloat16", "value").verdict is verdict


@pytest.mark.parametrize(("exponent", "verdict"), [(0.7, Ruling.AGREE), (0.73, Ruling.DISAGREE)])
def test_an_exponent_may_be_rounded_to_the_dtype(exponent, verdict):
    """As the kernels of ``pow`` for half precision do: here it costs several ulps."""
    declared = {"formula": "x**(7/10)", "inputs": {"x": "[1e8, 1e12]"}}
    assert outcome_of(lambda x: x**exponent, declared, "bfloat16", "value").verdict is verdict


@pytest.mark.parametrize(("number", "verdict"), [(1001.3, Ruling.AGREE), (1020, Ruling.DISAGREE)])
def test_a_number_that_is_added_may_be_rounded_to_the_dtype(number, verdict):
    """As PyTorch's kernels do: of bfloat16 1001.3 is 1000 there."""
    declared = {"formula": "x*(1001.3 - x)", "inputs": {"x": "[1, 100]"}}
    assert outcome_of(lambda x: x * (number - x), declared, "bfloat16", "value").verdict is verdict


BESSEL = {"formula": "besseli(1, 5) + x + y", "inputs": {"x": "(-10, 10)", "y": "(-10, 10)"}}


def with_a_constant(factor):
    """A constant that is rounded once, of a function whose kernel has no parts."""

    def code(x, y):
        return torch.special.i1(torch.tensor(5.0, dtype=x.dtype)) * factor + x + y

    return code


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, Ruling.AGREE), (1.02, Ruling.DISAGREE)])
def test_a_constant_that_is_rounded_once_may_be_off_everywhere(factor, verdict):
    assert outcome_of(with_a_constant(factor), BESSEL, "float16", "value").verdict is verdict


PRODUCT = {
    "formula": "3*x + y",
    "inputs": {name: {"domain": "(-10, 10)", "shape": [2, 3]} for name in "xy"},
}


def product_with_three(x, y):
    """Its backward divides the product by each factor, and goes another way while watched."""
    return torch.stack([x, torch.full_like(x, 3)]).prod(0) + y


@pytest.mark.parametrize(
    ("code", "verdict"),
    [(product_with_three, Ruling.AGREE), (lambda x, y: scaled(lambda z: 3 * z, 1.02)(x) + y,
                                          Ruling.DISAGREE)],
)  # fmt: skip
def test_points_at_which_code_goes_another_way_while_watched_count_in_no_scatter(code, verdict):
    assert outcome_of(code, PRODUCT, "bfloat16").verdict is verdict


SCALED_BESSEL = {"formula": "exp(-abs(x))*besseli(0, x)", "inputs": {"x": "real"}}


@pytest.mark.parametrize(
    ("code", "verdict"),
    [(torch.special.i0e, Ruling.AGREE), (lambda x: torch.special.i0e(x) * 1.03, Ruling.DISAGREE)],
)
def test_where_the_formula_gives_nan_in_floats_no_scatter_is_judged(code, verdict):
    found = outcome_of(code, SCALED_BESSEL, "bfloat16", "value").verdict
    assert (found is Ruling.DISAGREE) is (verdict is Ruling.DISAGREE)


QUOTIENT = {
    "let": {"q": "x/y"},
    "formula": "where(q < 0, ceil(q), floor(q))",
    "inputs": {"x": "(-100, 100)", "y": "[-10, -0.5] | [0.5, 10]"},
}


@pytest.mark.parametrize(("added", "verdict"), [(0, Ruling.AGREE), (1, Ruling.DISAGREE)])
def test_of_whole_numbers_those_that_are_off_tell_no_scatter(added, verdict):
    def code(x, y):
        return torch.div(x, y, rounding_mode="trunc") + added * (x > 50)

    assert outcome_of(code, QUOTIENT, "float16", "value").verdict is verdict


SUM = {
    "formula": "x + y/z",
    "inputs": {"x": "(-10, 10)", "y": "(-10, 10)", "z": "[1/8, 4]"},
    "points": 64,
}


@pytest.mark.parametrize(("factor", "convicted"), [(1.0, False), (1.05, True)])
def test_a_kernel_that_cannot_be_looked_into_errs_as_what_it_is_given(factor, convicted):
    def code(x, y, z):
        return torch.addcdiv(x, y, z, value=factor)

    verdict = outcome_of(code, SUM, "float16").verdict
    assert (verdict is Ruling.DISAGREE) is convicted


ACOS = {"formula": "acos(x)", "inputs": {"x": "(-1, 1)"}, "points": 256, "seed": 13201}


@pytest.mark.parametrize(("number", "verdict"), [(math.pi / 2, Ruling.AGREE),
                                                 (1.58, Ruling.DISAGREE)])  # fmt: skip
def test_a_number_that_a_difference_takes_into_the_dtype_is_off_everywhere(number, verdict):
    """PyTorch makes 1.5703125 of half of pi in float16."""
    found = outcome_of(lambda x: number - x.asin(), ACOS, "float16", "value")
    assert found.verdict is verdict


COSH = {"formula": "cosh(x)", "inputs": {"x": "(-20, 20)"}, "order": 2, "seed": 13205}


@pytest.mark.parametrize(("factor", "convicted"), [(1.0, False), (1.01, True)])
def test_what_is_rounded_to_0_tells_nothing_in_a_mean(factor, convicted):
    """exp(x) - exp(-x) is 0 in float16 for all x below half an ulp of 1."""
    code = lambda x: (x.exp() + 1 / x.exp()) / 2 * factor  # noqa: E731 - its name is in the seed
    verdict = outcome_of(code, COSH, "float16", "forward").verdict
    assert (verdict is Ruling.DISAGREE) is convicted


LOG10 = {"formula": "log(x)/log(10)", "inputs": {"x": "(1/8, 8)"}, "points": 64}


@pytest.mark.parametrize(("number", "convicted"), [(math.log(10), False), (2.35, True)])
def test_a_number_that_vmap_casts_to_the_dtype_is_off_everywhere(number, convicted):
    """Under vmap a quotient is one by 2.296875 in bfloat16, where it is by 2.302585 else."""
    verdict = outcome_of(lambda x: x.log() / number, LOG10, "bfloat16", "functional").verdict
    assert (verdict is Ruling.DISAGREE) is convicted


TAIL = {"formula": "log(1 + exp(x))", "inputs": {"x": "[8, 9]"}}


@pytest.mark.parametrize(("factor", "convicted"), [(1.0, False), (1.05, True)])
def test_what_underflows_in_a_cast_leaves_the_range(factor, convicted):
    """The slope of the sigmoid times a tangent of 2**-14 is cast to 0, and divided by it."""

    def code(x):
        return -(-x).sigmoid().log() * factor

    verdict = outcome_of(code, TAIL, "float16", "contract").verdict
    assert (verdict is Ruling.DISAGREE) is convicted
