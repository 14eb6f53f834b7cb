"""Put a function to every witness at one point, and say where it has no value, why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from flint import acb, arb
from torch import Tensor

from gradcheck.catalog.case import Variant
from gradcheck.catalog.checks import Check
from gradcheck.catalog.domain import parse_domain
from gradcheck.dtypes import DTYPES
from gradcheck.errors import UsageError
from gradcheck.explanation.accuracy import allowances_at, precisions_at
from gradcheck.explanation.backward_graph import backward_graph
from gradcheck.explanation.explanation import CertifiedValue, Explanation
from gradcheck.explanation.formulas import formulas_of
from gradcheck.explanation.graph_drawing import BackwardGraph
from gradcheck.explanation.point import (
    is_inside,
    numbers_text,
    refuse_no_entries,
    row_of,
    values_at,
)
from gradcheck.explanation.statements import (
    Derivative,
    certain,
    derivatives_at,
    derivatives_of,
    heard,
    title_of,
    with_witness,
)
from gradcheck.graph.graph import Graph, Operation
from gradcheck.implementations.subject import subject_of
from gradcheck.methods import DEFAULT_WITNESSES, METHODS
from gradcheck.ops.balls import working
from gradcheck.ops.table import OPERATORS
from gradcheck.points.generate import to_coordinates
from gradcheck.query import Array, complex_entries, split
from gradcheck.reference.ball_arrays import START_BITS, Balls, lift
from gradcheck.reference.digits import decimal
from gradcheck.reference.enclosures import Status
from gradcheck.reference.interpret import MOVES, evaluate, move
from gradcheck.report.failure_text import format_number, without_zeros
from gradcheck.report.records import version
from gradcheck.run.joint_query import MOST_PARTS
from gradcheck.run.session import real_reference_of


def explain_at(
    check: Check, at: Mapping[str, str], *, graph: bool, order: int | None = None
) -> Explanation:
    """Put the function to every witness at one point; derivatives up to an ``order``, if it is
    given, else as far as the case asks, of arrays the first ones.

    Errors: UsageError for a point that is none of this function, and for too many derivatives.
    """
    case, variant = check.case, check.variant
    refuse_no_entries(variant)
    values = values_at(case, variant, at, DTYPES[check.dtype])
    usual = 2 if case.order >= 2 and variant.is_scalar else 1
    orders = tuple(range((usual if order is None else order) + 1))
    _refuse_many(check, orders[-1])
    names = [name for name in DEFAULT_WITNESSES
             if name not in case.without and METHODS[name].order in orders]  # fmt: skip
    truths = tuple(_truths(check, values, orders))
    return Explanation(
        check=check,
        values=values,
        inside=is_inside(case, variant, values),
        orders=orders,
        formulas=formulas_of(variant, orders),
        truths=truths,
        undefined=tuple(_undefined(check, truths, row_of(values))),
        statements=tuple(
            (name, said) for name in names for said in heard(with_witness(check, name), values)
        ),
        allowances=tuple(allowances_at(check, values)),
        precisions=tuple(precisions_at(check, at, values)),
        graph=_graph(check, values) if graph else BackwardGraph(),
    )


def _refuse_many(check: Check, order: int) -> None:
    real = real_reference_of(check.variant)
    count = real.outputs * real.size**order
    if order > 1 and count > MOST_PARTS:
        raise UsageError(
            f"--order {order}: {count:,} derivatives",
            f"at most {MOST_PARTS:,}",
            f"write --order {order - 1}",
        )


def _truths(
    check: Check, values: Mapping[str, Array], orders: Sequence[int]
) -> Iterator[CertifiedValue]:
    point = to_coordinates(check.variant.inputs, {name: x[None] for name, x in values.items()})
    for order in orders:
        found = derivatives_at(real_reference_of(check.variant), order, point)
        if not found.route:
            yield CertifiedValue(Derivative(f"order {order}", order), "", found.reason)
            continue
        names = derivatives_of(check.variant, order)
        for name, ball, status in zip(names, found.balls.flat, found.status.flat, strict=True):
            known = Status(status)
            radius = ball.rad().str(3, radius=False) if known == Status.SETTLED else ""
            yield CertifiedValue(name, certain(ball, known), known.name.lower(), radius)


def _undefined(check: Check, truths: Sequence[CertifiedValue], x: Array) -> Iterator[str]:
    """Why each output that has no value there has none."""
    is_complex = complex_entries(check.variant.formula.judged)
    entries = np.repeat(np.arange(is_complex.size), 1 + is_complex).tolist()
    values = [truth for truth in truths if truth.of.order == 0]
    for output, truth in zip(entries, values, strict=False):  # fewer, where there is no derivation
        if truth.status == "undefined":
            yield f"{cause(check.variant, output, x)}: {truth.of.name} has no value there"


def graph_at(check: Check, at: Mapping[str, str]) -> BackwardGraph:
    """The backward graph of the code on trial at one point.

    Errors: UsageError for a point that is none of this function.
    """
    return _graph(check, values_at(check.case, check.variant, at, DTYPES[check.dtype]))


def _graph(check: Check, values: Mapping[str, Array]) -> BackwardGraph:
    subject = subject_of(check.case, check.variant, check.implementation, check.dtype, check.device)
    code = check.implementation.text
    place = ", ".join(f"{name} = {numbers_text(x.tolist(), most=3)}" for name, x in values.items())
    return BackwardGraph(
        title=f"{title_of(check)}: {code}" if code else title_of(check),
        subtitle=f"at {place}, {check.dtype} on {check.device}, torch {version('torch')}",
        nodes=backward_graph(subject, _leaves(check, values)),
    )


def _leaves(check: Check, values: Mapping[str, Array]) -> dict[str, Tensor]:
    dtype = DTYPES[check.dtype]
    return {
        name: torch.tensor(
            value,
            dtype=getattr(torch, dtype.name if np.iscomplexobj(value) else dtype.real),
            device=check.device,
            requires_grad=True,
        )
        for name, value in values.items()
    }


_DIGITS = 17


def cause(variant: Variant, output: int, x: Array) -> str:
    """Say which step of the formula has no value at ``x``: ``-1 is outside the domain of log``.

    ``output`` counts the function's output entries, of which this one has no value there.

    Shapes: x [1, n].
    """
    graph = variant.formula.graph
    results = [node for node in variant.formula.results if node is not None]
    sizes = [graph.nodes[node].size for node in results]
    place = int(np.searchsorted(np.cumsum(sizes), output, side="right"))
    entry: _Entry = results[place], output - sum(sizes[:place])
    values = _all_values(variant, results, x)
    while True:
        before = [each for each in _taken(graph, entry, values) if _is_lost(_at(values, each))]
        if not before:
            break
        entry = before[0]
    node = graph.nodes[entry[0]]
    return _sentence(node, [_at(values, (arg, entry[1])) for arg in _alike(graph, node)])


_Entry = tuple[int, int]
"""A node, and a flat position in it."""


def _all_values(variant: Variant, results: Sequence[int], x: Array) -> dict[int, Array]:
    """The balls of all nodes that the results are computed from, each flat."""
    graph, inputs = variant.formula.graph, variant.formula.inputs
    needed = graph.ancestors(results)
    arrays: list[Array] = [np.zeros((1, 0), dtype=object) for _ in graph.inputs]
    parts = split(x, list(map(graph.shape, inputs)))
    for k, (node, part) in enumerate(zip(inputs, parts, strict=True)):
        arrays[k] = lift(part if graph.kind(node) == "complex" else part.real)
    with working(START_BITS, exact=True):
        found = evaluate(graph, needed, arrays, Balls())
    return {node: array.reshape(-1) for node, array in zip(needed, found, strict=True)}


def _at(values: Mapping[int, Array], entry: _Entry) -> Any:
    node, place = entry
    return values[node][place]


def _alike(graph: Graph, node: Operation) -> tuple[int, ...]:
    """The arguments whose entries stand where the result's do."""
    return tuple(arg for arg in node.args if graph.shape(arg) == node.shape)


