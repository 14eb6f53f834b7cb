"""The findings: each script still finds PyTorch wrong, and explains its known failures."""

import importlib.util
import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gradcheck.catalog.known_failures import load_known

ROOT = Path(__file__).parent.parent


def loaded(name):
    """A benchmark as a module; it stands in no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


findings = loaded("findings")
LISTED = findings.findings()
PAGE = (ROOT / "docs" / "findings.md").read_text("utf-8")


@pytest.mark.parametrize("number", range(len(LISTED)), ids=lambda number: LISTED[number].what)
def test_a_script_finds_pytorch_wrong(number):
    found = findings.result_of(LISTED[number])
    assert found.is_wrong, found


def test_a_script_that_finds_nothing_is_told():
    sine = findings.Finding(
        "torch.sin", "torch.sin", "1.", "reverse", "mp.cos(1)", 1, "it is right"
    )
    assert not findings.result_of(sine).is_wrong


@pytest.mark.parametrize("number", range(len(LISTED)), ids=lambda number: LISTED[number].what)
def test_the_page_has_each_script(number):
    script = "\n".join(f"   {line}" for line in LISTED[number].lines)
    assert f"   ```py\n{script}\n   ```\n" in PAGE


def test_the_readme_counts_as_the_page_does():
    counts = r"(\d+)\s+scripts[^.]*?,\s+for\s+(\d+)\s+functions.*? of\s+(\d+)[^.]*?notice\s+nothing"
    readme = (ROOT / "README.md").read_text("utf-8")
    told = [re.search(counts, text, re.DOTALL).groups() for text in (readme, PAGE)]
    assert told[0] == told[1]
    assert int(told[0][0]) == len(LISTED)


def test_each_known_failure_is_explained_by_a_finding():
    explained = {case for each in LISTED for case in each.cases}
    here = Version(version("torch"))
    known = {
        f"{each.file}::{each.case}"
        for each in load_known(ROOT / "cases")
        if SpecifierSet(each.when.get("torch", "")).contains(here, prereleases=True)
    }
    kernels = load_known(ROOT / "cases/kernels")
    known |= {f"kernels/{each.file}::{each.case}" for each in kernels}
    assert explained == known
