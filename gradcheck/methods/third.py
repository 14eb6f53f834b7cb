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
from gradcheck.methods._torch import directions
from gradcheck.methods._torch.calling import (
    cotangent_tensors,
    dual_level,
    duals,
    gradient_rows,
    input_leaves,
    result_of,
    tangent_of,
    tangent_tensors,
)
from gradcheck.methods._torch.compositions import (
    cotangent_of,
    gradients,
    pairs_of_tangents,
    reason_to_distrust,
    reason_to_excuse,
    slopes_of,
    tangents_of,
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
    inputs = input_leaves(invocation, requires_grad=True)
    weights = cotangent_tensors(cotangent_of(invocation), invocation)
    first = slopes_of(result_of(invocation, inputs), inputs, weights)
    others = tangents_of(invocation, directions.SECOND_TANGENT, _MOST_ENTRIES)
    for number, inner in enumerate(
        tangents_of(invocation, directions.FIRST_TANGENT, _MOST_ENTRIES)
    ):
        second = slopes_of(first, inputs, tangent_tensors(inner, invocation))
        for outer in others[number:]:
            rows = gradients(second, inputs, tangent_tensors(outer, invocation))
            yield _answer(
                _REVERSE_REVERSE, invocation, inner, outer, gradient_rows(rows, invocation, inputs)
            )


def _forward_over_reverse(invocation: Invocation) -> Iterator[Answer]:
    """The second derivative by reverse over reverse, and its tangent."""
    for inner, outer in pairs_of_tangents(invocation, _MOST_ENTRIES):
        inputs = input_leaves(invocation, requires_grad=True)
        with dual_level():
            carriers = duals(inputs, outer, invocation)
            weights = cotangent_tensors(cotangent_of(invocation), invocation)
            first = slopes_of(result_of(invocation, carriers), carriers, weights)
            second = gradients(first, carriers, tangent_tensors(inner, invocation))
            rows = [None if slope is None else tangent_of(slope) for slope in second]
        yield _answer(
            _FORWARD_REVERSE, invocation, inner, outer, gradient_rows(rows, invocation, inputs)
        )


def _forward_over_forward(invocation: Invocation) -> Iterator[Said]:
    reason = reason_to_distrust(invocation, third_by_forward)
    if reason is not None:
        yield Abstention(reason, label=_FORWARD_FORWARD, incapable=True)
        return
    for inner, outer in pairs_of_tangents(invocation, _MOST_ENTRIES):
        yield _of_gradient(invocation, inner, outer)


def _of_gradient(invocation: Invocation, inner: Array, outer: Array) -> Said:
    inputs = input_leaves(invocation, requires_grad=False)
    weights = cotangent_tensors(cotangent_of(invocation), invocation)

    def gradient(*tensors: Tensor) -> tuple[Tensor, ...]:
        pull = torch.func.vjp(lambda *xs: result_of(invocation, xs), *tensors)[1]
        found: tuple[Tensor, ...] = pull(weights)
        return found

    rows = twice_forward(gradient, inner, outer, invocation)
    excuse = reason_to_excuse(rows, inputs, third_by_forward) if invocation.own_code else None
    if excuse is not None:
        return Abstention(excuse, label=_FORWARD_FORWARD, incapable=True)
    return _answer(
        _FORWARD_FORWARD, invocation, inner, outer, gradient_rows(rows, invocation, inputs)
    )


def _answer(
    label: str, invocation: Invocation, inner: Array, outer: Array, numbers: Array
) -> Answer:
    return Answer(label, Query(3, cotangent_of(invocation), (inner, outer, None)), numbers)
