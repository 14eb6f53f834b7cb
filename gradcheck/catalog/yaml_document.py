"""What a YAML file holds: lists, maps and scalars as they were written, each with its place.

A scalar keeps its text, so that 0.1 stays one tenth. What a scalar means is decided by YAML 1.2's
core schema: only null, true, false, integers, numbers and text; never a date, never yes or no.
The document is made of the events of PyYAML's parser. No tag ever makes an object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from gradcheck.catalog.problems import Complaint, Complaints, explained
from gradcheck.catalog.text import control_in
from gradcheck.errors import CatalogError, ExpressionError
from gradcheck.language.nodes import Place


@dataclass(frozen=True, slots=True)
class YamlScalar:
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


Yaml = YamlScalar | Items | Pairs
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


def place_inside(scalar: YamlScalar, place: Place) -> Place:
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


def inside(scalar: YamlScalar, error: ExpressionError) -> Complaint:
    """What is wrong inside an expression, at its place in the file."""
    return place_inside(scalar, error.place), error.found, error.expected, error.fix


def _visible_places(scalar: YamlScalar) -> list[Place]:
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


def _content_begin(scalar: YamlScalar) -> int:
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


DEEPEST_YAML = 64
MOST_YAML_NODES = 100_000
LONGEST_YAML = 4_096
"""Of any list or map but the outermost: as many as a tensor may have elements."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def compose(text: str, complaints: Complaints) -> Yaml | None:
    """Return the one document in ``text``; None if there is none, or only comments.

    Duplicate keys and tags go to ``complaints``, and reading goes on.

    Errors: CatalogError, with all problems so far, for text that is no YAML, a second document,
            nesting deeper than 64, an anchor that contains itself, and anchors that expand past
            100,000 nodes.
    """
    try:
        return _Composer(text, complaints).document()
    except yaml.YAMLError as error:
        complaints.add(*explained(error, text))
        raise CatalogError(complaints.problems) from None


@dataclass(frozen=True, slots=True)
class _Anchored:
    """A value that is complete, and its extent with aliases written out."""

    value: Yaml
    nodes: int
    depth: int


