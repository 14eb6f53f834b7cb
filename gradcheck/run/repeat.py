"""Whether the code under test answers twice alike: what is random has no derivative."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradcheck.run.observation import Observation, observe
from gradcheck.run.session import Points, Session, session_of

RANDOM = (
    "random: two calls at the same input differ; pin it: seed it within, with torch.manual_seed or "
    "a torch.Generator, or switch it off, as dropout by eval()"
)
BLAMED = "the implementation is random, which no formula is"
_CALLS = 8
"""As many as tell a coin's sides apart but for one time in a hundred."""
_CLOSE = 1e-3
"""Sums that are added up in another order are no randomness."""


def is_random(session: Session, points: Points, seed: int) -> bool:
    """Whether the value, or what the check's witness says, varies from call to call."""
    value = session_of(replace(session.check, witness="value"))
    return any(_varies(each, points, seed) for each in (value, session))


def _varies(session: Session, points: Points, seed: int) -> bool:
    first = _numbers(observe(session, points, seed))
    again = (_numbers(observe(session, points, seed)) for _ in range(_CALLS - 1))
    return not all(
        len(numbers) == len(first) and np.allclose(numbers, first, rtol=_CLOSE, equal_nan=True)
        for numbers in again
    )


def _numbers(observation: Observation) -> list[float]:
    return [entry.got for entry in observation.entries]
