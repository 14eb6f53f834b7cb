"""Kinks, branch by branch: each undecided condition is decided both ways, and results are united.

A condition looks at the sign of a difference d(x) that is 0 at the point. Two differences whose
gradients are parallel there have their signs together, so they are one decision: the gradients are
compared along three random directions. A decision whose difference itself hangs on an undecided
one is taken after that one is. Decisions that no entry of the answer shares are taken at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from flint import arb

from gradcheck.graph.derivatives import NoDerivative, jvp
from gradcheck.graph.graph import Graph
from gradcheck.ops.balls import working
from gradcheck.query import Array
from gradcheck.randomness import derive_key, random_signed
from gradcheck.reference.ball_arrays import Balls, is_finite, overlaps, union
from gradcheck.reference.conditions import reach
from gradcheck.reference.derivative_graphs import DerivativeGraphs, Pass, Rows
from gradcheck.reference.interpret import evaluate

MOST_DECISIONS = 8
"""2⁸ branches at a point; beyond, nothing is said."""
_BITS = 256
DIRECTIONS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Union:
    """The answer at points with kinks, over all branches.

    ``jumps`` says of each output whether its value is another in another branch; ``decided``
    whether all branches were taken; if not, ``reason`` says why.

    Shapes: balls [count, free]; jumps [count, m]; decided [count].
    """

    balls: Array
    jumps: Array
    decided: Array
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Branch:
    """One point with some decisions taken: signs by node, flat."""

    row: int
    taken: int = 0
    signs: dict[int, Array] = field(default_factory=dict)


def by_branches(graphs: DerivativeGraphs, rows: Rows) -> Union:
    """The union of the answers over all branches, point by point."""
    exact = graphs.enclose(Rows(0, rows.points, None, ()), _BITS, exact=True).lower[:, 0]
    leaves: list[list[tuple[Array, Array]]] = [[] for _ in range(rows.count)]
    decided = np.ones(rows.count, dtype=bool)
    open_branches = [_Branch(row) for row in range(rows.count)]
    while open_branches:
        found, groups = _examined(graphs, rows, open_branches)
        width = found.answer.shape[1]
        following: list[_Branch] = []
        for k, branch in enumerate(open_branches):
            if not groups[k]:
                leaves[branch.row].append((found.answer[k], found.lower[k]))
            elif branch.taken + len(groups[k]) > MOST_DECISIONS:
                decided[branch.row] = False
            else:
                following += _both_ways(graphs.function.graph, branch, groups[k])
        open_branches = [branch for branch in following if decided[branch.row]]
    balls = np.full((rows.count, width), arb.nan(), dtype=object)
    jumps = np.zeros(exact.shape, dtype=bool)
    for row in np.flatnonzero(decided):
        balls[row], jumps[row] = _united(leaves[row], exact[row])
    reason = "" if decided.all() else f"more than 2**{MOST_DECISIONS} branches meet at the point"
    return Union(balls, jumps, decided, reason)


def _united(leaves: Sequence[tuple[Array, Array]], exact: Array) -> tuple[Array, Array]:
    """The union of the branches' answers, and which outputs they do not agree on below."""
    balls, lower = leaves[0]
    jumps = _apart(lower[0], exact)
    for answer, below in leaves[1:]:
        with working(_BITS, exact=False):
            balls = np.asarray(union(balls, answer), dtype=object)
        jumps = jumps | _apart(below[0], exact) | _apart(below, lower).any(axis=0)
    return balls, jumps


def _apart(a: Array, b: Array) -> Array:
    """Which balls certainly hold different numbers."""
    return ~np.asarray(overlaps(a, b), dtype=bool) & is_finite(a) & is_finite(b)


# one round of decisions


_Place = tuple[int, int, int]
"""A node, an entry of it, and the sign of its difference against the group's."""


def _examined(
    graphs: DerivativeGraphs, rows: Rows, branches: Sequence[_Branch]
) -> tuple[Pass, list[list[list[_Place]]]]:
    """The answers under the decisions so far, and of each branch the decisions to take next:
    one list of places for each colour."""
    taken = rows.take(np.array([branch.row for branch in branches]))
    decisions = _decisions(graphs.function.graph, branches)
    found = graphs.enclose(taken, _BITS, decisions)
    groups: list[list[list[_Place]]] = [[] for _ in branches]
    places = _places(graphs, taken, found.undecided)
    if any(places):
        slopes = _slopes(graphs, taken, found, decisions)
        groups = [
            _coloured(graphs, taken, _grouped(here, slopes, k)) for k, here in enumerate(places)
        ]
    return found, groups


def _decisions(graph: Graph, branches: Sequence[_Branch]) -> dict[int, Array]:
    nodes = {node for branch in branches for node in branch.signs}
    return {
        node: np.stack([
            branch.signs.get(node, np.zeros(graph.nodes[node].size, dtype=int))
            for branch in branches
        ]).reshape(len(branches), *graph.shape(node))
        for node in nodes
    }  # fmt: skip


def _places(
    graphs: DerivativeGraphs, rows: Rows, undecided: Mapping[int, Array]
) -> list[list[tuple[int, int]]]:
    """Of each row the nodes and entries that are not decided, in an order that hangs on the
    question alone: which decisions are taken together hangs on it."""
    count = rows.count
    places: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    if not undecided:
        return places
    asked = [*graphs.outputs_of(rows), *graphs.lower(rows.order)]
    order = graphs.function.graph.places(asked)
    for node in sorted(undecided, key=order.__getitem__):
        mask = undecided[node]
        flat = np.broadcast_to(mask.reshape(mask.shape[0], -1), (count, mask[0].size))
        for row, entry in np.argwhere(flat).tolist():
            places[row].append((node, entry))
    return places


