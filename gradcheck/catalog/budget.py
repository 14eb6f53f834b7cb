"""What one file may cost before it is refused, counted and not timed.

And what is too large to be certified: its figures, and the nearest size that fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gradcheck.errors import ExpressionError
from gradcheck.graph.reading import TooLargeText
from gradcheck.graph.tape import MOST_OPERATIONS, Program
from gradcheck.reference.size import MOST_DERIVATIVES, Fit, fit

_OPERATIONS = 400_000
_WORK = 2_000_000
BUDGET = (
    f"at most {_OPERATIONS:,} scalar operations and {_WORK:,} steps of computation "
    "for all cases of a file"
)


MOST_ELEMENTS = 4_096
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


Shapes = Mapping[str, tuple[int, ...]]
Unroll = Callable[[Shapes], Program]
"""Writes the formula out for other shapes of its inputs; ExpressionError where they do not fit."""

EXPECTED = f"at most {MOST_DERIVATIVES:,} derivatives, written in {MOST_OPERATIONS:,} operations"
_MOST_SEARCH = 1_200_000
_MOST_OF_ONE = 300_000
"""Work spent on the nearest size that fits, and on one of the sizes tried."""
_WORK_OF_AN_OPERATION = 8
"""Of a file's budget: counting is that much quicker than writing a formula out."""


def check_size(budget: Budget, program: Program, order: int, unroll: Unroll) -> tuple[str, str]:
    """What of a program is too large and how to mend it; empty where it fits."""
    found = fit(program, order)
    _charge(budget, found)
    if not found.excess:
        return "", ""
    operations = len(program.tape.ancestors(program.outputs))
    figures = (
        f"{_counted(len(program.outputs), 'output')}, "
        f"{_counted(program.size, 'input entry', 'input entries')}, "
        f"{_counted(operations, 'operation')}"
    )
    lower = found.order
    if not lower and order > 1:
        found_lower = fit(program, order - 1, _MOST_OF_ONE)
        _charge(budget, found_lower)
        lower = found_lower.order
    fixes = [f"write order: {lower}, which fits"] if lower else []
    fixes.append(smaller_shapes(budget, dict(program.inputs), order, unroll))
    return f"{found.excess} ({figures})", ", or ".join(fixes)


def _charge(budget: Budget, found: Fit) -> None:
    budget.operations -= found.work // _WORK_OF_AN_OPERATION


def _counted(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def smaller_shapes(budget: Budget, shapes: Shapes, order: int, unroll: Unroll) -> str:
    """The fix for shapes that are too large: the nearest ones that fit, where they can be found."""
    found = _nearest(budget, shapes, order, unroll) or shapes
    changed = [name for name in found if found[name] != shapes[name]]
    if not changed:
        return "make the shapes smaller" if any(shapes.values()) else "make it smaller"
    shown = ", ".join(f"{name}: {list(found[name])}" for name in changed)
    return f"make the shapes smaller: {shown} {'fits' if len(changed) == 1 else 'fit'}"


def _nearest(budget: Budget, shapes: Shapes, order: int, unroll: Unroll) -> Shapes | None:
    """The shapes with their largest lengths cut until the derivatives fit, and no further.

    Equal lengths stay equal, since a formula may rely on it. None where the formula cannot be
    written with other shapes, or where the file has cost what it may.
    """
    if budget.spent():
        return None
    left = _MOST_SEARCH

    def fits(shapes: Shapes) -> bool:
        nonlocal left
        try:
            program = unroll(shapes)
        except TooLargeText:
            return False
        found = fit(program, order, min(left, _MOST_OF_ONE))
        left -= found.work
        _charge(budget, found)
        return not found.excess

    try:
        return _search(shapes, fits)
    except ExpressionError:
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
