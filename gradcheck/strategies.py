"""Hypothesis strategies for property tests of one's own: points, formulas and cotangents.

They shrink and replay as other strategies do. The points of a catalog's checks come from
``points.plan`` instead, and are the same in every run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
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

_SQUARE = "re({0})**2 + im({0})**2"
_COMPLEX_INSIDE = {
    **dict.fromkeys(_INSIDE, f"(2 + {_SQUARE} + I*im({{0}}))"),
    "real": "{0}",
    "(-1, 1)": f"({{0}})/(2 + {_SQUARE})",
}
"""The same of complex numbers, away from the cuts and poles of those that have one."""
_CUT_BEYOND_ONE = ("atan", "asinh")  # defined for all real numbers, and cut on the imaginary axis


def formulas(
    *names: str,
    kinks: bool = False,
    domain: Literal["real", "complex"] = "real",
    shape: Sequence[int] = (),
    leaves: int = 5,
) -> SearchStrategy[str]:
    """Return a strategy of texts in the formula language, defined for all numbers of its inputs.

    ``names`` are those of the inputs, ``x`` alone where none is given; a formula uses them all, as
    the case format demands. With ``kinks`` some have kinks and jumps, else all are smooth: as
    functions of the two parts of each number where ``domain`` is ``complex``. Inputs of a
    ``shape`` are also reduced, indexed, moved and multiplied as arrays; the result then has this
    shape, and inputs may be of any that broadcasts to it. ``leaves`` are the most numbers and
    inputs that it is made of, beside those that are put behind since each is used.

    Errors: CatalogError for a name that the case format refuses, or another domain.
    """
    names = names or ("x",)
    case_of(
        {"formula": " + ".join(names), "inputs": dict.fromkeys(names, domain)},
        shown=f"{_SHOWN}.formulas",
        labels={},
    )
    numbers = ["1", "2", "3", "1/2", "1/4", "3/2"]  # 0 times a part would fold the part away
    if domain == "complex":
        numbers += ["I", "(1 - I/2)"]
        forms = [_arithmetic(_COMPLEX_INSIDE), _complex_calls(kinks=kinks)]
    else:
        forms = [_arithmetic(_INSIDE), _calls(kinks=kinks)]
    if shape:
        forms.append(_array_forms(tuple(shape), with_order=kinks and domain == "real"))
    made = st.one_of(*map(st.sampled_from, forms))
    texts = st.recursive(
        st.sampled_from(names) | st.sampled_from(numbers),
        partial(_filled, made),
        max_leaves=leaves,
    )
    return texts.map(lambda text: " + ".join([text, *_unused(names, text)]))


@st.composite
def _filled(draw: DrawFn, forms: SearchStrategy[str], parts: SearchStrategy[str]) -> str:
    """What is made of parts: a form names them by numbers, as ``str.format`` does."""
    form = draw(forms)
    count = sum(f"{{{k}}}" in form for k in range(3))
    return form.format(*(draw(parts) for _ in range(count)))


def _unused(names: tuple[str, ...], text: str) -> list[str]:
    return [name for name in names if not re.search(rf"\b{name}\b", text)]


def _part(number: int, form: str = "{0}") -> str:
    return form.replace("{0}", f"{{{number}}}")


def _arithmetic(inside: Mapping[str, str]) -> list[str]:
    """Sums, products and powers, and quotients whose divisor is never 0."""
    divisor = _part(1, inside["nonzero"])
    return [
        "({0}) + ({1})", "({0}) - ({1})", "({0}) * ({1})", f"({{0}})/{divisor}",
        "({0})**2", "({0})**3", "({0})**4", f"{inside['positive']}**({{1}})",
    ]  # fmt: skip


def _callable() -> list[str]:
    """Return the operators that are called by name and are defined on one of the sets above."""
    return [name for name in sorted(CALLABLE) if set(OPERATORS[name].domain) <= _INSIDE.keys()]


def _calls(*, kinks: bool) -> list[str]:
    names = [name for name in _callable() if name != "where"]
    found = [form for name in names if kinks or not OPERATORS[name].kinks
             for form in _forms_of(name, _INSIDE)]  # fmt: skip
    # Not ``==``: where it holds PyTorch derives its branch alone, also if all of it is smooth.
    conditions = ["{0} < {1}", "{0} <= 1", "not ({0} > 2 or {1} >= 1)", "0 < {0} and {1} < 0"]
    return [*found, *(f"where({each}, {{1}}, {{2}})" for each in conditions if kinks)]


def _forms_of(name: str, inside: Mapping[str, str]) -> list[str]:
    """One for each order that a function has, of PyTorch's or of the first four."""
    entry = OPERATORS[name]
    if entry.kinks:
        inside = {**inside, "nonzero": inside["real"]}  # where the kink is
    moved = [_part(k, inside[domain]) for k, domain in enumerate(entry.domain)]
    orders = [[str(n)] for n in entry.torch_orders or range(4)] if entry.parameter else [[]]
    return [f"{name}({', '.join([*order, *moved])})" for order in orders]


