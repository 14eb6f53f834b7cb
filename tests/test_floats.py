"""The lattice of a dtype's floats is that of exact arithmetic, of NumPy and of PyTorch."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from gradcheck.dtypes import BFLOAT16, DTYPES, FLOAT16, FLOAT32, FLOAT64
from gradcheck.floats import (
    float_above,
    float_at,
    from_real_coordinates,
    largest_ordinal,
    nearest_float,
    next_float,
    ordinal,
    power_ordinal,
    real_coordinates,
    round_to,
    spacing,
    ulp,
)

FORMATS = [FLOAT64, FLOAT32, FLOAT16, BFLOAT16]
COMPLEX = [dtype for dtype in DTYPES.values() if dtype.is_complex]
dtypes = st.sampled_from(FORMATS)
finite = st.floats(allow_nan=False, allow_infinity=False)
single = st.floats(width=32, allow_nan=False, allow_infinity=False)
exact = st.builds(
    lambda above, below, power: Fraction(above, below) * Fraction(2) ** power,
    st.integers(-(10**20), 10**20),
    st.integers(1, 10**6),
    st.integers(-1200, 1100),
)


@st.composite
def floats_of(draw, dtype):
    """Any finite float of a dtype, made by PyTorch of its bits."""
    number = draw(st.integers(-largest_ordinal(dtype), largest_ordinal(dtype)))
    whole = {"float64": torch.int64, "float32": torch.int32}.get(dtype.name, torch.int16)
    size = torch.tensor(abs(number), dtype=whole).view(getattr(torch, dtype.name)).double().item()
    return size if number >= 0 else -size


pairs = dtypes.flatmap(lambda dtype: st.tuples(st.just(dtype), floats_of(dtype)))


def midpoint(low, high, dtype):
    """What decides between two neighbours; infinity stands for the next power of two."""
    beyond = Fraction(2) ** (dtype.emax + 1)
    known = {math.inf: beyond, -math.inf: -beyond}
    return sum(known.get(end) or Fraction(end) for end in (low, high)) / 2


@given(pairs)
def test_the_next_float_is_that_of_pytorch(pair):
    dtype, value = pair
    there = torch.tensor(value, dtype=getattr(torch, dtype.name))
    after = torch.nextafter(there, torch.tensor(math.inf, dtype=there.dtype)).double().item()
    assert next_float(value, dtype) == after


@pytest.mark.parametrize("dtype", FORMATS, ids=lambda dtype: dtype.name)
def test_the_float_after_minus_infinity_is_the_smallest_and_after_the_largest_infinity(dtype):
    found = next_float([-math.inf, dtype.largest, math.inf, math.nan], dtype)
    assert found[:3].tolist() == [-dtype.largest, math.inf, math.inf]
    assert math.isnan(found[3])


@given(exact)
@example(Fraction(10) ** 400)
@example(-(Fraction(10) ** 400))
@example(Fraction(FLOAT64.overflow))
@example(Fraction(FLOAT64.overflow) - 1)
def test_rounding_to_float64_by_the_general_rule_is_that_of_python(value):
    try:
        expected = float(value)
    except OverflowError:
        expected = math.inf if value > 0 else -math.inf
    assert nearest_float(value) == expected
    assert nearest_float(value * 2, exponent=-1) == expected  # not by Python's own rounding


@given(dtypes, exact)
def test_a_rounded_number_lies_between_the_midpoints_to_its_neighbours(dtype, value):
    found = nearest_float(value, dtype)
    after = next_float(found, dtype).item()
    before = -next_float(-found, dtype).item()
    low = -math.inf if found == -math.inf else midpoint(before, found, dtype)
    high = math.inf if found == math.inf else midpoint(found, after, dtype)
    assert low <= value <= high


@given(pairs)
def test_a_tie_is_rounded_to_the_even_ordinal(pair):
    dtype, value = pair
    after = next_float(value, dtype).item()
    number = int(ordinal(value, dtype))
    even = value if number % 2 == 0 else after
    assert nearest_float(midpoint(value, after, dtype), dtype) == even


@given(dtypes, exact, st.integers(-1100, 1100))
def test_a_power_of_two_apart_is_the_same_number(dtype, value, exponent):
    scaled = value * Fraction(2) ** exponent
    assert nearest_float(value, dtype, exponent=exponent) == nearest_float(scaled, dtype)
    assert float_above(value, dtype, exponent=exponent) == float_above(scaled, dtype)


@pytest.mark.parametrize("dtype", FORMATS, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize(
    ("value", "exponent", "known"),
    [
        (10**400, 0, math.inf),
        (-(10**400), 0, -math.inf),
        (1, 10**15, math.inf),
        (-1, 10**15, -math.inf),
        (math.inf, 0, math.inf),
        (-math.inf, 0, -math.inf),
    ],
)
def test_what_is_beyond_the_range_is_infinite_and_no_error(dtype, value, exponent, known):
    assert nearest_float(value, dtype, exponent=exponent) == known


@pytest.mark.parametrize("dtype", FORMATS, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize(
    ("value", "exponent"), [(-1, -(10**15)), (Fraction(-1, 10**400), 0), (-0.0, 0)]
)
def test_a_negative_number_that_vanishes_is_a_negative_zero(dtype, value, exponent):
    found = nearest_float(value, dtype, exponent=exponent)
    assert math.copysign(1, found) == -1
    assert found == 0


@pytest.mark.parametrize("dtype", FORMATS, ids=lambda dtype: dtype.name)
def test_from_the_overflow_on_a_number_is_infinite_and_below_it_is_not(dtype):
    assert nearest_float(dtype.overflow, dtype) == math.inf
    assert nearest_float(dtype.overflow - Fraction(1, 2**300), dtype) == dtype.largest


@given(dtypes, exact)
def test_the_float_above_is_the_smallest_that_is_not_below(dtype, value):
    found = float_above(value, dtype)
    before = -next_float(-found, dtype).item()
    assert found >= value or found == math.inf
    assert before < value or found == -dtype.largest


@pytest.mark.parametrize("dtype", FORMATS, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize(
    ("value", "exponent", "known"),
    [
        (1, -(10**15), lambda dtype: dtype.smallest_subnormal),
        (-1, -(10**15), lambda dtype: 0.0),
        (1, 10**15, lambda dtype: math.inf),
        (-1, 10**15, lambda dtype: -dtype.largest),
        (0, 0, lambda dtype: 0.0),
    ],
)
def test_the_float_above_what_is_far_out_of_range_is_found_at_once(dtype, value, exponent, known):
    found = float_above(value, dtype, exponent=exponent)
    assert repr(found) == repr(known(dtype))


@given(pairs)
def test_an_ulp_is_the_way_to_the_next_float_away_from_zero(pair):
    dtype, value = pair
    size = min(abs(value), dtype.largest - ulp(dtype.largest, dtype))
    assert Fraction(ulp(size, dtype)) == Fraction(next_float(size, dtype).item()) - Fraction(size)


@given(st.lists(finite), dtypes)
def test_the_spacing_of_an_array_is_the_ulp_of_each_of_its_numbers(values, dtype):
    assert spacing(values, dtype).tolist() == [ulp(value, dtype) for value in values]


@given(finite)
def test_the_ordinal_of_a_double_is_its_bit_pattern(value):
    bits = int(np.array(abs(value)).view(np.int64))
    assert ordinal(value, FLOAT64) == (-bits if value < 0 else bits)


@given(single)
def test_the_ordinal_of_a_single_is_its_bit_pattern(value):
    bits = int(np.array(abs(value), dtype=np.float32).view(np.int32))
    assert ordinal(value, FLOAT32) == (-bits if value < 0 else bits)


@given(pairs)
def test_a_float_is_found_at_its_ordinal(pair):
    dtype, value = pair
    assert float_at(ordinal(value, dtype), dtype) == value


@given(pairs)
def test_the_next_ordinal_is_the_next_float(pair):
    dtype, value = pair
    value = min(value, dtype.largest - ulp(dtype.largest, dtype))
    assert float_at(ordinal(value, dtype) + 1, dtype) == next_float(value, dtype)


@given(finite)
def test_rounding_to_single_is_the_hardware_s(value):
    with np.errstate(over="ignore", under="ignore"):
        expected = np.float64(np.float32(value))
    assert round_to(value, FLOAT32) == expected
    assert np.signbit(round_to(value, FLOAT32)) == np.signbit(expected)


@given(st.lists(finite), dtypes)
def test_an_array_is_rounded_as_its_numbers_are(values, dtype):
    expected = [repr(nearest_float(value, dtype)) for value in values]
    assert [repr(value) for value in round_to(values, dtype).tolist()] == expected


def test_bfloat16_keeps_eight_bits_and_rounds_ties_to_even():
    found = round_to([1.00390625, 1.01171875, 3.4e38], BFLOAT16)
    assert found.tolist() == [1.0, 1.015625, math.inf]


@pytest.mark.parametrize("dtype", FORMATS, ids=lambda dtype: dtype.name)
def test_the_largest_ordinal_is_the_largest_float(dtype):
    assert float_at(largest_ordinal(dtype), dtype) == dtype.largest
    assert float_at(1, dtype) == dtype.smallest_subnormal
    assert float_at(power_ordinal(-3, dtype), dtype) == 0.125


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_the_facts_of_a_dtype_are_those_of_pytorch(dtype):
    there = torch.finfo(getattr(torch, dtype.real))
    assert dtype.largest == there.max
    assert 2.0**dtype.emin == there.tiny
    assert 2 * dtype.unit_roundoff == there.eps
    assert dtype.is_complex == getattr(torch, dtype.name).is_complex


@pytest.mark.parametrize("dtype", COMPLEX, ids=lambda dtype: dtype.name)
@given(st.lists(st.complex_numbers(allow_nan=False, allow_infinity=False)))
def test_a_complex_number_is_rounded_part_by_part(dtype, values):
    found = round_to(np.array(values, dtype=np.complex128), dtype)
    expected = [(nearest_float(z.real, dtype), nearest_float(z.imag, dtype)) for z in values]
    assert [repr((z.real, z.imag)) for z in found.tolist()] == [repr(pair) for pair in expected]


def test_complex_numbers_and_their_coordinates_are_two_views_of_one_thing():
    numbers = np.array([[1 + 2j, complex(-0.0, np.inf)]])
    pairs = real_coordinates(numbers)
    assert pairs.tolist() == [[[1.0, 2.0], [-0.0, np.inf]]]
    assert from_real_coordinates(pairs).tolist() == numbers.tolist()
    assert real_coordinates(3.0).tolist() == [3.0, 0.0]
