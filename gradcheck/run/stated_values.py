"""A case's own answers at its points: held against its formula, and handed to the judge."""

from __future__ import annotations

from functools import lru_cache

from flint import arb

from gradcheck.catalog.answers import DIGITS, answers, exactly, is_possible
from gradcheck.catalog.case import Point, Variant
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.ops.balls import working
from gradcheck.reference.evaluate import UNDEFINED, Enclosure, decimal
from gradcheck.reference.truth import Truth
from gradcheck.run.observation import Promises


@lru_cache(maxsize=64)  # the witnesses of a case follow each other, in every dtype
def contradictions(point: Point, variant: Variant, truth: Truth) -> list[str]:
    """Return the known answers that the formula itself contradicts, in words."""
    at = exactly(point, variant.formula)
    found = []
    for answer in answers(point, variant.formula):
        if answer.key == "convention":
            continue
        formula = _enclosures(truth, answer.order, at)
        for ball, k in answer.entries():
            if not is_possible(ball, formula[k].ball):
                known = f"the known {answer} {decimal(ball, DIGITS)}"
                found.append(f"{point.where}: {known} is not the formula's, {_shown(formula[k])}")
    return found


def _shown(formula: Enclosure) -> str:
    ball = formula.ball
    if formula.status == "settled":
        return decimal(ball, DIGITS)
    lower, upper = (end.str(6, radius=False) for end in (ball.lower(), ball.upper()))
    return f"which lies between {lower} and {upper}"


def _enclosures(truth: Truth, order: int, at: list[arb]) -> list[Enclosure]:
    """The formula's derivatives at a point that need not be a float."""
    try:
        if all(ball.is_exact() for ball in at):
            floats = tuple(float(ball) for ball in at)
            if all(arb(value) == ball for value, ball in zip(floats, at, strict=True)):
                return truth.enclosures(order, floats)
        with working(200, exact=order == 0):
            balls = truth.over(order, at)
    except NoDerivative:
        return [UNDEFINED] * (truth.outputs * truth.size**order)
    return [Enclosure(ball, "settled" if ball.is_finite() else "undefined") for ball in balls]


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
