"""What the plugin loads: a project without a catalog must not feel that it is installed."""

import json
import subprocess
import sys

import pytest

LOADED = """
import json, sys, pytest
code = pytest.main(sys.argv[1:])
tops = {name.partition(".")[0] for name in sys.modules}
print(json.dumps(sorted(tops - sys.stdlib_module_names)), file=sys.stderr)
sys.exit(int(code))
"""


def loaded(project, *arguments):
    """The top modules, but for the standard library's, that a run of pytest has loaded."""
    (project.path / "conftest.py").unlink(missing_ok=True)
    command = [sys.executable, "-c", LOADED, "-q", "-p", "no:hypothesispytest", *arguments]
    done = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.fixture
def plain(project):
    project.write("test_plain.py", "def test_plain():\n    assert True\n")
    project.write("data/config.yaml", "f: {formula: x}\n")
    return project


def test_a_project_without_a_catalog_loads_nothing_but_the_plugin_itself(plain):
    without = loaded(plain, "-p", "no:gradcheck.plugin")
    assert loaded(plain, "-p", "gradcheck.plugin") - without == {"gradcheck"}


def test_foreign_yaml_costs_no_more_than_the_reading_of_it(plain):
    plain.write("cases/config.yaml", "model: {name: inputs}\n")
    found = loaded(plain, "-p", "gradcheck.plugin")
    assert "yaml" in found
    assert not {"flint", "numpy", "pydantic", "sympy", "torch"} & found


def test_the_loader_comes_with_the_first_catalog(plain):
    plain.write("cases/small.yaml", "f: {formula: x, inputs: {x: real}}\n")
    found = loaded(plain, "-p", "gradcheck.plugin", "--collect-only")
    assert {"flint", "numpy", "yaml"} <= found
    assert not {"torch", "sympy"} & found
