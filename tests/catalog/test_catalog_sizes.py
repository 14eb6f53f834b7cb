"""What is too large to be certified is refused at load, with the nearest size that fits."""

import pytest

from gradcheck.catalog.load import load_text
from gradcheck.errors import CatalogError
from gradcheck.graph.graph import Graph
from gradcheck.graph.lower import lower
from gradcheck.language.parse import parse
from gradcheck.ops.table import CALLABLE, OPERATORS
from gradcheck.query import Port
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction
from gradcheck.reference.size import GROWTH, MOST_OPERATIONS, cost, fit

GELU = "c: {{formula: x/2*(1 + erf(x/sqrt(2))), inputs: {{x: {{shape: {shape}}}}}, order: {order}}}"
LONG = (
    "c: {{formula: x/2*(1 + erf(x)) + lgamma(2 + x**2) + digamma(3 + x**2)*sin(x)*cos(x) "
    "+ exp(sin(x)), inputs: {{x: {{shape: {shape}}}}}, order: {order}}}"
)
SOFTMAX = (
    "c: {{let: {{e: 'exp(x - amax(x, dim=-1, keepdim=True))'}}, "
    "formula: 'e / sum(e, dim=-1, keepdim=True)', "
    "inputs: {{x: {{shape: {shape}}}}}, order: {order}}}"
)
CROSS_ENTROPY = (
    "c: {{formula: 'mean(log(sum(exp(x), dim=1)) - x[:, 0])', "
    "inputs: {{x: {{shape: {shape}}}}}, order: {order}}}"
)
MATMUL = "c: {{formula: a @ b, inputs: {{a: {{shape: {shape}}}, b: {{shape: {shape}}}}}, order: {order}}}"  # noqa: E501
ATTENTION = (
    "c: {{let: {{s: q @ transpose(k) / 8, e: 'exp(s - amax(s, dim=-1, keepdim=True))'}}, "
    "formula: 'e / sum(e, dim=-1, keepdim=True) @ v', inputs: {{q: {{shape: {shape}}}, "
    "k: {{shape: {shape}}}, v: {{shape: {shape}}}}}, order: {order}}}"
)
DET = "c: {{formula: det(A), inputs: {{A: {{shape: {shape}}}}}, order: {order}}}"
SUM = "c: {{formula: 'sum([sin(k*x) for k in range(20000)])', inputs: {{x: {{shape: {shape}}}}}, order: {order}}}"  # noqa: E501
EXPECTED = "at most 200,000,000 operations on 32,000,000 numbers at once, written in 400,000 steps"


def problem_of(text):
    with pytest.raises(CatalogError) as caught:
        load_text(text, "f.yaml")
    (problem,) = caught.value.problems
    return problem


