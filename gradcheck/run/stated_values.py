"""A case's own answers at its points: held against its formula, and handed to the judge."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from flint import arb

from gradcheck.catalog.answers import DIGITS, answers, exactly, excluded, is_possible
from gradcheck.catalog.case import Point, Variant
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.query import Array, Query
from gradcheck.reference.digits import decimal
from gradcheck.reference.enclosures import Status
from gradcheck.reference.reference import Reference
from gradcheck.run.observation import Promises

_BITS = 200


_FOUND: WeakKeyDictionary[Variant, dict[Point, list[str]]] = WeakKeyDictionary()
"""What all checks of a variant ask alike."""


def contradictions(point: Point, variant: Variant, reference: Reference) -> list[str]:
    """Return the known answers that the formula itself contradicts, in words."""
    found = _FOUND.setdefault(variant, {})
    if point not in found:
        found[point] = _contradictions(point, variant, reference)
    return found[point]


def _contradictions(point: Point, variant: Variant, reference: Reference) -> list[str]:
    lowered = variant.formula
    if any(port.kind == "complex" for port in (*lowered.ports, *lowered.judged)):
        # No one mode answers for all entries of a complex function: each is asked for by itself.
        told = excluded(point, variant)
        return [f"{point.where}: the known {one[4:]} is not {other}" for one, other in told]
    at = np.array([exactly(point, lowered)], dtype=object)
    found = []
    for answer in answers(point, variant.formula):
        if answer.key == "convention":
            continue
        balls, settled = _derivatives(reference, answer.order, at)
        for ball, k in answer.entries():
            if not is_possible(ball, balls[k]):
                known = f"the known {answer} {decimal(ball, DIGITS)}"
                formula = _shown(balls[k], settled=bool(settled[k]))
                found.append(f"{point.where}: {known} is not the formula's, {formula}")
    return found


def _shown(ball: arb, *, settled: bool) -> str:
    if settled:
        return decimal(ball, DIGITS)
    lower, upper = (end.str(6, radius=False) for end in (ball.lower(), ball.upper()))
    return f"which lies between {lower} and {upper}"


def _derivatives(reference: Reference, order: int, at: Array) -> tuple[Array, Array]:
    """The formula's derivatives at a point that need not be a float, flat; which are settled."""
    floats = at.astype(float)
    if all(ball.is_exact() and ball == value for ball, value in zip(at[0], floats[0], strict=True)):
        found = reference.enclose(Query.of_all(order), floats)
        return found.balls.reshape(-1), found.status.reshape(-1) == Status.SETTLED
    try:
        balls, _ = reference.over(order, at, _BITS)
    except NoDerivative:
        count = reference.outputs * reference.size**order
        balls = np.full(count, arb.nan(), dtype=object)
    return balls.reshape(-1), np.ones(balls.size, dtype=bool)


def promised(point: Point, variant: Variant) -> Promises:
    """Return what the case states at a point, by order and flat position."""
    conventions: dict[int, arb] = {}
    written: dict[int, dict[int, arb]] = {}
    for answer in answers(point, variant.formula):
        stated = {position: ball for ball, position in answer.entries()}
        if answer.key == "convention":
            conventions |= stated
        else:
            written.setdefault(answer.order, {}).update(stated)
    return Promises(conventions, written)
