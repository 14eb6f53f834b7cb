"""`gradcheck.verify`: convicts what is wrong, acquits what is right, refuses what is no case."""

import contextlib
import functools
import random
import subprocess
import sys
import warnings

import pytest
import sympy
import torch
from default_witnesses import asked
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

import gradcheck
from gradcheck.answer import Outcome
from gradcheck.errors import CatalogError
from gradcheck.verification import usual_modes

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
    assert "the same cause, in 1 more check:\n  WrongSine[reverse-cpu-float32]: off by " in text
    assert "on trial: WrongSine" in text
    assert "looks like: the sign" in text


@pytest.mark.skipif(not torch.__version__.startswith("2.13"), reason="a defect of PyTorch 2.13")
def test_a_derivative_that_pytorch_gets_wrong_is_wrong_in_a_users_function_and_the_defect_named():
    def code(a):
        one = torch.ones_like(a)
        return torch.linalg.det(torch.stack([a + 2, one, one, 2 * a + 3]).reshape(2, 2))

    formula, inputs = "(a + 2)*(2*a + 3) - 1", {"a": "(0, 3)"}
    result = gradcheck.verify(code, formula, inputs, witness="second", points=2, dtype="float64")
    (outcome,) = result.outcomes.values()
    assert outcome.verdict == "disagree"
    assert "; a known defect of PyTorch's det: the LU factors are taken for" in outcome.reason


def test_a_function_is_named_by_the_class_that_it_is_applied_of():
    result = gradcheck.verify(WrongSine.apply, "sin(x)", {"x": "(-3, 3)"}, **QUICK)
    assert "  on trial: WrongSine.apply\n" in result.blocks[0]


def test_a_function_of_pytorchs_is_named_as_it_is_called():
    result = gradcheck.verify(torch.cos, "sin(x)", {"x": "(-3, 3)"}, witness="value", **QUICK)
    assert "  on trial: torch.cos\n" in result.blocks[0]


@torch.library.custom_op("gradcheck_verified::cube", mutates_args=())
def cube(x: torch.Tensor) -> torch.Tensor:
    return x * x * x


def test_a_custom_operator_gives_its_checks_its_name():
    result = gradcheck.verify(cube, "x**3", {"x": "(-3, 3)"}, witness="value", **QUICK)
    assert list(result.outcomes) == ["gradcheck_verified::cube[value-cpu-float64]"]


def sine_that_warns(x):
    warnings.warn("careful", UserWarning, stacklevel=1)
    return torch.sin(x)


def sine_that_raises_a_warning(x):
    raise UserWarning("careful")


@pytest.mark.parametrize(
    ("fn", "verdict"), [(sine_that_warns, "agree"), (sine_that_raises_a_warning, "disagree")]
)
def test_a_filter_that_makes_warnings_errors_does_not_convict(fn, verdict):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.showwarning = lambda *_, **__: None
        result = gradcheck.verify(fn, "sin(x)", {"x": "(-3, 3)"}, witness="reverse", **QUICK)
    assert result.verdict == verdict


def test_the_worst_is_a_number_where_one_was_given():
    result = gradcheck.verify(WrongSine, "sin(x)", {"x": "(-3, 3)"}, points=6)
    assert any(not each.failures[0].true for each in result.outcomes.values() if each.failures)
    assert result.worst.true


def test_every_witness_and_both_dtypes_are_heard_by_default():
    result = gradcheck.verify(sine, "sin(x)", {"x": "(-3, 3)"}, points=2)
    assert list(result.outcomes) == [
        f"sine[{witness}-cpu-{dtype}]" for witness in asked() for dtype in ("float64", "float32")
    ]
    assert all(isinstance(outcome, Outcome) for outcome in result.outcomes.values())


def test_a_witness_that_abstains_does_not_hide_the_others():
    result = gradcheck.verify(Sine, "sin(x)", {"x": "(-3, 3)"}, **QUICK)
    assert result.outcomes["Sine[forward-cpu-float64]"].verdict == "abstain"
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
        {"dtype": "float8"},
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


# inside a Hypothesis test


