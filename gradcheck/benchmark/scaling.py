"""How the cost of certified reverse mode grows with points, with inputs and with outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from gradcheck.benchmark.figures import Figures, Target
from gradcheck.benchmark.timing import Spread, Work, alternate, growth
from gradcheck.catalog.checks import Check, plan
from gradcheck.catalog.inline import case_of
from gradcheck.points.generate import generate
from gradcheck.run.observation import Observation, observe
from gradcheck.run.session import Session, session_of

_LINEAR = 1.1
"""The largest exponent of growth that is called linear."""
_AT = 4  # points, where entries grow

_ENTRIES = (64, 256, 1024, 4096)
_POINTS = (16, 64, 256, 1024)
_GROWING: dict[str, tuple[str, str, str, Sequence[int]]] = {
    "points": ("a polynomial", "x**3 - 2*x + 1", "", (256, 1024, 4096, 16384)),
    "points of arrays": ("a vector, normalized", "x/sqrt(sum(x**2) + 1)", "[3]", _POINTS),
    "inputs": ("a sum of n products", "sum(x*tanh(x))", "[{n}]", _ENTRIES),
    "inputs and outputs": ("n entries, each for itself", "x*tanh(x)", "[{n}]", _ENTRIES),
    "outputs": ("n shares of one number", "sin(x*ones([{n}]))", "", _ENTRIES),
}  # fmt: skip
"""Of each size that grows the function: what it is, its formula, the shape of x, the sizes."""


def scaling(*, seconds: float, steps: int = 4) -> Iterator[Figures]:
    """Yield the cost by size, and its slope; ``steps`` is how many sizes there are."""
    rows, targets = [], []
    for grows, (what, formula, shape, sizes) in _GROWING.items():
        chosen = sizes[:steps]
        costs = _costs(formula, shape, chosen, seconds / len(_GROWING), grows.startswith("points"))
        found = growth(chosen[-2:], [cost.median for cost in costs[-2:]])
        cells = [f"{n:,}: {1e3 * cost.median:.3g}" for n, cost in zip(chosen, costs, strict=True)]
        rows.append((grows, what, ", ".join(cells), found))
        seen = f"cost grows as n to the {found:.2f}"
        targets.append(Target(f"linear in {grows}", seen, found <= _LINEAR))
    yield Figures(
        "Cost against size",
        "milliseconds of certified `reverse`, judged whole, in float64, by size; and the slope of "
        "cost over size between the two largest, both as logarithms: 1 is linear. Entries grow at "
        f"{_AT} points.",
        ("what grows", "function", "n: milliseconds", "slope"),
        tuple(rows),
        tuple(targets),
    )


def _costs(
    formula: str,
    shape: str,
    sizes: Sequence[int],
    seconds: float,
    by_points: bool,  # noqa: FBT001
) -> list[Spread]:
    """Seconds at each size, the sizes in turn."""
    sides: dict[str, Work] = {}
    for n in sizes:
        session = session_of(_check(formula.format(n=n), shape.format(n=n)))
        sides[str(n)] = partial(_work, session, n if by_points else _AT)
    rounds = alternate(sides, seconds)
    return [Spread.of([each[str(n)] for each in rounds]) for n in sizes]


def _work(session: Session, count: int, number: int) -> partial[Observation]:
    points = generate(session.variant.inputs, "bulk", number, count, session.dtype)
    return partial(observe, session, {x: np.asarray(each) for x, each in points.items()}, seed=0)


def _check(formula: str, shape: str) -> Check:
    declared = {"domain": "[-2, 2]", **({"shape": [int(shape.strip("[]"))]} if shape else {})}
    keys = {"formula": formula, "inputs": {"x": declared}, "order": 1}
    case = case_of(keys, shown="gradcheck bench", labels={})
    (check,) = plan([case], devices=("cpu",), dtypes=("float64",), witnesses=("reverse",))
    return check
