"""What a single value of a case may be: how each is read, and what editors are told of it.

Each check takes YAML as written and refuses in our words; they run inside pydantic, which gathers
what they refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from gradcheck.catalog.budget import (
    BUDGET,
    MOST_DIMENSIONS,
    MOST_ELEMENTS,
    MOST_IN_A_DIMENSION,
    Budget,
    Spent,
)
from gradcheck.catalog.domain import DOMAIN_NAMES, INTERVALS, Domain, parse_domain
from gradcheck.catalog.expressions import (
    Block,
    Written,
    read_block,
    read_choice,
    read_constant,
    read_expression,
)
from gradcheck.catalog.problems import not_judged, refuse
from gradcheck.catalog.yaml_document import Items, Yaml, YamlScalar, describe, inside, place_inside
from gradcheck.dtypes import DTYPES, LATER_DTYPES
from gradcheck.errors import ExpressionError
from gradcheck.spelling import nearest


@dataclass(frozen=True, slots=True, eq=False)  # hashable: typing puts annotations in sets
class Reader:
    """Reads a value by ``function`` alone; ``schema`` is what editors are told of it.

    Where that ``costs``, the function is given the file's budget too.

    Unlike pydantic's PlainValidator it does not look into the annotated type, which here holds
    whole syntax trees.
    """

    function: Callable[..., Any]
    schema: dict[str, Any]
    costs: bool = False

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        if self.costs:
            return core_schema.with_info_plain_validator_function(
                lambda value, info: self.function(value, info.context)
            )
        return core_schema.no_info_plain_validator_function(self.function)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(self.schema)


def read_text(value: Yaml) -> YamlScalar:
    if isinstance(value, YamlScalar) and value.kind == "text" and value.text.strip():
        return value
    fix = "quote it" if isinstance(value, YamlScalar) and value.kind != "null" else "write a text"
    raise refuse((value.place, describe(value), "a text", fix))


def read_line(value: Yaml) -> YamlScalar:
    scalar = read_text(value)
    if "\n" in scalar.text.strip():
        place = place_inside(scalar, (2, 1))
        raise refuse((place, "a second line", "a text of one line", "shorten it to one line"))
    return scalar


def read_domain(value: Yaml, budget: Budget) -> Domain:
    if not isinstance(value, YamlScalar) or value.kind != "text":
        expected = "a domain such as real or (0, 1)"
        fix = 'quote an interval, as in "(0, 1)": a comma ends a bare text'
        raise refuse((value.place, describe(value), expected, fix))
    try:
        domain = parse_domain(value.text, budget.spend)
    except Spent:
        fix = "write shorter ends, or split the file"
        raise refuse((value.place, "domains that take too long to read", BUDGET, fix)) from None
    except ExpressionError as error:
        raise refuse(inside(value, error)) from None
    if domain.complex:
        raise refuse(not_judged(value.place, "a complex domain", "a real domain"))
    return domain


def read_integer(lowest: int, highest: int, expected: str = "") -> Callable[[Yaml], int]:
    """The check for an integer in that range; ``expected`` may say it in better words."""
    expected = expected or f"an integer from {lowest} to {highest:,}"

    def read(value: Yaml) -> int:
        if isinstance(value, YamlScalar) and value.kind == "integer" and len(value.text) < 16:
            number = int(value.text, 0 if value.text[:2] in ("0o", "0x") else 10)
            if lowest <= number <= highest:
                return number
        raise refuse((value.place, describe(value), expected, "write such an integer"))

    return read


def read_word(
    what: str, known: tuple[str, ...], later: tuple[str, ...] = ()
) -> Callable[[Yaml], str]:
    """The check for one of the ``known`` words; a ``later`` one is refused with that reason."""
    expected = f"one of {', '.join(known)}"

    def read(value: Yaml) -> str:
        word = value.text if isinstance(value, YamlScalar) else ""
        if word in known:
            return word
        if word in later:
            raise refuse(not_judged(value.place, f"the {what} {word}", expected))
        found = f"the unknown {what} {word!r}" if word else describe(value)
        raise refuse((value.place, found, expected, nearest(word, known, "choose one of these")))

    return read


def read_shape(value: Yaml) -> tuple[int, ...]:
    if not isinstance(value, Items):
        expected = "a list of dimensions, [] for a single number"
        raise refuse((value.place, describe(value), expected, "write it like [2, 3]"))
    check = read_integer(0, MOST_IN_A_DIMENSION)
    shape: list[int] = []
    for item in value:
        shape.append(check(item))
    if len(shape) > MOST_DIMENSIONS or _elements(shape) > MOST_ELEMENTS:
        found = f"the shape {shape}, a tensor of {_elements(shape):,} elements"
        expected = f"at most {MOST_ELEMENTS:,} elements in {MOST_DIMENSIONS} dimensions"
        raise refuse((value.place, found, expected, "make the shape smaller"))
    return tuple(shape)


def _elements(shape: list[int]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product


def read_reference(value: Yaml) -> YamlScalar:
    scalar = read_text(value)
    if _REFERENCE.fullmatch(scalar.text):
        return scalar
    raise refuse(
        (
            scalar.place,
            describe(scalar),
            "package.module:attribute",
            "write the module, a colon, and the name in it, as in my_package.ops:swish",
        )
    )


_REFERENCE = re.compile(
    r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII
)


def read_tag(value: Yaml) -> YamlScalar:
    scalar = read_text(value)
    if not _TAG.fullmatch(scalar.text):
        expected = "a word of ASCII letters, digits and underscores"
        raise refuse((scalar.place, describe(scalar), expected, "rename the tag"))
    return scalar


_TAG = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def read_order(value: Yaml) -> int:
    order = read_integer(1, 3, "1 or 2")(value)
    if order == 3:
        raise refuse(not_judged(value.place, "order 3", "1 or 2"))
    return order


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


Text = Annotated[YamlScalar, Reader(read_text, _TEXT)]
Line = Annotated[YamlScalar, Reader(read_line, _TEXT)]
Reference = Annotated[
    YamlScalar, Reader(read_reference, {"type": "string", "pattern": r"^[\w.]+:[\w.]+$"})
]
Tag = Annotated[YamlScalar, Reader(read_tag, {"type": "string", "pattern": r"^[A-Za-z_]\w*$"})]
Expression = Annotated[Written, Reader(read_expression, _NUMBER_OR_TEXT)]
Formula = Annotated[Block, Reader(read_block(2, MOST_ELEMENTS), _FORMULA)]
Numbers = Annotated[Block, Reader(read_block(64, 16 * MOST_ELEMENTS), {NAMED: "Numbers"})]
Data = Annotated[object, Reader(read_constant, {NAMED: "Data"})]
Choice = Annotated[YamlScalar, Reader(read_choice, _CHOICE)]
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
