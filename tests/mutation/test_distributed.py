"""Mutants that workers try end as they do at home; a case over which workers die is told."""

import json
from dataclasses import replace

import pytest
from stand_in_scheduler import StandIn

from gradcheck.catalog.load import load
from gradcheck.cluster import Cluster
from gradcheck.mutation.campaign import (
    ALARM,
    KeptResults,
    MutationOptions,
    drawn_mutants,
    results,
)
from gradcheck.mutation.distributed import results_on
from gradcheck.mutation.kinds import FAULT_KINDS, TWIN

OPTIONS = MutationOptions(tuple(FAULT_KINDS.values()), points=4, each=2, witnesses=("reverse",))


@pytest.fixture
def planted(tmp_path):
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    path = tmp_path / "some.yaml"
    path.write_text("sine: {formula: sin(x), inputs: {x: real}, torch: torch.sin(x)}\n")
    return drawn_mutants(load(path), frozenset(), OPTIONS)


def untimed(found):
    return [replace(each, seconds=0.0) for each in found]


def test_workers_find_what_is_found_at_home_and_keep_it(planted, tmp_path):
    at_home = list(results(planted, OPTIONS, KeptResults(None, OPTIONS)))
    kept = KeptResults(tmp_path / "kept", OPTIONS)
    away = list(results_on(Cluster(StandIn(), ""), planted, OPTIONS, kept))
    assert len(at_home) > 2
    assert untimed(away) == untimed(at_home)
    lines = (tmp_path / "kept" / "mutants.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == [each.kind for each in away]


def test_what_is_kept_is_not_tried_again(planted, tmp_path):
    kept = KeptResults(tmp_path, OPTIONS)
    first = list(results_on(Cluster(StandIn(), ""), planted, OPTIONS, kept))
    again = KeptResults(tmp_path, OPTIONS, until=0.0)  # there is no time for a new one
    assert list(results_on(Cluster(StandIn(), ""), planted, OPTIONS, again)) == first


def test_a_case_over_which_workers_die_is_an_alarm(planted):
    cluster = Cluster(StandIn(kills=lambda unit: True), "")
    (lost,) = results_on(cluster, planted, OPTIONS, KeptResults(None, OPTIONS))
    assert (lost.outcome, lost.kind, lost.is_bad) == (ALARM, TWIN.name, True)
    assert lost.cause == "workers died over this case: their logs say of what"
