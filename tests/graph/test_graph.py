"""The graph computes constants at once, shares nodes, and never simplifies too much."""

import math
from fractions import Fraction

import pytest

from gradcheck.graph.folding import MOST_WORK, TooLarge
from gradcheck.graph.graph import MOST_NODES, Graph
from gradcheck.query import Port

ZERO, ONE, TWO = Fraction(0), Fraction(1), Fraction(2)


@pytest.fixture
def graph() -> Graph:
    return Graph()


@pytest.fixture
def x(graph) -> int:
    return graph.input(Port("x", ()))


def applied(graph, operator, *values, parameter=None):
    """The operator on constants; what is None is the input x, node 0."""
    nodes = [0 if value is None else graph.constant(value) for value in values]
    return graph.elementwise(operator, *nodes, parameter=parameter)


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
def test_exact_numbers_are_computed_at_once(graph, operator, values, parameter, result):
    node = applied(graph, operator, *values, parameter=parameter)
    assert graph.number(node) == result
    assert {each.op for each in graph.nodes} == {"constant"}


def test_a_number_that_is_not_exact_becomes_a_node(graph):
    root = applied(graph, "sqrt", TWO)
    assert [node.op for node in graph.nodes] == ["constant", "sqrt"]
    assert root == 1


@pytest.mark.parametrize(
    ("operator", "left", "right"),
    [("add", ZERO, None), ("add", None, ZERO), ("sub", None, ZERO), ("mul", ONE, None),
     ("mul", None, ONE), ("div", None, ONE)],
)  # fmt: skip
def test_what_changes_nothing_is_left_out(graph, x, operator, left, right):
    assert applied(graph, operator, left, right) == x


@pytest.mark.parametrize(
    ("operator", "left", "right"),
    [("mul", ZERO, None), ("mul", None, ZERO), ("sub", None, None), ("div", None, None),
     ("div", ZERO, None)],
)  # fmt: skip
def test_what_may_be_undefined_is_kept(graph, x, operator, left, right):
    node = applied(graph, operator, left, right)
    assert graph.nodes[node].op == operator
    assert node != x


def test_a_known_condition_chooses_its_branch(graph, x):
    one, true, false = (graph.constant(value) for value in (1, True, False))
    less = graph.elementwise("lt", x, one)
    assert graph.elementwise("where", true, x, one) == x
    assert graph.elementwise("where", false, x, one) == one
    assert graph.elementwise("and", true, less) == less
    assert graph.number(graph.elementwise("and", false, less)) is False
    assert graph.number(graph.elementwise("or", less, true)) is True
    assert [graph.kind(node) for node in (less, true, x, one)] == ["bool", "bool", "real", "real"]


def test_ancestors_are_what_a_node_is_computed_from(graph, x):
    y = graph.input(Port("y", ()))
    total = graph.mul(graph.add(x, y), y)
    other = graph.elementwise("sin", x)
    assert graph.ancestors([total]) == [x, y, total - 1, total]
    assert graph.ancestors([other]) == [x, other]


def test_a_graph_with_limits_has_an_end():
    graph = Graph(MOST_WORK)
    for k in range(MOST_NODES):
        graph.put("input", (), k, (), "real")
    assert graph.put("input", (), 0, (), "real") == 0  # known
    with pytest.raises(TooLarge, match="more than 200,000 operations"):
        graph.put("sin", (0,), None, (), "real")


def test_work_is_counted_where_it_is_limited():
    limited, free = Graph(MOST_WORK), Graph()
    applied(limited, "add", ONE, TWO)
    assert 0 < MOST_WORK - limited.allowance < 20
    assert free.allowance == math.inf
    limited.allowance = 0
    with pytest.raises(TooLarge, match="more than 800,000 steps of computation"):
        applied(limited, "add", ONE, TWO)


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
        applied(Graph(MOST_WORK), operator, *values, parameter=parameter)


def test_without_limits_a_number_too_long_to_be_written_is_left_to_the_balls(graph):
    half = Fraction(10**5_000)
    product = applied(graph, "mul", half, half)
    assert graph.number(product) is None
    assert graph.nodes[product].op == "mul"


@pytest.mark.parametrize(("base", "n"), [(10, 9_999), (1, 10**30), (-1, 10**30), (0, 10**30)])
def test_a_power_within_it_is_computed(graph, base, n):
    assert graph.number(applied(graph, "ipow", Fraction(base), parameter=n)) == base**n
