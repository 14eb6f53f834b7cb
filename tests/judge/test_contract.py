"""What a claim should be, contracted by hand: f(x, y) = (x²y, x + 3y) at (2, 5)."""

import numpy as np
import pytest
from flint import arb

from gradcheck.answer import Answer
from gradcheck.dtypes import DTYPES
from gradcheck.judge.contraction import Expectation, error_bounds_of, expectations
from gradcheck.query import Query
from gradcheck.reference.error_bounds import ErrorBounds
from gradcheck.reference.evaluate import Enclosure

VALUES = [20, 17]
JACOBIAN = [20, 4, 1, 3]  # of x²y by x and y, then of x + 3y
HESSIAN = [10, 4, 4, 0, 0, 0, 0, 0]
DOUBLE = DTYPES["float64"]
X = (2.0, 5.0)


def settled(numbers):
    return [Enclosure(arb(number), "settled") for number in numbers]


def claim(order, cotangent=None, *tangents):
    """A claim at two points; the second is the one that is asked about."""
    rows = [None if row is None else np.array([[9.0, 9.0], row]) for row in (cotangent, *tangents)]
    given = tuple(rows[1:]) + (None,) * (order - len(tangents))
    return Answer("someone", Query(order, rows[0], given), np.zeros((2, 0)))


def expected(of, truth):
    return [
        float(each.enclosure.ball.mid()) for each in expectations(of, 1, (2, 2), settled(truth))
    ]


@pytest.mark.parametrize(
    ("of", "truth", "numbers"),
    [
        (claim(0), VALUES, [20, 17]),
        (claim(0, [2.0, -1.0]), VALUES, [23]),
        (claim(1), JACOBIAN, [20, 4, 1, 3]),
        (claim(1, [0.5, -2.0]), JACOBIAN, [8, -4]),  # a vjp
        (claim(1, [0.0, 1.5]), JACOBIAN, [1.5, 4.5]),  # of one output alone
        (claim(1, [0.0, 0.0]), JACOBIAN, [0, 0]),
        (claim(1, None, [1.0, -1.0]), JACOBIAN, [16, -2]),  # a jvp
        (claim(1, [0.5, -2.0], [1.0, -1.0]), JACOBIAN, [12]),
        (claim(2), HESSIAN, [10, 4, 4, 0, 0, 0, 0, 0]),
        (claim(2, [0.5, -2.0], [1.0, -1.0]), HESSIAN, [3, 2]),  # a Hessian-vector product
        (claim(2, [0.5, -2.0]), HESSIAN, [5, 2, 2, 0]),
        (claim(2, None, [1.0, -1.0], [1.0, 2.0]), HESSIAN, [14, 0]),
        (claim(2, [1.0, 0.0], [1.0, -1.0], [1.0, 2.0]), HESSIAN, [14]),
    ],
)
def test_derivatives_are_contracted_as_the_claim_was(of, truth, numbers):
    assert expected(of, truth) == numbers


def test_the_last_axis_is_the_one_that_a_tangent_contracts():
    """Seen on numbers that no Hessian has, since a Hessian is symmetric."""
    numbers = [1, 2, 3, 4, 0, 0, 0, 0]
    assert expected(claim(2, [1.0, 0.0], [1.0, 0.0]), numbers) == [1, 3]
    assert expected(claim(2, None, [1.0, 0.0], [0.0, 1.0]), numbers) == [2, 0]


def test_an_expectation_names_its_terms():
    one, other = expectations(claim(1, [0.5, -2.0]), 1, (2, 2), settled(JACOBIAN))
    assert one.terms == ((0.5, 0), (-2.0, 2))
    assert other.terms == ((0.5, 1), (-2.0, 3))
    (single, _) = expectations(claim(1, [0.0, 1.5]), 1, (2, 2), settled(JACOBIAN))
    assert single.terms == ((1.5, 2),)


def test_the_contraction_is_exact_where_floats_would_round():
    truth = settled([2**60, 1, 0, 0])
    (number, _) = expectations(claim(1, None, [1.0, 1.0]), 1, (2, 2), truth)
    assert number.enclosure.ball == arb(2**60 + 1)


