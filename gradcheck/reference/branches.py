"""Kinks, branch by branch: each undecided condition is decided both ways, and results are united.

A condition looks at the sign of a difference d(x) that is 0 at the point. Two differences whose
gradients are parallel there have their signs together, so they are one decision: the gradients are
compared along three random directions. A decision whose difference itself hangs on an undecided
one is taken after that one is, and is no decision if one that was taken has its sign: |p - 2| of
p = min(u, 2) has no kink where u < 2. Decisions that no entry of the answer shares are taken at
once.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from flint import arb

from gradcheck.graph.derivatives import NoDerivative, jvp
from gradcheck.graph.graph import Graph
from gradcheck.ops.balls import working
from gradcheck.query import Array
from gradcheck.randomness import derive_key, random_signed
from gradcheck.reference.ball_arrays import Balls, as_floats, is_finite, overlaps, union
from gradcheck.reference.conditions import reach
from gradcheck.reference.derivative_graphs import DerivativeGraphs, Pass, Rows
from gradcheck.reference.interpret import evaluate

MOST_DECISIONS = 8
"""2⁸ branches at a point; beyond, nothing is said."""
_BITS = 256
DIRECTIONS = 3
_NEAR = 2.0**-30
"""Gradients whose directions differ by more in float64 are not compared in balls."""


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


_Place = tuple[int, int, int]
"""A node, an entry of it, and the sign of its difference against the group's."""


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Undecided places that are one decision, and their gradient, if it is known to be one.

    Shapes: slope [DIRECTIONS].
    """

    slope: Array | None
    places: list[_Place] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class _Branch:
    """One point with some decisions taken: signs by node, flat, and the groups that had them."""

    row: int
    taken: int = 0
    signs: dict[int, Array] = field(default_factory=dict)
    known: tuple[tuple[_Group, int], ...] = ()

    def deciding(self, graph: Graph, chosen: Sequence[tuple[_Group, int]], taken: int) -> _Branch:
        """The branch with the signs of some groups."""
        signs = {node: array.copy() for node, array in self.signs.items()}
        for group, side in chosen:
            for node, entry, sign in group.places:
                array = signs.setdefault(node, np.zeros(graph.nodes[node].size, dtype=int))
                array[entry] = side * sign
        return _Branch(self.row, self.taken + taken, signs, (*self.known, *chosen))


@dataclass(frozen=True, slots=True, eq=False)
class _Leaf:
    """A branch in which nothing is left undecided, and what is there."""

    branch: _Branch
    answer: Array
    lower: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Reach:
    """Which of some numbers hang on which decisions, told of each once: branches share them."""

    graph: Graph
    numbers: Sequence[int]
    told: dict[tuple[_Place, ...], Array] = field(default_factory=dict)

    def of(self, groups: Sequence[_Group]) -> Array:
        """Shapes: [groups, entries]."""
        keys = [tuple(group.places) for group in groups]
        new = [key for key in dict.fromkeys(keys) if key not in self.told]
        if new:
            self.told.update(zip(new, self._asked(new), strict=True))
        return np.stack([self.told[key] for key in keys])

    def _asked(self, several: Sequence[tuple[_Place, ...]]) -> Array:
        count, graph = len(several), self.graph
        seeds: dict[int, Array] = {}
        for k, places in enumerate(several):
            for node, entry, _ in places:
                seed = seeds.setdefault(node, np.zeros((count, graph.nodes[node].size), bool))
                seed[k, entry] = True
        shaped = {node: seed.reshape(count, *graph.shape(node)) for node, seed in seeds.items()}
        return reach(graph, self.numbers, shaped, count)


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """What is asked, and what hangs on a decision of it: of the answer, and of the answer and what
    tells jumps, the lower derivatives."""

    graphs: DerivativeGraphs
    rows: Rows
    answer: _Reach
    everything: _Reach

    @classmethod
    def of(cls, graphs: DerivativeGraphs, rows: Rows) -> _Question:
        graph, answer = graphs.function.graph, graphs.outputs_of(rows)
        everything = [*answer, *graphs.lower(rows.order)]
        return cls(graphs, rows, _Reach(graph, answer), _Reach(graph, everything))


def by_branches(graphs: DerivativeGraphs, rows: Rows) -> Union:
    """The union of the answers over all branches, point by point."""
    exact = graphs.enclose(Rows(0, rows.points, None, ()), _BITS, exact=True).lower[:, 0]
    leaves = _leaves(graphs, rows)
    decided = np.array([bool(each) for each in leaves], dtype=bool)
    balls = np.full((rows.count, _width(graphs, rows)), arb.nan(), dtype=object)
    jumps = np.zeros(exact.shape, dtype=bool)
    for row in np.flatnonzero(decided):
        balls[row], jumps[row] = _united(leaves[row], exact[row])
    reason = "" if decided.all() else f"more than 2**{MOST_DECISIONS} branches meet at the point"
    return Union(balls, jumps, decided, reason)


def signs_of_branches(graphs: DerivativeGraphs, rows: Rows) -> tuple[Array, dict[int, Array]]:
    """All branches of all rows: of which row each is, in order, and the signs that it decides.

    Where they are too many, one that decides nothing.

    Shapes: [branches]; by node [branches, *shape of the node].
    """
    leaves = _leaves(graphs, rows)
    branches = [
        leaf.branch for row, each in enumerate(leaves)
        for leaf in each or [_Leaf(_Branch(row), np.zeros(0), np.zeros(0))]
    ]  # fmt: skip
    numbers = np.array([branch.row for branch in branches], dtype=np.intp)
    return numbers, _decisions(graphs.function.graph, branches)


def _width(graphs: DerivativeGraphs, rows: Rows) -> int:
    return graphs.function.size if rows.reverse else graphs.function.width


def _leaves(graphs: DerivativeGraphs, rows: Rows) -> list[list[_Leaf]]:
    """Of each row all branches; none where they are too many."""
    question = _Question.of(graphs, rows)
    leaves: list[list[_Leaf]] = [[] for _ in range(rows.count)]
    decided = np.ones(rows.count, dtype=bool)
    open_branches = [_Branch(row) for row in range(rows.count)]
    while open_branches:
        found, undecided = _examined(question, open_branches)
        following: list[_Branch] = []
        for k, branch in enumerate(open_branches):
            implied, colours = undecided[k]
            if implied:
                following.append(branch.deciding(graphs.function.graph, implied, taken=0))
            elif not colours:
                leaves[branch.row].append(_Leaf(branch, found.answer[k], found.lower[k]))
            elif branch.taken + len(colours) > MOST_DECISIONS:
                decided[branch.row] = False
            else:
                following += _both_ways(graphs.function.graph, branch, colours)
        open_branches = [branch for branch in following if decided[branch.row]]
    return [each if ok else [] for each, ok in zip(leaves, decided, strict=True)]


def _united(leaves: Sequence[_Leaf], exact: Array) -> tuple[Array, Array]:
    """The union of the branches' answers, and which outputs they do not agree on below."""
    balls, lower = leaves[0].answer, leaves[0].lower
    jumps = _apart(lower[0], exact)
    for leaf in leaves[1:]:
        with working(_BITS, exact=False):
            balls = np.asarray(union(balls, leaf.answer), dtype=object)
        jumps = jumps | _apart(leaf.lower[0], exact) | _apart(leaf.lower, lower).any(axis=0)
    return balls, jumps


