"""Whether the code on trial answers twice alike. What is random has no derivative to be held to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradcheck.run.hearing import Hearing, hear
from gradcheck.run.scene import Points, Scene, scene_of

RANDOM = (
    "random: two calls at the same input differ; pin it: seed it within, with torch.manual_seed or "
    "a torch.Generator, or switch it off, as dropout by eval()"
)
BLAMED = "the implementation is random, which no formula is"
_CALLS = 8
"""As many as tell a coin's sides apart but for one time in a hundred."""
_CLOSE = 1e-3
"""Sums that are added up in another order are no randomness."""


def is_random(scene: Scene, points: Points, seed: int) -> bool:
    """Whether the value, or what the check's witness says, varies from call to call."""
    value = scene_of(replace(scene.check, witness="value"))
    return any(_varies(each, points, seed) for each in (value, scene))


def _varies(scene: Scene, points: Points, seed: int) -> bool:
    first = _numbers(hear(scene, points, seed))
    again = (_numbers(hear(scene, points, seed)) for _ in range(_CALLS - 1))
    return not all(
        len(numbers) == len(first) and np.allclose(numbers, first, rtol=_CLOSE, equal_nan=True)
        for numbers in again
    )


def _numbers(hearing: Hearing) -> list[float]:
    return [entry.got for entry in hearing.entries]
