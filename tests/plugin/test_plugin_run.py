"""How a verdict ends an item, what is said about it, and what is kept of it."""

import json
from types import SimpleNamespace

import pytest
from default_witnesses import asked

from gradcheck.plugin import _fitting

ONE = ("--witness", "value", "--dtype", "float64", "--device", "cpu")
EVERY = ("agrees", "inaccurate", "disagrees", "abstains", "known")


def test_each_verdict_has_its_outcome(project):
    project.cases(*EVERY)
    result = project.run(*ONE)
    result.assert_outcomes(passed=2, failed=1, skipped=1, xfailed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_run_in_which_all_agree_succeeds(project):
    project.cases("agrees")
    assert project.run(*ONE).ret == pytest.ExitCode.OK


def test_a_run_that_selects_nothing_says_so(project):
    project.cases("agrees")
    assert project.run(*ONE, "-k", "nothing").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_disagreement_prints_one_block_and_no_traceback(project):
    project.cases("disagrees")
    result = project.run(*ONE, "--seed", "7")
    result.stdout.fnmatch_lines(
        [
            "disagree: PyTorch's backward is wrong",
            "  looks like: sign",
            "  where: cases/small.yaml:1",
            "  check: disagrees[[]value-cpu-float64[]]",
            "  x = -40.0",
            "      error    5 ulps, relative 1e-16",
            "  pytest 'cases/small.yaml::disagrees[[]value-cpu-float64[]]' --gradcheck-seed 7",
            "    - at: {x: -40.0}",
            "FAILED cases/small.yaml::disagrees[[]value-cpu-float64[]] - PyTorch's *",
        ]
    )
    result.stdout.no_fnmatch_line("*def run_check*")
    result.stdout.no_fnmatch_line("*items.py*")


def test_the_command_in_the_block_repeats_the_failure(project):
    project.cases("disagrees", "agrees")
    lines = project.run(*ONE, "--points", "5").outlines
    command = next(line for line in lines if line.startswith("  pytest '")).split()
    result = project.run(command[1].strip("'"), *command[2:])
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["  reason: disagrees for 5 points and seed 0"])


@pytest.mark.parametrize("given", [(), ("--points", "64")], ids=["ini", "option"])
def test_the_command_in_the_block_repeats_the_failure_whatever_the_ini_file_says(project, given):
    project.pytester.makeini("[pytest]\ngradcheck_points = 5\n")
    project.cases("disagrees")
    lines = project.run(*ONE, *given).outlines
    command = next(line for line in lines if line.startswith("  pytest '")).split()
    result = project.run(command[1].strip("'"), *command[2:])
    points = given[1] if given else "5"
    result.stdout.fnmatch_lines([f"*disagrees for {points} points and seed 0"])


def test_a_known_failure_fails_where_pytest_is_told_to_report_those(project):
    project.cases("known")
    project.run(*ONE, "--runxfail").assert_outcomes(failed=1)


def test_a_defect_of_our_own_is_an_ordinary_failure_with_its_traceback(project):
    project.cases("crashes", "agrees")
    result = project.run(*ONE)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*fake_diagnosis.py:*: ZeroDivisionError"])
    result.stdout.fnmatch_lines(
        ["  1  a defect of gradcheck, not of PyTorch: ZeroDivisionError: *"]
    )


def test_a_function_that_is_not_there_fails_without_a_traceback(project):
    project.cases("misses")
    result = project.run(*ONE, "--report", "out")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["cases/small.yaml:1:1: importing 'nowhere' failed"])
    result.stdout.no_fnmatch_line("*items.py*")
    result.stdout.fnmatch_lines(
        [
            "disagreements, by cause:",
            "  1  the case itself: importing 'nowhere' failed",
            "       cases/small.yaml::misses*",
        ],
        consecutive=True,
    )
    assert project.results()[0]["verdict"] == "disagree"


