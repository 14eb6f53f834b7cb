"""The certified truth about one formula: values and derivatives, enclosed at exact inputs.

Two derivations are run and held against each other at every point: the chain rule over the scalar
program (``derive``) and sympy's derivative (``symbolic``). Where sympy's would take too long, or
has no form in our operators, the chain rule stands alone, and ``note`` says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from flint import arb

from gradcheck.formula import derive
from gradcheck.formula.balls import working
from gradcheck.formula.evaluate import UNDEFINED, Enclosure, Routine, enclose
from gradcheck.formula.operators import OPERATORS
from gradcheck.formula.program import Program
from gradcheck.formula.series import limits
from gradcheck.setting import Dtype

MOST_SYMBOLIC_ENTRIES = 150
MOST_SYMBOLIC_OPERATIONS = 1_500
REMEMBERED_POINTS = 4_096
REMEMBERED_RUNS = 64
"""Of all derivatives at one point, in low precision: many entries are asked for in turn."""


MOST_DERIVATIVES = 200_000
MOST_TANGENTS = 2_000_000


def too_many(program: Program, order: int) -> str:
    """Why derivatives of ``order`` are not certified in this version; empty where they are.

    The chain rule runs forward: each operation carries a tangent for each input entry.
    """
    count = len(program.outputs) * program.size**order
    if count > MOST_DERIVATIVES:
        return f"{count:,} derivatives of order {order}, of which at most {MOST_DERIVATIVES:,} fit"
    tangents = len(program.tape.ancestors(program.outputs)) * program.size**order
    if order and tangents > MOST_TANGENTS:
        return f"{tangents:,} tangents of order {order}, of which at most {MOST_TANGENTS:,} fit"
    return ""


class DerivationsDiffer(Exception):
    """Our two derivations exclude each other: a defect of this package, not of PyTorch."""


@dataclass(frozen=True, slots=True)
class Stress:
    """What rounding can do to one derivative at one point; see docs/judge.md.

    ``conditioning`` is S = |g| + sum |x_j dg/dx_j|, ``rounding`` is R, the radius of the chain
    rule run in balls of the dtype's own precision, ``scale`` is M, the largest intermediate value,
    and ``underflows`` says that one is below the dtype's normal numbers.
    """

    conditioning: float
    rounding: float
    scale: float
    underflows: bool


class Truth:
    """Enclosures for one program. It remembers points, since many witnesses visit the same."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.outputs, self.size = len(program.outputs), program.size
        self._may_jump = _may_jump(program)
        self._nodes: dict[int, list[int]] = {0: list(program.outputs)}
        self._chain: dict[int, Routine] = {0: Routine(program.tape, program.outputs)}
        self._sympy: dict[int, Routine | None] = {}
        self._notes: dict[int, str] = {}
        self._stress: dict[tuple[str, int, int], Routine] = {}
        self.enclosures = lru_cache(REMEMBERED_POINTS)(self._enclosures)
        self.radii = lru_cache(REMEMBERED_RUNS)(self._radii)
        self._magnitudes = lru_cache(REMEMBERED_RUNS)(self._magnitudes_at)

    # routines

    def _derivatives(self, order: int) -> list[int]:
        """Nodes of all derivatives of ``order``, flat: [m * n**order], by the chain rule."""
        if order not in self._nodes:
            lower = self._derivatives(order - 1)
            rows = derive.jacobian(self.program.tape, lower, self.size)
            self._nodes[order] = [node for row in rows for node in row]
        return self._nodes[order]

    def _routine(self, order: int) -> Routine:
        if order not in self._chain:
            self._chain[order] = Routine(self.program.tape, self._derivatives(order))
        return self._chain[order]

    def _symbolic(self, order: int) -> Routine | None:
        if order not in self._sympy:
            routine, note = _sympy_routine(self.program, order)
            self._sympy[order], self._notes[order] = routine, note
        return self._sympy[order]

    def note(self, order: int) -> str:
        """Why the chain rule stands alone at this order; empty where sympy testifies too."""
        self._symbolic(order)
        return self._notes[order]

    # enclosures

    def _enclosures(self, order: int, x: tuple[float, ...]) -> list[Enclosure]:
        """Enclosures of the derivatives of ``order`` (0: the values) at an exact point.

        Shapes: flat, [m * n**order] for m outputs and n input entries.
        Errors: DerivationsDiffer, derive.NoDerivative.
        """
        if order == 0:
            return self._completed(0, x, enclose(self._routine(0), x, exact=True))
        values, block = self.enclosures(0, x), self.size**order
        pairs = zip(values, self._unbroken(x), strict=True)
        smooth = [a.status == "settled" and unbroken for a, unbroken in pairs]
        there = [smooth[k // block] for k in range(len(values) * block)]
        found = enclose(self._routine(order), x, exact=False)
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
        return [each.status != "kink" for each in enclose(self._routine(0), x, exact=False)]

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
        return self._routine(order).run(box)

    # what rounding can do

    def stress(self, order: int, index: int, x: tuple[float, ...], dtype: Dtype) -> Stress:
        """S, R and M of the derivative with flat ``index``, for a dtype."""
        points = [arb(value) for value in x]
        with working(dtype.precision, exact=order == 0):
            intermediates = self._scale(order, index).intermediates(points)
        magnitudes = [_magnitude(ball) for ball in intermediates]
        tiny = arb(2) ** dtype.emin
        return Stress(
            conditioning=self._conditioning(order, index, x),
            rounding=self.radii(order, x, dtype)[index],
            scale=max(magnitudes, default=0.0),
            underflows=any(_is_tiny(ball, tiny) for ball in intermediates),
        )

    def _radii(self, order: int, x: tuple[float, ...], dtype: Dtype) -> list[float]:
        """R of all derivatives of ``order``, flat."""
        with working(dtype.precision, exact=order == 0):
            return [_radius(ball) for ball in self._routine(order).run([arb(v) for v in x])]

    def largest(self, order: int, x: tuple[float, ...]) -> float:
        """The largest intermediate value of all derivatives up to ``order``."""
        points = [arb(value) for value in x]
        with working(64, exact=False):
            balls = [b for k in range(order + 1) for b in self._routine(k).intermediates(points)]
        return max(map(_magnitude, balls), default=0.0)

    def _conditioning(self, order: int, index: int, x: tuple[float, ...]) -> float:
        magnitude = self._magnitudes(order, x)[index]
        with working(64, exact=False):
            points = [arb(value) for value in x]
            try:
                slopes = self._slopes(order, index).run(points)
            except derive.NoDerivative:
                return magnitude
        terms = [
            abs(value) * _magnitude(slope)
            for value, slope in zip(x, slopes, strict=True)
            if value != 0
        ]
        return magnitude + sum(term for term in terms if math.isfinite(term))

    def _magnitudes_at(self, order: int, x: tuple[float, ...]) -> list[float]:
        with working(64, exact=False):
            return [_magnitude(b) for b in self._routine(order).run([arb(v) for v in x])]

    def _slopes(self, order: int, index: int) -> Routine:
        """The derivatives of one derivative by every input entry."""
        key = ("slopes", order, index)
        if key not in self._stress:
            node = self._derivatives(order)[index]
            slopes = derive.jacobian(self.program.tape, [node], self.size)[0]
            self._stress[key] = Routine(self.program.tape, slopes)
        return self._stress[key]

    def _scale(self, order: int, index: int) -> Routine:
        """What one derivative is computed from, with PyTorch's own local derivatives."""
        key = ("scale", order, index)
        if key not in self._stress:
            tape, nodes = self.program.tape, [self.program.outputs[index // self.size**order]]
            for step in reversed(range(order)):
                rows = derive.jacobian(tape, nodes, self.size, cancelling=True)
                nodes = [rows[0][index // self.size**step % self.size]]
            self._stress[key] = Routine(tape, nodes)
        return self._stress[key]


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
    from gradcheck.formula import symbolic, sympy_reader  # sympy loads only where a case is judged

    try:
        nodes = symbolic.derivatives(program.tape, program.outputs, program.size, order)
    except sympy_reader.Untranslatable as error:
        return None, f"{error} has no form in our operators"
    return Routine(program.tape, nodes), ""


def _is_tiny(ball: object, tiny: arb) -> bool:
    """Whether a value is certainly not 0, and certainly below the normal numbers."""
    return isinstance(ball, arb) and bool(ball != 0) and bool(abs(ball) < tiny)


def _magnitude(ball: object) -> float:
    if not isinstance(ball, arb) or not ball.is_finite():
        return 0.0
    return upper_float(abs(ball).upper())


def _radius(ball: object) -> float:
    return upper_float(ball.rad()) if isinstance(ball, arb) and ball.is_finite() else 0.0


def upper_float(bound: arb) -> float:
    """An upper bound as a float; beyond the range, infinity."""
    return float(bound) if bound < arb(2) ** 1023 else math.inf
