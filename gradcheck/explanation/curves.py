"""A function along one input: certified value and slope, and the error of PyTorch's gradient.

The line runs along one real coordinate: an entry of a real input, or one of the parts of a complex
one. A complex output has two curves, and two slopes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from gradcheck.answer import Floats, Ruling
from gradcheck.catalog.case import Variant
from gradcheck.catalog.checks import Check
from gradcheck.dtypes import DTYPES
from gradcheck.errors import UsageError
from gradcheck.explanation.formulas import formulas_of, latex_equation
from gradcheck.explanation.point import is_inside, number, values_at
from gradcheck.explanation.statements import (
    coordinate_names,
    derivative_place,
    derivatives_at,
    derivatives_of,
    title_of,
)
from gradcheck.explanation.svg import Curve, Picture
from gradcheck.floats import round_to
from gradcheck.graph.lower import Lowered
from gradcheck.judge.judge import Judgement
from gradcheck.methods._torch.directions import PLAIN
from gradcheck.points.generate import coordinate_spans, from_coordinates, to_coordinates
from gradcheck.query import Port, complex_entries
from gradcheck.reference.enclosures import Enclosures, Status
from gradcheck.report.failure_text import format_number
from gradcheck.report.records import version
from gradcheck.run.entry_text import output_names
from gradcheck.run.observation import observe
from gradcheck.run.session import Points, Session, count_of, reference_of, session_of

_WIDTH = 10.0  # of what is shown of a domain without ends
_FAR = 1e4  # an end beyond it is as good as none


@dataclass(frozen=True, slots=True)
class Course:
    """Which real coordinate runs, from where to where, as it was typed; empty for what was not.

    A complex entry without ``re`` or ``im`` before its name runs by its real part.
    """

    entry: str = ""
    start: str = ""
    end: str = ""
    points: int = 401
    output: int = 0


@dataclass(frozen=True, slots=True)
class _Sample:
    values: tuple[float, ...]
    slopes: tuple[float, ...]
    ulps: float = math.nan
    ruling: Ruling = Ruling.ABSTAIN


@dataclass(frozen=True, slots=True)
class _Survey:
    """The line laid through a point: ``coordinate`` counts over those of all inputs.

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


def survey(check: Check, line: Course, at: Mapping[str, str]) -> Picture:
    """Everything that the picture shows.

    Errors: UsageError for an input, an output or a range that is not there.
    """
    variant = check.variant
    names = coordinate_names(variant)[1]
    coordinate = _coordinate(line.entry, names)
    _check_output(line.output, len(output_names(variant)))
    x = _positions(check, coordinate, line)
    laid = _Survey(_scene(check, line.output), _point(check, names[coordinate], at), coordinate)
    samples = _samples(laid, x)
    code = check.implementation.text
    values, slopes = _labels(variant, line.output, coordinate)
    return Picture(
        title=f"{title_of(check)}: {code}" if code else title_of(check),
        subtitle=_subtitle(laid, len(x)),
        variable=names[coordinate],
        x=x,
        curves=(
            *(Curve(label, np.array([sample.values[k] for sample in samples]))
              for k, label in enumerate(values)),
            *(Curve(label, np.array([sample.slopes[k] for sample in samples]))
              for k, label in enumerate(slopes)),
        ),
        ulps=np.array([sample.ulps for sample in samples]),
        rulings=tuple(sample.ruling for sample in samples),
        equations=tuple(
            latex_equation(of.name, formula)
            for of, formula in formulas_of(variant, (0, 1))
            if of.name in (*values, *slopes)
        ),
    )  # fmt: skip


def _labels(variant: Variant, output: int, coordinate: int) -> tuple[list[str], list[str]]:
    """What the values of an output entry, and their slopes, are called."""
    names, inputs = coordinate_names(variant)
    is_complex = complex_entries(variant.formula.judged)
    first = int((1 + is_complex[:output]).sum())
    rows = range(first, first + 1 + int(is_complex[output]))
    slopes = derivatives_of(variant, 1)
    return [names[k] for k in rows], [slopes[k * len(inputs) + coordinate].name for k in rows]


def _coordinate(text: str, names: list[str]) -> int:
    """The coordinate that ``x``, ``im z`` or ``x[0,1]`` names; the first where nothing is said."""
    plain = [name.replace(" ", "") for name in names]
    wanted = text.replace(" ", "") or plain[0]
    for each in (wanted, f"re{wanted}"):
        if each in plain:
            return plain.index(each)
    raise UsageError(
        f"--input {text}: no such single number of an input",
        f"one of {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}",
        "name one number that runs; --at fixes the others",
    )


def _check_output(output: int, count: int) -> None:
    if output >= count:
        raise UsageError(
            f"--entry {output}: the function has {count} output entries",
            f"a number from 0 to {count - 1}",
            "leave it out for the first",
        )