def test_one_cause_of_many_checks_is_told_in_full_once(project):
    project.cases("misses")
    result = project.run("--witness", "value,reverse", "--dtype", "float64", "--device", "cpu")
    result.assert_outcomes(failed=2)
    told = [line for line in result.outlines if line.startswith("cases/small.yaml:1:1: ")]
    assert told == ["cases/small.yaml:1:1: importing 'nowhere' failed"]
    result.stdout.fnmatch_lines(["the same cause, in 1 more check:", "  misses*: the same"])
    result.stdout.no_fnmatch_line("*During handling of the above exception*")


def test_a_skip_by_the_code_on_trial_is_counted_and_recorded(project):
    project.cases("skips")
    result = project.run(*ONE, "--report", "out")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["  1  value: skipped: by the code on trial"])
    assert project.results()[0]["verdict"] == "abstain"


def test_the_header_says_what_runs(project):
    project.cases("agrees")
    result = project.run("--dtype", "float64", "--device", "cpu", "--seed", "3", "--shard", "1/2")
    result.stdout.fnmatch_lines(
        [
            "gradcheck *, torch *, sympy *, python-flint *, hypothesis *",
            "gradcheck devices: cpu (*); dtypes: float64",
            f"gradcheck witnesses: {', '.join(asked(3))}",
            "gradcheck points: 64; seed: 3; threads: *; part 1 of 2",
            "gradcheck catalogs: cases",
        ]
    )


def test_a_project_without_a_catalog_is_left_in_peace(project):
    project.write("test_plain.py", "def test_plain():\n    assert True\n")
    result = project.run()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*gradcheck points*")
    result.stdout.no_fnmatch_line("*== gradcheck ==*")


def test_the_summary_counts_and_gives_reasons(project):
    project.cases(*EVERY)
    result = project.run(*ONE, "--report", "out")
    result.stdout.fnmatch_lines(
        [
            "*= gradcheck =*",
            "5 checks: 1 agree, 1 abstain, 1 known, 1 inaccurate, 1 disagree",
            "50 gradient entries judged, 5 not",
            "worst accuracy without a disagreement, in ulps:",
            "          5  cases/small.yaml::agrees[[]value-cpu-float64[]]  ∂/∂x",
            "          5  cases/small.yaml::inaccurate[[]value-cpu-float64[]]  ∂/∂x  inaccurate",
            "disagreements, by cause:",
            "  1  PyTorch's backward is wrong (looks like: sign)",
            "       cases/small.yaml::disagrees[[]value-cpu-float64[]]",
            "not tested, and why:",
            "  1  value: abstains for 64 points and seed 0",
            "results: *out/results-*.jsonl",
        ]
    )


def test_causes_are_grouped_and_their_ids_limited(project):
    project.cases("disagrees")
    result = project.run("--device", "cpu")
    result.stdout.fnmatch_lines(["  14  PyTorch's backward is wrong*", "*::*", "*and 11 more"])


def test_a_record_stands_for_every_check_that_ended(project):
    project.cases(*EVERY)
    project.run(*ONE, "--report", "out/deeper")
    records = project.results("out/deeper")
    assert [record["verdict"] for record in records] == [
        "agree",
        "inaccurate",
        "disagree",
        "abstain",
        "known",
    ]
    assert records[2]["id"] == "cases/small.yaml::disagrees[value-cpu-float64]"
    assert records[2]["line"] == 9


def test_workers_send_the_same_records_and_the_same_summary(project):
    project.cases(*EVERY)
    few = ("--device", "cpu", "--witness", "value,reverse")
    alone = project.run(*few, "--report", "alone")
    kept = {record["id"]: record["verdict"] for record in project.results("alone")}
    shared = project.run_alone(*few, "--report", "out", "-n", "2")
    assert {record["id"]: record["verdict"] for record in project.results()} == kept
    shared.stdout.fnmatch_lines(["gradcheck points*1 in each worker*", f"{10 * 2} checks:*"])
    assert alone.ret == shared.ret == pytest.ExitCode.TESTS_FAILED


