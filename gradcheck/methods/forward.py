"""Forward mode, by the dual tensors of ``torch.autograd.forward_ad``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    check_output,
    coordinate_count,
    dual_level,
    duals,
    input_leaves,
    input_ports,
    judged_ports,
    output_name,
    output_rows,
    result_of,
    tangent_of,
)
from gradcheck.methods._torch.exceptions import eagerly, guarded_beside_defects, may_be_compiled
from gradcheck.methods._torch.lacks import NO_FORWARD, Lacking
from gradcheck.query import Array, Query

METHOD = Method(
    name="forward",
    order=1,
    share=4,
    share_alone=0.234375,
    subject="the forward mode",
)

LABEL = "torch.autograd.forward_ad"
MOST_COLUMNS = 8
"""Up to so many real coordinates of the inputs a thorough call asks for the whole Jacobian, column
by column."""


def answer(invocation: Invocation) -> Iterator[Said]:
    yield from guarded_beside_defects(LABEL, _columns, invocation)


def _columns(invocation: Invocation) -> Iterator[Said]:
    for tangent in _tangents(invocation):
        yield _column(invocation, tangent)


def _column(invocation: Invocation, tangent: Array) -> Answer:
    ports = judged_ports(invocation)
    with dual_level():
        results, slopes = _pushed(invocation, tangent)
        constant = [k for k, slope in enumerate(slopes) if slope is None]
        if constant and _is_lost_by_compiling(invocation, tangent, constant):
            raise Lacking(f"torch.compile drops the tangent of what it compiles ({NO_FORWARD})")
        found = [
            torch.zeros_like(result) if slope is None else slope
            for result, slope in zip(results, slopes, strict=True)
        ]
        for port, result, slope in zip(ports, results, found, strict=True):
            check_output(f"the tangent of {output_name(port)}", slope, port, invocation,
                         result.device)  # fmt: skip
        label = LABEL + "".join(
            f" ({output_name(ports[k])} has no tangent: zeros)" for k in constant
        )
        return Answer(label, Query(1, None, (tangent,)), output_rows(found, invocation))


def _pushed(
    invocation: Invocation, tangent: Array
) -> tuple[Sequence[Tensor], Sequence[Tensor | None]]:
    """The results and their tangents."""
    inputs = input_leaves(invocation, requires_grad=False)
    results = result_of(invocation, duals(inputs, tangent, invocation))
    return results, [tangent_of(result) for result in results]


def _is_lost_by_compiling(invocation: Invocation, tangent: Array, constant: Sequence[int]) -> bool:
    """Whether one of these outputs has a tangent where the code is run as it was written."""
    if not may_be_compiled():
        return False
    with eagerly():
        slopes = _pushed(invocation, tangent)[1]
        return any(slopes[k] is not None for k in constant)


def _tangents(invocation: Invocation) -> list[Array]:
    """The dense one, and where there are few inputs one for each entry, all scaled at random."""
    ports = input_ports(invocation)
    dense = directions.dense(invocation, ports, directions.FIRST_TANGENT)
    if not (invocation.thorough and 1 < coordinate_count(ports) <= MOST_COLUMNS):
        return [dense]
    return [dense, *directions.units(dense, ports)]
