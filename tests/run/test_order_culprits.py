"""Culprits of the third order, of complex numbers, of several outputs and of half precision."""

import pytest
import torch
from culprits import (
    DETACHED,
    WRONG_IN_FORWARD,
    WRONG_IN_REVERSE,
    WRONG_RULES,
    case_of,
    check_of,
    layered,
)

from gradcheck.answer import Ruling, RunOptions
from gradcheck.run.ruling import rule

WAVE = (torch.sin, torch.cos, lambda x: -torch.sin(x), lambda x: -torch.cos(x))
WAVE_CASE = "{formula: sin(x), inputs: {x: real}, order: 3}"
POWER = (
    lambda z: z * z * z * z,
    lambda z: 4 * z * z * z,
    lambda z: 12 * z * z,
    lambda z: 24 * z,
)
POWER_CASE = "{formula: z**4, inputs: {z: {domain: '|z| < 4'}}, order: %d}"
REVERSE_WITNESSES = {1: ("reverse", "gradcheck"), 2: ("second", "gradcheck"), 3: ("third",)}
"""By order, those that see the backward."""
FORWARD_WITNESSES = {1: "forward", 2: "second", 3: "third"}
PLACED = [(order, name) for order, names in REVERSE_WITNESSES.items() for name in names]


def ruled(declaration, witness, function, dtype):
    points = 256 if witness == "gradcheck" else 64  # of which it takes some: differences are dear
    return rule(check_of(case_of(declaration, function), witness, dtype), RunOptions(points=points))


def named(rules):
    return pytest.mark.parametrize("wrong", rules, ids=lambda each: each.name)


# the third order


@named(WRONG_RULES)
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_a_wrong_third_derivative_is_convicted(mode, wrong):
    outcome = ruled(WAVE_CASE, "third", layered(WAVE, 3, **{mode: wrong}), "float64")
    assert outcome.verdict is Ruling.DISAGREE


def test_a_second_derivative_that_leaves_the_graph_is_convicted_by_the_third():
    culprit = layered(WAVE, 2, DETACHED)
    assert ruled(WAVE_CASE, "third", culprit, "float64").verdict is Ruling.DISAGREE
    assert ruled(WAVE_CASE, "second", culprit, "float64").verdict is Ruling.AGREE


@named(WRONG_RULES)
def test_the_first_two_orders_do_not_see_it(wrong):
    hidden = layered(WAVE, 3, wrong, wrong)
    witnesses = ("value", "reverse", "forward", "second")
    assert {ruled(WAVE_CASE, each, hidden, "float64").verdict for each in witnesses} == {
        Ruling.AGREE
    }


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_twin_of_the_third_order_is_acquitted(dtype):
    outcome = ruled(WAVE_CASE, "third", layered(WAVE, 3), dtype)
    assert (outcome.verdict, outcome.reason) == (Ruling.AGREE, "")
    assert outcome.entries > 0


# complex numbers


@named(WRONG_IN_REVERSE)
@pytest.mark.parametrize(("order", "witness"), PLACED)
@pytest.mark.parametrize("dtype", ["complex128", "complex64"])
def test_a_backward_that_is_wrong_of_complex_numbers_is_convicted(dtype, order, witness, wrong):
    outcome = ruled(POWER_CASE % order, witness, layered(POWER, order, reverse=wrong), dtype)
    assert outcome.verdict is Ruling.DISAGREE


@named(WRONG_IN_FORWARD)
@pytest.mark.parametrize("order", FORWARD_WITNESSES)
def test_a_forward_rule_that_is_wrong_of_complex_numbers_is_convicted(order, wrong):
    culprit = layered(POWER, order, forward=wrong)
    outcome = ruled(POWER_CASE % order, FORWARD_WITNESSES[order], culprit, "complex128")
    assert outcome.verdict is Ruling.DISAGREE


@pytest.mark.parametrize(
    ("order", "witness"), [*PLACED, *((k, name) for k, name in FORWARD_WITNESSES.items())]
)
@pytest.mark.parametrize("dtype", ["complex128", "complex64"])
def test_the_complex_twin_is_acquitted(dtype, order, witness):
    outcome = ruled(POWER_CASE % order, witness, layered(POWER, order), dtype)
    assert (outcome.verdict, outcome.reason) == (Ruling.AGREE, "")
    assert outcome.entries > 0


