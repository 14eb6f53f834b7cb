"""Truths and error bounds made by hand, and a ruling in one word."""

from __future__ import annotations

from dataclasses import dataclass, field
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


@dataclass
class Told:
    """What the judge is told, of all numbers alike; ``asked`` keeps which it asked about."""

    stress: ErrorBounds = CALM
    leaves_range: bool = False
    underflows: bool = False
    spread: float = 0.0
    ranged: float = 0.0
    left: str = ""
    opaque: str = ""
    by_norm: str = ""
    near: tuple = ()
    norms: ErrorBounds | None = None
    asked: dict = field(default_factory=dict)

    def of(self, mask, name, answer):
        self.asked[name] = mask.tolist()
        return answer

    def own(self, mask, error):
        self.asked["error"] = error.tolist()
        columns = (
            np.full(mask.shape, value, dtype=object if isinstance(value, str) else float)
            for value in (self.spread, self.ranged, self.left, self.opaque, self.by_norm)
        )
        return self.of(mask, "own", OwnRounding(*columns))


def asked(got, truths, told, *, dtype=DOUBLE):
    """All judgements, of numbers beside their truths."""
    balls, status, stated = (
        np.concatenate([getattr(truth, name) for truth in truths])
        for name in ("balls", "status", "stated")
    )
    norms = told.norms and (lambda mask: told.of(mask, "norms", told.norms))
    return judge(
        np.array(got),
        expected(balls, status, stated),
        dtype,
        lambda mask: told.of(mask, "bounds", told.stress),
        lambda mask: told.of(mask, "range", np.full(mask.shape, told.leaves_range)),
        told.own,
        lambda mask: told.of(mask, "near", told.near),
        bounds_by_norm=norms,
        underflows=lambda mask: told.of(mask, "under", np.full(mask.shape, told.underflows)),
    )


def ruled_of_code_that_shows_itself(got, truth, stress, *, dtype=DOUBLE):
    """The ruling on a number of code that does not move when its operations do."""
    return asked([got], [truth], Told(stress), dtype=dtype).at(0)


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
