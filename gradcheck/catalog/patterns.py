"""Regular expressions by which an editor marks a text that the loader is sure to refuse.

They take every text that is right, and some that are wrong: no pattern counts brackets. All are of
the syntax that Python and ECMA-262 share.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from functools import cache

from gradcheck.catalog.text import DIRECTION_MARKS
from gradcheck.graph.functions import FORMULA_FUNCTIONS, RESERVED
from gradcheck.language.torch_names import ATTRIBUTES, TORCH_DTYPES, allowed


def _words(names: Iterable[str]) -> str:
    return "|".join(sorted(names))


_GRAMMAR = {"and", "or", "not", "for", "in", "True", "False", "None"}
_NEVER = (
    *(r"[^\x00-\x7f]", r"[\^;`$?#~&\\]", "!(?!=)", "<<|>>", ":="),
    r"[(\[,]\s*\*",  # f(*x)
    r"\bin\s+(?!range\b)",  # a loop over anything else
    r"\b[fFbB][rR]?['\"]",  # f'{x}'
    rf"\b(?:{_words({*keyword.kwlist} - _GRAMMAR)})\b",
    r"(?:^|[^\w.])(?!0[xXoObB])\d+(?:\.\d*)?(?![eE][-+]?\d)[A-Za-z]",  # 2x
    *(r"^\s*(?:[*/)\],=<>@%]|\w+\s*=(?!=))", r"[-+*/(\[,@%<>=]\s*$"),
)
"""What no expression holds, begins with or ends with."""


def _calls_but(names: Iterable[str]) -> str:
    known = _words({*names, *_GRAMMAR, "range"})
    return rf"(?:^|[^\w.])(?!(?:{known})\s*\()[A-Za-z_]\w*\s*\("


def _attributes_but(names: Iterable[str]) -> str:
    return rf"[^\d\s]\.(?!(?:{_words(names)})\b)[A-Za-z_]"


def _without(*refused: str) -> str:
    """The pattern of a text that is not blank, and has none of these before a text in quotes."""
    return "^" + "".join(f"(?![^'\"]*(?:{each}))" for each in refused) + r"[\s\S]*\S"


def _torch_names() -> frozenset[str]:
    return allowed() | TORCH_DTYPES


@cache
def torch_pattern() -> str:
    """Of the torch language: whatever follows a point is one of PyTorch's names."""
    dotted = {part for name in _torch_names() for part in name.split(".")}
    attributes = _attributes_but({*dotted, *ATTRIBUTES})
    return _without(*_NEVER, r"[{}|]", _calls_but(()), attributes)


_FORMULA = (
    *_NEVER,
    "[{}]",
    "['\"]",
    _calls_but(FORMULA_FUNCTIONS),
    _attributes_but({"T", "shape"}),
)
FORMULA_PATTERN = _without(*_FORMULA, r"\|")
DOMAIN_PATTERN = _without(*_FORMULA)
"""In a domain `|` joins intervals, and stands around a magnitude."""


@cache
def call_pattern() -> str:
    """Of a call of the user's function ``f``: of PyTorch it holds what the torch language has."""
    below_torch = _words({name.split(".")[1] for name in _torch_names()})
    return _without(*_NEVER, _calls_but({"f"}), r"\._", rf"\btorch\.(?!(?:{below_torch})\b)")


NAME_PATTERN = rf"^(?!(?:{_words({*keyword.kwlist})})$)[A-Za-z_][A-Za-z0-9_]*$"
OWN_NAME_PATTERN = (
    rf"^(?!(?:{_words({*keyword.kwlist, *(RESERVED - {'e'}), 'torch'})})$)[A-Za-z_][A-Za-z0-9_]*$"
)
"""Of an input, a constant and their like: what neither language has already."""
TEXT_PATTERN = rf"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f{DIRECTION_MARKS}]*$"
"""Of words for people: without characters that steer a terminal."""
LINE_PATTERN = rf"^\s*[^\x00-\x08\x0a-\x1f\x7f-\x9f{DIRECTION_MARKS}]*\s*$"
"""Of one line of such words."""
