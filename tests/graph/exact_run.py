"""A scalar program run on exact fractions by NumPy: the unroller's result as an array of them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from gradcheck.graph.scalarize import unroll
from gradcheck.graph.tape import Program
from gradcheck.language.parse import parse

NUMPY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "abs": np.absolute,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": lambda a: np.rint(float(a)),  # np.rint takes no fractions; a half is one in binary
    "min": np.minimum,
    "max": np.maximum,
    "lt": np.less,
    "le": np.less_equal,
    "eq": np.equal,
    "not": np.logical_not,
    "and": np.logical_and,
    "or": np.logical_or,
    "where": lambda a, b, c: np.where(a, b, c).item(),
    "ipow": np.power,
}
"""What each operator does, as NumPy does it to Python's fractions."""


def call(operator: str, *arguments: Fraction | bool | int) -> Fraction | bool:
    """One operation, as NumPy computes it."""
    found = NUMPY[operator](*arguments)
    return bool(found) if isinstance(found, bool | np.bool_) else Fraction(found)


def run(program: Program, entries: list[Fraction]) -> np.ndarray:
    """The outputs for these input entries, every operation done by NumPy."""
    values: list = []
    for operation in program.tape.operations:
        arguments = [values[a] for a in operation.arguments]
        if operation.operator == "input":
            values.append(entries[operation.parameter])
        elif operation.operator == "number":
            values.append(Fraction(operation.parameter))
        elif operation.operator in ("true", "false"):
            values.append(operation.operator == "true")
        else:
            given = [] if operation.parameter is None else [operation.parameter]
            values.append(call(operation.operator, *arguments, *given))
    result = np.empty(len(program.outputs), dtype=object)
    result[:] = [values[node] for node in program.outputs]
    return result.reshape(program.shape)


def of_inputs(text: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The formula with all arrays as inputs."""
    shapes = {name: array.shape for name, array in arrays.items()}
    program = unroll(parse(text), inputs=shapes, names={}, lets={}, conditions=())
    return run(program, [entry for array in arrays.values() for entry in array.flat])


def of_constants(text: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The formula with all arrays as constants, which the unroller computes itself."""
    names = {name: array.tolist() for name, array in arrays.items()}
    program = unroll(parse(text), inputs={}, names=names, lets={}, conditions=())
    assert {operation.operator for operation in program.tape.operations} <= {"number"}
    return run(program, [])
