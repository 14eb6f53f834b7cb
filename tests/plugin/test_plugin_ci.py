"""What build servers read: JUnit's XML, annotations for GitHub, and the summary of a step."""

import xml.etree.ElementTree as ET

import pytest

from gradcheck.plugin.github import Annotation, _few

ONE = ("--witness", "value", "--dtype", "float64", "--device", "cpu")
FAULT = "\nf:\n  formula: x^2\n  inputs: {x: real}\n"


def xml_cases(project, *options, workers=()):
    project.run_with(workers, *ONE, "--junitxml", "out.xml", *options)
    found = ET.parse(project.path / "out.xml").iter("testcase")
    return {case.get("name").partition("[")[0]: case for case in found}


def properties(case):
    return {each.get("name"): each.get("value") for each in case.iter("property")}


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_the_xml_names_file_line_verdict_and_reason(project, workers):
    project.cases("agrees", "disagrees", "abstains")
    cases = xml_cases(project, "-o", "junit_family=xunit1", workers=workers)
    wrong = cases["disagrees"]
    assert (wrong.get("file"), wrong.get("line")) == ("cases/small.yaml", "5")
    assert properties(wrong) == {
        "file": "cases/small.yaml",
        "line": "5",
        "verdict": "disagree",
        "reason": "disagrees for 64 points and seed 0",
        "ulps": "5",
    }
    message = wrong.find("failure").get("message")
    assert message == "PyTorch's backward is wrong (looks like: sign)"
    assert cases["abstains"].find("skipped").get("message").startswith("abstains for 64 points")
    assert properties(cases["agrees"])["verdict"] == "agree"


def test_in_pytests_own_family_the_properties_have_file_and_line(project):
    project.cases("agrees")
    case = xml_cases(project)["agrees"]
    assert case.get("file") is None
    assert (properties(case)["file"], properties(case)["line"]) == ("cases/small.yaml", "1")


def test_what_is_no_check_keeps_its_own_properties(project):
    project.write(
        "test_mine.py", "def test_mine(record_property):\n    record_property('mine', 1)\n"
    )
    project.cases("agrees")
    quiet = ("-W", "ignore::pytest.PytestWarning")  # pytest's own, about this family of XML
    assert properties(xml_cases(project, *quiet)["test_mine"]) == {"mine": "1"}


@pytest.fixture
def on_github(project, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "summary.md"))
    return project


def annotations(result):
    return [line for line in result.outlines if line.startswith("::")]


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_each_cause_is_annotated_once_at_its_case(on_github, workers):
    on_github.cases("agrees", "disagrees")
    result = on_github.run_with(workers, "--device", "cpu")
    text = "PyTorch's backward is wrong (looks like: sign)%0Ain disagrees[value-cpu-float64]"
    place = "file=cases/small.yaml,line=5,title=gradcheck%3A disagrees"
    assert annotations(result) == [f"::error {place}::{text}, and in 13 more checks"]
    summary = (on_github.path / "summary.md").read_text(encoding="utf-8")
    assert "gradcheck: " in summary.splitlines()[0]
    assert "PyTorch's backward is wrong" in summary


def test_a_faulty_file_is_annotated_where_it_is_wrong(on_github):
    on_github.write("cases/bad.yaml", FAULT)
    (told,) = annotations(on_github.run(*ONE))
    assert told.startswith(
        "::error file=cases/bad.yaml,line=3,title=gradcheck%3A the file is wrong::"
    )
    assert "write x**2 for x to the power of 2" in told


def test_a_summary_is_added_to_what_is_there(on_github):
    (on_github.path / "summary.md").write_text("before\n", encoding="utf-8")
    on_github.cases("agrees")
    assert annotations(on_github.run(*ONE)) == []
    lines = (on_github.path / "summary.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "before"
    assert "gradcheck: " in lines[1]


def test_a_file_outside_of_the_repository_is_named_in_no_annotation(on_github, monkeypatch):
    monkeypatch.setenv("GITHUB_WORKSPACE", str(on_github.path / "elsewhere"))
    on_github.cases("disagrees")
    (told,) = annotations(on_github.run(*ONE))
    assert told.startswith("::error title=gradcheck%3A disagrees::")


def test_elsewhere_nothing_is_annotated(project, monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "summary.md"))
    project.cases("disagrees")
    assert annotations(project.run(*ONE)) == []
    assert not (project.path / "summary.md").exists()


def test_nothing_in_a_text_ends_the_command_or_begins_another():
    hostile = Annotation("a: b, c", "100 %\r\n::error::x", "cases/a,b:c.yaml", 3)
    assert str(hostile) == (
        "::error file=cases/a%2Cb%3Ac.yaml,line=3,title=a%3A b%2C c::100 %25%0D%0A::error::x"
    )


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (10, 10), (11, 10), (40, 10)])
def test_no_more_are_written_than_github_shows(count, shown):
    assert len(list(_few([Annotation("a", "b")] * count))) == shown


def test_the_last_one_says_how_many_are_left_out():
    *_, last = _few([Annotation("a", "b")] * 12)
    assert last.text.startswith("3 more causes: ")
