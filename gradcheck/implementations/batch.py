"""Whether many points can be put to an implementation in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

_RTOL = 1e-3
"""Wide enough for kernels that differ by rounding; a function that mixes points is off by far."""


def acts_on_each_point(function: Callable[..., Any], points: Sequence[Tensor]) -> bool:
    """Whether a call on all points at once gives what calls on single points give.

    Shapes: ``points`` holds one tensor [count] for each input. The function must give [count]
            for them, and a tensor [] for single numbers.
    Errors: none; an implementation that raises does not act on each point.
    """
    copies = [point.detach().clone() for point in points]
    try:
        with torch.no_grad():
            together = function(*copies)
            singly = [
                function(*(entry.clone() for entry in point)) for point in zip(*points, strict=True)
            ]
            return _same(together, singly)
    except (Exception, SystemExit):
        return False


def _same(together: Any, singly: list[Any]) -> bool:
    if not isinstance(together, Tensor) or together.shape != (len(singly),):
        return False
    if any(not isinstance(value, Tensor) or value.shape != () for value in singly):
        return False
    return torch.allclose(together, torch.stack(singly), rtol=_RTOL, atol=0.0, equal_nan=True)
