"""Drawn points of any regime, those that do not meet a formula's `where` left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradcheck.answer import Floats
from gradcheck.catalog.case import Input
from gradcheck.dtypes import Dtype
from gradcheck.graph.tape import Program
from gradcheck.points.breakpoints import breakpoints
from gradcheck.points.generate import generate
from gradcheck.points.rows import join
from gradcheck.reference.exact import holds


@dataclass(frozen=True, slots=True)
class Site:
    """Where points are drawn: a variant's inputs and formula, and the dtype."""

    inputs: tuple[Input, ...]
    program: Program
    dtype: Dtype


def draw(site: Site, regime: str, seed: int, count: int) -> dict[str, Floats]:
    """Return at most ``count`` points of the regime, whether they meet `where` or not.

    Shapes: [found, *shape] for each input.
    """
    if regime == "breakpoints":
        return breakpoints(site.inputs, site.program, seed, count, site.dtype)
    return generate(site.inputs, regime, seed, count, site.dtype)


def meeting(site: Site, points: dict[str, Floats]) -> dict[str, Floats]:
    """Return the points that certainly meet the formula's conditions."""
    if not site.program.conditions:
        return points
    rows = join(site.inputs, points).tolist()
    kept = np.array([bool(holds(site.program, row)) for row in rows], dtype=np.bool_)
    return {name: values[kept] for name, values in points.items()}
