"""Checks by the workers of a Dask scheduler: a real one, two workers, real kills and crashes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from kernel_project import ROOT, SEGFAULT, Kernels, stat_of

from gradcheck.report import records

pytest.importorskip("distributed", reason="the extra `dask` is not installed")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals, and what /proc tells")


class Machines:
    """A scheduler and two workers on this machine, and the project in which they work."""

    def __init__(self, path):
        self.project = Kernels(path)
        self.file = path / "scheduler.json"
        self.processes = [self._start("dask_scheduler", "--host", "127.0.0.1", "--port", "0")]
        self.processes += [
            self._start("dask_worker", "--nthreads", "1", "--no-nanny") for _ in range(2)
        ]

    def _start(self, program, *options):
        words = ("-m", f"distributed.cli.{program}", "--scheduler-file", self.file)
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", *words, "--no-dashboard", *options],
            cwd=self.project.path,
            env={**os.environ, "PYTHONPATH": ROOT},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def option(self):
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up and not self.file.exists():
            time.sleep(0.05)
        return "--gradcheck-scheduler", json.loads(self.file.read_text())["address"]

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    found = Machines(tmp_path_factory.mktemp("machines"))
    yield found
    found.close()


def told(project, folder):
    """What each record says of its check, whatever machine it is from."""
    return {
        each.id: (each.verdict, each.reason, each.blame, each.entries, each.ulps, each.block)
        for each in records.read(project.path / folder)
    }


def test_ctrl_c_ends_the_run_and_keeps_what_had_ended_and_the_rest_is_resumed(machines):
    project = machines.project
    project.cases("right", "waits_for_a_kill")
    process = project.start(*machines.option, "--gradcheck-report", "ended")
    examiner = int(project.wait_for("waiting"))
    project.wait_for_a_result("ended")
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=100)
    (project.path / "killed").touch()
    os.kill(examiner, signal.SIGKILL)  # the worker is still at it, and would be for a minute
    assert (process.returncode, project.verdicts("ended")) == (2, {"c0_right": "agree"}), out
    assert "Traceback" not in out
    options = ("--gradcheck-report", "ended", "--gradcheck-resume", "ended")
    code, out = project.run(*machines.option, *options)
    assert (code, len(records.read(project.path / "ended"))) == (0, 2), out
    assert "1 of them in the results that were there" in out


def test_a_worker_is_killed_and_a_check_crashes_and_all_is_as_without_a_scheduler(machines):
    project = machines.project
    for name in ("waiting", "killed"):
        (project.path / name).unlink(missing_ok=True)
    project.cases("segfault", "right", "waits_for_a_kill", "right", "right")
    process = project.start(*machines.option, "--gradcheck-report", "away")
    examiner = int(project.wait_for("waiting"))
    worker = stat_of(examiner)[1]
    (project.path / "killed").touch()
    os.kill(worker, signal.SIGKILL)
    out, _ = process.communicate(timeout=100)
    assert worker in [each.pid for each in machines.processes]
    assert (process.returncode, project.blame("away")) == (1, {"c0_segfault": SEGFAULT}), out
    assert "5 checks: 4 agree, 0 abstain, 0 known, 0 inaccurate, 1 disagree" in out
    assert project.run("--gradcheck-report", "here")[0] == 1
    assert told(project, "away") == told(project, "here")
