"""PyTorch's samples: how one is bound to a formula; a wrong formula or mode is convicted."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gradcheck.answer import Ruling
from gradcheck.catalog.load import load_text


def loaded(name):
    """A benchmark as a module; it stands in no package."""
    path = Path(__file__).parent.parent / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


samples, hunts = loaded("samples"), loaded("hunts")


def sample(*values, **keywords):
    tensors = [torch.tensor(each, dtype=torch.float64, requires_grad=True)
               if isinstance(each, list) else each for each in values]  # fmt: skip
    return SimpleNamespace(input=tensors[0], args=tuple(tensors[1:]), kwargs=keywords)


def operator(function):
    return SimpleNamespace(op=function, name=function.__name__)


def rules(call, formula):
    return samples.written_rules({"rules": {"any": [{"call": call, "formula": formula}]}})["any"]


SOFTMAX = rules("softmax(x, d)", "exp(x)/sum(exp(x), dim=d, keepdim=True)")
WRONG = rules("softmax(x, d)", "exp(x)/sum(exp(x), dim=0, keepdim=True)")
ROWS = [[1.0, 2.0, 0.5], [0.25, 1.5, -1.0]]


def held(op, one, some):
    found = samples.hold(operator(op), one, some)
    return found.ruling if isinstance(found, samples.Held) else found.reason


def test_a_sample_of_another_shape_is_held_and_agrees():
    assert held(torch.softmax, sample(ROWS, 1), SOFTMAX) is Ruling.AGREE
    assert held(torch.softmax, sample([1.0, 2.0], dim=-1), SOFTMAX) is Ruling.AGREE


def test_a_sample_whose_formula_is_wrong_is_convicted():
    assert held(torch.softmax, sample(ROWS, 1), WRONG) is Ruling.DISAGREE
    assert held(torch.softmax, sample(ROWS, 0), WRONG) is Ruling.AGREE


def test_what_a_call_writes_out_must_be_what_the_sample_says():
    some = rules("softmax(x, 0)", "exp(x)/sum(exp(x), dim=0, keepdim=True)")
    assert held(torch.softmax, sample(ROWS, 0), some) is Ruling.AGREE
    assert held(torch.softmax, sample(ROWS, 1), some) == "no formula is stated for dim=1"


def test_a_default_is_what_the_function_declares():
    some = rules("add(x, y, alpha=a)", "x + a*y")
    assert held(torch.add, sample([1.0], [2.0]), some) is Ruling.AGREE
    assert held(torch.add, sample([1.0], [2.0], alpha=3), some) is Ruling.AGREE


def test_an_empty_sample_and_a_large_one_are_not_held():
    sine = rules("sin(x)", "sin(x)")
    assert held(torch.sin, sample([]), sine) == "without entries"
    assert held(torch.sin, sample([1.0] * 300), sine) == "more than 256 entries"


CASES = """
for_all: {formula: sin(x), inputs: {x: {shape: [2]}}, torch: torch.sin(x)}
for_its_own: {formula: "[cos(x[0]), cos(x[1])]", inputs: {x: {shape: [2]}}, torch: torch.cos(x)}
in_part: {formula: log(x), inputs: {x: "[1, 2]"}, torch: torch.log(x)}
"""
BY_FUNCTION = samples.catalog_rules(load_text(CASES, "cases.yaml"), ())


@pytest.mark.parametrize(
    ("function", "numbers", "expected"),
    [
        (torch.sin, [1.0, 2.0, 3.0], Ruling.AGREE),
        (torch.cos, [1.0, 2.0], Ruling.AGREE),
        (torch.cos, [1.0, 2.0, 3.0], "the formula is stated for other shapes"),
        (torch.log, [1.5], Ruling.AGREE),
        (torch.log, [3.0], "outside of the case's domain"),
    ],
)
def test_a_case_of_the_catalog_holds_samples_where_its_formula_says_something(
    function, numbers, expected
):
    assert held(function, sample(numbers), BY_FUNCTION[function]) == expected


class WrongTangent(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x**2

    @staticmethod
    def setup_context(ctx, inputs, _output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, cotangent):
        return 2 * cotangent * ctx.saved_tensors[0]

    @staticmethod
    def jvp(ctx, tangent):
        return 3 * tangent * ctx.saved_tensors[0]


def differing(function):
    trial = hunts.trial_of(SimpleNamespace(op=function), sample([1.0, 2.0]))
    return dict(hunts.differences(trial))


def test_a_mode_that_differs_from_eager_is_found():
    assert differing(WrongTangent.apply)["dual tensors"] == "5.0e-01 of the largest"


def test_modes_that_are_one_are_acquitted():
    assert differing(torch.sin) == {}
