"""The same seed gives the same outcome in every process."""

import json
import os
import subprocess
import sys
from pathlib import Path

SAME = """
import dataclasses, json, sys, torch
sys.path.insert(0, sys.argv[1])
from culprits import FAULTS, planted_check
from gradcheck.answer import RunOptions
from gradcheck.diagnosis import examine
torch.rand(int(sys.argv[2]))
outcome = examine(planted_check(FAULTS[6], "reverse"), RunOptions(points=32, seed=5))
print(json.dumps(dataclasses.asdict(dataclasses.replace(outcome, seconds=0.0)), default=str))
"""


def process(number):
    here = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", SAME, here, str(number)]
    environment = {**os.environ, "PYTHONHASHSEED": str(number)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def told_by(running):
    told, _ = running.communicate()
    assert running.returncode == 0
    return json.loads(told)


def test_the_same_seed_gives_the_same_outcome_in_every_process():
    side_by_side = [process(1), process(2)]
    one, two = map(told_by, side_by_side)
    assert one["smallest"]
    assert one == two
