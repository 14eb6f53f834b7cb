"""Random bits that are the same on every machine: a counter, mixed by SplitMix64.

Points, directions and all other random numbers come from it. Integer arithmetic only, so that no
version of a library and no processor changes one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def derive_key(*labels: str | int) -> int:
    """Return a 64-bit key for the labels; different labels have unrelated keys."""
    text = "\x1f".join(map(str, labels))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def random_words(key: int, shape: tuple[int, ...]) -> Words:
    """Return uniform 64-bit words.

    Source: SplitMix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
            OOPSLA 2014, figure 17 (the function ``mix64variant13``).
    """
    return _mixed(_counter(math.prod(shape)) + np.uint64(key & _MASK)).reshape(shape)


def _counter(count: int) -> Words:
    counter = np.arange(1, count + 1, dtype=np.uint64)
    counter *= np.uint64(_GOLDEN)
    return counter


def _mixed(z: Words) -> Words:
    """The words that follow from states, which are overwritten."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z ^= z >> np.uint64(shift)
        z *= np.uint64(factor)
    z ^= z >> np.uint64(31)
    return z


def golden_shares(numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the multiples of the golden ratio modulo 1: every run of them is spread evenly.

    Units: the gaps between n successive ones have at most three lengths, none beyond 1.9 / n.
    Source: Slater, "Gaps and steps for the sequence n theta mod 1", Mathematical Proceedings of the
            Cambridge Philosophical Society 63, 1967.
    """
    words = numbers.astype(np.uint64) * np.uint64(_GOLDEN)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def random_below(limit: int, key: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return integers from 0 to ``limit`` - 1, evenly but for a bias of limit / 2**64."""
    return (random_words(key, shape) % np.uint64(limit)).astype(np.int64)


def random_between(low: NDArray[np.int64], high: NDArray[np.int64], key: int) -> NDArray[np.int64]:
    """Return an integer from each of the closed ranges, which may hold up to 2**64 - 1 integers.

    Shapes: all three alike.
    """
    start = low.astype(np.uint64)  # wraps around, and so does the sum below
    size = high.astype(np.uint64) - start + np.uint64(1)
    return (start + random_words(key, low.shape) % size).astype(np.int64)


def random_signed(least: int, most: int, key: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return whole numbers with magnitudes from ``least`` to ``most``, of random sign."""
    words = random_words(key, shape)
    size = least + ((words >> np.uint64(8)) % np.uint64(most - least + 1)).astype(np.float64)
    return np.where(words >> np.uint64(63) == 0, size, -size)


def random_normal(keys: Sequence[int], count: int) -> NDArray[np.float64]:
    """Return numbers of mean 0 and variance 1, about normal: sums of four even ones of 16 bits.

    They are made in blocks that stay in a processor's cache.

    Shapes: [keys, count], of each key the numbers that ``random_words`` of it makes.
    """
    found = np.empty((len(keys), count))
    starts, counter = np.array(keys, dtype=np.uint64)[:, None], _counter(count)
    some = max(1, _BLOCK // max(1, count))
    for row in range(0, len(keys), some):
        for place in range(0, count, _BLOCK):
            part = slice(row, row + some), slice(place, place + _BLOCK)
            words = _mixed(counter[part[1]] + starts[part[0]])
            pairs = (words & _TWO_OF_FOUR) + ((words >> np.uint64(16)) & _TWO_OF_FOUR)
            found[part] = (pairs + (pairs >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
    found -= 2 * 65535.0
    found *= math.sqrt(3.0) / 65536
    return found


_BLOCK = 1 << 13
_TWO_OF_FOUR = np.uint64(0x0000FFFF0000FFFF)
