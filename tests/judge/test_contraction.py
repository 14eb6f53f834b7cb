"""Sums of derivatives are put together as a query asks: numbers, what is known, error bounds."""

from dataclasses import replace

import numpy as np
import pytest
from flint import arb

from gradcheck.judge.contraction import Derivatives, Weights, summed, summed_bounds
from gradcheck.query import Query
from gradcheck.reference.array_bounds import ArrayErrorBounds as ErrorBounds
from gradcheck.reference.enclosures import Status

VALUES = [20, 17]
JACOBIAN = [20, 4, 1, 3]  # of x²y by x and y, then of x + 3y
HESSIAN = [10, 4, 4, 0, 0, 0, 0, 0]
SETTLED, KINK, UNDEFINED, VAGUE = Status


def derivatives(numbers):
    """All settled, of a function of two inputs and two outputs."""
    shape = (2,) * len(numbers).bit_length()
    shape = shape[1:]
    balls = np.array([arb(number) for number in numbers], dtype=object).reshape(shape)
    return Derivatives.of(balls, np.full(shape, int(SETTLED)))


def known(parts, place, ball, status):
    """The same, with something else known of one derivative."""
    parts.balls.flat[place], parts.status.flat[place] = ball, int(status)
    return parts


def weights(order, cotangent=None, *tangents):
    """Those of a query at the second of its rows."""
    sides = [None if row is None else np.array([[9.0, 9.0], row]) for row in (cotangent, *tangents)]
    given = (*sides[1:], *(None for _ in range(order - len(tangents))))
    return Weights.of(Query(order, sides[0], given), 1)


def sums(parts, weighing):
    return [float(ball.mid()) for ball in summed(parts, weighing)[0].reshape(-1)]


def statuses(parts, weighing):
    return summed(parts, weighing)[1].tolist()


def stated(parts, weighing):
    return summed(parts, weighing)[2].tolist()


@pytest.mark.parametrize(
    ("of", "truth", "numbers"),
    [
        (weights(0), VALUES, [20, 17]),
        (weights(0, [2.0, -1.0]), VALUES, [23]),
        (weights(1), JACOBIAN, [20, 4, 1, 3]),
        (weights(1, [0.5, -2.0]), JACOBIAN, [8, -4]),  # a vjp
        (weights(1, [0.0, 1.5]), JACOBIAN, [1.5, 4.5]),  # of one output alone
        (weights(1, [0.0, 0.0]), JACOBIAN, [0, 0]),
        (weights(1, None, [1.0, -1.0]), JACOBIAN, [16, -2]),  # a jvp
        (weights(1, [0.5, -2.0], [1.0, -1.0]), JACOBIAN, [12]),
        (weights(2), HESSIAN, [10, 4, 4, 0, 0, 0, 0, 0]),
        (weights(2, [0.5, -2.0], [1.0, -1.0]), HESSIAN, [3, 2]),  # a Hessian-vector product
        (weights(2, [0.5, -2.0]), HESSIAN, [5, 2, 2, 0]),
        (weights(2, None, [1.0, -1.0], [1.0, 2.0]), HESSIAN, [14, 0]),
        (weights(2, [1.0, 0.0], [1.0, -1.0], [1.0, 2.0]), HESSIAN, [14]),
    ],
)
def test_derivatives_are_summed_as_they_were_asked_for(of, truth, numbers):
    assert sums(derivatives(truth), of) == numbers


def test_each_tangent_contracts_its_own_axis():
    """Seen on numbers that no Hessian has, since a Hessian is symmetric."""
    numbers = [1, 2, 3, 4, 0, 0, 0, 0]
    assert sums(derivatives(numbers), weights(2, [1.0, 0.0], [1.0, 0.0])) == [1, 2]
    assert sums(derivatives(numbers), weights(2, [1.0, 0.0], None, [1.0, 0.0])) == [1, 3]
    assert sums(derivatives(numbers), weights(2, None, [1.0, 0.0], [0.0, 1.0])) == [2, 0]


def test_the_terms_of_a_sum_are_named():
    terms = weights(1, [0.5, -2.0]).terms
    assert list(terms((2, 2), 0)) == [(0.5, 0), (-2.0, 2)]
    assert list(terms((2, 2), 1)) == [(0.5, 1), (-2.0, 3)]
    assert list(weights(1, [0.0, 1.5]).terms((2, 2), 0)) == [(1.5, 2)]


def test_a_weight_is_a_complex_number_only_where_it_must_be():
    of = Weights((np.array([1j, 2.0 + 0j]), None))
    assert list(of.terms((2, 2), 0)) == [(1j, 0), (2.0, 2)]
    assert [type(weight) for weight, _ in of.terms((2, 2), 0)] == [complex, float]


def test_a_sum_without_terms_is_zero_and_settled():
    nothing = Derivatives.of(np.empty((2, 0), dtype=object), np.empty((2, 0), dtype=np.int8))
    of = Weights((None, np.array([])))
    balls, status, known_by_case = summed(nothing, of)
    assert balls.tolist() == [arb(0), arb(0)]
    assert all(isinstance(ball, arb) for ball in balls)
    assert (status.tolist(), known_by_case.tolist()) == ([SETTLED, SETTLED], [False, False])
    none = np.empty((2, 0))
    found = summed_bounds(ErrorBounds(none, none, none, none > 0), nothing, of)
    assert [found.conditioning.tolist(), found.scale.tolist()] == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("of", "count", "plain"),
    [
        (weights(1), 1, True),
        (weights(1, [0.0, 1.0]), 1, True),
        (weights(1, [0.0, 1.5]), 1, False),
        (weights(1, [1.0, 1.0]), 2, False),
        (weights(1, [0.5, 0.5]), 2, False),
        (weights(2, [1.0, 0.0], [1.0, 1.0]), 2, False),
        (weights(2, [1.0, 0.0], [0.0, 1.0]), 1, True),
    ],
)
def test_a_derivative_itself_is_told_from_sums_and_multiples(of, count, plain):
    assert (of.count, of.is_plain()) == (count, plain)


