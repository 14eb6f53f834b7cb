"""Expressions without inputs, conditions at a point, and rounding a ball to a dtype."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

import numpy as np
from flint import arb

from gradcheck.dtypes import Dtype
from gradcheck.errors import ExpressionError
from gradcheck.floats import nearest_float
from gradcheck.graph.folding import MOST_WORK
from gradcheck.graph.scalarize import unroll
from gradcheck.graph.tape import Program, Tape
from gradcheck.language.nodes import Node
from gradcheck.ops.balls import Condition, working
from gradcheck.query import Array
from gradcheck.reference.evaluate import Routine

CONSTANT_BITS = 256
_WORK_OF_A_BALL = 8  # an operation in ball arithmetic, in units of a tape's work


def enclose_constant(tree: Node) -> Array:
    """Balls for an expression without inputs, at 256 bits or more; not to be written to.

    Shapes: an object array of the expression's own shape (that of nested lists).
    Errors: ExpressionError for what is no constant expression or has no value.
    """
    found, _ = _enclosed(tree)
    if found is None:  # asked again, it raises with the places of this text: equal trees share one
        return _balls(tree, Tape(MOST_WORK))
    return found


def work_of_constant(tree: Node) -> int:
    """Return what ``enclose_constant`` takes, whether it was asked before or not, or refuses.

    Units: those of ``Tape.work``.
    """
    _, work = _enclosed(tree)
    return work


@lru_cache(maxsize=1024)  # every check of a case asks for its points anew
def _enclosed(tree: Node) -> tuple[Array | None, int]:
    """The balls, None where they are refused, and the work."""
    tape = Tape(MOST_WORK)
    found: Array | None = None
    with suppress(ExpressionError):
        found = _balls(tree, tape)
    return found, tape.work + _WORK_OF_A_BALL * len(tape.operations)


def _balls(tree: Node, tape: Tape) -> Array:
    program = unroll(tree, inputs={}, names={}, lets={}, conditions=(), tape=tape)
    with working(CONSTANT_BITS, exact=True):
        balls = Routine(program.tape, program.outputs).run([])
    if any(ball.is_nan() for ball in balls):
        raise ExpressionError(
            tree.place, "an expression without a value", "a number", "correct the constant"
        )
    if not all(ball.is_finite() or ball.is_exact() for ball in balls):  # inf itself is exact
        raise ExpressionError(
            tree.place, "a number too large to enclose", "a smaller number", "correct the constant"
        )
    result = np.empty(len(balls), dtype=object)
    result[:] = balls
    result.setflags(write=False)
    return result.reshape(program.shape)


def nearest(ball: arb, dtype: Dtype) -> float:
    """The number of ``dtype`` next to the ball's midpoint, ties to even; inf beyond its range."""
    mid = ball.mid()
    if not mid.is_finite():
        return float(mid)
    mantissa, exponent = mid.man_exp()
    return nearest_float(int(mantissa), dtype, exponent=int(exponent))


def holds(program: Program, values: Sequence[float]) -> bool | None:
    """Whether all conditions of `where` hold at a point; None where that cannot be decided.

    Shapes: ``values`` are the entries of all inputs, flattened and joined in order.
    """
    if not program.conditions:
        return True
    routine = _conditions(program)
    points = [arb(value) for value in values]
    answers: list[Condition] = []
    for bits in (64, 256, 1024):
        with working(bits, exact=True):
            answers = routine.run(points)
        if all(isinstance(answer, bool) for answer in answers):
            break
    if False in answers:
        return False
    return True if all(answer is True for answer in answers) else None


def work_of_holding(program: Program) -> int:
    """Return what ``holds`` takes at one point.

    Units: those of ``Tape.work``.
    """
    if not program.conditions:
        return 0
    return _WORK_OF_A_BALL * len(program.tape.ancestors(program.conditions)) + program.size


@lru_cache(maxsize=64)
def _conditions(program: Program) -> Routine:
    return Routine(program.tape, program.conditions)
