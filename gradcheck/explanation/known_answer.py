"""Points that are easy to read, and what a formula gives there: certified, as a case has it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flint import acb, arb

from gradcheck.catalog.answers import WrittenAnswer, certified
from gradcheck.catalog.case import Case, Point, Variant
from gradcheck.dtypes import DTYPES
from gradcheck.points.plan import Site, covering_batch
from gradcheck.query import Array, Shape
from gradcheck.reference.digits import digits
from gradcheck.report.failure_text import without_zeros

MOST_ENTRIES = 16
"""Of an input and of an answer; larger ones are no reading."""
_ACCURATE_BITS = 70
"""Relative: more than the digits that are written."""
_NEARLY_ZERO = arb(2) ** -160
_EXACT = DTYPES["float64"], DTYPES["complex128"]

Text = str | list["Text"]
"""A number, or nested lists of them."""


def readable_points(variant: Variant) -> Iterator[dict[str, Text]]:
    """Yield values of all inputs, the plainest first; rounding may have moved some out of `where`.

    What tells little comes late: zeros, ones, and numbers that come twice.
    """
    if sum(math.prod(port.shape) for port in variant.formula.ports) > MOST_ENTRIES:
        return
    is_complex = any(port.kind == "complex" for port in variant.formula.ports)
    batch = covering_batch(Site(variant.inputs, variant.formula, _EXACT[is_complex]))
    rows = [{name: x[k] for name, x in batch.points.items()} for k in range(batch.count)]
    for row in sorted(rows, key=_dullness):
        yield {name: _nested(x.tolist(), _short) for name, x in row.items()}


def _dullness(row: Mapping[str, Array]) -> tuple[int, int, int]:
    entries = [entry for x in row.values() for entry in x.ravel().tolist()]
    telling = {entry for entry in entries if abs(entry) not in (0, 1) and _is_general(entry)}
    far = sum(not 1e-2 < abs(entry) < 1e2 for entry in entries)
    return far, len(entries) - len(telling), sum(len(_short(entry)) for entry in entries)


def _is_general(number: complex) -> bool:
    """Whether it is no complex number on an axis."""
    return not isinstance(number, complex) or bool(number.real and number.imag)


def _short(number: complex) -> str:
    if isinstance(number, complex):
        return f"{number.real:.3g}" + (f" + {number.imag:.3g}*I" if number.imag else "")
    return f"{number:.3g}"


def known_answers(case: Case, point: Point) -> dict[str, Any]:
    """Return what the first variant's formula gives at a point, under the keys of a case's point.

    An answer that is no certain number (at a kink, at a pole) is left out, and so is one of too
    many entries.
    """
    variant = case.variants[0]
    found: dict[str, Any] = {}
    for answer, balls in certified(point, variant, min(case.order, 2)):
        if len(balls) <= MOST_ENTRIES and all(map(_is_certain, balls)):
            block = _nested(balls.reshape(_shape(answer, variant)).tolist(), _decimal)
            *path, last = (answer.key, *filter(None, (answer.output,)), *answer.inputs)
            place = found
            for step in path:
                place = place.setdefault(step, {})
            place[last] = block
    return found


def _shape(answer: WrittenAnswer, variant: Variant) -> Shape:
    ports = {port.name: port.shape for port in variant.formula.ports}
    (output,) = (port for port in variant.formula.judged if port.name == answer.output)
    return (*output.shape, *(length for name in answer.inputs for length in ports[name]))


def _nested(numbers: Any, write: Callable[[Any], str]) -> Text:
    return (
        [_nested(each, write) for each in numbers] if isinstance(numbers, list) else write(numbers)
    )


def _is_certain(ball: arb | acb) -> bool:
    """Whether the digits that are written are all known; zero is, where nothing else is near."""
    parts = (ball.real, ball.imag) if isinstance(ball, acb) else (ball,)
    return all(
        part.is_finite() and (part.rel_accuracy_bits() > _ACCURATE_BITS or abs(part) < _NEARLY_ZERO)
        for part in parts
    )


def _decimal(ball: arb | acb) -> str:
    if isinstance(ball, acb):
        return f"{_decimal(ball.real)} + {_decimal(ball.imag)}*I"
    return without_zeros(digits(ball))