def _slopes(
    graphs: DerivativeGraphs, rows: Rows, found: Pass, decisions: dict[int, Array]
) -> dict[int, Array]:
    """The derivatives of each undecided difference along random directions.

    Shapes: [count, entries, DIRECTIONS].
    """
    graph, function = graphs.function.graph, graphs.function
    nodes = sorted(found.undecided)
    args = [graph.nodes[node].args for node in nodes]
    outputs = [arg for pair in args for arg in pair]
    try:
        tangents = jvp(graph, outputs, function.inputs, graphs.tangent(0))
    except NoDerivative:
        return {}
    found_slopes: dict[int, list[Array]] = {node: [] for node in nodes}
    for number in range(DIRECTIONS):
        direction = random_signed(1, 2**20, derive_key("slope", number), (1, function.size))
        along = Rows(1, rows.points, None, (np.broadcast_to(direction, rows.points.shape),))
        with working(_BITS, exact=False):
            arrays = graphs.inputs(graphs.balls(along))
            values = evaluate(graph, tangents, arrays, Balls(decisions))
            by_arg = iter(values)
            for node, pair in zip(nodes, args, strict=True):
                parts = [next(by_arg) for _ in pair]
                difference = parts[0] - parts[1] if graph.nodes[node].op in ("lt", "le", "eq") \
                    else parts[0]  # fmt: skip
                flat = difference.reshape(difference.shape[0], -1)
                found_slopes[node].append(np.broadcast_to(flat, (rows.count, flat.shape[1])))
    return {node: np.stack(each, axis=-1) for node, each in found_slopes.items()}


def _grouped(
    places: Sequence[tuple[int, int]], slopes: dict[int, Array], row: int
) -> list[list[_Place]]:
    """Undecided places that are one decision, with the sign that ties them together."""
    groups: list[tuple[Array | None, list[_Place]]] = []
    for node, entry in places:
        slope = slopes[node][row, entry] if node in slopes else None
        if slope is not None and not _is_sharp(slope):
            slope = None
        for known, members in groups:
            sign = 0 if known is None or slope is None else _parallel(known, slope)
            if sign:
                members.append((node, entry, sign))
                break
        else:
            groups.append((slope, [(node, entry, 1)]))
    sharp = [members for slope, members in groups if slope is not None]
    return sharp or [members for _, members in groups]


def _coloured(
    graphs: DerivativeGraphs, rows: Rows, groups: list[list[_Place]]
) -> list[list[_Place]]:
    """Groups that reach no number in common are joined: they are taken at once.

    The numbers are the answer and what tells jumps, the lower derivatives; where those would take
    too many branches, the answer alone.
    """
    if len(groups) < 2:
        return groups
    graph = graphs.function.graph
    seeds: dict[int, Array] = {}
    for k, members in enumerate(groups):
        for node, entry, _ in members:
            seed = seeds.setdefault(node, np.zeros((len(groups), graph.nodes[node].size), bool))
            seed[k, entry] = True
    shaped = {node: seed.reshape(len(groups), *graph.shape(node)) for node, seed in seeds.items()}
    answers = graphs.outputs_of(rows)
    everything = reach(graph, [*answers, *graphs.lower(rows.order)], shaped, len(groups))
    colours = _joined(groups, everything)
    if len(colours) <= MOST_DECISIONS:
        return colours
    return _joined(groups, reach(graph, answers, shaped, len(groups)))


def _joined(groups: list[list[_Place]], reached: Array) -> list[list[_Place]]:
    colours: list[list[_Place]] = []
    covered: list[Array] = []
    for members, entries in zip(groups, reached, strict=True):
        for k, known in enumerate(covered):
            if not (known & entries).any():
                colours[k] = colours[k] + members
                covered[k] = known | entries
                break
        else:
            colours.append(members)
            covered.append(entries)
    return colours


def _is_sharp(slope: Array) -> bool:
    """Whether a gradient is certainly not 0, and narrow: no other decision is in it."""
    return all(ball.is_finite() and ball.rel_accuracy_bits() > _BITS // 4 for ball in slope)


def _parallel(a: Array, b: Array) -> int:
    """The sign of the ratio of two gradients that are parallel; 0 of others."""
    with working(_BITS, exact=False):
        ratios = a / b
    if all(ratios[0].overlaps(ratio) for ratio in ratios[1:]):
        return 1 if ratios[0] > 0 else -1
    return 0


def _both_ways(graph: Graph, branch: _Branch, groups: Sequence[list[_Place]]) -> list[_Branch]:
    """The branch with every choice of the groups' signs."""
    found = []
    for choice in range(1 << len(groups)):
        signs = {node: array.copy() for node, array in branch.signs.items()}
        for k, members in enumerate(groups):
            chosen = 1 if choice >> k & 1 else -1
            for node, entry, sign in members:
                array = signs.setdefault(node, np.zeros(graph.nodes[node].size, dtype=int))
                array[entry] = chosen * sign
        found.append(_Branch(branch.row, branch.taken + len(groups), signs))
    return found
