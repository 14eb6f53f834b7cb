"""Ctrl-C, sent for real: it ends what runs, with exit code 2, what had ended kept, no traceback."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gradcheck.report import records

posix = pytest.mark.skipif(os.name != "posix", reason="signals are sent to a process")
pytestmark = posix

ROOT = str(Path(__file__).parent.parent)
CHECK = ("check", "x**2 + sin(x)", "--input", "x=real")
EXPLAIN = ("explain", "x**2 + sin(x)", "--at", "x=3")

SENT_AT_AN_IMPORT = """
import os, runpy, signal, sys
left = int(sys.argv[1])
def watch(event, arguments):
    global left
    if event == "import":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGINT)
sys.argv = ["gradcheck", *sys.argv[2:]]
import gradcheck.__main__
sys.addaudithook(watch)
gradcheck.__main__.main()
"""
"""The n-th import is a moment that does not depend on the machine, the first ones come at once."""

SWALLOWED = """
import gc, os, signal, sys
def callback(phase, info):
    if "gradcheck.run.observation" in sys.modules:
        gc.callbacks.remove(callback)
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass  # where Python raises KeyboardInterrupt, and loses it
gc.callbacks.append(callback)
"""


def python(program, *arguments, folder=None):
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
    )


TAKEN_BY_A_THREAD = """
import os, signal, threading
from gradcheck.interruption import Deferred
taken, told = os.pipe()
os.set_blocking(told, False)
signal.set_wakeup_fd(told)  # Python writes there when a signal has come
end = threading.Event()
thread = threading.Thread(target=end.wait)
thread.start()
try:
    with Deferred():
        {send}
        for _ in range(100_000):
            pass  # where Python raises KeyboardInterrupt, if it does
        print("the block ended")
    print("nothing raised")
except KeyboardInterrupt:
    print("raised")
finally:
    end.set()
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


@pytest.mark.parametrize(
    ("send", "then"),
    [
        ("signal.pthread_kill(thread.ident, signal.SIGINT); os.read(taken, 1)", "raised"),
        ("pass", "nothing raised"),
    ],
)
def test_what_is_deferred_waits_for_the_end_of_the_block(send, then):
    done = python(TAKEN_BY_A_THREAD.format(send=send))
    assert done.stdout.splitlines() == ["the block ended", then, "True"]


@pytest.mark.parametrize(
    ("command", "moment"),
    [
        *((CHECK, moment) for moment in (1, 2, 5, 20, 60, 150, 400)),
        *((EXPLAIN, moment) for moment in (150, 400)),  # up to there all commands begin alike
    ],
    ids=lambda given: given[0] if isinstance(given, tuple) else str(given),
)
def test_a_command_ends_at_every_moment_of_its_start(command, moment):
    done = python(SENT_AT_AN_IMPORT, moment, *command)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "interrupted\n")


@pytest.mark.parametrize("command", [CHECK, EXPLAIN], ids=lambda words: words[0])
def test_a_command_ends_although_a_callback_would_swallow_it(command):
    program = f"{SWALLOWED}\nimport gradcheck.__main__\ngradcheck.__main__.main()"
    done = python(program, *command)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "interrupted\n")


def test_such_a_callback_does_swallow_what_python_raises():
    program = (
        f"import sys\nsys.modules['gradcheck.run.observation'] = sys\n{SWALLOWED}\ngc.collect()\n"
    )
    done = python(program + "print('goes on')")
    assert (done.returncode, done.stdout) == (0, "goes on\n")
    assert "KeyboardInterrupt" in done.stderr


def started(*words, folder):
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ROOT},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def project(tmp_path):
    (tmp_path / "cases").mkdir()
    names = [f"c{number}" for number in range(60)]
    text = "\n".join(f"{name}: {{formula: x**2 + sin(x), inputs: {{x: real}}}}" for name in names)
    (tmp_path / "cases" / "many.yaml").write_text(text)
    return tmp_path


def interrupted_after(seconds, process):
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        *(((), seconds) for seconds in (0.3, 0.6, 1.2, 2.5, 5)),
        *((("-n", "2"), seconds) for seconds in (1, 2.5, 5)),
    ],
    ids=lambda given: "-".join(given) if isinstance(given, tuple) else str(given),
)
def test_a_run_ends_at_every_moment_without_a_traceback(project, options, seconds):
    words = ("gradcheck", "run", "cases", "--report", "out", *options)
    code, out, err = interrupted_after(seconds, started(*words, folder=project))
    assert "Traceback" not in out + err
    assert code == 2


