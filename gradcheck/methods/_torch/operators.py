"""Which custom operators of a call drop a tangent that they are given.

PyTorch has no forward mode for operators of ``torch.library`` and says nothing of it: their
results look like constants.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

from gradcheck.answer import Invocation, Question


def dropping(question: Question, invocation: Invocation) -> list[str]:
    """Return the custom operators that a question makes drop a tangent.

    The question is put once more for this, because watching may change how code is run; and
    nothing is compiled meanwhile, because a compiler keeps what it sees for later calls.
    """
    watch = _Watch()
    with eagerly(), watch:
        try:
            list(question(invocation))
        except (Exception, SystemExit):  # whoever asks in earnest sees it again
            return watch.dropped
    return watch.dropped


def may_be_compiled() -> bool:
    """Whether any code can have been compiled in this process so far."""
    return "torch._dynamo" in sys.modules


def eagerly() -> AbstractContextManager[Any]:
    """Run code that was compiled as it was written."""
    if not may_be_compiled():  # to load the compiler takes seconds
        return nullcontext()
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return stance


class _Watch(TorchFunctionMode):
    """Sees operators where Python calls them, above the place where tangents are lost."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped: list[str] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = _custom_name(func)
        # Inside of an autograd.Function's forward it is off: its own jvp counts there.
        on = torch._C._is_fwd_grad_enabled()
        if name is None or not on or not _carries_tangent((args, kwargs)):
            return func(*args, **kwargs)
        self.dropped.append(name)  # also where it raises
        result = func(*args, **kwargs)
        if _carries_tangent(result):
            self.dropped.remove(name)
        return result


def _custom_name(func: Any) -> str | None:
    """The name of an operator that is not PyTorch's own; None for everything else."""
    schema = getattr(func, "_schema", None)  # of an overload; a packet of overloads has none
    name = schema.name if schema is not None else getattr(func, "_qualified_op_name", None)
    own = isinstance(name, str) and name.partition("::")[0] not in _PYTORCHS
    return name if own else None


_PYTORCHS = frozenset({"aten", "prim", "prims", "quantized", "higher_order", "inductor"})


def _carries_tangent(values: Any) -> bool:
    return any(_has_tangent(each) for each in tree_leaves(values) if isinstance(each, Tensor))


def _has_tangent(tensor: Tensor) -> bool:
    while torch._C._functorch.is_batchedtensor(tensor):  # no rule of vmap unpacks a dual
        tensor = torch._C._functorch.get_unwrapped(tensor)
    dual = forward_ad.unpack_dual(tensor)  # type: ignore[no-untyped-call]
    return dual.tangent is not None


def complaints_of_opcheck(call: Callable[[], Any]) -> list[str]:
    """Return what ``torch.library.opcheck`` says of the custom operators that a call makes.

    Whether they can be compiled is not asked: that takes seconds, and says nothing of eager code.
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
        name = _custom_name(func)
        if name is not None:
            # Inside of an autograd.Function's forward gradients are off: none of it is registered.
            wants = torch.is_grad_enabled()
            kept = tree_map_only(Tensor, partial(_alone, wants=wants), (args, kwargs or {}))
            self.calls.setdefault(name, (func, *kept))
        return func(*args, **(kwargs or {}))


def _alone(tensor: Tensor, *, wants: bool) -> Tensor:
    return tensor.detach().clone().requires_grad_(tensor.requires_grad and wants)


_REGISTRATION = ("test_schema", "test_autograd_registration")


def _complaint(call: tuple[Any, Any, Any]) -> str:
    operator, args, kwargs = call
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = torch.library.opcheck(
            operator, args, kwargs, test_utils=_REGISTRATION, raise_exception=False
        )
    wrong = [f"{name}: {result}" for name, result in found.items() if result != "SUCCESS"]
    return f"torch.library.opcheck says of {_custom_name(operator)}: {wrong[0]}" if wrong else ""
