"""What the formula with one fault would have given: a term left out, or without its derivative.

Each fault is planted in one step of the array graph, and the graph is derived and computed again.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache, partial

import numpy as np

from gradcheck.answer import Floats, GuessKind
from gradcheck.graph.derivatives import NoDerivative
from gradcheck.graph.graph import Frozen, Graph, Operation
from gradcheck.graph.lower import Lowered
from gradcheck.query import Array, Query
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction
from gradcheck.reference.query_rows import in_floats
from gradcheck.run.evidence import Alternative, Evidence

_MOST_STEPS = 60
"""Steps of a formula each of which is tried with a fault."""
_STEP = 1e-5


def faulty_formulas(evidence: Evidence) -> Iterator[Alternative]:
    """Answers of the formula with one fault in one step."""
    function = GraphFunction.of(evidence.session.variant.formula)
    shape, true, at = evidence.true.shape, evidence.true, (evidence.query, evidence.points)
    for text, slope in _of_constants(function, *at):
        yield Alternative(GuessKind.DIGITS, text, true, slope.reshape(shape))
    faults = _FAULTS if evidence.query.order else _VALUE_FAULTS
    for node, k in _arguments(function):
        for kind, text, change, is_line in faults:
            base = _answers(change(function, node, k), *at)
            if base is None:
                continue
            base, told = base.reshape(shape), _told(function, text, node, k)
            yield Alternative(kind, told, *((true, true - base) if is_line else (base,)))
    others = (each(function) for each in (_with_other_masks, _with_one_use, _with_one_index))
    for kind, text, other in itertools.chain.from_iterable(others):
        base = _answers(other, *at)
        if base is not None:
            yield Alternative(kind, text, base.reshape(shape))


def lines(
    formula: Lowered, query: Query, points: Floats
) -> Iterator[tuple[GuessKind, str, Floats]]:
    """Yield what one term of the derivative, or one constant, that is a little off would change.

    Times by how much it is too large, relatively.

    Shapes: points [count, n]; [count, *free].
    """
    if not query.order:
        return
    right, constants, terms = _of_formula(formula)
    true = _asked(right, query, points)
    if true is None:
        return
    for text, beside in constants:
        slope = _slope(beside, query, points)
        if slope is not None:
            yield GuessKind.DIGITS, text, slope
    for text, cut in terms:
        base = _asked(cut, query, points)
        if base is not None:
            yield GuessKind.TERM, text, true - base


_Beside = tuple[DerivativeGraphs, DerivativeGraphs]
"""The function with a constant that is a little smaller, and a little larger."""


@lru_cache(maxsize=8)  # every array of a check asks, and every check of a case
def _of_formula(
    formula: Lowered,
) -> tuple[DerivativeGraphs, Sequence[tuple[str, _Beside]], Sequence[tuple[str, DerivativeGraphs]]]:
    """The formula, and with a constant moved or a term cut: each derived once."""
    function = GraphFunction.of(formula)
    cuts = ((node, k, _cut(function, node, k)) for node, k in _arguments(function))
    terms = [
        (_told(function, _TERM, node, k), DerivativeGraphs(cut))
        for node, k, cut in cuts
        if cut is not None
    ]
    return DerivativeGraphs(function), list(_constants(function)), terms


def _arguments(function: GraphFunction) -> Iterator[tuple[int, int]]:
    """The arguments of the steps that depend on an input: a step and a place."""
    for node in _steps(function):
        yield from ((node, k) for k in range(len(function.graph.nodes[node].args)))


def _told(function: GraphFunction, text: str, node: int, k: int) -> str:
    arg = function.graph.nodes[node].args[k]
    return text.format(text_of(function.graph, node), text_of(function.graph, arg))


def _steps(function: GraphFunction) -> list[int]:
    """The steps that depend on an input, outermost first."""
    graph, live = function.graph, set(function.inputs)
    for node in graph.ancestors(function.outputs):
        if not live.isdisjoint(graph.nodes[node].args) and graph.kind(node) == "real":
            live.add(node)
    found = sorted(live - set(function.inputs), reverse=True)
    return found if len(found) <= _MOST_STEPS else []


def _answers(function: GraphFunction | None, query: Query, points: Floats) -> Floats | None:
    """What a function, if there is one, answers in float64; None where it does not tell.

    Shapes: points [count, n]; [count, *free].
    """
    return None if function is None else _asked(DerivativeGraphs(function), query, points)


def _asked(graphs: DerivativeGraphs, query: Query, points: Floats) -> Floats | None:
    """As ``_answers``."""
    if query.cotangent is None and query.free_inputs:
        return None
    try:
        return in_floats(graphs, query, points)
    except (NoDerivative, ZeroDivisionError):
        return None


_Change = Callable[[Graph, int, list[int]], int]


def _rewritten(function: GraphFunction, changes: Mapping[int, _Change]) -> GraphFunction:
    """The function with some steps made by a change from the graph and the step's arguments."""
    old, new = function.graph, Graph()
    new.inputs = list(old.inputs[: len(function.inputs)])
    place: dict[int, int] = {}
    for number in old.ancestors([*function.outputs, *function.inputs]):
        node, args = old.nodes[number], [place[arg] for arg in old.nodes[number].args]
        change = changes.get(number)
        place[number] = (
            new.put(node.op, args, node.attr, node.shape, node.kind)
            if change is None
            else change(new, number, args)
        )
    where = ([place[each] for each in nodes] for nodes in (function.inputs, function.outputs))
    return GraphFunction(new, *map(tuple, where))


