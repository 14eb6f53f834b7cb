"""The formula's derivative, written out step by step in float64, and what follows from a step.

A step that is given other numbers changes the answers; many such changes are computed together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from gradcheck.answer import Floats
from gradcheck.diagnosis.evidence import Evidence
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.graph.graph import Graph, Operation
from gradcheck.query import Array, Query
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction, Rows, joined
from gradcheck.reference.float_arrays import FloatAlgebra
from gradcheck.reference.interpret import MOVES, evaluate, move

_MOST_STEPS = 400

Numbers = Mapping[int, Array]
"""What each step is. Shapes: [rows or 1, *shape]."""
Factor = tuple[int, bool]
"""A step, and whether it divides."""


@dataclass(frozen=True, slots=True, eq=False)
class DerivativeSteps:
    """The derivative as a graph, its ``steps`` in order; the ``formula``'s are some of them.

    ``moving`` ones are made of an input, or of the cotangent or tangent. ``users`` says what is
    made of a step. ``graphs`` knows where the inputs of the graph are.
    """

    graphs: DerivativeGraphs
    graph: Graph
    answers: tuple[int, ...]
    outputs: tuple[int, ...]
    steps: Sequence[int]
    formula: frozenset[int]
    moving: frozenset[int]
    users: Mapping[int, Sequence[int]]

    @classmethod
    def of(cls, evidence: Evidence) -> DerivativeSteps | None:
        """None where one pass does not answer, or takes too many steps."""
        formula = GraphFunction.of(evidence.session.variant.formula)
        function = GraphFunction(formula.graph.copy(), formula.inputs, formula.outputs)
        graphs, rows = DerivativeGraphs(function), _rows(evidence.query, evidence.points)
        if rows is None:
            return None
        try:
            answers = graphs.outputs_of(rows)
        except NoDerivative:
            return None
        if len(function.graph.ancestors(answers)) > _MOST_STEPS:
            return None
        _name_sides(function.graph, len(function.inputs))
        return cls._of_graph(graphs, function.graph, answers, function.outputs)

    @classmethod
    def _of_graph(
        cls,
        graphs: DerivativeGraphs,
        graph: Graph,
        answers: tuple[int, ...],
        outputs: tuple[int, ...],
    ) -> DerivativeSteps:
        steps = graph.ancestors([*answers, *outputs])
        moving, users = set[int](), dict[int, list[int]]()
        for number in steps:
            node = graph.nodes[number]
            if node.op == "input" or not moving.isdisjoint(node.args):
                moving.add(number)
            for arg in set(node.args):
                users.setdefault(arg, []).append(number)
        own = frozenset(graph.ancestors(outputs))
        real = frozenset(each for each in moving if graph.kind(each) == "real")
        return cls(graphs, graph, answers, outputs, steps, own, real, users)

    def without_zeros(self, numbers: Numbers) -> DerivativeSteps:
        """The same, its sums without terms that add up to 0, as authors leave them out.

        That of x less its mean times a constant, within a norm.
        """
        kept = {
            step: [term for term in terms if not _adds_up_to_zero(node, term, numbers)]
            for step in self.moving - self.formula
            if (node := self.graph.nodes[step]).op == "sum"
            for terms in [list(self.terms_of(node.args[0]))]
            if any(_adds_up_to_zero(node, term, numbers) for term in terms)
        }
        return self._rebuilt(kept) if kept else self

    def _rebuilt(self, kept: Mapping[int, Sequence[tuple[float, int]]]) -> DerivativeSteps:
        """The same with other terms in some sums."""
        old, new, place = self.graph, Graph(), dict[int, int]()
        new.inputs = list(old.inputs)
        for number in self.steps:
            node = old.nodes[number]
            if number in kept:
                total = new.constant(0, old.shape(node.args[0]))
                for weight, term in kept[number]:
                    factor = new.constant(Fraction(weight))
                    total = new.add(total, new.mul(factor, place[term]))
                place[number] = new.sum(total, node.attr)  # type: ignore[arg-type]
            else:
                args = [place[arg] for arg in node.args]
                place[number] = new.put(node.op, args, node.attr, node.shape, node.kind)
        answers, outputs = (
            tuple(place[each] for each in nodes) for nodes in (self.answers, self.outputs)
        )
        return self._of_graph(self.graphs, new, answers, outputs)

    def terms_of(self, step: int) -> Iterator[tuple[float, int]]:
        """What a step is the sum of, each with the number that it is multiplied by."""
        node = self.graph.nodes[step]
        if node.op in ("add", "sub"):
            a, b = node.args
            yield from self.terms_of(a)
            sign = -1 if node.op == "sub" else 1
            yield from ((sign * weight, term) for weight, term in self.terms_of(b))
            return
        times, factors = self.factors_of(step)
        if len(factors) == 1 and factors[0] != (step, False) and not factors[0][1]:
            yield from ((times * weight, term) for weight, term in self.terms_of(factors[0][0]))
        else:
            yield 1.0, step

    def factors_of(self, step: int, *, deep: bool = False) -> tuple[float, tuple[Factor, ...]]:
        """A number, and the factors of a step; those of the formula's own steps where ``deep``."""
        node, number = self.graph.nodes[step], self.graph.number(step)
        if number is not None:
            return float(number), ()
        if node.op not in ("mul", "div", "neg") or (step in self.formula and not deep):
            return 1.0, ((step, False),)
        times, first = self.factors_of(node.args[0], deep=deep)
        if node.op == "neg":
            return -times, first
        other, second = self.factors_of(node.args[1], deep=deep)
        if node.op == "div":
            second = tuple((each, not divides) for each, divides in second)
            return times / other, (*first, *second)
        return times * other, (*first, *second)

    def below(self, step: int) -> list[int]:
        """The steps that a step changes, in order, itself left out."""
        found, waiting = set[int](), [step]
        while waiting:
            for user in self.users.get(waiting.pop(), ()):
                if user not in found:
                    found.add(user)
                    waiting.append(user)
        return sorted(found)

    def at(self, query: Query, points: Floats) -> ComputedSteps:
        """The steps at some points, each of which has its sides of the query."""
        rows = _rows(query, points)
        assert rows is not None
        contracted = None if rows.reverse else query.cotangent
        found = evaluate(self.graph, self.steps, self.graphs.numbers(rows), FloatAlgebra())
        return ComputedSteps(
            self, len(points), dict(zip(self.steps, found, strict=True)), contracted
        )


