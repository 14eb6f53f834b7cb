"""From what pydantic refuses to complaints in our words, each at its place in the file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gradcheck.catalog.budget import Budget
from gradcheck.catalog.complaints import REFUSED, Complaints
from gradcheck.catalog.document import (
    UNNAMED,
    Items,
    KeyPath,
    Pairs,
    Scalar,
    Yaml,
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
    between = ", ".join(end.text for end in ends if isinstance(end, Scalar))
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
