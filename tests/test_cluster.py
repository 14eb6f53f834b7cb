"""Units of plain data in a window: nothing is lost, and who kills workers is blamed alone.

The scheduler here is a stand-in: tests/plugin/test_plugin_distribution.py has a real one.
"""

from types import SimpleNamespace

import pytest
from stand_in_scheduler import StandIn

from gradcheck import cluster
from gradcheck.cluster import Cluster, ClusterLost, Done, Feed, connect, done, perform, versions
from gradcheck.errors import UsageError

distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")

DOUBLE = "test_cluster:double"


def double(unit):
    return {"twice": 2 * unit["number"]}


def refuse(unit):
    raise UsageError("no such file here", "one", "copy it")


def numbered(numbers, **rest):
    return Feed(iter([{"number": number, **rest} for number in numbers]))


def answers(client, *feeds, **options):
    return list(done(Cluster(client, "tcp://one:1"), DOUBLE, feeds, **options))


def test_every_unit_is_answered():
    found = answers(StandIn(), numbered(range(20)))
    assert [(each.unit["number"], each.answer["twice"]) for each in found] == [
        (number, 2 * number) for number in range(20)
    ]


def test_no_more_units_are_out_than_the_threads_need():
    client = StandIn(threads=3)
    answers(client, numbered(range(50)))
    assert client.most_out == 6


def test_a_worker_that_has_no_thread_to_spare_still_gets_one_unit():
    client = StandIn(threads=0)
    answers(client, numbered(range(5)))
    assert client.most_out == 1


def test_units_for_a_gpu_have_a_window_of_their_own_and_ask_for_one():
    client = StandIn(threads=8, gpus=1)
    needs = {"GPU": 1.0}
    answers(client, numbered(range(2)), Feed(iter([{"number": k} for k in range(9)]), needs))
    asked = [resources for _, resources in client.sent]
    assert (asked.count(None), asked.count(needs)) == (2, 9)
    assert client.most_out == 2 + 2


def test_the_unit_over_which_workers_die_is_blamed_and_those_beside_it_are_acquitted():
    dying = iter([True, True, True])  # the others that are out when the first worker dies
    client = StandIn(kills=lambda unit: unit["number"] == 1 or next(dying, False))
    found = {each.unit["number"]: each.answer for each in answers(client, numbered(range(9)))}
    assert found == {k: {"twice": 2 * k} for k in range(9)} | {1: None}


def test_a_unit_over_which_workers_die_is_done_in_parts_one_by_one():
    client = StandIn(kills=lambda unit: 3 in unit["numbers"])
    feed = Feed(iter([{"numbers": [1, 2, 3, 4], "number": 0}]))
    parts = lambda unit: [{**unit, "numbers": [k]} for k in unit["numbers"]]  # noqa: E731
    found = answers(client, feed, parts=parts)
    assert [each.unit["numbers"] for each in found if each.answer is None] == [[3]]
    assert len(found) == 4


def test_what_the_worker_lacks_ends_the_campaign_with_its_own_words():
    with pytest.raises(UsageError) as raised:
        list(done(Cluster(StandIn(), ""), "test_cluster:refuse", [numbered([1])]))
    assert raised.value.args == ("no such file here", "one", "copy it")


def test_a_worker_of_another_release_that_comes_late_is_refused():
    found, *rest = perform(DOUBLE, {"number": 1}, {**versions(), "torch": "1.0"})["refused"]
    assert found.startswith("the worker on ")
    assert rest == [
        "the same releases of gradcheck and torch on every machine",
        "install them in the worker's environment, and start it again",
    ]


def test_a_scheduler_that_goes_away_ends_the_campaign():
    with pytest.raises(ClusterLost, match=r"^the scheduler at tcp://one:1 is gone$"):
        answers(StandIn(ends="cancelled"), numbered([1]))


