"""The formula with other numbers in the place of one or two of its constants, which are sought.

The wrong code may have it everywhere, or only where it takes a root: a norm whose backward is
that of the formula, with another ``eps`` in what it has saved.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from gradcheck.answer import Floats, GuessKind
from gradcheck.diagnosis.evidence import Alternative, Evidence, Faulty, answered
from gradcheck.diagnosis.miswriting import numbers_beside
from gradcheck.graph.graph import Frozen, Graph
from gradcheck.query import Array
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction
from gradcheck.run.rewriting import (
    THROUGH,
    Rewrite,
    added_input,
    asked_with,
    change_of,
    copied,
    copied_above,
    live_steps,
    rewritten,
    text_of,
    values_of,
    with_input,
)

_MOST_CONSTANTS = 8
_MOST_IN_PAIRS = 3
_MOST_DISTINCT = 2
_ROUNDS = 6
_STEP = 2.0**-17
_NEAR = 1 / 16
"""Of its error, by which half of the numbers are off at most where a constant is worth telling."""
_DIGITS = 5
"""A constant that is met as well by so many digits has no more."""
_SAME = 1e-9
_NOTHING = 1e-6
_STEADY = 2.0**-8
"""Of its error, that an answer may move where its point moves by ulps; else it says nothing."""


def another_constant(evidence: Evidence) -> Iterator[Alternative]:
    """Answers of the formula with another constant, and with one beside a root that was in it."""
    function = GraphFunction.of(evidence.session.variant.formula)
    yield from answered(evidence, _with_added_outside(function))
    for use in _uses(function):
        for place, graphs in _with_constant(function, use):
            found = _sought(_Sought(evidence, graphs, (use.number,)))
            if found is not None:
                (constant,), base, beside = found
                text = f"the constant {use.name} is {constant:.6g}{place}"
                yield _told(text, base, beside, 1)


def several_constants(evidence: Evidence) -> Iterator[Alternative]:
    """Answers of the formula with two other constants, or other numbers in an array of them."""
    function = GraphFunction.of(evidence.session.variant.formula)
    for own, graphs in (*_with_two(function), *_with_arrays(function)):
        found = _sought(_Sought(evidence, graphs, own))
        if found is not None:
            numbers, base, beside = found
            several = (" and ".join(f"{each:.6g}" for each in side) for side in (own, numbers))
            text = "the constants {} are {}".format(*several)
            yield _told(text, base, beside, len(own))


def _told(text: str, base: Floats, beside: Floats, fitted: int) -> Alternative:
    return Alternative(
        GuessKind.DIGITS, text, base, fitted=fitted, partial=True, beside=lambda: beside
    )


@dataclass(frozen=True, slots=True)
class _Use:
    """A number of a formula, as a whole: sqrt(2/pi), not pi; in some of the steps that take it."""

    node: int
    number: float
    name: str
    steps: frozenset[int]
    everywhere: bool


def _uses(function: GraphFunction) -> list[_Use]:
    """Each constant wherever it is used; of several steps in each alone, and right below roots."""
    graph, live = function.graph, {*live_steps(function), *function.inputs}
    conditions = {
        node
        for node in graph.ancestors(function.outputs)
        if graph.kind(node) == "bool" and not live.isdisjoint(graph.nodes[node].args)
    }
    found: dict[int, set[int]] = {}
    for node in sorted(live | conditions):
        for arg in graph.nodes[node].args:
            core = _without_broadcast(graph, arg)
            if arg not in live and graph.kind(core) == "real" and graph.shape(core) == ():
                found.setdefault(core, set()).add(node)
    if not 0 < len(found) <= _MOST_CONSTANTS:
        return []
    numbers = values_of(function, list(found), np.zeros((1, function.size)))
    uses, below_roots = [], _below_roots(function)
    for (node, steps), number in zip(found.items(), numbers, strict=True):
        value, name = float(number.reshape(-1)[0]), text_of(graph, node)
        uses.append(_Use(node, value, name, frozenset(steps), everywhere=True))
        for step in sorted(steps) if len(steps) > 1 else ():
            alone = f"{name} in {text_of(graph, step)}"
            uses.append(_Use(node, value, alone, frozenset({step}), everywhere=False))
        if 1 < len(below_roots & steps) < len(steps):
            below = f"{name} below each root"
            uses.append(_Use(node, value, below, below_roots & steps, everywhere=False))
    return uses


def _below_roots(function: GraphFunction) -> frozenset[int]:
    """What roots are taken of, and what is added up in it: variances and squared norms."""
    nodes, found = function.graph.nodes, set[int]()
    left = [nodes[each].args[0] for each in live_steps(function) if nodes[each].op == "sqrt"]
    while left:
        step = left.pop()
        if nodes[step].op == "add" or nodes[step].op in THROUGH:
            left += nodes[step].args
        found.add(step)
    return frozenset(found)


def _without_broadcast(graph: Graph, node: int) -> int:
    while graph.nodes[node].op in THROUGH:
        (node,) = graph.nodes[node].args
    return node


# functions with another constant


def _with_constant(function: GraphFunction, use: _Use) -> Iterator[tuple[str, DerivativeGraphs]]:
    """The function of one more input, which stands for the constant where it is used."""
    nodes = function.graph.nodes

    def change(graph: Graph, number: int, args: list[int]) -> int:
        for k, arg in enumerate(nodes[number].args):
            if _without_broadcast(function.graph, arg) == use.node:
                added = added_input(function, graph)
                args[k] = graph.broadcast(added, function.graph.shape(arg))
        return copied(function, graph, number, args)

    changes = dict.fromkeys(use.steps, change)
    yield "", with_input(function, changes)
    for root in live_steps(function):
        within = set(function.graph.ancestors([root]))
        if nodes[root].op == "sqrt" and use.steps <= within:
            saved = {root: _saved_root(function, root, changes)}
            text = f" in {text_of(function.graph, root)}, as it is saved"
            yield text, with_input(function, saved)


def _with_two(function: GraphFunction) -> Iterator[tuple[tuple[float, ...], DerivativeGraphs]]:
    """The function of two more numbers, which stand for two of its constants wherever they are."""
    uses = [use for use in _uses(function) if use.everywhere]
    for pair in itertools.combinations(uses, 2) if len(uses) <= _MOST_IN_PAIRS else ():
        place = {use.node: k for k, use in enumerate(pair)}

        def change(graph: Graph, number: int, args: list[int]) -> int:
            for k, arg in enumerate(function.graph.nodes[number].args):
                core = _without_broadcast(function.graph, arg)
                if core in place:  # noqa: B023 - it is called before the next pair
                    added = graph.index(added_input(function, graph, (2,)), place[core])  # noqa: B023
                    args[k] = graph.broadcast(added, function.graph.shape(arg))
            return copied(function, graph, number, args)

        changes = dict.fromkeys(frozenset().union(*(use.steps for use in pair)), change)
        yield tuple(use.number for use in pair), with_input(function, changes, (2,))


def _with_arrays(function: GraphFunction) -> Iterator[tuple[tuple[float, ...], DerivativeGraphs]]:
    """The function of more numbers, which stand for those that an array of constants has."""
    for node in function.graph.ancestors(function.outputs):
        found = function.graph.nodes[node]
        if found.op != "constant" or found.kind != "real" or not isinstance(found.attr, Frozen):
            continue
        numbers, places = np.unique(found.attr.array.astype(float), return_inverse=True)
        if 1 < len(numbers) <= _MOST_DISTINCT:
            change = partial(_gathered, function, places.reshape(found.shape), len(numbers))
            yield tuple(numbers.tolist()), with_input(function, {node: change}, (len(numbers),))


def _gathered(
    function: GraphFunction, places: Array, count: int, graph: Graph, _number: int, _args: list[int]
) -> int:
    return graph.gather(added_input(function, graph, (count,)), places)


def _saved_root(function: GraphFunction, root: int, changes: Mapping[int, Rewrite]) -> Rewrite:
    """The root has the value that some changes make, and the slope that goes with it."""

    def change(graph: Graph, _number: int, args: list[int]) -> int:
        (moving,) = args
        saved = graph.detach(copied_above(function, graph, root, changes))
        moved = change_of(graph, moving)
        return graph.add(saved, graph.div(moved, graph.add(saved, saved)))

    return change


def _with_added_outside(function: GraphFunction) -> Iterator[Faulty]:
    """What is added within a root stands outside of it; or so in what is saved of it alone."""
    graph = function.graph
    for root in live_steps(function):
        found = graph.nodes[root]
        inner = graph.nodes[found.args[0]]
        if found.op != "sqrt" or inner.op != "add":
            continue
        for k, added in enumerate(inner.args):
            if added in {*live_steps(function), *function.inputs}:
                continue
            text = f"{text_of(graph, added)} stands outside of {text_of(graph, root)}"
            change = _outside(function, found.args[0], added, inner.args[1 - k])
            yield GuessKind.CHAIN, text, rewritten(function, {root: change})
            saved = _saved_root(function, root, {root: change})
            told = f"{text}, as it is saved"
            yield GuessKind.CHAIN, told, rewritten(function, {root: saved})


def _outside(function: GraphFunction, inner: int, added: int, rest: int) -> Rewrite:
    """sqrt(a) + b in the place of sqrt(a + b)."""

    def change(graph: Graph, _number: int, _args: list[int]) -> int:
        under, beside = (copied_above(function, graph, each) for each in (rest, added))
        return graph.add(graph.elementwise("sqrt", under), beside)

    return change


# the constant itself


@dataclass(frozen=True, slots=True, eq=False)
class _Sought:
    """Constants of a function, which may have been others where the evidence fails."""

    evidence: Evidence
    graphs: DerivativeGraphs
    own: tuple[float, ...]

    def answers(self, constants: Floats, points: Floats | None = None) -> Floats | None:
        """What the function gives, at the points or at others.

        Shapes: constants [several, unknowns]; [several, rows, k].
        """
        evidence = self.evidence
        added = np.repeat(np.asarray(constants)[:, None, :], len(evidence.points), axis=1)
        asked_at = evidence.points if points is None else points
        found = asked_with(self.graphs, evidence.query, asked_at, added)
        return None if found is None else found.reshape(len(constants), *evidence.true.shape)

    def misses(self, answers: Floats) -> tuple[Floats, Floats]:
        """How far half of what fails is off at most, of its error; how many numbers are not near.

        Shapes: [several].
        """
        evidence, asked = self.evidence, self.evidence.asked
        error = np.abs(evidence.got - evidence.true)[asked]
        rest = np.abs(answers - evidence.got)[:, asked]
        with np.errstate(all="ignore"):
            off = np.where(np.isfinite(rest), rest, np.inf) / error
        return np.median(off, axis=1), np.count_nonzero(off >= _NEAR, axis=1)


def _sought(sought: _Sought) -> tuple[Floats, Floats, Floats] | None:
    """The constants that explain most of what fails, and their answers, there and at moved points.

    None if none come near.
    """
    candidates = _candidates(sought.own)
    found = sought.answers(candidates) if sought.evidence.asked.any() else None
    if found is None:
        return None
    misses, _ = sought.misses(found)
    starts = [np.array(sought.own), candidates[int(np.nanargmin(misses))]]
    reached = [_refined(sought, start) for start in starts]
    tried = np.stack(
        [starts[1], *(each for one in reached for each in (_short(one, sought.own), one))]
    )
    told = sought.answers(tried)
    assert told is not None
    misses, left = sought.misses(told)
    best = int(np.argmin(np.where(misses <= misses.min() + _SAME, left, np.inf)))
    if not misses[best] < _NEAR or _are_own(sought, tried[best]):
        return None
    beside = sought.answers(tried[best : best + 1], sought.evidence.moved_points)
    assert beside is not None
    evidence = sought.evidence
    with np.errstate(all="ignore"):
        steady = np.abs(beside[0] - told[best]) <= _STEADY * np.abs(evidence.got - evidence.true)
    return tried[best], np.where(steady | ~evidence.fails, told[best], np.nan), beside[0]


def _are_own(sought: _Sought, constants: Floats) -> bool:
    """Whether the constants are the formula's."""
    own = np.array(sought.own)
    return bool((np.abs(constants - own) <= _SAME * np.abs(own)).all())


