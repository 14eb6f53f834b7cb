"""A point: the values of all inputs, read from text and exact in the dtype under test."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from flint import acb

from gradcheck.catalog.case import Case, Variant
from gradcheck.dtypes import Dtype
from gradcheck.errors import ExpressionError, UsageError
from gradcheck.floats import round_to
from gradcheck.language.nodes import Node
from gradcheck.language.parse import parse
from gradcheck.points.fixed import fixed_points
from gradcheck.query import Array, Port
from gradcheck.reference.conditions import holds
from gradcheck.reference.exact import enclose_constant, nearest_numbers
from gradcheck.report.failure_text import format_number


def values_at(
    case: Case,
    variant: Variant,
    at: Mapping[str, str],
    dtype: Dtype,
    otherwise: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """The value of each input: what ``at`` says, else ``otherwise`` does, else the case's first
    point.

    Errors: UsageError for an input without a value, or a value that is no finite constant of the
            input's shape, or whose name is no input.
    """
    declared = fixed_points(case, variant, dtype) if otherwise is None else ()
    values = dict(declared[0].at) if declared else {}
    values |= {name: _rounded(name, x, dtype) for name, x in (otherwise or {}).items()
               if name not in at}  # fmt: skip
    ports = {port.name: port for port in variant.formula.ports}
    for name, text in at.items():
        if name not in ports:
            raise UsageError(
                f"--at {name}={text}: {name} is no input of the function",
                f"one of {', '.join(ports)}",
                "correct the name",
            )
        values[name] = _numbers(f"--at {name}", text, ports[name], dtype)
    for name in ports.keys() - values.keys():
        raise UsageError(f"no value for the input {name}", "a value", f"write --at {name}=1")
    return {name: values[name] for name in ports}


def refuse_no_entries(variant: Variant) -> None:
    """Errors: UsageError for a function of nothing, or with nothing as its result."""
    formula = variant.formula
    for what, ports in (("inputs", formula.ports), ("results", formula.judged)):
        if not sum(math.prod(port.shape) for port in ports):
            raise UsageError(
                f"a function whose {what} have no entries",
                "one entry at least, of which something can be told",
                "give an array with entries",
            )


def number(option: str, text: str, dtype: Dtype) -> float:
    """One number, such as ``3`` or ``pi/2``. Errors: UsageError for anything else."""
    return float(_numbers(option, text, Port("", ()), dtype))


def declaration_of(name: str, text: str) -> dict[str, object]:
    """An input as its value shows it: real or complex, and of its shape.

    Errors: UsageError for what is no constant.
    """
    balls = _balls(f"--at {name}", text)
    is_complex = any(isinstance(ball, acb) for ball in balls.flat)
    return {"domain": "complex" if is_complex else "real", "shape": list(balls.shape)}


def row_of(values: Mapping[str, Array]) -> Array:
    """All entries of all inputs, flattened and joined in order.

    Shapes: [1, n].
    """
    return np.concatenate([value.reshape(1, -1) for value in values.values()], axis=1)


def is_inside(case: Case, variant: Variant, values: Mapping[str, Array]) -> bool:
    """Whether the point lies in every domain and meets `where`."""
    inside = all(
        each.domain.contains(entry)
        for each in case.inputs
        for entry in values[each.name].ravel().tolist()
    )
    return inside and holds(variant.formula, row_of(values))[0] is not False


def _numbers(option: str, text: str, port: Port, dtype: Dtype) -> Array:
    balls = _balls(option, text)
    rounded = nearest_numbers(balls, dtype)
    if not np.isfinite(rounded).all():
        raise _no_value(option, text, f"not finite in {dtype.name}", "write a finite number")
    if balls.shape != port.shape:
        found = f"a value of shape {list(balls.shape)}"
        raise _no_value(option, text, found, f"write a value of shape {list(port.shape)}")
    if port.kind == "complex":
        return rounded.astype(np.complex128)
    if np.iscomplexobj(rounded):
        raise _no_value(option, text, "a complex number", "write a real one, or declare the input "
                        f"complex: --input {port.name or 'z'}=complex")  # fmt: skip
    return rounded


def _rounded(name: str, value: Array, dtype: Dtype) -> Array:
    """A value of another dtype. Errors: UsageError for one that is not finite in this one."""
    found: Array = round_to(value, dtype)
    if not np.isfinite(found).all():
        text = numbers_text(value.tolist(), most=3)
        raise _no_value(
            f"--at {name}", text, f"not finite in {dtype.name}", "write a finite number"
        )
    return found


def _balls(option: str, text: str) -> Array:
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


def numbers_text(value: Any, *, most: float = math.inf, digits: int | None = None) -> str:
    """A number or nested lists of them, each whole or to so many ``digits``; of more than ``most``
    numbers the first three."""
    if isinstance(value, str) or value is None:
        return str(value)
    flat = np.ravel(value).tolist()
    if len(flat) <= most:
        return _written(value, digits)
    first = ", ".join(_written(each, digits) for each in flat[:3])
    return f"[{first}, ...] ({len(flat)} numbers)"


def _written(value: Any, digits: int | None) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_written(each, digits) for each in value)}]"
    if isinstance(value, (bool, int, str)) or value is None:
        return str(value)
    return format_number(value, repr if digits is None else lambda part: f"{part:.{digits}g}")
