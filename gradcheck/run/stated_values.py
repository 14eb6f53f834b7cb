"""A case's own answers at its points: held against its formula, and handed to the judge."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from flint import acb, arb

from gradcheck.catalog.answers import WrittenAnswer, answers, excluded
from gradcheck.catalog.case import Point, Variant
from gradcheck.query import Array, Query, complex_entries
from gradcheck.reference.ball_arrays import as_floats, lift
from gradcheck.reference.derivative_graphs import Rows
from gradcheck.reference.reference import Reference
from gradcheck.run.joint_query import Promises
from gradcheck.run.session import once_of


def contradictions(point: Point, variant: Variant, reference: Reference) -> list[str]:
    """Return the known answers that the formula itself contradicts, in words."""

    def told() -> list[str]:
        wrong = excluded(point, variant, lambda rows: _enclosed(reference, rows))
        return [f"{one.where}: {one.found}, expected {one.expected}" for one in wrong]

    return once_of(variant, ("contradictions", point), told)


def _enclosed(reference: Reference, rows: Rows) -> Array | None:
    """The reference's balls, where the point is one of floats."""
    floats = as_floats(rows.points)
    if not (lift(floats) == rows.points).all():
        return None
    free = (None,) if rows.reverse else ()
    query = Query(rows.order, rows.cotangent, (*rows.tangents, *free))
    return reference.enclose(query, floats).balls


def promised(point: Point, variant: Variant) -> Promises:
    """Return what the case states at a point, by order and flat position in real coordinates."""
    conventions: dict[int, arb] = {}
    written: dict[int, dict[int, arb]] = {}
    for answer in answers(point, variant.formula):
        stated = dict(_in_real_coordinates(answer, variant))
        if answer.key == "convention":
            conventions |= stated
        else:
            written.setdefault(answer.order, {}).update(stated)
    return Promises(conventions, written)


def _in_real_coordinates(answer: WrittenAnswer, variant: Variant) -> Iterator[tuple[int, arb]]:
    """The real numbers of an answer, each with its flat position among all in real coordinates.

    Of a complex number both parts: the output has them, or the input by which a real one is
    derived.
    """
    outputs, inputs = (complex_entries(ports) for ports in
                       (variant.formula.judged, variant.formula.ports))  # fmt: skip
    sides = outputs, *(inputs for _ in range(answer.order))
    shape = [side.size for side in sides]
    first = [np.cumsum(1 + side) - (1 + side) for side in sides]
    real_shape = [int((1 + side).sum()) for side in sides]
    for number, position in answer.entries():
        index = np.unravel_index(position, shape)
        place = [int(starts[i]) for starts, i in zip(first, index, strict=True)]
        yield int(np.ravel_multi_index(place, real_shape)), acb(number).real
        for axis, (side, i) in enumerate(zip(sides, index, strict=True)):
            if side[i]:
                beside = [at + (k == axis) for k, at in enumerate(place)]
                yield int(np.ravel_multi_index(beside, real_shape)), acb(number).imag
