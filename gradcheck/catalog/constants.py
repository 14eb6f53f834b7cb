"""Constants and sweep values: exact numbers, booleans and texts, as plain Python values.

A number becomes a Fraction, and with a point a Pointed one, so that PyTorch can be given what the
author wrote: int64 for ``[1, 2]``, the dtype under test for ``[1.0, 2.0]``.
"""

from __future__ import annotations

import re
from fractions import Fraction

from gradcheck.catalog.budget import MOST_DIMENSIONS, MOST_ELEMENTS
from gradcheck.catalog.case import Pointed
from gradcheck.catalog.complaints import refuse
from gradcheck.catalog.document import Items, Scalar, Yaml, describe
from gradcheck.catalog.expressions import read_expression
from gradcheck.language.nodes import Literal, Node, Unary

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
        raise refuse((value.place, found, "either booleans or numbers", "write 1 and 0"))
    count = 1
    for length in shape:
        count *= length
    if count > MOST_ELEMENTS or len(shape) > MOST_DIMENSIONS:
        found = f"a list of {count:,} elements in {len(shape)} dimensions"
        expected = f"at most {MOST_ELEMENTS:,} elements in {MOST_DIMENSIONS} dimensions"
        raise refuse((value.place, found, expected, "make it smaller"))
    return _read_list(value)


def _shape_of(value: Yaml, kinds: set[str]) -> tuple[int, ...]:
    if isinstance(value, Scalar):
        kinds.add("boolean" if value.kind == "boolean" else "number")
        return ()
    if not isinstance(value, Items):
        return ()
    shapes = [_shape_of(item, kinds) for item in value]
    for item, shape in zip(value, shapes, strict=True):
        if shape != shapes[0]:
            found = f"an entry of shape {list(shape)} after one of shape {list(shapes[0])}"
            fix = "give every list as many entries"
            raise refuse((item.place, found, "a rectangular list", fix))
    return (len(value), *(shapes[0] if shapes else ()))


def _read_list(value: Items) -> list[Constant]:
    return [_read_list(item) if isinstance(item, Items) else _read_entry(item) for item in value]


def _read_entry(value: Yaml) -> Constant:
    if isinstance(value, Scalar):
        if value.kind == "boolean":
            return value.text.lower() == "true"
        if value.kind in ("integer", "number"):
            return read_number(value)
    fix = "write a decimal number" if isinstance(value, Scalar) and value.text else "write a number"
    raise refuse((value.place, describe(value), "a number, a boolean, or a list of them", fix))


def read_number(scalar: Scalar) -> Fraction:
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


def read_choice(value: Yaml) -> Scalar:
    """One value of a sweep: a number, a boolean, a text or null."""
    if isinstance(value, Scalar):
        if value.kind in ("integer", "number"):
            read_number(value)
        return value
    raise refuse(
        (value.place, describe(value), "a number, a boolean, a text or null", "write one value")
    )


def choice_of(scalar: Scalar) -> object:
    """What the scalar of a sweep stands for."""
    if scalar.kind == "null":
        return None
    return scalar.text if scalar.kind == "text" else _read_entry(scalar)
