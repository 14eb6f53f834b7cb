"""`gradcheck.explain` and `gradcheck.plot`: what the commands of these names show, as objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from gradcheck.catalog.checks import Check
from gradcheck.devices import choose, choose_one
from gradcheck.errors import UsageError
from gradcheck.explanation.at_point import explain_at
from gradcheck.explanation.curves import Course
from gradcheck.explanation.explanation import Explanation
from gradcheck.explanation.request import (
    Asker,
    Request,
    check_of,
    check_on,
    checks_like,
    need_matplotlib,
    owner_of,
    that_run,
)
from gradcheck.explanation.statements import coordinate_names
from gradcheck.explanation.surfaces import picture_of
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
    order: int | None = None,
    trust: Sequence[str] = (),
    **keys: Any,
) -> Explanation:
    """Return what is true of a function at one point, and what each witness says of it.

    With a ``formula``, ``subject`` is code as for `verify`; without one it is text: a case of the
    packaged catalog, ``FILE.yaml::CASE``, or a formula. ``at`` gives the inputs their values,
    numbers, arrays or texts such as ``pi/2``, by default those of the case's first point; inputs
    that nothing declares are real or complex, and of the shape, as their value is. ``keys`` are
    further keys of a case. ``graph`` adds the backward graph. Derivatives go up to ``order``, 1
    to 3, if it is given.

    Errors: CatalogError for what the case format refuses; ValueError for what is not there, and
            for a point that is none of this function.
    """
    with _options({"input": "inputs"}):
        if order not in (None, 1, 2, 3):
            raise ValueError(f"order is {order}, expected 1, 2 or 3")
        values = _values(at or {})
        declared = {**keys, **({} if inputs is None else {"inputs": dict(inputs)})}
        asker = Asker("gradcheck.explain")
        request = Request(str(subject), asker, values, declared, trust, implementation)
        check = _check(subject, formula, request, dtype, device)
        return explain_at(check, values, graph=graph, order=order)


def plot(  # noqa: PLR0913 - the options of the command, each by its name
    subject: Callable[..., Any] | str | None,
    formula: Any = None,
    inputs: Mapping[str, Any] | None = None,
    *,
    over: str | Sequence[str] = "",
    start: Any = "",
    end: Any = "",
    at: _At | None = None,
    tangent: Any = None,
    order: int = 1,
    entry: int | None = None,
    points: int | None = None,
    dtype: str | Sequence[str] = "",
    device: str = "cpu",
    implementation: int = 0,
    trust: Sequence[str] = (),
    ax: Any = None,
    **keys: Any,
) -> Any:
    """Return the picture of a function with its derivatives, and the error of PyTorch's gradient.

    ``over`` names the number that runs, from ``start`` to ``end``: ``x``, ``x[0, 1]``, ``im z``;
    two of them make a surface. ``at`` fixes the others, and of what runs asks for a tangent, as
    ``tangent`` does: a place, several, or a mapping of names to places. ``order`` 2 adds the second
    derivative; ``entry`` says which output entry is drawn. ``dtype`` and ``device`` may be lists: a
    panel of errors each. All else is as for `explain`. ``str`` of the picture is an SVG. With
    ``ax``, axes of matplotlib's, the curves are drawn there, and the axes are returned.

    Errors: as for `explain`.
    """
    with _options({"input": "over", "from": "start", "to": "end"}):
        _refuse_numbers(points, order)
        if ax is not None:
            need_matplotlib("ax")
        both = that_run([over] if isinstance(over, str) else list(over))
        values = _values(at or {})
        declared = {**keys, **({} if inputs is None else {"inputs": dict(inputs)})}
        asker = Asker("gradcheck.plot")
        running = tuple(owner_of(each) for each in both if each)
        request = Request(str(subject), asker, values, declared, trust, implementation, running)
        check = _check(subject, formula, request, "", "cpu")
        dtypes = dtype if isinstance(dtype, str) else ",".join(dtype)
        course = Course(
            both[0].strip(),
            _written(start),
            _written(end),
            points=points,
            output=entry,
            order=order,
            tangents=tuple(_tangents(tangent, both[0] or next(iter(_names_of(check))))),
            other=both[1].strip(),
        )
        picture = picture_of(checks_like(check, dtypes, choose(device)), course, values)
    if ax is None:
        return picture
    from gradcheck.explanation.figure import draw_curves

    return draw_curves(picture, ax)


def _refuse_numbers(points: int | None, order: int) -> None:
    if points is not None and points < 2:
        raise ValueError(f"points is {points}, expected at least 2")
    if order not in (1, 2):
        raise ValueError(f"order is {order}, expected 1 or 2")


def _names_of(check: Check) -> list[str]:
    """What may run."""
    return coordinate_names(check.variant)[1]


def _tangents(asked: Any, running: str) -> Iterator[tuple[str, str]]:
    if isinstance(asked, Mapping):
        yield from _values(asked).items()
    elif asked is not None:
        several = isinstance(asked, (list, tuple))
        yield from ((running, _written(each)) for each in (asked if several else [asked]))


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