def wait_for_lines(folder, count):
    give_up = time.monotonic() + 100
    while time.monotonic() < give_up:
        files = folder.glob("results-*.jsonl")
        if sum(file.read_bytes().count(b"\n") for file in files) >= count:
            return
        time.sleep(0.02)


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "workers"])
def test_what_had_ended_is_kept(project, options):
    process = started("pytest", "cases", "--gradcheck-report", "out", *options, folder=project)
    wait_for_lines(project / "out", 5)
    code, out, err = interrupted_after(0, process)
    assert (code, "Traceback" in out + err) == (2, False)
    assert 5 <= len(records.read(project / "out")) < 600
    assert "results: " in out


def test_a_run_ends_whose_workers_have_not_had_it(project):
    """As where a build server signals the process that it started, and no other."""
    words = ("gradcheck", "run", "cases", "--report", "out", "-n", "2")
    process = started(*words, folder=project)
    wait_for_lines(project / "out", 5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, "Traceback" in out + err) == (2, False)
    assert 5 <= len(records.read(project / "out")) < 840


def test_a_worker_that_it_ended_at_its_start_is_not_replaced(project):
    (project / "ended.py").write_text(
        "import os, signal, pytest\n"
        "@pytest.hookimpl(trylast=True)\n"
        "def pytest_sessionstart(session):\n"
        "    if getattr(session.config, 'workerinput', {}).get('workerid') == 'gw0':\n"
        "        os.kill(os.getppid(), signal.SIGINT)\n"
        "        os._exit(2)\n"
    )
    words = ("gradcheck", "run", "cases", "-n", "2", "--", "-p", "ended")
    process = started(*words, folder=project)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, "Traceback" in out + err) == (2, False)
    assert "replacing crashed worker" not in out


CONFTEST = """
import gc, os, signal
left = 5
def callback(phase, info):
    for _ in range(1000):
        pass  # where Python raises KeyboardInterrupt, and loses it
def pytest_runtest_call(item):
    global left
    left -= 1
    if left == 0:
        gc.callbacks.append(interrupt)
        gc.collect()
        gc.callbacks.remove(interrupt)
def interrupt(phase, info):
    if phase == "start":
        os.kill(os.getpid(), signal.SIGINT)
        callback(phase, info)
"""


def test_a_run_of_pytest_ends_after_the_check_in_which_a_callback_swallowed_it(project):
    (project / "conftest.py").write_text(CONFTEST)
    words = ("pytest", "-W", "error", "cases", "--gradcheck-report", "out")
    process = started(*words, folder=project)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, "Traceback" in out + err) == (2, False)
    assert len(records.read(project / "out")) in (4, 5)


def test_between_the_phases_of_a_test_pytests_own_work_is_done_before_the_run_ends(project):
    """Parted there, pytest leaves a generator open, and a traceback when that is thrown away."""
    (project / "conftest.py").write_text(
        "import os, pathlib, signal\n"
        "def pytest_runtest_logreport(report):\n"
        "    if report.when == 'call':\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        for _ in range(1000): pass\n"
        "        pathlib.Path('reported').touch()\n"
    )
    process = started("pytest", "cases", "--gradcheck-report", "out", folder=project)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, "Traceback" in out + err) == (2, False)
    assert (project / "reported").exists()
    assert len(records.read(project / "out")) == 1


def test_a_run_ends_that_is_interrupted_where_the_code_has_no_line(project):
    (project / "conftest.py").write_text(
        "import types\n"
        "def interrupted(item):\n"
        "    raise KeyboardInterrupt\n"
        "code = interrupted.__code__.replace(co_linetable=b'')\n"
        "pytest_runtest_call = types.FunctionType(code, globals())\n"
    )
    process = started("pytest", "cases", folder=project)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, "Traceback" in out + err) == (2, False)


def test_a_second_one_while_the_run_is_wound_up_leaves_no_traceback(project):
    (project / "conftest.py").write_text(
        "import os, signal\n"
        "def pytest_terminal_summary():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "def pytest_runtest_logreport(report):\n"
        "    if report.when == 'call': os.kill(os.getpid(), signal.SIGINT)\n"
    )
    process = started("pytest", "cases", "--gradcheck-report", "out", folder=project)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, "Traceback" in out + err) == (2, False)


def test_a_project_without_a_catalog_keeps_pythons_handler(tmp_path):
    (tmp_path / "test_plain.py").write_text(
        "import signal\n"
        "def test_plain():\n"
        "    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    )
    process = started("pytest", "-q", folder=tmp_path)
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 0, out
