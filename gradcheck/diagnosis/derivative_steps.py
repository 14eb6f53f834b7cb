"""The formula's derivative, written out step by step in float64, and what follows from a step.

A step that is given other numbers changes the answers; many such changes are computed together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from gradcheck.answer import Floats
from gradcheck.diagnosis.evidence import Evidence
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.graph.graph import Graph, Operation, without
from gradcheck.ops.table import OPERATORS
from gradcheck.query import Array, Query, Shape
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction, Rows, joined
from gradcheck.reference.float_arrays import FloatAlgebra
from gradcheck.reference.interpret import MOVES, evaluate, move
from gradcheck.run.rewriting import THROUGH

_MOST_STEPS = 400

Numbers = Mapping[int, Array]
"""What each step is. Shapes: [rows or 1, *shape]."""
Factor = tuple[int, bool]
"""A step, and whether it divides."""


@dataclass(frozen=True, slots=True, eq=False)
class DerivativeSteps:
    """The derivative as a graph, its ``steps`` in order; the ``formula``'s are some of them.

    Not all of the formula's lead ``to_answers``.

    ``moving`` ones are made of an input, or of the cotangent or tangent. ``users`` says what is
    made of a step. ``graphs`` knows where the inputs of the graph are.
    """

    graphs: DerivativeGraphs
    graph: Graph
    answers: tuple[int, ...]
    outputs: tuple[int, ...]
    steps: Sequence[int]
    to_answers: Sequence[int]
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
        return cls(
            graphs, graph, answers, outputs, steps, graph.ancestors(answers), own, real, users
        )

    def simplified(self, numbers: Numbers) -> DerivativeSteps:
        """The same as authors write it.

        Sums lack the terms that add up to 0, as x less its mean does within a norm; and what is
        made of a sum entry by entry keeps its axes, with length 1.
        """
        old, new, place = self.graph, Graph(), dict[int, int]()
        new.inputs, kept = list(old.inputs), dict[int, Shape]()
        for number in self.steps:
            node = old.nodes[number]
            args = [place[arg] for arg in node.args]
            wide = next((kept[arg] for arg in node.args if arg in kept), None)
            if node.op == "sum":
                place[number] = self._sum_without_zeros(new, number, place, numbers)
                kept[number] = without(old.shape(node.args[0]), node.attr)  # type: ignore[arg-type]
            elif node.op == "reshape":
                place[number] = new.reshape(args[0], node.shape)
            elif wide is not None and node.op in OPERATORS:
                spread = [new.reshape(arg, wide) for arg in args]
                found = new.put(node.op, spread, node.attr, wide, node.kind)
                place[number], kept[number] = new.reshape(found, node.shape), wide
            else:
                place[number] = new.put(node.op, args, node.attr, node.shape, node.kind)
        answers, outputs = (
            tuple(place[each] for each in nodes) for nodes in (self.answers, self.outputs)
        )
        return self._of_graph(self.graphs, new, answers, outputs)

    def _sum_without_zeros(
        self, new: Graph, number: int, place: Mapping[int, int], numbers: Numbers
    ) -> int:
        node = self.graph.nodes[number]
        terms = [] if number in self.formula else list(self.terms_of(node.args[0]))
        left = [term for term in terms if not _adds_up_to_zero(node, term, numbers)]
        if len(left) == len(terms):
            return new.put("sum", [place[node.args[0]]], node.attr, node.shape, node.kind)
        total = new.constant(0, self.graph.shape(node.args[0]))
        for weight, term in left:
            total = new.add(total, new.mul(new.constant(Fraction(weight)), place[term]))
        return new.sum(total, node.attr)  # type: ignore[arg-type]

    @property
    def named(self) -> list[int]:
        """The steps that are numbers of their own."""
        nodes = self.graph.nodes
        return [
            each for each in self.steps if each in self.moving and nodes[each].op not in THROUGH
        ]

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

    def below(self, steps: Iterable[int], saved: frozenset[int]) -> list[int]:
        """The steps on the way from some to the answers, in order, themselves left out.

        Those that were ``saved`` stay as they are.
        """
        found = set(steps)
        for number in self.to_answers:
            if number not in saved and not found.isdisjoint(self.graph.nodes[number].args):
                found.add(number)
        return sorted(found.difference(steps))

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

    def answers_with(self, others: Mapping[int, Array], saved: frozenset[int]) -> Floats | None:
        """The answers if some steps had other numbers; None where their shape fits nowhere.

        Those that were ``saved`` keep theirs.
        Shapes: others [several, count, *shape]; [several, count, k].
        """
        several, graph = len(next(iter(others.values()))), self.derivative.graph
        found = {
            step: numbers.reshape(several * self.count, *numbers.shape[2:])
            for step, numbers in others.items()
        }

        def now(number: int) -> Array:
            return found[number] if number in found else self._repeated(number, several)

        try:
            for number in self.derivative.below(others.keys(), saved):
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
