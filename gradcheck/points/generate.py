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
from gradcheck.catalog.domain import Plane, Spans
from gradcheck.dtypes import Dtype
from gradcheck.floats import from_real_coordinates, real_coordinates
from gradcheck.points.correlated import RELATIONS, Columns, Field, Fields, ordinary
from gradcheck.points.marginals import ENTRY_REGIMES
from gradcheck.points.matrices import MADE, SCALED, make_matrices, phased, project, rounded
from gradcheck.query import Array
from gradcheck.randomness import derive_key, random_below

Points = dict[str, Array]
"""For each input an array [count, *shape]."""


def generate(inputs: tuple[Input, ...], regime: str, seed: int, count: int, dtype: Dtype) -> Points:
    """Return points of the regime, each number a float of the dtype and in its input's domain.

    What has no meaning for an input (the ends of ``real``) is ordinary numbers there.

    Shapes: [count, *shape] for each input; count is 0 where a domain holds no float of the dtype,
            or no matrix of the input's kind.
    Errors: KeyError for a regime that is neither an entry's, a relation's nor ``mixed``.
    """
    fields = fields_of(inputs, dtype)
    if not have_numbers(fields):
        return {field.name: np.zeros((0, *field.shape), dtype=_kind(field)) for field in fields}
    key = derive_key(seed, regime, dtype.name)
    if regime in RELATIONS:
        columns = RELATIONS[regime](fields, key, count)
    else:
        columns = _entries(fields, regime, key, count)
    return _fitting(fields, shaped(fields, regime, key, columns), count)


def shaped(fields: Fields, regime: str, key: int, columns: Columns) -> Points:
    """Return the columns as arrays of the fields' shapes and kinds; some may leave their domains.

    Shapes: [count, size] of each field becomes [count, *shape].
    """
    return {
        field.name: _of_kind(field, regime, derive_key(key, "kind", number), values)
        for number, (field, values) in enumerate(zip(fields, columns, strict=True))
    }


def have_numbers(fields: Fields) -> bool:
    """Say whether every domain holds a float of the dtype."""
    return all(_has_numbers(field) for field in fields)


def _has_numbers(field: Field) -> bool:
    if isinstance(field.spans, Plane):
        return bool(np.isfinite(field.ordinary(0, (1,))).all())
    return bool(field.spans)


def _kind(field: Field) -> type:
    return np.complex128 if field.is_complex else np.float64


def fields_of(inputs: tuple[Input, ...], dtype: Dtype) -> Fields:
    """Return the inputs with their domains' spans in the dtype."""
    return tuple(
        Field(
            each.name,
            each.shape,
            each.kind,
            each.domain.plane(dtype) if each.domain.complex else each.domain.spans(dtype),
            dtype,
        )
        for each in inputs
    )


