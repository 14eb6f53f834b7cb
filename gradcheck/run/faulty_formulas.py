"""What the formula with one fault would have given: a term left out, or without its derivative.

Each fault is planted in one step of the array graph, and the graph is derived and computed again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

from gradcheck.answer import Floats, GuessKind
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.graph.graph import Frozen, Graph, Operation
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction
from gradcheck.reference.query_rows import in_floats
from gradcheck.run.evidence import Alternative, Evidence

_MOST_STEPS = 60
"""Steps of a formula each of which is tried with a fault."""
_STEP = 1e-5


def faulty_formulas(evidence: Evidence) -> Iterator[Alternative]:
    """Answers of the formula with one fault in one step."""
    function = GraphFunction.of(evidence.session.variant.formula)
    yield from _of_constants(evidence, function)
    faults = _FAULTS if evidence.query.order else _VALUE_FAULTS
    for node in _steps(function):
        for k in range(len(function.graph.nodes[node].args)):
            for kind, text, change, is_line in faults:
                faulty = change(function, node, k)
                if faulty is None:
                    continue
                base = _answers(evidence, faulty)
                if base is None:
                    continue
                arg = text_of(function.graph, function.graph.nodes[node].args[k])
                told = text.format(text_of(function.graph, node), arg)
                slope = evidence.true - base if is_line else None
                yield Alternative(kind, told, evidence.true if is_line else base, slope)


def _steps(function: GraphFunction) -> list[int]:
    """The steps that depend on an input, outermost first."""
    graph, live = function.graph, set(function.inputs)
    for node in graph.ancestors(function.outputs):
        if not live.isdisjoint(graph.nodes[node].args) and graph.kind(node) == "real":
            live.add(node)
    found = sorted(live - set(function.inputs), reverse=True)
    return found if len(found) <= _MOST_STEPS else []


def _answers(evidence: Evidence, function: GraphFunction) -> Floats | None:
    """What a function answers where the evidence was, in float64; None where it does not tell."""
    query = evidence.query
    if query.cotangent is None and query.free_inputs:
        return None
    try:
        found = in_floats(DerivativeGraphs(function), query, evidence.points)
    except (NoDerivative, ZeroDivisionError):
        return None
    return found.reshape(evidence.true.shape)


_Change = Callable[[Graph, int, list[int]], int]


def _rewritten(function: GraphFunction, at: int, change: _Change) -> GraphFunction:
    """The function with one step made by ``change`` from the graph and the step's arguments."""
    old, new = function.graph, Graph()
    new.inputs = list(old.inputs[: len(function.inputs)])
    place: dict[int, int] = {}
    for number in old.ancestors([*function.outputs, *function.inputs]):
        node, args = old.nodes[number], [place[arg] for arg in old.nodes[number].args]
        made = new.put(node.op, args, node.attr, node.shape, node.kind) if number != at else None
        place[number] = change(new, number, args) if made is None else made
    where = ([place[each] for each in nodes] for nodes in (function.inputs, function.outputs))
    return GraphFunction(new, *map(tuple, where))


def _made(function: GraphFunction, graph: Graph, number: int, args: Sequence[int]) -> int:
    node = function.graph.nodes[number]
    return graph.put(node.op, args, node.attr, node.shape, node.kind)


def _cut(function: GraphFunction, node: int, k: int) -> GraphFunction | None:
    """One argument is constant there."""
    if not _moves(function, function.graph.nodes[node].args[k]):
        return None

    def change(graph: Graph, number: int, args: list[int]) -> int:
        args[k] = graph.detach(args[k])
        return _made(function, graph, number, args)

    return _rewritten(function, node, change)


def _moves(function: GraphFunction, node: int) -> bool:
    """Whether a node is made of numbers that may change."""
    return function.graph.kind(node) == "real" and function.graph.exact(node) is None


def _sloped(
    function: GraphFunction, node: int, k: int, slope: Callable[..., int]
) -> GraphFunction | None:
    """A local derivative is another: what ``slope`` makes of the step and its argument's change."""
    found = function.graph.nodes[node]
    if found.shape != function.graph.shape(found.args[k]) or not _moves(function, found.args[k]):
        return None

    def change(graph: Graph, number: int, args: list[int]) -> int:
        moving = args[k]
        args[k] = graph.detach(moving)
        step = _made(function, graph, number, args)
        change_of_it = graph.sub(moving, graph.detach(moving))
        return graph.add(step, slope(graph, graph.detach(step), change_of_it))

    return _rewritten(function, node, change)


