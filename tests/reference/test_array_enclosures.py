"""Certified derivatives of arrays, against mpmath at 60 digits and with planted faults."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from flint import acb, arb, ctx

from gradcheck.graph import derivatives
from gradcheck.graph.graph import Graph
from gradcheck.query import Port, Query
from gradcheck.reference import ball_arrays
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction
from gradcheck.reference.enclosures import DerivationsDiffer, Status, enclose

DIGITS = 60


def graphs_of(build, *shapes, kind="real"):
    graph = Graph()
    inputs = [graph.input(Port(f"x{k}", shape, kind)) for k, shape in enumerate(shapes)]
    return DerivativeGraphs(GraphFunction(graph, tuple(inputs), (build(graph, *inputs),)))


def softmax(graph, x):
    power = graph.elementwise("exp", x)
    return graph.div(power, graph.sum(power, (0,), keepdim=True))


def softmax_by_mpmath(x):
    powers = [mpmath.exp(each) for each in x]
    return [each / mpmath.fsum(powers) for each in powers]


def standardised(graph, x):
    n = graph.shape(x)[-1]
    share = graph.constant(Fraction(1, n))
    centred = graph.sub(x, graph.mul(graph.sum(x, (0,), keepdim=True), share))
    variance = graph.mul(graph.sum(graph.mul(centred, centred), (0,), keepdim=True), share)
    return graph.div(centred, graph.elementwise("sqrt", variance))


def standardised_by_mpmath(x):
    mean = mpmath.fsum(x) / len(x)
    centred = [each - mean for each in x]
    return [each / mpmath.sqrt(mpmath.fsum(c * c for c in centred) / len(x)) for each in centred]


def inverse(graph, x):
    return graph.inverse(graph.reshape(x, (2, 2)))


def inverse_by_mpmath(x):
    return list(mpmath.matrix([x[:2], x[2:]]) ** -1)


FUNCTIONS = {
    "softmax": (softmax, softmax_by_mpmath),
    "standardised": (standardised, standardised_by_mpmath),
    "inverse": (inverse, inverse_by_mpmath),
}


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_contracted_derivative_is_the_one_that_mpmath_differentiates(name, order):
    build, outside = FUNCTIONS[name]
    graphs = graphs_of(build, (4,))
    rng = np.random.default_rng(order)
    x, c = rng.standard_normal((2, 1, 4))
    tangents = tuple(rng.standard_normal((order, 1, 4)))
    found = enclose(graphs, Query(order, c, (*tangents[:-1], None)), x)
    assert (found.status == Status.SETTLED).all()
    with mpmath.workdps(DIGITS), ctx.workprec(256):
        expected = along_lines(outside, x[0], c[0], [t[0] for t in tangents])
        contracted = sum(
            ball * arb(float(t)) for ball, t in zip(found.balls[0], tangents[-1][0], strict=True)
        )
        assert contracted.rel_accuracy_bits() > 70
        assert abs(contracted - arb(mpmath.nstr(expected, 50))) < 1e-17


def along_lines(outside, x, c, tangents):
    """⟨c, f⟩ differentiated numerically once along each tangent."""

    def value(*steps):
        moved = [
            mpmath.mpf(float(x[k]))
            + mpmath.fsum(s * mpmath.mpf(float(t[k])) for s, t in zip(steps, tangents, strict=True))
            for k in range(len(x))
        ]
        return mpmath.fsum(mpmath.mpf(float(a)) * b for a, b in zip(c, outside(moved), strict=True))

    order = len(tangents)
    step = mpmath.mpf(10) ** -14
    return mpmath.diff(value, (0,) * order, (1,) * order, h=step)


def test_a_jacobian_asked_entry_by_entry_is_made_of_its_gradients():
    graphs = graphs_of(softmax, (3,))
    x = np.array([[0.5, -1.0, 2.0]])
    whole = enclose(graphs, Query(1, None, (None,)), x)
    row = enclose(graphs, Query(1, np.array([[0.0, 1.0, 0.0]]), (None,)), x)
    assert whole.balls.shape == (1, 3, 3)
    assert whole.balls[0, 1].astype(float).tolist() == row.balls[0].astype(float).tolist()


def test_points_that_cancel_are_run_again_in_more_bits():
    graphs = graphs_of(lambda g, x: g.sub(g.elementwise("exp", x), g.constant(1)), ())
    tiny = 2.0**-200
    found = enclose(graphs, Query(0), np.array([[tiny], [1.0]]))
    assert (found.status == Status.SETTLED).all()
    assert found.balls[0, 0].contains(arb(tiny).expm1())


def test_a_derivative_of_what_has_no_value_is_not_settled():
    graphs = graphs_of(lambda g, x: g.elementwise("log", x), (2,))
    found = enclose(graphs, Query(1, np.ones((1, 2)), (None,)), np.array([[-1.0, 2.0]]))
    assert found.status[0].tolist() != [Status.SETTLED, Status.SETTLED]
    assert found.status[0, 1] == Status.SETTLED


def test_a_complex_gradient_follows_the_convention_of_pytorch():
    graphs = graphs_of(lambda g, z: g.mul(z, z), (), kind="complex")
    found = enclose(graphs, Query(1, np.array([[1.0 + 0.0j]]), (None,)), np.array([[1.0 + 2.0j]]))
    assert found.balls[0, 0].overlaps(acb(2, -4))


def test_a_wrong_rule_of_reverse_mode_is_caught_by_forward_mode(monkeypatch):
    wrong = {**derivatives._PULLS, "bmm": lambda g, k: [lambda c: c, lambda c: c]}
    monkeypatch.setattr(derivatives, "_PULLS", wrong)
    with pytest.raises(DerivationsDiffer):
        gradient_of_square()


def test_a_wrong_kernel_is_caught_by_the_two_derivations(monkeypatch):
    calls = []

    def wrong(a, b):
        calls.append(a)
        return a * b + a * (len(calls) - 1)

    monkeypatch.setitem(ball_arrays._MATRICES, "bmm", wrong)
    with pytest.raises(DerivationsDiffer):
        gradient_of_square()


def test_right_rules_and_kernels_are_not_caught():
    assert (gradient_of_square().status == Status.SETTLED).all()


def gradient_of_square():
    graphs = graphs_of(lambda g, x: g.bmm(x, x), (2, 2))
    x = np.array([[1.0, 2.0, 3.0, 5.0]])
    return enclose(graphs, Query(1, np.array([[1.0, -2.0, 0.5, 3.0]]), (None,)), x)


@pytest.mark.parametrize("x", [-1e6, -1e8])
def test_the_logarithm_of_a_probability_is_certified_far_out(x):
    """By the asymptotic series, DLMF 7.12.1: -x²/2 - log(-x √(2π)) + log(1 - x⁻² + ...)."""

    def log_normal_cdf(graph, x):
        root = graph.elementwise("sqrt", graph.constant(2))
        tail = graph.elementwise("erfc", graph.neg(graph.div(x, root)))
        return graph.elementwise("log", graph.mul(tail, graph.constant(Fraction(1, 2))))

    graphs = graphs_of(log_normal_cdf, ())
    found = enclose(graphs, Query(0), np.array([[x]]))
    slope = enclose(graphs, Query(1, np.ones((1, 1)), (None,)), np.array([[x]]))
    assert found.status.item() == slope.status.item() == Status.SETTLED
    with mpmath.workdps(DIGITS), ctx.workprec(256):
        series = 1 - mpmath.mpf(x) ** -2 + 3 * mpmath.mpf(x) ** -4
        value = -(mpmath.mpf(x) ** 2) / 2 - mpmath.log(-x * mpmath.sqrt(2 * mpmath.pi))
        value += mpmath.log(series)
        assert abs(found.balls.item() / arb(mpmath.nstr(value, 50)) - 1) < 1e-30
        assert abs(slope.balls.item() / arb(mpmath.nstr(-x / series, 50)) - 1) < 1e-20


def test_the_free_output_is_the_first_axis_whichever_mode_answers():
    """Of x ↦ (x₀, x₁, x₀x₁, x₁²): more outputs than inputs, so forward mode answers."""

    def build(graph, x):
        a, b = graph.index(x, slice(0, 1)), graph.index(x, slice(1, 2))
        return graph.concat([a, b, graph.mul(a, b), graph.mul(b, b)], 0)

    found = enclose(graphs_of(build, (2,)), Query(1, None, (None,)), np.array([[3.0, 5.0]]))
    assert found.balls[0].astype(float).tolist() == [[1, 0], [0, 1], [5, 3], [0, 10]]
