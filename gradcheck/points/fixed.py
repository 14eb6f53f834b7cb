"""The points that a case declares, rounded to the dtype under test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradcheck.answer import Floats
from gradcheck.catalog.case import Case, Point, Variant
from gradcheck.dtypes import Dtype
from gradcheck.language.nodes import Node
from gradcheck.reference.exact import enclose_constant, nearest_to_ball


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """A declared point and where it lies in a dtype.

    Shapes: each of ``at`` has its input's shape, without an axis for points.
    """

    point: Point
    at: dict[str, Floats]


def fixed_points(case: Case, variant: Variant, dtype: Dtype) -> tuple[FixedPoint, ...]:
    """Return the points declared for the dtype, in their order; all variants share them.

    Errors: ExpressionError for a coordinate that is no constant (the loader has refused it).
    """
    graph = variant.formula.graph
    shapes = {each.name: graph.shape(node) for each, node in
              zip(case.inputs, variant.formula.inputs, strict=True)}  # fmt: skip
    return tuple(
        FixedPoint(point, {name: _floats(point.at[name], shapes[name], dtype) for name in shapes})
        for point in case.points
        if not point.dtypes or dtype.name in point.dtypes
    )


def _floats(tree: Node, shape: tuple[int, ...], dtype: Dtype) -> Floats:
    balls = enclose_constant(tree)
    rounded = np.array(
        [nearest_to_ball(ball, dtype) for ball in balls.ravel().tolist()], dtype=np.float64
    )
    return np.broadcast_to(rounded.reshape(balls.shape), shape).copy()
