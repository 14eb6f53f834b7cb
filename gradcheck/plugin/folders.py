"""Which files of a project are catalogs, and what messages call them."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradcheck.catalog.text import KNOWN_FAILURES

_FOLDER = "cases"
_SUFFIXES = (".yaml", ".yml")
_MOST_FOLDERS = 2000  # looked at for the header, which is no reason to be slow


def is_catalog(path: Path, *, named: bool, config: pytest.Config) -> bool:
    """Whether a file is one of cases; ``named`` on the command line it is, wherever it lies."""
    if not is_catalog_name(path.name):
        return False
    return named or (path.suffix == _SUFFIXES[0] and _in_catalog(path.parent, config))


def is_catalog_name(name: str) -> bool:
    return name.endswith(_SUFFIXES) and not name.endswith(KNOWN_FAILURES)


def shown(path: Path, config: pytest.Config) -> str:
    """The path as a message names it: from where pytest was called, so that a click opens it."""
    try:
        return os.path.relpath(path, config.invocation_params.dir)
    except ValueError:  # another drive
        return str(path)


def catalogs_in_sight(config: pytest.Config) -> list[Path]:
    """The catalog folders below what pytest was asked to collect, for the header."""
    found: dict[Path, None] = {}
    for argument in config.args:
        path = (config.invocation_params.dir / argument.split("::")[0]).resolve()
        if path.is_file() and is_catalog(path, named=True, config=config):
            found[path.parent] = None
        found.update(dict.fromkeys(_catalogs_below(path, config)))
    return list(found)


def _catalogs_below(top: Path, config: pytest.Config) -> Iterator[Path]:
    unwanted = config.getini("norecursedirs")
    for count, (folder, subfolders, files) in enumerate(os.walk(top)):
        if count > _MOST_FOLDERS:
            return
        if "pyvenv.cfg" in files:
            subfolders.clear()
            continue
        subfolders[:] = sorted(
            name for name in subfolders if not any(fnmatch.fnmatch(name, bad) for bad in unwanted)
        )
        path = Path(folder)
        if any(is_catalog(path / name, named=False, config=config) for name in files):
            yield path


def _in_catalog(folder: Path, config: pytest.Config) -> bool:
    """Whether the folder lies in one named ``cases``, or in one that the ini file adds.

    Folders above the root are not looked at: a project may itself lie in somebody's ``cases``.
    """
    above = config.rootpath.parent
    parts = folder.relative_to(above).parts if folder.is_relative_to(above) else folder.parts
    added = config.getini("gradcheck_catalogs")
    return _FOLDER in parts or any(folder.is_relative_to(each) for each in added)
