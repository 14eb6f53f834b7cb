"""Hypothesis strategies for property tests of one's own: points, formulas and directions.

They shrink and replay as other strategies do. The points of a catalog's checks come from
``points.plan`` instead, and are the same in every run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from numpy.typing import NDArray

from gradcheck.answer import Floats
from gradcheck.catalog.case import Case, Variant
from gradcheck.catalog.inline import case_of
from gradcheck.dtypes import DTYPES
from gradcheck.errors import CatalogError
from gradcheck.ops.table import CALLABLE, OPERATORS
from gradcheck.points.feasibility import infeasible
from gradcheck.points.plan import Batch, batch_of, recipes
from gradcheck.points.regimes import Site, regimes

__all__ = ["directions", "formulas", "points"]

_SHOWN = "gradcheck.strategies"
_BATCH = 8  # points made at once, of which one is taken
_MOST_LEAVES = 5


def points(
    case: Case | Mapping[str, Any], *, variant: str = "", dtype: str = "float64"
) -> SearchStrategy[dict[str, NDArray[Any]]]:
    """Return a strategy of points of a case: in its domains, of its kinds, and meeting `where`.

    ``case`` is a mapping of keys as in a case file, `formula` and `inputs` at least. All sorts of
    points come up that a check draws: ordinary numbers and large ones, ends of intervals, zeros,
    subnormal numbers, ties, kinks and their neighbours. ``variant`` names one of a case with
    `sweep`; it is the first one otherwise.

    Shapes: an array of its own shape and of the dtype, by the name of each input.
    Errors: CatalogError for what the case format refuses, and where no drawn input meets `where`;
            TypeError for what is no case; ValueError for an unknown dtype or variant.
    """
    chosen = _case(case)
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r} is unknown, expected one of {', '.join(DTYPES)}")
    site = Site(chosen.inputs, _variant(chosen, variant).formula, DTYPES[dtype])
    whole = _batches(site).filter(lambda batch: batch.count > 0)
    return whole.flatmap(_points_of).map(lambda point: _in_dtype(point, dtype))


def _batches(site: Site) -> SearchStrategy[Batch]:
    """Return a strategy of batches of every regime that applies; they may be empty."""
    names = st.sampled_from(regimes(site.inputs, site.formula))
    return st.builds(lambda name, recipe: batch_of(site, name, recipe, _BATCH), names, recipes())


def _points_of(batch: Batch) -> SearchStrategy[dict[str, Floats]]:
    rows = st.integers(0, batch.count - 1)
    return rows.map(lambda row: {name: values[row] for name, values in batch.points.items()})


def _in_dtype(point: dict[str, Floats], dtype: str) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(values, dtype=dtype) for name, values in point.items()}


def _case(case: Case | Mapping[str, Any]) -> Case:
    if isinstance(case, Case):
        return case
    if not isinstance(case, Mapping):
        example = "{'formula': 'log(x)', 'inputs': {'x': 'positive'}}"
        raise TypeError(f"case is {case!r}, expected a mapping of keys such as {example}")
    found = case_of(case, shown=f"{_SHOWN}.points", labels={})
    problems = infeasible([found])
    if problems:
        raise CatalogError(problems)
    return found


def _variant(case: Case, name: str) -> Variant:
    names = [each.name for each in case.variants]
    if name and name not in names:
        raise ValueError(f"variant {name!r} is unknown, expected one of {', '.join(names)}")
    return case.variants[names.index(name) if name else 0]


_INSIDE = {
    "real": "{0}",
    "positive": "(1/2 + ({0})**2)",
    "nonzero": "(1 + ({0})**2)",
    "(-1, inf)": "({0})**2",
    "(1, inf)": "(2 + ({0})**2)",
    "(-1, 1)": "({0})/(1 + ({0})**2)",
}
"""What is smooth and lies in an operator's domain, whatever the number put in is."""


def formulas(*names: str, kinks: bool = False) -> SearchStrategy[str]:
    """Return a strategy of texts in the formula language, defined for all numbers of its inputs.

    ``names`` are those of the inputs, ``x`` alone where none is given; a formula uses them all, as
    the case format demands. With ``kinks`` some have kinks and jumps, else all are smooth.

    Errors: CatalogError for a name that the case format refuses.
    """
    names = names or ("x",)
    case_of(
        {"formula": " + ".join(names), "inputs": dict.fromkeys(names, "real")},
        shown=f"{_SHOWN}.formulas",
        labels={},
    )
    numbers = st.sampled_from(["0", "1", "2", "3", "1/2", "1/4", "3/2"])
    leaves = st.sampled_from(names) | numbers
    functions = [name for name in _callable() if kinks or not OPERATORS[name].kinks]
    texts = st.recursive(leaves, _compound(functions), max_leaves=_MOST_LEAVES)
    return texts.map(lambda text: " + ".join([text, *_unused(names, text)]))


def _unused(names: tuple[str, ...], text: str) -> list[str]:
    return [name for name in names if not re.search(rf"\b{name}\b", text)]


def _callable() -> list[str]:
    """Return the operators that are called by name and are defined on one of the sets above."""
    fitting = (name for name in sorted(CALLABLE) if set(OPERATORS[name].domain) <= _INSIDE.keys())
    return [name for name in fitting if name != "where"]  # its first argument is a condition


def _compound(
    functions: list[str],
) -> Callable[[SearchStrategy[str]], SearchStrategy[str]]:
    def extend(parts: SearchStrategy[str]) -> SearchStrategy[str]:
        signs = st.sampled_from(["+", "-", "*"])
        return st.one_of(
            st.builds(lambda sign, one, other: f"({one}) {sign} ({other})", signs, parts, parts),
            st.builds(lambda one, n: f"({one})**{n}", parts, st.integers(2, 4)),
            st.builds(lambda one, other: f"({one})/(1 + ({other})**2)", parts, parts),
            _calls(functions, parts),
        )

    return extend


@st.composite
def _calls(draw: DrawFn, functions: list[str], parts: SearchStrategy[str]) -> str:
    name = draw(st.sampled_from(functions))
    orders = OPERATORS[name].torch_orders or range(4)
    order = [str(draw(st.sampled_from(orders)))] if OPERATORS[name].parameter else []
    moved = [_INSIDE[domain].format(draw(parts)) for domain in OPERATORS[name].domain]
    return f"{name}({', '.join([*order, *moved])})"


def directions(shape: tuple[int, ...] = ()) -> SearchStrategy[Floats]:
    """Return a strategy of tangents or cotangents: no entry is zero, and each has few bits.

    Shapes: ``shape``.
    Units: multiples of 1/8 from 1/2 to 2 in magnitude, so that no product with one loses a bit that
           matters, in any dtype.
    Errors: ValueError for a shape that is not a tuple of whole numbers of at least 0.
    """
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"shape is {shape!r}, expected a tuple of whole numbers of at least 0")
    eighths = st.sampled_from([8, *range(4, 8), *range(9, 17)])  # 1 is the simplest
    entries = st.builds(lambda size, sign: sign * size / 8, eighths, st.sampled_from([1.0, -1.0]))
    count = math.prod(shape)
    rows = st.lists(entries, min_size=count, max_size=count)
    return rows.map(lambda row: np.array(row, dtype=np.float64).reshape(shape))
