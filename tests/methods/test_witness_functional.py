"""The transforms of torch.func: all find the same, and each has its culprit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from invocations import PlainSine, Sine, batch, claims, invocation, labels, remarks, residual, said

import gradcheck
from gradcheck.answer import Abstention
from gradcheck.methods import functional
from gradcheck.query import Port

AT_ONE_POINT = [
    "under torch.func.vjp",
    "under torch.func.grad",
    "under torch.func.jacrev",
    "under torch.func.jacrev with chunk_size=1",
    "under torch.vmap",
    "under torch.vmap with in_dims=-1",
    "under torch.vmap of points and a vjp",
    "under torch.vmap of points and a vjp with in_dims=-1",
    "under torch.vmap of points and a vjp with in_dims=(0, None)",
    "under torch.vmap of points and a vjp with in_dims=(None, 0)",
    "under torch.func.jvp",
    "under torch.func.jacfwd",
    "under torch.vmap of points and a jvp",
    "at order 2 under torch.func.hessian",
    "at order 2 under torch.func.jacrev of jacrev",
    "at order 2 under torch.func.jacrev of jacfwd",
    "at order 2 under torch.vmap of points and a jvp of grad",
]


def found(answers, order):
    return [claim for claim in claims(answers) if claim.query.order == order]


def test_every_call_finds_the_derivatives_of_x_squared_times_y():
    answers = said(functional.answer(invocation(lambda x, y: x**2 * y, 3.0, 5.0)))
    assert labels(answers) == AT_ONE_POINT
    value, gradient, hessian = [45.0], [[30.0, 9.0]], [[[10.0, 6.0], [6.0, 0.0]]]
    assert max(residual(each, np.array([value])) for each in found(answers, 0)) == 0
    assert max(residual(each, np.array([gradient])) for each in found(answers, 1)) == 0
    assert max(residual(each, np.array([hessian])) for each in found(answers, 2)) == 0


class Exponential(torch.autograd.Function):
    """Under ``torch.vmap`` it calls another function, as a kernel for batches would be."""

    @staticmethod
    def forward(x):
        return x.exp()

    @staticmethod
    def setup_context(context, inputs, output):
        context.save_for_backward(output)
        context.save_for_forward(output)

    @staticmethod
    def backward(context, cotangent):
        return cotangent * context.saved_tensors[0]

    @staticmethod
    def jvp(context, tangent):
        return tangent * context.saved_tensors[0]

    @staticmethod
    def vmap(info, in_dims, x):
        return torch.exp(x), in_dims[0]


class CutOffInBatches(Exponential):
    @staticmethod
    def vmap(info, in_dims, x):
        return torch.exp(x.detach()), in_dims[0]


OVER_POINTS = [
    "under torch.func.vjp of torch.vmap over points",
    "under torch.func.jvp of torch.vmap over points",
]


def wrong_labels(function):
    answers = said(functional.answer(invocation(function.apply, 0.0, own_code=True)))
    assert set(OVER_POINTS) <= set(labels(answers))
    return [each.label for each in found(answers, 1) if residual(each, np.ones((1, 1, 1))) > 0.5]


def test_the_derivative_of_a_rule_for_batches_is_asked_for_of_a_users_code():
    assert wrong_labels(CutOffInBatches) == OVER_POINTS
    assert not wrong_labels(Exponential)


def test_every_call_takes_a_batch_of_points():
    x, y = np.array([3.0, -1.0, 0.5]), np.array([5.0, 2.0, -4.0])
    answers = said(functional.answer(batch(lambda x, y: x**2 * y, x, y)))
    gradient = np.stack([2 * x * y, x**2], axis=1).reshape(3, 1, 2)
    hessian = np.stack([2 * y, 2 * x, 2 * x, 0 * x], axis=1).reshape(3, 1, 2, 2)
    assert not remarks(answers)
    assert max(residual(each, (x**2 * y).reshape(3, 1)) for each in found(answers, 0)) == 0
    assert max(residual(each, gradient) for each in found(answers, 1)) == 0
    assert max(residual(each, hessian) for each in found(answers, 2)) == 0


POINTS = np.array([[3.0, -1.0, 0.5], [-2.0, 4.0, 1.0]])


def mapped(function):
    """An invocation at two points of three numbers, which the function takes one at a time."""
    return batch(function, POINTS, outputs=(Port("", (3,)),), mapped=True)


def test_vmap_takes_points_that_the_code_takes_one_at_a_time():
    answers = said(functional.answer(mapped(lambda x: x.sum() * x)))
    ones, unit = np.ones(3), np.eye(3)
    sums = POINTS.sum(1)[:, None, None]
    gradient = sums * unit + POINTS[:, :, None] * ones
    hessian = unit[:, :, None] * ones + unit[:, None, :] * ones[:, None]
    assert not remarks(answers)
    assert all(
        each == "under torch.vmap" or each.endswith(", of points by torch.vmap")
        for each in labels(answers)
    )
    assert max(residual(each, sums[..., 0] * POINTS) for each in found(answers, 0)) == 0
    assert max(residual(each, gradient) for each in found(answers, 1)) == 0
    assert max(residual(each, hessian[None].repeat(2, 0)) for each in found(answers, 2)) == 0


def test_several_outputs_and_inputs_of_several_shapes_stand_in_order():
    def function(x, a):
        return a @ x, x.sum() * a[0, 1]

    ports = {"outputs": (Port("image", (2,)), Port("scaled", ()))}
    answers = said(functional.answer(invocation(function, [2.0, 7.0], [[1.0, 3.0]] * 2, **ports)))
    rows = [[1, 3, 2, 7, 0, 0], [1, 3, 0, 0, 2, 7], [3, 3, 0, 9, 0, 0]]
    assert {"under torch.func.jacrev", "under torch.func.jacfwd"} <= set(labels(answers))
    assert max(residual(each, np.array([rows], dtype=float)) for each in found(answers, 1)) == 0


def test_of_many_entries_some_rows_and_columns_are_told():
    x = np.linspace(-1, 1, 7)
    answers = said(functional.answer(invocation(lambda x: x**3, x, output_shape=(7,))))
    third = np.zeros((1, 7, 7, 7))
    third[0, range(7), range(7), range(7)] = 6 * x
    assert "under torch.vmap of a vjp" in labels(answers)
    assert not remarks(answers)
    assert max(residual(each, np.diag(3 * x**2)[None]) for each in found(answers, 1)) < 1e-14
    assert max(residual(each, third) for each in found(answers, 2)) < 1e-14


@pytest.mark.parametrize(
    "function",
    [lambda x, y: 3 * x, lambda x, y: torch.ones((), dtype=x.dtype), lambda x, y: x.detach() * 2],
)
def test_second_derivatives_that_vanish_are_zeros(function):
    answers = said(functional.answer(invocation(function, 3.0, 5.0)))
    assert labels(answers) == AT_ONE_POINT
    assert max(residual(each, np.zeros((1, 1, 2, 2))) for each in found(answers, 2)) == 0


def test_what_the_case_does_without_is_not_asked():
    without = {"forward": "no jvp", "second": "no double backward"}
    answers = said(functional.answer(invocation(lambda x, y: x * y, 3.0, 5.0, without=without)))
    assert labels(answers) == AT_ONE_POINT[:10]


@pytest.mark.parametrize("count", [1, 3])
def test_of_several_inputs_the_first_and_the_last_are_batched_alone(count):
    answers = said(functional.answer(invocation(lambda *xs: sum(xs), *[2.0] * count)))
    told = [each.partition("in_dims=(")[2] for each in labels(answers) if "in_dims=(" in each]
    assert told == {1: [], 3: ["0, None, None)", "None, None, 0)"]}[count]


def test_points_that_were_drawn_are_asked_few_calls():
    answers = said(functional.answer(invocation(lambda x: x * x, 3.0, thorough=False, seed=5)))
    assert set(labels(answers)) < set(AT_ONE_POINT)
    assert "under torch.func.jacrev" in labels(answers)


# what PyTorch cannot do


class OnlyOnce(Sine):
    generate_vmap_rule = True

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, cotangent):
        return cotangent * context.saved_tensors[0].cos()


def in_place(x):
    total = torch.zeros(3, dtype=x.dtype)
    return total.add_(x) * x


def by_entry(x):
    total = torch.zeros(3, dtype=x.dtype)
    total[0] = x[0]
    return total


LACKS = {
    "a number": (lambda x: x * x.sum().item(), "calling .item() on a Tensor"),
    "a branch": (lambda x: x * 2 if x.sum() > 0 else x, "data-dependent control flow"),
    "a mask": (lambda x: x * (x[x > 0].sum()), "dynamic shape"),
    "random numbers": (lambda x: x + 0 * torch.rand(3), "random operation"),
    "in place": (in_place, "doesn't match the broadcast shape"),
    "in place by entry": (by_entry, "inplace arithmetic"),
    "in place at indices": (
        lambda x: torch.zeros(3, dtype=x.dtype).index_copy_(0, torch.arange(3), x),
        "index_copy_(self, *extra_args) is not possible",
    ),
    "NumPy": (lambda x: x * torch.from_numpy(x.detach().numpy()), "data pointer"),
    "an old autograd.Function": (PlainSine.apply, "must override the setup_context"),
    "no rule for vmap": (Sine.apply, "does not have vmap support"),
    "one derivative": (OnlyOnce.apply, "@once_differentiable"),
}


@pytest.mark.parametrize("name", LACKS)
def test_what_cannot_be_transformed_abstains_with_the_reason(name):
    function, reason = LACKS[name]
    answers = said(
        functional.answer(invocation(function, [1.0, 2.0, 3.0], output_shape=(3,), own_code=True))
    )
    told = remarks(answers)
    assert any(reason in each.reason for each in told)
    assert all(isinstance(each, Abstention) and each.incapable for each in told)


def test_the_kernel_that_raises_under_vmap_on_its_own_is_convicted():
    def function(x):
        if torch._C._functorch.is_batchedtensor(x):
            raise ValueError("only one point")
        return x.sin()

    told = remarks(functional.answer(invocation(function, 0.5, own_code=True)))
    assert {each.reason for each in told} == {"raised ValueError: only one point"}
    assert "under torch.vmap" in labels(told)


# culprits, of which only this witness knows


class Product(torch.autograd.Function):
    """x y, with rules of its own for every transform; ``spoil`` is what its vmap makes wrong.

    Its derivatives are products too, by ``in_backward`` and ``in_jvp``.
    """

    in_backward = in_jvp = staticmethod(torch.mul)

    @staticmethod
    def forward(x, y):
        return x * y

    setup_context = staticmethod(Sine.setup_context)

    @classmethod
    def backward(cls, context, cotangent):
        x, y = context.saved_tensors
        return cls.in_backward(cotangent, y), cls.in_backward(cotangent, x)

    @classmethod
    def jvp(cls, context, tangent, other):
        x, y = context.saved_tensors
        return cls.in_jvp(tangent, y) + cls.in_jvp(other, x)

    @classmethod
    def vmap(cls, info, in_dims, x, y):
        first = x if in_dims[0] is None else x.movedim(in_dims[0], 0)
        second = y if in_dims[1] is None else y.movedim(in_dims[1], 0)
        return cls.spoil(info, in_dims, first) * cls.spoil(info, in_dims, second), 0

    @staticmethod
    def spoil(info, in_dims, operand):
        return operand


def spoilt(change):
    """The product whose vmap is wrong: ``change`` takes its info, in_dims and an operand."""

    class Spoilt(Product):
        spoil = staticmethod(change)

    return Spoilt.apply


class Deep(Product):
    """The product whose vmap is itself, so that what is below it meets its rules."""

    @classmethod
    def vmap(cls, info, in_dims, x, y):
        sides = [
            side if axis is None else side.movedim(axis, 0)
            for side, axis in zip((x, y), in_dims, strict=True)
        ]
        return cls.apply(*torch.broadcast_tensors(*sides)), 0


def deep(**rules):
    return type(
        "Culprit", (Deep,), {name: staticmethod(rule) for name, rule in rules.items()}
    ).apply


def square(product):
    """x², of which vmap is the product's."""
    return lambda x: product(x, x)


