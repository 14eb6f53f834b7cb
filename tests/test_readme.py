"""What the documents tell a reader to type works: commands, Python, cases and links.

The two set-up commands themselves are what `.ci/run` does; here each part of them is looked at.
"""

import json
import re
import runpy
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
import yaml

from gradcheck.catalog.known_failures import load_known
from gradcheck.catalog.load import load
from gradcheck.cli.app import app

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SETUP = "python3 -m venv .venv && "


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a document; ``line`` is that of its fence."""

    path: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}"


def blocks_of(path: Path, language: str) -> list[Block]:
    text = path.read_text("utf-8")
    return [
        Block(path, text[: found.start()].count("\n") + 1, language, found.group(2))
        for found in re.finditer(r"^```([\w{}-]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        if found.group(1) == language
    ]


def every(language: str) -> list[Block]:
    return [block for path in DOCUMENTS for block in blocks_of(path, language)]


COMMANDS = sorted({line for block in every("console") for line in block.text.splitlines()})
SETUPS = [line for line in COMMANDS if line.startswith(SETUP)]
MAPS = [block for block in every("yaml") if isinstance(yaml.safe_load(block.text), dict)]
WORKFLOWS = [block for block in MAPS if "jobs" in yaml.safe_load(block.text)]
CASES = [block for block in MAPS if block not in WORKFLOWS]


def steps_of(workflow: Block) -> list[str]:
    """The commands of a workflow of GitHub's, in its order."""
    jobs = yaml.safe_load(workflow.text)["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


STEPS = [step for workflow in WORKFLOWS for step in steps_of(workflow)]
GRADCHECKS = [line for line in (*COMMANDS, *STEPS) if line.startswith("gradcheck ")]
KNOWN = [block for block in every("yaml") if isinstance(yaml.safe_load(block.text), list)]


def test_there_are_two_set_up_commands_and_ci_runs_what_they_end_with():
    endings = [line.split(" && ")[-1] for line in SETUPS]
    assert endings == [".venv/bin/gradcheck run -n auto", ".venv/bin/python -m pytest -n auto"]
    assert '"$python" -m pytest -n auto' in (ROOT / ".ci" / "run").read_text("utf-8")


@pytest.mark.parametrize("line", SETUPS)
def test_a_set_up_command_makes_its_environment_and_installs_what_is_pinned(line):
    made, installed, _ = line.split(" && ")
    assert made == "python3 -m venv .venv"
    assert installed == ".venv/bin/python -m pip install -c constraints.txt -e '.[test]'"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {"test"} <= project["optional-dependencies"].keys()
    assert "gradcheck" in project["scripts"]


def parse_command(line: str) -> None:
    """Read a command line as the command does, and run nothing.

    Errors: click's UsageError for an option or an argument that is not there.
    """
    name, *arguments = shlex.split(re.split(" >>? ", line)[0])[1:]
    typer.main.get_command(app).commands[name].make_context(name, arguments)


@pytest.mark.parametrize("line", GRADCHECKS)
def test_a_gradcheck_command_is_understood(line):
    parse_command(line)


LANGUAGES = {
    "console": "run by test_commands, or marked with the reason why not",
    "python": "run here, or by the test of its document",
    "yaml": "read as cases or known failures here, and run by test_commands",
    "json": "read here",
    "toml": "run by test_guide",
    "diff": "applied by test_guide",
    "text": "output: held by test_guide, test_tutorial and the commands' page; else to look at",
    "sh": "as console",
    "py": "scripts of docs/findings.md, which test_findings runs; all are compiled here",
    "{toctree}": "built by sphinx, which misses a page that is not there",
    "{eval-rst}": "built by sphinx, which misses a name that is not there",
}
"""Of each kind of block, what holds it."""


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_is_of_a_kind_that_a_test_holds(path):
    fences = re.findall(r"^```(.*)$", path.read_text("utf-8"), re.MULTILINE)
    assert set(fences[::2]) <= LANGUAGES.keys()
    assert set(fences[1::2]) <= {""}


@pytest.mark.parametrize("block", every("py"), ids=str)
def test_a_script_is_python(block):
    assert compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", every("json"), ids=str)
def test_a_block_of_json_is_json(block):
    assert json.loads(block.text)


def test_the_page_of_the_command_line_is_what_the_commands_print():
    made = runpy.run_path(str(ROOT / "docs" / "command_line.py"))["page"]()
    assert made == (ROOT / "docs" / "command-line.md").read_text("utf-8")


def test_a_gradcheck_command_with_an_option_that_is_not_there_is_not_understood():
    with pytest.raises(Exception, match="No such option: --nonsense"):
        parse_command("gradcheck list --nonsense")


GUIDES = {"README.md", "your-own-operator.md", "triton.md", "tutorial.md"}
"""Whose Python is held below, by ``test_guide``, ``test_examples`` and ``test_tutorial``."""
PYTHON = [block for block in every("python") if block.path.name not in GUIDES]


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_a_python_example_runs(block, tmp_path):
    script = tmp_path / "example.py"
    script.write_text(block.text, "utf-8")
    assert "gradcheck" in runpy.run_path(str(script))


def test_the_readme_shows_what_its_example_prints(capsys, tmp_path):
    (example,) = blocks_of(ROOT / "README.md", "python")
    (shown,) = re.findall(r"^It prints:\n\n```text\n(.*?)\n```$", TEXT, re.MULTILINE | re.DOTALL)
    (tmp_path / "example.py").write_text(example.text, "utf-8")
    runpy.run_path(str(tmp_path / "example.py"))
    assert re.match(re.escape(shown).replace(r"\.\.\.", ".*"), capsys.readouterr().out)


TEXT = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("block", CASES, ids=str)
def test_a_case_is_valid(block, tmp_path):
    file = tmp_path / "example.yaml"
    file.write_text(block.text, "utf-8")
    assert [case.name for case in load(file)] == list(yaml.safe_load(block.text))


@pytest.mark.parametrize("block", KNOWN, ids=str)
def test_a_list_of_known_failures_is_valid_beside_the_cases_of_its_document(block, tmp_path):
    cases = [each.text for each in CASES if each.path == block.path]
    (tmp_path / "mine.yaml").write_text("\n".join(cases), "utf-8")
    (tmp_path / "known_failures.yaml").write_text(block.text, "utf-8")
    assert len(load_known(tmp_path)) == len(yaml.safe_load(block.text))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_of_the_repository_leads_somewhere(path):
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", path.read_text("utf-8"))
    missing = [link for link in links if not (path.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_heading_of_the_same_document_leads_somewhere(path):
    text = path.read_text("utf-8")
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors
