"""Kinks: each undecided condition both ways, together wherever it occurs."""

import textwrap
from fractions import Fraction

import numpy as np
import pytest
from flint import arb

from gradcheck.catalog.load import load_text
from gradcheck.graph.graph import Graph
from gradcheck.query import Port, Query
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction
from gradcheck.reference.enclosures import Status, enclose
from gradcheck.reference.reference import Reference


def graphs_of(build, *shapes):
    graph = Graph()
    inputs = [graph.input(Port(f"x{k}", shape)) for k, shape in enumerate(shapes)]
    return DerivativeGraphs(GraphFunction(graph, tuple(inputs), (build(graph, *inputs),)))


def gradient(build, point):
    graphs = graphs_of(build, np.shape(point))
    x = np.asarray(point, dtype=float).reshape(1, -1)
    return enclose(graphs, Query(1, np.ones((1, graphs.function.width)), (None,)), x)


def hulls(found):
    return [(float(ball.lower()), float(ball.upper())) for ball in found.balls[0]]


def half(graph):
    return graph.constant(Fraction(1, 2))


def absolute(graph, x):
    return graph.elementwise("abs", x)


def larger_of_both_less_half(graph, x):
    larger = graph.elementwise("max", x, graph.neg(x))
    return graph.sub(larger, graph.mul(absolute(graph, x), half(graph)))


def hat(graph, x, centre):
    """The hat of linear interpolation, 1 at its centre."""
    distance = absolute(graph, graph.sub(x, graph.constant(centre)))
    return graph.elementwise("max", graph.constant(0), graph.sub(graph.constant(1), distance))


def interpolated(graph, x):
    """Pixels 3, 7 and 4 at 0, 1 and 2, between which it is linear."""
    total = graph.constant(0)
    for centre, pixel in enumerate((3, 7, 4)):
        total = graph.add(total, graph.mul(hat(graph, x, centre), graph.constant(pixel)))
    return total


def largest_of_three(graph, x):
    a, b, c = (graph.index(x, k) for k in range(3))
    return graph.elementwise("max", graph.elementwise("max", a, b), c)


def nested(graph, x):
    return graph.elementwise("max", absolute(graph, x), graph.constant(0))


def bordered(graph, x):
    """The same sampled at u held between 0 and 2: constant beyond."""
    held = graph.elementwise("max", x, graph.constant(0))
    return interpolated(graph, graph.elementwise("min", held, graph.constant(2)))


def smooth_across(graph, x):
    positive = graph.elementwise("lt", graph.constant(0), x)
    square = graph.mul(x, x)
    return graph.elementwise("where", positive, square, graph.mul(square, x))


KINKS = {
    "max(x, -x) - abs(x)/2": (larger_of_both_less_half, 0.0, [(-0.5, 0.5)]),
    "a pixel's border": (interpolated, 1.0, [(-3.0, 4.0)]),
    "a border behind a kink": (bordered, 2.0, [(-3.0, 0.0)]),
    "a border before a kink": (bordered, 0.0, [(0.0, 4.0)]),
    "abs of abs": (nested, 0.0, [(-1.0, 1.0)]),
    "three equal numbers": (largest_of_three, [1.0, 1.0, 1.0], [(0.0, 1.0)] * 3),
    "two equal numbers": (largest_of_three, [1.0, 1.0, 0.0], [(0.0, 1.0), (0.0, 1.0), (0.0, 0.0)]),
    "many independent kinks": (absolute, [0.0] * 20, [(-1.0, 1.0)] * 20),
}


@pytest.mark.parametrize("name", KINKS)
def test_the_hull_at_a_kink_is_that_of_its_branches(name):
    build, point, expected = KINKS[name]
    found = gradient(build, point)
    assert np.allclose(hulls(found), expected, atol=1e-8, rtol=0)
    assert "branches" in found.route


def test_what_a_condition_implies_is_no_jump():
    """That trunc(x) is floor(x) above 0 and -floor(-x) below is no jump at 0, but one at 1."""

    def truncated(graph, x):
        positive = graph.elementwise("lt", graph.constant(0), x)
        up, down = (graph.elementwise("floor", each) for each in (x, graph.neg(x)))
        return graph.elementwise("where", positive, up, graph.neg(down))

    found = gradient(truncated, [0.0, 1.0])
    assert found.status[0].tolist() == [Status.SETTLED, Status.UNDEFINED]
    assert found.balls[0, 0].contains(0)


def test_a_condition_whose_branches_meet_smoothly_is_settled():
    found = gradient(smooth_across, 0.0)
    assert found.status.tolist() == [[Status.SETTLED]]
    assert found.balls[0, 0].contains(0)


def test_a_kink_is_no_place_for_a_second_derivative():
    graphs = graphs_of(absolute, (2,))
    query = Query(2, np.ones((1, 2)), (np.ones((1, 2)), None))
    found = enclose(graphs, query, np.array([[0.0, 1.0]]))
    assert found.status[0].tolist() == [Status.UNDEFINED, Status.SETTLED]


def test_a_jump_has_no_derivative_and_leaves_other_entries_theirs():
    found = gradient(lambda g, x: g.elementwise("floor", x), [1.0, 1.5])
    assert found.status[0].tolist() == [Status.UNDEFINED, Status.SETTLED]


def test_too_many_branches_are_vague_and_say_so():
    graphs = graphs_of(lambda g, x: g.sum(absolute(g, x), (0,)), (9,))
    found = enclose(graphs, Query(1, None, (np.ones((1, 9)),)), np.zeros((1, 9)))
    assert found.status.tolist() == [[Status.VAGUE]]
    assert found.reason == "more than 2**8 branches meet at the point"


