"""What a single value of a case may be: how each is read, and what editors are told of it.

Each check takes YAML as written, and refuses in words that its author knows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

from gradcheck.catalog.budget import BUDGET, Budget, Spent
from gradcheck.catalog.domain import DOMAIN_NAMES, INTERVALS, STRUCTURES, Domain, parse_domain
from gradcheck.catalog.expressions import (
    Written,
    read_block,
    read_choice,
    read_constant,
    read_expression,
)
from gradcheck.catalog.patterns import (
    DOMAIN_PATTERN,
    FORMULA_PATTERN,
    LINE_PATTERN,
    TEXT_PATTERN,
    call_pattern,
    torch_pattern,
)
from gradcheck.catalog.problems import Refused
from gradcheck.catalog.validation import Spot, ValueKind, plain_kind
from gradcheck.catalog.yaml_document import (
    Items,
    Pairs,
    Yaml,
    YamlScalar,
    describe,
    inside,
    place_inside,
)
from gradcheck.dtypes import DTYPES
from gradcheck.errors import ExpressionError
from gradcheck.graph.shapes import MOST_DIMENSIONS, MOST_ELEMENTS
from gradcheck.language.limits import MOST_CHARACTERS
from gradcheck.query import MOST_ORDER
from gradcheck.spelling import nearest


def read_words(value: Yaml) -> YamlScalar:
    if isinstance(value, YamlScalar) and value.kind == "text" and value.text.strip():
        return value
    fix = "quote it" if isinstance(value, YamlScalar) and value.kind != "null" else "write a text"
    raise Refused((value.place, describe(value), "a text", fix))


def read_line(value: Yaml) -> YamlScalar:
    scalar = read_words(value)
    if "\n" in scalar.text.strip():
        place = place_inside(scalar, (2, 1))
        raise Refused((place, "a second line", "a text of one line", "shorten it to one line"))
    return scalar


@dataclass(frozen=True, slots=True)
class SweptDomain:
    """A domain whose text names sweep values: each variant has its own."""

    scalar: YamlScalar
    names: frozenset[str]

    def at(self, values: Mapping[str, object], budget: Budget) -> Domain:
        """The domain for these values.

        Errors: Refused.
        """

        def number(name: re.Match[str]) -> str:
            value = values.get(name[0])
            return f"({value})" if isinstance(value, Fraction) else name[0]

        try:
            return parse_domain(_NAME.sub(number, self.scalar.text), budget.spend)
        except Spent:
            raise _too_long(self.scalar) from None
        except ExpressionError as error:
            raise Refused((self.scalar.place, error.found, error.expected, error.fix)) from None


_NAME = re.compile(r"\b[A-Za-z_]\w*", re.ASCII)


def read_domain(value: Yaml, spot: Spot) -> Domain | SweptDomain:
    if not isinstance(value, YamlScalar) or value.kind != "text":
        expected = "a domain such as real or (0, 1)"
        fix = 'quote an interval, as in "(0, 1)": a comma ends a bare text'
        raise Refused((value.place, describe(value), expected, fix))
    sweep = spot.reading.root.get("sweep") if isinstance(spot.reading.root, Pairs) else None
    if isinstance(sweep, Pairs):
        names = sweep.keys() & frozenset(_NAME.findall(value.text))
        if names:
            return SweptDomain(value, frozenset(names))
    try:
        return parse_domain(value.text, spot.reading.budget.spend)
    except Spent:
        raise _too_long(value) from None
    except ExpressionError as error:
        raise Refused(inside(value, error)) from None


def _too_long(value: YamlScalar) -> Refused:
    fix = "write shorter ends, or split the file"
    return Refused((value.place, "domains that take too long to read", BUDGET, fix))


def read_integer(lowest: int, highest: int, expected: str = "") -> Callable[[Yaml], int]:
    """The check for an integer in that range; ``expected`` may say it in better words."""
    expected = expected or f"an integer from {lowest} to {highest:,}"

    def read(value: Yaml) -> int:
        if isinstance(value, YamlScalar) and value.kind == "integer" and len(value.text) < 16:
            number = int(value.text, 0 if value.text[:2] in ("0o", "0x") else 10)
            if lowest <= number <= highest:
                return number
        raise Refused((value.place, describe(value), expected, "write such an integer"))

    return read


def read_word(what: str, known: tuple[str, ...]) -> Callable[[Yaml], str]:
    """The check for one of the ``known`` words."""
    expected = f"one of {', '.join(known)}"

    def read(value: Yaml) -> str:
        word = value.text if isinstance(value, YamlScalar) else ""
        if word in known:
            return word
        found = f"the unknown {what} {word!r}" if word else describe(value)
        raise Refused((value.place, found, expected, nearest(word, known, "choose one of these")))

    return read


MOST_IN_A_DIMENSION = 65_536
"""Of a tensor."""

Dimension = int | Written
"""A length, or an expression in sweep values."""


def read_shape(value: Yaml) -> tuple[Dimension, ...]:
    if not isinstance(value, Items):
        expected = "a list of dimensions, [] for a single number"
        raise Refused((value.place, describe(value), expected, "write it like [2, 3]"))
    shape = tuple(map(_read_dimension, value))
    fault = fault_of_shape([length for length in shape if isinstance(length, int)])
    if fault:
        raise Refused((value.place, *fault))
    return shape


def _read_dimension(value: Yaml) -> Dimension:
    if isinstance(value, YamlScalar) and value.kind == "text":
        return read_expression(value)
    return _LENGTH(value)


_LENGTH = read_integer(0, MOST_IN_A_DIMENSION)


def fault_of_shape(shape: Sequence[int]) -> tuple[str, str, str] | None:
    """What is found, expected and to be done, of a shape that no tensor may have."""
    elements = math.prod(shape)
    if len(shape) <= MOST_DIMENSIONS and elements <= MOST_ELEMENTS:
        return None
    found = f"the shape {list(shape)}, a tensor of {elements:,} elements"
    expected = f"at most {MOST_ELEMENTS:,} elements in {MOST_DIMENSIONS} dimensions"
    return found, expected, "make the shape smaller"


def read_reference(value: Yaml) -> YamlScalar:
    scalar = read_words(value)
    if _REFERENCE.fullmatch(scalar.text):
        return scalar
    raise Refused(
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
    scalar = read_words(value)
    if not _TAG.fullmatch(scalar.text):
        expected = "a word of ASCII letters, digits and underscores"
        raise Refused((scalar.place, describe(scalar), expected, "rename the tag"))
    return scalar


_TAG = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def read_order(value: Yaml) -> int:
    return read_integer(1, MOST_ORDER, "1, 2 or 3")(value)


_TEXT = {"type": "string", "pattern": TEXT_PATTERN}
_LISTS = {"type": "array", "items": {"$ref": "#/definitions/Numbers"}}


def _expression(pattern: str, language: str, examples: list[str]) -> dict[str, Any]:
    """Of a number or a text; ``patternErrorMessage`` is what editors say instead of the pattern."""
    return {
        "type": ["number", "string"],
        "pattern": pattern,
        "patternErrorMessage": f"no expression of the {language}",
        "maxLength": MOST_CHARACTERS,
        "examples": examples,
    }


_EXPRESSION = {"$ref": "#/definitions/Expression"}
DEFINITIONS = {
    "Expression": {
        **_expression(FORMULA_PATTERN, "formula language", ["3*x**2", "exp(x) / (1 + exp(x))"]),
        "description": "an expression of the formula language, or a number",
    },
    "TorchExpression": {
        **_expression(torch_pattern(), "torch language", ["torch.exp(x)", "x.softmax(-1)"]),
        "description": "an expression of the torch language: PyTorch's functions and methods",
    },
    "Numbers": {
        "anyOf": [_EXPRESSION, _LISTS],
        "description": "a number, or nested lists of them",
    },
    "Data": {
        "anyOf": [
            {"type": ["number", "boolean"]},
            {"type": "array", "items": {"$ref": "#/definitions/Data"}},
        ],
        "description": "a number, a boolean, or nested lists of them",
    },
}
"""Schemas that refer to themselves."""

_DOMAIN = {
    "type": "string",
    "pattern": DOMAIN_PATTERN,
    "patternErrorMessage": "no domain: real, positive, complex, an interval such as (0, 1), ...",
    "anyOf": [{"enum": list(DOMAIN_NAMES)}, {"pattern": INTERVALS}],
    "examples": [
        *(*DOMAIN_NAMES, "(0, 1)", "[-pi/2, pi/2]", "(-inf, 0) | (0, inf)"),
        *("complex - (-inf, 0]", "|z| < 1", "im > 0"),
    ],
}
_FORMULA: dict[str, Any] = {
    "anyOf": [
        _EXPRESSION,
        {
            "type": "array",
            "items": {"anyOf": [_EXPRESSION, {"type": "array", "items": _EXPRESSION}]},
        },
    ]
}
_CHOICE = {"type": ["number", "boolean", "string", "null"], "pattern": TEXT_PATTERN}
_SHAPE = {
    "type": "array",
    "maxItems": MOST_DIMENSIONS,
    "items": {
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": MOST_IN_A_DIMENSION},
            {"type": "string", "pattern": FORMULA_PATTERN},
        ]
    },
}


def _words(words: tuple[str, ...]) -> dict[str, Any]:
    return {"type": "string", "enum": list(words)}


TEXT = plain_kind(read_words, _TEXT)
LINE = plain_kind(read_line, {"type": "string", "pattern": LINE_PATTERN})
REFERENCE = plain_kind(read_reference, {"type": "string", "pattern": f"^(?:{_REFERENCE.pattern})$"})
TAG = plain_kind(read_tag, {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"})
EXPRESSION = plain_kind(read_expression, _EXPRESSION)
TORCH = plain_kind(read_expression, {"$ref": "#/definitions/TorchExpression"})
CALLING = plain_kind(
    partial(read_expression, dictionaries=True), {"type": "string", "pattern": call_pattern()}
)
FORMULA = plain_kind(read_block(2), _FORMULA)
NUMBERS = plain_kind(read_block(64), {"$ref": "#/definitions/Numbers"})
DATA = plain_kind(read_constant, {"$ref": "#/definitions/Data"})
CHOICE = plain_kind(read_choice, _CHOICE)
DOMAIN = ValueKind(read_domain, _DOMAIN)
SHAPE = plain_kind(read_shape, _SHAPE)
STRUCTURE = plain_kind(read_word("kind", STRUCTURES), _words(STRUCTURES))
DTYPE = plain_kind(read_word("dtype", tuple(DTYPES)), _words(tuple(DTYPES)))
ORDER = plain_kind(read_order, {"type": "integer", "minimum": 1, "maximum": MOST_ORDER})


def _read_boolean(value: Yaml) -> bool:
    if isinstance(value, YamlScalar) and value.kind == "boolean":
        return value.text.strip().lower() == "true"
    raise Refused((value.place, describe(value), "true or false", "write true"))


BOOLEAN = plain_kind(_read_boolean, {"type": "boolean"})
ULPS = plain_kind(read_integer(1, 10**15, "a positive integer"), {"type": "integer", "minimum": 1})
