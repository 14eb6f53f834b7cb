"""The regimes that tie entries to each other: equal ones, common offsets, singular matrices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradcheck.answer import Floats
from gradcheck.catalog.domain import Plane
from gradcheck.dtypes import Dtype
from gradcheck.floats import (
    Ordinals,
    float_at,
    from_real_coordinates,
    ordinal,
    real_coordinates,
)
from gradcheck.points.marginals import ENTRY_REGIMES, Bounds, in_spans
from gradcheck.points.plane import draw_in_plane, inside_plane
from gradcheck.query import Array
from gradcheck.randomness import derive_key, random_below


@dataclass(frozen=True, slots=True)
class Field:
    """One input as the generators see it: ``spans`` are its domain in ``dtype``, or a plane's part.

    An array of the values of a complex input is complex.
    """

    name: str
    shape: tuple[int, ...]
    kind: str | None
    spans: Bounds | Plane
    dtype: Dtype

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def is_complex(self) -> bool:
        return isinstance(self.spans, Plane)

    def draw(self, regime: str, key: int, shape: tuple[int, ...]) -> Array | None:
        """Return entries of the regime; None where the domain has nothing of that sort."""
        if isinstance(self.spans, Plane):
            return draw_in_plane(regime, self.spans, key, shape)
        return ENTRY_REGIMES[regime](self.spans, self.dtype, key, shape)

    def ordinary(self, key: int, shape: tuple[int, ...]) -> Array:
        """Return entries of the regime ``bulk``, which every domain has."""
        found = self.draw("bulk", key, shape)
        assert found is not None
        return found

    def contains(self, values: Array) -> NDArray[np.bool_]:
        """Say of each entry whether it lies in the domain."""
        if isinstance(self.spans, Plane):
            return inside_plane(values.astype(np.complex128), self.spans)
        return in_spans(values, self.spans)

    @property
    def square(self) -> bool:
        """Whether it holds matrices that may be singular."""
        shape = self.shape
        return self.kind is None and len(shape) >= 2 and shape[-1] == shape[-2] and self.size > 0


Fields = tuple[Field, ...]
Columns = list[Array]
"""For each field an array [count, size]."""


def groups(fields: Fields) -> list[list[int]]:
    """Return the fields, by number, that share a domain, where together they have two entries."""
    found: dict[Bounds | Plane, list[int]] = {}
    for number, field in enumerate(fields):
        found.setdefault(field.spans, []).append(number)
    return [group for group in found.values() if sum(fields[n].size for n in group) > 1]


def ordinary(fields: Fields, key: int, count: int) -> Columns:
    """Return ordinary numbers for every field."""
    return [
        field.ordinary(derive_key(key, "bulk", n), (count, field.size))
        for n, field in enumerate(fields)
    ]


def ties(fields: Fields, key: int, count: int) -> Columns:
    """Return points where at most three numbers occur in a domain; in a quarter also negated."""
    columns = ordinary(fields, key, count)
    for group, pool in _pools(fields, columns):
        own = derive_key(key, "tie", *group)
        distinct = 1 + _turns(own, count, 3)
        source = random_below(2**62, derive_key(own, "source"), pool.shape) % distinct
        tied = np.take_along_axis(pool, np.minimum(source, pool.shape[1] - 1), axis=1)
        negate = random_below(4, derive_key(own, "negate"), (count, 1)) == 0
        flip = (
            negate
            & (random_below(2, derive_key(own, "flip"), pool.shape) == 0)
            & fields[group[0]].contains(-tied)
        )
        tied = np.where(flip, -tied, tied)
        _put(_conjugated(fields[group[0]], own, tied), group, columns)
    return columns


def _conjugated(field: Field, key: int, values: Array) -> Array:
    """The values, of a complex field with a third of them conjugated where the domain has that."""
    if not field.is_complex:
        return values
    flip = random_below(3, derive_key(key, "conjugate"), values.shape) == 0
    return np.where(flip & field.contains(values.conj()), values.conj(), values)


def offsets(fields: Fields, key: int, count: int) -> Columns:
    """Return points whose entries are few steps of one size from a common, often large number."""
    columns = ordinary(fields, key, count)
    for group, pool in _pools(fields, columns):
        own, field = derive_key(key, "offset", *group), fields[group[0]]
        common, wide = pool[:, :1], field.draw("tails", derive_key(own, "wide"), (count, 1))
        if wide is not None:
            common = np.where(
                random_below(2, derive_key(own, "which"), (count, 1)) == 0, common, wide
            )
        if isinstance(field.spans, Plane):
            plane, beside = field.spans, derive_key(own, "imaginary")
            real = _moved(common.real, plane.real, field.dtype, own, pool.shape)
            imaginary = _moved(common.imag, plane.imaginary, field.dtype, beside, pool.shape)
            moved: Array = from_real_coordinates(np.stack([real, imaginary], axis=-1))
            moved = np.where(field.contains(moved), moved, common)
        else:
            moved = _moved(common, field.spans, field.dtype, own, pool.shape)
        _put(moved, group, columns)
    return columns


def _moved(common: Floats, spans: Bounds, dtype: Dtype, key: int, shape: tuple[int, ...]) -> Floats:
    """Floats few steps of one size from a common one of each row, in the same interval."""
    size = random_below(dtype.precision - 4, derive_key(key, "size"), (shape[0], 1))
    steps = (random_below(17, derive_key(key, "steps"), shape) - 8) * (np.int64(1) << size)
    low, high = _bounds(common, spans, dtype)
    return float_at(np.clip(ordinal(common, dtype) + steps, low, high), dtype)


def singular(fields: Fields, key: int, count: int) -> Columns:
    """Return matrices without an inverse: dependent rows or columns, rank one, zero."""
    columns = ordinary(fields, key, count)
    for number, field in enumerate(fields):
        if field.square:
            matrices = _deficient(field, derive_key(key, "singular", number), count)
            columns[number] = matrices.reshape(count, field.size)
    return columns


def different(fields: Fields, key: int, count: int) -> Columns:
    """Return points whose entries are all equal within a domain, but for one entry, or for none."""
    columns = ordinary(fields, key, count)
    for group, pool in _pools(fields, columns):
        own, size = derive_key(key, "different", *group), pool.shape[1]
        odd = random_below(size, derive_key(own, "odd"), (count, 1))
        kept = (np.arange(size) == odd) & (_turns(own, count, 3) != 0)
        _put(np.where(kept, pool, pool[:, :1]), group, columns)
    return columns


def rows(fields: Fields, key: int, count: int) -> Columns:
    """Return points with equal rows, equal columns, two equal rows, or inputs that are equal."""
    columns = ordinary(fields, key, count)
    turns = _turns(key, count, 4)
    for number, field in enumerate(fields):
        if field.size and len(field.shape) >= 2:
            arrays = columns[number].reshape(count, *field.shape)
            turn = turns.reshape(-1, *(1 for _ in field.shape))
            row, column = arrays[..., :1, :], arrays[..., :1]
            last = np.arange(field.shape[-2])[:, None] == field.shape[-2] - 1
            chosen = np.where((turn == 0) | (last & (turn == 2)), row, arrays)
            columns[number] = np.where(turn == 1, column, chosen).reshape(count, field.size)
    for one, other in _alike(fields):
        columns[other] = np.where(turns == 3, columns[one], columns[other])
    return columns


def slices(fields: Fields, key: int, count: int) -> Columns:
    """Return points whose arrays repeat one slice along their first or last axis.

    So a tensor may be that has been expanded.
    """
    columns = ordinary(fields, key, count)
    turns = _turns(key, count, 2)
    for number, field in enumerate(fields):
        if field.size and field.shape:
            arrays = columns[number].reshape(count, *field.shape)
            turn = turns.reshape(-1, *(1 for _ in field.shape))
            repeated = np.where(turn == 0, arrays[:, :1], arrays[..., :1])
            full = np.broadcast_to(repeated, arrays.shape)
            columns[number] = full.reshape(count, field.size).copy()
    return columns


def permuted(fields: Fields, key: int, count: int) -> Columns:
    """Return points sorted upwards, sorted downwards, and those of the former point turned by one.

    All entries of a domain are sorted together, complex ones by their real parts.
    """
    columns = ordinary(fields, key, count)
    turns = _turns(key, count, 3)
    for group, pool in _pools(fields, columns):
        upwards = np.sort(pool, axis=1)
        turned = np.roll(np.roll(upwards, 1, axis=0)[:, ::-1], 1, axis=1)
        sorted_pool = np.where(turns == 0, upwards, upwards[:, ::-1])
        _put(np.where(turns == 2, turned, sorted_pool), group, columns)
    return columns


def signs(fields: Fields, key: int, count: int) -> Columns:
    """Return points whose entries are all positive, or all negative, where the domains have both.

    Complex ones are so in both parts.
    """
    columns = ordinary(fields, key, count)
    wanted = np.where(_turns(key, count, 2) == 0, 1.0, -1.0)
    for number, field in enumerate(fields):
        values = columns[number]
        sized = (
            from_real_coordinates(np.abs(real_coordinates(values)))
            if field.is_complex
            else np.abs(values)
        )
        columns[number] = np.where(field.contains(wanted * sized), wanted * sized, values)
    return columns


def axes(fields: Fields, key: int, count: int) -> Columns:
    """Return points whose complex entries are all real, or all imaginary, where the domains are."""
    columns = ordinary(fields, key, count)
    turns = _turns(key, count, 2)
    for number, field in enumerate(fields):
        if field.is_complex:
            values = columns[number]
            alone = np.where(turns == 0, values.real + 0j, 1j * values.imag)
            columns[number] = np.where(field.contains(alone), alone, values)
    return columns


RELATIONS: dict[str, Callable[[Fields, int, int], Columns]] = {
    "slices": slices,
    "ties": ties,
    "different": different,
    "rows": rows,
    "permuted": permuted,
    "signs": signs,
    "axes": axes,
    "offsets": offsets,
    "singular": singular,
}


def related(fields: Fields) -> tuple[str, ...]:
    """Return the relations that have a meaning for these inputs."""
    most = max((sum(fields[n].size for n in group) for group in groups(fields)), default=0)
    has_rows = any(field.size and len(field.shape) >= 2 for field in fields) or _alike(fields)
    there = {
        "slices": any(field.size > 1 for field in fields),
        "ties": most >= 2,
        "different": most >= 3,
        "rows": bool(has_rows),
        "permuted": most >= 3,
        "signs": sum(field.size for field in fields if _has_both_signs(field)) >= 2,
        "axes": any(field.is_complex and field.size > 1 for field in fields),
        "offsets": most >= 2,
        "singular": any(field.square for field in fields),
    }
    return tuple(name for name in RELATIONS if there[name])


def _has_both_signs(field: Field) -> bool:
    return bool(field.contains(np.array([1.0, -1.0])).all())


def _alike(fields: Fields) -> list[tuple[int, int]]:
    """Return pairs of fields of one shape and domain, by number: the first, and another."""
    first: dict[object, int] = {}
    pairs = []
    for number, field in enumerate(fields):
        sort = field.shape, field.spans
        if sort in first and field.size:
            pairs.append((first[sort], number))
        first.setdefault(sort, number)
    return pairs


def _turns(key: int, count: int, patterns: int) -> Ordinals:
    """Return the number of the pattern of each point: they take turns, beginning anywhere.

    Shapes: [count, 1].
    """
    start = int(random_below(patterns, derive_key(key, "turn"), (1,))[0])
    return ((start + np.arange(count)) % patterns)[:, None]


def _pools(fields: Fields, columns: Columns) -> Iterator[tuple[list[int], Array]]:
    for group in groups(fields):
        yield group, np.concatenate([columns[n] for n in group], axis=1)


def _put(pool: Array, group: list[int], columns: Columns) -> None:
    """Give the pool's columns back to the fields that they came from."""
    start = 0
    for number in group:
        size = columns[number].shape[1]
        columns[number] = pool[:, start : start + size].copy()
        start += size


