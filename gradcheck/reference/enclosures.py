"""Certified answers to queries over arrays: enclosures, and what kind of knowledge each is.

Points are run together, and only those that are not settled again in more bits. A gradient by
reverse mode is held against forward mode: for a random tangent t, ⟨c, J t⟩ must meet ⟨g, t⟩, and
the other way round.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from gradcheck.query import Array, Query
from gradcheck.randomness import derive_key, random_signed
from gradcheck.reference.ball_arrays import (
    ZERO,
    is_finite,
    is_settled,
    lift,
    magnitudes,
    overlaps,
    radii,
)
from gradcheck.reference.branches import Union, by_branches
from gradcheck.reference.dependence import dependence
from gradcheck.reference.derivative_graphs import DerivativeGraphs, Pass, Rows
from gradcheck.reference.evaluate import MOST_BITS, START_BITS
from gradcheck.reference.limits import by_limits
from gradcheck.reference.query_rows import inner_products, plan
from gradcheck.reference.truth import DerivationsDiffer

LARGE = 1 << 12
"""Entries from which an array settles by its own scale: what cancels to 0 would not otherwise."""
LARGE_BITS = 100
HOPELESS_BITS = 1_024
"""Not finite with so many bits: a pole or an edge of the domain, at which no precision helps."""


class Status(IntEnum):
    """What an enclosure says: a narrow ball, a hull of one-sided values, that there is no value,
    or that no precision that we allow was enough."""

    SETTLED = 0
    KINK = 1
    UNDEFINED = 2
    VAGUE = 3


@dataclass(frozen=True, slots=True, eq=False)
class Enclosures:
    """Balls that hold the true numbers.

    ``reason`` says of a vague entry why, where there is a better one than the precision.

    Shapes: balls and status [count, *free].
    """

    balls: Array
    status: Array
    route: str
    reason: str = ""


def enclose(graphs: DerivativeGraphs, query: Query, points: Array) -> Enclosures:
    """Enclosures of the query's answer at exact points.

    Shapes: points [count, n], flat as the query's arrays.
    Errors: DerivationsDiffer; NoDerivative.
    """
    planned = plan(graphs, query, points)
    parts = [_enclosed(graphs, rows, contracted) for rows, contracted in planned.parts]
    routes = dict.fromkeys(part.route for part in parts)
    reasons = dict.fromkeys(part.reason for part in parts if part.reason)
    return Enclosures(
        planned.arranged([part.balls for part in parts]),
        planned.arranged([part.status for part in parts]),
        ", ".join(routes),
        "; ".join(reasons),
    )


# one chunk


def _enclosed(graphs: DerivativeGraphs, rows: Rows, contracted: Array | None) -> Enclosures:
    found, status = _adapted(graphs, rows)
    route = "value" if rows.order == 0 else "reverse+forward" if rows.reverse else "forward+reverse"
    if rows.order and rows.count:
        _dot_test(graphs, rows, found.answer, (status == Status.SETTLED).all(axis=1))
    balls, reason = found.answer, ""
    undecided = np.zeros(rows.count, dtype=bool)
    kinks = found.touched & ((status != Status.SETTLED).any(axis=1) | _unsure(found))
    if rows.order and kinks.any():
        united = by_branches(graphs, rows.take(kinks))
        balls[kinks] = united.balls
        status[kinks] = _status_of_union(graphs, rows.take(kinks), united)
        route, reason = f"{route}, branches", united.reason
        undecided[kinks] = ~united.decided
    _without_dependence(graphs, rows, found, balls, status)
    singular = (status == Status.VAGUE) & ~is_finite(balls)
    if rows.order:
        singular |= (status == Status.VAGUE) & _without_value(graphs, rows, found)
    singular &= ~undecided[:, None]
    if singular.any():
        route += _with_limits(graphs, rows, balls, status, singular)
    if contracted is not None:
        balls, status = _contracted(balls, status, contracted)
    return Enclosures(balls, status, route, reason)


def _without_dependence(
    graphs: DerivativeGraphs, rows: Rows, found: Pass, balls: Array, status: Array
) -> None:
    """Fill in 0 where what is asked for depends on no tangent, whatever else fails.

    That is so where each output that is asked for has a value, and is computed from no entry that
    one of the tangents moves.
    """
    open_entries = status == Status.VAGUE
    if not rows.order or not open_entries.any():
        return
    hangs = dependence(graphs.function)
    moved = np.ones((rows.count, graphs.function.width), dtype=bool)
    for tangent in rows.tangents:
        moved &= (tangent != 0) @ hangs.T
    valued = is_finite(found.lower[:, 0])
    if rows.reverse:
        assert rows.cotangent is not None
        asked = rows.cotangent != 0
        free = ~((asked & moved) @ hangs) & ~(asked & ~valued).any(axis=1, keepdims=True)
    else:
        free = ~moved & valued
    balls[open_entries & free] = ZERO
    status[open_entries & free] = Status.SETTLED


def _with_limits(
    graphs: DerivativeGraphs, rows: Rows, balls: Array, status: Array, singular: Array
) -> str:
    """Fill in the limits of singular entries; return what that adds to the route."""
    chosen = np.asarray(singular.any(axis=1))
    limits = by_limits(graphs, rows.take(chosen))
    inner = np.zeros(singular.shape, dtype=bool)
    found, missing, kinked = inner.copy(), inner.copy(), inner.copy()
    found[chosen], missing[chosen], kinked[chosen] = limits.found, limits.missing, limits.kinked
    spread = balls.copy()
    spread[chosen] = limits.balls
    found &= singular
    balls[found] = spread[found]
    status[found] = np.where(kinked[found], Status.KINK, Status.SETTLED)
    status[missing & singular & ~found] = Status.UNDEFINED
    return ", limits" if found.any() else ""


def _unsure(found: Pass) -> Array:
    """Which rows have a value, or a lower derivative, that hangs on a condition."""
    below = found.lower.reshape(found.lower.shape[0], -1)
    return np.asarray(~_narrow(below).all(axis=1))


def _status_of_union(graphs: DerivativeGraphs, rows: Rows, united: Union) -> Array:
    status = np.where(_narrow(united.balls), Status.SETTLED, Status.KINK)
    status = np.where(is_finite(united.balls), status, Status.VAGUE)
    status[_concerned(graphs, rows, united.jumps)] = Status.UNDEFINED
    status[~united.decided] = Status.VAGUE
    return status


def _contracted(balls: Array, status: Array, cotangent: Array) -> tuple[Array, Array]:
    """⟨cotangent, answer⟩; what has no value counts only where it is asked for."""
    total = inner_products(balls, lift(cotangent), 4 * START_BITS)
    asked = np.where(cotangent != 0, status, Status.SETTLED)
    return total, asked.max(axis=1, keepdims=True)


def _adapted(graphs: DerivativeGraphs, rows: Rows) -> tuple[Pass, Array]:
    """All rows, each in as many bits as it needs, and the status of its entries."""
    exact = rows.order == 0
    first = graphs.enclose(rows, START_BITS, exact=exact)
    answer, lower, touched = (np.array(part) for part in (first.answer, first.lower, first.touched))
    todo = np.arange(rows.count)
    before = np.full(rows.count, math.inf)
    bits = START_BITS
    while True:
        narrow = _narrow(answer[todo]).all(axis=1) & is_finite(lower[todo]).all(axis=(1, 2))
        todo = todo[~narrow]
        if not todo.size or bits >= MOST_BITS:
            break
        radius = radii(answer[todo]).sum(axis=1)
        stuck = touched[todo] & (2 * radius > before[todo]) & (bits > START_BITS)
        hopeless = (bits >= HOPELESS_BITS) & ~np.isfinite(radius)
        before[todo] = radius
        todo = todo[~(stuck | hopeless)]
        if not todo.size:
            break
        bits *= 2
        again = graphs.enclose(rows.take(todo), bits, exact=exact)
        answer[todo], lower[todo], touched[todo] = again.answer, again.lower, again.touched
    found = Pass(answer, lower, touched, {})
    return found, _status(graphs, rows, found)


def _narrow(balls: Array) -> Array:
    """Which entries are settled: by their own size, in a large array also by the array's."""
    settled = is_settled(balls)
    if balls.shape[1] >= LARGE and not settled.all():
        scale = magnitudes(balls).max(axis=1, keepdims=True) * 2.0**-LARGE_BITS
        settled |= radii(balls) <= scale
    return settled


