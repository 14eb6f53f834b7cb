"""What holds for the judge whatever the numbers are; ulps are counted in bit patterns."""

import struct
from fractions import Fraction

import pytest
from flint import arb, fmpq
from hand_made import DOUBLE, SINGLE, how, ruled, settled, truth_of
from hypothesis import assume, given
from hypothesis import strategies as st

from gradcheck.answer import Grade, Ruling
from gradcheck.ops.balls import working
from gradcheck.reference.array_bounds import ArrayErrorBounds as ErrorBounds

PATTERNS = {"float64": ("<d", "<Q"), "float32": ("<f", "<I")}

SEVERITY = [
    Grade.FAITHFUL,
    Grade.STABLE,
    Grade.EXPLAINED,
    Grade.ILL_CONDITIONED,
    Ruling.INACCURATE,
    Ruling.DISAGREE,
]
dtypes = st.sampled_from([DOUBLE, SINGLE])
magnitudes = st.floats(0.0, 1e300)
stresses = st.builds(ErrorBounds, magnitudes, magnitudes, magnitudes, st.just(value=False))
factors = st.floats(1.0, 1e6)
widenings = st.builds(ErrorBounds, factors, factors, factors, st.booleans())
steps = st.integers(0, 2**12) | st.integers(0, 2**60)


def severity(judgement):
    return SEVERITY.index(how(judgement))


def bits_of(value, dtype):
    number, word = PATTERNS[dtype.name]
    return struct.unpack(word, struct.pack(number, value))[0]


def float_of(bits, dtype):
    number, word = PATTERNS[dtype.name]
    return struct.unpack(number, struct.pack(word, bits))[0]


def largest_bits(dtype):
    return bits_of(dtype.largest, dtype)


@st.composite
def neighbours(draw):
    """A dtype, a float of it, and two more floats on one side of it, the farther one last."""
    dtype = draw(dtypes)
    place = draw(st.integers(0, largest_bits(dtype)))
    near, far = sorted((draw(steps), draw(steps)))
    way = draw(st.sampled_from([1, -1]))
    assume(0 <= place + way * far <= largest_bits(dtype))
    return dtype, *(float_of(place + way * step, dtype) for step in (0, near, far))


@given(neighbours(), stresses)
def test_a_larger_error_is_never_ruled_milder(numbers, stress):
    dtype, true, near, far = numbers
    truth = settled(true)
    milder = ruled(near, truth, dtype=dtype, stress=stress)
    harder = ruled(far, truth, dtype=dtype, stress=stress)
    assert severity(milder) <= severity(harder)
    assert milder.relative <= harder.relative


@given(neighbours(), stresses, widenings)
def test_a_larger_stress_is_never_ruled_stricter(numbers, stress, wider):
    dtype, true, _, far = numbers
    larger = ErrorBounds(
        stress.conditioning * wider.conditioning,
        stress.rounding * wider.rounding,
        stress.scale * wider.scale,
        wider.underflows,
    )
    before = ruled(far, settled(true), dtype=dtype, stress=stress)
    after = ruled(far, settled(true), dtype=dtype, stress=larger)
    rulings = list(Ruling)
    assert rulings.index(after.ruling) <= rulings.index(before.ruling)


@given(neighbours(), st.integers(0, 2**40), st.integers(0, 2**40))
def test_a_wider_allowance_of_a_case_never_convicts(numbers, allowance, more):
    dtype, true, _, far = numbers
    rulings = list(Ruling)
    before, after = (
        ruled(far, settled(true), dtype=dtype, least_ulps=least).ruling
        for least in (allowance, allowance + more)
    )
    assert rulings.index(after) <= rulings.index(before)


@given(neighbours(), stresses)
def test_the_ruling_does_not_depend_on_the_sign(numbers, stress):
    dtype, true, _, far = numbers
    plus = ruled(far, settled(true), dtype=dtype, stress=stress)
    minus = ruled(-far, settled(-true), dtype=dtype, stress=stress)
    assert plus == minus


@given(neighbours())
def test_ulps_are_those_of_the_bit_patterns(numbers):
    """An ulp is the step to the next pattern away from zero; errors are exact fractions."""
    dtype, true, _, far = numbers
    place = min(bits_of(true, dtype), largest_bits(dtype) - 1)
    ulp = Fraction(float_of(place + 1, dtype)) - Fraction(float_of(place, dtype))
    expected = abs(Fraction(far) - Fraction(true)) / ulp
    assert ruled(far, settled(true), dtype=dtype).ulps == pytest.approx(float(expected), rel=1e-15)


@given(dtypes, st.fractions(min_value=-(10**6), max_value=10**6))
def test_the_nearest_float_is_half_an_ulp_off_at_most(dtype, true):
    number, _ = PATTERNS[dtype.name]
    nearest = struct.unpack(number, struct.pack(number, float(true)))[0]
    with working(4000, exact=True):
        truth = truth_of(arb(fmpq(true.numerator, true.denominator)), "settled")
    # float32 is rounded to twice here, which costs a 2**-29th of an ulp more
    assert ruled(nearest, truth, dtype=dtype).ulps <= 0.5 + 2.0**-28


@given(neighbours())
def test_the_nearest_neighbours_are_faithful(numbers):
    dtype, true, _, _ = numbers
    place = bits_of(true, dtype)
    assume(4 <= place <= largest_bits(dtype) - 2)
    for step in (-4, -3, -2, -1, 1, 2):  # beyond a power of two a step is two ulps
        assert how(ruled(float_of(place + step, dtype), settled(true), dtype=dtype)) is (
            Grade.FAITHFUL
        )
