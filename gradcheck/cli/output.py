"""The way out: text and JSON to standard output. A reader that has gone away is no error."""

from __future__ import annotations

import json
import math
import os
import sys
from typing import Any


def emit(text: str) -> None:
    """Print one text; after the reader of a pipe has closed it, print nothing more."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        silence()


def emit_json(content: object) -> None:
    emit(json.dumps(plain(content), ensure_ascii=False, indent=2, allow_nan=False))


def silence() -> None:
    """Send standard output to nowhere, so that Python's last flush cannot fail either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(text: str) -> None:
    """Print to standard error."""
    sys.stdout.flush()
    sys.stderr.write(text + "\n")


def plain(content: Any) -> Any:
    """The same content for JSON, with ``"nan"``, ``"inf"`` and ``"-inf"`` as strings."""
    if isinstance(content, dict):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [plain(item) for item in content]
    if isinstance(content, float) and not math.isfinite(content):
        return str(content)
    return content
