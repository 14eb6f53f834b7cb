"""Sums of a derivative that are over other axes, of another product, or of one entry alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from gradcheck.answer import GuessKind
from gradcheck.diagnosis.derivative_steps import DerivativeSteps, Factor, Numbers
from gradcheck.diagnosis.miswriting import Miswriting, moves
from gradcheck.graph.graph import Frozen, without
from gradcheck.query import Array, Shape
from gradcheck.run.rewriting import text_of


@dataclass(frozen=True, slots=True)
class _Term:
    """A part of a sum: a number times factors, some of which are the same along the sum's axes."""

    weight: float
    inner: tuple[Factor, ...]
    outer: tuple[Factor, ...]


@dataclass(frozen=True, slots=True, eq=False)
class DerivativeSum:
    """A sum among the steps of a derivative."""

    derivative: DerivativeSteps
    step: int

    @property
    def axes(self) -> tuple[int, ...]:
        attr = self.derivative.graph.nodes[self.step].attr
        assert isinstance(attr, tuple)
        return attr

    @property
    def summed(self) -> int:
        """The step that is summed."""
        return self.derivative.graph.nodes[self.step].args[0]

    @property
    def shape(self) -> Shape:
        return self.derivative.graph.shape(self.summed)

    @property
    def kept(self) -> int:
        """The step where the axes are there with length 1; the sum itself if there is none."""
        graph, wide = self.derivative.graph, without(self.shape, self.axes)
        users = self.derivative.users.get(self.step, ())
        return next((each for each in users if graph.shape(each) == wide), self.step)

    def terms(self) -> Iterator[_Term]:
        """What is summed: all at once, and in terms of the formula's steps, and of theirs."""
        found = {_Term(1.0, ((self.summed, False),), ()): None}
        for weight, part in self.derivative.terms_of(self.summed):
            for deep in (False, True):
                times, factors = self.derivative.factors_of(part, deep=deep)
                term = self._term(weight * times, factors)
                if term.inner:
                    found[term] = None
                found[_Term(term.weight, factors, ())] = None
        yield from found

    def whole(self) -> Iterator[_Term]:
        """All terms, of the formula's steps."""
        for weight, part in self.derivative.terms_of(self.summed):
            times, factors = self.derivative.factors_of(part)
            yield self._term(weight * times, factors)

    def _term(self, weight: float, factors: tuple[Factor, ...]) -> _Term:
        outer = tuple(each for each in factors if self._is_same_along(each[0]))
        return _Term(weight, tuple(each for each in factors if each not in outer), outer)

    def _is_same_along(self, step: int) -> bool:
        """Whether a step is broadcast along the axes."""
        graph = self.derivative.graph
        node = graph.nodes[step]
        if node.op != "broadcast":
            return False
        below = graph.shape(node.args[0])
        lined_up = (*(1,) * (len(node.shape) - len(below)), *below)
        return all(lined_up[axis] == 1 for axis in self.axes)

    def with_term(self, term: _Term, total: Array, numbers: Numbers) -> Array | None:
        """The sum with another total of a term's inner factors, at the step where it is kept."""
        axes = tuple(axis + 1 for axis in self.axes)
        own = _product(numbers, (*term.inner, *term.outer), self.shape)
        rest = numbers[self.summed] - term.weight * own
        outer = _product(numbers, term.outer, self.shape)
        once = outer[tuple(slice(0, 1 if k in axes else None) for k in range(outer.ndim))]
        found = rest.sum(axis=axes, keepdims=True) + term.weight * total * once
        if self.kept != self.step:
            return np.asarray(found)
        shape = self.derivative.graph.shape(self.step)
        return found.reshape(-1, *shape) if found[0].size == math.prod(shape) else None


def _product(numbers: Numbers, factors: Iterable[Factor], shape: Shape) -> Array:
    found = np.ones((1, *shape))
    for step, divides in factors:
        found = found / numbers[step] if divides else found * numbers[step]
    return found


