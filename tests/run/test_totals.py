"""What is counted and kept of a check: grades, the worst entry, the worst and smallest failure."""

import re
from dataclasses import replace

import pytest
import torch
from wrongs import BRIEF, SQUARE, ruled, with_gradient

from gradcheck.answer import Ruling, RunOptions

# PyTorch multiplies by result + 1, which has lost its digits there.
CANCELLING = "{formula: expm1(x), inputs: {x: '[-12, -10]'}, order: 1, torch: torch.expm1(x)}"
STRICT = replace(BRIEF, strict_accuracy=True)


def test_lost_accuracy_is_inaccurate():
    outcome = ruled(CANCELLING)
    assert outcome.verdict is Ruling.INACCURATE
    assert re.fullmatch(
        r"within the rounding of the code, whose answers lie \S+ apart when its operations round "
        "otherwise",
        outcome.reason,
    )
    assert (outcome.worst.ruling, outcome.worst.reason) == (Ruling.INACCURATE, outcome.reason)
    assert (outcome.failures, outcome.smallest, outcome.blame) == ((), (), "")


def test_lost_accuracy_is_strictly_a_failure():
    outcome = ruled(CANCELLING, run_options=STRICT)
    assert outcome.verdict is Ruling.INACCURATE
    assert outcome.failures[0].ruling is Ruling.INACCURATE
    assert outcome.smallest
    assert outcome.blame == (
        "accuracy is lost in the backward, the derivative under torch.func and the forward mode: "
        "no formula is wrong"
    )
    assert str(outcome.guess).startswith("lost accuracy")


def test_what_is_accurate_is_so_strictly():
    accurate = CANCELLING.replace("torch.expm1(x)", "torch.exp(x) - 1")
    assert ruled(accurate, run_options=STRICT).verdict is Ruling.AGREE


def test_a_case_may_state_a_wider_allowance():
    allowed = CANCELLING.replace("order: 1", "accuracy: {ulps: 1000000, because: it cancels}")
    assert ruled(allowed, run_options=STRICT).verdict is Ruling.AGREE


@pytest.mark.parametrize(("dtype", "ruling"), [("float32", "agree"), ("float64", "inaccurate")])
def test_a_wider_allowance_of_one_dtype_is_none_of_another(dtype, ruling):
    wide = "accuracy: {float32: {ulps: 1000000000, because: it cancels}}"
    allowed = CANCELLING.replace("order: 1", wide)
    assert ruled(allowed, dtype=dtype).verdict.value == ruling
    assert ruled(CANCELLING, dtype=dtype).verdict is Ruling.INACCURATE


def test_the_worst_entry_is_kept_although_it_agrees():
    declaration = "{formula: exp(x), inputs: {x: '[-50, 50]'}, order: 1}"
    outcome = ruled(declaration, run_options=RunOptions(points=64))
    assert outcome.verdict is Ruling.AGREE
    assert outcome.worst.ulps > 0
    assert outcome.worst.ruling is Ruling.AGREE
    assert (outcome.smallest, outcome.failures, outcome.blame) == ((), (), "")


def test_an_entry_that_is_ruled_worse_is_worse_than_one_with_a_larger_error():
    """At 1e8 the value is 0 and S is 1e16: an error of many ulps agrees there."""
    declaration = (
        "{formula: '[x - y, expm1(z)]', order: 1,"
        " inputs: {x: '[1e8, 1e8]', y: '[1e8, 1e8]', z: '[-21, -20]'},"
        " torch: 'torch.stack([x - y + 1e-8, torch.expm1(z)])'}"
    )
    value = ruled(declaration, "value")
    assert (value.verdict, value.worst.ruling) == (Ruling.AGREE, Ruling.AGREE)
    reverse = ruled(declaration)
    assert (reverse.verdict, reverse.worst.ruling) == (Ruling.INACCURATE, Ruling.INACCURATE)
    assert reverse.worst.reason == reverse.reason


def test_the_worst_failure_is_kept_beside_the_smallest():
    culprit = with_gradient(torch.square, lambda slope, x: torch.where(x > 2, slope + x**2, slope))
    outcome = ruled(SQUARE, function=culprit, run_options=RunOptions(points=64))
    assert outcome.failures[0].ulps == max(entry.ulps for entry in outcome.failures)
    assert outcome.failures[0].ulps == outcome.worst.ulps
    assert outcome.failures[0].ulps > outcome.smallest[0].ulps
    assert outcome.smallest[0].at == {"x": 3.0}


# Its numbers beyond 1e30 say nothing of sin' there: PyTorch's are right, and so would be zeros.
WILD = "{formula: sin(x), inputs: {x: '[1e30, 1e38]'}, order: 1, torch: torch.sin(x)}"
USELESS = WILD.replace("torch.sin(x)", "torch.sin(x.detach()) + (x - x.detach())*0")


def test_a_check_that_stands_on_ill_conditioned_numbers_alone_abstains():
    outcome = ruled(USELESS)
    assert outcome.verdict is Ruling.ABSTAIN
    assert outcome.reason.startswith("every number is ill-conditioned")
    assert outcome.counts["ill-conditioned"] == outcome.counts["agree"] == outcome.entries


def test_numbers_that_are_right_there_are_enough_for_a_verdict():
    outcome = ruled(WILD)
    assert outcome.verdict is Ruling.AGREE
    assert outcome.counts["faithful"] > 0


def test_counts_add_up():
    outcome = ruled(SQUARE, run_options=RunOptions(points=64))
    grades = ("faithful", "stable", "explained", "ill-conditioned")
    assert outcome.counts["agree"] == outcome.entries
    assert sum(outcome.counts.get(grade, 0) for grade in grades) == outcome.entries
    assert outcome.points == 257  # one of the batch was put to it alone as well


def test_a_check_says_at_how_many_of_its_points_it_could_judge():
    kinked = "{formula: abs(x), inputs: {x: '[-1, 1]'}, points: [{at: {x: 0}}, {at: {x: 0.5}}]}"
    outcome = ruled(kinked, "gradcheck")
    assert 0 < outcome.counts["points judged"] < outcome.points
    everywhere = ruled(kinked, "value")
    assert everywhere.counts["points judged"] == everywhere.points
