"""What wrong code would have given: for each kind of error the numbers to hold against PyTorch's.

They come from simple to elaborate; whether one explains anything is not asked here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from gradcheck.answer import Floats, GuessKind
from gradcheck.diagnosis.evidence import Alternative, Evidence
from gradcheck.diagnosis.faulty_formulas import faulty_formulas
from gradcheck.diagnosis.miswritten_derivatives import miswritten_derivatives
from gradcheck.diagnosis.other_constants import another_constant, several_constants
from gradcheck.diagnosis.saved_steps import saved_steps
from gradcheck.diagnosis.wrong_slopes import wrong_slopes
from gradcheck.dtypes import DTYPES
from gradcheck.floats import round_to
from gradcheck.judge.judge import Mask
from gradcheck.methods.functional import MULTIPLES, takes_multiples
from gradcheck.query import Array, Port, Query, complex_entries, split
from gradcheck.reference.ball_arrays import as_floats

MOST_DERIVATIVES = 1 << 17
"""Derivatives of all rows together that are asked for one by one."""


def alternatives(evidence: Evidence) -> Iterator[Alternative]:
    """Yield what wrong code would have given where the evidence was, simple faults first."""
    zero, true = np.zeros(evidence.true.shape), evidence.true
    yield Alternative(GuessKind.ZERO, _zero_text(evidence), zero, simple=True)
    if evidence.parts.any():  # before the sign, which is that of the imaginary parts alone
        conjugate = true * (1 - 2 * evidence.parts)
        yield Alternative(GuessKind.CONJUGATE, "the conjugate", conjugate, simple=True)
    yield Alternative(GuessKind.SIGN, "the sign", -true, simple=True)
    yield Alternative(GuessKind.FACTOR, "a constant factor", zero, true, simple=True)
    if evidence.parts.any():
        yield from _without_conjugate(evidence)
    if not evidence.in_floats.any():
        return
    yield from (replace(each, in_floats=True) for each in _of_order(evidence))
    yield Alternative(GuessKind.SIGN, "the sign is lost: the absolute value", np.abs(true))
    for along in evidence.directions():
        yield Alternative(GuessKind.CONSTANT, "the same at every point", zero, along)
        yield Alternative(GuessKind.OFFSET, "off by a constant", true, along)
    yield from (replace(each, in_floats=True) for each in miswritten_derivatives(evidence))


def _without_conjugate(evidence: Evidence) -> Iterator[Alternative]:
    """The cotangent times the derivative itself, of a complex function, not times its conjugate."""
    query = evidence.query
    if query.order != 1 or query.cotangent is None or not query.free_inputs:
        return
    other = query.mapped(np.conj)
    found = as_floats(evidence.session.reference.enclose(other, evidence.points).balls)
    numbers = found.reshape(len(evidence.points), -1)[:, evidence.slots]
    base = np.where(evidence.parts, -numbers.imag, numbers.real)
    yield Alternative(GuessKind.CONJUGATE, "a conjugate is missing", base)


def _of_rounded_inputs(evidence: Evidence) -> Iterator[Alternative]:
    """The right answers at the points with one input rounded to a shorter format."""
    precision, ports = evidence.session.dtype.precision, _inputs(evidence)
    for port, place in zip(ports, _places(ports), strict=True):
        for name in _SHORT:
            if len(ports) > 1 and DTYPES[name].precision < precision:
                points = evidence.points.copy()
                points[:, place] = round_to(points[:, place], DTYPES[name])
                found = evidence.answered(evidence.query, points)
                yield Alternative(GuessKind.PRECISION, f"{port.name} is rounded to {name}", found)


_SHORT = ("bfloat16", "float16", "float32")


def _zero_text(evidence: Evidence) -> str:
    """Say what zeros are; of a user's own double backward, what its author is to do."""
    is_own = evidence.session.check.implementation.is_own_code
    if is_own and all(label.startswith("reverse over reverse") for label in evidence.labels):
        return "double backward returns zeros: mark it once_differentiable"
    return "zero, where the truth is not"


