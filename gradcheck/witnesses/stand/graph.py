"""A look at the backward graph of a result, without running it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor
from torch.autograd.function import BackwardCFunction


def runs_own_function(result: Tensor) -> bool:
    """Whether an ``autograd.Function`` took part in computing ``result``."""
    return any(isinstance(node, BackwardCFunction) for node in _nodes([result]))


def refuses_to_go_on(slopes: Iterable[Tensor | None]) -> bool:
    """Whether a backward among those that computed ``slopes`` is ``@once_differentiable``.

    PyTorch then hangs a node into the graph that raises; but it stands beside the way to the
    inputs, so ``torch.autograd.grad`` passes it by and finds nothing, which looks like zero.
    """
    return any(node.name() == "torch::autograd::Error" for node in _nodes(slopes))


def _nodes(results: Iterable[Tensor | None]) -> Iterator[Any]:
    waiting: list[Any] = [result.grad_fn for result in results if result is not None]
    seen: set[Any] = {None}
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            yield node
            waiting.extend(following for following, _ in node.next_functions)
