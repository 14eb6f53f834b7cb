"""One check for each column of the operator table. Each raises AssertionError for a wrong entry.

A check takes the entry and not its name, so that it can be shown a culprit. Columns that are looked
up by name (``derivatives``, ``sympy``) need the culprit in the table too.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import torch
from asked import entries, every
from flint import arb, arb_series, ctx
from operator_points import HARD, MPMATH, REGULAR

from gradcheck.catalog.domain import parse_domain
from gradcheck.dtypes import DEFAULT_DTYPES, DTYPES
from gradcheck.graph.graph import Graph, NodeId, Port
from gradcheck.ops.balls import CONTACT, working
from gradcheck.ops.table import Operator, on_tensors
from gradcheck.query import Query
from gradcheck.reference import symbolic, sympy_reader
from gradcheck.reference.ball_arrays import MOST_BITS, TINY, is_settled, overlaps
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction, Rows
from gradcheck.reference.enclosures import enclose
from gradcheck.reference.float_arrays import FloatAlgebra
from gradcheck.reference.symbolic import SymbolicDerivative

BITS = 300
MPMATH_ERROR = mpmath.mpf(10) ** -55  # relative; mpmath works with 80 digits here
CONDITIONS = frozenset({"lt", "le", "eq", "not", "and", "or"})
STEP = arb(2) ** -100


# an operator as a function


def split(entry: Operator, point: tuple) -> tuple[int | None, tuple]:
    """The parameter, if the operator has one, and the arguments."""
    return (int(point[0]), point[1:]) if entry.parameter else (None, point)


def applied(graph: Graph, entry: Operator, parameter: int | None, values: list[NodeId]) -> NodeId:
    if entry.name == "where":
        values[0] = graph.elementwise("lt", values[0], graph.constant(0))
    return graph.elementwise(entry.name, *values, parameter=parameter)


def function(entry: Operator, parameter: int | None) -> GraphFunction:
    """The operator applied to one input for each of its arguments."""
    graph = Graph()
    inputs = [graph.input(Port(f"x{k}", ())) for k in range(entry.arity)]
    return GraphFunction(graph, tuple(inputs), (applied(graph, entry, parameter, [*inputs]),))


def ball_of(entry: Operator, point: tuple, *, exact: bool = True):
    """The ball column at exact arguments; a condition's is True, False or None."""
    parameter, arguments = split(entry, point)
    with working(BITS, exact=exact):
        values = [a if isinstance(a, bool) else arb(a) for a in arguments]
        if entry.name == "where":
            values[0] = arguments[0] < 0
        return entry.ball(*values) if parameter is None else entry.ball(parameter, *values)


def slopes(
    entry: Operator, point: tuple, *, cancelling: bool = False, bits: int = BITS
) -> list[arb]:
    """The chain rule's derivatives in every argument, as the table states them."""
    parameter, arguments = split(entry, point)
    graphs = DerivativeGraphs(function(entry, parameter), cancelling=cancelling)
    units = np.eye(entry.arity)
    points = np.broadcast_to(np.array(arguments, dtype=float), units.shape)
    return list(graphs.enclose(Rows(1, points, None, (units,)), bits).answer[:, 0])


# agreement


def agree(ball: arb, number: mpmath.mpf, error: mpmath.mpf = MPMATH_ERROR) -> bool:
    """Whether the ball is narrow and holds the number, which is known up to a relative error."""
    with working(BITS, exact=True):
        radius = arb(mpmath.nstr(abs(number) * error, 20)) if number else arb(0)
        known = arb(mpmath.nstr(number, 75)).union(arb(mpmath.nstr(number, 75)) + radius)
        known = known.union(known - radius)
        narrow = ball.rel_accuracy_bits() >= 70 or abs(ball) < TINY
        return bool(narrow and ball.overlaps(known))


def mpmath_value(entry: Operator, point: tuple):
    with mpmath.workdps(120):
        return MPMATH[entry.name](*(a if isinstance(a, bool) else mpmath.mpf(a) for a in point))


# the checks


def check_ball(entry: Operator) -> None:
    """The ball holds what mpmath computes, to 55 digits."""
    for point in (*REGULAR[entry.name], *HARD[entry.name]):
        got, expected = ball_of(entry, point), mpmath_value(entry, point)
        if entry.name in CONDITIONS:
            assert got is expected, (entry.name, point, got, expected)
        else:
            assert agree(got, expected), (entry.name, point, got.str(30), expected)


