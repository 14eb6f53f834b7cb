"""Certified answers to queries over arrays: enclosures, and what kind of knowledge each is.

Points are run together, and only those that are not settled again in more bits. A gradient by
reverse mode is held against forward mode: for a random tangent t, ⟨c, J t⟩ must meet ⟨g, t⟩, and
the other way round.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from gradcheck.ops.balls import working
from gradcheck.query import Array, Query
from gradcheck.randomness import derive_key, random_signed
from gradcheck.reference.ball_arrays import (
    MOST_BITS,
    START_BITS,
    ZERO,
    as_floats,
    is_finite,
    is_settled,
    lift,
    magnitudes,
    overlaps,
    radii,
)
from gradcheck.reference.branches import Union, by_branches
from gradcheck.reference.conditions import dependence
from gradcheck.reference.derivative_graphs import DerivativeGraphs, Pass, Rows
from gradcheck.reference.limits import by_limits
from gradcheck.reference.query_rows import inner_products, plan_rows

LARGE = 1 << 10
"""Entries from which an array settles by its own scale: what cancels to 0 would not otherwise."""
LARGE_BITS = 100
NEAR = 2.0**-30
"""So close, relative to the sizes of its terms, a dot product in float64 acquits."""
MOST_EXPONENT = 200
HOPELESS_BITS = 1_024
"""Not finite with so many bits: a pole or an edge of the domain, at which no precision helps."""

MOST_SPLIT = 4_096
"""Groups of outputs, of all points run together, that are looked at one by one at ties."""


class DerivationsDiffer(Exception):
    """Our two derivations exclude each other: a defect of this package, not of PyTorch."""


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

    ``route`` names the derivations that were held against each other, and how kinks and removable
    singularities were answered: ``value``, ``symbolic+forward``, ``symbolic+reverse``,
    ``forward+reverse`` or ``reverse+forward`` (the first answers), then ``, branches`` and
    ``, limits``; it is empty where there was no derivation. ``reason`` says of a vague entry why,
    where there is a better one than the precision, and of an undefined one that no derivative is
    stated.

    Shapes: balls and status [count, *free].
    """

    balls: Array
    status: Array
    route: str
    reason: str = ""


def enclose(
    graphs: DerivativeGraphs, query: Query, points: Array, *, alone: bool = True
) -> Enclosures:
    """Enclosures of the query's answer at exact points.

    The mode that answers stands ``alone``, and is held against the other mode, where sympy does not
    testify.

    Shapes: points [count, n], flat as the query's arrays.
    Errors: DerivationsDiffer; NoDerivative.
    """
    planned = plan_rows(graphs, query, points)
    parts = [_enclosed(graphs, *part, alone=alone) for part in planned.parts]
    routes = dict.fromkeys(part.route for part in parts)
    reasons = dict.fromkeys(part.reason for part in parts if part.reason)
    return Enclosures(
        planned.arranged([part.balls for part in parts]),
        planned.arranged([part.status for part in parts]),
        ", ".join(routes),
        "; ".join(reasons),
    )


# one chunk


def _enclosed(
    graphs: DerivativeGraphs, rows: Rows, contracted: Array | None, *, alone: bool
) -> Enclosures:
    found, status = _adapted(graphs, rows)
    route = _route(rows, alone=alone)
    if alone and rows.order and rows.count:
        _dot_test(graphs, rows, found.answer, (status == Status.SETTLED).all(axis=1))
    balls, reason = found.answer, ""
    undecided = np.zeros(rows.count, dtype=bool)
    if rows.order and found.touched.any():
        taken, reason, undecided = _with_branches(graphs, rows, found, balls, status)
        route += ", branches" if taken else ""
    if (status == Status.VAGUE).any():
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


