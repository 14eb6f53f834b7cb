"""Derivatives of an array graph, written into the same graph: ``jvp`` forward, ``vjp`` reverse.

Both only append nodes, so they compose: a second derivative is the derivative of a derivative.
The rules are local. An operator of the table states its own; what moves and adds numbers is linear,
and its reverse is its transpose; where, min and max choose between two tangents, so that a tie
gives one hull and never the sum of two.

Complex numbers follow PyTorch's convention, and only here: the gradient of a real L by z = x + iy
is ∂L/∂x + i ∂L/∂y. So a cotangent is pulled back by the conjugate of a derivative, and the inner
product of cotangent and tangent is the real part of conj(c)·t.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache

import numpy as np

from gradcheck.errors import ExpressionError
from gradcheck.graph.graph import Frozen, Graph, Operation, without
from gradcheck.graph.lower import Lowering
from gradcheck.language.nodes import Node as Tree
from gradcheck.language.parse import parse
from gradcheck.ops.table import OPERATORS, PRIVATE

CHOICES = frozenset({"where", "min", "max"})
"""Operators that give one of their arguments."""

ARGUMENT_NAMES = {1: "x", 2: "ab", 3: "abc"}
"""What the table's texts call the arguments of an operator, by their number."""


class NoDerivative(Exception):
    """An operator whose local derivative no closed form of the table states."""


def jvp(
    graph: Graph,
    outputs: Sequence[int],
    inputs: Sequence[int],
    tangents: Sequence[int],
    *,
    cancelling: bool = False,
) -> list[int]:
    """The derivatives of ``outputs`` in the direction that ``tangents`` gives to ``inputs``.

    ``cancelling`` takes PyTorch's own local derivatives where the table states them: the same
    mathematics, with the intermediate values that PyTorch meets.

    Shapes: each tangent that of its input; each result that of its output.
    Errors: NoDerivative where the operator table states none.
    """
    found: dict[int, int | None] = dict(zip(inputs, tangents, strict=True))
    for node in graph.ancestors(outputs):
        if node not in found:
            args = graph.nodes[node].args
            known = [found[arg] for arg in args]
            found[node] = (
                None
                if all(t is None for t in known)
                else _push(graph, node, known, cancelling=cancelling)
            )
    return [_filled(graph, found[node], node) for node in outputs]


def vjp(
    graph: Graph,
    outputs: Sequence[int],
    inputs: Sequence[int],
    cotangents: Sequence[int],
    *,
    cancelling: bool = False,
) -> list[int]:
    """The gradients by ``inputs`` of the inner product of ``outputs`` with ``cotangents``.

    Where a condition is not decided, or two arguments tie, the hulls that reach an input along
    several ways are added; ``jvp`` gives the narrower hull.

    Shapes: each cotangent that of its output; each result that of its input.
    Errors: NoDerivative where the operator table states none.
    """
    needed = graph.ancestors(outputs)
    live = _depending(graph, needed, inputs)
    terms: dict[int, list[int]] = {}
    for output, cotangent in zip(outputs, cotangents, strict=True):
        terms.setdefault(output, []).append(cotangent)
    for node in reversed(needed):
        if node in live and node not in inputs and node in terms:
            cotangent = _total(graph, terms.pop(node))
            rules = _rules(graph, node, cancelling=cancelling)
            for arg, rule in zip(graph.nodes[node].args, rules, strict=True):
                if arg in live:
                    _give(graph, terms, arg, rule(cotangent))
    gradients = {node: _total(graph, terms[node]) for node in set(inputs) if node in terms}
    return [_filled(graph, gradients.get(node), node) for node in inputs]


def _depending(graph: Graph, needed: Iterable[int], inputs: Iterable[int]) -> set[int]:
    """The nodes with a derivative by the inputs."""
    live = set(inputs)
    for node in needed:
        found = graph.nodes[node]
        if found.op != "detach" and found.kind != "bool" and not live.isdisjoint(found.args):
            live.add(node)
    return live


