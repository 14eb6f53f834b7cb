"""The command line in this process: what it prints, and the code it ends with."""

import os
from dataclasses import dataclass

import pytest

from gradcheck.cli.app import main

STORAGE = "HYPOTHESIS_STORAGE_DIRECTORY"


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys, monkeypatch):
    monkeypatch.setenv(STORAGE, os.environ.get(STORAGE, ".hypothesis"))

    def run(*arguments):
        with pytest.raises(SystemExit) as ending:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Ended(int(ending.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def catalog(tmp_path, monkeypatch):
    """A folder `cases` with one sound file, in the current folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cases"
    folder.mkdir()
    (folder / "small.yaml").write_text(
        "square:\n"
        "  summary: the square\n"
        "  formula: x**2\n"
        "  inputs: {x: real}\n"
        "  torch: [x**2, x * x]\n"
        "  points:\n"
        "    - {at: {x: 3}, value: 9, gradient: {x: 6}}\n"
        "power:\n"
        "  formula: x**k\n"
        "  inputs: {x: positive}\n"
        "  sweep: {k: [2, 3]}\n"
        "  order: 1\n"
    )
    return folder
