"""Forward mode, by the dual tensors of ``torch.autograd.forward_ad``."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from gradcheck.answer import Claim, Finding, Floats, Trial
from gradcheck.methods._torch import directions
from gradcheck.methods._torch.call import check, entries, input_size, leaves, result_of
from gradcheck.methods._torch.dual import dual_level, duals, tangent_of
from gradcheck.methods._torch.exceptions import hear_beside_defects
from gradcheck.methods._torch.lacks import NO_FORWARD, Lacking
from gradcheck.methods._torch.operators import eagerly, may_be_compiled

LABEL = "torch.autograd.forward_ad"
CONSTANT = " (the result has no tangent: zeros)"
MOST_COLUMNS = 8
"""Up to so many input entries a thorough trial asks for the whole Jacobian, column by column."""


def testify(trial: Trial) -> Iterator[Claim | Finding]:
    yield from hear_beside_defects(LABEL, _columns, trial)


def _columns(trial: Trial) -> Iterator[Claim | Finding]:
    for tangent in _tangents(trial):
        yield _column(trial, tangent)


def _column(trial: Trial, tangent: Floats) -> Claim:
    inputs = leaves(trial, requires_grad=False)
    with dual_level():
        result = result_of(trial, duals(inputs, tangent, trial))
        slope = tangent_of(result)
        if slope is None and _is_lost_by_compiling(trial, tangent):
            raise Lacking(f"torch.compile drops the tangent of what it compiles ({NO_FORWARD})")
        label = LABEL if slope is not None else LABEL + CONSTANT
        found = torch.zeros_like(result) if slope is None else slope
        check("the tangent of the result", found, like=(result.shape, inputs))
        return Claim(label, 1, entries(found, trial), tangents=(tangent,))


def _is_lost_by_compiling(trial: Trial, tangent: Floats) -> bool:
    """Whether the code has a tangent where it is run as it was written."""
    if not may_be_compiled():
        return False
    with eagerly():
        result = result_of(trial, duals(leaves(trial, requires_grad=False), tangent, trial))
        return tangent_of(result) is not None


def _tangents(trial: Trial) -> list[Floats]:
    """The dense one, and where there are few inputs one for each entry, all scaled at random."""
    shape = (trial.count, input_size(trial))
    dense = directions.dense(trial.seed, directions.FIRST_TANGENT, shape)
    if not (trial.thorough and 1 < shape[1] <= MOST_COLUMNS):
        return [dense]
    return [dense, *directions.units(trial.seed, directions.FIRST_TANGENT, shape)]