def wrong_sine():
    """What a conviction found: it takes drawn points and shrinking."""
    found = gradcheck.verify(torch.cos, "sin(x)", {"x": "(-3, 3)"}, witness="reverse", **QUICK)
    return found.worst, [outcome.smallest for outcome in found.outcomes.values()]


SETTINGS = {
    "by a seed": {},
    "derandomised": {"derandomize": True},
    "in one phase": {"phases": [Phase.generate]},
}


@pytest.mark.parametrize("chosen", SETTINGS.values(), ids=SETTINGS)
def test_inside_given_the_same_is_found_as_outside(chosen):
    inside = []

    @settings(max_examples=2, deadline=None, database=None, **chosen)
    @given(st.integers())
    def outer(_):
        inside.append(wrong_sine())

    outer()
    assert inside == [wrong_sine()] * len(inside)
    assert inside


def test_inside_a_stateful_test_the_same_is_found_as_outside():
    inside = []

    class Machine(RuleBasedStateMachine):
        @rule()
        def verify(self):
            inside.append(wrong_sine())

    few = settings(max_examples=1, stateful_step_count=2, deadline=None, database=None)
    run_state_machine_as_test(Machine, settings=few)
    assert inside == [wrong_sine()] * len(inside)
    assert inside


def test_the_test_around_draws_what_it_draws_without_verify():
    def drawn(between):
        found = []

        @seed(3)
        @settings(max_examples=5, deadline=None, database=None, phases=[Phase.generate])
        @given(st.floats(), st.data())
        def outer(number, data):
            first = data.draw(st.text())
            between()
            found.append((repr(number), first, data.draw(st.integers()), random.random()))

        outer()
        return found

    assert drawn(wrong_sine) == drawn(lambda: None)


# modes of torch


@contextlib.contextmanager
def doubles():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def matrix_product(x):
    return (x[None] @ x[:, None])[0, 0]


MODES = {
    "torch.no_grad()": (torch.no_grad, "reverse"),
    "torch.inference_mode()": (torch.inference_mode, "forward"),
    'torch.autocast("cpu", dtype=torch.bfloat16)': (lambda: torch.autocast("cpu"), "value"),
}
SQUARES = {"formula": "x[0]**2 + x[1]**2", "inputs": {"x": {"domain": "(-3, 3)", "shape": [2]}}}


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_that_spoils_a_right_function_is_told_as_the_cause(mode):
    enter, witness = MODES[mode]
    with enter():
        result = gradcheck.verify(matrix_product, **SQUARES, witness=witness, points=4)
    told = f"{mode} was on when verify was called"
    assert result.verdict == "disagree"
    assert str(result).startswith(f"disagree: failed: {told}\n")
    with pytest.raises(gradcheck.GradientDisagreement) as error:
        result.raise_for_disagreement()
    assert " ".join(str(error.value).split()).startswith(f"disagree: {told} where: ")


@pytest.mark.parametrize("mode", [*MODES, "torch.set_default_dtype(torch.float64)"])
def test_a_mode_that_spoils_nothing_is_told_beside_the_verdict(mode):
    enter, _ = MODES.get(mode, (doubles, ""))
    with enter():
        result = gradcheck.verify("torch.sin(x)", "sin(x)", {"x": "(-3, 3)"}, witness="value")
    assert result.verdict == "agree"
    assert str(result).splitlines()[1] == f"  {mode} was on when verify was called"