def test_reverse_mode_is_as_narrow_as_forward_mode_at_a_tie():
    def same_twice(graph, x):
        a, b = graph.index(x, 0), graph.index(x, 1)
        return graph.sub(graph.elementwise("max", a, b), graph.elementwise("max", b, a))

    found = gradient(same_twice, [1.0, 1.0])
    assert all(abs(ball) < arb(2) ** -60 for ball in found.balls[0])


def test_a_second_derivative_is_undefined_where_only_the_first_one_tells_the_branches():
    """Of max - min of three equal numbers: all second derivatives are 0 in each branch."""

    def spread(graph, x):
        a, b, c = (graph.index(x, k) for k in range(3))
        largest = graph.elementwise("max", graph.elementwise("max", a, b), c)
        return graph.sub(largest, graph.elementwise("min", graph.elementwise("min", a, b), c))

    query = Query(2, np.ones((1, 1)), (np.array([[0.0, 0.0, 1.0]]), None))
    found = enclose(graphs_of(spread, (3,)), query, np.ones((1, 3)))
    assert (found.status == Status.UNDEFINED).all()


def crown(pairs, written_first):
    """All |a_i| + |b_j| with i and j apart; no entry has both |a_i| and |b_i|."""
    graph = Graph()
    x = graph.input(Port("x", (2 * pairs,)))
    sizes = {k: absolute(graph, graph.index(x, k)) for k in written_first}
    rows = [(i, pairs + j) for i in range(pairs) for j in range(pairs) if i != j]
    result = graph.stack([graph.add(sizes[i], sizes[j]) for i, j in rows], 0)
    return DerivativeGraphs(GraphFunction(graph, (x,), (result,)))


PAIRS = 9
BY_SIDES = range(2 * PAIRS)
BY_PAIRS = [place for k in range(PAIRS) for place in (k, PAIRS + k)]


@pytest.mark.parametrize("written_first", [BY_SIDES, BY_PAIRS], ids=["by sides", "by pairs"])
def test_which_kinks_are_decided_together_does_not_hang_on_what_was_written_first(written_first):
    """Taken pair by pair they would need 2**9 branches, side by side four."""
    along = np.ones((1, 2 * PAIRS))
    query = Query(1, None, (along,))
    found = enclose(crown(PAIRS, written_first), query, np.zeros((1, 2 * PAIRS)))
    assert (found.status == Status.KINK).all()
    assert np.allclose(hulls(found), (-2, 2), atol=1e-7, rtol=0)


def test_what_one_output_decides_leaves_the_others_all_their_branches():
    """Of three equal numbers each may be the least, the middle and the largest."""
    text = """
        c:
          formula: {sorted: "[lo, mid, hi]", largest: "[hi, mid]"}
          let: {lo: amin(x), mid: "max(min(x[0], x[1]), min(max(x[0], x[1]), x[2]))", hi: amax(x)}
          inputs: {x: {shape: [3]}}
          torch: "[torch.sort(x)[0], torch.topk(x, 2)[0]]"
    """
    (case,) = load_text(textwrap.dedent(text), "cases/sample.yaml")
    found = Reference(case.variants[0].formula).enclose(Query.of_all(1), np.zeros((1, 3)))
    assert (found.status == Status.KINK).all()
    assert all(ball.contains(0) and ball.contains(1) for ball in found.balls.ravel())


@pytest.mark.parametrize(
    ("formula", "most"),
    [
        ("{one: amin(x), other: amin(x)}", 1),
        ("{one: amin(x) - amin(x), other: '0 * x[0]'}", 0),
    ],
    ids=["two outputs", "one output"],
)
def test_weights_that_cancel_what_two_outputs_have_of_a_kink_leave_each_its_own(formula, most):
    """One may follow the first of two equal numbers, and the other the second."""
    text = f"""
        c: {{inputs: {{x: {{shape: [2]}}}}, formula: {formula}, torch: "[x[0], x[1]]"}}
    """
    (case,) = load_text(textwrap.dedent(text), "cases/sample.yaml")
    query = Query(1, np.array([[1.0, -1.0]]), (None,))
    found = Reference(case.variants[0].formula).enclose(query, np.zeros((1, 2)))
    assert np.allclose(hulls(found), (-most, most), atol=1e-7, rtol=0)


def operators_in_order(function):
    order = function.graph.places(function.outputs)
    assert sorted(order) == function.graph.ancestors(function.outputs)
    return [function.graph.nodes[node].op for node in sorted(order, key=order.__getitem__)]


def test_the_places_of_nodes_hang_on_what_they_are():
    one, other = (crown(3, order).function for order in (range(6), [5, 0, 4, 1, 3, 2]))
    assert operators_in_order(one) == operators_in_order(other)


# outputs that share no input


@pytest.fixture
def rows_of_passes(monkeypatch):
    """How many rows each pass in balls has."""
    rows = []
    run = DerivativeGraphs.enclose

    def counting(self, asked, *args, **options):
        rows.append(asked.count)
        return run(self, asked, *args, **options)

    monkeypatch.setattr(DerivativeGraphs, "enclose", counting)
    return rows


def absolute_beside_a_sum(graph, x):
    return graph.add(absolute(graph, x), graph.sum(x, [0]))


@pytest.mark.parametrize(
    ("build", "most"), [(absolute, 2), (absolute_beside_a_sum, 64)], ids=["apart", "sharing"]
)
def test_kinks_of_outputs_that_share_no_input_are_looked_at_together(build, most, rows_of_passes):
    found = gradient(build, np.zeros(32))
    assert (found.status == Status.KINK).all()
    assert max(rows_of_passes) == most
