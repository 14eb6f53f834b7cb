"""Each module imports only from the floors below its own, or from its own room."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
FLOORS = (
    {"cache", "errors", "dtypes", "interruption", "query"},
    {"answer", "cluster", "spelling"},
    {"language", "ops", "devices", "floats", "randomness"},
    {"graph"},
    {"reference"},
    {"judge"},
    {"methods"},
    {"catalog"},
    {"implementations"},
    {"points"},
    {"report"},
    {"run", "strategies"},
    {"diagnosis"},
    {"benchmark", "coverage", "explanation", "fuzzing", "mutation"},
    {"plugin", "cli", "verification", "presentation"},
)
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}

LAZY = "import_module"  # imports what a text names
DOORS = {"__init__.py", "__main__.py"}  # the package's own: they open to what users call


def modules_of(package: Path) -> list[Path]:
    doors = {package / name for name in DOORS}
    return sorted(path for path in package.rglob("*.py") if path not in doors)


PACKAGE = REPOSITORY / "gradcheck"
MODULES = modules_of(PACKAGE)


def room_of(module: Path, package: Path = PACKAGE) -> str:
    return module.relative_to(package).parts[0].removesuffix(".py")


def names_imported_by(module: Path) -> set[str]:
    """The dotted names of every import, wherever it stands, those by ``import_module`` too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(LAZY):
            found |= {each.value for each in node.args if isinstance(each, ast.Constant)}
    return found


def rooms_used_by(module: Path, package: Path = PACKAGE) -> set[str]:
    dotted = [name.split(".") for name in names_imported_by(module)]
    used = {parts[1] for parts in dotted if parts[0] == "gradcheck" and len(parts) > 1}
    return (used & FLOOR.keys()) - {room_of(module, package)}


def too_high_for(module: Path, package: Path = PACKAGE) -> set[str]:
    level = FLOOR[room_of(module, package)]
    return {used for used in rooms_used_by(module, package) if FLOOR[used] >= level}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_floors_below_its_own(module):
    too_high = too_high_for(module)
    assert not too_high, f"{module.name}: may not import {sorted(too_high)}"


def test_every_module_stands_on_a_floor():
    assert {room_of(module) for module in MODULES} == FLOOR.keys()


def test_there_is_something_to_look_at():
    assert len(MODULES) > len(FLOOR)


@pytest.fixture
def package(tmp_path):
    for room in ("graph", "points"):
        (tmp_path / "gradcheck" / room).mkdir(parents=True)
    return tmp_path / "gradcheck"


CULPRITS = (
    "from gradcheck.points.plan import draw",
    "from gradcheck.points import batches",
    "from gradcheck import points",
    "import gradcheck.points.plan",
    "import gradcheck.points as them",
    "def draw():\n    from gradcheck.points.plan import draw\n",
    "import_module('gradcheck.points.plan')",
    "importlib.import_module('gradcheck.points')",
)


@pytest.mark.parametrize("text", CULPRITS)
@pytest.mark.parametrize("name", ["tape.py", "__init__.py"])
def test_an_import_from_above_is_convicted(package, name, text):
    culprit = package / "graph" / name
    culprit.write_text(text)
    assert too_high_for(culprit, package)


def test_an_import_from_another_room_of_the_same_floor_is_convicted(package):
    culprit = package / "language.py"
    culprit.write_text("from gradcheck.ops.balls import working")
    assert too_high_for(culprit, package) == {"ops"}


INNOCENTS = (
    "from gradcheck.errors import ExpressionError",
    "from gradcheck import errors",
    "from gradcheck.language.nodes import Node",
    "import numpy as np",
    "from torch.autograd import gradcheck",
    "'a text that speaks of gradcheck.points and does not import it'",
)


@pytest.mark.parametrize("text", INNOCENTS)
def test_an_import_from_below_or_from_the_own_room_is_acquitted(package, text):
    innocent = package / "graph" / "tape.py"
    innocent.write_text(text)
    assert not too_high_for(innocent, package)


HEAVY = {"torch", "sympy", "hypothesis"}


def heavy_imports_of(module: str) -> set[str]:
    """The heavy libraries that a fresh interpreter has loaded once it has imported ``module``."""
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    return HEAVY & set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "gradcheck",
        "gradcheck.catalog.checks",
        "gradcheck.catalog.load",
        "gradcheck.catalog.known_failures",
        "gradcheck.cli.app",
        "gradcheck.catalog.domain",
        "gradcheck.ops.table",
        "gradcheck.plugin",
    ],
)
def test_what_collects_lists_and_validates_imports_nothing_heavy(module):
    assert not heavy_imports_of(module)


def test_a_heavy_import_is_noticed():
    assert "torch" in heavy_imports_of("gradcheck.methods.reverse")
