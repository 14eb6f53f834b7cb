"""What one file may cost before it is refused, counted and not timed.

And what is too large to be certified: its figures, and the nearest size that fits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gradcheck.errors import ExpressionError
from gradcheck.graph.lower import Lowered
from gradcheck.graph.reading import TooLargeText
from gradcheck.reference.size import MOST_COUNTING, MOST_NUMBERS, MOST_OPERATIONS, Fit, fit

_WORK = 1_600_000
BUDGET = f"at most {_WORK:,} steps of computation for all cases of a file"


class Spent(Exception):
    """Nothing is left of what a file may cost."""


@dataclass(slots=True)
class Budget:
    """What one file may cost before it is refused. It shrinks while the file is read.

    It is counted and not timed, so that every process takes the same files.

    Units: ``work`` as of a graph, about 2 to 5 µs each; no single formula is lowered in more than
           half of it.
    """

    work: int = _WORK

    def spend(self, work: int) -> None:
        """Errors: Spent when nothing is left, so that a long text is not read to its end."""
        self.work -= work
        if self.spent():
            raise Spent

    def spent(self) -> bool:
        return self.work < 0


Shapes = Mapping[str, tuple[int, ...]]
Lower = Callable[[Shapes], Lowered]
"""Lowers the formula for other shapes of its inputs; ExpressionError where they do not fit."""

EXPECTED = (
    f"at most {MOST_OPERATIONS:,} operations on {MOST_NUMBERS:,} numbers at once, "
    f"written in {MOST_COUNTING:,} steps"
)
_MOST_SEARCH = 600_000
_MOST_OF_ONE = 200_000
"""Work spent on the nearest size that fits, and on one of the sizes tried."""


def check_size(budget: Budget, formula: Lowered, order: int, lower: Lower) -> tuple[str, str]:
    """What of a formula is too large and how to mend it; empty where it fits."""
    found = fit(formula, order)
    budget.work -= found.work
    if not found.excess:
        return "", ""
    ports = formula.ports
    outputs = sum(math.prod(port.shape) for port in formula.judged)
    entries = sum(math.prod(port.shape) for port in ports)
    figures = (
        f"{_counted(outputs, 'output entry', 'output entries')}, "
        f"{_counted(entries, 'input entry', 'input entries')}"
    )
    fixes = [f"write order: {found.order}, which fits"] if found.order else []
    fixes.append(smaller_shapes(budget, {port.name: port.shape for port in ports}, order, lower))
    return f"{found.excess} ({figures})", ", or ".join(fixes)


def _counted(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def smaller_shapes(budget: Budget, shapes: Shapes, order: int, lower: Lower) -> str:
    """The fix for shapes that are too large: the nearest ones that fit, where they can be found."""
    found = _nearest(budget, shapes, order, lower) or shapes
    changed = [name for name in found if found[name] != shapes[name]]
    if not changed:
        return "make the shapes smaller" if any(shapes.values()) else "make it smaller"
    shown = ", ".join(f"{name}: {list(found[name])}" for name in changed)
    return f"make the shapes smaller: {shown} {'fits' if len(changed) == 1 else 'fit'}"


def _nearest(budget: Budget, shapes: Shapes, order: int, lower: Lower) -> Shapes | None:
    """The shapes with their largest lengths cut until the derivatives fit, and no further.

    Equal lengths stay equal, since a formula may rely on it. None where the formula cannot be
    written with other shapes, or where the search has cost what it may.
    """
    left = _MOST_SEARCH

    def fits(shapes: Shapes) -> bool:
        nonlocal left
        before = budget.work
        try:
            found = fit(lower(shapes), order, _MOST_OF_ONE)
        except TooLargeText:
            found = Fit(0, "too large", 0)
        budget.work -= found.work
        left -= before - budget.work
        if left < 0 or budget.spent():
            raise Spent
        return not found.excess

    try:
        return _search(shapes, fits)
    except (ExpressionError, Spent):
        return None


def _search(shapes: Shapes, fits: Callable[[Shapes], bool]) -> Shapes | None:
    while True:
        largest = max((length for shape in shapes.values() for length in shape), default=0)
        if largest < 2:
            return None
        low, high = largest // 2, largest
        smaller = _cut(shapes, largest, low)
        if fits(smaller):
            break
        shapes = smaller
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(_cut(shapes, largest, middle)) else (low, middle)
    return _cut(shapes, largest, low)


def _cut(shapes: Shapes, largest: int, length: int) -> Shapes:
    return {
        name: tuple(length if each == largest else each for each in shape)
        for name, shape in shapes.items()
    }
