"""Third derivatives, by three compositions of reverse and forward mode."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from gradcheck.answer import (
    Abstention,
    Answer,
    Invocation,
    Said,
)
from gradcheck.methods import Method
from gradcheck.methods._torch.calling import (
    cotangent_tensors,
    gradient_rows,
    input_leaves,
    result_of,
)
from gradcheck.methods._torch.compositions import (
    cotangent_of,
    forward_over_forward,
    forward_over_reverse,
    reason_to_excuse,
    reverse_throughout,
    third_by_forward,
    twice_forward,
)
from gradcheck.methods._torch.exceptions import guarded_beside_defects
from gradcheck.query import Array, Query

METHOD = Method(
    name="third",
    order=3,
    share=0.375,
    share_alone=0.375,
    subject="the third derivative",
)

_REVERSE_REVERSE = "reverse over reverse over reverse"
_FORWARD_REVERSE = "forward over reverse over reverse"
_FORWARD_FORWARD = "forward over forward over reverse"
_MOST_ENTRIES = 3
"""Up to so many real coordinates of the inputs a thorough call asks for every entry of the third
derivative."""


def answer(invocation: Invocation) -> Iterator[Said]:
    yield from guarded_beside_defects(_REVERSE_REVERSE, _reverse_over_reverse, invocation)
    yield from guarded_beside_defects(_FORWARD_REVERSE, _forward_over_reverse, invocation)
    yield from guarded_beside_defects(_FORWARD_FORWARD, _forward_over_forward, invocation)


def _reverse_over_reverse(invocation: Invocation) -> Iterator[Answer]:
    return reverse_throughout(invocation, _REVERSE_REVERSE, 3, _MOST_ENTRIES)


def _forward_over_reverse(invocation: Invocation) -> Iterator[Answer]:
    return forward_over_reverse(invocation, _FORWARD_REVERSE, 3, _MOST_ENTRIES)


def _forward_over_forward(invocation: Invocation) -> Iterator[Said]:
    return forward_over_forward(
        invocation, _FORWARD_FORWARD, _MOST_ENTRIES, third_by_forward, _of_gradient
    )


def _of_gradient(invocation: Invocation, inner: Array, outer: Array) -> Said:
    inputs = input_leaves(invocation, requires_grad=False)
    cotangent = cotangent_of(invocation)
    weights = cotangent_tensors(cotangent, invocation)

    def gradient(*tensors: Tensor) -> tuple[Tensor, ...]:
        pull = torch.func.vjp(lambda *xs: result_of(invocation, xs), *tensors)[1]
        found: tuple[Tensor, ...] = pull(weights)
        return found

    rows = twice_forward(gradient, inner, outer, invocation)
    excuse = reason_to_excuse(rows, inputs, third_by_forward) if invocation.seeks_defects else None
    if excuse is not None:
        return Abstention(excuse, label=_FORWARD_FORWARD, incapable=True)
    query = Query(3, cotangent, (inner, outer, None))
    return Answer(_FORWARD_FORWARD, query, gradient_rows(rows, invocation, inputs))
