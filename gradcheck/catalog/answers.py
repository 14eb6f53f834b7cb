"""A point's written answers: which derivatives they are, and whether their formula allows them.

``contradicted`` asks the array graph over balls alone, without torch or sympy, once and in so many
bits, and so does ``certified``, which says what could be written. A run asks its reference too
(``excluded``): more bits, sympy and limits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from flint import acb, arb

from gradcheck.catalog.case import Case, Point, Variant
from gradcheck.errors import Problem
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.graph.lower import Lowered
from gradcheck.language.nodes import Name, Node
from gradcheck.ops.balls import working
from gradcheck.query import Array, Port
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction, Rows
from gradcheck.reference.digits import decimal
from gradcheck.reference.exact import enclose_constant
from gradcheck.reference.size import cost

_CLOSE = arb(2) ** -50
"""Relative: an answer may be written as a decimal, but with float64's digits at least."""
_BITS = 200
DIGITS = 17  # of a number in a message
MOST_ANSWER_STEPS = 6_000_000
"""Operations on balls for the written answers of a file, about half a microsecond each."""
_TOO_LONG = "answers that take too long to check, from this point on"
_AT_MOST = f"at most {MOST_ANSWER_STEPS:,} operations on balls for the answers of a file"
_FIX = "correct the answer, or the formula"
_FEW_BITS = 50
"""Less than the digits of a message: a hull."""
_NO_TEXT = Name("", (1, 1))

Enclose = Callable[[Rows], Array | None]
"""Balls that hold the answers to rows, [rows, free]; None where the array graph is to be asked."""


@dataclass(frozen=True, slots=True)
class WrittenAnswer:
    """One answer of a point: the key it stands under, of which output, by which inputs.

    Shapes: with m outputs and n input entries, ``positions`` count in [m * n**order].
    """

    key: str
    output: str
    inputs: tuple[str, ...]
    tree: Node
    positions: tuple[int, ...]

    def __str__(self) -> str:
        of = f" of {self.output}" if self.output else ""
        by = f" in {', '.join(self.inputs)}" if self.inputs else ""
        return self.key + of + by

    @property
    def order(self) -> int:
        """Of the derivative."""
        return len(self.inputs)

    def entries(self) -> Iterator[tuple[Any, int]]:
        """Return each number, an arb or a complex acb, with its flat position."""
        return zip(enclose_constant(self.tree).flat, self.positions, strict=True)


def answers(point: Point, formula: Lowered) -> Iterator[WrittenAnswer]:
    """Return what is written at a point, conventions included."""
    rows, columns = spans(formula.judged), spans(formula.ports)
    n = sum(map(len, columns.values()))
    for key, output, inputs, tree in _written(point):
        positions = list(rows[output])
        for name in inputs:
            positions = [k * n + j for k in positions for j in columns[name]]
        yield WrittenAnswer(key, output, inputs, tree, tuple(positions))


def _written(point: Point) -> Iterator[tuple[str, str, tuple[str, ...], Node]]:
    """The key, the output, the inputs and the text of each answer."""
    for output, tree in point.known.get("value", {}).items():
        yield "value", output, (), tree
    for key in ("gradient", "jacobian", "convention"):
        for output, row in point.known.get(key, {}).items():
            for name, tree in row.items():
                yield key, output, (name,), tree
    for first, row in point.known.get("hessian", {}).items():
        for second, tree in row.items():
            yield "hessian", "", (first, second), tree


def spans(ports: Sequence[Port]) -> dict[str, range]:
    """Return which flat entries belong to each port."""
    found, start = {}, 0
    for port in ports:
        found[port.name] = range(start, start + math.prod(port.shape))
        start += math.prod(port.shape)
    return found


def is_possible(answer: arb | acb, formula: arb | acb) -> bool:
    """Return whether an answer is near the formula's enclosure, if the formula has one there."""
    if not formula.is_finite():
        return True
    with working(_BITS, exact=True):
        gap = abs(answer - formula)
        return bool(answer.is_finite() and gap.lower() <= _CLOSE * abs(answer).upper())


