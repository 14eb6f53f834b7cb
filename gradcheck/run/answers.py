"""A case's own answers at its points: held against its formula, and handed to the judge."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from flint import arb

from gradcheck.catalog.case import Point
from gradcheck.formula.balls import working
from gradcheck.formula.derive import NoDerivative
from gradcheck.formula.evaluate import UNDEFINED, Enclosure
from gradcheck.formula.exact import enclose_constant
from gradcheck.formula.nodes import Node
from gradcheck.formula.program import Program
from gradcheck.formula.truth import Truth
from gradcheck.run.hearing import Promises

CLOSE = arb(2) ** -50
"""Relative: a known answer may be written as a decimal, but with float64's digits at least."""


@lru_cache(maxsize=64)  # the witnesses of a case follow each other, in every dtype
def contradictions(point: Point, truth: Truth) -> list[str]:
    """Return the known answers that the formula itself contradicts, in words."""
    program = truth.program
    at = [ball for name, _ in program.inputs for ball in enclose_constant(point.at[name]).flat]
    found = []
    for answer in _answers(point, program):
        if answer.room == "convention":
            continue
        formula = _exactly(truth, answer.order, at)
        for ball, k in zip(enclose_constant(answer.tree).flat, answer.positions, strict=True):
            if not _is_possible(ball, formula[k]):
                known = f"the known {answer.room}{answer.about} {_digits(ball)}"
                found.append(f"{point.where}: {known} is not the formula's, {_shown(formula[k])}")
    return found


def _digits(number: arb) -> str:
    return number.str(17, radius=False) if number.is_finite() else str(float(number))


def _shown(formula: Enclosure) -> str:
    ball = formula.ball
    if formula.status == "settled":
        return _digits(ball)
    lower, upper = (end.str(6, radius=False) for end in (ball.lower(), ball.upper()))
    return f"which lies between {lower} and {upper}"


@dataclass(frozen=True, slots=True)
class _Answer:
    """One answer of a point: the expression, and the flat positions of its entries."""

    room: str
    about: str
    order: int
    tree: Node
    positions: list[int]


def _answers(point: Point, program: Program) -> Iterator[_Answer]:
    m, n = len(program.outputs), program.size
    spans = _spans(program)
    for room, stated in point.known.items():
        if room == "value":
            yield _Answer(room, "", 0, stated, list(range(m)))
        elif room == "hessian":
            for first, row in stated.items():
                for second, tree in row.items():
                    positions = [i * n + j for i in spans[first] for j in spans[second]]
                    yield _Answer(room, f" in {first}, {second}", 2, tree, positions)
        else:
            for name, tree in stated.items():
                positions = [k * n + j for k in range(m) for j in spans[name]]
                yield _Answer(room, f" in {name}", 1, tree, positions)


def _spans(program: Program) -> dict[str, range]:
    """Which flat input entries belong to each input."""
    spans, start = {}, 0
    for name, shape in program.inputs:
        spans[name] = range(start, start + math.prod(shape))
        start += math.prod(shape)
    return spans


def _exactly(truth: Truth, order: int, at: list[arb]) -> list[Enclosure]:
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


def _is_possible(answer: arb, formula: Enclosure) -> bool:
    """Whether an answer is near the formula's enclosure, if the formula has one there."""
    if not formula.ball.is_finite():
        return True
    with working(256, exact=True):
        gap = abs(answer - formula.ball)
        return bool(answer.is_finite() and gap.lower() <= CLOSE * abs(answer).upper())


def promised(point: Point, program: Program) -> Promises:
    """Return what the case states at a point, by order and flat position."""
    conventions: dict[int, arb] = {}
    written: dict[int, dict[int, arb]] = {}
    for answer in _answers(point, program):
        balls = enclose_constant(answer.tree).ravel()
        stated = zip(answer.positions, balls, strict=True)
        if answer.room == "convention":
            conventions.update(stated)
        else:
            written.setdefault(answer.order, {}).update(stated)
    return Promises(conventions, written)
