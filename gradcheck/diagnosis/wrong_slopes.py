"""Derivatives of one step that are wrong in a usual way: a factor too many, another expression.

The step keeps its value; what passes it on the way back is altered.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from gradcheck.answer import Floats, GuessKind
from gradcheck.diagnosis.evidence import Alternative, Evidence, Faulty, answered
from gradcheck.errors import ExpressionError
from gradcheck.graph.derivatives import ARGUMENT_NAMES, NoDerivative, local_derivative
from gradcheck.graph.graph import Graph, Operation
from gradcheck.graph.lower import Lowering
from gradcheck.language.nodes import Binary, Call, Node, Unary
from gradcheck.ops.table import OPERATORS, PRIVATE
from gradcheck.query import Port
from gradcheck.reference.derivative_graphs import GraphFunction
from gradcheck.reference.float_arrays import FloatAlgebra
from gradcheck.reference.interpret import evaluate
from gradcheck.run.rewriting import (
    THROUGH,
    Rewrite,
    added_input,
    arguments,
    asked_with,
    change_of,
    copied,
    copied_above,
    is_moving,
    live_steps,
    rewritten,
    sloped,
    text_of,
    told_of,
    values_of,
    with_input,
)

_MOST_FACTORS = 24
"""Steps and inputs each of which is tried as a factor; of a longer formula none is."""
_MOST_NUMBERS = 1 << 19
"""Of the argument of a step, for all rows and factors."""


def wrong_slopes(evidence: Evidence) -> Iterator[Alternative]:
    """Answers of the formula where the derivative of one step by one argument is another."""
    function = GraphFunction.of(evidence.session.variant.formula)
    yield from answered(evidence, _with_running_sums(function))
    yield from answered(evidence, _with_matrices_transposed(function))
    yield from _with_factors(function, evidence)
    yield from answered(evidence, _with_other_slopes(function))
    yield from answered(evidence, _with_other_factors(function))


def _with_running_sums(function: GraphFunction) -> Iterator[Faulty]:
    """Running sums and products whose derivative runs backwards, or leaves each own entry out."""
    for node in live_steps(function):
        if function.graph.nodes[node].op == "cumsum":
            text = f"the derivative of {text_of(function.graph, node)}"
            for told, slope in (
                ("runs in the wrong direction", _backwards(function, node)),
                ("leaves the entry itself out", _without_own(function, node)),
            ):
                other = sloped(function, node, 0, slope)
                if other is not None:
                    yield GuessKind.SUM, f"{text} {told}", other
        factors = _running_factors(function, node)
        if factors:
            text = f"the derivative of the running product of {text_of(function.graph, factors[0])}"
            for told, backwards in (
                ("runs in the wrong direction", True),
                ("leaves the entry itself out", False),
            ):
                change = _running_product(function, factors, backwards=backwards)
                yield GuessKind.SUM, f"{text} {told}", rewritten(function, {node: change})


def _running_factors(function: GraphFunction, node: int) -> list[int]:
    """The factors of a running product, in the order of its entries; none of what is no such."""
    nodes, found = function.graph.nodes, function.graph.nodes[node]
    if found.op != "concat" or len(found.args) < _FEWEST_FACTORS:
        return []
    factors = [found.args[0]]
    for before, product in itertools.pairwise(found.args):
        args = nodes[product].args
        if nodes[product].op != "mul" or before not in args:
            return []
        factors.append(args[1 - args.index(before)])
    return factors


_FEWEST_FACTORS = 3


def _running_product(
    function: GraphFunction, factors: Sequence[int], *, backwards: bool
) -> Rewrite:
    """Of y = x₁ x₂ ... xₖ, dy / y = dx₁/x₁ + ... + dxₖ/xₖ, summed otherwise."""

    def change(graph: Graph, number: int, args: list[int]) -> int:
        axis = function.graph.nodes[number].attr
        assert isinstance(axis, int)
        y = graph.detach(graph.concat(args, axis))
        x = graph.concat([copied_above(function, graph, each) for each in factors], axis)
        relative = graph.div(change_of(graph, x), graph.detach(x))
        total = graph.cumsum(relative, axis, reverse=backwards)
        return graph.add(y, graph.mul(y, total if backwards else graph.sub(total, relative)))

    return change


_Slope = Callable[[Graph, int, int], int]
"""From the graph, a step and the change of its argument to that of the step."""


def _backwards(function: GraphFunction, node: int) -> _Slope:
    axis, reverse = _run(function, node)
    return lambda graph, _step, moved: graph.cumsum(moved, axis, reverse=not reverse)


def _without_own(function: GraphFunction, node: int) -> _Slope:
    axis, reverse = _run(function, node)
    return lambda graph, _, moved: graph.sub(graph.cumsum(moved, axis, reverse=reverse), moved)


def _run(function: GraphFunction, node: int) -> tuple[int, bool]:
    """The axis of a running sum, and whether it runs from its end."""
    attr = function.graph.nodes[node].attr
    assert isinstance(attr, tuple)
    axis, reverse = attr
    return int(axis), bool(reverse)


def _with_matrices_transposed(function: GraphFunction) -> Iterator[Faulty]:
    """Products and inverses of square matrices, in whose derivative one of them is transposed."""
    for node, k in arguments(function):
        found = function.graph.nodes[node]
        if found.op == "bmm" and len({function.graph.shape(arg) for arg in found.args}) == 1:
            other = found.args[1 - k]
            changes = [_made_with(function, (node, k), other, turned=True)]
        elif found.op == "inverse":
            changes = [_inverse(*each) for each in ((True, False), (False, True), (True, True))]
        else:
            continue
        if is_moving(function, found.args[k]):
            for change in changes:
                text = "a matrix is transposed: in {0} the derivative by {1}"
                told = told_of(function, text, node, k)
                yield GuessKind.MOVED, told, rewritten(function, {node: change})


def _inverse(left: bool, right: bool) -> Rewrite:  # noqa: FBT001 - of the two factors
    """Of -A⁻¹ dA A⁻¹ the left inverse is transposed, or the right one, or both."""

    def change(graph: Graph, _number: int, args: list[int]) -> int:
        moved = change_of(graph, args[0])
        inverse = graph.inverse(graph.detach(args[0]))
        first, last = (graph.transposed(inverse) if each else inverse for each in (left, right))
        return graph.sub(inverse, graph.bmm(graph.bmm(first, moved), last))

    return change


# another number of the formula in a product's derivative


def _with_other_factors(function: GraphFunction) -> Iterator[Faulty]:
    """Products whose derivative by one factor is made with another step than the other factor."""
    graph, others = function.graph, _factors(function)
    if len(others) > _MOST_FACTORS:
        return
    for node, k in arguments(function):
        found = graph.nodes[node]
        if found.op not in ("mul", "bmm") or not is_moving(function, found.args[k]):
            continue
        mine = found.args[1 - k]
        for other in others:
            turns = (False, True) if found.op == "bmm" else (False,)
            for turned in turns if other != mine else ():
                shape = graph.shape(other)
                shape = (*shape[:-2], *shape[:-3:-1]) if turned else shape
                if shape == graph.shape(mine) and other < node:
                    name = text_of(graph, other)
                    text = f"in {{0}} the derivative by {{1}} is made with {name}"
                    change = _made_with(function, (node, k), other, turned=turned)
                    told = told_of(function, text, node, k)
                    yield GuessKind.CHAIN, told, rewritten(function, {node: change})


def _made_with(
    function: GraphFunction, place: tuple[int, int], other: int, *, turned: bool
) -> Rewrite:
    node, k = place
    op = function.graph.nodes[node].op

    def change(graph: Graph, number: int, args: list[int]) -> int:
        moved = change_of(graph, args[k])
        factor = graph.detach(copied_above(function, graph, other))
        factor = graph.transposed(factor) if turned else factor
        pair = (moved, factor) if k == 0 else (factor, moved)
        along = graph.bmm(*pair) if op == "bmm" else graph.elementwise("mul", *pair)
        held = [graph.detach(arg) if j == k else arg for j, arg in enumerate(args)]
        return graph.add(copied(function, graph, number, held), along)

    return change


# another expression of the operator's derivative


def _with_other_slopes(function: GraphFunction) -> Iterator[Faulty]:
    """Operators whose derivative is written with one part less, or with another sign.

    In one step, or in all that have the operator.
    """
    alike: dict[tuple[str, int, Node], list[tuple[int, Rewrite]]] = {}
    for node, k in arguments(function):
        found = function.graph.nodes[node]
        if found.op in OPERATORS:
            for tree in _miswritten(found.op, k):
                change = _with_slope(function, node, k, tree)
                other = None if change is None else _rewritten_or_none(function, {node: change})
                if change is not None and other is not None:
                    text = f"the derivative of {{0}} by {{1}} is written as {_text(tree)}"
                    yield GuessKind.CHAIN, told_of(function, text, node, k), other
                    alike.setdefault((found.op, k, tree), []).append((node, change))
    for (op, _, tree), changes in alike.items():
        if len(changes) > 1 and op not in _PLAIN:
            text = f"the derivative of each {op} is written as {_text(tree)}"
            yield GuessKind.CHAIN, text, rewritten(function, dict(changes))


_PLAIN = frozenset({"add", "sub", "mul", "neg"})
"""Operators whose derivative nobody writes down."""


def _rewritten_or_none(
    function: GraphFunction, changes: Mapping[int, Rewrite]
) -> GraphFunction | None:
    try:
        return rewritten(function, changes)
    except ExpressionError:  # of constants, at a pole
        return None


@cache
def _miswritten(operator: str, k: int) -> tuple[Node, ...]:
    """The operator's derivative, in our form and in PyTorch's, with one part of it altered."""
    forms = _forms(operator, k)
    found = dict.fromkeys(each for form in forms for each in _altered(form))
    return tuple(each for each in found if each not in forms)


def _forms(operator: str, k: int) -> list[Node]:
    """The operator's derivative, in our form and in PyTorch's; none where it has none."""
    try:
        return [local_derivative(operator, k, cancelling=each) for each in (False, True)]
    except NoDerivative:
        return []


def _altered(tree: Node) -> Iterator[Node]:
    """Trees that differ in one place: a part is left out, or its sign or side is another."""
    if isinstance(tree, Unary):
        yield tree.operand
        yield from (replace(tree, operand=each) for each in _altered(tree.operand))
    elif isinstance(tree, Binary):
        yield from (tree.left, tree.right) if tree.operator != "**" else (tree.left,)
        if tree.operator in _MISTAKEN:
            yield replace(tree, operator=_MISTAKEN[tree.operator])
        yield from (replace(tree, left=each) for each in _altered(tree.left))
        yield from (replace(tree, right=each) for each in _altered(tree.right))
    elif isinstance(tree, Call):
        for number, argument in enumerate(tree.arguments):
            for each in _altered(argument):
                arguments_so = (*tree.arguments[:number], each, *tree.arguments[number + 1 :])
                yield replace(tree, arguments=arguments_so)


_MISTAKEN = {"+": "-", "-": "+", "*": "/", "/": "*"}


def _with_slope(function: GraphFunction, node: int, k: int, tree: Node) -> Rewrite | None:
    """The local derivative is what the tree says of the step's arguments and value."""
    found = function.graph.nodes[node]
    if not is_moving(function, found.args[k]):
        return None

    def change(graph: Graph, number: int, args: list[int]) -> int:
        held = [graph.detach(arg) for arg in args]
        scope = dict(zip(ARGUMENT_NAMES[len(held)], held, strict=True))
        scope["y"] = copied(function, graph, number, held)
        if isinstance(found.attr, int):
            scope["n"] = graph.constant(found.attr)
        factor = Lowering(graph, scope, private=PRIVATE).value(tree)
        moved = change_of(graph, args[k])
        others = [held[j] if j == k else arg for j, arg in enumerate(args)]
        step = copied(function, graph, number, others)
        return graph.add(step, graph.elementwise("mul", factor, moved))

    return change


