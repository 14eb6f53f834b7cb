"""What was reached, counted, and told as a table, as JSON's fields and as a document."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import torch

from gradcheck.coverage.inventory import (
    BACKWARD_NODE,
    FORWARD_FORMULA,
    KINDS,
    OPERATOR,
    Item,
    reason_for,
)
from gradcheck.coverage.reach import Reach

CORE = "core"
_TITLES = {**KINDS, CORE: "of them core"}
_ORDER = (OPERATOR, CORE, *(kind for kind in KINDS if kind != OPERATOR))
_LISTED = (OPERATOR, BACKWARD_NODE, FORWARD_FORMULA)  # a double-backward node is a backward node
_WIDTH = 80


@dataclass(frozen=True, slots=True)
class Figure:
    """How many items of a kind are reached, of those that are possible, and how many are not."""

    kind: str
    reached: int
    possible: int
    impossible: int


def figures(reach: Reach) -> tuple[Figure, ...]:
    """One for each kind, and one for the core operators.

    What is reached is possible, whatever a reason says.
    """
    return tuple(_figure(kind, reach) for kind in _ORDER)


def _figure(kind: str, reach: Reach) -> Figure:
    chosen = {
        item: cases
        for item, cases in reach.cases.items()
        if item.kind == kind or (kind == CORE and item.core)
    }
    reached = sum(bool(cases) for cases in chosen.values())
    impossible = sum(not cases and reason_for(item).impossible for item, cases in chosen.items())
    return Figure(kind, reached, len(chosen) - impossible, impossible)


def unreached(reach: Reach, kind: str, *, impossible: bool) -> dict[str, list[str]]:
    """By reason the names that no case reaches."""
    found: dict[str, list[str]] = defaultdict(list)
    for item, cases in reach.cases.items():
        reason = reason_for(item)
        if item.kind == kind and not cases and reason.impossible is impossible:
            found[reason.text].append(item.name)
    return found


def coverage_json(reach: Reach) -> dict[str, Any]:
    """The figures, every item with its state, and what could not be called."""
    return {
        "torch": torch.__version__,
        "figures": [
            {name: getattr(figure, name) for name in Figure.__slots__} for figure in figures(reach)
        ],
        "items": [_fields(item, cases) for item, cases in reach.cases.items()],
        "failed": [{"check": check, "reason": reason} for check, reason in reach.failed.items()],
    }


def _fields(item: Item, cases: Sequence[str]) -> dict[str, Any]:
    reason = reason_for(item)
    state = "reached" if cases else "impossible" if reason.impossible else "not reached"
    return {
        "kind": item.kind,
        "name": item.name,
        "schema": item.schema,
        "core": item.core,
        "state": state,
        "reason": "" if cases else reason.text,
        "cases": list(cases),
    }


def as_table(reach: Reach, cases: int, *, everything: bool) -> str:
    """The figures, then what is not reached and why, 80 columns wide."""
    subject = "1 case reaches" if cases == 1 else f"{cases:,} cases reach"
    lines = [f"What {subject} of PyTorch {torch.__version__}", ""]
    lines.append(f"{'':36}{'reached':>9}{'possible':>11}{'impossible':>13}")
    for one in figures(reach):
        title = _indented(one.kind)
        lines.append(f"{title:36}{one.reached:>9,}{one.possible:>11,}{one.impossible:>13,}")
    for title, impossible in {"Not reached": False, "Impossible": True}.items():
        for kind in _LISTED if everything or not impossible else ():
            names = unreached(reach, kind, impossible=impossible)
            lines += _listed(f"{title}: {KINDS[kind]}", names)
    lines += _failures(reach.failed)
    return "\n".join(lines)


def _indented(kind: str) -> str:
    title = _TITLES[kind]
    return f"  {title}" if title.startswith("of them") else title


def _listed(title: str, names: Mapping[str, Sequence[str]]) -> Iterator[str]:
    if names:
        yield from ("", title)
    for reason, found in names.items():
        yield _filled(f"{reason}:", "  ")
        yield _filled(" ".join(found), "    ")


def _failures(failed: Mapping[str, str]) -> Iterator[str]:
    if failed:
        yield from ("", f"Not measured, since the code raised: {len(failed):,}")
    for check, reason in failed.items():
        yield _filled(f"{check}: {reason}", "  ")


def _filled(text: str, margin: str) -> str:
    return fill(
        text,
        _WIDTH,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )


def as_markdown(reach: Reach) -> str:
    """The document ``docs/coverage.md``."""
    parts = [_HEAD.format(release=torch.__version__.partition("+")[0])]
    parts.append("| what | reached | possible | impossible |\n| --- | --: | --: | --: |")
    parts[-1] += "".join(
        f"\n| {_TITLES[one.kind]} | {one.reached} | {one.possible} | {one.impossible} |"
        for one in figures(reach)
    )
    for heading, impossible in (("Not reached", False), ("Impossible", True)):
        parts.append(f"## {heading}\n\n{_REMARKS[impossible]}")
        for kind in _LISTED:
            names = unreached(reach, kind, impossible=impossible)
            if names:
                rows = "".join(
                    f"\n| {reason} | {', '.join(f'`{name}`' for name in found)} |"
                    for reason, found in names.items()
                )
                parts.append(
                    f"### {KINDS[kind].capitalize()}\n\n| why | which |\n| --- | --- |{rows}"
                )
    return "\n\n".join(parts)


_HEAD = """\
# What the catalog covers

Written by `gradcheck coverage --markdown`; a test holds it against the catalog. PyTorch {release}.

Every implementation of every variant is called once, on a CPU. A *name* of PyTorch's operator
database counts where the function, method, attribute or operator of that whole name is called.
A *backward node* counts where it stands in the backward graph of a result or of a gradient, a
*double-backward node*, the derivative of a backward, where it stands in that of a gradient. A
*forward formula* counts where its function is called below autograd on what is differentiated, and
forward mode takes the call. Nodes and formulas are those of the installed release's
`derivatives.yaml`.

PyTorch's own inputs of these operators, which nobody here chose, are held against the same truth:
how many, and why others are not, stands in [PyTorch's own samples](samples.md)."""
_REMARKS = {
    False: "What a case could reach, and none does.",
    True: "What no case can reach on a CPU, or no formula states. Not counted as possible.",
}