def test_what_is_raised_while_waiting_calls_back_what_is_out():
    def ctrl_c():
        raise KeyboardInterrupt

    client = StandIn()
    with pytest.raises(KeyboardInterrupt):
        answers(client, numbered(range(9)), while_waiting=ctrl_c)
    assert len(client.cancelled) == 4


def test_workers_that_stay_away_end_the_campaign(monkeypatch):
    client = StandIn()
    client.scheduler_info = lambda n_workers: {"workers": {}}
    client.ended = lambda *_: SimpleNamespace(key="1", add_done_callback=lambda call: None)
    monkeypatch.setattr(cluster, "_DESERTED", 0.3)
    with pytest.raises(ClusterLost, match=r"has had no worker for 0\.3 s$"):
        answers(client, numbered([1]))


def message(action):
    with pytest.raises(UsageError) as raised:
        action()
    return str(raised.value)


def test_without_dask_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    assert message(lambda: connect("tcp://one:1")) == (
        "--scheduler needs Dask's distributed, which is not installed\n"
        "  expected: distributed in the same environment as gradcheck\n"
        "  fix:      pip install 'gradcheck[dask]'"
    )


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x", "127.0.0.1"])
def test_an_address_where_no_scheduler_answers_is_refused(monkeypatch, address):
    monkeypatch.setattr(cluster, "_PATIENCE", 0.2)
    found, _, rest = message(lambda: connect(address)).partition("\n")
    assert found.startswith(f"--scheduler {address}: no scheduler answers there (")
    assert rest == (
        "  expected: the address of a running Dask scheduler, such as tcp://host:8786\n"
        "  fix:      start one by `dask scheduler`, which prints it; a firewall must let it "
        "through"
    )


def refused(monkeypatch, told, workers=1):
    def wait_for_workers(count, timeout):
        if workers < count:
            raise TimeoutError

    client = StandIn()
    client.wait_for_workers = wait_for_workers
    client.run = lambda *_, on_error: dict.fromkeys(["tcp://one:1", "tcp://two:2"], told)
    monkeypatch.setattr(cluster, "_client", lambda address, spelling: client)
    text = message(lambda: connect("tcp://one:1"))
    assert client.status == "closed"
    return text


def test_a_scheduler_without_workers_is_refused(monkeypatch):
    assert refused(monkeypatch, {}, workers=0) == (
        "--scheduler tcp://one:1: the scheduler has no worker\n"
        "  expected: a worker at least\n"
        "  fix:      start `dask worker tcp://one:1 --nthreads 1`, one for each core"
    )


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (
            {"answer": {**versions(), "torch": "2.6.0"}},
            f"has torch 2.6.0, and this process {versions()['torch']}",
        ),
        (
            {"answer": {**versions(), "gradcheck": "0.0.9"}},
            f"has gradcheck 0.0.9, and this process {versions()['gradcheck']}",
        ),
        (
            ModuleNotFoundError("No module named 'gradcheck'"),
            "has no such gradcheck: ModuleNotFoundError: No module named 'gradcheck'",
        ),
    ],
    ids=["torch", "gradcheck", "none"],
)
def test_workers_of_other_releases_are_refused(monkeypatch, told, found):
    assert refused(monkeypatch, told) == (
        f"--scheduler tcp://one:1: the worker tcp://one:1 {found} (and 1 more)\n"
        "  expected: the same releases of gradcheck and torch on every machine\n"
        "  fix:      install them in the worker's environment, and start it again"
    )


def test_a_worker_of_the_same_releases_is_taken(monkeypatch):
    client = StandIn()
    client.wait_for_workers = lambda count, timeout: None
    client.run = lambda *_, on_error: {"tcp://one:1": {"answer": versions()}}
    monkeypatch.setattr(cluster, "_client", lambda address, spelling: client)
    assert connect("tcp://one:1").capacity({}) == 2


def test_what_is_done_names_its_unit():
    assert answers(StandIn(), numbered([4])) == [Done({"number": 4}, {"twice": 8})]
