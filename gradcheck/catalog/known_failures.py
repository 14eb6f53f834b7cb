"""known_failures.yaml: what is known to disagree today, kept apart from the facts of the cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gradcheck.catalog.budget import BUDGET, Budget, Spent
from gradcheck.catalog.case import Case, Implementation, Point, Variant
from gradcheck.catalog.inline import NAME, flow
from gradcheck.catalog.keys import KNOWN_FAILURE, NOT_REPORTED
from gradcheck.catalog.points import numbers_of, work_of
from gradcheck.catalog.problems import Complaints
from gradcheck.catalog.text import LISTS, SUFFIXES, read_text
from gradcheck.catalog.validation import validate
from gradcheck.catalog.yaml_document import Items, Yaml, compose, describe, inside
from gradcheck.errors import CatalogError, ExpressionError, Problem, Where
from gradcheck.language.nodes import Node
from gradcheck.spelling import nearest

_UNNAMED = f"{NAME}.yaml::{NAME}"


class Checked(Protocol):
    """What a known failure needs to know of a check; ``checks.Check`` is one."""

    @property
    def case(self) -> Case: ...
    @property
    def variant(self) -> Variant: ...
    @property
    def implementation(self) -> Implementation: ...
    @property
    def witness(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def dtype(self) -> str: ...


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """One entry. ``at`` is the point of the case that shows it; None for the whole check.

    ``when`` may name witness, dtype, device, torch (a version specifier), call, implementation
    (its text or its number from 0) and variant; what it does not name, it holds for. One that
    holds ``everywhere`` reaches all other checks too, where their witness names its issue.
    """

    where: Where
    file: str
    case: str
    at: dict[str, Node] | None
    when: dict[str, str]
    issue: str
    because: str
    everywhere: bool = False

    def concerns(self, check: Checked) -> bool:
        """Whether the entry is about this check, in some version of PyTorch."""
        return (
            self.case == check.case.name
            and self._meets(check)
            and self.when.get("variant", check.variant.name) == check.variant.name
            and self._means(check)
        )

    def reaches(self, check: Checked) -> bool:
        """Whether it is about others, and excuses what this check's witness calls its issue."""
        return self.everywhere and self._meets(check) and not self.concerns(check)

    def _meets(self, check: Checked) -> bool:
        """Whether the check is by its witness, in its dtype and on its device."""
        device = self.when.get("device", check.device)
        return (
            self.when.get("witness", check.witness) == check.witness
            and self.when.get("dtype", check.dtype) == check.dtype
            and (check.device == device or check.device.startswith(device + ":"))
        )

    def _means(self, check: Checked) -> bool:
        named = self.when.get("implementation")
        if named is None or named == check.implementation.text:
            return True
        return named == str(check.case.implementations.index(check.implementation))

    def applies(self, check: Checked, torch_version: str) -> bool:
        """Whether the entry is about this check, or reaches it, in this PyTorch."""
        torch = self.when.get("torch")
        in_version = torch is None or SpecifierSet(torch).contains(
            Version(torch_version), prereleases=True
        )
        return in_version and (self.concerns(check) or self.reaches(check))

    def shows(self, point: Point) -> bool:
        """Whether ``point`` is the one that the entry names; every point where it names none."""
        if self.at is None:
            return True
        return self.at.keys() == point.at.keys() and all(
            _same(tree, point.at[name]) for name, tree in self.at.items()
        )


def _same(one: Node, other: Node) -> bool:
    if one == other:
        return True
    left, right = numbers_of(one), numbers_of(other)
    return left.shape == right.shape and left.rounded("float64") == right.rounded("float64")


def load_known(folder: Path, *, shown: str | None = None) -> tuple[KnownFailure, ...]:
    """The entries of the folder's known_failures.yaml; none where there is no such file.

    Errors: CatalogError with all problems, among them entries that name a file that is not there.
            Whether cases and points are there is for ``check_known``, when they are loaded.
    """
    known, problems = read_known(folder, shown=shown)
    if problems:
        raise CatalogError(problems)
    return known


def read_known(
    folder: Path, *, shown: str | None = None
) -> tuple[tuple[KnownFailure, ...], tuple[Problem, ...]]:
    """Return the sound entries of such a file, and the problems of the others."""
    path = list_beside(folder)
    if path is None:
        return (), ()
    complaints = Complaints(str(path) if shown is None else shown)
    try:
        _refuse_second(folder, path, complaints)
        sound = _entries(read_text(path, complaints.path), folder, complaints)
    except CatalogError as error:
        return (), error.problems
    return tuple(sound), tuple(complaints.problems)


def list_beside(folder: Path) -> Path | None:
    """Return the folder's list of known failures; None where there is none."""
    return next((path for name in LISTS if (path := folder / name).exists()), None)


def _refuse_second(folder: Path, first: Path, complaints: Complaints) -> None:
    for name in LISTS:
        if name != first.name and (folder / name).exists():
            found, fix = (
                f"a second list, {name}, beside this one",
                f"move its entries to {first.name}",
            )
            complaints.add((1, 1), found, "one list in a folder", fix)


