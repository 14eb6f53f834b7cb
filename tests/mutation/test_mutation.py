"""Planted faults: each place strikes, twins are acquitted, and what changes nothing is proved."""

import json
import math
from dataclasses import replace

import pytest
import torch

from gradcheck.catalog.inline import case_of
from gradcheck.dtypes import DTYPES
from gradcheck.mutation import campaign
from gradcheck.mutation.campaign import KeptResults, MutationOptions, drawn_mutants, results
from gradcheck.mutation.equivalence import certified_reason, proof, stands, within_rounding
from gradcheck.mutation.kinds import FAULT_KINDS, TWIN
from gradcheck.mutation.planting import Mutant, Strikes
from gradcheck.mutation.rivals import RIVALS, RivalTrial, convicting


def case(formula, inputs, **keys):
    return case_of({"formula": formula, "inputs": inputs, **keys}, shown="test", labels={})


SQUARE = case("x**2", {"x": "real"}, torch="x * x")
NARROW = case("x**2", {"x": "(0.1, 0.9)"}, torch="x * x")
STEPS = case("floor(x)", {"x": "(0.1, 0.9)"}, torch="torch.floor(x)")
ARRAYS = case("x*y", {"x": {"shape": [2, 3]}, "y": {"shape": [3]}}, torch="x * y")


def ended(one, kinds, witnesses, tmp_path=None, **facts):
    options = MutationOptions(
        tuple(FAULT_KINDS[name] for name in kinds), each=0, witnesses=witnesses, **facts
    )
    return list(
        results(drawn_mutants([one], frozenset(), options), options, KeptResults(tmp_path, options))
    )


PLACES = {
    "backward: sign": "reverse",
    "jvp: x 1.01": "forward",
    "second: x 1.01": "second",
    "second: at 1": "second",
    "cotangent: clamped at 4": "contract",
    "tangent: through bfloat16": "contract",
    "call: stale saved tensor": "contract",
    "call: second backward": "contract",
    "call: input changed": "contract",
    "call: more than 100 entries": "contract",
}


@pytest.mark.parametrize(("kind", "witness"), PLACES.items())
def test_a_fault_of_each_place_is_convicted_and_its_twin_acquitted(kind, witness):
    twin, mutant = ended(SQUARE, [kind], (witness,))
    assert (twin.outcome, twin.killed_by) == ("acquitted", ())
    assert (mutant.outcome, mutant.killed_by) == ("killed", (witness,))


ON_ARRAYS = (
    "backward: rolled",
    "backward: zero of the last input",
    "reduction: mean over a broadcast dimension",
    "reduction: without the last slice of a broadcast input",
)


def test_faults_of_arrays_are_convicted_and_their_twin_acquitted():
    twin, *mutants = ended(ARRAYS, ON_ARRAYS, ("reverse",))
    assert twin.outcome == "acquitted"
    assert {each.kind for each in mutants} == {*ON_ARRAYS}
    assert {each.outcome for each in mutants} == {"killed"}


def test_a_witness_that_is_not_asked_lets_a_fault_survive_and_the_cause_says_so():
    _, mutant = ended(SQUARE, ["second: x 2"], ("forward",))
    assert mutant.outcome == "survived"
    assert mutant.cause == "the call in which it strikes was never made"


def test_the_value_of_a_mutant_is_the_value_of_the_code():
    x = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    for kind in (FAULT_KINDS["backward: sign"], FAULT_KINDS["jvp: zero"], TWIN):
        assert Mutant(torch.sin, kind, Strikes())(x).equal(torch.sin(x))


def test_there_are_at_least_90_kinds_and_their_names_can_stand_in_a_list():
    assert len(FAULT_KINDS) >= 90
    assert not any("," in name for name in FAULT_KINDS)


# what changes nothing

PROVED = [
    ("backward: beyond 10", NARROW, "float64", "no number of the domain lies there"),
    ("backward: beyond 10", SQUARE, "float64", ""),
    ("backward: at integers", NARROW, "float64", "no number of the domain lies there"),
    ("backward: at integers", SQUARE, "float64", ""),
    ("backward: through float32", SQUARE, "float32", "float32 holds every number of float32"),
    ("backward: through float32", SQUARE, "float64", ""),
    ("backward: through float16", SQUARE, "bfloat16", ""),
    ("backward: flushed below 1e-10", SQUARE, "float16", "it changes no number of float16"),
    ("backward: + 1e-9", SQUARE, "float16", "it changes no number of float16"),
    ("tangent: small is 0", SQUARE, "float16", ""),
    ("backward: flushed below 1e-10", SQUARE, "bfloat16", ""),
    ("backward: + 1e-9", SQUARE, "float32", ""),
    ("backward: rolled", ARRAYS, "float64", ""),
    ("call: more than 100 entries", ARRAYS, "float64", "the largest input has 6 entries"),
    ("call: more than 100 entries", SQUARE, "float64", ""),
]


