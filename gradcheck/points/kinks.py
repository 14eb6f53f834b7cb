"""Where a formula may have a kink or a jump: the nodes at which its operator table says so."""

from __future__ import annotations

from dataclasses import dataclass

from gradcheck.graph.tape import Program
from gradcheck.ops.table import OPERATORS


@dataclass(frozen=True, slots=True)
class Kink:
    """A node's arguments, and what they are at its kinks.

    ``where`` is ``tie`` (two arguments are equal), ``0``, ``integers`` or ``halves``.
    """

    arguments: tuple[int, ...]
    where: str


def kinks(program: Program) -> tuple[Kink, ...]:
    """Return the kinks of the formula and of its conditions that depend on an input, each once."""
    operations = program.tape.operations
    depends: set[int] = set()
    found: dict[Kink, None] = {}
    for node in sorted(program.tape.ancestors((*program.outputs, *program.conditions))):
        operation = operations[node]
        if operation.operator == "input" or not depends.isdisjoint(operation.arguments):
            depends.add(node)
            entry = OPERATORS.get(operation.operator)
            for where in entry.kinks if entry is not None else ():
                arguments = operation.arguments[: 2 if where == "tie" else 1]
                if not depends.isdisjoint(arguments):
                    found[Kink(arguments, where)] = None
    return tuple(found)
