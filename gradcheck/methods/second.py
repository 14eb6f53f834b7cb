"""Second derivatives, by all four compositions of reverse and forward mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gradcheck.answer import (
    Abstention,
    Answer,
    Floats,
    Invocation,
    Said,
)
from gradcheck.methods import Method
from gradcheck.methods._torch import directions
from gradcheck.methods._torch.calling import (
    check,
    densified,
    entries,
    input_size,
    joined,
    leaves,
    output_direction,
    output_shape,
    output_size,
    result_of,
    split,
)
from gradcheck.methods._torch.dual import (
    dual_level,
    duals,
    reason_to_distrust,
    reason_to_excuse,
    tangent_of,
    warm_up,
)
from gradcheck.methods._torch.exceptions import guarded_beside_defects
from gradcheck.methods._torch.graph import refuse_to_go_on
from gradcheck.query import Query

METHOD = Method(
    name="second",
    order=2,
    share=0.5,
    share_alone=0.0625,
    subject="the second derivative",
)

REVERSE_REVERSE = "reverse over reverse"
FORWARD_REVERSE = "forward over reverse"
REVERSE_FORWARD = "reverse over forward"
FORWARD_FORWARD = "forward over forward"
MOST_ENTRIES = 6
"""Up to so many input entries a thorough call asks for every entry of the Hessian."""

Tangents = Sequence[Tensor | None]


def answer(invocation: Invocation) -> Iterator[Said]:
    yield from guarded_beside_defects(REVERSE_REVERSE, _reverse_over_reverse, invocation)
    yield from guarded_beside_defects(FORWARD_REVERSE, _forward_over_reverse, invocation)
    yield from guarded_beside_defects(REVERSE_FORWARD, _reverse_over_forward, invocation)
    yield from guarded_beside_defects(FORWARD_FORWARD, _forward_over_forward, invocation)


def _reverse_over_reverse(invocation: Invocation) -> Iterator[Answer]:
    inputs = leaves(invocation, requires_grad=True)
    cotangent = _cotangent(invocation)
    # A cotangent that requires grad keeps the graph whole where a backward refuses to be
    # differentiated, so that PyTorch says so.
    weights = output_direction(cotangent, invocation).requires_grad_()
    slopes = _gradients([result_of(invocation, inputs)], inputs, [weights], create_graph=True)
    refuse_to_go_on(slopes)
    for tangent in _tangents(invocation, directions.FIRST_TANGENT):
        rows = _gradients(slopes, inputs, split(tangent, invocation))
        yield Answer(
            REVERSE_REVERSE, Query(2, cotangent, (tangent, None)), joined(rows, invocation, inputs)
        )


def _forward_over_reverse(invocation: Invocation) -> Iterator[Answer]:
    cotangent = _cotangent(invocation)
    for tangent in _tangents(invocation, directions.FIRST_TANGENT):
        inputs = leaves(invocation, requires_grad=True)
        with dual_level():
            carriers = duals(inputs, tangent, invocation)
            weights = output_direction(cotangent, invocation)
            slopes = _gradients([result_of(invocation, carriers)], carriers, [weights])
            rows = [None if slope is None else tangent_of(slope) for slope in slopes]
        yield Answer(
            FORWARD_REVERSE, Query(2, cotangent, (tangent, None)), joined(rows, invocation, inputs)
        )


def _reverse_over_forward(invocation: Invocation) -> Iterator[Answer]:
    cotangent = _cotangent(invocation)
    for tangent in _tangents(invocation, directions.FIRST_TANGENT):
        inputs = leaves(invocation, requires_grad=True)
        with dual_level():
            slope = tangent_of(result_of(invocation, duals(inputs, tangent, invocation)))
        # Outside the dual level: the derivative of a backward formula is not asked for here.
        rows = _gradients([slope], inputs, [output_direction(cotangent, invocation)])
        yield Answer(
            REVERSE_FORWARD, Query(2, cotangent, (tangent, None)), joined(rows, invocation, inputs)
        )


def _forward_over_forward(invocation: Invocation) -> Iterator[Said]:
    reason = reason_to_distrust(result_of(invocation, leaves(invocation, requires_grad=True)))
    if reason is not None:
        yield Abstention(reason, label=FORWARD_FORWARD, incapable=True)
        return
    first = _tangents(invocation, directions.FIRST_TANGENT)
    second = _tangents(invocation, directions.SECOND_TANGENT)
    for number, inner in enumerate(first):
        for outer in second[number:]:  # the Hessian is symmetric: each pair once
            yield _mixed(invocation, inner, outer)


def _mixed(invocation: Invocation, inner: Floats, outer: Floats) -> Said:
    warm_up()
    inputs = leaves(invocation, requires_grad=False)
    parts = split(inner, invocation)

    def slope(*tensors: Tensor) -> Tensor:
        found: Tensor = torch.func.jvp(lambda *xs: result_of(invocation, xs), tensors, parts)[1]
        return found

    found = torch.func.jvp(slope, inputs, split(outer, invocation))[1]
    excuse = reason_to_excuse(found, inputs[0].dtype) if invocation.own_code else None
    if excuse is not None:
        return Abstention(excuse, label=FORWARD_FORWARD, incapable=True)
    shape = (invocation.count,) if invocation.batched else output_shape(invocation)
    check("the second tangent of the result", found, like=(shape, inputs))
    return Answer(FORWARD_FORWARD, Query(2, None, (inner, outer)), entries(found, invocation))


def _gradients(
    results: Tangents,
    inputs: Sequence[Tensor],
    weights: Sequence[Tensor],
    *,
    create_graph: bool = False,
) -> Tangents:
    """``torch.autograd.grad``; None for what nothing depends on."""
    live = [
        (result, weight)
        for result, weight in zip(results, weights, strict=True)
        if result is not None and result.requires_grad
    ]
    if not live:
        return [None] * len(inputs)
    gradients = torch.autograd.grad(
        [result for result, _ in live],
        inputs,
        [weight for _, weight in live],
        retain_graph=True,
        create_graph=create_graph,
        allow_unused=True,
    )
    return [densified(gradient) for gradient in gradients]


def _cotangent(invocation: Invocation) -> Floats:
    shape = (invocation.count, output_size(invocation))
    return directions.dense(invocation.seed, directions.COTANGENT, shape)


def _tangents(invocation: Invocation, stream: int) -> list[Floats]:
    shape = (invocation.count, input_size(invocation))
    if invocation.thorough and shape[1] <= MOST_ENTRIES:
        return directions.units(invocation.seed, stream, shape)
    return [directions.dense(invocation.seed, stream, shape)]
