"""What a user can get wrong: every message says where, found, expected, and the fix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Where:
    """A place in a text file; ``line`` and ``column`` count from 1, as editors do."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in one place of a case file."""

    where: Where
    found: str
    expected: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.found}\n  expected: {self.expected}\n  fix:      {self.fix}"


class Misconduct(Exception):
    """The code on trial did something that no correct code does; the text says what."""


class CatalogError(Exception):
    """Case files are wrong; nothing in them has been run. Carries every problem, by place."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.where))
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class ExpressionError(Exception):
    """An expression is wrong. ``line`` and ``column`` count from 1 within its own text."""

    def __init__(self, place: tuple[int, int], found: str, expected: str, fix: str) -> None:
        super().__init__(place, found, expected, fix)
        self.place, self.found, self.expected, self.fix = place, found, expected, fix

    def __str__(self) -> str:
        line, column = self.place
        return f"{line}:{column}: {self.found}\n  expected: {self.expected}\n  fix:      {self.fix}"


class UsageError(Exception):
    """The command line asks for something that cannot be done; exit code 4."""

    def __init__(self, found: str, expected: str, fix: str) -> None:
        super().__init__(found, expected, fix)

    def __str__(self) -> str:
        found, expected, fix = self.args
        return f"{found}\n  expected: {expected}\n  fix:      {fix}"
