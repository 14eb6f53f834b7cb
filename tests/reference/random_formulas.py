"""Formulas drawn at random from the operator table, and what mpmath says of them."""

from __future__ import annotations

from fractions import Fraction

import mpmath
from hypothesis import assume
from hypothesis import strategies as st
from operator_points import MPMATH

from gradcheck.graph.graph import Frozen, Operation
from gradcheck.graph.lower import Lowered, lower
from gradcheck.language.nodes import Binary, Call, Comparison, Literal, Name, Node
from gradcheck.ops.table import CALLABLE, OPERATORS, REAL

INPUTS = ("x", "y", "z")
NUMBERS = st.builds(
    lambda n, d: Literal(Fraction(n, d)), st.integers(0, 9), st.sampled_from([1, 4])
)
LEAVES = st.sampled_from([Name(name) for name in INPUTS]) | NUMBERS

ONE_ARGUMENT = sorted(
    name for name in CALLABLE if OPERATORS[name].arity == 1 and not OPERATORS[name].parameter
)
SMOOTH = [name for name in ONE_ARGUMENT if not OPERATORS[name].kinks]
PARAMETERS = sorted(name for name in CALLABLE if OPERATORS[name].parameter)


def number(value: int) -> Literal:
    return Literal(Fraction(value))


def moved_inside(domain: str, tree: Node) -> Node:
    """The tree, moved smoothly to where an operator of this domain is defined and smooth."""
    square = Binary("*", tree, tree)
    inside = {
        "real": tree,
        "positive": Binary("+", Binary("/", number(1), number(2)), square),
        "nonzero": Binary("+", number(1), square),
        "(-1, inf)": square,
        "(1, inf)": Binary("+", number(2), square),
        "(-1, 1)": Binary("/", tree, Binary("+", number(1), square)),
    }
    return inside[domain]


def _called(name: str, *trees: Node) -> Node:
    moved = map(moved_inside, OPERATORS[name].domain, trees)
    return Call(Name(name), tuple(moved))


def _smooth(trees):
    return st.one_of(
        st.builds(Binary, st.sampled_from(["+", "-", "*"]), trees, trees),
        st.builds(lambda a, b: Binary("/", a, moved_inside("nonzero", b)), trees, trees),
        st.builds(lambda a, n: Binary("**", a, number(n)), trees, st.integers(2, 4)),
        st.builds(lambda a, b: Binary("**", moved_inside("positive", a), b), trees, trees),
        st.builds(_called, st.sampled_from(SMOOTH), trees),
        st.builds(lambda a, b: Call(Name("atan2"), (a, moved_inside("positive", b))), trees, trees),
        st.builds(_with_parameter, st.sampled_from(PARAMETERS), st.integers(0, 3), trees),
    )


def _with_parameter(name: str, order: int, tree: Node) -> Node:
    return Call(Name(name), (number(order), moved_inside(OPERATORS[name].domain[0], tree)))


def _rough(trees):
    compared = st.builds(
        lambda operator, a, b: Comparison((operator,), (a, b)),
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        trees,
        trees,
    )
    return st.one_of(
        _smooth(trees),
        st.builds(lambda name, a: Call(Name(name), (a,)), st.sampled_from(ONE_ARGUMENT), trees),
        st.builds(
            lambda name, a, b: Call(Name(name), (a, b)),
            st.sampled_from(["min", "max", "heaviside", "atan2"]),
            trees,
            trees,
        ),
        st.builds(lambda c, a, b: Call(Name("where"), (c, a, b)), compared, trees, trees),
        st.builds(Binary, st.sampled_from(["/", "**"]), trees, trees),
    )


SMOOTH_FORMULAS = st.recursive(LEAVES, _smooth, max_leaves=5)
FORMULAS = st.recursive(LEAVES, _rough, max_leaves=6)
POINTS = st.tuples(*[st.floats(-4, 4).filter(lambda x: abs(x) > 1e-5 or x == 0)] * 3)
REGULAR_POINTS = st.tuples(*[st.integers(-40, 40).map(lambda n: n / 16 + 0.01)] * 3)


def formula_of(tree: Node) -> Lowered:
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(INPUTS, ())
    try:
        return lower(tree, inputs=shapes, names={}, lets={}, conditions=())
    except Exception:  # a division of constants by zero, a number of too many digits
        assume(False)  # noqa: FBT003
        raise


class _Undefined(Exception):
    pass


_PLAIN = frozenset({"add", "sub", "mul", "neg", "and", "or", "not", "where"})
_TIES = frozenset({"lt", "le", "eq", "min", "max"})


def by_mpmath(formula: Lowered, point: tuple[float, ...], digits: int = 100):
    """The value to some 60 digits; None where there is none. Rejects what rounding would decide."""
    with mpmath.workdps(digits):
        first = _value(formula, point)
    with mpmath.workdps(digits + 40):
        second = _value(formula, point)
        assume((first is None) == (second is None))
        close = first is None or abs(first - second) <= abs(second) * mpmath.mpf(10) ** -60
    assume(close)
    return second


def _value(formula: Lowered, point: tuple[float, ...]):
    graph = formula.graph
    values: dict = {}
    for index in graph.ancestors(formula.results):  # derivatives may stand on it, too
        node = graph.nodes[index]
        arguments = [values[a] for a in node.args]
        leaves = [not graph.nodes[a].args for a in node.args]
        if node.op == "input":
            values[index] = mpmath.mpf(point[node.attr])
        elif node.op == "constant":
            values[index] = _number(node)
        else:
            values[index] = _applied(node, arguments, leaves)
    return values[formula.results[0]]


def _number(node: Operation):
    assert isinstance(node.attr, Frozen)
    value = node.attr.array.item()
    return value if isinstance(value, bool) else mpmath.mpf(value.numerator) / value.denominator


def _applied(node: Operation, arguments: list, leaves: list[bool]):
    name = node.op
    if name == "where":
        condition, a, b = arguments
        assume(condition is not None)
        return a if condition else b
    if name == "heaviside" and arguments[0] is not None and abs(arguments[0]) > 1e-50:
        return mpmath.mpf(arguments[0] > 0)  # the second argument is not asked for
    if None in arguments:
        return None
    if name not in _PLAIN:
        assume(not any(_unclear(a) for a, leaf in zip(arguments, leaves, strict=True) if not leaf))
    if name in _TIES and not all(leaves):
        assume(not _unclear(arguments[0] - arguments[1]))
    if OPERATORS[name].domain != REAL * len(arguments) or name in ("floor", "ceil", "round"):
        computed = [2 * a for a, leaf in zip(arguments, leaves, strict=True) if not leaf]
        assume(not any(_unclear(a - mpmath.nint(a)) for a in computed))  # poles, ends and jumps
    parameter = [] if node.attr is None else [node.attr]
    return _defined(name, [*parameter, *arguments])


def _defined(name: str, arguments: list):
    if name == "zeta" and not (arguments[0] > 1 and arguments[1] > 0):
        return None
    try:
        value = MPMATH[name](*arguments)
    except (ValueError, ZeroDivisionError, OverflowError, mpmath.libmp.NoConvergence):
        return None
    if isinstance(value, bool):
        return value
    if isinstance(value, mpmath.mpc) or not mpmath.isfinite(value):
        return None
    assume(abs(value) < 10**30)
    return value


def _unclear(value) -> bool:
    """Whether a computed number is so close to a boundary that rounding may have put it there."""
    return not isinstance(value, bool) and abs(value) < mpmath.mpf(10) ** -50
