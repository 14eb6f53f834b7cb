"""What Python's grammar cannot read, or reads and we refuse, and how to mend the text."""

from __future__ import annotations

import ast
import re
from typing import NoReturn

from gradcheck.errors import ExpressionError
from gradcheck.language.limits import place_at, too_deep

REFUSED: dict[type[ast.AST], tuple[str, str, str]] = {
    ast.BitXor: ("'^'", "'**' for a power", "write x**2 for x to the power of 2"),
    ast.FloorDiv: ("'//'", "a division with '/'", "write floor(a / b)"),
    ast.Mod: ("'%'", "arithmetic by + - * / **", "write a - b*floor(a / b)"),
    ast.BitAnd: ("'&'", "'and' between conditions", "write 'and'"),
    ast.BitOr: ("'|'", "'or' between conditions", "write 'or'"),
    ast.Invert: ("'~'", "'not' before a condition", "write 'not'"),
    ast.LShift: ("'<<'", "arithmetic by + - * / **", "write a*2**n"),
    ast.RShift: ("'>>'", "arithmetic by + - * / **", "write floor(a / 2**n)"),
    ast.IfExp: ("'... if ... else ...'", "where(cond, a, b)", "write where(cond, a, b)"),
    ast.Lambda: ("'lambda'", "an expression", "write the function out"),
    ast.NamedExpr: ("':='", "an expression", "give the intermediate result a name under 'let'"),
    ast.Dict: ("a mapping", "numbers, lists and calls", "write a list"),
    ast.Set: ("a set", "numbers, lists and calls", "write a list with [ ]"),
    ast.SetComp: ("a set", "numbers, lists and calls", "write a list with [ ]"),
    ast.DictComp: ("a mapping", "numbers, lists and calls", "write a list"),
    ast.JoinedStr: ("an f-string", "numbers, lists and calls", "write the text out"),
    ast.Starred: ("'*' before an argument", "arguments one by one", "write the arguments out"),
    ast.Await: ("'await'", "an expression", "leave it out"),
    ast.Yield: ("'yield'", "an expression", "leave it out"),
}
"""By what Python's grammar reads and the language has not: found, expected, fix."""

_HINT = re.compile(r"(?i)(?P<words>.*?)[.,;] +(?P<hint>(?:perhaps|maybe|did you|use) .*)")
_FIXES = {
    "never closed": "close the bracket",
    "unmatched": "remove it, or open a bracket before it",
    "does not match": "close every bracket with its own kind",
    "unterminated": "close the quote",
    "leading zeros": "write the number without them",
    "decimal literal": "write '*' between a number and a name, as in 2*x, and blanks around words",
    "'else'": "write where(cond, a, b)",
}
"""By what Python's words contain; the first that fits."""


_ASSIGNED = re.compile(r"\s*([A-Za-z_]\w*(?:\s*\([\w, ]*\))?)\s*=(?!=)")
_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def refuse_bare_tuple(text: str, flat: str, start: int) -> None:
    """Refuse a comma outside brackets, as in ``3,5*x``; ``flat`` is ``text`` from ``start`` on."""
    depth = 0
    for offset, character in enumerate(flat):
        depth += _BRACKETS.get(character, 0)
        if character == "," and depth == 0:
            raise ExpressionError(
                place_at(text, start + offset),
                "a comma outside brackets",
                "a single expression",
                "write '.' in a decimal number, and [a, b] for a vector",
            )


def refuse_syntax(text: str, error: SyntaxError, start: int) -> NoReturn:
    """Say where Python broke off; it read ``text`` from ``start`` on."""
    assigned = _ASSIGNED.match(text)
    if assigned:
        raise ExpressionError(
            place_at(text, assigned.end() - 1),
            f"'{assigned[1]} ='",
            "an expression alone",
            f"leave out '{assigned[1]} =', or write '==' to compare",
        ) from None
    offset = start + error.offset - 1 if error.offset else len(text.rstrip())
    offset = min(offset, len(text))
    if "nested" in error.msg:
        raise too_deep(place_at(text, offset)) from None
    rest = text[offset:].split("\n")[0].strip()[:20]
    found = f"{rest!r}, where the expression breaks off" if rest else "the end of the text"
    words, fix = _words_and_fix(error.msg, text[:offset], rest)
    expected = f"an expression in Python's syntax ({words})"
    raise ExpressionError(place_at(text, offset), found, expected, fix) from None


def _words_and_fix(message: str, before: str, rest: str) -> tuple[str, str]:
    """Python's words without its hint, and a fix: the hint, or ours where Python has none.

    ``before`` and ``rest`` are the text up to where it breaks off, and from there on.
    """
    hinted = _HINT.fullmatch(message)
    words = hinted["words"] if hinted else message.rstrip(".")
    known = next((fix for part, fix in _FIXES.items() if part in words), None)
    if known is None and hinted:
        known = hinted["hint"][0].lower() + hinted["hint"][1:]
    return words, known or _fix(words, before.strip(), rest.strip())


def _fix(words: str, before: str, rest: str) -> str:
    if words != "invalid syntax":
        return "correct that"
    if not rest:
        return "write what is missing after the last operator or word, or remove that"
    if not before:
        return "begin with a name, a number, a sign or a bracket, as in 3*x**2"
    if rest.startswith("for "):
        return 'write a list with brackets, and quote it in YAML: "[x[i] for i in range(3)]"'
    if rest.startswith("="):
        return "write '==' to compare; nothing is assigned in an expression"
    return "write an operator, a comma or a bracket there"
