"""A witness cannot vanish unnoticed, and reading the declarations costs no torch."""

import subprocess
import sys
from importlib import import_module

import pytest

from gradcheck.methods import DEFAULT_WITNESSES, METHODS, WITNESSES, declared

PLANNED = (
    "value",
    "reverse",
    "functional",
    "forward",
    "contract",
    "compiled",
    "inductor",
    "second",
    "third",
    "gradcheck",
)


def test_these_are_among_the_witnesses_and_are_planned_in_this_order():
    assert tuple(name for name in WITNESSES if name in PLANNED) == PLANNED


def test_what_is_too_dear_is_asked_only_by_name():
    assert set(WITNESSES) - set(DEFAULT_WITNESSES) == {"compiled", "inductor"}


@pytest.mark.parametrize("name", WITNESSES)
def test_every_file_declares_the_witness_that_it_is(name):
    module = import_module(f"gradcheck.methods.{name}")
    assert METHODS[name] == module.METHOD
    assert module.METHOD.name == name
    assert callable(module.answer)


@pytest.mark.parametrize("name", ["_torch", "contracts", "os"])
def test_nothing_else_is_a_witness(name):
    assert name not in METHODS


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "declares no method"),
        ("METHOD = None", "declares no method"),
        ("METHOD = Method(name=NAME)", "malformed node"),
    ],
    ids=["nothing", "another thing", "a name that only running the file would tell"],
)
def test_a_file_without_a_declaration_of_literals_is_refused(tmp_path, text, found):
    path = tmp_path / "culprit.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=found):
        declared(path)


def test_reading_the_declarations_imports_no_torch():
    code = "import sys, gradcheck.methods as m; assert m.METHODS; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
