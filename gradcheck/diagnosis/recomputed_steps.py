"""The formula's steps as a backward recomputes them with another constant, beside what was saved.

A kernel that saves its sums (the row sums of a softmax, the output) and computes the rest again may
have another scale or mask there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from gradcheck.answer import GuessKind
from gradcheck.diagnosis.derivative_steps import DerivativeSteps, Numbers, computed
from gradcheck.diagnosis.miswriting import Miswriting, constants_beside, masks_beside
from gradcheck.graph.graph import Frozen, Operation
from gradcheck.ops.table import OPERATORS
from gradcheck.query import Array
from gradcheck.reference.interpret import MOVES
from gradcheck.run.rewriting import text_of

_Change = Callable[[Array], Array]


def recomputed_otherwise(derivative: DerivativeSteps) -> Iterator[Miswriting]:
    """What the derivative reads of the formula, made with another constant or another mask.

    Also with sums of the derivative that were made of what was saved.
    """
    nodes, own = derivative.graph.nodes, derivative.formula
    sums = frozenset(each for each in derivative.steps if nodes[each].op == "sum")
    for constant in sorted(each for each in own if nodes[each].op == "constant"):
        steps = _made_of(derivative, constant)
        written = [each for each in steps if each in derivative.moving]
        if not written:
            continue
        others = [*_numbers(derivative, constant)]
        if masks := [*_masks(nodes[constant])]:  # which the derivative has as a factor, too
            others, written = masks, [constant, *steps]
        for kind, told, change in others:
            text = f"recomputed with {told}, beside what was saved"
            found = _Recomputed(derivative, constant, steps, change)
            first, *also = [
                Miswriting(kind, text, step, partial(found.numbers_of, step)) for step in written
            ]
            for saved in dict.fromkeys((own, own | sums)):
                yield replace(first, also=tuple(also), saved=saved)


def _made_of(derivative: DerivativeSteps, constant: int) -> list[int]:
    """The formula's steps that are made of a constant entry by entry, in order; no sums of it."""
    found = {constant}
    for step in sorted(derivative.formula):
        node = derivative.graph.nodes[step]
        if not found.isdisjoint(node.args) and (node.op in OPERATORS or node.op in MOVES):
            found.add(step)
    return sorted(found - {constant})


@dataclass(frozen=True, slots=True, eq=False)
class _Recomputed:
    """A constant that is changed, and the ``steps`` that are made of it."""

    derivative: DerivativeSteps
    constant: int
    steps: Sequence[int]
    change: _Change

    def numbers_of(self, step: int, numbers: Numbers) -> Array:
        """One of the steps, or the constant. Shapes: [rows or 1, *shape]."""
        found = {self.constant: self.change(numbers[self.constant])}
        for each in (one for one in self.steps if one <= step):
            node = self.derivative.graph.nodes[each]
            found[each] = computed(node, [found.get(arg, numbers[arg]) for arg in node.args])
        return found[step]


# other constants


_Other = tuple[GuessKind, str, _Change]


def _numbers(derivative: DerivativeSteps, constant: int) -> Iterator[_Other]:
    own = text_of(derivative.graph, constant)
    for other in constants_beside(derivative.graph, constant):
        change = partial(np.full_like, fill_value=other)
        yield GuessKind.DIGITS, f"{other:.6g} for the constant {own}", change


def _masks(constant: Operation) -> Iterator[_Other]:
    if isinstance(constant.attr, Frozen):
        for told, other in masks_beside(constant.attr.array):
            yield GuessKind.MASK, f"the mask {told}", partial(_in_place_of, other)


def _in_place_of(other: Array, mask: Array) -> Array:
    return np.broadcast_to(other.astype(mask.dtype), mask.shape)