class Wave(torch.autograd.Function):
    """sin(x), whose derivative is a product with a vmap of its own, in one mode or the other."""

    generate_vmap_rule = False
    in_backward = in_jvp = staticmethod(torch.mul)

    @staticmethod
    def forward(x):
        return x.sin()

    setup_context = staticmethod(Sine.setup_context)

    @classmethod
    def backward(cls, context, cotangent):
        return cls.in_backward(cotangent, context.saved_tensors[0].cos())

    @classmethod
    def jvp(cls, context, tangent):
        return cls.in_jvp(tangent, context.saved_tensors[0].cos())

    @classmethod
    def vmap(cls, info, in_dims, x):
        return cls.apply(x), in_dims[0]


class SpentWave(Wave):
    """sin(x), which a transform can pull back along one cotangent, and eager mode along many."""

    last = 1

    @staticmethod
    def setup_context(context, inputs, output):
        under = torch._C._functorch.is_functorch_wrapped_tensor(inputs[0])
        context.pulls = [] if under else None
        Sine.setup_context(context, inputs, output)

    @classmethod
    def backward(cls, context, cotangent):
        slope = context.saved_tensors[0].cos()
        if context.pulls is not None:
            context.pulls.append(cotangent)
            slope = slope * (2 if len(context.pulls) > cls.last else 1)
        return cotangent * slope


