"""How far something is: what is told of it, what is estimated, and where it is shown."""

import io
import os
import re
import sys
from collections import Counter

import pytest
from rich.console import Console

from gradcheck.cli.progress import progress_shown
from gradcheck.report.progress import (
    Bar,
    Progress,
    SpacedLines,
    Unshown,
    display_of,
    seconds_left,
    spelled_time,
    takes_a_bar,
)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def progress(clock):
    return Progress("checks", Counter(value=6, second=4), clock)


def do(progress, clock, count, *, seconds=2.0, verdict="agree", **rest):
    kind = "value"
    for number in range(count):
        progress.start(f"{kind}{number}")
        clock.now += seconds
        progress.end(f"{kind}{number}", kind, verdict, **rest)


def test_the_headline_says_how_much_is_done_and_since_when(progress, clock):
    do(progress, clock, 2)
    assert progress.headline() == "2 of 10 checks (20 %), 4 s"


def test_what_is_left_is_told_once_there_is_something_to_go_by(progress, clock):
    do(progress, clock, 6)
    assert progress.headline() == "6 of 10 checks (60 %), 12 s, about 8 s left"


def test_the_first_thing_that_ends_tells_nothing_of_how_long_the_rest_takes(progress, clock):
    clock.now += 60
    do(progress, clock, 6)
    assert progress.seconds_left == 8.0


def test_each_kind_is_estimated_by_its_own():
    spent = {"value": 8.0, "second": 20.0}
    left = {"value": 2, "second": 8}
    assert seconds_left(28.0, left, {"value": 8, "second": 2}, spent) == 2 * 1 + 8 * 10


def test_what_ended_runs_no_more_also_where_its_seconds_are_told(progress):
    progress.start("a")
    progress.end("a", "value", "agree", seconds=1.0)
    assert progress.running == {}


def test_two_at_once_take_half_the_time():
    assert seconds_left(10.0, {"a": 10}, {"a": 10}, {"a": 20.0}) == 10.0


def test_a_kind_of_which_none_is_timed_counts_as_the_mean_of_all():
    assert seconds_left(20.0, {"b": 5}, {"a": 10}, {"a": 20.0}) == 10.0


@pytest.mark.parametrize(
    ("timed", "spent"), [({"a": 2}, {"a": 9.0}), ({}, {}), ({"a": 9}, {"a": 0.0})]
)
def test_nothing_is_estimated_from_too_little(timed, spent):
    assert seconds_left(10.0, {"a": 10}, timed, spent) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (185, "3:05"),
                          (3723, "1:02:03")]
)  # fmt: skip
def test_a_time_is_spelled_as_a_clock_shows_it(seconds, text):
    assert spelled_time(seconds) == text


def shown(progress, width):
    page = io.StringIO()
    Console(file=page, width=width, color_system=None).print(progress)
    return page.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_bar_fits_and_tells_what_was_found_what_runs_and_what_failed(progress, clock, width):
    do(progress, clock, 4)
    do(progress, clock, 1, verdict="disagree", failure="the backward is wrong " * 9)
    progress.start("small.yaml::a_long_name" * 9)
    progress.start("small.yaml::another")
    clock.now += 75
    bar, found, running, failed = shown(progress, width)
    assert max(map(len, (bar, found, running, failed))) <= width
    assert bar.rstrip().endswith("left") or "…" in bar
    assert found.rstrip() == "4 agree, 1 disagree"
    assert running.startswith("now 1:15 and 1 more: small.yaml::")
    assert failed.startswith("last failure: value0: the backward is")


def test_where_nothing_is_planned_the_bar_still_counts(clock):
    progress = Progress("functions", clock=clock)
    do(progress, clock, 3)
    assert "3 functions, 6 s" in shown(progress, 80)[0]


def test_a_line_is_said_now_and_then(progress, clock):
    said = []
    lines = SpacedLines(progress, said.append)
    for _ in range(6):
        do(progress, clock, 1)
        lines.show()
    assert said == ["5 of 10 checks (50 %), 10 s, about 10 s left: 5 agree"]


def test_a_line_tells_the_last_failure(progress, clock):
    said = []
    lines = SpacedLines(progress, said.append)
    do(progress, clock, 1, seconds=11, verdict="disagree", failure="the sign is wrong")
    lines.show()
    assert said == [
        "1 of 10 checks (10 %), 11 s: 1 disagree; last failure: value0: the sign is wrong"
    ]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def plain(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.usefixtures("plain")
def test_a_terminal_takes_a_bar_and_a_file_does_not():
    assert takes_a_bar(Terminal())
    assert not takes_a_bar(io.StringIO())


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("TERM", "dumb")])
def test_a_build_server_and_a_dumb_terminal_take_none(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert not takes_a_bar(Terminal())


@pytest.fixture
def terminal(plain, monkeypatch):
    """A pseudo terminal: the file that is written to, what sets its columns, and what it shows."""
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    monkeypatch.delenv("COLUMNS", raising=False)
    person, program = pty.openpty()
    os.set_blocking(person, False)
    with os.fdopen(program, "w", encoding="utf-8") as file, os.fdopen(person, "rb") as screen:
        yield (
            file,
            lambda columns: termios.tcsetwinsize(program, (40, columns)),
            lambda: str(screen.read(), "utf-8"),
        )


@pytest.mark.parametrize("columns", [50, 120])
def test_the_bar_is_as_wide_as_its_own_terminal_while_the_usual_streams_are_caught(
    progress, clock, terminal, columns
):
    file, widen, shown = terminal
    widen(columns)
    do(progress, clock, 1, verdict="disagree", failure="the backward is wrong " * 9)
    bar = Bar(progress, file)
    bar.show()
    bar.step_aside()
    (line,) = re.findall("last failure: .*…", shown())
    assert len(line) == columns


def test_what_runs_long_shows_a_bar_before_anything_has_ended(progress, terminal, monkeypatch):
    file, _, shown = terminal
    monkeypatch.setattr(sys, "stderr", file)
    with progress_shown(progress, quiet=False):
        pass
    assert "0 of 10 checks (0 %), 0 s" in shown()


def test_one_function_is_no_functions(clock):
    progress = Progress("functions", clock=clock, limit=60.0)
    progress.add("agree")
    assert progress.headline() == "1 function, 0 s of 1:00"


def test_where_it_ends_by_time_the_headline_and_the_bar_say_how_long_that_is(clock):
    progress = Progress("functions", clock=clock, limit=60.0)
    do(progress, clock, 3)
    assert progress.headline() == "3 functions, 6 s of 1:00"
    assert progress._share() == (6.0, 60.0)


@pytest.mark.parametrize(
    ("file", "quiet", "kind"),
    [
        (Terminal(), False, Bar),
        (Terminal(), True, Unshown),
        (io.StringIO(), False, SpacedLines),
        (io.StringIO(), True, Unshown),
        (None, False, SpacedLines),
    ],
    ids=["terminal", "quiet terminal", "pipe", "quiet pipe", "no file"],
)
def test_a_display_is_chosen_by_the_file_and_not_where_it_is_to_be_quiet(
    progress, file, quiet, kind, monkeypatch
):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert type(display_of(progress, file, print, quiet=quiet)) is kind
