"""Random functions: a planted wrong operator is found, made small, kept, and told once."""

import json
import time
from typing import ClassVar

import pytest
import torch
from stand_in_scheduler import StandIn
from typer.testing import CliRunner

import gradcheck
from gradcheck import fuzzing, strategies
from gradcheck.catalog.files import catalog_folder
from gradcheck.catalog.inline import case_of
from gradcheck.catalog.known_failures import load_known
from gradcheck.catalog.load import load
from gradcheck.cli.app import app
from gradcheck.cli.arguments import cases_of
from gradcheck.cluster import Cluster
from gradcheck.fuzzing import (
    Campaign,
    FuzzCause,
    excused_by,
    failing,
    functions_of,
    fuzz,
    fuzz_on,
)
from gradcheck.implementations import translation
from gradcheck.report.progress import Progress


@pytest.fixture
def wrong_sine(monkeypatch):
    """Its value is right, and its gradient twice what it should be."""
    right = translation.on_tensors

    def on_tensors(operator):
        wrong = lambda x: 2 * x.sin() - x.sin().detach()  # noqa: E731
        return wrong if operator.name == "sin" else right(operator)

    monkeypatch.setattr(translation, "on_tensors", on_tensors)
    monkeypatch.setattr(fuzzing, "DEFAULT_WITNESSES", ("value", "reverse"))
    monkeypatch.setattr(fuzzing, "_SHAPES", ((),))
    monkeypatch.setattr(strategies, "_callable", lambda: ["atan", "cos", "sin", "tanh"])


def first_of(campaign, seed=1):
    return next(fuzz(campaign, seed=seed, until=time.monotonic() + 60), None)


def case_with(formula, **keys):
    keys = {"inputs": {"x": "(-4, 4)"}, **keys}
    return case_of({"formula": formula, **keys}, shown="test", labels={})


def failing_of(campaign, case):
    return failing(campaign, fuzzing._checks(campaign, case), campaign.causes)


@pytest.mark.usefixtures("wrong_sine")
def test_a_planted_wrong_operator_is_found_and_made_small(tmp_path):
    campaign = Campaign(tmp_path, ())
    found = first_of(campaign)
    (case,) = load(found.path)
    assert functions_of(case) == {"sin"}
    assert found.cause.witness == "reverse"
    assert 'formula: "sin(x)' in found.case
    assert "looks like: a constant factor of 2" in found.block
    assert campaign.progress.found.total() < 100
    assert campaign.progress.found["disagree"] == 1


class Told(Progress):
    """Keeps what was shown to run."""

    names: ClassVar[list[str]] = []

    def start(self, name):
        self.names.append(name)
        super().start(name)


@pytest.mark.usefixtures("wrong_sine")
def test_the_progress_says_what_is_replayed_and_made_smaller(tmp_path):
    (tmp_path / "fuzz-1.yaml").write_text("found_by_fuzz: {formula: x**2, inputs: {x: real}}\n")
    campaign = Campaign(tmp_path, (), progress=Told("functions"))
    first_of(campaign)
    assert Told.names[0] == "again: fuzz-1.yaml"
    assert Told.names[-1].startswith("made smaller: sin(x")
    assert campaign.progress.running == {}


@pytest.mark.usefixtures("wrong_sine")
def test_what_was_found_is_replayed_first_and_its_cause_is_not_told_again(tmp_path):
    kept = tmp_path / "fuzz-1.yaml"
    kept.write_text("found_by_fuzz: {formula: sin(x), inputs: {x: real}}\n")
    campaign = Campaign(tmp_path, ())
    assert [each.path for each in fuzz(campaign, seed=1, until=0.0)] == [kept]
    assert failing_of(campaign, case_with("2*sin(x) + cos(x)")) is None


def test_right_operators_are_acquitted_and_what_agrees_now_is_told(tmp_path):
    (tmp_path / "fuzz-1.yaml").write_text("found_by_fuzz: {formula: sin(x), inputs: {x: real}}\n")
    campaign = Campaign(tmp_path, ())
    assert list(fuzz(campaign, seed=1, until=0.0)) == []
    assert campaign.mended == [tmp_path / "fuzz-1.yaml"]


@pytest.mark.usefixtures("wrong_sine")
def test_a_cause_of_a_known_failure_is_counted_and_not_told(tmp_path):
    excused = Campaign(tmp_path, (FuzzCause("reverse", frozenset({"sin"})),))
    assert failing_of(excused, case_with("sin(x)")) is None
    assert excused.progress.found == {"known": 1}
    other = Campaign(tmp_path, (FuzzCause("forward", frozenset({"sin"})),))
    assert failing_of(other, case_with("sin(x)")) is not None


@pytest.mark.usefixtures("wrong_sine")
def test_the_catalogs_known_failures_do_not_hide_a_planted_wrong_operator(tmp_path):
    excused = excused_by(load_known(catalog_folder()), cases_of([str(catalog_folder())]))
    assert FuzzCause("value", frozenset({"besselj"})) in excused
    assert failing_of(Campaign(tmp_path, excused), case_with("sin(x) + cos(x)")) is not None