class SquaredModulus(torch.autograd.Function):
    """|z|², whose gradient is 2z: neither ∂/∂z, which is conj(z), nor ∂/∂conj(z), which is z."""

    slope = staticmethod(lambda z: 2 * z)

    @staticmethod
    def forward(context, z):
        context.save_for_backward(z)
        return (z * z.conj()).real

    @classmethod
    def backward(cls, context, cotangent):
        return cls.slope(*context.saved_tensors) * cotangent


class Wirtinger(SquaredModulus):
    slope = staticmethod(lambda z: z.conj())


class ConjugateWirtinger(SquaredModulus):
    slope = staticmethod(lambda z: z)


class Conjugated(SquaredModulus):
    slope = staticmethod(lambda z: 2 * z.conj())


@pytest.mark.parametrize("witness", ["reverse", "gradcheck"])
@pytest.mark.parametrize(
    ("function", "ruling"),
    [
        (Wirtinger, Ruling.DISAGREE),
        (ConjugateWirtinger, Ruling.DISAGREE),
        (Conjugated, Ruling.DISAGREE),
        (SquaredModulus, Ruling.AGREE),
    ],
)
def test_a_real_function_of_a_complex_number_has_the_gradient_of_pytorchs_convention(
    witness, function, ruling
):
    declaration = "{formula: re(z)**2 + im(z)**2, inputs: {z: complex}}"
    assert ruled(declaration, witness, function.apply, "complex128").verdict is ruling


# several outputs


class Two(torch.autograd.Function):
    """x sin(y) and x + y², right."""

    value = staticmethod(lambda x, y: (x * y.sin(), x + y * y))
    mixed = staticmethod(lambda first, second: (first, second))
    """What becomes of the cotangents."""

    @classmethod
    def forward(cls, context, x, y):
        context.save_for_backward(x, y)
        return cls.value(x, y)

    @classmethod
    def backward(cls, context, *cotangents):
        x, y = context.saved_tensors
        first, second = cls.mixed(*cotangents)
        return first * y.sin() + second, first * x * y.cos() + second * 2 * y


class FirstIgnored(Two):
    mixed = staticmethod(lambda first, second: (0 * first, second))


class SecondIgnored(Two):
    mixed = staticmethod(lambda first, second: (first, 0 * second))


class CotangentsSwapped(Two):
    mixed = staticmethod(lambda first, second: (second, first))


class OutputsSwapped(Two):
    value = staticmethod(lambda x, y: (x + y * y, x * y.sin()))


class SecondValueWrong(Two):
    value = staticmethod(lambda x, y: (x * y.sin(), x - y))


BOTH = "{formula: {first: x*sin(y), second: x + y**2}, inputs: {x: real, y: real}}"
FIRST = "{formula: {first: x*sin(y), second: null}, inputs: {x: real, y: real}}"
SECOND = "{formula: {first: null, second: x + y**2}, inputs: {x: real, y: real}}"


@pytest.mark.parametrize(
    ("culprit", "declaration", "witness"),
    [
        *((each, BOTH, witness) for each in (FirstIgnored, SecondIgnored, CotangentsSwapped)
          for witness in ("reverse", "gradcheck")),
        (OutputsSwapped, BOTH, "value"),
        (SecondValueWrong, BOTH, "value"),
        (FirstIgnored, FIRST, "reverse"),
        (CotangentsSwapped, FIRST, "reverse"),
        (CotangentsSwapped, FIRST, "gradcheck"),
        (SecondIgnored, SECOND, "reverse"),
    ],
)  # fmt: skip
def test_a_fault_in_one_of_several_outputs_is_convicted(culprit, declaration, witness):
    assert ruled(declaration, witness, culprit.apply, "float64").verdict is Ruling.DISAGREE


