"""A function along one input: certified value and derivatives, and what PyTorch makes of them.

The line runs along one real coordinate: an entry of a real input, or one of the parts of a complex
one. A complex output has two curves, and two slopes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradcheck.answer import Floats, Ruling
from gradcheck.catalog.case import Variant
from gradcheck.catalog.checks import Check
from gradcheck.dtypes import DTYPES
from gradcheck.errors import UsageError
from gradcheck.explanation.formulas import (
    formula_text,
    formulas_of,
    latex_equation,
    short_equation,
    written_name,
)
from gradcheck.explanation.picture import Claim, Curve, Errors, Picture, Tangent
from gradcheck.explanation.point import number, numbers_text
from gradcheck.explanation.request import owner_of
from gradcheck.explanation.statements import (
    coordinate_names,
    derivatives_of,
    title_of,
)
from gradcheck.explanation.transects import Testimony, Transect, allowances, line_of, truths
from gradcheck.floats import round_to
from gradcheck.points.generate import coordinate_spans, from_coordinates
from gradcheck.query import complex_entries
from gradcheck.report.records import version
from gradcheck.run.entry_text import output_names
from gradcheck.run.session import session_of

_WIDTH = 10.0  # of what is shown of a domain without ends
_POINTS = 401
_LONGEST = 400  # letters of a formula that stands in a legend, or beside the picture
_FAR = 1e4  # an end beyond it is as good as none


@dataclass(frozen=True, slots=True)
class Course:
    """Which real coordinate runs, from where to where, as it was typed; empty for what was not.

    A complex entry without ``re`` or ``im`` before its name runs by its real part. ``other`` is
    what runs beside it, over a surface; ``points`` are those of each side. ``output`` is the output
    entry that is drawn, None for the first that depends on what runs. ``tangents`` are names and
    places, as typed, at which the function's tangent is drawn.
    """

    entry: str = ""
    start: str = ""
    end: str = ""
    points: int | None = None
    output: int | None = None
    order: int = 1
    tangents: tuple[tuple[str, str], ...] = ()
    other: str = ""


def survey(checks: Sequence[Check], course: Course, at: Mapping[str, str]) -> Picture:
    """Everything that the picture shows: the curves in the first check's dtype, errors in each.

    Errors: UsageError for an input, an output or a range that is not there.
    """
    first = checks[0]
    names = coordinate_names(first.variant)[1]
    coordinate = coordinate_of(course.entry or _free(names, at), names)
    output = output_of(first, course.output, (coordinate,), at)
    lines = [line_of(check, output, coordinate, at) for check in checks]
    x = [_positions(check, coordinate, course) for check in checks]
    labels = [
        labels_of(first.variant, output, coordinate, order) for order in range(course.order + 1)
    ]
    curves = tuple(
        Curve(label, numbers, order=order)
        for order in range(course.order + 1)
        for label, numbers in zip(labels[order], truths(lines[0], lines[0].rows(x[0]), order),
                                  strict=True)
    )  # fmt: skip
    errors, claims = [], dict[str, Claim]()
    for line, places in zip(lines, x, strict=True):
        heard = [Testimony.of(line, places, order) for order in range(course.order + 1)]
        errors.append(_errors(line, places, heard[1]))
        for order, said in enumerate(heard):
            for claim in _claims(line, places, said, labels[order], order):
                claims.setdefault(claim.of, claim)
    equations = equations_of(first.variant, course.order, {curve.label for curve in curves})
    alone = len(names) == 1 and len(coordinate_names(first.variant)[0]) == 1
    shown = {curve.label: written_name(curve.label, alone=alone) for curve in curves}
    written = {of: short_equation(shown[of], formula) for of, formula in equations.items()}
    return Picture(
        title=picture_title(first),
        subtitle=subtitle_of(lines, len(x[0])),
        variable=names[coordinate],
        x=x[0],
        curves=tuple(
            replace(each, name=shown[each.label], legend=written.get(each.label, ""))
            for each in curves
        ),
        errors=tuple(errors),
        claims=tuple(claims.values()),
        tangents=tuple(_tangents(lines[0], course, at)),
        equations=tuple(latex_equation(*each) for each in equations.items()),
    )


def picture_title(check: Check) -> str:
    code = check.implementation.text
    return f"{title_of(check)}: {code}" if code else title_of(check)


def equations_of(variant: Variant, order: int, labels: set[str]) -> dict[str, Any]:
    """Sympy's expressions of the derivatives that are called so, as far as these are short."""
    formulas = formulas_of(variant, tuple(range(order + 1)))
    return {
        of.name: formula
        for of, formula in formulas
        if of.name in labels and len(formula_text(formula)) <= _LONGEST
    }


def labels_of(variant: Variant, output: int, coordinate: int, order: int) -> list[str]:
    """What the derivatives of an output entry along a coordinate are called."""
    inputs = coordinate_names(variant)[1]
    is_complex = complex_entries(variant.formula.judged)
    first = int((1 + is_complex[:output]).sum())
    derivatives = derivatives_of(variant, order)
    place = sum(coordinate * len(inputs) ** k for k in range(order))
    return [
        derivatives[row * len(inputs) ** order + place].name
        for row in range(first, first + 1 + int(is_complex[output]))
    ]


def coordinate_of(text: str, names: list[str]) -> int:
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


def _free(names: Sequence[str], at: Mapping[str, str]) -> str:
    """The first number of an input that has no value; the first of all where each has one."""
    return next((name for name in names if owner_of(name) not in at), names[0])