def exactly(point: Point, formula: Lowered) -> list[Any]:
    """Return a point's numbers as written, input after input: balls, which need not be floats."""
    return [
        acb(ball) if port.kind == "complex" else ball.real
        for port in formula.ports
        for ball in enclose_constant(point.at[port.name]).flat
    ]


def contradicted(cases: Iterable[Case]) -> Iterator[Problem]:
    """Return a problem for each point with an answer that its formula excludes: the first such.

    What that takes is counted for all cases together; the last problem is that it takes too long.
    """
    left = float(MOST_ANSWER_STEPS)
    for case in cases:
        for variant in case.variants if any(point.known for point in case.points) else ():
            questions = _questions(case.points, variant)
            left -= sum(question.steps for question in questions)
            if left < 0:
                fix = "leave points out, or split the file"
                yield Problem(case.points[0].where, _TOO_LONG, _AT_MOST, fix)
                return
            wrong: dict[int, Problem] = {}
            for number, problem in _excluded(questions, case.points, variant):
                wrong.setdefault(number, problem)
            yield from (problem for _, problem in sorted(wrong.items()))


def excluded(point: Point, variant: Variant, enclose: Enclose) -> list[Problem]:
    """Return a problem for each answer of a point that the formula excludes, which ``enclose``
    knows."""
    questions = _questions((point,), variant)
    return [problem for _, problem in _excluded(questions, (point,), variant, enclose)]


def certified(point: Point, variant: Variant, order: int) -> Iterator[tuple[WrittenAnswer, Array]]:
    """Return what could be written at a point, up to an order, and the balls that hold its entries.

    Of a single real number that is its gradient and Hessian, of all else its Jacobians; nothing
    that no single complex number states. The answers have no text.
    """
    graphs, at = _graphs_of(variant.formula), [exactly(point, variant.formula)]
    for answer in _statable(variant, order):
        yield answer, _question(graphs, variant.formula, [(0, answer)], at).answers(None)[0]


def _statable(variant: Variant, order: int) -> Iterator[WrittenAnswer]:
    ports = variant.formula.ports
    for output in variant.formula.judged:
        yield WrittenAnswer("value", output.name, (), _NO_TEXT, ())
        key = "gradient" if variant.is_scalar and output.kind == "real" else "jacobian"
        for port in ports:
            if "real" in (output.kind, port.kind):
                yield WrittenAnswer(key, output.name, (port.name,), _NO_TEXT, ())
    everything = (*ports, *variant.formula.judged)
    if order > 1 and variant.is_scalar and all(port.kind == "real" for port in everything):
        for first, second in product(ports, ports):
            yield WrittenAnswer("hessian", "", (first.name, second.name), _NO_TEXT, ())


