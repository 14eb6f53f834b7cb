"""Random functions: a planted wrong operator is found, made small, kept, and told once."""

import json
import time

import pytest
from stand_in_scheduler import StandIn
from typer.testing import CliRunner

from gradcheck import fuzzing, strategies
from gradcheck.catalog.inline import case_of
from gradcheck.catalog.known_failures import load_known
from gradcheck.catalog.load import load
from gradcheck.cli.app import app
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
    return next(fuzz(campaign, seed=seed, until=time.monotonic() + 30), None)


@pytest.mark.usefixtures("wrong_sine")
def test_a_planted_wrong_operator_is_found_and_made_small(tmp_path):
    campaign = Campaign(tmp_path, ())
    found = first_of(campaign)
    (case,) = load(found.path)
    assert functions_of(case) == {"sin"}
    assert 'formula: "sin(x)' in found.case
    assert "looks like: a constant factor of 2" in found.block
    assert campaign.functions < 100


@pytest.mark.usefixtures("wrong_sine")
def test_what_was_found_is_replayed_first_and_its_cause_is_not_told_again(tmp_path):
    kept = tmp_path / "fuzz-1.yaml"
    kept.write_text("found_by_fuzz: {formula: sin(x), inputs: {x: real}}\n")
    campaign = Campaign(tmp_path, ())
    assert [each.path for each in fuzz(campaign, seed=1, until=0.0)] == [kept]
    more = {"formula": "2*sin(x) + cos(x)", "inputs": {"x": "real"}}
    assert failing(campaign, case_of(more, shown="test", labels={})) is None


def test_right_operators_are_acquitted_and_what_agrees_now_is_told(tmp_path):
    (tmp_path / "fuzz-1.yaml").write_text("found_by_fuzz: {formula: sin(x), inputs: {x: real}}\n")
    campaign = Campaign(tmp_path, ())
    assert list(fuzz(campaign, seed=1, until=0.0)) == []
    assert campaign.mended == [tmp_path / "fuzz-1.yaml"]


@pytest.mark.usefixtures("wrong_sine")
def test_a_cause_of_a_known_failure_is_counted_and_not_told(tmp_path):
    sine = case_of({"formula": "sin(x)", "inputs": {"x": "real"}}, shown="test", labels={})
    excused = Campaign(tmp_path, (FuzzCause("reverse", frozenset({"sin"})),))
    assert failing(excused, sine) is None
    assert excused.known == 2  # float64 and float32
    assert failing(Campaign(tmp_path, (FuzzCause("value", frozenset({"sin"})),)), sine) is not None


@pytest.mark.parametrize("seed", [1, 2])
def test_the_sequence_of_functions_hangs_on_the_seed_alone(tmp_path, monkeypatch, seed):
    def sequence():
        seen = []
        monkeypatch.setattr(fuzzing, "failing", lambda _campaign, case: seen.append(str(case.lets)))
        list(fuzz(Campaign(tmp_path, ()), seed=seed, until=time.monotonic() + 1))
        return seen[:40]

    first, again = sequence(), sequence()
    shorter = min(len(first), len(again))
    assert shorter > 5
    assert first[:shorter] == again[:shorter]


def test_known_failures_of_one_function_excuse_it(tmp_path):
    (tmp_path / "some.yaml").write_text(
        "one: {formula: sin(x), inputs: {x: real}}\ntwo: {formula: sin(exp(x)), inputs: {x: real}}"
    )
    (tmp_path / "known_failures.yaml").write_text(
        "- {case: some.yaml::one, when: {witness: forward}, issue: 'https://a.org', because: b}\n"
        "- {case: some.yaml::two, issue: 'https://a.org', because: b}\n"
    )
    known = load_known(tmp_path)
    assert excused_by(known, load(tmp_path / "some.yaml")) == (FuzzCause("", frozenset({"sin"})),)


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
        "0 functions, 0 found, 0 of known causes (seed 0)\n",
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


@pytest.fixture
def wrong_everywhere(monkeypatch, tmp_path):
    """Every batch meets the same cause, told as plain data."""
    found = {"case": "a case", "block": "", "path": str(tmp_path / "fuzz-1.yaml")}
    answer = {"functions": 1, "known": 0, "found": {**found, "cause": ["reverse", ["sin"]]}}
    monkeypatch.setattr(fuzzing, "look_at_batch", lambda unit: answer)


@pytest.mark.usefixtures("wrong_everywhere")
def test_a_cause_that_several_batches_of_a_cluster_meet_is_kept_and_told_once(tmp_path):
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    campaign, cluster = Campaign(tmp_path, ()), Cluster(StandIn(), "")
    found = list(fuzz_on(cluster, campaign, seed=1, until=time.monotonic() + 0.05))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["a case"]
    assert found == campaign.found
    assert (len(found), campaign.known) == (1, campaign.functions - 1)
    assert campaign.functions > 3


@pytest.mark.usefixtures("wrong_sine")
def test_a_batch_finds_what_is_not_known_and_tells_it_as_plain_data(tmp_path):
    campaign = Campaign(tmp_path, ())
    unit = fuzzing._batch(campaign, 1, 2, time.monotonic() + 100)
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
