"""A joint constraint that no drawn input meets is a mistake in the case."""

import itertools
import subprocess
import sys
import time

import pytest
from input_samples import case, variable

from gradcheck.points.feasibility import infeasible

INPUTS = (variable("x"), variable("y"))


@pytest.mark.parametrize("where", ["x > y", "x**2 + y**2 > 0", "x == 1.5", "x == y", "x > 1e6"])
def test_a_constraint_that_can_be_met_is_no_problem(where):
    assert infeasible([case("x*y", INPUTS, where)]) == ()


def test_a_case_without_constraint_is_no_problem():
    assert infeasible([case("x*y", INPUTS)]) == ()


@pytest.mark.parametrize("where", ["x**2 < -1", "x + exp(y) == pi"])
def test_a_constraint_that_no_input_meets_is_a_problem(where):
    (problem,) = infeasible([case("x*y", INPUTS, where)])
    assert str(problem) == (
        "cases/sample.yaml:3:1: case sample: no drawn input meets its `where`\n"
        "  expected: a condition that holds on a set of inputs that can be drawn\n"
        "  fix:      loosen `where`, narrow the domains of the inputs, "
        "or write the constraint into the formula"
    )


@pytest.mark.parametrize(("good", "bad"), [(3, 99), (100, 2), (101, 0)])
def test_every_case_of_a_file_is_searched_below_a_hundred_problems(good, bad, monkeypatch):
    monkeypatch.setattr("gradcheck.points.feasibility._ROUNDS", 1)
    met, unmet = case("x*y", INPUTS, "x > y"), case("x*y", INPUTS, "x**2 < -1")
    assert len(infeasible([*[met] * good, *[unmet] * bad])) == bad


def test_the_search_stops_at_a_hundred_problems_and_says_so(monkeypatch):
    searched = []
    monkeypatch.setattr(
        "gradcheck.points.feasibility._reached", lambda site, _: searched.append(site)
    )
    *problems, last = infeasible([case("x*y", INPUTS, "x**2 < -1")] * 400)
    assert (len(problems), len(searched)) == (100, 100)
    assert str(last) == (
        "cases/sample.yaml:3:1: 100 conditions that no drawn input meets; "
        "the search stopped here\n"
        "  expected: fewer problems\n"
        "  fix:      correct these first"
    )


def test_the_search_stops_when_a_file_has_had_its_work_and_says_so(monkeypatch):
    monkeypatch.setattr("gradcheck.points.feasibility._WORK", 1000)
    assert list(map(str, infeasible([case("x*y", INPUTS, "x**2 < -1")] * 400))) == [
        "cases/sample.yaml:3:1: case sample: no drawn input has met its `where`, "
        "and the search stops\n"
        "  expected: at most 1,000 steps of computation for the conditions of a file\n"
        "  fix:      loosen `where`, narrow the domains of the inputs, "
        "or write the constraint into the formula, or make it smaller"
    ]


def test_conditions_that_are_met_use_up_little(monkeypatch):
    monkeypatch.setattr("gradcheck.points.feasibility._WORK", 400_000)
    assert infeasible([case("x*y", INPUTS, "x**2 >= 0")] * 400) == ()


def test_the_search_stops_at_the_same_place_however_slow_the_machine_is(monkeypatch):
    monkeypatch.setattr("gradcheck.points.feasibility._WORK", 100_000)
    cases = [case("x*y", INPUTS, "x + exp(y) == pi")] * 90
    first = infeasible(cases)
    clock = itertools.count(step=1000)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    assert infeasible(cases) == first
    assert 1 < len(first) < 90


def test_neither_torch_nor_sympy_nor_hypothesis_is_imported():
    code = (
        "import sys, gradcheck.points.feasibility, gradcheck.points.fixed\n"
        "print({'torch', 'sympy', 'hypothesis'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
