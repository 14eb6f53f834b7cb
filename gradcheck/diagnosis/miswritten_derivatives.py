"""What the formula's own derivative gives where one of its steps is written otherwise.

A sum over another axis, or of another product; a running sum in the other direction; numbers one
place off; another number of the derivative in the place of an operand. All ways to miswrite a step
are computed together at a few failing points; those that explain what one input, or all of them,
got there are computed at all points.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from gradcheck.answer import Floats
from gradcheck.diagnosis.derivative_steps import ComputedSteps, DerivativeSteps
from gradcheck.diagnosis.evidence import Alternative, Evidence
from gradcheck.diagnosis.miswriting import Miswriting
from gradcheck.diagnosis.miswritten_steps import (
    done_otherwise,
    kept_otherwise,
    moved_by_one,
    with_other_factors,
    with_other_operands,
)
from gradcheck.diagnosis.miswritten_sums import (
    DerivativeSum,
    all_over_other_axes,
    over_other_axes,
    sums_of_products,
    written_over,
)
from gradcheck.diagnosis.recomputed_steps import recomputed_otherwise
from gradcheck.diagnosis.unrolled_steps import one_step_off
from gradcheck.judge.judge import Mask
from gradcheck.query import Array, Query, owners

_POINTS = 3
"""Failing points at which all ways are computed."""
_NEAR = 1 / 16
"""Of its error, that an explained number may be off."""
_MOST_AT_ONCE = 1 << 17
"""Numbers of a step that are computed at once."""
_MOST_WORK = 1 << 26
"""Numbers computed at the few points; a step counts as ``_STEP`` more."""
_STEP = 1 << 10
_MOST_TOLD = 24
"""Ways that explain something, computed at all points."""


def miswritten_derivatives(evidence: Evidence) -> Iterator[Alternative]:
    """Answers of the formula's derivative where one of its steps is another."""
    derivative, some = DerivativeSteps.of(evidence), _Asked.of(evidence)
    if derivative is None or some is None:
        return
    derivative = derivative.simplified(derivative.at(some.query, some.points).numbers)
    whole = None
    for way in itertools.islice(_explaining(derivative, some), _MOST_TOLD):
        whole = whole or derivative.at(evidence.query, evidence.points)
        answers = way.answers(whole)
        if answers is None:
            continue
        base = np.where(evidence.at_kinks, np.nan, answers)
        beside = partial(_answers_beside, derivative, evidence, way)
        yield Alternative(way.kind, way.text, base, partial=True, far_fetched=True, beside=beside)


def _answers_beside(
    derivative: DerivativeSteps, evidence: Evidence, way: Miswriting
) -> Floats | None:
    return way.answers(derivative.at(evidence.query, evidence.moved_points))


def _explaining(derivative: DerivativeSteps, asked: _Asked) -> Iterator[Miswriting]:
    """The ways that explain a few points."""
    some, work = derivative.at(asked.query, asked.points), 0
    for ways in _ways(derivative):
        for part, others in _at_once(some, ways):
            saved = part[0].saved
            below = len(derivative.below(others.keys(), saved)) + 1
            work += below * (_STEP + sum(each.size for each in others.values()))
            if work > _MOST_WORK:
                return
            answers = some.answers_with(others, saved)
            if answers is not None and answers.shape[1:] == asked.got.shape:
                yield from itertools.compress(part, asked.explained(answers))


def _telling_rows(evidence: Evidence) -> Array:
    """A few points with the most failing numbers, ordinary ones first, which come last."""
    asked = (evidence.asked & evidence.in_floats & ~evidence.at_kinks).sum(axis=1)
    _, firsts = np.unique(evidence.points[asked > 0] + 0.0, axis=0, return_index=True)
    found = np.flatnonzero(asked)[firsts]
    order = np.lexsort((found, asked[found]))
    return np.sort(found[order[-_POINTS:]])


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What is to be explained at a few points.

    Shapes: points [count, n]; owner [k], the others [count, k].
    """

    query: Query
    points: Floats
    got: Floats
    error: Floats
    fails: Mask
    owner: Array

    @classmethod
    def of(cls, evidence: Evidence) -> _Asked | None:
        """None of so few points that another step may be the same there."""
        rows = _telling_rows(evidence)
        if len(rows) < _POINTS:
            return None
        query = evidence.query.mapped(lambda side: side[rows])
        got, true = evidence.got[rows], evidence.true[rows]
        fails = (evidence.asked & evidence.in_floats)[rows]
        owner = owners(evidence.free_ports)
        return cls(
            query,
            evidence.points[rows],
            got,
            np.abs(got - true),
            fails,
            owner if owner.size else evidence.slots,
        )

    def explained(self, answers: Floats) -> Mask:
        """Which answers explain all that fails in one input. Shapes: [several, points, k]."""
        near = np.abs(answers - self.got) <= _NEAR * self.error
        found = np.zeros(len(answers), dtype=bool)
        for port in np.unique(self.owner):
            mine = self.fails & (self.owner == port)
            if mine.any():
                found |= near[:, mine].all(axis=1)
        return found


def _at_once(
    some: ComputedSteps, ways: Iterable[Miswriting]
) -> Iterator[tuple[list[Miswriting], dict[int, Array]]]:
    """Ways to write the same steps in the same shapes, and their numbers.

    Shapes: [ways, points, *shape].
    """
    alike: dict[Hashable, list[tuple[Miswriting, dict[int, Array]]]] = {}
    for way in ways:
        changed = way.changed(some)
        if changed is not None:
            shapes = ((step, numbers.shape) for step, numbers in changed.items())
            key = way.saved, *shapes
            alike.setdefault(key, []).append((way, changed))
    for several in alike.values():
        size = max(numbers.size for numbers in several[0][1].values())
        most = max(1, _MOST_AT_ONCE // max(1, size))
        for start in range(0, len(several), most):
            part, changes = zip(*several[start : start + most], strict=True)
            steps = changes[0].keys()
            yield list(part), {step: np.stack([each[step] for each in changes]) for step in steps}


# ways to write a step


def _ways(derivative: DerivativeSteps) -> Iterator[Iterator[Miswriting]]:
    """The ways to write each step: first what it does, then what it is made of."""
    nodes = derivative.graph.nodes
    live = [each for each in derivative.steps if each in derivative.moving]
    sums = [DerivativeSum(derivative, step) for step in live if nodes[step].op == "sum"]
    sums = [each for each in sums if math.prod(each.shape)]
    yield from map(over_other_axes, sums)
    yield all_over_other_axes(sums)
    yield from (done_otherwise(derivative, step) for step in live)
    yield written_over(derivative, live)
    yield one_step_off(derivative)
    steps, answers = derivative.named, dict.fromkeys(derivative.answers)
    for step in [*(each for each in answers if each in derivative.moving), *steps]:
        yield moved_by_one(derivative, step)
    yield from (kept_otherwise(derivative, step) for step in steps)
    yield recomputed_otherwise(derivative)
    yield from (with_other_operands(derivative, step) for step in steps)
    yield from (with_other_factors(derivative, step) for step in live)
    yield from (sums_of_products(each) for each in sums if each.step not in derivative.formula)
