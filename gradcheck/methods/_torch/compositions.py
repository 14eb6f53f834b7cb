"""Reverse and forward mode composed: what the witnesses of higher orders share.

Also whether duals within duals (nested forward mode) can be believed of a user's own code. In
PyTorch 2.13 the second derivative through any ``autograd.Function`` is silently zero there, be its
``jvp`` ever so right (https://github.com/pytorch/pytorch/issues/197867), and a 0-dimensional tensor
times a Python float has a float64 tangent (https://github.com/pytorch/pytorch/issues/90065), which
what is stacked of such tensors takes over. The defects are not the user's, so the witness abstains
until PyTorch gets the probes right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from gradcheck.answer import Abstention, Answer, Invocation, Said
from gradcheck.methods._torch import directions
from gradcheck.methods._torch.calling import (
    coordinate_count,
    cotangent_tensors,
    densified,
    dual_level,
    duals,
    gradient_rows,
    input_leaves,
    input_ports,
    judged_ports,
    result_of,
    tangent_of,
    tangent_tensors,
    warm_up,
    without_autocast,
)
from gradcheck.methods._torch.graph import refuse_to_go_on, runs_own_function
from gradcheck.query import Array, Query

Tangents = Sequence[Tensor | None]
_Function = Callable[..., tuple[Tensor, ...]]
_Composition = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]
"""A derivative of a function of one number in direction 1, as a composition takes it."""


def cotangent_of(invocation: Invocation) -> Array:
    """The dense cotangent."""
    return directions.dense(invocation, judged_ports(invocation), directions.COTANGENT)


def tangents_of(invocation: Invocation, stream: int, most: int) -> list[Array]:
    """One for each real coordinate of the inputs, of at most so many; else the dense one.

    Those for a user's code have all bits, so that a derivative that went through fewer shows.
    """
    ports = input_ports(invocation)
    is_full = invocation.own_code and invocation.seed != directions.PLAIN
    direction = partial(directions.full, 0) if is_full else directions.dense
    numbers = direction(invocation, ports, stream)
    if invocation.thorough and coordinate_count(ports) <= most:
        return directions.units(numbers, ports)
    return [numbers]


def _pairs_of_tangents(invocation: Invocation, most: int) -> Iterator[tuple[Array, Array]]:
    """Yield two tangents at a time; a higher derivative is symmetric, so each pair comes once."""
    first = tangents_of(invocation, directions.FIRST_TANGENT, most)
    second = tangents_of(invocation, directions.SECOND_TANGENT, most)
    for number, inner in enumerate(first):
        for outer in second[number:]:
            yield inner, outer


def gradients(
    results: Tangents,
    inputs: Sequence[Tensor],
    weights: Sequence[Tensor],
    *,
    create_graph: bool = False,
) -> Tangents:
    """``torch.autograd.grad``; None for what nothing depends on.

    Outside of autocast, as PyTorch advises: what a backward does where the code switched it off
    would else be differentiated in the shorter dtype.
    """
    live = [
        (result, weight)
        for result, weight in zip(results, weights, strict=True)
        if result is not None and result.requires_grad
    ]
    if not live:
        return [None] * len(inputs)
    with without_autocast(live[0][0].device.type):
        found = torch.autograd.grad(
            [result for result, _ in live],
            inputs,
            [weight for _, weight in live],
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
        )
    return [densified(gradient) for gradient in found]


def slopes_of(results: Tangents, inputs: Sequence[Tensor], weights: Sequence[Tensor]) -> Tangents:
    """Gradients that can be differentiated again.

    Errors: Lacking where a backward on the way refuses that.
    """
    # A cotangent that requires grad keeps the graph whole where a backward refuses to be
    # differentiated, so that PyTorch says so.
    weights = [weight.requires_grad_() for weight in weights]
    found = gradients(results, inputs, weights, create_graph=True)
    refuse_to_go_on(found)
    return found


def _reverse(
    results: Tangents, inputs: Sequence[Tensor], sides: Sequence[Sequence[Tensor]]
) -> Tangents:
    """Gradients of gradients: once for each of the sides, the cotangent and then tangents."""
    for side in sides[:-1]:
        results = slopes_of(results, inputs, side)
    return gradients(results, inputs, sides[-1])


def reverse_throughout(
    invocation: Invocation, label: str, order: int, most: int
) -> Iterator[Answer]:
    """A derivative of an order by reverse mode alone."""
    inputs = input_leaves(invocation, requires_grad=True)
    cotangent = cotangent_of(invocation)
    results = slopes_of(
        result_of(invocation, inputs), inputs, cotangent_tensors(cotangent, invocation)
    )
    for tangents in _chosen_tangents(invocation, order - 1, most):
        sides = [tangent_tensors(tangent, invocation) for tangent in tangents]
        rows = gradient_rows(_reverse(results, inputs, sides), invocation, inputs)
        yield Answer(label, Query(order, cotangent, (*tangents, None)), rows)


def forward_over_reverse(
    invocation: Invocation, label: str, order: int, most: int
) -> Iterator[Answer]:
    """The tangent of a derivative by reverse mode."""
    cotangent = cotangent_of(invocation)
    for *inner, outer in _chosen_tangents(invocation, order - 1, most):
        inputs = input_leaves(invocation, requires_grad=True)
        with dual_level():
            carriers = duals(inputs, outer, invocation)
            sides = [cotangent_tensors(cotangent, invocation)]
            sides += [tangent_tensors(tangent, invocation) for tangent in inner]
            slopes = _reverse(result_of(invocation, carriers), carriers, sides)
            rows = [None if slope is None else tangent_of(slope) for slope in slopes]
        yield Answer(
            label,
            Query(order, cotangent, (*inner, outer, None)),
            gradient_rows(rows, invocation, inputs),
        )


def _chosen_tangents(invocation: Invocation, count: int, most: int) -> Iterator[tuple[Array, ...]]:
    """One or two tangents at a time."""
    if count == 1:
        return ((each,) for each in tangents_of(invocation, directions.FIRST_TANGENT, most))
    return _pairs_of_tangents(invocation, most)


def forward_over_forward(
    invocation: Invocation,
    label: str,
    most: int,
    composition: _Composition,
    ask: Callable[[Invocation, Array, Array], Said],
) -> Iterator[Said]:
    """What ``ask`` says of each two tangents, unless PyTorch is wrong of the code under test."""
    reason = reason_to_distrust(invocation, composition)
    if reason is not None:
        yield Abstention(reason, label=label, incapable=True)
        return
    for inner, outer in _pairs_of_tangents(invocation, most):
        yield ask(invocation, inner, outer)


def twice_forward(
    function: _Function, inner: Array, outer: Array, invocation: Invocation
) -> tuple[Tensor, ...]:
    """The second tangents of a function of the inputs, by ``torch.func.jvp`` of itself."""
    parts, others = tangent_tensors(inner, invocation), tangent_tensors(outer, invocation)
    return _twice_forward(function, input_leaves(invocation, requires_grad=False), parts, others)


def _twice_forward(
    function: _Function,
    inputs: tuple[Tensor, ...],
    inner: tuple[Tensor, ...],
    outer: tuple[Tensor, ...],
) -> tuple[Tensor, ...]:
    warm_up()

    def slope(*tensors: Tensor) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = torch.func.jvp(function, tensors, inner)[1]
        return found

    found: tuple[Tensor, ...] = torch.func.jvp(slope, inputs, outer)[1]
    return found


def second_by_forward(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """By forward over forward."""
    ones = (torch.ones_like(x),)
    return _twice_forward(lambda t: (function(t),), (x,), ones, ones)[0]


def third_by_forward(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """By forward over forward over reverse."""
    ones = (torch.ones_like(x),)

    def gradient(t: Tensor) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = torch.func.vjp(function, t)[1](ones[0])
        return found

    return _twice_forward(gradient, (x,), ones, ones)[0]


_ISSUE = "https://github.com/pytorch/pytorch/issues/197867"
_PROMOTION = "https://github.com/pytorch/pytorch/issues/90065"


def reason_to_distrust(invocation: Invocation, composition: _Composition) -> str | None:
    """Why nested forward mode says nothing about the implementation, or None."""
    if not invocation.seeks_defects:
        return None
    results = result_of(invocation, input_leaves(invocation, requires_grad=True))
    if not runs_own_function(results) or _is_sound(composition):
        return None
    return f"PyTorch's nested forward mode is wrong for every autograd.Function: {_ISSUE}"


@cache
def _is_sound(composition: _Composition) -> bool:
    """Whether PyTorch finds the same of x³ where an ``autograd.Function`` takes part."""
    one = torch.ones((), dtype=torch.float64)
    found = composition(lambda x: _Square.apply(x) * x, one)  # type: ignore[no-untyped-call]
    return bool(found == composition(lambda x: x * x * x, one))


class _Square(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x * x

    @staticmethod
    def setup_context(context: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        context.save_for_forward(*inputs)
        context.save_for_backward(*inputs)

    @staticmethod
    def jvp(context: Any, tangent: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        product: Tensor = 2 * x * tangent
        return product

    @staticmethod
    def backward(context: Any, cotangent: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        product: Tensor = 2 * x * cotangent
        return product


def reason_to_excuse(
    found: Sequence[Tensor], expected: Sequence[Tensor], composition: _Composition
) -> str | None:
    """Why second tangents of other dtypes than expected are PyTorch's doing, or None."""
    for tangent, like in zip(found, expected, strict=True):
        if tangent.dtype != like.dtype and promotes(composition, like.dtype):
            return f"PyTorch's nested forward mode {PROMOTION}"
    return None


PROMOTION = f"promotes where a Python float takes part: {_PROMOTION}"


@cache
def promotes(composition: _Composition, dtype: torch.dtype) -> bool:
    """Return whether a derivative of x³ / 2 leaves the dtype."""
    one = torch.ones((), dtype=dtype)
    return composition(lambda x: x * x * x * 0.5, one).dtype != dtype
