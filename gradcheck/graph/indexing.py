"""Lists, comprehensions and indices in a formula."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradcheck.graph.folding import TooLarge
from gradcheck.graph.functions import stacked
from gradcheck.graph.reading import Reader
from gradcheck.graph.shapes import bounded
from gradcheck.language.nodes import Comprehension, Sequence, Slice, Subscript
from gradcheck.language.nodes import Node as Tree
from gradcheck.query import Shape

MOST_STEPS = 65_536
"""Of the comprehensions of one text, nested loops multiplied."""


def sequence(reader: Reader, node: Sequence) -> int:
    parts = [reader.value(item) for item in node.items]
    return stacked(reader.graph, _of_one_kind(reader, parts, node.items), 0)


def _of_one_kind(reader: Reader, parts: list[int], trees: tuple[Tree, ...]) -> list[int]:
    """The parts, which may be conditions only if all of them are."""
    if len({reader.graph.kind(part) == "bool" for part in parts}) > 1:
        for part, tree in zip(parts, trees, strict=True):
            reader.must_be_numbers(part, tree)
    return parts


def comprehension(reader: Reader, node: Comprehension) -> int:
    return stacked(reader.graph, bodies(reader, node), 0)


def bodies(reader: Reader, node: Comprehension) -> list[int]:
    """All bodies of a comprehension in one flat list, as in Python."""
    outer, reader.steps = reader.steps, 0
    found = _loop(reader, node, 0)
    reader.steps = outer
    return found


def _loop(reader: Reader, node: Comprehension, depth: int) -> list[int]:
    """The bodies from one level of ``for`` on."""
    if depth == len(node.loops):
        return [reader.value(node.body)]
    loop = node.loops[depth]
    bounds = [reader.integer(bound) for bound in loop.bounds]
    if len(bounds) == 3 and bounds[2] == 0:
        reader.refuse(node.place, "range with step 0", "a step that is not 0", "write 1")
    outer = reader.scope.get(loop.name)
    found: list[int] = []
    steps = range(*bounds)
    reader.steps += (steps[-1] - steps[0]) // steps.step + 1 if steps else 0  # `len` overflows
    if reader.steps > MOST_STEPS:
        raise TooLarge(f"more than {MOST_STEPS:,} steps of comprehensions")
    for value in steps:
        reader.scope[loop.name] = reader.graph.constant(value)
        found += _loop(reader, node, depth + 1)
    reader.scope.pop(loop.name, None)
    if outer is not None:
        reader.scope[loop.name] = outer
    return found


def subscript(reader: Reader, node: Subscript) -> int:
    base = reader.value(node.base)
    index = tuple(_index(reader, item) for item in node.indices)
    try:
        _bound(reader, reader.shape(base), index)
        return reader.graph.index(base, index)
    except (IndexError, ValueError):  # outside, or a step of 0
        shown = ", ".join(map(_shown, index))
        reader.refuse(
            node.place,
            f"the index [{shown}] of an array of shape {list(reader.shape(base))}",
            "an index inside the array",
            "correct the index or the shape",
        )


def _bound(reader: Reader, shape: Shape, index: tuple[Any, ...]) -> None:
    """Lists as indices repeat entries: their result must not pass the limit either."""
    lists = [i.shape for i in index if isinstance(i, np.ndarray)]
    if lists:
        one_of_each = tuple(slice(1) if isinstance(i, np.ndarray) else i for i in index)
        left = np.broadcast_to(np.zeros(()), shape)[one_of_each].size
        chosen = math.prod(np.broadcast_shapes(*lists)) * left
        reader.graph.spend(math.prod(bounded((chosen,))) // 128)


def _index(reader: Reader, item: Any) -> Any:
    if item is ...:
        return item
    if isinstance(item, Slice):
        return slice(
            *(part and reader.integer(part) for part in (item.start, item.stop, item.step))
        )
    node = reader.value(item)
    whole = reader.integers(node)
    if None in whole:
        reader.refuse(
            item.place,
            "an index that is no constant integer",
            "a constant integer",
            "write one",
        )
    shape = reader.shape(node)
    return np.array(whole, dtype=int).reshape(shape) if shape else whole[0]


def _shown(index: Any) -> str:
    if isinstance(index, slice):
        parts = ["" if part is None else str(part) for part in (index.start, index.stop)]
        return ":".join(parts if index.step is None else [*parts, str(index.step)])
    if isinstance(index, np.ndarray):
        return str(index.tolist())
    return "..." if index is ... else str(index)
