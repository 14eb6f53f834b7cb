"""The constants with which code compares numbers: where its branches part.

The calls are listened to below autograd, so that an operation of a backward is heard like one of a
forward. What Python itself compares, after ``item()``, is not heard.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gradcheck.methods._torch.dispatch import DispatchMode
from gradcheck.methods._torch.exceptions import out_of_turn
from gradcheck.methods._torch.zero_tensors import with_memory

_COMPARING = frozenset({
    "lt", "le", "gt", "ge", "eq", "ne", "lt_", "le_", "gt_", "ge_", "eq_", "ne_",
    "clamp", "clamp_", "clamp_min", "clamp_min_", "clamp_max", "clamp_max_", "maximum", "minimum",
    "fmax", "fmin", "threshold", "threshold_", "threshold_backward", "hardtanh", "hardtanh_",
    "hardtanh_backward", "heaviside", "bucketize", "searchsorted",
})  # fmt: skip
_MOST_CONSTANTS = 8
_MOST_OF_A_TENSOR = 4  # elements of one that is taken for constants


def compared_constants(
    function: Callable[..., Any], calls: Sequence[Sequence[Tensor]]
) -> tuple[float, ...]:
    """Return the finite constants with which the calls and their derivatives compare, as they come.

    Derivatives are the backward, its own backward, and forward mode. The constants are at most
    eight. What a call raises ends it, and is for its witness to say. A number in a tensor is a
    constant where two calls, whose inputs and cotangents differ, have it.
    """
    scalars: dict[float, None] = {}
    tensors: Counter[float] = Counter()
    for number, inputs in enumerate(calls):
        listener = _listened(function, inputs, cotangent=1 + number / 8)
        scalars |= listener.scalars
        tensors.update(listener.tensors.keys())
    repeated = (number for number, count in tensors.items() if count > 1)
    return tuple(dict.fromkeys([*scalars, *repeated]))[:_MOST_CONSTANTS]


def _listened(
    function: Callable[..., Any], inputs: Sequence[Tensor], cotangent: float
) -> _Listener:
    listener = _Listener()
    for derive in (_twice_reverse, _forward):
        with out_of_turn(), listener:
            derive(function, [each.detach().clone() for each in inputs], cotangent)
    return listener


def _twice_reverse(function: Callable[..., Any], inputs: list[Tensor], cotangent: float) -> None:
    """The backward, the backward that can be differentiated, and its own backward."""
    leaves = [each.requires_grad_() for each in inputs]
    found: Any = function(*leaves)
    for create_graph in (False, True, False):
        live = differentiable(found)
        cotangents = [torch.full_like(each, cotangent) for each in live]
        slopes = torch.autograd.grad(
            live, leaves, cotangents, retain_graph=True, create_graph=create_graph,
            allow_unused=True,
        )  # fmt: skip
        found = slopes if create_graph else found


def differentiable(results: Any) -> list[Tensor]:
    """Return those of a function's results that autograd can derive."""
    several = results if isinstance(results, list | tuple) else [results]
    return [each for each in several if isinstance(each, Tensor) and each.requires_grad]


def _forward(function: Callable[..., Any], inputs: list[Tensor], tangent: float) -> None:
    with forward_ad.dual_level():
        function(*(forward_ad.make_dual(each, torch.full_like(each, tangent)) for each in inputs))  # type: ignore[no-untyped-call]


class _Listener(DispatchMode):
    """Notes with what operations compare as they pass, and changes none of them."""

    def __init__(self) -> None:
        super().__init__()
        self.scalars: dict[float, None] = {}
        self.tensors: dict[float, None] = {}

    def __torch_dispatch__(
        self, function: Any, _types: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        if function.overloadpacket.__name__ in _COMPARING:
            for argument in (*arguments, *(keywords or {}).values()):
                if isinstance(argument, Tensor):
                    self.tensors |= _finite(_numbers_of(argument))
                else:
                    self.scalars |= _finite([argument])
        arguments, keywords = with_memory(function, arguments, keywords or {})
        return function(*arguments, **keywords)


def _numbers_of(tensor: Tensor) -> list[Any]:
    """The numbers of a small tensor; a ZeroTensor and those of PyTorch's own modes have no data."""
    plain = type(tensor) is Tensor and not tensor._is_zerotensor() and tensor.device.type != "meta"
    readable = plain and tensor.numel() <= _MOST_OF_A_TENSOR
    return tensor.detach().reshape(-1).tolist() if readable else []


def _finite(numbers: Sequence[Any]) -> dict[float, None]:
    return {
        float(number): None
        for number in numbers
        if isinstance(number, int | float) and not isinstance(number, bool)
        if math.isfinite(number)
    }
