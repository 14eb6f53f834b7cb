"""Constant integers in a formula: its bounds, sizes, indices, orders and integer powers."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from gradcheck.graph.arrays import Misuse
from gradcheck.language.nodes import Node

if TYPE_CHECKING:
    from gradcheck.graph.unroll import Unroller

LARGEST_INTEGER = 2**31 - 1


def integer(reader: Unroller, tree: Node) -> int:
    """The constant integer that ``tree`` is; refused where it is none."""
    value = reader.value(tree)
    whole = small_integer(value[()]) if value.shape == () else None
    if whole is None:
        reader.refuse(tree.place, "no constant integer", "a constant integer", "write one")
    return whole


def small_integer(value: object) -> int | None:
    """The integer that a constant is, if it can be a size or an index.

    Errors: Misuse for an integer that is too large for either.
    """
    whole = integer_or_none(value)
    if whole is not None and abs(whole) > LARGEST_INTEGER:
        raise Misuse("a huge integer", f"at most {LARGEST_INTEGER:,}")
    return whole


def integer_or_none(value: object) -> int | None:
    if isinstance(value, Fraction) and value.denominator == 1:
        return int(value)
    return None
