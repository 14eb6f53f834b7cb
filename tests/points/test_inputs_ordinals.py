"""Ordinals are the floats' own order; rounding to a dtype is that of the hardware."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.dtypes import DTYPES, Dtype
from gradcheck.points.ordinals import float_at, largest_ordinal, ordinal, power_ordinal, round_to

DOUBLE, SINGLE = DTYPES["float64"], DTYPES["float32"]
BRAIN = Dtype("bfloat16", 8, -126, 127)
finite = st.floats(allow_nan=False, allow_infinity=False)
single = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(finite)
def test_the_ordinal_of_a_double_is_its_bit_pattern(value):
    bits = int(np.array(abs(value)).view(np.int64))
    assert ordinal(value, DOUBLE) == (-bits if value < 0 else bits)


@given(single)
def test_the_ordinal_of_a_single_is_its_bit_pattern(value):
    bits = int(np.array(abs(value), dtype=np.float32).view(np.int32))
    assert ordinal(value, SINGLE) == (-bits if value < 0 else bits)


@given(finite)
def test_a_float_is_found_at_its_ordinal(value):
    assert float_at(ordinal(value, DOUBLE), DOUBLE) == value


@given(st.floats(-1e300, 1e300))
def test_the_next_ordinal_is_the_next_float(value):
    assert float_at(ordinal(value, DOUBLE) + 1, DOUBLE) == math.nextafter(value, math.inf)


@given(finite)
def test_rounding_to_single_is_the_hardware_s(value):
    with np.errstate(over="ignore", under="ignore"):
        expected = np.float64(np.float32(value))
    assert round_to(value, SINGLE) == expected
    assert np.signbit(round_to(value, SINGLE)) == np.signbit(expected)


def test_bfloat16_keeps_eight_bits_and_rounds_ties_to_even():
    assert round_to([1.00390625, 1.01171875, 3.4e38], BRAIN).tolist() == [1.0, 1.015625, math.inf]


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE, BRAIN])
def test_the_largest_ordinal_is_the_largest_float(dtype):
    assert float_at(largest_ordinal(dtype), dtype) == dtype.largest
    assert float_at(1, dtype) == dtype.smallest_subnormal
    assert float_at(power_ordinal(-3, dtype), dtype) == 0.125
