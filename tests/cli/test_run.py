"""`gradcheck run`: pytest on the packaged catalog or on paths, from any folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import gradcheck.diagnosis
import gradcheck.plugin.collect
from gradcheck.catalog.files import catalog_folder, shown_folder
from gradcheck.cli.run import pytest_command
from gradcheck.errors import UsageError

QUICK = ("--points", "2", "--device", "cpu", "--dtype", "float64", "--witness", "value")


STAY_LOADED = (gradcheck.plugin.collect, gradcheck.diagnosis)
"""Pytester forgets the modules that a run imports; these are slow to import again."""


@pytest.fixture
def run_here(command, pytester, monkeypatch):
    """The command, with pytest and the checks in this process: twenty times as fast."""

    def run(folder, *arguments):
        became = []
        monkeypatch.chdir(folder)
        monkeypatch.setattr("gradcheck.cli.run._become", became.append)
        assert command("run", "--in-process", *arguments).code == 0
        (words,) = became
        done = pytester.runpytest_inprocess(*words[words.index("pytest") + 1 :])
        return SimpleNamespace(returncode=int(done.ret), stdout=done.stdout.str(), stderr="")

    return run


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "gradcheck", "run", *map(str, arguments)],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_the_packaged_catalog_runs_from_a_hostile_folder(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (tmp_path / "conftest.py").write_text("raise SystemExit(9)\n")
    (tmp_path / "torch.py").write_text("raise SystemExit(9)\n")
    before = sorted(tmp_path.iterdir())
    done = run(tmp_path, "-k", "square_times_three", *QUICK)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 checks: 3 agree" in done.stdout
    assert sorted(tmp_path.iterdir()) == before


def test_the_printed_command_does_the_same(catalog):
    done = run(catalog.parent, "cases", "--dtype", "float32", "--", "--collect-only", "-q")
    printed = done.stdout.splitlines()[0]
    assert printed.startswith("$ python -m pytest ")
    again = subprocess.run(
        [sys.executable, *printed.removeprefix("$ python ").split()],
        check=False,
        cwd=catalog.parent,
        capture_output=True,
        text=True,
    )
    assert again.returncode == done.returncode == 0
    names = [line for line in done.stdout.splitlines() if "::" in line]
    assert names == [line for line in again.stdout.splitlines() if "::" in line]
    assert "cases/small.yaml::square[0-value-cpu-float32]" in names


def counts(text):
    return re.findall(r"\d+ checks?: \d+ agree", text)


def test_a_disagreement_ends_with_code_1(run_here, catalog):
    (catalog / "small.yaml").write_text(
        "f: {formula: sin(x), inputs: {x: real}, torch: torch.cos(x)}\n"
    )
    assert run_here(catalog.parent, "cases", *QUICK).returncode == 1


def test_a_bad_case_file_ends_with_code_2(run_here, catalog):
    (catalog / "small.yaml").write_text("f: {formula: x^2, inputs: {x: real}}\n")
    done = run_here(catalog.parent, "cases", *QUICK)
    assert done.returncode == 2
    assert "write x**2 for x to the power of 2" in done.stdout


def test_an_unknown_witness_ends_with_code_4(catalog):
    assert run(catalog.parent, "cases", "--witness", "nobody").returncode == 4


def test_what_lies_behind_a_link_has_its_file_in_its_id(run_here, catalog):
    (catalog.parent / "link").symlink_to(catalog.parent)
    done = run_here(catalog.parent, "link/cases/small.yaml::square", "--", "--collect-only", "-q")
    assert done.returncode == 0
    assert "cases/small.yaml::square[0-value-cpu-float64]" in done.stdout


def test_nothing_selected_ends_with_code_5(run_here, catalog):
    assert run_here(catalog.parent, "cases", "-k", "no_such_case").returncode == 5


def test_a_folder_that_is_not_named_cases_is_a_catalog_because_the_user_says_so(run_here, tmp_path):
    folder = tmp_path / "my functions"
    folder.mkdir()
    (folder / "f.yaml").write_text("f: {formula: x**2, inputs: {x: real}}\n")
    done = run_here(tmp_path, folder, "--report", "out", *QUICK)
    assert (done.returncode, counts(done.stdout)) == (0, ["1 check: 1 agree"])
    (line,) = next((tmp_path / "out").glob("results-*.jsonl")).read_text().splitlines()
    assert json.loads(line)["verdict"] == "agree"


def test_the_work_is_shared_by_processes(catalog):
    pytest.importorskip("xdist", reason="-n needs pytest-xdist")
    done = run(catalog.parent, "cases", "-n", "2", *QUICK)
    assert (done.returncode, counts(done.stdout)) == (0, ["4 checks: 4 agree"])


def test_the_command_takes_no_part_in_the_current_project():
    words = pytest_command([], ["-k", "exp"])
    folder = catalog_folder()
    assert words[:5] == ["-P", "-m", "pytest", "-c", os.devnull]
    assert f"--rootdir={folder.parent}" in words
    assert "--noconftest" in words
    assert words[-5:] == ["-m", "not large", "-k", "exp", str(folder)]


def test_ids_are_relative_to_the_project_of_the_paths(catalog):
    (catalog.parent / "pyproject.toml").write_text("")
    for path in ("cases", "cases/small.yaml", "cases/small.yaml::square"):
        assert f"--rootdir={Path(catalog).resolve().parent}" in pytest_command([path], [])


# only catalogs

PYTHON = "def test_python():\n    assert True\n"
NOTHING = [
    "nothing selected: no check in {}",
    "  expected: a catalog, which is a YAML file of cases",
    "  fix:      name a file or folder of cases, or loosen the options that select",
]


def test_a_folder_without_a_catalog_selects_nothing_and_runs_no_python(run_here, tmp_path):
    (tmp_path / "test_python.py").write_text(PYTHON)
    done = run_here(tmp_path, ".")
    assert done.returncode == 5
    lines = done.stdout.splitlines()
    assert [line for line in lines if line in "\n".join(NOTHING).format(".").split("\n")] == [
        line.format(".") for line in NOTHING
    ]
    assert "passed" not in done.stdout


def test_of_a_folder_with_both_only_the_catalog_runs(run_here, catalog):
    (catalog.parent / "test_python.py").write_text(PYTHON)
    (catalog / "test_python.py").write_text(PYTHON)
    (catalog / "__init__.py").write_text("raise SystemExit(9)\n")
    done = run_here(catalog.parent, ".", *QUICK)
    assert (done.returncode, counts(done.stdout)) == (0, ["4 checks: 4 agree"])
    assert " 4 passed" in done.stdout


@pytest.mark.parametrize("arguments", [("test_python.py",), ("cases", "--", "test_python.py")])
def test_a_python_file_given_by_name_is_bad_use(catalog, arguments):
    (catalog.parent / "test_python.py").write_text(PYTHON)
    assert run(catalog.parent, *arguments).returncode == 4


def test_pytest_itself_would_have_run_that_file(tmp_path):
    (tmp_path / "test_python.py").write_text(PYTHON)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "."],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, "1 passed" in done.stdout) == (0, True)


# cases by name


def selected(*paths):
    """What the command hands to pytest as paths."""
    return pytest_command(list(paths), [])[-len(paths) :]


def test_a_packaged_case_is_named_as_explain_names_it():
    file = Path(shown_folder()) / "tutorial.yaml"
    assert selected("square_times_three") == [f"{file}::square_times_three"]
    assert selected("tutorial.yaml::sum_of_squares") == [f"{file}::sum_of_squares"]
    assert selected("tutorial.yaml") == [str(file)]


def test_a_packaged_case_in_a_subfolder_is_named_by_itself_or_by_its_path():
    file = Path(shown_folder()) / "kernels" / "softmax.yaml"
    assert selected("softmax_of_long_rows") == [f"{file}::softmax_of_long_rows"]
    assert selected("kernels/softmax.yaml") == [str(file)]
    assert selected("kernels/softmax.yaml::softmax_and_logsumexp") == [
        f"{file}::softmax_and_logsumexp"
    ]


@pytest.mark.parametrize("path", ["../cases/tutorial.yaml", "/kernels/softmax.yaml"])
def test_a_path_that_leaves_the_packaged_catalog_is_not_looked_for_in_it(
    tmp_path, path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no such file"):
        pytest_command([path], [])


@pytest.mark.parametrize(
    ("paths", "leaves_out"),
    [
        ([], True),
        ([str(catalog_folder())], True),
        (["kernels/softmax.yaml"], False),
        (["softmax_of_long_rows"], False),
        ([str(catalog_folder() / "kernels")], False),
    ],
    ids=["nothing", "the whole", "a file", "a case", "a folder"],
)
def test_what_is_tagged_large_is_left_out_where_the_whole_packaged_catalog_runs(paths, leaves_out):
    assert ("not large" in pytest_command(paths, [])) is leaves_out


@pytest.mark.parametrize(
    ("options", "names"),
    [((), {"softmax_and_logsumexp"}), (("-m", "large"), {"softmax_of_long_rows"})],
)
def test_a_marker_of_the_command_line_comes_before_that(run_here, tmp_path, options, names):
    chosen = ("-k", "kernels and softmax", *options, *QUICK[:4], "--witness", "value")
    done = run_here(tmp_path, *chosen, "--", "--collect-only", "-q")
    found = re.findall(r"cases/kernels/softmax.yaml::(\w+)\[\S*value-", done.stdout)
    assert set(found) == names


def test_what_lies_here_comes_before_what_is_packaged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tutorial.yaml").write_text("f: {formula: x**2, inputs: {x: real}}\n")
    (tmp_path / "square_times_three").mkdir()
    assert selected("tutorial.yaml::f", "square_times_three") == [
        "tutorial.yaml::f",
        "square_times_three",
    ]


def test_a_packaged_case_runs_by_its_name_from_a_hostile_folder(tmp_path):
    (tmp_path / "torch.py").write_text("raise SystemExit(9)\n")
    done = run(tmp_path, "square_times_three", *QUICK)
    assert (done.returncode, counts(done.stdout)) == (0, ["3 checks: 3 agree"])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("power", "2 checks: 2 agree"),
        ("power[k=3]", "1 check: 1 agree"),
        ("square", "2 checks: 2 agree"),
        ("square[1-value-cpu-float64]", "1 check: 1 agree"),
    ],
)
def test_a_case_of_a_file_is_named_with_or_without_its_variant(run_here, catalog, name, told):
    done = run_here(catalog.parent, f"cases/small.yaml::{name}", *QUICK)
    assert (done.returncode, counts(done.stdout)) == (0, [told])


@pytest.mark.parametrize("name", ["power[k=3]", "power[k=3-value-cpu-float64]"])
def test_so_it_is_named_where_processes_share_the_work(catalog, name):
    done = run(catalog.parent, f"cases/small.yaml::{name}", *QUICK, "-n", "2")
    assert (done.returncode, counts(done.stdout)) == (0, ["1 check: 1 agree"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "squar",
            "cases/small.yaml has no case squar\n"
            "  expected: a case of that file\n"
            "  fix:      write square\n",
        ),
        (
            "power[k=4]",
            "case power has no variant k=4\n  expected: one of k=2, k=3\n  fix:      write k=3\n",
        ),
        (
            "power[k=33-value-cpu-float64]",
            "case power has no variant k=33-value-cpu-float64\n"
            "  expected: one of k=2, k=3\n"
            "  fix:      leave the brackets out for the first\n",
        ),
    ],
)
def test_a_case_or_variant_that_is_not_there_is_bad_use(command, catalog, name, message):
    ended = command("run", f"cases/small.yaml::{name}")
    assert (ended.code, ended.err) == (4, message)


@pytest.mark.parametrize(
    "arguments",
    [
        ["cases/small.yaml::square[revers-cpu-float64]"],
        ["cases", "-k", "cube"],
        ["cases", "-m", "x"],
    ],
)
def test_what_leaves_every_check_out_is_said_so(run_here, catalog, arguments):
    done = run_here(catalog.parent, *arguments)
    assert done.returncode == 5
    assert re.search(
        r"^nothing selected: \d+ checks are there, and none is what was asked for\n"
        "  expected: a name, or an expression after -k or -m, that a check has\n"
        r"  fix:      write `gradcheck run PATH -- --collect-only -q`, which prints all names$",
        done.stdout,
        re.MULTILINE,
    )


def test_the_names_of_a_faulty_file_are_left_to_the_run(run_here, catalog):
    (catalog / "small.yaml").write_text("square: {formula: 2x, inputs: {x: real}}\n")
    done = run_here(catalog.parent, "cases/small.yaml::squar")
    assert done.returncode == 2
    assert "cases/small.yaml:1:19: " in done.stdout


# the project's ini file


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pytest.ini", "[pytest]\n{}gradcheck_points = 8\n"),
        ("tox.ini", "[pytest]\n{}gradcheck_points = 8\n"),
        ("setup.cfg", "[tool:pytest]\n{}gradcheck_points = 8\n"),
        ("pyproject.toml", "[tool.pytest.ini_options]\ngradcheck_points = 8\n"),
        ("pyproject.toml", "[tool.pytest]\ngradcheck_points = '8'\n"),
        ("pytest.toml", "[pytest]\ngradcheck_points = '8'\n"),
    ],
)
def test_the_ini_keys_of_the_project_are_honoured_and_nothing_else_of_its_file(catalog, file, text):
    hostile = "addopts = --no-such-option\nusefixtures = nobody\nrequired_plugins = nobody\n"
    (catalog.parent / file).write_text(text.format(hostile))
    words = pytest_command([str(catalog)], [])
    assert words[words.index("-o") + 1] == "gradcheck_points=8"
    assert words.count("-o") == 1
    assert f"--rootdir={catalog.parent.resolve()}" in words


def test_a_run_in_a_project_with_hostile_settings_has_its_points(run_here, catalog):
    (catalog.parent / "pytest.ini").write_text(
        "[pytest]\naddopts = --no-such-option\nfilterwarnings = error\nusefixtures = nobody\n"
        "gradcheck_points = 3\ngradcheck_dtype = float64\ngradcheck_device = cpu\n"
    )
    (catalog.parent / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--device')\n"
    )
    done = run_here(
        catalog.parent, "cases/small.yaml::square", "--witness", "value", "--report", "out"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = (catalog.parent / "out").glob("results*")
    points = {json.loads(line)["points"] for line in file.read_text().splitlines()}
    assert "gradcheck points: 3; seed: 0" in done.stdout
    assert points < set(range(3, 20))


def test_an_option_comes_before_the_ini_key(run_here, catalog):
    (catalog.parent / "pytest.ini").write_text("[pytest]\ngradcheck_points = 8\n")
    done = run_here(catalog.parent, "cases", "--points", "2", "--", "--collect-only")
    assert "gradcheck points: 2; seed: 0" in done.stdout


def test_an_ini_file_that_cannot_be_read_is_named(command, catalog):
    path = catalog.parent / "pyproject.toml"
    path.write_text("[tool\n")
    ended = command("run", "cases")
    assert ended.code == 4
    assert ended.err == (
        f"{path.resolve()}: Expected ']' at the end of a table declaration (at line 1, column 6)\n"
        "  expected: an ini file that pytest can read\n"
        "  fix:      repair or remove it\n"
    )


def test_the_usual_flags_of_pytest_are_passed_on(command, monkeypatch):
    became = []
    monkeypatch.setattr("gradcheck.cli.run._become", became.append)
    assert command("run", "-xqvv", "-m", "value", "-k", "exp").code == 0
    assert [word for word in became[0] if word in ("-x", "-q", "-v")] == ["-x", "-q", "-v", "-v"]
    assert became[0][became[0].index("-m", 4) :][:2] == ["-m", "value"]


def test_what_limits_a_check_and_what_is_resumed_is_passed_on(command, monkeypatch):
    became = []
    monkeypatch.setattr("gradcheck.cli.run._become", became.append)
    given = ("--resume", "out", "--time-limit", "9", "--memory-limit", "2", "--in-process")
    assert command("run", *given).code == 0
    assert [word for word in became[0] if word in given] == list(given)


def test_the_xml_of_a_build_server_has_file_and_line(command, monkeypatch):
    became = []
    monkeypatch.setattr("gradcheck.cli.run._become", became.append)
    assert command("run", "--junitxml", "out.xml").code == 0
    words = became[0][became[0].index("--junitxml") :]
    assert words[:4] == ["--junitxml", "out.xml", "-o", "junit_family=xunit1"]


def test_a_folder_that_is_not_there_is_not_taken_for_a_case_a_little_alike(
    command, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    ended = command("run", "cases")  # the catalog has a case `phase`
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == (
        "no such file or folder: cases\n"
        "  expected: a YAML file or a folder\n"
        "  fix:      check the spelling; paths are taken from the current folder\n"
    )


BAD = {
    ("square_times_thre",): (
        "square_times_thre: neither a file or folder here nor a case of the packaged catalog\n"
        "  expected: a YAML file, a folder, FILE.yaml::CASE, or a case of the packaged catalog\n"
        "  fix:      write square_times_three\n"
    ),
    ("sum_of_squares",): (
        "sum_of_squares is the name of a case in multivariate.yaml and in tutorial.yaml\n"
        "  expected: FILE.yaml::CASE\n"
        "  fix:      write multivariate.yaml::sum_of_squares\n"
    ),
    ("nope.yaml",): (
        "no such file or folder: nope.yaml\n"
        "  expected: a YAML file or a folder\n"
        "  fix:      check the spelling; paths are taken from the current folder\n"
    ),
    ("-n", "many"): (
        "-n many: not a number of processes\n"
        "  expected: a whole number, or auto\n"
        "  fix:      write -n auto for one process a core\n"
    ),
}


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_bad_use_is_one_message(command, arguments):
    ended = command("run", *arguments)
    assert (ended.code, ended.out, ended.err) == (4, "", BAD[arguments])


def test_without_xdist_the_option_n_says_what_is_missing(command, monkeypatch):
    monkeypatch.setattr("gradcheck.cli.run.find_spec", lambda name: None)
    ended = command("run", "-n", "2")
    assert ended.code == 4
    assert ended.err == (
        "-n needs pytest-xdist, which is not installed\n"
        "  expected: pytest-xdist in the same environment as gradcheck\n"
        "  fix:      pip install pytest-xdist, or leave -n out\n"
    )