def test_a_sum_knows_no_more_than_its_least_known_term():
    truth = settled(JACOBIAN)
    truth[0] = Enclosure(arb(0.5, 0.5), "kink")
    truth[3] = Enclosure(arb(0), "promised")
    x, y = expectations(claim(1, [1.0, 1.0]), 1, (2, 2), truth)
    assert (x.enclosure.status, y.enclosure.status) == ("kink", "promised")
    assert x.enclosure.ball.contains(1.25)
    truth[2] = Enclosure(arb.nan(), "undefined")
    truth[1] = Enclosure(arb(0, 9), "vague")
    x, y = expectations(claim(1, [1.0, 1.0]), 1, (2, 2), truth)
    assert (x.enclosure.status, y.enclosure.status) == ("undefined", "vague")


def test_what_a_cotangent_does_not_ask_about_does_no_harm():
    truth = settled(JACOBIAN)
    truth[0] = Enclosure(arb.nan(), "undefined")
    x, _ = expectations(claim(1, [0.0, 2.0]), 1, (2, 2), truth)
    assert (x.enclosure.status, float(x.enclosure.ball)) == ("settled", 2.0)


class Strained:
    """A truth whose derivative number k is under a stress of its own."""

    def stress(self, order, index, x, dtype):
        assert (order, x, dtype) == (1, X, DOUBLE)
        return ErrorBounds(10.0**index, 2.0 * 10**index, 3.0 * 10**index, underflows=index == 3)


def of_terms(*terms, statuses=("settled",) * 9):
    parts = tuple(Enclosure(arb(7), status) for _, status in zip(terms, statuses, strict=False))
    asked = tuple(index for _, index in terms)
    return Expectation(terms, Enclosure(arb(7), "settled"), parts, asked)


def test_stress_adds_up_by_weight_and_the_scale_is_the_largest():
    found = error_bounds_of(of_terms((0.5, 0), (-2.0, 2)), Strained(), 1, X, DOUBLE)
    assert found == ErrorBounds(200.5, 401.0, 600.0, underflows=False)


def test_a_small_weight_does_not_shrink_the_scale():
    found = error_bounds_of(of_terms((0.25, 1)), Strained(), 1, X, DOUBLE)
    assert found == ErrorBounds(2.5, 5.0, 30.0, underflows=False)


def test_one_term_that_underflows_is_enough():
    assert error_bounds_of(of_terms((1.0, 0), (1.0, 3)), Strained(), 1, X, DOUBLE).underflows


@pytest.mark.parametrize("status", ["kink", "promised"])
def test_hulls_and_promises_are_allowed_the_rounding_of_themselves_alone(status):
    terms = of_terms((0.5, 0), (-2.0, 3), statuses=(status, status))
    assert error_bounds_of(terms, Strained(), 1, X, DOUBLE) == ErrorBounds(
        17.5, 0.0, 0.0, underflows=False
    )


@pytest.mark.parametrize("status", ["kink", "promised"])
def test_what_is_added_to_a_hull_or_a_promise_keeps_its_own_stress(status):
    terms = of_terms((0.5, 0), (-2.0, 2), statuses=(status, "settled"))
    found = error_bounds_of(terms, Strained(), 1, X, DOUBLE)
    assert found == ErrorBounds(203.5, 400.0, 600.0, underflows=False)


def test_a_written_answer_has_the_stress_of_the_derivative_that_it_states():
    found = error_bounds_of(of_terms((0.5, 0), statuses=("written",)), Strained(), 1, X, DOUBLE)
    assert found == ErrorBounds(0.5, 1.0, 3.0, underflows=False)


def test_a_sum_is_written_where_all_its_terms_are():
    truth = settled(JACOBIAN)
    truth[0], truth[2] = Enclosure(arb(20), "written"), Enclosure(arb(1), "written")
    x, y = expectations(claim(1, [1.0, 1.0]), 1, (2, 2), truth)
    assert (x.enclosure.status, y.enclosure.status) == ("written", "settled")
    one, other = expectations(claim(1, None, [1.0, 1.0]), 1, (2, 2), truth)
    assert (one.enclosure.status, other.enclosure.status) == ("settled", "settled")


def test_a_contraction_asks_about_what_it_weighs_with_zero_too():
    x, y = expectations(claim(1, [0.0, 2.0]), 1, (2, 2), settled(JACOBIAN))
    assert (x.asked, y.asked) == ((0, 2), (1, 3))
    (first, _) = expectations(claim(1, None, [0.0, 2.0]), 1, (2, 2), settled(JACOBIAN))
    assert first.asked == (0, 1)
    assert first.terms == ((2.0, 1),)
    (row, _) = expectations(claim(2, [1.0, 0.0], [0.0, 1.0]), 1, (2, 2), settled(HESSIAN))
    assert row.asked == (0, 1, 4, 5)