def _give(graph: Graph, terms: dict[int, list[int]], arg: int, cotangent: int | None) -> None:
    if cotangent is not None:
        real = graph.kind(arg) == "real"
        terms.setdefault(arg, []).append(graph.real(cotangent) if real else cotangent)


def _filled(graph: Graph, derivative: int | None, node: int) -> int:
    return graph.constant(0, graph.shape(node)) if derivative is None else derivative


def _total(graph: Graph, terms: Sequence[int]) -> int:
    """The sum of cotangents; those that are scattered are scattered together."""
    moved = [term for term in terms if graph.nodes[term].op == "scatter"]
    if len(moved) > 1:
        terms = [term for term in terms if graph.nodes[term].op != "scatter"]
        terms = [*terms, _scattered_together(graph, moved)]
    total = terms[0]
    for term in terms[1:]:
        total = graph.add(total, term)
    return total


def _scattered_together(graph: Graph, moved: Sequence[int]) -> int:
    flat, places = [], []
    for term in moved:
        found = graph.nodes[term]
        assert isinstance(found.attr, Frozen)
        flat.append(graph.reshape(found.args[0], (found.attr.array.size,)))
        places.append(found.attr.array.reshape(-1))
    return graph.scatter(graph.concat(flat, 0), np.concatenate(places), graph.shape(moved[0]))


# forward


def _push(
    graph: Graph, node: int, tangents: Sequence[int | None], *, cancelling: bool
) -> int | None:
    """The tangent of a node, given its arguments' (None: zero, and not all are)."""
    found = graph.nodes[node]
    if found.op in _PUSHES:
        return _PUSHES[found.op](graph, node, tangents)
    if found.op == "detach" or found.kind == "bool":
        return None
    if found.op in OPERATORS:
        pushed = (
            _product(graph, slope(graph, node, k, cancelling=cancelling), tangent)
            for k, tangent in enumerate(tangents)
            if tangent is not None
        )
        return _sum_or_none(graph, pushed)
    return _linear(graph, found, tangents)


def _sum_or_none(graph: Graph, terms: Iterable[int | None]) -> int | None:
    known = [term for term in terms if term is not None]
    return _total(graph, known) if known else None


def _product(graph: Graph, slope: int, tangent: int) -> int | None:
    """The product; None where one factor is exactly 0, whatever the other is."""
    if graph.number(slope) == 0 or graph.number(tangent) == 0:
        return None
    return graph.mul(slope, tangent)


def _linear(graph: Graph, found: Operation, tangents: Sequence[int | None]) -> int:
    """A linear operation, applied to the tangents as to the numbers."""
    (tangent,) = tangents
    assert tangent is not None
    if found.op in ("conj", "real", "imag"):
        return {"conj": graph.conj, "real": graph.real, "imag": graph.imag}[found.op](tangent)
    return graph.put(found.op, (tangent,), found.attr, found.shape, graph.kind(tangent))


def _all_filled(graph: Graph, node: int, tangents: Sequence[int | None]) -> list[int]:
    args = graph.nodes[node].args
    return [_filled(graph, tangent, arg) for tangent, arg in zip(tangents, args, strict=True)]


def _push_choice(graph: Graph, node: int, tangents: Sequence[int | None]) -> int | None:
    """The tangent of the branch: never 0 * inf from the other one, and one hull at a tie."""
    if all(tangent is None for tangent in tangents[-2:]):
        return None
    left, right = _all_filled(graph, node, tangents)[-2:]
    return graph.elementwise("where", _condition(graph, node), left, right)


def _push_concat(graph: Graph, node: int, tangents: Sequence[int | None]) -> int:
    axis = graph.nodes[node].attr
    assert isinstance(axis, int)
    return graph.concat(_all_filled(graph, node, tangents), axis)


def _push_complex(graph: Graph, node: int, tangents: Sequence[int | None]) -> int:
    return graph.complex(*_all_filled(graph, node, tangents))


def _push_bmm(graph: Graph, node: int, tangents: Sequence[int | None]) -> int | None:
    (a, b), (left, right) = graph.nodes[node].args, tangents
    by_left = None if left is None else graph.bmm(left, b)
    return _sum_or_none(graph, (by_left, None if right is None else graph.bmm(a, right)))


