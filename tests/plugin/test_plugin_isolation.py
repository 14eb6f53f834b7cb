"""What crashes, hangs, bloats or is killed: it is blamed, in results and sums, and the run goes on.

With real processes and signals. Each culprit stands beside checks that must be acquitted.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kernel_project import SEGFAULT, stat_of

from gradcheck.report import records

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals, and what /proc tells")


def has_ended(pid):
    """Whether a process ends within some seconds; of a zombie only the name is left."""
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        if not Path(f"/proc/{pid}").exists() or stat_of(pid)[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_more_than_eight_crashes_are_each_blamed_and_the_run_goes_on(kernels):
    kernels.cases("right", *["segfault"] * 9, "right")
    code, out = kernels.run()
    assert code == pytest.ExitCode.TESTS_FAILED
    crashes = [f"c{k}_segfault" for k in range(1, 10)]
    assert kernels.blame() == dict.fromkeys(crashes, SEGFAULT)
    assert set(kernels.verdicts()) == {"c0_right", *crashes, "c10_right"}
    assert "11 checks: 2 agree, 0 abstain, 0 known, 0 inaccurate, 9 disagree" in out
    assert re.search(r"  9  it crashes the process .*\n +cases/some.yaml::c1_segfault", out)
    assert 'kernels.py", line 13 in segfault' in out  # the stack


@pytest.mark.parametrize(
    ("kernel", "options", "blame"),
    [
        ("segfault", ("-n", "1"), SEGFAULT),
        ("leaves", (), "it ends the process that examines it, with exit code 0"),
        ("hangs", ("--gradcheck-time-limit", "20"), "it did not end within 20 s"),
        ("bloats", ("--gradcheck-memory-limit", "1"), "it takes more than 1 GiB of memory"),
        (
            "kills_itself",
            (),
            "the process that examines it was killed (SIGKILL), by hand or for its memory",
        ),
    ],
    ids=["segfault-worker", "leaves", "hangs", "bloats", "kills_itself"],
)
def test_the_culprit_is_blamed_and_the_others_are_acquitted(kernels, kernel, options, blame):
    kernels.cases(kernel, "right", "right")
    code, out = kernels.run(*options)
    assert (code, kernels.blame()) == (1, {f"c0_{kernel}": blame})
    assert set(kernels.verdicts()) == {f"c0_{kernel}", "c1_right", "c2_right"}
    assert "3 checks: 2 agree, 0 abstain, 0 known, 0 inaccurate, 1 disagree" in out
    assert f"  1  {blame}\n" in out


def test_what_is_well_within_the_limits_is_acquitted(kernels):
    kernels.cases("right")
    limits = ("--gradcheck-time-limit", "100", "--gradcheck-memory-limit", "4.5")
    assert kernels.run(*limits)[0] == 0


def test_a_check_whose_process_is_killed_by_hand_is_examined_again(kernels):
    kernels.cases("right", "waits_for_a_kill", "right")
    process = kernels.start()
    pid = int(kernels.wait_for("waiting"))
    (kernels.path / "killed").touch()
    os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=100)
    assert (process.returncode, kernels.blame(), len(kernels.verdicts())) == (0, {}, 3)


def test_a_crash_that_others_have_prepared_is_not_blamed_on_the_check_in_which_it_comes(kernels):
    kernels.cases("leaves_a_trace", "crashes_after_others")
    (kernels.path / "conftest.py").write_text(
        "import pathlib, subprocess\n"
        "start = subprocess.Popen.__init__\n"
        "def afresh(self, *given, **named):\n"
        "    pathlib.Path('examined').unlink(missing_ok=True)\n"
        "    start(self, *given, **named)\n"
        "subprocess.Popen.__init__ = afresh\n"
    )
    code, out = kernels.run()
    assert (code, kernels.blame()) == (0, {}), out


def test_a_check_whose_worker_is_killed_is_blamed_and_the_others_go_on(kernels):
    kernels.cases("right", "waits_for_a_kill", "right", "right")
    process = kernels.start("-n", "2")
    examiner = int(kernels.wait_for("waiting"))
    (kernels.path / "killed").touch()
    os.kill(stat_of(examiner)[1], signal.SIGKILL)
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 1
    assert kernels.blame() == {"c1_waits_for_a_kill": "the worker that had it examined died"}
    assert "4 checks: 3 agree, 0 abstain, 0 known, 0 inaccurate, 1 disagree" in out
    assert has_ended(examiner)


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "workers"])
def test_after_a_kill_of_the_controller_nothing_runs_on_and_the_rest_is_resumed(kernels, options):
    kernels.cases("right", "right", "waits_for_a_kill", "right")
    process = kernels.start(*options)
    examiner = int(kernels.wait_for("waiting"))
    kernels.wait_for_a_result()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=100)
    assert has_ended(examiner)
    done = kernels.verdicts()
    assert "c2_waits_for_a_kill" not in done
    (kernels.path / "killed").touch()
    code, out = kernels.run("--gradcheck-resume", "out", *options)
    assert (code, len(records.read(kernels.path / "out"))) == (0, 4), out
    assert f"{len(done)} of them in the results that were there" in out
    assert "4 checks: 4 agree" in out


def test_ctrl_c_ends_a_check_that_hangs_and_keeps_what_had_ended(kernels):
    kernels.cases("right", "waits_for_a_kill")
    process = kernels.start()
    examiner = int(kernels.wait_for("waiting"))
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=100)
    assert (process.returncode, kernels.verdicts()) == (2, {"c0_right": "agree"})
    assert "Traceback" not in out
    assert has_ended(examiner)


def can_mount():
    tried = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(tried, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


SMALL_DISK = """
mkdir out && mount -t tmpfs -o size=4k tmpfs out || exit 77
"$@"; code=$?
cp -r out kept
exit $code
"""


@pytest.mark.skipif(not can_mount(), reason="a small file system cannot be mounted here")
@pytest.mark.parametrize(("count", "code"), [(8, 3), (2, 0)])
def test_on_a_full_disk_the_run_ends_and_keeps_what_fitted(kernels, count, code):
    kernels.cases(*["right"] * count)
    found, out = kernels.run(within=("unshare", "-rm", "sh", "-c", SMALL_DISK, "sh"))
    assert found == code, out
    kept = records.read(kernels.path / "kept")
    assert 2 <= len(kept) <= 4
    assert out.count("cannot be written: No space left on device") == (code == 3)
    assert "Traceback" not in out
