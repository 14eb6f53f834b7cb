"""A function along one input: certified value and slope, and the error of PyTorch's gradient."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradcheck.answer import Floats, Ruling
from gradcheck.catalog.checks import Check
from gradcheck.dtypes import DTYPES
from gradcheck.errors import UsageError
from gradcheck.explain.point import entries_of, is_inside, number, refuse_complex, values_at
from gradcheck.explain.statements import derivatives_at, derivatives_of, title_of
from gradcheck.explain.svg import Curve, Picture
from gradcheck.floats import round_to
from gradcheck.judge.judge import Judgement
from gradcheck.methods._torch.directions import PLAIN
from gradcheck.query import Port
from gradcheck.reference.enclosures import Enclosures, Status
from gradcheck.report.records import version
from gradcheck.run.observation import Entry, Finding, input_names, observe, output_names
from gradcheck.run.session import Session, reference_of, session_of

_WIDTH = 10.0  # of what is shown of a domain without ends
_FAR = 1e4  # an end beyond it is as good as none


@dataclass(frozen=True, slots=True)
class Course:
    """Which input entry runs, from where to where, as it was typed; empty for what was not."""

    entry: str = ""
    start: str = ""
    end: str = ""
    points: int = 401
    output: int = 0


@dataclass(frozen=True, slots=True)
class _Sample:
    value: float = math.nan
    slope: float = math.nan
    ulps: float = math.nan
    ruling: Ruling = Ruling.ABSTAIN


@dataclass(frozen=True, slots=True)
class _Survey:
    """The line laid through a point: ``entry`` counts over all input entries.

    ``session`` has one output entry, the one that is drawn.
    """

    session: Session
    values: dict[str, Floats]
    entry: int


def survey(check: Check, line: Course, at: Mapping[str, str]) -> Picture:
    """Everything that the picture shows.

    Errors: UsageError for an input, an output or a range that is not there.
    """
    refuse_complex(check.variant)
    names = input_names(check.variant)
    entry = _entry(line.entry, names)
    _check_output(line.output, len(output_names(check.variant)))
    x = _positions(check, entry, line)
    laid = _Survey(_scene(check, line.output), _values(check, names[entry], at), entry)
    samples = _samples(laid, x)
    code = check.implementation.text
    slope = line.output * len(names) + entry
    return Picture(
        title=f"{title_of(check)}: {code}" if code else title_of(check),
        subtitle=_subtitle(laid, len(x)),
        variable=names[entry],
        x=x,
        curves=(
            Curve(
                derivatives_of(check.variant, 0)[line.output].name,
                _column(samples, "value"),
            ),
            Curve(derivatives_of(check.variant, 1)[slope].name, _column(samples, "slope")),
        ),
        ulps=_column(samples, "ulps"),
        rulings=tuple(sample.ruling for sample in samples),
    )


def _entry(text: str, names: list[str]) -> int:
    """The entry that ``x`` or ``x[0,1]`` names; the first where nothing is said."""
    plain = [name.replace(" ", "") for name in names]
    wanted = text.replace(" ", "") or plain[0]
    if wanted in plain:
        return plain.index(wanted)
    raise UsageError(
        f"--input {text}: no such single entry of an input",
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


def _positions(check: Check, entry: int, line: Course) -> Floats:
    dtype = DTYPES[check.dtype]
    low, high = _default_range(check, entry)
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


def _default_range(check: Check, entry: int) -> tuple[float, float]:
    """The entry's domain; of one without an end as much as is nice to look at."""
    owner = input_names(check.variant)[entry].partition("[")[0]
    domain = next(each.domain for each in check.case.inputs if each.name == owner)
    spans = domain.spans(DTYPES[check.dtype])
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
    flat = [graph.reshape(node, (graph.nodes[node].size,)) for node in formula.results
            if node is not None]  # fmt: skip
    entry = graph.gather(graph.concat(flat, 0), np.array(output))
    alone = replace(formula, outputs=(Port("", ()),), results=(entry,))
    variant = replace(check.variant, formula=alone)
    return replace(
        whole,
        check=replace(check, variant=variant),
        reference=reference_of(variant),
        subject=lambda *tensors: _entry_of(whole.subject(*tensors), output),
    )


def _entry_of(result: Any, output: int) -> Tensor:
    """One entry of what an implementation gives, a tensor or several."""
    tensors = [result] if isinstance(result, Tensor) else result
    return torch.cat([each.reshape(-1) for each in tensors])[output]


def _values(check: Check, name: str, at: Mapping[str, str]) -> dict[str, Floats]:
    fixed = {name: "0", **at} if "[" not in name else at  # the number that runs needs no value
    return values_at(check.case, check.variant, fixed, DTYPES[check.dtype])


def _samples(laid: _Survey, x: Floats) -> list[_Sample]:
    """What is to be seen at each position; nothing outside of the domain."""
    check = laid.session.check
    places = [_moved(laid, float(position)) for position in x]
    inside = [place for place in places if is_inside(check.case, check.variant, place)]
    judged = iter(_judged(laid, inside))
    known = {id(place) for place in inside}
    return [_sample(laid, place, next(judged)) if id(place) in known else _Sample()
            for place in places]  # fmt: skip


def _moved(laid: _Survey, position: float) -> dict[str, Floats]:
    values = {name: value.copy() for name, value in laid.values.items()}
    place = laid.entry
    for value in values.values():
        if place < value.size:
            value.flat[place] = position
            break
        place -= value.size
    return values


def _judged(laid: _Survey, places: list[dict[str, Floats]]) -> Iterator[Judgement]:
    """The judge's word on the slope at each place, as `torch.autograd.grad` gives it."""
    for some in [places] if laid.session.batched and places else [[place] for place in places]:
        points = {name: np.stack([place[name] for place in some]) for name in laid.values}
        observation = observe(laid.session, points, PLAIN)
        slopes = (each for each in reversed(observation.entries) if _is_slope(laid, each))
        first: dict[int, Entry | Finding] = {slope.point: slope for slope in slopes}
        for finding in observation.findings:  # about all of them
            first.setdefault(finding.point, finding)
        yield from (first[number].judgement for number in range(len(some)))


def _is_slope(laid: _Survey, entry: Entry) -> bool:
    """Whether it is about the slope that is drawn."""
    return entry.weights.count == 1 and entry.terms(1) == [(1.0, laid.entry)]


def _sample(laid: _Survey, place: dict[str, Floats], judged: Judgement) -> _Sample:
    found = [derivatives_at(laid.session.reference, order, entries_of(place)) for order in (0, 1)]
    value, slope = (_middle(each, k) for each, k in zip(found, (0, laid.entry), strict=True))
    return _Sample(value, slope, judged.ulps, judged.ruling)


def _middle(found: Enclosures, k: int) -> float:
    """The number that a narrow enclosure holds; a gap at a kink, a pole or an edge."""
    is_settled = found.status.flat[k] == Status.SETTLED
    return float(found.balls.flat[k].mid()) if is_settled else math.nan


def _column(samples: list[_Sample], name: str) -> Floats:
    return np.array([getattr(sample, name) for sample in samples], dtype=np.float64)


def _subtitle(laid: _Survey, points: int) -> str:
    check = laid.session.check
    running = input_names(check.variant)[laid.entry]
    fixed = "".join(
        f", {name} = {value.tolist()}" for name, value in laid.values.items() if name != running
    )
    return f"{check.dtype} on {check.device}, torch {version('torch')}, {points} points{fixed}"
