"""A case as a person would write it into a file, with comments for who goes on from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gradcheck.catalog.inline import flow
from gradcheck.catalog.problems import Complaints
from gradcheck.catalog.yaml_document import Pairs, YamlScalar, compose
from gradcheck.errors import CatalogError

_ABOUT = {
    "summary": "One line: what it is. `gradcheck list` shows it.",
    "formula": "The truth: from the mathematical definition, never from PyTorch's backward.",
    "inputs": 'Where each input lives; an interval stands in quotes: "(0, pi/2]".',
    "where": "What the inputs must meet together.",
    "let": "Parts of the formula, in order; `torch` may not name them.",
    "constants": "What is not differentiated; the formula and `torch` may name it.",
    "torch": "The code on trial; a list tries several spellings.",
    "function": "Your own code on trial; a run needs --trust for its module.",
    "order": "The highest derivative that is verified.",
    "points": "Always tested. These digits are certified, but they come from the formula itself:\n"
    "add an answer that you know from elsewhere, and say under `because` where from.",
}
"""What stands above each key."""
_MORE = {
    "where": ("{x} > 0", "a condition on the inputs"),
    "let": ("{{part: {x}**2}}", "parts of the formula with names"),
    "constants": ("{{k: 3}}", "data that is not differentiated"),
    "sweep": ("{{n: [1, 2]}}", "a variant for each value"),
    "torch": ("torch.exp({x})", "the code on trial; else the formula's own translation"),
    "function": ("my_package.ops:my_op", "your own code on trial"),
    "order": ("1", "the highest derivative that is verified; else 2"),
    "dtypes": ("[float64, bfloat16]", "else float64 and float32"),
    "accuracy": ("{{ulps: 100, because: a long sum}}", "a wider allowance than the derived one"),
    "without": ("{{forward: nobody wrote a jvp}}", "a witness that cannot testify"),
    "tags": ("[slow]", "words for -m and -k"),
    "source": ("a book, a page", "where the formula stands"),
}
"""What a case could say besides: an example, and what it is."""
_WIDTH = 100
_LISTS = ("torch", "function", "where", "points")
"""Keys whose lists stand below them, an entry a line."""


def case_lines(name: str, keys: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a case: its keys with a comment above each, then what it could say besides.

    Values are as ``inline.case_of`` takes them.
    """
    said = {key: _brief(value) for key, value in keys.items() if (key, value) != ("order", 2)}
    yield f"{name}:"
    for key in _ABOUT:
        if key in said:
            yield from (f"  # {line}" for line in _ABOUT[key].splitlines())
            yield from _entry(key, said[key], "  ")
    yield "  # What else it could say; `gradcheck schema` describes every key:"
    for key, (example, meaning) in _MORE.items():
        if key not in said:
            line = f"  # {key}: {example.format(x=next(iter(keys['inputs'])))}"
            yield f"{line:48}  # {meaning}"


def _brief(value: Any) -> Any:
    """One text of code or a condition without its list, and inputs without what is a default."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return value[0]
    if isinstance(value, Mapping):
        return {name: _brief_input(each) for name, each in value.items()}
    return value


def _brief_input(value: Any) -> Any:
    is_number = isinstance(value, Mapping) and value.get("shape") == []
    return value["domain"] if is_number else value


def _entry(key: str, value: Any, indent: str) -> Iterator[str]:
    """A key and its value, on one line where they fit and are no list of points or of code."""
    short = f"{indent}{key}: {_written(value, in_flow=False, is_words=key == 'summary')}"
    if isinstance(value, Mapping) and len(short) > _WIDTH:
        yield f"{indent}{key}:"
        for name, part in value.items():
            yield from _entry(name, part, indent + "  ")
    elif isinstance(value, list) and key in _LISTS:
        yield f"{indent}{key}:"
        for part in value:
            yield from _item(part, indent + "  ")
    else:
        yield short


def _item(value: Any, indent: str) -> Iterator[str]:
    lines = [_written(value, in_flow=False)]
    if isinstance(value, Mapping):
        lines = [line for name, part in value.items() for line in _entry(name, part, indent + "  ")]
    yield f"{indent}- {lines[0].lstrip()}"
    yield from lines[1:]


def _written(value: Any, *, in_flow: bool, is_words: bool = False) -> str:
    """A value on one line, its texts without quotes where they read back as they are."""
    if isinstance(value, Mapping):
        parts = (f"{key}: {_written(each, in_flow=True)}" for key, each in value.items())
        return f"{{{', '.join(parts)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_written(each, in_flow=True) for each in value)}]"
    if not isinstance(value, str):
        return flow(value)
    kinds = ("text",) if is_words else ("text", "integer", "number")
    spellings = (value, "'" + value.replace("'", "''") + "'")
    fitting = (each for each in spellings if _kind(each, value, in_flow=in_flow) in kinds)
    return next(fitting, flow(value))


def _kind(spelling: str, text: str, *, in_flow: bool) -> str:
    """What YAML takes it for; empty where it does not read back as the text."""
    line = f"k: {{a: {spelling}, b: 1}}\n" if in_flow else f"k: {spelling}\n"
    try:
        root = compose(line, Complaints(""))
    except CatalogError:
        return ""
    read = root["k"] if isinstance(root, Pairs) and root.keys() == {"k"} else None
    if in_flow:
        read = read["a"] if isinstance(read, Pairs) and read.keys() == {"a", "b"} else None
    return read.kind if isinstance(read, YamlScalar) and read.text == text else ""
