"""Cotangents and tangents: deterministic, dyadic with few bits, and bounded away from zero."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gradcheck.answer import Floats

COTANGENT, FIRST_TANGENT, SECOND_TANGENT = range(3)
"""Which of a invocation's independent streams a direction is drawn from."""

PLAIN = -1
"""The seed with which every direction is 1: the answers are the derivatives themselves."""


@lru_cache(maxsize=256)  # several calls ask about the same direction, in every dtype
def dense(seed: int, stream: int, shape: tuple[int, ...]) -> Floats:
    """Random numbers of random sign, not to be written to.

    Units: multiples of 1/8 with 1/2 <= |c| <= 2, so that no product with one loses a bit that
           matters, in any dtype.
    """
    found = np.ones(shape) if seed == PLAIN else _from_bits(_bits(seed, stream, shape))
    found.setflags(write=False)
    return found


def units(seed: int, stream: int, shape: tuple[int, int]) -> list[Floats]:
    """For each of n entries the direction of that entry alone, scaled at random.

    Shapes: ``shape`` is [count, n]; each of the n directions has that shape.
    """
    scales = dense(seed, stream, shape)
    result = []
    for entry in range(shape[1]):
        direction = np.zeros(shape)
        direction[:, entry] = scales[:, entry]
        result.append(direction)
    return result


def _bits(seed: int, stream: int, shape: tuple[int, ...]) -> NDArray[np.uint64]:
    # The raw bits of PCG64 are the same in every version of NumPy; its distributions may not be.
    generator = np.random.PCG64([seed, stream])
    count = int(np.prod(shape, dtype=np.int64))
    return np.asarray(generator.random_raw(count), dtype=np.uint64).reshape(shape)


def _from_bits(bits: NDArray[np.uint64]) -> Floats:
    magnitude = (4 + (bits >> np.uint64(8)) % np.uint64(13)).astype(np.float64) / 8
    return np.where(bits >> np.uint64(63) == 0, magnitude, -magnitude)