TOO_LARGE = [
    (
        LONG, [1024, 1024], 2,
        "32,505,856 numbers at once for one derivative of order 2 (1,048,576 output entries, "
        "1,048,576 input entries)",
        "write order: 1, which fits, or make the shapes smaller: x: [1016, 1016] fits",
    ),
    (
        ATTENTION, [1, 8, 512, 64], 2,
        "220,142,869 operations for one derivative of order 2 (262,144 output entries, "
        "786,432 input entries)",
        "write order: 1, which fits, or make the shapes smaller",
    ),
    (
        SUM, [], 2,
        "more than 400,000 steps to write the derivatives of order 1 (1 output entry, "
        "1 input entry)",
        "make it smaller",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shape", "order", "found", "fix"), TOO_LARGE)
def test_a_case_that_is_too_large_says_what_would_fit(text, shape, order, found, fix):
    problem = problem_of(text.format(shape=shape, order=order))
    assert (problem.found, problem.expected, problem.fix) == (found, EXPECTED, fix)


@pytest.mark.parametrize(
    ("text", "shape", "order"),
    [
        (LONG, [1016, 1016], 2),
        (ATTENTION, [1, 8, 485, 64], 2),
        (GELU, [1024, 1024], 2),
        (SOFTMAX, [64, 1024], 3),
        (CROSS_ENTROPY, [64, 4096], 3),
        (MATMUL, [256, 256], 3),
        (ATTENTION, [2, 4, 32, 64], 2),
        (ATTENTION, [1, 8, 512, 64], 1),
        (DET, [16, 16], 2),
    ],
)
def test_what_fits_is_taken(text, shape, order):
    (case,) = load_text(text.format(shape=shape, order=order), "f.yaml")
    assert case.order == order


def test_a_formula_with_an_intermediate_result_that_is_too_large_is_refused():
    problem = problem_of(ATTENTION.format(shape=[1, 8, 1024, 64], order=1))
    assert problem.found == "an array of shape [1, 8, 1024, 1024]"
    assert problem.expected == "at most 4,194,304 elements"


def test_a_formula_that_other_shapes_do_not_suit_is_refused_without_a_size():
    text = LONG.format(shape=[1024, 1024], order=2).replace(
        "exp(sin(x))", "exp(reshape(x, [1024, 1024]))"
    )
    text = text.replace("formula: ", "formula: '").replace(", inputs", "', inputs")
    assert problem_of(text).fix == "write order: 1, which fits, or make the shapes smaller"


def test_one_of_several_variants_is_named_and_the_others_are_not_repeated():
    text = LONG.format(shape=[1024, 1024], order=2).replace("exp(sin(x))", "a*exp(sin(x))")
    problem = problem_of(text[:-1] + ", sweep: {a: [2, 3]}}")
    assert problem.found.endswith("(in the variant a=2)")


def test_each_variant_is_measured_in_its_own_shapes():
    text = LONG.format(shape="[n, n]", order=2)[:-1] + ", sweep: {n: [2, 1024]}}"
    assert problem_of(text).found.endswith("(in the variant n=1024)")


def gradient_by_value(operator: str) -> float:
    """How many times as much a gradient takes as the value, where arrays are large."""
    graph, entry = Graph(), OPERATORS[operator]
    ports = [Port(name, (1_000_000,)) for name in "abc"[: entry.arity]]
    inputs = tuple(map(graph.input, ports))
    parameter = 1 if entry.parameter else None
    output = graph.elementwise(operator, *inputs, parameter=parameter)
    graphs = DerivativeGraphs(GraphFunction(graph, inputs, (output,)))
    value, _ = cost(graph, [output])
    gradient, _ = cost(graph, [*graphs.reverse(1), *graphs.lower(1)])
    return gradient / value


@pytest.mark.parametrize("operator", sorted(CALLABLE - {"zeta"}))  # which has no gradient in s
def test_no_gradient_takes_more_than_is_taken_of_it_without_counting(operator):
    # without counting, every entry is held to take a function's work, four times arithmetic's
    assert 1 <= gradient_by_value(operator) <= GROWTH


def test_a_small_formula_fits_without_its_derivatives_being_written():
    formula = lower(parse("sin(x)*y"), inputs={"x": (), "y": ()}, names={}, lets={}, conditions=())
    before = len(formula.graph.nodes)
    assert fit(formula, 3).work == 0
    assert len(formula.graph.nodes) == before


def test_counting_leaves_the_graph_as_it_is():
    formula = lower(parse("a @ b"), inputs={"a": (256, 256), "b": (256, 256)}, names={}, lets={},
                    conditions=())  # fmt: skip
    before = len(formula.graph.nodes), len(formula.graph.inputs)
    assert fit(formula, 2).work > 0
    assert (len(formula.graph.nodes), len(formula.graph.inputs)) == before


def test_a_product_of_matrices_is_counted_by_its_multiplications():
    graph = Graph()
    a, b = (graph.input(Port(name, (256, 256))) for name in "ab")
    operations, numbers = cost(graph, [graph.bmm(a, b)])
    assert 256**3 / 100 < operations < MOST_OPERATIONS / 100
    assert numbers == 3 * 256**2
