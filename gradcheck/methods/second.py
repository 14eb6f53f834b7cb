"""Second derivatives, by all four compositions of reverse and forward mode."""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.answer import (
    Abstention,
    Answer,
    Invocation,
    Said,
)
from gradcheck.methods import Method
from gradcheck.methods._torch import directions
from gradcheck.methods._torch.calling import (
    check_output,
    cotangent_tensors,
    dual_level,
    duals,
    gradient_rows,
    input_leaves,
    judged_ports,
    output_name,
    output_rows,
    result_of,
    tangent_of,
)
from gradcheck.methods._torch.compositions import (
    cotangent_of,
    forward_over_forward,
    forward_over_reverse,
    gradients,
    reason_to_excuse,
    reverse_throughout,
    second_by_forward,
    tangents_of,
    twice_forward,
)
from gradcheck.methods._torch.exceptions import guarded_beside_defects
from gradcheck.query import Array, Query

METHOD = Method(
    name="second",
    order=2,
    share=2,
    share_alone=0.375,
    subject="the second derivative",
)

REVERSE_REVERSE = "reverse over reverse"
FORWARD_REVERSE = "forward over reverse"
REVERSE_FORWARD = "reverse over forward"
FORWARD_FORWARD = "forward over forward"
_MOST_ENTRIES = 6
"""Up to so many real coordinates of the inputs a thorough call asks for every entry of the
Hessian."""


def answer(invocation: Invocation) -> Iterator[Said]:
    yield from guarded_beside_defects(REVERSE_REVERSE, _reverse_over_reverse, invocation)
    yield from guarded_beside_defects(FORWARD_REVERSE, _forward_over_reverse, invocation)
    yield from guarded_beside_defects(REVERSE_FORWARD, _reverse_over_forward, invocation)
    yield from guarded_beside_defects(FORWARD_FORWARD, _forward_over_forward, invocation)


def _reverse_over_reverse(invocation: Invocation) -> Iterator[Answer]:
    return reverse_throughout(invocation, REVERSE_REVERSE, 2, _MOST_ENTRIES)


def _forward_over_reverse(invocation: Invocation) -> Iterator[Answer]:
    return forward_over_reverse(invocation, FORWARD_REVERSE, 2, _MOST_ENTRIES)


def _reverse_over_forward(invocation: Invocation) -> Iterator[Answer]:
    cotangent = cotangent_of(invocation)
    for tangent in tangents_of(invocation, directions.FIRST_TANGENT, _MOST_ENTRIES):
        inputs = input_leaves(invocation, requires_grad=True)
        with dual_level():
            results = result_of(invocation, duals(inputs, tangent, invocation))
            slopes = [tangent_of(result) for result in results]
        # Outside the dual level: the derivative of a backward formula is not asked for here.
        weights = cotangent_tensors(cotangent, invocation)
        rows = gradients(slopes, inputs, weights)
        yield Answer(
            REVERSE_FORWARD,
            Query(2, cotangent, (tangent, None)),
            gradient_rows(rows, invocation, inputs),
        )


def _forward_over_forward(invocation: Invocation) -> Iterator[Said]:
    return forward_over_forward(
        invocation, FORWARD_FORWARD, _MOST_ENTRIES, second_by_forward, _mixed
    )


def _mixed(invocation: Invocation, inner: Array, outer: Array) -> Said:
    found = twice_forward(lambda *tensors: result_of(invocation, tensors), inner, outer, invocation)
    expected = cotangent_tensors(cotangent_of(invocation), invocation)
    excuse = (
        reason_to_excuse(found, expected, second_by_forward) if invocation.seeks_defects else None
    )
    if excuse is not None:
        return Abstention(excuse, label=FORWARD_FORWARD, incapable=True)
    for port, tangent, like in zip(judged_ports(invocation), found, expected, strict=True):
        check_output(f"the second tangent of {output_name(port)}", tangent, port, invocation,
                     like.device)  # fmt: skip
    return Answer(FORWARD_FORWARD, Query(2, None, (inner, outer)), output_rows(found, invocation))
