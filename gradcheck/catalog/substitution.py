"""Texts and null from a sweep, put into a formula where their names stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from gradcheck.language.nodes import Comprehension, Literal, Name

Tree = TypeVar("Tree")


def substitute(tree: Tree, values: Mapping[str, str | None]) -> Tree:
    """The tree with each of these names replaced by its value; the names of loops stay loops'.

    A scalar program knows numbers only, but ``dim=d`` may be null.
    """
    result: Any = _substitute(tree, values) if values else tree
    return result  # type: ignore[no-any-return]


def _substitute(node: Any, values: Mapping[str, str | None]) -> Any:
    if isinstance(node, tuple):
        return tuple(_substitute(item, values) for item in node)
    if isinstance(node, Name):
        return Literal(values[node.name], node.place) if node.name in values else node
    if isinstance(node, Comprehension):
        loops = {loop.name for loop in node.loops}
        values = {name: value for name, value in values.items() if name not in loops}
    if not hasattr(node, "__dataclass_fields__"):
        return node
    parts = {
        field.name: _substitute(getattr(node, field.name), values)
        for field in fields(node)
        if field.name != "place"
    }
    return replace(node, **parts)