def _text(tree: Node) -> str:
    """A tree of the operator table in the formula language."""
    if isinstance(tree, Binary):
        return f"{_grouped(tree.left)}{tree.operator}{_grouped(tree.right)}"
    if isinstance(tree, Unary):
        return f"{tree.operator}{_grouped(tree.operand)}"
    if isinstance(tree, Call):
        return f"{_text(tree.function)}({', '.join(map(_text, tree.arguments))})"
    return str(getattr(tree, "name", None) or getattr(tree, "value", ""))


def _grouped(tree: Node) -> str:
    return f"({_text(tree)})" if isinstance(tree, Binary | Unary) else _text(tree)


# a factor too many, or missing


def _with_factors(function: GraphFunction, evidence: Evidence) -> Iterator[Alternative]:
    """A step or an input is a factor too many, or too few, in the derivative of one step."""
    factors = _factors(function)
    if not 0 < len(factors) <= _MOST_FACTORS:
        return
    numbers = values_of(function, factors, evidence.points)
    names = [text_of(function.graph, each) for each in factors]
    for node, k in arguments(function):
        shape = function.graph.shape(function.graph.nodes[node].args[k])
        given = [
            (text, _spread(weight, shape))
            for name, own in zip(names, numbers, strict=True)
            if _fits(own.shape[1:], shape)
            for text, weight in _weights(name, own)
        ]
        given += _slopes_elsewhere(function, node, names, numbers, evidence.points)
        if given and is_moving(function, function.graph.nodes[node].args[k]):
            yield from _weighted(function, evidence, (node, k), given)


