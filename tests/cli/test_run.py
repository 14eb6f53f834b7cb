"""`gradcheck run`: pytest on the packaged catalog or on paths, from any folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck.cli.catalog_folder import catalog_folder
from gradcheck.cli.run import pytest_command

QUICK = ("--points", "2", "--device", "cpu", "--dtype", "float64", "--witness", "value")


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
    return re.findall(r"\d+ checks: \d+ agree", text)


def test_a_disagreement_ends_with_code_1(catalog):
    (catalog / "small.yaml").write_text(
        "f: {formula: sin(x), inputs: {x: real}, torch: torch.cos(x)}\n"
    )
    assert run(catalog.parent, "cases", *QUICK).returncode == 1


def test_a_bad_case_file_ends_with_code_2(catalog):
    (catalog / "small.yaml").write_text("f: {formula: x^2, inputs: {x: real}}\n")
    done = run(catalog.parent, "cases", *QUICK)
    assert done.returncode == 2
    assert "write x**2 for x to the power of 2" in done.stdout


def test_an_unknown_witness_ends_with_code_4(catalog):
    assert run(catalog.parent, "cases", "--witness", "nobody").returncode == 4


def test_nothing_selected_ends_with_code_5(catalog):
    assert run(catalog.parent, "cases", "-k", "no_such_case").returncode == 5


def test_a_folder_that_is_not_named_cases_is_a_catalog_because_the_user_says_so(tmp_path):
    folder = tmp_path / "my functions"
    folder.mkdir()
    (folder / "f.yaml").write_text("f: {formula: x**2, inputs: {x: real}}\n")
    done = run(tmp_path, folder, "--report", "out", *QUICK)
    assert (done.returncode, counts(done.stdout)) == (0, ["1 checks: 1 agree"])
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
    assert words[-3:] == ["-k", "exp", str(folder)]


def test_ids_are_relative_to_the_project_of_the_paths(catalog):
    (catalog.parent / "pyproject.toml").write_text("")
    for path in ("cases", "cases/small.yaml", "cases/small.yaml::square"):
        assert f"--rootdir={Path(catalog).resolve().parent}" in pytest_command([path], [])


BAD = {
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