def _apart(a: Array, b: Array) -> Array:
    """Which balls certainly hold different numbers."""
    return ~np.asarray(overlaps(a, b), dtype=bool) & is_finite(a) & is_finite(b)


# one round of decisions


_Undecided = tuple[list[tuple[_Group, int]], list[list[_Group]]]
"""What the decisions so far imply, each with its sign, and the decisions to take next: one list of
groups for each colour."""


def _examined(question: _Question, branches: Sequence[_Branch]) -> tuple[Pass, list[_Undecided]]:
    """The answers under the decisions so far, and what each branch leaves undecided."""
    graphs = question.graphs
    taken = question.rows.take(np.array([branch.row for branch in branches]))
    decisions = _decisions(graphs.function.graph, branches)
    found = graphs.enclose(taken, _BITS, decisions)
    places = _places(question, taken.count, found.undecided)
    slopes = _slopes(graphs, taken, found, decisions) if any(places) else {}
    undecided: list[_Undecided] = []
    for k, branch in enumerate(branches):
        groups = _grouped(places[k], slopes, k)
        implied = [(group, sign) for group in groups if (sign := _implied(question, branch, group))]
        undecided.append((implied, [] if implied else _coloured(question, groups)))
    return found, undecided


def _implied(question: _Question, branch: _Branch, group: _Group) -> int:
    """The sign that a decision which was taken gives a group; 0 if none does.

    It reaches every number that the group reaches. Of others it says nothing: it may have been
    taken at once with a decision that they hang on, by one sign alone beside each of that one's.
    """
    for known, side in branch.known:
        if known.slope is None or group.slope is None:
            continue
        sign = _parallel(known.slope, group.slope) * side
        if sign:
            earlier, here = question.everything.of([known, group])
            if earlier[here].all():
                return sign
    return 0


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
    question: _Question, count: int, undecided: Mapping[int, Array]
) -> list[list[tuple[int, int]]]:
    """Of each row the nodes and entries that are not decided, in an order that hangs on the
    question alone: which decisions are taken together hangs on it."""
    places: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    if not undecided:
        return places
    order = question.graphs.function.graph.places(question.everything.numbers)
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


