"""What a YAML file holds: lists, maps and scalars as they were written, each with its place.

A scalar keeps its text, so that 0.1 stays one tenth. What a scalar means is decided by YAML 1.2's
core schema: only null, true, false, integers, numbers and text; never a date, never yes or no.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck.catalog.complaints import Complaint
from gradcheck.errors import ExpressionError
from gradcheck.language.nodes import Place


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. ``kind`` is text, integer, number (with a point), boolean or null.

    ``raw`` is how it stands in the file, from ``place`` on, with its quotes or its block header;
    ``style`` is empty for a bare scalar, else one of ``' " | >``.
    """

    text: str
    kind: str
    style: str
    raw: str
    place: Place


class Items(list["Yaml"]):
    """A YAML list, and where it begins."""

    __slots__ = ("place",)

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place


class Pairs(dict[str, "Yaml"]):
    """A YAML map with the text of its keys, where it begins, and where each key stands."""

    __slots__ = ("keys_at", "place")

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.keys_at: dict[str, Place] = {}


Yaml = Scalar | Items | Pairs
KeyPath = tuple[str | int, ...]

UNNAMED = "\0"
"""The key of what is short for a map with any key; no YAML document can hold it."""

_CORE = "tag:yaml.org,2002:"
_KINDS = {
    "null": re.compile(r"~|null|Null|NULL|"),
    "boolean": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "integer": re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    "number": re.compile(
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    ),
}
_ANY_KIND = re.compile("|".join(f"(?P<{kind}>{each.pattern})" for kind, each in _KINDS.items()))
_LOOKS_CORE = frozenset("~nNtTfF0123456789-+.")
_TAGS = {"null": "null", "bool": "boolean", "int": "integer", "float": "number", "str": "text"}


def kind_of(text: str) -> str:
    """What a bare scalar means; see YAML 1.2.2, section 10.3.2."""
    if text and text[0] not in _LOOKS_CORE:
        return "text"
    found = _ANY_KIND.fullmatch(text)
    return (found and found.lastgroup) or "text"


def kind_of_tag(tag: str, text: str) -> str | None:
    """What a scalar with this tag means; None for a tag that is refused, or does not fit."""
    if tag == "!":
        return "text"
    kind = _TAGS.get(tag.removeprefix(_CORE)) if tag.startswith(_CORE) else None
    if kind in (None, "text") or _KINDS[kind].fullmatch(text):
        return kind
    return "number" if kind == "number" and kind_of(text) == "integer" else None


def is_core_collection(tag: str | None, word: str) -> bool:
    return tag in (None, "!", _CORE + word)


def describe(value: Yaml) -> str:
    """How a message calls the value: ``the text 'abc'``, ``a list``."""
    if isinstance(value, Items):
        return "a list"
    if isinstance(value, Pairs):
        return "a map"
    if value.kind == "null":
        return "nothing"
    text = value.text if len(value.text) <= 40 else value.text[:37] + "..."
    return f"the {value.kind} {text!r}" if value.kind == "text" else f"the {value.kind} {text}"


def place_of(root: Yaml, path: Sequence[str | int], *, key: bool = False) -> Place:
    """Where the value (or its key) at ``path`` stands; as far down as the document has it."""
    place, node = root.place, root
    for step in path:
        if isinstance(node, Pairs) and step in node:
            place, node = node.keys_at[str(step)], node[str(step)]
        elif isinstance(node, Items) and isinstance(step, int) and step < len(node):
            node = node[step]
            place = node.place
        else:
            return node.place
    return place if key else node.place


def place_inside(scalar: Scalar, place: Place) -> Place:
    """Where in the file the character stands that is at ``place`` in the scalar's text.

    Exact for every way of writing a scalar but one: blanks within it are placed after the visible
    character before them, since YAML folds blanks and line breaks.
    """
    lines = scalar.text.split("\n")
    line, column = place
    before = "".join(lines[: line - 1]) + "".join(lines[line - 1 : line])[: column - 1]
    rest = "".join(lines[line - 1 : line])[column - 1 : column]
    visible = sum(not character.isspace() for character in before)
    marks = _visible_places(scalar)
    if visible < len(marks) and rest and not rest.isspace():
        return marks[visible]
    if visible:
        row, last = marks[min(visible, len(marks)) - 1]
        return row, last + 1
    return marks[0] if marks else scalar.place


def inside(scalar: Scalar, error: ExpressionError) -> Complaint:
    """What is wrong inside an expression, at its place in the file."""
    return place_inside(scalar, error.place), error.found, error.expected, error.fix


def _visible_places(scalar: Scalar) -> list[Place]:
    """The places in the file of the text's characters, blanks left out, in order."""
    body, begin = scalar.raw, _content_begin(scalar)
    row, column = scalar.place
    marks: list[Place] = []
    for match in _STEPS[scalar.style].finditer(body):
        piece = match.group()
        if match.start() >= begin and not _means_blank(piece):
            marks.append((row, column))
        breaks = piece.count("\n")
        row, column = (row + breaks, 1) if breaks else (row, column + len(piece))
    return marks


_ONE = r"\r?\n|[\s\S]"
_STEPS = {
    "": re.compile(_ONE),
    "'": re.compile(rf"''|{_ONE}"),
    '"': re.compile(rf"\\(?:x..|u.{{4}}|U.{{8}}|\r?\n|[\s\S])|{_ONE}"),
    "|": re.compile(_ONE),
    ">": re.compile(_ONE),
}
_PROPERTIES = re.compile(r"(?:[!&]\S*\s+)*")


def _content_begin(scalar: Scalar) -> int:
    """How many characters of ``raw`` are tag, anchor, opening quote or block header."""
    properties = _PROPERTIES.match(scalar.raw)
    begin = properties.end() if properties and scalar.style else 0
    if scalar.style in ("|", ">"):
        return scalar.raw.find("\n", begin) + 1
    if scalar.style:
        return begin + 1
    return properties.end() if properties and scalar.raw[:1] in "!&" else 0


def _means_blank(piece: str) -> bool:
    if len(piece) > 1 and piece[0] == "\\":
        if piece[1] in "xuU":
            return chr(int(piece[2:], 16)).isspace()
        return piece[1] in "tnvfr NLP_\t\r\n"
    return piece.isspace()
