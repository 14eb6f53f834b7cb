"""The points of a batch, made from a seed by integer arithmetic: the same bits on every machine.

A regime says what sort of points. A program numbers the entries of all inputs flattened and joined,
in order: as rows.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gradcheck.answer import Floats
from gradcheck.catalog.case import Input
from gradcheck.dtypes import Dtype
from gradcheck.points.correlated import RELATIONS, Columns, Field, Fields, ordinary
from gradcheck.points.marginals import ENTRY_REGIMES, Spans, inside
from gradcheck.points.matrices import MADE, SCALED, make_matrices, project, rounded
from gradcheck.randomness import derive_key, random_below


def generate(
    inputs: tuple[Input, ...], regime: str, seed: int, count: int, dtype: Dtype
) -> dict[str, Floats]:
    """Return points of the regime, each number a float of the dtype and in its input's domain.

    What has no meaning for an input (the ends of ``real``) is ordinary numbers there.

    Shapes: [count, *shape] for each input; count is 0 where a domain holds no float of the dtype,
            or no matrix of the input's kind.
    Errors: KeyError for a regime that is neither an entry's, a relation's nor ``mixed``.
    """
    fields = fields_of(inputs, dtype)
    if not all(field.spans for field in fields):
        return {field.name: np.zeros((0, *field.shape)) for field in fields}
    key = derive_key(seed, regime, dtype.name)
    if regime in RELATIONS:
        columns = RELATIONS[regime](fields, key, count)
    else:
        columns = _entries(fields, regime, key, count)
    points = {
        field.name: _of_kind(field, regime, derive_key(key, "kind", number), values)
        for number, (field, values) in enumerate(zip(fields, columns, strict=True))
    }
    return _fitting(fields, points, count)


def fields_of(inputs: tuple[Input, ...], dtype: Dtype) -> Fields:
    """Return the inputs with their domains' spans in the dtype."""
    return tuple(
        Field(each.name, each.shape, each.kind, each.domain.spans(dtype), dtype) for each in inputs
    )


def _entries(fields: Fields, regime: str, key: int, count: int) -> Columns:
    """Return points in which all entries, or some and at least one, are of the regime."""
    columns = ordinary(fields, key, count)
    draw = _mixed if regime == "mixed" else ENTRY_REGIMES[regime]
    special = [
        draw(field.spans, field.dtype, derive_key(key, "special", number), values.shape)
        for number, (field, values) in enumerate(zip(fields, columns, strict=True))
    ]
    able = [0 if found is None else found.shape[1] for found in special]
    mask, start = _some(key, (count, sum(able))), 0
    for number, found in enumerate(special):
        if found is not None:
            part = mask[:, start : start + able[number]]
            columns[number] = np.where(part, found, columns[number])
            start += able[number]
    return columns


def _mixed(spans: Spans, dtype: Dtype, key: int, shape: tuple[int, ...]) -> Floats:
    """Return numbers each of which is of a regime of its own."""
    drawn = [
        draw(spans, dtype, derive_key(key, name), shape) for name, draw in ENTRY_REGIMES.items()
    ]
    there = [found for found in drawn if found is not None]
    chosen: Floats = np.choose(random_below(len(there), derive_key(key, "regime"), shape), there)
    return chosen


def _some(key: int, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a mask that holds everywhere in half of the rows, and somewhere in the others."""
    count, size = shape
    everywhere = random_below(2, derive_key(key, "all"), (count, 1)) == 0
    one = random_below(max(size, 1), derive_key(key, "one"), (count, 1)) == np.arange(size)
    some = random_below(2, derive_key(key, "some"), shape) == 0
    mask: NDArray[np.bool_] = everywhere | one | some
    return mask


def _of_kind(field: Field, regime: str, key: int, values: Floats) -> Floats:
    """Return the field's values in its shape, as matrices of its kind."""
    shape = (len(values), *field.shape)
    entries = values.reshape(shape)
    if field.kind is None or field.size == 0:
        return entries
    if field.kind not in MADE:
        diagonal = ordinary((field,), key, len(values))[0].reshape(shape)
        return project(field.kind, entries, diagonal)
    matrices = make_matrices(field.kind, field.spans, key, shape)
    if regime in ("tails", "mixed") and field.kind in SCALED:
        widest = (field.dtype.emax + 1) // 16
        power = random_below(2 * widest + 1, derive_key(key, "scale"), (len(values),)) - widest
        matrices = np.ldexp(matrices, power.astype(np.int32).reshape(-1, *(1 for _ in field.shape)))
    return rounded(field.kind, matrices, field.dtype)


def _fitting(fields: Fields, points: dict[str, Floats], count: int) -> dict[str, Floats]:
    """Return the points whose matrices lie in their domains, repeated until there are ``count``."""
    good = np.ones(count, dtype=np.bool_)
    for field in fields:
        if field.kind is not None:
            within = inside(points[field.name], field.spans)
            good &= within.reshape(count, -1).all(axis=1)
    if good.all():
        return points
    rows = np.flatnonzero(good)
    kept = rows[np.arange(count) % len(rows)] if len(rows) else rows
    return {name: values[kept] for name, values in points.items()}


def to_rows(inputs: tuple[Input, ...], points: dict[str, Floats]) -> Floats:
    """Return points as rows.

    Shapes: [count, *shape] for each input becomes [count, n].
    """
    columns = [
        points[each.name].reshape(len(points[each.name]), math.prod(each.shape)) for each in inputs
    ]
    return np.concatenate(columns, axis=1)


def from_rows(inputs: tuple[Input, ...], rows: Floats) -> dict[str, Floats]:
    """Return rows as points.

    Shapes: [..., n] becomes [..., *shape] for each input.
    """
    found, start = {}, 0
    for each in inputs:
        end = start + math.prod(each.shape)
        found[each.name] = rows[..., start:end].reshape((*rows.shape[:-1], *each.shape))
        start = end
    return found