@pytest.mark.parametrize("device", ["cpu", "meta"], ids=["autocast", "a device that has none"])
def test_modes_are_left_on_a_device_with_or_without_autocast(device):
    with torch.no_grad(), torch.autocast("cpu"):
        with usual_modes(device):
            left = torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")
        assert (torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")) == (False, True)
    assert left == (True, device != "cpu")


def product_without_autocast(factor):
    """A product that switches autocast off within, its backward times a factor."""

    class Product(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
        def forward(context, a, b):
            context.save_for_backward(a, b)
            return a @ b

        @staticmethod
        @torch.amp.custom_bwd(device_type="cpu")
        def backward(context, cotangent):
            a, b = context.saved_tensors
            return factor * cotangent @ b.mT, a.mT @ cotangent

    return Product.apply


@pytest.mark.parametrize(("factor", "verdict"), [(1, "agree"), (1.001, "disagree")])
def test_code_that_switches_autocast_off_is_differentiated_twice_without_it(factor, verdict):
    matrix = {"shape": [2, 2], "domain": "(-2, 2)"}
    with torch.autocast("cpu"):
        result = gradcheck.verify(
            product_without_autocast(factor), "a @ b", {"a": matrix, "b": matrix},
            witness="second", dtype="float32", points=4,
        )  # fmt: skip
    assert result.verdict == verdict


def test_a_wrong_function_is_no_less_wrong_for_a_mode_that_is_on():
    with doubles():
        result = gradcheck.verify(
            WrongSine, "sin(x)", {"x": "(-3, 3)"}, witness="reverse", dtype="float64", points=6
        )
    assert result.outcomes["WrongSine[reverse-cpu-float64]"].blame == (
        "the backward is wrong; "
        "torch.set_default_dtype(torch.float64) was on when verify was called"
    )


def test_inside_a_transform_of_torch_func_the_result_says_so():
    found = []

    def outer(x):
        found.append(gradcheck.verify(sine, "sin(x)", {"x": "(-3, 3)"}, **QUICK))
        return x

    torch.func.vmap(outer)(torch.ones(2))
    assert "a transform of torch.func was on when verify was called" in str(found[0])


def test_without_modes_nothing_is_said_of_them():
    result = gradcheck.verify(WrongSine, "sin(x)", {"x": "(-3, 3)"}, **QUICK)
    assert "when verify was called" not in f"{result}{result._repr_html_()}{result.blocks}"
    assert result.modes == ()


# inputs by name


def difference(a, b):
    return a - b


class Difference(torch.autograd.Function):
    @staticmethod
    def forward(a, b):
        return a - b

    @staticmethod
    def setup_context(context, inputs, output):
        pass

    @staticmethod
    def backward(context, slope):
        return slope, -slope


class OldDifference(Difference):
    setup_context = torch.autograd.Function.setup_context

    @staticmethod
    def forward(context, a, b):
        return a - b


class DifferenceModule(torch.nn.Module):
    def forward(self, a, b):
        return a - b


NAMED = {
    "a lambda": lambda a, b: a - b,
    "inputs apart from each other": lambda a, scale=1, b=0: scale * (a - b),
    "by name only": lambda *, b, a: a - b,
    "a partial": functools.partial(lambda scale, a, b: scale * (a - b), 1),
    "an autograd.Function": Difference,
    "an autograd.Function with its context": OldDifference,
    "an nn.Module": DifferenceModule(),
}


@pytest.mark.parametrize("fn", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("names", ["ab", "ba"])
def test_inputs_are_given_by_name_where_the_signature_has_the_names(fn, names):
    inputs = dict.fromkeys(names, "(-3, 3)")
    result = gradcheck.verify(fn, "a - b", inputs=inputs, witness="value,reverse", **QUICK)
    assert result.verdict == "agree"


@pytest.mark.parametrize(
    "fn",
    [lambda x, y: y - x, lambda *both: both[1] - both[0], torch.rsub],
    ids=["other names", "no names", "no signature"],
)
def test_inputs_are_given_in_their_order_where_it_has_other_names(fn):
    inputs = {"b": "(-3, 3)", "a": "(-3, 3)"}
    result = gradcheck.verify(fn, "a - b", inputs=inputs, witness="value", **QUICK)
    assert result.verdict == "agree"


def test_inputs_that_are_no_mapping_are_a_type_error():
    with pytest.raises(TypeError) as error:
        gradcheck.verify(sine, "sin(x)", inputs="x")
    assert str(error.value) == "inputs is 'x', expected a mapping such as {'x': 'real'}"


# the options of a run


def test_what_is_inaccurate_fails_where_accuracy_is_strict():
    def judged(*, strict):
        return gradcheck.verify(
            "torch.expm1(x)", "expm1(x)", {"x": "(-41, -39)"}, witness="reverse",
            strict_accuracy=strict, **QUICK,
        )  # fmt: skip

    judged(strict=False).raise_for_disagreement()
    assert str(judged(strict=False)).startswith("inaccurate: passed: ")
    assert str(judged(strict=True)).startswith("inaccurate: failed, as strict_accuracy asks: ")
    with pytest.raises(gradcheck.GradientDisagreement):
        judged(strict=True).raise_for_disagreement()


KNOWN = {"issue": "not reported", "because": "its sign is wrong"}


def known(fn, entries, **keys):
    return gradcheck.verify(
        fn, "sin(x)", {"x": "(-3, 3)"},
        witness="reverse", known_failures=entries, **{**QUICK, **keys},
    )  # fmt: skip


KNOWN_ENTRIES = {
    "of the whole check": {},
    "with a condition": {"when": {"dtype": "float64"}},
    "with a case, which is not asked for": {"case": "mine.yaml::sine"},
}


@pytest.mark.parametrize("entry", KNOWN_ENTRIES.values(), ids=KNOWN_ENTRIES)
def test_a_known_failure_is_known(entry):
    result = known(WrongSine, [{**entry, **KNOWN}])
    assert result.verdict == "known"
    result.raise_for_disagreement()


def test_a_known_failure_elsewhere_excuses_nothing():
    assert known(WrongSine, [{"when": {"dtype": "float32"}, **KNOWN}]).verdict == "disagree"


def test_a_known_failure_that_no_longer_fails_is_a_disagreement():
    result = known(Sine, [KNOWN])
    assert result.outcomes["Sine[reverse-cpu-float64]"].reason == (
        "gradcheck.verify known_failures:1:3: the known failure no longer fails: remove the entry"
    )
    assert result.verdict == "disagree"


def test_a_known_failure_may_be_pinned_to_a_point():
    entry = {"at": {"x": 1.2345}, **KNOWN}  # four digits: nothing is drawn there
    result = known(
        lambda x: torch.where(x == 1.2345, x.cos(), x.sin()),
        [entry],
        points=[{"at": {"x": 1.2345}}],
    )
    assert result.verdict == "known"


def test_a_known_failure_of_no_point_is_refused():
    with pytest.raises(CatalogError) as error:
        known(WrongSine, [KNOWN, {"at": {"x": 1}, **KNOWN}])
    assert str(error.value) == (
        "gradcheck.verify known_failures:2:3: a point that inline does not have\n"
        "  expected: a point of the case\n"
        "  fix:      add it under 'points' of the case"
    )


FILE = """
- {case: mine.yaml::WrongSine, issue: not reported, because: its sign is wrong}
- {case: mine.yaml::another, issue: not reported, because: whatever}
"""


@pytest.mark.parametrize(("fn", "verdict"), [(WrongSine, "known"), (torch.cos, "disagree")])
def test_of_a_file_of_known_failures_those_of_the_functions_name_are_taken(tmp_path, fn, verdict):
    path = tmp_path / "known_failures.yaml"
    path.write_text(FILE)
    assert known(fn, path).verdict == verdict
    assert known(fn, str(path)).verdict == verdict


def test_order_sweep_and_without_are_taken():
    result = gradcheck.verify(
        "x ** k", "x**k", {"x": "(1, 2)"},
        order=1, sweep={"k": [2, 3]}, without={"forward": "for a test"}, **QUICK,
    )  # fmt: skip
    assert list(result.outcomes) == [
        f"x ** k[k={k}-{witness}-cpu-float64]" for k in (2, 3) for witness in asked(1)
    ]
    assert result.outcomes["x ** k[k=3-forward-cpu-float64]"].reason == "for a test"


# how a result reads


@pytest.mark.parametrize("on_ci", [False, True])
def test_a_failure_shows_no_frame_of_ours_and_the_block_once_as_it_is(pytester, monkeypatch, on_ci):
    for name in ("CI", "BUILD_NUMBER"):  # where either is set, pytest's summary cuts no line
        monkeypatch.delenv(name, raising=False)
    if on_ci:
        monkeypatch.setenv("CI", "1")
    pytester.makepyfile(
        """
        import gradcheck, torch

        def test_it():
            found = gradcheck.verify(torch.cos, "sin(x)", {"x": "real"}, witness="value", points=4)
            found.raise_for_disagreement()

        class TestThem:
            def test_of_another(self):
                assert False, "one\\ntwo"
        """
    )
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert "result.py" not in done.stdout.str()
    done.stdout.fnmatch_lines(
        [
            ">       found.raise_for_disagreement()",
            "E       gradcheck.GradientDisagreement: disagree: *",
            "  where: gradcheck.verify",
            "smallest failing input*:",
            "E       AssertionError: one",
            "E         two",
        ]
    )
    assert done.stdout.str().count("to run just this:") == 1


class Weighted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, x, n, *, options):
        return {"power": self.weight * x**n, "shift": x + options["shift"]}


def test_a_module_is_judged_as_it_is_called_with_its_parameters():
    result = gradcheck.verify(
        Weighted(),
        {"power": "w*x**n", "shift": "x + 1/2"},
        {"x": "(-3, 3)", "w": "(-3, 3)"},
        parameters={"weight": "w"},
        call='f(x, n, options={"shift": 0.5})',
        sweep={"n": [2, 3]},
        witness="reverse",
        dtype="float64",
        points=4,
    )
    assert (result.verdict, len(result.outcomes)) == ("agree", 2)


def test_what_is_required_and_missing_fails():
    where = {"inputs": {"x": "(-3, 3)"}, "witness": "forward", **QUICK}
    assert gradcheck.verify(Sine, "sin(x)", **where).verdict == "abstain"
    assert gradcheck.verify(Sine, "sin(x)", requires=["forward"], **where).verdict == "disagree"


def test_a_call_that_is_faulty_is_told_by_its_key():
    with pytest.raises(CatalogError) as caught:
        gradcheck.verify(torch.sin, "sin(x)", {"x": "real"}, call="f(x, k)")
    assert str(caught.value) == (
        "gradcheck.verify call:1:6: the name 'k', which is not defined\n"
        "  expected: an input, a constant or a name of the sweep (x)\n"
        "  fix:      declare it under 'inputs', 'constants' or 'sweep' (the torch language sees no "
        "'let')"
    )


def test_a_result_is_printed_in_a_few_lines():
    result = gradcheck.verify(Sine, "sin(x)", {"x": "(-3, 3)"}, **QUICK)
    lines, count = str(result).splitlines(), len(asked())
    assert lines[:2] == [
        "agree: passed: every derivative that was judged is right",
        f"  {count} checks: {count - 2} agree, 2 abstain",
    ]
    assert lines[3].startswith("  worst: ")
    assert lines[4].startswith("  not judged: Sine[functional-cpu-float64]: ")
    assert lines[5].startswith("  not judged: Sine[forward-cpu-float64]: ")
    assert len(lines) == 6
    assert repr(result) == (
        "<gradcheck result: agree: passed: every derivative that was judged is right; "
        f"{count} checks>"
    )


def test_where_nothing_is_proved_the_result_says_so():
    result = gradcheck.verify(Sine, "sin(x)", {"x": "(-3, 3)"}, witness="forward", **QUICK)
    assert str(result).startswith("abstain: neither passed nor failed: nothing was proved\n")


def test_a_wrong_function_is_printed_with_its_cause():
    result = gradcheck.verify(WrongSine, "sin(x)", {"x": "(-3, 3)"}, witness="reverse", **QUICK)
    assert str(result).startswith("disagree: failed: the backward is wrong")
    assert len(str(result).splitlines()) == 4


def test_in_a_notebook_a_result_is_a_table_of_its_checks():
    result = gradcheck.verify("torch.where(x<0, -x, x)", "abs(x)", {"x": "(1, 3)"}, points=2)
    page = result._repr_html_()
    assert page.count("<tr>") == 1 + len(result.outcomes)
    assert "x&lt;0" in page
    assert "x<0" not in page
