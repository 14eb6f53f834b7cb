"""The modes of torch that are on where the code on trial is called, and how to leave them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.autograd import forward_ad

_USUAL = torch.float32  # torch's default dtype, where nobody has set another


def modes_on(device: str) -> tuple[str, ...]:
    """Return what a caller has switched on, as it is written; empty where nothing is."""
    return tuple(_modes(torch.device(device).type))


def _modes(kind: str) -> Iterator[str]:
    if torch.is_inference_mode_enabled():
        yield "torch.inference_mode()"
    elif not torch.is_grad_enabled():
        yield "torch.no_grad()"
    if torch.is_autocast_enabled(kind):
        yield f'torch.autocast("{kind}", dtype={torch.get_autocast_dtype(kind)})'
    if torch.get_default_dtype() != _USUAL:
        yield f"torch.set_default_dtype({torch.get_default_dtype()})"
    if forward_ad._current_level >= 0:
        yield "torch.autograd.forward_ad.dual_level()"
    if torch._C._functorch.peek_interpreter_stack() is not None:
        yield "a transform of torch.func"


@contextmanager
def usual_modes(device: str) -> Iterator[None]:
    """Leave the modes for a while; a transform of torch.func and a dual level cannot be left."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(_USUAL)
    try:
        with (
            torch.inference_mode(mode=False),
            torch.enable_grad(),
            torch.autocast(torch.device(device).type, enabled=False),
        ):
            yield
    finally:
        torch.set_default_dtype(dtype)
