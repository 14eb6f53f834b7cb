"""What is wrong with a file: one complaint, and all of them gathered to be reported at once."""

from __future__ import annotations

from gradcheck.errors import CatalogError, Problem, Where
from gradcheck.language.nodes import Place

MOST_PROBLEMS = 1_000
"""Beyond these reading stops, so that a file that is wrong throughout costs but a moment."""

Complaint = tuple[Place, str, str, str]
"""Place in the file, found, expected, fix."""


class Refused(Exception):
    """A value is not taken; ``complaints`` say why."""

    def __init__(self, *complaints: Complaint) -> None:
        super().__init__(*complaints)
        self.complaints = complaints


def not_judged(place: Place, found: str, expected: str) -> Complaint:
    """What the format names and this version cannot do yet."""
    return place, f"{found}, not judged yet in this version", expected, "leave it out for now"


class Complaints:
    """Grows while a file is read; nothing can be reported before all of it was seen."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.problems: dict[Problem, None] = {}  # in order, and each once

    def add(self, place: Place, found: str, expected: str, fix: str) -> None:
        """Errors: CatalogError after 1,000 problems."""
        self.problems[Problem(self.where(place), found, expected, fix)] = None
        if len(self.problems) >= MOST_PROBLEMS:
            found = f"{MOST_PROBLEMS:,} problems; reading stopped here"
            fix = "correct these first"
            raise CatalogError(
                [*self.problems, Problem(self.where(place), found, "fewer problems", fix)]
            )

    def where(self, place: Place) -> Where:
        return Where(self.path, *place)

    def __len__(self) -> int:
        return len(self.problems)

    def raise_any(self) -> None:
        """Errors: CatalogError with all problems, if there are any."""
        if self.problems:
            raise CatalogError(self.problems)
