"""Truths and stresses made by hand, and a ruling in one word."""

from __future__ import annotations

from fractions import Fraction

from flint import arb, fmpq

from gradcheck.dtypes import DTYPES
from gradcheck.judge.judge import judge
from gradcheck.ops.balls import working
from gradcheck.reference.error_bounds import ErrorBounds
from gradcheck.reference.evaluate import Enclosure

DOUBLE, SINGLE = DTYPES["float64"], DTYPES["float32"]
ULP = 2.0**-52  # of float64 at 1
CALM = ErrorBounds(conditioning=0.0, rounding=0.0, scale=0.0, underflows=False)
LEAST = {"float64": 2.0**-1074, "float32": 2.0**-149}


def settled(value, status="settled"):
    """An enclosure of an exact number: a float, or a Fraction with a binary denominator."""
    ratio = Fraction(value)
    with working(4000, exact=True):
        return Enclosure(arb(fmpq(ratio.numerator, ratio.denominator)), status)


def ruled(  # noqa: PLR0913 - what the judge is told, each by its name
    got, truth, *, dtype=DOUBLE, stress=CALM, leaves_range=False, least_ulps=0
):
    return judge(got, truth, dtype, lambda: stress, lambda: leaves_range, least_ulps)


def how(judgement):
    """The ruling, or for an agreement its grade."""
    return judgement.grade or judgement.ruling
