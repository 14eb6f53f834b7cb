"""Samples of rounding: as large as what rounding does, and the same whatever was asked before."""

import numpy as np
import pytest
import torch
from asked import reference_of

from gradcheck.dtypes import DTYPES
from gradcheck.query import Query
from gradcheck.randomness import random_words

BFLOAT16, FLOAT32 = DTYPES["bfloat16"], DTYPES["float32"]
U = BFLOAT16.unit_roundoff
COUNT = 512
POINTS = torch.tensor(1 + random_words(7, (COUNT, 2)).astype(float) / 2.0**64).bfloat16()
NUMBERS = POINTS.double().numpy()
PRODUCT = ("x*y*x*y", {"x": (), "y": ()})
GRADIENT = Query(1, np.ones((1, 1)), (None,))


def rms(errors):
    return float(np.sqrt(np.mean(np.square(errors))))


def samples(text, shapes, query, points, dtype=BFLOAT16):
    return reference_of(text, **shapes).rounding_errors(query, points, dtype)


def errors_of_torch(code):
    """What PyTorch's own rounding does, where each product is rounded to the dtype."""
    x, y = POINTS.unbind(1)
    return (code(x, y).double() - code(x.double(), y.double())).numpy()


def test_where_each_operation_rounds_samples_err_as_pytorch_does():
    text, shapes = PRODUCT
    _, each, _ = samples(text, shapes, Query(0), NUMBERS)
    ours = errors_of_torch(lambda x, y: x * y * x * y)
    assert 0.6 < rms(each) / rms(ours) < 1.7


def test_code_that_rounds_once_errs_by_a_rounding_of_its_result():
    text, shapes = PRODUCT
    best, *_ = samples(text, shapes, Query(0), NUMBERS)
    exact = np.prod(NUMBERS, axis=1) ** 2
    once = torch.tensor(exact).bfloat16().double().numpy() - exact
    assert 0.6 < rms(best) / rms(once) < 1.7


def test_levels_go_from_the_best_to_the_worst():
    found = samples("sum(x*x)", {"x": (300,)}, Query(0), NUMBERS.reshape(-1)[None, :300])
    sizes = [rms(each) for each in found]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 2 * sizes[0]


def test_of_float32_there_are_two_levels():
    assert len(samples(*PRODUCT, Query(0), NUMBERS, FLOAT32)) == 2


def test_what_no_operation_rounds_has_no_error():
    best, each, _ = samples("-x", {"x": (4,)}, Query(0), NUMBERS.reshape(-1)[None, :4])
    assert not best.any() or rms(best) <= U
    assert not each.any()


@pytest.mark.parametrize("before", [1, 2])
def test_samples_hang_on_the_question_alone(before):
    text, shapes = PRODUCT
    fresh, used = reference_of(text, **shapes), reference_of(text, **shapes)
    sides = (np.ones((1, 1)), tuple(np.ones((1, 2)) for _ in range(before - 1)))
    used.rounding_errors(Query(before, sides[0], (*sides[1], None)), NUMBERS, BFLOAT16)
    used.enclose(Query(2, None, (np.ones((1, 2)), np.ones((1, 2)))), NUMBERS[:1])
    for one, other in zip(
        fresh.rounding_errors(GRADIENT, NUMBERS, BFLOAT16),
        used.rounding_errors(GRADIENT, NUMBERS, BFLOAT16),
        strict=True,
    ):
        assert np.array_equal(one, other)


def test_samples_do_not_hang_on_where_a_constant_lies_in_memory():
    fresh, again = (samples("exp(x/3)*y", PRODUCT[1], GRADIENT, NUMBERS) for _ in range(2))
    assert all(map(np.array_equal, fresh, again))


def test_a_point_has_the_same_samples_alone_and_beside_others():
    text, shapes = PRODUCT
    alone = samples(text, shapes, Query(0), NUMBERS[:1])[1]
    beside = samples(text, shapes, Query(0), NUMBERS)[1][:, :1]
    assert np.array_equal(alone, beside)


def test_the_longest_sum_is_counted():
    reference = reference_of("sum(x) + x[0]", x=(300,))
    assert reference.longest_sum(Query(0), np.ones((1, 300))) == 300


FLOAT16 = DTYPES["float16"]


def test_samples_err_as_code_that_scales_what_the_formula_loses_below_the_smallest_number():
    """The slope of exp(x)/(exp(x) + 1) is p (1 - p): with a rounded p near 1 it is off by about u.
    At 18 the formula's 1/(exp(x) + 1) is 0 in float16, and so would be all errors."""
    shapes, points = {"x": (), "y": ()}, np.array([[18.0, 0.0]])
    for each in samples("exp(x)/(exp(x) + exp(y))", shapes, GRADIENT, points, FLOAT16)[1:]:
        assert rms(each) > FLOAT16.unit_roundoff / 16
