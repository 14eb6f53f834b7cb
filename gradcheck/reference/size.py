"""What it takes to certify a formula's derivatives: counted on its graph, and not timed.

A question is answered by one pass over a graph that ends in a gradient, with the values and the
lower derivatives beside it. Its operations on balls are counted before anything is judged, so that
nothing is met later that was not foreseen. Nothing hangs on how many entries a derivative has: who
asks for all of them asks that many questions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck.graph.derivatives import NoDerivative
from gradcheck.graph.folding import TooLarge
from gradcheck.graph.graph import Graph, Operation
from gradcheck.graph.lower import Lowered
from gradcheck.ops.table import OPERATORS
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction
from gradcheck.reference.interpret import MOVES

MOST_OPERATIONS = 200_000_000
"""Operations on balls, a tenth to half of a microsecond each, in one pass."""
MOST_NUMBERS = 32_000_000
"""Balls, about a hundred bytes each, that a pass holds at once."""
MOST_COUNTING = 400_000
"""Work, in the units of a graph, that may go into writing one formula's derivatives."""
GROWTH = 24
"""At most so many times as much does a gradient take as what it is the gradient of."""

_OF_A_NODE = 50.0  # what each takes, however small its arrays are
_OF_A_MOVE = 1 / 16  # of an entry: a pointer is copied
_OF_A_FUNCTION = 4.0  # of an entry; arithmetic takes 1
_OF_A_PRODUCT = 1 / 100  # within a product of matrices, which FLINT takes as a whole
_OF_AN_ELIMINATION = 1 / 4  # of an inverse or a solution, likewise
_WORK_OF_A_COPY = 4  # nodes of a graph for one unit of its work


@dataclass(frozen=True, slots=True)
class Fit:
    """Up to which ``order`` a formula's derivatives fit, and the ``work`` of counting them.

    ``excess`` says what does not fit; it is empty where the order that was asked for does.
    """

    order: int
    excess: str
    work: int


def fit(formula: Lowered, order: int, allowance: int = MOST_COUNTING) -> Fit:
    """Count the derivatives up to ``order`` (1 or more), in so much work at most."""
    graph = formula.graph
    outputs = tuple(node for node in formula.results if node is not None)
    nodes = graph.ancestors(outputs)
    growth = GROWTH**order
    if 2 * len(nodes) * growth <= MOST_COUNTING and _bound(graph, nodes) * growth <= MOST_NUMBERS:
        return Fit(order, "", 0)
    copy = graph.copy(allowance)
    graphs = DerivativeGraphs(GraphFunction(copy, formula.inputs, outputs))
    excess, fitting = "", 0
    for k in range(1, order + 1):
        excess = _excess(graphs, k)
        if excess:
            break
        fitting = k
    return Fit(fitting, excess, copy.work + len(graph.nodes) // _WORK_OF_A_COPY)


def _bound(graph: Graph, nodes: Sequence[int]) -> float:
    """More than any node of a gradient takes is taken to be taken by all of them."""
    return sum(_OF_A_FUNCTION * _operations(graph, graph.nodes[node]) for node in nodes)


def _excess(graphs: DerivativeGraphs, order: int) -> str:
    """What of a pass of that order is too much."""
    graph = graphs.function.graph
    about = f"for one derivative of order {order}"
    try:
        wanted = [*graphs.reverse(order), *graphs.lower(order)]
    except TooLarge:
        return f"more than {MOST_COUNTING:,} steps to write the derivatives of order {order}"
    except NoDerivative:
        return ""
    operations, numbers = cost(graph, wanted)
    if operations > MOST_OPERATIONS:
        return f"{operations:,} operations {about}"
    return f"{numbers:,} numbers at once {about}" if numbers > MOST_NUMBERS else ""


def cost(graph: Graph, wanted: Sequence[int], points: int = 1) -> tuple[int, int]:
    """Return the operations of a pass at so many points, and how many numbers it holds for each."""
    needed = graph.ancestors(wanted)
    last = {arg: index for index in needed for arg in graph.nodes[index].args}
    ends: dict[int, list[int]] = {}
    for arg, index in last.items():
        ends.setdefault(index, []).append(arg)
    kept = set(wanted)
    total, held, most = 0.0, 0, 0
    for index in needed:
        node = graph.nodes[index]
        total += _OF_A_NODE + points * _operations(graph, node)
        held += _held(node)
        most = max(most, held)
        held -= sum(_held(graph.nodes[arg]) for arg in ends.get(index, ()) if arg not in kept)
    return math.ceil(total), most


def _held(node: Operation) -> int:
    """What moves numbers holds on to those of its argument."""
    return 0 if node.op in MOVES else node.size


def _operations(graph: Graph, node: Operation) -> float:
    if node.op in ("input", "constant"):
        return 0.0
    if node.op in MOVES:
        return node.size * _OF_A_MOVE
    if node.op == "bmm":
        entries = node.size + sum(graph.nodes[arg].size for arg in node.args)
        return entries + node.size * graph.shape(node.args[0])[-1] * _OF_A_PRODUCT
    if node.op in ("inverse", "solve"):
        rows = graph.shape(node.args[0])[-1]
        return graph.nodes[node.args[0]].size * rows * _OF_AN_ELIMINATION + node.size
    if node.op in OPERATORS and not OPERATORS[node.op].symbol:
        return node.size * _OF_A_FUNCTION
    return float(max([node.size, *(graph.nodes[arg].size for arg in node.args)]))
