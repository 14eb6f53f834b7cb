"""Balls as floats: nothing of a ball is lost, whatever its size."""

import math
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx, fmpq
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.ops import balls
from gradcheck.reference.ball_arrays import floats_of

LARGEST = 2**1024 - 2**971
OVERFLOW = 2**1024 - 2**970


def single(ball):
    array = np.empty(1, dtype=object)
    array[0] = ball
    return [float(part[0]) for part in floats_of(array)]


def ends(ball):
    """Both ends of a finite ball as fractions: midpoint and radius are dyadic numbers."""
    mid, rad = (dyadic(part) for part in (ball.mid(), ball.rad()))
    return mid - rad, mid + rad


def dyadic(number):
    mantissa, exponent = (int(part) for part in number.man_exp())
    return mantissa * Fraction(2) ** exponent


@given(
    st.integers(-(2**300), 2**300),
    st.integers(-1500, 700),
    st.floats(0, 1, exclude_min=True),
    st.integers(-1500, 700),
)
def test_a_ball_lies_in_its_floats(mantissa, exponent, radius, radius_exponent):
    with ctx.workprec(400):
        ball = arb(arb(mantissa) * arb(2) ** exponent, arb(radius) * arb(2) ** radius_exponent)
    hi, lo, rad = (Fraction(part) for part in single(ball))
    low, high = ends(ball)
    assert hi + lo - rad <= low <= high <= hi + lo + rad
    assert abs(lo) <= Fraction(math.ulp(hi)) / 2


@given(st.integers(-(2**300), 2**300), st.integers(-900, 600))
def test_the_radius_is_no_wider_than_the_midpoint_needs(mantissa, exponent):
    with ctx.workprec(400):
        ball = arb(mantissa) * arb(2) ** exponent
    hi, _, rad = single(ball)
    assert rad <= abs(hi) * 2.0**-105 + 2.0**-1074


def test_the_parts_are_the_nearest_floats_of_a_third():
    with ctx.workprec(300):
        hi, lo, rad = single(arb(fmpq(1, 3)))
    assert hi == 1 / 3
    assert Fraction(lo) == Fraction(float(Fraction(1, 3) - Fraction(hi)))
    assert 0 < rad < 2.0**-107


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5, 5e-324, -float(LARGEST)])
def test_a_float_is_itself(value):
    assert single(arb(value)) == [value, 0.0, 0.0]


@pytest.mark.parametrize("ball", [arb.pos_inf(), arb(OVERFLOW), arb(2) ** 3000, arb(2**1030, 1)])
def test_what_rounds_to_infinity_is_infinite_and_sure(ball):
    assert single(ball) == [math.inf, 0.0, 0.0]
    with ctx.workprec(100):
        assert single(-ball) == [-math.inf, 0.0, 0.0]


def test_the_number_next_below_the_overflow_is_finite():
    with ctx.workprec(1100):
        hi, lo, rad = single(arb(OVERFLOW) - 1)
    assert hi == float(LARGEST)
    assert Fraction(hi) + Fraction(lo) + Fraction(rad) >= OVERFLOW - 1 > Fraction(hi)


def test_a_ball_that_only_may_overflow_vouches_for_nothing():
    assert single(arb(2**1025, 2**1025)) == [math.inf, 0.0, math.inf]


def test_where_there_is_no_number_nothing_is_vouched_for():
    hi, lo, rad = single(arb.nan())
    assert math.isnan(hi)
    assert (lo, rad) == (0.0, math.inf)
    assert single(arb(0, math.inf)) == [0.0, 0.0, math.inf]


def test_what_lies_below_every_float_keeps_a_radius():
    with ctx.workprec(100):
        assert single(arb(2) ** -1200) == [0.0, 0.0, 5e-324]


@pytest.mark.parametrize("shape", [(), (0,), (2, 3), (2, 0, 3)])
def test_shapes_are_kept(shape):
    balls = np.empty(shape, dtype=object)
    balls[...] = arb(1)
    assert [part.shape for part in floats_of(balls)] == [shape] * 3
    assert all(part.dtype == np.float64 for part in floats_of(balls))


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("middle", [12.0, -12.0, 0.0])
def test_a_bessel_function_of_a_wide_ball_is_as_wide_as_its_range(order, middle):
    """FLINT's own holds 0 there, after seconds at many bits."""
    wide = arb(middle, 0.75)
    found = balls.bessel_i(order, wide)
    ends = [arb(middle + k * 0.75).bessel_i(arb(order)) for k in (-1, -0.5, 0, 0.5, 1)]
    assert all(found.overlaps(end) for end in ends)
    size = max(float(abs(end)) for end in ends)
    assert float(found.rad()) <= size * 1.0001


def test_flint_itself_loses_a_bessel_function_of_a_wide_ball():
    assert arb(12, 0.75).bessel_i(arb(1)).contains(0)
    assert not balls.bessel_i(1, arb(12, 0.75)).contains(0)