@pytest.mark.parametrize(("kind", "one", "dtype", "why"), PROVED)
def test_a_fault_that_changes_nothing_is_proved_to_and_no_other(kind, one, dtype, why):
    assert proof(FAULT_KINDS[kind], one.variants[0], DTYPES[dtype]) == why


def test_what_moves_nothing_in_one_entry_is_proved_by_moving_it():
    one = case("sum(x)", {"x": {"shape": [1]}}, torch="x.sum()")
    why = "it moves nothing in arrays of these shapes"
    assert proof(FAULT_KINDS["backward: reversed"], one.variants[0], DTYPES["float64"]) == why


@pytest.mark.parametrize(("dtype", "is_within"), [("bfloat16", True), ("float32", False)])
@pytest.mark.parametrize("name", ["x 1.01", "first entry wrong", "last entry wrong"])
def test_a_change_by_a_hundredth_is_within_4_ulps_of_bfloat16_alone(name, dtype, is_within):
    assert bool(within_rounding(FAULT_KINDS[f"backward: {name}"], DTYPES[dtype])) is is_within


@pytest.mark.parametrize(("dtype", "is_within"), [("float16", True), ("float32", False)])
def test_a_rounding_to_three_digits_fewer_is_within_4_ulps(dtype, is_within):
    kind = FAULT_KINDS["tangent: through bfloat16"]
    assert bool(within_rounding(kind, DTYPES[dtype])) is is_within
    assert not within_rounding(FAULT_KINDS["backward: through float16"], DTYPES["bfloat16"])


VARIANCE = case("mean((x - mean(x))**2)", {"x": {"domain": "(-3, 3)", "shape": [4]}})
HELD = case("x*stop(c)", {"x": {"shape": [80]}, "c": {"shape": [80]}})
TO_ZERO = "the derivative is certified to map what it does to a tangent to 0"
CERTIFIED = [
    ("jvp: + 1e-5", VARIANCE, TO_ZERO),
    ("jvp: centred", VARIANCE, TO_ZERO),
    ("jvp: x 1.01", VARIANCE, ""),
    ("jvp: between 0.5 and 1", VARIANCE, ""),
    ("backward: + 1e-5", VARIANCE, ""),
    ("jvp: + 1e-5", case("sum(x**2)", {"x": {"domain": "(-3, 3)", "shape": [4]}}), ""),
    ("jvp: NaN", VARIANCE, ""),
    ("tangent: squared", STEPS, "every derivative of order 1 is certified to be 0"),
    ("jvp: NaN", STEPS, ""),
    ("jvp: NaN at 0", case("floor(x + 1/2)", {"x": "(-0.4, 0.4)"}), ""),
    ("backward: sign", STEPS, "every derivative of order 1 is certified to be 0"),
    ("backward: + 1e-5", STEPS, ""),
    ("backward: NaN", STEPS, ""),
    ("backward: sign", SQUARE, ""),
    ("jvp: half of the last input", HELD, "every derivative of order 1 is certified to be 0"),
    ("jvp: half of the first input", HELD, ""),
    ("second: sign", HELD, "every derivative of order 2 is certified to be 0"),
    (
        "second: sign",
        case("3*x", {"x": "real"}),
        "every derivative of order 2 is certified to be 0",
    ),
]


@pytest.mark.parametrize(("kind", "one", "why"), CERTIFIED)
def test_certified_truth_tells_a_zero_derivative_and_no_other(kind, one, why):
    assert certified_reason(FAULT_KINDS[kind], one.variants[0], DTYPES["float64"], 0) == why


def test_kinds_stand_where_they_mean_something():
    numbers = case("z**2", {"z": "complex"}, torch="z * z")
    assert stands(FAULT_KINDS["backward: conjugate"], numbers, numbers.variants[0])
    assert not stands(FAULT_KINDS["backward: absolute"], numbers, numbers.variants[0])
    assert not stands(FAULT_KINDS["backward: conjugate"], SQUARE, SQUARE.variants[0])
    assert not stands(FAULT_KINDS["backward: rolled"], SQUARE, SQUARE.variants[0])


# campaigns


def test_the_same_seed_draws_the_same_mutants_and_another_one_others():
    options = MutationOptions(tuple(FAULT_KINDS.values()), each=5)

    def kinds(seed):
        (planted,) = drawn_mutants([SQUARE], frozenset(), replace(options, seed=seed))
        return [each.name for each in planted.kinds]

    assert kinds(1) == kinds(1) != kinds(2)
    assert len(kinds(1)) == 5


def test_a_case_of_known_failures_and_code_of_a_user_are_left_alone():
    options = MutationOptions((FAULT_KINDS["backward: sign"],))
    assert drawn_mutants([SQUARE], frozenset({campaign.case_id(SQUARE)}), options) == []


