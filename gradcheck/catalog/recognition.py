"""Whether a YAML file is a catalog at all: most YAML is somebody else's, and none of our business.

Decided from the events of PyYAML's parser. Builds no object, and loads nothing else of the catalog.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from gradcheck.catalog.text import MOST_BYTES

_MARKS = ("formula", "inputs")
_DEEPEST = 64  # libyaml takes quadratic time for deeper brackets
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEMPLATE = re.compile(r"\{[{%]")
_BLOCK_KEY = re.compile(rf"""["']?(?:{"|".join(_MARKS)})["']?[ \t]*:""")
_FLOW_KEY = re.compile(rf"""[^#]*:[ \t]+\{{(?:[^{{]*[,\s])?{_BLOCK_KEY.pattern}""")
_INDENT = re.compile(r"[ \t]*")


def why_foreign(path: Path) -> str:
    """Return why a file is no catalog; empty where it looks like one.

    It does where some top-level value is a map with ``formula`` or ``inputs``. Of a file that is no
    sound YAML, what stands before the fault decides, and else its lines; a template is foreign. A
    file that is too large is judged by its first MiB.
    """
    try:
        with path.open("rb") as stream:
            text = _decoded(stream.read(MOST_BYTES))
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if not text.strip():
        return "it is empty"
    return "" if _is_marked(text) else "no top-level value is a map with 'formula' or 'inputs'"


def _decoded(data: bytes) -> str:
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if wide else "utf-8-sig", "replace")


def _is_marked(text: str) -> bool:
    if not any(mark in text for mark in _MARKS):
        return False  # true of nearly all, and found out at once
    try:
        return _has_marked_value(yaml.parse(text, Loader=_LOADER))
    except yaml.YAMLError:
        return not _TEMPLATE.search(text) and _has_marked_line(text.splitlines())


def _has_marked_value(events: Iterable[Any]) -> bool:
    """Whether a value of an outermost map is a map with a mark among its keys."""
    open_maps: list[bool] = []  # of the collections that are open: whether each is a map
    counts: list[int] = []  # how many nodes each holds so far: a key of a map has an even number
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            open_maps.pop()
            counts.pop()
        elif isinstance(event, yaml.NodeEvent):
            is_key = open_maps == [True, True] and counts[0] % 2 == 0 and counts[1] % 2 == 0
            if is_key and getattr(event, "value", None) in _MARKS:
                return True
            if counts:
                counts[-1] += 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_maps.append(isinstance(event, yaml.MappingStartEvent))
                counts.append(0)
            if len(counts) > _DEEPEST:
                return False
    return False


def _has_marked_line(lines: Iterable[str]) -> bool:
    """The same by the look of the lines: a mark one step below a key at the margin."""
    step = ""
    for line in lines:
        indent, rest = _INDENT.match(line)[0], line.lstrip(" \t")  # type: ignore[index]
        if not rest or rest.startswith("#"):
            continue
        if not indent:
            step = ""
            if _FLOW_KEY.match(line):
                return True
            continue
        step = step or indent
        if (indent == step or "\t" in indent) and _BLOCK_KEY.match(rest):
            return True
    return False
