"""A function over two numbers that run: its value, both slopes, and the error of PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gradcheck.answer import Floats, Ruling
from gradcheck.catalog.checks import Check
from gradcheck.dtypes import DTYPES
from gradcheck.errors import UsageError
from gradcheck.explanation.curves import (
    Course,
    coordinate_of,
    equations_of,
    labels_of,
    output_of,
    picture_title,
    range_of,
    subtitle_of,
    survey,
)
from gradcheck.explanation.formulas import latex_equation, short_equation
from gradcheck.explanation.heat_map import HeatMap, Surface
from gradcheck.explanation.picture import Picture
from gradcheck.explanation.point import refuse_no_entries
from gradcheck.explanation.statements import coordinate_names
from gradcheck.explanation.transects import Transect, heard_of, inside_of, line_of, truths
from gradcheck.floats import round_to

_SIDE = 41  # points of each side
_MOST_SIDE = 201


def picture_of(checks: Sequence[Check], course: Course, at: Mapping[str, str]) -> Picture | Surface:
    """Curves over one number that runs; a surface over two.

    Errors: UsageError for an input, an output or a range that is not there.
    """
    refuse_no_entries(checks[0].variant)
    return _surface(checks, course, at) if course.other else survey(checks, course, at)


def _surface(checks: Sequence[Check], course: Course, at: Mapping[str, str]) -> Surface:
    check = checks[0]
    names = coordinate_names(check.variant)[1]
    both = [coordinate_of(each, names) for each in (course.entry, course.other)]
    _refuse(checks, course, both, names)
    fixed = _fixed(check, names, both, at)
    output = output_of(check, course.output, both, fixed)
    lines = [line_of(check, output, coordinate, fixed)
             for coordinate in both]  # fmt: skip
    sides = [
        round_to(np.linspace(*range_of(check, coordinate, course.start, course.end),
                             course.points or _SIDE), DTYPES[check.dtype])
        for coordinate in both
    ]  # fmt: skip
    rows = _grid(lines[0], both, sides)
    shape = len(sides[1]), len(sides[0])
    wholes = [truths(lines[0], rows, 0), *(truths(line, rows, 1) for line in lines)]
    labels = [labels_of(check.variant, output, both[0], 0)[0],
              *(labels_of(check.variant, output, k, 1)[0] for k in both)]  # fmt: skip
    errors, disagrees = _judged(lines, rows)
    equations = equations_of(check.variant, 1, set(labels))
    written = {label: short_equation(label, formula) for label, formula in equations.items()}
    return Surface(
        title=picture_title(check),
        subtitle=subtitle_of(lines[:1], len(rows), running=[names[k] for k in both]),
        variables=(names[both[0]], names[both[1]]),
        x=sides[0],
        y=sides[1],
        fields=tuple(
            HeatMap(label, whole[0].reshape(shape), written.get(label, ""))
            for label, whole in zip(labels, wholes, strict=True)
        ),
        errors=errors.reshape(shape),
        disagrees=disagrees.reshape(shape),
        setting=f"{check.dtype} on {check.device}",
        equations=tuple(latex_equation(*each) for each in equations.items()),
    )


def _refuse(
    checks: Sequence[Check], course: Course, both: Sequence[int], names: Sequence[str]
) -> None:
    """Errors: UsageError for what a surface does not show."""
    if both[0] == both[1]:
        raise UsageError(
            f"--input {names[both[0]]}: twice", "two numbers that run", "name another one"
        )
    asked = {
        "--dtype": len(checks) > 1 and "several",
        "--order": course.order > 1 and str(course.order),
        "--tangent": course.tangents and course.tangents[0][1],
    }
    for option, value in asked.items():
        if value:
            raise UsageError(
                f"{option} {value} of a surface", "one --input, for a curve", "leave it out"
            )
    if (course.points or _SIDE) > _MOST_SIDE:
        raise UsageError(
            f"--points {course.points} a side of a surface", f"at most {_MOST_SIDE}", "leave it out"
        )


def _fixed(
    check: Check, names: Sequence[str], both: Sequence[int], at: Mapping[str, str]
) -> Mapping[str, str]:
    """Values of all inputs: what is one number and runs needs none."""
    plain = {names[k].removeprefix("re ").removeprefix("im ") for k in both}
    ports = check.variant.formula.ports
    return {**{port.name: "0" for port in ports if port.name in plain}, **at}


def _grid(line: Transect, both: Sequence[int], sides: Sequence[Floats]) -> Floats:
    """Every point of the surface, row by row. Shapes: [count, coordinates]."""
    across, up = np.meshgrid(sides[0], sides[1])
    rows = np.repeat(line.point[None], across.size, axis=0)
    rows[:, both[0]], rows[:, both[1]] = across.ravel(), up.ravel()
    return rows


def _judged(lines: Sequence[Transect], rows: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """The larger error of both slopes, in ulps, NaN where nothing was judged; where one is wrong.

    Shapes: [count] each.
    """
    inside, points = inside_of(lines[0], rows)
    errors, disagrees = np.full(len(rows), math.nan), np.zeros(len(rows), dtype=bool)
    for line in lines:
        words = [word for _, word in heard_of(line, points, 1)]
        errors[inside] = np.fmax(errors[inside], [word.ulps for word in words])
        disagrees[inside] |= [word.ruling is Ruling.DISAGREE for word in words]
    return errors, disagrees
