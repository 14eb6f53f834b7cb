"""The formula with another number in the place of one of its constants, which is sought.

The wrong code may have it everywhere, or only where it takes a root: a norm whose backward is
that of the formula, with another ``eps`` in what it has saved.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck.answer import Floats, GuessKind
from gradcheck.diagnosis.evidence import Alternative, Evidence, Faulty, answered
from gradcheck.graph.graph import Graph
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
_ROUNDS = 6
_STEP = 2.0**-17
_NEAR = 1 / 16
"""Of its error, by which half of the numbers are off at most where a constant is worth telling."""
_DIGITS = 5
"""A constant that is met as well by so many digits has no more."""
_SAME = 1e-9
_NUDGE = 2.0**-50
_STEADY = 2.0**-8
"""Of its error, that an answer may move where its point moves by ulps; else it says nothing."""


def other_constants(evidence: Evidence) -> Iterator[Alternative]:
    """Answers of the formula with another constant, and with one beside a root that was in it."""
    function = GraphFunction.of(evidence.session.variant.formula)
    yield from answered(evidence, _with_added_outside(function))
    for use in _uses(function):
        for place, graphs in _with_constant(function, use):
            found = _sought(_Sought(evidence, graphs, use.number))
            if found is not None:
                constant, base = found
                text = f"the constant {use.name} is {constant:.6g}{place}"
                yield Alternative(GuessKind.DIGITS, text, base, fitted=1, partial=True)


@dataclass(frozen=True, slots=True)
class _Use:
    """A number of a formula, as a whole: sqrt(2/pi), not pi; in some of the steps that take it."""

    node: int
    number: float
    name: str
    steps: frozenset[int]


def _uses(function: GraphFunction) -> list[_Use]:
    """Each constant wherever it is used, and in each step alone where there are several."""
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
    uses = []
    for (node, steps), number in zip(found.items(), numbers, strict=True):
        value, name = float(number.reshape(-1)[0]), text_of(graph, node)
        uses.append(_Use(node, value, name, frozenset(steps)))
        for step in sorted(steps) if len(steps) > 1 else ():
            alone = f"{name} in {text_of(graph, step)}"
            uses.append(_Use(node, value, alone, frozenset({step})))
    return uses


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
    """A constant in a function, which may have been another where the evidence fails."""

    evidence: Evidence
    graphs: DerivativeGraphs
    own: float

    def answers(self, constants: Sequence[float], nudge: float = 0.0) -> Floats | None:
        """What the function gives, its points moved by so much. Shapes: [constants, rows, k]."""
        evidence = self.evidence
        signs = np.where(np.arange(evidence.points.shape[1]) % 2, -1.0, 1.0)
        added = np.repeat(
            np.asarray(constants, dtype=float)[:, None, None], len(evidence.points), axis=1
        )
        points = evidence.points * (1 + nudge * signs)
        found = asked_with(self.graphs, evidence.query, points, added)
        return None if found is None else found.reshape(len(constants), *evidence.true.shape)

    def misses(self, answers: Floats) -> Floats:
        """How far half of what fails is off at most, of its error. Shapes: [constants]."""
        evidence, asked = self.evidence, self.evidence.asked
        error = np.abs(evidence.got - evidence.true)[asked]
        rest = np.abs(answers - evidence.got)[:, asked]
        with np.errstate(all="ignore"):
            return np.median(np.where(np.isfinite(rest), rest, np.inf) / error, axis=1)


def _sought(sought: _Sought) -> tuple[float, Floats] | None:
    """The constant that explains most of what fails, and its answers; None if none comes near."""
    candidates = [each for each in _candidates(sought.own) if each != sought.own]
    found = sought.answers(candidates) if sought.evidence.asked.any() else None
    if found is None:
        return None
    misses = sought.misses(found)
    starts = [sought.own, candidates[int(np.nanargmin(misses))]]
    reached = [_refined(sought, start) for start in starts]
    tried = [starts[1], *(each for one in reached for each in (_short(one), one))]
    told = sought.answers(tried)
    assert told is not None
    misses = sought.misses(told)
    best = int(np.flatnonzero(misses <= misses.min() + _SAME)[0])
    if not misses[best] < _NEAR or abs(tried[best] - sought.own) <= _SAME * abs(sought.own):
        return None
    beside = sought.answers([tried[best]], _NUDGE)
    assert beside is not None
    evidence = sought.evidence
    with np.errstate(all="ignore"):
        steady = np.abs(beside[0] - told[best]) <= _STEADY * np.abs(evidence.got - evidence.true)
    return tried[best], np.where(steady | ~evidence.fails, told[best], np.nan)


def _candidates(own: float) -> list[float]:
    """What may stand in the place of a number."""
    size = abs(own)
    return [0.0, 1.0, -own, 2 * own, own / 2, own**2, math.sqrt(size), own - 1, own + 1,
            *([1 / own] if own else [])]  # fmt: skip


def _refined(sought: _Sought, start: float) -> float:
    """The number near to another that meets what fails best, by the slope of the answers there.

    Each number weighs as its error does: what is least is sum(((got - answer) / error)**2).
    """
    evidence, asked, found = sought.evidence, sought.evidence.asked, start
    for _ in range(_ROUNDS):
        step = _STEP * max(abs(found), _STEP)
        near = sought.answers([found, found - step, found + step])
        assert near is not None
        weight = 1 / np.abs(evidence.got - evidence.true)[asked]
        slope = (near[2] - near[1])[asked] / (2 * step) * weight
        rest = (evidence.got - near[0])[asked] * weight
        told = np.isfinite(slope) & np.isfinite(rest)
        below = float(slope[told] @ slope[told])
        if not 0 < below < math.inf:
            break
        found += float(slope[told] @ rest[told]) / below
    return found


def _short(number: float) -> float:
    """The number to a few digits."""
    return float(f"{number:.{_DIGITS}g}")