def test_a_sum_is_exact_where_floats_would_round():
    balls = summed(derivatives([2**60, 1, 0, 0]), weights(1, None, [1.0, 1.0]))[0]
    assert balls[0] == arb(2**60 + 1)


def test_a_sum_knows_no_more_than_its_least_known_term():
    parts = known(derivatives(JACOBIAN), 0, arb(0.5, 0.5), KINK)
    both = weights(1, [1.0, 1.0])
    assert statuses(parts, both) == [KINK, SETTLED]
    assert summed(parts, both)[0][0].contains(1.25)
    parts = known(known(parts, 2, arb.nan(), UNDEFINED), 1, arb(0, 9), VAGUE)
    assert statuses(parts, both) == [UNDEFINED, VAGUE]


def test_what_a_cotangent_does_not_ask_about_does_no_harm():
    parts = known(derivatives(JACOBIAN), 0, arb.nan(), UNDEFINED)
    of = weights(1, [0.0, 2.0])
    assert (statuses(parts, of)[0], sums(parts, of)[0]) == (SETTLED, 2.0)


def test_an_answer_of_the_case_takes_the_truths_place():
    parts = derivatives(JACOBIAN).stating({0: arb(21), 2: arb(2)})
    assert sums(parts, weights(1, [1.0, 1.0])) == [23, 7]
    assert stated(parts, weights(1, [1.0, 1.0])) == [True, False]
    assert stated(parts, weights(1, None, [1.0, 1.0])) == [False, False]


def test_one_answer_where_the_formula_has_none_makes_a_sum_one_of_the_case():
    parts = known(derivatives(JACOBIAN), 0, arb.nan(), UNDEFINED).stating({0: arb(21)})
    assert stated(parts, weights(1, [1.0, 1.0])) == [True, False]
    assert statuses(parts, weights(1, [1.0, 1.0])) == [SETTLED, SETTLED]
    assert sums(parts, weights(1, [1.0, 1.0])) == [22, 7]


def test_an_answer_that_a_sum_does_not_ask_about_does_not_make_it_one_of_the_case():
    parts = derivatives(JACOBIAN).stating({0: arb(21)})
    assert stated(parts, weights(1, [0.0, 0.0])) == [False, False]


def test_a_convention_stands_in_also_for_what_is_settled():
    parts = derivatives(JACOBIAN).stating({0: arb(21)}, instead=True)
    assert stated(parts, weights(1, [1.0, 1.0])) == [True, False]


def test_an_answer_does_not_mend_what_is_unknown_beside_it():
    parts = known(derivatives(JACOBIAN), 2, arb.nan(), UNDEFINED).stating({0: arb(21)})
    assert statuses(parts, weights(1, [1.0, 1.0]))[0] == UNDEFINED
    assert not stated(parts, weights(1, [1.0, 1.0]))[0]


# error bounds: of the k-th derivative S is 10**k, R twice that, M three times

STRAINED = ErrorBounds(
    *(factor * 10.0 ** np.arange(4).reshape(2, 2) for factor in (1.0, 2.0, 3.0)),
    np.arange(4).reshape(2, 2) == 3,
)


def bounds(parts, weighing):
    """Of the first sum."""
    found = summed_bounds(STRAINED, parts, weighing)
    columns = (found.conditioning, found.rounding, found.scale, found.underflows)
    return tuple(column[0].item() for column in columns)


def sevens():
    return derivatives([7, 7, 7, 7])


def test_bounds_add_up_by_weight_and_the_scale_is_the_largest():
    assert bounds(sevens(), weights(1, [0.5, -2.0])) == (200.5, 401.0, 600.0, False)


def test_a_derivative_itself_keeps_its_bounds_and_others_add_nothing_however_large():
    endless = replace(STRAINED, rounding=np.array([[2.0, 20.0], [np.inf, np.inf]]))
    found = summed_bounds(endless, sevens(), weights(1, [1.0, 0.0]))
    assert found.rounding.tolist() == [2, 20]


def test_a_small_weight_does_not_shrink_the_scale():
    assert bounds(sevens(), weights(1, None, [0.0, 0.25])) == (2.5, 5.0, 30.0, False)


def test_one_term_that_underflows_is_enough():
    found = summed_bounds(STRAINED, sevens(), weights(1, [1.0, 1.0]))
    assert found.underflows.tolist() == [False, True]
    found = summed_bounds(STRAINED, sevens(), weights(1, [1.0, 0.0]))
    assert found.underflows.tolist() == [False, False]


def hull(parts, place):
    return known(parts, place, arb(7), KINK)


def promise(parts, place):
    return parts.stating({place: arb(7)}, instead=True)


@pytest.mark.parametrize("made", [hull, promise])
def test_hulls_and_promises_are_allowed_the_rounding_of_themselves_alone(made):
    parts = made(made(sevens(), 0), 2)
    exact = (17.5, 0.0, 0.0, False)
    assert bounds(parts, weights(1, [0.5, -2.0])) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("made", [hull, promise])
def test_what_is_added_to_a_hull_or_a_promise_keeps_its_own_bounds(made):
    assert bounds(made(sevens(), 0), weights(1, [0.5, -2.0])) == (203.5, 400.0, 600.0, False)


def test_a_known_answer_has_the_bounds_of_the_derivative_that_it_states():
    parts = sevens().stating({0: arb(7)})
    assert bounds(parts, weights(1, [0.5, 0.0])) == (0.5, 1.0, 3.0, False)
