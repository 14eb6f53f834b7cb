"""Forward mode, by the dual tensors of ``torch.autograd.forward_ad``."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from gradcheck.answer import (
    Answer,
    Floats,
    Invocation,
    Said,
)
from gradcheck.methods import Method
from gradcheck.methods._torch import directions
from gradcheck.methods._torch.calling import check, entries, input_size, leaves, result_of
from gradcheck.methods._torch.dual import dual_level, duals, tangent_of
from gradcheck.methods._torch.exceptions import guarded_beside_defects
from gradcheck.methods._torch.lacks import NO_FORWARD, Lacking
from gradcheck.methods._torch.operators import eagerly, may_be_compiled
from gradcheck.query import Query

METHOD = Method(
    name="forward",
    order=1,
    share=1,
    share_alone=0.1875,
    subject="the forward mode",
)

LABEL = "torch.autograd.forward_ad"
CONSTANT = " (the result has no tangent: zeros)"
MOST_COLUMNS = 8
"""Up to so many input entries a thorough call asks for the whole Jacobian, column by column."""


def answer(invocation: Invocation) -> Iterator[Said]:
    yield from guarded_beside_defects(LABEL, _columns, invocation)


def _columns(invocation: Invocation) -> Iterator[Said]:
    for tangent in _tangents(invocation):
        yield _column(invocation, tangent)


def _column(invocation: Invocation, tangent: Floats) -> Answer:
    inputs = leaves(invocation, requires_grad=False)
    with dual_level():
        result = result_of(invocation, duals(inputs, tangent, invocation))
        slope = tangent_of(result)
        if slope is None and _is_lost_by_compiling(invocation, tangent):
            raise Lacking(f"torch.compile drops the tangent of what it compiles ({NO_FORWARD})")
        label = LABEL if slope is not None else LABEL + CONSTANT
        found = torch.zeros_like(result) if slope is None else slope
        check("the tangent of the result", found, like=(result.shape, inputs))
        return Answer(label, Query(1, None, (tangent,)), entries(found, invocation))


def _is_lost_by_compiling(invocation: Invocation, tangent: Floats) -> bool:
    """Whether the code has a tangent where it is run as it was written."""
    if not may_be_compiled():
        return False
    with eagerly():
        result = result_of(
            invocation, duals(leaves(invocation, requires_grad=False), tangent, invocation)
        )
        return tangent_of(result) is not None


def _tangents(invocation: Invocation) -> list[Floats]:
    """The dense one, and where there are few inputs one for each entry, all scaled at random."""
    shape = (invocation.count, input_size(invocation))
    dense = directions.dense(invocation.seed, directions.FIRST_TANGENT, shape)
    if not (invocation.thorough and 1 < shape[1] <= MOST_COLUMNS):
        return [dense]
    return [dense, *directions.units(invocation.seed, directions.FIRST_TANGENT, shape)]