def _complex_calls(*, kinks: bool) -> list[str]:
    names = [name for name in _callable() if OPERATORS[name].holomorphic and name != "where"]
    bounded = {**_COMPLEX_INSIDE, "real": _COMPLEX_INSIDE["(-1, 1)"]}
    insides = {name: bounded if name in _CUT_BEYOND_ONE else _COMPLEX_INSIDE for name in names}
    found = [form for name in names for form in _forms_of(name, insides[name])]
    found += [f"{name}({{0}})" for name in ("conj", "re", "im")]
    return [*found, *(["abs({0})", "where(re({0}) < im({1}), {1}, {2})"] if kinks else [])]


_LARGEST_DETERMINANT, _LARGEST_INVERSE = 4, 5


def _array_forms(shape: tuple[int, ...], *, with_order: bool) -> list[str]:
    """What is made of arrays: each result broadcasts to the shape."""
    whole, other = (f"({_part(k)} + zeros({list(shape)}))" for k in (0, 1))
    found = [f"reshape(reshape({whole}, {list(shape[::-1])}), {list(shape)})"]
    for axis, length in enumerate(shape):
        reductions = ["sum", "mean", "prod", *(("amin", "amax") if with_order else ())]
        before = ":, " * axis
        again = [length - 1, *[0] * (length - 1)]
        found += [f"{name}({whole}, dim={axis}, keepdim=True)" for name in reductions]
        found += [f"{name}({whole}, {axis})" for name in ("cumsum", "cumprod")]
        found += [f"{whole}[{before}{index}]" for index in ("::-1", again)]
        found += [
            f"concat([{whole}[{before}1:], {other}[{before}:1]], {axis})",
            f"prod(stack([{whole}, {other}], {axis}), dim={axis})",
        ]
    return [*found, *_vector_forms(whole, other, shape), *_matrix_forms(whole, other, shape)]


def _vector_forms(whole: str, other: str, shape: tuple[int, ...]) -> list[str]:
    if len(shape) != 1:
        return []
    return [
        f"outer({whole}, {other}) @ {other}", f"dot({whole}, {other})", f"diag({whole}) @ {other}",
        f"[{whole}[i]*(i + 1) for i in range({shape[0]})]",
    ]  # fmt: skip


def _matrix_forms(whole: str, other: str, shape: tuple[int, ...]) -> list[str]:
    if len(shape) != 2:
        return []
    found = [f"{whole} @ transpose({other}) @ {whole}", f"tril({whole})", f"triu({whole}, 1)"]
    if shape[0] != shape[1]:
        return found
    found += [f"trace({whole})*{other}", f"diag(diag({whole}))"]
    if shape[0] <= _LARGEST_DETERMINANT:
        found.append(f"det({whole})")
    if shape[0] <= _LARGEST_INVERSE:
        found.append(f"inv(eye({shape[0]}) + {whole} @ transpose(conj({whole})))")
    return found


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