@pytest.mark.parametrize(
    ("cause", "witness", "named", "explains"),
    [
        (("reverse", {"sin"}), "reverse", {"sin", "+"}, True),
        (("reverse", {"sin"}), "reverse", {"cos", "+"}, False),
        (("reverse", {"sin"}), "forward", {"sin"}, False),
        (("reverse", {"sin"}), "second", {"sin"}, True),
        (("second", {"sin"}), "reverse", {"sin"}, False),
        (("value", set()), "value", {"sin"}, False),
        (("value", set()), "value", set(), True),
    ],
)
def test_a_cause_explains_what_names_all_of_it_by_its_witness_or_of_a_higher_order(
    cause, witness, named, explains
):
    of = FuzzCause(cause[0], frozenset(cause[1]))
    assert of.explains(witness, frozenset(named)) is explains


def test_a_function_that_is_nowhere_judged_is_silent_and_no_failure(tmp_path):
    campaign = Campaign(tmp_path, ())
    assert failing_of(campaign, case_with("sign(x - x)")) is None
    assert campaign.progress.found == {"abstain": 1}
    assert any("no derivative" in reason for reason in campaign.silent)


def test_what_is_no_case_is_refused_and_counted_with_its_reason(tmp_path):
    campaign = Campaign(tmp_path, ())
    assert fuzzing._first(campaign, {"formula": "1/0 + x", "inputs": {"x": "real"}}) is None
    assert campaign.progress.found == {"refused": 1}
    assert campaign.silent == {"refused: a division of constants by zero": 1}


def test_a_function_that_passed_is_not_looked_at_again(tmp_path):
    campaign = Campaign(tmp_path, (), ("float64",))
    for _ in "twice":
        assert fuzzing._first(campaign, {"formula": "x", "inputs": {"x": "(-1, 1)"}}) is None
    assert campaign.progress.found == {"agree": 1}


def test_functions_are_looked_at_in_the_dtypes_that_were_asked_for(tmp_path):
    half = Campaign(tmp_path, (), ("float16",))
    assert {each.dtype for each in fuzzing._checks(half, case_with("sin(x)"))} == {"float16"}
    kinds = {fuzzing._kind(number, ("float16",)).domain for number in range(30)}
    assert kinds == {"real"}
    assert {fuzzing._kind(number, ()).domain for number in range(30)} == {"real", "complex"}


def test_sizes_grow_with_the_number_of_a_batch():
    first, later = fuzzing._kind(4, ()), fuzzing._kind(24, ())
    assert (first.shape, later.shape) == ((3,), (5,))
    assert later.leaves > first.leaves


@pytest.mark.parametrize("seed", [1, 2])
def test_the_sequence_of_functions_hangs_on_the_seed_alone(tmp_path, monkeypatch, seed):
    def sequence():
        seen = []
        monkeypatch.setattr(fuzzing, "_first", lambda _campaign, keys: seen.append(str(keys)))
        list(fuzz(Campaign(tmp_path, ()), seed=seed, until=time.monotonic() + 1))
        return seen[:40]

    first, again = sequence(), sequence()
    shorter = min(len(first), len(again))
    assert shorter > 5
    assert first[:shorter] == again[:shorter]


KNOWN = """
- {case: some.yaml::sine, when: {witness: forward}, issue: "https://a.org", because: b}
- {case: some.yaml::of_more, when: {witness: reverse}, issue: "https://a.org", because: b}
- {case: some.yaml::other_code, when: {witness: reverse}, issue: "https://a.org", because: b}
- {case: some.yaml::at_a_point, at: {x: 1}, issue: "https://a.org", because: b}
- {case: some.yaml::long_ago, when: {torch: "<1.0"}, issue: "https://a.org", because: b}
"""


def test_a_known_failure_excuses_the_operator_itself_and_nothing_else(tmp_path):
    (tmp_path / "some.yaml").write_text(
        "sine: {formula: sin(x), inputs: {x: real}, torch: torch.sin(x)}\n"
        "of_more: {formula: tan(sin(x)), inputs: {x: real}}\n"
        "other_code: {formula: cos(x), inputs: {x: real}, torch: torch.sin(x + 1)}\n"
        "at_a_point: {formula: exp(x), inputs: {x: real}, points: [{at: {x: 1}}]}\n"
        "long_ago: {formula: tanh(x), inputs: {x: real}}\n"
    )
    (tmp_path / "known_failures.yaml").write_text(KNOWN)
    known = load_known(tmp_path)
    assert len(known) == 5
    assert excused_by(known, load(tmp_path / "some.yaml")) == (
        FuzzCause("forward", frozenset({"sin"})),
    )


@pytest.fixture
def small_catalog(tmp_path, monkeypatch):
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "some.yaml").write_text("one: {formula: sin(x), inputs: {x: real}}\n")
    monkeypatch.setattr("gradcheck.cli.fuzz.catalog_folder", lambda: folder)


