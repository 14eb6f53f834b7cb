"""Maps of the format, read by tables of their keys: what is refused is complained of at its place.

A table is a frozen dataclass whose fields are made by ``required`` and ``optional``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar, overload

from gradcheck.catalog.budget import Budget
from gradcheck.catalog.problems import Complaint, Complaints, Refused, glued_key
from gradcheck.catalog.yaml_document import Items, KeyPath, Pairs, Yaml, describe, place_of
from gradcheck.spelling import nearest

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the readers of one document share; ``faults`` are the paths of what they refused."""

    root: Yaml
    complaints: Complaints
    budget: Budget
    faults: list[KeyPath]

    def refuse(self, path: KeyPath, *complaints: Complaint) -> None:
        for complaint in complaints:
            self.complaints.add(*complaint)
        self.faults.append(path)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a reader is: the path, and the last ``key`` of a table on it, its step ``depth``."""

    reading: Reading
    path: KeyPath = ()
    key: Key | None = None
    depth: int = 0

    def step(self, step: str | int) -> Spot:
        """Return the spot of an item of a list, or of a name in a map."""
        return Spot(self.reading, (*self.path, step), self.key, self.depth)

    def enter(self, name: str, key: Key) -> Spot:
        """Return the spot of a table's key."""
        return Spot(self.reading, (*self.path, name), key, len(self.path))


@dataclass(frozen=True, slots=True)
class ValueKind(Generic[T_co]):
    """How values of a kind are read, and what editors are told of them.

    Errors: ``read`` raises Refused, or notes in the spot's reading what is faulty of a part.
    """

    read: Callable[[Yaml, Spot], T_co]
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a table. ``example`` is YAML, and the fix that a message offers."""

    kind: ValueKind[Any]
    description: str
    example: str
    is_required: bool
    default: Any = None


def required(kind: ValueKind[T], description: str, example: str) -> T:
    """Return the field of a key that must be there."""
    # A default, since a map without the key is read on to its end; it is then no result.
    made: Any = field(
        default=None, metadata={"key": Key(kind, description, example, is_required=True)}
    )
    return made  # type: ignore[no-any-return]


@overload
def optional(kind: ValueKind[T], description: str, example: str) -> T | None: ...
@overload
def optional(kind: ValueKind[T], description: str, example: str, default: T) -> T: ...
def optional(kind: ValueKind[Any], description: str, example: str, default: Any = None) -> Any:
    """Return the field of a key that may be left out."""
    key = Key(kind, description, example, is_required=False, default=default)
    return field(default=default, metadata={"key": key})


def keys_of(table: type) -> Mapping[str, Key]:
    """Return a table's keys, by their names."""
    return {each.name: each.metadata["key"] for each in fields(table)}


def validate(
    kind: ValueKind[T], value: Yaml, complaints: Complaints, budget: Budget
) -> tuple[T | None, tuple[KeyPath, ...]]:
    """Return what ``value`` says, or None and the paths at which something was refused.

    What its texts cost is taken from the ``budget``.
    """
    reading = Reading(value, complaints, budget, [])
    read = part(kind, value, Spot(reading))
    return (None if reading.faults else read), tuple(reading.faults)


def part(kind: ValueKind[T], value: Yaml, spot: Spot) -> T | None:
    """Read a part of a document; None where it is refused."""
    try:
        return kind.read(value, spot)
    except Refused as refused:
        spot.reading.refuse(spot.path, *refused.complaints)
        return None


def plain_kind(read: Callable[[Yaml], T], schema: dict[str, Any]) -> ValueKind[T]:
    """Return the kind of values that are read as they stand, wherever that is."""
    return ValueKind(lambda value, _: read(value), schema)


def list_of(kind: ValueKind[T]) -> ValueKind[list[T]]:
    def read(value: Yaml, spot: Spot) -> list[T]:
        if not isinstance(value, Items):
            raise Refused(_wrong_structure(value, "a list", spot))
        parts: list[Any] = [part(kind, item, spot.step(k)) for k, item in enumerate(value)]
        return parts

    return ValueKind(read, {"type": "array", "items": kind.schema})


def map_of(kind: ValueKind[T]) -> ValueKind[dict[str, T]]:
    """Return the kind of maps from any names to such values."""

    def read(value: Yaml, spot: Spot) -> dict[str, T]:
        if not isinstance(value, Pairs):
            raise Refused(_wrong_structure(value, "a map", spot))
        parts: dict[str, Any] = {
            name: part(kind, item, spot.step(name)) for name, item in value.items()
        }
        return parts

    return ValueKind(read, {"type": "object", "additionalProperties": kind.schema})


def table_of(table: type[T]) -> ValueKind[T]:
    """Return the kind of maps with a table's keys."""
    keys = keys_of(table)

    def read(value: Yaml, spot: Spot) -> T:
        if not isinstance(value, Pairs):
            raise Refused(_wrong_structure(value, "a map", spot))
        parts = {}
        for name, key in keys.items():
            if name in value:
                parts[name] = part(key.kind, value[name], spot.enter(name, key))
            elif key.is_required:
                spot.reading.refuse((*spot.path, name), _missing(name, key, spot))
        for name in value:
            if name not in keys:
                complaint = _unknown_key(name, value, tuple(keys))
                spot.reading.refuse((*spot.path, name), complaint)
        return table(**parts)

    return ValueKind(read, {"$ref": f"#/definitions/{table.__name__}"})


def _missing(name: str, key: Key, spot: Spot) -> Complaint:
    place = place_of(spot.reading.root, spot.path, key=True)
    return place, f"no {name!r}", key.description, f"add {name}: {key.example}"


def _unknown_key(name: str, pairs: Pairs, known: tuple[str, ...]) -> Complaint:
    place = pairs.keys_at[name]
    key, colon, rest = name.partition(":")
    if colon and key in known:
        return place, *glued_key(key, rest)
    expected = f"one of {', '.join(known)}"
    return place, f"the unknown key {name!r}", expected, nearest(name, known, "remove it")


def _wrong_structure(value: Yaml, wanted: str, spot: Spot) -> Complaint:
    if spot.key is None:
        return value.place, describe(value), wanted, f"write {wanted}"
    is_own = len(spot.path) == spot.depth + 1
    fix = f"write it like {spot.path[spot.depth]}: {spot.key.example}"
    return value.place, describe(value), spot.key.description if is_own else wanted, fix
