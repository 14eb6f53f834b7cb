"""Why a planted fault changes nothing that any right code could not give too: by proof.

What a fault does is held against the domains, shapes and dtype of its case, and against certified
truth. That nobody noticed it is never a reason.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch

from gradcheck.answer import Floats
from gradcheck.catalog.case import Case, Input, Variant
from gradcheck.dtypes import DTYPES, FLOAT64, Dtype
from gradcheck.judge.judge import FAITHFUL_ULPS
from gradcheck.mutation.kinds import NEEDED, FaultKind, FaultPlace, Region
from gradcheck.points.generate import Points, generate, to_coordinates
from gradcheck.query import Query
from gradcheck.randomness import derive_key, random_normal
from gradcheck.reference.ball_arrays import as_floats
from gradcheck.reference.enclosures import Status
from gradcheck.run.session import real_reference_of

_LOOKED_AT = 8  # points
_MOST_DERIVATIVES = 1 << 12
_ROUNDINGS = 8.0
"""Of the tangent, in float64: what does no more than so many does nothing."""


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
    if region is None and not (kind.moves or kind.arrays) and _changes_nothing(kind, dtype):
        yield f"it changes no number of {dtype.name}"
    if kind.moves and not variant.is_elementwise and not any(_moved(kind, variant)):
        yield "it moves nothing in arrays of these shapes"
    sizes = [math.prod(port.shape) for port in variant.formula.ports]
    if kind.beyond_entries and not variant.is_elementwise and max(sizes) <= kind.beyond_entries:
        yield f"the largest input has {max(sizes)} entries"
    if "not contiguous" in kind.name or "expanded" in kind.name:
        ports = variant.formula.judged if "cotangent" in kind.name else variant.formula.ports
        if not variant.is_elementwise and all(math.prod(port.shape) < 2 for port in ports):
            yield "a tensor of one entry has one layout"


def _changes_nothing(kind: FaultKind, dtype: Dtype) -> bool:
    """Whether what it does to each number of a format of 16 bits gives the number itself."""
    format_ = getattr(torch, dtype.name)
    if kind.place not in _OF_NUMBERS or not format_.is_floating_point or format_.itemsize != 2:
        return False
    numbers = torch.arange(-(1 << 15), 1 << 15).to(torch.int16).view(format_)
    numbers = numbers[torch.isfinite(numbers)]
    return bool(torch.equal(kind.act(numbers, numbers), numbers))


_OF_NUMBERS = (FaultPlace.BACKWARD, FaultPlace.JVP, FaultPlace.SECOND, FaultPlace.COTANGENT)


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
    those of order 2, which autograd then takes as 0 without anything that is passed; or the
    derivative of the code maps what it does to a tangent to 0; or there is no derivative at the one
    number where it strikes.
    """
    order = 2 if kind.place is FaultPlace.SECOND else 1
    points = generate(variant.inputs, "bulk", seed, _LOOKED_AT, dtype)
    multiplies = kind.factor is not None and math.isfinite(kind.factor)
    everywhere = kind.region is None and (multiplies or kind.factor is None)
    of_tangents = kind.place is FaultPlace.JVP and everywhere
    keeps_zero = multiplies or kind.moves or bool(kind.through) or of_tangents
    if (keeps_zero or (order == 2 and not is_passed)) and _are_zero(
        variant, order, to_coordinates(variant.inputs, points), kind
    ):
        return f"every derivative of order {order} is certified to be 0"
    if of_tangents and not variant.is_elementwise and _maps_to_zero(kind, variant, points, seed):
        return "the derivative is certified to map what it does to a tangent to 0"
    if kind.region and kind.region.points and len(variant.inputs) == 1 and variant.is_elementwise:
        at = np.array([kind.region.points], dtype=np.float64)
        found = real_reference_of(variant).enclose(Query.of_all(order), at)
        if (found.status == Status.UNDEFINED).all():
            return f"there is no derivative at {kind.region.points[0]:g}"
    return ""


def _maps_to_zero(kind: FaultKind, variant: Variant, points: Points, seed: int) -> bool:
    """Whether it strikes at all points looked at, and the derivative of what it does there is 0.

    What is added to all entries does nothing to a variance.
    """
    rows, reference = to_coordinates(variant.inputs, points), real_reference_of(variant)
    has_complex = any(each.domain.complex for each in variant.inputs)
    if has_complex or not len(rows) or reference.outputs * reference.size > _MOST_DERIVATIVES:
        return False
    keys = [derive_key("tangents", seed, number) for number in range(len(rows))]
    for row, tangent in zip(rows, random_normal(keys, rows.shape[1]), strict=True):
        done = _done_to(kind, variant, tangent, row)
        found = reference.enclose(Query.of_all(1), row[None])
        settled = (found.status == Status.SETTLED).all()
        if not (settled and done.any() and np.isfinite(done).all()):
            return False
        slopes = as_floats(found.balls[0])
        sizes = np.abs(slopes) @ (np.abs(tangent) + np.abs(done))
        if (np.abs(slopes @ done) > _ROUNDINGS * FLOAT64.unit_roundoff * sizes).any():
            return False
    return True


def _done_to(kind: FaultKind, variant: Variant, tangent: Floats, row: Floats) -> Floats:
    """What the fault adds to a tangent at a point. Shapes: [n] each."""
    found = np.zeros_like(row)
    parts = _parts(variant)
    for number in kind.inputs_concerned(len(parts)):
        shape, part = variant.inputs[number].shape, parts[number]
        right, x = (torch.from_numpy(each[part]).reshape(shape) for each in (tangent, row))
        found[part] = (kind.act(right, x) - right).numpy().reshape(-1)
    return found


def _parts(variant: Variant) -> list[slice]:
    """Where the entries of each input stand in a row of all."""
    ends = np.cumsum([0, *(math.prod(each.shape) for each in variant.inputs)]).tolist()
    return [slice(*each) for each in itertools.pairwise(ends)]


def _are_zero(variant: Variant, order: int, rows: Floats, kind: FaultKind) -> bool:
    """Whether all derivatives by what it concerns are 0; of many, whether what they make of a
    random tangent is exactly 0.
    """
    reference, concerned = real_reference_of(variant), slice(None)
    if kind.concerned and order == 1:
        parts = _parts(variant)
        (number,) = kind.inputs_concerned(len(parts))
        concerned = parts[number]
    query, is_many = (
        Query.of_all(order),
        reference.outputs * reference.size**order > _MOST_DERIVATIVES,
    )
    if is_many:
        tangent = np.zeros((1, reference.size))
        tangent[0, concerned] = random_normal([derive_key("zero")], reference.size)[0, concerned]
        query = Query(order, None, (tangent,) * order)
    for row in rows[:, None]:
        balls = reference.enclose(query, row).balls[0]
        found = balls if is_many else balls[:, concerned]
        if not all(ball.is_zero() for ball in found.ravel()):
            return False
    return bool(len(rows))
