"""A loop that the formula writes out, whose derivative has states one step too early or late."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from gradcheck.answer import GuessKind
from gradcheck.diagnosis.derivative_steps import DerivativeSteps
from gradcheck.diagnosis.miswriting import Miswriting, step_itself, with_operand
from gradcheck.graph.graph import Graph

_FEWEST_STATES = 3
_LONGEST_WAY = 6
"""Steps from a state to the one before."""


def one_step_off(derivative: DerivativeSteps) -> Iterator[Miswriting]:
    """Wherever the derivative does the same to each state it takes the one before, or after."""
    for states in _loops(derivative):
        for off, told in ((-1, "before"), (1, "after")):
            text = f"each state is that of the step {told}, in the derivative of the loop"
            alike: dict[Hashable, list[Miswriting]] = {}
            for t, state in enumerate(states):
                if 0 <= t + off < len(states):
                    for kind, step, k in _uses(derivative, state):
                        other = partial(step_itself, states[t + off])
                        make = partial(with_operand, derivative.graph.nodes[step], k, other)
                        way = Miswriting(GuessKind.MOVED, text, step, make)
                        alike.setdefault(kind, []).append(way)
            for first, *also in alike.values():
                if also:
                    yield replace(first, also=tuple(also))


def _uses(derivative: DerivativeSteps, state: int) -> Iterator[tuple[Hashable, int, int]]:
    """Steps of the derivative that a state is an argument of: of what kind, which, as which."""
    nodes = derivative.graph.nodes
    for step in derivative.users.get(state, ()):
        if step not in derivative.formula:
            args = nodes[step].args
            kind = nodes[step].op, tuple(nodes[arg].op for arg in args if arg != state)
            yield kind, step, args.index(state)


def _loops(derivative: DerivativeSteps) -> Iterator[Sequence[int]]:
    """The states of each loop in their order: steps made alike, each of the one before.

    First comes what stands in the first in the place of the one before.
    """
    graph, nodes = derivative.graph, derivative.graph.nodes
    alike: dict[Hashable, list[int]] = {}
    for step in sorted(derivative.formula & derivative.moving):
        kind = nodes[step].op, nodes[step].shape, tuple(nodes[k].op for k in nodes[step].args[1:])
        states = alike.setdefault(kind, [])
        if not states or states[-1] in graph.ancestors([step]):
            states.append(step)
    for states in alike.values():
        start = _start(graph, states) if len(states) > 1 else None
        whole = states if start is None else [start, *states]
        if len(whole) >= _FEWEST_STATES:
            yield whole


def _start(graph: Graph, states: Sequence[int]) -> int | None:
    """What the first state is made of as the second is of the first; None where that differs."""
    first, second = states[:2]
    left = [(second, first)]
    for _ in range(_LONGEST_WAY):
        pairs = [(graph.nodes[a].args, graph.nodes[b].args) for a, b in left]
        left = [pair for a, b in pairs for pair in zip(a, b, strict=False)]
        found = next((b for a, b in left if a == first), None)
        if found is not None:
            return found if graph.shape(found) == graph.shape(first) else None
    return None
