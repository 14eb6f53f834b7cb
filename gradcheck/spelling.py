"""Names that a user chooses from a list: dtypes, witnesses."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from gradcheck.errors import UsageError


def chosen(
    spelling: str, text: str, known: Sequence[str], later: Sequence[str] = ()
) -> tuple[str, ...]:
    """The words of a comma-separated list, in the order of ``known`` and each once.

    ``later`` are names of the contract that this version does not judge yet.

    Errors: UsageError for a word that is not known.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in known:
            raise _unknown(f"{spelling} {word}", word, known, later)
    return tuple(word for word in known if word in words)


def nearest(word: str, known: Iterable[str], otherwise: str) -> str:
    """The fix for a word that is misspelled."""
    near = difflib.get_close_matches(word, tuple(known), 1)
    return f"write {near[0]}" if near else otherwise


def _unknown(spelling: str, word: str, known: Sequence[str], later: Sequence[str]) -> UsageError:
    expected = f"some of {', '.join(known)}, separated by commas"
    if word == "symbolic":
        return UsageError(
            f"{spelling}: symbolic is the reference that judges every witness, and always there",
            expected,
            "leave it out",
        )
    if word in later:
        return UsageError(f"{spelling}: not judged yet", expected, "leave it out")
    fix = nearest(word, known, "take one of these")
    return UsageError(f"{spelling}: unknown name", expected, fix)
