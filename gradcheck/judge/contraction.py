"""The truth that a claim must match: enclosures of derivatives, contracted as the claim was.

A witness hands out vector-Jacobian products, Jacobian-vector products and the like; each of their
entries is a weighted sum of derivatives, and so are its error bounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flint import arb

from gradcheck.answer import Answer, Floats
from gradcheck.dtypes import Dtype
from gradcheck.judge.judge import BITS
from gradcheck.ops.balls import working
from gradcheck.reference.error_bounds import ErrorBounds, upper_float
from gradcheck.reference.evaluate import Enclosure
from gradcheck.reference.truth import Truth

_Terms = tuple[tuple[float, int], ...]
"""Weights, each with the flat index of the derivative that it weighs."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What one number of a claim should be: sum of weight * derivative[index].

    ``parts`` are the derivatives that the terms weigh. ``asked`` are the positions of all that the
    claim's contraction reaches, those of weight 0 too, which PyTorch multiplies like any other.
    """

    terms: _Terms
    enclosure: Enclosure
    parts: tuple[Enclosure, ...]
    asked: tuple[int, ...]


def expectations(
    claim: Answer, k: int, sizes: tuple[int, int], truth: Sequence[Enclosure]
) -> Iterator[Expectation]:
    """One for each number that the claim makes at its k-th point, in order.

    Shapes: ``sizes`` are m and n; ``truth`` is flat, [m * n**order].
    """
    m, n = sizes
    numbers = _one_hot_or(claim.query.cotangent, k, m)
    for tangent in sorted(claim.query.tangents, key=lambda tangent: tangent is not None):
        choices = _one_hot_or(tangent, k, n)
        numbers = [_product(terms, choice, n) for terms in numbers for choice in choices]
    for reached in numbers:
        terms = tuple((weight, index) for weight, index in reached if weight != 0)
        parts = tuple(truth[index] for _, index in terms)
        asked = tuple(index for _, index in reached)
        yield Expectation(terms, _sum(terms, parts), parts, asked)


def _one_hot_or(vector: Floats | None, k: int, size: int) -> list[_Terms]:
    """All choices of one axis: one weighted sum, or each entry on its own."""
    if vector is None:
        return [((1.0, i),) for i in range(size)]
    return [tuple((weight, i) for i, weight in enumerate(vector[k].tolist()))]


def _product(terms: _Terms, choice: _Terms, n: int) -> _Terms:
    """The weighted sum of weighted sums: one more axis of length n, written out."""
    return tuple((weight * factor, flat * n + i) for weight, flat in terms for factor, i in choice)


def _sum(terms: _Terms, parts: tuple[Enclosure, ...]) -> Enclosure:
    if len(terms) == 1 and terms[0][0] == 1.0:
        return parts[0]
    with working(BITS, exact=True):
        ball = arb(0)
        for (weight, _), part in zip(terms, parts, strict=True):
            ball = ball + part.ball * weight
    states = {part.status for part in parts}
    for status in ("undefined", "vague", "kink", "promised"):
        if status in states:
            return Enclosure(ball, status)
    return Enclosure(ball, "written" if states == {"written"} else "settled")


def error_bounds_of(
    expectation: Expectation, truth: Truth, order: int, x: tuple[float, ...], dtype: Dtype
) -> ErrorBounds:
    """S, R and M of a weighted sum: each the sum of the terms', M the largest.

    A hull already allows all that may be, and a promised answer is exact: such a term is allowed
    the rounding of itself alone.
    """
    weighed = [
        (abs(weight), _stress_of_part(part, truth, (order, index), x, dtype))
        for (weight, index), part in zip(expectation.terms, expectation.parts, strict=True)
    ]
    return ErrorBounds(
        conditioning=sum(weight * part.conditioning for weight, part in weighed),
        rounding=sum(weight * part.rounding for weight, part in weighed),
        scale=max((max(weight, 1.0) * part.scale for weight, part in weighed), default=0.0),
        underflows=any(part.underflows for _, part in weighed),
    )


def _stress_of_part(
    part: Enclosure, truth: Truth, which: tuple[int, int], x: tuple[float, ...], dtype: Dtype
) -> ErrorBounds:
    if part.status not in ("kink", "promised"):
        return truth.stress(*which, x, dtype)
    magnitude = upper_float(abs(part.ball).upper())
    return ErrorBounds(conditioning=magnitude, rounding=0.0, scale=0.0, underflows=False)