def _weighted(
    function: GraphFunction,
    evidence: Evidence,
    place: tuple[int, int],
    given: Sequence[tuple[str, Floats]],
) -> Iterator[Alternative]:
    """The derivative of a step by an argument, times numbers that have names."""
    (node, k), shape = place, evidence.true.shape
    added = np.stack([weight for _, weight in given])
    if not 0 < added.size <= _MOST_NUMBERS:
        return
    arg = function.graph.nodes[node].args[k]
    graphs = with_input(function, {node: _times_input(function, k)}, function.graph.shape(arg))
    found = asked_with(graphs, evidence.query, evidence.points, added)
    for (text, _), base in zip(given, () if found is None else found, strict=found is not None):
        told = told_of(function, f"{text}: in {{0}} the derivative by {{1}}", node, k)
        yield Alternative(GuessKind.CHAIN, told, base.reshape(shape), partial=True)


def _slopes_elsewhere(
    function: GraphFunction,
    node: int,
    names: Sequence[str],
    numbers: Sequence[Floats],
    points: Floats,
) -> Iterator[tuple[str, Floats]]:
    """What the derivative is multiplied by where it is made of another number.

    Of a function of one number, in the place of its argument or of its value.
    """
    found = function.graph.nodes[node]
    if found.op not in OPERATORS or OPERATORS[found.op].arity != 1:
        return
    forms = dict.fromkeys(_forms(found.op, 0))
    x, y = (
        each.reshape(len(points), -1) for each in values_of(function, [*found.args, node], points)
    )
    for name, own in zip(names, numbers, strict=True):
        if own.shape[1:] != found.shape:
            continue
        other = own.reshape(len(points), -1)
        told = f"made of {name} in the place of its"
        for form in forms:
            with np.errstate(all="ignore"):
                slope = _slope_of(form, found, x, y)
                elsewhere = _slope_of(form, found, other, FloatAlgebra().of(found, [other]))
                yield f"{told} argument", elsewhere / slope
                yield f"{told} value", _slope_of(form, found, x, other) / slope


