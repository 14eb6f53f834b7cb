"""How failed checks are told: each cause once, whatever else pytest is asked to print or keep."""

import xml.etree.ElementTree as ET

import pytest
from default_witnesses import asked

CPU = ("--device", "cpu")
OTHER = "def test_other():\n    print('printed')\n    assert 1 == 2\n"
BLOCK = "disagree: PyTorch's backward is wrong"
CHECKS = [
    f"disagrees[{witness}-cpu-{dtype}]" for witness in asked() for dtype in ("float64", "float32")
]
HIDDEN = [
    f"the same cause, in {len(CHECKS) - 1} more checks:",
    *(f"  {name}: the same" for name in CHECKS[1:]),
]


@pytest.fixture
def failing(project):
    """A project with a wrong function, and a failing test that is nobody's check."""
    project.cases("disagrees")
    project.write("test_other.py", OTHER)
    return project


@pytest.fixture(scope="module", params=[(), ("-n", "2")], ids=["alone", "workers"])
def told(run_once, request):
    """The folder of one run of that project, with what it printed and its XML."""
    options = (*CPU, *request.param, "--junitxml", "out.xml")
    return run_once(["disagrees"], {"test_other.py": OTHER}, *options)


def printed(folder):
    return (folder / "out.txt").read_text("utf-8").splitlines()


def between(lines, first, last):
    """The lines from one that holds ``first`` to the next one that holds ``last``."""
    start = next(number for number, line in enumerate(lines) if first in line)
    end = next(n for n, line in enumerate(lines) if n > start and last in line)
    return lines[start:end]


def assert_told_once(lines):
    """Of a cause one check is told whole, and each other one in a line."""
    assert f" {len(CHECKS) + 1} failed in " in lines[-1]
    failures = between(lines, "= FAILURES =", "= gradcheck =")
    assert failures.count(BLOCK) == 1
    assert f" {CHECKS[0]} " in next(line for line in failures if "_ disagrees[" in line)
    assert failures[failures.index(HIDDEN[0]) :][: len(HIDDEN)] == HIDDEN


def test_a_cause_is_told_once_with_a_line_for_each_other_check(told):
    assert_told_once(printed(told))


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize("style", ["short", "long"])
def test_so_it_is_in_every_style(failing, workers, style):
    assert_told_once(failing.run_with(workers, *CPU, "--tb", style).outlines)


def test_other_peoples_failures_are_untouched(told):
    failures = between(printed(told), "= FAILURES =", "= gradcheck =")
    other = between(failures, "_ test_other _", "_ disagrees[")
    assert "E       assert 1 == 2" in other
    assert "printed" in other


def test_the_short_summary_is_complete_and_begins_with_the_reason(told):
    lines = [line for line in printed(told) if line.startswith("FAILED ")]
    reason = "PyTorch's backward is wrong (looks like: sign)"
    assert set(lines) == {
        "FAILED test_other.py::test_other - assert 1 == 2",
        *(f"FAILED cases/small.yaml::{name} - {reason}" for name in CHECKS),
    }
    assert len(lines) == len(CHECKS) + 1


def test_a_check_has_one_line_in_the_short_summary_of_a_build_server(failing, monkeypatch):
    """There pytest prints messages whole."""
    monkeypatch.setenv("CI", "true")
    lines = failing.run(*CPU).outlines
    summary = between(lines, "= short test summary info =", " failed in ")
    assert len(summary) == 1 + len(CHECKS) + 1


def test_one_line_is_printed_for_a_cause_where_lines_are_wanted(failing):
    lines = failing.run(*CPU, "--tb", "line").outlines
    failures = between(lines, "= FAILURES =", "= gradcheck =")
    cause = f"PyTorch's backward is wrong (looks like: sign) (in {len(CHECKS)} checks)"
    assert [line for line in failures if "backward" in line] == [f"cases/small.yaml:1: {cause}"]


def test_nothing_is_printed_where_nothing_is_wanted(failing):
    result = failing.run(*CPU, "--tb", "no")
    assert BLOCK not in result.outlines
    result.assert_outcomes(failed=len(CHECKS) + 1)