def _made(function: GraphFunction, graph: Graph, number: int, args: Sequence[int]) -> int:
    node = function.graph.nodes[number]
    return graph.put(node.op, args, node.attr, node.shape, node.kind)


def _cut(function: GraphFunction, node: int, k: int) -> GraphFunction | None:
    """One argument is constant there."""
    if not _moves(function, function.graph.nodes[node].args[k]):
        return None
    return _rewritten(function, {node: _held(function, {k})})


def _held(function: GraphFunction, places: Collection[int]) -> _Change:
    """Some arguments are constant."""

    def change(graph: Graph, number: int, args: list[int]) -> int:
        held = [graph.detach(arg) if k in places else arg for k, arg in enumerate(args)]
        return _made(function, graph, number, held)

    return change


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

    return _rewritten(function, {node: change})


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

    return _rewritten(function, {node: change})


_TERM = "in {0} the derivative by {1}"
_FAULTS = (
    (GuessKind.TERM, _TERM, _cut, True),
    (GuessKind.CHAIN, "a missing factor: the derivative of {0} by {1}", _with_slope_one, False),
    (GuessKind.CHAIN, "the value of {0} in place of its derivative by {1}", _with_its_value, False),
)
_VALUE_FAULTS = ((GuessKind.TERM, "{1} is left out of {0}", _left_out, False),)


def _of_constants(
    function: GraphFunction, query: Query, points: Floats
) -> Iterator[tuple[str, Floats]]:
    """What constants of the formula that are a little off change, times by how much of them."""
    for text, beside in _constants(function):
        slope = _slope(beside, query, points)
        if slope is not None:
            yield text, slope


def _constants(function: GraphFunction) -> Iterator[tuple[str, _Beside]]:
    """The constants that are no whole numbers, each with the function beside it."""
    for node in function.graph.ancestors(function.outputs):
        found = function.graph.nodes[node]
        if found.op != "constant" or found.shape != () or found.kind != "real":
            continue
        number = _number(found.attr)
        if number is None or number == round(number):
            continue
        low, high = (
            DerivativeGraphs(_rewritten(function, {node: _constant(number * (1 + step))}))
            for step in (-_STEP, _STEP)
        )
        yield f"the constant {text_of(function.graph, node)}", (low, high)


def _slope(beside: _Beside, query: Query, points: Floats) -> Floats | None:
    low, high = (_asked(graphs, query, points) for graphs in beside)
    return None if low is None or high is None else (high - low) / (2 * _STEP)


