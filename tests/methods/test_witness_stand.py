"""Directions, and how inputs and results are read."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from invocations import batch, claims, invocation, said

from gradcheck.answer import Ruling
from gradcheck.dtypes import DTYPES
from gradcheck.floats import float_at, largest_ordinal, round_to
from gradcheck.methods import forward, gradcheck, reverse, second, third, value
from gradcheck.methods._torch import directions
from gradcheck.methods._torch.calling import (
    gradient_rows,
    input_leaves,
    input_ports,
    tangent_tensors,
)

seeds = st.integers(0, 2**63)


@given(seeds, st.integers(0, 2))
def test_directions_are_dyadic_and_bounded_away_from_zero(seed, stream):
    found = directions.drawn(seed, stream, (4, 5))
    assert ((found * 8) % 1 == 0).all()
    assert (abs(found) >= 0.5).all()
    assert (abs(found) <= 2).all()


def test_directions_are_the_same_on_every_machine():
    assert directions.drawn(7, directions.COTANGENT, (1, 4)).tolist() == [
        [-1.125, 0.5, -1.875, -2.0]
    ]


def test_directions_have_both_signs():
    found = directions.drawn(0, directions.COTANGENT, (1, 100))
    assert 30 < (found > 0).sum() < 70


def test_streams_and_seeds_differ():
    drawn = [directions.drawn(seed, stream, (1, 9)) for seed in (0, 1) for stream in (0, 1, 2)]
    assert len({each.tobytes() for each in drawn}) == 6


def test_units_hold_one_entry_each():
    points = batch(None, [1.0, 2.0], [3.0, 4.0], [5.0, 6.0])
    ports = input_ports(points)
    dense = directions.dense(points, ports, directions.FIRST_TANGENT)
    found = directions.units(dense, ports)
    assert [(each != 0).tolist() for each in found] == [
        [[k == j for j in range(3)]] * 2 for k in range(3)
    ]


def test_a_direction_is_split_and_joined_again():
    point = invocation(None, [[1.0, 2.0]], 3.0, [])
    direction = np.array([[1.0, 2.0, 3.0]])
    parts = tangent_tensors(direction, point)
    assert [tuple(part.shape) for part in parts] == [(1, 2), (), (0,)]
    assert (
        gradient_rows(parts, point, input_leaves(point, requires_grad=False)).tolist()
        == direction.tolist()
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_leaves_have_the_dtype_under_test(dtype):
    (leaf,) = input_leaves(invocation(None, 0.5, dtype=dtype), requires_grad=True)
    assert leaf.dtype == getattr(torch, DTYPES[dtype].real)
    assert leaf.is_leaf
    assert leaf.requires_grad


@pytest.mark.parametrize("dtype", ["complex128", "complex64"])
def test_a_complex_leaf_has_the_dtype_under_test(dtype):
    (leaf,) = input_leaves(invocation(None, 0.5 + 1j, dtype=dtype), requires_grad=True)
    assert (leaf.dtype, leaf.item()) == (getattr(torch, dtype), 0.5 + 1j)


HALF = pytest.mark.parametrize("dtype", ["float16", "bfloat16"])


@HALF
@given(st.data())
def test_every_float_of_half_precision_comes_to_pytorch_and_back_exactly(dtype, data):
    largest = largest_ordinal(DTYPES[dtype])
    numbers = float_at(
        data.draw(st.lists(st.integers(-largest, largest), min_size=1)), DTYPES[dtype]
    )
    (claim,) = value.answer(batch(lambda x: x, numbers, dtype=dtype))
    assert claim.numbers.ravel().tolist() == numbers.tolist()


@HALF
def test_numbers_of_half_precision_are_those_that_the_dtype_held(dtype):
    # 1 + 2**-7 squared is 1 + 2**-6 + 2**-14, of which neither dtype holds the last bit.
    answers = list(reverse.answer(invocation(lambda x: x * x * x, 1 + 2**-7, dtype=dtype)))
    held = np.concatenate([claim.numbers for claim in answers])
    assert (round_to(held, DTYPES[dtype]) == held).all()
    exact = [3 * (1 + 2**-7) ** 2 * claim.query.cotangent for claim in answers]
    near = [abs(c.numbers / e - 1).item() for c, e in zip(answers, exact, strict=True)]
    assert 0 < max(near) < 4 * DTYPES[dtype].unit_roundoff


@HALF
@pytest.mark.parametrize("witness", [value, reverse, forward, second, third])
def test_every_witness_but_finite_differences_speaks_in_half_precision(dtype, witness):
    answers = said(witness.answer(invocation(lambda x, y: x * x * y, 0.5, 2.0, dtype=dtype)))
    assert len(claims(answers)) == len(answers)


@HALF
def test_finite_differences_abstain_in_half_precision(dtype):
    answers = said(gradcheck.answer(invocation(lambda x: x * x, 0.5, dtype=dtype)))
    assert {(each.ruling, each.reason, each.incapable) for each in answers} == {
        (Ruling.ABSTAIN, f"finite differences have no digits in {dtype}", True)
    }


class Speechless(Exception):
    def __str__(self):
        raise ValueError("no message")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("out of\n  luck"), "raised ValueError: out of luck"),
        (ValueError("\ud800 luck"), "raised ValueError: \\ud800 luck"),
        (Speechless(), "raised Speechless: (its message cannot be read)"),
        (SystemExit(3), "raised SystemExit: 3"),
    ],
)
def test_whatever_is_raised_is_a_finding_that_can_be_printed(error, reason):
    def raises(x):
        raise error

    (finding,) = value.answer(invocation(raises, 0.5))
    assert (finding.ruling, finding.reason) == (Ruling.DISAGREE, reason)
