"""A slice of a graph gives the same numbers as the whole, and is as small as what it needs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradcheck.graph.lower import lower
from gradcheck.language.parse import parse
from gradcheck.ops.balls import working
from gradcheck.reference.ball_arrays import Balls, lift
from gradcheck.reference.interpret import evaluate
from gradcheck.reference.slices import sliced

FORMULAS = {
    "elementwise": "exp(x)*y + 1/3",
    "broadcast": "x*y[0]",
    "transposed": "x.T + y",
    "a part": "x[1:, ::2]*2",
    "gathered": "x[[2, 0, 0]]",
    "joined": "concat([x, y*2], dim=1)",
    "a sum": "sum(x*y, dim=1)",
    "everything": "sum(x) + y",
    "cumulative": "cumsum(x, dim=0) + y",
    "a product": "x @ y @ x",
    "an inverse": "inv(x + 5*eye(3))",
    "a determinant": "det(x) + y",
    "the largest": "amax(x, dim=0)*y",
    "written out": "[[sum(x[i, j:]) + pi for j in range(3)] for i in range(3)]",
    "stacked": "stack([x, y], dim=1)",
    "a triangle": "tril(x) + diag(y[0])",
}


def lowered(text: str):
    inputs = {"x": (3, 3), "y": (3, 3)}
    return lower(parse(text), inputs=inputs, names={}, lets={}, conditions=())


def computed(text: str, places):
    """The values of some entries by their slice, and by the whole graph."""
    formula, rng = lowered(text), np.random.default_rng(3)
    (node,) = formula.results
    values = {each: rng.integers(-8, 9, (2, 3, 3)) / 4.0 for each in formula.inputs}
    found = sliced(formula.graph, {node: places})
    parts = [lift(values[each].reshape(2, -1)[:, where]) for each, where in found.inputs]
    with working(128, exact=True):
        (whole,) = evaluate(formula.graph, [node], [lift(each) for each in values.values()],
                            Balls())  # fmt: skip
        (some,) = evaluate(found.graph, [found.at(node, np.array(places))], parts, Balls())
    return some, whole.reshape(2, -1)[:, places], found


@pytest.mark.parametrize("text", FORMULAS.values(), ids=FORMULAS)
@pytest.mark.parametrize("places", [[0], [2, 1], [2, 0, 2]], ids=str)
def test_a_slice_gives_the_numbers_of_the_whole(text, places):
    some, whole, _ = computed(text, places)
    assert [float(a) for a in some.ravel()] == pytest.approx([float(b) for b in whole.ravel()])
    assert all(a.overlaps(b) for a, b in zip(some.ravel(), whole.ravel(), strict=True))


@pytest.mark.parametrize(
    ("text", "entries"),
    [("exp(x)*y", 2), ("x.T + y", 2), ("x @ y", 6), ("sum(x, dim=0)", 3), ("x + 0*det(y)", 10)],
)
def test_a_slice_needs_no_more_inputs_than_its_entries_do(text, entries):
    formula = lowered(text)
    (node,) = formula.results
    found = sliced(formula.graph, {node: [1]})
    assert sum(len(places) for _, places in found.inputs) == entries
    assert max(math.prod(each.shape) for each in found.graph.nodes) <= max(entries, 9)


def test_entries_of_several_nodes_share_what_they_need():
    formula = lowered("max(exp(x), y)")
    (node,) = formula.results
    args = formula.graph.nodes[node].args
    found = sliced(formula.graph, {args[0]: [4], args[1]: [5, 4]})
    assert sorted(places.tolist() for _, places in found.inputs) == [[4], [4, 5]]