def files(project):
    return sorted((project.path / "out").glob("results*"))


def test_a_second_run_leaves_the_results_of_the_first_and_sorts_behind_them(project):
    project.cases("agrees")
    project.run("--report", "out", "--seed", "1", *ONE)
    (first,) = files(project)
    text = first.read_bytes()
    project.run("--report", "out", "--seed", "2", *ONE)
    assert files(project)[0] == first
    assert first.read_bytes() == text
    assert [record["seed"] for record in project.results()] == [1, 2]


def test_shards_share_a_folder(project):
    project.cases(*(f"agrees_{number}" for number in range(10)))
    for part in (1, 2):
        project.run("--report", "out", "--shard", f"{part}/2", "--device", "cpu")
    assert [("-1of2-" in file.name, "-2of2-" in file.name) for file in files(project)] == [
        (True, False),
        (False, True),
    ]
    assert len({record["id"] for record in project.results()}) == len(project.results()) == 140


def test_looking_writes_no_results(project):
    project.cases("agrees")
    project.run("--report", "out", "--collect-only")
    assert not (project.path / "out").exists()


FULL_DISK = """
def pytest_sessionstart():
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (1800, 1800))  # room for two lines
"""

LOST_FOLDER = """
import os
import shutil

import pytest

if "PYTEST_XDIST_WORKER" not in os.environ:  # two processes at it would race

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(report):
        if report.when == "call" and "second" in report.nodeid:
            shutil.rmtree("out")
"""


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(FULL_DISK, "File too large"), (LOST_FOLDER, "No such file or directory")],
    ids=["full disk", "lost folder"],
)
def test_a_line_that_cannot_be_written_ends_the_run_and_is_said_once(
    project, options, trouble, reason
):
    project.cases("agrees_first", "agrees_second", "agrees_third", "agrees_fourth")
    project.add_to_conftest(trouble)
    result = project.run_alone("--report", "out", *ONE, *options)
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    text = result.stdout.str() + result.stderr.str()
    assert text.count(f"cannot be written: {reason}") == 1
    assert "Traceback" not in text
    assert "INTERNALERROR" not in text


def test_what_was_written_before_the_disk_was_full_is_kept(project):
    project.cases("agrees_first", "agrees_second", "agrees_third")
    project.add_to_conftest(FULL_DISK)
    project.run_alone("--report", "out", *ONE)
    assert [record["case"] for record in project.results()] == ["agrees_first", "agrees_second"]


def test_the_value_is_of_order_0(project):
    project.cases("agrees")
    project.run("--report", "out", "--device", "cpu", "--dtype", "float64")
    orders = {record["witness"]: record["order"] for record in project.results()}
    assert orders == {**dict.fromkeys(asked(), 1), "value": 0, "second": 2}


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "workers"])
def test_a_killed_run_keeps_every_line_that_had_ended(project, options):
    project.cases("agrees_first", "agrees_second", "slow")
    project.run_until_killed("--report", "out", *ONE, *options, lines=2)
    assert {record["case"] for record in project.results()} == {"agrees_first", "agrees_second"}


def test_workers_have_one_thread(project, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    project.cases("agrees")
    project.add_to_conftest(
        "import os\n"
        "def pytest_runtest_setup():\n"
        "    session.prepare_torch = REAL\n"
        "def pytest_runtest_teardown():\n"
        "    import torch\n"
        "    assert torch.get_num_threads() == 1\n"
        "    assert os.environ['OMP_NUM_THREADS'] == '1'\n"
    )
    result = project.run_alone("-n", "2", *ONE)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["gradcheck points: *threads: 1 in each worker*"])


def test_warnings_as_errors_do_not_hurt(project):
    project.pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = --strict-markers\n")
    project.cases("agrees")
    assert project.run_alone(*ONE).ret == pytest.ExitCode.OK


