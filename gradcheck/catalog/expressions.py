"""Expressions in a case: one, or lists of them, each with the scalar that it was read from.

Constants and sweep values too, as plain Python values: exact numbers, booleans and texts. A number
becomes a Fraction, and with a point a Pointed one, so that PyTorch can be given what the author
wrote: int64 for ``[1, 2]``, the dtype under test for ``[1.0, 2.0]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from gradcheck.catalog.problems import Complaint, Refused
from gradcheck.catalog.yaml_document import Items, Pairs, Yaml, YamlScalar, describe, place_inside
from gradcheck.errors import ExpressionError
from gradcheck.graph.shapes import MOST_DIMENSIONS, MOST_ELEMENTS
from gradcheck.language.nodes import Literal, Node, Place, Pointed, Sequence, Unary
from gradcheck.language.parse import parse


@dataclass(frozen=True, slots=True)
class Written:
    """An expression with the scalar that it was read from."""

    tree: Node
    scalar: YamlScalar


@dataclass(frozen=True, slots=True)
class Block:
    """A number, a list or a list of lists of expressions, as one tree.

    ``leaves`` are the expressions in it; ``place`` is where it begins.
    """

    tree: Node
    leaves: tuple[Written, ...]
    place: Place


def read_expression(value: Yaml, *, dictionaries: bool = False) -> Written:
    """One expression: a text, or a number as it is written."""
    if not isinstance(value, YamlScalar) or value.kind in ("null", "boolean"):
        raise Refused((value.place, describe(value), "an expression", _expression_fix(value)))
    if value.kind == "number" and value.text.lower().lstrip("+-") in (".inf", ".nan"):
        fix = "write inf in a text" if "inf" in value.text.lower() else "remove it"
        raise Refused((value.place, f"the number {value.text}", "an exact number", fix))
    text = value.text.rstrip()
    if value.kind == "integer":  # 007 is an integer to YAML, and a mistake to Python
        text = re.sub(r"^([-+]?)0+(?=\d)", r"\1", text)
    if _SHORT_NUMBER.fullmatch(text):  # most expressions are; the grammar would say the same
        return Written(_number(text), value)
    try:
        return Written(parse(text, dictionaries=dictionaries), value)
    except ExpressionError as error:
        raise Refused(_mistake(value, error)) from None


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


def _mistake(scalar: YamlScalar, error: ExpressionError) -> Complaint:
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


def read_block(depth: int) -> Callable[[Yaml], Block]:
    """The check for an expression, or for lists of them that are at most ``depth`` deep."""

    def read(value: Yaml) -> Block:
        complaints: list[Complaint] = []
        leaves: list[Written] = []
        tree = _gather(value, depth, leaves, complaints)
        if complaints or tree is None:
            raise Refused(*complaints)
        return Block(tree, tuple(leaves), value.place)

    return read


def _gather(
    value: Yaml, depth: int, leaves: list[Written], complaints: list[Complaint]
) -> Node | None:
    if isinstance(value, Items) and depth > 0:
        items = [_gather(item, depth - 1, leaves, complaints) for item in value]
        return Sequence(tuple(item for item in items if item is not None), (1, 1))
    try:
        leaf = read_expression(value)
    except Refused as refused:
        complaints += refused.complaints
        return None
    leaves.append(leaf)
    return leaf.tree


Constant = bool | Fraction | list["Constant"]
_SMALL = re.compile(r"[-+]?[0-9]{1,15}")


def read_constant(value: Yaml) -> Constant:
    """A number, a boolean, or a rectangular nested list of one of the two."""
    if not isinstance(value, Items):
        return _read_entry(value)
    kinds: set[str] = set()
    shape = _shape_of(value, kinds)
    if "boolean" in kinds and len(kinds) > 1:
        found = "a list of booleans and numbers"
        raise Refused((value.place, found, "either booleans or numbers", "write 1 and 0"))
    count = 1
    for length in shape:
        count *= length
    if count > MOST_ELEMENTS or len(shape) > MOST_DIMENSIONS:
        found = f"a list of {count:,} elements in {len(shape)} dimensions"
        expected = f"at most {MOST_ELEMENTS:,} elements in {MOST_DIMENSIONS} dimensions"
        raise Refused((value.place, found, expected, "make it smaller"))
    return _read_list(value)


def _shape_of(value: Yaml, kinds: set[str]) -> tuple[int, ...]:
    if isinstance(value, YamlScalar):
        kinds.add("boolean" if value.kind == "boolean" else "number")
        return ()
    if not isinstance(value, Items):
        return ()
    shapes = [_shape_of(item, kinds) for item in value]
    for item, shape in zip(value, shapes, strict=True):
        if shape != shapes[0]:
            found = f"an entry of shape {list(shape)} after one of shape {list(shapes[0])}"
            fix = "give every list as many entries"
            raise Refused((item.place, found, "a rectangular list", fix))
    return (len(value), *(shapes[0] if shapes else ()))


def _read_list(value: Items) -> list[Constant]:
    return [_read_list(item) if isinstance(item, Items) else _read_entry(item) for item in value]


def _read_entry(value: Yaml) -> Constant:
    if isinstance(value, YamlScalar):
        if value.kind == "boolean":
            return value.text.lower() == "true"
        if value.kind in ("integer", "number"):
            return _read_number(value)
    fix = (
        "write a decimal number"
        if isinstance(value, YamlScalar) and value.text
        else "write a number"
    )
    raise Refused((value.place, describe(value), "a number, a boolean, or a list of them", fix))


def _read_number(scalar: YamlScalar) -> Fraction:
    """The exact number."""
    if _SMALL.fullmatch(scalar.text):
        exact = Fraction(int(scalar.text))
    else:
        exact = _fold(read_expression(scalar).tree)
    return Pointed(exact) if scalar.kind == "number" else exact


def _fold(tree: Node) -> Fraction:
    if isinstance(tree, Unary):
        inner = _fold(tree.operand)
        return -inner if tree.operator == "-" else inner
    assert isinstance(tree, Literal), "YAML's numbers are literals with a sign"
    return Fraction(tree.value or 0)


def read_choice(value: Yaml) -> YamlScalar:
    """One value of a sweep: a number, a boolean, a text or null."""
    if isinstance(value, YamlScalar):
        if value.kind in ("integer", "number"):
            _read_number(value)
        return value
    raise Refused(
        (value.place, describe(value), "a number, a boolean, a text or null", "write one value")
    )


def choice_of(scalar: YamlScalar) -> object:
    """What the scalar of a sweep stands for."""
    if scalar.kind == "null":
        return None
    return scalar.text if scalar.kind == "text" else _read_entry(scalar)