def check_derivatives(entry: Operator) -> None:
    """The chain rule's derivative in each argument is mpmath's numerical one, to 40 digits."""
    for point in REGULAR[entry.name]:
        for k, found in enumerate(slopes(entry, point)):
            expected = _slope_by_mpmath(entry, point, k)
            assert agree(found, expected, mpmath.mpf("1e-40")), (entry.name, point, k, found)


def _slope_by_mpmath(entry: Operator, point: tuple, k: int) -> mpmath.mpf:
    k += entry.parameter
    with mpmath.workdps(80):
        values = [mpmath.mpf(a) for a in point]

        def along(t: mpmath.mpf) -> mpmath.mpf:
            return MPMATH[entry.name](*values[:k], t, *values[k + 1 :])

        return mpmath.chop(mpmath.diff(along, values[k], h=mpmath.mpf("1e-30")), tol=1e-45)


def check_sympy(entry: Operator) -> None:
    """Through sympy and back the value is the same, and so is sympy's derivative."""
    for point in REGULAR[entry.name]:
        parameter, arguments = split(entry, point)
        operator, at = function(entry, parameter), np.array([arguments], dtype=float)
        names, graph = symbolic.symbols(entry.arity), Graph()
        again = sympy_reader.SympyReader(graph, names).node(
            symbolic.expressions(operator, names)[0]
        )
        value = SymbolicDerivative(graph, (again,), (1,)).enclose(at, BITS)[0, 0]
        assert value.overlaps(ball_of(entry, point)), (entry.name, point, value)
        derived = symbolic.derivatives(operator, 1).enclose(at, BITS).reshape(-1)
        both = np.array([derived, slopes(entry, point)], dtype=object)
        assert is_settled(both).all(), (entry.name, point, both)
        assert overlaps(*both).all(), (entry.name, point, both)


def check_cancelling(entry: Operator) -> None:
    """PyTorch's local derivative is mathematically ours."""
    for point in REGULAR[entry.name]:
        both = np.array([slopes(entry, point, cancelling=True), slopes(entry, point)], dtype=object)
        assert is_settled(both).all(), (entry.name, point, both)
        assert overlaps(*both).all(), (entry.name, point, both)


MOST_ULPS = {"gamma": 16, "cbrt": 8, "digamma": 16, "besselj": 32, "polygamma": 128}
"""Of PyTorch, where more than four: composed there, or computed by truncated expansions."""


def check_floats(entry: Operator) -> None:
    """What is computed in float64 is the function, to 16 units of roundoff."""
    for point in REGULAR[entry.name]:
        parameter, arguments = split(entry, point)
        graph, values = Graph(), [np.array([a]) for a in arguments]
        if entry.name == "where":
            values[0] = values[0] < 0
        inputs = [graph.input(Port(f"x{k}", ())) for k in range(entry.arity)]
        node = graph.elementwise(entry.name, *inputs, parameter=parameter)
        (found,) = FloatAlgebra().of(graph.nodes[node], values)
        expected = float(mpmath_value(entry, point))
        assert abs(float(found) - expected) <= 16 * 2.0**-53 * abs(expected), (point, found)


def check_torch(entry: Operator) -> None:
    """PyTorch's value is next to the ball, in both dtypes."""
    for name, point in itertools.product(DEFAULT_DTYPES, REGULAR[entry.name]):
        dtype = DTYPES[name]
        parameter, arguments = split(entry, point)
        tensors = [torch.tensor(a, dtype=None if a is True or a is False else getattr(torch, name))
                   for a in arguments]  # fmt: skip
        rounded = (*point[: entry.parameter], *(tensor.item() for tensor in tensors))
        if entry.name == "where":
            tensors[0] = tensors[0] < 0
        called = on_tensors(entry)(*([] if parameter is None else [parameter]), *tensors)
        ball = ball_of(entry, rounded)
        if entry.name in CONDITIONS:
            assert called.item() is ball, (entry.name, point)
        else:
            assert called.dtype == getattr(torch, name)
            ulp = 2.0 ** (math.frexp(float(ball))[1] - dtype.precision)
            with working(BITS, exact=True):
                gap = abs(float(arb(called.item()) - ball))
            assert gap <= MOST_ULPS.get(entry.name, 4) * ulp, (entry.name, name, point, gap / ulp)


