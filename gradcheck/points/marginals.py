"""The regimes that act on each entry alone: where in a domain a number is drawn.

Each takes the spans of a domain (smallest and largest float of each interval) and returns floats of
the dtype within them, or None where the domain has nothing of that sort.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gradcheck.answer import Floats
from gradcheck.dtypes import Dtype
from gradcheck.floats import float_at, largest_ordinal, ordinal, power_ordinal, round_to
from gradcheck.query import Shape
from gradcheck.randomness import derive_key, random_below, random_between

Bounds = tuple[tuple[float, float], ...]
Regime = Callable[[Bounds, Dtype, int, Shape], "Floats | None"]
Range = tuple[int, int]
"""Ordinals, both ends included, all of one sign."""

_EVENLY = 2.0**10  # an interval within ± this is drawn from evenly, a wider one by exponent


def in_spans(values: Floats, spans: Bounds) -> NDArray[np.bool_]:
    """Say of each float whether it lies in the domain."""
    found = np.zeros(np.shape(values), dtype=np.bool_)
    for low, high in spans:
        found |= (values >= low) & (values <= high)
    return found


def bulk(spans: Bounds, dtype: Dtype, key: int, shape: Shape) -> Floats:
    """Return ordinary numbers: evenly in a bounded interval, else from 2**-3 to 2**3 or so."""
    which = random_below(len(spans), derive_key(key, "span"), shape)
    drawn = np.zeros(shape)
    for number, span in enumerate(spans):
        draw = _even if max(map(abs, span)) <= _EVENLY else _ordinary
        drawn = np.where(which == number, draw(span, dtype, derive_key(key, number), shape), drawn)
    return drawn


_COMMON_BINADES = 16
"""A function that goes wrong beyond 10 is to be seen going wrong, also in float64."""
_WIDE_BINADES = 48
"""Of float32, whose emax/8 are no more than the common ones: a product of two stays in range, where
of float64, with 128, one of seven does."""


def tails(spans: Bounds, dtype: Dtype, key: int, shape: Shape) -> Floats | None:
    """Return numbers of every exponent: one in four within ±16, two within _WIDE, one of any."""
    sides = [side for span in spans for side in _sides(span, dtype)]
    if not any(_binades(side, dtype) >= 8 for side in sides):
        return None
    found = []
    most = dtype.emax + 1  # of float16: squares stay in range in ±8, and not everything is large
    common, wide = min(_COMMON_BINADES, most // 2), min(_WIDE_BINADES, most * 3 // 4)
    for k, reach in enumerate((common, max(wide, most // 8))):
        low, high = power_ordinal(-reach, dtype), power_ordinal(reach, dtype)
        near = [_window(side, low, high) or side for side in sides]
        found.append(_draw(near, dtype, derive_key(key, 4 * k + 1), shape))
    wild = _draw(sides, dtype, derive_key(key, 2), shape)
    kind = random_below(4, derive_key(key, 3), shape)
    return np.select([kind == 0, kind == 3], [found[0], wild], found[1])


def edges(spans: Bounds, dtype: Dtype, key: int, shape: Shape) -> Floats | None:
    """Return numbers at the ends of intervals: half up to 3 ulps in, half by powers of two."""
    ends = [end for span in spans for end in _ends(span, dtype)]
    if not ends:
        return None
    start, way, room = (
        np.array(column)[random_below(len(ends), derive_key(key, "end"), shape)]
        for column in zip(*ends, strict=True)
    )
    power = np.int64(1) << (random_below(dtype.precision - 2, derive_key(key, "power"), shape) + 2)
    far = power + random_between(np.zeros_like(power), power - 1, derive_key(key, "far"))
    close = random_below(4, derive_key(key, "close"), shape)
    steps = np.where(random_below(2, derive_key(key, "half"), shape) == 0, close, far)
    return float_at(start + way * np.minimum(steps, room), dtype)


def zeros(spans: Bounds, dtype: Dtype, key: int, shape: Shape) -> Floats | None:
    """Return zeros of both signs."""
    if not in_spans(np.zeros(1), spans).any():
        return None
    return np.where(random_below(2, key, shape) == 0, 0.0, -0.0)


def subnormals(spans: Bounds, dtype: Dtype, key: int, shape: Shape) -> Floats | None:
    """Return the smallest floats, the largest subnormal ones, and the smallest normal ones."""
    half = 1 << (dtype.precision - 2)
    places = [1, 2, 3, half, half + 1, 2 * half - 1, 2 * half, 2 * half + 1]
    values = float_at(np.array([*places, *(-place for place in places)]), dtype)
    return _choose(values[in_spans(values, spans)], key, shape)


def integers(spans: Bounds, dtype: Dtype, key: int, shape: Shape) -> Floats | None:
    """Return small integers, and small multiples of 1/2 and 1/4."""
    whole = np.arange(-10.0, 11.0)
    rungs = [rung[in_spans(rung, spans)] for rung in (whole[7:14], whole, whole / 2, whole / 4)]
    drawn = [_choose(rung, derive_key(key, n), shape) for n, rung in enumerate(rungs) if len(rung)]
    if not drawn:
        return None
    return np.choose(random_below(len(drawn), derive_key(key, "rung"), shape), drawn)  # type: ignore[arg-type]


ENTRY_REGIMES: dict[str, Regime] = {
    "bulk": bulk,
    "tails": tails,
    "edges": edges,
    "zeros": zeros,
    "subnormals": subnormals,
    "integers": integers,
}


def _choose(values: Floats, key: int, shape: Shape) -> Floats | None:
    return values[random_below(len(values), key, shape)] if len(values) else None


def _even(span: tuple[float, float], dtype: Dtype, key: int, shape: Shape) -> Floats:
    """Return numbers spread evenly, by sums and products, which every machine rounds alike."""
    low, high = span
    share = random_below(2**53, key, shape).astype(np.float64) * 2.0**-53
    return np.clip(round_to(low + (high - low) * share, dtype), low, high)


def _ordinary(span: tuple[float, float], dtype: Dtype, key: int, shape: Shape) -> Floats:
    """Return numbers near 1 in magnitude, or where the span comes nearest to that."""
    sides = _sides(span, dtype)
    low, high, binade = (
        power_ordinal(-3, dtype),
        power_ordinal(3, dtype),
        1 << (dtype.precision - 1),
    )
    near = []
    for side in sides:
        first, last = sorted(map(abs, side))
        above = _window(side, max(low, first), max(high, first + 3 * binade))
        near.append(above or _window(side, max(first, last - 6 * binade), last) or side)
    return _draw(near, dtype, key, shape)


def _sides(span: tuple[float, float], dtype: Dtype) -> list[Range]:
    """Return the span's positive and negative part; zero only where there is nothing else."""
    low, high = ordinal(span, dtype).tolist()
    sides = [(max(low, 1), high), (low, min(high, -1))]
    return [side for side in sides if side[0] <= side[1]] or [(low, high)]


def _window(side: Range, low: int, high: int) -> Range | None:
    """Return the part of the side whose magnitudes have ordinals from ``low`` to ``high``."""
    first, last = sorted(map(abs, side))
    first, last = max(first, low), min(last, high)
    if first > last:
        return None
    return (first, last) if side[0] >= 0 else (-last, -first)


def _binades(side: Range, dtype: Dtype) -> int:
    return (side[1] - side[0]) >> (dtype.precision - 1)


def _draw(ranges: list[Range], dtype: Dtype, key: int, shape: Shape) -> Floats:
    which = random_below(len(ranges), derive_key(key, "range"), shape)
    bounds = np.array(ranges, dtype=np.int64)[which]
    return float_at(random_between(bounds[..., 0], bounds[..., 1], derive_key(key, "place")), dtype)


def _ends(span: tuple[float, float], dtype: Dtype) -> list[tuple[int, int, int]]:
    """Return the bounded ends: where, which way is in, and how far the other end is."""
    low, high = ordinal(span, dtype).tolist()
    largest = largest_ordinal(dtype)
    room = min(high - low, 2**62)  # plenty, and fits the arithmetic
    return [(start, way, room) for start, way in ((low, 1), (high, -1)) if abs(start) < largest]
