"""From YAML text to its document, by the events of PyYAML's parser. No tag ever makes an object."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from gradcheck.catalog.complaints import Complaints
from gradcheck.catalog.document import (
    Items,
    Pairs,
    Scalar,
    Yaml,
    describe,
    is_core_collection,
    kind_of,
    kind_of_tag,
)
from gradcheck.catalog.yaml_errors import explain
from gradcheck.errors import CatalogError
from gradcheck.language.nodes import Place

DEEPEST_NESTING = 64
MOST_NODES = 100_000
MOST_ENTRIES = 4_096
"""Of any list or map but the outermost: as many as a tensor may have elements."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def compose(text: str, complaints: Complaints) -> Yaml | None:
    """The one document in ``text``; None if there is none, or only comments.

    Duplicate keys and tags go to ``complaints``, and reading goes on.

    Errors: CatalogError, with all problems so far, for text that is no YAML, a second document,
            nesting deeper than 64, an anchor that contains itself, and anchors that expand past
            100,000 nodes.
    """
    composer = _Composer(text, complaints)
    try:
        composer.take(yaml.parse(text, Loader=_LOADER))
    except yaml.YAMLError as error:
        complaints.add(*explain(error, text))
        complaints.raise_any()
    return composer.root


@dataclass(slots=True)
class _Frame:
    """A collection that is still open: its value, its extent so far, and the key that waits."""

    value: Items | Pairs
    anchor: str | None
    nodes: int = 1
    depth: int = 1
    key: Scalar | None = None
    has_key: bool = False


@dataclass(frozen=True, slots=True)
class _Anchored:
    value: Yaml
    nodes: int
    depth: int


class _Composer:
    """Events pass once, and the tree grows as they pass: hence the state."""

    def __init__(self, text: str, complaints: Complaints) -> None:
        self.text, self.complaints = text, complaints
        self.root: Yaml | None = None
        self.frames: list[_Frame] = []
        self.anchors: dict[str, _Anchored | None] = {}  # None: still open
        self.nodes = 0
        self.documents = 0

    def take(self, events: Iterable[Any]) -> None:
        methods = {
            yaml.ScalarEvent: self.scalar,
            yaml.SequenceStartEvent: self.open,
            yaml.MappingStartEvent: self.open,
            yaml.SequenceEndEvent: self.close,
            yaml.MappingEndEvent: self.close,
            yaml.AliasEvent: self.alias,
            yaml.DocumentStartEvent: self.begin,
        }
        for event in events:
            method = methods.get(type(event))
            if method is not None:
                method(event)

    def begin(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            self.stop(
                _place(event), "a second document", "one document in a file", "split the file"
            )

    def scalar(self, event: Any) -> None:
        place, text = _place(event), event.value
        self.count(place, 1)
        style = event.style if event.style in ("'", '"', "|", ">") else ""
        raw = self.text[event.start_mark.index : event.end_mark.index]
        kind: str | None = "text" if style else None
        if event.tag is not None:
            kind = kind_of_tag(event.tag, text)
            if kind is None:
                self.refuse_tag(place, event.tag, text)
        self.put(Scalar(text, kind or kind_of(text), style, raw, place), event.anchor)

    def refuse_tag(self, place: Place, tag: str, text: str = "") -> None:
        short = tag.replace("tag:yaml.org,2002:", "!!", 1)
        known = short in ("!!null", "!!bool", "!!int", "!!float", "!!str", "!!seq", "!!map")
        found = f"the tag {short} before {text!r}" if known else f"the tag {short}"
        expected = "a value of that type" if known else "a value without a tag"
        self.complaints.add(place, found, expected, "remove the tag; a case file is only data")

    def open(self, event: Any) -> None:
        place = _place(event)
        is_list = isinstance(event, yaml.SequenceStartEvent)
        if not is_core_collection(event.tag, "seq" if is_list else "map"):
            self.refuse_tag(place, event.tag)
        if event.anchor:
            self.anchors[event.anchor] = None
        self.frames.append(_Frame(Items(place) if is_list else Pairs(place), event.anchor))
        self.count(place, 1)
        self.limit_depth(place, 0)

    def close(self, _event: Any) -> None:
        frame = self.frames.pop()
        self.put(frame.value, frame.anchor, frame.nodes, frame.depth)

    def alias(self, event: Any) -> None:
        name, place = str(event.anchor), _place(event)
        if name not in self.anchors:
            self.stop(
                place,
                f"the alias *{name} of an anchor that is not there",
                f"an anchor &{name} before it",
                "quote the text if it begins with a '*' of its own",
            )
        anchored = self.anchors[name]
        if anchored is None:
            self.stop(
                place,
                f"the alias *{name} inside of what it stands for",
                "data that ends",
                "write it out",
            )
            return
        self.count(place, anchored.nodes)
        self.limit_depth(place, anchored.depth)
        self.put(anchored.value, None, anchored.nodes, anchored.depth)

    def count(self, place: Place, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MOST_NODES:
            self.stop(
                place,
                f"a file that expands past {MOST_NODES:,} YAML nodes",
                f"at most {MOST_NODES:,}, an alias counting as what it stands for",
                "split the file, or use fewer aliases",
            )

    def limit_depth(self, place: Place, below: int) -> None:
        if len(self.frames) + below > DEEPEST_NESTING:
            self.stop(
                place,
                f"YAML nested deeper than {DEEPEST_NESTING} levels",
                f"at most {DEEPEST_NESTING}",
                "flatten the data",
            )

    def put(self, value: Yaml, anchor: str | None, nodes: int = 1, depth: int = 0) -> None:
        """Add a value that is complete to the collection around it."""
        if anchor:
            self.anchors[anchor] = _Anchored(value, nodes, depth)
        if not self.frames:
            self.root = value
            return
        frame = self.frames[-1]
        if len(frame.value) >= MOST_ENTRIES and len(self.frames) > 1:
            found = f"more than {MOST_ENTRIES:,} entries in one {describe(frame.value)[2:]}"
            self.stop(value.place, found, f"at most {MOST_ENTRIES:,}", "make it shorter")
        frame.nodes += nodes
        frame.depth = max(frame.depth, depth + 1)
        if isinstance(frame.value, Items):
            frame.value.append(value)
        elif frame.has_key:
            self.put_pair(frame.value, frame.key, value)
            frame.has_key = False
        else:
            frame.key, frame.has_key = self.key(value), True

    def key(self, value: Yaml) -> Scalar | None:
        if isinstance(value, Scalar) and value.kind == "text":
            return value
        fix = "quote it" if isinstance(value, Scalar) and value.text else "write a name before ':'"
        self.complaints.add(value.place, f"{describe(value)} as a key", "a name", fix)
        return None

    def put_pair(self, pairs: Pairs, key: Scalar | None, value: Yaml) -> None:
        if key is None:
            return
        if key.text in pairs:
            line = pairs.keys_at[key.text][0]
            self.complaints.add(
                key.place,
                f"the key {key.text!r} for the second time; the first is on line {line}",
                "each key once",
                "remove or rename one of them",
            )
            return
        pairs[key.text] = value
        pairs.keys_at[key.text] = key.place

    def stop(self, place: Place, found: str, expected: str, fix: str) -> None:
        self.complaints.add(place, found, expected, fix)
        raise CatalogError(self.complaints.problems)


def _place(event: Any) -> Place:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1
