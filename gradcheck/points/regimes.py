"""Which regimes have a meaning for given inputs, and points of any of them.

Points that do not meet a formula's `where` are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradcheck.answer import Floats
from gradcheck.catalog.case import Input
from gradcheck.dtypes import DTYPES, Dtype
from gradcheck.graph.lower import Lowered
from gradcheck.points.correlated import Fields, groups
from gradcheck.points.generate import fields_of, generate, to_rows
from gradcheck.points.kinks import breakpoints, kinks
from gradcheck.points.marginals import ENTRY_REGIMES
from gradcheck.points.matrices import MADE, SCALED
from gradcheck.reference.conditions import holds


@dataclass(frozen=True, slots=True)
class Site:
    """Where points are drawn: a variant's inputs and formula, and the dtype."""

    inputs: tuple[Input, ...]
    formula: Lowered
    dtype: Dtype


def regimes(inputs: tuple[Input, ...], formula: Lowered) -> tuple[str, ...]:
    """Return the regimes that have a meaning for these inputs, ``bulk`` first.

    They do not depend on the dtype: float64 decides.
    """
    fields = fields_of(inputs, DTYPES["float64"])
    free = tuple(field for field in fields if field.size and field.kind not in MADE)
    found = ["bulk", *(name for name in ENTRY_REGIMES if name != "bulk" and _occurs(name, free))]
    scaled = any(field.size and field.kind in SCALED for field in fields)
    if scaled and "tails" not in found:
        found.insert(1, "tails")
    if groups(free):
        found += ["ties", "offsets"]
    if any(field.square for field in fields):
        found.append("singular")
    if free and kinks(formula):
        found.append("breakpoints")
    return (*found, "mixed") if len(found) > 2 else tuple(found)


def _occurs(regime: str, fields: Fields) -> bool:
    return any(field.draw(regime, 0, (1,)) is not None for field in fields)


def draw(site: Site, regime: str, seed: int, count: int) -> dict[str, Floats]:
    """Return at most ``count`` points of the regime, whether they meet `where` or not.

    Shapes: [found, *shape] for each input.
    """
    if regime == "breakpoints":
        return breakpoints(site.inputs, site.formula, seed, count, site.dtype)
    return generate(site.inputs, regime, seed, count, site.dtype)


def meeting(site: Site, points: dict[str, Floats]) -> dict[str, Floats]:
    """Return the points that certainly meet the formula's conditions."""
    if not site.formula.conditions:
        return points
    kept = holds(site.formula, to_rows(site.inputs, points)).astype(np.bool_)
    return {name: values[kept] for name, values in points.items()}