def _candidates(own: tuple[float, ...]) -> Floats:
    """What may stand in the place of one of several numbers. Shapes: [several, unknowns]."""
    found = [
        (*own[:k], other, *own[k + 1 :])
        for k, number in enumerate(own)
        for other in numbers_beside(number)
    ]
    return np.array(found)


def _refined(sought: _Sought, start: Floats) -> Floats:
    """The numbers near to others that meet what fails best, by the slopes of the answers there.

    Each number weighs as its error does: what is least is sum(((got - answer) / error)**2).
    """
    evidence, asked, found = sought.evidence, sought.evidence.asked, start
    weight = 1 / np.abs(evidence.got - evidence.true)[asked]
    for _ in range(_ROUNDS):
        steps = np.diag(_STEP * np.maximum(np.abs(found), _STEP))
        near = sought.answers(np.concatenate([found[None], found - steps, found + steps]))
        assert near is not None
        low, high = np.split(near[1:, asked], 2)
        slopes = (high - low) / (2 * steps.diagonal()[:, None]) * weight
        rest = (evidence.got - near[0])[asked] * weight
        told = np.isfinite(slopes).all(axis=0) & np.isfinite(rest)
        if not told.any() or not slopes[:, told].any():
            break
        found = found + np.linalg.lstsq(slopes[:, told].T, rest[told], rcond=None)[0]
    return found


def _short(numbers: Floats, own: tuple[float, ...]) -> Floats:
    """The numbers to a few digits; 0 for what is nothing beside the formula's."""
    tiny = np.abs(numbers) <= _NOTHING * np.abs(own)
    return np.where(tiny, 0.0, [float(f"{each:.{_DIGITS}g}") for each in numbers])
