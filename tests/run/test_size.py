"""What is too large to certify is refused at once, and said; what is large and fits is judged."""

import pytest

from gradcheck.answer import Effort, Ruling
from gradcheck.catalog.checks import plan
from gradcheck.catalog.load import load_text
from gradcheck.run import examine

LARGE = "big: {formula: v*2, inputs: {v: {shape: [64, 64]}}, order: 1}"
FITTING = "fits: {formula: v*2, inputs: {v: {shape: [12]}}, order: 1}"


def outcome_of(text, witness):
    checks = plan(
        load_text(text, "a.yaml"), devices=("cpu",), dtypes=("float64",), witnesses=(witness,)
    )
    (check,) = checks
    return examine(check, Effort(points=4))


@pytest.mark.parametrize("witness", ["reverse", "forward"])
def test_a_jacobian_of_millions_is_refused_by_a_message(witness):
    outcome = outcome_of(LARGE, witness)
    assert outcome.ruling is Ruling.DISAGREE
    assert outcome.reason == (
        "nothing was judged: 16,777,216 derivatives of order 1, of which at most 200,000 fit "
        "in this version; make the shapes smaller"
    )


def test_a_sum_over_thousands_is_refused_by_its_tangents():
    outcome = outcome_of("s: {formula: sum(v**2), inputs: {v: {shape: [64, 64]}}}", "reverse")
    assert "tangents of order 1, of which at most 2,000,000 fit" in outcome.reason


def test_its_value_is_judged_all_the_same():
    assert outcome_of(LARGE, "value").ruling is Ruling.AGREE


def test_what_fits_is_judged():
    assert outcome_of(FITTING, "reverse").ruling is Ruling.AGREE
