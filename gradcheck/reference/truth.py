"""The certified truth about one formula: values and derivatives, enclosed at exact inputs.

Two derivations are run and held against each other at every point: the chain rule over the scalar
program (``derive``) and sympy's derivative (``symbolic``). Where sympy's would take too long, or
has no form in our operators, the chain rule stands alone, and ``note`` says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from flint import arb

from gradcheck.graph.tape import Program
from gradcheck.ops.table import OPERATORS
from gradcheck.reference.error_bounds import Rounding
from gradcheck.reference.evaluate import UNDEFINED, Enclosure, Routine, enclose
from gradcheck.reference.forward_mode import Chain
from gradcheck.reference.range import Range
from gradcheck.reference.series import limits

MOST_SYMBOLIC_ENTRIES = 150
MOST_SYMBOLIC_OPERATIONS = 1_500
REMEMBERED_POINTS = 4_096


class DerivationsDiffer(Exception):
    """Our two derivations exclude each other: a defect of this package, not of PyTorch."""


class Truth:
    """Enclosures for one program. It remembers points, since many witnesses visit the same.

    What rounding can do there (``stress``, ``radii``, ``largest``) is ``Rounding``'s to say, and
    whether a dtype's range is left on the way (``leaves_range``) is ``Range``'s.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.outputs, self.size = len(program.outputs), program.size
        self._may_jump = _may_jump(program)
        self._chain = Chain(program)
        self._sympy: dict[int, Routine | None] = {}
        self._notes: dict[int, str] = {}
        self.enclosures = lru_cache(REMEMBERED_POINTS)(self._enclosures)
        rounding = Rounding(self._chain)
        self.stress, self.radii, self.largest = rounding.stress, rounding.radii, rounding.largest
        self.leaves_range = Range(self._chain).leaves_range

    # sympy's side

    def _symbolic(self, order: int) -> Routine | None:
        if order not in self._sympy:
            routine, note = _sympy_routine(self.program, order)
            self._sympy[order], self._notes[order] = routine, note
        return self._sympy[order]

    def note(self, order: int) -> str:
        """Why the chain rule stands alone at this order; empty where sympy testifies too."""
        self._symbolic(order)
        return self._notes[order]

    def route(self, order: int) -> str:
        """Return which derivations were held against each other; empty if none was needed yet."""
        if order not in self._sympy:
            return ""
        return "forward" if self._sympy[order] is None else "symbolic+forward"

    # enclosures

    def _enclosures(self, order: int, x: tuple[float, ...]) -> list[Enclosure]:
        """Enclosures of the derivatives of ``order`` (0: the values) at an exact point.

        Shapes: flat, [m * n**order] for m outputs and n input entries.
        Errors: DerivationsDiffer, NoDerivative.
        """
        if order == 0:
            return self._completed(0, x, enclose(self._chain.routine(0), x, exact=True))
        values, block = self.enclosures(0, x), self.size**order
        pairs = zip(values, self._unbroken(x), strict=True)
        smooth = [a.status == "settled" and unbroken for a, unbroken in pairs]
        there = [smooth[k // block] for k in range(len(values) * block)]
        found = enclose(self._chain.routine(order), x, exact=False)
        symbolic = self._symbolic(order)
        if symbolic is not None:
            second = enclose(symbolic, x, exact=False)
            held = zip(found, second, there, strict=True)
            found = [_held(a, b, x) if value else UNDEFINED for a, b, value in held]
        found = self._completed(order, x, found)
        found = [each if value else UNDEFINED for each, value in zip(found, there, strict=True)]
        return found if order == 1 else self._twice(order, x, found)

    def _unbroken(self, x: tuple[float, ...]) -> list[bool]:
        """Whether each output's value is the same, however its undecided conditions end.

        At a jump there are no one-sided derivatives, and so no hull of them either.
        """
        if not self._may_jump:
            return [True] * self.outputs
        return [each.status != "kink" for each in enclose(self._chain.routine(0), x, exact=False)]

    def _twice(self, order: int, x: tuple[float, ...], found: list[Enclosure]) -> list[Enclosure]:
        """The same, undefined where the derivative that is differentiated again does not exist."""
        lower, n = self.enclosures(order - 1, x), self.size
        return [
            each if lower[k // n].status == "settled" else UNDEFINED for k, each in enumerate(found)
        ]

    def _completed(
        self, order: int, x: tuple[float, ...], found: list[Enclosure]
    ) -> list[Enclosure]:
        """The same, with limits where a singularity is removable."""
        if all(each.status != "undefined" for each in found):
            return found
        series = limits(self.program, order, x)
        return [
            limit if each.status == "undefined" else each
            for each, limit in zip(found, series, strict=True)
        ]

    def over(self, order: int, box: Sequence[arb]) -> list[arb]:
        """All derivatives of ``order`` over a box, at the precision in force; flat, as ever."""
        return self._chain.routine(order).run(box)


def _may_jump(program: Program) -> bool:
    operations = program.tape.operations
    used = {operations[node].operator for node in program.tape.ancestors(program.outputs)}
    return any(OPERATORS[name].jumps for name in used & OPERATORS.keys())


def _held(a: Enclosure, b: Enclosure, x: tuple[float, ...]) -> Enclosure:
    """One enclosure from two derivations; where only one proves anything, that one."""
    if a.status == "settled" and b.status == "settled":
        if not a.ball.overlaps(b.ball):
            raise DerivationsDiffer(
                f"at {list(x)} the chain rule gives {a.ball.str(20)}, sympy {b.ball.str(20)}"
            )
        return a
    if a.status == b.status == "kink":  # two hulls of the same slopes
        return min(a, b, key=lambda each: float(each.ball.rad()))
    if a.status == "settled" or not b.proves:
        return a
    return b


def _sympy_routine(program: Program, order: int) -> tuple[Routine | None, str]:
    entries = len(program.outputs) * program.size**order // max(1, math.factorial(order))
    operations = len(program.tape.ancestors(program.outputs))
    if entries > MOST_SYMBOLIC_ENTRIES or operations > MOST_SYMBOLIC_OPERATIONS:
        return None, f"{entries} derivatives of {operations} operations are too many for sympy"
    from gradcheck.reference import (
        scalar_symbolic,
        sympy_reader,  # sympy loads only where a case is judged
    )

    try:
        nodes = scalar_symbolic.derivatives(program.tape, program.outputs, program.size, order)
    except sympy_reader.Untranslatable as error:
        return None, f"{error} has no form in our operators"
    return Routine(program.tape, nodes), ""
