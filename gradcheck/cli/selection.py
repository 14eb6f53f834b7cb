"""Which case a CASE argument means: one of a file, one of the packaged catalog, or a formula."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gradcheck.cli.case_files import check_path, is_cases
from gradcheck.cli.catalog_folder import shown_folder
from gradcheck.errors import CatalogError, UsageError
from gradcheck.spelling import nearest

if TYPE_CHECKING:
    from gradcheck.catalog.case import Case, Implementation, Variant

_KEY = re.compile(r"""^(["']?)([A-Za-z_]\w*)\1[ \t]*:""", re.ASCII | re.MULTILINE)
_REFERENCE = re.compile(r"(?:(.+\.ya?ml)::)?([A-Za-z_]\w*)(?:\[([^\]]*)\])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reference:
    """A case by its name; ``file`` is empty for the packaged catalog, ``variant`` for the first."""

    file: str
    case: str
    variant: str


def reference_of(text: str, declared: Collection[str]) -> Reference | None:
    """The case that a CASE argument names; None where the text is a formula.

    A lone word is a case, unless it is an input that was ``declared``.

    Errors: UsageError for a word that is neither.
    """
    match = _REFERENCE.fullmatch(text.strip())
    if match is None or (not match[1] and match[2] in declared):
        return None
    found = Reference(match[1] or "", match[2], match[3] or "")
    known = [] if found.file else [name for name, _ in _packaged()]
    if found.file or found.case in known:
        return found
    if match[3] is not None:
        return None  # an entry of an array, such as x[0]
    raise UsageError(
        f"{text}: neither a case of the packaged catalog nor an input of a formula",
        "CASE, FILE.yaml::CASE, or a formula whose inputs --at or --input declares",
        nearest(found.case, known, "`gradcheck list` prints the cases"),
    )


def load_case(reference: Reference) -> tuple[Case, Variant]:
    """The case and its variant.

    Errors: UsageError where there is no such case or variant; CatalogError for a bad file.
    """
    # The loader takes pydantic and FLINT along, which --help need not wait for.
    from gradcheck.catalog.load import load

    path = _located(reference.file) if reference.file else _file_of(reference.case)
    check_path(str(path))
    cases = {case.name: case for case in load(path, shown=str(path))}
    if reference.case not in cases:
        raise no_case(path, reference.case, cases)
    case = cases[reference.case]
    return case, _variant(case, reference.variant)


def target_of(text: str) -> tuple[Path, str]:
    """Return the file or folder that a PATH argument means, and what stands behind its `::`.

    What is there comes first: a path, then a file of the packaged catalog, then a case of it.

    Errors: UsageError for what is none of them.
    """
    file, _, name = text.partition("::")
    word = None if name or Path(text).exists() else _REFERENCE.fullmatch(text)
    if word is not None:
        known = [each for each, _ in _packaged()]
        if word[2] in known:
            found = _file_of(word[2])
            _check_name(found, text)
            return found, text
        near = nearest(word[2], known, "")
        if near:
            raise UsageError(
                f"{text}: neither a file or folder here nor a case of the packaged catalog",
                "a YAML file, a folder, FILE.yaml::CASE, or a case of the packaged catalog",
                near,
            )
    path = _located(file)
    check_path(str(path))
    if name:
        _check_name(path, name)
    return path, name


def _check_name(path: Path, text: str) -> None:
    """Errors: UsageError for a case or a variant that a sound file does not have."""
    from gradcheck.catalog.load import load

    case, _, brackets = text.partition("[")
    try:
        cases = {each.name: each for each in load(path, shown=str(path))}
    except CatalogError:
        return  # the run says what is wrong with the file
    if case not in cases:
        raise no_case(path, case, cases)
    names = [variant.name for variant in cases[case].variants]
    within = brackets.removesuffix("]")
    if any(names) and within and not any(f"{within}-".startswith(f"{name}-") for name in names):
        _variant(cases[case], within)


def no_case(path: Path, name: str, known: Collection[str]) -> UsageError:
    """Return what to say where a file has no case of that name."""
    return UsageError(
        f"{path} has no case {name}",
        "a case of that file",
        nearest(name, tuple(known), f"`gradcheck list {path}` prints them"),
    )


def implementation_of(case: Case, number: int) -> Implementation:
    """Errors: UsageError for a number that the case has no implementation for."""
    if number < len(case.implementations):
        return case.implementations[number]
    raise UsageError(
        f"--implementation {number}: the case has {len(case.implementations)}",
        f"a number from 0 to {len(case.implementations) - 1}",
        "leave it out for the first",
    )


def complete_case(incomplete: str) -> list[str]:
    """The case names of the packaged catalog that begin so; nothing where it cannot be read."""
    try:
        return sorted({name for name, _ in _packaged() if name.startswith(incomplete)})
    except (UsageError, OSError):
        return []


def _packaged() -> Iterator[tuple[str, Path]]:
    """Names and files, by their keys alone: completion cannot wait for the loader."""
    for path in sorted(Path(shown_folder()).glob("*.yaml")):
        if is_cases(path):
            for match in _KEY.finditer(path.read_text(encoding="utf-8", errors="replace")):
                yield match[2], path


def _file_of(case: str) -> Path:
    files = [path for name, path in _packaged() if name == case]
    if len(files) == 1:
        return files[0]
    # A file of the same name that lies here would be taken first.
    names = [str(path) if Path(path.name).exists() else path.name for path in files]
    raise UsageError(
        f"{case} is the name of a case in {' and in '.join(names)}",
        "FILE.yaml::CASE",
        f"write {names[0]}::{case}",
    )


def _located(file: str) -> Path:
    """The file of that name that is there; else the one of the packaged catalog."""
    packaged = Path(shown_folder()) / file
    is_packaged = Path(file).name == file and not Path(file).exists() and packaged.is_file()
    return packaged if is_packaged else Path(file)


def _variant(case: Case, name: str) -> Variant:
    names = [variant.name for variant in case.variants]
    if not name:
        return case.variants[0]
    if name in names:
        return case.variants[names.index(name)]
    raise UsageError(
        f"case {case.name} has no variant {name}",
        f"one of {', '.join(names[:8])}" if any(names) else "no variant: the case has no sweep",
        nearest(name, names, "leave the brackets out for the first"),
    )
