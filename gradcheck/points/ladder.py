"""Simpler numbers in place of a number: what shrinking may put there, the simplest first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice, takewhile

import numpy as np

from gradcheck.answer import Floats
from gradcheck.dtypes import Dtype
from gradcheck.points.entries import Spans, inside
from gradcheck.points.ordinals import round_to

Ladder = tuple[float, ...]
"""Rungs from the simplest number to the original one."""

_DECADES = 6  # on either side of 1, in steps of 1, 2, 5; then few


def ladder(value: float, spans: Spans, dtype: Dtype, *, simplest: float = 0.0) -> Ladder:
    """Return the rungs below a number: zero, ones, small round numbers, its leading digits, itself.

    Every rung is a float of the dtype in the domain. The original is the last, as it is: a negative
    zero stays one.
    """
    if value == simplest and math.copysign(1, value) == math.copysign(1, simplest):
        return (value,)
    wanted = dict.fromkeys((simplest, *_plain(value)))
    rounded = round_to(list(wanted), dtype)
    fitting = dict.fromkeys(rounded[inside(rounded, spans)].tolist())
    simpler = takewhile(lambda rung: rung != value or rung == 0, fitting)
    return (*simpler, value) if value else (*islice(simpler, 1), value)


def thin(rungs: Ladder, most: int) -> Ladder:
    """Return at most ``most`` of the rungs, evenly, the first and the last among them."""
    if len(rungs) <= most:
        return rungs
    kept = np.unique(np.linspace(0, len(rungs) - 1, most).astype(np.int64))
    return tuple(rungs[number] for number in kept)


def _plain(value: float) -> Iterator[float]:
    yield from (0.0, 1.0, -1.0)
    sign, size = math.copysign(1.0, value), abs(value)
    if size == 0.0 or not math.isfinite(size):
        return
    yield from (sign * each for each in _round_numbers(size))
    for digits in (1, 2, 3, 4, 6, 8, 12, 16):
        yield float(f"{value:.{digits - 1}e}")


def _round_numbers(size: float) -> Iterator[float]:
    """Return round numbers from 1 towards ``size``, and the integers around it."""
    exponent = int(f"{size:e}".partition("e")[2])
    way = 1 if exponent >= 0 else -1
    for power in range(0, exponent + way, way):
        if abs(power) <= _DECADES:
            steps = [float(f"{digit}e{power}") for digit in (1, 2, 5)[::way]]
            yield from (step for step in steps if step * way <= size * way)
        elif power % 25 == 0:
            yield float(f"1e{power}")
    if 1 < size < 100:
        yield from (math.floor(size), math.ceil(size))


def identity(shape: tuple[int, ...]) -> Floats:
    """Return identity matrices of the shape [..., size, size]."""
    return np.broadcast_to(np.eye(shape[-1]), shape).copy()
