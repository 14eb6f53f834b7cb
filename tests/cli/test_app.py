"""Every command's help, what is refused, and how an ending is told to the shell."""

import subprocess
import sys

import pytest

from gradcheck.cli.app import app

COMMANDS = (
    *("run", "check", "explain", "graph", "plot", "list", "coverage"),
    *("new", "fuzz", "mutate", "bench", "validate", "schema", "report", "compare"),
)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_states_its_exit_codes(command, name):
    ended = command(name, "--help")
    assert ended.code == 0
    assert "Exit codes: 0 " in ended.out


def test_the_help_lists_the_commands_of_this_stage_and_no_other(command):
    listed = command("--help").out.partition("Commands:\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in listed.splitlines() if line[2] != " "] == list(COMMANDS)


@pytest.mark.parametrize(
    ("short", "long"),
    [(("-h",), ("--help",)), (("list", "-h"), ("list", "--help")), (("-V",), ("--version",))],
)
def test_help_and_version_have_short_forms(command, short, long):
    assert command(*short) == command(*long)


def test_nothing_at_all_prints_the_help(command):
    assert command() == command("--help")


def test_the_version_is_printed(command):
    assert command("--version").out.startswith("gradcheck ")


def test_a_command_that_is_not_there_is_bad_use(command):
    ended = command("prove", "--json")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == (
        "gradcheck: No such command 'prove'.\n  fix:      see `gradcheck --help`\n"
    )


def test_a_misspelled_command_is_told_the_near_one(command):
    ended = command("lst")
    assert ended.code == 4
    assert "'lst'" in ended.err
    assert "'list'" in ended.err


def test_an_unknown_option_is_bad_use(command):
    ended = command("validate", "--nope")
    assert ended.code == 4
    assert ended.err.startswith("gradcheck validate: No such option: --nope")
    assert ended.err.endswith("\n  fix:      see `gradcheck validate --help`\n")


def test_an_interruption_ends_with_code_2_and_no_traceback(command, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("gradcheck.cli.listing.shown_folder", interrupt)
    ended = command("list")
    assert (ended.code, ended.err.strip()) == (2, "interrupted")


def test_a_defect_of_ours_ends_with_code_3_and_says_so(command, monkeypatch):
    def fail():
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("gradcheck.cli.listing.shown_folder", fail)
    ended = command("list")
    assert ended.code == 3
    assert "ZeroDivisionError: ours" in ended.err
    assert "This is a defect of gradcheck itself; please report." in ended.err


def test_a_reader_that_goes_away_is_no_error(catalog):
    shell = f"{sys.executable} -m gradcheck list --json {catalog} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_the_commands_stand_under_their_names():
    names = [each.name for each in app.registered_commands if not each.hidden]
    assert names == list(COMMANDS)


def python(program, folder):
    return subprocess.run(
        [sys.executable, "-c", program], check=False, cwd=folder, capture_output=True, text=True
    )


HEAVY = ("torch", "sympy", "hypothesis")


@pytest.mark.parametrize(
    "arguments", [["list"], ["list", "--json"], ["validate", "cases"], ["schema"], ["--help"]]
)
def test_what_only_reads_imports_nothing_heavy(catalog, arguments):
    program = (
        "import sys\n"
        "from gradcheck.cli.app import main\n"
        f"try: main({arguments!r})\n"
        f"finally: print(sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)\n"
    )
    done = python(program, catalog.parent)
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_a_heavy_import_would_be_noticed(catalog):
    program = "import sys, gradcheck.explanation.explanation; print('torch' in sys.modules)"
    done = python(program, catalog.parent)
    assert done.stdout == "True\n"
