"""How large a formula may be, with the derivatives that are certified of it.

They are counted before anything is judged, by the chain rule itself on a tape that has limits, so
that nothing is met later that was not foreseen. No clock decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from gradcheck.errors import ExpressionError
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.graph.folding import TooLarge
from gradcheck.graph.tape import MOST_OPERATIONS, Program, Scalar, Tape
from gradcheck.reference.forward_mode import tangents

MOST_DERIVATIVES = 200_000
MOST_COUNTING = 1_600_000
"""Work, in the units of a tape, that may go into counting one formula's derivatives."""
_FACTOR = 9
"""Operations of the longest local derivative in the operator table, and one to spare."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Up to which ``order`` a program's derivatives fit, and the work of counting them.

    ``excess`` says what does not fit; it is empty where the order that was asked for does.
    """

    order: int
    excess: str
    work: int


def fit(program: Program, order: int, work: int = MOST_COUNTING) -> Fit:
    """Count the derivatives up to ``order`` (1 or more), doing at most ``work``.

    What rounding can do to a derivative takes its own derivatives (``stress``): one order more.
    """
    count = len(program.outputs) * program.size**order
    if count > MOST_DERIVATIVES:
        return Fit(0, f"{count:,} derivatives of order {order}", 0)
    tape = Tape(work)
    fitting = _fitting(program, order + 1, tape) - 1
    excess = f"more than {MOST_OPERATIONS:,} operations for derivatives of order {order}"
    return Fit(max(0, fitting), excess if fitting < order else "", work - int(tape.allowance))


def _fitting(program: Program, highest: int, tape: Tape) -> int:
    """The highest order whose derivatives can be written on the tape."""
    nodes = set(program.outputs)
    growth = _FACTOR + 3 * program.size  # no node has more tangents than there are input entries
    order = 0
    try:
        for operation in program.tape.operations:
            tape.put(operation)
        while order < highest:
            if len(tape.ancestors(nodes)) * growth ** (highest - order) <= MOST_OPERATIONS // 2:
                return highest
            found = tangents(tape, nodes)
            entries = [tangent for node in nodes for tangent in found[node].values()]
            nodes = {tangent.node for tangent in entries if isinstance(tangent, Scalar)}
            order += 1
    except (TooLarge, NoDerivative, ExpressionError):
        return order if tape.full else highest
    return highest
