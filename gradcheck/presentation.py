"""`gradcheck.explain` and `gradcheck.plot`: what the commands of these names show, as objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from gradcheck.catalog.checks import Check
from gradcheck.devices import choose_one
from gradcheck.errors import UsageError
from gradcheck.explanation.at_point import explain_at
from gradcheck.explanation.curves import Course, survey
from gradcheck.explanation.explanation import Explanation
from gradcheck.explanation.request import Asker, Request, check_of, check_on
from gradcheck.explanation.svg import Picture
from gradcheck.implementations.given import case_given

_At = Mapping[str, Any]


def explain(  # noqa: PLR0913 - the options of the command, each by its name
    subject: Callable[..., Any] | str | None,
    formula: Any = None,
    inputs: Mapping[str, Any] | None = None,
    *,
    at: _At | None = None,
    dtype: str = "",
    device: str = "cpu",
    implementation: int = 0,
    graph: bool = False,
    trust: Sequence[str] = (),
    **keys: Any,
) -> Explanation:
    """Return what is true of a function at one point, and what each witness says of it.

    With a ``formula``, ``subject`` is code as for `verify`; without one it is text: a case of the
    packaged catalog, ``FILE.yaml::CASE``, or a formula. ``at`` gives the inputs their values,
    numbers, arrays or texts such as ``pi/2``, by default those of the case's first point; inputs
    that nothing declares are real or complex, and of the shape, as their value is. ``keys`` are
    further keys of a case. ``graph`` adds the backward graph.

    Errors: CatalogError for what the case format refuses; ValueError for what is not there, and
            for a point that is none of this function.
    """
    with _options({"input": "inputs"}):
        values = _values(at or {})
        declared = {**keys, **({} if inputs is None else {"inputs": dict(inputs)})}
        asker = Asker("gradcheck.explain")
        request = Request(str(subject), asker, values, declared, trust, implementation)
        check = _check(subject, formula, request, dtype, device)
        return explain_at(check, values, graph=graph)


def plot(  # noqa: PLR0913 - the options of the command, each by its name
    subject: Callable[..., Any] | str | None,
    formula: Any = None,
    inputs: Mapping[str, Any] | None = None,
    *,
    over: str = "",
    start: Any = "",
    end: Any = "",
    at: _At | None = None,
    entry: int = 0,
    points: int = 401,
    dtype: str = "",
    device: str = "cpu",
    implementation: int = 0,
    trust: Sequence[str] = (),
    **keys: Any,
) -> Picture:
    """Return the picture of a function with its derivative, and the error of PyTorch's gradient.

    ``over`` names the number that runs, from ``start`` to ``end``: ``x``, ``x[0, 1]``, ``im z``;
    ``at`` fixes the others; ``entry`` says which output entry is drawn. All else is as for
    `explain`. ``str`` of the picture is an SVG.

    Errors: as for `explain`.
    """
    with _options({"input": "over", "from": "start", "to": "end"}):
        if points < 2:
            raise ValueError(f"points is {points}, expected at least 2")
        owner = over.strip().removeprefix("re ").removeprefix("im ").partition("[")[0].strip()
        values = _values(at or {})
        declared = {**keys, **({} if inputs is None else {"inputs": dict(inputs)})}
        asker = Asker("gradcheck.plot")
        request = Request(str(subject), asker, values, declared, trust, implementation, owner)
        check = _check(subject, formula, request, dtype, device)
        ends = {"start": _written(start), "end": _written(end)}
        course = Course(over.strip(), **ends, points=points, output=entry)
        return survey(check, course, values)


def _check(subject: Any, formula: Any, request: Request, dtype: str, device: str) -> Check:
    device = choose_one(device)
    if formula is None:
        if not isinstance(subject, str):
            found = getattr(subject, "__name__", subject)
            raise TypeError(f"no formula beside {found}, expected the one that it is to compute")
        return check_of(request, dtype, device)
    title = " ".join(str(formula).split())
    keys = {"summary": title, "formula": formula, **request.keys}
    case = case_given(subject, keys, request.asker.shown)
    (on_trial,) = case.implementations
    return check_on(case, case.variants[0], on_trial, dtype, device)


@contextmanager
def _options(names: Mapping[str, str]) -> Iterator[None]:
    """Tell what the command line refuses in Python's words: ``at x=3`` for ``--at x=3``."""
    try:
        yield
    except UsageError as error:
        text = re.sub(r"--([a-z]+)", lambda match: names.get(match[1], match[1]), str(error))
        raise ValueError(text) from None


def _values(at: _At) -> dict[str, str]:
    return {name: _written(value) for name, value in at.items()}


def _written(value: Any) -> str:
    """A number, an array of them, or what is text already, as the formula language has it."""
    if hasattr(value, "tolist"):  # a tensor or an array
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, complex):
        return f"{value.real!r} + {value.imag!r}*I"
    return str(value)
