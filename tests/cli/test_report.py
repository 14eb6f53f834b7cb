"""`gradcheck report`: what it writes where, and what it says of results that are none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck.cli.app import main

SAMPLE = Path(__file__).parent.parent / "report" / "sample_results.jsonl"


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Call the command in an empty folder; returns its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments):
        with pytest.raises(SystemExit) as left:
            main(["report", *map(str, arguments)])
        return left.value.code, *capsys.readouterr()

    return called


def test_the_page_is_written_into_the_current_folder(call, tmp_path):
    code, out, err = call(SAMPLE)
    assert (code, err) == (0, "")
    assert out == "report.html: 3 cases, 54 checks, 0.1 MB\n"
    assert "<h1>8 of 54 checks fail</h1>" in (tmp_path / "report.html").read_text("utf-8")


def test_the_page_goes_where_it_is_told_to(call, tmp_path):
    assert call(SAMPLE, "-o", "other.html")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["other.html"]
    code, out, _ = call(SAMPLE, "--output", "-")
    assert code == 0
    assert out.startswith("<!doctype html>")


def test_a_summary_goes_to_the_screen_or_into_a_file(call, tmp_path):
    code, out, _ = call(SAMPLE, "--markdown")
    assert (code, out.splitlines()[0]) == (0, "## ❌ gradcheck: 8 of 54 checks fail")
    call(SAMPLE, "--markdown", "-o", "summary.md")
    assert (tmp_path / "summary.md").read_text("utf-8") == out


def test_sarif_and_data_are_json(call):
    assert json.loads(call(SAMPLE, "--sarif")[1])["version"] == "2.1.0"
    assert json.loads(call(SAMPLE, "--json")[1])["counts"]["disagree"] == 8


def test_what_is_no_result_is_named_and_the_rest_is_used(call, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    lines = SAMPLE.read_text("utf-8")
    (folder / "results-1.jsonl").write_text(f"{lines}oops\n{lines[:50]}", encoding="utf-8")
    (folder / "results-2.jsonl").write_text("<html>\n</html>\n", encoding="utf-8")
    code, out, err = call("out", "--json")
    assert (code, json.loads(out)["checks"]) == (0, 54)
    assert err == (
        "out/results-1.jsonl:55: 'oops' is no record\n"
        "  expected: a JSON object with format 1\n"
        "  fix:      remove the line, or run the checks again with --report\n"
        f"out/results-1.jsonl:56: {lines[:40]!r} is cut off\n"
        "  expected: a JSON object with format 1\n"
        "  fix:      the check that it is of is left out; `--resume` runs what lacks a record\n"
        "out/results-2.jsonl: no line is a record\n"
        "  expected: a JSON object with format 1\n"
        "  fix:      remove the line, or run the checks again with --report\n"
    )


def test_where_nothing_is_a_result_that_is_bad_use(call, tmp_path):
    (tmp_path / "notes.txt").write_text("a\nb\n")
    code, out, err = call("notes.txt")
    assert (code, out) == (4, "")
    assert err == (
        "notes.txt: no record of a check\n"
        "  expected: the results of a run\n"
        "  fix:      name a file that `pytest cases --report FOLDER` wrote, or its folder\n"
    )


def test_a_file_that_is_not_there_is_bad_use(call):
    code, _, err = call("absent.jsonl")
    assert (code, err.splitlines()[0]) == (
        4,
        "absent.jsonl cannot be read: No such file or directory",
    )


def test_two_forms_at_once_are_bad_use(call):
    code, _, err = call(SAMPLE, "--markdown", "--sarif")
    assert code == 4
    assert err == (
        "--markdown and --sarif\n"
        "  expected: one of them\n"
        "  fix:      call the command once for each\n"
    )


def test_a_page_that_cannot_be_written_is_bad_use(call):
    code, _, err = call(SAMPLE, "-o", "no/such/folder.html")
    assert code == 4
    assert err == (
        "no/such/folder.html cannot be written: No such file or directory\n"
        "  expected: a file that can be written\n"
        "  fix:      name another file with -o\n"
    )


def test_a_page_is_written_without_torch_and_sympy_in_its_process(tmp_path):
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from gradcheck.report.page import write_page\n"
        f"write_page(Path({str(tmp_path / 'results.jsonl')!r}))\n"
        "assert not {'torch', 'sympy', 'hypothesis'} & sys.modules.keys()\n"
    )
    (tmp_path / "results.jsonl").write_bytes(SAMPLE.read_bytes())
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (tmp_path / "report.html").exists()
