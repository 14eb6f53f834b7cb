"""What was measured, as tables with targets beside, for the terminal, a program and a document."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from gradcheck.benchmark.timing import Spread
from gradcheck.report.table import table, to_width

Shown = str | int | float | Spread


@dataclass(frozen=True, slots=True)
class Target:
    """What was asked for, what was seen, and whether that meets it."""

    wanted: str
    seen: str
    met: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """One table: what it is about, its rows, and the targets for them.

    ``about`` says what was done. The first column holds texts.
    """

    title: str
    about: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Shown, ...], ...]
    targets: tuple[Target, ...] = ()


def figures_table(figures: Figures) -> str:
    heads = [figures.columns[0], *(f">{column}" for column in figures.columns[1:])]
    rows = [[_text(cell) for cell in row] for row in figures.rows]
    parts = [to_width(f"{figures.title}: {figures.about}"), table(heads, rows).rstrip("\n")]
    parts += [to_width(_told(target), 2) for target in figures.targets]
    return "\n".join(parts) + "\n"


def _told(target: Target) -> str:
    return f"{'met' if target.met else 'MISSED'}: {target.wanted}; seen: {target.seen}"


def as_data(figures: Figures) -> dict[str, Any]:
    """Return the same for JSON."""
    return {
        "title": figures.title,
        "about": figures.about,
        "rows": [dict(zip(figures.columns, map(_datum, row), strict=True)) for row in figures.rows],
        "targets": [
            {"wanted": each.wanted, "seen": each.seen, "met": each.met} for each in figures.targets
        ],
    }


def _datum(cell: Shown) -> Any:
    if isinstance(cell, Spread):
        return {"median": cell.median, "least": cell.least, "most": cell.most}
    return cell


def performance_page(found: Sequence[tuple[str, Figures]]) -> str:
    """Return the document ``docs/performance.md``, of figures with the names of their sections."""
    parts = [_HEAD.format(**machine())]
    targets = [each for _, figures in found for each in figures.targets]
    if targets:
        verdicts = {True: "met", False: "**missed**"}
        told = [(each.wanted, each.seen, verdicts[each.met]) for each in targets]
        parts += ["## Targets", _grid(("asked for", "seen", "target"), told, "---")]
    last = ""
    for section, figures in found:
        parts += [f"## {section.capitalize()}"] if section != last else []
        parts += [f"### {figures.title}", f"{figures.about[0].upper()}{figures.about[1:]}"]
        rows = [tuple(map(_text, row)) for row in figures.rows]
        parts.append(_grid(figures.columns, rows, "--:"))
        last = section
    return "\n\n".join(parts)


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]], aligned: str) -> str:
    """A table of Markdown; the first column is to the left."""
    lines = [heads, ("---", *(aligned for _ in heads[1:])), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> dict[str, Any]:
    """Return what a reader must know of where it was measured; ``load`` as it is just now."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return {
        "torch": metadata.version("torch"),
        "flint": metadata.version("python-flint"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count() or 1,
        "load": round(load, 1),
    }


def _text(cell: Shown) -> str:
    if isinstance(cell, Spread):
        return f"{_number(cell.median)} ({_number(cell.least)} to {_number(cell.most)})"
    return cell if isinstance(cell, str) else _number(cell)


def _number(number: float) -> str:
    """To three digits, without an exponent where people read it without."""
    if abs(number) >= 1000:
        digits = 3 - len(str(int(abs(number))))
        return f"{round(number, digits):,.0f}"
    return f"{number:.3g}"


_HEAD = """\
# Performance

Written by `gradcheck bench --markdown > docs/performance.md`, in one run: Python {python},
torch {torch}, python-flint {flint}, {system}, {cores} cores, load {load} at its end.

Seconds are those of the processor, on one thread. What stands beside each other was measured in
turn, round by round, so that ratios hold on a busy machine. Single figures do so only on a quiet
one: a load above the number of cores makes them up to twice as large. Figures in brackets are the
least and the most of what the one before them is the median of."""
