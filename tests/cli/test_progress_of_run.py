"""What `gradcheck run` shows while it runs: in a terminal, in a pipe, with -q and with -v."""

import os
import re
import subprocess
import sys

import pytest

from gradcheck.plugin.progress import _kind, _short

pty = pytest.importorskip("pty", reason="Windows has no pseudo terminals")

QUICK = ("--points", "2", "--device", "cpu", "--dtype", "float64", "--witness", "value,reverse")
COMMAND = (sys.executable, "-m", "gradcheck", "run", "cases", *QUICK)
_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "small.yaml").write_text(
        "right: {formula: x**2, inputs: {x: real}}\n"
        "wrong: {formula: sin(x), inputs: {x: real}, torch: torch.cos(x)}\n"
    )
    return tmp_path


def in_terminal(folder, *options):
    """What the command writes to a terminal, as text."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.environ.update(TERM="xterm-256color", COLUMNS="80", LINES="24")
        os.environ.pop("CI", None)
        os.execv(sys.executable, [*COMMAND, *options])
    written = b""
    try:
        while chunk := os.read(terminal, 65536):
            written += chunk
    except OSError:  # the end, on Linux
        pass
    os.waitpid(pid, 0)
    os.close(terminal)
    return written.decode()


def in_pipe(folder, *options):
    done = subprocess.run(
        [*COMMAND, *options], check=False, cwd=folder, capture_output=True, text=True
    )
    return done.stdout


def screen(written):
    """The lines that are left once a terminal has drawn all of it."""
    lines, row, column = [""], 0, 0
    for numbers, letter, end, text in _TOKEN.findall(written):
        if end:
            row, column = row + (end == "\n"), 0
            lines += [""] * (row + 1 - len(lines))
        elif text:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + text + line[column + len(text) :]
            column += len(text)
        elif letter == "A":
            row = max(row - int(numbers or 1), 0)
        elif letter == "K":
            lines[row] = "" if numbers == "2" else lines[row][:column]
    return lines


FRAME = re.compile(r"\d of 4 checks \(\d+ %\), \d+ s")
LETTERS = re.compile(r"^\S*small\.yaml \S+", re.MULTILINE)
SUMMARY = "4 checks: 2 agree, 0 abstain, 0 known, 0 inaccurate, 2 disagree"


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_terminal_shows_a_bar_and_keeps_nothing_of_it(folder, workers):
    written = in_terminal(folder, *workers)
    assert FRAME.search(written)
    assert "now " in written
    assert "last failure: small.yaml::wrong[" in written
    kept = screen(written)
    assert SUMMARY in kept
    assert [line for line in kept if FRAME.search(line) or "last failure" in line] == []
    assert any(re.fullmatch(r"=+ FAILURES =+", line) for line in kept)
    assert not LETTERS.search("\n".join(kept))


def test_a_pipe_gets_no_bar_and_no_escapes(folder):
    written = in_pipe(folder, "--in-process")
    assert SUMMARY in written.splitlines()
    assert "━" not in written  # a line of progress is said where it takes longer than ten seconds
    assert "\x1b" not in written
    assert not LETTERS.search(written)


@pytest.mark.parametrize("option", ["-q", "-qq"])
def test_nothing_of_the_progress_is_shown_where_it_shall_be_quiet(folder, option):
    written = in_terminal(folder, option, "--in-process")
    assert not FRAME.search(written)
    assert not re.search(r"^[.F]+ ", "\n".join(screen(written)), re.MULTILINE)
    assert "FAILED" in written


def test_where_every_check_is_told_pytest_reports_as_ever(folder):
    written = in_terminal(folder, "-v", "--in-process")
    assert not FRAME.search(written)
    assert any(re.search(r"right\[value-cpu-float64\] PASSED", line) for line in screen(written))


def test_the_kind_of_a_check_is_its_witness():
    assert _kind("cases/a.yaml::case[d=1-0-value-cpu-float32]") == "value"
    assert _kind("cases/a.yaml::case-file") == ""


def test_a_name_is_shown_without_its_folders():
    assert _short("cases/kernels/a.yaml::case[d=1/2]") == "a.yaml::case[d=1/2]"