class _Composer:
    """Reads the parser's events, which pass once, and counts as they pass.

    ``yaml.compose`` would not do: nesting overflows its stack, an anchor cannot be used anew, and
    its nodes do not tell whether a tag was written.
    """

    def __init__(self, text: str, complaints: Complaints) -> None:
        self.text, self.complaints = text, complaints
        self.next: Callable[[], Any] = _LOADER(text).get_event
        self.anchors: dict[str, _Anchored | None] = {}  # None: still open
        self.nodes = 0
        self.deepest = 0  # of the levels since the innermost open anchor

    def document(self) -> Yaml | None:
        self.next()  # the stream's start
        if isinstance(self.next(), yaml.StreamEndEvent):
            return None
        root = self.read(self.next(), 1)
        self.next()  # the document's end
        event = self.next()
        if isinstance(event, yaml.DocumentStartEvent):
            fix = "split the file"
            self.stop(_place(event), "a second document", "one document in a file", fix)
        return root

    def read(self, event: Any, level: int) -> Yaml:
        """Read the value that begins with ``event``, inside of ``level`` - 1 collections."""
        if type(event) is yaml.AliasEvent:
            return self.alias(event, level)
        if event.anchor is None:
            return self.unnamed(event, level)
        self.anchors[event.anchor] = None
        outer, self.deepest, nodes = self.deepest, level - 1, self.nodes
        value = self.unnamed(event, level)
        depth = self.deepest - (level - 1)
        self.anchors[event.anchor] = _Anchored(value, self.nodes - nodes, depth)
        self.deepest = max(self.deepest, outer)
        return value

    def unnamed(self, event: Any, level: int) -> Yaml:
        if type(event) is yaml.ScalarEvent:
            return self.scalar(event)
        return self.collection(event, level)

    def scalar(self, event: Any) -> YamlScalar:
        place, text = _place(event), event.value
        self.count(place, 1)
        style = event.style if event.style in ("'", '"', "|", ">") else ""
        raw = self.text[event.start_mark.index : event.end_mark.index]
        kind: str | None = "text" if style else None
        if event.tag is not None:
            kind = kind_of_tag(event.tag, text)
            if kind is None:
                self.refuse_tag(place, event.tag, text)
        control = control_in(text) if style == '"' else None  # others have passed with the file
        if control is not None:
            self.complaints.add(place, *control)
        return YamlScalar(text, kind or kind_of(text), style, raw, place)

    def collection(self, event: Any, level: int) -> Yaml:
        place = _place(event)
        is_list = isinstance(event, yaml.SequenceStartEvent)
        if not is_core_collection(event.tag, "seq" if is_list else "map"):
            self.refuse_tag(place, event.tag)
        self.count(place, 1)
        self.limit_depth(place, level)
        collection: Items | Pairs = Items(place) if is_list else Pairs(place)
        end = yaml.SequenceEndEvent if is_list else yaml.MappingEndEvent
        while type(event := self.next()) is not end:
            entry = self.read(event, level + 1)
            if len(collection) >= LONGEST_YAML and level > 1:
                found = f"more than {LONGEST_YAML:,} entries in one {describe(collection)[2:]}"
                self.stop(entry.place, found, f"at most {LONGEST_YAML:,}", "make it shorter")
            if isinstance(collection, Items):
                collection.append(entry)
            else:
                key = self.key(entry)
                self.put(collection, key, self.read(self.next(), level + 1))
        return collection

    def alias(self, event: Any, level: int) -> Yaml:
        name, place = str(event.anchor), _place(event)
        if name not in self.anchors:
            found, expected = (
                f"the alias *{name} of an anchor that is not there",
                f"an anchor &{name}",
            )
            fix = "quote the text if it begins with a '*' of its own"
            self.stop(place, found, f"{expected} before it", fix)
        anchored = self.anchors[name]
        if anchored is None:
            found = f"the alias *{name} inside of what it stands for"
            self.stop(place, found, "data that ends", "write it out")
        self.count(place, anchored.nodes)
        self.limit_depth(place, level - 1 + anchored.depth)
        return anchored.value

    def count(self, place: Place, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MOST_YAML_NODES:
            self.stop(
                place,
                f"a file that expands past {MOST_YAML_NODES:,} YAML nodes",
                f"at most {MOST_YAML_NODES:,}, an alias counting as what it stands for",
                "split the file, or use fewer aliases",
            )

    def limit_depth(self, place: Place, depth: int) -> None:
        self.deepest = max(self.deepest, depth)
        if depth > DEEPEST_YAML:
            found = f"YAML nested deeper than {DEEPEST_YAML} levels"
            self.stop(place, found, f"at most {DEEPEST_YAML}", "flatten the data")

    def key(self, value: Yaml) -> YamlScalar | None:
        if isinstance(value, YamlScalar) and value.kind == "text":
            return value
        has_text = isinstance(value, YamlScalar) and value.text
        fix = "quote it" if has_text else "write a name before ':'"
        self.complaints.add(value.place, f"{describe(value)} as a key", "a name", fix)
        return None

    def put(self, pairs: Pairs, key: YamlScalar | None, value: Yaml) -> None:
        if key is None:
            return
        if key.text not in pairs:
            pairs[key.text], pairs.keys_at[key.text] = value, key.place
            return
        line = pairs.keys_at[key.text][0]
        found = f"the key {key.text!r} for the second time; the first is on line {line}"
        self.complaints.add(key.place, found, "each key once", "remove or rename one of them")

    def refuse_tag(self, place: Place, tag: str, text: str = "") -> None:
        short = tag.replace("tag:yaml.org,2002:", "!!", 1)
        known = short in ("!!null", "!!bool", "!!int", "!!float", "!!str", "!!seq", "!!map")
        found = f"the tag {short} before {text!r}" if known else f"the tag {short}"
        expected = "a value of that type" if known else "a value without a tag"
        self.complaints.add(place, found, expected, "remove the tag; a case file is only data")

    def stop(self, place: Place, found: str, expected: str, fix: str) -> NoReturn:
        self.complaints.add(place, found, expected, fix)
        raise CatalogError(self.complaints.problems)


def _place(event: Any) -> Place:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1