def known_of(
    given: str | PathLike[str] | Sequence[Mapping[str, Any]], case: Case, name: str, shown: str
) -> tuple[KnownFailure, ...]:
    """The known failures of a case that stands in no file, and is called ``name``.

    Of a known_failures.yaml, given by its path, they are the entries about a case of that name.
    Entries that a program lists are all about the case, and need not name it.

    Errors: CatalogError for entries that the format refuses, or whose point, variant or
            implementation the case does not have; TypeError for a value that YAML cannot say.
    """
    if isinstance(given, str | PathLike):
        complaints = Complaints(str(given))
        text = read_text(Path(given), complaints.path)
    else:
        complaints, name = Complaints(shown), NAME
        text = "".join(f"- {flow({**entry, 'case': _UNNAMED})}\n" for entry in given)
    read = _entries(text, None, complaints)
    complaints.raise_any()
    file = Path(case.where.path).name
    found = tuple(replace(entry, file=file, case=case.name) for entry in read if entry.case == name)
    check_known(found, {file: [case]})
    return found


def _entries(text: str, folder: Path | None, complaints: Complaints) -> list[KnownFailure]:
    """The sound entries of a text; files that they name must be in ``folder``, if there is one."""
    root = compose(text, complaints)
    if not isinstance(root, Items):
        if root is not None and describe(root) != "nothing":
            fix = "write '- case: tutorial.yaml::expm1' and its keys below"
            complaints.add(root.place, describe(root), "a list of known failures", fix)
        return []
    sound = []
    budget = Budget()
    for node in root:
        before = len(complaints)
        try:
            entry = _read(node, folder, complaints, budget)
        except Spent:
            fix = "leave entries out, or write shorter numbers"
            complaints.add(node.place, "points that take too long to read", BUDGET, fix)
            break
        if entry is not None and len(complaints) == before:
            sound.append(entry)
    return sound


def _beside(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folder.iterdir() if path.suffix in SUFFIXES))


def _read(
    node: Yaml, folder: Path | None, complaints: Complaints, budget: Budget
) -> KnownFailure | None:
    keys, _ = validate(KNOWN_FAILURE, node, complaints, budget)
    if keys is None:
        return None
    file, _, case = keys.case.text.strip().partition("::")
    names = _beside(folder) if folder else (file,)
    if file not in names or file in LISTS:
        found, expected = f"the file {file!r}, which is not there", "a file beside this one"
        known = tuple(name for name in names if name not in LISTS)
        complaints.add(keys.case.place, found, expected, nearest(file, known, "correct it"))
    for blocks in (keys.at or {}).values():
        for leaf in blocks.leaves:
            budget.spend(work_of(leaf.tree))
            try:
                numbers_of(leaf.tree)
            except ExpressionError as error:
                complaints.add(*inside(leaf.scalar, error))
    at = None if keys.at is None else {name: block.tree for name, block in keys.at.items()}
    when = keys.when.chosen() if keys.when else {}
    where = complaints.where(node.place)
    issue, because = keys.issue.text, keys.because.text.strip()
    everywhere = bool(keys.everywhere)
    if everywhere and issue == NOT_REPORTED:
        fix = "report it, or leave `everywhere` out"
        complaints.add(keys.issue.place, "no issue", "the issue that a witness names", fix)
    return KnownFailure(where, file, case, at, when, issue, because, everywhere)


def check_known(known: Iterable[KnownFailure], loaded: Mapping[str, Sequence[Case]]) -> None:
    """Nothing, if every entry about a loaded file names one of its cases, variants and points.

    ``loaded`` maps a file's name to its cases; entries about other files are passed over.

    Errors: CatalogError with all entries that match nothing.
    """
    complaints = Complaints("")
    for entry in known:
        complaints.path = entry.where.path
        if entry.file in loaded:
            _check_entry(entry, loaded[entry.file], complaints)
    complaints.raise_any()


def _check_entry(entry: KnownFailure, cases: Sequence[Case], complaints: Complaints) -> None:
    place = (entry.where.line, entry.where.column)
    names = {case.name: case for case in cases}
    case = names.get(entry.case)
    if case is None:
        found, expected = f"the case {entry.case!r}, which is not in {entry.file}", "one that is"
        complaints.add(place, found, expected, nearest(entry.case, tuple(names), "correct it"))
        return
    if not any(map(entry.shows, case.points)) and entry.at is not None:
        found = f"a point that {entry.case} does not have"
        complaints.add(place, found, "a point of the case", "add it under 'points' of the case")
    variant = entry.when.get("variant")
    variants = [each.name for each in case.variants]
    if variant is not None and variant not in variants:
        found = f"the variant {variant!r}, which {entry.case} does not have"
        complaints.add(place, found, f"one of {', '.join(variants)}", "correct it")
    named = entry.when.get("implementation")
    texts = [each.text for each in case.implementations]
    if named is not None and named not in (*texts, *map(str, range(len(texts)))):
        found = f"the implementation {named!r}, which {entry.case} does not have"
        complaints.add(place, found, f"its text, or a number below {len(texts)}", "correct it")
