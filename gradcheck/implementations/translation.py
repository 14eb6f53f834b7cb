"""The formula's own translation to PyTorch: what is on trial where a case names no other code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from typing import Any

from torch import Tensor

from gradcheck.graph.tape import Scalar, Tape, apply
from gradcheck.implementations.array_functions import ARRAYS, FUNCTIONS
from gradcheck.implementations.fold import Scope, fold, integer
from gradcheck.implementations.tensors import Home, as_tensor
from gradcheck.language.nodes import Attribute, Call, Name, Node
from gradcheck.language.torch_names import NUMBERS
from gradcheck.ops.table import CALLABLE, OPERATORS

_DEFAULTS = {"heaviside": Fraction(1, 2), "zeta": Fraction(1)}  # the second argument left out


def translate(
    formula: Node, lets: Mapping[str, Node], values: Mapping[str, Any], home: Home
) -> Tensor:
    """The formula's value, where ``values`` holds inputs (tensors), constants and sweep values.

    Shapes: as in ``gradcheck.graph.lower``, which is NumPy's broadcasting.
    """
    known = {**NUMBERS, **values}
    home = replace(home, floats_as_tensors=True)
    scope = Scope(known, home, _call, _attribute)
    for name, tree in lets.items():
        known[name] = fold(tree, scope)
    return as_tensor(fold(formula, scope), home)


def _attribute(node: Attribute, scope: Scope) -> Any:
    tensor = as_tensor(fold(node.base, scope), scope.home)
    if node.name == "shape":
        return [Fraction(length) for length in tensor.shape]
    if node.name == "T":
        return tensor.permute(*reversed(range(tensor.ndim)))
    raise NotImplementedError(f"the formula language has no attribute {node.name!r}")


def _call(node: Call, scope: Scope) -> Any:
    name = node.function.name if isinstance(node.function, Name) else ""
    if name in FUNCTIONS:
        return _array_call(name, node, scope)
    if name in CALLABLE:
        return _elementwise(name, [fold(argument, scope) for argument in node.arguments], scope)
    raise NotImplementedError(f"the formula language has no function {name!r}")


def _elementwise(name: str, values: list[Any], scope: Scope) -> Any:
    operator = OPERATORS[name]
    parameters = [integer(values.pop(0))] if operator.parameter else []
    if name in _DEFAULTS and len(values) == 1:
        values.append(_DEFAULTS[name])
    if name in ("min", "max"):
        return reduce(lambda a, b: _apply(name, parameters, [a, b], scope), values)
    return _apply(name, parameters, values, scope)


def _apply(name: str, parameters: list[int], values: list[Any], scope: Scope) -> Any:
    if all(isinstance(value, Fraction | bool) for value in values):
        exact = apply(Tape(), name, *values, parameter=parameters[0] if parameters else None)
        if not isinstance(exact, Scalar):
            return exact  # floor(5/2) may be an index, so it must stay a number
    tensors = [as_tensor(value, scope.home) for value in values]
    return OPERATORS[name].torch(*parameters, *tensors)


def _array_call(name: str, node: Call, scope: Scope) -> Tensor:
    values = [fold(argument, scope) for argument in node.arguments]
    arrays = ARRAYS.get(name, 1)
    options = [_option(value) for value in values[arrays:]]
    if name in ("reshape", "zeros", "ones") and options and not isinstance(options[0], list):
        options = [options]
    keywords = {keyword: _option(fold(tree, scope)) for keyword, tree in node.keywords}
    leading = [_leading(name, value, scope.home) for value in values[:arrays]]
    function: Callable[..., Tensor] = FUNCTIONS[name]
    return function(scope.home, *leading, *options, **keywords)


def _leading(name: str, value: Any, home: Home) -> Any:
    if name not in ("concat", "stack"):
        return as_tensor(value, home)
    return [
        as_tensor(part, home) for part in (value.unbind() if isinstance(value, Tensor) else value)
    ]


def _option(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, list):
        return [integer(item) for item in value]
    if isinstance(value, Tensor) and value.ndim:
        return [integer(item) for item in value]
    return integer(value)
