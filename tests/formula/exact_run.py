"""A scalar program run on exact fractions: the unroller's result as a NumPy array of them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from gradcheck.formula.parse import parse
from gradcheck.formula.program import Program
from gradcheck.formula.unroll import unroll

_RULES = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "abs": abs,
    "sign": lambda a: Fraction((a > 0) - (a < 0)),
    "floor": lambda a: Fraction(a // 1),
    "ceil": lambda a: Fraction(-(-a // 1)),
    "round": lambda a: Fraction(round(a)),
    "min": min,
    "max": max,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
    "not": lambda a: not a,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "where": lambda a, b, c: b if a else c,
}


def run(program: Program, entries: list[Fraction]) -> np.ndarray:
    """The outputs for these input entries, every operation done by Python's fractions."""
    values: list = []
    for operation in program.tape.operations:
        arguments = [values[a] for a in operation.arguments]
        if operation.operator == "input":
            values.append(entries[operation.parameter])
        elif operation.operator == "number":
            values.append(Fraction(operation.parameter))
        elif operation.operator in ("true", "false"):
            values.append(operation.operator == "true")
        elif operation.operator == "ipow":
            values.append(arguments[0] ** operation.parameter)
        else:
            values.append(_RULES[operation.operator](*arguments))
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
