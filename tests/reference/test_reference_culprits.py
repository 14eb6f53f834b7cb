"""Faults planted in the reference: each is seen from outside, and without it nothing is.

Expected numbers are written by hand, or computed by mpmath and by NumPy in float32.
"""

import dataclasses

import mpmath
import numpy as np
import pytest
from asked import enclosures, function_of, reference_of
from flint import arb, ctx

from gradcheck.dtypes import DTYPES
from gradcheck.graph import derivatives
from gradcheck.ops.table import OPERATORS
from gradcheck.query import Query
from gradcheck.reference import (
    array_bounds,
    ball_arrays,
    branches,
    float_arrays,
    limits,
)
from gradcheck.reference import (
    enclosures as truths,
)
from gradcheck.reference.array_bounds import error_bounds
from gradcheck.reference.derivative_graphs import DerivativeGraphs
from gradcheck.reference.enclosures import DerivationsDiffer

F32 = DTYPES["float32"]


# what is seen from outside


def hull_at_zero(text, low, high):
    """A kink's hull holds both one-sided derivatives, and hardly more."""
    (found,) = enclosures(reference_of(text), 1, (0.0,))
    assert found.status == "kink"
    assert low - 1e-8 < float(found.ball.lower()) <= low
    assert high <= float(found.ball.upper()) < high + 1e-8


def kink():
    hull_at_zero("max(x, -x) - abs(x)/2", -0.5, 0.5)


def kink_of_a_removable_singularity():
    hull_at_zero("sqrt(sin(x)**2)", -1, 1)


def jump():
    (found,) = enclosures(reference_of("where(x < 0, x - 1, x + 1)"), 1, (0.0,))
    assert found.status == "undefined"


def pole():
    (found,) = enclosures(reference_of("abs(x)/x"), 0, (0.0,))
    assert found.status == "undefined"


def removable():
    (found,) = enclosures(reference_of("(exp(x) - 1)/x"), 1, (0.0,))
    assert found.status == "settled"
    assert found.ball.overlaps(arb(0.5))


def narrow():
    """What is settled has 70 bits at least, and they are right."""
    tiny = 0.1 * 2.0**-97
    (found,) = enclosures(reference_of("exp(x) - 1"), 0, (tiny,))
    assert found.status == "settled"
    with mpmath.workdps(60), ctx.workprec(250):
        expected = arb(mpmath.nstr(mpmath.expm1(mpmath.mpf(tiny)), 50))
        assert abs(found.ball / expected - 1) < 2.0**-70


def conditioning():
    """Of x³ at 2: S of the slope is 12 + 2·12."""
    graphs = DerivativeGraphs(function_of("x**3"))
    by_hand = 36
    free = error_bounds(graphs, Query(1, None, (None,)), np.array([[2.0]]), F32).conditioning
    assert by_hand * (1 - 1e-9) <= free.item() <= by_hand * (1 + 1e-9)
    contracted = Query(1, np.ones((1, 1)), (np.ones((1, 1)),))
    found = error_bounds(graphs, contracted, np.array([[2.0]]), F32).conditioning
    assert by_hand * (1 - 1e-9) <= found.item() <= 2 * by_hand


def rounding():
    """What float32, its exp rounded rightly, does to (exp(x) - 1)/x stays below R."""
    x = np.linspace(0.01, 0.5, 200, dtype=np.float32)[:, None]
    graphs = DerivativeGraphs(function_of("(exp(x) - 1)/x"))
    bound = error_bounds(graphs, Query(0), x.astype(float), F32).rounding
    exact = np.expm1(x.astype(float)) / x.astype(float)
    power = np.exp(x.astype(float)).astype(np.float32)
    found = ((power - np.float32(1)) / x).astype(float)
    assert (np.abs(found - exact) <= bound).all()
    assert (np.abs(found - exact) > 2.0**-21).any()


def rounding_of_a_sum():
    """A sum in sequence, in float32, of numbers that cancel."""
    x = np.random.default_rng(3).standard_normal((50, 300)).astype(np.float32)
    graphs = DerivativeGraphs(function_of("sum(x)", x=(300,)))
    bound = error_bounds(graphs, Query(0), x.astype(float), F32).rounding[:, 0]
    found = np.add.accumulate(x, axis=1)[:, -1].astype(float)
    errors = np.abs(found - x.astype(float).sum(axis=1))
    assert (errors <= bound).all()
    assert (errors > 0.005 * bound).any()


def wrong_rule():
    """A wrong transpose of the matrix product is told."""
    with pytest.MonkeyPatch.context() as plant:
        wrong = {**derivatives._PULLS, "bmm": lambda g, k: [lambda c: c, lambda c: c]}
        plant.setattr(derivatives, "_PULLS", wrong)
        with pytest.raises(DerivationsDiffer):
            gradient("A @ A", [1.0, 2.0, 3.0, 5.0], A=(2, 2))


