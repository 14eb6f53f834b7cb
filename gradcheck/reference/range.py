"""Whether a formula or its chain rule leaves a dtype's range on the way to a derivative.

Then NaN and infinity are what the formula as written gives there, and no sign of a wrong one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flint import arb

from gradcheck.dtypes import Dtype
from gradcheck.graph.tape import Operation
from gradcheck.ops.balls import working
from gradcheck.ops.table import OPERATORS
from gradcheck.reference.forward_mode import Chain

REMEMBERED_POINTS = 64

BITS = 2_048
"""More than the exponent of any input has: what is infinite here too stands at a pole."""


@dataclass(frozen=True, slots=True)
class Span:
    """Of some numbers, the largest and the smallest that is not 0.

    Units: binary exponents, rounded down; 1, the empty product, is always among the numbers.
    """

    high: int = 0
    low: int = 0

    def __or__(self, other: Span) -> Span:
        return Span(max(self.high, other.high), min(self.low, other.low))

    def __mul__(self, other: Span) -> Span:
        return Span(self.high + other.high, self.low + other.low)

    def to_the(self, exponent: int) -> Span:
        """The span of the powers of the numbers."""
        ends = (exponent * self.high, exponent * self.low)
        return Span(max(ends), min(ends))


class Range:
    """The spans of one program's derivatives. It remembers points, as ``Truth`` does."""

    def __init__(self, chain: Chain) -> None:
        program = chain.program
        self.size, self.tape = program.size, program.tape
        operations = [self.tape.operations[n] for n in self.tape.ancestors(program.outputs)]
        used = {operation.operator for operation in operations} & OPERATORS.keys()
        cancelling = any(OPERATORS[name].cancelling for name in used)
        self._chain = Chain(program, cancelling=True) if cancelling else chain
        self._spans = lru_cache(REMEMBERED_POINTS)(self._spans_at)

    def leaves_range(
        self, order: int, indices: Iterable[int], x: tuple[float, ...], dtype: Dtype
    ) -> bool:
        """Whether an intermediate on the way to some derivatives overflows or underflows.

        On the way to a derivative are the value, the lower derivatives that it is a derivative
        of, and all partial products: PyTorch multiplies in another sequence than our chain rule.
        An entry that is 0 whatever the inputs has no way.

        Shapes: ``indices`` are flat positions among the derivatives of ``order``.
        """
        # A cotangent and each tangent multiply by 1/2 to 2.
        margin = order + 1 if order else 0
        nodes = self._chain.nodes(order)
        return any(
            span.high + margin > dtype.emax or span.low - margin < dtype.emin
            for index in indices
            if self.tape.operations[nodes[index]] != _ZERO
            for span in self._on_the_way(order, index, x, dtype)
        )

    def _on_the_way(
        self, order: int, index: int, x: tuple[float, ...], dtype: Dtype
    ) -> Iterator[Span]:
        n = self.size
        output, entries = index // n**order, [index // n**k % n for k in reversed(range(order))]
        for lower in range(order + 1):
            spans = self._spans(lower, x, dtype)
            for some in itertools.combinations(entries, lower):
                flat = output
                for entry in some:
                    flat = flat * n + entry
                yield spans[flat]

    def _spans_at(self, order: int, x: tuple[float, ...], dtype: Dtype) -> list[Span]:
        """For each derivative of ``order``, flat, the span of what it is computed from."""
        routine, points = self._chain.routine(order), [arb(value) for value in x]
        # In the dtype's precision, where 1 - y² for y near 1 is not small but unknown.
        with working(dtype.precision, exact=order == 0):
            coarse = routine.trace(points)
        with working(BITS, exact=order == 0):
            fine = routine.trace(points)
        factors: dict[int, Span] = {}
        found: dict[int, Span] = {}
        tiny = arb(2) ** dtype.emin
        for node, ball, finer in zip(routine.nodes, coarse, fine, strict=True):
            operation = self.tape.operations[node]
            own = _span(ball if _is_finite(ball) else finer, tiny)
            factors[node] = _products(operation, factors, own)
            found[node] = factors[node] | own if operation.arguments else Span()
            for argument in operation.arguments:
                found[node] |= found[argument]
        return [found[node] for node in self._chain.nodes(order)]


_ZERO = Operation("number", (), 0)


def _products(operation: Operation, factors: dict[int, Span], own: Span) -> Span:
    """The span of all partial products of a node's factors; of what is no product, its own."""
    arguments = [factors[argument] for argument in operation.arguments]
    if operation.operator == "neg":
        return arguments[0]
    if operation.operator == "mul":
        return arguments[0] * arguments[1]
    if operation.operator == "div":
        return arguments[0] * arguments[1].to_the(-1)
    if operation.operator == "ipow":
        return arguments[0].to_the(int(operation.parameter or 0))
    return own


def _span(ball: Any, tiny: arb) -> Span:
    """Of one number; a condition, a pole and 0 have the span of 1."""
    if not _is_finite(ball) or ball.is_zero():
        return Span()
    size = abs(ball).upper()
    mantissa, exponent = size.man_exp()
    floor = int(exponent) + int(mantissa).bit_length() - 1
    may_vanish = not (ball != 0 or size < tiny)
    return Span(max(floor, 0), 0 if may_vanish else min(floor, 0))


def _is_finite(ball: Any) -> bool:
    return isinstance(ball, arb) and bool(ball.is_finite())
