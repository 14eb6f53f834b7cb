"""`gradcheck bench`: that it runs, and how it reads; never how fast anything is."""

import json
import sys
from pathlib import Path

import pytest

from gradcheck.benchmark import startup as startup_module
from gradcheck.benchmark import timing
from gradcheck.benchmark.figures import Figures, Target, figures_table, performance_page
from gradcheck.benchmark.kernels import SIZES, kernels
from gradcheck.benchmark.scaling import scaling
from gradcheck.benchmark.startup import startup
from gradcheck.benchmark.timing import CommandCost, Spread, alternate, cost_of, growth
from gradcheck.catalog.load import load

QUICK = ("--seconds", "0", "--points", "2")


def test_each_side_stands_beside_the_certified_one(command, catalog):
    ended = command("bench", "throughput", "cases/small.yaml", *QUICK)
    assert (ended.code, ended.err) == (0, "measuring throughput ...\n")
    assert ended.out.startswith("Beside finite differences and bare passes: 2 of 2 cases, float64,")
    assert "cases/small.yaml" in ended.out
    assert "certified `reverse` at least 40 times slow gradcheck; seen:" in ended.out
    assert "\nBy witness: 2 of 2 cases" in ended.out


def test_a_case_without_a_backward_is_left_out(command, catalog):
    step = "inputs: {x: real}, torch: 'torch.heaviside(x, torch.zeros_like(x))'"
    Path("cases/steps.yaml").write_text(
        f"step: {{formula: 'heaviside(x, 0)', {step}, without: {{reverse: PyTorch has none}}}}\n"
    )
    ended = command("bench", "throughput", "cases/small.yaml", "cases/steps.yaml", *QUICK)
    assert ended.code == 0
    assert ended.out.startswith("Beside finite differences and bare passes: 2 of 2 cases, float64,")


def test_json_has_every_row_by_its_columns(command, catalog):
    found = json.loads(command("bench", "throughput", "cases", "--json", *QUICK).out)
    beside, witnesses = found["figures"]
    (row,) = beside["rows"]
    assert (row["file"], row["cases"]) == ("cases/small.yaml", 2)
    ratio = row["over slow gradcheck"]
    assert 0 < ratio["least"] <= ratio["median"] <= ratio["most"]
    assert {each["witness"] for each in witnesses["rows"]} >= {"value", "reverse", "gradcheck"}
    assert {"torch", "cores", "load"} <= found["machine"].keys()


BAD = {
    ("throughput", "--json", "--markdown"): (
        "both --json and --markdown\n  expected: one of them\n  fix:      leave one out\n"
    ),
    ("scaling", "cases"): (
        "a PATH of scaling\n  expected: PATHs of throughput alone\n"
        "  fix:      write gradcheck bench throughput\n"
    ),
}


@pytest.mark.parametrize(("arguments", "told"), BAD.items())
def test_bad_use_is_told_before_anything_is_measured(command, catalog, arguments, told):
    ended = command("bench", *arguments)
    assert (ended.code, ended.out, ended.err) == (4, "", told)


def test_a_section_that_is_not_there_is_bad_use(command, catalog):
    ended = command("bench", "speed")
    assert (ended.code, ended.out) == (4, "")
    assert "'speed' is not one of" in ended.err


def test_a_broken_file_is_reported_and_nothing_is_measured(command, catalog):
    (catalog / "broken.yaml").write_text("f: {formula: x^2, inputs: {x: real}}\n")
    ended = command("bench", "throughput", "cases")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("cases/broken.yaml:1:")


def test_code_that_is_not_trusted_is_not_imported(command, catalog):
    (catalog / "own.yaml").write_text(
        "f: {inputs: {x: real}, formula: x, function: 'antigravity:x'}\n"
    )
    ended = command("bench", "throughput", "cases", *QUICK)
    assert (ended.code, ended.out) == (4, "")
    assert "--trust antigravity" in ended.err


# what is timed


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands, unless it is moved."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "process_time", lambda: now[0])
    return now


def test_sides_run_in_turn_and_making_ready_is_not_timed(clock):
    said = []

    def side(name, seconds):
        def ready(number):
            clock[0] += 5
            said.append((name, number))

            def run():
                clock[0] += seconds

            return run

        return ready

    rounds = alternate({"slow": side("slow", 3), "fast": side("fast", 1)}, 15)
    assert rounds == [{"slow": 3, "fast": 1}] * 2
    assert said == [(name, number) for number in range(3) for name in ("slow", "fast")]


