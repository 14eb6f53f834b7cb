"""The points that a case declares, rounded to the dtype under test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradcheck.catalog.case import Case, Input, Point, Variant
from gradcheck.dtypes import Dtype
from gradcheck.query import Array
from gradcheck.reference.exact import enclose_constant, nearest_numbers


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """A declared point and where it lies in a dtype.

    Shapes: each of ``at`` has its input's shape, without an axis for points; it is complex where
            the input is.
    """

    point: Point
    at: dict[str, Array]


def fixed_points(case: Case, variant: Variant, dtype: Dtype) -> tuple[FixedPoint, ...]:
    """Return the points declared for the dtype, in their order; all variants share them.

    Errors: ExpressionError for a coordinate that is no constant (the loader has refused it).
    """
    return tuple(
        FixedPoint(point, {each.name: _rounded(point, each, dtype) for each in variant.inputs})
        for point in case.points
        if not point.dtypes or dtype.name in point.dtypes
    )


def _rounded(point: Point, one: Input, dtype: Dtype) -> Array:
    numbers = nearest_numbers(enclose_constant(point.at[one.name]), dtype)
    kind = np.complex128 if one.domain.complex else np.float64
    return np.broadcast_to(numbers, one.shape).astype(kind)
