"""One callable for whatever spelled the implementation."""

import sys
from fractions import Fraction
from types import SimpleNamespace

import pytest
import torch

from gradcheck.catalog.case import Implementation
from gradcheck.errors import Where
from gradcheck.implementations.compiled import TooLargeError
from gradcheck.implementations.subject import (
    ChangedSettingError,
    NotATensorError,
    acts_on_each_point,
    subject_of,
)
from gradcheck.language.parse import parse

HERE = Where("cases/a.yaml", 1, 1)


class Declared(SimpleNamespace):
    """Like a case, it equals only itself."""

    __hash__ = object.__hash__


CASE = Declared(
    inputs=(SimpleNamespace(name="x", shape=()), SimpleNamespace(name="y", shape=())),
    formula=parse("k*s*x + y**d"),
    lets={"s": parse("1/4")},
    constants={"k": Fraction(2), "mean": [Fraction(1, 2)]},
)
VARIANT = Declared(values={"d": Fraction(2)})
INPUTS = torch.tensor([3.0]), torch.tensor([5.0])


def subject(**implementation):
    text = str(implementation)
    return subject_of(CASE, VARIANT, Implementation(text, HERE, **implementation), "float32", "cpu")


def test_without_code_the_formula_is_on_trial():
    assert subject()(*INPUTS).item() == 26.5


def test_an_expression_sees_inputs_constants_and_sweep_values():
    assert subject(tree=parse("k*x*mean + torch.pow(y, d)"))(*INPUTS).item() == 28.0


def test_a_function_is_called_with_the_inputs_in_their_order():
    assert subject(function="operator:sub")(*INPUTS).item() == -2.0


def test_a_constant_that_is_written_into_is_fresh_at_each_call():
    batch_norm = "F.batch_norm(x.reshape([1, 1]), mean, mean, training=False) + mean.add_(1) - mean"
    first = subject(tree=parse(batch_norm))
    assert torch.equal(first(*INPUTS), first(*INPUTS))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x.repeat(10**5, 10**5)", "repeat builds a tensor of shape [100000, 100000]"),
        ("torch.ones_like(x).expand(2**19).cumsum(0).outer(y.expand(9))[0]", "mul builds a tensor"),
    ],
)
def test_a_giant_is_refused_before_it_is_built(text, found):
    with pytest.raises(TooLargeError) as caught:
        subject(tree=parse(text))(*INPUTS)
    assert str(caught.value).startswith(found)
    assert str(caught.value).endswith("more than 1,048,576 elements")


@pytest.mark.parametrize("text", ["torch.ones_like(x) * x.item()", "x + y.tolist()"])
def test_what_looks_at_numbers_runs_all_the_same(text):
    assert subject(tree=parse(text))(*INPUTS).item() in (3.0, 8.0)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "torch.max(x, dim=0)",
            "the implementation returned a max of 2, expected one tensor: name a function that "
            "returns one of them, or several joined into one, as torch.cat does",
        ),
        ("x.ndim", "the implementation returned a int, expected one tensor"),
    ],
)
def test_a_result_that_is_no_tensor_is_misconduct(text, found):
    with pytest.raises(NotATensorError) as caught:
        subject(tree=parse(text))(*INPUTS)
    assert str(caught.value) == found


def without_gradients(x, y):
    torch.set_grad_enabled(False)
    return x * y


def in_another_dtype(x, y):
    torch.set_default_dtype(torch.float16)
    return x * y


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (without_gradients, "the implementation left torch.set_grad_enabled(False)"),
        (in_another_dtype, "the implementation left torch.set_default_dtype(torch.float16)"),
    ],
)
def test_a_setting_left_changed_is_misconduct_and_does_not_reach_the_next_call(function, found):
    with pytest.raises(ChangedSettingError) as caught:
        subject(call=function)(*INPUTS)
    assert str(caught.value) == found
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() is torch.float32


def test_a_setting_that_is_changed_back_is_nobodys_business():
    assert subject(call=torch.no_grad()(torch.mul))(*INPUTS).item() == 15.0


POINTS = (torch.tensor([0.5, 1.5, -2.0]), torch.tensor([1.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: x * y + torch.sin(x),
        lambda x, y: torch.log(x) * y,  # NaN at a negative x, in both
        torch.hypot,
    ],
)
def test_elementwise_functions_act_on_each_point(function):
    assert acts_on_each_point(function, POINTS)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: torch.softmax(x, 0) * y,
        lambda x, y: (x * y).sum(),
        lambda x, y: x * y if x > 0 else -x,
        lambda x, y: [x, y],
        lambda x, y: torch.ones(()),
        lambda x, y: (x * y).reshape(-1),
        lambda x, y: x[..., 0] + y,
        lambda x, y: x - x.mean() + y,
        lambda x, y: sys.exit(1),
    ],
)
def test_functions_that_mix_points_or_refuse_batches_do_not(function):
    assert not acts_on_each_point(function, POINTS)


def test_the_points_are_not_changed_by_the_trial():
    acts_on_each_point(lambda x, y: x.mul_(y), POINTS)
    assert POINTS[0].tolist() == [0.5, 1.5, -2.0]
