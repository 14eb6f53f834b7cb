"""Hypothesis strategies for property tests of one's own: points, formulas and cotangents.

They shrink and replay as other strategies do. The points of a catalog's checks come from
``points.plan`` instead, and are the same in every run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from numpy.typing import NDArray

from gradcheck.catalog.case import Case, Variant
from gradcheck.catalog.inline import case_of
from gradcheck.dtypes import DTYPES
from gradcheck.errors import CatalogError
from gradcheck.ops.table import CALLABLE, OPERATORS
from gradcheck.points.feasibility import infeasible
from gradcheck.points.plan import (
    MOST_SPECIALS,
    SCALES,
    Batch,
    Recipe,
    Site,
    Special,
    batch_of,
    regimes,
)
from gradcheck.query import Array

__all__ = ["cotangents", "formulas", "points"]

_SHOWN = "gradcheck.strategies"
_BATCH = 8  # points made at once, of which one is taken
_MOST_LEAVES = 5


def points(
    case: Case | Mapping[str, Any], *, variant: str = "", dtype: str | None = None
) -> SearchStrategy[dict[str, NDArray[Any]]]:
    """Return a strategy of points of a case: in its domains, of its kinds, and meeting `where`.

    ``case`` is a mapping of keys as in a case file, with a `formula`, or of inputs alone, as under
    `inputs` there. All sorts of points come up that a check draws: ordinary numbers and large ones,
    ends of intervals, cuts, zeros, subnormal numbers, ties, kinks and their neighbours. ``variant``
    names one of a case with `sweep`; it is the first one otherwise. ``dtype`` is float64 unless it
    is given, or complex128 where an input is complex.

    Shapes: an array of its own shape and of the dtype, by the name of each input. Real inputs
            beside complex ones have the dtype's parts; numbers of bfloat16 come as float32.
    Errors: CatalogError for what the case format refuses, and where no drawn input meets `where`;
            TypeError for what is no case; ValueError for an unknown variant, and for a dtype that
            is unknown or cannot hold an input.
    """
    chosen = _case(case)
    dtype = _dtype_for(chosen, dtype)
    here = _variant(chosen, variant)
    site = Site(here.inputs, here.formula, DTYPES[dtype])
    whole = _batches(site).filter(lambda batch: batch.count > 0)
    return whole.flatmap(_points_of).map(lambda point: _in_dtype(point, dtype))


def _batches(site: Site) -> SearchStrategy[Batch]:
    """Return a strategy of batches of every regime that applies; they may be empty."""
    names = st.sampled_from(regimes(site.inputs, site.formula))
    return st.builds(lambda name, recipe: batch_of(site, name, recipe, _BATCH), names, _recipes())


def _recipes() -> SearchStrategy[Recipe]:
    """Return a strategy of seeds and plain numbers."""
    below_100 = st.integers(0, 99)
    special = st.builds(Special, below_100, below_100, below_100, st.sampled_from(SCALES))
    specials = st.lists(special, max_size=MOST_SPECIALS).map(tuple)
    return st.builds(Recipe, st.integers(0, 9999), specials)


def _points_of(batch: Batch) -> SearchStrategy[dict[str, Array]]:
    rows = st.integers(0, batch.count - 1)
    return rows.map(lambda row: {name: values[row] for name, values in batch.points.items()})


def _dtype_for(case: Case, name: str | None) -> str:
    is_complex = any(each.domain.complex for each in case.inputs)
    if name is None:
        return "complex128" if is_complex else "float64"
    if name not in DTYPES:
        raise ValueError(f"dtype {name!r} is unknown, expected one of {', '.join(DTYPES)}")
    if is_complex and not DTYPES[name].is_complex:
        raise ValueError(f"dtype {name!r} holds no complex input, expected complex128 or complex64")
    return name


def _in_dtype(point: dict[str, Array], dtype: str) -> dict[str, NDArray[Any]]:
    real = {"bfloat16": "float32"}.get(DTYPES[dtype].real, DTYPES[dtype].real)
    return {
        name: np.asarray(values, dtype=dtype if np.iscomplexobj(values) else real)
        for name, values in point.items()
    }


def _case(case: Case | Mapping[str, Any]) -> Case:
    if isinstance(case, Case):
        return case
    if not isinstance(case, Mapping):
        example = "{'formula': 'log(x)', 'inputs': {'x': 'positive'}}"
        raise TypeError(f"case is {case!r}, expected a mapping of keys such as {example}")
    if "formula" not in case:
        total = " + ".join(f"sum({name})" for name in case)
        case = {"formula": total or "0", "inputs": dict(case)}
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


def formulas(
    *names: str,
    kinks: bool = False,
    domain: Literal["real", "complex"] = "real",
    shape: Sequence[int] = (),
) -> SearchStrategy[str]:
    """Return a strategy of texts in the formula language, defined for all numbers of its inputs.

    ``names`` are those of the inputs, ``x`` alone where none is given; a formula uses them all, as
    the case format demands. With ``kinks`` some have kinks and jumps, else all are smooth: as
    functions of the two parts of each number where ``domain`` is ``complex``. Inputs of a
    ``shape`` are also added up, shared and multiplied as arrays; the result then has this shape.

    Errors: CatalogError for a name that the case format refuses, or another domain.
    """
    names = names or ("x",)
    case_of(
        {"formula": " + ".join(names), "inputs": dict.fromkeys(names, domain)},
        shown=f"{_SHOWN}.formulas",
        labels={},
    )
    numbers = ["0", "1", "2", "3", "1/2", "1/4", "3/2"]
    if domain == "complex":
        leaves = st.sampled_from(names) | st.sampled_from([*numbers, "I", "(1 - I/2)"])
        functions = [*_ENTIRE, *(("abs",) if kinks else ())]
        compound = _compound(_complex_calls(functions), below="(1 + re({0})**2 + im({0})**2)")
    else:
        leaves = st.sampled_from(names) | st.sampled_from(numbers)
        functions = [name for name in _callable() if kinks or not OPERATORS[name].kinks]
        compound = _compound(partial(_calls, functions), below="(1 + ({0})**2)")
    if shape:
        compound = _of_arrays(compound, tuple(shape), kinks=kinks)
    texts = st.recursive(leaves, compound, max_leaves=_MOST_LEAVES)
    return texts.map(lambda text: " + ".join([text, *_unused(names, text)]))


def _of_arrays(
    compound: Callable[[SearchStrategy[str]], SearchStrategy[str]],
    shape: tuple[int, ...],
    *,
    kinks: bool,
) -> Callable[[SearchStrategy[str]], SearchStrategy[str]]:
    """What is made of parts by functions of arrays too: each result broadcasts to the shape."""
    whole = f"({{0}} + zeros({list(shape)}))"
    reductions = ["sum", "mean", *(("amin", "amax") if kinks else ())]
    texts = [f"{name}({whole}, dim={axis}, keepdim=True)"
             for name in reductions for axis in range(len(shape))]  # fmt: skip
    texts += [f"cumsum({whole}, {axis})" for axis in range(len(shape))]
    if len(shape) == 2:
        texts.append(f"({whole} @ transpose({whole}) @ {whole})")

    def extend(parts: SearchStrategy[str]) -> SearchStrategy[str]:
        arrays = st.builds(lambda text, part: text.format(part), st.sampled_from(texts), parts)
        return compound(parts) | arrays

    return extend


def _unused(names: tuple[str, ...], text: str) -> list[str]:
    return [name for name in names if not re.search(rf"\b{name}\b", text)]


def _callable() -> list[str]:
    """Return the operators that are called by name and are defined on one of the sets above."""
    fitting = (name for name in sorted(CALLABLE) if set(OPERATORS[name].domain) <= _INSIDE.keys())
    return [name for name in fitting if name != "where"]  # its first argument is a condition


_ENTIRE = ("exp", "sin", "cos", "sinh", "cosh", "conj", "re", "im")


def _complex_calls(functions: list[str]) -> Callable[[SearchStrategy[str]], SearchStrategy[str]]:
    names = st.sampled_from(functions)
    return lambda parts: st.builds(lambda name, part: f"{name}({part})", names, parts)


def _compound(
    calls: Callable[[SearchStrategy[str]], SearchStrategy[str]], below: str
) -> Callable[[SearchStrategy[str]], SearchStrategy[str]]:
    """What is made of parts; ``below`` makes a divisor that is never 0."""

    def extend(parts: SearchStrategy[str]) -> SearchStrategy[str]:
        signs = st.sampled_from(["+", "-", "*"])
        return st.one_of(
            st.builds(lambda sign, one, other: f"({one}) {sign} ({other})", signs, parts, parts),
            st.builds(lambda one, n: f"({one})**{n}", parts, st.integers(2, 4)),
            st.builds(lambda one, other: f"({one})/{below.format(other)}", parts, parts),
            calls(parts),
        )

    return extend


@st.composite
def _calls(draw: DrawFn, functions: list[str], parts: SearchStrategy[str]) -> str:
    name = draw(st.sampled_from(functions))
    orders = OPERATORS[name].torch_orders or range(4)
    order = [str(draw(st.sampled_from(orders)))] if OPERATORS[name].parameter else []
    moved = [_INSIDE[domain].format(draw(parts)) for domain in OPERATORS[name].domain]
    return f"{name}({', '.join([*order, *moved])})"


def cotangents(
    shape: tuple[int, ...] = (), *, domain: Literal["real", "complex"] = "real"
) -> SearchStrategy[Array]:
    """Return a strategy of cotangents, or tangents: no entry is zero, and each has few bits.

    Shapes: ``shape``; complex128 where ``domain`` is ``complex``, else float64.
    Units: multiples of 1/8 from 1/2 to 2 in magnitude, of a complex number both parts, so that no
           product with one loses a bit that matters, in any dtype.
    Errors: ValueError for a shape that is not a tuple of whole numbers of at least 0.
    """
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"shape is {shape!r}, expected a tuple of whole numbers of at least 0")
    eighths = st.sampled_from([8, *range(4, 8), *range(9, 17)])  # 1 is the simplest
    parts = st.builds(lambda size, sign: sign * size / 8, eighths, st.sampled_from([1.0, -1.0]))
    entries = st.builds(complex, parts, parts) if domain == "complex" else parts
    count, kind = math.prod(shape), np.complex128 if domain == "complex" else np.float64
    rows = st.lists(entries, min_size=count, max_size=count)
    return rows.map(lambda row: np.array(row, dtype=kind).reshape(shape))
