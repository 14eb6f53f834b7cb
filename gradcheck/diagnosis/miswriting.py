"""One way to miswrite a step of a derivative; what a number, a mask or an array is mistaken for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from gradcheck.answer import Floats, GuessKind
from gradcheck.diagnosis.derivative_steps import ComputedSteps, Numbers, computed
from gradcheck.graph.graph import Graph, Operation
from gradcheck.query import Array, Shape


@dataclass(frozen=True, slots=True, eq=False)
class Miswriting:
    """One way to miswrite a step: ``make`` gives its numbers; None where there is no such way.

    ``also`` are the same of other steps at once. What is made of them changes too, but for steps
    that were ``saved``.
    Shapes: [rows or 1, *shape], or what broadcasts where the step is used.
    """

    kind: GuessKind
    text: str
    step: int
    make: Callable[[Numbers], Array | None]
    also: tuple[Miswriting, ...] = ()
    saved: frozenset[int] = frozenset()

    def changed(self, some: ComputedSteps) -> dict[int, Array] | None:
        """The numbers of all its steps; None where one has none, or all are their own."""
        found, is_other = {}, False
        for each in (self, *self.also):
            numbers = each.make(some.numbers)
            if numbers is None:
                return None
            is_other |= not _are_equal(numbers, some.numbers[each.step])
            found[each.step] = np.broadcast_to(numbers, (some.count, *numbers.shape[1:]))
        return found if is_other else None

    def answers(self, some: ComputedSteps) -> Floats | None:
        """What the derivative gives so. Shapes: [count, k]."""
        changed = self.changed(some)
        if changed is None:
            return None
        others = {step: one[None] for step, one in changed.items()}
        found = some.answers_with(others, self.saved)
        return None if found is None else found[0]


def with_operand(
    node: Operation, k: int, change: Callable[[Numbers], Array], numbers: Numbers
) -> Array:
    """A step with other numbers in the place of one of its arguments."""
    args = [change(numbers) if j == k else numbers[arg] for j, arg in enumerate(node.args)]
    return computed(node, args)


def step_itself(step: int, numbers: Numbers) -> Array:
    """The numbers of a step."""
    return numbers[step]


def constants_beside(graph: Graph, step: int) -> list[float]:
    """The numbers that a constant may be mistaken for; none where it is not one number."""
    number = graph.number(step)
    if number is None or isinstance(number, bool):
        return []
    return numbers_beside(float(number))


def numbers_beside(own: float) -> list[float]:
    """The numbers that another may be mistaken for."""
    others = [0.0, 1.0, -own, 2 * own, own / 2, own**2, math.sqrt(abs(own)), own - 1, own + 1]
    return [each for each in (*others, *([1 / own] if own else [])) if each != own]


def masks_beside(mask: Array) -> Iterator[tuple[str, Array]]:
    """The masks that one may be mistaken for, each once, in words and as itself.

    None of an array that is not of zeros and ones, or of conditions, or has one of the two alone.
    """
    if mask.ndim == 0 or not ((mask == 0) | (mask == 1)).all() or len(set(mask.flat)) != 2:
        return
    least, most = min(mask.flat), max(mask.flat)
    yield "left out", np.full(mask.shape, most, dtype=object)
    yield "empty", np.full(mask.shape, least, dtype=object)
    moved = [
        [shifted(mask, axis=axis, off=off, end="the last") for off in (1, -1)]
        for axis in range(mask.ndim)
    ]
    if mask.ndim > 1:
        moved.append([_next_diagonal(mask, off) for off in (1, -1)])
    found = [mask, np.full(mask.shape, least), np.full(mask.shape, most)]
    for pair in moved:
        for text, other in (
            *(("off by one", each) for each in pair),
            *(("wider or narrower by one at each end", join(*pair)) for join in _JOINS),
            *(
                ("wider or narrower by one at one end", join(mask, each))
                for each in pair
                for join in _JOINS
            ),
        ):
            if not any((other == each).all() for each in found):
                found.append(other)
                yield text, other


_JOINS = (np.maximum, np.minimum)


def _next_diagonal(mask: Array, off: int) -> Array:
    """The next row's, of matrices whose diagonals go on beyond the edge."""
    found, edge = shifted(mask, axis=-2, off=off, end="the last"), 0 if off > 0 else -1
    beside = shifted(mask, axis=-1, off=-off, end="the last")
    found[..., edge, :] = beside[..., edge, :]
    return found


def _are_equal(numbers: Array, own: Array) -> bool:
    try:
        return bool((numbers == own).all())
    except ValueError:
        return False


def moves(shape: Shape) -> Iterator[tuple[str, Callable[[Array], Array]]]:
    """The ways to move an array's numbers, in words: by one place, reversed, transposed.

    Also the first for all, as what is read without its offset. Shapes: the arrays are
    [rows, *shape].
    """
    for axis, length in enumerate(shape):
        if length > 1:
            yield f"the first along axis {axis} for all", partial(_first_for_all, axis=axis + 1)
        if length > 2:  # of two, the other one is no neighbour
            for off, end in itertools.product((1, -1), ("0", "the last", "round")):
                late = "late" if off == 1 else "early"
                text = f"one place {late} along axis {axis}"
                yield text, partial(shifted, axis=axis + 1, off=off, end=end)
            yield f"reversed along axis {axis}", partial(np.flip, axis=axis + 1)
    if len(shape) > 1 and shape[-1] == shape[-2]:
        yield "transposed", lambda array: np.swapaxes(array, -1, -2)


def _first_for_all(array: Array, *, axis: int) -> Array:
    return np.broadcast_to(np.take(array, [0], axis), array.shape)


def shifted(array: Array, *, axis: int, off: int, end: str) -> Array:
    """Each number in the next place; before the first comes 0, or itself, or the last."""
    found = np.roll(array, off, axis)
    if end == "round":
        return found
    edge = [slice(None)] * array.ndim
    edge[axis] = slice(0, 1) if off == 1 else slice(-1, None)
    found[tuple(edge)] = 0 if end == "0" else array[tuple(edge)]
    return found
