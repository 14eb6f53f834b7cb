"""`gradcheck mutate`: what it prints, its complaints, and what Ctrl-C and a kill leave."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest

from gradcheck.mutation import campaign

CASES = """\
cube: {formula: x**3, inputs: {x: real}, torch: x * x * x}
slope: {formula: 3*x, inputs: {x: real}, torch: 3 * x}
"""
KINDS = "backward: sign,call: input with an offset,second: zero"
QUICK = ("--kinds", KINDS, "--witness", "reverse,second", "--points", "8")


@pytest.fixture
def two_cases(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "two.yaml").write_text(CASES)


WHOLE = """\
per cent of planted faults convicted
                      mutants  settled  gradcheck  torch  tightened  jax style  assert_close
────────────────────────────────────────────────────────────────────────────────────────────
backward, everywhere        2        0      100.0  100.0      100.0      100.0         100.0
call, calls                 2        0        0.0    0.0        0.0        0.0           0.0
second, everywhere          1        1      100.0  100.0      100.0      100.0         100.0
all                         5        1       60.0   60.0       60.0       60.0          60.0


kinds of which some survive
                            mutants  settled  gradcheck  torch  tightened  jax style  assert_close
──────────────────────────────────────────────────────────────────────────────────────────────────
call: input with an offset        2        0        0.0    0.0        0.0        0.0           0.0


by witness, of the mutants that it was asked about
witness  asked  convicts  per cent
──────────────────────────────────
reverse      4         2      50.0
second       3         1      33.3


by case
                 mutants  settled  gradcheck  torch  tightened  jax style  assert_close
───────────────────────────────────────────────────────────────────────────────────────
two.yaml::cube         3        0       66.7   66.7       66.7       66.7          66.7
two.yaml::slope        2        1       50.0   50.0       50.0       50.0          50.0


twins without a fault: 2, convicted 0
  convicted by the others, who tell nothing there: torch 0, tightened 0, jax style 0, assert_close 0

survivors: 2
  two.yaml::slope, call: input with an offset: it never struck: passed 80 times, it changed no number
  two.yaml::cube, call: input with an offset: it never struck: passed 80 times, it changed no number

float64, 8 points, seed 0: 8 results of 2 cases, N s
"""  # noqa: E501 - as it is printed


@pytest.mark.usefixtures("two_cases")
def test_two_cases_and_three_kinds_are_told_whole(command):
    done = command("mutate", "two.yaml", *QUICK)
    assert re.sub(r"\d+ s$", "N s", done.out, flags=re.MULTILINE) == WHOLE
    assert done.code == 1


@pytest.mark.usefixtures("two_cases")
def test_where_nothing_survives_the_code_is_0_and_json_has_each_result(command):
    kinds = ("--kinds", "backward: sign", "--witness", "reverse", "--points", "8")
    done = command("mutate", "two.yaml", *kinds, "--json")
    told = json.loads(done.out)
    assert done.code == 0
    assert {each["outcome"] for each in told["results"]} == {"acquitted", "killed"}
    assert (told["all"]["mutants"], told["all"]["killed"]) == (2, 2)


MESSAGES = {
    ("--dtype", "float3"): """\
--dtype float3: unknown name
  expected: one of float64, float32, float16, bfloat16
  fix:      write float32
""",
    ("--kinds", "secnd"): """\
--kinds secnd: unknown name
  expected: a kind of fault, or at special values, at ties, backward, broadcast, call, calls, \
compiled, cotangent, entries, everywhere, in a band, jvp, of one input, only when compiled, pair, \
range, reduction, rounded, second, small, separated by commas
  fix:      write second
""",
    ("--kinds", "backward: sgn"): """\
--kinds backward: sgn: unknown name
  expected: a kind of fault, or at special values, at ties, backward, broadcast, call, calls, \
compiled, cotangent, entries, everywhere, in a band, jvp, of one input, only when compiled, pair, \
range, reduction, rounded, second, small, separated by commas
  fix:      write backward: sign
""",
    ("--report", "two.yaml/results"): """\
--report two.yaml/results: Not a directory
  expected: a folder that can be written
  fix:      name another folder
""",
}


@pytest.mark.usefixtures("two_cases")
@pytest.mark.parametrize(("arguments", "text"), MESSAGES.items())
def test_a_mistake_is_told_with_what_was_meant(command, arguments, text):
    done = command("mutate", "two.yaml", *arguments)
    assert (done.code, done.err) == (4, text)


@pytest.mark.usefixtures("two_cases")
def test_where_nothing_can_be_planted_the_code_is_5(command):
    done = command("mutate", "two.yaml", "--entries", "1000")
    assert done.code == 5
    assert done.err.startswith("nothing selected")


@pytest.mark.usefixtures("two_cases")
def test_ctrl_c_tells_what_ended_and_ends_with_2(command, monkeypatch):
    monkeypatch.setattr(campaign._Trials, "mutant", lambda *_: signal.raise_signal(signal.SIGINT))
    done = command("mutate", "two.yaml", *QUICK)
    assert done.code == 2
    assert "twins without a fault: 1, convicted 0" in done.out
    assert done.err.endswith("interrupted\n")


@pytest.mark.usefixtures("two_cases")
def test_what_ended_before_a_kill_is_in_the_folder(tmp_path):
    kept = tmp_path / "out" / "mutants.jsonl"
    quick = ("--kinds", "everywhere", "--witness", "reverse", "--points", "8", "--each", "0")
    process = subprocess.Popen(
        [sys.executable, "-m", "gradcheck", "mutate", "two.yaml", *quick, "--report", "out"]
    )
    until = time.monotonic() + 120
    while time.monotonic() < until and (not kept.exists() or kept.read_text().count("\n") < 3):
        time.sleep(0.05)
    process.kill()
    process.wait()
    first, second, third = kept.read_text().splitlines()[:3]
    assert json.loads(first)["kind"] == "twin"
    assert {json.loads(each)["outcome"] for each in (second, third)} <= {"killed", "survived"}
