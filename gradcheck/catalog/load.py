"""A catalog file read and checked, whole: every problem in it is reported, nothing in it is run."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from gradcheck.catalog.budget import Budget
from gradcheck.catalog.case import Case
from gradcheck.catalog.complaints import Complaints
from gradcheck.catalog.composition import compose
from gradcheck.catalog.document import UNNAMED, KeyPath, Pairs, Yaml, describe
from gradcheck.catalog.draft import Draft, check_names, read_inputs
from gradcheck.catalog.implementations import check_usage, read_implementations
from gradcheck.catalog.labels import DEFAULT_ORDER, check_labels
from gradcheck.catalog.mistakes import validate
from gradcheck.catalog.model import AccuracyKeys, CaseKeys, InputKeys, PointKeys
from gradcheck.catalog.points import read_points
from gradcheck.catalog.remainder import DEFINING, lost, remainder
from gradcheck.catalog.text import LISTS, decode, read_text
from gradcheck.catalog.variants import read_variants
from gradcheck.errors import CatalogError

_INNER: dict[KeyPath, type[BaseModel]] = {
    ("inputs", "*"): InputKeys,
    ("points", "*"): PointKeys,
    ("accuracy", "*"): AccuracyKeys,
    ("accuracy",): AccuracyKeys,
}


def load(path: Path, *, shown: str | None = None) -> tuple[Case, ...]:
    """The cases of a file, in its order. ``shown`` is how messages name the file.

    Errors: CatalogError with all problems of the file.
    """
    name = str(path) if shown is None else shown
    complaints = Complaints(name)
    if path.name in LISTS:
        found, fix = "a list of known failures", "name a file of cases"
        complaints.add((1, 1), found, "a file of cases", fix)
        complaints.raise_any()
    return _read(read_text(path, name), complaints)


def load_text(text: str, shown: str) -> tuple[Case, ...]:
    """The cases of a text that is in no file, with the rules and limits of one.

    Errors: CatalogError with all problems.
    """
    return _read(decode(text.encode("utf-8", "surrogatepass"), shown), Complaints(shown))


def _read(text: str, complaints: Complaints) -> tuple[Case, ...]:
    with no_collection():
        root = compose(text, complaints)
        if not isinstance(root, Pairs) or not root:
            if not complaints.problems:
                _refuse_root(root, complaints)
            raise CatalogError(complaints.problems)
        budget = Budget()
        cases = [_declare(name, root, complaints, budget) for name in root]
    complaints.raise_any()
    return tuple(case for case in cases if case is not None)


@contextmanager
def no_collection() -> Iterator[None]:
    """Without garbage collection: what is read is kept, and looking for cycles costs a sixth."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _refuse_root(root: Yaml | None, complaints: Complaints) -> None:
    empty = root is None or isinstance(root, Pairs) or describe(root) == "nothing"
    complaints.add(
        root.place if root else (1, 1),
        "no cases" if empty or root is None else describe(root),
        "a map from the names of cases to their declarations",
        "add a case, as in square: {formula: x**2, inputs: {x: real}}",
    )


def _declare(name: str, root: Pairs, complaints: Complaints, budget: Budget) -> Case | None:
    """The case, or None after complaints."""
    place, node = root.keys_at[name], root[name]
    keys, faults = validate(CaseKeys, node, complaints, _INNER, budget)
    if not isinstance(node, Pairs):
        return None
    if keys is None:
        node = remainder(node, faults)
        keys, _ = validate(CaseKeys, node, Complaints(""), _INNER, budget)
    if keys is None:
        return None
    draft = Draft(name, place, node, keys, complaints, budget, lost(faults))
    names_are_sound = check_names(draft)
    inputs = () if draft.has_lost("inputs") else read_inputs(draft)
    check_labels(draft)
    if any(map(draft.has_lost, DEFINING)):
        return None
    implementations = read_implementations(draft)
    variants = read_variants(draft, inputs) if names_are_sound and inputs else ()
    points = read_points(draft, inputs, variants)
    if not variants:
        return None
    check_usage(draft)
    return Case(
        name=name,
        where=complaints.where(place),
        summary=keys.summary.text.strip() if keys.summary else "",
        formula=keys.formula.tree,
        inputs=inputs,
        constants=dict(keys.constants or {}),
        lets=draft.lets,
        conditions=draft.conditions,
        variants=variants,
        implementations=implementations,
        points=points,
        order=keys.order or DEFAULT_ORDER,
        dtypes=draft.dtypes,
        accuracy={
            dtype: (allowance.ulps, allowance.because.text)
            for name, allowance in (keys.accuracy or {}).items()
            for dtype in (draft.dtypes if name == UNNAMED else (name,))
        },
        without={witness: reason.text for witness, reason in (keys.without or {}).items()},
        tags=tuple(tag.text for tag in keys.tags or []),
        source=tuple(text.text for text in keys.source or []),
    )
