"""Expressions in a case: one, or lists of them, each with the scalar that it was read from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from pydantic_core import PydanticCustomError

from gradcheck.catalog.complaints import Complaint, complaints_of, refuse
from gradcheck.catalog.document import Items, Pairs, Scalar, Yaml, describe, place_inside
from gradcheck.errors import ExpressionError
from gradcheck.language.nodes import Literal, Node, Place, Sequence, Unary
from gradcheck.language.parse import parse


@dataclass(frozen=True, slots=True)
class Written:
    """An expression with the scalar that it was read from."""

    tree: Node
    scalar: Scalar


@dataclass(frozen=True, slots=True)
class Block:
    """A number, a list or a list of lists of expressions, as one tree.

    ``leaves`` are the expressions in it; ``place`` is where it begins.
    """

    tree: Node
    leaves: tuple[Written, ...]
    place: Place


def read_expression(value: Yaml) -> Written:
    """One expression: a text, or a number as it is written."""
    if not isinstance(value, Scalar) or value.kind in ("null", "boolean"):
        raise refuse((value.place, describe(value), "an expression", _expression_fix(value)))
    if value.kind == "number" and value.text.lower().lstrip("+-") in (".inf", ".nan"):
        fix = "write inf in a text" if "inf" in value.text.lower() else "remove it"
        raise refuse((value.place, f"the number {value.text}", "an exact number", fix))
    text = value.text.rstrip()
    if value.kind == "integer":  # 007 is an integer to YAML, and a mistake to Python
        text = re.sub(r"^([-+]?)0+(?=\d)", r"\1", text)
    if _SHORT_NUMBER.fullmatch(text):  # most expressions are; the grammar would say the same
        return Written(_number(text), value)
    try:
        return Written(parse(text), value)
    except ExpressionError as error:
        raise refuse(_mistake(value, error)) from None


_SHORT_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?")


@lru_cache(maxsize=2048)
def _number(text: str) -> Node:
    if text[0] == "-":
        return Unary("-", Literal(Fraction(text[1:]), (1, 2)), (1, 1))
    return Literal(Fraction(text), (1, 1))


def _expression_fix(value: Yaml) -> str:
    if isinstance(value, Pairs):
        return "quote a text that holds a brace or ': '"
    if isinstance(value, Items):
        return "quote a text that begins with a bracket"
    return "write one" if value.kind == "null" else "write 1 or 0, or a comparison"


def _mistake(scalar: Scalar, error: ExpressionError) -> Complaint:
    cut = not scalar.style and any(
        scalar.text.count(left) != scalar.text.count(right) for left, right in ("()", "[]")
    )
    fix = "close the bracket; in a YAML list or map, quote an expression with a comma"
    return (
        place_inside(scalar, error.place),
        error.found,
        error.expected,
        fix if cut else error.fix,
    )


def read_block(depth: int, most: int) -> Callable[[Yaml], Block]:
    """The check for an expression, or at most ``most`` of them in lists at most ``depth`` deep."""

    def read(value: Yaml) -> Block:
        count = _count(value)
        if count > most:
            found, fix = f"a list of {count:,} entries", "make it smaller"
            raise refuse((value.place, found, f"at most {most:,}", fix))
        complaints: list[Complaint] = []
        leaves: list[Written] = []
        tree = _gather(value, depth, leaves, complaints)
        if complaints or tree is None:
            raise refuse(*complaints)
        return Block(tree, tuple(leaves), value.place)

    return read


def _count(value: Yaml) -> int:
    return sum(map(_count, value)) if isinstance(value, Items) else 1


def _gather(
    value: Yaml, depth: int, leaves: list[Written], complaints: list[Complaint]
) -> Node | None:
    if isinstance(value, Items) and depth > 0:
        items = [_gather(item, depth - 1, leaves, complaints) for item in value]
        return Sequence(tuple(item for item in items if item is not None), (1, 1))
    try:
        leaf = read_expression(value)
    except PydanticCustomError as error:
        complaints += complaints_of(error)
        return None
    leaves.append(leaf)
    return leaf.tree
