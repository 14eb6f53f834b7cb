"""Numbers beside nouns, as people write them."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """``1 case``, ``2,000 cases``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short(number: float) -> str:
    """A number to three digits, as people read it: ``0.42``, ``1.5e+03``."""
    return f"{number:.3g}"
