"""A catalog file read and checked, whole: every problem in it is reported, nothing in it is run."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gradcheck.catalog.budget import Budget
from gradcheck.catalog.case import Accuracy, Case
from gradcheck.catalog.declaration import (
    DEFAULT_ORDER,
    CaseDraft,
    check_labels,
    check_names,
    check_usage,
    dtypes_on_request,
    has_symbols,
    read_calling,
    read_implementations,
    read_inputs,
    read_parameters,
)
from gradcheck.catalog.keys import CASE, CaseKeys, PointKeys
from gradcheck.catalog.memory import remembered
from gradcheck.catalog.points import read_points
from gradcheck.catalog.problems import Complaints
from gradcheck.catalog.text import LISTS, decode, read_text
from gradcheck.catalog.validation import keys_of, validate
from gradcheck.catalog.variants import read_variants
from gradcheck.catalog.yaml_document import (
    UNNAMED,
    Items,
    KeyPath,
    Pairs,
    Yaml,
    YamlScalar,
    compose,
    describe,
)
from gradcheck.errors import CatalogError, Problem
from gradcheck.spelling import meant

DEFINING = (
    *("formula", "inputs", "let", "constants", "sweep", "where"),
    *("torch", "function", "call", "parameters"),
)
"""Keys without which nothing else about a case can be judged but its labels."""
_WHOLE = (*DEFINING, "accuracy")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A file of cases as it stood when it was read; ``shown`` is how messages name it.

    What is found of it is kept for other processes: each worker reads each file.
    """

    text: str
    shown: str

    @classmethod
    def at(cls, path: Path, shown: str | None = None) -> CaseFile:
        """Errors: CatalogError for what cannot be read, and for a list of known failures."""
        name = str(path) if shown is None else shown
        if path.name in LISTS:
            complaints = Complaints(name)
            found, fix = "a list of known failures", "name a file of cases"
            complaints.add((1, 1), found, "a file of cases", fix)
            complaints.raise_any()
        return cls(read_text(path, name), name)

    def cases(self) -> tuple[Case, ...]:
        """Return the cases, in the file's order.

        Errors: CatalogError with all problems of the file.
        """
        return self._remembered("cases", lambda: _read(self.text, Complaints(self.shown)))

    def problems(
        self, find: Callable[[Iterable[Case]], Iterable[Problem]], cases: Iterable[Case]
    ) -> tuple[Problem, ...]:
        """Return what ``find`` finds in its cases, which hangs on nothing but them."""
        name = f"{find.__module__}.{find.__qualname__}"
        return self._remembered(name, lambda: tuple(find(cases)))

    def _remembered(self, what: str, make: Callable[[], _T]) -> _T:
        return remembered((what, self.shown, self.text), make)


def load(path: Path, *, shown: str | None = None) -> tuple[Case, ...]:
    """The cases of a file, in its order. ``shown`` is how messages name the file.

    Errors: CatalogError with all problems of the file.
    """
    return CaseFile.at(path, shown).cases()


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
    keys, faults = validate(CASE, node, complaints, budget)
    if not isinstance(node, Pairs):
        return None
    if keys is None:
        node = remainder(node, faults)
        keys, _ = validate(CASE, node, Complaints(""), budget)
    if keys is None:
        return None
    draft = CaseDraft(name, place, node, keys, complaints, budget, lost(faults))
    names_are_sound = check_names(draft)
    symbolic = has_symbols(draft)
    inputs = () if symbolic or draft.has_lost("inputs") else read_inputs(draft, {})
    check_labels(draft)
    if any(map(draft.has_lost, DEFINING)):
        return None
    implementations = read_implementations(draft)
    calling, parameters = read_calling(draft), read_parameters(draft)
    variants = read_variants(draft, inputs) if names_are_sound and (symbolic or inputs) else ()
    points = read_points(draft, inputs, variants)
    if not variants:
        return None
    check_usage(draft)
    on_request = dtypes_on_request(draft, variants)
    return Case(
        name=name,
        where=complaints.where(place),
        summary=keys.summary.text.strip() if keys.summary else "",
        formula=draft.formulas,
        inputs=variants[0].inputs,
        constants=dict(keys.constants or {}),
        lets=draft.lets,
        conditions=draft.conditions,
        variants=variants,
        implementations=implementations,
        points=points,
        order=keys.order or DEFAULT_ORDER,
        dtypes=draft.dtypes,
        accuracy={
            dtype: Accuracy(said.because.text, said.ulps or 0, normwise=bool(said.normwise))
            for name, said in (keys.accuracy or {}).items()
            for dtype in ((*draft.dtypes, *on_request) if name == UNNAMED else (name,))
        },
        without={witness: reason.text for witness, reason in (keys.without or {}).items()},
        tags=tuple(tag.text for tag in keys.tags or []),
        source=tuple(text.text for text in keys.source or []),
        calling=calling,
        parameters=parameters,
        requires=tuple(keys.requires or []),
        on_request=on_request,
        written=draft.written,
    )