def test_the_record_travels_as_json(project):
    project.cases("agrees")
    project.add_to_conftest(
        "def pytest_runtest_logreport(report):\n"
        "    if report.when == 'call':\n"
        "        open('told.json', 'w').write(dict(report.user_properties)['gradcheck'])\n"
    )
    project.run(*ONE)
    assert json.loads((project.path / "told.json").read_text())["verdict"] == "agree"


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize(
    ("name", "code", "counts"),
    [("agrees_too", 0, "2 agree, 0 abst*0 disagree"), ("disagrees", 1, "1 agree, *1 disagree")],
)
def test_what_is_done_is_not_done_again_and_decides_the_exit_code(
    project, options, name, code, counts
):
    project.cases("agrees", name)
    project.run("--report", "out", *ONE)
    again = project.run_with(options, "--resume", "out", *ONE)
    assert again.ret == code
    again.stdout.fnmatch_lines([f"2 checks: {counts}", "2 of them in the results that were there"])
    assert len(project.results()) == 2


def test_what_is_missing_is_done_and_kept_beside_the_rest(project):
    project.cases("agrees")
    project.run("--report", "out", *ONE)
    project.cases("agrees", "agrees_too", "disagrees")
    (first,) = (project.path / "out").glob("results*")
    result = project.run("--resume", str(first), *ONE)
    result.assert_outcomes(passed=1, failed=1, deselected=1)
    assert [each["case"] for each in project.results()] == ["agrees", "agrees_too", "disagrees"]


@pytest.mark.parametrize(
    ("field", "value"), [("seed", 7), ("torch", "1.0"), ("gradcheck", "0.0.1")]
)
def test_results_of_another_seed_or_release_are_not_those_of_this_run(project, field, value):
    project.cases("agrees")
    project.run("--report", "out", *ONE)
    (file,) = (project.path / "out").glob("results*")
    file.write_text(json.dumps({**json.loads(file.read_text()), field: value}) + "\n")
    project.run("--resume", "out", *ONE).assert_outcomes(passed=1)
    assert len(project.results()) == 2


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "workers"])
def test_the_page_of_a_run_is_written_beside_its_results(project, options):
    project.cases("agrees", "disagrees")
    result = project.run_with(options, *ONE, "--report", "out")
    result.stdout.fnmatch_lines(["report: *report.html"])
    page = (project.path / "out" / "report.html").read_text("utf-8")
    assert "<b>agrees</b>" in page
    assert "<b>disagrees</b>" in page
    assert len(project.results()) == 2
    assert sorted(path.suffix for path in (project.path / "out").iterdir()) == [".html", ".jsonl"]


def test_a_resumed_run_has_what_it_took_over_on_its_page(project):
    project.cases("agrees", "disagrees")
    project.run(*ONE, "--report", "out", "-k", "agrees and not disagrees")
    project.run(*ONE, "--resume", "out")
    page = (project.path / "out" / "report.html").read_text("utf-8")
    assert "<b>agrees</b>" in page
    assert "<b>disagrees</b>" in page


def test_a_page_that_cannot_be_written_loses_no_result(project):
    project.cases("agrees")
    (project.path / "out" / "report.html" / "full").mkdir(parents=True)
    result = project.run(*ONE, "--report", "out")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["report.html could not be written: *"])
    assert result.ret == 0
    assert len(project.results()) == 1
    assert [path.suffix for path in files(project)] == [".jsonl"]


@pytest.mark.parametrize(
    ("letters", "lines"), [(60, [11 + 60]), (69, [11 + 69]), (70, [9, 10 + 70]), (75, [9, 5 + 75])]
)
def test_a_long_id_in_the_summary_stays_whole_in_a_terminal(letters, lines):
    terminal = SimpleNamespace(fullwidth=80, hasmarkup=True)
    config = SimpleNamespace(get_terminal_writer=lambda: terminal)
    (text,) = _fitting([f"     1.25  {'x' * letters}"], config)
    assert [len(line.rstrip()) for line in text.splitlines()] == lines