def _of_order(evidence: Evidence) -> Iterator[Alternative]:
    query = evidence.query
    yield from _of_directions(evidence)
    yield from _moved(evidence)
    yield from _stale(evidence)
    yield from _of_another_in_a_batch(evidence)
    yield from _of_rounded_inputs(evidence)
    if query.order != 1:
        yield from faulty_formulas(evidence)
        yield from saved_steps(evidence)
        yield from another_constant(evidence)
        yield from several_constants(evidence)
        return
    whole = _Whole(evidence)
    if whole.is_complex:
        return
    if whole.is_small:
        yield from _of_jacobian(whole)
    yield from _of_moved_inputs(evidence)
    yield from _of_one_slice(evidence)
    yield from faulty_formulas(evidence)
    yield from _of_inputs(evidence)
    yield from another_constant(evidence)
    yield from wrong_slopes(evidence)
    yield from several_constants(evidence)


# the cotangent and the tangents


def _of_directions(evidence: Evidence) -> Iterator[Alternative]:
    """Answers to the same question with another cotangent, or tangent."""
    query = evidence.query
    names = ("cotangent", *("tangent" for _ in query.tangents))
    for k, (name, side) in enumerate(zip(names, query.sides, strict=True)):
        if side is None:
            continue
        for kind, text, change in _DIRECTIONS:
            yield Alternative(kind, text.format(name), _with_side(evidence, k, change(side)))
        ports = evidence.session.variant.formula.judged if k == 0 else _inputs(evidence)
        for text, move in _moves(ports):
            told = f"{text}: the {name}"
            yield Alternative(GuessKind.MOVED, told, _with_side(evidence, k, side[:, move]))


def _with_side(evidence: Evidence, k: int, side: Array) -> Floats:
    sides = list(evidence.query.sides)
    sides[k] = side
    return evidence.answered(Query(evidence.query.order, sides[0], tuple(sides[1:])))


_DIRECTIONS: tuple[tuple[GuessKind, str, Callable[[Array], Array]], ...] = (
    (GuessKind.DIRECTION, "ignores the {}", np.ones_like),
    (GuessKind.DIRECTION, "the {} is squared", np.square),
    (GuessKind.DIRECTION, "the sign of the {} is lost", np.abs),
    (GuessKind.DIRECTION, "divided by the {}", lambda side: 1 / np.where(side == 0, np.inf, side)),
)


# numbers in the wrong places


def _moved(evidence: Evidence) -> Iterator[Alternative]:
    """The right numbers in other places."""
    ports, true = evidence.free_ports, evidence.true
    for text, move in _moves(ports):
        yield Alternative(GuessKind.MOVED, text, true[:, move])
    places = _places(ports)
    for a, b in itertools.combinations(range(len(ports)), 2):
        if ports[a].shape == ports[b].shape and evidence.query.cotangent is not None:
            move = np.arange(true.shape[1])
            move[places[a]], move[places[b]] = places[b], places[a]
            told = f"{ports[a].name} and {ports[b].name} are swapped"
            yield Alternative(GuessKind.MOVED, told, true[:, move])


def _moves(ports: Sequence[Port]) -> Iterator[tuple[str, Array]]:
    """Permutations of the entries of arrays, each of one port alone and of all that have it."""
    for name, move in _MOVES:
        moved = [move(place) for place in _blocks(ports)]
        able = [k for k, each in enumerate(moved) if each is not None]
        for chosen in dict.fromkeys([(*able,), *((k,) for k in able)]):
            places = [
                moved[k].reshape(-1) if k in chosen else place  # type: ignore[union-attr]
                for k, place in enumerate(_places(ports))
            ]
            found = np.concatenate(places) if places else np.zeros(0, dtype=int)
            if chosen and (found != np.arange(found.size)).any():
                yield name, found


def _places(ports: Sequence[Port]) -> list[Array]:
    return [block.reshape(-1) for block in _blocks(ports)]


def _blocks(ports: Sequence[Port]) -> list[Array]:
    """The numbers of the entries of each port, in its shape."""
    shapes = [port.shape for port in ports]
    numbers = np.arange(sum(map(math.prod, shapes)))
    return [block[0] for block in split(numbers[None], shapes)]


def _transposed(block: Array) -> Array | None:
    """The last two axes exchanged, and read as if they were not where their lengths differ."""
    return np.swapaxes(block, -1, -2).reshape(block.shape) if block.ndim > 1 else None


def _retransposed(block: Array) -> Array | None:
    if block.ndim < 2:
        return None
    *lead, rows, columns = block.shape
    return np.swapaxes(block.reshape(*lead, columns, rows), -1, -2)