def remainder(node: Pairs, faults: Iterable[KeyPath]) -> Pairs:
    """The case without what is faulty, completed so that it is one: nothing is said of that.

    Only what is faulty goes: an item of a list, a key of a map. A key that defines the case goes
    whole.
    """
    paths = frozenset(path[:1] if path[0] in _WHOLE else path for path in faults)
    rest = _without(node, frozenset(path for path in paths if not _is_in_point(path)))
    rest = rest if isinstance(rest, Pairs) else Pairs(node.place)
    _complete(rest, "formula", YamlScalar("0", "integer", "", "0", node.place))
    _complete(rest, "inputs", Pairs(node.place))
    points = rest.get("points")
    if isinstance(points, Items):
        rest["points"] = kept = Items(points.place)
        kept.extend(
            _point(each, _below(_below(paths, "points"), k)) for k, each in enumerate(points)
        )
    return rest


def lost(faults: Iterable[KeyPath]) -> frozenset[KeyPath]:
    """The paths of what the case lost: the faults, and the keys that were meant by unknown ones."""
    paths = frozenset(faults)
    return paths | {(*path[:-1], *_meant(path)) for path in paths}


def _meant(path: KeyPath) -> list[str]:
    """The key that the last step of a path stands for."""
    known = keys_of(CaseKeys if len(path) == 1 else PointKeys)
    name = str(path[-1])
    if len(path) != (3 if path[0] == "points" else 1) or name in known:
        return [name]
    return [meant(name, known) or name]


def _is_in_point(path: KeyPath) -> bool:
    return path[0] == "points" and len(path) > 1


def _point(point: Yaml, paths: frozenset[KeyPath]) -> Yaml:
    """The point without what is faulty; its number stays, though nothing may be left of it."""
    rest = _without(point, paths)
    rest = rest if isinstance(rest, Pairs) else Pairs(point.place)
    _complete(rest, "at", Pairs(point.place))
    return rest


def _complete(rest: Pairs, key: str, value: Yaml) -> None:
    rest.setdefault(key, value)
    rest.keys_at.setdefault(key, rest.place)


def _without(value: Yaml, paths: frozenset[KeyPath]) -> Yaml | None:
    """The value without what stands at ``paths``; None where nothing is left."""
    if not paths:
        return value
    if () in paths or isinstance(value, YamlScalar):
        return None
    if isinstance(value, Items):
        items = Items(value.place)
        kept = (_without(item, _below(paths, k)) for k, item in enumerate(value))
        items.extend(item for item in kept if item is not None)
        return items or None
    pairs = Pairs(value.place)
    pairs.keys_at = dict(value.keys_at)
    for key, item in value.items():
        rest = _without(item, _below(paths, key))
        if rest is not None:
            pairs[key] = rest
    return pairs or None


def _below(paths: frozenset[KeyPath], step: str | int) -> frozenset[KeyPath]:
    return frozenset(path[1:] for path in paths if path[:1] == (step,))