def _status(graphs: DerivativeGraphs, rows: Rows, found: Pass) -> Array:
    status = np.where(found.touched[:, None], Status.KINK, Status.VAGUE)
    status = np.where(_narrow(found.answer), Status.SETTLED, status)
    status[~is_finite(found.answer)] = Status.VAGUE
    return np.where(_without_value(graphs, rows, found), Status.VAGUE, status)


def _without_value(graphs: DerivativeGraphs, rows: Rows, found: Pass) -> Array:
    """Which entries ask for a derivative of an output that has no value.

    Shapes: [count, free].
    """
    missing = np.asarray(~is_finite(found.lower).all(axis=1))
    return _concerned(graphs, rows, missing)


def _concerned(graphs: DerivativeGraphs, rows: Rows, outputs: Array) -> Array:
    """Which entries of the answer ask for a derivative of some of the outputs.

    Where the cotangent asks for such an output, a gradient has only those entries that other
    outputs give it: the inner product itself may have no value.

    Shapes: outputs [count, m], booleans; [count, free].
    """
    if not rows.reverse:
        return outputs
    assert rows.cotangent is not None
    asked = outputs & (rows.cotangent != 0)
    if not asked.any():
        return np.zeros((rows.count, graphs.function.size), dtype=bool)
    others = ~outputs & (rows.cotangent != 0)
    hangs = dependence(graphs.function)
    spared = ~(asked @ hangs) & (others @ hangs)
    return np.asarray(asked.any(axis=1, keepdims=True) & ~spared)


# the second derivation


def _dot_test(graphs: DerivativeGraphs, rows: Rows, balls: Array, settled: Array) -> None:
    """Hold a derivation against the other mode's, at the rows that are settled.

    Errors: DerivationsDiffer.
    """
    rows, balls = rows.take(settled), balls[settled]
    if not rows.count:
        return
    width = graphs.function.size if rows.reverse else graphs.function.width
    drawn = random_signed(1, 64, derive_key("dot test", rows.order), (rows.count, width))
    if rows.reverse:
        other = Rows(rows.order, rows.points, None, (*rows.tangents, drawn))
        drawn_here, drawn_there = drawn, rows.cotangent
    else:
        other = Rows(rows.order, rows.points, drawn, rows.tangents[:-1])
        drawn_here, drawn_there = drawn, rows.tangents[-1]
    assert drawn_there is not None
    second = graphs.enclose(other, START_BITS)
    here = inner_products(balls, lift(drawn_here), START_BITS)[:, 0]
    there = inner_products(second.answer, lift(drawn_there), START_BITS)[:, 0]
    meet = overlaps(here, there).astype(bool) | ~is_finite(there) | second.touched
    if not meet.all():
        k = int(np.flatnonzero(~meet)[0])
        raise DerivationsDiffer(
            f"at {rows.points[k].tolist()[:8]} reverse and forward mode give {here[k]}, {there[k]}"
        )
