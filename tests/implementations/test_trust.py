"""Modules in a project's root are found while they are on trial, and never else."""

import importlib
import sys

import pytest

from gradcheck.implementations.trust import ProjectModules

CODE = """
import my_helper

def lazy():
    import my_late_helper
    return my_late_helper.number
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "my_ops.py").write_text(CODE)
    (tmp_path / "my_helper.py").write_text("")
    (tmp_path / "my_late_helper.py").write_text("number = 3\n")
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").write_text("")
    (tmp_path / "my_package" / "ops.py").write_text("")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


MODULES = ("my_ops", "my_helper", "my_package", "my_package.ops")


@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_the_root_is_found_while_it_is_in_use(root, name):
    with ProjectModules(root).in_use():
        assert importlib.import_module(name).__file__.startswith(str(root))


@pytest.mark.parametrize("name", MODULES)
def test_it_is_unknown_before_and_after(root, name):
    modules = ProjectModules(root)
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)
        with modules.in_use():
            importlib.import_module(name)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(name)


def test_a_module_is_loaded_once(root):
    modules = ProjectModules(root)
    with modules.in_use():
        first = importlib.import_module("my_ops")
    with modules.in_use():
        assert importlib.import_module("my_ops") is first


def test_a_call_may_import_more_while_the_root_is_in_use(root):
    modules = ProjectModules(root)
    with modules.in_use():
        lazy = importlib.import_module("my_ops").lazy
    with modules.in_use():
        assert lazy() == 3
    with pytest.raises(ModuleNotFoundError, match="my_late_helper"):
        lazy()


def test_what_the_project_finds_by_itself_is_left_to_it(root, monkeypatch):
    monkeypatch.syspath_prepend(root)
    with ProjectModules(root).in_use():
        found = importlib.import_module("my_ops")
    assert importlib.import_module("my_ops") is found


def test_what_the_project_comes_to_find_by_itself_counts_from_then_on(root, monkeypatch):
    modules = ProjectModules(root)
    with modules.in_use():
        importlib.import_module("my_ops")
    monkeypatch.syspath_prepend(root)
    found = importlib.import_module("my_ops")
    with modules.in_use():
        assert importlib.import_module("my_ops") is found
    assert sys.modules["my_ops"] is found


def test_the_root_stands_behind_everything_else(root):
    (root / "json.py").write_text("raise SystemExit(9)\n")
    (root / "hypothesis.py").write_text("raise SystemExit(9)\n")
    with ProjectModules(root).in_use():
        assert not importlib.import_module("json").__file__.startswith(str(root))
        assert not importlib.import_module("hypothesis").__file__.startswith(str(root))


def test_neither_path_nor_finders_are_changed_by_an_error(root):
    path, finders = list(sys.path), list(sys.meta_path)
    with pytest.raises(ZeroDivisionError), ProjectModules(root).in_use():
        raise ZeroDivisionError
    assert (sys.path, sys.meta_path) == (path, finders)
