"""How many steps the loops of an expression take, as far as its text alone can tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from gradcheck.errors import ExpressionError
from gradcheck.graph.folding import MOST_WORK
from gradcheck.graph.graph import Graph
from gradcheck.graph.indexing import MOST_STEPS
from gradcheck.graph.lower import Lowering, lower
from gradcheck.graph.reading import small_integer
from gradcheck.language.nodes import Comprehension, Loop, Name, Node, Place
from gradcheck.language.torch_names import children

_Numbers = Mapping[str, Fraction]
_Spend = Callable[[int], None]
"""Is told the work that a bound took, and raises where there may be no more of it."""


def check_steps(tree: object, numbers: _Numbers, spend: _Spend) -> None:
    """Nothing, unless a comprehension is sure to pass the limit. ``numbers`` are known names.

    Errors: ExpressionError at the outermost comprehension, nested loops multiplied.
    """
    if not isinstance(tree, Comprehension):
        for child in children(tree):
            check_steps(child, numbers, spend)
    elif _steps(tree, numbers, spend) > MOST_STEPS:
        raise too_many_steps(tree.place)


def too_many_steps(place: Place) -> ExpressionError:
    """The error for a comprehension that passes the limit, before or while it runs."""
    return ExpressionError(
        place,
        f"more than {MOST_STEPS:,} loop steps",
        f"at most {MOST_STEPS:,}",
        "loop over less, or write it with array functions",
    )


def _steps(node: object, numbers: _Numbers, spend: _Spend) -> int:
    """No more steps than it really takes: a loop over what is not known may take none."""
    if not isinstance(node, Comprehension):
        return sum(_steps(child, numbers, spend) for child in children(node))
    total, times = 0, 1
    for loop in node.loops:
        times *= _length(loop, numbers, spend)
        total += times
        numbers = {name: value for name, value in numbers.items() if name != loop.name}
    return total + times * _steps(node.body, numbers, spend)


def _length(loop: Loop, numbers: _Numbers, spend: _Spend) -> int:
    """How often the loop runs; 0 where its bounds are not known."""
    known = [_number(bound, numbers, spend) for bound in loop.bounds]
    bounds = [int(bound) for bound in known if bound is not None and bound.denominator == 1]
    if len(bounds) < len(known):
        return 0
    start, stop, step = (0, *bounds, 1) if len(bounds) == 1 else (*bounds, 1)[:3]
    return max(0, -((start - stop) // step)) if step else 0  # len(range(...)) can overflow


def constant_integer(tree: Node, names: Mapping[str, object], spend: _Spend) -> int:
    """The integer that an expression in these names is; the work is told to ``spend``.

    Errors: ExpressionError.
    """
    if isinstance(tree, Name) and isinstance(value := names.get(tree.name), Fraction):
        whole = small_integer(value)
        if whole is not None:
            return whole
    graph = Graph(MOST_WORK)
    try:
        numbers = {name: value for name, value in names.items() if isinstance(value, Fraction)}
        scope = {name: graph.constant(value) for name, value in numbers.items()}
        return Lowering(graph, scope).integer(tree)
    finally:
        spend(graph.work)


def _number(node: Node, numbers: _Numbers, spend: _Spend) -> Fraction | None:
    """What a constant is, as the formula language has it; else None."""
    graph = Graph(MOST_WORK)
    try:
        lowered = lower(node, inputs={}, names=numbers, lets={}, conditions=(), graph=graph)
    except ExpressionError:
        return None
    finally:
        spend(graph.work)
    (result,) = lowered.results
    assert result is not None, "a formula that is a tree is judged"
    value = graph.number(result)
    return Fraction(value) if graph.shape(result) == () and value is not None else None
