"""A checker that has never failed proves nothing: here every witness is shown every culprit."""

import itertools

import pytest
import torch
from culprits import (
    FAULTS,
    PLANE,
    VECTOR,
    WITNESSES,
    culprit,
    planted_check,
)

from gradcheck.answer import Ruling, RunOptions
from gradcheck.dtypes import DEFAULT_DTYPES
from gradcheck.run.ruling import rule

TOO_FINE = "finer than a difference of second derivatives can be"
ONE_AND_THE_SAME = "the same numbers in float32"
ROUNDING = "at most 17 ulps of float32: inside 16 u S, or in the grey zone up to 64 u S"

UNSEEN = {
    ("value", "float64", "ignores the direction"): "a value has no direction",
    ("value", "float32", "ignores the direction"): "a value has no direction",
    ("gradgradcheck", "float64", "factor 1 + 1e-6"): TOO_FINE,
    ("gradgradcheck", "float64", "factor 1 + 1e-9"): TOO_FINE,
    ("gradgradcheck", "float64", "computed in float32"): TOO_FINE,
    ("gradgradcheck", "float32", "factor 1.01"): TOO_FINE,
    **{(row, "float32", "factor 1 + 1e-6"): ROUNDING for row in WITNESSES if row != "second"},
    **{(row, "float32", "factor 1 + 1e-9"): ONE_AND_THE_SAME for row in WITNESSES},
    **{(row, "float32", "computed in float32"): ONE_AND_THE_SAME for row in WITNESSES},
}
"""What a witness does not see, and why: by row, dtype and fault."""

NAMES = {fault.name: fault for fault in FAULTS}
MATRIX = list(itertools.product(WITNESSES, DEFAULT_DTYPES, NAMES))
CONVICTED = [cell for cell in MATRIX if cell not in UNSEEN]
CERTIFIED = ("value", "reverse", "forward", "second")


@pytest.mark.parametrize(("row", "dtype", "fault"), CONVICTED)
def test_a_culprit_is_convicted(row, dtype, fault):
    outcome = rule(planted_check(NAMES[fault], row, dtype), RunOptions())
    assert outcome.verdict is Ruling.DISAGREE
    assert outcome.failures


@pytest.mark.parametrize(("row", "dtype", "fault"), UNSEEN)
def test_what_a_witness_cannot_see_it_does_not_pretend_to(row, dtype, fault):
    """A fault that is seen after all must leave the table: this fails then."""
    outcome = rule(planted_check(NAMES[fault], row, dtype), RunOptions())
    assert outcome.verdict in (Ruling.AGREE, Ruling.INACCURATE)


@pytest.mark.parametrize("points", [64, 256])
@pytest.mark.parametrize("base", [PLANE, VECTOR], ids=["plane", "vector"])
@pytest.mark.parametrize("dtype", DEFAULT_DTYPES)
@pytest.mark.parametrize("row", WITNESSES)
def test_the_correct_twin_is_acquitted(row, dtype, base, points):
    (fault, *_) = (fault for fault in FAULTS if fault.base is base)
    outcome = rule(planted_check(fault, row, dtype, twin=True), RunOptions(points=points))
    assert (outcome.verdict, outcome.reason) == (Ruling.AGREE, "")
    assert outcome.entries > 0


def test_the_table_covers_the_matrix():
    assert set(UNSEEN) < set(MATRIX)
    assert len(CONVICTED) == 145


def test_in_double_precision_the_certified_witnesses_see_every_fault_in_a_derivative():
    missed = {(row, fault) for row, dtype, fault in UNSEEN if dtype == "float64"}
    assert {cell for cell in missed if cell[0] in CERTIFIED} == {("value", "ignores the direction")}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_stands_only_where_it_is_planted(fault):
    """The value of a culprit with a wrong derivative is right, and the other way round."""
    (right, wrong) = (culprit(fault, place) for place in ("second", "backward"))
    count, shape = (1, (3,)) if fault.base is VECTOR else (2, ())
    numbers = [torch.full(shape, 1.5, dtype=torch.float64) for _ in range(count)]
    leaves = [number.clone().requires_grad_() for number in numbers]
    assert torch.equal(right(*numbers), wrong(*numbers))
    found = torch.autograd.grad(right(*leaves).sum(), leaves)
    expected = fault.base.whole(*numbers)[1]
    for slope, true in zip(found, expected, strict=True):
        assert torch.equal(slope, true)
