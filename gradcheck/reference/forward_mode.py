"""The chain rule on a scalar program: dual numbers, written out as a program again.

Every node carries its tangents beside its value, by the local derivatives of the operator table.
This uses neither sympy nor its derivatives: it is the second, independent derivation.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from gradcheck.graph.derivatives import ARGUMENT_NAMES, local_derivative
from gradcheck.graph.scalarize import written
from gradcheck.graph.tape import Number, Operation, Program, Scalar, Tape, apply, node_of
from gradcheck.reference.evaluate import Routine

Tangents = dict[int, Number]
"""Tangents that are not identically zero, by the number of the input entry."""


def jacobian(
    tape: Tape, outputs: Iterable[int], size: int, *, cancelling: bool = False
) -> list[list[int]]:
    """Nodes of the derivatives of ``outputs`` by each of ``size`` input entries, on the same tape.

    ``cancelling`` takes PyTorch's own local derivatives where the table states them: the same
    mathematics, with the intermediate values that PyTorch meets.

    Shapes: [outputs][size].
    Errors: NoDerivative where the operator table states none.
    """
    outputs = tuple(outputs)
    found = tangents(tape, outputs, cancelling=cancelling)
    zero = node_of(tape, Fraction(0))
    return [
        [node_of(tape, found[node][k]) if k in found[node] else zero for k in range(size)]
        for node in outputs
    ]


def tangents(
    tape: Tape, outputs: Iterable[int], *, cancelling: bool = False
) -> dict[int, Tangents]:
    """The tangents of every node that ``outputs`` are computed from, themselves included.

    Errors: NoDerivative, as for ``jacobian``.
    """
    found: dict[int, Tangents] = {}
    for node in sorted(tape.ancestors(outputs)):
        found[node] = _tangents(tape, node, found, cancelling=cancelling)
    return found


def _tangents(tape: Tape, node: int, known: dict[int, Tangents], *, cancelling: bool) -> Tangents:
    operation = tape.operations[node]
    if operation.operator == "input":
        return {int(operation.parameter or 0): Fraction(1)}
    if operation.operator in ("where", "min", "max"):
        return _chosen(tape, operation, known)
    total: Tangents = {}
    for k, argument in enumerate(operation.arguments):
        if known[argument]:
            slope = _slope(tape, node, k, cancelling=cancelling)
            for entry, tangent in known[argument].items():
                _add(tape, total, entry, _product(tape, slope, tangent))
    return {entry: tangent for entry, tangent in total.items() if tangent != 0}


def _add(tape: Tape, total: Tangents, entry: int, term: Number) -> None:
    total[entry] = apply(tape, "add", total[entry], term) if entry in total else term


def _product(tape: Tape, slope: Number, tangent: Number) -> Number:
    if slope == 0 or tangent == 0:
        return Fraction(0)
    return apply(tape, "mul", slope, tangent)


def _chosen(tape: Tape, operation: Operation, known: dict[int, Tangents]) -> Tangents:
    """The tangents of the branch: never 0 * inf from the other one, and one hull at a tie."""
    left, right = operation.arguments[-2:]
    if operation.operator == "where":
        condition: Number = Scalar(tape, operation.arguments[0])
    else:
        smaller = (left, right) if operation.operator == "min" else (right, left)
        condition = apply(tape, "lt", *(Scalar(tape, node) for node in smaller))
    entries = known[left].keys() | known[right].keys()
    zero = Fraction(0)
    return {
        entry: apply(
            tape,
            "where",
            condition,
            known[left].get(entry, zero),
            known[right].get(entry, zero),
        )
        for entry in sorted(entries)
    }


def _slope(tape: Tape, node: int, k: int, *, cancelling: bool) -> Number:
    """The local derivative of a node in its k-th argument."""
    operation = tape.operations[node]
    tree = local_derivative(operation.operator, k, cancelling=cancelling)
    names = ARGUMENT_NAMES[len(operation.arguments)]
    values: dict[str, Number] = {
        name: Scalar(tape, argument)
        for name, argument in zip(names, operation.arguments, strict=True)
    }
    values["y"] = Scalar(tape, node)
    parameter = operation.parameter
    return written(tape, tree, values, {} if parameter is None else {"n": int(parameter)})


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
            rows = jacobian(tape, lower, size, cancelling=self.cancelling)
            self._nodes[order] = [node for row in rows for node in row]
        return self._nodes[order]

    def routine(self, order: int) -> Routine:
        if order not in self._routines:
            self._routines[order] = Routine(self.program.tape, self.nodes(order))
        return self._routines[order]
