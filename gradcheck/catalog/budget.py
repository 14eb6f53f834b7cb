"""What one file may cost before it is refused, counted and not timed."""

from __future__ import annotations

from dataclasses import dataclass

_OPERATIONS = 400_000
_WORK = 2_000_000
BUDGET = (
    f"at most {_OPERATIONS:,} scalar operations and {_WORK:,} steps of computation "
    "for all cases of a file"
)


MOST_ELEMENTS = 4_096
MOST_DIMENSIONS = 16
MOST_IN_A_DIMENSION = 64
"""Of a tensor."""


class Spent(Exception):
    """Nothing is left of what a file may cost."""


@dataclass(slots=True)
class Budget:
    """What one file may cost before it is refused. It shrinks while the file is read.

    It is counted and not timed, so that every process takes the same files.

    Units: ``work`` as on a tape, about 2 µs each; no single formula takes half of it.
    """

    operations: int = _OPERATIONS
    work: int = _WORK

    def spend(self, work: int) -> None:
        """Errors: Spent when nothing is left, so that a long text is not read to its end."""
        self.work -= work
        if self.spent():
            raise Spent

    def spent(self) -> bool:
        return self.operations < 0 or self.work < 0
