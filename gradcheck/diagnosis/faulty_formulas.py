"""What the formula with one fault would have given: a term left out, or without its derivative.

Each fault is planted in one step of the array graph, and the graph is derived and computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, product

import numpy as np

from gradcheck.answer import GuessKind
from gradcheck.diagnosis.evidence import Alternative, Evidence, Faulty, answered
from gradcheck.diagnosis.miswriting import masks_beside
from gradcheck.graph.graph import Frozen, Graph
from gradcheck.query import Array
from gradcheck.reference.derivative_graphs import GraphFunction
from gradcheck.run.lines import IN_TERM, without_derivative
from gradcheck.run.rewriting import (
    arguments,
    copied,
    evaluated,
    is_moving,
    live_steps,
    rewritten,
    sloped,
    text_of,
    told_of,
    with_held,
)


def faulty_formulas(evidence: Evidence) -> Iterator[Alternative]:
    """Answers of the formula with one fault in one step."""
    function = GraphFunction.of(evidence.session.variant.formula)
    shape, true, at = evidence.true.shape, evidence.true, (evidence.query, evidence.points)
    faults = _FAULTS if evidence.query.order else _VALUE_FAULTS
    for node, k in arguments(function):
        for kind, text, change, is_line in faults:
            other = change(function, node, k)
            base = evaluated(other, *at)
            if base is None:
                continue
            base, told = base.reshape(shape), told_of(function, text, node, k)
            if is_line:
                yield Alternative(kind, told, true, true - base)
            else:
                beside = partial(evaluated, other, evidence.query, evidence.moved_points)
                yield Alternative(kind, told, base, beside=beside)
    for others in (
        _without_stops,
        _without_transposes,
        _with_other_masks,
        _with_one_use,
        _with_one_index,
        _without_derivatives_of_each,
    ):
        yield from answered(evidence, others(function))


def _without_stops(function: GraphFunction) -> Iterator[Faulty]:
    """What the formula holds constant has its derivative: at one place, or at all."""
    stops = [each for each in live_steps(function) if function.graph.nodes[each].op == "detach"]
    for stop in stops:
        text = f"{text_of(function.graph, stop)} is not held constant"
        yield GuessKind.TERM, text, rewritten(function, {stop: _passed_through})
    if len(stops) > 1:
        changes = dict.fromkeys(stops, _passed_through)
        yield GuessKind.TERM, "no stop(...) is held constant", rewritten(function, changes)


def _without_transposes(function: GraphFunction) -> Iterator[Faulty]:
    """The derivative of a transposed matrix is not transposed back."""
    for node in live_steps(function):
        if function.graph.nodes[node].op == "transpose":
            other = sloped(function, node, 0, _slope_one)
            if other is not None:
                text = f"the derivative of {text_of(function.graph, node)} is not transposed back"
                yield GuessKind.MOVED, text, other


def _passed_through(_graph: Graph, _number: int, args: list[int]) -> int:
    return args[0]


def _without_derivatives_of_each(function: GraphFunction) -> Iterator[Faulty]:
    """All steps that have an operator lack the derivative by one argument."""
    alike: dict[tuple[str, int], list[int]] = {}
    for node, k in arguments(function):
        found = function.graph.nodes[node]
        if is_moving(function, found.args[k]):
            alike.setdefault((found.op, k), []).append(node)
    for (op, k), nodes in alike.items():
        if len(nodes) > 1:
            changes = dict.fromkeys(nodes, with_held(function, {k}))
            text = f"a missing term: in each {op} the derivative by argument {k + 1}"
            yield GuessKind.TERM, text, rewritten(function, changes)


def _with_other_slope(
    function: GraphFunction, node: int, k: int, slope: Callable[[Graph, int, int], int]
) -> GraphFunction | None:
    if function.graph.nodes[node].op in _WITHOUT_SLOPE:
        return None
    return sloped(function, node, k, slope)


def _slope_one(_graph: Graph, _step: int, moved: int) -> int:
    return moved


def _its_value(graph: Graph, step: int, moved: int) -> int:
    return graph.mul(step, moved)


_WITHOUT_SLOPE = frozenset({"detach", "transpose"})
"""Steps that nobody writes a factor for; what is wrong of them is told in words of its own."""


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


_FAULTS = (
    (GuessKind.TERM, IN_TERM, without_derivative, True),
    (
        GuessKind.CHAIN,
        "a missing factor: the derivative of {0} by {1}",
        partial(_with_other_slope, slope=_slope_one),
        False,
    ),
    (
        GuessKind.CHAIN,
        "the value of {0} in place of its derivative by {1}",
        partial(_with_other_slope, slope=_its_value),
        False,
    ),
)
_VALUE_FAULTS = ((GuessKind.TERM, "{1} is left out of {0}", _left_out, False),)


# masks


def _with_other_masks(function: GraphFunction) -> Iterator[Faulty]:
    """The formula without one of its masks, or with one that is off by one; or with two such."""
    graph, masks = function.graph, dict[int, list[tuple[str, Array]]]()
    for node in graph.ancestors(function.outputs):
        attr = graph.nodes[node].attr
        if graph.nodes[node].op == "constant" and isinstance(attr, Frozen):
            masks[node] = list(masks_beside(attr.array))
    masks = {node: others for node, others in masks.items() if others}
    for node, others in masks.items():
        for text, other in others:
            change = partial(_with_array, other)
            yield GuessKind.MASK, f"the mask is {text}", rewritten(function, {node: change})
    for pair in combinations(masks, 2) if len(masks) <= _MOST_MASKS else ():
        for (text, one), (like, other) in product(*(masks[node] for node in pair)):
            if text == like:
                changes = {pair[0]: partial(_with_array, one), pair[1]: partial(_with_array, other)}
                yield GuessKind.MASK, f"two masks are {text}", rewritten(function, changes)


_MOST_MASKS = 3


def _with_array(array: Array, graph: Graph, number: int, _args: list[int]) -> int:
    return graph.constant(array)


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
