"""The fold over a tree that both languages share; how names are called is the language's own.

Numbers stay exact until they meet a tensor, lists stay lists until something needs an array;
indexing is NumPy's. Nothing is looked up in Python: a name means what ``values`` says.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradcheck.errors import ExpressionError, Misconduct
from gradcheck.floats import nearest_float
from gradcheck.graph.indexing import MOST_STEPS
from gradcheck.graph.steps import too_many_steps
from gradcheck.implementations.tensors import (
    Home,
    alike,
    as_tensor,
    items_of,
    plain,
    whole_numbers,
)
from gradcheck.language.nodes import (
    Attribute,
    Binary,
    Call,
    Comparison,
    Comprehension,
    Dictionary,
    Literal,
    Loop,
    Name,
    Node,
    Pointed,
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


def value_of(node: Node, scope: Scope) -> Any:
    """The value of ``node``: an exact number, a boolean, a text, None, a tensor, a list, a map."""
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
    operands = [value_of(operand, scope) for operand in node.operands]
    result: Any = True
    for symbol, left, right in zip(node.operators, operands, operands[1:], strict=False):
        holds = apply_binary(symbol, left, right, scope.home)
        result = holds if result is True else apply_binary("and", result, holds, scope.home)
    return result


def _subscript(node: Subscript, scope: Scope) -> Any:
    indices = tuple(_index(index, scope) for index in node.indices)
    return element(value_of(node.base, scope), indices, scope.home)


def _index(node: object, scope: Scope) -> Any:
    if node is ...:
        return ...
    if isinstance(node, Slice):
        bounds = (node.start, node.stop, node.step)
        return slice(*(None if bound is None else _bound(bound, scope) for bound in bounds))
    value = value_of(node, scope)  # type: ignore[arg-type]
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, list):
        return whole_numbers(value, scope.home)
    if isinstance(value, Tensor):
        return value.detach().long() if value.is_floating_point() else value
    return integer(value)


def _bound(node: Node, scope: Scope) -> int | None:
    value = value_of(node, scope)
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
    return [value_of(node.body, inner) for inner in _scopes(node, node.loops, scope)]


def _scopes(node: Comprehension, loops: tuple[Loop, ...], scope: Scope) -> Iterator[Scope]:
    if not loops:
        yield scope
        return
    for step in range(*(integer(value_of(bound, scope)) for bound in loops[0].bounds)):
        scope.steps[0] += 1
        if scope.steps[0] > MOST_STEPS:
            raise too_many_steps(node.place)
        inner = replace(scope, values={**scope.values, loops[0].name: Fraction(step)})
        yield from _scopes(node, loops[1:], inner)


_RULES: dict[type, Callable[[Any, Scope], Any]] = {
    Literal: lambda node, scope: node.value,
    Name: _name,
    Attribute: lambda node, scope: scope.attribute(node, scope),
    Unary: lambda node, scope: apply_unary(
        node.operator, value_of(node.operand, scope), scope.home
    ),
    Binary: lambda node, scope: apply_binary(
        node.operator, value_of(node.left, scope), value_of(node.right, scope), scope.home
    ),
    Comparison: _compare,
    Call: lambda node, scope: scope.call(node, scope),
    Sequence: lambda node, scope: [value_of(item, scope) for item in node.items],
    Dictionary: lambda node, scope: {
        key: value_of(value, scope) for key, value in zip(node.keys, node.values, strict=True)
    },
    Subscript: _subscript,
    Comprehension: _comprehension,
}


def element(base: Any, indices: tuple[Any, ...], home: Home) -> Any:
    """``base[indices]``.

    A list of exact numbers gives exact numbers, one position in a list or a tuple what stands
    there, a text what a map has by that name; anything else counts as a tensor.

    Errors: Misconduct for a name that a map, or something else, has not.
    """
    if len(indices) == 1 and isinstance(indices[0], str):
        return _named(base, indices[0])
    if isinstance(base, list | tuple):
        if len(indices) == 1 and isinstance(indices[0], int | slice):
            return base[indices[0]]
        if not any(isinstance(item, Tensor) for item in (*items_of(base), *indices)):
            found = np.array(base, dtype=object)[indices]
            return found.tolist() if isinstance(found, np.ndarray) else found
    tensor = as_tensor(base, home)
    return _forwards(tensor, indices)


def _named(base: Any, name: str) -> Any:
    if not isinstance(base, Mapping):
        raise Misconduct(f"the code on trial gave a {type(base).__name__}, expected a map with "
                         f"the key {name!r}")  # fmt: skip
    if name not in base:
        keys = ", ".join(map(repr, base)) or "no keys"
        raise Misconduct(f"the code on trial gave a map without the key {name!r}: it has {keys}")
    return base[name]


def _forwards(tensor: Tensor, indices: tuple[Any, ...]) -> Tensor:
    """PyTorch has no negative steps; such an axis is picked entry by entry first."""
    taken = sum(_width(index) for index in indices)
    axis, positive = 0, []
    for index in indices:
        if isinstance(index, slice) and index.step is not None and index.step < 0:
            positions = list(range(*index.indices(tensor.shape[axis])))
            picked = torch.tensor(positions, dtype=torch.int64, device=tensor.device)
            tensor = tensor.index_select(axis, picked)
            index = slice(None)  # noqa: PLW2901 - what is left to do on this axis
        positive.append(index)
        axis += tensor.ndim - taken if index is ... else _width(index)
    return tensor[tuple(positive)]


def _width(index: Any) -> int:
    """How many axes an index uses up."""
    if index is None or index is ... or isinstance(index, bool):
        return 0
    if isinstance(index, Tensor) and index.dtype is torch.bool:
        return index.ndim
    return 1


_MOST_BITS = 34_000  # about 10,000 digits, the limit of the case format

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "@": torch.matmul,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_LOGICAL: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "and": (operator.and_, torch.logical_and),
    "or": (operator.or_, torch.logical_or),
}
_REAL: dict[str, Callable[..., Any]] = {
    "//": partial(torch.div, rounding_mode="floor"),
    "%": torch.remainder,
}
"""What a formula means by these, on tensors: Python's own operators may lack a derivative."""
_COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!="})