def _slope_of(form: Node, step: Operation, x: Floats, y: Floats) -> Floats:
    """A local derivative in float64, of an argument and a value."""
    graph = Graph()
    scope = {name: graph.input(Port(name, (), "real")) for name in ("x", "y")}
    if isinstance(step.attr, int):
        scope["n"] = graph.constant(step.attr)
    slope = Lowering(graph, scope, private=PRIVATE).value(form)
    (found,) = evaluate(graph, [slope], [x.reshape(-1), y.reshape(-1)], FloatAlgebra())
    return np.broadcast_to(found, x.size).reshape(x.shape)


def _weights(name: str, numbers: Floats) -> Iterator[tuple[str, Floats]]:
    """What the derivative is multiplied by where a factor is missing, or is there once more."""
    with np.errstate(all="ignore"):
        below = 1 / np.where(numbers == 0, np.nan, numbers)
        within = f"({name})" if " " in name else name
        for text, factor in (
            (name, numbers),
            (f"(1 - {within})", _less_than_one(numbers)),
            (f"(1 - 1/({name}))", _less_than_one(below)),
        ):
            yield f"a factor of {text} is missing", 1 / np.where(factor == 0, np.nan, factor)
            yield f"a factor of {text} too many", factor


def _less_than_one(numbers: Floats) -> Floats:
    """1 less numbers; NaN where that cancels."""
    found = 1 - numbers
    return np.where(np.abs(found) < _CANCELS, np.nan, found)


_CANCELS = 2.0**-5


def _factors(function: GraphFunction) -> list[int]:
    """The inputs, and the steps that are numbers of their own."""
    graph = function.graph
    steps = [each for each in live_steps(function) if graph.nodes[each].op not in THROUGH]
    return [*(each for each in function.inputs if graph.kind(each) == "real"), *steps]


def _fits(shape: tuple[int, ...], wider: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, wider) == wider
    except ValueError:
        return False


def _spread(numbers: Floats, shape: tuple[int, ...]) -> Floats:
    """Arrays that broadcast to a shape behind the axis of their points, flat."""
    missing = (1,) * (len(shape) + 1 - numbers.ndim)
    count = len(numbers)
    lined_up = numbers.reshape(count, *missing, *numbers.shape[1:])
    return np.broadcast_to(lined_up, (count, *shape)).reshape(count, -1)


def _times_input(function: GraphFunction, k: int) -> Rewrite:
    """What the argument's change is, is multiplied by the added input."""

    def change(graph: Graph, number: int, args: list[int]) -> int:
        held = graph.detach(args[k])
        weight = added_input(function, graph, graph.shape(held))
        args[k] = graph.add(held, graph.elementwise("mul", weight, change_of(graph, args[k])))
        return copied(function, graph, number, args)

    return change
