"""A case that stands in no file: from keys that a program or a command line gives.

The keys become text of the case format, and the loader reads it, so that every rule and every
message of the format holds here too. Nothing is written to disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from gradcheck.catalog.case import Case
from gradcheck.catalog.load import load_text
from gradcheck.errors import CatalogError, Problem, Where

NAME = "inline"


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the composed text: which key it is, and where the author's own text begins."""

    text: str
    key: str
    start: int


def case_of(
    keys: Mapping[str, Any], *, shown: str, labels: Mapping[str, str], name: str = NAME
) -> Case:
    """The case that these keys declare, as a file of the case format would.

    Values are what YAML can say: text, numbers (exact ones too), booleans, None, lists and
    mappings of them. ``shown`` stands for the file in messages, ``labels`` for keys (`torch`
    becomes `--torch`, and "" is the label of the case's own name).

    Errors: CatalogError with every problem, whose places name the key instead of a line;
            TypeError for a value that YAML cannot say.
    """
    lines = [_Line(f"{flow(name)}:", "", 1), *_lines(keys, "", "  ")]
    try:
        (case,) = load_text("\n".join(line.text for line in lines) + "\n", shown)
    except CatalogError as error:
        moved = [_moved(problem, lines, shown, labels) for problem in error.problems]
        raise CatalogError(moved) from None
    return case


def _lines(values: Mapping[str, Any], above: str, indent: str) -> Iterator[_Line]:
    for name, value in values.items():
        key = f"{above}.{name}" if above else str(name)
        head = f"{indent}{json.dumps(str(name), ensure_ascii=False)}:"
        if isinstance(value, Mapping) and value:
            yield _Line(head, key, 1)
            yield from _lines(value, key, indent + "  ")
        elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            yield _Line(head, key, 1)
            for item in value:
                yield _Line(f"{indent}- {flow(item)}", key, len(indent) + 4)
        else:
            quote = 1 if isinstance(value, str) else 0
            yield _Line(f"{head} {flow(value)}", key, len(head) + 2 + quote)


def flow(value: Any) -> str:
    """One value on one line, as YAML and JSON both read it."""
    if value is None or isinstance(value, (bool, int, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (float, Decimal)):
        return _number(str(value))
    if isinstance(value, Fraction):
        return json.dumps(str(value))
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(str(name))}: {flow(item)}" for name, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(flow, value))}]"
    if hasattr(value, "tolist"):  # a tensor or an array
        return flow(value.tolist())
    if type(value).__module__.partition(".")[0] == "sympy":
        raise TypeError(f"got the sympy expression {value}, expected text: write str(...) of it")
    raise TypeError(f"got {type(value).__name__}, expected text, a number, a list or a mapping")


def _number(text: str) -> str:
    """YAML's words for what is no number, so that the loader can refuse it by its name."""
    return {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}.get(text.lower(), text)


def _moved(problem: Problem, lines: list[_Line], shown: str, labels: Mapping[str, str]) -> Problem:
    """The same problem at the place that the author knows: the key, and the column in its text."""
    line = lines[min(problem.where.line, len(lines)) - 1]
    top, *rest = line.key.split(".")
    key = " ".join([labels[top], *rest[:1]]) if top in labels else line.key
    where = Where(f"{shown} {key}".rstrip(), 1, max(1, problem.where.column - line.start + 1))
    return Problem(where, problem.found, problem.expected, problem.fix)