def _with_branches(
    graphs: DerivativeGraphs, rows: Rows, found: Pass, balls: Array, status: Array
) -> tuple[bool, str, Array]:
    """Fill in the hulls of rows at kinks.

    Weights of several outputs may cancel what each of them has of a kink, which is told of each by
    itself, whatever the sum.

    Returns:
        Whether there are such rows, why some have no hull, and which limits leave be.
    """
    reasons, undecided = [], np.zeros(rows.count, dtype=bool)
    kinks = found.touched & ((status != Status.SETTLED).any(axis=1) | _unsure(found))
    taken = bool(kinks.any())
    if rows.cotangent is not None and (np.count_nonzero(rows.cotangent, axis=1) > 1).any():
        groups = _OutputGroups.of(dependence(graphs.function))
        split = found.touched & groups.are_several(rows.cotangent)
        if split.any():
            taken = True
            summed = _group_by_group(graphs, rows.take(split), groups)
            balls[split], status[split] = summed.balls, summed.status
            reasons.append(summed.reason)
            undecided |= split
            kinks = kinks & ~split
    if kinks.any():
        united = by_branches(graphs, rows.take(kinks))
        balls[kinks] = united.balls
        status[kinks] = _status_of_union(graphs, rows.take(kinks), united)
        reasons.append(united.reason)
        undecided[kinks] = ~united.decided
    return taken, "; ".join(dict.fromkeys(filter(None, reasons))), undecided


@dataclass(frozen=True, slots=True, eq=False)
class _OutputGroups:
    """Outputs in groups in each of which no two are computed from one input.

    Shapes: hangs [m, n], whether an output is computed from an input; number [m], of the group.
    """

    hangs: Array
    number: Array

    @classmethod
    def of(cls, hangs: Array) -> _OutputGroups:
        return cls(hangs, _disjoint(hangs))

    def asked(self, cotangent: Array) -> Array:
        """Which groups a cotangent weighs. Shapes: cotangent [count, m]; [count, groups]."""
        members = self.number[:, None] == np.arange(self.number.max(initial=0) + 1)
        return np.asarray((cotangent != 0) @ members)

    def are_several(self, cotangent: Array) -> Array:
        """Which rows weigh outputs of several groups, if those are few enough to go one by one.

        Shapes: cotangent [count, m]; [count].
        """
        count = self.asked(cotangent).sum(axis=1)
        return np.asarray((count > 1) & (np.cumsum(count) <= MOST_SPLIT))


def _disjoint(hangs: Array) -> Array:
    """The number of each output's group, each the first in which no other hangs on its inputs.

    Shapes: hangs [m, n]; [m].
    """
    bits = np.packbits(hangs, axis=1)
    taken, count = np.zeros_like(bits), 0
    number = np.zeros(len(bits), dtype=int)
    for output, inputs in enumerate(bits):
        free = np.flatnonzero(~(taken[:count] & inputs).any(axis=1))
        number[output] = free[0] if free.size else count
        taken[number[output]] |= inputs
        count = max(count, number[output] + 1)
    return number


def _group_by_group(graphs: DerivativeGraphs, rows: Rows, groups: _OutputGroups) -> Enclosures:
    """The gradients of weighted sums of outputs, each output with a hull of its own.

    Code decides at a tie for each operation by itself, so that maximum and minimum of two equal
    numbers may both follow the first. Only within one output the branches belong together; those
    of outputs that share no input do not meet.
    """
    assert rows.cotangent is not None
    row, group = np.nonzero(groups.asked(rows.cotangent))
    cotangent = np.where(groups.number == group[:, None], rows.cotangent[row], 0.0)
    found = _enclosed(graphs, replace(rows.take(row), cotangent=cotangent), None, alone=False)
    own, all_of_them = ((each != 0) @ groups.hangs for each in (cotangent, rows.cotangent))
    spared = ~own & all_of_them[row]  # by an output without a value
    found.balls[spared], found.status[spared] = ZERO, Status.SETTLED
    starts = np.searchsorted(row, np.arange(rows.count))
    with working(4 * START_BITS, exact=False):
        balls = np.add.reduceat(found.balls, starts, axis=0)
    status = np.maximum.reduceat(found.status, starts, axis=0)
    return Enclosures(balls, status, found.route, found.reason)