class UnspentWave(SpentWave):
    last = 1_000


def wave(**rules):
    return type(
        "Culprit", (Wave,), {name: staticmethod(rule) for name, rule in rules.items()}
    ).apply


def first_for_all(info, in_dims, operand):
    return operand[:1].expand_as(operand) if operand.ndim > 1 else operand


def last_for_all(info, in_dims, operand):
    return operand[-1:].expand_as(operand) if operand.ndim > 1 else operand


def a_sum(info, in_dims, operand):
    return operand.sum(0, keepdim=True).expand_as(operand) if operand.ndim > 1 else operand


def sign_of_the_first(info, in_dims, operand):
    return operand.abs() * operand[:1].sign() if operand.ndim > 1 else operand


def one_for_all(info, in_dims, operand):
    """Wrong where an operand alone is batched."""
    alone = None in in_dims and operand.ndim > 1
    return operand[:1].expand_as(operand) if alone else operand


def wrong_in_last(info, in_dims, operand):
    return operand.mT if in_dims[0] == 1 else operand


SQUARE = {"formula": "x**2", "inputs": {"x": {"domain": "(0.5, 1.5)", "shape": [3]}}}
SINE = {**SQUARE, "formula": "sin(x)"}
MIXED = {
    "formula": "x*y",
    "inputs": {name: {"domain": "(0.5, 1.5)", "shape": [3]} for name in "xy"},
}
CULPRITS = {
    "one value for all": (MIXED, spoilt(one_for_all), "in_dims=(0, None)"),
    "one pull": (SINE, SpentWave.apply, "jacrev with chunk_size=1"),
    "the first point for all": (SQUARE, square(spoilt(first_for_all)), "torch.vmap and"),
    "the last point for all": (SQUARE, square(spoilt(last_for_all)), "torch.vmap and"),
    "a sum over the points": (SQUARE, square(spoilt(a_sum)), "torch.vmap and"),
    "the wrong axis": (SQUARE, square(spoilt(wrong_in_last)), "in_dims=-1"),
    "the first cotangent for all": (SINE, wave(in_backward=spoilt(first_for_all)), "jacrev"),
    "the first tangent for all": (SINE, wave(in_jvp=spoilt(first_for_all)), "jacfwd"),
}
TWINS = {
    "a product of two": (MIXED, Product.apply),
    "many pulls": (SINE, UnspentWave.apply),
    "a product": (SQUARE, square(Product.apply)),
    "a rule of its own in reverse mode": (SINE, wave(in_backward=Product.apply)),
    "a rule of its own in forward mode": (SINE, wave(in_jvp=Product.apply)),
}
EAGER = ("value", "reverse", "forward", "contract")