def _positions(check: Check, coordinate: int, line: Course) -> Floats:
    dtype = DTYPES[check.dtype]
    low, high = _default_range(check, coordinate)
    start = number("--from", line.start, dtype) if line.start else low
    end = number("--to", line.end, dtype) if line.end else high
    if line.start and not line.end:
        end = high if start < high else start + _WIDTH
    if line.end and not line.start:
        start = low if low < end else end - _WIDTH
    if not start < end:
        raise UsageError(
            f"--from {start:g} --to {end:g}: an empty range", "--from below --to", "swap them"
        )
    return np.unique(round_to(np.linspace(start, end, line.points), dtype))


def _default_range(check: Check, coordinate: int) -> tuple[float, float]:
    """The coordinate's domain; of one without an end as much as is nice to look at."""
    spans = coordinate_spans(check.variant.inputs, DTYPES[check.dtype])[coordinate]
    low = min(each[0] for each in spans)
    high = max(each[1] for each in spans)
    if low < -_FAR and high > _FAR:
        return -_WIDTH / 2, _WIDTH / 2
    if high > _FAR:
        return low, low + _WIDTH
    return (high - _WIDTH if low < -_FAR else low), high


def _scene(check: Check, output: int) -> Session:
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
    owner = name.removeprefix("re ").removeprefix("im ")
    fixed = {owner: "0", **at} if "[" not in owner else at  # what runs needs no value
    values = values_at(check.case, check.variant, fixed, DTYPES[check.dtype])
    points = {name: value[None] for name, value in values.items()}
    found: Floats = to_coordinates(check.variant.inputs, points)[0]
    return found


def _samples(laid: _Survey, x: Floats) -> list[_Sample]:
    """What is to be seen at each position; nothing outside of the domain."""
    check = laid.session.check
    rows = np.repeat(laid.point[None], len(x), axis=0)
    rows[:, laid.coordinate] = x
    points = from_coordinates(check.variant.inputs, rows)
    inside = np.array([
        is_inside(check.case, check.variant, {name: value[k] for name, value in points.items()})
        for k in range(len(x))
    ])  # fmt: skip
    judged = iter(_judged(laid, {name: value[inside] for name, value in points.items()}))
    nothing = (math.nan,) * laid.parts
    return [
        _sample(laid, row[None], next(judged)) if known else _Sample(nothing, nothing)
        for row, known in zip(rows, inside, strict=True)
    ]


def _judged(laid: _Survey, points: Points) -> Iterator[Judgement]:
    """The judge's word on the slope at each place, as `torch.autograd.grad` gives it; of those of
    both parts of a complex output the worse.
    """
    count = count_of(points)
    together = laid.session.batched and count
    for numbers in [slice(None)] if together else [slice(k, k + 1) for k in range(count)]:
        some = {name: value[numbers] for name, value in points.items()}
        observation = observe(laid.session, some, PLAIN)
        slopes: dict[tuple[int, int], Judgement] = {}
        for each in observation.entries:
            if each.weights.count == 1:
                place = derivative_place(laid.session.variant, each)
                slopes.setdefault((each.point, place), each.judgement)
        findings = {each.point: each.judgement for each in observation.findings}
        inputs = laid.session.in_real_coordinates.size
        for point in range(count if together else 1):
            places = [part * inputs + laid.coordinate for part in range(laid.parts)]
            known = [slopes[point, k] for k in places if (point, k) in slopes]
            yield max(known, key=_badness) if known else findings[point]


def _badness(judgement: Judgement) -> tuple[int, float]:
    return judgement.ruling.severity, judgement.ulps


def _sample(laid: _Survey, row: Floats, judged: Judgement) -> _Sample:
    real = laid.session.in_real_coordinates
    values, slopes = (derivatives_at(real, order, row) for order in (0, 1))
    places = [part * real.size + laid.coordinate for part in range(laid.parts)]
    return _Sample(
        tuple(_middle(values, k) for k in range(laid.parts)),
        tuple(_middle(slopes, k) for k in places),
        judged.ulps,
        judged.ruling,
    )


def _middle(found: Enclosures, k: int) -> float:
    """The number that a narrow enclosure holds; a gap at a kink, a pole or an edge."""
    is_settled = found.status.flat[k] == Status.SETTLED
    return float(found.balls.flat[k].mid()) if is_settled else math.nan


def _subtitle(laid: _Survey, points: int) -> str:
    check = laid.session.check
    names = coordinate_names(check.variant)[1]
    running = names[laid.coordinate]
    values = from_coordinates(check.variant.inputs, laid.point)
    fixed = "".join(
        f", {name} = {_written(value.tolist())}"
        for name, value in values.items()
        if name != running
    )
    return f"{check.dtype} on {check.device}, torch {version('torch')}, {points} points{fixed}"


def _written(value: Any) -> str:
    return format_number(value) if isinstance(value, complex) else str(value)
