"""Directions, and how inputs and results are read."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from invocations import invocation

from gradcheck.answer import Ruling
from gradcheck.methods import value
from gradcheck.methods._torch import directions
from gradcheck.methods._torch.calling import joined, leaves, split

seeds = st.integers(0, 2**63)


@given(seeds, st.integers(0, 2))
def test_directions_are_dyadic_and_bounded_away_from_zero(seed, stream):
    found = directions.dense(seed, stream, (4, 5))
    assert ((found * 8) % 1 == 0).all()
    assert (abs(found) >= 0.5).all()
    assert (abs(found) <= 2).all()


def test_directions_are_the_same_on_every_machine():
    assert directions.dense(7, directions.COTANGENT, (1, 4)).tolist() == [
        [-1.125, 0.5, -1.875, -2.0]
    ]


def test_directions_have_both_signs():
    found = directions.dense(0, directions.COTANGENT, (1, 100))
    assert 30 < (found > 0).sum() < 70


def test_streams_and_seeds_differ():
    drawn = [directions.dense(seed, stream, (1, 9)) for seed in (0, 1) for stream in (0, 1, 2)]
    assert len({each.tobytes() for each in drawn}) == 6


def test_units_hold_one_entry_each():
    found = directions.units(3, directions.FIRST_TANGENT, (2, 3))
    assert [(each != 0).tolist() for each in found] == [
        [[k == j for j in range(3)]] * 2 for k in range(3)
    ]


def test_a_direction_is_split_and_joined_again():
    point = invocation(None, [[1.0, 2.0]], 3.0, [])
    direction = np.array([[1.0, 2.0, 3.0]])
    parts = split(direction, point)
    assert [tuple(part.shape) for part in parts] == [(1, 2), (), (0,)]
    assert joined(parts, point, leaves(point, requires_grad=False)).tolist() == direction.tolist()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_leaves_have_the_dtype_under_test(dtype):
    (leaf,) = leaves(invocation(None, 0.5, dtype=dtype), requires_grad=True)
    assert leaf.dtype == getattr(torch, dtype)
    assert leaf.is_leaf
    assert leaf.requires_grad


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
