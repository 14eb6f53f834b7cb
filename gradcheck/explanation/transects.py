"""A line laid through a point: certified derivatives along it, and what PyTorch says of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from gradcheck.answer import Floats, Ruling
from gradcheck.catalog.checks import Check
from gradcheck.dtypes import DTYPES
from gradcheck.explanation.point import is_inside, values_at
from gradcheck.explanation.request import owner_of
from gradcheck.explanation.statements import (
    coordinate_names,
    derivative_place,
    with_witness,
)
from gradcheck.graph.lower import Lowered
from gradcheck.judge.judge import Judgement, margins
from gradcheck.methods._torch.directions import PLAIN
from gradcheck.points.generate import Points, count_of, from_coordinates, to_coordinates
from gradcheck.query import Array, Port, Query
from gradcheck.reference.enclosures import Status
from gradcheck.run.observation import observe
from gradcheck.run.session import Session, reference_of, session_of

_WITNESSES = ("value", "reverse", "second")  # who says what PyTorch's numbers of an order are


@dataclass(frozen=True, slots=True)
class Transect:
    """A line laid through a point: ``coordinate`` counts over those of all inputs.

    ``session`` has one output entry, the one that is drawn.

    Shapes: point [coordinates].
    """

    session: Session
    point: Floats
    coordinate: int

    @property
    def parts(self) -> int:
        """How many real numbers the output is."""
        return self.session.in_real_coordinates.outputs

    @property
    def name(self) -> str:
        """What runs."""
        return coordinate_names(self.session.variant)[1][self.coordinate]

    def rows(self, x: Floats) -> Floats:
        """The points of the line. Shapes: x [count]; [count, coordinates]."""
        rows = np.repeat(self.point[None], len(x), axis=0)
        rows[:, self.coordinate] = x
        return rows

    def query(self, order: int) -> Query:
        """The derivative of an order along the line."""
        along = np.zeros((1, self.point.size))
        along[0, self.coordinate] = 1.0
        return Query(order, None, (along,) * order)


def line_of(check: Check, output: int | None, coordinate: int, at: Mapping[str, str]) -> Transect:
    """The line of one output entry, or of all of them."""
    name = coordinate_names(check.variant)[1][coordinate]
    session = session_of(check) if output is None else _of_one_entry(check, output)
    return Transect(session, _point(check, name, at), coordinate)


def _of_one_entry(check: Check, output: int) -> Session:
    """The check as it stands for one output entry: a function with a scalar result."""
    formula, whole = check.variant.formula, session_of(check)
    if check.variant.is_scalar:
        return whole
    graph = formula.graph
    results = [node for node in formula.results if node is not None]
    ends = np.cumsum([graph.nodes[node].size for node in results])
    which = int(np.searchsorted(ends, output, side="right"))
    place = output - int(ends[which] - graph.nodes[results[which]].size)
    entry = graph.gather(results[which], np.array(place))
    alone = replace(formula, outputs=(Port("", (), graph.kind(entry)),), results=(entry,))
    variant = replace(check.variant, formula=alone)
    return replace(
        whole,
        check=replace(check, variant=variant),
        reference=reference_of(variant),
        subject=lambda *tensors: _entry_of(whole.subject(*tensors), which, place, formula),
    )


def _entry_of(result: Any, which: int, place: int, formula: Lowered) -> Tensor:
    """One entry of what an implementation gives, a tensor or several."""
    tensors = [result] if isinstance(result, Tensor) else result
    judged = [
        tensor for tensor, node in zip(tensors, formula.results, strict=True) if node is not None
    ]
    found: Tensor = judged[which].reshape(-1)[place]
    return found


def _point(check: Check, name: str, at: Mapping[str, str]) -> Floats:
    """Shapes: [coordinates]."""
    owner = owner_of(name)
    shapes = {port.name: port.shape for port in check.variant.formula.ports}
    alone = math.prod(shapes[owner]) == 1  # what runs needs no value
    fixed = {owner: str(np.zeros(shapes[owner]).tolist()), **at} if alone else at
    values = values_at(check.case, check.variant, fixed, DTYPES[check.dtype])
    points = {name: value[None] for name, value in values.items()}
    found: Floats = to_coordinates(check.variant.inputs, points)[0]
    return found


def inside_of(line: Transect, rows: Floats) -> tuple[Array, Points]:
    """Which points lie in the domain, and these as arrays of each input."""
    check = line.session.check
    points = from_coordinates(check.variant.inputs, rows)
    inside = np.array([
        is_inside(check.case, check.variant, {name: value[k] for name, value in points.items()})
        for k in range(len(rows))
    ], dtype=bool)  # fmt: skip
    return inside, {name: value[inside] for name, value in points.items()}


def truths(line: Transect, rows: Floats, order: int) -> Floats:
    """Certified derivatives along the line; NaN outside of the domain, at kinks and poles.

    Shapes: rows [count, coordinates]; [parts, count].
    """
    inside, _ = inside_of(line, rows)
    numbers = np.full((line.parts, len(rows)), math.nan)
    if inside.any():
        found = line.session.in_real_coordinates.enclose(line.query(order), rows[inside])
        settled = found.status == Status.SETTLED
        middles = np.array([[float(ball.mid()) for ball in row] for row in found.balls])
        numbers[:, inside] = np.where(settled, middles, math.nan).T
    return numbers


def allowances(line: Transect, rows: Floats, truth: Floats) -> Floats:
    """How many ulps the slope may be off and agree. Shapes: truth [parts, count]; [count]."""
    known = np.isfinite(truth).all(axis=0)
    found = np.full(len(rows), math.nan)
    if known.any():
        real, dtype = line.session.in_real_coordinates, line.session.dtype
        with np.errstate(all="ignore"):
            stress = real.error_bounds(line.query(1), rows[known], dtype)
        allowed = margins(truth[:, known].T, dtype, stress)
        found[known] = (allowed.agreeing / allowed.ulp).max(axis=1)
    return found


@dataclass(frozen=True, slots=True)
class Testimony:
    """PyTorch's derivatives of an order along a line, and the judge's word on each point.

    Shapes: got [parts, count].
    """

    got: Floats
    judged: tuple[Judgement, ...]

    @classmethod
    def of(cls, line: Transect, x: Floats, order: int) -> Testimony:
        inside, points = inside_of(line, line.rows(x))
        got = np.full((line.parts, len(x)), math.nan)
        judged = [Judgement(Ruling.ABSTAIN, "outside of the domain")] * len(x)
        if _WITNESSES[order] not in line.session.case.without:
            for k, (numbers, word) in zip(
                np.flatnonzero(inside), heard_of(line, points, order), strict=True
            ):
                got[:, k], judged[k] = numbers, word
        return cls(got, tuple(judged))


def heard_of(line: Transect, points: Points, order: int) -> Iterator[tuple[list[float], Judgement]]:
    """Of each point what PyTorch says of the derivative along the line, and the judge of it; of
    both parts of a complex output the worse."""
    session = replace(line.session, check=with_witness(line.session.check, _WITNESSES[order]))
    count = count_of(points)
    together = session.batched and count
    size = session.in_real_coordinates.size
    place = sum(line.coordinate * size**k for k in range(order))
    places = [part * size**order + place for part in range(line.parts)]
    for numbers in [slice(None)] if together else [slice(k, k + 1) for k in range(count)]:
        some = {name: value[numbers] for name, value in points.items()}
        observation = observe(session, some, PLAIN)
        said: dict[tuple[int, int], tuple[float, Judgement]] = {}
        for each in observation.entries:
            if each.query.order == order and each.weights.count == 1:
                key = each.point, derivative_place(session.variant, each)
                said.setdefault(key, (each.got, each.judgement))
        findings = {each.point: each.judgement for each in observation.findings}
        for point in range(count if together else 1):
            known = [said[point, k] for k in places if (point, k) in said]
            words = [word for _, word in known] or [findings.get(point, _SILENT)]
            got = [number for number, _ in known] if len(known) == len(places) else []
            yield got or [math.nan] * line.parts, max(words, key=_badness)


_SILENT = Judgement(Ruling.ABSTAIN, "nothing was said")


def _badness(judgement: Judgement) -> tuple[int, float]:
    return judgement.ruling.severity, judgement.ulps
