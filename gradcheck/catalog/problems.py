"""What is wrong with a file: complaints, gathered to be reported at once, PyYAML's among them."""

from __future__ import annotations

import re
from typing import Any

import yaml

from gradcheck.errors import CatalogError, Problem, Where
from gradcheck.language.nodes import Place

MOST_PROBLEMS = 1_000
"""Beyond these reading stops, so that a file that is wrong throughout costs but a moment."""

Complaint = tuple[Place, str, str, str]
"""Place in the file, found, expected, fix."""


class Refused(Exception):
    """A value is not taken; ``complaints`` say why."""

    def __init__(self, *complaints: Complaint) -> None:
        super().__init__(*complaints)
        self.complaints = complaints


class Complaints:
    """Grows while a file is read; nothing can be reported before all of it was seen."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.problems: dict[Problem, None] = {}  # in order, and each once

    def add(self, place: Place, found: str, expected: str, fix: str) -> None:
        """Errors: CatalogError after 1,000 problems."""
        self.problems[Problem(self.where(place), found, expected, fix)] = None
        if len(self.problems) >= MOST_PROBLEMS:
            found = f"{MOST_PROBLEMS:,} problems; reading stopped here"
            fix = "correct these first"
            raise CatalogError(
                [*self.problems, Problem(self.where(place), found, "fewer problems", fix)]
            )

    def where(self, place: Place) -> Where:
        return Where(self.path, *place)

    def __len__(self) -> int:
        return len(self.problems)

    def raise_any(self) -> None:
        """Errors: CatalogError with all problems, if there are any."""
        if self.problems:
            raise CatalogError(self.problems)


_QUOTE = 'quote the text, as in "a: b"'
_SPELLED = (
    ("mapping values are not allowed", "a ': ' that begins a second value",
     "a single value", _QUOTE),
    ("did not find expected ',' or ']'", "a list whose '[' is not closed", "',' or ']'",
     "close it; quote an expression that holds a bracket, a brace or a comma"),
    ("did not find expected ',' or '}'", "a map whose '{' is not closed", "',' or '}'",
     "close it; quote an expression that holds a bracket, a brace or a comma"),
    ("found unexpected end of stream", "a text whose quote is not closed", "a closing quote",
     "close it"),
    ("did not find expected '-' indicator", "something else than a list entry", "'- '",
     "indent it as the entries before it, and begin it with '- '"),
    ("did not find expected key", "something after the end of a value", "the next key",
     "indent it as the keys before it; quote a text that begins with a quote or a bracket"),
    ("could not find expected ':'", "a key without a ':'", "': ' after a key",
     "add ': ' and the value, or quote a text of several lines"),
    ("found unknown escape character", "an unknown escape after a backslash",
     "an escape of YAML's", "write the text in single quotes"),
    ("did not find expected <document start>", "something after the document's end",
     "one document in a file", "quote the text or remove the rest"),
    ("did not find expected node content", "no value", "a value", "write one, or quote it"),
    ("did not find expected alphabetic or numeric", "a '*' or '&' that names nothing",
     "a value", "quote a text that begins with '*' or '&'"),
)  # fmt: skip


def explained(error: yaml.YAMLError, text: str) -> tuple[Place, str, str, str]:
    """Place, found, expected and fix."""
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or "something unreadable")
    context: Any = getattr(error, "context_mark", None)
    if mark is None:
        return (1, 1), f"no YAML: {problem}", "a YAML map of case names to cases", "rewrite it"
    place = (mark.line + 1, mark.column + 1)
    meant = _meant(text.splitlines(), mark.line)
    if meant:
        return meant
    if "cannot start any token" in problem:
        return place, *_odd_beginning(text, place)
    for part, found, expected, fix in _SPELLED:
        if part in problem:
            if "not closed" in found and context is not None:
                place = (context.line + 1, context.column + 1)
            return place, found, expected, fix
    return place, f"no YAML: {problem}", "a YAML map of case names to cases", _QUOTE


def _meant(lines: list[str], row: int) -> tuple[Place, str, str, str] | None:
    """What a line, or the one before it, that YAML stumbles over was certainly meant to be."""
    for k in (row, row - 1):
        line = lines[k] if 0 <= k < len(lines) else ""
        loop = _COMPREHENSION.search(line)
        if loop:
            return (k + 1, loop.start() + 1), *UNQUOTED
        glued = _GLUED.match(line)
        if glued:
            return (k + 1, glued.start("colon") + 1), *glued_key(glued["key"], glued["value"])
    return None


UNQUOTED = (
    "a comprehension that is not quoted",
    "a text; to YAML a bare '[' begins a list of its own",
    'quote all of it, as in "[x[i]**2 for i in range(3)]"',
)
_COMPREHENSION = re.compile(r"(?<=: )\[.*\bfor\s+\w+\s+in\s+range\b")
_GLUED = re.compile(r"\s*(?:- )?(?P<key>[A-Za-z_]\w*)(?P<colon>:)(?P<value>[^\s:/].*?)\s*$")


def glued_key(key: str, value: str) -> tuple[str, str, str]:
    """Found, expected and fix for a key that no blank parts from its value."""
    found = f"'{key}:{value}', a ':' without a blank after it"
    return found, "': ' between a key and its value", f"write {key}: {value}"


def _odd_beginning(text: str, place: Place) -> tuple[str, str, str]:
    lines = text.splitlines()
    character = "".join(lines[place[0] - 1 : place[0]])[place[1] - 1 : place[1]]
    if character == "\t":
        return "a tab in the indentation", "spaces", "indent with spaces"
    return (
        f"a text that begins with {character!r}",
        "a value that YAML can read",
        f'quote the text, as in "{character}..."',
    )
