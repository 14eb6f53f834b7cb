"""What the formula with one fault would have given: a term left out, or without its derivative.

Each fault is planted in one step of the array graph, and the graph is derived and computed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache, partial

import numpy as np

from gradcheck.answer import Floats, GuessKind
from gradcheck.graph.graph import Frozen, Graph
from gradcheck.graph.lower import Lowered
from gradcheck.query import Array, Query
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction
from gradcheck.run.evidence import Alternative, Evidence
from gradcheck.run.rewriting import (
    Faulty,
    Rewrite,
    answered,
    arguments,
    copied,
    evaluated,
    evaluated_graphs,
    is_moving,
    live_steps,
    number_of,
    rewritten,
    sloped,
    text_of,
    told_of,
    with_held,
)

_STEP = 1e-5


def faulty_formulas(evidence: Evidence) -> Iterator[Alternative]:
    """Answers of the formula with one fault in one step."""
    function = GraphFunction.of(evidence.session.variant.formula)
    shape, true, at = evidence.true.shape, evidence.true, (evidence.query, evidence.points)
    faults = _FAULTS if evidence.query.order else _VALUE_FAULTS
    for node, k in arguments(function):
        for kind, text, change, is_line in faults:
            base = evaluated(change(function, node, k), *at)
            if base is None:
                continue
            base, told = base.reshape(shape), told_of(function, text, node, k)
            yield Alternative(kind, told, *((true, true - base) if is_line else (base,)))
    for others in (_with_other_masks, _with_one_use, _with_one_index):
        yield from answered(evidence, others(function))


def lines(
    formula: Lowered, query: Query, points: Floats
) -> Iterator[tuple[GuessKind, str, Floats]]:
    """Yield what one term of the derivative, or one constant, that is a little off would change.

    Times by how much it is too large, relatively.

    Shapes: points [count, n]; [count, *free].
    """
    if not query.order:
        return
    right, constants, terms = _of_formula(formula)
    true = evaluated_graphs(right, query, points)
    if true is None:
        return
    for text, beside in constants:
        slope = _slope(beside, query, points)
        if slope is not None:
            yield GuessKind.DIGITS, text, slope
    for text, cut in terms:
        base = evaluated_graphs(cut, query, points)
        if base is not None:
            yield GuessKind.TERM, text, true - base


_Beside = tuple[DerivativeGraphs, DerivativeGraphs]
"""The function with a constant that is a little smaller, and a little larger."""


@lru_cache(maxsize=8)  # every array of a check asks, and every check of a case
def _of_formula(
    formula: Lowered,
) -> tuple[DerivativeGraphs, Sequence[tuple[str, _Beside]], Sequence[tuple[str, DerivativeGraphs]]]:
    """The formula, and with a constant moved or a term cut: each derived once."""
    function = GraphFunction.of(formula)
    cuts = ((node, k, _cut(function, node, k)) for node, k in arguments(function))
    terms = [
        (told_of(function, _TERM, node, k), DerivativeGraphs(cut))
        for node, k, cut in cuts
        if cut is not None
    ]
    return DerivativeGraphs(function), list(_constants(function)), terms


def _cut(function: GraphFunction, node: int, k: int) -> GraphFunction | None:
    """One argument is constant there."""
    if not is_moving(function, function.graph.nodes[node].args[k]):
        return None
    return rewritten(function, {node: with_held(function, {k})})


def _with_slope_one(function: GraphFunction, node: int, k: int) -> GraphFunction | None:
    return sloped(function, node, k, lambda _graph, _step, moved: moved)


def _with_its_value(function: GraphFunction, node: int, k: int) -> GraphFunction | None:
    return sloped(function, node, k, lambda graph, step, moved: graph.mul(step, moved))


def _left_out(function: GraphFunction, node: int, k: int) -> GraphFunction | None:
    """A term is not added, or a factor not multiplied by."""
    found = function.graph.nodes[node]
    neutral = {"add": 0, "sub": 0, "mul": 1, "div": 1}.get(found.op)
    if neutral is None or (found.op in ("sub", "div") and k == 0):
        return None

    def change(graph: Graph, number: int, args: list[int]) -> int:
        args[k] = graph.constant(neutral, found.shape)
        return copied(function, graph, number, args)

    return rewritten(function, {node: change})


_TERM = "in {0} the derivative by {1}"
_FAULTS = (
    (GuessKind.TERM, _TERM, _cut, True),
    (GuessKind.CHAIN, "a missing factor: the derivative of {0} by {1}", _with_slope_one, False),
    (GuessKind.CHAIN, "the value of {0} in place of its derivative by {1}", _with_its_value, False),
)
_VALUE_FAULTS = ((GuessKind.TERM, "{1} is left out of {0}", _left_out, False),)


def _constants(function: GraphFunction) -> Iterator[tuple[str, _Beside]]:
    """The constants that are no whole numbers, each with the function beside it."""
    for node in function.graph.ancestors(function.outputs):
        found = function.graph.nodes[node]
        if found.op != "constant" or found.shape != () or found.kind != "real":
            continue
        number = number_of(found.attr)
        if number is None or number == round(number):
            continue
        low, high = (
            DerivativeGraphs(rewritten(function, {node: _constant(number * (1 + step))}))
            for step in (-_STEP, _STEP)
        )
        yield f"the constant {text_of(function.graph, node)}", (low, high)


def _slope(beside: _Beside, query: Query, points: Floats) -> Floats | None:
    low, high = (evaluated_graphs(graphs, query, points) for graphs in beside)
    return None if low is None or high is None else (high - low) / (2 * _STEP)


def _constant(number: float) -> Rewrite:
    return lambda graph, number, _args: graph.constant(Fraction(number))


# masks


def _with_other_masks(function: GraphFunction) -> Iterator[Faulty]:
    """The formula without one of its masks, or with one that is off by one."""
    graph = function.graph
    for node in graph.ancestors(function.outputs):
        attr = graph.nodes[node].attr
        if graph.nodes[node].op != "constant" or not isinstance(attr, Frozen):
            continue
        for text, other in _other_masks(attr.array):
            change = partial(_with_array, other)
            yield GuessKind.MASK, text, rewritten(function, {node: change})


def _with_array(array: Array, graph: Graph, number: int, _args: list[int]) -> int:
    return graph.constant(array)


def _other_masks(mask: Array) -> Iterator[tuple[str, Array]]:
    """What may stand in the place of zeros and ones, or of conditions."""
    if mask.ndim == 0 or not ((mask == 0) | (mask == 1)).all() or len(set(mask.flat)) != 2:
        return
    yield "the mask is left out", np.full(mask.shape, max(mask.flat), dtype=object)
    for axis, length in enumerate(mask.shape):
        for first in (0, 2):  # the entry before, the entry behind
            beside = np.clip(np.arange(length) + first - 1, 0, length - 1)
            other = mask.take(beside, axis)
            if (other != mask).any():
                yield "the mask is off by one", other


# what is used several times


def _uses(function: GraphFunction) -> dict[int, list[tuple[int, int]]]:
    """Where what depends on an input is used: in which steps, as which argument."""
    found: dict[int, list[tuple[int, int]]] = {}
    for node, k in arguments(function):
        arg = function.graph.nodes[node].args[k]
        if is_moving(function, arg):
            found.setdefault(arg, []).append((node, k))
    return found


def _with_one_use(function: GraphFunction) -> Iterator[Faulty]:
    """One use of what is used several times counts alone; of two, the other is a missing term."""
    for arg, places in _uses(function).items():
        if not 2 < len(places) <= _MOST_USES:
            continue
        text = f"one use of {text_of(function.graph, arg)} counts alone: overwritten, not added"
        for kept in places:
            others = [each for each in places if each != kept]
            changes = {
                node: with_held(function, {k for each, k in others if each == node})
                for node, _ in others
            }
            yield GuessKind.SUM, text, rewritten(function, changes)


def _with_one_index(function: GraphFunction) -> Iterator[Faulty]:
    """Of an entry that is indexed several times one counts alone."""
    for node in live_steps(function):
        attr = function.graph.nodes[node].attr
        if function.graph.nodes[node].op == "gather" and isinstance(attr, Frozen):
            for which, kept in _once_each(attr.array):
                change = partial(_gathered_once, function, kept)
                text = f"of an entry that is indexed several times the {which} counts alone"
                told = f"{text}: overwritten, not added"
                yield GuessKind.SUM, told, rewritten(function, {node: change})


_MOST_USES = 8


def _once_each(index: Array) -> Iterator[tuple[str, Array]]:
    """Where in an index each number stands the last time, and the first; none where all differ."""
    flat = index.reshape(-1)
    for which, numbers in (("last", flat[::-1]), ("first", flat)):
        found, places = np.unique(numbers, return_index=True)
        if len(found) == len(flat):
            return
        kept = np.zeros(len(flat), dtype=bool)
        kept[len(flat) - 1 - places if which == "last" else places] = True
        yield which, kept.reshape(index.shape)


def _gathered_once(
    function: GraphFunction, kept: Array, graph: Graph, number: int, args: list[int]
) -> int:
    found = copied(function, graph, number, args)
    kept_entries = graph.constant(kept.astype(object))
    return graph.elementwise("where", kept_entries, found, graph.detach(found))
