"""The fold over a tree that both languages share; how names are called is the language's own.

Numbers stay exact until they meet a tensor, lists stay lists until something needs an array.
Nothing is looked up in Python: a name means what ``values`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from torch import Tensor

from gradcheck.errors import ExpressionError
from gradcheck.graph.indexing import MOST_STEPS
from gradcheck.graph.steps import too_many_steps
from gradcheck.implementations.arithmetic import binary, unary
from gradcheck.implementations.indexing import element
from gradcheck.implementations.tensors import Home, whole_numbers
from gradcheck.language.nodes import (
    Attribute,
    Binary,
    Call,
    Comparison,
    Comprehension,
    Literal,
    Loop,
    Name,
    Node,
    Sequence,
    Slice,
    Subscript,
    Unary,
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression means here.

    ``steps`` counts the loop steps of one evaluation, and is the only thing that changes.
    """

    values: Mapping[str, Any]
    home: Home
    call: Callable[[Call, Scope], Any]
    attribute: Callable[[Attribute, Scope], Any]
    steps: list[int] = field(default_factory=lambda: [0])


def fold(node: Node, scope: Scope) -> Any:
    """The value of ``node``: an exact number, a boolean, a string, None, a tensor or a list."""
    return _RULES[type(node)](node, scope)


def _name(node: Name, scope: Scope) -> Any:
    if node.name not in scope.values:
        raise ExpressionError(
            node.place,
            f"the name {node.name!r}, which is not defined",
            "a name of the case",
            "declare it",
        )
    return scope.values[node.name]


def _compare(node: Comparison, scope: Scope) -> Any:
    operands = [fold(operand, scope) for operand in node.operands]
    result: Any = True
    for symbol, left, right in zip(node.operators, operands, operands[1:], strict=False):
        holds = binary(symbol, left, right, scope.home)
        result = holds if result is True else binary("and", result, holds, scope.home)
    return result


def _subscript(node: Subscript, scope: Scope) -> Any:
    indices = tuple(_index(index, scope) for index in node.indices)
    return element(fold(node.base, scope), indices, scope.home)


def _index(node: object, scope: Scope) -> Any:
    if node is ...:
        return ...
    if isinstance(node, Slice):
        bounds = (node.start, node.stop, node.step)
        return slice(*(None if bound is None else _bound(bound, scope) for bound in bounds))
    value = fold(node, scope)  # type: ignore[arg-type]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, list):
        return whole_numbers(value, scope.home)
    if isinstance(value, Tensor):
        return value.detach().long() if value.is_floating_point() else value
    return integer(value)


def _bound(node: Node, scope: Scope) -> int | None:
    value = fold(node, scope)
    return None if value is None else integer(value)


def integer(value: Any) -> int:
    """A whole number as an int.

    Errors: TypeError for anything else.
    """
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if not isinstance(value, Fraction | int | float) or value % 1 != 0:
        raise TypeError(f"{value} is not a whole number")
    return int(value)


def _comprehension(node: Comprehension, scope: Scope) -> list[Any]:
    return [fold(node.body, inner) for inner in _scopes(node, node.loops, scope)]


def _scopes(node: Comprehension, loops: tuple[Loop, ...], scope: Scope) -> Iterator[Scope]:
    if not loops:
        yield scope
        return
    for step in range(*(integer(fold(bound, scope)) for bound in loops[0].bounds)):
        scope.steps[0] += 1
        if scope.steps[0] > MOST_STEPS:
            raise too_many_steps(node.place)
        inner = replace(scope, values={**scope.values, loops[0].name: Fraction(step)})
        yield from _scopes(node, loops[1:], inner)


_RULES: dict[type, Callable[[Any, Scope], Any]] = {
    Literal: lambda node, scope: node.value,
    Name: _name,
    Attribute: lambda node, scope: scope.attribute(node, scope),
    Unary: lambda node, scope: unary(node.operator, fold(node.operand, scope), scope.home),
    Binary: lambda node, scope: binary(
        node.operator, fold(node.left, scope), fold(node.right, scope), scope.home
    ),
    Comparison: _compare,
    Call: lambda node, scope: scope.call(node, scope),
    Sequence: lambda node, scope: [fold(item, scope) for item in node.items],
    Subscript: _subscript,
    Comprehension: _comprehension,
}