def judged(case, function, witness="functional", order=1):
    options = {"dtype": "float64", "points": 16, "order": order, "witness": witness}
    return gradcheck.verify(function, **case, **options)


@pytest.mark.parametrize("name", CULPRITS)
def test_a_culprit_is_convicted_by_name(name):
    case, function, call = CULPRITS[name]
    result = judged(case, function)
    told = " ".join(result.blocks[0].split())
    assert result.verdict == "disagree"
    assert "right in eager mode, wrong under torch." in told
    assert call in told


@pytest.mark.parametrize("name", CULPRITS)
def test_no_other_witness_sees_it(name):
    case, function, _ = CULPRITS[name]
    assert judged(case, function, EAGER).verdict == "agree"


SECOND = {
    "forward over reverse": (wave(in_backward=deep(in_jvp=spoilt(first_for_all))), "hessian"),
    "reverse over reverse": (
        wave(in_backward=deep(in_backward=spoilt(first_for_all))),
        "jacrev of jacrev",
    ),
    "reverse over forward": (
        wave(in_jvp=deep(in_backward=spoilt(first_for_all))),
        "jacrev of jacfwd",
    ),
}
SECOND_TWINS = {
    "forward over reverse": wave(in_backward=deep(in_jvp=Product.apply)),
    "reverse over reverse": wave(in_backward=deep(in_backward=Product.apply)),
    "reverse over forward": wave(in_jvp=deep(in_backward=Product.apply)),
}


