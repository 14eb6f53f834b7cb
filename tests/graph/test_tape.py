"""The scalar program computes numbers at once, shares nodes, and never simplifies too much."""

import math
from fractions import Fraction

import pytest

from gradcheck.graph.folding import MOST_WORK, TooLarge
from gradcheck.graph.tape import (
    MOST_OPERATIONS,
    Operation,
    Scalar,
    Tape,
    apply,
    is_condition,
    node_of,
)

ZERO, ONE, TWO = Fraction(0), Fraction(1), Fraction(2)


@pytest.fixture
def tape() -> Tape:
    return Tape()


@pytest.fixture
def x(tape) -> Scalar:
    return Scalar(tape, tape.put(Operation("input", (), 0)))


@pytest.mark.parametrize(
    ("operator", "values", "parameter", "result"),
    [
        ("add", (ONE, TWO), None, 3),
        ("sub", (ONE, TWO), None, -1),
        ("mul", (TWO, Fraction(-3, 4)), None, Fraction(-3, 2)),
        ("div", (ONE, Fraction(3)), None, Fraction(1, 3)),
        ("neg", (TWO,), None, -2),
        ("ipow", (TWO,), -2, Fraction(1, 4)),
        ("ipow", (ZERO,), 0, 1),
        ("abs", (Fraction(-7, 2),), None, Fraction(7, 2)),
        ("sign", (Fraction(-7, 2),), None, -1),
        ("sign", (ZERO,), None, 0),
        ("floor", (Fraction(-1, 2),), None, -1),
        ("ceil", (Fraction(-1, 2),), None, 0),
        ("round", (Fraction(5, 2),), None, 2),
        ("round", (Fraction(7, 2),), None, 4),
        ("round", (Fraction(-5, 2),), None, -2),
        ("round", (Fraction(-11, 4),), None, -3),
        ("min", (ONE, TWO), None, 1),
        ("max", (ONE, TWO), None, 2),
        ("lt", (ONE, TWO), None, True),
        ("lt", (TWO, TWO), None, False),
        ("le", (TWO, TWO), None, True),
        ("le", (TWO, ONE), None, False),
        ("eq", (TWO, TWO), None, True),
        ("eq", (ONE, TWO), None, False),
        ("not", (True,), None, False),
        ("and", (True, True), None, True),
        ("and", (True, False), None, False),
        ("or", (False, True), None, True),
        ("or", (False, False), None, False),
        ("where", (True, ONE, TWO), None, 1),
        ("where", (False, ONE, TWO), None, 2),
    ],
)
def test_exact_numbers_are_computed_at_once(tape, operator, values, parameter, result):
    assert apply(tape, operator, *values, parameter=parameter) == result
    assert tape.operations == []


def test_a_number_that_is_not_exact_becomes_a_node(tape):
    root = apply(tape, "sqrt", TWO)
    assert [operation.operator for operation in tape.operations] == ["number", "sqrt"]
    assert root.node == 1


@pytest.mark.parametrize(
    ("operator", "left", "right"),
    [("add", ZERO, None), ("add", None, ZERO), ("sub", None, ZERO), ("mul", ONE, None),
     ("mul", None, ONE), ("div", None, ONE)],
)  # fmt: skip
def test_what_changes_nothing_is_left_out(tape, x, operator, left, right):
    values = [x if value is None else value for value in (left, right)]
    assert apply(tape, operator, *values) is x


@pytest.mark.parametrize(
    ("operator", "left", "right"),
    [("mul", ZERO, None), ("mul", None, ZERO), ("sub", None, None), ("div", None, None),
     ("div", ZERO, None)],
)  # fmt: skip
def test_what_may_be_undefined_is_kept(tape, x, operator, left, right):
    values = [x if value is None else value for value in (left, right)]
    assert apply(tape, operator, *values).node > x.node


def test_a_known_condition_chooses_its_branch(tape, x):
    assert apply(tape, "where", True, x, ONE) is x  # noqa: FBT003
    less = apply(tape, "lt", x, ONE)
    assert apply(tape, "and", True, less) is less  # noqa: FBT003
    assert apply(tape, "and", False, less) is False  # noqa: FBT003
    assert apply(tape, "or", less, True) is True  # noqa: FBT003
    assert [is_condition(value) for value in (less, True, x, ONE)] == [True, True, False, False]


def test_ancestors_are_what_a_node_is_computed_from(tape, x):
    y = Scalar(tape, tape.put(Operation("input", (), 1)))
    total = node_of(tape, (x + y) * y)
    other = node_of(tape, apply(tape, "sin", x))
    assert tape.ancestors([total]) == set(range(total + 1))
    assert tape.ancestors([other]) == {x.node, other}


def test_a_tape_with_limits_has_an_end():
    tape = Tape(MOST_WORK)
    for k in range(MOST_OPERATIONS):
        tape.put(Operation("input", (), k))
    assert tape.put(Operation("input", (), 0)) == 0  # known
    with pytest.raises(TooLarge, match="more than 200,000 scalar operations"):
        tape.put(Operation("sin", (0,)))


def test_work_is_counted_where_it_is_limited():
    limited, free = Tape(MOST_WORK), Tape()
    apply(limited, "add", ONE, TWO)
    assert 0 < MOST_WORK - limited.allowance < 10
    assert free.allowance == math.inf
    limited.allowance = 0
    with pytest.raises(TooLarge, match="more than 800,000 steps of computation"):
        apply(limited, "add", ONE, TWO)


@pytest.mark.parametrize(
    ("operator", "values", "parameter"),
    [
        ("ipow", (Fraction(10),), 10_000),
        ("ipow", (Fraction(10),), 10**30),
        ("ipow", (Fraction(1, 10),), 10_000),
        ("mul", (Fraction(10**5_000), Fraction(10**5_000)), None),
        ("add", (Fraction(1, 10**6_000), Fraction(1, 10**6_000 + 1)), None),
    ],
)
def test_a_number_has_an_end(operator, values, parameter):
    with pytest.raises(TooLarge, match="a number of more than 10,000 digits"):
        apply(Tape(MOST_WORK), operator, *values, parameter=parameter)


def test_without_limits_a_number_too_long_to_be_written_is_left_to_the_balls(tape):
    half = Fraction(10**5_000)
    product = apply(tape, "mul", half, half)
    assert isinstance(product, Scalar)
    assert tape.operations[product.node].operator == "mul"
    assert not tape.full


@pytest.mark.parametrize(("base", "n"), [(10, 9_999), (1, 10**30), (-1, 10**30), (0, 10**30)])
def test_a_power_within_it_is_computed(tape, base, n):
    assert apply(tape, "ipow", Fraction(base), parameter=n) == base**n
