"""An entry of an observation in words: which derivative it is, and what was said of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradcheck.answer import EntryReport, Ruling
from gradcheck.catalog.case import Variant
from gradcheck.judge.contraction import Term
from gradcheck.judge.judge import Judgement
from gradcheck.query import Port
from gradcheck.run.joint_query import MOST_PARTS, Coordinates, all_derivatives, complex_sides
from gradcheck.run.observation import Entry, Finding, Observation
from gradcheck.run.session import Session

THE_CALL = "the call"
"""The index of a report that is of no number, such as an exception."""


def entry_report(observation: Observation, entry: Entry | Finding) -> EntryReport:
    """One entry, in words and numbers for people."""
    at = {name: values[entry.point].tolist() for name, values in observation.points.items()}
    judgement = entry.judgement
    if isinstance(entry, Finding):
        return EntryReport(at, THE_CALL, entry.label, math.nan, "", "", judgement.ulps,
                        judgement.relative, judgement.ruling, judgement.reason)  # fmt: skip
    ball = entry.ball
    return EntryReport(
        at=at,
        index=index_text(observation, entry),
        label=entry.label,
        got=entry.got,
        true=entry.digits,
        radius=ball.rad().str(3, radius=False),
        ulps=judgement.ulps,
        relative=judgement.relative,
        ruling=judgement.ruling,
        reason=_reason(judgement, entry, observation.session),
        grade=judgement.grade,
        directions=() if entry.is_plain else _directions(entry),
    )


def _reason(judgement: Judgement, entry: Entry, session: Session) -> str:
    """The judgement's reason; where a number is 0 because no gradient came, that."""
    absent, because = entry.judged.answer.absent, entry.judged.answer.because
    if judgement.ruling is Ruling.DISAGREE and because:
        return f"{judgement.reason}; {because}"
    if judgement.ruling is not Ruling.DISAGREE or not absent:
        return judgement.reason
    slot = entry.slot
    for position, port in enumerate(session.variant.inputs):
        slot -= math.prod(port.shape)
        if slot < 0:
            told = absent.get(position)
            return f"{told} input {position} ({port.name})" if told else judgement.reason
    return judgement.reason


def _directions(entry: Entry) -> tuple[tuple[str, tuple[float, ...]], ...]:
    names = ("cotangent", *("tangent" for _ in entry.query.tangents))
    return tuple(
        (name, tuple(side.tolist()))
        for name, side in zip(names, entry.weights.sides, strict=True)
        if side is not None
    )


_TOP = {1: "∂", 2: "∂²", 3: "∂³"}
_MOST_TERMS = 3
"""Of a weighted sum that is told whole."""
_PARTS = ("re ", "im ")


def index_text(observation: Observation, entry: Entry) -> str:
    """Which derivative a number is: ``∂y[1]/∂x[0, 2]``, or a weighted sum of such."""
    session, order = observation.session, entry.query.order
    n = session.reference.size
    shape = (session.reference.outputs, *(n for _ in range(order)))
    count = entry.weights.count
    if count <= MOST_PARTS and 0 < math.prod(shape) <= MOST_PARTS:
        terms = _without_zeros(observation, entry, entry.terms(MOST_PARTS))
        count = len(terms)
    else:
        terms = entry.terms(_MOST_TERMS)
    told = terms if count <= _MOST_TERMS else terms[: _MOST_TERMS - 1]
    outputs, inputs = session.variant.formula.judged, session.variant.formula.ports
    parts = []
    for weight, flat in told:
        below = "".join(f"∂{_name(inputs, flat // n**k % n)}" for k in reversed(range(order)))
        output = _name(outputs, flat // n**order, "y")
        text = f"{_TOP[order]}{output}/{below}" if order else output
        parts.append(text if weight == 1.0 else f"{weight:g}·{text}")
    text = " + ".join(parts) + ("" if count == len(told) else f" + ... ({count} terms)")
    return _PARTS[entry.part] + text if entry.is_complex else text


def _without_zeros(observation: Observation, entry: Entry, terms: list[Term]) -> list[Term]:
    """The terms of a sum less the derivatives that are 0, as long as one is not."""
    session, order = observation.session, entry.query.order
    point = session.rows(observation.points)[entry.point][None]
    vanishes = np.asarray(_is_zero(all_derivatives(session, order, point).balls), dtype=bool)
    outputs, inputs = complex_sides(session.variant)
    for axis, kind in enumerate((outputs, *(inputs for _ in range(order)))):
        starts = np.flatnonzero(Coordinates.of_entries(kind).parts == 0)
        vanishes = np.logical_and.reduceat(vanishes, starts, axis=axis)
    return [term for term in terms if not vanishes.flat[term[1]]] or terms


_is_zero = np.frompyfunc(lambda ball: ball.is_zero(), 1, 1)


def output_names(variant: Variant) -> list[str]:
    """What the output entries are called: ``y``, ``y[0, 1]``, or after their output's name."""
    return _names(variant.formula.judged, "y")


def input_names(variant: Variant) -> list[str]:
    """What the input entries are called: ``x``, ``x[0, 1]``."""
    return _names(variant.formula.ports)


def _names(ports: Sequence[Port], unnamed: str = "") -> list[str]:
    return [_name(ports, k, unnamed) for k in range(sum(math.prod(port.shape) for port in ports))]


def _name(ports: Sequence[Port], number: int, unnamed: str = "") -> str:
    """What an entry of several arrays, numbered throughout, is called."""
    for port in ports:
        size = math.prod(port.shape)
        if number < size:
            break
        number -= size
    name = port.name or unnamed
    if port.shape == ():
        return name
    return f"{name}[{', '.join(map(str, map(int, np.unravel_index(number, port.shape))))}]"
