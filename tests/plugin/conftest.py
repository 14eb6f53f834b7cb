"""A project with a catalog, in which the plugin runs with a stand-in for what examines."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import hypothesis
import pytest
import torch
from kernel_project import Kernels

import gradcheck.plugin.collect
import gradcheck.plugin.short
from gradcheck.report import records

STAY_LOADED = (hypothesis, torch, gradcheck.plugin.collect)
"""Pytester forgets the modules that a run imports; these are slow to import again, or cannot be."""

HERE = Path(__file__).parent

CONFTEST = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
import fake_diagnosis
sys.modules["gradcheck.diagnosis"] = fake_diagnosis

from gradcheck.plugin import session
REAL = session.prepare_torch
def pytest_configure():
    session.prepare_torch = lambda devices, worker: None  # the stand-in needs no torch
def pytest_unconfigure():
    session.prepare_torch = REAL
"""


class Project:
    """A folder with case files, and pytest called in it."""

    def __init__(self, pytester):
        self.pytester = pytester
        self.path = pytester.path
        pytester.makeconftest(CONFTEST)

    def add_to_conftest(self, text):
        path = self.path / "conftest.py"
        path.write_text(f"{path.read_text(encoding='utf-8')}\n{text}", encoding="utf-8")

    def write(self, name, text):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def cases(self, *names, file="cases/small.yaml", extra=""):
        return self.write(file, case_text(*names, extra=extra))

    def run(self, *arguments):
        return self.pytester.runpytest_inprocess(*flags(), *arguments)

    def run_alone(self, *arguments):
        return self.pytester.runpytest_subprocess(*flags(), *arguments)

    def run_with(self, workers, *arguments):
        """In this process, or with workers, which are processes of their own."""
        return (self.run_alone if workers else self.run)(*workers, *arguments)

    def ids(self, *arguments):
        """The ids that are collected, in order."""
        result = self.run("--collect-only", "-q", *arguments)
        return [line for line in result.outlines if "::" in line and not line.startswith("ERROR")]

    def results(self, folder="out"):
        return [records.as_json(each) for each in records.read(self.path / folder)]

    def run_until_killed(self, *arguments, lines):
        """Kill pytest and its workers as soon as the results in `out` have so many lines."""
        command = [sys.executable, "-m", "pytest", *flags(), *arguments]
        process = subprocess.Popen(
            command, cwd=self.path, start_new_session=True, stdout=subprocess.DEVNULL
        )
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up and line_count(self.path / "out") < lines:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def flags():
    """Checks are run where the stand-in is: tests/plugin/test_plugin_isolation.py has real ones."""
    plugins = ("-p", "gradcheck.plugin", "-p", "gradcheck.plugin.short", "-p", "no:cacheprovider")
    return (*plugins, "--in-process")


def case_text(*names, extra=""):
    lines = [f"{name}:\n  formula: x**2\n  inputs: {{x: real}}\n{extra}" for name in names]
    return "\n".join(lines)


def line_count(folder):
    return sum(file.read_bytes().count(b"\n") for file in folder.glob("results-*.jsonl"))


OUTER = ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT")
ROOT = str(HERE.parent.parent)


@pytest.fixture
def project(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ROOT)
    for name in OUTER:
        monkeypatch.delenv(name, raising=False)
    return Project(pytester)


@pytest.fixture(scope="module")
def run_once(tmp_path_factory):
    """Calls pytest in a project of such cases and files, for all tests of a module; says where."""

    def run(cases, files, *arguments):
        folder = tmp_path_factory.mktemp("project")
        (folder / "cases").mkdir()
        texts = {"conftest.py": CONFTEST, "cases/small.yaml": case_text(*cases), **files}
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        kept = {name: value for name, value in os.environ.items() if name not in OUTER}
        with (folder / "out.txt").open("w") as out:
            subprocess.run(
                [sys.executable, "-m", "pytest", *flags(), *arguments],
                check=False,
                cwd=folder,
                env={**kept, "PYTHONPATH": ROOT, "COLUMNS": "200"},
                stdout=out,
            )
        return folder

    return run


@pytest.fixture
def kernels(tmp_path):
    return Kernels(tmp_path)
