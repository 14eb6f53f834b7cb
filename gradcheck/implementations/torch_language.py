"""The torch language on tensors: a value_of, in which only names on the list are ever looked up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from gradcheck.errors import ExpressionError, Misconduct
from gradcheck.implementations.interpreter import Scope, value_of
from gradcheck.implementations.overridable import function_of
from gradcheck.implementations.tensors import Home, as_tensor, items_of, plain
from gradcheck.language.nodes import (
    Attribute,
    Call,
    Comprehension,
    Dictionary,
    Node,
    Sequence,
)
from gradcheck.language.torch_names import (
    ATTRIBUTES,
    PYTHON_NUMBERS,
    TORCH_DTYPES,
    allowed,
    dotted,
    is_of_function,
    is_of_result,
)


def evaluate_torch(
    tree: Node, values: Mapping[str, Any], home: Home, *, several: bool = False
) -> Any:
    """What the expression gives, where ``values`` holds inputs, constants and sweep values.

    A list is stacked to a tensor, or where a case names its outputs gives them in order; a tuple
    that PyTorch returns stays one.

    Errors: ExpressionError for a name that is not allowed; else what PyTorch raises.
    """
    result = value_of(tree, Scope({**PYTHON_NUMBERS, **values}, home, _call, _attribute))
    if not isinstance(result, list):
        return result
    if not several:
        return as_tensor(result, home)
    return tuple(as_tensor(item, home) for item in result)


def evaluate_calling(
    tree: Node,
    function: Callable[..., Any],
    values: Mapping[str, Any],
    home: Home,
    *,
    several: bool,
) -> Any:
    """What the expression gives, in which ``f`` is the function.

    It is called once with the same arguments, however often they are written. What it gives is
    handed on as it is; a list that the expression writes is stacked, or where a case names its
    outputs gives them in order.

    Errors: Misconduct where the expression asks for what the function does not give; else what it
            or PyTorch raises.
    """
    values = {**PYTHON_NUMBERS, **values}
    given: dict[Call, Any] = {}

    def call(node: Call, scope: Scope) -> Any:
        if not is_of_function(node):
            return _call(node, scope)
        if scope.values is not values:  # within a loop, where the same text says something else
            return _called(function, node, scope)
        if node not in given:
            given[node] = _called(function, node, scope)
        return given[node]

    result = value_of(tree, Scope(values, home, call, _attribute))
    if not isinstance(tree, Sequence | Comprehension):
        return result
    return tuple(result) if several else as_tensor(result, home)


def _called(function: Callable[..., Any], node: Call, scope: Scope) -> Any:
    arguments = [_given(argument, scope) for argument in node.arguments]
    return function(*arguments, **{name: _given(value, scope) for name, value in node.keywords})


def _given(node: Node, scope: Scope) -> Any:
    """An argument as a Python program writes it: lists, tuples and maps stay what they are."""
    match node:
        case Dictionary(keys, values):
            return {key: _given(value, scope) for key, value in zip(keys, values, strict=True)}
        case Sequence(items, is_tuple=is_tuple):
            return (tuple if is_tuple else list)(_given(item, scope) for item in items)
    return plain(value_of(node, scope))


def _call(node: Call, scope: Scope) -> Any:
    arguments = [_argument(value_of(argument, scope), scope) for argument in node.arguments]
    keywords = {name: _argument(value_of(value, scope), scope) for name, value in node.keywords}
    name = dotted(node.function, frozenset(scope.values))
    if name is not None:
        _permit(name, node)
        if keywords.get("inplace") is True:
            arguments = [_cloned(argument) for argument in arguments]
        return function_of(name)(*arguments, **keywords)
    if not isinstance(node.function, Attribute):
        raise ExpressionError(
            node.place, "a call by a plain name", "torch.NAME", "write torch.NAME"
        )
    method = node.function.name
    _permit(f"torch.Tensor.{method}", node)
    tensor = as_tensor(value_of(node.function.base, scope), scope.home)
    if method.endswith("_"):
        tensor = tensor.clone()  # the input stays as it was, and the clone is part of the graph
    return getattr(tensor, method)(*arguments, **keywords)


def _permit(name: str, node: Call) -> None:
    if name not in allowed():
        raise ExpressionError(
            node.place, f"{name!r}", "a function that the torch language allows", "leave it out"
        )


def _attribute(node: Attribute, scope: Scope) -> Any:
    if is_of_result(node):
        return _held_by(value_of(node.base, scope), node.name)
    name = dotted(node, frozenset(scope.values))
    if name in TORCH_DTYPES:
        return function_of(name)
    if name is not None or node.name not in ATTRIBUTES:
        raise ExpressionError(
            node.place,
            f"the attribute {node.name!r}",
            ", ".join(sorted(ATTRIBUTES)),
            "leave it out",
        )
    return getattr(as_tensor(value_of(node.base, scope), scope.home), node.name)


def _held_by(result: Any, name: str) -> Any:
    try:
        return getattr(result, name)
    except AttributeError:
        found = f"a {type(result).__name__}, which has no attribute {name!r}"
        raise Misconduct(f"the code on trial gave {found}") from None


def _argument(value: Any, scope: Scope) -> Any:
    """As PyTorch takes it: a list of tensors stays a list, nested lists of them become a tensor."""
    if not isinstance(value, list) or not any(isinstance(leaf, Tensor) for leaf in items_of(value)):
        return plain(value)
    if any(isinstance(item, list) for item in value):
        return as_tensor(value, scope.home)
    return [
        item if item is None or isinstance(item, slice) else as_tensor(item, scope.home)
        for item in value
    ]


def _cloned(argument: Any) -> Any:
    return argument.clone() if isinstance(argument, Tensor) else argument
