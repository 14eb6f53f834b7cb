"""What rounding can do to the derivatives of one formula, at exact inputs; see docs/judge.md."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from flint import arb

from gradcheck.dtypes import Dtype
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.ops.balls import working
from gradcheck.reference import forward_mode
from gradcheck.reference.evaluate import Routine
from gradcheck.reference.forward_mode import Chain

REMEMBERED_RUNS = 64
"""Of all derivatives at one point, in low precision: many entries are asked for in turn."""
REMEMBERED_STEPS = 2_000_000
"""Of the routines for single entries: there may be one for each of 200,000 derivatives."""


@dataclass(frozen=True, slots=True)
class ErrorBounds:
    """What rounding can do to one derivative at one point; see docs/judge.md.

    ``conditioning`` is S = |g| + sum |x_j dg/dx_j|, ``rounding`` is R, the radius of the chain
    rule run in balls of the dtype's own precision, ``scale`` is M, the largest intermediate value,
    and ``underflows`` says that one is below the dtype's normal numbers.
    """

    conditioning: float
    rounding: float
    scale: float
    underflows: bool


class Rounding:
    """The stress of one program's derivatives. It remembers points, as ``Truth`` does."""

    def __init__(self, chain: Chain) -> None:
        self.chain, self.program, self.size = chain, chain.program, chain.program.size
        self._routines: dict[tuple[str, int, int], Routine] = {}
        self._steps = 0
        self.radii = lru_cache(REMEMBERED_RUNS)(self._radii)
        self._magnitudes = lru_cache(REMEMBERED_RUNS)(self._magnitudes_at)

    def stress(self, order: int, index: int, x: tuple[float, ...], dtype: Dtype) -> ErrorBounds:
        """S, R and M of the derivative with flat ``index``, for a dtype."""
        points = [arb(value) for value in x]
        with working(dtype.precision, exact=order == 0):
            intermediates = self._scale(order, index).intermediates(points)
        magnitudes = [_magnitude(ball) for ball in intermediates]
        tiny = arb(2) ** dtype.emin
        return ErrorBounds(
            conditioning=self._conditioning(order, index, x),
            rounding=self.radii(order, x, dtype)[index],
            scale=max(magnitudes, default=0.0) or self._scale_of_zero(order, index, x),
            underflows=any(_is_tiny(ball, tiny) for ball in intermediates),
        )

    def _scale_of_zero(self, order: int, index: int, x: tuple[float, ...]) -> float:
        """M of a derivative that vanishes with all its intermediates; 0 of one that does not."""
        magnitudes = self._magnitudes(order, x)
        return max(magnitudes) if magnitudes[index] == 0 else 0.0

    def _radii(self, order: int, x: tuple[float, ...], dtype: Dtype) -> list[float]:
        """R of all derivatives of ``order``, flat."""
        with working(dtype.precision, exact=order == 0):
            return [_radius(ball) for ball in self.chain.routine(order).run([arb(v) for v in x])]

    def largest(self, order: int, x: tuple[float, ...]) -> float:
        """The largest intermediate value of all derivatives up to ``order``."""
        points = [arb(value) for value in x]
        with working(64, exact=False):
            balls = [
                b for k in range(order + 1) for b in self.chain.routine(k).intermediates(points)
            ]
        return max(map(_magnitude, balls), default=0.0)

    def _conditioning(self, order: int, index: int, x: tuple[float, ...]) -> float:
        magnitude = self._magnitudes(order, x)[index]
        with working(64, exact=False):
            points = [arb(value) for value in x]
            try:
                slopes = self._slopes(order, index).run(points)
            except NoDerivative:
                return magnitude
        terms = [
            abs(value) * _magnitude(slope)
            for value, slope in zip(x, slopes, strict=True)
            if value != 0
        ]
        return magnitude + sum(term for term in terms if math.isfinite(term))

    def _magnitudes_at(self, order: int, x: tuple[float, ...]) -> list[float]:
        with working(64, exact=False):
            return [_magnitude(b) for b in self.chain.routine(order).run([arb(v) for v in x])]

    def _slopes(self, order: int, index: int) -> Routine:
        """The derivatives of one derivative by every input entry."""
        key = ("slopes", order, index)
        if key not in self._routines:
            node = self.chain.nodes(order)[index]
            slopes = forward_mode.jacobian(self.program.tape, [node], self.size)[0]
            self._remember(key, Routine(self.program.tape, slopes))
        return self._routines[key]

    def _scale(self, order: int, index: int) -> Routine:
        """What one derivative is computed from, with PyTorch's own local derivatives."""
        key = ("scale", order, index)
        if key not in self._routines:
            tape, nodes = self.program.tape, [self.program.outputs[index // self.size**order]]
            for step in reversed(range(order)):
                rows = forward_mode.jacobian(tape, nodes, self.size, cancelling=True)
                nodes = [rows[0][index // self.size**step % self.size]]
            self._remember(key, Routine(tape, nodes))
        return self._routines[key]

    def _remember(self, key: tuple[str, int, int], routine: Routine) -> None:
        """Keep a routine; forget all others where they hold too many steps."""
        self._steps += routine.length
        if self._steps > REMEMBERED_STEPS:
            self._routines.clear()
            self._steps = routine.length
        self._routines[key] = routine


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
