"""Known failures: each excuses what it names, and nothing else, and must still fail."""

from dataclasses import replace

import pytest
import torch
from culprits import case_of, check_of
from wrongs import BRIEF, with_gradient, wrong_at

from gradcheck.answer import Ruling, RunOptions
from gradcheck.catalog.known_failures import KnownFailure
from gradcheck.diagnosis import examine
from gradcheck.dtypes import DTYPES
from gradcheck.errors import Where
from gradcheck.language.parse import parse
from gradcheck.run.known_failures import KnownFailureMatcher
from gradcheck.run.ruling import rule
from gradcheck.run.session import session_of

FLOAT64 = DTYPES["float64"]
ISSUE = "https://github.com/pytorch/pytorch/issues/1"


def known(at=None, **when):
    tree = None if at is None else {"x": parse(at)}
    place = Where("cases/known_failures.yaml", 7, 3)
    return KnownFailure(place, "sample.yaml", "case", tree, when, ISSUE, "it cancels")


SQUARES = "{formula: x**2, inputs: {x: real}, order: 1, points: [{at: {x: 41.5}}, {at: {x: 2}}]}"


def ruled_with(entries, function=torch.square, witness="reverse"):
    return examine(check_of(case_of(SQUARES, function), witness, known=entries), BRIEF)


def everywhere(case="another", **when):
    return replace(known(**when), case=case, file="other.yaml", everywhere=True)


def matcher(entry):
    return KnownFailureMatcher(check_of(case_of(SQUARES), "reverse", known=[entry]), FLOAT64)


def test_an_entry_that_holds_everywhere_excuses_what_a_witness_calls_its_issue():
    found = matcher(everywhere())
    assert found.at(None)("Tensor.backward", 0, f"a defect of PyTorch's ({ISSUE})")
    assert found.reason() == f"it cancels ({ISSUE})"
    assert not found.excused_calls(None)  # their rounding is asked for: they may be anything


@pytest.mark.parametrize(
    ("entry", "label", "because"),
    [
        (everywhere(), "Tensor.backward", ""),
        (everywhere(), "Tensor.backward", "https://github.com/pytorch/pytorch/issues/2"),
        (everywhere(), "Tensor.backward", f"{ISSUE}23"),
        (everywhere(call="torch.autograd.grad"), "Tensor.backward", ISSUE),
        (everywhere(witness="forward"), "Tensor.backward", ISSUE),
        (everywhere(dtype="float32"), "Tensor.backward", ISSUE),
        (everywhere(torch="<1.0"), "Tensor.backward", ISSUE),
        (replace(everywhere(), everywhere=False), "Tensor.backward", ISSUE),
    ],
    ids=["unnamed", "another", "longer", "call", "witness", "dtype", "version", "nowhere else"],
)
def test_and_nothing_else(entry, label, because):
    found = matcher(entry)
    assert not found.at(None)(label, 0, because)
    assert not found.reason()


def test_it_need_not_fail_elsewhere_but_must_in_its_own_case():
    own = replace(known(), everywhere=True)
    assert ruled_with([everywhere()]).verdict is Ruling.AGREE
    assert "no longer fails" in ruled_with([own]).reason
    wrong = with_gradient(torch.square, lambda slope, x: -slope)
    assert ruled_with([everywhere()], wrong).verdict is Ruling.DISAGREE
    assert ruled_with([own], wrong).verdict is Ruling.KNOWN


def test_a_known_failure_is_pinned_to_its_point():
    outcome = ruled_with([known("83/2")], wrong_at(41.5))
    assert (outcome.verdict, outcome.reason) == (Ruling.KNOWN, f"it cancels ({ISSUE})")
    assert outcome.counts["known"] == 2  # by grad and by backward
    assert "disagree" not in outcome.counts
    assert outcome.failures == ()


def test_a_known_failure_at_one_point_excuses_no_other():
    def everywhere(slope, x):
        return slope + 1

    outcome = ruled_with([known("41.5")], with_gradient(torch.square, everywhere))
    assert outcome.verdict is Ruling.DISAGREE
    assert {entry.at["x"] for entry in outcome.smallest} == {2.0}


def test_a_known_failure_that_no_longer_fails_is_an_error():
    outcome = ruled_with([known("41.5")])
    assert outcome.entries > 0
    assert (outcome.verdict, outcome.blame) == (Ruling.DISAGREE, "known_failures.yaml")
    assert outcome.reason == (
        "cases/known_failures.yaml:7:3: the known failure no longer fails: remove the entry"
    )


