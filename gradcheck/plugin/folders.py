"""Which files of a project are catalogs, and what messages call them."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gradcheck.catalog.text import LISTS, SUFFIXES, absolute_path
from gradcheck.plugin.options import CATALOGS
from gradcheck.plugin.session import names_paths

_FOLDER = "cases"
_MOST_FOLDERS = 2000  # looked at for the header, which is no reason to be slow


@dataclass(frozen=True, slots=True)
class Sight:
    """What lies below the paths that pytest was asked to collect, for the header.

    ``catalogs`` are folders; ``foreign`` maps each YAML file that is passed over to the reason.
    """

    catalogs: tuple[Path, ...]
    foreign: dict[Path, str]


_REASONS = pytest.StashKey[dict[Path, str]]()
_TAKEN = pytest.StashKey[tuple[Path, ...]]()
_SIGHT = pytest.StashKey[Sight]()


def is_catalog(path: Path, *, named: bool, config: pytest.Config) -> bool:
    """Whether a file is collected; one that is ``named`` on the command line always is.

    So is each YAML file of a folder that is taken whole. Of the catalog folders only those files
    are that look like a catalog.
    """
    if not is_catalog_name(path.name):
        return False
    if named or any(path.is_relative_to(folder) for folder in _taken_whole(config)):
        return True
    return _in_catalog(path.parent, config) and not _why_foreign(path, config)


def is_catalog_name(name: str) -> bool:
    """Whether a file may be a catalog; never one whose name would steer the reader's terminal."""
    return name.endswith(SUFFIXES) and name not in LISTS and name.isprintable()


def shown(path: Path, config: pytest.Config) -> str:
    """The path as a message names it: from where pytest was called, so that a click opens it."""
    try:
        return os.path.relpath(path, config.invocation_params.dir)
    except ValueError:  # another drive
        return str(path)


def asked_of(file: Path, config: pytest.Config) -> list[str]:
    """Return what the command line names in a file: the NAME of each ``FILE::NAME``."""
    split = (argument.partition("::") for argument in config.args)
    return [name for path, _, name in split if name and as_of_items(path, config) == file]


def in_sight(config: pytest.Config) -> Sight:
    """Return what is there to collect; found out once."""
    if _SIGHT not in config.stash:
        found: dict[Path, None] = {}
        for top in _asked(config):
            if top.is_file() and is_catalog(top, named=True, config=config):
                found[top.parent] = None
            for path in _yaml_below(top, config):
                if is_catalog(path, named=False, config=config):
                    found[path.parent] = None
        reasons = config.stash.get(_REASONS, {})
        foreign = {path: reason for path, reason in reasons.items() if reason}
        config.stash[_SIGHT] = Sight(tuple(found), foreign)
    return config.stash[_SIGHT]


def _asked(config: pytest.Config) -> Iterator[Path]:
    return (as_of_items(argument.partition("::")[0], config) for argument in config.args)


def as_of_items(path: str, config: pytest.Config) -> Path:
    """Return a path of the command line as pytest's items have it."""
    return absolute_path(config.invocation_params.dir / path)


def _taken_whole(config: pytest.Config) -> tuple[Path, ...]:
    """The folders in which everything is to be a catalog, since the command line names them."""
    if _TAKEN not in config.stash:
        named = dict.fromkeys(_asked(config)) if names_paths(config) else ()
        config.stash[_TAKEN] = tuple(path for path in named if _is_meant(path, config))
    return config.stash[_TAKEN]


def _is_meant(folder: Path, config: pytest.Config) -> bool:
    """Whether who names a folder means its case files: it holds some, and no Python tests.

    Where a folder below is a catalog of its own, that one is meant, and not all of the YAML.
    """
    patterns = config.getini("python_files")
    for _, files in _walk(folder, config):
        if any(fnmatch.fnmatch(name, pattern) for name in files for pattern in patterns):
            return False
    if _in_catalog(folder, config):
        return True
    paths = list(_yaml_below(folder, config))
    below = any(_in_catalog(path.parent, config) for path in paths)
    return not below and not all(_why_foreign(path, config) for path in paths)


def _yaml_below(top: Path, config: pytest.Config) -> Iterator[Path]:
    for folder, files in _walk(top, config):
        yield from (folder / name for name in sorted(files) if is_catalog_name(name))


def _walk(top: Path, config: pytest.Config) -> Iterator[tuple[Path, list[str]]]:
    """The folders that pytest would look into, with the names of their files."""
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
        yield Path(folder), files


def _in_catalog(folder: Path, config: pytest.Config) -> bool:
    """Whether the folder lies in one of the ini file's; where it names none, in a ``cases``.

    Folders above the root are not looked at: a project may itself lie in somebody's ``cases``.
    """
    catalogs = config.getini(CATALOGS)
    if catalogs is not None:
        return any(folder.is_relative_to(each) for each in catalogs)
    above = config.rootpath.parent
    return _FOLDER in (folder.relative_to(above) if folder.is_relative_to(above) else folder).parts


def _why_foreign(path: Path, config: pytest.Config) -> str:
    reasons = config.stash.setdefault(_REASONS, {})
    if path not in reasons:
        # PyYAML, which a project without such a file need not pay for.
        from gradcheck.catalog.recognition import why_foreign

        reasons[path] = why_foreign(path) if path.is_file() else "it is no regular file"
    return reasons[path]