def _route(rows: Rows, *, alone: bool) -> str:
    """The derivations: the one that answers, and the one that it is held against."""
    if not rows.order:
        return "value"
    modes = ("reverse", "forward") if rows.reverse else ("forward", "reverse")
    return "+".join(modes) if alone else f"symbolic+{modes[0]}"


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
    settled = np.zeros(answer.shape, dtype=bool)
    valued = np.zeros(rows.count, dtype=bool)
    while todo.size:
        if bits > START_BITS:
            again = graphs.enclose(rows.take(todo), bits, exact=exact)
            answer[todo], lower[todo], touched[todo] = again.answer, again.lower, again.touched
        settled[todo] = _narrow(answer[todo])
        valued[todo] = is_finite(lower[todo]).all(axis=(1, 2))
        todo = todo[~(settled[todo].all(axis=1) & valued[todo])] if bits < MOST_BITS else todo[:0]
        radius = radii(answer[todo]).sum(axis=1)
        stuck = touched[todo] & (radius > before[todo] / 2) & (bits > START_BITS)
        hopeless = (bits >= HOPELESS_BITS) & ~np.isfinite(radius)
        before[todo] = radius
        todo, bits = todo[~(stuck | hopeless)], bits * 2
    found = Pass(answer, lower, touched, {})
    if settled.all() and valued.all():
        return found, np.full(settled.shape, Status.SETTLED)
    return found, _status(graphs, rows, found, settled)


def _narrow(balls: Array) -> Array:
    """Which entries are settled: by their own size, in a large array also by the array's."""
    settled = is_settled(balls)
    if balls.shape[1] >= LARGE and not settled.all():
        scale = magnitudes(balls).max(axis=1, keepdims=True) * 2.0**-LARGE_BITS
        settled |= radii(balls) <= scale
    return settled


def _status(graphs: DerivativeGraphs, rows: Rows, found: Pass, settled: Array) -> Array:
    status = np.where(found.touched[:, None], Status.KINK, Status.VAGUE)
    status = np.where(settled, Status.SETTLED, status)
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

    For the answer g and a random t of the other side's shape, both modes give ⟨g, t⟩. The entries
    of t have the inverse sizes of those of g, so that each counts alike. The other mode is first
    run in float64, which acquits where nine digits agree; the rest is decided in balls.

    Errors: DerivationsDiffer.
    """
    rows, balls = rows.take(settled), balls[settled]
    if not rows.count:
        return
    numbers = as_floats(balls)
    drawn = _drawn(rows, numbers)
    other = Rows(rows.order, rows.points, None, (*rows.tangents, drawn)) if rows.reverse \
        else Rows(rows.order, rows.points, drawn, rows.tangents[:-1])  # fmt: skip
    side = rows.cotangent if rows.reverse else rows.tangents[-1]
    assert side is not None
    with np.errstate(all="ignore"):
        terms = (np.conj(drawn) * numbers).real
        there = (np.conj(side) * graphs.in_floats(graphs.outputs_of(other), other)).real.sum(axis=1)
        differ = ~(np.abs(terms.sum(axis=1) - there) <= NEAR * np.abs(terms).sum(axis=1))
    if differ.any():
        _dot_test_in_balls(graphs, other.take(differ), side[differ], drawn[differ], balls[differ])


def _drawn(rows: Rows, numbers: Array) -> Array:
    """A random vector for each row, of integers times the inverse sizes of the numbers."""
    _, exponents = np.frexp(np.abs(numbers))
    sizes = np.ldexp(1.0, -np.clip(exponents, -MOST_EXPONENT, MOST_EXPONENT))
    drawn = random_signed(1, 63, derive_key("dot test", rows.order), (2, *numbers.shape))
    whole = drawn[0] + 1j * drawn[1] if np.iscomplexobj(numbers) else drawn[0]
    return np.asarray(whole * sizes)


def _dot_test_in_balls(
    graphs: DerivativeGraphs, other: Rows, side: Array, drawn: Array, balls: Array
) -> None:
    second = graphs.enclose(other, START_BITS)
    here = inner_products(balls, lift(drawn), START_BITS)[:, 0]
    there = inner_products(second.answer, lift(side), START_BITS)[:, 0]
    meet = overlaps(here, there).astype(bool) | ~is_finite(there) | second.touched
    if not meet.all():
        k = int(np.flatnonzero(~meet)[0])
        raise DerivationsDiffer(
            f"at {other.points[k].tolist()[:8]} reverse and forward mode give {here[k]}, {there[k]}"
        )
