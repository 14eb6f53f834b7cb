"""How one check ends: what it judges first, what it reports, and what it does not pass over."""

import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from culprits import case_of, check_of
from wrongs import SQUARE, ruled, with_gradient, wrong_at

from gradcheck.answer import Ruling, RunOptions
from gradcheck.diagnosis import examination
from gradcheck.errors import ExpressionError
from gradcheck.methods import METHODS
from gradcheck.reference.enclosures import DerivationsDiffer
from gradcheck.reference.reference import Reference
from gradcheck.run.ruling import Examination, calm_warnings

# the record


@pytest.mark.parametrize(
    ("formula", "witness", "route"),
    [
        ("x**2", "reverse", "symbolic+reverse"),
        ("x**2", "second", "symbolic+forward, symbolic+reverse"),
        ("x**2", "value", ""),
        ("sum([(x + k)**2 for k in range(2000)])", "reverse", "reverse+forward"),
    ],
)
def test_the_outcome_names_the_derivations_behind_the_truth(formula, witness, route):
    declaration = f"{{formula: '{formula}', inputs: {{x: '(1, 2)'}}}}"
    assert ruled(declaration, witness=witness, run_options=RunOptions(points=2)).route == route


INTERFACE = Path(__file__).parents[2] / "docs" / "interface.md"


@pytest.mark.parametrize(
    ("witnesses", "row"),
    [
        (("value", "reverse"), "| `value`, `reverse` | 4 | 3/8 |"),
        (("forward",), "| `forward` | 4 | 15/64 |"),
        (("second",), "| `second` | 2 | 3/8 |"),
        (("third",), "| `third` | 3/8 | 3/8 |"),
        (("gradcheck",), "| `gradcheck` | 3/16 | 3/16 |"),
    ],
)
def test_the_shares_of_the_points_are_documented_as_they_are(witnesses, row):
    assert row in INTERFACE.read_text("utf-8").splitlines()
    shares = tuple(float(Fraction(cell)) for cell in row.strip("| ").split(" | ")[1:])
    methods = [METHODS[witness] for witness in witnesses]
    assert [(each.share, each.share_alone) for each in methods] == [shares] * len(methods)


IMPORTS = """
import sys
from gradcheck import verify
result = verify(sys.argv[1], "x**2", {"x": "real"}, witness="reverse", points=4)
print(result.verdict, "hypothesis" in sys.modules)
"""


@pytest.mark.parametrize(
    ("function", "told"), [("torch.square(x)", "agree False"), ("2*x", "disagree True")]
)
def test_only_a_check_that_fails_imports_hypothesis_which_shrinks_its_input(function, told):
    command = [sys.executable, "-c", IMPORTS, function]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == told


# fixed points


def test_a_declared_point_is_judged_although_none_is_drawn_there():
    declaration = "{formula: x**2, inputs: {x: real}, order: 1, points: [{at: {x: 41.5}}]}"
    assert ruled(SQUARE, function=wrong_at(41.5)).verdict is Ruling.AGREE
    outcome = ruled(declaration, function=wrong_at(41.5))
    assert outcome.verdict is Ruling.DISAGREE
    assert {entry.at["x"] for entry in (*outcome.smallest, *outcome.failures)} == {41.5}


def test_a_declared_point_is_blamed_before_a_drawn_one_and_is_not_shrunk():
    declaration = "{formula: x**2, inputs: {x: real}, order: 1, points: [{at: {x: 41.5}}]}"
    outcome = ruled(declaration, function=with_gradient(torch.square, lambda slope, x: -slope))
    assert {entry.at["x"] for entry in outcome.smallest} == {41.5}


def test_a_drawn_failure_is_shrunk_to_something_readable():
    culprit = with_gradient(torch.square, lambda slope, x: torch.where(x > 2, -slope, slope))
    outcome = ruled(SQUARE, function=culprit, run_options=RunOptions(points=64))
    assert {entry.at["x"] for entry in outcome.smallest} == {3.0}


