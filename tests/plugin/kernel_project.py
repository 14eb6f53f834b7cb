"""A project whose cases call kernels of which some crash, hang or bloat, and pytest in it."""

import os
import subprocess
import sys
import time
from pathlib import Path

from gradcheck.report import records

ROOT = str(Path(__file__).parent.parent.parent)

SEGFAULT = "it crashes the process that examines it (SIGSEGV, Segmentation fault)"

KERNELS = """
import ctypes
import os
import time
from pathlib import Path

import torch

def right(x):
    return x * x

def segfault(x):
    ctypes.string_at(0)

def leaves(x):
    os._exit(0)

def hangs(x):
    ctypes.PyDLL(None).pause()  # which keeps the interpreter's lock

def bloats(x):
    kept = [torch.ones(2**27) for _ in range(40)]  # 20 GiB

def waits_for_a_kill(x):
    if not Path("killed").exists():
        Path("waiting").write_text(str(os.getpid()))
        time.sleep(60)
    return x * x

def kills_itself(x):
    os.kill(os.getpid(), 9)

def crashes_after_others(x):
    if Path("examined").exists():
        ctypes.string_at(0)
    return x * x

def leaves_a_trace(x):
    Path("examined").touch()
    return x * x
"""


class Kernels:
    """A project whose cases call kernels, each named as its kernel; and pytest in it."""

    def __init__(self, path):
        self.path = path
        (path / "cases").mkdir()
        (path / "pytest.ini").touch()
        (path / "kernels.py").write_text(KERNELS)

    def cases(self, *kernels):
        lines = (
            f"c{k}_{kernel}: {{formula: x**2, inputs: {{x: real}}, function: kernels:{kernel}}}"
            for k, kernel in enumerate(kernels)
        )
        (self.path / "cases" / "some.yaml").write_text("\n".join(lines))

    def start(self, *options, within=()):
        words = ("cases", "-p", "no:cacheprovider", "--gradcheck-trust", "kernels")
        checks = ("--gradcheck-witness", "value", "--gradcheck-dtype", "float64")
        given = ("--gradcheck-points", "2", "--gradcheck-report", "out", *options)
        return subprocess.Popen(
            [*within, sys.executable, "-m", "pytest", *words, *checks, *given],
            cwd=self.path,
            env={**os.environ, "PYTHONPATH": ROOT},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *options, within=()):
        process = self.start(*options, within=within)
        out, _ = process.communicate(timeout=200)
        return process.returncode, out

    def verdicts(self, folder="out"):
        return {each.case: each.verdict for each in records.read(self.path / folder)}

    def blame(self, folder="out"):
        found = records.read(self.path / folder)
        return {each.case: each.blame for each in found if each.verdict != "agree"}

    def wait_for_a_result(self, folder="out"):
        give_up = time.monotonic() + 100
        files = self.path / folder
        while time.monotonic() < give_up and not any(f.stat().st_size for f in files.glob("*")):
            time.sleep(0.02)

    def wait_for(self, name):
        give_up = time.monotonic() + 100
        while time.monotonic() < give_up and not (self.path / name).exists():
            time.sleep(0.02)
        time.sleep(0.1)
        return (self.path / name).read_text()


def stat_of(pid):
    """The state of a process, and its parent."""
    state, parent, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return state, int(parent)
