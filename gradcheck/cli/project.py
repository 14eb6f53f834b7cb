"""The project that case files belong to: its root, and what its ini file says to gradcheck.

Of the ini file the keys ``gradcheck_...`` alone are read. The rest of it is for the project's own
tests, and may name plugins, options and warnings that stop a run of a catalog.
"""

from __future__ import annotations

import os
import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import iniconfig

from gradcheck.catalog.text import absolute
from gradcheck.errors import UsageError

_ROOT_FILES = ("pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg", ".git")
_INI_FILES = {  # in pytest's order; whether one without a section for pytest is its ini file too
    "pytest.toml": True,
    ".pytest.toml": True,
    "pytest.ini": True,
    ".pytest.ini": True,
    "pyproject.toml": False,
    "tox.ini": False,
    "setup.cfg": False,
}
_PREFIX = "gradcheck_"
CATALOGS = "gradcheck_catalogs"

Keys = dict[str, str]


def project_of(paths: Sequence[Path]) -> tuple[Path, Keys]:
    """Return the folder that ids are relative to, and the ini keys that are ours, as text.

    The project is that of the folder which all paths share, found as pytest finds it. Folders
    among the values are absolute.

    Errors: UsageError for an ini file that cannot be read.
    """
    folders = [absolute(path) if path.is_dir() else absolute(path).parent for path in paths]
    shared = Path(os.path.commonpath(folders))
    for folder in (shared, *shared.parents):
        for name, alone in _INI_FILES.items():
            section = _section(folder / name) if (folder / name).is_file() else None
            if section or (section is not None and alone):
                return folder, dict(_ours(section, folder))
    return _marked(shared), {}


def _marked(shared: Path) -> Path:
    above = (shared, *shared.parents)
    marked = (folder for folder in above if any((folder / name).exists() for name in _ROOT_FILES))
    return next(marked, shared.parent if shared.name == "cases" else shared)


def _section(path: Path) -> Mapping[str, Any] | None:
    """What a file says to pytest; None where it has no section for it."""
    try:
        if path.suffix == ".toml":
            return _table(tomllib.loads(path.read_text(encoding="utf-8")), path.name)
        sections = iniconfig.IniConfig(str(path)).sections
    except (OSError, ValueError, iniconfig.ParseError) as error:
        raise UsageError(
            f"{path}: {error}", "an ini file that pytest can read", "repair or remove it"
        ) from None
    return sections.get("tool:pytest" if path.name == "setup.cfg" else "pytest")


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    table = document if name != "pyproject.toml" else document.get("tool", {})
    found: Any = table.get("pytest")
    if isinstance(found, dict):
        options: Any = found.get("ini_options", found)
        return options if isinstance(options, dict) else None
    return None


def _ours(section: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, str]]:
    for key, value in section.items():
        if key.startswith(_PREFIX):
            words = list(map(str, value)) if isinstance(value, list) else [str(value)]
            if key == CATALOGS:
                given = words if isinstance(value, list) else shlex.split(str(value))
                words = [str(folder / word) for word in given]
            yield key, shlex.join(words) if isinstance(value, list) or key == CATALOGS else words[0]