@pytest.mark.parametrize("witness", ["value", "reverse", "gradcheck"])
@pytest.mark.parametrize(
    ("twin", "declaration"),
    [
        (Two, BOTH), (Two, FIRST), (Two, SECOND),
        (SecondIgnored, FIRST), (SecondValueWrong, FIRST), (FirstIgnored, SECOND),
    ],
)  # fmt: skip
def test_what_is_right_of_all_judged_outputs_is_acquitted(twin, declaration, witness):
    """Also what is wrong of an output that is not judged."""
    outcome = ruled(declaration, witness, twin.apply, "float64")
    assert (outcome.verdict, outcome.reason) == (Ruling.AGREE, "")


# half precision


HALF = "{formula: exp(-x**2)*sin(x), inputs: {x: '(-2, 2)'}, dtypes: [float16, bfloat16], order: 1}"
HALF_DTYPES = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
"""An ulp of 1."""
BOTH_SIDES = [(dtype, witness) for dtype in HALF_DTYPES for witness in ("value", "reverse")]


def off_by(ulps, dtype):
    """A value and a gradient in float32, rounded once, that are so many ulps too large."""
    factor = 1 + ulps * HALF_DTYPES[dtype]

    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            y = x.float()
            return (torch.exp(-y * y) * torch.sin(y) * factor).to(x.dtype)

        @staticmethod
        def backward(context, cotangent):
            y = context.saved_tensors[0].float()
            slope = torch.exp(-y * y) * (torch.cos(y) - 2 * y * torch.sin(y))
            return (slope * factor * cotangent.float()).to(cotangent.dtype)

    return Scaled.apply


@pytest.mark.parametrize(("dtype", "witness"), BOTH_SIDES)
def test_a_fault_of_many_ulps_of_half_precision_is_convicted(dtype, witness):
    assert ruled(HALF, witness, off_by(64, dtype), dtype).verdict is Ruling.DISAGREE


@pytest.mark.parametrize(("dtype", "witness"), BOTH_SIDES)
def test_a_fault_of_several_ulps_of_half_precision_does_not_agree(dtype, witness):
    assert ruled(HALF, witness, off_by(16, dtype), dtype).verdict in (
        Ruling.INACCURATE,
        Ruling.DISAGREE,
    )


RIGHT_IN_HALF = {
    "rounded once": lambda x: (torch.exp(-(x.float() ** 2)) * torch.sin(x.float())).to(x.dtype),
    "rounded at each step": lambda x: torch.exp(-x * x) * torch.sin(x),
    "by a power": lambda x: torch.exp(-x) ** x * torch.sin(x),
    "by the half angle": lambda x: torch.exp(-x.square()) * 2 * torch.sin(x / 2) * torch.cos(x / 2),
}


@pytest.mark.parametrize(("dtype", "witness"), BOTH_SIDES)
@pytest.mark.parametrize("way", RIGHT_IN_HALF)
def test_what_rounds_in_its_own_way_in_half_precision_is_acquitted(way, dtype, witness):
    outcome = ruled(HALF, witness, RIGHT_IN_HALF[way], dtype)
    assert (outcome.verdict, outcome.reason) == (Ruling.AGREE, "")
    assert outcome.entries > 0


# a derivative that goes through fewer bits


class Half(torch.autograd.Function):
    """x, of which the derivative goes through float32."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, cotangent):
        return cotangent.float().double()


class Product(torch.autograd.Function):
    """xy; of the gradient's gradient all is right but for the bits, which few tangents have."""

    seen = staticmethod(Half.apply)

    @staticmethod
    def forward(context, x, y):
        context.save_for_backward(x, y)
        return x * y

    @classmethod
    def backward(cls, context, cotangent):
        x, y = map(cls.seen, context.saved_tensors)
        return cotangent * y, cotangent * x


class Whole(Product):
    seen = staticmethod(torch.clone)


PRODUCT_CASE = "{formula: x*y, inputs: {x: real, y: real}}"


def test_a_second_derivative_in_float32_is_convicted_where_the_inputs_have_no_say_in_it():
    assert ruled(PRODUCT_CASE, "second", Product.apply, "float64").verdict is Ruling.DISAGREE


def test_the_one_in_float64_is_acquitted():
    outcome = ruled(PRODUCT_CASE, "second", Whole.apply, "float64")
    assert (outcome.verdict, outcome.reason) == (Ruling.AGREE, "")
