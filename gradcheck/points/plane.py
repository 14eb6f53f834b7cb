"""Complex entries, one by one: where in a part of the plane a number is drawn.

A number is made of two parts, each of them drawn as a real entry is, or of a distance from a point
and a direction. Directions are rational points of the circle: sums, products and quotients, which
every machine rounds alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gradcheck.answer import Floats
from gradcheck.catalog.domain import Plane, Spans
from gradcheck.dtypes import Dtype
from gradcheck.floats import from_real_coordinates, round_to, spacing
from gradcheck.points.marginals import ENTRY_REGIMES, bulk, edges, in_spans
from gradcheck.randomness import derive_key, random_below

_Numbers = NDArray[np.complex128]
_Shape = tuple[int, ...]
_Maker = Callable[[Plane, int, _Shape], "_Numbers | None"]

_ATTEMPTS = 12
_MARGIN = 2.0**-40  # of a distance, in which its rounding might matter


def inside_plane(values: _Numbers, plane: Plane) -> NDArray[np.bool_]:
    """Say of each number whether it lies in the part of the plane."""
    found = in_spans(values.real, plane.real) & in_spans(values.imag, plane.imaginary)
    for axis, taken_out in plane.cuts:
        along, across = _parts(values, axis)
        found &= ~((across == 0) & in_spans(along, taken_out))
    near = np.zeros(values.shape, dtype=np.bool_)
    for centre, spans in plane.discs:
        with np.errstate(over="ignore"):
            distance = np.hypot(values.real - centre.real, values.imag - centre.imag)
            slack = _MARGIN * (distance + abs(centre))
            wide, narrow = distance + slack, distance - slack
        maybe = np.zeros(values.shape, dtype=np.bool_)
        surely = np.zeros(values.shape, dtype=np.bool_)
        for low, high in spans:
            maybe |= (wide >= low) & (narrow <= high)
            surely |= (narrow > low) & (wide < high)
        found &= maybe
        near |= ~surely
    for place in zip(*np.nonzero(found & near), strict=True):
        found[place] = plane.domain.contains(complex(values[place]))
    return found


def _parts(values: _Numbers, axis: str) -> tuple[Floats, Floats]:
    """What lies along an axis, and across it."""
    return (values.real, values.imag) if axis == "re" else (values.imag, values.real)


def draw_in_plane(regime: str, plane: Plane, key: int, shape: _Shape) -> _Numbers | None:
    """Return numbers of the regime in the part of the plane; None where it has none of that sort.

    What was not met in twelve attempts is one number of the part, and nan where none is known.
    """
    found, left = _tried(_MAKERS[regime], plane, key, shape)
    if left.any() and left.all() and regime != "bulk":
        return None
    if left.any():
        found[left] = _any_number(plane)
    return found


def _any_number(plane: Plane) -> complex:
    """Some number inside; nan where none is found."""
    ends = [*(end for span in plane.real for end in span), 0.0, 1.0, -1.0]
    others = [*(end for span in plane.imaginary for end in span), 0.0, 1.0, -1.0]
    corners = np.array([complex(x, y) for x in ends for y in others])
    within = corners[inside_plane(corners, plane)]
    return complex(within[0]) if len(within) else complex(np.nan, np.nan)


def _tried(
    makers: tuple[_Maker, ...], plane: Plane, key: int, shape: _Shape
) -> tuple[_Numbers, NDArray[np.bool_]]:
    """Numbers by one of the makers each, and which were never inside."""
    found = np.zeros(math.prod(shape), dtype=np.complex128)
    left = np.arange(len(found))
    able = [make for make in makers if make(plane, key, (1,)) is not None]
    for attempt in range(_ATTEMPTS if able else 0):
        if not len(left):
            break
        own = derive_key(key, attempt)
        which = random_below(len(able), derive_key(own, "maker"), (len(left),))
        drawn = np.zeros(len(left), dtype=np.complex128)
        for k, make in enumerate(able):
            numbers = make(plane, derive_key(own, k), (int((which == k).sum()),))
            assert numbers is not None
            drawn[which == k] = numbers
        fits = inside_plane(drawn, plane)
        found[left[fits]] = drawn[fits]
        left = left[~fits]
    failed = np.zeros(len(found), dtype=np.bool_)
    failed[left] = True
    return found.reshape(shape), failed.reshape(shape)


def _part(regime: str, spans: Spans, dtype: Dtype, key: int, shape: _Shape) -> Floats | None:
    return ENTRY_REGIMES[regime](spans, dtype, key, shape) if spans else None


def _cartesian(
    plane: Plane, key: int, shape: _Shape, *, real: str, imaginary: str
) -> _Numbers | None:
    """Two parts, each of a regime of its own."""
    x = _part(real, plane.real, plane.dtype, derive_key(key, "real"), shape)
    y = _part(imaginary, plane.imaginary, plane.dtype, derive_key(key, "imaginary"), shape)
    if x is None or y is None:
        return None
    return from_real_coordinates(np.stack([x, y], axis=-1))


def _polar(plane: Plane, key: int, shape: _Shape, *, regime: str) -> _Numbers | None:
    """A distance of the regime from the centre of a disc, or from 0; a quarter lies on an axis."""
    discs = plane.discs or ((0j, ((0.0, plane.dtype.largest),)),)
    if regime == "edges" and not plane.discs:
        return None
    which = random_below(len(discs), derive_key(key, "disc"), shape)
    found = np.zeros(shape, dtype=np.complex128)
    cosine, sine = _direction(derive_key(key, "direction"), shape)
    for number, (centre, spans) in enumerate(discs):
        radius = _part(regime, spans, plane.dtype, derive_key(key, number), shape)
        if radius is None:
            return None
        parts = [centre.real + radius * cosine, centre.imag + radius * sine]
        found = np.where(which == number, from_real_coordinates(np.stack(parts, axis=-1)), found)
    return round_to(found, plane.dtype)


def _direction(key: int, shape: _Shape) -> tuple[Floats, Floats]:
    """Points of the circle: ((1 - t²)/(1 + t²), 2t/(1 + t²)) with t in [0, 1), turned eight ways.

    A quarter of them has t = 0.
    """
    t = random_below(2**53, derive_key(key, "t"), shape).astype(np.float64) * 2.0**-53
    t = np.where(random_below(4, derive_key(key, "axis"), shape) == 0, 0.0, t)
    x, y = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    turn = random_below(8, derive_key(key, "turn"), shape)
    x, y = np.where(turn & 1, y, x), np.where(turn & 1, x, y)
    return np.where(turn & 2, -x, x), np.where(turn & 4, -y, y)


def _near_cuts(plane: Plane, key: int, shape: _Shape) -> _Numbers | None:
    """On both sides of a cut, the smallest float, an ulp or a small power of two away."""
    cuts = [(axis, spans) for axis, spans in plane.cuts if spans]
    if not cuts:
        return None
    which = random_below(len(cuts), derive_key(key, "cut"), shape)
    found = np.zeros(shape, dtype=np.complex128)
    for number, (axis, spans) in enumerate(cuts):
        own = derive_key(key, number)
        along = bulk(spans, plane.dtype, derive_key(own, "along"), shape)
        ends = edges(spans, plane.dtype, derive_key(own, "ends"), shape)
        if ends is not None:
            at_end = random_below(4, derive_key(own, "at end"), shape) == 0
            along = np.where(at_end, ends, along)
        unit = spacing(along, plane.dtype)
        small = np.ldexp(1.0, -random_below(plane.dtype.precision, derive_key(own, "small"), shape))
        kind = random_below(3, derive_key(own, "kind"), shape)
        across = np.select([kind == 0, kind == 1], [plane.dtype.underflow_step, unit], small)
        across = np.where(random_below(2, derive_key(own, "side"), shape) == 0, across, -across)
        pair = [along, across] if axis == "re" else [across, along]
        found = np.where(which == number, from_real_coordinates(np.stack(pair, axis=-1)), found)
    return found


def _crossed(regime: str) -> tuple[_Maker, ...]:
    """Both parts of the regime, or one of them and the other ordinary."""
    return (
        partial(_cartesian, real=regime, imaginary=regime),
        partial(_cartesian, real=regime, imaginary="bulk"),
        partial(_cartesian, real="bulk", imaginary=regime),
    )


_MAKERS: dict[str, tuple[_Maker, ...]] = {
    "bulk": (partial(_cartesian, real="bulk", imaginary="bulk"), partial(_polar, regime="bulk")),
    "tails": (*_crossed("tails"), partial(_polar, regime="tails")),
    "edges": (*_crossed("edges"), partial(_polar, regime="edges"), _near_cuts),
    "zeros": _crossed("zeros"),
    "subnormals": _crossed("subnormals"),
    "integers": (
        partial(_cartesian, real="integers", imaginary="integers"),
        partial(_cartesian, real="integers", imaginary="zeros"),
        partial(_cartesian, real="zeros", imaginary="integers"),
    ),
}
"""How the numbers of a regime are made: by one of these, chosen at random."""
