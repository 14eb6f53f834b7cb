"""The tutorial says what its Python prints; its notebook and its pictures are of the same text."""

import json
import re
import sys
from pathlib import Path

import pytest

from gradcheck.cli.app import main

DOCS = Path(__file__).parent.parent / "docs"
sys.path.insert(0, str(DOCS))
import tutorial  # noqa: E402 - it stands beside the page that it writes

PAGE = (DOCS / "tutorial.md").read_text("utf-8")
CELLS = json.loads((DOCS / "tutorial.ipynb").read_text("utf-8"))["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def blocks():
    return tutorial.printed(PAGE)


def test_each_block_prints_what_the_page_says(blocks):
    assert len(blocks) > 12
    assert [said for _, said, _ in blocks] == [out for _, _, out in blocks]


def test_another_output_would_be_noticed():
    ((_, said, out),) = tutorial.printed("```python\nprint(2)\n```\n\n```text\n3\n```\n")
    assert (said, out) == ("3\n", "2\n")


def test_the_notebook_is_of_the_page_and_its_cells_are_the_blocks_that_were_run(blocks):
    assert tutorial.notebook(PAGE) == (DOCS / "tutorial.ipynb").read_text("utf-8")
    assert [code.rstrip("\n") for code, _, _ in blocks] == CODE


PICTURES = {arguments[-1]: arguments for arguments in tutorial.plots(PAGE)}


def test_every_picture_of_the_page_has_its_command():
    shown = re.findall(r"\]\((pictures/\w+\.svg)\)", PAGE)
    assert {f"docs/{name}" for name in shown} == PICTURES.keys()
    assert {path.name for path in (DOCS / "pictures").iterdir()} == {
        Path(name).name for name in PICTURES
    }


def words_of(svg):
    """What a picture says, without its numbers, which a processor may round otherwise."""
    return [text for text in re.findall(r"<text[^>]*>([^<]*)", svg) if re.search("[A-Za-z]", text)]


def drawn(arguments, file):
    with pytest.raises(SystemExit) as ending:
        main([*arguments[:-1], str(file)])
    assert ending.value.code == 0
    return file.read_text("utf-8")


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_what_its_command_draws(tmp_path, name):
    new = drawn(PICTURES[name], tmp_path / "new.svg")
    assert words_of(new) == words_of((DOCS.parent / name).read_text("utf-8"))
    assert len(words_of(new)) > 3