def _grouped(places: Sequence[tuple[int, int]], slopes: dict[int, Array], row: int) -> list[_Group]:
    """Undecided places by the decisions that they are; first those whose gradients are known."""
    groups: list[_Group] = []
    known = np.full((len(places), DIRECTIONS - 1), np.nan)  # the directions of the groups' slopes
    for node, entry in places:
        slope = slopes[node][row, entry] if node in slopes else None
        if slope is not None and not _is_sharp(slope):
            slope = None
        direction = np.nan if slope is None else _direction(slope)
        near = np.abs(known[: len(groups)] - direction) <= _NEAR * np.abs(direction)
        for k in np.flatnonzero(near.all(axis=1)):
            sign = _parallel(groups[k].slope, slope)
            if sign:
                groups[k].places.append((node, entry, sign))
                break
        else:
            known[len(groups)] = direction
            groups.append(_Group(slope, [(node, entry, 1)]))
    return [group for group in groups if group.slope is not None] or groups


def _coloured(question: _Question, groups: list[_Group]) -> list[list[_Group]]:
    """Groups that reach no number in common are joined: they are taken at once.

    Where that would take too many branches, numbers of the answer alone count.
    """
    if len(groups) < 2:
        return [[group] for group in groups]
    colours = _joined(groups, question.everything.of(groups))
    if len(colours) <= MOST_DECISIONS:
        return colours
    return _joined(groups, question.answer.of(groups))


def _joined(groups: list[_Group], reached: Array) -> list[list[_Group]]:
    colours: list[list[_Group]] = []
    covered: list[Array] = []
    for group, entries in zip(groups, reached, strict=True):
        for k, known in enumerate(covered):
            if not (known & entries).any():
                colours[k].append(group)
                covered[k] = known | entries
                break
        else:
            colours.append([group])
            covered.append(entries)
    return colours


def _is_sharp(slope: Array) -> bool:
    """Whether a gradient is certainly not 0, and narrow: no other decision is in it."""
    return all(ball.is_finite() and ball.rel_accuracy_bits() > _BITS // 4 for ball in slope)


def _direction(slope: Array) -> Array:
    """What parallel gradients have in common. Shapes: [DIRECTIONS]; [DIRECTIONS - 1]."""
    with working(_BITS, exact=False):
        return as_floats(slope[1:] / slope[0])


def _parallel(a: Array | None, b: Array | None) -> int:
    """The sign of the ratio of two gradients that are parallel; 0 of others."""
    assert a is not None
    assert b is not None
    with working(_BITS, exact=False):
        ratios = a / b
    if all(ratios[0].overlaps(ratio) for ratio in ratios[1:]):
        return 1 if ratios[0] > 0 else -1
    return 0


def _both_ways(graph: Graph, branch: _Branch, colours: Sequence[Sequence[_Group]]) -> list[_Branch]:
    """The branch with every choice of the colours' signs."""
    found = []
    for signs in itertools.product((-1, 1), repeat=len(colours)):
        chosen = [(each, sign) for sign, colour in zip(signs, colours, strict=True)
                  for each in colour]  # fmt: skip
        found.append(branch.deciding(graph, chosen, taken=len(colours)))
    return found
