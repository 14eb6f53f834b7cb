"""Formulas put to the reference as tests write them: all derivatives of an order at one point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from flint import arb

from gradcheck.graph.lower import Lowered, lower
from gradcheck.language.parse import parse
from gradcheck.query import Query
from gradcheck.reference.derivative_graphs import GraphFunction
from gradcheck.reference.enclosures import Enclosures, Status
from gradcheck.reference.reference import Reference


@dataclass(frozen=True, slots=True)
class Found:
    """One entry of an answer; ``status`` as a word."""

    ball: arb
    status: str

    @property
    def proves(self) -> bool:
        return self.status in ("settled", "kink")


def formula(text: str, **shapes: tuple[int, ...]) -> Lowered:
    inputs = shapes or {"x": ()}
    return lower(parse(text), inputs=inputs, names={}, lets={}, conditions=())


def function_of(text: str, **shapes: tuple[int, ...]) -> GraphFunction:
    return GraphFunction.of(formula(text, **shapes))


def reference_of(text: str, **shapes: tuple[int, ...]) -> Reference:
    return Reference(formula(text, **shapes))


def every(order: int) -> Query:
    """All derivatives of an order."""
    return Query(order, None, (None,) * order)


def entries(found: Enclosures) -> list[Found]:
    """The entries one by one, flat."""
    balls, status = found.balls.reshape(-1), found.status.reshape(-1)
    return [Found(b, Status(s).name.lower()) for b, s in zip(balls, status, strict=True)]


def enclosures(reference: Reference, order: int, point: tuple[float, ...]) -> list[Found]:
    """All derivatives of an order at a point, flat."""
    return entries(reference.enclose(every(order), np.array([point], dtype=float)))