@pytest.mark.usefixtures("small_catalog")
def test_the_command_says_how_much_it_looked_at_and_ends_with_0(tmp_path):
    done = CliRunner().invoke(app, ["fuzz", "--minutes", "0", "--report", str(tmp_path)])
    assert (done.exit_code, done.stdout) == (
        0,
        "0 functions in 0 checks; 0 found (seed 0)\n",
    )


@pytest.mark.usefixtures("small_catalog")
def test_the_command_ends_with_1_where_what_was_found_still_fails(tmp_path):
    (tmp_path / "fuzz-1.yaml").write_text(
        "found_by_fuzz: {formula: 2*x, inputs: {x: real}, torch: 3*x}\n"
    )
    done = CliRunner().invoke(app, ["fuzz", "--minutes", "0", "--json", "--report", str(tmp_path)])
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert len(told["found"]) == 1
    assert told["functions"] == 1


@pytest.mark.usefixtures("small_catalog")
def test_progress_is_told_in_a_pipe_and_not_under_q(tmp_path, monkeypatch):
    monkeypatch.setattr("gradcheck.report.progress._INTERVAL", 0.0)
    monkeypatch.setattr(fuzzing, "DEFAULT_WITNESSES", ("value",))
    (tmp_path / "fuzz-1.yaml").write_text("found_by_fuzz: {formula: sin(x), inputs: {x: real}}\n")
    asked = ["fuzz", "--minutes", "0", "--report", str(tmp_path)]
    assert "1 function, 0 s of 0 s: 1 agree\n" in CliRunner().invoke(app, asked).stderr
    assert CliRunner().invoke(app, [*asked, "-q"]).stderr == ""


@pytest.fixture
def wrong_everywhere(monkeypatch, tmp_path):
    """Every batch meets the same cause, told as plain data."""
    found = {"case": "a case", "block": "", "path": str(tmp_path / "fuzz-1.yaml")}
    answer = {"counts": {"disagree": 1}, "checks": 1, "silent": {},
              "found": {**found, "cause": ["reverse", ["sin"]]}}  # fmt: skip
    monkeypatch.setattr(fuzzing, "look_at_batch", lambda unit: answer)


@pytest.mark.usefixtures("wrong_everywhere")
def test_a_cause_that_several_batches_of_a_cluster_meet_is_kept_and_told_once(tmp_path):
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    campaign, cluster = Campaign(tmp_path, ()), Cluster(StandIn(), "")
    found = list(fuzz_on(cluster, campaign, seed=1, until=time.monotonic() + 0.5))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["a case"]
    assert found == campaign.found
    assert campaign.progress.found["known"] == campaign.progress.found["disagree"] - 1
    assert campaign.checks > 3


@pytest.mark.usefixtures("wrong_sine")
def test_a_batch_finds_what_is_not_known_and_tells_it_as_plain_data(tmp_path):
    campaign = Campaign(tmp_path, ())
    unit = fuzzing._batch(campaign, 1, 0, time.monotonic() + 100)
    answer = json.loads(json.dumps(fuzzing.look_at_batch(json.loads(json.dumps(unit)))))
    assert answer["found"]["cause"] == ["reverse", ["sin"]]
    assert "looks like: a constant factor of 2" in answer["found"]["block"]
    known = {**unit, "causes": [answer["found"]["cause"]]}
    assert fuzzing.look_at_batch(known)["found"] is None


def test_a_batch_over_which_workers_die_is_told_as_lost(tmp_path):
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    campaign, cluster = Campaign(tmp_path, ()), Cluster(StandIn(kills=lambda unit: True), "")
    assert list(fuzz_on(cluster, campaign, seed=7, until=time.monotonic() + 0.05)) == []
    assert campaign.lost[0] == "7/0"


@pytest.mark.parametrize(("angle", "verdict"), [(1.6, "agree"), (1.6 + 1e-12, "disagree")])
def test_a_constant_that_the_dtype_does_not_hold_is_rounded_once_and_no_more(angle, verdict):
    """8/5 lies near a zero of the cosine: half an ulp of it is 26 ulps of the result."""
    found = gradcheck.verify(
        lambda x: x**2 * torch.tensor(angle, dtype=x.dtype).cos(),
        "x**2 * cos(8/5)",
        {"x": "(-10, 10)"},
        witness="second",
        dtype="float64",
        points=8,
    )
    assert found.verdict == verdict


def test_the_terminal_shows_the_function_that_is_looked_at_and_no_record():
    assert fuzzing._spelled({"let": {"u": "x + x"}, "formula": "abs(x) + u"}) == (
        "abs(x) + u, u = x + x"
    )
    assert fuzzing._spelled({"formula": "sin(x)", "inputs": {"x": {}}}) == "sin(x)"
    assert fuzzing._spelled({"formula": {"a": "x", "b": "2*x"}}) == "a = x, b = 2*x"