@pytest.mark.parametrize(
    ("when", "verdict"),
    [({}, Ruling.AGREE), ({"dtype": "bfloat16"}, Ruling.DISAGREE)],
    ids=["unnamed", "named"],
)
@pytest.mark.parametrize("at", ["41.5", None], ids=["at a point", "anywhere"])
def test_in_a_dtype_on_request_only_an_entry_that_names_it_must_still_fail(at, when, verdict):
    case = case_of(SQUARES, torch.square)
    check = check_of(case, "reverse", "bfloat16", known=[known(at, **when)])
    assert examine(check, BRIEF).verdict is verdict


def test_a_known_failure_of_the_whole_check_excuses_every_point():
    culprit = with_gradient(torch.square, lambda slope, x: -slope)
    assert ruled_with([known()], culprit).verdict is Ruling.KNOWN
    assert "no longer fails" in ruled_with([known()]).reason


def test_a_known_failure_at_a_point_that_is_not_declared_is_an_error():
    outcome = ruled_with([known("3")], with_gradient(torch.square, lambda slope, x: -slope))
    assert outcome.failures
    assert outcome.verdict is Ruling.DISAGREE
    outcome = ruled_with([known("3")])
    assert outcome.reason == (
        "cases/known_failures.yaml:7:3: the known failure is pinned to no point of the case: "
        "add the point"
    )


def test_a_known_failure_may_be_about_one_call_alone():
    culprit = wrong_at(41.5)
    only = known("41.5", call="Tensor.backward")
    outcome = ruled_with([only], culprit)
    assert outcome.verdict is Ruling.DISAGREE
    assert {entry.label for entry in outcome.smallest} == {"torch.autograd.grad"}
    other = known("41.5", call="torch.autograd.grad")
    assert ruled_with([only, other], culprit).verdict is Ruling.KNOWN


def calls_made(entries):
    """How often the code on trial is called until it is ruled on, and how that ends."""
    inputs = []
    culprit = wrong_at(41.5)

    def counted(x):
        inputs.append(x)
        return culprit(x)

    outcome = rule(check_of(case_of(SQUARES, counted), "reverse", known=entries), BRIEF)
    return len(inputs), outcome.verdict


def test_the_rounding_of_what_is_excused_is_not_asked_for_and_that_of_the_rest_is():
    one, other = (known("41.5", call=call) for call in ("torch.autograd.grad", "Tensor.backward"))
    both, alone, none = (calls_made(each) for each in ([one, other], [one], []))
    assert [verdict for _, verdict in (both, alone, none)] == ["known", "disagree", "disagree"]
    assert both[0] < alone[0] <= none[0]


@pytest.mark.parametrize("when", [{"witness": "value"}, {"dtype": "float32"}, {"torch": "<1.0"}])
def test_a_known_failure_of_something_else_is_not_asked_for(when):
    assert ruled_with([known("41.5", **when)]).verdict is Ruling.AGREE
    assert ruled_with([known("41.5", **when)], wrong_at(41.5)).verdict is Ruling.DISAGREE


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("points", [1, 64])
def test_a_known_failure_is_looked_for_at_the_whole_covering_set_at_every_seed(points, seed):
    culprit = with_gradient(torch.square, lambda slope, x: torch.where(x > 1e15, 0 * x, slope))
    check = check_of(case_of(SQUARES, culprit), "reverse", known=[known()])
    assert examine(check, RunOptions(points=points, seed=seed)).verdict is Ruling.KNOWN


def test_a_known_failure_that_is_met_by_the_luck_of_a_seed_is_an_error_that_says_so():
    points = session_of(check_of(case_of(SQUARES), "reverse")).planned(RunOptions())[0]
    (lucky,) = points.points["x"][points.kinds.index("tails", points.covering) :][:1]
    check = check_of(case_of(SQUARES, wrong_at(lucky)), "reverse", known=[known()])
    met, missed = (examine(check, RunOptions(seed=seed)) for seed in (0, 1))
    assert met.counts["known"] > 0
    assert met.reason == (
        "cases/known_failures.yaml:7:3: the known failure fails at drawn points alone, "
        "which change with the seed: pin it to a point, with `at`"
    )
    assert missed.reason == (
        "cases/known_failures.yaml:7:3: the known failure no longer fails: remove the entry"
    )
    assert met.verdict is missed.verdict is Ruling.DISAGREE
