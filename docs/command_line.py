"""Write docs/command-line.md, the help of every command as it is printed at 80 columns.

`python docs/command_line.py` after a change of a command; a test holds the page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from gradcheck.cli.app import app

PAGE = Path(__file__).parent / "command-line.md"
_HEAD = """# The command line

The help of every command, as `gradcheck COMMAND --help` prints it. [The interface](interface.md)
tells more of what they do, and which options pytest takes.
"""


def page() -> str:
    """Return the page's text."""
    group: Any = typer.main.get_command(app)
    parts = [_HEAD]
    for name, command in group.commands.items():
        context = command.make_context(
            f"gradcheck {name}",
            [],
            resilient_parsing=True,
            terminal_width=80,
            help_option_names=["-h", "--help"],
        )
        parts.append(f"## gradcheck {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
