"""Derivatives in a graph are those of exact polynomial arithmetic, forward and reverse."""

import math
from fractions import Fraction

import numpy as np
import pytest
from exact_run import run
from hypothesis import given, settings
from hypothesis import strategies as st
from jets import coefficients, moved

from gradcheck.graph import derivatives
from gradcheck.graph.derivatives import NoDerivative, jvp, vjp
from gradcheck.graph.lower import lower
from gradcheck.language.parse import parse
from gradcheck.query import Port

SHAPES = {"x": (3,), "m": (2, 3), "a": (2, 2)}

# What each formula is, by NumPy on polynomials: every kind of node occurs.
FORMULAS = {
    "x*x - 2*x/3": lambda v: v.x * v.x - v.x * Fraction(2, 3),
    "x**3 + 1/(x*x + 1)": lambda v: v.x**3 + 1 / (v.x * v.x + 1),
    "-m*x + x[0]": lambda v: -v.m * v.x + v.x[0],
    "m @ x": lambda v: v.m @ v.x,
    "a @ m @ m.T @ a": lambda v: v.a @ v.m @ v.m.T @ v.a,
    "sum(m*m, dim=1)": lambda v: (v.m * v.m).sum(axis=1),
    "mean(m, dim=0, keepdim=True)*m": lambda v: v.m.sum(axis=0, keepdims=True) / 2 * v.m,
    "cumsum(m*x, dim=1)": lambda v: (v.m * v.x).cumsum(axis=1),
    "cumprod(x)": lambda v: v.x.cumprod(),
    "prod(m)": lambda v: v.m.prod(),
    "amax(m*m, dim=1)": lambda v: (v.m * v.m).max(axis=1),
    "min(m, x)": lambda v: np.where(v.m < v.x, v.m, v.x),
    "where(m > x, m*x, x)": lambda v: np.where(v.m > v.x, v.m * v.x, v.x),
    "abs(m)*m": lambda v: np.where(v.m > 0, v.m, -v.m) * v.m,
    "outer(x, x)": lambda v: np.multiply.outer(v.x, v.x),
    "det(a)": lambda v: v.a[0, 0] * v.a[1, 1] - v.a[0, 1] * v.a[1, 0],
    "inv(a)": lambda v: (
        np.array([[v.a[1, 1], -v.a[0, 1]], [-v.a[1, 0], v.a[0, 0]]])
        / (v.a[0, 0] * v.a[1, 1] - v.a[0, 1] * v.a[1, 0])
    ),
    "tril(a*a) + diag(x[:2])": lambda v: (
        np.where([[True, False], [True, True]], v.a * v.a, 0) + np.where(np.eye(2), v.x[:2], 0)
    ),
    "reshape(transpose(m)*2, [2, 3])*m": lambda v: (v.m.T * 2).reshape(2, 3) * v.m,
    "concat([m*m, a], dim=1)": lambda v: np.concatenate([v.m * v.m, v.a], axis=1),
    "[x[i]*x[2 - i] for i in range(3)]": lambda v: v.x * v.x[::-1],
    "x[[0, 0, 2]]*x": lambda v: v.x[[0, 0, 2]] * v.x,
}
NUMBERS = st.builds(Fraction, st.integers(-29, 29).filter(bool), st.sampled_from([1, 2, 7]))
COUNT = sum(map(math.prod, SHAPES.values()))


class Values:
    def __init__(self, arrays):
        self.__dict__.update(arrays)


def arranged(entries):
    found = {}
    for name, shape in SHAPES.items():
        count = math.prod(shape)
        found[name] = np.array(entries[:count], dtype=object).reshape(shape)
        entries = entries[count:]
    return found


def arrays():
    """All inputs, without ties: no two numbers have one absolute value."""
    return st.lists(NUMBERS, min_size=COUNT, max_size=COUNT, unique_by=abs).map(arranged)


POINT = arrays().filter(lambda v: v["a"][0, 0] * v["a"][1, 1] != v["a"][0, 1] * v["a"][1, 0])


class Derived:
    """A formula in a graph with tangents, a cotangent, and inputs for all of them."""

    def __init__(self, text):
        self.formula = lower(parse(text), inputs=SHAPES, names={}, lets={}, conditions=())
        self.graph, (self.result,) = self.formula.graph, self.formula.results
        self.inputs = self.formula.inputs
        self.tangents = [self.graph.input(Port(f"t{name}", SHAPES[name])) for name in SHAPES]
        self.cotangent = self.graph.input(Port("c", self.graph.shape(self.result)))

    def forward(self, outputs):
        return jvp(self.graph, outputs, self.inputs, self.tangents)

    def gradients(self):
        return vjp(self.graph, [self.result], self.inputs, [self.cotangent])

    def run(self, nodes, point, tangents):
        inputs = [*point.values(), *tangents.values(), self.weights()]
        return [list(array.flat) for array in run(self.graph, nodes, inputs)]

    def weights(self):
        """A cotangent of numbers that are all different."""
        shape = self.graph.shape(self.result)
        count = math.prod(shape)
        return np.array([Fraction(k + 2, 3) for k in range(count)], dtype=object).reshape(shape)


def along(text, point, tangents, order):
    """The derivative of an order along the tangents, by polynomials."""
    jets = Values({name: moved(point[name], tangents[name]) for name in point})
    return [math.factorial(order) * c for c in coefficients(FORMULAS[text](jets), order)]