@pytest.mark.parametrize("name", SECOND)
def test_a_rule_that_is_wrong_for_second_derivatives_alone_is_convicted_by_its_call(name):
    function, call = SECOND[name]
    result = judged(SINE, function, order=2)
    told = " ".join(result.blocks[0].split())
    assert f"right in eager mode, wrong at order 2 under torch.func.{call}" in told
    assert judged(SINE, function, (*EAGER, "second"), order=2).verdict == "agree"
    assert judged(SINE, function).verdict == "agree"


@pytest.mark.parametrize("name", SECOND_TWINS)
def test_the_twin_of_a_wrong_second_derivative_is_acquitted(name):
    assert judged(SINE, SECOND_TWINS[name], order=2).verdict == "agree"


@pytest.mark.parametrize("name", TWINS)
def test_its_twin_is_acquitted(name):
    result = judged(*TWINS[name])
    assert result.verdict == "agree"


@pytest.mark.parametrize(("change", "error"), [(Product.spoil, 0), (sign_of_the_first, 16)])
def test_a_batch_of_points_shows_what_multiples_of_one_point_hide(change, error):
    product = spoilt(change)

    def twice(x):
        return product(x, torch.full((3,), 2.0, dtype=x.dtype))

    alone = said(functional.answer(invocation(twice, POINTS[0], output_shape=(3,))))
    together = said(functional.answer(mapped(twice)))
    assert max(residual(each, 2 * POINTS[:1]) for each in found(alone, 0)) == 0
    assert max(residual(each, 2 * POINTS) for each in found(together, 0)) == error


def test_what_is_wrong_in_eager_mode_too_is_not_laid_on_a_transform():
    result = judged(SINE, wave(in_backward=lambda g, slope: -g * slope))
    assert result.verdict == "disagree"
    assert "the backward is wrong" in " ".join(result.blocks[0].split())


def turned(slope):
    """The sine, whose derivative is made by a hook that takes tensors alone."""

    def function(x):
        y = x.detach().sin() + (x - x.detach())
        if y.requires_grad:
            y.register_hook(lambda cotangent: cotangent @ torch.diag(slope(x.detach())))
        return y

    return function


HOOKED = {
    "formula": "sin(x)",
    "inputs": {"x": {"shape": [3]}},
    "order": 1,
    "without": {"forward": "a hook has none"},
    "dtype": "float64",
    "points": 8,
}


@pytest.mark.parametrize("witness", ["functional", "gradcheck"])
def test_a_hook_that_vmap_leaves_out_and_that_takes_no_undefined_gradient_is_acquitted(witness):
    assert gradcheck.verify(turned(torch.cos), **HOOKED, witness=witness).verdict == "agree"


@pytest.mark.parametrize("witness", ["functional", "gradcheck"])
def test_a_hook_that_is_wrong_is_convicted(witness):
    assert gradcheck.verify(turned(torch.sin), **HOOKED, witness=witness).verdict == "disagree"
