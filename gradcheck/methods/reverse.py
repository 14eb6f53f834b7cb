"""Reverse mode, by ``torch.autograd.grad`` and by ``Tensor.backward`` into ``.grad``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gradcheck.answer import (
    Answer,
    Invocation,
    Said,
)
from gradcheck.methods import Method
from gradcheck.methods._torch import directions
from gradcheck.methods._torch.calling import (
    coordinate_count,
    cotangent_tensors,
    gradient_rows,
    input_leaves,
    judged_ports,
    layouts,
    output_name,
    result_of,
)
from gradcheck.methods._torch.exceptions import guarded
from gradcheck.methods._torch.graph import leads_to
from gradcheck.query import Array, Query, flatten, split

METHOD = Method(
    name="reverse",
    order=1,
    share=4,
    share_alone=0.375,
    subject="the backward",
)

GRAD, BACKWARD = "torch.autograd.grad", "Tensor.backward"
MOST_ROWS = 8
"""Up to so many real coordinates of the outputs the whole Jacobian is asked for, row by row."""


def answer(invocation: Invocation) -> Iterator[Said]:
    yield from guarded(GRAD, _by_grad, invocation)
    yield from guarded(BACKWARD, _by_backward, invocation)


def _by_grad(invocation: Invocation) -> Iterator[Said]:
    inputs = input_leaves(invocation, requires_grad=True)
    results = result_of(invocation, inputs)
    for cotangent in _cotangents(invocation):
        asked = _asked(invocation, results, cotangent)
        gradients: tuple[Tensor | None, ...] = (None,) * len(inputs)
        if asked.live:
            gradients = torch.autograd.grad(
                asked.live, inputs, asked.weights, retain_graph=True, allow_unused=True
            )
        yield _answer(GRAD, invocation, inputs, asked, gradients)


def _by_backward(invocation: Invocation) -> Iterator[Said]:
    inputs = input_leaves(invocation, requires_grad=True)
    results = result_of(invocation, inputs)
    asked = _asked(invocation, results, _dense(invocation))
    if asked.live:  # what Tensor.backward does, for several outputs too
        torch.autograd.backward(asked.live, asked.weights)
    yield _answer(BACKWARD, invocation, inputs, asked, [leaf.grad for leaf in inputs])


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """Which outputs are differentiated, with their cotangents; ``detached`` those that cannot be.

    An output whose cotangent is 0 is left out, as it is where a user takes only another.
    """

    cotangent: Array
    live: list[Tensor]
    weights: list[Tensor]
    detached: list[str]


def _asked(invocation: Invocation, results: Sequence[Tensor], cotangent: Array) -> _Asked:
    ports = judged_ports(invocation)
    parts = split(cotangent, [port.shape for port in ports])
    weights = cotangent_tensors(cotangent, invocation)
    asked = [k for k, part in enumerate(parts) if part.any() or len(ports) == 1]
    live = [k for k in asked if results[k].requires_grad]
    detached = [output_name(ports[k]) for k in asked if k not in live]
    return _Asked(cotangent, [results[k] for k in live], [weights[k] for k in live], detached)


def _answer(
    call: str,
    invocation: Invocation,
    inputs: Sequence[Tensor],
    asked: _Asked,
    gradients: Sequence[Tensor | None],
) -> Answer:
    detached = "".join(f" ({each} does not require grad: zeros)" for each in asked.detached)
    numbers = gradient_rows(gradients, invocation, inputs)
    absent = _absent(asked.live, gradients, inputs)
    label = call + detached + layouts(gradients)
    return Answer(label, Query(1, asked.cotangent, (None,)), numbers, absent)


def _absent(
    results: Sequence[Tensor], gradients: Sequence[Tensor | None], inputs: Sequence[Tensor]
) -> dict[int, str]:
    """For each input without a gradient the reason, before its name."""
    none, lost = "backward returned None for", "nothing in the backward graph leads to"
    return {
        number: none if leads_to(results, leaf) else lost
        for number, (gradient, leaf) in enumerate(zip(gradients, inputs, strict=True))
        if gradient is None
    }


def _dense(invocation: Invocation) -> Array:
    return directions.dense(invocation, judged_ports(invocation), directions.COTANGENT)


def _cotangents(invocation: Invocation) -> list[Array]:
    """The dense one; where there are few output entries one for each, else one for each output."""
    ports = judged_ports(invocation)
    dense = _dense(invocation)
    if 1 < coordinate_count(ports) <= MOST_ROWS:
        return [dense, *directions.units(dense, ports)]
    if len(ports) == 1:
        return [dense]
    parts = split(dense, [port.shape for port in ports])
    alone = [flatten([part * (k == j) for j, part in enumerate(parts)]) for k in range(len(parts))]
    return [dense, *alone]
