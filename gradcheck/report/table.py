"""Tables for the terminal. No number is ever cut: what is too wide for a table is put in a list."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradcheck.report.failure_text import filled

COLOURS = {"agree": "green", "inaccurate": "yellow", "disagree": "bold red", "abstain": "cyan"}
_LEAST_TEXT = 20  # columns, beside the others, in which the last one may be broken into lines
_UNLIMITED = 100_000
_INDENT = "  "


def width() -> int:
    """How many columns there are: COLUMNS, else the terminal's, else 80."""
    return shutil.get_terminal_size().columns


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], title: str = "", *, styled: bool = False
) -> str:
    """The table as text; a head that begins with ``>`` stands above numbers, at the right.

    ``styled``: in the colours of a terminal.

    A column without any text is left out. The last column holds text and may be broken into lines;
    where that is not enough, the first cell of each row stands on a line above the others, and else
    every row becomes a list of its cells.
    """
    kept = [k for k in range(len(heads)) if not rows or any(row[k] for row in rows)]
    heads = [heads[k] for k in kept]
    rows = [[row[k] for k in kept] for row in rows]
    if min(_natural(heads, rows), _natural(heads[:-1], rows) + _LEAST_TEXT) <= width():
        text = _drawn(_table(heads, rows), styled=styled)
    elif _natural(heads[1:], [row[1:] for row in rows]) <= width() - len(_INDENT):
        text = _below_their_names(heads, rows, styled=styled)
    else:
        text = "\n\n".join("\n".join(_listed(heads, row)) for row in rows) + "\n"
    return f"{to_width(title)}\n{text}" if title else text


def _below_their_names(heads: Sequence[str], rows: Sequence[Sequence[str]], *, styled: bool) -> str:
    """The table without its first column, each row below what stands there."""
    drawn = _drawn(_table(heads[1:], [row[1:] for row in rows]), styled=styled).splitlines()
    head, rule, *cells = drawn
    named = (
        line for row, cell in zip(rows, cells, strict=True) for line in (row[0], _INDENT + cell)
    )
    first = [heads[0]] if heads[0] else []
    return "\n".join([*first, _INDENT + head, _INDENT + rule, *named]) + "\n"


def to_width(text: str, indent: int = 0) -> str:
    """Return the text on lines that fit; formulas end them after operators, numbers stay whole."""
    return filled(text, width(), indent=indent, breaks="*/,")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    drawing = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for number, head in enumerate(heads, 1):
        drawing.add_column(
            head.removeprefix(">"),
            justify="right" if head.startswith(">") else "left",
            no_wrap=number < len(heads),
            overflow="fold",
        )
    for row in rows:
        cells = (Text(cell, style=COLOURS.get(cell, "")) for cell in row[: len(heads)])
        drawing.add_row(*cells)
    return drawing


def _natural(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """The width of the table where nothing limits it; of none, no less than any other's."""
    if not heads:
        return _UNLIMITED
    return Console(width=_UNLIMITED).measure(_table(heads, rows)).maximum


def _drawn(drawing: Table, *, styled: bool) -> str:
    page = io.StringIO()
    console = Console(file=page, width=width(), force_terminal=styled, highlight=False)
    console.print(drawing)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines()).strip("\n") + "\n"


def _listed(heads: Sequence[str], row: Sequence[str]) -> Iterator[str]:
    """The cells of a row below each other, each after its head."""
    heads = [head.removeprefix(">") for head in heads]
    margin = max(map(len, heads)) + 2
    for head, cell in zip(heads, row, strict=True):
        if cell:
            yield to_width(f"{head:{margin}}{cell}", margin)
