"""A case on its way from the file: its keys are read, its meaning is being checked."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck.catalog.budget import Budget
from gradcheck.catalog.case import Input
from gradcheck.catalog.complaints import Complaints
from gradcheck.catalog.document import KeyPath, Pairs, place_of
from gradcheck.catalog.domain import parse_domain
from gradcheck.catalog.model import CaseKeys
from gradcheck.dtypes import DEFAULT_DTYPES, DTYPES
from gradcheck.graph.names import RESERVED
from gradcheck.language.nodes import Node, Place

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Draft:
    """One case: its name and where it stands, its keys, and where to complain.

    ``lost`` are the paths of what is faulty and left out: what follows from that is no complaint.
    """

    name: str
    place: Place
    node: Pairs
    keys: CaseKeys
    complaints: Complaints
    budget: Budget
    lost: frozenset[KeyPath] = frozenset()

    def at(self, *path: str | int, key: bool = False) -> Place:
        return place_of(self.node, path, key=key)

    def add(self, path: Sequence[str | int], found: str, expected: str, fix: str) -> None:
        """Complain about the key at ``path``."""
        self.complaints.add(self.at(*path, key=True), found, expected, fix)

    def has_lost(self, *path: str | int) -> bool:
        """Whether the value at ``path``, or a part of it, is left out."""
        return any(
            all(one == other for one, other in zip(each, path, strict=False)) for each in self.lost
        )

    @property
    def lets(self) -> dict[str, Node]:
        return {name: written.tree for name, written in (self.keys.let or {}).items()}

    @property
    def conditions(self) -> tuple[Node, ...]:
        return tuple(written.tree for written in self.keys.where or [])

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Those that the case is for; none where all that it names are faulty."""
        return tuple(self.keys.dtypes or (() if self.has_lost("dtypes") else DEFAULT_DTYPES))


def check_names(draft: Draft) -> bool:
    """Whether all names may be used; complains of those that may not."""
    kept = [draft.name] if _is_name(draft, (), draft.name, draft.place) else []
    first: dict[str, tuple[str, int]] = {}
    total = 1
    for room in ("inputs", "constants", "let", "sweep"):
        names = getattr(draft.keys, room) or {}
        total += len(names)
        for name in names:
            place = draft.at(room, name, key=True)
            if not _is_name(draft, (room, name), name, place):
                continue
            if name in RESERVED - {"e"} or name == "torch":
                language = "torch" if name == "torch" else "formula"
                found = f"the name {name!r}, which the {language} language already has"
                draft.add((room, name), found, "a name of its own", "choose another name")
            elif name in first:
                found = f"the name {name!r} again, {first[name][0]} on line {first[name][1]}"
                expected = "each name once among inputs, constants, let and sweep"
                draft.add((room, name), found, expected, "rename one of them")
            else:
                kept.append(name)
            first.setdefault(name, (f"under {room!r}", place[0]))
    return len(kept) == total


def _is_name(draft: Draft, path: Sequence[str], name: str, place: Place) -> bool:
    if _NAME.fullmatch(name) and not keyword.iskeyword(name):
        return True
    what = f"the keyword {name!r} as a name" if keyword.iskeyword(name) else f"the name {name!r}"
    draft.complaints.add(
        place,
        what,
        "a Python identifier in ASCII that is no keyword",
        "use letters, digits and underscores, and begin with a letter",
    )
    return False


def read_inputs(draft: Draft) -> tuple[Input, ...]:
    """The inputs; complains of none, of kinds without squares, and of domains without floats."""
    if not draft.keys.inputs:
        draft.add(("inputs",), "no inputs", "at least one", "add an input, as in x: real")
    inputs = []
    for name, keys in draft.keys.inputs.items():
        domain = keys.domain or parse_domain("real")
        inputs.append(Input(name, domain, keys.shape, keys.kind))
        if keys.kind is not None:
            _check_kind(draft, inputs[-1], has_domain=domain.text != "real")
        _check_floats(draft, inputs[-1])
    return tuple(inputs)


def _check_kind(draft: Draft, one: Input, *, has_domain: bool) -> None:
    if len(one.shape) < 2 or one.shape[-1] != one.shape[-2]:
        draft.add(
            ("inputs", one.name, "shape"),
            f"the shape {list(one.shape)} of a matrix that is {one.kind}",
            "a square matrix, or a batch of them",
            "write a shape like [3, 3]",
        )
    if has_domain:
        draft.add(
            ("inputs", one.name, "domain"),
            "a domain beside a kind",
            "either a kind, or a domain for every entry",
            "remove one of them",
        )


def _check_floats(draft: Draft, one: Input) -> None:
    without = [name for name in draft.dtypes if not one.domain.spans(DTYPES[name])]
    if without:
        draft.add(
            ("inputs", one.name),
            f"the domain {one.domain.text}, which holds no {' and no '.join(without)} number",
            "a domain with floating-point numbers in it",
            "widen the domain, or leave the dtype out under 'dtypes'",
        )
