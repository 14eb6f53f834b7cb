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
import fake_run
sys.modules["gradcheck.run"] = fake_run

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
        lines = [f"{name}:\n  formula: x**2\n  inputs: {{x: real}}\n{extra}" for name in names]
        return self.write(file, "\n".join(lines))

    def run(self, *arguments):
        return self.pytester.runpytest_inprocess(*flags(), *arguments)

    def run_alone(self, *arguments):
        return self.pytester.runpytest_subprocess(*flags(), *arguments)

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


def line_count(folder):
    return sum(file.read_bytes().count(b"\n") for file in folder.glob("results-*.jsonl"))


@pytest.fixture
def project(pytester, monkeypatch):
    root = str(HERE.parent.parent)
    monkeypatch.setenv("PYTHONPATH", root)
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(name, raising=False)
    return Project(pytester)


@pytest.fixture
def kernels(tmp_path):
    return Kernels(tmp_path)
