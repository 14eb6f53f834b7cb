"""Which operators a call runs: custom ones that drop a tangent, and PyTorch's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Known = Mapping[str, Callable[[tuple[Any, ...]], list[Any]]]
"""For an operator's name without its overload (``aten::_softmax``) what its arguments mean."""


@dataclass(slots=True)
class Seen:
    """What a call ran. It fills while the call runs.

    ``dropped`` names the custom operators that were given a tangent and gave none; ``ran`` those
    of PyTorch's that are known, and ``met`` is what their arguments mean.
    """

    dropped: list[str] = field(default_factory=list)
    ran: set[str] = field(default_factory=set)
    met: list[Any] = field(default_factory=list)


@contextmanager
def watch(known: Known) -> Iterator[Seen]:
    """Note what runs inside, where nothing is compiled: a compiler keeps what it sees for later."""
    seen = Seen()
    with _eagerly(), _Dispatched(seen, known), _Called(seen):
        yield seen


def _eagerly() -> AbstractContextManager[Any]:
    if "torch._dynamo" not in sys.modules:  # nothing is compiled yet, and to load it takes seconds
        return nullcontext()
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return stance


class _Dispatched(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees PyTorch's own operators, whatever spelled them, in forward and in backward."""

    def __init__(self, seen: Seen, known: Known) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._seen, self._known = seen, known

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        # Inside of an autograd.Function's forward both are off: its own rules count, not these.
        if _derives() and func._schema.name in self._known:
            self._seen.ran.add(func._schema.name)
            self._seen.met += self._known[func._schema.name](args)
        return func(*args, **(kwargs or {}))


class _Called(TorchFunctionMode):
    """Sees custom operators where Python calls them, above the place where tangents are lost."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self._seen = seen

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = _custom_name(func)
        if name is None or not _forward_is_on() or not _carries_tangent((args, kwargs)):
            return func(*args, **kwargs)
        self._seen.dropped.append(name)
        result = func(*args, **kwargs)
        if _carries_tangent(result):
            self._seen.dropped.remove(name)
        return result


def _derives() -> bool:
    return torch.is_grad_enabled() or _forward_is_on()


def _forward_is_on() -> bool:
    return bool(torch._C._is_fwd_grad_enabled())


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
