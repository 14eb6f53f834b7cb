"""Limits at removable singularities, by power series: sin(x)/x at 0 and its derivatives.

Balls cannot divide 0 by 0, but series divide by their valuation. A limit along one line says
nothing of the others, so a quotient 0/0 is expanded only where numerator and denominator depend
on one and the same input entry; everything that is built from such quotients is then smooth.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from flint import arb, arb_series, ctx

from gradcheck.graph.tape import Operation, Program, Tape
from gradcheck.ops.balls import working
from gradcheck.ops.table import OPERATORS
from gradcheck.reference.evaluate import SETTLED_BITS, TINY, UNDEFINED, Enclosure, Routine, enclose

TERMS = 12
"""Terms of each series: of these quotients lose as many as their valuations."""

BITS = 1_536
"""What cancels when coefficients are combined is then proved to be below every float."""


class NoLimit(Exception):
    """The program cannot be expanded at this point."""


def limits(program: Program, order: int, x: Sequence[float]) -> list[Enclosure]:
    """Return enclosures of all derivatives of ``order``, where series give them.

    Shapes: flat, [m * n**order] for m outputs and n input entries.
    """
    lines = _Lines(program, x)
    rows = [lines.derivative(j) for j in itertools.product(range(program.size), repeat=order)]
    return [row[k] for k in range(len(program.outputs)) for row in rows]


class _Lines:
    """Expansions of one program along lines through one point."""

    def __init__(self, program: Program, x: Sequence[float]) -> None:
        self.program, self.x = program, x
        self.dependence = _dependence(program.tape)
        self.values = enclose(Routine(program.tape, program.outputs), x, exact=True)
        self.away, self.kinked = self._singular()
        self._expanded: dict[tuple[tuple[int, int], ...], list[arb_series | None]] = {}

    def _singular(self) -> tuple[dict[int, int], bool]:
        """A direction that leaves every quotient 0/0, and whether there are kinks at the point.

        ``x == 0`` is none where it guards a quotient: the direction leaves it too.
        """
        tape, needed = self.program.tape, sorted(self.program.tape.ancestors(self.program.outputs))
        with working(BITS, exact=True):
            balls = Routine(tape, needed).run([arb(value) for value in self.x])
            self.at: dict[int, Any] = dict(zip(needed, balls, strict=True))
            zero = {node: _vanishes(tape.operations[node], self.at) for node in needed}
        singular = [node for node in needed if zero[node]]
        quotients = [n for n in singular if tape.operations[n].operator == "div"]
        away = {
            entry for n in quotients for entry in self.dependence[tape.operations[n].arguments[1]]
        }
        kinks = [
            node
            for node in singular
            if node not in quotients
            and not (tape.operations[node].operator == "eq" and self.dependence[node] <= away)
        ]
        return dict.fromkeys(sorted(away), 1), bool(kinks)

    def coefficients(self, direction: dict[int, int], k: int) -> list[Enclosure]:
        """The k-th Taylor coefficient of every output along ``direction``, from both sides."""
        right = self.expand(direction)
        left = self.expand({entry: -step for entry, step in direction.items()})
        return [
            _agreed(value, a, b, k) for value, a, b in zip(self.values, right, left, strict=True)
        ]

    def derivative(self, entries: tuple[int, ...]) -> list[Enclosure]:
        """The derivatives of every output by ``entries`` in turn: none, one or several of them."""
        order = len(entries)
        if order == 0:
            everywhere = dict.fromkeys(range(self.program.size), 1)
            return self.coefficients(self.away or everywhere, 0)
        if len(set(entries)) == 1 and self.away.keys() <= {entries[0]}:
            found = self.coefficients({entries[0]: 1}, order)
            factor = math.factorial(order)
            return found if factor == 1 else [_combined([(factor, each)]) for each in found]
        return self.polarised(entries)

    def polarised(self, entries: tuple[int, ...]) -> list[Enclosure]:
        """Mixed derivatives from coefficients along lines away from singularities, plus steps.

        The k-th coefficients along d are a form q(d) of degree k. The k-th difference of q with
        steps along the entries, begun anywhere, is the derivative by those entries.
        A few lines tell all of a smooth function, and nothing of one that has kinks there.
        """
        if self.kinked:
            return [UNDEFINED] * len(self.program.outputs)
        order, signs, rows = len(entries), [], []
        for count in range(order + 1):
            for steps in itertools.combinations(entries, count):
                direction = Counter(self.away)
                direction.update(steps)
                signs.append((-1) ** (order - count))
                rows.append(self.coefficients(dict(direction), order))
        return [_combined(list(zip(signs, row, strict=True))) for row in zip(*rows, strict=True)]

    def expand(self, direction: dict[int, int]) -> list[arb_series | None]:
        key = tuple(sorted(direction.items()))
        if key not in self._expanded:
            self._expanded[key] = self._expand(direction)
        return self._expanded[key]

    def _expand(self, direction: dict[int, int]) -> list[arb_series | None]:
        tape = self.program.tape
        needed = sorted(tape.ancestors(self.program.outputs))
        known: dict[int, Any] = {}
        cap = ctx.cap
        ctx.cap = TERMS
        try:
            with working(BITS, exact=True):
                for node in needed:
                    known[node] = self.node(node, known, direction)
        finally:
            ctx.cap = cap
        return [known[node] for node in self.program.outputs]

    def node(self, node: int, known: dict[int, Any], direction: dict[int, int]) -> Any:
        """The node's series along ``direction``, or its answer; None where it has none."""
        operation = self.program.tape.operations[node]
        if not self.dependence[node] & direction.keys():
            return _constant(self.at[node])
        if operation.operator == "input":
            k = int(operation.parameter)  # type: ignore[arg-type]
            return arb_series([arb(self.x[k]), arb(direction[k])])
        arguments = [known[a] for a in operation.arguments]
        chosen = operation.operator == "where" and arguments[0] is not None
        if not chosen and any(a is None for a in arguments):
            return None
        try:
            return _apply(operation, arguments, self.dependence[node])
        except (NoLimit, ValueError, ZeroDivisionError, TypeError, NotImplementedError):
            return None


