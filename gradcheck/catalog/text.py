"""The files of a catalog: their names and places, and their text, at most 1 MiB of plain UTF-8."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gradcheck.errors import CatalogError, Problem, Where

SUFFIXES = (".yaml", ".yml")
"""How the names of a catalog's files end."""

_KNOWN_FAILURES = "known_failures.yaml"
LISTS = (_KNOWN_FAILURES, "known_failures.yml")
"""How the one YAML file of a catalog's folder that holds no cases may be called."""

MOST_BYTES = 2**20
DIRECTION_MARKS = r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""Marks that let a text read otherwise than it is, and separators of lines."""
_FORBIDDEN = re.compile(
    r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]" + f"|[{DIRECTION_MARKS}]"
)


def read_text(path: Path, shown: str) -> str:
    """The file's text. ``shown`` is how messages name it.

    Errors: CatalogError for what is no regular file, cannot be read, is larger than 1 MiB, is no
            text in UTF-8, or has a name that steers a terminal.
    """
    if not shown.isprintable():
        found = "a file name with control characters"
        raise _refuse(ascii(shown), found, "a printable name", "rename the file")
    try:
        if path.exists() and not path.is_file():
            raise _refuse(shown, "no regular file", "a YAML file", "name a file")
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _refuse(shown, f"a file that cannot be read: {reason}", *_READABLE) from None
    return decode(data, shown)


_READABLE = ("a readable YAML file", "check the path and its permissions")


def decode(data: bytes, shown: str) -> str:
    """The text that ``data`` is in UTF-8, without a byte order mark."""
    if len(data) > MOST_BYTES:
        raise _refuse(
            shown, "a file larger than 1 MiB", "at most 1 MiB (1,048,576 bytes)", "split the file"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        found = f"the byte 0x{data[error.start]:02x}, which is not UTF-8"
        raise _refuse(shown, found, "text in UTF-8", "save the file as UTF-8", before) from None
    odd = _FORBIDDEN.search(text)
    if odd:
        raise _refuse(shown, *_control(odd.group()), text[: odd.start()])
    return text


def control_in(text: str) -> tuple[str, str, str] | None:
    """Say what is found, expected and to be done where a text steers a terminal; None where not.

    Of what moves the cursor only new lines and tabs are data.
    """
    odd = _FORBIDDEN.search(text) or re.search(r"[\r\x85]", text)
    return _control(odd.group()) if odd else None


def _control(character: str) -> tuple[str, str, str]:
    return f"the control character U+{ord(character):04X}", "printable text", "remove it"


def _refuse(shown: str, found: str, expected: str, fix: str, before: str = "") -> CatalogError:
    line = before.count("\n") + 1
    column = len(before) - before.rfind("\n")
    return CatalogError([Problem(Where(shown, line, column), found, expected, fix)])


def absolute_path(path: Path) -> Path:
    """Return the path from the root of all, as pytest's ids have it: a link in it stays a link."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute leaves ".." in it
