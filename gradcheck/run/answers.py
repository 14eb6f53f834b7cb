"""A case's own known answers: held against its formula, and put in the truth's place at kinks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from flint import arb

from gradcheck.catalog.case import Point
from gradcheck.formula.balls import working
from gradcheck.formula.evaluate import Enclosure
from gradcheck.formula.exact import enclose_constant
from gradcheck.formula.nodes import Node
from gradcheck.formula.program import Program
from gradcheck.formula.truth import Truth

CLOSE = arb(2) ** -50
"""Relative: a known answer may be written as a decimal, but with float64's digits at least."""


@lru_cache(maxsize=64)  # the witnesses of a case follow each other, in every dtype
def contradictions(point: Point, truth: Truth) -> list[str]:
    """Known answers that the formula itself contradicts, in words."""
    program = truth.program
    at = [ball for name, _ in program.inputs for ball in enclose_constant(point.at[name]).flat]
    found = []
    for what, order, tree, positions in _stated(point, program):
        known = list(enclose_constant(tree).flat)
        formula = _exactly(truth, order, at)
        for claim, k in zip(known, positions, strict=True):
            if not _close(claim, formula[k]):
                shown = formula[k].ball.str(17, radius=False)
                found.append(
                    f"the known {what} {claim.str(17, radius=False)} is not the formula's, {shown}"
                )
    return found


def _stated(point: Point, program: Program) -> Iterator[tuple[str, int, Node, list[int]]]:
    """What is stated, its order, the expression, and the flat positions of its entries."""
    m, n = len(program.outputs), program.size
    spans = _spans(program)
    for what, stated in point.known.items():
        if what == "value" and not isinstance(stated, dict):
            yield what, 0, stated, list(range(m))
        elif what in ("gradient", "jacobian") and isinstance(stated, dict):
            for name, tree in stated.items():
                positions = [k * n + j for k in range(m) for j in spans[name]]
                yield f"{what} in {name}", 1, tree, positions
        elif what == "hessian" and isinstance(stated, dict):
            for first, row in stated.items():
                for second, tree in row.items():
                    positions = [i * n + j for i in spans[first] for j in spans[second]]
                    yield f"hessian in {first}, {second}", 2, tree, positions


def _spans(program: Program) -> dict[str, range]:
    """Which flat input entries belong to each input."""
    spans, start = {}, 0
    for name, shape in program.inputs:
        spans[name] = range(start, start + math.prod(shape))
        start += math.prod(shape)
    return spans


def _exactly(truth: Truth, order: int, at: list[arb]) -> list[Enclosure]:
    """The formula's derivatives at a point that need not be a float."""
    if all(ball.is_exact() for ball in at):
        floats = tuple(float(ball) for ball in at)
        if all(arb(value) == ball for value, ball in zip(floats, at, strict=True)):
            return truth.enclosures(order, floats)
    with working(200, exact=order == 0):
        balls = truth.over(order, at)
    return [Enclosure(ball, "settled" if ball.is_finite() else "undefined") for ball in balls]


def _close(claim: arb, formula: Enclosure) -> bool:
    if not formula.proves:
        return False
    with working(256, exact=True):
        gap = abs(claim - formula.ball)
        return bool(gap.lower() <= CLOSE * abs(claim).upper())


def promised(point: Point, program: Program) -> dict[int, Enclosure]:
    """The gradient that PyTorch promises where none exists, by flat position [m * n]."""
    stated = point.known.get("convention")
    if not isinstance(stated, dict):
        return {}
    m, n, spans = len(program.outputs), program.size, _spans(program)
    found: dict[int, Enclosure] = {}
    for name, tree in stated.items():
        balls = np.asarray(enclose_constant(tree)).ravel()
        positions = [k * n + j for k in range(m) for j in spans[name]]
        found |= {
            position: Enclosure(ball, "promised")
            for position, ball in zip(positions, balls, strict=True)
        }
    return found
