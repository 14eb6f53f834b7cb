"""Where a user's code is worth a look: the constants it compares with, and where it departs.

It departs from what PyTorch makes of the formula, which is told at thousands of points, and judged
at the few at which it does.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from gradcheck.catalog.case import Implementation
from gradcheck.catalog.checks import Check
from gradcheck.devices import dtype_on
from gradcheck.dtypes import DTYPES
from gradcheck.floats import round_to
from gradcheck.implementations.comparisons import compared_constants
from gradcheck.implementations.departures import departing, directional_derivatives
from gradcheck.implementations.subject import subject_of
from gradcheck.points.covering import candidates
from gradcheck.points.generate import Points, count_of, generate, to_rows, within
from gradcheck.points.plan import Batch, Site, meeting
from gradcheck.query import Array

_TOGETHER, _ALONE, _MOST_ENTRIES = (1024, 8192), (96, 24), 4096
"""Of the covering set and of further points, so many are looked at for a departure: where one call
takes many, and where each is a call of its own; and the entries of all the latter, at most."""
_BESIDE = 2.0**-8  # how far from a breakpoint a departure is looked for, relatively
_HEARD = 3  # calls of each sort, at which a user's code is listened to


def aims_of(check: Check) -> tuple[float, ...]:
    """The constants with which a code compares, at some ordinary and some large points."""
    where = check.case, check.variant, check.implementation, check.dtype, check.device
    return compared_constants(subject_of(*where), _calls(check))


def departures_of(check: Check, covering: Batch, *, together: bool) -> Points:
    """Points at which a code departs from PyTorch's derivative of the formula; none, where there
    is none. ``together`` says that one call takes many.
    """
    variant, dtype = check.variant, dtype_on(check.device, check.dtype)
    size = sum(math.prod(each.shape) for each in variant.inputs)
    site = Site(variant.inputs, variant.formula, dtype)
    points = _looked_at(site, covering, size, together=together)
    count, wide = count_of(points), "complex128" if dtype.parts else "float64"
    ours, theirs = (
        [
            [probe(points[each.name][k], name, device) for each in variant.inputs]
            for k in ([slice(None)] if together else range(count))
        ]
        for name, device in ((check.dtype, check.device), (wide, "cpu"))
    )
    rows = to_rows(variant.inputs, points)
    places = rows[:, 0].real if size == 1 else np.abs(rows).max(axis=1, initial=0.0)
    formula = Implementation(text="", where=check.implementation.where)
    code = subject_of(check.case, variant, check.implementation, check.dtype, check.device)
    try:
        other = subject_of(check.case, variant, formula, wide, "cpu")
    except Exception:  # the formula is not to be had in PyTorch, or not where this is called from
        return {}
    each, asked = count if together else 1, [True, check.case.order > 1, True]
    found = [directional_derivatives(code, call, each, asked) for call in ours]
    asked = [any(one is not None for one in several) for several in zip(*found, strict=True)]
    expected = [directional_derivatives(other, call, each, asked) for call in theirs]
    chosen = departing(found, expected, places, dtype)
    return {name: values[chosen] for name, values in points.items()} if chosen else {}


def _looked_at(site: Site, covering: Batch, size: int, *, together: bool) -> Points:
    """The beginning of the covering set, and points beside it that meet the formula's conditions.

    They are few where they are large.
    """
    first, more = _TOGETHER if together else _ALONE
    most = first + more if together else _MOST_ENTRIES // max(size, 1)
    begun = covering.taken(np.arange(covering.count) < min(first, most))
    kinks = begun.taken(np.array(begun.kinds) == "breakpoints").points
    other = [candidates(site.inputs, site.dtype, min(more, most))]
    for factor in (1 + _BESIDE, 1 - _BESIDE):
        moved = {name: round_to(values * factor, site.dtype) for name, values in kinks.items()}
        inside = within(site.inputs, moved, site.dtype)
        other.append({name: values[inside] for name, values in moved.items()})
    points = {
        name: np.concatenate([values, *(each[name] for each in other)])
        for name, values in begun.points.items()
    }
    return meeting(site, Batch(("found",) * count_of(points), points)).points


def _calls(check: Check) -> list[list[torch.Tensor]]:
    """Ordinary and large points, one by one, as the code on trial takes them."""
    inputs, dtype = check.variant.inputs, dtype_on(check.device, check.dtype)
    found = [generate(inputs, regime, 0, _HEARD, dtype) for regime in ("bulk", "tails")]
    return [
        [probe(points[each.name][k], check.dtype, check.device) for each in inputs]
        for points in found
        for k in range(count_of(points))
    ]


def probe(numbers: Array, dtype: str, device: str) -> torch.Tensor:
    """Numbers as an input of a call; complex ones in the dtype itself."""
    kind = dtype if np.iscomplexobj(numbers) else DTYPES[dtype].real
    return torch.tensor(numbers, dtype=getattr(torch, kind), device=device)
