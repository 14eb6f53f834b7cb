"""A look at the backward graph of a result, without running it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from gradcheck.methods._torch.lacks import FIRST_ORDER, Lacking


def runs_own_function(results: Iterable[Tensor]) -> bool:
    """Whether an ``autograd.Function`` took part in computing the results."""
    return any(isinstance(node, BackwardCFunction) for node in nodes(results))


def refuse_to_go_on(slopes: Iterable[Tensor | None]) -> None:
    """Raise where a backward among those that computed ``slopes`` is ``@once_differentiable``.

    PyTorch then hangs a node into the graph that raises; but it stands beside the way to the
    inputs, so ``torch.autograd.grad`` passes it by and finds nothing, which looks like zero. It
    is there only if the cotangent of the slopes requires grad.

    Errors: Lacking.
    """
    if any(node.name() == "torch::autograd::Error" for node in nodes(slopes)):
        raise Lacking(f"a backward here is marked with @once_differentiable ({FIRST_ORDER})")


def leads_to(results: Iterable[Tensor], leaf: Tensor) -> bool:
    """Whether the backward graph of the results ends in ``leaf``, among others."""
    return any(getattr(node, "variable", None) is leaf for node in nodes(results))


def nodes(results: Iterable[Tensor | None]) -> Iterator[Any]:
    """Yield every node of the backward graph of the results, each once."""
    waiting: list[Any] = [result.grad_fn for result in results if result is not None]
    seen: set[Any] = {None}
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            yield node
            waiting.extend(following for following, _ in node.next_functions)


def autocast_claims(results: Iterable[Tensor], kind: str) -> Iterator[bool]:
    """Of each ``autograd.Function`` that says what it does under autocast whether it keeps it on.

    ``torch.amp.custom_fwd`` notes it in the node; with ``cast_inputs`` autocast is off within.
    The claim is about one ``kind`` of device, of which the node holds autocast's dtype alone:
    float16 where it is a GPU, unless the caller has said otherwise, and bfloat16 on the CPU.
    """
    for node in nodes(results):
        claim = getattr(node, "_fwd_used_autocast", None)
        if claim is not None and node._dtype == torch.get_autocast_dtype(kind):
            yield claim