def _rearranged(*groups: int) -> Callable[[Array], Array | None]:
    """The last axis with halves for pairs: (2, -1) reads its halves as even and odd entries."""

    def move(block: Array) -> Array | None:
        if not block.ndim or block.shape[-1] % 2 or block.shape[-1] < _FEWEST_IN_PAIRS:
            return None
        grouped = block.reshape(*block.shape[:-1], *groups)
        return np.swapaxes(grouped, -1, -2).reshape(block.shape)

    return move


_FEWEST_IN_PAIRS = 4


def _along(
    axis: int, change: Callable[[Array, int], Array | None]
) -> Callable[[Array], Array | None]:
    return lambda block: change(block, axis) if block.ndim >= -axis else None


def _exchanged(block: Array, axis: int) -> Array | None:
    length = block.shape[axis]
    return None if length % 2 else np.roll(block, length // 2, axis)


def _flipped(block: Array, axis: int) -> Array:
    return np.flip(block, axis)


def _forth(block: Array, axis: int) -> Array:
    return np.roll(block, 1, axis)


def _back(block: Array, axis: int) -> Array:
    return np.roll(block, -1, axis)


_MOVES: tuple[tuple[str, Callable[[Array], Array | None]], ...] = (
    ("transposed", _transposed),
    ("transposed", _retransposed),
    *(
        (text, _along(axis, change))
        for text, change in (
            ("reversed", _flipped),
            ("rolled by one", _forth),
            ("rolled by one", _back),
            ("halves are exchanged", _exchanged),
        )
        for axis in (-1, -2)
    ),
    ("pairs and halves are mistaken", _rearranged(2, -1)),
    ("pairs and halves are mistaken", _rearranged(-1, 2)),
)


def _of_moved_inputs(evidence: Evidence) -> Iterator[Alternative]:
    """The right answers where one input's entries are in other places, as the backward reads it."""
    ports = _inputs(evidence)
    for port, place in zip(ports, _places(ports), strict=True):
        for text, move in _moves([port]):
            points = evidence.points.copy()
            points[:, place] = points[:, place[move]]
            found = evidence.answered(evidence.query, points)
            yield Alternative(GuessKind.MOVED, f"{text}: {port.name}, as it is used", found)


def _of_another_in_a_batch(evidence: Evidence) -> Iterator[Alternative]:
    """The right answers where an input is that of another point, for all of a batch."""
    failing = evidence.labels[evidence.fails.any(axis=1)].tolist()
    if not all(map(takes_multiples, failing)):
        return
    ports = _inputs(evidence)
    for port, place in zip(ports, _places(ports), strict=True):
        for which, multiple in (("first", MULTIPLES[0]), ("last", MULTIPLES[-1])):
            points = evidence.points.copy()
            points[:, place] *= multiple
            found = evidence.answered(evidence.query, points)
            text = f"{port.name} is that of the {which} point of the batch"
            yield Alternative(GuessKind.MOVED, text, found)


# what an earlier call left


def _stale(evidence: Evidence) -> Iterator[Alternative]:
    """Answers that belong to the call before; nothing is said of calls without one."""
    follows = evidence.before >= 0
    if not follows.any():
        return
    before = np.where(follows, evidence.before, np.arange(len(follows)))
    query = evidence.query
    old = query.mapped(lambda side: side[before])
    for text, asked, points in (
        ("stale: it belongs to the input of the call before", query, evidence.points[before]),
        ("stale: it belongs to the cotangent of the call before", old, evidence.points),
        ("stale: it belongs to the call before", old, evidence.points[before]),
    ):
        found = evidence.answered(asked, points)
        told = np.where(follows[:, None], found, math.nan)  # what follows no call cannot be stale
        yield Alternative(GuessKind.STALE, text, told, partial=True)


# the whole Jacobian


class _Whole:
    """All first derivatives at each row, and what the witness was asked of them.

    Where one of them is complex, ``jacobian`` and ``value`` are not to be had.
    """

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        reference = evidence.session.reference
        self.outputs, self.inputs = reference.outputs, reference.size
        self.is_small = self.outputs * self.inputs * len(evidence.points) <= MOST_DERIVATIVES
        formula = evidence.session.variant.formula
        self.is_complex = bool(complex_entries((*formula.ports, *formula.judged)).any())
        self.cotangent = evidence.query.cotangent
        self.tangent = evidence.query.tangents[0]

    @cached_property
    def jacobian(self) -> Floats:
        """Shapes: [rows, m, n]."""
        evidence = self.evidence
        shape = len(evidence.points), self.outputs, self.inputs
        return evidence.answered(Query.of_all(1)).reshape(shape)

    @cached_property
    def value(self) -> Floats:
        return self.evidence.answered(Query(0))


def _of_jacobian(whole: _Whole) -> Iterator[Alternative]:
    yield from _values_for_gradients(whole)
    if whole.cotangent is not None and whole.tangent is None:
        if whole.outputs == whole.inputs:
            across = np.einsum("rij,rj->ri", whole.jacobian, whole.cotangent)
            yield Alternative(GuessKind.MOVED, "transposed: the Jacobian", across)
            diagonal = np.einsum("rii,ri->ri", whole.jacobian, whole.cotangent)
            yield Alternative(GuessKind.DIAGONAL, "only the diagonal of the Jacobian", diagonal)
        yield from _summed_otherwise(whole)
        yield from _without_offsets(whole)
    yield from _of_one_port(whole)


def _values_for_gradients(whole: _Whole) -> Iterator[Alternative]:
    """The value in place of the gradient, with or without the direction."""
    shape = whole.evidence.true.shape
    side = whole.cotangent if whole.cotangent is not None else whole.tangent
    value, one = whole.value, whole.outputs == 1
    if side is None or not (one or value.shape == shape) or side.shape[1] not in (1, shape[1]):
        return
    for numbers in (value * side, np.broadcast_to(value, shape)):
        told = "the value in place of the derivative"
        yield Alternative(GuessKind.VALUE, told, np.broadcast_to(numbers, shape))


def _summed_otherwise(whole: _Whole) -> Iterator[Alternative]:
    """A gradient summed over another axis than that along which its input is broadcast."""
    evidence = whole.evidence
    assert whole.cotangent is not None
    parts = whole.jacobian * whole.cotangent[:, :, None]
    outputs, inputs = evidence.session.variant.formula.judged, _inputs(evidence)
    if len(outputs) != 1 or outputs[0].shape == ():
        return
    shape, count = outputs[0].shape, len(parts)
    for place in _places(inputs):
        own = parts[:, :, place]
        if own.shape[2] >= own.shape[1] or (np.count_nonzero(own, axis=2) > 1).any():
            continue
        by_output = own.sum(axis=2).reshape(count, *shape)
        for text, sums in _sums(by_output, len(place)):
            found = evidence.true.copy()
            found[:, place] = sums
            yield Alternative(GuessKind.SUM, text, found)


def _sums(by_output: Array, size: int) -> Iterator[tuple[str, Array]]:
    """Other ways to make so many numbers of an array at each point."""
    count, axes = len(by_output), range(1, by_output.ndim)
    for chosen in itertools.chain.from_iterable(
        itertools.combinations(axes, k) for k in range(1, by_output.ndim)
    ):
        found = by_output.sum(axis=chosen).reshape(count, -1)
        if found.shape[1] in (1, size):
            yield "summed over the wrong axis", np.broadcast_to(found, (count, size))
        for first, text in ((0, "first"), (-1, "last")):
            taken = by_output
            for axis in reversed(chosen):
                taken = taken.take(first, axis)
            if taken.size == count * size:
                yield f"not summed: the {text} alone", taken.reshape(count, size)


def _without_offsets(whole: _Whole) -> Iterator[Alternative]:
    """Entries of an input counted from the first that an output sees, as if that were the input's.

    So an index within a window is taken for one of the whole array.
    """
    evidence = whole.evidence
    assert whole.cotangent is not None
    parts = whole.jacobian * whole.cotangent[:, :, None]
    sees = (whole.jacobian != 0).any(axis=0)
    for port, block in zip(_inputs(evidence), _blocks(_inputs(evidence)), strict=True):
        place = block.reshape(-1)
        if not block.ndim:
            continue
        own, index = sees[:, place], np.stack(np.unravel_index(np.arange(place.size), block.shape))
        if not own.any(axis=1).all():
            continue
        firsts = np.where(own, index[:, None], place.size).min(axis=2)  # [axes, outputs]
        for axes in dict.fromkeys([tuple(range(block.ndim)), *((k,) for k in range(block.ndim))]):
            off = np.where(np.isin(np.arange(block.ndim), axes)[:, None], firsts, 0)
            moved = np.maximum(index[:, None] - off[:, :, None], 0)
            target = np.ravel_multi_index(tuple(moved), block.shape).reshape(-1)
            mine = np.zeros((place.size, len(parts)))
            np.add.at(mine, target, parts[:, :, place].reshape(len(parts), -1).T)
            found = evidence.true.copy()
            found[:, place] = mine.T
            found[evidence.at_kinks[:, 0]] = np.nan
            text = f"an index of {port.name} lacks the offset of its output"
            yield Alternative(GuessKind.MOVED, text, found, partial=True)


def _of_one_slice(evidence: Evidence) -> Iterator[Alternative]:
    """What is summed over an axis of the output, with its first or last slice alone."""
    outputs, side = evidence.session.variant.formula.judged, evidence.query.cotangent
    if side is None or not evidence.query.free_inputs or len(outputs) != 1:
        return
    (place,) = _blocks(outputs)
    for axis in range(place.ndim):
        for which, text in ((0, "first"), (-1, "last")):
            alone = np.zeros(side.shape)
            kept = place.take(which, axis).reshape(-1)
            alone[:, kept] = side[:, kept]
            if kept.size < place.size:
                told = f"not summed along axis {axis} of the output: the {text} alone"
                yield Alternative(GuessKind.SUM, told, _with_side(evidence, 0, alone))


def _of_one_port(whole: _Whole) -> Iterator[Alternative]:
    """What is contracted over several ports, or entries, with one of them wrong."""
    evidence = whole.evidence
    sides = ((whole.cotangent, evidence.session.variant.formula.judged),
             (whole.tangent, _inputs(evidence)))  # fmt: skip
    for k, (side, ports) in enumerate(sides):
        if side is None:
            continue
        blocks = [
            (port.name or "y", place) for port, place in zip(ports, _places(ports), strict=True)
        ]
        if len(blocks) == 1:
            blocks = []
        for port, block in zip(ports, _blocks(ports), strict=True):
            if 1 < block.size <= _FEW:
                blocks += [
                    (f"{port.name or 'y'}{list(index)}", np.array([block[index]]))
                    for index in np.ndindex(block.shape)
                ]
        for name, place in blocks:
            alone = np.zeros(side.shape)
            alone[:, place] = side[:, place]
            part = _with_side(evidence, k, alone)
            of = f"of {name}" if k == 0 else f"by {name}"
            yield Alternative(GuessKind.TERM, f"the derivative {of}", evidence.true, part)


_FEW = 6


# powers of an input


def _of_inputs(evidence: Evidence) -> Iterator[Alternative]:
    """A power of an input too many: of each entry, or of a scalar; or a multiple of it added.

    Or a constant is added to the derivative by one of several inputs.
    """
    if evidence.query.tangents[0] is not None:
        return
    ports, size, side = _inputs(evidence), evidence.true.shape[1], evidence.query.cotangent
    for port, place in zip(ports, _places(ports), strict=True):
        numbers = evidence.points[:, place]
        if size == evidence.points.shape[1]:
            added = np.zeros(evidence.true.shape)
            added[:, place] = numbers
            text = f"off by a multiple of {port.name}"
            yield Alternative(GuessKind.OFFSET, text, evidence.true, added)
            if len(ports) > 1 and side is not None and side.shape[1] == 1:
                added = np.zeros(evidence.true.shape)
                added[:, place] = side
                text = f"off by a constant by {port.name}"
                yield Alternative(GuessKind.OFFSET, text, evidence.true, added)
        if numbers.shape[1] not in (1, size):
            continue
        for power, text in _POWERS:
            with np.errstate(all="ignore"):
                found = evidence.true * numbers**power
            yield Alternative(GuessKind.CHAIN, text.format(port.name), found)


_POWERS = (
    (1, "a factor of {} too many"),
    (-1, "a factor of {} is missing"),
    (2, "a factor of {}**2 too many"),
    (-2, "a factor of {}**2 is missing"),
)


def _inputs(evidence: Evidence) -> tuple[Port, ...]:
    return evidence.session.variant.formula.ports


# numbers of each entry's own


def of_each_entry(evidence: Evidence) -> Iterator[Alternative]:
    """Yield a factor of each entry's own, or of each output's; and the same Jacobian everywhere."""
    if not evidence.in_floats.any():  # complex numbers
        return
    factors = _fitted(evidence.true[:, :, None], evidence.got, evidence.asked)
    if factors is not None and factors.shape[0] > 1:
        factors[~evidence.asked.any(axis=0)] = 1.0
        text = f"a factor of each entry's own: {_listed(factors[:, 0])}"
        yield Alternative(GuessKind.FACTOR, text, evidence.true * factors[:, 0], fitted=1)
    yield from _of_each_output(evidence)
    for along in _what_a_slope_meets(evidence):
        slopes = _fitted(along, evidence.got, evidence.asked)
        if slopes is not None and not _is_so_itself(along, evidence):
            base = np.einsum("rks,ks->rk", along, slopes)
            text = "stale: the slope is that of another call, the same at every point"
            yield Alternative(GuessKind.STALE, text, base, fitted=along.shape[2])


_MOST_TOLD = 6
_MOST_SLOPES = 16


def _of_each_output(evidence: Evidence) -> Iterator[Alternative]:
    """Gradients in which the cotangent of each output counts with a factor of its own."""
    query, asked = evidence.query, evidence.asked & evidence.in_floats
    cotangent = query.cotangent
    if query.order != 1 or cotangent is None or query.free_inputs != (0,):
        return
    outputs = cotangent.shape[1]
    if not 1 < outputs <= _MOST_SLOPES or np.iscomplexobj(cotangent):
        return
    alone = cotangent[None] * np.eye(outputs)[:, None]
    parts = np.stack([evidence.answered(replace(query, cotangent=each)) for each in alone], axis=-1)
    told = asked & np.isfinite(parts).all(axis=-1)
    if told.sum() <= outputs:
        return
    factors = np.linalg.lstsq(parts[told], evidence.got[told], rcond=None)[0]
    for plain in (0.0, 1.0):
        factors[np.abs(factors - plain) <= _SAME_FACTOR] = plain
    text = f"a factor of each output's own: {_listed(factors)}"
    fitted = -(-outputs // evidence.true.shape[1])
    yield Alternative(GuessKind.FACTOR, text, parts @ factors, in_floats=True, fitted=fitted)


_SAME_FACTOR = 1e-6


def _listed(factors: Array) -> str:
    """The first few numbers."""
    more = ", ..." if len(factors) > _MOST_TOLD else ""
    return ", ".join(f"{each:.4g}" for each in factors[:_MOST_TOLD]) + more


def _what_a_slope_meets(evidence: Evidence) -> Iterator[Floats]:
    """The numbers with which slopes that do not change are contracted: its own entry's, or all.

    Shapes: [rows, k, slopes].
    """
    count, entries = evidence.true.shape
    for side in evidence.query.sides:
        if side is None or np.iscomplexobj(side):
            continue
        if side.shape[1] == entries:
            yield side[:, :, None]
        if side.shape[1] <= _MOST_SLOPES:
            yield np.broadcast_to(side[:, None, :], (count, entries, side.shape[1]))


def _fitted(along: Floats, numbers: Floats, asked: Mask) -> Floats | None:
    """The coefficients of each entry that contracted with ``along`` meet its numbers best.

    None where an entry is asked for too rarely to tell. Shapes: [k, coefficients].
    """
    found = np.zeros(along.shape[1:])
    for k in np.flatnonzero(asked.any(axis=0)):
        rows = asked[:, k] & np.isfinite(along[:, k]).all(axis=1)
        if rows.sum() <= along.shape[2]:
            return None
        found[k] = np.linalg.lstsq(along[rows, k], numbers[rows, k], rcond=None)[0]
    return found


def _is_so_itself(along: Floats, evidence: Evidence) -> bool:
    """Whether the true slope is the same at every point, too: of a linear function."""
    slopes = _fitted(along, evidence.true, evidence.asked)
    if slopes is None:
        return False
    rest = np.abs(np.einsum("rks,ks->rk", along, slopes) - evidence.true)
    return bool((rest <= _ALIKE * np.abs(evidence.got - evidence.true))[evidence.asked].all())


_ALIKE = 1e-6
