"""The error over the input in short: of each band its worst, and nothing that was not judged."""

import math

import pytest

from gradcheck.answer import RunOptions
from gradcheck.catalog.checks import plan
from gradcheck.catalog.load import load_text
from gradcheck.diagnosis import examine


def outcome(declaration, points=64, witness="reverse"):
    cases = load_text(f"sample: {declaration}", "sample.yaml")
    (check, *_) = plan(cases, devices=["cpu"], dtypes=["float64"], witnesses=[witness])
    return examine(check, RunOptions(points=points))


def test_a_single_number_runs_by_its_name_and_in_order():
    found = outcome("{formula: sin(x), inputs: {x: '(-3, 3)'}}")
    places = [x for x, _ in found.errors]
    assert found.errors_over == "x"
    assert places == sorted(places)
    assert -3 <= places[0] < 0 < places[-1] <= 3
    assert len(places) == min(48, found.points)


def test_the_worst_error_of_a_check_is_among_those_that_are_kept():
    found = outcome("{formula: exp(x)*sin(x), inputs: {x: '(-3, 3)'}}", points=500)
    assert len(found.errors) == 48
    assert max(error for _, error in found.errors) == pytest.approx(found.worst.ulps, rel=0.01)


@pytest.mark.parametrize(
    "inputs",
    ["{x: real, y: real}", "{x: {domain: real, shape: [3]}, y: real}"],
    ids=["two", "array"],
)
def test_of_several_numbers_the_largest_magnitude_runs(inputs):
    found = outcome(f"{{formula: x*y, inputs: {inputs}}}", points=8)
    assert found.errors_over == "magnitude"
    assert all(x >= 0 for x, _ in found.errors)


def test_what_is_wrong_shows_where_it_is_wrong():
    wrong = "{formula: x, inputs: {x: '(-3, 3)'}, torch: 'torch.where(x > 1, 2*x, x)'}"
    errors = outcome(wrong).errors
    assert all(error == 0 for x, error in errors if x <= 1)
    assert all(error > 1e10 for x, error in errors if x > 1.01)
    assert any(x > 1.01 for x, _ in errors)


def test_an_exception_is_an_infinite_error():
    wrong = "{formula: x, inputs: {x: '(-3, 3)'}, torch: x.sum(7)}"
    assert {error for _, error in outcome(wrong).errors} == {math.inf}


def test_a_witness_that_abstains_has_no_error():
    found = outcome("{formula: x, inputs: {x: real}, without: {reverse: no}}")
    assert (found.errors, found.errors_over) == ((), "")