def _push_inverse(graph: Graph, node: int, tangents: Sequence[int | None]) -> int:
    """d(A⁻¹) = -A⁻¹ dA A⁻¹."""
    (tangent,) = _all_filled(graph, node, tangents)
    return graph.neg(graph.bmm(graph.bmm(node, tangent), node))


def _push_solve(graph: Graph, node: int, tangents: Sequence[int | None]) -> int:
    """Of A x = b: A dx = db - dA x."""
    by_a, by_b = _all_filled(graph, node, tangents)
    return graph.solve(graph.nodes[node].args[0], graph.sub(by_b, graph.bmm(by_a, node)))


_PUSHES: dict[str, Callable[[Graph, int, Sequence[int | None]], int | None]] = {
    **dict.fromkeys(CHOICES, _push_choice),
    "concat": _push_concat, "complex": _push_complex, "bmm": _push_bmm,
    "inverse": _push_inverse, "solve": _push_solve,
}  # fmt: skip
"""Of what is neither linear in one argument nor a smooth operator of the table."""


# reverse

Rule = Callable[[int], int | None]
"""From the cotangent of a node to that of one of its arguments; None is zero."""


def _rules(graph: Graph, node: int, *, cancelling: bool) -> list[Rule]:
    """One rule for each argument: the transpose of ``_push``."""
    found = graph.nodes[node]
    if found.op in _PULLS:
        return _PULLS[found.op](graph, node)
    return [_by_slope(graph, node, k, cancelling=cancelling) for k in range(len(found.args))]


def _by_slope(graph: Graph, node: int, k: int, *, cancelling: bool) -> Rule:
    def rule(cotangent: int) -> int | None:
        return _product(graph, graph.conj(slope(graph, node, k, cancelling=cancelling)), cotangent)

    return rule


def _pull_choice(graph: Graph, node: int) -> list[Rule]:
    def chosen(condition: int, *branches: int) -> int:
        return graph.elementwise("where", condition, *branches)

    condition = _condition(graph, node)
    zero = graph.constant(0, graph.shape(node))
    rules: list[Rule] = [lambda c: chosen(condition, c, zero), lambda c: chosen(condition, zero, c)]
    return [lambda c: None, *rules][-len(graph.nodes[node].args) :]


def _condition(graph: Graph, node: int) -> int:
    """The condition under which a choice is its last argument but one."""
    found = graph.nodes[node]
    if found.op == "where":
        return found.args[0]
    a, b = found.args
    return graph.elementwise("lt", a, b) if found.op == "min" else graph.elementwise("lt", b, a)


def _pull_broadcast(graph: Graph, node: int) -> list[Rule]:
    found, (arg,) = graph.nodes[node], graph.nodes[node].args
    shape = graph.shape(arg)
    new = len(found.shape) - len(shape)
    axes = [k for k, n in enumerate(found.shape) if k < new or shape[k - new] != n]
    return [lambda c: graph.reshape(graph.sum(c, axes), shape)]


def _pull_sum(graph: Graph, node: int) -> list[Rule]:
    found = graph.nodes[node]
    assert isinstance(found.attr, tuple)
    shape = graph.shape(found.args[0])
    kept = without(shape, found.attr)
    return [lambda c: graph.broadcast(graph.reshape(c, kept), shape)]


def _pull_move(graph: Graph, node: int) -> list[Rule]:
    """Reshape, transpose, gather, scatter and cumsum, each undone by one of them."""
    found = graph.nodes[node]
    shape, attr = graph.shape(found.args[0]), found.attr
    if found.op == "reshape":
        return [lambda c: graph.reshape(c, shape)]
    if isinstance(attr, Frozen):
        if found.op == "scatter":
            return [lambda c: graph.gather(c, attr.array)]
        return [lambda c: graph.scatter(c, attr.array, shape)]
    assert isinstance(attr, tuple)
    if found.op == "transpose":
        return [lambda c: graph.transpose(c, [attr.index(k) for k in range(len(attr))])]
    axis, reverse = attr
    return [lambda c: graph.cumsum(c, axis, reverse=not reverse)]


