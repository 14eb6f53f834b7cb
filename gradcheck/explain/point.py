"""A point: the values of all inputs, read from text and exact in the dtype under test."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradcheck.answer import Floats
from gradcheck.catalog.case import Case, Variant
from gradcheck.dtypes import Dtype
from gradcheck.errors import ExpressionError, UsageError
from gradcheck.language.nodes import Node
from gradcheck.language.parse import parse
from gradcheck.points.fixed import fixed_points
from gradcheck.reference.conditions import holds
from gradcheck.reference.exact import enclose_constant, nearest_to_ball


def values_at(
    case: Case, variant: Variant, at: Mapping[str, str], dtype: Dtype
) -> dict[str, Floats]:
    """The value of each input: what ``at`` says, else that of the case's first point.

    Errors: UsageError for an input without a value, or a value that is no finite constant of the
            input's shape, or whose name is no input.
    """
    declared = fixed_points(case, variant, dtype)
    values = dict(declared[0].at) if declared else {}
    shapes = {port.name: port.shape for port in variant.formula.ports}
    for name, text in at.items():
        if name not in shapes:
            raise UsageError(
                f"--at {name}={text}: {name} is no input of the function",
                f"one of {', '.join(shapes)}",
                "correct the name",
            )
        values[name] = _floats(f"--at {name}", text, shapes[name], dtype)
    for name in shapes.keys() - values.keys():
        raise UsageError(f"no value for the input {name}", "a value", f"write --at {name}=1")
    return {name: values[name] for name in shapes}


def refuse_complex(variant: Variant) -> None:
    """Errors: UsageError where an input is complex."""
    for port in variant.formula.ports:
        if port.kind == "complex":
            raise UsageError(
                f"the input {port.name} is complex",
                "real inputs: complex ones are judged, and not yet explained or drawn",
                "write it by its real and its imaginary part, or run it with `gradcheck check`",
            )


def number(option: str, text: str, dtype: Dtype) -> float:
    """One number, such as ``3`` or ``pi/2``. Errors: UsageError for anything else."""
    return float(_floats(option, text, (), dtype))


def shape_of(name: str, text: str) -> tuple[int, ...]:
    """The shape of an input's value. Errors: UsageError for what is no constant."""
    return _balls(f"--at {name}", text).shape


def entries_of(values: Mapping[str, Floats]) -> list[float]:
    """All entries of all inputs, flattened and joined in order."""
    return [float(entry) for value in values.values() for entry in value.ravel()]


def is_inside(case: Case, variant: Variant, values: Mapping[str, Floats]) -> bool:
    """Whether the point lies in every domain and meets `where`."""
    inside = all(
        each.domain.contains(float(entry))
        for each in case.inputs
        for entry in values[each.name].ravel()
    )
    row = np.array([entries_of(values)])
    return inside and holds(variant.formula, row)[0] is not False


def _floats(option: str, text: str, shape: tuple[int, ...], dtype: Dtype) -> Floats:
    balls = _balls(option, text)
    rounded = np.array(
        [nearest_to_ball(ball, dtype) for ball in balls.ravel().tolist()], dtype=np.float64
    )
    if not np.isfinite(rounded).all():
        raise _no_value(option, text, f"not finite in {dtype.name}", "write a finite number")
    if balls.shape != shape:
        found = f"a value of shape {list(balls.shape)}"
        raise _no_value(option, text, found, f"write a value of shape {list(shape)}")
    return rounded.reshape(shape)


def _balls(option: str, text: str) -> np.ndarray:
    try:
        tree: Node = parse(text)
        return enclose_constant(tree)
    except ExpressionError as error:
        raise _no_value(option, text, error.found, error.fix) from None


def _no_value(option: str, text: str, found: str, fix: str) -> UsageError:
    return UsageError(
        f"{option}={text[:60]}: {found}",
        "a number, a constant such as pi/2, or nested lists of them",
        fix,
    )