@pytest.mark.parametrize("option", ["-q", "-v", "--no-header", "-rA"])
def test_how_much_is_said_does_not_change_the_failures(failing, option):
    lines = failing.run(*CPU, option).outlines
    assert lines.count(BLOCK) == 1
    assert lines.count(HIDDEN[0]) == 1


@pytest.mark.parametrize(
    ("options", "title"),
    [(("-x",), None), (("--maxfail", "3"), "the same cause, in 2 more checks:")],
)
def test_a_run_that_stops_early_tells_what_it_found(project, options, title):
    project.cases("disagrees")
    lines = project.run(*CPU, *options).outlines
    assert lines.count(BLOCK) == 1
    assert [line for line in lines if line.startswith("the same cause")] == [title] * bool(title)


def test_two_causes_are_told_in_the_order_of_the_catalog(project):
    project.cases("disagrees_b", "disagrees_a")
    lines = project.run_alone(*CPU, "-n", "2", "--witness", "value,reverse").outlines
    told = [line.split()[1] for line in lines if line.startswith("  check: ")]
    assert told == ["disagrees_b[value-cpu-float64]", "disagrees_a[value-cpu-float64]"]


def test_implementations_beyond_nine_are_told_in_the_order_of_the_catalog(project):
    code = "  torch: [{}]\n".format(", ".join(f"x**2 + {k}*0" for k in range(11)))
    project.cases("disagrees", extra=code)
    lines = project.run_alone(*CPU, "-n", "2", "--witness", "value").outlines
    told = [line for line in lines if line.startswith("  on trial: ")]
    assert told == [f"  on trial: x**2 + {k}*0  (implementation {k} of 0 to 10)" for k in range(11)]


def test_every_failure_keeps_its_whole_text_in_the_xml(told):
    found = {
        case.get("name"): case.find("failure")
        for case in ET.parse(told / "out.xml").iter("testcase")
    }
    assert set(found) == {*CHECKS, "test_other"}
    for name in CHECKS:
        assert found[name].get("message") == "PyTorch's backward is wrong (looks like: sign)"
        assert f"\n  check: {name}\n" in found[name].text
        assert "to run just this:" in found[name].text


def test_what_failed_last_is_run_again(failing):
    failing.cases("agrees", file="cases/right.yaml")
    cached = ("-p", "gradcheck.plugin", "-p", "gradcheck.plugin.short", "--in-process", *CPU)
    first = failing.pytester.runpytest_inprocess(*cached)
    first.assert_outcomes(failed=len(CHECKS) + 1, passed=len(CHECKS))
    result = failing.pytester.runpytest_inprocess(*cached, "--lf")
    result.assert_outcomes(failed=len(CHECKS) + 1)
    assert result.outlines.count(BLOCK) == 1


def test_a_fault_of_the_case_itself_is_told_once(project):
    project.cases("misses")
    lines = project.run(*CPU).outlines
    failures = between(lines, "= FAILURES =", "= gradcheck =")
    assert failures.count("cases/small.yaml:1:1: importing 'nowhere' failed") == 1
    assert "the same cause, in 13 more checks:" in failures


def test_a_defect_of_our_own_keeps_its_tracebacks(project):
    project.cases("crashes")
    lines = project.run(*CPU, "--witness", "value").outlines
    ended = [line for line in lines if line.endswith("ZeroDivisionError")]
    assert sum("fake_diagnosis" in line for line in ended) == 2


def test_a_summary_by_somebody_else_finds_every_failure(failing):
    failing.add_to_conftest(
        "def pytest_terminal_summary(terminalreporter):\n"
        "    terminalreporter.write_line(f\"seen {len(terminalreporter.stats['failed'])}\")\n"
    )
    failing.run(*CPU).stdout.fnmatch_lines(["seen 15"])


def test_without_a_summary_nothing_is_lost(failing):
    result = failing.run(*CPU, "--no-summary")
    result.assert_outcomes(failed=len(CHECKS) + 1)
    assert BLOCK not in result.outlines