def test_what_ended_before_a_kill_is_taken_over_and_a_line_cut_off_done_again(
    tmp_path, monkeypatch
):
    kinds, asked = ["backward: sign", "backward: zero"], []
    first = ended(SQUARE, kinds, ("reverse",), tmp_path)
    kept = tmp_path / "mutants.jsonl"
    lines = kept.read_text().splitlines()
    kept.write_text("\n".join([*lines[:2], lines[2][:40]]) + "\n")
    right = campaign._Trials.mutant
    monkeypatch.setattr(
        campaign._Trials, "mutant",
        lambda self, kind, twin: asked.append(kind.name) or right(self, kind, twin),
    )  # fmt: skip
    again = ended(SQUARE, kinds, ("reverse",), tmp_path)
    assert asked == [first[2].kind]
    assert [replace(each, seconds=0) for each in again] == [
        replace(each, seconds=0) for each in first
    ]


def test_when_time_is_up_there_is_what_was_kept_and_nothing_new(tmp_path):
    first = ended(SQUARE, ["backward: sign"], ("reverse",), tmp_path)
    options = MutationOptions(
        (FAULT_KINDS["backward: sign"], FAULT_KINDS["backward: zero"]), each=0,
        witnesses=("reverse",),
    )  # fmt: skip
    planted = drawn_mutants([SQUARE], frozenset(), options)
    assert list(results(planted, options, KeptResults(tmp_path, options, until=0.0))) == first
    assert list(results(planted, options, KeptResults(None, options, until=0.0))) == []


def test_each_trial_is_told_when_it_is_begun():
    begun = []
    options = MutationOptions((FAULT_KINDS["backward: sign"],), each=0, witnesses=("reverse",))
    planted = drawn_mutants([SQUARE], frozenset(), options)
    trials = results(planted, options, KeptResults(None, options, begin=begun.append))
    assert begun == []
    case = campaign.case_id(SQUARE)
    assert [begun[-1] for _ in trials] == [f"{case}, twin", f"{case}, backward: sign"]


def test_results_of_other_settings_are_not_taken_over(tmp_path):
    ended(SQUARE, ["backward: sign"], ("reverse",), tmp_path)
    ended(SQUARE, ["backward: sign"], ("reverse",), tmp_path, points=8)
    lines = (tmp_path / "mutants.jsonl").read_text().splitlines()
    assert [json.loads(line)["settings"]["points"] for line in lines] == [64, 64, 8, 8]


def test_a_twin_that_is_convicted_is_an_alarm_and_nothing_is_planted():
    wrong = case("x**3", {"x": "real"}, torch="x * x")
    (twin,) = ended(wrong, ["backward: sign"], ("reverse",))
    assert (twin.outcome, twin.killed_by) == ("alarm", ("reverse",))


def test_a_witness_that_the_case_is_without_is_not_asked():
    wrong = case("x**2", {"x": "real"}, torch="x**3", without={"functional": "not batched"})
    twin, *_ = ended(wrong, ["backward: sign"], ("functional", "forward"))
    assert "functional" not in twin.asked
    assert twin.killed_by == ("reverse", "forward")


def test_of_code_without_a_gradient_in_the_dtype_none_is_altered():
    matrix = {"A": {"shape": [1, 1], "domain": "(1, 2)"}}
    one = case("1/A", matrix, torch="torch.linalg.inv(A)", dtypes=["float64", "bfloat16"])
    (twin,) = ended(one, ["backward: sign", "call: with create_graph"], ("reverse",),
                    dtype="bfloat16")  # fmt: skip
    assert (twin.outcome, twin.silent) == ("acquitted", ("reverse",))
    _, *mutants = ended(one, ["backward: sign"], ("reverse",))
    assert [each.outcome for each in mutants] == ["killed"]


# the others


def trial(kind):
    points = [(torch.tensor(x, dtype=torch.float64),) for x in (0.3, -1.2)]
    mutant = Mutant(torch.sin, FAULT_KINDS.get(kind, TWIN), Strikes())
    return RivalTrial(
        lambda x: (mutant(x),), lambda x: (torch.sin(x),), points, order=2, forward=True
    )


def test_the_others_acquit_right_code_and_convict_a_wrong_sign():
    assert convicting(trial("twin")) == dict.fromkeys(RIVALS, False)
    assert convicting(trial("backward: sign")) == dict.fromkeys(RIVALS, True)


def test_a_factor_of_1_0001_passes_all_but_the_tight_ones():
    assert convicting(trial("backward: x 1.0001")) == {
        "torch": False, "tightened": True, "jax style": True, "assert_close": True,
    }  # fmt: skip


def test_the_strikes_say_how_many_numbers_changed_and_by_how_much():
    strikes = Strikes()
    x = torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    Mutant(torch.sin, FAULT_KINDS["backward: at 0"], strikes)(x).backward(torch.ones_like(x))
    assert (strikes.calls, strikes.changed) == (1, 1)
    assert math.isclose(strikes.largest, 0.02)
