"""Domains say exactly which floats lie inside."""

import math
import sys

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gradcheck.catalog.domain import parse_domain
from gradcheck.dtypes import DTYPES, FLOAT32, FLOAT64, Dtype
from gradcheck.errors import ExpressionError

F64, F32 = DTYPES["float64"], DTYPES["float32"]
LARGEST = sys.float_info.max
TINY = 5e-324

SPANS = [
    ("real", [(-LARGEST, LARGEST)]),
    ("positive", [(TINY, LARGEST)]),
    ("negative", [(-LARGEST, -TINY)]),
    ("nonnegative", [(0.0, LARGEST)]),
    ("nonzero", [(-LARGEST, -TINY), (TINY, LARGEST)]),
    ("complex", []),
    ("(0, 1)", [(TINY, math.nextafter(1, 0))]),
    ("[0, 1]", [(0.0, 1.0)]),
    ("(-1, 0]", [(math.nextafter(-1, 0), 0.0)]),
    ("[-1, 0)", [(-1.0, -TINY)]),
    ("[2, 2]", [(2.0, 2.0)]),
    ("[0, 1] | [2, 3]", [(0.0, 1.0), (2.0, 3.0)]),
    ("(0, 1e-400)", []),
    ("(1e400, inf)", []),
    ("(-1e400, 1e400)", [(-LARGEST, LARGEST)]),
    # 1/3 lies just above the float next to it, and pi/2 too
    ("(1/3, 1/2)", [(math.nextafter(1 / 3, 1), math.nextafter(0.5, 0))]),
    ("[-pi/2, pi/2]", [(-math.pi / 2, math.pi / 2)]),
    ("( -inf , max(0, 2) ]", [(-LARGEST, 2.0)]),
]


@pytest.mark.parametrize(("text", "spans"), SPANS)
def test_a_span_runs_from_the_smallest_to_the_largest_float_inside(text, spans):
    assert parse_domain(text).spans(F64) == tuple(spans)


def test_a_part_of_the_plane_is_drawn_from_a_box_around_it():
    plane = parse_domain("|z - 2*I| <= 1 and re >= 0").plane(DTYPES["complex128"])
    assert (plane.real, plane.imaginary) == (((0.0, 1.0),), ((1.0, 3.0),))
    assert plane.discs == ((2j, ((0.0, 1.0),)),)


def test_the_same_text_is_the_same_part_of_the_plane():
    texts, dtype = ("|z| < 1", "|z| < 1", "|z| < 2"), DTYPES["complex64"]
    same, again, other = (parse_domain(text).plane(dtype) for text in texts)
    assert same == again
    assert same != other


def test_the_floats_of_float32_are_coarser():
    ((low, high),) = parse_domain("(0, 1/3)").spans(F32)
    assert (low, high) == (float(np.float32(1e-45)), float(np.nextafter(np.float32(1 / 3), 0.0)))


def test_an_interval_between_two_floats_holds_none():
    assert parse_domain("(1, 1 + 1e-20)").spans(F64) == ()
    assert parse_domain("[1/3, 1/3]").spans(F64) == ()


