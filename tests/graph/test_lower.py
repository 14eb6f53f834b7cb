"""What is lowered keeps its arrays whole, and the graph says shapes, kinds and outputs."""

from fractions import Fraction

import numpy as np
import pytest
from exact_run import run

from gradcheck.errors import ExpressionError
from gradcheck.graph.graph import Graph
from gradcheck.graph.lower import lower
from gradcheck.language.parse import parse
from gradcheck.query import Port

INPUTS = {"x": (), "v": (3,), "m": (64, 64), "z": Port("z", (), "complex")}


def lowered(text, inputs=INPUTS, **more):
    formula = parse(text) if isinstance(text, str) else text
    return lower(formula, **{"inputs": inputs, "names": {}, "lets": {}, "conditions": (), **more})


@pytest.mark.parametrize(
    ("text", "shape", "most"),
    [("m @ m", (64, 64), 8), ("exp(m) / sum(exp(m), dim=1, keepdim=True)", (64, 64), 8),
     ("amax(m)", (), 40), ("inv(m[:8, :8])", (8, 8), 4), ("m[1:, ::2].T", (32, 63), 6)],
)  # fmt: skip
def test_arrays_are_not_unrolled(text, shape, most):
    formula = lowered(text)
    assert formula.outputs == (Port("", shape, "real"),)
    assert len(formula.graph.ancestors(formula.results)) <= most


@pytest.mark.parametrize(
    ("text", "kind"),
    [("z*x", "complex"), ("exp(I*x)", "complex"), ("re(z) + im(z)", "real"), ("abs(z)", "real"),
     ("arg(z)", "real"), ("conj(z)*z", "complex"), ("where(x > 0, z, x)", "complex"),
     ("[z, x]", "complex"), ("conj(x)", "real"), ("sign(z)", "complex")],
)  # fmt: skip
def test_the_kind_of_a_result_is_known(text, kind):
    assert lowered(text).outputs[0].kind == kind


@pytest.mark.parametrize(
    ("text", "found"),
    [("where(z > 0, 1, 2)", "a comparison of a complex number"),
     ("floor(z)", "floor of a complex number"), ("max(x, z)", "max of a complex number"),
     ("amax([z, z])", "the max of complex numbers")],
)  # fmt: skip
def test_what_complex_numbers_lack_is_refused(text, found):
    with pytest.raises(ExpressionError) as caught:
        lowered(text)
    assert caught.value.found == found


def test_outputs_have_names_and_one_may_not_be_judged():
    formula = lowered({"out": parse("v*x"), "aux": None, "total": parse("sum(v)")})
    assert [port.name for port in formula.outputs] == ["out", "aux", "total"]
    assert [port.shape for port in formula.outputs] == [(3,), (), ()]
    assert formula.results[1] is None


def test_an_error_in_one_of_several_outputs_says_which():
    with pytest.raises(ExpressionError) as caught:
        lowered({"out": parse("x"), "total": parse("w")})
    assert caught.value.source == "formula total"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("x // 2", -4), ("x % 2", 1), ("x % (0 - 2)", -1), ("-7 // 2", -4),
     ("7/2 % 1", Fraction(1, 2)), ("v[4 // 3]", 20), ("[v[i % 3] for i in range(4)][3]", 10)],
)  # fmt: skip
def test_a_division_with_remainder_is_pythons(text, expected):
    formula = lowered(text, inputs={"x": (), "v": (3,)})
    x, v = np.array(Fraction(-7), dtype=object), np.array([Fraction(k) for k in (10, 20, 30)])
    (result,) = run(formula.graph, formula.results, [x, v])
    assert result.item() == expected


@pytest.mark.parametrize("text", ["z % 2", "x // z"])
def test_a_division_with_remainder_is_of_real_numbers(text):
    with pytest.raises(ExpressionError, match="of a complex number"):
        lowered(text)


def test_constants_are_folded_exactly_and_keep_their_identities():
    graph = Graph()
    x = graph.input(Port("x", (2,)))
    third = graph.div(graph.constant(1), graph.constant(3))
    assert graph.number(third) == Fraction(1, 3)
    assert graph.add(x, graph.constant(0)) == x
    assert graph.mul(graph.constant(1, (2,)), x) == x
    assert graph.number(graph.mul(x, graph.constant(0))) is None  # 0*inf is not 0


def test_equal_nodes_are_one():
    graph = Graph()
    x = graph.input(Port("x", (4,)))
    key = slice(1, 3)
    assert graph.index(x, key) == graph.index(x, key)
    assert graph.add(x, x) == graph.add(x, x)
    assert graph.constant(np.array([True])) != graph.constant(np.array([1]))


def test_an_index_of_an_index_is_one_gather():
    formula = lowered("m[1:5][2][7]")
    nodes = [formula.graph.nodes[k].op for k in formula.graph.ancestors(formula.results)]
    assert nodes == ["input", "gather"]


def test_a_graph_runs_on_exact_numbers():
    formula = lowered("sum(v*x)/2", inputs={"x": (), "v": (3,)})
    x, v = np.array(Fraction(1, 3), dtype=object), np.array([Fraction(k) for k in (1, 2, 4)])
    (result,) = run(formula.graph, formula.results, [x, v])
    assert result.item() == Fraction(7, 6)
