"""A witness cannot vanish unnoticed, and finding the names costs no torch."""

import subprocess
import sys

import pytest

from gradcheck.catalog.witness_names import WITNESSES
from gradcheck.methods import NAMES, witness


def test_these_are_the_witnesses():
    assert NAMES == ("forward", "gradcheck", "reverse", "second", "value")


def test_the_catalog_knows_the_same():
    assert sorted(WITNESSES) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_witness_testifies(name):
    assert callable(witness(name).testify)


@pytest.mark.parametrize("name", ["stand", "functional", "os"])
def test_nothing_else_is_a_witness(name):
    with pytest.raises(KeyError, match="no witness"):
        witness(name)


def test_finding_the_names_imports_no_torch():
    code = "import sys, gradcheck.methods as w; assert w.NAMES; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
