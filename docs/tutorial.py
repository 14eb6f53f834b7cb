"""Bring the tutorial up to date: what its Python prints, its pictures, and the notebook of it.

`python docs/tutorial.py` after a change of docs/tutorial.md; tests hold what it writes.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PAGE = FOLDER / "tutorial.md"
NOTEBOOK = FOLDER / "tutorial.ipynb"
_CODE = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", re.DOTALL)
_PLOT = re.compile(r"^gradcheck plot .* -o docs/pictures/\w+\.svg$", re.MULTILINE)


def printed(page: str) -> list[tuple[str, str, str]]:
    """Return each block of Python with what the page says that it prints, and what it prints."""
    names: dict[str, Any] = {}
    found = []
    for code, said in _CODE.findall(page):
        with redirect_stdout(io.StringIO()) as out:
            exec(compile(code, str(PAGE), "exec"), names)
        found.append((code, said, out.getvalue()))
    return found


def with_outputs(page: str) -> str:
    """Return the page with what each block prints below it."""
    done = iter(printed(page))

    def block(_: re.Match[str]) -> str:
        code, _said, out = next(done)
        return f"```python\n{code}```\n" + (f"\n```text\n{out}```\n" if out else "")

    return _CODE.sub(block, page)


def plots(page: str) -> list[list[str]]:
    """Return the arguments of each command that makes a picture of the page."""
    return [shlex.split(line)[1:] for line in _PLOT.findall(page)]


def notebook(page: str) -> str:
    """Return the page as a notebook: its Python in cells, without outputs, the rest as text."""
    cells, start = [], 0
    for found in _CODE.finditer(page):
        cells += [("markdown", page[start : found.start()]), ("code", found[1])]
        start = found.end()
    cells.append(("markdown", page[start:]))
    content = {
        "cells": [_cell(number, kind, text) for number, (kind, text) in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _cell(number: int, kind: str, text: str) -> dict[str, Any]:
    more = {"execution_count": None, "outputs": []} if kind == "code" else {}
    lines = text.strip("\n").splitlines(keepends=True)
    return {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": lines, **more}


if __name__ == "__main__":
    page = with_outputs(PAGE.read_text("utf-8"))
    PAGE.write_text(page, "utf-8")
    NOTEBOOK.write_text(notebook(page), "utf-8")
    for arguments in plots(page):
        subprocess.run(
            [sys.executable, "-m", "gradcheck", *arguments], cwd=FOLDER.parent, check=True
        )
