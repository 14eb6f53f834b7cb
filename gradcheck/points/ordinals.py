"""Floats as integers in their own order: neighbouring floats get neighbouring ordinals.

Zero is 0, the smallest subnormal 1, and the negative numbers mirror the positive ones. Evenly drawn
ordinals are floats whose exponents are spread evenly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradcheck.answer import Floats
from gradcheck.dtypes import Dtype

Ordinals = NDArray[np.int64]


def ordinal(values: ArrayLike, dtype: Dtype) -> Ordinals:
    """Return each value's place in the order of the dtype's floats.

    Units: the values are finite and exactly representable in the dtype; both zeros give 0.
    """
    floats = np.asarray(values, dtype=np.float64)
    magnitude = np.abs(floats)
    fraction, exponent = np.frexp(magnitude)
    binade = exponent.astype(np.int64) - dtype.emin  # 1 for the smallest normal numbers
    mantissa = np.ldexp(2 * fraction - 1, dtype.precision - 1)
    normal = np.left_shift(np.maximum(binade, 1), dtype.precision - 1) + mantissa.astype(np.int64)
    tiny = magnitude < 2.0**dtype.emin
    quanta = np.ldexp(np.where(tiny, magnitude, 0.0), dtype.precision - 1 - dtype.emin)
    found = np.where(tiny, quanta.astype(np.int64), normal)
    return np.where(floats < 0, -found, found)


def float_at(ordinals: ArrayLike, dtype: Dtype) -> Floats:
    """Return the floats with these ordinals; 0 gives +0.0."""
    places = np.asarray(ordinals, dtype=np.int64)
    magnitude = np.abs(places)
    hidden = np.int64(1) << np.int64(dtype.precision - 1)
    binade = magnitude >> np.int64(dtype.precision - 1)
    mantissa = np.where(binade > 0, magnitude % hidden + hidden, magnitude)
    exponent = np.maximum(binade, 1) - 1 + (dtype.emin - dtype.precision + 1)
    floats = np.ldexp(mantissa.astype(np.float64), exponent.astype(np.int32))
    signed: Floats = np.where(places < 0, -floats, floats)
    return signed


def largest_ordinal(dtype: Dtype) -> int:
    """Return the ordinal of the largest finite float."""
    return int(ordinal(dtype.largest, dtype))


def power_ordinal(exponent: int, dtype: Dtype) -> int:
    """Return the ordinal of 2**exponent, a normal number of the dtype."""
    return (exponent - dtype.emin + 1) << (dtype.precision - 1)


def round_to(values: ArrayLike, dtype: Dtype) -> Floats:
    """Round to the nearest float of the dtype, ties to even; too large becomes infinite."""
    floats = np.asarray(values, dtype=np.float64)
    fraction, exponent = np.frexp(floats)
    last = np.maximum(exponent - dtype.precision, dtype.emin - dtype.precision + 1)
    with np.errstate(over="ignore"):
        rounded = np.ldexp(np.rint(np.ldexp(fraction, exponent - last)), last)
    kept = np.where(np.abs(rounded) > dtype.largest, np.copysign(np.inf, floats), rounded)
    return np.where(np.isfinite(floats), kept, floats)
