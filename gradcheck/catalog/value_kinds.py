"""What kinds of values a case has: how each is read, and what editors are told of it."""

from __future__ import annotations

from typing import Annotated, Any

from gradcheck.catalog.annotation import Reader
from gradcheck.catalog.budget import MOST_ELEMENTS, MOST_IN_A_DIMENSION
from gradcheck.catalog.constants import read_choice, read_constant
from gradcheck.catalog.document import Scalar
from gradcheck.catalog.domain import DOMAIN_NAMES, INTERVALS, Domain
from gradcheck.catalog.expressions import Block, Written, read_block, read_expression
from gradcheck.catalog.fields import (
    read_domain,
    read_integer,
    read_line,
    read_order,
    read_reference,
    read_shape,
    read_tag,
    read_text,
    read_word,
)
from gradcheck.dtypes import DTYPES, LATER_DTYPES

KINDS = ("positive_definite", "symmetric", "invertible", "lower_triangular", "orthogonal")

NAMED = "x-definition"
"""Stands for a $ref until the schema is whole: pydantic knows only its own definitions."""

_TEXT = {"type": "string"}
_NUMBER_OR_TEXT = {"type": ["number", "string"]}
_LISTS = {"type": "array", "items": {"$ref": "#/definitions/Numbers"}}
NUMBERS = {"anyOf": [_NUMBER_OR_TEXT, _LISTS], "description": "a number, or nested lists of them"}
DATA = {
    "anyOf": [
        {"type": ["number", "boolean"]},
        {"type": "array", "items": {"$ref": "#/definitions/Data"}},
    ],
    "description": "a number, a boolean, or nested lists of them",
}
DOMAIN = {
    "type": "string",
    "anyOf": [{"enum": list(DOMAIN_NAMES)}, {"pattern": INTERVALS}],
    "examples": [*DOMAIN_NAMES, "(0, 1)", "[-pi/2, pi/2]", "(-inf, 0) | (0, inf)"],
}
_FORMULA = {
    "anyOf": [
        _NUMBER_OR_TEXT,
        {
            "type": "array",
            "items": {"anyOf": [_NUMBER_OR_TEXT, {"type": "array", "items": _NUMBER_OR_TEXT}]},
        },
    ]
}
_CHOICE = {"type": ["number", "boolean", "string", "null"]}
_SHAPE = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0, "maximum": MOST_IN_A_DIMENSION},
}


def _words(words: tuple[str, ...]) -> dict[str, Any]:
    return {"type": "string", "enum": list(words)}


Text = Annotated[Scalar, Reader(read_text, _TEXT)]
Line = Annotated[Scalar, Reader(read_line, _TEXT)]
Reference = Annotated[
    Scalar, Reader(read_reference, {"type": "string", "pattern": r"^[\w.]+:[\w.]+$"})
]
Tag = Annotated[Scalar, Reader(read_tag, {"type": "string", "pattern": r"^[A-Za-z_]\w*$"})]
Expression = Annotated[Written, Reader(read_expression, _NUMBER_OR_TEXT)]
Formula = Annotated[Block, Reader(read_block(2, MOST_ELEMENTS), _FORMULA)]
Numbers = Annotated[Block, Reader(read_block(64, 16 * MOST_ELEMENTS), {NAMED: "Numbers"})]
Data = Annotated[object, Reader(read_constant, {NAMED: "Data"})]
Choice = Annotated[Scalar, Reader(read_choice, _CHOICE)]
DomainText = Annotated[Domain, Reader(read_domain, DOMAIN, costs=True)]
Shape = Annotated[tuple[int, ...], Reader(read_shape, _SHAPE)]
Kind = Annotated[str, Reader(read_word("kind", KINDS), _words(KINDS))]
DtypeName = Annotated[
    str,
    Reader(
        read_word("dtype", tuple(DTYPES), LATER_DTYPES),
        _words((*DTYPES, *LATER_DTYPES)),
    ),
]
Order = Annotated[int, Reader(read_order, {"type": "integer", "minimum": 1, "maximum": 3})]
Ulps = Annotated[
    int, Reader(read_integer(1, 10**15, "a positive integer"), {"type": "integer", "minimum": 1})
]
