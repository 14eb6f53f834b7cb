"""Cotangents and tangents: deterministic, dyadic with few bits, and bounded away from zero.

A direction is a flat row over all entries of the inputs, or of the judged outputs. An entry of a
complex port has two such numbers, its real and its imaginary part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from gradcheck.answer import Floats, Invocation
from gradcheck.dtypes import DTYPES
from gradcheck.query import Array, Port, complex_entries
from gradcheck.randomness import derive_key, random_signed

COTANGENT, FIRST_TANGENT, SECOND_TANGENT = range(3)
"""Which of a invocation's independent streams a direction is drawn from."""
_IMAGINARY = 8
"""How far on the stream of the imaginary parts lies."""

PLAIN = -1
"""The seed with which every direction is 1: the answers are the derivatives themselves."""


Direction = Callable[[Invocation, Sequence[Port], int], Array]
"""Gives a direction for an invocation, along the entries of ports, from a stream."""


def dense(invocation: Invocation, ports: Sequence[Port], stream: int) -> Array:
    """Random numbers of random sign for every entry, not to be written to.

    Shapes: [count, entries of the ports]; complex128 if one of them is complex.
    """
    is_complex = complex_entries(ports)
    return drawn(invocation.seed, stream, (invocation.count, is_complex.size), is_complex)


BEYOND_A_THOUSAND, NEAR_A_MILLIONTH, NEAR_A_TRILLIONTH = 10, -20, -40
"""Exponents of directions of another size than the usual ones."""


def sparse(direction: Array, numbers: Array) -> Array:
    """A direction with zeros for every other entry, as on a chessboard of points and entries.

    ``numbers`` are the answers along the direction: where one is no number none is set to zero,
    since right code makes no number of 0 times infinity either.
    """
    black = np.indices(direction.shape).sum(0) % 2 == 0
    return np.where(black | ~np.isfinite(numbers).all(1, keepdims=True), direction, 0.0)


def full(exponent: int, invocation: Invocation, ports: Sequence[Port], stream: int) -> Array:
    """As ``dense``, but with every bit of the dtype used, and of another size.

    Units: 2**exponent <= |c| < 2**(exponent + 1), of small ones less far from 1 where the dtype's
           range is small: one is half way to its end then, and the other at it.
    """
    dtype = DTYPES[invocation.dtype]
    least = dtype.emin if exponent <= NEAR_A_TRILLIONTH else dtype.emin // 2
    exponent = max(exponent, least)
    is_complex = complex_entries(ports)
    shape = invocation.count, is_complex.size
    low, most = 2 ** (dtype.precision - 2), 2 ** (dtype.precision - 1)

    def odd(part: int) -> Floats:
        key = derive_key("full", invocation.seed, stream + part, exponent)
        half = random_signed(low, most - 1, key, shape)
        return np.ldexp(2 * half + np.sign(half), exponent + 1 - dtype.precision)

    found: Array = odd(0)
    if is_complex.any():
        found = found + 1j * np.where(is_complex, odd(_IMAGINARY), 0.0)
    return found


def units(scales: Array, ports: Sequence[Port]) -> list[Array]:
    """For each real coordinate of a direction that of it alone.

    Shapes: as ``dense``, each; a complex entry has two of them, along its real part and along i.
    """
    return [
        _alone(scales, entry, part)
        for entry, kind in enumerate(complex_entries(ports).tolist())
        for part in (1, 1j)[: 1 + kind]
    ]


def _alone(scales: Array, entry: int, part: complex) -> Array:
    direction = np.zeros_like(scales)
    if part == 1:
        direction[:, entry] = scales[:, entry].real
    else:  # PLAIN has no imaginary parts
        direction[:, entry] = 1j * np.where(scales[:, entry].imag == 0, 1, scales[:, entry].imag)
    return direction


def drawn(seed: int, stream: int, shape: tuple[int, int], is_complex: Array | None = None) -> Array:
    """Random numbers of random sign, not to be written to; complex in the columns that are.

    Units: multiples of 1/8 with 1/2 <= |c| <= 2, of a complex number both parts, so that no
           product with one loses a bit that matters, in any dtype.
    """
    found: Array = np.ones(shape) if seed == PLAIN else _eighths(seed, stream, shape)
    if is_complex is not None and is_complex.any():
        beside = 0.0 if seed == PLAIN else _eighths(seed, stream + _IMAGINARY, shape)
        found = found + 1j * np.where(is_complex, beside, 0.0)
    found.setflags(write=False)
    return found


@lru_cache(maxsize=6)  # as many as one invocation asks for, again and again
def _eighths(seed: int, stream: int, shape: tuple[int, ...]) -> Floats:
    return random_signed(4, 16, derive_key("direction", seed, stream), shape) / 8
