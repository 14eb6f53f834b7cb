"""Whether code goes by the address of a tensor whose numbers in memory are not what it reads as.

A kernel that does so reads a lazily negated or conjugated view as if it were none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


def goes_by_address(call: Callable[[], object]) -> bool:
    """Run a call and its backward, and say whether the address of such a view was taken."""
    watch = _Watch()
    with watch:
        call()
    return watch.is_taken


class _Watch(TorchFunctionMode):
    """Sees what is called of tensors, in a backward too."""

    def __init__(self) -> None:
        super().__init__()
        self.is_taken = False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.autograd.grad:
            outputs, inputs = args
            with self:  # PyTorch leaves it off in what a function calls
                return torch.autograd.graph._engine_run_backward(
                    tuple(outputs),
                    tuple(kwargs["grad_outputs"]),
                    keep_graph=bool(kwargs["retain_graph"]),
                    create_graph=False,
                    inputs=tuple(inputs),
                    allow_unreachable=True,
                    accumulate_grad=False,
                )
        if func in _ADDRESSES and (args[0].is_neg() or args[0].is_conj()):
            self.is_taken = True
        return func(*args, **kwargs)


_ADDRESSES = {Tensor.data_ptr, Tensor.untyped_storage, Tensor.storage}
