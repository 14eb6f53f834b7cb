"""A joint constraint that no drawn input meets is a mistake in the case."""

import subprocess
import sys

import pytest
from input_samples import case, variable

from gradcheck.inputs.reach import unreachable

INPUTS = (variable("x"), variable("y"))


@pytest.mark.parametrize("where", ["x > y", "x**2 + y**2 > 0", "x == 1.5", "x == y", "x > 1e6"])
def test_a_constraint_that_can_be_met_is_no_problem(where):
    assert unreachable(case("x*y", INPUTS, where)) == ()


def test_a_case_without_constraint_is_no_problem():
    assert unreachable(case("x*y", INPUTS)) == ()


@pytest.mark.parametrize("where", ["x**2 < -1", "x + exp(y) == pi"])
def test_a_constraint_that_no_input_meets_is_a_problem(where):
    (problem,) = unreachable(case("x*y", INPUTS, where))
    assert str(problem) == (
        "cases/sample.yaml:3:1: case sample: no drawn input meets its `where`\n"
        "  expected: a condition that holds on a set of inputs that can be drawn\n"
        "  fix:      loosen `where`, narrow the domains of the inputs, "
        "or write the constraint into the formula"
    )


def test_neither_torch_nor_sympy_nor_hypothesis_is_imported():
    code = (
        "import sys, gradcheck.inputs.reach, gradcheck.inputs.fixed\n"
        "print({'torch', 'sympy', 'hypothesis'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