def _rows(query: Query, points: Floats) -> Rows | None:
    """A row for each point; None where a point takes several."""
    given = tuple(side for side in query.tangents if side is not None)
    free = len(query.tangents) - len(given)
    if free > 1 or (free == 1 and (query.cotangent is None or query.tangents[-1] is not None)):
        return None
    return Rows(query.order, points, query.cotangent if free else None, given)


def _adds_up_to_zero(node: Operation, term: tuple[float, int], numbers: Numbers) -> bool:
    """Whether a term of a sum is not 0, and vanishes in it at all points."""
    assert isinstance(node.attr, tuple)
    own, axes = numbers[term[1]], tuple(axis + 1 for axis in node.attr)
    total, size = np.abs(own.sum(axis=axes)), np.abs(own).sum(axis=axes)
    return bool(size.any() and (total <= _ROUNDING * size).all())


_ROUNDING = 2.0**-40


def _name_sides(graph: Graph, inputs: int) -> None:
    """What comes in beside the inputs is called as users do: dy, or dx along an input."""
    for k in range(inputs, len(graph.inputs)):
        port = graph.inputs[k]
        name = "dy" if port.name.startswith("cotangent") else "dx"
        graph.inputs[k] = replace(port, name=name)


@dataclass(frozen=True, slots=True, eq=False)
class ComputedSteps:
    """The steps of a derivative at some points.

    ``contracted`` is what the answers are contracted with, where that is no step of its own.
    """

    derivative: DerivativeSteps
    count: int
    numbers: Numbers
    contracted: Floats | None
    _tiled: dict[tuple[int, int], Array] = field(default_factory=dict)

    def answers_with(self, step: int, others: Array) -> Floats | None:
        """The answers if a step had other numbers; None where their shape fits nowhere.

        Shapes: others [several, count, *shape]; [several, count, k].
        """
        several, graph = len(others), self.derivative.graph
        found = {step: others.reshape(several * self.count, *others.shape[2:])}

        def now(number: int) -> Array:
            return found[number] if number in found else self._repeated(number, several)

        try:
            for number in self.derivative.below(step):
                node = graph.nodes[number]
                found[number] = computed(node, [now(arg) for arg in node.args])
            answers = joined([now(each) for each in self.derivative.answers], several * self.count)
        except ValueError:
            return None
        if self.contracted is not None:
            answers = (answers * np.tile(self.contracted, (several, 1))).sum(axis=1, keepdims=True)
        return answers.reshape(several, self.count, -1)

    def _repeated(self, number: int, several: int) -> Array:
        own = self.numbers[number]
        if several == 1 or len(own) == 1:
            return own
        key = number, several
        if key not in self._tiled:
            self._tiled[key] = np.tile(own, (several, *(1,) * (own.ndim - 1)))
        return self._tiled[key]


def computed(node: Operation, args: Sequence[Array]) -> Array:
    """A step, given the numbers of its arguments. Shapes: [rows or 1, *shape] each."""
    algebra = FloatAlgebra()
    return move(node, args, algebra) if node.op in MOVES else algebra.of(node, args)