def paired(left, right):
    return sum(a * b for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("text", FORMULAS)
@settings(max_examples=5)
@given(point=POINT, tangents=arrays())
def test_forward_mode_composes_to_order_three(text, point, tangents):
    derived = Derived(text)
    nodes = [derived.result]
    for order in (1, 2, 3):
        nodes = derived.forward(nodes)
        assert derived.run(nodes, point, tangents)[0] == along(text, point, tangents, order)


@pytest.mark.parametrize("text", FORMULAS)
@settings(max_examples=5)
@given(point=POINT, tangents=arrays())
def test_reverse_mode_and_forward_mode_over_it_pair_to_the_same(text, point, tangents):
    derived = Derived(text)
    nodes = derived.gradients()
    for order in (1, 2, 3):
        found = derived.run(nodes, point, tangents)
        got = sum(paired(f, t.flat) for f, t in zip(found, tangents.values(), strict=True))
        truth = along(text, point, tangents, order)
        assert got == paired(truth, derived.weights().flat)
        nodes = derived.forward(nodes)


@pytest.mark.parametrize("text", ["m @ x", "cumprod(x)", "inv(a)", "abs(m)*m"])
@settings(max_examples=5)
@given(point=POINT, tangents=arrays())
def test_reverse_over_reverse_is_the_same_hessian(text, point, tangents):
    derived = Derived(text)
    gradients = derived.gradients()
    twice = vjp(derived.graph, gradients, derived.inputs, derived.tangents)
    assert derived.run(twice, point, tangents) == derived.run(
        derived.forward(gradients), point, tangents
    )


POINT_OF_ALL = {
    name: np.array([Fraction(k + 2, 5) ** 2 for k in range(math.prod(shape))], dtype=object)
    .reshape(shape) for name, shape in SHAPES.items()
}  # fmt: skip


def differ(text):
    """Whether forward mode differs from polynomials, and whether reverse mode does."""
    derived = Derived(text)
    forward = derived.run(derived.forward([derived.result]), POINT_OF_ALL, POINT_OF_ALL)[0]
    reverse = derived.run(derived.gradients(), POINT_OF_ALL, POINT_OF_ALL)
    truth = along(text, POINT_OF_ALL, POINT_OF_ALL, 1)
    pairing = sum(paired(f, t.flat) for f, t in zip(reverse, POINT_OF_ALL.values(), strict=True))
    return forward != truth, pairing != paired(truth, derived.weights().flat)


def test_a_wrong_local_derivative_is_caught_in_both_modes(monkeypatch):
    assert differ("x**3 + 1/(x*x + 1)") == (False, False)
    monkeypatch.setattr(derivatives, "local_derivative", lambda operator, k, **_form: parse("2"))
    assert differ("x**3 + 1/(x*x + 1)") == (True, True)


@pytest.mark.parametrize(
    ("op", "text"),
    [("bmm", "m @ x"), ("inverse", "inv(a)"), ("concat", "concat([m*m, a], dim=1)"),
     ("cumsum", "cumsum(m*x, dim=1)"), ("max", "amax(m*m, dim=1)")],
)  # fmt: skip
def test_a_wrong_reverse_rule_is_caught_by_the_pairing_alone(monkeypatch, op, text):
    rule = derivatives._PULLS[op]

    def doubled(graph, node):
        return [lambda c, one=one: (v := one(c)) and graph.add(v, v) for one in rule(graph, node)]

    assert differ(text) == (False, False)
    monkeypatch.setitem(derivatives._PULLS, op, doubled)
    assert differ(text) == (False, True)


def test_what_is_stopped_has_no_derivative():
    formula = lower(parse("x + stop(x*x - x)"), inputs={"x": ()}, names={}, lets={}, conditions=())
    graph, one = formula.graph, formula.graph.constant(1)
    (forward,) = jvp(graph, formula.results, formula.inputs, [one])
    (reverse,) = vjp(graph, formula.results, formula.inputs, [one])
    assert (graph.number(forward), graph.number(reverse)) == (1, 1)


def test_an_output_that_hangs_on_no_input_has_zeros_for_its_derivative():
    formula = lower(parse("[1, pi]"), inputs={"x": (3,)}, names={}, lets={}, conditions=())
    graph = formula.graph
    (reverse,) = vjp(graph, formula.results, formula.inputs, [graph.constant(1, (2,))])
    assert (graph.shape(reverse), graph.number(reverse)) == ((3,), 0)


def test_a_derivative_that_the_table_does_not_state_is_not_invented():
    formula = lower(parse("zeta(x, 2)"), inputs={"x": ()}, names={}, lets={}, conditions=())
    with pytest.raises(NoDerivative, match="zeta in argument 1"):
        vjp(formula.graph, formula.results, formula.inputs, [formula.graph.constant(1)])


def test_gathers_of_one_array_are_scattered_together():
    text = "[sum(x[i:i + 2]*x[i]) for i in range(40)]"
    formula = lower(parse(text), inputs={"x": (41,)}, names={}, lets={}, conditions=())
    graph = formula.graph
    gradients = vjp(graph, formula.results, formula.inputs, [graph.constant(1, (40,))])
    nodes = [graph.nodes[k] for k in graph.ancestors(gradients)]
    assert len([node for node in nodes if node.op == "scatter"]) == 1
