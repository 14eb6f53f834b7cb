"""Derivatives at removable singularities, by series along lines through the point.

Along x + v t let f be the sum of q_j(v) tʲ. If f can be differentiated k times, q_j is a form of
degree j for j = 0 to k, and Dᵏf[t₁, ..., tₖ] is the k-th difference of q_k with steps t₁ to tₖ,
begun anywhere. That the q_j are forms is held at random lines: differences of order k + 1 vanish.
That lines tell all, is proved: the expansion is possible with balls for directions that cover all.
Where a condition that is undecided hangs on some entries alone, it is settled along lines in those,
from every point near this one in the others: f(y, v t) = q₀(y) + q₁(y, v) t + o(t), uniformly. Then
that it fits f(y, 0) is held too: q₁(w + y) = q₁(w) + the slope of f(·, 0) for a step y.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np
from flint import arb, fmpq

from gradcheck.ops.balls import working
from gradcheck.query import Array, flatten, split
from gradcheck.randomness import derive_key, random_below, random_words
from gradcheck.reference.ball_arrays import is_settled, union
from gradcheck.reference.conditions import reach
from gradcheck.reference.derivative_graphs import DerivativeGraphs, Rows
from gradcheck.reference.interpret import evaluate
from gradcheck.reference.laurent import (
    MISSING,
    RAMIFICATION,
    SMALL,
    Lines,
    Series,
    capped,
    line,
    on_line,
    standing,
)

_BITS = 1_536
_NEAR = 2.0**-30
"""How far around a point lines begin, relative to it."""
_MOST_INPUTS = 16
_MOST_ENTRIES = 4_096
_Step = TypeVar("_Step")


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """The answer at singular points.

    ``found`` says where there is one, ``kinked`` where it is a hull of one-sided ones, ``missing``
    where it is proved that there is none.

    Shapes: [count, free] each.
    """

    balls: Array
    found: Array
    kinked: Array
    missing: Array


def by_limits(graphs: DerivativeGraphs, rows: Rows) -> Limits:
    """The limits of the answer, where lines give them; none for functions that are too large.

    Lines follow the values, which go on where `stop` ends the derivative: none there either.
    """
    width = graphs.function.size if rows.reverse else graphs.function.width
    shape = (rows.count, width)
    result = Limits(np.full(shape, arb.nan(), dtype=object), *np.zeros((3, *shape), dtype=bool))
    graph = graphs.function.graph
    nodes = graph.ancestors(graphs.function.outputs)
    entries = sum(graph.nodes[node].size for node in nodes)
    real = all(graph.nodes[node].kind != "complex" for node in nodes)
    meant = rows.order > 0 and graphs.function.is_stopped
    if graphs.function.size > _MOST_INPUTS or entries > _MOST_ENTRIES or not real or meant:
        return result
    for row in range(rows.count):
        _fill(graphs, rows.take(slice(row, row + 1)), result, row)
    return result


def _fill(graphs: DerivativeGraphs, rows: Rows, result: Limits, row: int) -> None:
    """The limits of one row."""
    with working(_BITS, exact=True), capped():
        lines = _Lines(graphs, rows)
        missing, smooth, kinked = lines.kinds()
        for entry in range(result.balls.shape[1]):
            tangents, outputs = lines.question(entry)
            asked = np.flatnonzero(outputs)
            result.missing[row, entry] = missing[asked].any()
            if missing[asked].any() or not (smooth | kinked)[asked].all():
                continue
            ball, sides = lines.difference(tangents, outputs)
            if ball is None or (kinked[asked].any() and sides is None):
                continue
            hull = kinked[asked].any() and sides is not None
            result.balls[row, entry] = sides if hull else ball
            result.kinked[row, entry] = hull
            result.found[row, entry] = bool(hull or is_settled(np.array([ball]))[0])


class _Lines:
    """Expansions at one point; they are remembered by direction, hence a class that changes."""

    def __init__(self, graphs: DerivativeGraphs, rows: Rows) -> None:
        self.graphs, self.rows, self.order = graphs, rows, rows.order
        self.size, self.width = graphs.function.size, graphs.function.width
        # Of one line no two entries are equal: along such a line ties would stay ties.
        key, shape = derive_key("lines"), (self.order + 2, self.size)
        places = np.argsort(random_words(key, shape), axis=1, kind="stable")
        lines = 3.0 + 7 * places + random_below(7, derive_key(key), shape)
        self.base, self.steps = lines[0], lines[1:]
        self.steps[0] *= -self.base  # so that lines lie on both sides of the point
        self._known: dict[tuple[float | Fraction, ...], list[object]] = {}
        self._values: Array | None = None

    def question(self, entry: int) -> tuple[list[Array], Array]:
        """The tangents of one entry of the answer, and the cotangent of its outputs."""
        tangents = [tangent[0] for tangent in self.rows.tangents]
        if self.rows.reverse:
            assert self.rows.cotangent is not None
            return [*tangents, np.eye(self.size)[entry]], self.rows.cotangent[0]
        return tangents, np.eye(self.width)[entry]

    def expand(self, direction: Array) -> list[object]:
        """The series of all outputs along a direction."""
        key = tuple(direction.tolist())
        if key not in self._known:
            balls = [arb(fmpq(*v.as_integer_ratio())) for v in key]
            self._known[key] = self._expanded(balls, self.rows.points[0].tolist())
        return self._known[key]

    def _expanded(self, direction: Sequence[arb], point: Sequence[object]) -> list[object]:
        graph, function = self.graphs.function.graph, self.graphs.function
        flat = np.empty((1, self.size), dtype=object)
        flat[0] = [
            standing(x) if isinstance(x, arb) else line(k, x, v)
            for k, (x, v) in enumerate(zip(point, direction, strict=True))
        ]
        parts = split(flat, [graph.shape(node) for node in function.inputs])
        by_number = {
            graph.nodes[node].attr: part for node, part in zip(function.inputs, parts, strict=True)
        }
        nothing = np.empty((1, 0), dtype=object)
        inputs = [by_number.get(k, nothing) for k in range(len(graph.inputs))]
        found = flatten(evaluate(graph, function.outputs, inputs, Lines()))[0]
        return [on_line(each) for each in found]

    def kinds(self) -> tuple[Array, Array, Array]:
        """Of each output: whether it is missing near the point, whether it is as smooth as asked,
        and whether it is but for the last order."""
        chosen = _subsets(range(self.order + 1))
        lines = [self.expand(self.base + self.steps[list(each)].sum(axis=0)) for each in chosen]
        opposite = self.expand(-self.base)
        covered = self._covered()
        missing, smooth, kinked = np.zeros((3, self.width), dtype=bool)
        for k in range(self.width):
            column = [each[k] for each in lines]
            every = [*column, opposite[k]]
            missing[k] = any(each is MISSING or _has_pole(each, self.order) for each in every)
            if missing[k] or not all(isinstance(each, Series) for each in every):
                continue
            forms = [_is_form(chosen, column, j) for j in range(self.order + 1)]
            smooth[k] = covered[k] >= self.order and all(forms)
            kinked[k] = 0 < self.order <= covered[k] + 1 and all(forms[:-1]) and forms[-1] is False
            missing[k] = False in forms and not kinked[k]
            missing[k] |= self._jumps(k, column)
        return missing, smooth, kinked

    def _jumps(self, output: int, column: Sequence[object]) -> bool:
        """Whether an output has a value at the point, and another limit: it has no derivative."""
        if self.order == 0:
            return False
        if self._values is None:
            at = Rows(0, self.rows.points, None, ())
            self._values = self.graphs.enclose(at, _BITS, exact=True).answer[0]
        value = self._values[output]
        limits = [each.coefficient(0) for each in column if isinstance(each, Series)]
        return bool(value.is_finite()) and any(
            limit is not None and not value.overlaps(limit) for limit in limits
        )

    def _covered(self) -> Array:
        """Up to which order each output is expanded, -1 for none, for all directions at once: so
        an expansion holds uniformly."""
        found = self._covered_by(range(self.size))
        if self.order == 1 and (found < 1).any():
            deciding = self._deciding()
            if 0 < deciding.size < self.size and self._fits_beside(deciding):
                found = np.maximum(found, self._covered_by(deciding.tolist()))
        return found

    def _covered_by(self, entries: Sequence[int]) -> Array:
        """The same for directions in some entries, with balls around the others' values.

        The balls are for directions whose largest entry is 1.
        """
        inner = set(entries)
        point = [
            x if k in inner else arb(x, _NEAR * max(1.0, abs(x)))
            for k, x in enumerate(self.rows.points[0].tolist())
        ]
        found = np.full(self.width, self.order)
        for entry, side in itertools.product(entries, (1, -1)):
            direction = [arb(0, 1) if k in inner else arb(0) for k in range(self.size)]
            direction[entry] = arb(side)
            known = [_known_orders(each) for each in self._expanded(direction, point)]
            found = np.minimum(found, known)
        return found

    def _deciding(self) -> Array:
        """The input entries on which undecided conditions hang."""
        graph, function = self.graphs.function.graph, self.graphs.function
        undecided = sorted(self.graphs.enclose(self.rows, _BITS).undecided)
        if not undecided:
            return np.zeros(0, dtype=int)
        units = split(
            np.eye(self.size, dtype=bool), [graph.shape(each) for each in function.inputs]
        )
        seeds = dict(zip(function.inputs, units, strict=True))
        return np.flatnonzero(reach(graph, undecided, seeds, self.size).any(axis=1))

    def _fits_beside(self, deciding: Array) -> bool:
        """Whether steps in the other entries alone change all outputs as steps beside them do.

        Along such a step the undecided conditions stay what they are at the point.
        """
        before = self.expand(self.base)
        for entry in np.setdiff1d(np.arange(self.size), deciding):
            unit = np.eye(self.size)[entry]
            step = Rows(1, self.rows.points, None, (unit[None],))
            slopes = self.graphs.enclose(step, _BITS, exact=True).answer[0]
            lines = zip(before, self.expand(self.base + unit), slopes, strict=True)
            if not all(_differ_by(slope, *each) for *each, slope in lines):
                return False
        return True

    def difference(
        self, tangents: Sequence[Array], outputs: Array
    ) -> tuple[arb | None, arb | None]:
        """The k-th difference of ⟨outputs, q_k⟩, and the hull of those from opposite sides."""
        ball = self._difference(self.base, tangents, outputs)
        if self.order == 1:
            start = np.zeros(self.size)
            right = self._difference(start, tangents, outputs)
            left = self._difference(start, [-tangents[0]], outputs)
            other, ball_here = (None if left is None else -left), right
        else:
            other, ball_here = self._difference(-self.base, tangents, outputs), ball
        sides = None if other is None or ball_here is None else union(ball_here, other)
        return ball, sides

    def _difference(self, base: Array, tangents: Sequence[Array], outputs: Array) -> arb | None:
        total = arb(0)
        for steps in _subsets(tangents):
            direction = _exact_sum(base, *steps)
            if not np.any(direction) and self.order:
                continue
            sign = (-1) ** (len(tangents) - len(steps))
            series = self.expand(direction)
            for k in np.flatnonzero(outputs):
                each = series[k]
                coefficient = (
                    each.coefficient(self.order * RAMIFICATION)
                    if isinstance(each, Series)
                    else None
                )
                if coefficient is None:
                    return None
                total += sign * arb(float(outputs[k])) * coefficient
        return total


def _subsets(steps: Sequence[_Step]) -> list[tuple[_Step, ...]]:
    return [
        chosen for count in range(len(steps) + 1) for chosen in itertools.combinations(steps, count)
    ]


def _exact_sum(*steps: Array) -> Array:
    """A sum of arrays of floats, in fractions: a tangent keeps its bits beside a larger base."""
    exact = [np.array([Fraction(v) for v in each.tolist()], dtype=object) for each in steps]
    found: Array = np.sum(exact, axis=0)
    return found


def _is_form(chosen: Sequence[tuple[int, ...]], column: Sequence[object], j: int) -> bool | None:
    """Whether the difference of q_j with the first j + 1 steps is 0; None where it is not known."""
    total = arb(0)
    for steps, series in zip(chosen, column, strict=True):
        if max(steps, default=0) > j:
            continue
        assert isinstance(series, Series)
        coefficient = series.coefficient(j * RAMIFICATION)
        if coefficient is None:
            return None
        total += (-1) ** len(steps) * coefficient
    if abs(total) < SMALL:
        return True
    return None if total.contains(0) else False


def _differ_by(slope: arb, before: object, after: object) -> bool:
    """Whether the second of two series has the slope of the first and another one besides."""
    if not isinstance(before, Series) or not isinstance(after, Series):
        return False
    first, second = (each.coefficient(RAMIFICATION) for each in (before, after))
    return first is not None and second is not None and bool(abs(second - first - slope) < SMALL)


def _known_orders(series: object) -> int:
    """The highest order up to which all coefficients are known; -1 if there is none."""
    if not isinstance(series, Series):
        return -1
    unknown = (k for k, c in enumerate(series.known, series.valuation) if not c.is_finite())
    end = next(unknown, series.valuation + len(series.known))
    return max(-1, (end - 1) // RAMIFICATION)


def _has_pole(series: object, order: int) -> bool:
    """Whether a power of t below the order is negative or broken, with a coefficient not 0."""
    if not isinstance(series, Series):
        return False
    powers = range(series.valuation, order * RAMIFICATION)
    broken = [k for k in powers if k < 0 or k % RAMIFICATION]
    known = [series.coefficient(k) for k in broken]
    return any(c is not None and not c.contains(0) for c in known)
