"""What is installed: the wheel holds the catalog, and every requirement has its pin."""

import re
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [
    requirement
    for requirement in map(Requirement, [*PROJECT["dependencies"], *chain(*EXTRAS.values())])
    if requirement.name != PROJECT["name"]
]
PINS = [
    line
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*build, "--directory", folder], cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def test_the_wheel_holds_every_file_of_the_catalog(wheel):
    shipped = {name for name in wheel.namelist() if name.startswith("gradcheck/cases/")}
    catalog = {f"gradcheck/{path.relative_to(ROOT)}" for path in (ROOT / "cases").rglob("*.yaml")}
    assert {"gradcheck/cases/tutorial.yaml", "gradcheck/cases/kernels/softmax.yaml"} <= catalog
    assert shipped == catalog


def test_the_wheel_holds_nothing_beside_the_package(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"gradcheck", f"gradcheck-{PROJECT['version']}.dist-info"}


@pytest.mark.parametrize(
    "name",
    [
        *("py.typed", "language/torch_names.txt", "coverage/reasons.tsv", "plugin/__init__.py"),
        *("report/layout.html", "report/page.html", "report/page.css", "report/page.js"),
    ],
)
def test_the_wheel_holds_what_is_no_case(wheel, name):
    assert f"gradcheck/{name}" in wheel.namelist()


def test_the_wheel_announces_the_command_and_the_plugin(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert wheel.read(name).decode().split() == [
        *("[console_scripts]", "gradcheck", "=", "gradcheck.__main__:main"),
        *("[pytest11]", "gradcheck.plugin", "=", "gradcheck.plugin"),
    ]


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_a_requirement_has_a_pin_that_meets_it(requirement):
    pins = {name.lower(): version for name, version in (line.split("==") for line in PINS)}
    assert Version(pins[requirement.name.lower()]) in requirement.specifier


PIN = re.compile(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*")


@pytest.mark.parametrize("line", PINS)
def test_a_pin_is_a_public_version(line):
    assert PIN.fullmatch(line)


@pytest.mark.parametrize(
    "line",
    ["torch==2.13.0+cpu", "torch>=2.6", "torch @ https://example.org/torch.whl", "-f wheels"],
)
def test_a_local_version_an_address_and_a_range_are_no_pins(line):
    assert not PIN.fullmatch(line)


LOCK = (ROOT / "requirements.lock").read_text("utf-8")
LOCKED = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK, re.MULTILINE))


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_ci_installs_by_hash_are_the_versions_that_are_pinned():
    pins = {normal(name): version for name, version in (line.split("==") for line in PINS)}
    apart = {
        name: version for name, version in LOCKED.items() if pins.get(name, version) != version
    }
    assert apart == {}
    wanted = {normal(each.name) for each in REQUIREMENTS} - {"torch", "expecttest", "triton"}
    assert wanted <= LOCKED.keys()


def test_what_ci_installs_by_hash_has_a_hash_each_and_no_address():
    entries = re.split(r"^(?=[a-z])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) == len(LOCKED) > 50
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in LOCK
