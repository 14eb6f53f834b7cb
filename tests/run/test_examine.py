"""How one check ends: what it judges first, what it reports, and whom it blames."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from culprits import case_of, check_of

from gradcheck.answer import Effort, Ruling
from gradcheck.catalog.known import KnownFailure
from gradcheck.errors import Where
from gradcheck.formula.parse import parse
from gradcheck.formula.truth import DerivationsDiffer, Truth
from gradcheck.run import examine

BRIEF = Effort(points=8)
ISSUE = "https://github.com/pytorch/pytorch/issues/1"
SQUARE = "{formula: x**2, inputs: {x: real}, order: 1}"
RELU = "{formula: 'max(x, 0)', inputs: {x: real}, order: 1, points: [{at: {x: 0}%s}]}"
PROMISE = ", convention: {x: 0}, because: documented"


def ruled(declaration, witness="reverse", function=None, effort=BRIEF, dtype="float64", **changes):
    return examine(check_of(case_of(declaration, function, **changes), witness, dtype), effort)


class RaisedBackward(torch.autograd.Function):
    """The identity, with whatever ``change`` makes of its gradient."""

    @staticmethod
    def forward(context, x, change):
        context.change = change
        context.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(context, cotangent):
        return context.change(cotangent, *context.saved_tensors), None


def with_gradient(function, change):
    """The function, its gradient at x changed; ``change`` takes the gradient and x."""
    return lambda x: function(RaisedBackward.apply(x, change))


def wrong_at(place):
    return with_gradient(torch.square, lambda slope, x: torch.where(x == place, slope + 1, slope))


# fixed points


def test_a_declared_point_is_judged_although_none_is_drawn_there():
    declaration = "{formula: x**2, inputs: {x: real}, order: 1, points: [{at: {x: 41.5}}]}"
    assert ruled(SQUARE, function=wrong_at(41.5)).ruling is Ruling.AGREE
    outcome = ruled(declaration, function=wrong_at(41.5))
    assert outcome.ruling is Ruling.DISAGREE
    assert {entry.at["x"] for entry in (*outcome.smallest, *outcome.failures)} == {41.5}


def test_a_declared_point_is_blamed_before_a_drawn_one_and_is_not_shrunk():
    declaration = "{formula: x**2, inputs: {x: real}, order: 1, points: [{at: {x: 41.5}}]}"
    outcome = ruled(declaration, function=with_gradient(torch.square, lambda slope, x: -slope))
    assert {entry.at["x"] for entry in outcome.smallest} == {41.5}


def test_a_drawn_failure_is_shrunk_to_something_readable():
    culprit = with_gradient(torch.square, lambda slope, x: torch.where(x > 2, -slope, slope))
    outcome = ruled(SQUARE, function=culprit, effort=Effort(points=64))
    assert {entry.at["x"] for entry in outcome.smallest} == {3.0}


@pytest.mark.parametrize(
    ("known", "what", "found", "true"),
    [
        ("value: 10", "value", "10.000000000000000", "9.0000000000000000"),
        ("gradient: {x: 5}", "gradient in x", "5.0000000000000000", "6.0000000000000000"),
        ("hessian: {x: {x: 3}}", "hessian in x, x", "3.0000000000000000", "2.0000000000000000"),
    ],
)
def test_a_known_answer_that_is_not_the_formulas_is_a_fault_of_the_case(known, what, found, true):
    outcome = ruled(f"{{formula: x**2, inputs: {{x: real}}, points: [{{at: {{x: 3}}, {known}}}]}}")
    assert outcome.reason == f"the known {what} {found} is not the formula's, {true}"
    assert (outcome.ruling, outcome.blame) == (Ruling.DISAGREE, "the case itself")


@pytest.mark.parametrize("known", ["value: 9", "gradient: {x: 6}", "hessian: {x: {x: 2}}"])
def test_a_known_answer_that_is_right_agrees(known):
    point = f"points: [{{at: {{x: 3}}, {known}}}]"
    assert ruled(f"{{formula: x**2, inputs: {{x: real}}, {point}}}").ruling is Ruling.AGREE


def test_a_known_answer_holds_at_the_exact_point_and_not_at_the_float_beside_it():
    point = "points: [{at: {x: 1/3}, value: 1/9, gradient: {x: 2/3}}]"
    for dtype in ("float64", "float32"):
        outcome = ruled(f"{{formula: x**2, inputs: {{x: real}}, {point}}}", dtype=dtype)
        assert (outcome.ruling, outcome.reason) == (Ruling.AGREE, "")


def test_the_entries_of_a_jacobian_are_compared_each_with_its_own():
    declaration = "{formula: '[x*y, x + 3*y]', inputs: {x: real, y: real}, points: [%s]}"
    right = "{at: {x: 2, y: 5}, jacobian: {x: [5, 1], y: [2, 3]}}"
    swapped = "{at: {x: 2, y: 5}, jacobian: {x: [1, 5], y: [2, 3]}}"
    assert ruled(declaration % right).ruling is Ruling.AGREE
    assert ruled(declaration % swapped).reason.count("jacobian in x") == 2


# kinks and conventions


def relu_like(slope):
    """max(x, 0) whose gradient at 0 is ``slope``."""

    class Relu(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(context, cotangent):
            (x,) = context.saved_tensors
            return cotangent * torch.where(x == 0, slope, (x > 0).to(x.dtype))

    return Relu.apply


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_any_subgradient_agrees_at_a_kink(slope):
    assert ruled(RELU % "", function=relu_like(slope)).ruling is Ruling.AGREE


@pytest.mark.parametrize("slope", [-0.5, 1.5, math.nan])
def test_what_is_no_subgradient_disagrees_at_a_kink(slope):
    outcome = ruled(RELU % "", function=relu_like(slope))
    assert outcome.ruling is Ruling.DISAGREE
    assert outcome.smallest[0].at == {"x": 0.0}
    assert outcome.smallest[0].true.startswith("in [")


def test_a_convention_is_honoured():
    assert ruled(RELU % PROMISE, function=relu_like(0.0)).ruling is Ruling.AGREE
    assert ruled(RELU % PROMISE, function=torch.relu).ruling is Ruling.AGREE


def test_another_subgradient_than_the_promised_one_disagrees():
    outcome = ruled(RELU % PROMISE, function=relu_like(1.0))
    assert outcome.ruling is Ruling.DISAGREE
    assert {entry.at["x"] for entry in outcome.smallest} == {0.0}
    assert outcome.blame.startswith("PyTorch's backward is wrong")


def test_a_convention_binds_forward_mode_too():
    outcome = ruled(RELU % PROMISE, "forward", function=torch.relu)
    assert outcome.ruling is Ruling.AGREE


# known failures


def known(at=None, **when):
    tree = None if at is None else {"x": parse(at)}
    place = Where("cases/known_failures.yaml", 7, 3)
    return KnownFailure(place, "sample.yaml", "case", tree, when, ISSUE, "it cancels")


SQUARES = "{formula: x**2, inputs: {x: real}, order: 1, points: [{at: {x: 41.5}}, {at: {x: 2}}]}"


def ruled_with(entries, function=torch.square, witness="reverse"):
    return examine(check_of(case_of(SQUARES, function), witness, known=entries), BRIEF)


def test_a_known_failure_is_pinned_to_its_point():
    outcome = ruled_with([known("83/2")], wrong_at(41.5))
    assert (outcome.ruling, outcome.reason) == (Ruling.KNOWN, f"it cancels ({ISSUE})")
    assert outcome.counts["known"] == 2  # by grad and by backward
    assert "disagree" not in outcome.counts
    assert outcome.failures == ()


def test_a_known_failure_at_one_point_excuses_no_other():
    def everywhere(slope, x):
        return slope + 1

    outcome = ruled_with([known("41.5")], with_gradient(torch.square, everywhere))
    assert outcome.ruling is Ruling.DISAGREE
    assert {entry.at["x"] for entry in outcome.smallest} == {2.0}


def test_a_known_failure_that_no_longer_fails_is_an_error():
    outcome = ruled_with([known("41.5")])
    assert (outcome.ruling, outcome.blame) == (Ruling.DISAGREE, "known_failures.yaml")
    assert outcome.reason == (
        "cases/known_failures.yaml:7:3: the known failure no longer fails: remove the entry"
    )


def test_a_known_failure_of_the_whole_check_excuses_every_point():
    culprit = with_gradient(torch.square, lambda slope, x: -slope)
    assert ruled_with([known()], culprit).ruling is Ruling.KNOWN
    assert "no longer fails" in ruled_with([known()]).reason


def test_a_known_failure_at_a_point_that_is_not_declared_is_an_error():
    outcome = ruled_with([known("3")], wrong_at(3.0))
    assert outcome.ruling is Ruling.DISAGREE
    outcome = ruled_with([known("3")])
    assert outcome.reason == (
        "cases/known_failures.yaml:7:3: the known failure is pinned to no point of the case: "
        "add the point"
    )


def test_a_known_failure_may_be_about_one_call_alone():
    culprit = wrong_at(41.5)
    only = known("41.5", call="Tensor.backward")
    assert ruled_with([only], culprit).ruling is Ruling.DISAGREE
    other = known("41.5", call="torch.autograd.grad")
    assert ruled_with([only, other], culprit).ruling is Ruling.KNOWN


@pytest.mark.parametrize("when", [{"witness": "value"}, {"dtype": "float32"}, {"torch": "<1.0"}])
def test_a_known_failure_of_something_else_is_not_asked_for(when):
    assert ruled_with([known("41.5", **when)]).ruling is Ruling.AGREE
    assert ruled_with([known("41.5", **when)], wrong_at(41.5)).ruling is Ruling.DISAGREE


# nothing to say


def test_a_witness_that_the_case_is_without_abstains_with_the_reason():
    declaration = "{formula: x**2, inputs: {x: real}, without: {forward: no formula in PyTorch}}"
    outcome = ruled(declaration, "forward")
    assert (outcome.ruling, outcome.reason, outcome.entries) == (
        Ruling.ABSTAIN,
        "no formula in PyTorch",
        0,
    )
    assert ruled(declaration, "reverse").ruling is Ruling.AGREE


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
    assert outcome.ruling is Ruling.ABSTAIN
    assert "jvp" in outcome.reason
    assert ruled(SQUARE, "reverse", function=WithoutForwardMode.apply).ruling is Ruling.AGREE


def test_a_check_that_judged_nothing_disagrees():
    outcome = ruled("{formula: log(x), inputs: {x: '[-2, -1]'}, order: 1}")
    assert outcome.ruling is Ruling.DISAGREE
    assert outcome.reason.startswith("nothing was judged: the formula has no derivative there (")
    assert (outcome.entries, outcome.blame) == (0, "nothing judged")


@pytest.mark.parametrize("witness", ["value", "reverse", "forward", "second"])
def test_tensors_without_elements_agree(witness):
    empty = "{formula: sin(x), inputs: {x: {shape: [2, 0]}}}"
    outcome = ruled(empty, witness)
    assert (outcome.ruling, outcome.entries) == (Ruling.AGREE, 0)
    assert outcome.points > 0


def test_the_shape_of_a_tensor_without_elements_is_judged():
    empty = "{formula: sin(x), inputs: {x: {shape: [2, 0]}}}"
    outcome = ruled(empty, "value", function=lambda x: x.reshape(0))
    assert outcome.ruling is Ruling.DISAGREE
    assert outcome.reason == "the result has shape [0], expected [2, 0]"


# accuracy


# PyTorch multiplies by result + 1, which has lost its digits there.
CANCELLING = "{formula: expm1(x), inputs: {x: '[-12, -10]'}, order: 1, torch: torch.expm1(x)}"
STRICT = replace(BRIEF, strict_accuracy=True)


def test_lost_accuracy_is_inaccurate():
    outcome = ruled(CANCELLING)
    assert outcome.ruling is Ruling.INACCURATE
    assert outcome.reason == "within rounding of intermediate values as large as 1"
    assert (outcome.failures, outcome.smallest, outcome.blame) == ((), (), "")


def test_lost_accuracy_is_strictly_a_failure():
    outcome = ruled(CANCELLING, effort=STRICT)
    assert outcome.ruling is Ruling.INACCURATE
    assert outcome.failures[0].ruling is Ruling.INACCURATE
    assert outcome.smallest
    assert outcome.blame == (
        "PyTorch's backward and its forward mode are both wrong: the value is right"
    )
    assert outcome.guess == "lost accuracy, as if computed in lower precision"


def test_what_is_accurate_is_so_strictly():
    accurate = CANCELLING.replace("torch.expm1(x)", "torch.exp(x) - 1")
    assert ruled(accurate, effort=STRICT).ruling is Ruling.AGREE


def test_a_case_may_state_a_wider_allowance():
    allowed = CANCELLING.replace("order: 1", "accuracy: {ulps: 1000000, because: it cancels}")
    assert ruled(allowed, effort=STRICT).ruling is Ruling.AGREE


def test_the_worst_entry_is_kept_although_it_agrees():
    declaration = "{formula: exp(x), inputs: {x: '[-50, 50]'}, order: 1}"
    outcome = ruled(declaration, effort=Effort(points=64))
    assert outcome.ruling is Ruling.AGREE
    assert outcome.worst.ulps > 0
    assert outcome.worst.ruling is Ruling.AGREE
    assert (outcome.smallest, outcome.failures, outcome.blame) == ((), (), "")


def test_the_worst_failure_is_kept_beside_the_smallest():
    culprit = with_gradient(torch.square, lambda slope, x: torch.where(x > 2, slope + x**2, slope))
    outcome = ruled(SQUARE, function=culprit, effort=Effort(points=64))
    assert outcome.failures[0].ulps == max(entry.ulps for entry in outcome.failures)
    assert outcome.failures[0].ulps == outcome.worst.ulps
    assert outcome.failures[0].ulps > outcome.smallest[0].ulps
    assert outcome.smallest[0].at == {"x": 3.0}


def test_counts_add_up():
    outcome = ruled(SQUARE, effort=Effort(points=64))
    grades = ("faithful", "stable", "explained")
    assert outcome.counts["agree"] == outcome.entries
    assert sum(outcome.counts.get(grade, 0) for grade in grades) == outcome.entries
    assert outcome.points == 65  # one of the batch was put to it alone as well


# exceptions


def test_an_exception_at_one_point_of_a_batch_is_brought_home_to_that_point():
    def moody(x):
        if bool((x == 0).any()):
            raise ValueError("not zero")
        return x * x

    outcome = ruled(SQUARE, function=moody, effort=Effort(points=64))
    assert (outcome.ruling, outcome.reason) == (Ruling.DISAGREE, "raised ValueError: not zero")
    assert {entry.at["x"] for entry in outcome.smallest} == {0.0}
    assert outcome.blame != "reverse is wrong only in other calls than a single point's"


def test_a_contradiction_of_our_own_derivations_is_our_defect(monkeypatch):
    def contradict(self, order, x):
        raise DerivationsDiffer("at [1.0] the chain rule gives 2, sympy 3")

    monkeypatch.setattr(Truth, "_enclosures", contradict)
    outcome = ruled("{formula: x**2 + 1234567, inputs: {x: real}}")
    assert outcome.ruling is Ruling.DISAGREE
    assert outcome.reason == (
        "a defect of gradcheck, not of PyTorch: at [1.0] the chain rule gives 2, sympy 3"
    )


# the same everywhere

SAME = """
import dataclasses, json, sys, torch
sys.path.insert(0, sys.argv[1])
from culprits import FAULTS, trial_of
from gradcheck.answer import Effort
from gradcheck.run import examine
torch.rand(int(sys.argv[2]))
outcome = examine(trial_of(FAULTS[6], "reverse"), Effort(points=32, seed=5))
print(json.dumps(dataclasses.asdict(dataclasses.replace(outcome, seconds=0.0)), default=str))
"""


def told_by_a_process(number):
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", SAME, here, str(number)]
    environment = {**os.environ, "PYTHONHASHSEED": str(number)}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(found.stdout)


def test_the_same_seed_gives_the_same_outcome_in_every_process():
    one, two = map(told_by_a_process, (1, 2))
    assert one["smallest"]
    assert one == two
