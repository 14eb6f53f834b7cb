"""Reverse mode, by ``torch.autograd.grad`` and by ``Tensor.backward`` into ``.grad``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gradcheck.answer import (
    Answer,
    Floats,
    Invocation,
    Said,
)
from gradcheck.methods import Method
from gradcheck.methods._torch import directions
from gradcheck.methods._torch.calling import (
    joined,
    layouts,
    leaves,
    output_direction,
    output_size,
    result_of,
)
from gradcheck.methods._torch.exceptions import guarded
from gradcheck.methods._torch.graph import leads_to
from gradcheck.query import Query

METHOD = Method(
    name="reverse",
    order=1,
    share=1,
    share_alone=0.375,
    subject="the backward",
)

GRAD, BACKWARD = "torch.autograd.grad", "Tensor.backward"
DETACHED = " (the result does not require grad: zeros)"
MOST_ROWS = 8
"""Up to so many outputs the whole Jacobian is asked for, row by row."""


def answer(invocation: Invocation) -> Iterator[Said]:
    yield from guarded(GRAD, _by_grad, invocation)
    yield from guarded(BACKWARD, _by_backward, invocation)


def _by_grad(invocation: Invocation) -> Iterator[Said]:
    inputs = leaves(invocation, requires_grad=True)
    result = result_of(invocation, inputs)
    label = GRAD if result.requires_grad else GRAD + DETACHED
    for cotangent in _cotangents(invocation):
        gradients: tuple[Tensor | None, ...] = (None,) * len(inputs)
        if result.requires_grad:
            gradients = torch.autograd.grad(
                result,
                inputs,
                output_direction(cotangent, invocation),
                retain_graph=True,
                allow_unused=True,
            )
        numbers = joined(gradients, invocation, inputs)
        absent = _absent(result, gradients, inputs)
        yield Answer(label + layouts(gradients), Query(1, cotangent, (None,)), numbers, absent)


def _by_backward(invocation: Invocation) -> Iterator[Said]:
    inputs = leaves(invocation, requires_grad=True)
    result = result_of(invocation, inputs)
    label = BACKWARD if result.requires_grad else BACKWARD + DETACHED
    cotangent = _dense(invocation)
    if result.requires_grad:
        result.backward(output_direction(cotangent, invocation))  # type: ignore[no-untyped-call]
    gradients = [leaf.grad for leaf in inputs]
    numbers = joined(gradients, invocation, inputs)
    absent = _absent(result, gradients, inputs)
    yield Answer(label + layouts(gradients), Query(1, cotangent, (None,)), numbers, absent)


def _absent(
    result: Tensor, gradients: Sequence[Tensor | None], inputs: Sequence[Tensor]
) -> dict[int, str]:
    """For each input without a gradient the reason, before its name."""
    none, lost = "backward returned None for", "nothing in the backward graph leads to"
    return {
        number: none if leads_to(result, leaf) else lost
        for number, (gradient, leaf) in enumerate(zip(gradients, inputs, strict=True))
        if gradient is None
    }


def _dense(invocation: Invocation) -> Floats:
    shape = (invocation.count, output_size(invocation))
    return directions.dense(invocation.seed, directions.COTANGENT, shape)


def _cotangents(invocation: Invocation) -> list[Floats]:
    """The dense one, and where there are few outputs one for each, all scaled at random."""
    rows = output_size(invocation)
    if not 1 < rows <= MOST_ROWS:
        return [_dense(invocation)]
    shape = (invocation.count, rows)
    return [_dense(invocation), *directions.units(invocation.seed, directions.COTANGENT, shape)]