def _bounds(values: Floats, spans: Bounds, dtype: Dtype) -> tuple[Ordinals, Ordinals]:
    """Return the ends, as ordinals, of the interval that each value lies in."""
    low = high = ordinal(values, dtype)
    for span in spans:
        first, last = ordinal(span, dtype).tolist()
        within = (values >= span[0]) & (values <= span[1])
        low, high = np.where(within, first, low), np.where(within, last, high)
    return low, high


def _deficient(field: Field, key: int, count: int) -> Array:
    """Return singular matrices of small exact numbers, or with equal rows in narrow domains."""
    size = field.shape[-1]
    shape = (count, *field.shape)
    exact = field.draw("integers", derive_key(key, "exact"), shape)
    base = field.ordinary(derive_key(key, "bulk"), shape) if exact is None else exact
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
    fits = field.contains(chosen).all(axis=(-2, -1), keepdims=True)
    return np.where(fits | (size == 1), np.where(fits, chosen, base), repeated)


def _two_rows(key: int, shape: tuple[int, ...]) -> tuple[Ordinals, Ordinals]:
    """Return two different rows of each matrix by number (the same where there is one row)."""
    size = shape[-1]
    one = random_below(size, derive_key(key, "one"), (*shape[:-2], 1))
    step = 1 + random_below(max(size - 1, 1), derive_key(key, "step"), (*shape[:-2], 1))
    return one, (one + step) % size


def _repeat(base: Array, one: Ordinals, other: Ordinals, factor: Floats) -> Array:
    """Return the matrices with row ``other`` replaced by ``factor`` times row ``one``."""
    rows = np.broadcast_to(np.arange(base.shape[-1]), base.shape[:-1])
    is_other = rows == other
    copied = np.take_along_axis(base, np.where(is_other, one, rows)[..., None], axis=-2)
    repeated: Array = np.where(is_other, factor, 1.0)[..., None] * copied
    return repeated
