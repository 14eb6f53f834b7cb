"""How a command answers: text and JSON to standard output, complaints to standard error, a code.

A reader that has gone away is no error.
"""

from __future__ import annotations

import json
import math
import os
import sys
from enum import IntEnum
from typing import Any


def emit(text: str) -> None:
    """Print one text; after the reader of a pipe has closed it, print nothing more."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        silence()


def emit_json(content: object) -> None:
    emit(json.dumps(json_ready(content), ensure_ascii=False, indent=2, allow_nan=False))


def silence() -> None:
    """Send standard output to nowhere, so that Python's last flush cannot fail either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(text: str) -> None:
    """Print to standard error."""
    sys.stdout.flush()
    sys.stderr.write(text + "\n")


def json_ready(content: Any) -> Any:
    """The same content for JSON, with ``"nan"``, ``"inf"`` and ``"-inf"`` as strings."""
    if isinstance(content, dict):
        return {str(key): json_ready(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [json_ready(item) for item in content]
    if isinstance(content, float) and not math.isfinite(content):
        return str(content)
    return content


class ExitCode(IntEnum):
    """The documented exit codes; the numbers are pytest's."""

    OK = 0
    DISAGREE = 1
    BAD_FILE = 2
    INTERRUPTED = 2
    INTERNAL = 3
    BAD_USE = 4
    NOTHING = 5


MEANING = {
    ExitCode.OK: "all agree",
    ExitCode.DISAGREE: "some disagree",
    ExitCode.BAD_FILE: "interrupted, or a bad case file",
    ExitCode.INTERNAL: "internal error",
    ExitCode.BAD_USE: "bad use",
    ExitCode.NOTHING: "nothing selected",
}


def epilog(meanings: dict[ExitCode, str]) -> str:
    """The paragraph that ends a command's help."""
    parts = (f"{int(code)} {meaning}" for code, meaning in sorted(meanings.items()))
    return "Exit codes: " + "; ".join(parts) + "."


def with_examples(codes: str, *commands: str) -> str:
    """The end of a command's help: commands to type as they are, then the exit codes."""
    lines = "\n".join(f"  {command}" for command in commands)
    return f"\b\nExamples:\n{lines}\n\n{codes}"  # \b: lines that are not joined


RUNNING = epilog(MEANING)
READING = epilog(
    {
        ExitCode.OK: "done",
        **{
            code: MEANING[code] for code in (ExitCode.BAD_FILE, ExitCode.INTERNAL, ExitCode.BAD_USE)
        },
    }
)


def counted(number: int, noun: str) -> str:
    """``1 case``, ``2,000 cases``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short(number: float) -> str:
    """A number to three digits, as people read it: ``0.42``, ``1.5e+03``."""
    return f"{number:.3g}"