def _apply(operation: Operation, arguments: list[Any], dependence: frozenset[int]) -> Any:
    special = _SPECIAL.get(operation.operator)
    if special is not None:
        return special(*arguments)
    entry = OPERATORS[operation.operator]
    if entry.series is None:
        raise NoLimit(operation.operator)
    if operation.operator == "div" and arguments[1][0].contains(0):
        if len(dependence) != 1:
            raise NoLimit("a quotient 0/0 of several inputs")
        if not arguments[0].coeffs():  # FLINT would divide what is unknown as if it were 0
            raise NoLimit("a numerator that vanishes as far as it is known")
    values = [operation.parameter, *arguments] if entry.parameter else arguments
    series = entry.series(*values)
    if not all(coefficient.is_finite() for coefficient in series.coeffs()):
        raise NoLimit("a singularity of the operator itself, as of sqrt at 0")
    return series


def _constant(value: Any) -> Any:
    """What does not vary along a line, as a series, or its answer; None where it has neither."""
    if not isinstance(value, arb):
        return value if isinstance(value, bool) else None
    return arb_series([value]) if value.is_finite() else None


def _direction_sign(s: arb_series) -> int:
    """The sign of a series for small positive t.

    Errors: NoLimit where it vanishes as far as its terms are known: the next may not.
    """
    for coefficient in s.coeffs():
        if coefficient > 0:
            return 1
        if coefficient < 0:
            return -1
        if not coefficient.is_zero():
            break
    raise NoLimit("an undecided condition")


_SPECIAL: dict[str, Any] = {
    "true": lambda: True,
    "false": lambda: False,
    "lt": lambda a, b: _direction_sign(a - b) < 0,
    "le": lambda a, b: _direction_sign(a - b) <= 0,
    "eq": lambda a, b: _direction_sign(a - b) == 0,
    "not": lambda a: not a,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "where": lambda condition, a, b: a if condition else b,
    "abs": lambda a: a if _direction_sign(a) >= 0 else -a,
    "sign": lambda a: arb_series([_direction_sign(a)]),
    "min": lambda a, b: a if _direction_sign(a - b) <= 0 else b,
    "max": lambda a, b: a if _direction_sign(a - b) >= 0 else b,
}
"""What looks at the sign of a series near t = 0, from the right."""


def _vanishes(operation: Operation, at: dict[int, Any]) -> bool:
    """Whether a quotient divides by zero, or a decision stands on its boundary."""
    values = [at[argument] for argument in operation.arguments]
    if operation.operator == "div":
        return bool(values[1].contains(0))
    if operation.operator in ("abs", "sign"):
        return bool(values[0].contains(0))
    if operation.operator in ("lt", "le", "eq", "min", "max"):
        return bool((values[0] - values[1]).contains(0))
    return False


def _dependence(tape: Tape) -> list[frozenset[int]]:
    """Which input entries each node depends on."""
    found: list[frozenset[int]] = []
    for operation in tape.operations:
        if operation.operator == "input":
            found.append(frozenset({int(operation.parameter)}))  # type: ignore[arg-type]
        else:
            found.append(frozenset().union(*(found[a] for a in operation.arguments)))
    return found


def _agreed(value: Enclosure, right: Any, left: Any, k: int) -> Enclosure:
    """The k-th coefficient, where both sides are continuous with the value."""
    if right is None or left is None or k >= min(right.prec, left.prec):
        return UNDEFINED  # beyond its last known term FLINT reads a series as 0
    if value.proves and not (right[0].overlaps(value.ball) and left[0].overlaps(value.ball)):
        return UNDEFINED  # a jump
    if not right[0].overlaps(left[0]):
        return UNDEFINED
    a, b = right[k], (-1) ** k * left[k]
    if not (a.is_finite() and b.is_finite()):
        return UNDEFINED
    if not a.overlaps(b):
        return Enclosure(a.union(b), "kink")
    return Enclosure(a, "settled" if _narrow(a) else "vague")


def _narrow(ball: arb) -> bool:
    return bool(ball.rel_accuracy_bits() >= SETTLED_BITS or abs(ball) < TINY)


def _combined(terms: list[tuple[int, Enclosure]]) -> Enclosure:
    if any(each.status != "settled" for _, each in terms):
        return UNDEFINED
    with working(BITS, exact=True):
        ball = sum((weight * each.ball for weight, each in terms), arb(0))
    return Enclosure(ball, "settled" if _narrow(ball) else "vague")
