"""The custom operators that a call makes, and what PyTorch's own check says of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from gradcheck.methods._torch.exceptions import custom_name


def complaints_of_opcheck(call: Callable[[], Any]) -> list[str]:
    """Return what ``torch.library.opcheck`` says of the custom operators that a call makes.

    Its compilation is not asked for: that takes seconds, and says nothing of eager code. One that
    has no fake kernel promises nothing about it.
    """
    listening = _Listening()
    with listening:
        call()
    return [each for each in map(_complaint, listening.calls.values()) if each]


class _Listening(TorchFunctionMode):
    """Keeps the first call of each custom operator."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, tuple[Any, Any, Any]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = custom_name(func)
        if name is not None:
            # Inside of an autograd.Function's forward gradients are off: none of it is registered.
            wants = torch.is_grad_enabled()
            kept = tree_map_only(Tensor, partial(_alone, wants=wants), (args, kwargs or {}))
            self.calls.setdefault(name, (func, *kept))
        return func(*args, **(kwargs or {}))


def _alone(tensor: Tensor, *, wants: bool) -> Tensor:
    return tensor.detach().clone().requires_grad_(tensor.requires_grad and wants)


_REGISTRATION = ("test_schema", "test_autograd_registration", "test_faketensor")
_NO_FAKE = ("There was no fake impl registered", "UnsupportedOperatorException")


def _complaint(call: tuple[Any, Any, Any]) -> str:
    operator, args, kwargs = call
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = torch.library.opcheck(
            operator, args, kwargs, test_utils=_REGISTRATION, raise_exception=False
        )
    wrong = [
        f"{name}: {result}"
        for name, result in found.items()
        if result != "SUCCESS" and not any(each in repr(result) for each in _NO_FAKE)
    ]
    return f"torch.library.opcheck says of {custom_name(operator)}: {wrong[0]}" if wrong else ""
