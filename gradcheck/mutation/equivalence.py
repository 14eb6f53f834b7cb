"""Why a planted fault changes nothing that any right code could not give too: by proof.

What a fault does is held against the domains, shapes and dtype of its case, and against certified
truth. That nobody noticed it is never a reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from gradcheck.catalog.case import Case, Input, Variant
from gradcheck.dtypes import DTYPES, Dtype
from gradcheck.judge.judge import FAITHFUL_ULPS
from gradcheck.mutation.kinds import NEEDED, FaultKind, FaultPlace, Region
from gradcheck.points.generate import generate, to_coordinates
from gradcheck.query import Query
from gradcheck.reference.enclosures import Status
from gradcheck.run.session import real_reference_of

_LOOKED_AT = 8  # points
_MOST_DERIVATIVES = 1 << 12


def stands(kind: FaultKind, case: Case, variant: Variant) -> bool:
    """Whether the kind means anything there."""
    ports = (*variant.formula.ports, *variant.formula.judged)
    has_complex = any(port.kind == "complex" for port in ports)
    if (kind.real_only and has_complex) or (kind.complex_only and not has_complex):
        return False
    if len(variant.inputs) < kind.inputs or not _is_derived(kind, case):
        return False
    shapes = [each.shape for each in variant.inputs]
    if kind.place is FaultPlace.REDUCTION:
        return any(widened(variant))
    if kind.place is FaultPlace.PAIR:
        return variant.inputs[0].port.kind == variant.inputs[1].port.kind and shapes[0] == shapes[1]
    return not kind.arrays or any(math.prod(shape) > 1 for shape in shapes)


def _is_derived(kind: FaultKind, case: Case) -> bool:
    """Whether the case has derivatives of the sort that the kind alters."""
    if kind.place is FaultPlace.SECOND and case.order < 2:
        return False
    return NEEDED[kind.place] not in case.without


def widened(variant: Variant) -> list[torch.Size | None]:
    """The shape of another input that each is broadcast to along new dimensions, or None."""
    shapes = [each.shape for each in variant.inputs]
    widest = max(shapes, key=lambda shape: (len(shape), math.prod(shape)))
    return [
        torch.Size(widest)
        if len(shape) < len(widest) and widest[len(widest) - len(shape) :] == shape
        and math.prod(widest) > math.prod(shape) > 0
        else None
        for shape in shapes
    ]  # fmt: skip


def proof(kind: FaultKind, variant: Variant, dtype: Dtype) -> str:
    """Return why the fault changes nothing there, empty where that is not proved."""
    return next((text for text in _proofs(kind, variant, dtype) if text), "")


def _proofs(kind: FaultKind, variant: Variant, dtype: Dtype) -> Iterator[str]:
    region = kind.region
    if region is not None and not any(_meets(region, each, dtype) for each in variant.inputs):
        yield "no number of the domain lies there"
    if kind.through and _holds(DTYPES[kind.through], dtype):
        yield f"{kind.through} holds every number of {dtype.name}"
    if kind.moves and not variant.is_elementwise and not any(_moved(kind, variant)):
        yield "it moves nothing in arrays of these shapes"
    sizes = [math.prod(port.shape) for port in variant.formula.ports]
    if kind.beyond_entries and not variant.is_elementwise and max(sizes) <= kind.beyond_entries:
        yield f"the largest input has {max(sizes)} entries"
    if "not contiguous" in kind.name or "expanded" in kind.name:
        ports = variant.formula.judged if "cotangent" in kind.name else variant.formula.ports
        if not variant.is_elementwise and all(math.prod(port.shape) < 2 for port in ports):
            yield "a tensor of one entry has one layout"


def within_rounding(kind: FaultKind, dtype: Dtype) -> str:
    """Return why right code may differ as much as the fault, empty where it may not."""
    limit = FAITHFUL_ULPS * dtype.unit_roundoff
    is_near = kind.factor is not None and abs(kind.factor - 1) <= limit
    if kind.through:
        wide = DTYPES[kind.through]  # half a unit of it is 2**k / 2 of the dtype's
        is_near = 2.0 ** (dtype.precision - wide.precision - 1) <= FAITHFUL_ULPS
        is_near &= wide.emax >= dtype.emax
    if is_near:
        return f"it moves a number by at most {FAITHFUL_ULPS} ulps of {dtype.name}"
    return ""


def _meets(region: Region, given: Input, dtype: Dtype) -> bool:
    """Whether a number of the input's domain may lie in the region."""
    if given.domain.complex:
        return True
    spans = given.domain.spans(DTYPES[dtype.real])
    reached = any(low < region.high and high > region.low for low, high in spans)
    whole = any(math.floor(high) >= math.ceil(low) for low, high in spans)
    points = any(given.domain.contains(point) for point in region.points)
    return points or (reached and region.low < region.high) or (region.integers and whole)


def _holds(wide: Dtype, dtype: Dtype) -> bool:
    """Whether each number of the one format is one of the other."""
    return wide.precision >= dtype.precision and wide.emax >= dtype.emax


def _moved(kind: FaultKind, variant: Variant) -> Iterator[bool]:
    """Of each array that is concerned, whether its entries come out otherwise.

    These are square roots, of which no two are equal.
    """
    is_cotangent = kind.place is FaultPlace.COTANGENT
    ports = variant.formula.judged if is_cotangent else variant.formula.ports
    for port in ports:
        count = math.prod(port.shape)
        tensor = (torch.arange(count, dtype=torch.float64) + 2).sqrt().reshape(port.shape)
        yield bool(count) and not kind.act(tensor, tensor).equal(tensor)


def certified_reason(
    kind: FaultKind, variant: Variant, dtype: Dtype, seed: int, *, is_passed: bool = True
) -> str:
    """Return why certified truth says that the fault changes nothing, empty where it does not.

    The derivatives that it multiplies, moves or rounds are exactly 0 at all points looked at, or
    those of order 2, which autograd then takes as 0 without anything that is passed; or there is no
    derivative at the one number where it strikes.
    """
    order = 2 if kind.place is FaultPlace.SECOND else 1
    multiplies = kind.factor is not None and math.isfinite(kind.factor)
    keeps_zero = multiplies or kind.moves or bool(kind.through)
    if keeps_zero or (order == 2 and not is_passed):
        points = generate(variant.inputs, "bulk", seed, _LOOKED_AT, dtype)
        if _are_zero(variant, order, to_coordinates(variant.inputs, points), kind.concerned):
            return f"every derivative of order {order} is certified to be 0"
    if kind.region and kind.region.points and len(variant.inputs) == 1 and variant.is_elementwise:
        at = np.array([kind.region.points], dtype=np.float64)
        found = real_reference_of(variant).enclose(Query.of_all(order), at)
        if (found.status == Status.UNDEFINED).all():
            return f"there is no derivative at {kind.region.points[0]:g}"
    return ""


def _are_zero(variant: Variant, order: int, rows: np.ndarray, concerned: str) -> bool:
    reference = real_reference_of(variant)
    if not len(rows) or reference.outputs * reference.size**order > _MOST_DERIVATIVES:
        return False
    for row in rows:
        balls = reference.enclose(Query.of_all(order), row[None]).balls[0]
        if concerned and order == 1:
            sizes = [math.prod(each.shape) for each in variant.inputs]
            ends = (0, sizes[0]) if concerned == "first" else (sum(sizes[:-1]), sum(sizes))
            balls = balls[:, slice(*ends)]
        if not all(ball.is_zero() for ball in balls.ravel()):
            return False
    return True
