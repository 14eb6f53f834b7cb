"""The formula's own translation to PyTorch: what is on trial where a case names no other code.

Its array functions have the signatures of ``gradcheck.graph.functions``; a test holds the
two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from gradcheck.graph.folding import Meter, fold
from gradcheck.implementations.interpreter import Scope, integer, value_of
from gradcheck.implementations.tensors import Home, alike, as_tensor
from gradcheck.language.nodes import Attribute, Call, Name, Node
from gradcheck.language.torch_names import PYTHON_NUMBERS
from gradcheck.ops.table import CALLABLE, OPERATORS, on_tensors


def translate(
    formula: Node | Mapping[str, Node | None],
    lets: Mapping[str, Node],
    values: Mapping[str, Any],
    home: Home,
) -> Tensor | tuple[Tensor | None, ...]:
    """The formula's value, where ``values`` holds inputs (tensors), constants and sweep values.

    Several outputs come as a tuple, None for one that is not judged.

    Shapes: as in ``gradcheck.graph.lower``, which is NumPy's broadcasting.
    """
    known = {**PYTHON_NUMBERS, **values}
    home = replace(home, floats_as_tensors=True)
    scope = Scope(known, home, _call, _attribute)
    for name, tree in lets.items():
        known[name] = value_of(tree, scope)
    if not isinstance(formula, Mapping):
        return as_tensor(value_of(formula, scope), home)
    return tuple(
        None if tree is None else as_tensor(value_of(tree, scope), home)
        for tree in formula.values()
    )


def _attribute(node: Attribute, scope: Scope) -> Any:
    tensor = as_tensor(value_of(node.base, scope), scope.home)
    if node.name == "shape":
        return [Fraction(length) for length in tensor.shape]
    if node.name == "T":
        return tensor.permute(*reversed(range(tensor.ndim)))
    raise NotImplementedError(f"the formula language has no attribute {node.name!r}")


def _call(node: Call, scope: Scope) -> Any:
    name = node.function.name if isinstance(node.function, Name) else ""
    if name in FUNCTIONS:
        return _array_call(name, node, scope)
    if name in PARTS:
        return PARTS[name](as_tensor(value_of(node.arguments[0], scope), scope.home))
    if name in CALLABLE:
        return _elementwise(name, [value_of(argument, scope) for argument in node.arguments], scope)
    raise NotImplementedError(f"the formula language has no function {name!r}")


def _elementwise(name: str, values: list[Any], scope: Scope) -> Any:
    operator = OPERATORS[name]
    parameters = [integer(values.pop(0))] if operator.parameter else []
    if operator.optional is not None and len(values) == operator.arity - 1:
        values.append(operator.optional)
    if name in ("min", "max"):
        return reduce(lambda a, b: _apply(name, parameters, [a, b], scope), values)
    return _apply(name, parameters, values, scope)


def _apply(name: str, parameters: list[int], values: list[Any], scope: Scope) -> Any:
    if all(isinstance(value, Fraction | bool) for value in values):
        exact = fold(Meter(), name, values, *parameters)
        if exact is not None:
            return exact  # floor(5/2) may be an index, so it must stay a number
    tensors = [as_tensor(value, scope.home) for value in values]
    if tensors[0].is_complex() and name in _ON_COMPLEX:
        return _ON_COMPLEX[name](*tensors)
    return on_tensors(OPERATORS[name])(*parameters, *tensors)


_ON_COMPLEX: dict[str, Callable[[Tensor], Tensor]] = {"sign": torch.sgn}
"""Where PyTorch has another function for complex numbers."""


def _imaginary(x: Tensor) -> Tensor:
    return torch.imag(x) if x.is_complex() else torch.zeros_like(x)


PARTS: dict[str, Callable[[Tensor], Tensor]] = {
    "re": torch.real,
    "im": _imaginary,
    "conj": torch.conj,
    "arg": torch.angle,
    "stop": torch.detach,
}
"""Functions of one tensor that are no operators of the table."""


def _array_call(name: str, node: Call, scope: Scope) -> Tensor:
    values = [value_of(argument, scope) for argument in node.arguments]
    arrays = ARRAYS.get(name, 1)
    options = [_option(value) for value in values[arrays:]]
    if name in ("reshape", "zeros", "ones") and options and not isinstance(options[0], list):
        options = [options]
    keywords = {keyword: _option(value_of(tree, scope)) for keyword, tree in node.keywords}
    leading = [_leading(name, value, scope.home) for value in values[:arrays]]
    if arrays > 1:
        leading = alike(leading)
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


_Dims = int | list[int] | None


def _axes(x: Tensor, dim: _Dims) -> list[int]:
    dims = range(x.ndim) if dim is None else dim if isinstance(dim, list) else [dim]
    return sorted({each % x.ndim for each in dims})


def _reduction(reduce: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def along(_home: Home, x: Tensor, dim: _Dims = None, *, keepdim: bool = False) -> Tensor:
        axes = _axes(x, dim)  # PyTorch takes an empty list for all, NumPy for none
        return reduce(x, axes, keepdim=keepdim) if axes else x.clone()

    return along


def _prod(x: Tensor, axes: list[int], *, keepdim: bool) -> Tensor:
    for axis in reversed(axes):  # torch.prod takes one dimension
        x = torch.prod(x, axis, keepdim=keepdim)
    return x


def _cumsum(_home: Home, x: Tensor, dim: int = 0) -> Tensor:
    return torch.cumsum(x, dim)


def _cumprod(_home: Home, x: Tensor, dim: int = 0) -> Tensor:
    return torch.cumprod(x, dim)


def _tril(_home: Home, x: Tensor, diagonal: int = 0) -> Tensor:
    return torch.tril(x, diagonal)


def _triu(_home: Home, x: Tensor, diagonal: int = 0) -> Tensor:
    return torch.triu(x, diagonal)


def _transpose(_home: Home, x: Tensor, dim0: int = -2, dim1: int = -1) -> Tensor:
    return x if x.ndim < 2 else torch.transpose(x, dim0, dim1)


def _reshape(_home: Home, x: Tensor, shape: list[int]) -> Tensor:
    return torch.reshape(x, shape)


def _concat(_home: Home, parts: list[Tensor], dim: int = 0) -> Tensor:
    return torch.cat(parts, dim)


def _stack(_home: Home, parts: list[Tensor], dim: int = 0) -> Tensor:
    return torch.stack(parts, dim)


def _eye(home: Home, n: int) -> Tensor:
    return torch.eye(n, dtype=home.dtype, device=home.device)


def _zeros(home: Home, shape: list[int]) -> Tensor:
    return torch.zeros(shape, dtype=home.dtype, device=home.device)


def _ones(home: Home, shape: list[int]) -> Tensor:
    return torch.ones(shape, dtype=home.dtype, device=home.device)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _reduction(torch.sum),
    "prod": _reduction(_prod),
    "mean": _reduction(torch.mean),
    "amin": _reduction(torch.amin),
    "amax": _reduction(torch.amax),
    "cumsum": _cumsum,
    "cumprod": _cumprod,
    "dot": lambda _home, a, b: torch.dot(a, b),
    "outer": lambda _home, a, b: torch.outer(a, b),
    "trace": lambda _home, x: torch.trace(x),
    "det": lambda _home, x: torch.linalg.det(x),
    "inv": lambda _home, x: torch.linalg.inv(x),
    "tril": _tril,
    "triu": _triu,
    "transpose": _transpose,
    "reshape": _reshape,
    "concat": _concat,
    "stack": _stack,
    "diag": lambda _home, x: torch.diag(x),
    "eye": _eye,
    "zeros": _zeros,
    "ones": _ones,
}
"""Called with the home, the leading arrays, and ints, booleans or lists of ints for the rest."""

ARRAYS = {"dot": 2, "outer": 2, "eye": 0, "zeros": 0, "ones": 0}
"""How many leading arguments are arrays, where it is not one."""
