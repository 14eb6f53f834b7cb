"""What a case may be is decided when it is loaded: no check meets a limit afterwards."""

import pytest

from gradcheck.answer import Ruling, RunOptions
from gradcheck.catalog.checks import plan
from gradcheck.catalog.load import load_text
from gradcheck.diagnosis import examine

LONG = "10**9999"


def outcome_of(text, witness):
    checks = plan(
        load_text(text, "a.yaml"), devices=("cpu",), dtypes=("float64",), witnesses=(witness,)
    )
    (check,) = checks
    return examine(check, RunOptions(points=4))


@pytest.mark.parametrize("witness", ["value", "reverse", "forward"])
def test_what_fits_is_judged(witness):
    text = "fits: {formula: v*2, inputs: {v: {shape: [12]}}, order: 1}"
    assert outcome_of(text, witness).verdict is Ruling.AGREE


@pytest.mark.parametrize("witness", ["value", "reverse", "forward", "second"])
def test_numbers_too_long_to_be_written_do_not_stop_the_derivatives(witness):
    text = f"c: {{formula: x*{LONG}*{LONG}/{LONG}/{LONG}, inputs: {{x: real}}, torch: x*1.0}}"
    assert outcome_of(text, witness).verdict is Ruling.AGREE
