"""One word for one thing: no public name is defined in two modules with two meanings."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gradcheck"

SLOTS = {
    "METHOD": "what each file of methods/ exports",
    "answer": "how each method answers",
    "register": "how each command of cli/ is added to the command line",
    "main": "__main__ calls the command line's",
    "TYPE_CHECKING": "Python's own, without the cost of importing typing",
}
"""Names that stand for the same in each of their modules, and what that is."""


def defined_in(text: str) -> set[str]:
    """The public names that a module's text defines at its top; imported ones are not."""
    found: set[str] = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            parts = (part for target in targets for part in ast.walk(target))
            found |= {part.id for part in parts if isinstance(part, ast.Name)}
    return {name for name in found if not name.startswith("_")}


def names_with_two_homes(package: Path) -> dict[str, list[str]]:
    """Each name that several modules define, with these."""
    homes: dict[str, list[str]] = defaultdict(list)
    for path in sorted(package.rglob("*.py")):
        for name in defined_in(path.read_text("utf-8")):
            homes[name].append(path.relative_to(package).as_posix())
    return {name: modules for name, modules in homes.items() if len(modules) > 1}


def unexplained(homes: dict[str, list[str]]) -> dict[str, list[str]]:
    return {
        name: modules
        for name, modules in homes.items()
        if name not in SLOTS and not name.startswith("pytest_")  # pytest's hooks
    }


def test_no_public_name_has_two_homes():
    assert unexplained(names_with_two_homes(PACKAGE)) == {}


def test_every_slot_is_filled_more_than_once():
    assert SLOTS.keys() <= names_with_two_homes(PACKAGE).keys()


SECONDS = [
    "def drawn(): ...",
    "class drawn: ...",
    "drawn = 3",
    "drawn: int = 3",
    "other, drawn = 3, 4",
]


@pytest.mark.parametrize("text", SECONDS)
def test_a_second_home_is_found(tmp_path, text):
    (tmp_path / "first.py").write_text("def drawn(): ...\n")
    (tmp_path / "second.py").write_text(text)
    assert unexplained(names_with_two_homes(tmp_path)) == {"drawn": ["first.py", "second.py"]}


INNOCENTS = [
    "from first import drawn",
    "_drawn = 3",
    "def draw():\n    drawn = 3\n",
    "class Points:\n    def drawn(self): ...\n",
    "def pytest_configure(): ...",
    "METHOD = 3",
]


@pytest.mark.parametrize("text", INNOCENTS)
def test_an_import_a_private_name_and_a_slot_are_no_second_home(tmp_path, text):
    first = "def drawn(): ...\ndef pytest_configure(): ...\nMETHOD = 3\n"
    (tmp_path / "first.py").write_text(first)
    (tmp_path / "second.py").write_text(text)
    assert unexplained(names_with_two_homes(tmp_path)) == {}
