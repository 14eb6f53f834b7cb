"""The public strategies give what a case may be checked at, and refuse what it may not."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

import gradcheck
from gradcheck import strategies
from gradcheck.catalog.inline import case_of
from gradcheck.errors import CatalogError

WITHIN = {
    "formula": "x + max(y[0], y[1])",
    "inputs": {"x": "(-4, 4)", "y": {"domain": "positive", "shape": [2]}},
    "where": "x < y[0]",
}
MATRIX = {"formula": "sum(A)", "inputs": {"A": {"kind": "symmetric", "shape": [2, 2]}}}
DISC = {"x": "(0, 1)", "z": {"domain": "|z| < 2", "shape": [2]}}
MANY = settings(max_examples=1000, deadline=None, phases=[Phase.generate, Phase.shrink])
FEW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


@FEW
@given(strategies.points(WITHIN, dtype="float32"))
def test_points_lie_in_the_domains_and_meet_where(point):
    assert -4 < point["x"] < 4
    assert point["y"].min() > 0
    assert point["x"] < point["y"][0]
    assert [(each.shape, each.dtype) for each in point.values()] == [
        ((), np.float32),
        ((2,), np.float32),
    ]


@FEW
@given(strategies.points(MATRIX))
def test_matrices_are_of_their_kind(point):
    assert (point["A"] == point["A"].T).all()


SORTS = {
    "a zero": lambda point: point["x"] == 0,
    "a large number": lambda point: abs(point["x"]) > 1e6,
    "a subnormal": lambda point: 0 < abs(point["x"]) < 2.0**-1022,
    "a kink": lambda point: point["x"] == 2.5,
}


@pytest.mark.parametrize("wanted", SORTS.values(), ids=SORTS)
def test_all_sorts_of_points_come_up(wanted):
    case = {"formula": "abs(x - 5/2)", "inputs": {"x": "real"}}
    assert wanted(find(strategies.points(case), lambda point: bool(wanted(point)), settings=MANY))


def test_what_is_not_in_the_domain_never_comes_up():
    with pytest.raises(NoSuchExample):
        find(strategies.points(WITHIN), lambda point: bool(point["x"] > 4), settings=MANY)


def test_a_failing_point_shrinks_to_an_ordinary_one_of_the_first_batch():
    case = {"formula": "x**2", "inputs": {"x": "positive"}}
    found = find(strategies.points(case), lambda point: True, settings=MANY)
    assert 0.1 < found["x"] < 10


@pytest.mark.parametrize(
    ("variant", "least"), [("", 1), ("n=1", 1), ("n=4", 4)], ids=["first", "named", "other"]
)
def test_a_variant_is_chosen_by_its_name(variant, least):
    case = {"formula": "x*n", "inputs": {"x": "(0, 9)"}, "where": "x > n", "sweep": {"n": [1, 4]}}
    found = strategies.points(case, variant=variant)
    assert find(found, lambda point: bool(point["x"] < least + 1), settings=MANY)["x"] > least


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: strategies.points("x**2"),
            TypeError,
            "case is 'x**2', expected a mapping of keys such as "
            "{'formula': 'log(x)', 'inputs': {'x': 'positive'}}",
        ),
        (
            lambda: strategies.points(MATRIX, dtype="float8"),
            ValueError,
            "dtype 'float8' is unknown, expected one of float64, float32, float16, "
            "bfloat16, complex128, complex64",
        ),
        (
            lambda: strategies.points({"z": "complex"}, dtype="float32"),
            ValueError,
            "dtype 'float32' holds no complex input, expected complex128 or complex64",
        ),
        (
            lambda: strategies.points(
                {"formula": "x*n", "inputs": {"x": "real"}, "sweep": {"n": [1, 4]}}, variant="n=2"
            ),
            ValueError,
            "variant 'n=2' is unknown, expected one of n=1, n=4",
        ),
        (
            lambda: strategies.points({"formula": "sine(x)", "inputs": {"x": "real"}}),
            CatalogError,
            "gradcheck.strategies.points formula:1:1: unknown function 'sine'\n"
            "  expected: a function of the formula language\n"
            "  fix:      write sin(x)",
        ),
        (
            lambda: strategies.formulas("x", "pi"),
            CatalogError,
            "gradcheck.strategies.formulas inputs.pi:1:1: "
            "the name 'pi', which the formula language already has\n"
            "  expected: a name of its own\n"
            "  fix:      choose another name",
        ),
        (
            lambda: strategies.cotangents((2, -1)),
            ValueError,
            "shape is (2, -1), expected a tuple of whole numbers of at least 0",
        ),
    ],
    ids=["no case", "dtype", "complex", "variant", "formula", "name", "shape"],
)
def test_what_is_no_strategy_is_refused_with_what_to_write(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text


@FEW
@given(strategies.formulas("x", "y", kinks=True))
def test_a_formula_is_one_that_a_case_may_have(formula):
    inputs = {"x": "real", "y": "real"}
    assert case_of({"formula": formula, "inputs": inputs}, shown="here", labels={}).variants


def test_a_smooth_formula_has_no_kink():
    def has_kink(text):
        return any(f"{name}(" in text for name in ("abs", "max", "floor", "sign"))

    assert has_kink(find(strategies.formulas(kinks=True), has_kink, settings=MANY))
    with pytest.raises(NoSuchExample):
        find(strategies.formulas(), has_kink, settings=MANY)


def in_reverse(formula):
    return gradcheck.verify(
        None, formula, {"x": "(-2, 2)"}, witness="reverse", dtype="float64", points=4
    )


KNOWN_TO_FAIL = ("besselj(", "polygamma(", "digamma(")
"""PyTorch loses the gradient of the first without a word, and trigamma, which is a value of the
second and the gradient of the third, has nine digits: docs/findings.md."""


def is_right_in_pytorch(formula):
    return not any(name in formula for name in KNOWN_TO_FAIL)


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.formulas("x").filter(is_right_in_pytorch))
def test_a_formulas_own_translation_agrees(formula):
    assert in_reverse(formula).verdict in ("agree", "abstain", "inaccurate")


@pytest.mark.parametrize("order", [0, 1])
def test_what_pytorch_has_no_derivative_of_is_not_taken_for_a_constant(order):
    result = in_reverse(f"besselj({order}, x)")
    assert result.verdict == "disagree"
    assert "nothing in the backward graph leads to input 0 (x)" in result.blocks[0]


@given(st.sampled_from([(), (3,), (2, 2), (0, 4)]).flatmap(strategies.cotangents))
def test_a_cotangent_has_few_bits_and_no_zero(direction):
    assert (np.abs(direction) >= 0.5).all()
    assert (np.abs(direction) <= 2).all()
    assert (direction * 8 == np.round(direction * 8)).all()


def test_a_cotangent_shrinks_to_ones():
    assert find(strategies.cotangents((2,)), lambda d: True, settings=MANY).tolist() == [1.0, 1.0]
    found = find(strategies.cotangents((2,)), lambda d: d[1] < 0, settings=MANY)
    assert found.tolist() == [1.0, -1.0]
    assert math.prod(found.shape) == 2


@FEW
@given(
    strategies.points({"x": "(0, 1)", "z": {"domain": "|z| < 2", "shape": [2]}}, dtype="complex64")
)
def test_points_of_inputs_alone_are_drawn_in_the_dtypes_parts(point):
    assert 0 < point["x"] < 1
    assert (np.abs(point["z"].astype(complex)) < 2).all()
    assert [each.dtype for each in point.values()] == [np.float32, np.complex64]


@FEW
@given(strategies.points({"z": "im > 0"}))
def test_a_complex_input_is_double_where_no_dtype_is_given(point):
    assert point["z"].dtype == np.complex128
    assert point["z"].imag > 0


@FEW
@given(
    half=strategies.points({"x": "real"}, dtype="float16"),
    brain=strategies.points({"x": "real"}, dtype="bfloat16"),
)
def test_points_of_half_precision_have_no_more_digits_than_it_holds(half, brain):
    assert half["x"].dtype == np.float16
    assert np.isfinite(half["x"])
    assert brain["x"].dtype == np.float32
    assert brain["x"].view(np.uint32) & 0xFFFF == 0


@FEW
@given(strategies.formulas("z", "w", kinks=True, domain="complex"))
def test_a_complex_formula_is_one_that_a_case_may_have(formula):
    inputs = {"z": "complex", "w": "complex"}
    assert case_of({"formula": formula, "inputs": inputs}, shown="here", labels={}).variants


def test_complex_formulas_have_imaginary_numbers_and_smooth_ones_no_modulus():
    found = strategies.formulas("z", domain="complex")
    assert "I" in find(found, lambda text: "I" in text, settings=MANY)
    with pytest.raises(NoSuchExample):
        find(found, lambda text: "abs(" in text, settings=MANY)


@given(strategies.cotangents((2,), domain="complex"))
def test_both_parts_of_a_complex_cotangent_have_few_bits_and_are_not_zero(cotangent):
    parts = np.stack([cotangent.real, cotangent.imag])
    assert (np.abs(parts) >= 0.5).all()
    assert (parts * 8 == np.round(parts * 8)).all()
