"""Names that a user chooses from a list, and what a misspelled one was meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from gradcheck.errors import UsageError


def chosen(spelling: str, text: str, known: Sequence[str]) -> tuple[str, ...]:
    """The words of a comma-separated list, in the order of ``known`` and each once.

    Errors: UsageError for a word that is not known.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in known:
            raise _unknown(f"{spelling} {word}", word, known)
    return tuple(word for word in known if word in words)


def meant(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """Return the known word that a misspelled one was meant to be; None if none is like it.

    Units: ``likeness`` is difflib's ratio, 1 for equal words. Ask for more of it where ``known``
           is long, since some word of a long list is always a little like another.
    """
    return next(iter(difflib.get_close_matches(word, tuple(known), 1, likeness)), None)


def nearest(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return the fix for a word that is misspelled: ``write sin``, or ``otherwise``."""
    near = meant(word, known)
    return f"write {near}" if near else otherwise


def _unknown(spelling: str, word: str, known: Sequence[str]) -> UsageError:
    expected = f"some of {', '.join(known)}, separated by commas"
    if word == "symbolic":
        return UsageError(
            f"{spelling}: symbolic is the reference that judges every witness, and always there",
            expected,
            "leave it out",
        )
    fix = nearest(word, known, "take one of these")
    return UsageError(f"{spelling}: unknown name", expected, fix)
