"""Lists, comprehensions and indices in a formula."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.graph.arrays import Array, array_of, bounded, stacked
from gradcheck.graph.integers import integer, small_integer
from gradcheck.graph.tape import TooLarge
from gradcheck.language.nodes import Comprehension, Sequence, Slice, Subscript

if TYPE_CHECKING:
    from gradcheck.graph.unroll import Unroller

MOST_STEPS = 65_536
"""Of the comprehensions of one text, nested loops multiplied."""


def sequence(reader: Unroller, node: Sequence) -> Array:
    return _listed(reader, [reader.value(item) for item in node.items])


def comprehension(reader: Unroller, node: Comprehension) -> Array:
    return _listed(reader, bodies(reader, node))


def _listed(reader: Unroller, parts: list[Array]) -> Array:
    result = stacked(parts, 0)
    reader.tape.spend(result.size // 8)
    return result


def bodies(reader: Unroller, node: Comprehension) -> list[Array]:
    """All bodies of a comprehension in one flat list, as in Python."""
    outer, reader.steps = reader.steps, 0
    found = _loop(reader, node, 0)
    reader.steps = outer
    return found


def _loop(reader: Unroller, node: Comprehension, depth: int) -> list[Array]:
    """The bodies from one level of ``for`` on."""
    if depth == len(node.loops):
        return [reader.value(node.body)]
    loop = node.loops[depth]
    bounds = [integer(reader, bound) for bound in loop.bounds]
    if len(bounds) == 3 and bounds[2] == 0:
        reader.refuse(node.place, "range with step 0", "a step that is not 0", "write 1")
    outer = reader.scope.get(loop.name)
    found: list[Array] = []
    for value in range(*bounds):
        reader.steps += 1
        if reader.steps > MOST_STEPS:
            raise TooLarge(f"more than {MOST_STEPS:,} steps of comprehensions")
        reader.scope[loop.name] = array_of(Fraction(value))
        found += _loop(reader, node, depth + 1)
    reader.scope.pop(loop.name, None)
    if outer is not None:
        reader.scope[loop.name] = outer
    return found


def subscript(reader: Unroller, node: Subscript) -> Array:
    base = reader.value(node.base)
    index = tuple(_index(reader, item) for item in node.indices)
    try:
        _bound(reader, base, index)
        return array_of(base[index])
    except (IndexError, ValueError):  # outside, or a step of 0
        shown = ", ".join(map(_shown, index))
        reader.refuse(
            node.place,
            f"the index [{shown}] of an array of shape {list(base.shape)}",
            "an index inside the array",
            "correct the index or the shape",
        )


def _bound(reader: Unroller, base: Array, index: tuple[Any, ...]) -> None:
    """Lists as indices repeat entries: their result must not pass the limit either."""
    lists = [i.shape for i in index if isinstance(i, np.ndarray)]
    if lists:
        one_of_each = tuple(slice(1) if isinstance(i, np.ndarray) else i for i in index)
        chosen = math.prod(np.broadcast_shapes(*lists)) * base[one_of_each].size
        reader.tape.spend(math.prod(bounded((chosen,))) // 8)


def _index(reader: Unroller, item: Any) -> Any:
    if item is ...:
        return item
    if isinstance(item, Slice):
        return slice(
            *(part and integer(reader, part) for part in (item.start, item.stop, item.step))
        )
    value = reader.value(item)
    whole = [small_integer(entry) for entry in value.flat]
    if None in whole:
        reader.refuse(
            item.place,
            "an index that is no constant integer",
            "a constant integer",
            "write one",
        )
    return whole[0] if value.ndim == 0 else np.array(whole, dtype=int).reshape(value.shape)


def _shown(index: Any) -> str:
    if isinstance(index, slice):
        parts = ["" if part is None else str(part) for part in (index.start, index.stop)]
        return ":".join(parts if index.step is None else [*parts, str(index.step)])
    if isinstance(index, np.ndarray):
        return str(index.tolist())
    return "..." if index is ... else str(index)
