"""NAME=VALUE pairs on the command line, and what their values mean."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from gradcheck.errors import UsageError

_KINDS = ("positive_definite", "symmetric", "invertible", "lower_triangular", "orthogonal")
_NEXT_PAIR = re.compile(r",(?=\s*[A-Za-z_]\w*\s*=(?!=))")


def pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE pairs; one text may hold several, separated by commas.

    Errors: UsageError for what is no pair, and for a name that comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        for part in _NEXT_PAIR.split(text):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not (name and equals and value):
                raise UsageError(
                    f"{option} {part}: no value for a name", "NAME=VALUE", f"write {option} x=..."
                )
            if name in found:
                raise UsageError(
                    f"{option} {part}: {name} for the second time",
                    "each name once",
                    "remove one of them",
                )
            found[name] = value
    return found


def declared(text: str) -> Any:
    """An input as the case format declares it, from DOMAIN, DOMAIN:SHAPE or KIND:SHAPE.

    ``real:3,3`` is the domain real and the shape [3, 3].
    """
    domain, colon, shape = text.rpartition(":")
    if not colon:
        domain, shape = text, ""
    sizes = [size.strip() for size in shape.split(",") if size.strip()]
    if not all(size.isascii() and size.isdigit() and len(size) < 6 for size in sizes):
        raise UsageError(
            f"--input ...={text}: {shape!r} is no shape",
            "dimensions separated by commas after the colon",
            "write --input A=real:3,3",
        )
    word = domain.strip() or "real"
    key = "kind" if word in _KINDS else "domain"
    return {key: word, "shape": [int(size) for size in sizes]}


def constant(name: str, text: str) -> Any:
    """A number, a boolean or nested lists of them, exactly as written.

    Errors: UsageError for anything else.
    """
    words = re.sub(r"\b(True|False)\b", lambda match: match[0].lower(), text)
    words = re.sub(r"(?<![\w.])\.(?=\d)", "0.", words)  # JSON has no .5
    try:
        value = json.loads(words, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse)
        return value if _is_data(value) else _refuse(text)
    except (ValueError, RecursionError, ArithmeticError):
        raise UsageError(
            f"--constant {name}={text[:40]}: not a constant",
            "a number, true, false, or nested lists of them",
            "write --constant k=3 or --constant 'index=[[0, 2], [1, 0]]'",
        ) from None


def _is_data(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_data, value))
    return isinstance(value, (bool, Decimal))


def _refuse(text: str) -> Any:
    raise ValueError(text)
