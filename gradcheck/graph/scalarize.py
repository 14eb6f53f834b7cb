"""From array graph to scalar program: every array unrolled, for whoever takes single numbers.

Symbolic derivatives, series and the search for kinks do. Sums and products of matrices are folded
from the left, inverses are written by cofactors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache, partial, reduce
from itertools import accumulate, count

import numpy as np

from gradcheck.errors import ExpressionError
from gradcheck.graph.folding import MOST_WORK, TooLarge
from gradcheck.graph.graph import Frozen, Graph, Node
from gradcheck.graph.lower import Lowered, Lowering, lower
from gradcheck.graph.reading import TooLargeText
from gradcheck.graph.tape import Number, Operation, Program, Scalar, Tape, apply, node_of
from gradcheck.language.nodes import START, Place
from gradcheck.language.nodes import Node as Tree
from gradcheck.ops.table import PRIVATE
from gradcheck.query import Array, Port, Shape

Unrolled = Mapping[int, Array]


def unroll(  # noqa: PLR0913 - what a case says of its formula, each by its name
    formula: Tree,
    *,
    inputs: Mapping[str, Shape],
    names: Mapping[str, object],
    lets: Mapping[str, Tree],
    conditions: tuple[Tree, ...],
    translated: bool = False,
    tape: Tape | None = None,
) -> Program:
    """The formula as a scalar program, for one choice of constants and sweep values (``names``).

    It is lowered to a graph first; ``tape.work`` says afterwards what both took, even if it is
    refused.

    Errors: ExpressionError, as of ``lower`` and ``scalarize``.
    """
    tape = Tape(MOST_WORK) if tape is None else tape
    graph = Graph(tape.allowance)
    try:
        lowered = lower(formula, inputs=inputs, names=names, lets=lets, conditions=conditions,
                        translated=translated, graph=graph)  # fmt: skip
    finally:
        tape.work += graph.work
    return scalarize(lowered, tape, formula.place)


class NotScalar(Exception):
    """The graph computes what no scalar program does; the text says what."""


def scalarize(formula: Lowered, tape: Tape, place: Place = START) -> Program:
    """The formula as a scalar program of one output, written on ``tape``.

    Errors: ExpressionError at ``place`` past a limit of the tape, and where constants are divided
            by zero; NotScalar for complex numbers.
    """
    try:
        return _scalarized(formula, tape)
    except TooLarge as error:
        ports = formula.graph.inputs
        fix = "make the shapes smaller" if any(port.shape for port in ports) else "make it smaller"
        raise TooLargeText(place, str(error), "a smaller formula", fix) from None
    except ZeroDivisionError:
        found = "a division of constants by zero"
        raise ExpressionError(place, found, "a number", "correct it") from None


def _scalarized(formula: Lowered, tape: Tape) -> Program:
    (port,), (result,) = formula.outputs, formula.results
    assert result is not None
    ports = formula.graph.inputs[: len(formula.inputs)]
    inputs = _inputs(tape, [port.shape for port in ports])
    arrays = unrolled(tape, formula.graph, (result, *formula.conditions), inputs)
    outputs = [node_of(tape, entry) for entry in arrays[0].flat]
    conditions = [node_of(tape, array.item()) for array in arrays[1:]]
    tape.allowance = math.inf  # derivatives are written on it too: ``size`` counts them before
    return Program(
        inputs=tuple((port.name, port.shape) for port in ports),
        shape=port.shape,
        outputs=tuple(outputs),
        conditions=tuple(conditions),
        tape=tape,
        names=formula.names,
    )


def written(
    tape: Tape, tree: Tree, values: Mapping[str, Number], constants: Mapping[str, int]
) -> Number:
    """A text of the operator table on a tape, for numbers of the tape and constant integers."""
    graph, node = _text(tree, tuple(values), tuple(constants.items()))
    arrays = [_shaped([value], ()) for value in values.values()]
    result: Number = unrolled(tape, graph, (node,), arrays)[0].item()
    return result


@lru_cache(maxsize=1024)
def _text(
    tree: Tree, names: tuple[str, ...], constants: tuple[tuple[str, int], ...]
) -> tuple[Graph, int]:
    graph = Graph()
    scope = {name: graph.input(Port(name, ())) for name in names}
    scope |= {name: graph.constant(value) for name, value in constants}
    return graph, Lowering(graph, scope, private=PRIVATE).value(tree)


def _inputs(tape: Tape, shapes: Iterable[tuple[int, ...]]) -> list[Array]:
    numbers = count()
    return [
        _shaped(
            [Scalar(tape, tape.put(Operation("input", (), next(numbers))))
             for _ in range(math.prod(shape))], shape
        )
        for shape in shapes
    ]  # fmt: skip


def unrolled(
    tape: Tape, graph: Graph, nodes: Sequence[int], inputs: Sequence[Array]
) -> list[Array]:
    """The arrays of ``nodes``, each entry a number of the tape, for arrays of such as inputs.

    Errors: TooLarge past a limit of the tape; ZeroDivisionError where constants are divided by
            zero; NotScalar for complex numbers and ``stop``.
    """
    values: dict[int, Array] = {}
    for node in graph.ancestors(nodes):
        found = graph.nodes[node]
        args = [values[arg] for arg in found.args]
        values[node] = _value(tape, found, args, inputs)
    return [values[node] for node in nodes]


def _value(tape: Tape, node: Node, args: list[Array], inputs: Sequence[Array]) -> Array:
    if node.kind == "complex" or node.op in ("real", "imag"):
        raise NotScalar("complex numbers")
    if node.op == "input":
        assert isinstance(node.attr, int)
        return inputs[node.attr]
    if node.op in _RULES:
        tape.spend(node.size // 8)
        return _RULES[node.op](tape, node, *args)
    parameter = node.attr if isinstance(node.attr, int) else None
    columns = (array.ravel().tolist() for array in args)
    return _shaped(
        [
            apply(tape, node.op, *values, parameter=parameter)
            for values in zip(*columns, strict=True)
        ],
        node.shape,
    )


def _shaped(entries: Sequence[Number], shape: tuple[int, ...]) -> Array:
    result = np.empty(len(entries), dtype=object)
    result[:] = entries
    return result.reshape(shape)


def _constant(tape: Tape, node: Node) -> Array:
    if isinstance(node.attr, Frozen):
        return node.attr.array
    return _shaped([Scalar(tape, tape.put(Operation("constant", (), str(node.attr))))], ())


def _gather(_tape: Tape, node: Node, x: Array) -> Array:
    assert isinstance(node.attr, Frozen)
    return _shaped(x.reshape(-1)[node.attr.array.reshape(-1)].tolist(), node.shape)


def _scatter(tape: Tape, node: Node, x: Array) -> Array:
    assert isinstance(node.attr, Frozen)
    result: list[Number] = [Fraction(0)] * node.size
    for place, entry in zip(node.attr.array.flat, x.flat, strict=True):
        result[place] = apply(tape, "add", result[place], entry)
    return _shaped(result, node.shape)


def _sum(tape: Tape, node: Node, x: Array) -> Array:
    assert isinstance(node.attr, tuple)
    rows = np.moveaxis(x, node.attr, range(len(node.attr)))
    rows = rows.reshape(math.prod(rows.shape[: len(node.attr)]), node.size)
    if not len(rows):
        return _shaped([Fraction(0)] * node.size, node.shape)
    return _shaped([_added(tape, column) for column in rows.T.tolist()], node.shape)


def _added(tape: Tape, terms: Sequence[Number]) -> Number:
    return reduce(partial(apply, tape, "add"), terms)


def _cumsum(tape: Tape, node: Node, x: Array) -> Array:
    assert isinstance(node.attr, tuple)
    axis, reverse = node.attr
    moved = np.moveaxis(np.flip(x, axis) if reverse else x, axis, 0)
    columns = moved.reshape(len(moved), math.prod(moved.shape[1:])).T.tolist()
    running = [[*accumulate(column, partial(apply, tape, "add"))] for column in columns]
    totals = np.array(running, dtype=object).reshape(*moved.shape[1:], len(moved))
    result = np.moveaxis(totals, -1, axis)
    return np.flip(result, axis) if reverse else result


def _product(tape: Tape, a: Array, b: Array) -> Array:
    """The product of two matrices."""
    entries = [
        _added(tape, [apply(tape, "mul", *pair) for pair in zip(row, column, strict=True)])
        if row else Fraction(0)
        for row in a.tolist() for column in b.T.tolist()
    ]  # fmt: skip
    return _shaped(entries, (a.shape[0], b.shape[1]))


def _bmm(tape: Tape, node: Node, a: Array, b: Array) -> Array:
    result = np.empty(node.shape, dtype=object)
    for place in np.ndindex(node.shape[:-2]):
        result[place] = _product(tape, a[place], b[place])
    return result


def _inverse(tape: Tape, node: Node, x: Array) -> Array:
    result = np.empty(node.shape, dtype=object)
    for place in np.ndindex(node.shape[:-2]):
        tape.spend(10)
        result[place] = _inverted(tape, x[place])
    return result


def _solve(tape: Tape, node: Node, a: Array, b: Array) -> Array:
    result = np.empty(node.shape, dtype=object)
    for place in np.ndindex(node.shape[:-2]):
        result[place] = _product(tape, _inverted(tape, a[place]), b[place])
    return result


def _inverted(tape: Tape, matrix: Array) -> Array:
    every = tuple(range(len(matrix)))
    minor = _minors(tape, matrix)
    result = np.empty(matrix.shape, dtype=object)
    for i, j in np.ndindex(matrix.shape):
        cofactor = minor(every[:j] + every[j + 1 :], every[:i] + every[i + 1 :])
        signed = apply(tape, "neg", cofactor) if (i + j) % 2 else cofactor
        result[i, j] = apply(tape, "div", signed, minor(every, every))
    return result


def _minors(tape: Tape, matrix: Array) -> Callable[[tuple[int, ...], tuple[int, ...]], Number]:
    """Determinants of submatrices of one matrix, by expansion along the first row, once each."""
    known: dict[tuple[tuple[int, ...], tuple[int, ...]], Number] = {}

    def minor(rows: tuple[int, ...], columns: tuple[int, ...]) -> Number:
        if not rows:
            return Fraction(1)
        if (rows, columns) not in known:
            total: Number = Fraction(0)
            for k, column in enumerate(columns):
                rest = minor(rows[1:], columns[:k] + columns[k + 1 :])
                term = apply(tape, "mul", matrix[rows[0], column], rest)
                total = apply(tape, "sub" if k % 2 else "add", total, term)
            known[rows, columns] = total
        return known[rows, columns]

    return minor


def _detach(_tape: Tape, _node: Node, _x: Array) -> Array:
    raise NotScalar("stop(...)")


_RULES: dict[str, Callable[..., Array]] = {
    "constant": _constant,
    "broadcast": lambda tape, node, x: np.broadcast_to(x, node.shape),
    "reshape": lambda tape, node, x: x.reshape(node.shape),
    "transpose": lambda tape, node, x: x.transpose(node.attr),
    "gather": _gather,
    "scatter": _scatter,
    "concat": lambda tape, node, *parts: np.concatenate(parts, axis=node.attr),
    "sum": _sum,
    "cumsum": _cumsum,
    "bmm": _bmm,
    "inverse": _inverse,
    "solve": _solve,
    "detach": _detach,
}
"""Of what is no operator of the table."""
