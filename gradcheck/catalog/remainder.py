"""What is left of a case whose keys are faulty, so that what else is wrong with it is found too.

Only what is faulty goes: an item of a list, a key of a map. A key that defines the case goes whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from gradcheck.catalog.document import Items, KeyPath, Pairs, Scalar, Yaml
from gradcheck.catalog.model import CaseKeys, PointKeys

DEFINING = ("formula", "inputs", "let", "constants", "sweep", "torch", "function", "where")
"""Keys without which nothing else about a case can be judged but its labels."""
_WHOLE = (*DEFINING, "accuracy")


def remainder(node: Pairs, faults: Iterable[KeyPath]) -> Pairs:
    """The case without what is faulty, completed so that it is one: nothing is said of that."""
    paths = frozenset(path[:1] if path[0] in _WHOLE else path for path in faults)
    rest = _without(node, frozenset(path for path in paths if not _is_in_point(path)))
    rest = rest if isinstance(rest, Pairs) else Pairs(node.place)
    _complete(rest, "formula", Scalar("0", "integer", "", "0", node.place))
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
    if () in paths or isinstance(value, Scalar):
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