@pytest.mark.parametrize(
    ("text", "value", "inside"),
    [
        ("real", 1e308, True),
        ("real", math.inf, False),
        ("real", math.nan, False),
        ("positive", 0.0, False),
        ("positive", -0.0, False),
        ("nonnegative", -0.0, True),
        ("positive", TINY, True),
        ("(0, 1)", 1.0, False),
        ("[0, 1]", 1.0, True),
        ("(0, 1) | (2, 3)", 1.5, False),
        ("(0, 1) | (2, 3)", 2.5, True),
        ("(-pi/2, pi/2)", math.pi / 2, True),
        ("(-pi/2, pi/2)", math.nextafter(math.pi / 2, 4), False),
        ("real", 1 + 1j, False),
        ("complex", 1e308 - 5e-324j, True),
        ("complex", complex(0, math.inf), False),
        ("complex", complex(math.nan, 0), False),
        ("complex - (-inf, 0]", -1 + 5e-324j, True),
        ("complex - (-inf, 0]", complex(-1, -0.0), False),
        ("complex - (-inf, 0]", 0j, False),
        ("complex - (-inf, -1) - (1, inf)", 1 + 0j, True),
        ("complex - (-inf, -1) - (1, inf)", -2 + 0j, False),
        ("complex - I*[1, inf)", 2j, False),
        ("complex - I*[1, inf)", 2 + 0j, True),
        ("complex - {0}", -0j, False),
        ("complex - {I, 1/3 - I}", 1j, False),
        ("complex - {I, 1/3 - I}", 1 / 3 - 1j, True),
        ("|z| < 1", math.nextafter(1, 0) * 1j, True),
        ("|z| < 1", 1j, False),
        ("|z| <= 1", 1j, True),
        ("|z| <= 1", 1 + 1e-300j, False),
        ("1 < |z| < 2", 1.5 + 0j, True),
        ("1 < |z| < 2", 1 + 0j, False),
        ("|z - 1 + 2*I| < 1", 1 - 2j, True),
        ("|z - 1 + 2*I| < 1", 1 + 2j, False),
        ("re > 0", 5e-324 - 7j, True),
        ("re > 0", 1j, False),
        ("-pi < im <= pi", complex(0, math.pi), True),
        ("2 >= |z| and im >= 0", 2 + 0j, True),
        ("2 >= |z| and im >= 0", 2 - 1e-300j, False),
        ("complex - (-inf, 0] and |z| < 1", -0.5 + 0j, False),
        ("complex - (-inf, 0] and |z| < 1", 0.5 + 0j, True),
    ],
)
def test_a_float_lies_inside_or_it_does_not(text, value, inside):
    assert parse_domain(text).contains(value) is inside


NO_PLANE = (
    "which is no part of the complex plane\n"
    "  expected: complex, complex without a cut as in complex - (-inf, 0], or conditions on re, im"
    " and |z| such as |z| < 1, joined by and\n"
    "  fix:      write one of these"
)
WRONG = [
    ("complex - 3", f"1:11: '3', {NO_PLANE}"),
    ("1 < re > 3", f"1:1: '1 < re > 3', {NO_PLANE}"),
    ("|z| < 1 and 2*re > 3", f"1:13: '2*re > 3', {NO_PLANE}"),
    ("complex | (0, 1)", f"1:1: 'complex | (0, 1)', {NO_PLANE}"),
    (
        "re > 0 and |z| < 0",
        "1:12: '|z|', an empty domain\n"
        "  expected: a lower end below the upper one\n"
        "  fix:      exchange the ends, or close both for a single number",
    ),
    (
        "re > I",
        "1:6: the end 'I'\n"
        "  expected: a real number such as 2, 1/3, pi/2 or inf\n"
        "  fix:      write one number",
    ),
    (
        "reel",
        "1:1: the unknown domain 'reel'\n"
        "  expected: one of real, positive, negative, nonnegative, nonzero, complex, an interval"
        " such as (0, pi/2], or several joined by |\n"
        "  fix:      write real",
    ),
    (
        "symmetric",
        "1:1: 'symmetric', which is no domain\n"
        "  expected: one of real, positive, negative, nonnegative, nonzero, complex, an interval"
        " such as (0, pi/2], or several joined by |\n"
        "  fix:      write kind: symmetric, beside the domain: it says which matrices are drawn",
    ),
    (
        "",
        "1:1: an empty domain\n"
        "  expected: one of real, positive, negative, nonnegative, nonzero, complex, an interval"
        " such as (0, pi/2], or several joined by |\n"
        '  fix:      write it like "(0, 1)", in quotes: a bracket or a comma ends a bare text in'
        " YAML",
    ),
    (
        "(0, 1) | (3, 2)",
        "1:10: '(3, 2)', an empty domain\n"
        "  expected: a lower end below the upper one\n"
        "  fix:      exchange the ends, or close both for a single number",
    ),
    (
        "(-2, -1) | positive",
        "1:12: the domain positive in a union\n"
        "  expected: intervals joined by |, such as (0, inf)\n"
        "  fix:      write it as an interval",
    ),
    (
        "[2, 2)",
        "1:1: '[2, 2)', an empty domain\n"
        "  expected: a lower end below the upper one\n"
        "  fix:      exchange the ends, or close both for a single number",
    ),
    (
        "[0, inf]",
        "1:8: '[0, inf]', closed at infinity\n  expected: an open end there\n  fix:      write ')'",
    ),
    (
        "[-inf, 0]",
        "1:1: '[-inf, 0]', closed at infinity\n"
        "  expected: an open end there\n"
        "  fix:      write '('",
    ),
    (
        "(0, [1, 2])",
        "1:5: the end '[1, 2]'\n"
        "  expected: a real number such as 2, 1/3, pi/2 or inf\n"
        "  fix:      write one number",
    ),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_no_domain_is_refused_with_its_place(text, message):
    with pytest.raises(ExpressionError) as caught:
        parse_domain(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "text",
    [
        "|z| < 1 and re > 2",
        "|z| < 1 and re >= 1",
        "re > 1 and re < 0",
        "0 < im < 1 and im >= 1",
        "re > 0.9 and im > 0.9 and |z| < 1",  # a corner: 0.81 + 0.81 > 1
        "re >= 3/4 and im >= 1 and |z| < 5/4",  # it lies on the circle
        "|z| < 1 and |z - 3| < 2",
        "|z - 1| <= 1 and |z| > 2",
        "-1 < re < 1 and -1 < im < 1 and |z| >= 2",
        "1 < |z| < 2 and |z| > 2",
        "|z| <= 0 and complex - {0}",
    ],
)
def test_conditions_that_no_number_meets_are_refused_at_the_one_that_is_too_much(text):
    before, _, last = text.rpartition(" and ")
    with pytest.raises(ExpressionError) as caught:
        parse_domain(text)
    assert str(caught.value) == (
        f"1:{len(before) + 6}: {last!r}, which no number of {before!r} meets\n"
        "  expected: conditions that some number meets\n"
        "  fix:      correct one of them, or leave one out"
    )


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("|z| < 1 and re > 1/2", 3 / 4),
        ("|z| <= 1 and re >= 1", 1),
        ("re >= 1 and re <= 1", 1 + 5j),
        ("re >= 3/4 and im >= 1 and |z| <= 5/4", 3 / 4 + 1j),
        ("|z| <= 1 and |z - 3| <= 2", 1),
        ("|z - 1| <= 1 and |z| >= 2", 2),
        ("-1 <= re <= 1 and -1 < im < 1 and |z| > 1", 1 + 0.5j),
        ("|z| <= 0", 0),
    ],
)
def test_conditions_that_a_single_number_meets_are_none_too_many(text, number):
    assert parse_domain(text).contains(number)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("|z - 1 + q| < 2", (1, 10)),
        ("complex - (0, q)", (1, 15)),
        ("complex - {I, q}", (1, 15)),
        ("(0, x)", (1, 5)),
        ("(0, 1) | ( 1 , ??)", (1, 16)),
        ("(1/0, 2)", (1, 2)),
        ("(0,)", (1, 4)),
    ],
)
def test_a_mistake_in_an_end_is_found_where_it_stands(text, place):
    with pytest.raises(ExpressionError) as caught:
        parse_domain(text)
    assert caught.value.place == place


