"""What Python's grammar says of a text that it cannot read, and how to mend the text."""

from __future__ import annotations

import re

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


def words_and_fix(message: str, before: str, rest: str) -> tuple[str, str]:
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
    if rest.startswith("="):
        return "write '==' to compare; nothing is assigned in an expression"
    return "write an operator, a comma or a bracket there"