def test_the_smallest_input_is_none_at_which_the_codes_own_rounding_explains_the_error():
    def lossy(x):  # right but for its rounding, at 1 too, and wrong beyond 100
        y = 3 * ((x / 3 + 1e8) - 1e8)
        return torch.where(x > 100, 1.5 * y, y)

    identity = "{formula: x, inputs: {x: '(1/2, 1000)'}, order: 1}"
    outcome = ruled(identity, "value", lossy, RunOptions(points=64))
    assert outcome.verdict is Ruling.DISAGREE
    assert {entry.at["x"] for entry in outcome.smallest} == {200.0}


@pytest.mark.parametrize(
    ("known", "what", "found", "true"),
    [
        ("value: 10", "value", "10.000000000000000", "9.0000000000000000"),
        ("gradient: {x: 5}", "gradient in x", "5.0000000000000000", "6.0000000000000000"),
        ("hessian: {x: {x: 3}}", "hessian in x, x", "3.0000000000000000", "2.0000000000000000"),
    ],
)
def test_a_known_answer_that_is_not_the_formulas_is_a_fault_of_the_case(known, what, found, true):
    declaration = (
        f"\n  formula: x**2\n  inputs: {{x: real}}\n  points:\n    - at: {{x: 3}}\n      {known}"
    )
    outcome = ruled(declaration)
    told = f"cases/sample.yaml:5:7: the {what} {found}, expected the formula's, {true}"
    assert (outcome.reason, outcome.place) == (told, "cases/sample.yaml:5")
    assert (outcome.verdict, outcome.blame) == (Ruling.DISAGREE, "the case itself")


@pytest.mark.parametrize("known", ["value: 9", "gradient: {x: 6}", "hessian: {x: {x: 2}}"])
def test_a_known_answer_that_is_right_agrees(known):
    point = f"points: [{{at: {{x: 3}}, {known}}}]"
    assert ruled(f"{{formula: x**2, inputs: {{x: real}}, {point}}}").verdict is Ruling.AGREE


def test_a_known_answer_holds_at_the_exact_point_and_not_at_the_float_beside_it():
    point = "points: [{at: {x: 1/3}, value: 1/9, gradient: {x: 2/3}}]"
    for dtype in ("float64", "float32"):
        outcome = ruled(f"{{formula: x**2, inputs: {{x: real}}, {point}}}", dtype=dtype)
        assert (outcome.verdict, outcome.reason) == (Ruling.AGREE, "")


def test_the_entries_of_a_jacobian_are_compared_each_with_its_own():
    declaration = "{formula: '[x*y, x + 3*y]', inputs: {x: real, y: real}, points: [%s]}"
    right = "{at: {x: 2, y: 5}, jacobian: {x: [5, 1], y: [2, 3]}}"
    swapped = "{at: {x: 2, y: 5}, jacobian: {x: [1, 5], y: [2, 3]}}"
    assert ruled(declaration % right).verdict is Ruling.AGREE
    assert ruled(declaration % swapped).reason.count("jacobian in x") == 2


# nothing to say


def test_a_witness_that_the_case_is_without_abstains_with_the_reason():
    declaration = "{formula: x**2, inputs: {x: real}, without: {forward: no formula in PyTorch}}"
    outcome = ruled(declaration, "forward")
    assert (outcome.verdict, outcome.reason, outcome.entries) == (
        Ruling.ABSTAIN,
        "no formula in PyTorch",
        0,
    )
    assert ruled(declaration, "reverse").verdict is Ruling.AGREE