def wrong_rule_of_a_small_entry():
    """A wrong slope in an entry that is small beside the others is told."""
    with pytest.MonkeyPatch.context() as plant:
        pulls = derivatives._PULLS
        twice = {**pulls, "concat": lambda g, k: [pulls["concat"](g, k)[0], _twice(g, k)]}
        plant.setattr(derivatives, "_PULLS", twice)
        with pytest.raises(DerivationsDiffer):
            gradient("stack([x, 1e-12*y])", [1.0, 1.0], x=(), y=())


def _twice(graph, node):
    rule = derivatives._pull_concat(graph, node)[1]
    return lambda c: graph.add(rule(c), rule(c))


def gradient(text, point, **shapes):
    graphs = DerivativeGraphs(function_of(text, **shapes))
    cotangent = np.ones((1, graphs.function.width))
    return truths.enclose(graphs, Query(1, cotangent, (None,)), np.array([point]))


# what is planted


def first_branch_only(plant):
    plant.setattr(branches, "union", lambda a, b: a)


def branches_taken_apart(plant):
    """Each place a decision of its own: what is one condition is decided twice."""
    plant.setattr(branches, "_parallel", lambda a, b: 0)


def no_jumps(plant):
    plant.setattr(branches, "_apart", lambda a, b: np.zeros(np.shape(a), dtype=bool))


def one_side(plant):
    plant.setattr(limits, "union", lambda a, b: a)


def every_line_smooth(plant):
    plant.setattr(limits, "_is_form", lambda chosen, column, j: True)
    plant.setattr(limits, "_has_pole", lambda series, order: False)


def twice_the_coefficient(plant):
    real = limits._Lines._difference

    def wrong(*args):
        found = real(*args)
        return None if found is None else 2 * found

    plant.setattr(limits._Lines, "_difference", wrong)


def wide_is_settled(plant):
    plant.setattr(truths, "is_settled", lambda balls: np.ones(balls.shape, dtype=bool))


def few_bits_settle(plant):
    plant.setattr(ball_arrays, "SETTLED_BITS", 10)


def half_a_spread(plant):
    real = float_arrays.unmoved
    plant.setattr(
        "gradcheck.reference.derivative_graphs.unmoved",
        lambda numbers, *, spread=0.0: real(numbers, spread=spread / 2),
    )
    exact = array_bounds.exact_conditioning
    plant.setattr(array_bounds, "exact_conditioning", lambda *args: exact(*args) / 2)


def no_rounding(plant):
    plant.setattr(float_arrays, "_EXACT", frozenset(OPERATORS))


def no_rounding_of_sums(plant):
    real = float_arrays.RunningErrors.sum

    def wrong(self, node, values):
        found = real(self, node, values)
        return dataclasses.replace(found, error=0 * found.error)

    plant.setitem(float_arrays._REDUCTIONS, "sum", wrong)


def no_dot_test(plant):
    plant.setattr(truths, "_dot_test", lambda *args: None)


def anything_is_near(plant):
    plant.setattr(truths, "NEAR", np.inf)


def nothing_drawn(plant):
    plant.setattr(truths, "_drawn", lambda rows, numbers: np.zeros(numbers.shape))


def not_weighed(plant):
    plant.setattr(truths, "_drawn", lambda rows, numbers: np.full(numbers.shape, 3.0))


CULPRITS = {
    "the first branch alone": (first_branch_only, kink),
    "one condition decided twice": (branches_taken_apart, kink),
    "no jump": (no_jumps, jump),
    "a limit from one side": (one_side, kink_of_a_removable_singularity),
    "a corner that is smooth": (every_line_smooth, kink_of_a_removable_singularity),
    "a sign that is smooth": (every_line_smooth, pole),
    "another coefficient": (twice_the_coefficient, removable),
    "a wide ball that is settled": (wide_is_settled, narrow),
    "too few bits": (few_bits_settle, narrow),
    "half the conditioning": (half_a_spread, conditioning),
    "no rounding": (no_rounding, rounding),
    "no rounding of sums": (no_rounding_of_sums, rounding_of_a_sum),
    "no dot test": (no_dot_test, wrong_rule),
    "a dot test that acquits all": (anything_is_near, wrong_rule),
    "a dot test of nothing": (nothing_drawn, wrong_rule),
    "a dot test that small entries do not count in": (not_weighed, wrong_rule_of_a_small_entry),
}


@pytest.mark.parametrize("name", CULPRITS)
def test_a_planted_fault_is_seen(name, monkeypatch):
    plant, seen = CULPRITS[name]
    plant(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception, DerivationsDiffer)):
        seen()


CHECKS = {check.__name__: check for _, check in CULPRITS.values()}


@pytest.mark.parametrize("name", CHECKS)
def test_without_a_fault_nothing_is(name):
    CHECKS[name]()
