"""Tables for the terminal, drawn by rich; as wide as they need to be where no one looks on."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNSEEN = 200  # columns of a table that goes into a file or a pipe
_COLOURS = {"agree": "green", "inaccurate": "yellow", "disagree": "bold red", "abstain": "cyan"}


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> str:
    """The table as text; a head that begins with ``>`` stands above numbers, at the right.

    A column without any text is left out.
    """
    kept = [k for k in range(len(heads)) if not rows or any(row[k] for row in rows)]
    drawing = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in (heads[k] for k in kept):
        right = head.startswith(">")
        drawing.add_column(head.removeprefix(">"), justify="right" if right else "left")
    for row in rows:
        drawing.add_row(*(Text(row[k], style=_COLOURS.get(row[k], "")) for k in kept))
    return f"{title}\n{_text(drawing)}" if title else _text(drawing)


def _text(drawing: Table) -> str:
    looks_on = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if looks_on else _UNSEEN
    page = io.StringIO()
    console = Console(file=page, width=width, force_terminal=looks_on, highlight=False)
    console.print(drawing)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines()).strip("\n") + "\n"
