"""Which files a command means by its PATHs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gradcheck.catalog.text import LISTS, SUFFIXES
from gradcheck.errors import UsageError

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
