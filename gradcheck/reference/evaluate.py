"""Running a scalar program in ball arithmetic: enclosures that certainly hold the true values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

from flint import arb, fmpq

from gradcheck.graph.tape import Operation, Tape
from gradcheck.ops.balls import CONTACT, working
from gradcheck.ops.table import OPERATORS

START_BITS = 128
MOST_BITS = 16_384
SETTLED_BITS = 73
"""Relative accuracy at which a ball is narrow enough: 20 bits beyond float64."""

TINY = arb(2) ** -1200
"""Far below half of float64's smallest subnormal: a value proved smaller counts as 0."""

_CONSTANTS: dict[object, Callable[[], arb]] = {
    "pi": arb.pi,
    "e": arb.const_e,
    "inf": arb.pos_inf,
}


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A ball that holds the true value, and what kind of knowledge it is.

    ``status`` is ``settled`` (narrow), ``kink`` (a hull of one-sided values), ``undefined`` (no
    value there) or ``vague`` (no precision that we allow was enough). A case may state an answer,
    which then takes the truth's place: it is ``written`` where the formula's is settled too, and
    ``promised`` elsewhere and where it is a convention.
    """

    ball: arb
    status: str

    @property
    def proves(self) -> bool:
        return self.status in ("settled", "kink") or self.stated

    @property
    def stated(self) -> bool:
        """Whether the case states it: then it holds for PyTorch whatever the formula does."""
        return self.status in ("written", "promised")


UNDEFINED = Enclosure(arb.nan(), "undefined")

_DIGITS = 20


def digits(enclosure: Enclosure) -> str:
    """The decimal digits of an enclosure's middle; of a hull ``[low, high]``."""
    ball = enclosure.ball
    if enclosure.status == "kink":
        return _hull(float(ball.lower()), float(ball.upper()))
    if enclosure.proves and ball.contains(0):
        return "0"
    return decimal(ball)


def decimal(number: arb, count: int = _DIGITS) -> str:
    """Return so many digits of a ball's middle; ``inf`` or ``nan`` of what is not finite."""
    return str(number.str(count, radius=False)) if number.is_finite() else str(float(number))


def _hull(low: float, high: float) -> str:
    """Both ends to a millionth of their distance: a ball's radius has no more than 30 bits."""
    if not low < high < math.inf:
        return f"[{low:g}, {high:g}]"
    places = 6 - math.ceil(math.log10(high - low))
    return f"[{round(low, places) + 0.0:g}, {round(high, places) + 0.0:g}]"


class Routine:
    """The part of a tape that some nodes need, made ready to be run on balls many times.

    ``nodes`` are the nodes of that part, each after its arguments.
    """

    def __init__(self, tape: Tape, outputs: Iterable[int]) -> None:
        outputs = tuple(outputs)
        needed = sorted(tape.ancestors(outputs))
        slot = {node: k for k, node in enumerate(needed)}
        self.nodes = tuple(needed)
        self._computed = [k for k, node in enumerate(needed) if tape.operations[node].arguments]
        self.outputs = tuple(slot[node] for node in outputs)
        self._steps = [
            _step(tape.operations[node], [slot[a] for a in tape.operations[node].arguments])
            for node in needed
        ]

    @property
    def length(self) -> int:
        """How many steps it takes."""
        return len(self._steps)

    def trace(self, inputs: Sequence[arb]) -> list[Any]:
        """The value of each of ``nodes``, at the precision in force."""
        values: list[Any] = []
        append = values.append
        for function, arguments in self._steps:
            if len(arguments) == 2:
                append(function(values[arguments[0]], values[arguments[1]]))
            elif len(arguments) == 1:
                append(function(values[arguments[0]]))
            elif arguments:
                append(function(*(values[a] for a in arguments)))
            elif isinstance(function, int):
                append(inputs[function])
            else:
                append(function() if callable(function) else function)
        return values

    def run(self, inputs: Sequence[arb]) -> list[Any]:
        """The values of the outputs, at the precision in force."""
        values = self.trace(inputs)
        return [values[k] for k in self.outputs]

    def intermediates(self, inputs: Sequence[arb]) -> list[Any]:
        """The values of all nodes but inputs and numbers, at the precision in force."""
        values = self.trace(inputs)
        return [values[k] for k in self._computed]


def _step(operation: Operation, arguments: list[int]) -> tuple[Any, list[int]]:
    parameter = operation.parameter
    if operation.operator == "input":
        return int(parameter), []  # type: ignore[arg-type]
    if operation.operator == "number":
        return _number(Fraction(parameter)), []  # type: ignore[arg-type]
    if operation.operator == "constant":
        return _CONSTANTS[parameter], []
    if operation.operator in ("true", "false"):
        truth = operation.operator == "true"
        return (lambda: truth), []
    entry = OPERATORS[operation.operator]
    return (partial(entry.ball, parameter) if entry.parameter else entry.ball), arguments


def _number(value: Fraction) -> Any:
    if value.denominator & (value.denominator - 1) == 0:  # exact in every precision
        with working(value.numerator.bit_length() + 64, exact=True):
            return arb(value.numerator) * arb(2) ** -(value.denominator.bit_length() - 1)
    ratio = fmpq(value.numerator, value.denominator)
    return lambda: arb(ratio)


def enclose(routine: Routine, inputs: Sequence[float | arb], *, exact: bool) -> list[Enclosure]:
    """Enclosures of the routine's outputs, at exact inputs, in as many bits as they need.

    ``exact``: whether a condition between exact numbers is decided (see ``balls``).
    """
    points = [arb(value) for value in inputs]
    bits, before = START_BITS, None
    while True:
        with working(bits, exact=exact):
            balls = routine.run(points)
            touched = CONTACT.touched
        status = [_status(ball) for ball in balls]
        if "" not in status:
            break
        stuck = touched and before is not None and _no_narrower(balls, before, status)
        if bits >= MOST_BITS or stuck or _hopeless(balls, status, bits):
            status = [each or _last_status(ball, touched=touched)
                      for each, ball in zip(status, balls, strict=True)]  # fmt: skip
            break
        before, bits = balls, bits * 2
    return [Enclosure(ball, each) for ball, each in zip(balls, status, strict=True)]


def _status(ball: arb) -> str:
    if not ball.is_finite():
        return ""
    if ball.rel_accuracy_bits() >= SETTLED_BITS or abs(ball) < TINY:
        return "settled"
    return ""


def _last_status(ball: arb, *, touched: bool) -> str:
    if not ball.is_finite():
        return "undefined"
    return "kink" if touched else "vague"


def _no_narrower(balls: list[arb], before: list[arb], status: list[str]) -> bool:
    return all(
        done or not ball.is_finite() or (last.is_finite() and 2 * ball.rad() > last.rad())
        for ball, last, done in zip(balls, before, status, strict=True)
    )


def _hopeless(balls: list[arb], status: list[str], bits: int) -> bool:
    """Not finite at 1,024 bits: a pole or an edge of the domain, at which no precision helps."""
    return bits >= 1024 and all(
        done or not ball.is_finite() for ball, done in zip(balls, status, strict=True)
    )
