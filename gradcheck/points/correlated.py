"""The regimes that tie entries to each other: equal ones, common offsets, singular matrices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gradcheck.answer import Floats
from gradcheck.dtypes import Dtype
from gradcheck.floats import Ordinals, float_at, ordinal
from gradcheck.points.marginals import Spans, bulk, inside, integers, tails
from gradcheck.randomness import derive_key, random_below


@dataclass(frozen=True, slots=True)
class Field:
    """One input as the generators see it; ``spans`` are those of its domain in ``dtype``."""

    name: str
    shape: tuple[int, ...]
    kind: str | None
    spans: Spans
    dtype: Dtype

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def square(self) -> bool:
        """Whether it holds matrices that may be singular."""
        shape = self.shape
        return self.kind is None and len(shape) >= 2 and shape[-1] == shape[-2] and self.size > 0


Fields = tuple[Field, ...]
Columns = list[Floats]
"""For each field an array [count, size]."""


def groups(fields: Fields) -> list[list[int]]:
    """Return the fields, by number, that share a domain, where together they have two entries."""
    found: dict[Spans, list[int]] = {}
    for number, field in enumerate(fields):
        found.setdefault(field.spans, []).append(number)
    return [group for group in found.values() if sum(fields[n].size for n in group) > 1]


def ordinary(fields: Fields, key: int, count: int) -> Columns:
    """Return ordinary numbers for every field."""
    return [
        bulk(field.spans, field.dtype, derive_key(key, "bulk", n), (count, field.size))
        for n, field in enumerate(fields)
    ]


def ties(fields: Fields, key: int, count: int) -> Columns:
    """Return points where at most three numbers occur in a domain; in a quarter also negated."""
    columns = ordinary(fields, key, count)
    for group, spans, pool in _pools(fields, columns):
        own = derive_key(key, "tie", *group)
        distinct = 1 + random_below(3, derive_key(own, "distinct"), (count, 1))
        source = random_below(2**62, derive_key(own, "source"), pool.shape) % distinct
        tied = np.take_along_axis(pool, np.minimum(source, pool.shape[1] - 1), axis=1)
        negate = random_below(4, derive_key(own, "negate"), (count, 1)) == 0
        flip = (
            negate
            & (random_below(2, derive_key(own, "flip"), pool.shape) == 0)
            & inside(-tied, spans)
        )
        _put(np.where(flip, -tied, tied), group, columns)
    return columns


def offsets(fields: Fields, key: int, count: int) -> Columns:
    """Return points whose entries are few steps of one size from a common, often large number."""
    columns = ordinary(fields, key, count)
    for group, spans, pool in _pools(fields, columns):
        own, dtype = derive_key(key, "offset", *group), fields[group[0]].dtype
        common, wide = pool[:, :1], tails(spans, dtype, derive_key(own, "wide"), (count, 1))
        if wide is not None:
            common = np.where(
                random_below(2, derive_key(own, "which"), (count, 1)) == 0, common, wide
            )
        size = random_below(dtype.precision - 4, derive_key(own, "size"), (count, 1))
        steps = (random_below(17, derive_key(own, "steps"), pool.shape) - 8) * (np.int64(1) << size)
        low, high = _bounds(common, spans, dtype)
        moved = float_at(np.clip(ordinal(common, dtype) + steps, low, high), dtype)
        _put(moved, group, columns)
    return columns


def singular(fields: Fields, key: int, count: int) -> Columns:
    """Return matrices without an inverse: dependent rows or columns, rank one, zero."""
    columns = ordinary(fields, key, count)
    for number, field in enumerate(fields):
        if field.square:
            matrices = _deficient(field, derive_key(key, "singular", number), count)
            columns[number] = matrices.reshape(count, field.size)
    return columns


RELATIONS: dict[str, Callable[[Fields, int, int], Columns]] = {
    "ties": ties,
    "offsets": offsets,
    "singular": singular,
}


def _pools(fields: Fields, columns: Columns) -> Iterator[tuple[list[int], Spans, Floats]]:
    for group in groups(fields):
        yield group, fields[group[0]].spans, np.concatenate([columns[n] for n in group], axis=1)


def _put(pool: Floats, group: list[int], columns: Columns) -> None:
    """Give the pool's columns back to the fields that they came from."""
    start = 0
    for number in group:
        size = columns[number].shape[1]
        columns[number] = pool[:, start : start + size].copy()
        start += size


def _bounds(values: Floats, spans: Spans, dtype: Dtype) -> tuple[Ordinals, Ordinals]:
    """Return the ends, as ordinals, of the interval that each value lies in."""
    low = high = ordinal(values, dtype)
    for span in spans:
        first, last = ordinal(span, dtype).tolist()
        within = (values >= span[0]) & (values <= span[1])
        low, high = np.where(within, first, low), np.where(within, last, high)
    return low, high


def _deficient(field: Field, key: int, count: int) -> Floats:
    """Return singular matrices of small exact numbers, or with equal rows in narrow domains."""
    spans, dtype, size = field.spans, field.dtype, field.shape[-1]
    shape = (count, *field.shape)
    exact = integers(spans, dtype, derive_key(key, "exact"), shape)
    base = bulk(spans, dtype, derive_key(key, "bulk"), shape) if exact is None else exact
    one, other = _two_rows(key, shape)
    repeated = _repeat(base, one, other, np.ones((*shape[:-2], 1)))
    factor = np.array([2.0, -1.0, 0.0])[
        random_below(3, derive_key(key, "factor"), (*shape[:-2], 1))
    ]
    scaled = _repeat(base, one, other, factor)
    swapped = np.swapaxes(scaled, -1, -2)
    outer = base[..., :1] * base[..., :1, :] if exact is not None else repeated
    which = random_below(5, derive_key(key, "pattern"), (*shape[:-2], 1, 1))
    chosen = np.choose(which, [repeated, scaled, swapped, outer, np.zeros(shape)]) + 0.0
    fits = inside(chosen, spans).all(axis=(-2, -1), keepdims=True)
    return np.where(fits | (size == 1), np.where(fits, chosen, base), repeated)


def _two_rows(key: int, shape: tuple[int, ...]) -> tuple[Ordinals, Ordinals]:
    """Return two different rows of each matrix by number (the same where there is one row)."""
    size = shape[-1]
    one = random_below(size, derive_key(key, "one"), (*shape[:-2], 1))
    step = 1 + random_below(max(size - 1, 1), derive_key(key, "step"), (*shape[:-2], 1))
    return one, (one + step) % size


def _repeat(base: Floats, one: Ordinals, other: Ordinals, factor: Floats) -> Floats:
    """Return the matrices with row ``other`` replaced by ``factor`` times row ``one``."""
    rows = np.broadcast_to(np.arange(base.shape[-1]), base.shape[:-1])
    is_other = rows == other
    copied = np.take_along_axis(base, np.where(is_other, one, rows)[..., None], axis=-2)
    return np.where(is_other, factor, 1.0)[..., None] * copied
