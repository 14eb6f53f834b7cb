"""Operators between exact numbers, lists and tensors: exact as long as no tensor takes part."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from gradcheck.implementations.tensors import Home, as_tensor, nearest_float, plain

_MOST_BITS = 34_000  # about 10,000 digits, the limit of the case format

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
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
_COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!="})


def binary(symbol: str, left: Any, right: Any, home: Home) -> Any:
    """``left symbol right``, broadcast as NumPy does; lists count as tensors.

    Errors: what Python and PyTorch raise, ZeroDivisionError for exact numbers among them.
    """
    if symbol in _LOGICAL:
        exact, on_tensors = _LOGICAL[symbol]
        if isinstance(left, bool) and isinstance(right, bool):
            return exact(left, right)
        return on_tensors(as_tensor(left, home), as_tensor(right, home))
    if symbol == "@":
        return torch.matmul(as_tensor(left, home), as_tensor(right, home))
    if _is_number(left) and _is_number(right):
        return _exact(symbol, left, right)
    if home.floats_as_tensors and symbol != "**":
        left, right = _off_python(left, home), _off_python(right, home)
    return _BINARY[symbol](_operand(left, home), _operand(right, home))


def _off_python(value: Any, home: Home) -> Any:
    """A number that is no integer as a tensor of the dtype under test."""
    if isinstance(value, float) or (isinstance(value, Fraction) and value.denominator > 1):
        return as_tensor(value, home)
    return value


def unary(symbol: str, operand: Any, home: Home) -> Any:
    """``symbol operand``, for ``- + not``."""
    if symbol == "not":
        if isinstance(operand, bool):
            return not operand
        return torch.logical_not(as_tensor(operand, home))
    if _is_number(operand):
        return -operand if symbol == "-" else +operand
    tensor = as_tensor(operand, home)
    return -tensor if symbol == "-" else tensor


def _is_number(value: Any) -> bool:
    return isinstance(value, Fraction | int | float)


def _operand(value: Any, home: Home) -> Any:
    if _is_number(value) or isinstance(value, Tensor):
        return plain(value)
    return as_tensor(value, home)


def _exact(symbol: str, left: Any, right: Any) -> Any:
    if symbol in _COMPARISONS:
        return _BINARY[symbol](left, right)
    left, right = (
        value if isinstance(value, float) else Fraction(value) for value in (left, right)
    )
    if symbol == "**":
        return _power(left, right)
    return _bounded(_BINARY[symbol](left, right))


def _power(base: Any, exponent: Any) -> Any:
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