class WithoutForwardMode(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(context, cotangent):
        return 2 * context.saved_tensors[0] * cotangent


def test_a_missing_jvp_abstains_with_its_reason():
    outcome = ruled(SQUARE, "forward", function=WithoutForwardMode.apply)
    assert outcome.verdict is Ruling.ABSTAIN
    assert "jvp" in outcome.reason
    assert ruled(SQUARE, "reverse", function=WithoutForwardMode.apply).verdict is Ruling.AGREE


def test_a_check_that_judged_nothing_disagrees():
    outcome = ruled("{formula: log(x), inputs: {x: '[-2, -1]'}, order: 1}")
    assert outcome.verdict is Ruling.DISAGREE
    assert outcome.reason.startswith("nothing was judged: the formula has no derivative there (")
    assert (outcome.entries, outcome.blame) == (0, "nothing judged")


def test_finite_differences_that_can_testify_nowhere_abstain():
    """Beyond 1,024 no point is benign; the certified witnesses judge there all the same."""
    far = "{formula: sin(x), inputs: {x: '(2000, 3000)'}}"
    outcome = ruled(far, "gradcheck")
    assert outcome.verdict is Ruling.ABSTAIN
    assert outcome.reason == "finite differences cannot testify at this point"
    assert ruled(far, "reverse").verdict is Ruling.AGREE
    assert ruled(far, "reverse", function=torch.cos).verdict is Ruling.DISAGREE


@pytest.mark.parametrize("witness", ["value", "reverse", "forward", "second"])
def test_tensors_without_elements_agree(witness):
    empty = "{formula: sin(x), inputs: {x: {shape: [2, 0]}}}"
    outcome = ruled(empty, witness)
    assert (outcome.verdict, outcome.entries) == (Ruling.AGREE, 0)
    assert outcome.points > 0


@pytest.mark.parametrize("witness", ["value", "reverse", "forward", "second"])
def test_a_product_over_no_entries_is_zero(witness):
    case = "{formula: A @ B, inputs: {A: {shape: [2, 0]}, B: {shape: [0, 3]}}}"
    assert ruled(case, witness).verdict is Ruling.AGREE
    wrong = ruled(case, witness, function=lambda a, b: a @ b + 1)
    assert (wrong.verdict is Ruling.DISAGREE) == (witness == "value")


@pytest.mark.parametrize("witness", ["value", "reverse", "forward", "second"])
def test_the_shape_of_a_tensor_without_elements_is_judged(witness):
    empty = "{formula: sin(x), inputs: {x: {shape: [2, 0]}}}"
    outcome = ruled(empty, witness, function=lambda x: x.reshape(0))
    assert outcome.verdict is Ruling.DISAGREE
    assert outcome.reason == "the result has shape [0], expected [2, 0]"


# exceptions


def test_an_exception_at_one_point_of_a_batch_is_brought_home_to_that_point():
    def moody(x):
        if bool((x == 0).any()):
            raise ValueError("not zero")
        return x * x

    outcome = ruled(SQUARE, function=moody, run_options=RunOptions(points=64))
    assert (outcome.verdict, outcome.reason) == (Ruling.DISAGREE, "raised ValueError: not zero")
    assert {entry.at["x"] for entry in outcome.smallest} == {0.0}
    assert outcome.blame != (
        "the backward is wrong, but only where several derivatives or points are asked for at once"
    )


def test_a_contradiction_of_our_own_derivations_is_our_defect(monkeypatch):
    def contradict(self, query, points):
        raise DerivationsDiffer("at [1.0] the chain rule gives 2, sympy 3")

    monkeypatch.setattr(Reference, "enclose", contradict)
    outcome = ruled("{formula: x**2 + 1234567, inputs: {x: real}}")
    assert outcome.verdict is Ruling.DISAGREE
    assert outcome.reason == (
        "a defect of gradcheck, not of PyTorch: at [1.0] the chain rule gives 2, sympy 3"
    )


# gradients that do not come


class WithoutSecondGradient(torch.autograd.Function):
    @staticmethod
    def forward(context, x, w):
        context.save_for_backward(x, w)
        return x * w

    @staticmethod
    def backward(context, cotangent):
        return cotangent * context.saved_tensors[1], None


PAIR = "{formula: %s, inputs: {x: '(1, 2)', w: '(1, 2)'}, order: 1}"


def test_a_backward_that_returns_none_is_named_with_its_input():
    outcome = ruled(PAIR % "x*w", "reverse", function=WithoutSecondGradient.apply)
    assert outcome.verdict is Ruling.DISAGREE
    assert outcome.reason == "backward returned None for input 1 (w)"


def test_a_graph_that_does_not_lead_to_an_input_is_named_so():
    outcome = ruled(PAIR % "x*w", "reverse", function=lambda x, w: x * w.detach())
    assert outcome.reason == "nothing in the backward graph leads to input 1 (w)"


@pytest.mark.parametrize(
    "function", [lambda x, w: x * 3, lambda x, w: WithoutSecondGradient.apply(x, w * 0 + 3)]
)
def test_none_where_the_truth_is_zero_agrees(function):
    assert ruled(PAIR % "3*x + 0*w", "reverse", function=function).verdict is Ruling.AGREE


# a failure that was found stays found


def raises(error):
    def anything(*arguments, **keywords):
        raise error

    return anything


NEGATED = with_gradient(torch.square, lambda slope, x: -slope)


@pytest.mark.parametrize("name", ["cross_check", "attribute", "failing_entries"])
def test_a_failure_is_kept_where_blame_cannot_be_worked_out(name, monkeypatch):
    monkeypatch.setattr(examination, name, raises(MemoryError("no more")))
    outcome = ruled(SQUARE, function=NEGATED)
    assert outcome.verdict is Ruling.DISAGREE
    assert outcome.failures
    assert outcome.reason.startswith("off by ")
    told = f"{outcome.reason}; blame could not be worked out: MemoryError: no more"
    assert (outcome.blame, outcome.statements, outcome.smallest) == (told, (), ())


def test_who_is_wrong_stays_found_where_the_kind_of_error_cannot_be_worked_out(monkeypatch):
    monkeypatch.setattr(examination, "guess_kind", raises(MemoryError("no more")))
    outcome = ruled(SQUARE, function=NEGATED)
    told = "; the kind of error could not be worked out: MemoryError: no more"
    assert outcome.blame.endswith(told)
    assert outcome.blame != told
    assert (outcome.guess, bool(outcome.smallest)) == (None, True)


def test_a_run_that_is_stopped_while_blame_is_worked_out_stops(monkeypatch):
    monkeypatch.setattr(examination, "cross_check", raises(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        ruled(SQUARE, function=NEGATED)


DECLARED = "{formula: x**2, inputs: {x: real}, order: 1, points: [{at: {x: 3}}]}"
TOO_MUCH = ExpressionError((1, 1), "too many steps", "fewer", "make it smaller")


def test_a_failure_is_kept_where_a_later_point_is_too_much(monkeypatch):
    monkeypatch.setattr(Examination, "drawn", raises(TOO_MUCH))
    outcome = ruled(DECLARED, function=NEGATED)
    assert (outcome.verdict, outcome.blame) == (Ruling.DISAGREE, "the backward is wrong")


def test_without_a_failure_a_point_that_is_too_much_ends_the_check(monkeypatch):
    monkeypatch.setattr(Examination, "drawn", raises(TOO_MUCH))
    outcome = ruled(DECLARED, function=torch.square)
    told = "nothing was judged: its derivatives take too many steps"
    assert (outcome.verdict, outcome.reason) == (Ruling.DISAGREE, told)


def test_what_is_wrong_is_shown_before_what_is_inaccurate():
    """PyTorch's expm1 loses digits below -30; the gradient above 2 is another's."""
    lossy = "{formula: expm1(x), inputs: {x: '(-60, 3)'}, order: 1, torch: torch.expm1(x)}"
    strict = RunOptions(points=64, strict_accuracy=True)
    wrong = with_gradient(torch.expm1, lambda slope, x: torch.where(x > 2, slope + 1, slope))
    assert ruled(lossy, run_options=strict).verdict is Ruling.INACCURATE
    outcome = ruled(lossy, function=wrong, run_options=strict)
    assert (outcome.verdict, outcome.blame) == (Ruling.DISAGREE, "the backward is wrong")
    assert outcome.smallest[0].ruling is Ruling.DISAGREE


@pytest.mark.parametrize(("function", "told"), [(None, []), (torch.sin, ["it is deprecated"])])
def test_what_pytorch_says_of_its_own_operators_is_not_shown(function, told):
    check = check_of(
        case_of("{formula: sin(x), inputs: {x: real}, torch: torch.sin(x)}", function), "value"
    )
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("error")
        with calm_warnings(check):
            warnings.warn("it is deprecated", UserWarning, stacklevel=1)
    assert [str(each.message) for each in shown] == told
