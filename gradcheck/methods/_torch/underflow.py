"""What sums of products lose below the smallest normal number, held against the same in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from gradcheck.methods._torch.kernels import is_plain, single_values

_SMALLEST_NORMAL = torch.finfo(torch.float32).smallest_normal

OperatorCall = tuple[Any, Sequence[Any], dict[str, Any]]
"""An operator, its arguments, and those by name."""


def vanished(call: OperatorCall, results: Sequence[Any]) -> list[Tensor | None]:
    """Where results are 0 though some product has no factor 0: no number is large enough.

    The same sum of magnitudes is 0 there, and that of a 1 for each number that is not 0 is not.
    """
    with_zeros = [is_plain(each) and bool((each == 0).any()) for each in results]
    limits = [torch.finfo(each.dtype).smallest_normal ** 0.5 for each in results if is_plain(each)]
    if not any(with_zeros) or _changes_operands(call) or not _has_below(max(limits), call):
        return [None] * len(results)
    sizes = _again(call, torch.abs)
    ones = _again(call, lambda each: (each != 0).to(each.dtype))
    return [
        (size == 0) & (one > 0) if has_zeros else None
        for has_zeros, size, one in zip(with_zeros, sizes, ones, strict=True)
    ]


def flushed(call: OperatorCall, results: Sequence[Any]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each result of a matrix product, and what it lost where subnormals were read as 0.

    Kernels of bfloat16 do so whatever the processor is told, and for large matrices alone. No more
    counts than such a kernel may lose: the products of subnormal operands, and those that are
    subnormal in float32.

    Source: Intel 64 and IA-32 Architectures Software Developer's Manual, VDPBF16PS.
    """
    is_short = [is_plain(each) and each.dtype != torch.float64 for each in results]
    if not any(is_short) or _changes_operands(call) or not _has_below(_SMALLEST_NORMAL**0.5, call):
        return
    ways = (Tensor.double, _counted, _size, _size_of_normal)
    told = zip(*(_again(call, change) for change in ways), strict=True)
    for result, (exact, count, size, normal) in compress(zip(results, told, strict=True), is_short):
        most = size - normal + torch.minimum(size, count * _SMALLEST_NORMAL)
        yield result, torch.clamp(exact - result, -most, most).nan_to_num(0, 0, 0)


def _counted(operand: Tensor) -> Tensor:
    return (operand != 0).double()


def _size(operand: Tensor) -> Tensor:
    return operand.double().abs()


def _size_of_normal(operand: Tensor) -> Tensor:
    return _size(operand).masked_fill(operand.abs() < torch.finfo(operand.dtype).smallest_normal, 0)


def _again(call: OperatorCall, change: Callable[[Tensor], Tensor]) -> list[Any]:
    """What an operator makes of changed floating operands, one by one."""

    def changed(each: Any) -> Any:
        return change(each) if isinstance(each, Tensor) and each.is_floating_point() else each

    function, args, kwargs = call
    return single_values((function(*tree_map(changed, args), **tree_map(changed, kwargs)),))


def _changes_operands(call: OperatorCall) -> bool:
    return bool(call[0]._schema.is_mutable)


def _has_below(least: float, call: OperatorCall) -> bool:
    """Whether some operand has a number other than 0 that is smaller, or subnormal."""
    _, args, kwargs = call
    return any(
        bool(
            ((each != 0) & (each.abs() < max(least, torch.finfo(each.dtype).smallest_normal))).any()
        )
        for each in single_values((*args, *kwargs.values()))
        if is_plain(each)
    )