def check_series(entry: Operator) -> None:
    """The coefficients 0 to 2 of the series along a line are its value and derivatives."""
    for point in REGULAR[entry.name]:
        parameter, arguments = split(entry, point)
        graph = Graph()
        time = graph.input(Port("t", ()))
        line = [
            graph.add(graph.constant(Fraction(a)), graph.mul(graph.constant(k + 1), time))
            for k, a in enumerate(arguments)
        ]
        moved = GraphFunction(graph, (time,), (applied(graph, entry, parameter, line),))
        graphs, start = DerivativeGraphs(moved), np.zeros((1, 1))
        expected = [entries(enclose(graphs, every(order), start))[0] for order in range(3)]
        for k, coefficient in enumerate(_coefficients(entry, parameter, arguments)):
            with working(BITS, exact=True):
                want = expected[k].ball / math.factorial(k)
            assert coefficient.rel_accuracy_bits() > 70 or coefficient.is_zero()
            assert coefficient.overlaps(want), (entry.name, point, k, coefficient, want)


def _coefficients(entry: Operator, parameter: int | None, arguments: tuple) -> list[arb]:
    cap, ctx.cap = ctx.cap, 6
    try:
        with working(BITS, exact=True):
            line = [arb_series([arb(a), k + 1]) for k, a in enumerate(arguments)]
            values = line if parameter is None else [parameter, *line]
            series = entry.series(*values)
            return [series[k] for k in range(3)]
    finally:
        ctx.cap = cap


COMPLEX_POINTS = (0.375 + 0.5j, -1.25 + 0.75j, -0.5 - 2j, 2.5 - 0.25j)


def check_holomorphic(entry: Operator) -> None:
    """On complex numbers it is mpmath's function, with one derivative along 1 and along i."""
    graph = Graph()
    z = graph.input(Port("z", (), "complex"))
    graphs = DerivativeGraphs(GraphFunction(graph, (z,), (graph.elementwise(entry.name, z),)))
    for point in COMPLEX_POINTS:
        at = np.array([[point]])
        value = enclose(graphs, Query(0), at).balls[0, 0]
        along = [enclose(graphs, Query(1, None, (np.array([[t]]),)), at).balls[0, 0]
                 for t in (1 + 0j, 1j)]  # fmt: skip
        with mpmath.workdps(40):
            known = MPMATH[entry.name](mpmath.mpc(point))
            slope = mpmath.diff(MPMATH[entry.name], mpmath.mpc(point))
            pairs = ((value, known), (along[0], slope), (along[1], 1j * slope))
            for ball, expected in pairs:
                found = mpmath.mpc(ball.real.str(30, radius=False), ball.imag.str(30, radius=False))
                assert abs(found - expected) <= mpmath.mpf("1e-12") * abs(expected), (point, ball)


def check_domain(entry: Operator) -> None:
    """In the whole domain, up to the last float before its ends, the derivative is defined."""
    for point in REGULAR[entry.name][:1]:
        parameter, arguments = split(entry, point)
        for k, text in enumerate(entry.domain):
            for number in _reach(text):
                moved = (*arguments[:k], number, *arguments[k + 1 :])
                whole = moved if parameter is None else (parameter, *moved)
                for found in slopes(entry, whole, bits=MOST_BITS):
                    assert found.is_finite(), (entry.name, whole, found)


def _reach(text: str) -> list[float]:
    spans = parse_domain(text).spans(DTYPES["float64"])
    return [number for low, high in spans for number in (low, high, (low / 2 + high / 2))]


KINKS = {"0": (0.0,), "integers": (-2.0, 0.0, 1.0), "halves": (-1.5, 0.5, 2.5)}


def check_kinks(entry: Operator) -> None:
    """At each declared kink the hull holds both one-sided limits, and says that it is a hull."""
    with working(BITS, exact=False):
        kinks = _kinks(entry)
    for point, before, after in kinks:
        with working(BITS, exact=False):
            value = entry.ball(*point)
            touched = CONTACT.touched
            sides = entry.ball(*before), entry.ball(*after)
        if entry.name in CONDITIONS:
            assert value is None, (entry.name, point)
        else:
            tolerance = arb(0, 4 * STEP)
            assert all((value + tolerance).overlaps(side) for side in sides), (entry.name, value)
            assert touched or sides[0].overlaps(sides[1] + tolerance), (entry.name, point)


def _kinks(entry: Operator) -> list[tuple]:
    found = []
    for kind in entry.kinks:
        for at in KINKS.get(kind, (0.5,)):
            rest = (arb(at),) if kind == "tie" else (arb(1) / 4,) * (entry.arity - 1)
            found.append(((arb(at), *rest), (at - STEP, *rest), (at + STEP, *rest)))
    return found


def check_smooth(entry: Operator) -> None:
    """Where no kink is declared none is met, not even at zeros, ties and integers."""
    for number in (0.0, 1.0, 0.5, -1.0):
        with working(BITS, exact=False):
            parameter = [2] if entry.parameter else []
            entry.ball(*parameter, *(arb(number) for _ in range(entry.arity)))
            assert not CONTACT.touched, (entry.name, number)
