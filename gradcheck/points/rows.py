"""Points as rows: all inputs' entries flattened and joined, in order, as a program numbers them."""

from __future__ import annotations

import math

import numpy as np

from gradcheck.answer import Floats
from gradcheck.catalog.case import Input


def join(inputs: tuple[Input, ...], points: dict[str, Floats]) -> Floats:
    """Return points as rows.

    Shapes: [count, *shape] for each input becomes [count, n].
    """
    columns = [
        points[each.name].reshape(len(points[each.name]), math.prod(each.shape)) for each in inputs
    ]
    return np.concatenate(columns, axis=1)


def split(inputs: tuple[Input, ...], rows: Floats) -> dict[str, Floats]:
    """Return rows as points.

    Shapes: [..., n] becomes [..., *shape] for each input.
    """
    found, start = {}, 0
    for each in inputs:
        end = start + math.prod(each.shape)
        found[each.name] = rows[..., start:end].reshape((*rows.shape[:-1], *each.shape))
        start = end
    return found
