"""What the formula's own derivative gives where one of its steps is written otherwise.

A sum over another axis, or of another product; a running sum in the other direction; numbers one
place off; another number of the derivative in the place of an operand. All ways to miswrite a step
are computed together at a few failing points; those that explain what one input, or all of them,
got there are computed at all points.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from gradcheck.answer import Floats, GuessKind
from gradcheck.diagnosis.derivative_steps import (
    ComputedSteps,
    DerivativeSteps,
    Factor,
    Numbers,
    computed,
)
from gradcheck.diagnosis.evidence import Alternative, Evidence
from gradcheck.graph.graph import Frozen, Graph, Operation, without
from gradcheck.judge.judge import Mask
from gradcheck.query import Array, Query, Shape, owners
from gradcheck.run.rewriting import THROUGH, text_of

_POINTS = 3
"""Failing points at which all ways are computed."""
_NEAR = 1 / 16
"""Of its error, that an explained number may be off."""
_MOST_AT_ONCE = 1 << 17
"""Numbers of a step that are computed at once."""
_MOST_WORK = 1 << 26
"""Numbers computed at the few points; a step counts as ``_STEP`` more."""
_STEP = 1 << 10
_MOST_TOLD = 24
"""Ways that explain something, computed at all points."""


@dataclass(frozen=True, slots=True, eq=False)
class _Way:
    """One way to write a step: ``make`` gives its numbers; None where there is no such way.

    ``also`` are the same of other steps at once.
    Shapes: [rows or 1, *shape], or what broadcasts where the step is used.
    """

    kind: GuessKind
    text: str
    step: int
    make: Callable[[Numbers], Array | None]
    also: tuple[_Way, ...] = ()

    def changed(self, some: ComputedSteps) -> dict[int, Array] | None:
        """The numbers of all its steps; None where one has none, or its own."""
        found = {}
        for each in (self, *self.also):
            numbers = each.make(some.numbers)
            if numbers is None or _are_equal(numbers, some.numbers[each.step]):
                return None
            found[each.step] = np.broadcast_to(numbers, (some.count, *numbers.shape[1:]))
        return found

    def answers(self, some: ComputedSteps) -> Floats | None:
        """What the derivative gives so. Shapes: [count, k]."""
        changed = self.changed(some)
        if changed is None:
            return None
        found = some.answers_with({step: one[None] for step, one in changed.items()})
        return None if found is None else found[0]


def miswritten_derivatives(evidence: Evidence) -> Iterator[Alternative]:
    """Answers of the formula's derivative where one of its steps is another."""
    derivative, some = DerivativeSteps.of(evidence), _Asked.of(evidence)
    if derivative is None or some is None:
        return
    derivative = derivative.simplified(derivative.at(some.query, some.points).numbers)
    whole = None
    for way in itertools.islice(_explaining(derivative, some), _MOST_TOLD):
        whole = whole or derivative.at(evidence.query, evidence.points)
        answers = way.answers(whole)
        if answers is None:
            continue
        base = np.where(evidence.at_kinks, np.nan, answers)
        beside = partial(_answers_beside, derivative, evidence, way)
        yield Alternative(way.kind, way.text, base, partial=True, far_fetched=True, beside=beside)


def _answers_beside(derivative: DerivativeSteps, evidence: Evidence, way: _Way) -> Floats | None:
    return way.answers(derivative.at(evidence.query, evidence.moved_points))


def _explaining(derivative: DerivativeSteps, asked: _Asked) -> Iterator[_Way]:
    """The ways that explain a few points."""
    some, work = derivative.at(asked.query, asked.points), 0
    for ways in _ways(derivative):
        for part, others in _at_once(some, ways):
            below = len(derivative.below(others.keys())) + 1
            work += below * (_STEP + sum(each.size for each in others.values()))
            if work > _MOST_WORK:
                return
            answers = some.answers_with(others)
            if answers is not None and answers.shape[1:] == asked.got.shape:
                yield from itertools.compress(part, asked.explained(answers))


