"""The problems of one file, gathered so that all of them are reported at once."""

from __future__ import annotations

from pydantic_core import PydanticCustomError

from gradcheck.errors import CatalogError, Problem, Where
from gradcheck.language.nodes import Place

MOST_PROBLEMS = 1_000
"""Beyond these reading stops, so that a file that is wrong throughout costs but a moment."""


Complaint = tuple[Place, str, str, str]
"""Place in the file, found, expected, fix."""

REFUSED = "refused"


def refuse(*complaints: Complaint) -> PydanticCustomError:
    """The error that carries what was found to a message; pydantic shows none of its own."""
    return PydanticCustomError(REFUSED, "refused", {"complaints": complaints})


def complaints_of(error: PydanticCustomError) -> tuple[Complaint, ...]:
    found: tuple[Complaint, ...] = (error.context or {})["complaints"]
    return found


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