def _with_slope_one(function: GraphFunction, node: int, k: int) -> GraphFunction | None:
    return _sloped(function, node, k, lambda _graph, _step, moved: moved)


def _with_its_value(function: GraphFunction, node: int, k: int) -> GraphFunction | None:
    return _sloped(function, node, k, lambda graph, step, moved: graph.mul(step, moved))


def _left_out(function: GraphFunction, node: int, k: int) -> GraphFunction | None:
    """A term is not added, or a factor not multiplied by."""
    found = function.graph.nodes[node]
    neutral = {"add": 0, "sub": 0, "mul": 1, "div": 1}.get(found.op)
    if neutral is None or (found.op in ("sub", "div") and k == 0):
        return None

    def change(graph: Graph, number: int, args: list[int]) -> int:
        args[k] = graph.constant(neutral, found.shape)
        return _made(function, graph, number, args)

    return _rewritten(function, node, change)


_FAULTS = (
    (GuessKind.TERM, "in {0} the derivative by {1}", _cut, True),
    (GuessKind.CHAIN, "a missing factor: the derivative of {0} by {1}", _with_slope_one, False),
    (GuessKind.CHAIN, "the value of {0} in place of its derivative by {1}", _with_its_value, False),
)
_VALUE_FAULTS = ((GuessKind.TERM, "{1} is left out of {0}", _left_out, False),)


def _of_constants(evidence: Evidence, function: GraphFunction) -> Iterator[Alternative]:
    """Answers with a constant of the formula that is a little off."""
    for node in function.graph.ancestors(function.outputs):
        found = function.graph.nodes[node]
        if found.op != "constant" or found.shape != () or found.kind != "real":
            continue
        number = _number(found.attr)
        if number is None or number == round(number):
            continue
        low, high = (
            _answers(evidence, _rewritten(function, node, _constant(number * (1 + step))))
            for step in (-_STEP, _STEP)
        )
        if low is not None and high is not None:
            told = f"the constant {text_of(function.graph, node)}"
            slope = (high - low) / (2 * _STEP)
            yield Alternative(GuessKind.DIGITS, told, evidence.true, slope)


def _constant(number: float) -> _Change:
    return lambda graph, _number, _args: graph.constant(Fraction(number))


def _number(attr: object) -> float | None:
    if isinstance(attr, Frozen):
        return float(attr.array.item()) if not isinstance(attr.array.item(), bool) else None
    return {"pi": math.pi, "e": math.e}.get(str(attr))


# in words

_LONGEST = 32
_THROUGH = frozenset({"broadcast", "reshape", "detach"})
_INFIX = {"add": " + ", "sub": " - ", "mul": "*", "div": "/", "bmm": " @ ", "pow": "**"}


def text_of(graph: Graph, node: int) -> str:
    """A node as a short text in the formula language; what is long is cut."""
    text = _text(graph, node, 6)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _text(graph: Graph, node: int, depth: int) -> str:
    found = graph.nodes[node]
    if found.op == "input":
        return graph.inputs[found.attr].name  # type: ignore[index]
    if found.op == "constant":
        return _constant_text(found)
    if depth == 0:
        return "..."
    args = [_text(graph, arg, depth - 1) for arg in found.args]
    if found.op in _THROUGH:
        return args[0]
    if found.op in _INFIX:
        return _INFIX[found.op].join(map(_grouped, args))
    if found.op == "ipow":
        return f"{_grouped(args[0])}**{found.attr}"
    name = "-" if found.op == "neg" else _NAMES.get(found.op, found.op)
    return f"{name}({', '.join(args)})"


def _constant_text(found: Operation) -> str:
    if isinstance(found.attr, str):
        return found.attr
    number = _number(found.attr) if found.shape == () else None
    return "[...]" if number is None else f"{number:.6g}"


_NAMES = {"gather": "part", "scatter": "spread"}


def _grouped(text: str) -> str:
    return f"({text})" if " " in text or text.startswith("-") else text
