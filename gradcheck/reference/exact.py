"""Expressions without inputs, and rounding a ball to a dtype."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

import numpy as np
from flint import acb, arb

from gradcheck.dtypes import Dtype
from gradcheck.errors import ExpressionError
from gradcheck.floats import from_real_coordinates, nearest_float
from gradcheck.graph.folding import MOST_WORK
from gradcheck.graph.graph import Graph
from gradcheck.graph.lower import lower
from gradcheck.language.nodes import Node
from gradcheck.ops.balls import working
from gradcheck.query import Array
from gradcheck.reference.ball_arrays import Balls
from gradcheck.reference.interpret import MOVES, evaluate

CONSTANT_BITS = 256
_WORK_OF_A_BALL = 8  # an operation in ball arithmetic, in units of a graph's work


def enclose_constant(tree: Node) -> Array:
    """Balls for an expression without inputs, at 256 bits or more; not to be written to.

    They are complex (``acb``) where the expression names what is complex.

    Shapes: an object array of the expression's own shape (that of nested lists).
    Errors: ExpressionError for what is no constant expression or has no value.
    """
    found, _ = _enclosed(tree)
    if found is None:  # asked again, it raises with the places of this text: equal trees share one
        return _balls(tree, Graph(MOST_WORK))
    return found


def work_of_constant(tree: Node) -> int:
    """Return what ``enclose_constant`` takes, whether it was asked before or not, or refuses.

    Units: those of ``Graph.work``.
    """
    _, work = _enclosed(tree)
    return work


@lru_cache(maxsize=1024)  # every check of a case asks for its points anew
def _enclosed(tree: Node) -> tuple[Array | None, int]:
    """The balls, None where they are refused, and the work."""
    graph = Graph(MOST_WORK)
    found: Array | None = None
    with suppress(ExpressionError):
        found = _balls(tree, graph)
    computed = sum(node.size for node in graph.nodes if node.op not in MOVES | {"constant"})
    entries = 0 if found is None else found.size
    return found, graph.work + entries + _WORK_OF_A_BALL * computed


def _balls(tree: Node, graph: Graph) -> Array:
    lowered = lower(tree, inputs={}, names={}, lets={}, conditions=(), graph=graph)
    (result,) = lowered.results
    assert result is not None
    with working(CONSTANT_BITS, exact=True):
        (found,) = evaluate(graph, [result], [], Balls())
    balls: Array = found[0] if found.shape[1:] else found  # a single number: its row of one point
    for ball in balls.flat:
        if _is_nan(ball):
            raise ExpressionError(
                tree.place, "an expression without a value", "a number", "correct the constant"
            )
        if not (ball.is_finite() or ball.is_exact()):  # inf itself is exact
            raise ExpressionError(
                tree.place, "a number too large to enclose", "a smaller number",
                "correct the constant",
            )  # fmt: skip
    shaped: Array = balls.reshape(graph.shape(result)).view()
    shaped.setflags(write=False)
    return shaped


def _is_nan(ball: arb | acb) -> bool:
    return any(part.is_nan() for part in (ball.real, ball.imag))


def nearest_to_ball(ball: arb, dtype: Dtype) -> float:
    """The number of ``dtype`` next to the ball's midpoint, ties to even; inf beyond its range."""
    mid = ball.mid()
    if not mid.is_finite():
        return float(mid)
    mantissa, exponent = mid.man_exp()
    return nearest_float(int(mantissa), dtype, exponent=int(exponent))


def nearest_numbers(balls: Array, dtype: Dtype) -> Array:
    """Return the numbers of ``dtype`` next to balls; of complex balls both parts, as complex128.

    Shapes: those of ``balls``.
    """
    parts = [
        (nearest_to_ball(ball.real, dtype), nearest_to_ball(ball.imag, dtype))
        for ball in balls.flat
    ]
    pairs = np.array(parts, dtype=np.float64).reshape(*balls.shape, 2)
    if any(isinstance(ball, acb) for ball in balls.flat):
        return from_real_coordinates(pairs)
    return pairs[..., 0]
