"""On a device without float64: exact verdicts in what it has, and nothing wide is put on it.

PyTorch can name one backend for the whole life of a process, so that each test has its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
JUDGED = """
import json
import device_stand_in as device
import torch
import gradcheck.verification
from gradcheck.run.ruling import rule

def wrong(x):
    return x * x.detach().sin()

def cut(x):
    return torch.where(x.abs() < 1e-30, 0 * x, x)

told = []
for fn, formula, inputs in {asked}:
    fn = globals().get(fn, fn)
    result = gradcheck.verify(fn, formula, inputs, device="standin", points=8, **{options})
    outcomes = result.outcomes.values()
    told.append(dict(
        verdict=result.verdict.value,
        verdicts={{each.verdict.value for each in outcomes}},
        reasons={{each.reason for each in outcomes}},
        judged=sum(each.entries for each in outcomes),
        varying=sum(each.counts.get("varying", 0) for each in outcomes),
        by=max(each.counts.get("varying by ulps", 0) for each in outcomes),
    ))
put, refused = map(str, device.PUT), map(str, device.REFUSED)
print(json.dumps(dict(told=told, put=sorted(put), refused=[*refused]), default=sorted))
"""
ALONE = JUDGED.replace("\ndef wrong", "\ngradcheck.verification.examine = rule\ndef wrong")
"""Who is wrong is left open: a checkpoint of wrong code ends the process of such a backend."""
WITNESSES = "value,reverse,forward,contract,functional,second,gradcheck"
SINE = ("x*sin(x)", {"x": "real"})
SUM = ("sum(exp(x))", {"x": {"shape": [3]}})


def process(program, **environment):
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=HERE,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def judged(*asked, program=JUDGED, environment=None, **options):
    done = process(program.format(asked=asked, options=options), **(environment or {}))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_right_code_agrees_and_nothing_wide_is_put_on_the_device(dtype):
    found = judged((None, *SINE), (None, *SUM), dtypes=[dtype])
    assert [each["verdict"] for each in found["told"]] == ["agree", "agree"]
    assert all(each["judged"] > 40 for each in found["told"])
    assert f"torch.{dtype}" in found["put"]
    assert found["refused"] == []


def test_wrong_code_is_convicted_there():
    found = judged(("wrong", *SINE), program=ALONE, dtype="float32", witness="reverse")
    assert found["told"][0]["verdict"] == "disagree"
    assert found["refused"] == []


FLUSHING = {"STAND_IN_FLUSHES": "1"}


@pytest.mark.parametrize(("witness", "formula"), [("value", "x**2"), ("reverse", "x**3")])
def test_a_device_that_flushes_subnormal_numbers_is_held_to_normal_ones(witness, formula):
    small = {"x": "[1e-22, 1]"}  # whose ends are always looked at
    asked = (None, formula, small), ("cut", "x", {"x": "real"})
    found = judged(*asked, program=ALONE, environment=FLUSHING, dtype="float32", witness=witness)
    assert [each["verdict"] for each in found["told"]] == ["agree", "disagree"]


def test_what_the_device_has_no_numbers_for_abstains_with_the_reason():
    (told,) = judged((None, *SINE), dtype="float64")["told"]
    assert (told["verdict"], told["judged"]) == ("abstain", 0)
    assert told["reasons"] == ["the device standin has no float64"]


def test_a_tensor_that_is_wide_would_have_been_noticed():
    done = process("import device_stand_in, torch; torch.ones(2).to('standin').to(torch.float64)")
    assert "TypeError: Cannot convert a standin tensor to torch.float64" in done.stderr


def test_what_varies_from_call_to_call_is_counted_and_judged():
    found = judged((None, *SUM), dtype="float32", witness="value,reverse",
                   environment={"STAND_IN_IS_NOISY": "1"})  # fmt: skip
    (told,) = found["told"]
    assert told["verdict"] == "agree"  # by one ulp
    assert told["varying"] > 0
    assert told["by"] in (1, 2)  # from the number below to the one above


def test_what_is_the_same_at_each_call_is_not_said_to_vary():
    (told,) = judged((None, *SUM), dtype="float32", witness="value,reverse")["told"]
    assert (told["verdict"], told["varying"], told["by"]) == ("agree", 0, 0)


CHOICES = """
import device_stand_in
from gradcheck import devices
print(devices.choose("auto"), devices.choose("standin:0,cpu"), devices.name_of("standin"))
devices.choose("standin:1")
"""


def test_the_device_is_chosen_by_its_name_and_another_of_its_kind_is_refused():
    done = process(CHOICES)
    assert done.stdout == "('cpu', 'standin') ('standin:0', 'cpu') a stand-in\n"
    assert "--device standin:1: no such device here\n  expected: one or more of cpu, standin" in (
        done.stderr
    )


def test_the_name_of_a_device_says_that_it_flushes():
    program = (
        "import device_stand_in; from gradcheck import devices; print(devices.name_of('standin'))"
    )
    done = process(program, **FLUSHING)
    assert done.stdout == "a stand-in, subnormal numbers count as 0\n"


def test_a_run_of_pytest_takes_the_device_and_says_what_varies(tmp_path):
    folder = tmp_path / "cases"
    folder.mkdir()
    (folder / "small.yaml").write_text(
        "total: {formula: sum(exp(x)), inputs: {x: {shape: [3]}}, order: 1}\n"
    )
    options = ["-p", "device_stand_in", "--gradcheck-device", "standin,cpu", "--rootdir", tmp_path]
    which = ["--gradcheck-dtype", "float32,float64", "--gradcheck-witness", "value,reverse"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *which, "-p", "no:cacheprovider", folder],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(HERE), "STAND_IN_IS_NOISY": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gradcheck devices: standin (a stand-in)" in done.stdout
    assert "6 passed, 2 skipped" in done.stdout
    assert " numbers of standin vary from call to call, by up to " in done.stdout
    assert "value: the device standin has no float64" in done.stdout
