"""`gradcheck.verify`: convicts what is wrong, acquits what is right, refuses what is no case."""

import subprocess
import sys

import pytest
import sympy
import torch

import gradcheck
from gradcheck.answer import Outcome
from gradcheck.errors import CatalogError

QUICK = {"points": 6, "dtype": "float64"}


def sine(x):
    return torch.sin(x)


class Sine(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(context, slope):
        (x,) = context.saved_tensors
        return slope * x.cos()


class WrongSine(Sine):
    @staticmethod
    def backward(context, slope):
        return -Sine.backward(context, slope)


class Doubling(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.factor * x


RIGHT = {
    "a function": (sine, "sin(x)"),
    "an autograd.Function": (Sine, "sin(x)"),
    "an nn.Module": (Doubling(), "2*x"),
    "text in the torch language": ("torch.sin(x)", "sin(x)"),
    "the formula itself": (None, "sin(x)"),
}


@pytest.mark.parametrize(("fn", "formula"), RIGHT.values(), ids=RIGHT)
def test_the_right_one_is_acquitted(fn, formula):
    result = gradcheck.verify(fn, formula, inputs={"x": "(-3, 3)"}, witness="reverse", **QUICK)
    assert result.verdict == "agree"
    assert result.worst.ulps < 4
    result.raise_for_disagreement()


WRONG = {
    "a function": (torch.cos, "sin(x)"),
    "an autograd.Function": (WrongSine, "sin(x)"),
    "an nn.Module": (Doubling(), "3*x"),
    "text in the torch language": ("torch.cos(x)", "sin(x)"),
}


@pytest.mark.parametrize(("fn", "formula"), WRONG.values(), ids=WRONG)
def test_the_wrong_one_is_convicted(fn, formula):
    result = gradcheck.verify(fn, formula, inputs={"x": "(-3, 3)"}, witness="reverse", **QUICK)
    assert result.verdict == "disagree"
    assert result.worst.ruling.value == "disagree"
    with pytest.raises(gradcheck.GradientDisagreement, match=r"^disagree: "):
        result.raise_for_disagreement()


def test_a_disagreement_is_an_assertion_error_with_one_block_for_one_cause():
    result = gradcheck.verify(WrongSine, "sin(x)", {"x": "(-3, 3)"}, points=6, witness="reverse")
    with pytest.raises(AssertionError) as error:
        result.raise_for_disagreement()
    text = str(error.value)
    assert text.startswith("disagree: the backward is wrong\n")
    assert text.count("  where: gradcheck.verify\n") == 1
    assert "the same cause, in 1 more check:\n  inline[reverse-cpu-float32]: off by " in text
    assert "on trial: WrongSine" in text
    assert "looks like: the sign" in text


def test_a_function_is_named_by_the_class_that_it_is_applied_of():
    result = gradcheck.verify(WrongSine.apply, "sin(x)", {"x": "(-3, 3)"}, **QUICK)
    assert "  on trial: WrongSine.apply\n" in result.blocks[0]


def test_every_witness_and_both_dtypes_are_heard_by_default():
    result = gradcheck.verify(sine, "sin(x)", {"x": "(-3, 3)"}, points=2)
    assert list(result.outcomes) == [
        f"inline[{witness}-cpu-{dtype}]"
        for witness in ("value", "reverse", "forward", "second", "gradcheck")
        for dtype in ("float64", "float32")
    ]
    assert all(isinstance(outcome, Outcome) for outcome in result.outcomes.values())


def test_a_witness_that_abstains_does_not_hide_the_others():
    result = gradcheck.verify(Sine, "sin(x)", {"x": "(-3, 3)"}, **QUICK)
    assert result.outcomes["inline[forward-cpu-float64]"].ruling.value == "abstain"
    assert result.verdict == "agree"


def test_where_every_witness_abstains_so_does_the_verdict():
    result = gradcheck.verify(Sine, "sin(x)", {"x": "(-3, 3)"}, witness="forward", **QUICK)
    assert (result.verdict, result.worst) == ("abstain", None)


def test_the_keys_of_a_case_are_taken():
    result = gradcheck.verify(
        lambda x, y: (torch.tensor([1.0, 2.0], dtype=x.dtype) * x).sum() / y,
        "sum(e) / y",
        inputs={"x": {"domain": "(-2, 2)", "shape": [2]}, "y": "(1, 2)"},
        constants={"w": torch.tensor([1.0, 2.0])},
        let={"e": "w * x"},
        where="x[0] < x[1]",
        points=[{"at": {"x": [0.5, 1.5], "y": 1.25}, "gradient": {"x": [0.8, 1.6]}}],
        witness=["value", "reverse"],
        dtype="float64",
    )
    assert result.verdict == "agree"


def test_the_same_seed_visits_the_same_points_and_another_does_not():
    def worst(seed):
        found = gradcheck.verify(sine, "sin(x)", {"x": "(-3, 3)"}, seed=seed, **QUICK)
        return found.worst

    assert worst(1) == worst(1)
    assert worst(1) != worst(2)


REFUSED = {
    "a typing error in the torch language": (
        ("torch.sine(x)", "sin(x)", {"x": "real"}),
        "gradcheck.verify torch:1:1: 'torch.sine', which the torch language does not allow\n"
        "  expected: a function on tensors that PyTorch lists as overridable\n"
        "  fix:      write torch.sin",
    ),
    "a typing error in a domain": (
        (None, "sin(x)", {"x": "reel"}),
        "gradcheck.verify inputs.x:1:1: the unknown domain 'reel'\n"
        "  expected: one of real, positive, negative, nonnegative, nonzero, complex, an interval"
        " such as (0, pi/2], or several joined by |\n"
        "  fix:      write real",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_case_is_refused_as_in_a_file(arguments, message):
    with pytest.raises(CatalogError) as error:
        gradcheck.verify(*arguments)
    assert str(error.value) == message


def test_an_unknown_key_is_refused():
    with pytest.raises(CatalogError, match="the unknown key 'wher'"):
        gradcheck.verify(None, "x", {"x": "real"}, wher="x > 0")


def test_a_condition_that_no_input_meets_is_refused():
    with pytest.raises(CatalogError, match="no drawn input meets its `where`"):
        gradcheck.verify(None, "x", {"x": "positive"}, where="x < 0")


@pytest.mark.parametrize(
    "options",
    [
        {"witness": "nobody"},
        {"dtype": "float16"},
        {"points": 0},
        {"device": "nonsense"},
        {"seed": -1},
        {"seed": 2**32},
        {"seed": "seven"},
    ],
)
def test_an_option_that_means_nothing_is_a_value_error(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        gradcheck.verify(None, "x", {"x": "real"}, **options)


def test_what_is_neither_callable_nor_text_is_a_type_error():
    with pytest.raises(TypeError, match="fn is a int"):
        gradcheck.verify(3, "x", {"x": "real"})


def test_importing_the_package_imports_nothing_heavy():
    program = "import sys, gradcheck; print({'torch', 'numpy', 'sympy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert done.stdout.decode().strip() == "set()"


def test_the_function_stays_a_function_whatever_is_imported():
    from gradcheck import verification

    assert gradcheck.verify is verification.verify
    assert {"verify", "GradientDisagreement", "__version__"} <= set(dir(gradcheck))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gradcheck.nothing  # noqa: B018 - asking is the test


def test_a_dtype_that_is_no_name_is_told_what_is_one():
    with pytest.raises(TypeError) as error:
        gradcheck.verify("torch.sin(x)", "sin(x)", inputs={"x": "real"}, dtype=torch.float64)
    assert str(error.value) == (
        "dtype is torch.float64, expected text such as 'float64', or a list of it"
    )


def second_bessel(x):
    return 2 / x * torch.special.bessel_j1(x) - torch.special.bessel_j0(x)


def test_a_function_may_be_tried_against_a_formula_that_pytorch_lacks():
    result = gradcheck.verify(
        second_bessel, "besselj(2, x)", inputs={"x": "(1, 2)"}, witness="value", **QUICK
    )
    assert result.outcomes


def test_a_formula_that_pytorch_lacks_cannot_be_tried_itself():
    with pytest.raises(CatalogError, match="besselj of order 2, which PyTorch does not have"):
        gradcheck.verify(None, "besselj(2, x)", inputs={"x": "(1, 2)"}, **QUICK)


def test_a_sympy_expression_as_formula_is_answered_with_what_to_write():
    x = sympy.Symbol("x")
    with pytest.raises(TypeError) as error:
        gradcheck.verify(torch.sin, sympy.sin(x), inputs={"x": "real"})
    assert str(error.value) == (
        "got the sympy expression sin(x), expected text: write str(...) of it"
    )


@pytest.mark.parametrize("interval", [(-3, 3), [-3, 3]])
def test_an_interval_that_is_no_text_is_answered_with_the_text(interval):
    with pytest.raises(CatalogError) as error:
        gradcheck.verify(torch.sin, "sin(x)", inputs={"x": interval})
    assert str(error.value) == (
        "gradcheck.verify inputs.x:1:1: a list\n"
        "  expected: a domain, or a map with domain, shape and kind\n"
        '  fix:      write the interval in quotes, as in x: "[-3, 3]", or "(-3, 3)" '
        "without its ends"
    )
