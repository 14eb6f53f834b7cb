"""Help that stands alone: what a command does, examples that can be typed, and completion."""

import os
import re
import shlex
import subprocess
import sys

import pytest
import typer

from gradcheck.__main__ import main
from gradcheck.catalog.files import complete_case, complete_target
from gradcheck.cli.app import app

COMMANDS = typer.main.get_command(app).commands
WIDTH = 80


def examples_of(name):
    """The commands under "Examples:", each on one line and as its arguments."""
    text = COMMANDS[name].epilog.partition("Examples:\n")[2].partition("\n\n")[0]
    return [line.strip() for line in text.replace("\\\n", " ").splitlines()]


EXAMPLES = [(name, line) for name in COMMANDS for line in examples_of(name)]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_help_has_two_examples_and_fits_a_terminal(command, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    shown = command(name, "--help").out
    assert len(examples_of(name)) >= 2
    assert all(line.split("\\")[0].strip()[:60] in shown for line in examples_of(name))
    assert max(map(len, shown.splitlines())) <= WIDTH


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_each_in_a_whole_sentence(command, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    (line,) = re.findall(rf"^  {name} +(.*)$", command("--help").out, re.MULTILINE)
    assert re.fullmatch(r"[A-Z].*[^.]\.", line)


def parsed(line):
    words = shlex.split(line.partition(" > ")[0])
    assert words[0] == "gradcheck"
    return COMMANDS[words[1]].make_context(words[1], words[2:])


@pytest.mark.parametrize(("name", "line"), EXAMPLES)
def test_an_example_is_understood(name, line):
    assert parsed(line).command is COMMANDS[name]


def test_an_example_with_an_option_that_is_not_there_would_be_noticed():
    with pytest.raises(Exception, match="No such option"):
        parsed("gradcheck list --nonsense")


CHEAP = [line for name, line in EXAMPLES if name in ("schema", "explain") or "list t" in line]


@pytest.mark.parametrize("line", CHEAP)
def test_a_cheap_example_ends_well(command, line):
    assert command(*shlex.split(line.partition(" > ")[0])[1:]).code == 0


# completion

PROGRAM = """
import sys
from gradcheck.__main__ import main
try:
    main()
finally:
    print(*{"torch", "sympy", "hypothesis", "flint"} & sys.modules.keys(), file=sys.stderr)
"""
ASKED = {
    "bash": {"COMP_WORDS": "gradcheck {}", "COMP_CWORD": "2"},
    "zsh": {"_TYPER_COMPLETE_ARGS": "gradcheck {}"},
    "fish": {"_TYPER_COMPLETE_ARGS": "gradcheck {}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
}


def completed(shell, line, folder):
    """What the shell is offered, and the heavy libraries that were loaded for it."""
    given = {name: value.format(line) for name, value in ASKED[shell].items()}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **given, "_GRADCHECK_COMPLETE": f"complete_{shell}"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout, done.stderr.split()


@pytest.mark.parametrize("shell", ASKED)
@pytest.mark.parametrize("name", ["explain", "run"])
def test_each_shell_completes_case_names_without_what_is_heavy(shell, name, tmp_path):
    out, loaded = completed(shell, f"{name} square_t", tmp_path)
    assert re.findall(r"square\w+", out) == ["square_times_three"]
    assert loaded == []


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["cases/small.yaml", "::", "sq"], ["square"]),
        (["cases/small.yaml", "::"], ["power", "square"]),
        (["cases/small.yaml::sq"], ["cases/small.yaml::square"]),  # where a colon ends no word
        (["cases/no.yaml", "::", "sq"], []),
    ],
)
def test_behind_the_colons_that_end_a_word_bash_is_offered_the_rest_of_the_name(
    words, offered, catalog, monkeypatch, capsys
):
    words = ["gradcheck", "run", *words]
    monkeypatch.chdir(catalog.parent)
    monkeypatch.setenv("COMP_WORDS", "\n".join(words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    monkeypatch.setenv("_GRADCHECK_COMPLETE", "complete_bash")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.split() == offered


@pytest.fixture
def here(catalog):
    (catalog.parent / "notes.txt").touch()
    (catalog.parent / "cash.yaml").touch()
    (catalog.parent / ".hidden").mkdir()
    return catalog.parent


COMPLETIONS = {
    "cases": ["cases/"],
    "cash": ["cash.yaml"],
    "cases/": ["cases/small.yaml"],
    "cases/small.yaml::": ["cases/small.yaml::power", "cases/small.yaml::square"],
    "cases/small.yaml::s": ["cases/small.yaml::square"],
    "tutorial.yaml::quad": ["tutorial.yaml::quadratic"],
    "no/such/": [],
    "no.yaml::x": [],
    "notes": [],
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("typed", "offered"), COMPLETIONS.items())
def test_files_folders_and_the_cases_of_a_file_are_offered(typed, offered):
    assert complete_target(typed) == offered


def test_a_case_of_the_packaged_catalog_is_offered():
    assert complete_case("network_with_t") == ["network_with_tanh"]
