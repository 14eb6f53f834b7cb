"""The field trial is of what its document says: so many functions, at these versions."""

import re
from pathlib import Path

import pytest

from gradcheck.catalog.load import load

REPOSITORY = Path(__file__).parent.parent
TEXT = (REPOSITORY / "docs" / "field.md").read_text("utf-8")
ROWS = re.findall(r"^\| ([\w-]+) \| ([\d.]+(?:post\d+)?) \| (\d+) \|", TEXT, re.M)
FILES = sorted((REPOSITORY / "field").glob("*.yaml"))
PINS = (REPOSITORY / "field" / "requirements.txt").read_text("utf-8").splitlines()


def test_each_library_has_a_file_of_as_many_cases_as_the_document_says():
    found = {path.stem: len(list(load(path))) for path in FILES}
    stated = {name.replace("-", "_"): int(count) for name, _, count in ROWS}
    stated["liger"] = stated.pop("liger_kernel")
    assert found == stated


def test_the_document_counts_what_it_lists():
    said = re.search(r"(\d+) functions of (\d+)\nlibraries", TEXT)
    assert said is not None
    assert (int(said[1]), int(said[2])) == (sum(int(count) for *_, count in ROWS), len(ROWS))


@pytest.mark.parametrize(("name", "version"), [row[:2] for row in ROWS])
def test_a_library_is_installed_at_the_version_of_the_document(name, version):
    assert f"{name}=={version}" in PINS
