"""From what pydantic refuses to complaints in our words, each at its place in the file.

What is left of a case whose keys are faulty is read again, so that what else is wrong with it is
found too. Only what is faulty goes: an item of a list, a key of a map. A key that defines the case
goes whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gradcheck.catalog.budget import Budget
from gradcheck.catalog.keys import CaseKeys, PointKeys
from gradcheck.catalog.problems import REFUSED, Complaints
from gradcheck.catalog.yaml_document import (
    UNNAMED,
    Items,
    KeyPath,
    Pairs,
    Yaml,
    YamlScalar,
    describe,
    place_of,
)
from gradcheck.catalog.yaml_errors import glued_key
from gradcheck.spelling import nearest

Model = TypeVar("Model", bound=BaseModel)

_STRUCTURE = {
    "dict_type": "a map",
    "model_type": "a map",
    "list_type": "a list",
}


def validate(
    model: type[Model],
    value: Yaml,
    complaints: Complaints,
    inner: dict[KeyPath, type[BaseModel]],
    budget: Budget,
) -> tuple[Model | None, tuple[KeyPath, ...]]:
    """The model of ``value``, or None and the paths at which something was refused.

    ``inner`` says which models stand below which paths, ``*`` meaning any key or number.
    What its texts cost is taken from the ``budget``.
    """
    try:
        return model.model_validate(value, context=budget), ()
    except ValidationError as error:
        errors = error.errors(include_url=False)
    for each in errors:
        _complain(each, _Schema(model, inner), value, complaints)
    return None, tuple(map(_path, errors))


def _path(error: ErrorDetails) -> KeyPath:
    """Where the error stands in the document, which has no unnamed keys."""
    return tuple(step for step in error["loc"] if step != UNNAMED)


class _Schema:
    """Finds the field that a path belongs to."""

    def __init__(self, model: type[BaseModel], inner: dict[KeyPath, type[BaseModel]]) -> None:
        self.model, self.inner = model, inner

    def owner(self, path: KeyPath) -> tuple[type[BaseModel], int]:
        """The model in which the path's last step or an earlier one is a key, and which step."""
        for pattern, model in self.inner.items():
            same = zip(pattern, path, strict=False)
            if len(path) > len(pattern) and all(want in ("*", step) for want, step in same):
                return model, len(pattern)
        return self.model, 0

    def field(self, path: KeyPath) -> FieldInfo | None:
        model, depth = self.owner(path)
        return model.model_fields.get(str(path[depth])) if path else None


def _complain(error: ErrorDetails, schema: _Schema, root: Yaml, complaints: Complaints) -> None:
    path, kind = _path(error), error["type"]
    if kind == REFUSED:
        for complaint in error["ctx"]["complaints"]:
            complaints.add(*complaint)
    elif kind == "extra_forbidden":
        _unknown_key(path, schema, root, complaints)
    elif kind == "missing":
        field = schema.field(path)
        name = str(path[-1])
        fix = f"add {name}: {_example(field)}" if field else f"add {name}"
        expected = field.description or "it" if field else "it"
        place = place_of(root, path[:-1], key=True)
        complaints.add(place, f"no {name!r}", expected, fix)
    else:
        _wrong_structure(path, _STRUCTURE.get(kind, "another value"), schema, root, complaints)


_LATER = {
    "call": "wrap the function in one that takes the inputs in their order",
    "parameters": "name a function that calls the module by torch.func.functional_call",
}
"""Keys of the format that are refused until a later version, with what to do instead."""


def _unknown_key(path: KeyPath, schema: _Schema, root: Yaml, complaints: Complaints) -> None:
    model, _ = schema.owner(path)
    known = tuple(model.model_fields)
    name = str(path[-1])
    key, colon, rest = name.partition(":")
    if colon and key in known:
        complaints.add(place_of(root, path, key=True), *glued_key(key, rest))
        return
    place, expected = place_of(root, path, key=True), f"one of {', '.join(known)}"
    if len(path) == 1 and name in _LATER:
        complaints.add(place, f"the key {name!r}, not in this version yet", expected, _LATER[name])
        return
    fix = nearest(name, known, "remove it")
    complaints.add(place, f"the unknown key {name!r}", expected, fix)


def _wrong_structure(
    path: KeyPath, wanted: str, schema: _Schema, root: Yaml, complaints: Complaints
) -> None:
    field = schema.field(path)
    _, depth = schema.owner(path)
    value = value_at(root, path)
    if len(path) == 2 and path[0] == "inputs":
        expected = "a domain, or a map with domain, shape and kind"
        complaints.add(value.place, describe(value), expected, _input_fix(str(path[1]), value))
        return
    description = field.description if field and len(path) == depth + 1 else None
    fix = f"write it like {path[depth]}: {_example(field)}" if field else f"write {wanted}"
    complaints.add(value.place, describe(value), description or wanted, fix)


def _input_fix(name: str, value: Yaml) -> str:
    """What to write for an input that is neither a text nor a map."""
    ends = value if isinstance(value, Items) and len(value) == 2 else ()
    between = ", ".join(end.text for end in ends if isinstance(end, YamlScalar))
    if ", " not in between:
        return f"write it like {name}: real"
    quoted = f'{name}: "[{between}]", or "({between})" without its ends'
    return f"write the interval in quotes, as in {quoted}"


def value_at(root: Yaml, path: Sequence[str | int]) -> Yaml:
    """The value at ``path``, or the last one on the way to it."""
    node = root
    for step in path:
        if isinstance(node, Pairs) and step in node:
            node = node[str(step)]
        elif isinstance(node, list) and isinstance(step, int):
            node = node[step]
    return node


def _example(field: FieldInfo | None) -> str:
    example = (field.examples or [""])[0] if field else ""
    return flow(example)


def flow(value: Any) -> str:
    """A plain value as one line of YAML."""
    if isinstance(value, dict):
        return "{" + _joined(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + _joined(flow(item) for item in value) + "]"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_.*+/ ]*[A-Za-z0-9]", value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _joined(parts: Iterable[str]) -> str:
    return ", ".join(parts)


DEFINING = ("formula", "inputs", "let", "constants", "sweep", "torch", "function", "where")
"""Keys without which nothing else about a case can be judged but its labels."""
_WHOLE = (*DEFINING, "accuracy")


def remainder(node: Pairs, faults: Iterable[KeyPath]) -> Pairs:
    """The case without what is faulty, completed so that it is one: nothing is said of that."""
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
    known = CaseKeys.model_fields if len(path) == 1 else PointKeys.model_fields
    name = str(path[-1])
    if len(path) != (3 if path[0] == "points" else 1) or name in known:
        return [name]
    return get_close_matches(name, known, n=1) or [name]


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