def test_the_slope_is_the_exponent_of_growth():
    assert growth([1, 10, 100], [3, 300, 30_000]) == pytest.approx(2)


def test_a_process_is_measured_by_itself(tmp_path):
    much = cost_of([sys.executable, "-c", "x = bytearray(10**8); print(len(x))"], tmp_path, {})
    little = cost_of(
        [sys.executable, "-c", "import os; print(os.environ['ONE'])"], tmp_path, {"ONE": "1"}
    )
    assert (much.printed, little.printed) == ("100000000\n", "1\n")
    assert little.peak < 10**8 < much.peak


def test_a_process_that_ends_badly_is_told(tmp_path):
    with pytest.raises(RuntimeError, match="ended with 3:\nhalf"):
        cost_of([sys.executable, "-c", "print('half'); raise SystemExit(3)"], tmp_path, {})


# tables

FIGURES = Figures(
    "Speed",
    "of two things.",
    ("thing", "seconds", "times"),
    (("one", 0.01234, Spread(2.0, 1.0, 34567.0)), ("two", 12345.0, "")),
    (Target("one under 1 s", "0.01 s", met=True), Target("two under 1 s", "3 h", met=False)),
)


def test_a_table_ends_with_what_was_asked_for(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert figures_table(FIGURES).splitlines() == [
        "Speed: of two things.",
        "thing  seconds            times",
        "───────────────────────────────",
        "one     0.0123  2 (1 to 34,600)",
        "two     12,300",
        "met: one under 1 s; seen: 0.01 s",
        "MISSED: two under 1 s; seen: 3 h",
    ]


def test_the_document_has_the_targets_first(monkeypatch):
    page = performance_page([("throughput", FIGURES)])
    assert page.partition("## Targets\n\n")[2] == (
        "| asked for | seen | target |\n| --- | --- | --- |\n"
        "| one under 1 s | 0.01 s | met |\n| two under 1 s | 3 h | **missed** |\n\n"
        "## Throughput\n\n### Speed\n\nOf two things.\n\n"
        "| thing | seconds | times |\n| --- | --: | --: |\n"
        "| one | 0.0123 | 2 (1 to 34,600) |\n| two | 12,300 |  |"
    )


# the other sections


def test_cost_is_told_by_size():
    (found,) = scaling(seconds=0, steps=2)
    sizes = {row[0]: [part.partition(":")[0] for part in row[2].split(", ")] for row in found.rows}
    assert sizes["inputs"] == ["64", "256"]
    assert len(found.targets) == len(found.rows) == 5


def test_every_kernel_is_a_sound_case_and_only_the_named_are_measured():
    names = {case.name: case for case in load(SIZES)}
    assert {"attention_of_32", "softmax", "layer_norm", "cross_entropy"} < names.keys()
    (found,) = kernels(names={"softmax"})
    ((kernel, entries, *_, rulings),) = found.rows
    assert (kernel, entries) == ("softmax [64, 1024]", 65_536)
    assert rulings == "131,072 agree"


def test_every_command_is_measured_and_what_takes_too_long_misses_its_target(monkeypatch, catalog):
    asked = []

    def fake(command, folder, environment):
        asked.append([word for word in command if "gradcheck" in word or word == "many"])
        assert (folder / "many" / "file0.yaml").exists()
        assert environment["XDG_CACHE_HOME"].startswith(str(folder))
        return CommandCost(2.0, 50 << 20, "")

    monkeypatch.setattr(startup_module, "cost_of", fake)
    (found,) = startup(load(catalog / "small.yaml"), seconds=0, items=40)
    assert len(asked) == 2 * len(found.rows)
    met = {each.wanted: each.met for each in found.targets}
    assert met["gradcheck list: under 0.5 s"] is False
    assert [each for each in met if "many" in each] == []
    assert met["a check without work under 1 ms"] is True


def test_what_is_written_for_start_up_is_collected_and_abstains(command, catalog, tmp_path):
    written = startup_module._written(tmp_path / "here", load(catalog / "small.yaml"), 40)
    ended = command("list", written.folder / "many", "--json")
    assert sum(each["checks"] for each in json.loads(ended.out)) == written.items
    assert command("report", written.folder / "results", "-o", tmp_path / "page.html").code == 0
