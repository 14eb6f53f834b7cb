"""Truths and error bounds made by hand, and a ruling in one word."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from flint import arb, fmpq

from gradcheck.dtypes import DTYPES
from gradcheck.judge.judge import OwnRounding, expected, judge
from gradcheck.ops.balls import working
from gradcheck.reference.array_bounds import ArrayErrorBounds as ErrorBounds
from gradcheck.reference.enclosures import Status

DOUBLE, SINGLE = DTYPES["float64"], DTYPES["float32"]
ULP = 2.0**-52  # of float64 at 1
CALM = ErrorBounds(conditioning=0.0, rounding=0.0, scale=0.0, underflows=False)
LEAST = {"float64": 2.0**-1074, "float32": 2.0**-149}


def truth_of(ball, status="settled"):
    """One number's truth; ``stated`` is an answer of the case."""
    balls = np.array([ball], dtype=object)
    stated = np.array([status == "stated"])
    known = Status.SETTLED if status == "stated" else Status[status.upper()]
    return expected(balls, np.array([int(known)]), stated)


def settled(value, status="settled"):
    """The truth of an exact number: a float, or a Fraction with a binary denominator."""
    ratio = Fraction(value)
    with working(4000, exact=True):
        return truth_of(arb(fmpq(ratio.numerator, ratio.denominator)), status)


def judged(  # noqa: PLR0913 - as the judge
    got, truth, dtype, bounds, leaves_range, least_ulps=0
):
    """What the judge says of one number that a kernel gave which cannot be looked into."""

    def opaque(mask, _error):
        return OwnRounding.unknown(mask.shape, "a kernel")

    return judge(
        np.array([got]), truth, dtype, bounds, leaves_range, opaque, least_ulps=least_ulps
    ).at(0)


def ruled_of_code_that_shows_itself(got, truth, stress, *, dtype=DOUBLE):
    """The ruling on a number of code that does not move when its operations do."""
    parts = (stress.conditioning, stress.rounding, stress.scale, stress.underflows)
    bounds = ErrorBounds(*(np.array([part]) for part in parts))

    def still(mask, _error):
        return OwnRounding.unknown(mask.shape, "")

    stays = np.array([False])
    return judge(np.array([got]), truth, dtype, lambda _: bounds, lambda _: stays, still).at(0)


def ruled(  # noqa: PLR0913 - what the judge is told, each by its name
    got, truth, *, dtype=DOUBLE, stress=CALM, leaves_range=False, least_ulps=0
):
    parts = (stress.conditioning, stress.rounding, stress.scale, stress.underflows)
    bounds = ErrorBounds(*(np.array([part]) for part in parts))
    left = np.array([leaves_range])
    return judged(got, truth, dtype, lambda _: bounds, lambda _: left, least_ulps)


def how(judgement):
    """The ruling, or for an agreement its grade."""
    return judgement.grade or judgement.ruling
