"""Second derivatives where a number that the backward has saved counts as a constant.

A backward that keeps a step of its forward (a norm's root, a softmax) and is itself derived again
knows no way from that step to the inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gradcheck.answer import GuessKind
from gradcheck.diagnosis.evidence import Alternative, Evidence
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.graph.graph import Graph
from gradcheck.query import Query
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction
from gradcheck.run.rewriting import (
    Rewrite,
    copied,
    copied_above,
    evaluated,
    live_steps,
    rewritten,
    text_of,
)

_ASKED = "reverse over reverse"
"""What such a number is lost in: of other calls nothing is said."""


def saved_steps(evidence: Evidence) -> Iterator[Alternative]:
    """Answers of a backward derived again in which one step of the formula is held constant."""
    if evidence.query.order != 2:
        return
    tangent, free = evidence.query.tangents
    if tangent is None or free is not None:
        return
    formula = rewritten(GraphFunction.of(evidence.session.variant.formula), {})
    slope = _slope(formula)
    if slope is None:
        return
    query = Query(1, evidence.query.cotangent, (None,))
    points = np.concatenate([evidence.points, tangent], axis=1)
    told = np.array([label.startswith(_ASKED) for label in evidence.labels])[:, None]
    steps = [each for each in live_steps(formula) if each not in formula.outputs]
    names = [text_of(formula.graph, each) for each in steps]
    for name, saved in (*zip(names, ([each] for each in steps), strict=True), ("all", steps)):
        found = evaluated(_with_saved(formula, slope, saved), query, points)
        if found is not None:
            text = f"{name} is saved, a constant in the double backward"
            base = np.where(told, found[:, : formula.size], np.nan)
            yield Alternative(GuessKind.TERM, text, base, partial=True)


def _slope(formula: GraphFunction) -> GraphFunction | None:
    """The derivative along a tangent, as a function of the inputs and that tangent."""
    graphs = DerivativeGraphs(formula)
    try:
        outputs = graphs.forward(1)
    except NoDerivative:
        return None
    return GraphFunction(formula.graph, (*formula.inputs, *graphs.tangent(0)), outputs)


def _with_saved(
    formula: GraphFunction, slope: GraphFunction, steps: Sequence[int]
) -> GraphFunction:
    """What the local derivatives are made of is made of steps that are constant."""
    own = frozenset(formula.graph.ancestors(formula.outputs))

    def held(graph: Graph, number: int, args: list[int]) -> int:
        return graph.detach(copied(slope, graph, number, args))

    saved: Mapping[int, Rewrite] = dict.fromkeys(steps, held)

    def change(graph: Graph, number: int, args: list[int]) -> int:
        for k, arg in enumerate(slope.graph.nodes[number].args):
            if arg in own:
                args[k] = copied_above(slope, graph, arg, saved)
        return copied(slope, graph, number, args)

    derived = set(slope.graph.ancestors(slope.outputs)) - own
    return rewritten(slope, dict.fromkeys(derived, change))