def _pull_concat(graph: Graph, node: int) -> list[Rule]:
    found = graph.nodes[node]
    axis = found.attr
    assert isinstance(axis, int)
    rules: list[Rule] = []
    start = 0
    for arg in found.args:
        stop = start + graph.shape(arg)[axis]
        key = (*[slice(None)] * axis, slice(start, stop))
        rules.append(_part(graph, key))
        start = stop
    return rules


def _part(graph: Graph, key: tuple[slice, ...]) -> Rule:
    return lambda c: graph.index(c, key)


def _pull_bmm(graph: Graph, node: int) -> list[Rule]:
    a, b = (_adjoint(graph, arg) for arg in graph.nodes[node].args)
    return [lambda c: graph.bmm(c, b), lambda c: graph.bmm(a, c)]


def _adjoint(graph: Graph, node: int) -> int:
    return graph.conj(graph.transposed(node))


def _pull_inverse(graph: Graph, node: int) -> list[Rule]:
    y = _adjoint(graph, node)
    return [lambda c: graph.neg(graph.bmm(graph.bmm(y, c), y))]


def _pull_solve(graph: Graph, node: int) -> list[Rule]:
    a, x = _adjoint(graph, graph.nodes[node].args[0]), _adjoint(graph, node)
    by_a: Rule = lambda c: graph.neg(graph.bmm(graph.solve(a, c), x))  # noqa: E731
    return [by_a, lambda c: graph.solve(a, c)]


def _pull_parts(graph: Graph, node: int) -> list[Rule]:
    """The real part of conj(c)·t decides: a real part pulls c back to c, an imaginary one to ic."""
    found = graph.nodes[node]
    zero = graph.constant(0, found.shape)
    rules: dict[str, list[Rule]] = {
        "conj": [graph.conj],
        "real": [graph.real],
        "imag": [lambda c: graph.complex(zero, graph.real(c))],
        "complex": [graph.real, graph.imag],
    }
    return rules[found.op]


_PULLS: dict[str, Callable[[Graph, int], list[Rule]]] = {
    **dict.fromkeys(CHOICES, _pull_choice),
    **dict.fromkeys(("reshape", "transpose", "gather", "scatter", "cumsum"), _pull_move),
    **dict.fromkeys(("conj", "real", "imag", "complex"), _pull_parts),
    "broadcast": _pull_broadcast, "sum": _pull_sum, "concat": _pull_concat, "bmm": _pull_bmm,
    "inverse": _pull_inverse, "solve": _pull_solve,
}  # fmt: skip


# the operator table


def slope(graph: Graph, node: int, k: int, *, cancelling: bool = False) -> int:
    """The local derivative of a node of the operator table in its k-th argument."""
    found = graph.nodes[node]
    scope = dict(zip(ARGUMENT_NAMES[len(found.args)], found.args, strict=True))
    scope["y"] = node
    if found.attr is not None:
        assert isinstance(found.attr, int)
        scope["n"] = graph.constant(found.attr)
    tree = local_derivative(found.op, k, cancelling=cancelling)
    try:
        return Lowering(graph, scope, private=PRIVATE).value(tree)
    except ExpressionError:  # constants, at a pole: infinity less infinity is no number
        infinity = graph.named("inf")
        return graph.broadcast(graph.elementwise("sub", infinity, infinity), found.shape)


@cache
def local_derivative(operator: str, k: int, *, cancelling: bool = False) -> Tree:
    """The table's text as a tree, over ``x``, ``a``, ``b``, ``c``, ``y`` and ``n``.

    ``cancelling`` takes PyTorch's own form where the table states it: the same mathematics.

    Errors: NoDerivative where it states none.
    """
    entry = OPERATORS[operator]
    text = (cancelling and entry.cancelling) or entry.derivatives[k]
    if text is None:
        raise NoDerivative(f"no closed form of the derivative of {operator} in argument {k + 1}")
    return parse(text)
