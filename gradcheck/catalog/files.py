"""Which files and cases a command means by its PATHs and its CASE; where our catalog lies."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from gradcheck.catalog.text import LISTS, SUFFIXES
from gradcheck.errors import CatalogError, UsageError
from gradcheck.spelling import meant, nearest

if TYPE_CHECKING:
    from gradcheck.catalog.case import Case, Implementation, Variant

_KEY = re.compile(r"""^(["']?)([A-Za-z_]\w*)\1[ \t]*:""", re.ASCII | re.MULTILINE)
_REFERENCE = re.compile(r"(?:(.+\.ya?ml)::)?([A-Za-z_]\w*)(?:\[([^\]]*)\])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class CaseName:
    """A case by its name; ``file`` is empty for the packaged catalog, ``variant`` for the first."""

    file: str
    case: str
    variant: str


def case_name_in(text: str, declared: Collection[str]) -> CaseName | None:
    """The case that a CASE argument names; None where the text is a formula.

    A lone word is a case, unless it is an input that was ``declared``.

    Errors: UsageError for a word that is neither.
    """
    match = _REFERENCE.fullmatch(text.strip())
    if match is None or (not match[1] and match[2] in declared):
        return None
    found = CaseName(match[1] or "", match[2], match[3] or "")
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


def load_case(reference: CaseName) -> tuple[Case, Variant]:
    """The case and its variant.

    Errors: UsageError where there is no such case or variant; CatalogError for a bad file.
    """
    # The loader takes FLINT along, which --help need not wait for.
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
        near = meant(word[2], known, likeness=0.75)
        if near:
            raise UsageError(
                f"{text}: neither a file or folder here nor a case of the packaged catalog",
                "a YAML file, a folder, FILE.yaml::CASE, or a case of the packaged catalog",
                f"write {near}",
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
    """The cases that begin so, of the packaged catalog or, behind `FILE::`, of a file."""
    file, colons, _ = incomplete.partition("::")
    try:
        if colons:
            names = [f"{file}::{name}" for name in _keys(_located(file))]
        else:
            names = [name for name, _ in _packaged()]
    except (UsageError, OSError):  # nothing that can be read: nothing to complete
        return []
    return sorted({name for name in names if name.startswith(incomplete)})


def complete_target(incomplete: str) -> list[str]:
    """The files and folders here that begin so and may hold cases, and the cases that do."""
    head, _, start = incomplete.rpartition("/")
    folder = f"{head}/" if head or incomplete.startswith("/") else ""
    try:
        here = sorted(path for path in Path(folder).iterdir() if path.name.startswith(start))
    except OSError:
        here = []
    shown = [path for path in here if start.startswith(".") or not path.name.startswith(".")]
    folders = [f"{folder}{path.name}/" for path in shown if path.is_dir()]
    files_here = [f"{folder}{path.name}" for path in shown if path.suffix in SUFFIXES]
    return [*folders, *files_here, *complete_case(incomplete)]


def _packaged() -> Iterator[tuple[str, Path]]:
    """Names and files, by their keys alone: completion cannot wait for the loader."""
    for path in sorted(Path(shown_folder()).rglob("*.yaml")):
        if is_cases(path):
            yield from ((name, path) for name in _keys(path))


def _keys(path: Path) -> Iterator[str]:
    for match in _KEY.finditer(path.read_text(encoding="utf-8", errors="replace")):
        yield match[2]


def _file_of(case: str) -> Path:
    files = [path for name, path in _packaged() if name == case]
    if len(files) == 1:
        return files[0]
    short = [path.relative_to(shown_folder()) for path in files]
    # A file of the same name that lies here would be taken first.
    pairs = zip(files, short, strict=True)
    names = [str(path if within.exists() else within) for path, within in pairs]
    raise UsageError(
        f"{case} is the name of a case in {' and in '.join(names)}",
        "FILE.yaml::CASE",
        f"write {names[0]}::{case}",
    )


def _located(file: str) -> Path:
    """The file of that name that is there; else the one of the packaged catalog."""
    path, packaged = Path(file), Path(shown_folder()) / file
    lies_within = not path.is_absolute() and ".." not in path.parts
    return packaged if lies_within and not path.exists() and packaged.is_file() else path


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


_SKIPPED = {"__pycache__", "node_modules"}


def find_files(paths: Sequence[str]) -> tuple[Path, ...]:
    """Every YAML file that the paths name, known_failures.yaml too, each once, sorted by folder.

    A file is always taken. Of a folder, those under folders named `cases` are taken, as pytest
    does it; a folder that has none is itself taken for a catalog.

    Errors: UsageError for a path that is not there, is no YAML file, or holds none.
    """
    return tuple(dict.fromkeys(found for path in paths for found in _files_of(path)))


def is_cases(path: Path) -> bool:
    return path.name not in LISTS


def check_path(text: str) -> None:
    """Errors: UsageError for what is neither a folder nor a YAML file."""
    path = Path(text)
    if text == "-":
        raise UsageError(
            "'-' stands for standard input, which gradcheck does not read",
            "a YAML file or a folder",
            "write the cases into a file and name it",
        )
    if path.is_dir():
        return
    if not path.exists():
        raise UsageError(f"no such file or folder: {text}", "a YAML file or a folder", _near(path))
    if path.suffix not in SUFFIXES or not path.is_file():
        raise UsageError(
            f"not a YAML file: {text}",
            "a file whose name ends in .yaml or .yml",
            "name a case file",
        )


def holds_no_cases_folder(folder: Path) -> bool:
    """Whether pytest would pass over the folder, unless it is told that it is a catalog."""
    return not any(map(_is_in_cases, _yaml_files(folder)))


def _files_of(text: str) -> tuple[Path, ...]:
    check_path(text)
    path = Path(text)
    return _files_under(path) if path.is_dir() else (path,)


def _files_under(folder: Path) -> tuple[Path, ...]:
    every = _yaml_files(folder)
    found = [path for path in every if _is_in_cases(path)] or every
    if not any(map(is_cases, found)):
        raise UsageError(
            f"no case files in {folder}", "a folder with .yaml or .yml files", "name another folder"
        )
    return tuple(found)


def _yaml_files(folder: Path) -> list[Path]:
    found = sorted(path for suffix in SUFFIXES for path in folder.rglob(f"*{suffix}"))
    return [path for path in found if _is_visible(path, folder)]


def _is_in_cases(path: Path) -> bool:
    return "cases" in path.resolve().parent.parts


def _is_visible(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    return path.is_file() and not any(part.startswith(".") or part in _SKIPPED for part in parts)


def _near(path: Path) -> str:
    for suffix in SUFFIXES:
        for twin in (path.with_name(path.name + suffix), path.with_suffix(suffix)):
            if twin.is_file():
                return f"write {twin}"
    return "check the spelling; paths are taken from the current folder"


def shown_folder() -> str:
    """The packaged catalog, as short as it can be said from the current folder."""
    folder, here = catalog_folder(), Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def catalog_folder() -> Path:
    """The folder `cases` that belongs to this installation.

    Errors: UsageError if the installation has lost its catalog.
    """
    package = Path(str(files("gradcheck")))
    for folder in (package / "cases", package.parent / "cases"):
        if any(folder.glob("*.yaml")):
            return folder
    raise UsageError(
        f"this installation has no catalog: looked in {package / 'cases'}",
        "the folder `cases` that is shipped with gradcheck",
        "install gradcheck again, or name your own files",
    )