def apply_binary(symbol: str, left: Any, right: Any, home: Home) -> Any:
    """``left symbol right``, broadcast as NumPy does; lists count as tensors.

    Errors: what Python and PyTorch raise, ZeroDivisionError for exact numbers among them.
    """
    if symbol in _LOGICAL:
        exact, on_tensors = _LOGICAL[symbol]
        if isinstance(left, bool) and isinstance(right, bool):
            return exact(left, right)
        return on_tensors(as_tensor(left, home), as_tensor(right, home))
    if symbol == "@":
        matrices = [as_tensor(left, home), as_tensor(right, home)]
        return torch.matmul(*(alike(matrices) if home.floats_as_tensors else matrices))
    if _is_number(left) and _is_number(right):
        return _exact(symbol, left, right)
    if home.floats_as_tensors and symbol in _REAL:
        return _REAL[symbol](as_tensor(left, home), as_tensor(right, home))
    if home.floats_as_tensors and symbol != "**":
        left, right = _off_python(left, home), _off_python(right, home)
    return _BINARY[symbol](_operand(left, home), _operand(right, home))


def _off_python(value: Any, home: Home) -> Any:
    """A number that is no integer as a tensor of the dtype under test."""
    if isinstance(value, float) or (isinstance(value, Fraction) and value.denominator > 1):
        return as_tensor(value, home)
    return value


def apply_unary(symbol: str, operand: Any, home: Home) -> Any:
    """``symbol operand``, for ``- + not``."""
    if symbol == "not":
        if isinstance(operand, bool):
            return not operand
        return torch.logical_not(as_tensor(operand, home))
    if _is_number(operand):
        return _as_written(-operand if symbol == "-" else +operand, operand)
    tensor = as_tensor(operand, home)
    return -tensor if symbol == "-" else tensor


def _is_number(value: Any) -> bool:
    return isinstance(value, Fraction | int | float | complex)


def _operand(value: Any, home: Home) -> Any:
    if isinstance(value, complex):  # PyTorch's forward mode promotes beside one of Python's
        return as_tensor(value, home)
    if _is_number(value) or isinstance(value, Tensor):
        return plain(value)
    return as_tensor(value, home)


def _exact(symbol: str, left: Any, right: Any) -> Any:
    if symbol in _COMPARISONS:
        return _BINARY[symbol](left, right)
    left, right = (
        value if isinstance(value, Fraction | float | complex) else Fraction(value)
        for value in (left, right)
    )
    if symbol == "**":
        return _as_written(_power(left, right), left, right)
    value = _BINARY[symbol](left, right)
    if isinstance(value, int):  # what // gives of fractions
        value = Fraction(value)
    return _as_written(_bounded(value), left, right)


def _as_written(value: Any, *operands: Any) -> Any:
    """The value, with a point where one of its operands was written with one."""
    is_exact = type(value) is Fraction
    return Pointed(value) if is_exact and any(type(x) is Pointed for x in operands) else value


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, complex) or isinstance(exponent, complex):
        return complex(base) ** complex(exponent)
    exact = isinstance(base, Fraction) and isinstance(exponent, Fraction)
    if exact and exponent.denominator == 1:
        if _bits(base) * abs(exponent) <= _MOST_BITS:
            return base ** int(exponent)
        if abs(base) <= 1 and base.denominator == 1:
            return Fraction(base ** int(exponent % 2 or 2)) if base else base
    try:
        return math.pow(nearest_float(base), nearest_float(exponent))
    except OverflowError:
        return math.inf


def _bounded(value: Any) -> Any:
    """Exact numbers that would outgrow the format's limit go on as floats."""
    if isinstance(value, Fraction) and _bits(value) > _MOST_BITS:
        return nearest_float(value)
    return value


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())
