"""The text of an expression: the limits that it keeps, and the place of an offset in it."""

from __future__ import annotations

import re

from gradcheck.errors import ExpressionError
from gradcheck.language.nodes import Place

MOST_CHARACTERS = 10_000
DEEPEST_NESTING = 64
LONGEST_CHAIN = 200
MOST_DIGITS = 10_000
MOST_WRITTEN_DIGITS = 4_300  # as Python itself reads them

_SIGNS = {
    "*": "\u00b7\u00d7\u2219\u22c5\u2217",
    "-": "\u2212\u2013\u2014",
    "/": "\u00f7\u2215",
    "**2": "\u00b2",
    "**3": "\u00b3",
    "pi": "\u03c0",
    "inf": "\u221e",
    "<=": "\u2264",
    ">=": "\u2265",
    "!=": "\u2260",
    "sqrt(x)": "\u221a",
    "1/2": "\u00bd",
    "sum([... for i in range(n)])": "\u2211\u03a3",
    "a straight quote": "\u2018\u2019\u201c\u201d",
    "a blank": "\u00a0\u2009\u202f",
}
_WRITTEN = {sign: f"write {text}" for text, signs in _SIGNS.items() for sign in signs}
"""What to write for signs of mathematics."""
_OTHER_CHARACTER = "write it with the names of the formula language (pi, sqrt, x**2, ...)"


def limit(text: str) -> None:
    """Refuse a text that is empty, too long, not ASCII, too deep, or has too many digits."""
    if not text.strip():
        raise ExpressionError((1, 1), "an empty expression", "an expression", "write one")
    if len(text) > MOST_CHARACTERS:
        raise ExpressionError(
            (1, 1),
            f"an expression of {len(text):,} characters",
            f"at most {MOST_CHARACTERS:,}",
            "split it into intermediate results under 'let'",
        )
    odd = re.search(r"[^\x20-\x7e\n\r\t]|#", text)
    if odd:
        raise ExpressionError(
            place_at(text, odd.start()),
            f"the character {odd.group()!r}",
            "ASCII letters, digits and operators",
            _WRITTEN.get(odd.group(), _OTHER_CHARACTER),
        )
    for digits in re.finditer(r"[0-9_]+", text):
        if len(digits.group().replace("_", "")) > MOST_WRITTEN_DIGITS:
            raise too_many_digits(place_at(text, digits.start()), MOST_WRITTEN_DIGITS)
    if sum(map(text.count, "([{")) > DEEPEST_NESTING:
        _limit_nesting(text)


def _limit_nesting(text: str) -> None:
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth > DEEPEST_NESTING:
            raise too_deep(place_at(text, position))


def too_deep(place: Place) -> ExpressionError:
    return ExpressionError(
        place,
        f"nesting deeper than {DEEPEST_NESTING}",
        f"at most {DEEPEST_NESTING} levels",
        "split it into intermediate results under 'let'",
    )


def place_at(text: str, offset: int) -> Place:
    """Line and column of an offset, from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def too_many_digits(place: Place, most: int) -> ExpressionError:
    return ExpressionError(
        place,
        f"a number of more than {most:,} digits",
        f"at most {most:,} digits",
        "write a shorter number",
    )


def too_long_a_chain(place: Place, operators: int) -> ExpressionError:
    return ExpressionError(
        place,
        f"a chain of {operators} operators",
        f"at most {LONGEST_CHAIN}",
        "write sum([...]) or split it into intermediate results under 'let'",
    )
