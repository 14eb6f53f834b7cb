"""A fault at other shapes than a case's own: convicted by `contract`, its twin acquitted."""

import pytest
import torch
from culprits import case_of, check_of
from torch.nn.functional import scaled_dot_product_attention
from wrongs import with_gradient

import gradcheck
from gradcheck.answer import Ruling, RunOptions
from gradcheck.diagnosis.examination import examine
from gradcheck.run import ruling
from gradcheck.run.ruling import Examination

FEW = RunOptions(points=1)
NORM = (
    "{formula: 'x / sqrt(mean(x**2, dim=1, keepdim=True) + 1)', order: 1, function: 'm:f',"
    " inputs: {x: {domain: '(-3, 3)', shape: [2, 4]}}}"
)
SUM = (
    "{formula: sum(x**2)%s, order: 1, function: 'm:f', sweep: {n: [4]}, %s"
    " inputs: {x: {shape: [n]}}}"
)


def norm(x):
    return x * (x.square().mean(1, keepdim=True) + 1).rsqrt()


def norm_wrong_where(is_wrong):
    return with_gradient(norm, lambda slope, x: slope * (1.5 if is_wrong(*x.shape) else 1.0))


def at_other_shapes(declaration, function):
    """An examination that was at other shapes only."""
    examination = Examination(check_of(case_of(declaration, function), "contract"), FEW)
    examination.ask_at_other_shapes()
    return examination


@pytest.mark.parametrize(
    "is_wrong",
    [
        pytest.param(lambda rows, columns: columns % 2 and columns > 1, id="odd"),
        pytest.param(lambda rows, columns: columns == 1, id="one"),
        pytest.param(lambda rows, columns: columns > 1024, id="beyond a block"),
        pytest.param(lambda rows, columns: rows > 128, id="many rows"),
    ],
)
def test_a_fault_at_another_shape_is_convicted(is_wrong):
    assert at_other_shapes(NORM, norm_wrong_where(is_wrong)).outcome().verdict is Ruling.DISAGREE


def test_its_twin_is_acquitted_and_was_asked_at_five_shapes():
    examination = at_other_shapes(NORM, norm_wrong_where(lambda rows, columns: False))
    assert examination.failed is None
    assert examination.totals.visited == {"other shapes": 10}


def test_the_failure_says_that_it_is_at_another_shape():
    function = norm_wrong_where(lambda rows, columns: columns % 2 and columns > 1)
    outcome = examine(check_of(case_of(NORM, function), "contract"), FEW)
    assert outcome.blame == (
        "the backward is wrong, at other shapes than the case's own: x: [3, 5]"
    )


@pytest.mark.parametrize(
    ("formula", "call", "function"),
    [
        pytest.param("", "", lambda x: x.square().sum(), id="a symbol in the shape alone"),
        pytest.param("/n", "call: 'f(x, n)',", lambda x, n: x.square().sum() / n, id="in the call"),
    ],
)
def test_a_symbol_in_a_shape_changes_with_it(formula, call, function):
    examination = at_other_shapes(SUM % (formula, call), function)
    assert examination.totals.visited == {"other shapes": 8}


ATTENTION = {
    "formula": "exp(q @ k.T/2) @ v/sum(exp(q @ k.T/2), 1, keepdim=True)",
    "inputs": {
        "q": {"shape": [3, 4], "domain": "(-4, 4)"},
        "k": {"shape": [5, 4], "domain": "(-4, 4)"},
        "v": {"shape": [5, 2]},
    },
}
HALF = {"witness": "contract", "dtype": "bfloat16", "dtypes": ["bfloat16"]}


def test_in_half_precision_code_that_means_something_else_there_is_known_by_its_wider_values():
    """Of peaked rows bfloat16 tells no scale; 1/2 is that of four columns."""
    code = lambda q, k, v: scaled_dot_product_attention(q[None], k[None], v[None])[0]  # noqa: E731
    found = gradcheck.verify(code, **ATTENTION, **HALF, order=2, seed=13212)
    assert found.verdict == "agree"


def test_in_half_precision_a_fault_at_another_shape_is_convicted():
    wrong = norm_wrong_where(lambda rows, columns: columns % 2 and columns > 1)
    found = gradcheck.verify(
        wrong,
        "x/sqrt(mean(x**2, dim=1, keepdim=True) + 1)",
        {"x": {"domain": "(-3, 3)", "shape": [2, 4]}},
        **HALF,
        order=1,
    )
    assert found.verdict == "disagree"
    assert "at other shapes" in found.blocks[0]


def test_code_that_means_something_else_at_other_shapes_is_not_asked_there():
    def mean(x):
        return x.square().sum() / 4 if len(x) == 4 else x.square().mean()

    declaration = "{formula: sum(x**2)/4, order: 1, function: 'm:f', inputs: {x: {shape: [4]}}}"
    examination = at_other_shapes(declaration, mean)
    assert examination.failed is None
    assert not examination.totals.visited["other shapes"]


def test_a_backward_that_is_made_for_the_cases_own_shape_alone_is_acquitted():
    function = norm_wrong_where(lambda rows, columns: (rows, columns) != (2, 4))
    assert at_other_shapes(NORM, function).failed is None


DEVIATION = (
    "{formula: '(x - mean(x)) / (sqrt(mean((x - mean(x))**2)) + 1)', order: 1, function: 'm:f',"
    " inputs: {x: {domain: '(-3, 3)', shape: [6]}}}"
)


def deviation(x):
    """Its backward gives NaN for one entry, of deviation 0, as that of the formula does."""
    return (x - x.mean()) / ((x - x.mean()).square().mean().sqrt() + 1)


def test_what_is_singular_of_one_entry_is_no_fault():
    examination = at_other_shapes(DEVIATION, deviation)
    assert examination.totals.visited["other shapes"] == 8
    assert examination.at_other_shape is None


def test_an_input_is_made_smaller_by_the_call_that_failed_alone(monkeypatch):
    asked = []
    observe_each = ruling.observe_each
    monkeypatch.setattr(ruling, "observe_each", lambda session, several: (
        asked.extend(several), observe_each(session, several))[1])  # fmt: skip

    square = with_gradient(
        torch.square, lambda slope, x: slope * (1.0 if x.is_contiguous() else 1.5)
    )
    declaration = "{formula: x**2, order: 1, function: 'm:f', inputs: {x: {shape: [2]}}}"
    outcome = examine(check_of(case_of(declaration, square), "contract"), FEW)
    assert outcome.verdict is Ruling.DISAGREE
    made_smaller = {each.again for each in asked if each.thorough}
    assert made_smaller == {frozenset(["for strided inputs"])}


class Scaling(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, x):
        return self.weight * x


def test_a_length_of_a_modules_parameters_stays():
    declaration = (
        "{formula: w*x, order: 1, function: 'm:f', parameters: {weight: w},"
        " inputs: {w: {shape: [2]}, x: {shape: [3, 2]}}}"
    )
    examination = at_other_shapes(declaration, Scaling())
    assert examination.totals.visited["other shapes"] > 0
    assert examination.at_other_shape is None


def test_an_interpreter_is_spared_long_arrays(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    wrong = norm_wrong_where(lambda rows, columns: columns > 1024)
    assert at_other_shapes(NORM, wrong).at_other_shape is None