def _entries(fields: Fields, regime: str, key: int, count: int) -> Columns:
    """Return points in which all entries, or some and at least one, are of the regime."""
    columns = ordinary(fields, key, count)
    special = [
        _mixed(field, derive_key(key, "special", number), values.shape)
        if regime == "mixed"
        else field.draw(regime, derive_key(key, "special", number), values.shape)
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


def _mixed(field: Field, key: int, shape: tuple[int, ...]) -> Array:
    """Return numbers each of which is of a regime of its own."""
    drawn = [field.draw(name, derive_key(key, name), shape) for name in ENTRY_REGIMES]
    there = [found for found in drawn if found is not None]
    chosen: Array = np.choose(random_below(len(there), derive_key(key, "regime"), shape), there)
    return chosen


def _some(key: int, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a mask that holds everywhere in half of the rows, and somewhere in the others."""
    count, size = shape
    everywhere = random_below(2, derive_key(key, "all"), (count, 1)) == 0
    one = random_below(max(size, 1), derive_key(key, "one"), (count, 1)) == np.arange(size)
    some = random_below(2, derive_key(key, "some"), shape) == 0
    mask: NDArray[np.bool_] = everywhere | one | some
    return mask


def _of_kind(field: Field, regime: str, key: int, values: Array) -> Array:
    """Return the field's values in its shape, as matrices of its kind."""
    shape = (len(values), *field.shape)
    entries = values.reshape(shape)
    if field.kind is None or field.size == 0:
        return entries
    if field.kind not in MADE:
        diagonal = ordinary((field,), key, len(values))[0].reshape(shape)
        return project(field.kind, entries, diagonal)
    matrices = make_matrices(field.kind, field.contains, field.dtype, key, shape)
    if field.is_complex:
        matrices = phased(field.kind, matrices, key)
    if regime in ("tails", "mixed") and field.kind in SCALED:
        widest = (field.dtype.emax + 1) // 16
        power = random_below(2 * widest + 1, derive_key(key, "scale"), (len(values),)) - widest
        scale = np.ldexp(1.0, power.astype(np.int32))
        matrices = matrices * scale.reshape(-1, *(1 for _ in field.shape))
    return rounded(field.kind, matrices, field.dtype)


def _fitting(fields: Fields, points: Points, count: int) -> Points:
    """Return the points whose matrices lie in their domains, repeated until there are ``count``."""
    good = np.ones(count, dtype=np.bool_)
    for field in fields:
        if field.kind is not None:
            within = field.contains(points[field.name])
            good &= within.reshape(count, -1).all(axis=1)
    if good.all():
        return points
    rows = np.flatnonzero(good)
    kept = rows[np.arange(count) % len(rows)] if len(rows) else rows
    return {name: values[kept] for name, values in points.items()}


def to_rows(inputs: tuple[Input, ...], points: Points) -> Array:
    """Return points as rows; they are complex where an input is.

    Shapes: [count, *shape] for each input becomes [count, n].
    """
    columns = [
        points[each.name].reshape(len(points[each.name]), math.prod(each.shape)) for each in inputs
    ]
    return np.concatenate(columns, axis=1)


def to_coordinates(inputs: tuple[Input, ...], points: Points) -> Floats:
    """Return points as rows of real numbers: both parts of a complex entry stand side by side.

    Shapes: [count, *shape] for each input becomes [count, coordinates].
    """
    columns = [
        real_coordinates(points[each.name]) if each.domain.complex else points[each.name]
        for each in inputs
    ]
    return np.concatenate([each.reshape(len(each), -1) if each.size else each.reshape(len(each), 0)
                           for each in columns], axis=1)  # fmt: skip


def from_coordinates(inputs: tuple[Input, ...], rows: Floats) -> Points:
    """Return rows of real coordinates as points.

    Shapes: [..., coordinates] becomes [..., *shape] for each input.
    """
    found: Points = {}
    start = 0
    for each in inputs:
        shape = (*each.shape, 2) if each.domain.complex else each.shape
        end = start + math.prod(shape)
        values = rows[..., start:end].reshape((*rows.shape[:-1], *shape))
        found[each.name] = from_real_coordinates(values) if each.domain.complex else values
        start = end
    return found


def coordinate_spans(inputs: tuple[Input, ...], dtype: Dtype) -> list[Spans]:
    """Return where each real coordinate of a row may lie; of a plane's part a box around it."""
    found: list[Spans] = []
    for field in fields_of(inputs, dtype):
        box = [field.spans.real, field.spans.imaginary] if isinstance(field.spans, Plane) \
            else [field.spans]  # fmt: skip
        found += box * field.size
    return found


def within(inputs: tuple[Input, ...], points: Points, dtype: Dtype) -> NDArray[np.bool_]:
    """Say of each point whether it lies in the domains.

    Shapes: [count, *shape] for each input; [count].
    """
    good = np.ones(len(points[inputs[0].name]), dtype=np.bool_)
    for field in fields_of(inputs, dtype):
        found = field.contains(points[field.name])
        good &= found.all(axis=tuple(range(1, found.ndim)))
    return good


def count_of(points: Points) -> int:
    """Return how many points there are."""
    return len(next(iter(points.values())))


def single(points: Points, k: int) -> Points:
    """Return the k-th point alone, still with an axis for points."""
    return {name: np.asarray(values[k : k + 1]) for name, values in points.items()}
