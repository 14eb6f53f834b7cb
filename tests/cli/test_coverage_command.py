"""`gradcheck coverage`: what of PyTorch a catalog reaches."""

import json

from gradcheck.cli.arguments import cases_of
from gradcheck.cli.coverage import _told
from gradcheck.report.progress import Progress, Unshown


def test_the_table_counts_what_the_cases_of_a_path_reach(command, catalog):
    ended = command("coverage", "cases/small.yaml::square")
    assert ended.code == 0
    assert ended.out.startswith("What 1 case reaches of PyTorch ")
    assert "\nNot reached: backward nodes\n" in ended.out
    assert "\nImpossible" not in ended.out


def test_all_lists_what_is_impossible(command, catalog):
    assert "\nImpossible: backward nodes\n" in command("coverage", "cases", "--all").out


def test_json_holds_the_same(command, catalog):
    found = json.loads(command("coverage", "cases", "--json").out)
    cases = {item["name"]: item["cases"] for item in found["items"] if item["kind"] == "backward"}
    assert cases["PowBackward0"] == ["cases/small.yaml::square", "cases/small.yaml::power"]
    assert cases["SinBackward0"] == []


def test_a_broken_file_is_reported_and_nothing_is_counted(command, catalog):
    (catalog / "broken.yaml").write_text("f: {formula: x^2, inputs: {x: real}}\n")
    ended = command("coverage", "cases")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("cases/broken.yaml:1:")


def test_two_ways_to_print_are_bad_use(command, catalog):
    ended = command("coverage", "cases", "--json", "--markdown")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == (
        "both --json and --markdown\n  expected: one of them\n  fix:      leave one out\n"
    )


def test_code_that_is_not_trusted_is_not_imported(command, catalog):
    (catalog / "own.yaml").write_text(
        "f: {inputs: {x: real}, formula: x, function: 'antigravity:x'}\n"
    )
    ended = command("coverage", "cases")
    assert (ended.code, ended.out) == (4, "")
    assert "--trust antigravity" in ended.err


def test_without_a_path_the_packaged_catalog_is_measured(command, monkeypatch, catalog):
    monkeypatch.setattr("gradcheck.cli.coverage.shown_folder", lambda: "cases")
    assert command("coverage").out.startswith("What 2 cases reach of PyTorch ")


def test_progress_is_told_in_a_pipe_and_not_under_q(command, catalog, monkeypatch):
    monkeypatch.setattr("gradcheck.report.progress._INTERVAL", 0.0)
    asked = ("coverage", "cases/small.yaml::square")
    assert "1 of 1 cases (100 %)" in command(*asked).err
    assert command(*asked, "-q").err == ""


def test_the_progress_names_the_case_that_is_called(catalog):
    progress = Progress("cases")
    cases = cases_of(["cases/small.yaml"])
    named = [list(progress.running) for _ in _told(cases, progress, Unshown())]
    assert named == [[case.name] for case in cases] != []
