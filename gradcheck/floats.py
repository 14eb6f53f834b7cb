"""The floats of a dtype as a lattice: rounding to it, neighbours, distances, order.

A float of any dtype is held as a Python float or in a float64 array, and is exact there. Functions
of one ``value`` take an exact number; functions of ``values`` take arrays of floats, and floats.
A complex number is its two parts (``real_coordinates``), each on the lattice of the real dtype;
``round_to`` takes both kinds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradcheck.answer import Floats
from gradcheck.dtypes import FLOAT64, Dtype

Ordinals = NDArray[np.int64]


def nearest_float(value: Fraction | float, dtype: Dtype = FLOAT64, *, exponent: int = 0) -> float:
    """Round ``value * 2**exponent`` to the nearest float of the dtype, ties to even.

    What is beyond the range becomes infinite, and a negative number that vanishes -0.0. However
    large the exponent is, its power of two is never written out.

    Units: ``value`` may be infinite or NaN, and then is what is returned.
    Source: IEEE 754-2019, section 4.3.1, roundTiesToEven.
    """
    if not value or (isinstance(value, float) and not math.isfinite(value)):
        return float(value)
    if dtype == FLOAT64 and not exponent:  # Python rounds so itself, and in a hundredth of the time
        with suppress(OverflowError):
            return float(value)
    magnitude = _to_lattice(abs(Fraction(value)), exponent, dtype, round)
    return magnitude if value > 0 else -magnitude


def float_above(value: Fraction | float, dtype: Dtype = FLOAT64, *, exponent: int = 0) -> float:
    """Return the smallest finite float of at least ``value * 2**exponent``; inf where none is.

    Units: ``value`` is finite. Zero is +0.0, which a negative number that is tiny gives too.
    """
    exact = Fraction(value)
    if exact > 0:
        return _to_lattice(exact, exponent, dtype, math.ceil)
    return 0.0 - min(_to_lattice(-exact, exponent, dtype, math.floor), dtype.largest)


def _to_lattice(
    magnitude: Fraction, exponent: int, dtype: Dtype, whole: Callable[[Fraction], int]
) -> float:
    """Return ``magnitude * 2**exponent``, as many ulps as ``whole`` makes of their exact number.

    With 2**leading <= magnitude * 2**exponent < 2**(leading + 1), an ulp is
    2**(max(leading, emin) - precision + 1).
    """
    if not magnitude:
        return 0.0
    leading = _leading(magnitude) + exponent
    if leading > dtype.emax:  # seen before a power of two fills the memory
        return math.inf
    last = max(leading, dtype.emin) - dtype.precision + 1
    if leading < last - 2:  # less than a quarter of the smallest float: rounds as a quarter does
        magnitude, exponent = Fraction(1, 4), last
    count = whole(magnitude * Fraction(2) ** (exponent - last))
    if count >= 2**dtype.precision and leading == dtype.emax:
        return math.inf
    return math.ldexp(count, last)


def _leading(magnitude: Fraction) -> int:
    """Return the exponent of the largest power of two that is at most ``magnitude``."""
    above, below = magnitude.numerator, magnitude.denominator
    guess = above.bit_length() - below.bit_length()  # that, or one too many
    too_many = above < below << guess if guess >= 0 else above << -guess < below
    return guess - too_many


def next_float(values: ArrayLike, dtype: Dtype) -> Floats:
    """Return the next larger floats of the dtype, as ``torch.nextafter`` does on the way to inf.

    Units: the values are floats of the dtype, infinite ones and NaN among them.
    """
    floats = np.asarray(values, dtype=np.float64)
    # The float above -2**k lies in the binade below 2**k, where floats lie twice as close.
    inner = np.where(floats < 0, np.nextafter(np.abs(floats), 0.0), floats)
    with np.errstate(over="ignore"):
        moved = floats + spacing(inner, dtype)
    moved = np.where(floats >= dtype.largest, np.inf, moved)
    found: Floats = np.where(floats == -np.inf, -dtype.largest, moved)
    return found


def ulp(value: float, dtype: Dtype) -> float:
    """Return the unit in the last place at a number: how far apart floats of its binade lie.

    Zero and subnormal numbers have that of the smallest normal ones; what is beyond the range has
    that of the largest float. ``spacing`` is the same for arrays, and slower for one number.
    """
    magnitude = min(abs(value), dtype.largest)
    leading = math.frexp(magnitude)[1] - 1 if magnitude else dtype.emin
    return math.ldexp(1.0, max(leading, dtype.emin) - dtype.precision + 1)


def spacing(values: ArrayLike, dtype: Dtype) -> Floats:
    """Return the unit in the last place at each number, as ``ulp`` does.

    Shapes: those of ``values``.
    """
    magnitude = np.minimum(np.abs(np.asarray(values, dtype=np.float64)), dtype.largest)
    _, above = np.frexp(magnitude)  # 2**(above - 1) <= magnitude < 2**above
    leading = np.where(magnitude < 2.0**dtype.emin, dtype.emin, above - 1)
    found: Floats = np.ldexp(1.0, leading - dtype.precision + 1)
    return found


def real_coordinates(values: ArrayLike) -> Floats:
    """Return complex numbers as pairs of floats: the real part, then the imaginary part.

    Shapes: those of ``values`` with a last axis of length 2.
    """
    numbers = np.ascontiguousarray(values, dtype=np.complex128)
    return numbers.view(np.float64).reshape(*np.shape(values), 2)


def from_real_coordinates(pairs: Floats) -> NDArray[np.complex128]:
    """Return the complex numbers of which ``pairs`` are the parts, as they lie on the last axis."""
    return np.ascontiguousarray(pairs, dtype=np.float64).view(np.complex128)[..., 0]


@overload
def round_to(values: NDArray[np.complex128], dtype: Dtype) -> NDArray[np.complex128]: ...


@overload
def round_to(values: ArrayLike, dtype: Dtype) -> Floats: ...


def round_to(values: ArrayLike, dtype: Dtype) -> NDArray[Any]:
    """Round numbers to the nearest ones of the dtype, ties to even; too large becomes infinite.

    Complex numbers are rounded part by part, and stay complex, also for a real dtype.
    """
    if np.iscomplexobj(values):
        return from_real_coordinates(_rounded(real_coordinates(values), dtype))
    return _rounded(values, dtype)


def _rounded(values: ArrayLike, dtype: Dtype) -> Floats:
    floats = np.asarray(values, dtype=np.float64)
    fraction, exponent = np.frexp(floats)
    last = np.maximum(exponent - dtype.precision, dtype.emin - dtype.precision + 1)
    with np.errstate(over="ignore"):
        rounded = np.ldexp(np.rint(np.ldexp(fraction, exponent - last)), last)
    kept = np.where(np.abs(rounded) > dtype.largest, np.copysign(np.inf, floats), rounded)
    return np.where(np.isfinite(floats), kept, floats)


def ordinal(values: ArrayLike, dtype: Dtype) -> Ordinals:
    """Return each float's place in the order of the dtype's floats.

    Zero is 0, the smallest subnormal 1, and the negative numbers mirror the positive ones:
    neighbouring floats have neighbouring ordinals. Evenly drawn ordinals are floats whose exponents
    are spread evenly.

    Units: the values are finite floats of the dtype; both zeros give 0.
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
    return power_ordinal(dtype.emax + 1, dtype) - 1


def power_ordinal(exponent: int, dtype: Dtype) -> int:
    """Return the ordinal of 2**exponent, a normal number of the dtype."""
    return (exponent - dtype.emin + 1) << (dtype.precision - 1)
