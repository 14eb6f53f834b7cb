"""A point's written answers: which derivatives they are, and whether their formula allows them.

``contradicted`` asks the chain rule over balls alone, without torch or sympy. What sympy or a limit
says besides, a run says itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flint import arb

from gradcheck.catalog.case import Case, Point
from gradcheck.errors import Problem
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.graph.tape import Program
from gradcheck.language.nodes import Node
from gradcheck.ops.balls import working
from gradcheck.reference.evaluate import Routine, decimal
from gradcheck.reference.exact import enclose_constant
from gradcheck.reference.forward_mode import Chain

_CLOSE = arb(2) ** -50
"""Relative: an answer may be written as a decimal, but with float64's digits at least."""
_BITS = 200
DIGITS = 17  # of a number in a message
MOST_STEPS = 3_000_000
"""Operations on balls for the written answers of a file, about 1.6 µs each."""
_TOO_LONG = "answers that take too long to check, from this point on"
_AT_MOST = f"at most {MOST_STEPS:,} steps of computation for the answers of a file"
_ORDERS = {"value": 0, "gradient": 1, "jacobian": 1, "hessian": 2}
_FIX = "correct the answer, or the formula"


@dataclass(frozen=True, slots=True)
class WrittenAnswer:
    """One answer of a point: the key it stands under, and the flat positions of its entries.

    Shapes: with m outputs and n input entries, ``positions`` count in [m * n**order].
    """

    key: str
    about: str
    order: int
    tree: Node
    positions: list[int]

    def __str__(self) -> str:
        return self.key + self.about

    def entries(self) -> Iterator[tuple[arb, int]]:
        """Return each number with its flat position."""
        return zip(enclose_constant(self.tree).flat, self.positions, strict=True)


def answers(point: Point, program: Program) -> Iterator[WrittenAnswer]:
    """Return what is written at a point, conventions included."""
    m, n = len(program.outputs), program.size
    spans = _spans(program)
    for key, stated in point.known.items():
        if key == "value":
            yield WrittenAnswer(key, "", 0, stated, list(range(m)))
        elif key == "hessian":
            for first, row in stated.items():
                for second, tree in row.items():
                    positions = [i * n + j for i in spans[first] for j in spans[second]]
                    yield WrittenAnswer(key, f" in {first}, {second}", 2, tree, positions)
        else:
            for name, tree in stated.items():
                positions = [k * n + j for k in range(m) for j in spans[name]]
                yield WrittenAnswer(key, f" in {name}", 1, tree, positions)


def is_possible(answer: arb, formula: arb) -> bool:
    """Return whether an answer is near the formula's enclosure, if the formula has one there."""
    if not formula.is_finite():
        return True
    with working(_BITS, exact=True):
        gap = abs(answer - formula)
        return bool(answer.is_finite() and gap.lower() <= _CLOSE * abs(answer).upper())


def exactly(point: Point, program: Program) -> list[arb]:
    """Return a point's numbers as written, input after input; they need not be floats."""
    return [ball for name, _ in program.inputs for ball in enclose_constant(point.at[name]).flat]


def contradicted(cases: Iterable[Case]) -> Iterator[Problem]:
    """Return a problem for each point with an answer that its formula excludes: the first such.

    What that takes is counted for all cases together; the last problem is that it takes too long.
    """
    left = MOST_STEPS
    for case in cases:
        for variant in case.variants:
            chain = Chain(variant.program)
            for point in case.points:
                left -= _steps(point, chain)
                if left < 0:
                    fix = "leave points out, or split the file"
                    yield Problem(point.where, _TOO_LONG, _AT_MOST, fix)
                    return
                found = next(_excluded(point, chain), None)
                if found:
                    shown = f" (in the variant {variant.name})" if variant.name else ""
                    yield Problem(point.where, found[0] + shown, found[1], _FIX)


def _orders(point: Point) -> set[int]:
    """The orders of the derivatives that the formula is asked for at a point."""
    return {_ORDERS[key] for key in point.known if key in _ORDERS}


def _steps(point: Point, chain: Chain) -> int:
    """How many operations on balls it takes to hold a point's answers against the formula."""
    routines = (_routine(chain, order) for order in _orders(point))
    return sum(routine.length for routine in routines if routine)


def _routine(chain: Chain, order: int) -> Routine | None:
    try:
        return chain.routine(order)
    except NoDerivative:
        return None


def _excluded(point: Point, chain: Chain) -> Iterator[tuple[str, str]]:
    """What an answer says and what the formula gives, for each that cannot be."""
    at = exactly(point, chain.program)
    formulas: dict[int, list[arb]] = {}
    for order in _orders(point):
        routine = _routine(chain, order)
        if routine is not None:
            with working(_BITS, exact=order == 0):
                formulas[order] = routine.run(at)
    for answer in answers(point, chain.program):
        formula = formulas.get(answer.order)
        if answer.key == "convention" or formula is None:
            continue
        for known, k in answer.entries():
            if not is_possible(known, formula[k]):
                given = decimal(formula[k], DIGITS)
                yield f"the {answer} {decimal(known, DIGITS)}", f"the formula's, {given}"


def _spans(program: Program) -> dict[str, range]:
    """Which flat input entries belong to each input."""
    spans, start = {}, 0
    for name, shape in program.inputs:
        spans[name] = range(start, start + math.prod(shape))
        start += math.prod(shape)
    return spans