def over_other_axes(found: DerivativeSum) -> Iterator[Miswriting]:
    """Sums, or means, over other axes of one of the terms; or its sums one place off."""
    shape, own = found.shape, " and ".join(map(str, found.axes))
    for term in found.terms():
        of = f"in the derivative, of {_text(found.derivative, term.inner)}"
        for total, told in _other_totals(found):
            make = partial(_changed_total, found, term, total)
            yield Miswriting(GuessKind.SUM, f"{told}: {of}", found.kept, make)
        for which, text in ((0, "first"), (-1, "last")):
            make = partial(_one_alone, found, term, which)
            told = f"not summed over axis {own}, the {text} alone: {of}"
            yield Miswriting(GuessKind.SUM, told, found.kept, make)
        for text, move in moves(without(shape, found.axes)):
            make = partial(_changed_total, found, term, partial(_moved_sum, found.axes, move))
            yield Miswriting(GuessKind.MOVED, f"{text}: a sum {of}", found.kept, make)


def all_over_other_axes(sums: Sequence[DerivativeSum]) -> Iterator[Miswriting]:
    """All sums of the derivative over the same axes are over others, or means, or no means."""
    alike: dict[tuple[object, ...], list[DerivativeSum]] = {}
    for each in sums:
        if each.step not in each.derivative.formula:
            alike.setdefault((each.axes, each.shape), []).append(each)
    for several in alike.values():
        size = math.prod(several[0].shape[axis] for axis in several[0].axes)
        axes = several[0].axes
        scaled: list[tuple[_Total, str]] = [
            (partial(_sum_over, axes, size), f"{size} times too large, as if it were no mean"),
            (partial(_sum_over, axes, 1 / size), f"{size} times too small, as if it were a mean"),
        ]
        others = [*_other_totals(several[0]), *scaled]
        for total, told in others if len(several) > 1 else ():
            text = f"in the derivative each sum is {told}"
            first, *also = [
                Miswriting(GuessKind.SUM, text, each.kept, partial(_changed_whole, each, total))
                for each in several
            ]
            yield replace(first, also=tuple(also))


_Total = Callable[[Array], Array]
"""What stands in the place of a sum that keeps its axes."""


def _other_totals(found: DerivativeSum) -> Iterator[tuple[_Total, str]]:
    """Sums and means over other axes, or over blocks of the own one; and what that is in words."""
    own = " and ".join(map(str, found.axes))
    size = math.prod(found.shape[axis] for axis in found.axes)
    for axes in _other_axes(found.shape, found.axes):
        ratio = size / math.prod(found.shape[axis] for axis in axes)
        what = " and ".join(map(str, axes))
        for weight, word in {ratio: "mean", 1.0: "sum"}.items():
            yield partial(_sum_over, axes, weight), f"a {word} over axis {what}, not {own}"
    if len(found.axes) == 1:
        for length in (each for each in range(2, size) if size % each == 0):
            for weight, word in ((size / length, "mean"), (1.0, "sum")):
                told = f"a {word} over blocks of {length} along axis {own}, not over all of it"
                yield partial(_sum_over_blocks, found.axes[0], length, weight), told


def _sum_over(axes: Sequence[int], weight: float, summed: Array) -> Array:
    total: Array = summed.sum(axis=tuple(axis + 1 for axis in axes), keepdims=True)
    return weight * total


def _sum_over_blocks(axis: int, length: int, weight: float, summed: Array) -> Array:
    """Each entry is the sum over its block."""
    before, after = summed.shape[: axis + 1], summed.shape[axis + 2 :]
    blocks = summed.reshape(*before, -1, length, *after)
    totals = np.broadcast_to(blocks.sum(axis=axis + 2, keepdims=True), blocks.shape)
    return np.asarray(weight * totals.reshape(summed.shape))


def _moved_sum(axes: Sequence[int], move: Callable[[Array], Array], summed: Array) -> Array:
    return move(_sum_over(axes, 1.0, summed))


def _other_axes(shape: Shape, axes: tuple[int, ...]) -> list[tuple[int, ...]]:
    counts = range(1, len(shape) + 1)
    chosen = (itertools.combinations(range(len(shape)), count) for count in counts)
    return [each for each in itertools.chain.from_iterable(chosen) if each != axes]


def _changed_total(
    found: DerivativeSum, term: _Term, total: _Total, numbers: Numbers
) -> Array | None:
    return found.with_term(term, total(_product(numbers, term.inner, found.shape)), numbers)


def _changed_whole(found: DerivativeSum, total: _Total, numbers: Numbers) -> Array | None:
    """All that is summed, totalled otherwise, with what is constant along its axes behind that."""
    changed: Array | float = 0.0
    for term in found.whole():
        part = total(_product(numbers, term.inner, found.shape))
        changed = changed + term.weight * part * _product(numbers, term.outer, found.shape)
    return np.asarray(changed) if found.kept != found.step else None


