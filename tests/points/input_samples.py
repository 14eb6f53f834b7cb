"""Small cases built in Python, and strategies of domains: what the tests of the inputs share."""

from __future__ import annotations

from hypothesis import strategies as st

from gradcheck.catalog.case import Case, Implementation, Input, Point, Variant
from gradcheck.catalog.domain import parse_domain
from gradcheck.dtypes import DTYPES
from gradcheck.errors import Where
from gradcheck.graph.lower import Lowered, lower
from gradcheck.language.parse import parse

HERE = Where("cases/sample.yaml", 3, 1)
DOUBLE, SINGLE = DTYPES["float64"], DTYPES["float32"]
HALF, BRAIN = DTYPES["float16"], DTYPES["bfloat16"]
COMPLEX, COMPLEX_SINGLE = DTYPES["complex128"], DTYPES["complex64"]
DOMAINS = (
    "real",
    "positive",
    "negative",
    "nonnegative",
    "nonzero",
    "(0, 1)",
    "[-1, 1]",
    "(-4, 4)",
    "(1, inf)",
    "(-inf, -1/3]",
    "(100, inf)",
    "(0, 1) | (2, 3)",
    "[pi, 4)",
    "(1e-30, 1e30)",
    "(0, 1e-30)",
    "[2, 2]",
)
domains = st.sampled_from(DOMAINS) | st.tuples(
    st.integers(-40, 40), st.integers(1, 40), st.integers(1, 64)
).map(lambda t: f"({t[0]}/{t[2]}, {t[0] + t[1]}/{t[2]})")


def variable(
    name: str = "x", domain: str = "real", shape: tuple[int, ...] = (), kind: str | None = None
) -> Input:
    return Input(name, parse_domain(domain), shape, kind)


def lowered(formula: str, inputs: tuple[Input, ...], *conditions: str) -> Lowered:
    return lower(
        parse(formula),
        inputs={each.name: each.port for each in inputs},
        names={},
        lets={},
        conditions=tuple(map(parse, conditions)),
    )


def case(
    formula: str,
    inputs: tuple[Input, ...],
    *conditions: str,
    name: str = "sample",
    points: tuple[Point, ...] = (),
) -> Case:
    graph = lowered(formula, inputs, *conditions)
    variant = Variant("", {}, inputs, graph)
    return Case(
        name=name,
        where=HERE,
        summary="",
        formula=parse(formula),
        inputs=inputs,
        constants={},
        lets={},
        conditions=tuple(map(parse, conditions)),
        variants=(variant,),
        implementations=(Implementation("", HERE),),
        points=points,
        order=2,
        dtypes=("float64", "float32"),
        accuracy={},
        without={},
        tags=(),
        source=(),
    )
