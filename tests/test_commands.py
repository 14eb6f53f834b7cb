"""Every block of commands in the documents is run as it stands, in a folder such as a reader has.

The folder's catalog is small, and stands in for the packaged one; its ini file asks two witnesses,
at few points. What cannot be run here says why, in the document.
"""

import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from made_records import check
from test_readme import CASES, DOCUMENTS, KNOWN, WORKFLOWS, Block, every, steps_of

from gradcheck.cli.app import main
from gradcheck.report.records import encoded

_NOT_RUN = re.compile(r"^<!-- not run: (.+) -->$")


def why_not_run(block: Block) -> str:
    """What the line above a block says; nothing of a block that is run."""
    above = block.path.read_text("utf-8").splitlines()[block.line - 2]
    found = _NOT_RUN.match(above)
    return found[1] if found else ""


CONSOLE = {block: why_not_run(block) for block in every("console")}
STEPS = [
    Block(block.path, block.line, "console", "\n".join(steps_of(block))) for block in WORKFLOWS
]
PICTURES = "-o docs/pictures/"  # which test_tutorial draws, by the same commands
RUN = {
    block.text: block
    for block in [*CONSOLE, *STEPS]
    if not why_not_run(block) and PICTURES not in block.text
}.values()
"""Of blocks that are alike, one."""
SHELL = {block: why_not_run(block) for block in every("sh")}


def test_so_many_blocks_are_not_run_and_the_documents_say_why():
    reasons = Counter(filter(None, [*CONSOLE.values(), *SHELL.values()]))
    assert reasons == {
        "needs a GPU": 6,
        "needs the network": 2,
        "needs the network; .ci/run does it": 2,
        "makes an environment of its own": 4,
        "needs Triton; `tox -e triton` does it": 1,
        "needs machines for a cluster": 1,
    }
    marks = "\n".join(path.read_text("utf-8") for path in DOCUMENTS).count("\n<!-- not run: ")
    assert marks == reasons.total() + len(READERS_OWN)


SMALL = """
square_times_three:
  formula: 3*x**2
  inputs: {x: real}
  points:
    - {at: {x: 3}, value: 27, gradient: {x: 18}, hessian: {x: {x: 6}}}
"""
INI = """
[pytest]
gradcheck_points = 2
gradcheck_witness = value,reverse
gradcheck_in_process = true
"""
RESULTS = ["out", "results", "main-results", "old-results", "new-results", "cpu", "cuda"]
EARLIER = "older/results-20261127T021541.120934Z-5f0c9a1e.jsonl"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What a reader has: a catalog, results of earlier runs, and a place for pictures."""
    files = {
        "pytest.ini": INI,
        "conftest.py": 'pytest_plugins = ["gradcheck.plugin.short"]\n',
        "cases/tutorial.yaml": SMALL,
        "cases/kernels/softmax.yaml": SMALL.replace("square", "softmax"),
        "docs/pictures/.keep": "",
        EARLIER: f"{encoded(check(torch='2.6.0'))}\n",
        **{f"{name}/results-1.jsonl": f"{encoded(check())}\n" for name in RESULTS},
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "0")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    monkeypatch.setenv("HYPOTHESIS_STORAGE_DIRECTORY", str(tmp_path / ".hypothesis"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass(frozen=True)
class Shell:
    """Runs a command in this process as a shell would; each way gives the exit code."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def run(self, line):
        command, _, target = re.match(r"(.*?)(?: (>>?) (.*))?$", line).groups()
        name, *arguments = shlex.split(command)
        self.capsys.readouterr()
        code = getattr(self, Path(name).name)(arguments)
        if target:
            out = Path(os.path.expandvars(target).strip('"'))
            out.write_text(self.capsys.readouterr().out, "utf-8")
        return code

    def pytest(self, arguments):
        return int(pytest.main(list(arguments)))

    def python(self, arguments):
        assert arguments == shlex.split("-m pip install gradcheck pytest-xdist -e .")
        return 0  # needs the network

    def gradcheck(self, arguments):
        became = []
        with self.monkeypatch.context() as patched:
            patched.setattr("gradcheck.cli.run._become", became.append)
            for user in PACKAGED if arguments[0] == "run" else ():
                patched.setattr(f"{user}.catalog_folder", lambda: Path("cases").absolute())
            with pytest.raises(SystemExit) as ending:
                main([*arguments, *CHEAPER.get(arguments[0], ())])
        (words,) = became or [()]
        return self.pytest(words[words.index("pytest") + 1 :]) if words else ending.value.code


PACKAGED = ("gradcheck.cli.run", "gradcheck.catalog.files")
"""Where the packaged catalog is looked for."""


@pytest.fixture
def shell(folder, monkeypatch, capsys):
    return Shell(monkeypatch, capsys)


FEW = ["--points", "2", "--witness", "value,reverse", "--dtype", "float64"]
CHEAPER = {"check": FEW, "new": FEW}
CODES = {"gradcheck check '3*x**2' --torch '3*x**3' --input x=real": 1}
"""Of the commands that are there to fail; the others end with 0."""


@pytest.mark.parametrize("block", RUN, ids=str)
def test_a_block_of_commands_ends_well(block, shell):
    lines = block.text.splitlines()
    assert {line: shell.run(line) for line in lines} == {line: CODES.get(line, 0) for line in lines}


@pytest.mark.parametrize("line", ["gradcheck list nowhere", "pytest cases --shard 3/2"])
def test_a_command_that_fails_would_be_noticed(line, shell):
    assert shell.run(line) not in (0, None)


@pytest.mark.parametrize("block", [block for block, why in SHELL.items() if not why], ids=str)
def test_a_script_for_a_shell_ends_well(block, folder, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    bazel = {"SHARD_STATUS_FILE": "status", "SHARD_INDEX": "0", "TOTAL_SHARDS": "2"}
    for name, value in {**bazel, "UNDECLARED_OUTPUTS_DIR": "outputs"}.items():
        monkeypatch.setenv(f"TEST_{name}", value)
    subprocess.run(["bash", "-e", "-c", block.text], check=True)
    assert list((folder / "outputs").glob("results-*-1of2-*.jsonl"))


READERS_OWN = [block for block in CASES if why_not_run(block)]
"""Cases of a module that only the reader has."""
GUIDES = {"your-own-operator.md", "triton.md"}
"""Whose cases ``test_guide`` and ``test_examples`` run."""
OURS = [block for block in CASES if block not in READERS_OWN and block.path.name not in GUIDES]


def test_cases_that_are_not_run_are_of_a_module_of_the_readers_own():
    assert {why_not_run(block) for block in READERS_OWN} == {"its module is the reader's own"}
    assert all("function: my_package." in block.text for block in READERS_OWN)


@pytest.mark.parametrize("path", sorted({block.path for block in OURS}), ids=lambda path: path.name)
def test_the_cases_of_a_document_agree_or_fail_as_it_lists(path, folder, capsys):
    cases = "\n".join(block.text for block in OURS if block.path == path)
    listed = [block.text for block in KNOWN if block.path == path]
    (folder / "cases" / "mine.yaml").write_text(cases, "utf-8")
    (folder / "cases" / "known_failures.yaml").write_text("".join(listed), "utf-8")
    assert pytest.main(["cases/mine.yaml"]) == 0
    found = pytest.RunResult.parse_summary_nouns(capsys.readouterr().out.splitlines())
    assert found.keys() <= {"passed", "skipped", "xfailed"}
    assert found["passed"] > len(re.findall(r"^\w+:", cases, re.MULTILINE))
    assert found.get("xfailed", 0) >= len(listed)