@dataclass(frozen=True, slots=True)
class _Question:
    """One derivative, asked at all points that state it: each with its number among all points.

    ``rows`` answer it, the rows of a point after each other; ``entries`` are those of a row's
    answer that are stated.
    """

    graphs: DerivativeGraphs
    stated: tuple[tuple[int, WrittenAnswer], ...]
    rows: Rows
    entries: range
    by_entry: bool

    @property
    def steps(self) -> int:
        """How many operations on balls it takes."""
        try:
            wanted = [*self.graphs.outputs_of(self.rows), *self.graphs.lower(self.rows.order)]
        except NoDerivative:
            return 0
        return cost(self.graphs.function.graph, wanted, self.rows.count)[0]

    def answers(self, enclose: Enclose | None) -> Array:
        """The formula's, in the order of a written answer. Shapes: [points, entries]."""
        count = len(self.stated)
        found = None if enclose is None else enclose(self.rows)
        try:
            if found is None:
                found = self.graphs.enclose(self.rows, _BITS, exact=self.rows.order == 0).answer
        except NoDerivative:
            return np.full((count, self.rows.count // count * len(self.entries)), arb.nan())
        asked = found[:, self.entries.start : self.entries.stop]
        asked = asked.reshape(count, -1, len(self.entries))
        return (asked.swapaxes(1, 2) if self.by_entry else asked).reshape(count, -1)


def _questions(points: Sequence[Point], variant: Variant) -> list[_Question]:
    """What is asked of a variant's formula: each derivative once, at all its points together."""
    formula = variant.formula
    graphs = _graphs_of(formula)
    groups: dict[tuple[str, tuple[str, ...]], list[tuple[int, WrittenAnswer]]] = {}
    for number, point in enumerate(points):
        for answer in answers(point, formula):
            if answer.key != "convention" and answer.positions:
                groups.setdefault((answer.output, answer.inputs), []).append((number, answer))
    rows = [exactly(point, formula) for point in points] if groups else []
    return [_question(graphs, formula, stated, rows) for stated in groups.values()]


def _graphs_of(formula: Lowered) -> DerivativeGraphs:
    judged = tuple(node for node in formula.results if node is not None)
    return DerivativeGraphs(GraphFunction(formula.graph, formula.inputs, judged))


def _question(
    graphs: DerivativeGraphs,
    formula: Lowered,
    stated: list[tuple[int, WrittenAnswer]],
    points: list[list[Any]],
) -> _Question:
    """A gradient for each entry of the output, or a derivative along each entry of an input.

    A complex input has only the one, a complex output only the other.
    """
    answer = stated[0][1]
    outputs, inputs = spans(formula.judged), spans(formula.ports)
    at = np.empty((len(stated), graphs.function.size), dtype=object)
    for row, (number, _) in enumerate(stated):
        at[row] = points[number]
    output = outputs[answer.output]
    if answer.order == 0:
        return _Question(graphs, tuple(stated), Rows(0, at, None, ()), output, by_entry=False)
    first, last = inputs[answer.inputs[0]], inputs[answer.inputs[-1]]
    along = _units(graphs.function.size, last, len(at))
    by_output = _units(graphs.function.width, output, len(at))
    if answer.order == 2:  # of one real number: the derivative of its gradient along an input
        rows = Rows(2, at.repeat(len(last), axis=0), by_output.repeat(len(last), axis=0), (along,))
        return _Question(graphs, tuple(stated), rows, first, by_entry=True)
    if _is_reverse(formula, answer):
        rows = Rows(1, at.repeat(len(output), axis=0), by_output, ())
        return _Question(graphs, tuple(stated), rows, last, by_entry=False)
    rows = Rows(1, at.repeat(len(last), axis=0), None, (along,))
    return _Question(graphs, tuple(stated), rows, output, by_entry=True)


def _is_reverse(formula: Lowered, answer: WrittenAnswer) -> bool:
    """Whether a Jacobian is asked for by gradients."""
    output = next(port for port in formula.judged if port.name == answer.output)
    by = next(port for port in formula.ports if port.name == answer.inputs[0])
    if output.kind == "complex" or by.kind == "complex":
        return output.kind == "real"
    return math.prod(output.shape) <= math.prod(by.shape)


def _units(length: int, entries: range, count: int) -> Array:
    """A unit vector for each of the entries, so many times over."""
    return np.tile(np.eye(length)[list(entries)], (count, 1))


def _excluded(
    questions: Iterable[_Question],
    points: Sequence[Point],
    variant: Variant,
    enclose: Enclose | None = None,
) -> Iterator[tuple[int, Problem]]:
    """For the number of a point what an answer says and what the formula gives."""
    shown = f" (in the variant {variant.name})" if variant.name else ""
    for question in questions:
        rows = question.answers(enclose)
        for (number, answer), row in zip(question.stated, rows, strict=True):
            known = enclose_constant(answer.tree).flat
            for one, formula in zip(known, row, strict=True):
                if not is_possible(one, formula):
                    found = f"the {answer} {decimal(one, DIGITS)}{shown}"
                    expected = f"the formula's, {_told(formula)}"
                    yield number, Problem(points[number].where, found, expected, _FIX)


def _told(ball: arb | acb) -> str:
    """The formula's answer; of a hull its ends."""
    if isinstance(ball, acb) or ball.rel_accuracy_bits() > _FEW_BITS:
        return decimal(ball, DIGITS)
    lower, upper = (end.str(6, radius=False) for end in (ball.lower(), ball.upper()))
    return f"which lies between {lower} and {upper}"
