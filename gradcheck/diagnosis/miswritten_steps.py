"""Steps of a derivative that run the other way, are read one place off, or have other operands."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from gradcheck.answer import GuessKind
from gradcheck.diagnosis.derivative_steps import DerivativeSteps, Numbers, computed
from gradcheck.diagnosis.miswriting import (
    Miswriting,
    constants_beside,
    moves,
    step_itself,
    with_operand,
)
from gradcheck.graph.graph import Frozen, Graph, Operation
from gradcheck.query import Array, Shape
from gradcheck.run.rewriting import text_of


def _run_otherwise(derivative: DerivativeSteps, step: int) -> Iterator[Miswriting]:
    """A running sum in the other direction, or without each own entry."""
    node, name = derivative.graph.nodes[step], text_of(derivative.graph, step)
    assert isinstance(node.attr, tuple)
    axis, reverse = node.attr
    turned = partial(_computed_as, replace(node, attr=(axis, not reverse)))
    for text, make in (
        ("runs in the wrong direction", turned),
        ("leaves the entry itself out", partial(_difference, step, node.args[0])),
    ):
        yield Miswriting(GuessKind.SUM, f"in the derivative {name} {text}", step, make)


def _difference(a: int, b: int, numbers: Numbers) -> Array:
    return numbers[a] - numbers[b]


def _indexed_otherwise(derivative: DerivativeSteps, step: int) -> Iterator[Miswriting]:
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
            yield Miswriting(GuessKind.MOVED, text, step, partial(_computed_as, other))


_OTHERWISE = {"cumsum": _run_otherwise, "gather": _indexed_otherwise, "scatter": _indexed_otherwise}


def done_otherwise(derivative: DerivativeSteps, step: int) -> Iterator[Miswriting]:
    """A running sum or an index that is another."""
    op = derivative.graph.nodes[step].op
    return _OTHERWISE[op](derivative, step) if op in _OTHERWISE else iter(())


def _computed_as(node: Operation, numbers: Numbers) -> Array:
    return computed(node, [numbers[arg] for arg in node.args])


def moved_by_one(derivative: DerivativeSteps, step: int) -> Iterator[Miswriting]:
    """The numbers of a step one place off along an axis, or with a triangle of zeros."""
    name = f"{text_of(derivative.graph, step)} in the derivative"
    for text, move in moves(derivative.graph.shape(step)):
        told = f"{text}: {'the derivative' if step in derivative.answers else name}"
        yield Miswriting(GuessKind.MOVED, told, step, partial(_moved_step, step, move))
    for text, mask in _masks(derivative.graph.shape(step)):
        told = f"{text}: {'the derivative' if step in derivative.answers else name}"
        yield Miswriting(GuessKind.MASK, told, step, partial(_moved_step, step, mask))


def _moved_step(step: int, move: Callable[[Array], Array], numbers: Numbers) -> Array:
    return move(numbers[step])


def _masks(shape: Shape) -> Iterator[tuple[str, Callable[[Array], Array]]]:
    if len(shape) < 2 or min(shape[-2:]) < _FEWEST_MASKED:
        return
    for diagonal in (-1, 0):
        yield f"0 above diagonal {diagonal}", partial(np.tril, k=diagonal)
        yield f"0 below diagonal {-diagonal}", partial(np.triu, k=-diagonal)


_FEWEST_MASKED = 3


# operands


_SCALED = (2.0, 0.5, -1.0)
_NEUTRAL = {"add": 0.0, "sub": 0.0, "mul": 1.0, "div": 1.0}


def kept_otherwise(derivative: DerivativeSteps, step: int) -> Iterator[Miswriting]:
    """A number of the formula with another in its place wherever the derivative has it."""
    graph = derivative.graph
    if step not in derivative.formula or len(derivative.users.get(step, ())) < 2:
        return
    for other in derivative.named:
        alike = graph.shape(other) == graph.shape(step) and other in derivative.formula
        if alike and other != step:
            name, own = text_of(graph, other), text_of(graph, step)
            text = f"{name} is kept in the place of {own}"
            yield Miswriting(GuessKind.CHAIN, text, step, partial(step_itself, other))


def with_other_operands(derivative: DerivativeSteps, step: int) -> Iterator[Miswriting]:
    """A step with another number in the place of one of its operands."""
    graph, node = derivative.graph, derivative.graph.nodes[step]
    for k, arg in enumerate(node.args):
        for kind, text, change in _others(derivative, step, arg):
            told = f"{text}: in the derivative, in {text_of(graph, step)}"
            yield Miswriting(kind, told, step, partial(with_operand, node, k, change))


_Other = tuple[GuessKind, str, Callable[[Numbers], Array]]


def _others(derivative: DerivativeSteps, step: int, arg: int) -> Iterator[_Other]:
    """What may stand in the place of an operand."""
    graph, own = derivative.graph, text_of(derivative.graph, arg)
    if arg not in derivative.moving:
        for other in constants_beside(graph, arg):
            text = f"the constant {own} is {other:.6g}"
            yield GuessKind.DIGITS, text, partial(_filled, graph.shape(arg), other)
        return
    op = graph.nodes[step].op
    if op in _NEUTRAL:
        neutral = partial(_filled, graph.shape(arg), _NEUTRAL[op])
        yield GuessKind.TERM, f"{own} is left out", neutral
    for factor in _SCALED:
        yield GuessKind.CHAIN, f"{factor:g} times {own}", partial(_times, factor, arg)
    yield GuessKind.CHAIN, f"{own} is squared", partial(_squared, arg)
    for text, move in moves(graph.shape(arg)):
        yield GuessKind.MOVED, f"{text}: {own}", partial(_moved_step, arg, move)
    for other in derivative.named:
        if other != arg and other < step and graph.shape(other) == graph.shape(arg):
            yield from _with_another(graph, arg, other)


def _with_another(graph: Graph, arg: int, other: int) -> Iterator[_Other]:
    own, name = text_of(graph, arg), text_of(graph, other)
    yield GuessKind.CHAIN, f"{name} in the place of {own}", partial(step_itself, other)
    for sign, told in ((1, f"{name} is added to {own}"), (-1, f"{own} less {name}")):
        yield GuessKind.TERM, told, partial(_sum_of_two, arg, other, sign)


_PRODUCTS = frozenset({"mul", "div", "bmm"})
_MOST_IN_PAIRS = 20


def with_other_factors(derivative: DerivativeSteps, step: int) -> Iterator[Miswriting]:
    """A product of the derivative with another number in the place of one of its factors.

    Which need not be a step of its own: of x / s * s the s is 1.
    """
    graph = derivative.graph
    if not _is_whole_product(derivative, step):
        return
    shape, name = graph.shape(step), text_of(graph, step)
    pool = [
        each
        for each in derivative.named
        if each in derivative.formula or not graph.nodes[each].args
        if _is_spread(graph.shape(each), shape)
    ]
    for one in pool:
        made, factor = partial(step_itself, one), text_of(graph, one)
        for text, pair in (("missing", (made, _one)), ("too many", (_one, made))):
            told = f"a factor of {factor} is {text}: in the derivative, in {name}"
            yield Miswriting(GuessKind.CHAIN, told, step, partial(_exchanged, step, *pair))
    for one, other in itertools.permutations(pool, 2) if len(pool) <= _MOST_IN_PAIRS else ():
        told = f"{text_of(graph, other)} in the place of {text_of(graph, one)}"
        make = partial(_exchanged, step, partial(step_itself, one), partial(step_itself, other))
        yield Miswriting(GuessKind.CHAIN, f"{told}: in the derivative, in {name}", step, make)
    for one in pool:
        own = partial(step_itself, one)
        for text, move in moves(graph.shape(one)):
            moved = partial(_moved_step, one, move)
            told = f"{text_of(graph, one)} in the derivative, in {name}"
            make = partial(_exchanged, step, own, moved)
            yield Miswriting(GuessKind.MOVED, f"{text}: {told}", step, make)
            make = partial(_exchanged, step, moved, own)
            yield Miswriting(GuessKind.MOVED, f"not {text}, but itself: {told}", step, make)


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


def _filled(shape: Shape, number: float, _numbers: Numbers) -> Array:
    return np.full((1, *shape), number)


def _times(factor: float, arg: int, numbers: Numbers) -> Array:
    return factor * numbers[arg]


def _squared(arg: int, numbers: Numbers) -> Array:
    return numbers[arg] ** 2