def _taken(graph: Graph, entry: _Entry, values: Mapping[int, Array]) -> list[_Entry]:
    """The entries that an entry is computed from: of `where` those of the branch that holds."""
    number, place = entry
    node = graph.nodes[number]
    if node.op == "where" and isinstance(_at(values, (node.args[0], place)), bool):
        condition, yes, no = node.args
        return [(yes if _at(values, (condition, place)) else no, place)]
    if node.op in OPERATORS:
        return [(arg, place) for arg in node.args]
    if node.op in MOVES and len(node.args) == 1 and node.op != "scatter":
        (arg,) = node.args
        places = np.arange(graph.nodes[arg].size).reshape(1, *graph.shape(arg))
        return [(arg, int(move(node, [places], Balls()).reshape(-1)[place]))]
    return [(arg, k) for arg in node.args for k in range(graph.nodes[arg].size)]


def _is_lost(value: Any) -> bool:
    return isinstance(value, arb | acb) and not value.is_finite()


def _sentence(node: Operation, arguments: Sequence[arb | acb]) -> str:
    name, shown = node.op, [_number(each) for each in arguments]
    if name == "div":
        return f"{shown[1]} is outside the domain of division"
    if name in ("pow", "ipow"):
        power = shown[1] if name == "pow" else node.attr
        return f"{shown[0]} is outside the domain of the power {power}"
    domains = OPERATORS[name].domain if name in OPERATORS else ()
    if node.kind == "complex" and len(shown) == 1:
        return f"{shown[0]} is a pole of {name}, or on the edge of its domain"
    outside = [
        text
        for text, value, domain in zip(shown, arguments, domains, strict=False)
        if isinstance(value, arb) and not parse_domain(domain).contains(float(value))
    ]
    if not outside:
        return "the formula is not finite there"
    are = "is" if len(outside) == 1 else "are"
    return f"{' and '.join(outside)} {are} outside the domain of {name}"


def _number(value: Any) -> str:
    if isinstance(value, acb):
        return format_number(complex(value), lambda part: f"{part:.{_DIGITS}g}")
    return without_zeros(decimal(value, _DIGITS)) if isinstance(value, arb) else ""
