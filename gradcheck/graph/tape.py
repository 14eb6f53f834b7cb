"""The scalar program: a formula with every array unrolled, each value computed once.

A node is an operator of the table, applied to earlier nodes. The same program is put to sympy, to
ball arithmetic, to series, and to the chain rule, which writes its derivatives as a program again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from gradcheck.graph.folding import Meter, TooLarge, fold

MOST_OPERATIONS = 200_000


@dataclass(frozen=True, slots=True)
class Operation:
    """One node: ``operator`` of the table, or ``input`` (its number), ``number`` or ``constant``.

    ``parameter`` is what does not vary: an input's number, a number (exact), a constant's name
    (``pi``, ``e``, ``inf``), an integer exponent, the order of a Bessel function.
    """

    operator: str
    arguments: tuple[int, ...] = ()
    parameter: Fraction | int | str | None = None


class Tape(Meter):
    """Grows by ``put`` and never shrinks; equal operations share one node.

    A tape with a finite allowance keeps all limits, one without it keeps none.
    """

    def __init__(self, allowance: float = math.inf) -> None:
        super().__init__(allowance)
        self.operations: list[Operation] = []
        self._known: dict[Operation, int] = {}

    @property
    def full(self) -> bool:
        """Whether a limit is reached."""
        return self.limited and (len(self.operations) >= MOST_OPERATIONS or self.allowance < 0)

    def put(self, operation: Operation) -> int:
        known = self._known.get(operation)
        if known is not None:
            return known
        if self.limited and len(self.operations) >= MOST_OPERATIONS:
            raise TooLarge(f"more than {MOST_OPERATIONS:,} scalar operations")
        self.operations.append(operation)
        self._known[operation] = len(self.operations) - 1
        return len(self.operations) - 1

    def ancestors(self, nodes: Iterable[int]) -> set[int]:
        """All nodes that the given ones are computed from, themselves included."""
        found: set[int] = set()
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting.extend(self.operations[node].arguments)
        return found


class Scalar:
    """A node of a tape as a number that can be computed with; numbers mixed in stay exact."""

    __slots__ = ("node", "tape")

    def __init__(self, tape: Tape, node: int) -> None:
        self.tape, self.node = tape, node

    def __add__(self, other: Number) -> Number:
        return apply(self.tape, "add", self, other)

    def __radd__(self, other: Number) -> Number:
        return apply(self.tape, "add", other, self)

    def __mul__(self, other: Number) -> Number:
        return apply(self.tape, "mul", self, other)

    def __rmul__(self, other: Number) -> Number:
        return apply(self.tape, "mul", other, self)


Number = Scalar | Fraction | bool
"""What an entry of an unrolled array may be; a bool is a condition that needs no input."""

_CONDITIONS = frozenset({"lt", "le", "eq", "not", "and", "or", "true", "false"})


def is_condition(value: Number) -> bool:
    """Whether ``value`` is true or false instead of a number."""
    if isinstance(value, Scalar):
        return value.tape.operations[value.node].operator in _CONDITIONS
    return isinstance(value, bool)


def apply(
    tape: Tape, operator: str, *values: Number, parameter: Fraction | int | None = None
) -> Number:
    """The operator applied to numbers, exactly where that is possible and as a node elsewhere.

    Errors: ZeroDivisionError for a division of exact numbers by zero; TooLarge past a limit of a
            tape that has limits.
    """
    tape.spend(2)
    if not any(isinstance(value, Scalar) for value in values):
        folded = fold(tape, operator, values, parameter)  # type: ignore[arg-type]
        if folded is not None:
            return folded
    shortcut = _shorten(operator, values, parameter)
    if shortcut is not None:
        return shortcut
    arguments = tuple(node_of(tape, value) for value in values)
    return Scalar(tape, tape.put(Operation(operator, arguments, parameter)))


def node_of(tape: Tape, value: Number) -> int:
    """The node that holds ``value``; an exact number gets one."""
    if isinstance(value, Scalar):
        return value.node
    if isinstance(value, bool):
        return tape.put(Operation("true" if value else "false"))
    return tape.put(Operation("number", (), value))


def _shorten(
    operator: str, values: tuple[Number, ...], parameter: Fraction | int | None
) -> Number | None:
    """Identities that hold wherever the other operand is defined."""
    if operator == "add" and values[0] == 0 and not isinstance(values[0], Scalar):
        return values[1]
    if operator in ("add", "sub") and not isinstance(values[1], Scalar) and values[1] == 0:
        return values[0]
    if operator == "mul" and not isinstance(values[0], Scalar) and values[0] == 1:
        return values[1]
    if operator in ("mul", "div") and not isinstance(values[1], Scalar) and values[1] == 1:
        return values[0]
    if operator == "ipow" and parameter == 1:
        return values[0]
    if operator == "where" and isinstance(values[0], bool):
        return values[1] if values[0] else values[2]
    if operator in ("and", "or") and any(isinstance(value, bool) for value in values):
        known, other = values if isinstance(values[0], bool) else values[::-1]
        return other if known == (operator == "and") else known
    return None


@dataclass(frozen=True, eq=False)
class Program:
    """What a formula computes, entry by entry.

    Shapes: ``inputs`` pairs names with shapes; input entry k of the tape is the k-th entry of all
            inputs flattened and joined in order. ``outputs`` are the nodes of the result's
            entries, flattened; ``shape`` is the result's. ``conditions`` are the nodes of `where`.
    """

    inputs: tuple[tuple[str, tuple[int, ...]], ...]
    shape: tuple[int, ...]
    outputs: tuple[int, ...]
    conditions: tuple[int, ...]
    tape: Tape
    names: frozenset[str]  # of inputs, constants and lets that the texts mention

    @property
    def size(self) -> int:
        """How many input entries there are."""
        return sum(math.prod(shape) for _, shape in self.inputs)

    @property
    def elementwise(self) -> bool:
        """Whether every input and the result is a single number."""
        return self.shape == () and all(shape == () for _, shape in self.inputs)
