"""The chain rule's derivatives of one program, of every order, each written out once."""

from __future__ import annotations

from gradcheck.formula import derive
from gradcheck.formula.evaluate import Routine
from gradcheck.formula.program import Program


class Chain:
    """All derivatives of a program by the chain rule. It remembers the orders that it wrote.

    ``cancelling`` takes PyTorch's own local derivatives where the operator table states them.
    """

    def __init__(self, program: Program, *, cancelling: bool = False) -> None:
        self.program, self.cancelling = program, cancelling
        self._nodes: dict[int, list[int]] = {0: list(program.outputs)}
        self._routines: dict[int, Routine] = {0: Routine(program.tape, program.outputs)}

    def nodes(self, order: int) -> list[int]:
        """Nodes of all derivatives of ``order``, flat: [m * n**order]."""
        if order not in self._nodes:
            lower = self.nodes(order - 1)
            tape, size = self.program.tape, self.program.size
            rows = derive.jacobian(tape, lower, size, cancelling=self.cancelling)
            self._nodes[order] = [node for row in rows for node in row]
        return self._nodes[order]

    def routine(self, order: int) -> Routine:
        if order not in self._routines:
            self._routines[order] = Routine(self.program.tape, self.nodes(order))
        return self._routines[order]
