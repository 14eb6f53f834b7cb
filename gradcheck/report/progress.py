"""What is seen while something long runs: a bar in a terminal, a line now and then elsewhere.

It shows what it is told, and decides nothing. Time decides how often and what is estimated.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gradcheck.report.table import COLOURS

_INTERVAL = 10.0  # seconds between two lines
_BAR = 40  # columns at most
_REFRESHES = 8  # a second
_SOONEST = 3  # things that must have been timed before any guess of how long the rest takes


@dataclass(slots=True)
class Progress:
    """How far something is, as it is told. It has state, as news come one by one.

    ``planned`` counts what is to be done, by kinds that take alike long: from them the time that is
    left is estimated. It may be empty, where that is not known. ``limit`` are the seconds after
    which it ends of itself, if there are such.
    """

    noun: str
    planned: Counter[str] = field(default_factory=Counter)
    clock: Callable[[], float] = time.monotonic
    limit: float | None = None
    running: dict[str, float] = field(default_factory=dict)
    found: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    timed: Counter[str] = field(default_factory=Counter)
    spent: dict[str, float] = field(default_factory=dict)
    last_failure: str = ""
    began: float = field(init=False)
    first_end: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.first_end = self.clock()

    def start(self, name: str) -> None:
        self.running[name] = self.clock()

    def start_alone(self, name: str) -> None:
        """Note that this runs, and nothing else any more."""
        self.running.clear()
        self.start(name)

    def end(
        self, name: str, kind: str, verdict: str, *, failure: str = "", seconds: float | None = None
    ) -> None:
        """Note how something ended; ``failure`` says in a line what is wrong with it.

        ``seconds`` are those that it took, where that is not all since its start.
        """
        now = self.clock()
        since = self.running.pop(name, now)
        took = now - since if seconds is None else seconds
        if self.done:
            self.timed[kind] += 1
            self.spent[kind] = self.spent.get(kind, 0.0) + took
        else:
            self.first_end = now  # it has waited until torch was there, and tells little
        self.done[kind] += 1
        self.found[verdict] += 1
        if failure:
            self.last_failure = f"{name}: {failure}"

    def add(self, verdict: str, number: int = 1) -> None:
        """Count things of which is known how they ended, and no more."""
        self.done[""] += number
        self.found[verdict] += number

    @property
    def elapsed(self) -> float:
        return self.clock() - self.began

    @property
    def seconds_left(self) -> float | None:
        """An estimate; None before there is anything to go by."""
        elapsed = self.clock() - self.first_end
        return seconds_left(elapsed, self.planned - self.done, self.timed, self.spent)

    def headline(self) -> str:
        """How much is done, since when, and how long the rest may take."""
        done, total = self.done.total(), self.planned.total()
        alone = self.noun if done != 1 else self.noun.removesuffix("s")
        share = f" of {total:,} {self.noun} ({done * 100 // total} %)" if total else f" {alone}"
        left = self.seconds_left if total else None
        rest = "" if left is None else f", about {spelled_time(left)} left"
        until = "" if self.limit is None else f" of {spelled_time(self.limit)}"
        return f"{done:,}{share}, {spelled_time(self.elapsed)}{until}{rest}"

    def findings(self) -> str:
        """``12 agree, 1 disagree``."""
        return ", ".join(f"{self.found[name]:,} {name}" for name in self._verdicts())

    def _verdicts(self) -> Iterator[str]:
        """Those that were met, in the order of the table of colours, others behind."""
        yield from (name for name in COLOURS if self.found[name])
        yield from sorted(self.found.keys() - COLOURS.keys())

    def _share(self) -> tuple[float, float]:
        """How much of what is done, and 0 of 0 where nobody knows."""
        planned = self.planned.total()
        if planned or self.limit is None:
            return self.done.total(), planned
        return min(self.elapsed, self.limit), self.limit

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The bar, and below it what was found, what runs, and the last failure."""
        done, total = self._share()
        width = min(_BAR, max(options.max_width - len(self.headline()) - 2, 4))
        bar = Table.grid(padding=(0, 2))
        bar.add_row(
            ProgressBar(total=total or None, completed=done, width=width, pulse=not total),
            Text(self.headline(), no_wrap=True, overflow="ellipsis"),
        )
        yield bar
        if self.found:
            parts = [
                Text(f"{self.found[name]:,} {name}", COLOURS.get(name, ""))
                for name in self._verdicts()
            ]
            yield _line(Text(", ").join(parts))
        if self.running:
            name, since = min(self.running.items(), key=lambda item: item[1])
            others = f" and {len(self.running) - 1} more" if len(self.running) > 1 else ""
            seconds = spelled_time(self.clock() - since)
            yield _line(Text(f"now {seconds}{others}: {name}", style="dim"))
        if self.last_failure:
            yield _line(Text(f"last failure: {self.last_failure}", style=COLOURS["disagree"]))


