"""What one term of a derivative, or one constant, that is a little off would change, in float64.

Along these lines an array of low precision is looked at: each entry alone may be rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np

from gradcheck.answer import Floats, GuessKind
from gradcheck.graph.lower import Lowered
from gradcheck.query import Query
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction
from gradcheck.run.rewriting import (
    Rewrite,
    arguments,
    evaluated_graphs,
    is_moving,
    number_of,
    rewritten,
    text_of,
    told_of,
    with_held,
)

IN_TERM = "in {0} the derivative by {1}"
_STEP = 1e-5


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
            yield GuessKind.TERM, text, _apart(true, base)


_Beside = tuple[DerivativeGraphs, DerivativeGraphs]
"""The function with a constant that is a little smaller, and a little larger."""


@lru_cache(maxsize=8)  # every array of a check asks, and every check of a case
def _of_formula(
    formula: Lowered,
) -> tuple[DerivativeGraphs, Sequence[tuple[str, _Beside]], Sequence[tuple[str, DerivativeGraphs]]]:
    """The formula, and with a constant moved or a term cut: each derived once."""
    function = GraphFunction.of(formula)
    cuts = ((node, k, without_derivative(function, node, k)) for node, k in arguments(function))
    terms = [
        (told_of(function, IN_TERM, node, k), DerivativeGraphs(cut))
        for node, k, cut in cuts
        if cut is not None
    ]
    return DerivativeGraphs(function), list(_constants(function)), terms


def without_derivative(function: GraphFunction, node: int, k: int) -> GraphFunction | None:
    """One argument is constant there."""
    if not is_moving(function, function.graph.nodes[node].args[k]):
        return None
    return rewritten(function, {node: with_held(function, {k})})


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
    return None if low is None or high is None else _apart(high, low) / (2 * _STEP)


def _apart(numbers: Floats, others: Floats) -> Floats:
    """The difference; NaN where both are infinite alike."""
    with np.errstate(invalid="ignore"):
        return np.asarray(numbers - others)


def _constant(number: float) -> Rewrite:
    return lambda graph, number, _args: graph.constant(Fraction(number))
