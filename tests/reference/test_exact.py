"""Constants are enclosed, and rounded to a dtype as IEEE 754 rounds."""

from fractions import Fraction

import numpy as np
import pytest
from flint import arb, fmpq
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.dtypes import DTYPES
from gradcheck.errors import ExpressionError
from gradcheck.language.parse import parse
from gradcheck.ops.balls import working
from gradcheck.reference.exact import enclose_constant, nearest_to_ball

F64, F32 = DTYPES["float64"], DTYPES["float32"]
NUMBERS = st.builds(
    lambda n, d, e: Fraction(n, d) * Fraction(2) ** e,
    st.integers(-(10**20), 10**20),
    st.integers(1, 10**6),
    st.integers(-1200, 1100),
)


def ball(value: Fraction) -> arb:
    with working(2_000, exact=True):
        return arb(fmpq(value.numerator, value.denominator))


@given(NUMBERS)
def test_rounding_to_float64_is_that_of_python(value):
    try:
        expected = float(value)
    except OverflowError:
        expected = float("inf") if value > 0 else float("-inf")
    assert nearest_to_ball(ball(value), F64) == expected


@given(NUMBERS.filter(lambda value: abs(value) < Fraction(F32.largest)))
def test_rounding_to_float32_gives_the_nearest(value):
    found = np.float32(nearest_to_ball(ball(value), F32))
    gap = abs(Fraction(float(found)) - value)
    for side in (np.float32(-np.inf), np.float32(np.inf)):
        assert gap <= abs(Fraction(float(np.nextafter(found, side))) - value)


@pytest.mark.parametrize(
    ("value", "known"),
    [
        (Fraction(1) + Fraction(1, 2**24), 1.0),  # halfway: to even
        (Fraction(1) + Fraction(3, 2**24), 1.0 + 2.0**-22),
        (Fraction(1, 2**149), 2.0**-149),
        (Fraction(1, 2**150), 0.0),
        (Fraction(3, 2**150), 2.0**-148),
        (Fraction(2**128), float("inf")),
        (-Fraction(2**128) + Fraction(2**103), float("-inf")),
        (Fraction(2**128) - Fraction(2**103) - 1, F32.largest),
    ],
)
def test_ties_subnormals_and_overflow_in_float32(value, known):
    assert nearest_to_ball(ball(value), F32) == known


@pytest.mark.parametrize("dtype", [F64, F32])
@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("exp(-exp(30))", 0.0),  # about 2**-1.5e13: as a fraction it would fill the memory
        ("-exp(-10**9999)", 0.0),
        ("exp(exp(30))", float("inf")),
        ("-exp(exp(30))", float("-inf")),
    ],
)
def test_what_is_far_out_of_range_is_rounded_at_once(text, known, dtype):
    assert nearest_to_ball(enclose_constant(parse(text)).item(), dtype) == known


@pytest.mark.parametrize(
    ("text", "shape", "first"),
    [
        ("1/3", (), "0.33333333333333333333333333333333333333333333333333"),
        ("[pi, e]", (2,), "3.1415926535897932384626433832795028841971693993751"),
        ("[[sqrt(2)], [1]]", (2, 1), "1.4142135623730950488016887242096980785696718753769"),
        ("sign(0) + floor(2) + where(1 < 2, 5, 7)", (), "7"),
    ],
)
def test_a_constant_is_enclosed_to_many_digits(text, shape, first):
    found = enclose_constant(parse(text))
    assert found.shape == shape
    with working(256, exact=True):
        assert abs(found.flat[0] - arb(first)) < arb(10) ** -48


def test_infinity_is_a_constant():
    assert nearest_to_ball(enclose_constant(parse("-inf")).item(), F64) == float("-inf")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x + 1", "unknown name 'x'"),
        ("log(-1)", "an expression without a value"),
        ("[1, 0*inf]", "an expression without a value"),
        ("exp(10**9999)", "a number too large to enclose"),
        ("1/0", "a division of constants by zero"),
        ("1 < 2", "a condition"),
    ],
)
def test_what_is_no_constant_is_refused(text, found):
    with pytest.raises(ExpressionError) as caught:
        enclose_constant(parse(text))
    assert caught.value.found == found


@pytest.mark.parametrize(("text", "place"), [("2+1/0", (1, 3)), ("2 + 1/0", (1, 5))])
def test_a_refusal_has_the_place_of_its_own_text_whatever_was_refused_before(text, place):
    tree = parse(text)
    with pytest.raises(ExpressionError):
        enclose_constant(parse("2+  1/0"))
    with pytest.raises(ExpressionError) as caught:
        enclose_constant(tree)
    assert caught.value.place == place