def _line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def seconds_left(
    elapsed: float, left: Mapping[str, int], timed: Mapping[str, int], spent: Mapping[str, float]
) -> float | None:
    """Estimate how long what is ``left`` takes, by kinds, from what things of each kind have taken.

    ``elapsed`` are the seconds in which those that are ``timed`` have ``spent`` theirs, which is
    more where several run at once. A kind of which none is timed counts as the mean of all.
    """
    count, used = sum(timed.values()), sum(spent.values())
    if count < _SOONEST or used <= 0:
        return None
    means = {kind: spent[kind] / number for kind, number in timed.items()}
    rest = sum(number * means.get(kind, used / count) for kind, number in left.items())
    return elapsed * rest / used


def spelled_time(seconds: float) -> str:
    """``42 s``, ``3:05``, ``1:02:03``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Display(Protocol):
    """Where progress is shown."""

    def show(self) -> None:
        """Something is new; the terminal's last line is free."""

    def step_aside(self) -> None:
        """Somebody else is about to write; show nothing until the next ``show``."""


class Unshown:
    """Nowhere."""

    def show(self) -> None:
        """Nothing is shown."""

    def step_aside(self) -> None:
        """Nothing is in anybody's way."""


class Bar:
    """A bar at the end of a terminal, which is redrawn in place, and gone in the end."""

    def __init__(self, progress: Progress, file: TextIO) -> None:
        self._file, self._console = file, Console(file=file)
        self._live = Live(
            progress,
            console=self._console,
            transient=True,
            refresh_per_second=_REFRESHES,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def show(self) -> None:
        self._fit()
        if not self._live.is_started:
            self._live.start()

    def _fit(self) -> None:
        """Be as wide as the file's own terminal; rich asks the streams that pytest catches."""
        with suppress(OSError):
            columns, lines = os.get_terminal_size(self._file.fileno())
            if columns and "COLUMNS" not in os.environ:
                self._console.size = ConsoleDimensions(columns, lines)

    def step_aside(self) -> None:
        self._live.stop()


class SpacedLines:
    """A line now and then, for a file, a pipe or the log of a build server."""

    def __init__(self, progress: Progress, say: Callable[[str], object]) -> None:
        self._progress, self._say = progress, say
        self._next = progress.clock() + _INTERVAL

    def show(self) -> None:
        now = self._progress.clock()
        if now >= self._next and self._progress.found:
            self._next = now + _INTERVAL
            self._say("; ".join(self._parts()))

    def step_aside(self) -> None:
        """Nothing is in anybody's way."""

    def _parts(self) -> Iterable[str]:
        yield f"{self._progress.headline()}: {self._progress.findings()}"
        if self._progress.last_failure:
            yield f"last failure: {self._progress.last_failure}"


def display_of(
    progress: Progress, file: TextIO | None, say: Callable[[str], object], *, quiet: bool = False
) -> Display:
    """Return where progress is shown: as a bar where the file takes one, else by what is said."""
    if quiet:
        return Unshown()
    if file is not None and takes_a_bar(file):
        return Bar(progress, file)
    return SpacedLines(progress, say)


def takes_a_bar(file: TextIO) -> bool:
    """Whether a file is a terminal in front of a person."""
    is_dumb = os.environ.get("TERM", "") in ("dumb", "unknown")
    return file.isatty() and not is_dumb and "CI" not in os.environ