def _one_alone(found: DerivativeSum, term: _Term, which: int, numbers: Numbers) -> Array | None:
    inner = _product(numbers, term.inner, found.shape)
    for axis in found.axes:
        inner = inner.take([which], axis + 1)
    return found.with_term(term, inner, numbers)


def _text(derivative: DerivativeSteps, factors: Sequence[Factor]) -> str:
    graph = derivative.graph
    above = [text_of(graph, step) for step, divides in factors if not divides]
    below = [text_of(graph, step) for step, divides in factors if divides]
    text = " * ".join(above or ["1"])
    return f"{text} / ({' * '.join(below)})" if below else text


_MOST_FACTORS = 32


def sums_of_products(found: DerivativeSum) -> Iterator[Miswriting]:
    """Sums of other numbers, or of the product of two, in the place of a term's."""
    graph, axes = found.derivative.graph, found.axes

    def is_fit(other: int) -> bool:
        shape = graph.shape(other)
        alike = len(shape) == len(found.shape) and other < found.step
        return alike and without(shape, axes) == without(found.shape, axes)

    pool = [each for each in found.derivative.named if is_fit(each)]
    if len(pool) > _MOST_FACTORS:
        return
    twos = itertools.combinations_with_replacement(pool, 2)
    pairs = [(a, b) for a, b in twos if graph.shape(a) == graph.shape(b)]
    for term, chosen in itertools.product(found.terms(), [*((a,) for a in pool), *pairs]):
        what = _text(found.derivative, [(each, False) for each in chosen])
        text = f"a sum of {what} in the place of {_text(found.derivative, term.inner)}"
        make = partial(_total_of, found, term, chosen)
        yield Miswriting(GuessKind.SUM, f"{text}, in the derivative", found.kept, make)


def _total_of(
    found: DerivativeSum, term: _Term, chosen: Sequence[int], numbers: Numbers
) -> Array | None:
    product = np.asarray(math.prod(numbers[each] for each in chosen))
    total = product.sum(axis=tuple(axis + 1 for axis in found.axes), keepdims=True)
    return found.with_term(term, total, numbers)


# one part alone


def written_over(derivative: DerivativeSteps, steps: Sequence[int]) -> Iterator[Miswriting]:
    """Of what is added up in one place one part alone, as where writes overtake each other.

    In one of the steps, and in all of them.
    """
    own = [each for each in steps if each not in derivative.formula]
    tops = [each for each in own if _is_whole_sum(derivative, each)]
    text = "written over, not added up: one part alone stays in the derivative"
    reads = _first_reads(derivative)

    def first_read(term: tuple[float, int]) -> int:
        return max(reads.get(each, 0) for each in derivative.graph.ancestors([term[1]]))

    ordered = {step: sorted(derivative.terms_of(step), key=first_read) for step in tops}
    for way in (1, -1):
        several = []
        for step, terms in ordered.items():
            where = "" if step in derivative.answers else f", in {text_of(derivative.graph, step)}"
            make = partial(_last_written, terms[::way])
            several.append(Miswriting(GuessKind.SUM, f"{text}{where}", step, make))
        yield from several
        if len(several) > 1:
            yield replace(several[0], text=text, also=tuple(several[1:]))


def _is_whole_sum(derivative: DerivativeSteps, step: int) -> bool:
    """Whether a step is a sum, and no part of another."""
    nodes = derivative.graph.nodes
    is_part = any(nodes[user].op in _SUMS for user in derivative.users.get(step, ()))
    return nodes[step].op in _SUMS and not is_part


_SUMS = ("add", "sub")


def _first_reads(derivative: DerivativeSteps) -> dict[int, int]:
    """Of each step that reads the cotangent the first entry: writes come in that order."""
    nodes, found = derivative.graph.nodes, dict[int, int]()
    inputs = (each for each in derivative.steps if nodes[each].op == "input")
    sides = frozenset(inputs) - derivative.formula
    for step in derivative.steps:
        node = nodes[step]
        if node.op == "gather" and node.args[0] in sides:
            assert isinstance(node.attr, Frozen)
            found[step] = int(node.attr.array.min())
    return found


def _last_written(terms: Sequence[tuple[float, int]], numbers: Numbers) -> Array:
    found, *others = (weight * numbers[term] for weight, term in terms)
    for part in others:
        found = np.where(part != 0, part, found)
    return found