def _constant(number: float) -> _Change:
    return lambda graph, _number, _args: graph.constant(Fraction(number))


def _number(attr: object) -> float | None:
    if isinstance(attr, Frozen):
        return float(attr.array.item()) if not isinstance(attr.array.item(), bool) else None
    return {"pi": math.pi, "e": math.e}.get(str(attr))


# masks


_Faulty = tuple[GuessKind, str, GraphFunction]


def _with_other_masks(function: GraphFunction) -> Iterator[_Faulty]:
    """The formula without one of its masks, or with one that is off by one."""
    graph = function.graph
    for node in graph.ancestors(function.outputs):
        attr = graph.nodes[node].attr
        if graph.nodes[node].op != "constant" or not isinstance(attr, Frozen):
            continue
        for text, other in _other_masks(attr.array):
            change = partial(_with_array, other)
            yield GuessKind.MASK, text, _rewritten(function, {node: change})


def _with_array(array: Array, graph: Graph, _number: int, _args: list[int]) -> int:
    return graph.constant(array)


def _other_masks(mask: Array) -> Iterator[tuple[str, Array]]:
    """What may stand in the place of zeros and ones, or of conditions."""
    if mask.ndim == 0 or not ((mask == 0) | (mask == 1)).all() or len(set(mask.flat)) != 2:
        return
    yield "the mask is left out", np.full(mask.shape, max(mask.flat), dtype=object)
    for axis, length in enumerate(mask.shape):
        for first in (0, 2):  # the entry before, the entry behind
            beside = np.clip(np.arange(length) + first - 1, 0, length - 1)
            other = mask.take(beside, axis)
            if (other != mask).any():
                yield "the mask is off by one", other


# what is used several times


def _uses(function: GraphFunction) -> dict[int, list[tuple[int, int]]]:
    """Where what depends on an input is used: in which steps, as which argument."""
    found: dict[int, list[tuple[int, int]]] = {}
    for node, k in _arguments(function):
        arg = function.graph.nodes[node].args[k]
        if _moves(function, arg):
            found.setdefault(arg, []).append((node, k))
    return found


def _with_one_use(function: GraphFunction) -> Iterator[_Faulty]:
    """One use of what is used several times counts alone; of two, the other is a missing term."""
    for arg, places in _uses(function).items():
        if not 2 < len(places) <= _MOST_USES:
            continue
        text = f"one use of {text_of(function.graph, arg)} counts alone: overwritten, not added"
        for kept in places:
            others = [each for each in places if each != kept]
            changes = {
                node: _held(function, {k for each, k in others if each == node})
                for node, _ in others
            }
            yield GuessKind.SUM, text, _rewritten(function, changes)


def _with_one_index(function: GraphFunction) -> Iterator[_Faulty]:
    """Of an entry that is indexed several times one counts alone."""
    for node in _steps(function):
        attr = function.graph.nodes[node].attr
        if function.graph.nodes[node].op == "gather" and isinstance(attr, Frozen):
            for which, kept in _once_each(attr.array):
                change = partial(_gathered_once, function, kept)
                text = f"of an entry that is indexed several times the {which} counts alone"
                told = f"{text}: overwritten, not added"
                yield GuessKind.SUM, told, _rewritten(function, {node: change})


_MOST_USES = 8


def _once_each(index: Array) -> Iterator[tuple[str, Array]]:
    """Where in an index each number stands the last time, and the first; none where all differ."""
    flat = index.reshape(-1)
    for which, numbers in (("last", flat[::-1]), ("first", flat)):
        found, places = np.unique(numbers, return_index=True)
        if len(found) == len(flat):
            return
        kept = np.zeros(len(flat), dtype=bool)
        kept[len(flat) - 1 - places if which == "last" else places] = True
        yield which, kept.reshape(index.shape)


def _gathered_once(
    function: GraphFunction, kept: Array, graph: Graph, number: int, args: list[int]
) -> int:
    found = _made(function, graph, number, args)
    kept_entries = graph.constant(kept.astype(object))
    return graph.elementwise("where", kept_entries, found, graph.detach(found))


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
