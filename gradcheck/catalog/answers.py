"""Written answers held against their formula: by the chain rule over balls, without torch or sympy.

What a run finds besides, by sympy or at limits, it says itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from flint import arb

from gradcheck.catalog.case import Case, Point
from gradcheck.errors import Problem
from gradcheck.formula.balls import working
from gradcheck.formula.chain import Chain
from gradcheck.formula.derive import NoDerivative
from gradcheck.formula.exact import enclose_constant
from gradcheck.formula.nodes import Node
from gradcheck.formula.program import Program

CLOSE = arb(2) ** -50
"""Relative: an answer may be written as a decimal, but with float64's digits at least."""
_BITS = 200


def contradicted(cases: Iterable[Case]) -> Iterator[Problem]:
    """A problem for each point with an answer that its formula excludes: the first such answer."""
    for case in cases:
        for variant in case.variants:
            chain = Chain(variant.program)
            for point in case.points:
                found = next(_excluded(point, chain), None)
                if found:
                    shown = f" (in the variant {variant.name})" if variant.name else ""
                    yield Problem(point.where, found[0] + shown, found[1], _FIX)


_FIX = "correct the answer, or the formula"


def _excluded(point: Point, chain: Chain) -> Iterator[tuple[str, str]]:
    """What an answer says and what the formula gives, for each that cannot be."""
    program = chain.program
    at = [ball for name, _ in program.inputs for ball in enclose_constant(point.at[name]).flat]
    for what, order, tree, positions in _stated(point, program):
        try:
            with working(_BITS, exact=order == 0):
                balls = chain.routine(order).run(at)
        except NoDerivative:
            continue
        for known, k in zip(enclose_constant(tree).flat, positions, strict=True):
            if not _is_possible(known, balls[k]):
                formula = balls[k].str(17, radius=False)
                yield f"the {what} {known.str(17, radius=False)}", f"the formula's, {formula}"


def _is_possible(known: arb, formula: arb) -> bool:
    """Whether an answer is near the formula's enclosure, if the formula has one there."""
    if not formula.is_finite():
        return True
    with working(_BITS, exact=True):
        gap = abs(known - formula)
        return bool(known.is_finite() and gap.lower() <= CLOSE * abs(known).upper())


def _stated(point: Point, program: Program) -> Iterator[tuple[str, int, Node, list[int]]]:
    """What is stated, its order, the expression, and the flat positions of its entries."""
    outputs, size, spans = range(len(program.outputs)), program.size, _spans(program)
    known = point.known
    if "value" in known:
        yield "value", 0, known["value"], list(outputs)
    for room in ("gradient", "jacobian"):
        for name, tree in known.get(room, {}).items():
            positions = [k * size + j for k in outputs for j in spans[name]]
            yield f"{room} in {name}", 1, tree, positions
    for first, row in known.get("hessian", {}).items():
        for second, tree in row.items():
            positions = [i * size + j for i in spans[first] for j in spans[second]]
            yield f"hessian in {first}, {second}", 2, tree, positions


def _spans(program: Program) -> dict[str, range]:
    """Which flat input entries belong to each input."""
    spans, start = {}, 0
    for name, shape in program.inputs:
        spans[name] = range(start, start + math.prod(shape))
        start += math.prod(shape)
    return spans