@given(
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from(["()", "(]", "[)", "[]"]),
)
def test_spans_are_exact_in_float32(one, other, brackets):
    low, high = sorted((one, other))
    assume(low < high)
    first = _step(low, math.inf) if brackets[0] == "(" else low
    last = _step(high, -math.inf) if brackets[1] == ")" else high
    domain = parse_domain(f"{brackets[0]}{_text(low)}, {_text(high)}{brackets[1]}")
    assert domain.spans(F32) == (((first, last),) if first <= last else ())


def _step(value: float, to: float) -> float:
    return float(np.nextafter(np.float32(value), np.float32(to)))


def _text(value: float) -> str:
    numerator, denominator = value.as_integer_ratio()
    return f"({numerator}) / {denominator}"


@pytest.mark.parametrize(
    ("name", "span"),
    # one third in binary is 0.0101...: 11 and 8 digits of it
    [("float16", (1366 / 4096, 2.0**16 - 2**5)), ("bfloat16", (171 / 512, 255 * 2.0**120))],
)
def test_the_floats_of_half_precision_are_their_own(name, span):
    assert parse_domain("[1/3, inf)").spans(DTYPES[name]) == (span,)


@given(st.fractions(), st.sampled_from([FLOAT64, FLOAT32]))
def test_no_float_is_left_out_beside_a_rational_end(end, dtype: Dtype):
    ((low, _),) = parse_domain(f"[({end.numerator})/{end.denominator}, inf)").spans(dtype)
    kind = np.dtype(dtype.name).type
    below = float(np.nextafter(kind(low), kind(-math.inf)))
    assert below < end <= low
