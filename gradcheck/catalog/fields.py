"""What a single value of a case may be: each check takes YAML as written and refuses in our words.

The checks run inside pydantic, which calls them and gathers what they refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gradcheck.catalog.budget import (
    BUDGET,
    MOST_DIMENSIONS,
    MOST_ELEMENTS,
    MOST_IN_A_DIMENSION,
    Budget,
    Spent,
)
from gradcheck.catalog.complaints import not_judged, refuse
from gradcheck.catalog.document import Items, Scalar, Yaml, describe, inside, place_inside
from gradcheck.catalog.domain import Domain, parse_domain
from gradcheck.errors import ExpressionError
from gradcheck.spelling import nearest


def read_text(value: Yaml) -> Scalar:
    if isinstance(value, Scalar) and value.kind == "text" and value.text.strip():
        return value
    fix = "quote it" if isinstance(value, Scalar) and value.kind != "null" else "write a text"
    raise refuse((value.place, describe(value), "a text", fix))


def read_line(value: Yaml) -> Scalar:
    scalar = read_text(value)
    if "\n" in scalar.text.strip():
        place = place_inside(scalar, (2, 1))
        raise refuse((place, "a second line", "a text of one line", "shorten it to one line"))
    return scalar


def read_domain(value: Yaml, budget: Budget) -> Domain:
    if not isinstance(value, Scalar) or value.kind != "text":
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
        if isinstance(value, Scalar) and value.kind == "integer" and len(value.text) < 16:
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
        word = value.text if isinstance(value, Scalar) else ""
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


def read_reference(value: Yaml) -> Scalar:
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


def read_tag(value: Yaml) -> Scalar:
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