def _telling_rows(evidence: Evidence) -> Array:
    """A few points with the most failing numbers, ordinary ones first, which come last."""
    asked = (evidence.asked & evidence.in_floats & ~evidence.at_kinks).sum(axis=1)
    _, firsts = np.unique(evidence.points[asked > 0] + 0.0, axis=0, return_index=True)
    found = np.flatnonzero(asked)[firsts]
    order = np.lexsort((found, asked[found]))
    return np.sort(found[order[-_POINTS:]])


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What is to be explained at a few points.

    Shapes: points [count, n]; owner [k], the others [count, k].
    """

    query: Query
    points: Floats
    got: Floats
    error: Floats
    fails: Mask
    owner: Array

    @classmethod
    def of(cls, evidence: Evidence) -> _Asked | None:
        """None of so few points that another step may be the same there."""
        rows = _telling_rows(evidence)
        if len(rows) < _POINTS:
            return None
        query = evidence.query.mapped(lambda side: side[rows])
        got, true = evidence.got[rows], evidence.true[rows]
        fails = (evidence.asked & evidence.in_floats)[rows]
        owner = owners(evidence.free_ports)
        return cls(
            query,
            evidence.points[rows],
            got,
            np.abs(got - true),
            fails,
            owner if owner.size else evidence.slots,
        )

    def explained(self, answers: Floats) -> Mask:
        """Which answers explain all that fails in one input. Shapes: [several, points, k]."""
        near = np.abs(answers - self.got) <= _NEAR * self.error
        found = np.zeros(len(answers), dtype=bool)
        for port in np.unique(self.owner):
            mine = self.fails & (self.owner == port)
            if mine.any():
                found |= near[:, mine].all(axis=1)
        return found


def _at_once(
    some: ComputedSteps, ways: Iterable[_Way]
) -> Iterator[tuple[list[_Way], dict[int, Array]]]:
    """Ways to write the same steps in the same shapes, and their numbers.

    Shapes: [ways, points, *shape].
    """
    alike: dict[Hashable, list[tuple[_Way, dict[int, Array]]]] = {}
    for way in ways:
        changed = way.changed(some)
        if changed is not None:
            key = tuple((step, numbers.shape) for step, numbers in changed.items())
            alike.setdefault(key, []).append((way, changed))
    for several in alike.values():
        size = max(numbers.size for numbers in several[0][1].values())
        most = max(1, _MOST_AT_ONCE // max(1, size))
        for start in range(0, len(several), most):
            part, changes = zip(*several[start : start + most], strict=True)
            steps = changes[0].keys()
            yield list(part), {step: np.stack([each[step] for each in changes]) for step in steps}


def _are_equal(numbers: Array, own: Array) -> bool:
    try:
        return bool((numbers == own).all())
    except ValueError:
        return False


# ways to write a step


def _ways(derivative: DerivativeSteps) -> Iterator[Iterator[_Way]]:
    """The ways to write each step: first what it does, then what it is made of."""
    nodes = derivative.graph.nodes
    live = [each for each in derivative.steps if each in derivative.moving]
    sums = [_Sum(derivative, step) for step in live if nodes[step].op == "sum"]
    yield from map(_over_other_axes, sums)
    yield _all_over_other_axes(sums)
    for step in live:
        if nodes[step].op in _OTHERWISE:
            yield _OTHERWISE[nodes[step].op](derivative, step)
    steps, answers = _named(derivative), dict.fromkeys(derivative.answers)
    for step in [*(each for each in answers if each in derivative.moving), *steps]:
        yield _moved_by_one(derivative, step)
    yield from (_kept_otherwise(derivative, step) for step in steps)
    yield from (_with_other_operands(derivative, step) for step in steps)
    yield from (_with_other_factors(derivative, step) for step in live)
    yield from (_sums_of_products(each) for each in sums if each.step not in derivative.formula)


def _named(derivative: DerivativeSteps) -> list[int]:
    """The steps that are numbers of their own."""
    nodes = derivative.graph.nodes
    return [each for each in derivative.steps
            if each in derivative.moving and nodes[each].op not in THROUGH]  # fmt: skip


# sums


@dataclass(frozen=True, slots=True)
class _Term:
    """A part of a sum: a number times factors, some of which are the same along the sum's axes."""

    weight: float
    inner: tuple[Factor, ...]
    outer: tuple[Factor, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Sum:
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
                outer = tuple(each for each in factors if self._is_same_along(each[0]))
                inner = tuple(each for each in factors if each not in outer)
                if inner:
                    found[_Term(weight * times, inner, outer)] = None
                found[_Term(weight * times, factors, ())] = None
        yield from found

    def whole(self) -> Iterator[_Term]:
        """All terms, of the formula's steps."""
        for weight, part in self.derivative.terms_of(self.summed):
            times, factors = self.derivative.factors_of(part)
            outer = tuple(each for each in factors if self._is_same_along(each[0]))
            inner = tuple(each for each in factors if each not in outer)
            yield _Term(weight * times, inner, outer)

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


def _over_other_axes(found: _Sum) -> Iterator[_Way]:
    """Sums, or means, over other axes of one of the terms; or its sums one place off."""
    shape, own = found.shape, " and ".join(map(str, found.axes))
    for term in found.terms():
        of = f"in the derivative, of {_text(found.derivative, term.inner)}"
        for axes, weight, told in _other_totals(found):
            make = partial(_changed_total, found, term, axes, partial(np.multiply, weight))
            yield _Way(GuessKind.SUM, f"{told}: {of}", found.kept, make)
        for which, text in ((0, "first"), (-1, "last")):
            make = partial(_one_alone, found, term, which)
            told = f"not summed over axis {own}, the {text} alone: {of}"
            yield _Way(GuessKind.SUM, told, found.kept, make)
        for text, move in _moves(without(shape, found.axes)):
            make = partial(_changed_total, found, term, found.axes, move)
            yield _Way(GuessKind.MOVED, f"{text}: a sum {of}", found.kept, make)


def _all_over_other_axes(sums: Sequence[_Sum]) -> Iterator[_Way]:
    """All sums of the derivative over the same axes are over others, or means, or no means."""
    alike: dict[tuple[object, ...], list[_Sum]] = {}
    for each in sums:
        if each.step not in each.derivative.formula:
            alike.setdefault((each.axes, each.shape), []).append(each)
    for several in alike.values():
        size = math.prod(several[0].shape[axis] for axis in several[0].axes)
        scaled = [
            (several[0].axes, float(size), f"{size} times too large, as if it were no mean"),
            (several[0].axes, 1 / size, f"{size} times too small, as if it were a mean"),
        ]
        others = [*_other_totals(several[0]), *scaled]
        for axes, weight, told in others if len(several) > 1 else ():
            change = partial(np.multiply, weight)
            text = f"in the derivative each sum is {told}"
            first, *also = [
                _Way(GuessKind.SUM, text, each.kept, partial(_changed_whole, each, axes, change))
                for each in several
            ]
            yield replace(first, also=tuple(also))


def _other_totals(found: _Sum) -> Iterator[tuple[tuple[int, ...], float, str]]:
    """Other axes to sum over, a factor, and what that is in words."""
    own = " and ".join(map(str, found.axes))
    size = math.prod(found.shape[axis] for axis in found.axes)
    for axes in _other_axes(found.shape, found.axes):
        ratio = size / math.prod(found.shape[axis] for axis in axes)
        what = " and ".join(map(str, axes))
        for weight, word in {ratio: "mean", 1.0: "sum"}.items():
            yield axes, weight, f"a {word} over axis {what}, not {own}"


def _other_axes(shape: Shape, axes: tuple[int, ...]) -> list[tuple[int, ...]]:
    counts = range(1, len(shape) + 1)
    chosen = (itertools.combinations(range(len(shape)), count) for count in counts)
    return [each for each in itertools.chain.from_iterable(chosen) if each != axes]


def _changed_total(
    found: _Sum,
    term: _Term,
    axes: Sequence[int],
    change: Callable[[Array], Array],
    numbers: Numbers,
) -> Array | None:
    inner = _product(numbers, term.inner, found.shape)
    total = inner.sum(axis=tuple(axis + 1 for axis in axes), keepdims=True)
    return found.with_term(term, change(total), numbers)


def _changed_whole(
    found: _Sum, axes: Sequence[int], change: Callable[[Array], Array], numbers: Numbers
) -> Array | None:
    """All that is summed, over other axes, with what is constant along its own behind the sum."""
    total: Array | float = 0.0
    for term in found.whole():
        inner = _product(numbers, term.inner, found.shape)
        part = inner.sum(axis=tuple(axis + 1 for axis in axes), keepdims=True)
        total = total + term.weight * change(part) * _product(numbers, term.outer, found.shape)
    return np.asarray(total) if found.kept != found.step else None


def _one_alone(found: _Sum, term: _Term, which: int, numbers: Numbers) -> Array | None:
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


def _sums_of_products(found: _Sum) -> Iterator[_Way]:
    """Sums of other numbers, or of the product of two, in the place of a term's."""
    graph, axes = found.derivative.graph, found.axes

    def is_fit(other: int) -> bool:
        shape = graph.shape(other)
        alike = len(shape) == len(found.shape) and other < found.step
        return alike and without(shape, axes) == without(found.shape, axes)

    pool = [each for each in _named(found.derivative) if is_fit(each)]
    if len(pool) > _MOST_FACTORS:
        return
    twos = itertools.combinations_with_replacement(pool, 2)
    pairs = [(a, b) for a, b in twos if graph.shape(a) == graph.shape(b)]
    for term, chosen in itertools.product(found.terms(), [*((a,) for a in pool), *pairs]):
        what = _text(found.derivative, [(each, False) for each in chosen])
        text = f"a sum of {what} in the place of {_text(found.derivative, term.inner)}"
        make = partial(_total_of, found, term, chosen)
        yield _Way(GuessKind.SUM, f"{text}, in the derivative", found.kept, make)


def _total_of(found: _Sum, term: _Term, chosen: Sequence[int], numbers: Numbers) -> Array | None:
    product = np.asarray(math.prod(numbers[each] for each in chosen))
    total = product.sum(axis=tuple(axis + 1 for axis in found.axes), keepdims=True)
    return found.with_term(term, total, numbers)


# running sums, indices, places


def _run_otherwise(derivative: DerivativeSteps, step: int) -> Iterator[_Way]:
    """A running sum in the other direction, or without each own entry."""
    node, name = derivative.graph.nodes[step], text_of(derivative.graph, step)
    assert isinstance(node.attr, tuple)
    axis, reverse = node.attr
    turned = partial(_computed_as, replace(node, attr=(axis, not reverse)))
    for text, make in (
        ("runs in the wrong direction", turned),
        ("leaves the entry itself out", partial(_difference, step, node.args[0])),
    ):
        yield _Way(GuessKind.SUM, f"in the derivative {name} {text}", step, make)


def _difference(a: int, b: int, numbers: Numbers) -> Array:
    return numbers[a] - numbers[b]


def _indexed_otherwise(derivative: DerivativeSteps, step: int) -> Iterator[_Way]:
    """An index one off along an axis of the array that it is about, held within it; or no index."""
    graph, node = derivative.graph, derivative.graph.nodes[step]
    assert isinstance(node.attr, Frozen)
    index = node.attr.array
    shape = node.shape if node.op == "scatter" else graph.shape(node.args[0])
    places = np.unravel_index(index, shape) if shape else ()
    verb = "is written" if node.op == "scatter" else "is read"
    told = f"{text_of(graph, node.args[0] if node.op == 'gather' else step)} {verb}"
    for axis in range(len(shape)):
        others = [(f"an index is off by one: in the derivative {told} {off:+d} along axis {axis}",
                   places[axis] + off) for off in (1, -1)]  # fmt: skip
        if index.ndim == len(shape):
            own = np.indices(index.shape)[axis]
            others.append((f"an index is not used: in the derivative {told} in order", own))
        for text, moved in others:
            held = (*places[:axis], np.clip(moved, 0, shape[axis] - 1), *places[axis + 1 :])
            other = replace(node, attr=Frozen(np.ravel_multi_index(held, shape)))
            yield _Way(GuessKind.MOVED, text, step, partial(_computed_as, other))


_OTHERWISE = {"cumsum": _run_otherwise, "gather": _indexed_otherwise, "scatter": _indexed_otherwise}


def _computed_as(node: Operation, numbers: Numbers) -> Array:
    return computed(node, [numbers[arg] for arg in node.args])


def _moved_by_one(derivative: DerivativeSteps, step: int) -> Iterator[_Way]:
    """The numbers of a step one place off along an axis, or with a triangle of zeros."""
    name = f"{text_of(derivative.graph, step)} in the derivative"
    for text, move in _moves(derivative.graph.shape(step)):
        told = f"{text}: {'the derivative' if step in derivative.answers else name}"
        yield _Way(GuessKind.MOVED, told, step, partial(_moved_step, step, move))
    for text, mask in _masks(derivative.graph.shape(step)):
        told = f"{text}: {'the derivative' if step in derivative.answers else name}"
        yield _Way(GuessKind.MASK, told, step, partial(_moved_step, step, mask))


def _moved_step(step: int, move: Callable[[Array], Array], numbers: Numbers) -> Array:
    return move(numbers[step])


def _moves(shape: Shape) -> Iterator[tuple[str, Callable[[Array], Array]]]:
    for axis, length in enumerate(shape):
        if length > 2:  # of two, the other one is no neighbour
            for off, end in itertools.product((1, -1), ("0", "the last", "round")):
                late = "late" if off == 1 else "early"
                text = f"one place {late} along axis {axis}"
                yield text, partial(_shifted, axis=axis + 1, off=off, end=end)
            yield f"reversed along axis {axis}", partial(np.flip, axis=axis + 1)
    if len(shape) > 1 and shape[-1] == shape[-2]:
        yield "transposed", lambda array: np.swapaxes(array, -1, -2)


def _masks(shape: Shape) -> Iterator[tuple[str, Callable[[Array], Array]]]:
    if len(shape) < 2 or min(shape[-2:]) < _FEWEST_MASKED:
        return
    for diagonal in (-1, 0):
        yield f"0 above diagonal {diagonal}", partial(np.tril, k=diagonal)
        yield f"0 below diagonal {-diagonal}", partial(np.triu, k=-diagonal)


_FEWEST_MASKED = 3


def _shifted(array: Array, *, axis: int, off: int, end: str) -> Array:
    """Each number in the next place; before the first comes 0, or itself, or the last."""
    found = np.roll(array, off, axis)
    if end == "round":
        return found
    edge = [slice(None)] * array.ndim
    edge[axis] = slice(0, 1) if off == 1 else slice(-1, None)
    found[tuple(edge)] = 0 if end == "0" else array[tuple(edge)]
    return found


# operands


_SCALED = (2.0, 0.5, -1.0)
_NEUTRAL = {"add": 0.0, "sub": 0.0, "mul": 1.0, "div": 1.0}


def _kept_otherwise(derivative: DerivativeSteps, step: int) -> Iterator[_Way]:
    """A number of the formula with another in its place wherever the derivative has it."""
    graph = derivative.graph
    if step not in derivative.formula or len(derivative.users.get(step, ())) < 2:
        return
    for other in _named(derivative):
        alike = graph.shape(other) == graph.shape(step) and other in derivative.formula
        if alike and other != step:
            name, own = text_of(graph, other), text_of(graph, step)
            text = f"{name} is kept in the place of {own}"
            yield _Way(GuessKind.CHAIN, text, step, partial(_step_itself, other))


def _with_other_operands(derivative: DerivativeSteps, step: int) -> Iterator[_Way]:
    """A step with another number in the place of one of its operands."""
    graph, node = derivative.graph, derivative.graph.nodes[step]
    for k, arg in enumerate(node.args):
        for kind, text, change in _others(derivative, step, arg):
            told = f"{text}: in the derivative, in {text_of(graph, step)}"
            yield _Way(kind, told, step, partial(_with_operand, node, k, change))


_Other = tuple[GuessKind, str, Callable[[Numbers], Array]]


def _others(derivative: DerivativeSteps, step: int, arg: int) -> Iterator[_Other]:
    """What may stand in the place of an operand."""
    graph, own = derivative.graph, text_of(derivative.graph, arg)
    if arg not in derivative.moving:
        for other in _constants_beside(graph, arg):
            text = f"the constant {own} is {other:.6g}"
            yield GuessKind.DIGITS, text, partial(_filled, other)
        return
    op = graph.nodes[step].op
    if op in _NEUTRAL:
        yield GuessKind.TERM, f"{own} is left out", partial(_filled, _NEUTRAL[op])
    for factor in _SCALED:
        yield GuessKind.CHAIN, f"{factor:g} times {own}", partial(_times, factor, arg)
    yield GuessKind.CHAIN, f"{own} is squared", partial(_squared, arg)
    for text, move in _moves(graph.shape(arg)):
        yield GuessKind.MOVED, f"{text}: {own}", partial(_moved_step, arg, move)
    for other in _named(derivative):
        if other != arg and other < step and graph.shape(other) == graph.shape(arg):
            yield from _with_another(graph, arg, other)


def _with_another(graph: Graph, arg: int, other: int) -> Iterator[_Other]:
    own, name = text_of(graph, arg), text_of(graph, other)
    yield GuessKind.CHAIN, f"{name} in the place of {own}", partial(_step_itself, other)
    for sign, told in ((1, f"{name} is added to {own}"), (-1, f"{own} less {name}")):
        yield GuessKind.TERM, told, partial(_sum_of_two, arg, other, sign)


_PRODUCTS = frozenset({"mul", "div", "bmm"})
_MOST_IN_PAIRS = 20


def _with_other_factors(derivative: DerivativeSteps, step: int) -> Iterator[_Way]:
    """A product of the derivative with another number in the place of one of its factors.

    Which need not be a step of its own: of x / s * s the s is 1.
    """
    graph = derivative.graph
    if not _is_whole_product(derivative, step):
        return
    shape, name = graph.shape(step), text_of(graph, step)
    pool = [
        each
        for each in _named(derivative)
        if each in derivative.formula or not graph.nodes[each].args
        if _is_spread(graph.shape(each), shape)
    ]
    for one in pool:
        made, factor = partial(_step_itself, one), text_of(graph, one)
        for text, pair in (("missing", (made, _one)), ("too many", (_one, made))):
            told = f"a factor of {factor} is {text}: in the derivative, in {name}"
            yield _Way(GuessKind.CHAIN, told, step, partial(_exchanged, step, *pair))
    for one, other in itertools.permutations(pool, 2) if len(pool) <= _MOST_IN_PAIRS else ():
        told = f"{text_of(graph, other)} in the place of {text_of(graph, one)}"
        make = partial(_exchanged, step, partial(_step_itself, one), partial(_step_itself, other))
        yield _Way(GuessKind.CHAIN, f"{told}: in the derivative, in {name}", step, make)
    for one in pool:
        own = partial(_step_itself, one)
        for text, move in _moves(graph.shape(one)):
            moved = partial(_moved_step, one, move)
            told = f"{text_of(graph, one)} in the derivative, in {name}"
            make = partial(_exchanged, step, own, moved)
            yield _Way(GuessKind.MOVED, f"{text}: {told}", step, make)
            make = partial(_exchanged, step, moved, own)
            yield _Way(GuessKind.MOVED, f"not {text}, but itself: {told}", step, make)


def _is_whole_product(derivative: DerivativeSteps, step: int) -> bool:
    """Whether a step is an answer, a term, or a product that is no factor of another."""
    nodes, users = derivative.graph.nodes, derivative.users.get(step, ())
    if step in derivative.answers:
        return True
    if step in derivative.formula:
        return False
    if nodes[step].op not in _PRODUCTS:
        return any(nodes[user].op in ("add", "sub") for user in users)
    return any(nodes[user].op not in ("mul", "div") for user in users)


def _is_spread(shape: Shape, wider: Shape) -> bool:
    """Whether an array is spread over one of as many axes, or is a scalar."""
    pairs = zip(shape, wider, strict=False)
    return not shape or (len(shape) == len(wider) and all(a in (1, b) for a, b in pairs))


def _one(_numbers: Numbers) -> Array:
    return np.ones(1)


def _exchanged(
    step: int,
    one: Callable[[Numbers], Array],
    other: Callable[[Numbers], Array],
    numbers: Numbers,
) -> Array:
    """A step divided by one of its factors, times another."""
    wide = numbers[step]
    return np.asarray(wide / _lined_up(wide, one(numbers)) * _lined_up(wide, other(numbers)))


def _lined_up(wide: Array, numbers: Array) -> Array:
    missing = (1,) * (wide.ndim - numbers.ndim)
    return numbers.reshape(len(numbers), *missing, *numbers.shape[1:])


def _sum_of_two(a: int, b: int, sign: int, numbers: Numbers) -> Array:
    return np.asarray(numbers[a] + sign * numbers[b])


def _constants_beside(graph: Graph, arg: int) -> list[float]:
    number = graph.number(arg)
    if number is None or isinstance(number, bool):
        return []
    own = float(number)
    return [0.0, 1.0, -own, 2 * own, own / 2, own * own, own - 1, own + 1]


def _with_operand(
    node: Operation, k: int, change: Callable[[Numbers], Array], numbers: Numbers
) -> Array:
    args = [change(numbers) if j == k else numbers[arg] for j, arg in enumerate(node.args)]
    return computed(node, args)


def _filled(number: float, _numbers: Numbers) -> Array:
    return np.array([number])


def _times(factor: float, arg: int, numbers: Numbers) -> Array:
    return factor * numbers[arg]


def _squared(arg: int, numbers: Numbers) -> Array:
    return numbers[arg] ** 2


def _step_itself(step: int, numbers: Numbers) -> Array:
    return numbers[step]