def output_of(
    check: Check, output: int | None, coordinates: Sequence[int], at: Mapping[str, str]
) -> int:
    """The output entry that is drawn: the one asked for, else the first that depends on what runs.

    Errors: UsageError for one that is not there.
    """
    count = len(output_names(check.variant))
    if output is None:
        return _first_that_depends(check, coordinates, at) if count > 1 else 0
    if output >= count:
        raise UsageError(
            f"--entry {output}: the function has {count} output entries",
            f"a number from 0 to {count - 1}",
            "leave it out for the first",
        )
    return output


_PROBES = 5


def _first_that_depends(check: Check, coordinates: Sequence[int], at: Mapping[str, str]) -> int:
    """The first output entry whose slope is not 0 everywhere; the first of all if none is."""
    real = session_of(check).in_real_coordinates
    depends = np.zeros(real.outputs, dtype=bool)
    for coordinate in coordinates:
        line = line_of(check, None, coordinate, at)
        low, high = _default_range(check, coordinate)
        probes = round_to(np.linspace(low, high, _PROBES + 2)[1:-1], DTYPES[check.dtype])
        slopes = real.enclose(line.query(1), line.rows(probes)).balls
        depends |= np.array([[not ball.is_zero() for ball in row] for row in slopes]).any(axis=0)
    owners = np.repeat(
        np.arange(len(output_names(check.variant))),
        1 + complex_entries(check.variant.formula.judged),
    )
    return int(owners[int(depends.argmax())])


def _positions(check: Check, coordinate: int, course: Course) -> Floats:
    low, high = range_of(check, coordinate, course.start, course.end)
    places = np.linspace(low, high, course.points or _POINTS)
    return np.unique(round_to(places, DTYPES[check.dtype]))


def range_of(check: Check, coordinate: int, first: str, last: str) -> tuple[float, float]:
    """From where to where a coordinate runs. Errors: UsageError for an empty range."""
    dtype = DTYPES[check.dtype]
    low, high = _default_range(check, coordinate)
    start = number("--from", first, dtype) if first else low
    end = number("--to", last, dtype) if last else high
    if first and not last:
        end = high if start < high else start + _WIDTH
    if last and not first:
        start = low if low < end else end - _WIDTH
    if not start < end:
        raise UsageError(
            f"--from {start:g} --to {end:g}: an empty range", "--from below --to", "swap them"
        )
    return start, end


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


def _errors(line: Transect, x: Floats, heard: Testimony) -> Errors:
    check, rows = line.session.check, line.rows(x)
    return Errors(
        setting=f"{check.dtype} on {check.device}",
        x=x,
        ulps=np.array([word.ulps for word in heard.judged]),
        allowed=allowances(line, rows, truths(line, rows, 1)),
        rulings=tuple(word.ruling for word in heard.judged),
    )


def _claims(
    line: Transect, x: Floats, heard: Testimony, labels: Sequence[str], order: int
) -> Iterator[Claim]:
    """PyTorch's own curves, where the judge did not find them as accurate as they can be."""
    wrong = np.array([word.ruling.severity > Ruling.KNOWN.severity for word in heard.judged])
    for label, numbers in zip(labels, heard.got, strict=True):
        if wrong.any():
            setting, finite = line.session.check.dtype, np.isfinite(numbers)
            curve = np.where(wrong & finite, numbers, math.nan)
            yield Claim(label, setting, x, curve, order, x[wrong & ~finite])


def _tangents(line: Transect, course: Course, at: Mapping[str, str]) -> Iterator[Tangent]:
    """At each place that was asked for; --at of what runs is one, too.

    Errors: UsageError where the function has no derivative.
    """
    dtype = line.session.dtype
    asked = [("--tangent", text) for name, text in course.tangents if name == line.name]
    for name, text in course.tangents:
        if name != line.name:
            raise UsageError(
                f"--tangent {name}={text}: {name} does not run",
                f"the name of what runs, {line.name}",
                f"write --tangent '{line.name}={text}'",
            )
    if line.name in at and line.name.isidentifier():
        asked.append(("--at", at[line.name]))
    for option, text in asked:
        place = np.array([number(f"{option} {line.name}", text, dtype)])
        values, slopes = (truths(line, line.rows(place), order)[:, 0] for order in (0, 1))
        for value, slope in zip(values, slopes, strict=True):
            if not (math.isfinite(value) and math.isfinite(slope)):
                raise UsageError(
                    f"{option} {line.name}={text}: the function has no derivative there",
                    "a place inside of the domain, and no kink",
                    "name another place, or leave it out",
                )
            yield Tangent(float(place[0]), float(value), float(slope))


def subtitle_of(lines: Sequence[Transect], points: int, running: Sequence[str] = ()) -> str:
    """Where it was computed, and the values of the inputs that do not run."""
    line, variant = lines[0], lines[0].session.variant
    values = from_coordinates(variant.inputs, line.point)
    fixed = "".join(
        f", {name} = {numbers_text(value.tolist(), most=_SHOWN)}"
        for name, value in values.items()
        if name not in (line.name, *running)
    )
    settings = ", ".join(f"{each.session.check.dtype} on {each.session.check.device}"
                         for each in lines)  # fmt: skip
    return f"{settings}, torch {version('torch')}, {points} points{fixed}"


_SHOWN = 6  # numbers of an array in a line
