"""`gradcheck compare`: two runs by their files or folders, what is printed, and the exit code."""

import json
import subprocess
import sys

import pytest
from made_records import check, wrong

from gradcheck.report import records


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Write records, and raw lines, to a file of a folder below the current one."""
    monkeypatch.chdir(tmp_path)

    def write(folder, *lines):
        (tmp_path / folder).mkdir(exist_ok=True)
        texts = [line if isinstance(line, str) else records.encoded(line) for line in lines]
        (tmp_path / folder / "results-1.jsonl").write_text("\n".join([*texts, ""]))
        return folder

    return write


def test_two_equal_runs_end_with_code_0(command, results):
    results("old", check())
    ended = command("compare", "old", "old/results-1.jsonl")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith("\nthe same: nothing changed\n")


def test_a_run_that_is_worse_ends_with_code_1(command, results):
    ended = command("compare", results("old", check()), results("new", wrong()))
    assert ended.code == 1
    assert ended.out.endswith("\nworse: 1 newly disagreeing\n")


def test_a_run_that_is_better_ends_with_code_0(command, results):
    ended = command("compare", results("old", wrong()), results("new", check()))
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "no worse: 1 fixed")


def test_json_and_markdown_say_the_same(command, results):
    names = results("old", check()), results("new", wrong())
    found = json.loads(command("compare", *names, "--json").out)
    assert (found["worse"], found["counts"]) == (True, {"newly disagreeing": 1})
    title = "### Gradients compared: worse: 1 newly disagreeing\n"
    assert command("compare", *names, "--markdown").out.startswith(title)


def test_a_page_is_written_beside_the_text(command, results, tmp_path):
    hostile = wrong(name="<script>alert(1)</script>")
    before = check(name="<script>alert(1)</script>")
    names = results("old", before), results("new", hostile)
    ended = command("compare", *names, "-o", "compare.html")
    assert (ended.code, ended.out.splitlines()[-1]) == (1, "worse: 1 newly disagreeing")
    page = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert "<h1>Worse: 1 newly disagreeing</h1>" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;[reverse-cpu-float64]" in page
    assert "<script" not in page
    assert "default-src &#39;none&#39;" in page


def test_a_page_that_cannot_be_written_is_bad_use(command, results):
    old = results("old", check())
    ended = command("compare", old, old, "-o", "nowhere/compare.html")
    assert ended.code == 4
    assert ended.err.startswith("nowhere/compare.html cannot be written: No such file")


def test_one_run_on_two_devices_is_compared_with_itself(command, results):
    both = results("both", check(), wrong(device="cuda"))
    assert command("compare", both, both).code == 0
    ended = command("compare", both, both, "--devices", "cpu,cuda")
    assert (ended.code, ended.out.splitlines()[-1]) == (1, "worse: 1 newly disagreeing")


def test_a_line_that_is_cut_or_foreign_is_named_and_the_rest_is_used(command, results):
    results("old", check("a"), check("b"))
    results("new", check("a"), '{"foreign": 1}', check("b"), '{"format": 1, "id": "cu')
    ended = command("compare", "old", "new")
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "the same: nothing changed")
    assert "new/results-1.jsonl:2: " in ended.err
    assert "new/results-1.jsonl:4: " in ended.err


NOT_THERE = """\
nowhere cannot be read: No such file or directory
  expected: the results of a run
  fix:      name a file that `pytest cases --report FOLDER` wrote, or its folder
"""


def test_a_file_that_cannot_be_read_ends_with_code_2(command, results):
    ended = command("compare", results("old", check()), "nowhere")
    assert (ended.code, ended.out, ended.err) == (2, "", NOT_THERE)


BAD_USE = [
    (
        ("old", "new", "--json", "--markdown"),
        "both --json and --markdown\n  expected: one of them\n  fix:      leave one out\n",
    ),
    (
        ("old", "new", "--devices", "cpu"),
        "--devices cpu: not two devices\n  expected: A,B\n  fix:      write --devices cpu,cuda\n",
    ),
    (
        ("old", "new", "--devices", "cpu,cuda"),
        "new: no check on cuda\n  expected: a device that it has: cpu\n  fix:      name that one\n",
    ),
    (
        ("old", "new"),
        "old and new have no check in common\n  expected: two runs of one catalog\n"
        "  fix:      see their ids, such as cases/small.yaml::a[reverse-cpu-float64] and "
        "cases/small.yaml::b[reverse-cpu-float64]\n",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_USE)
def test_bad_use_ends_with_code_4_and_one_message(command, results, arguments, message):
    results("old", check("a"))
    results("new", check("b"))
    ended = command("compare", *arguments)
    assert (ended.code, ended.out, ended.err) == (4, "", message)


def test_comparing_loads_no_torch(results):
    results("old", check())
    program = (
        "import sys\nfrom gradcheck.cli.app import main\n"
        "try: main(['compare', 'old', 'old'])\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert "the same: nothing changed" in done.stdout
    assert not {"torch", "sympy"} & set(done.stderr.split())
