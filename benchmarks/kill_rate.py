"""The share of planted faults that each witness convicts, beside plain `torch.autograd.gradcheck`.

Run by hand; the tests hold the same culprits (tests/run/culprits.py) to a table, at one seed. Here
every one of them is put to its witness at the default effort and with several seeds, so that a
fault that shows at few inputs counts for the share of seeds that find it. The other side is
`gradcheck` (for second derivatives `gradgradcheck`) with default settings at as many ordinary
points as the witness `reverse` takes; in float32 its defaults pass next to nothing that is right.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

import torch
from torch.autograd.gradcheck import GradcheckError

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "run"))  # no package, on purpose
from culprits import FAULTS, PLANE, TWIN, WITNESSES, Fault, case_of, culprit, planted_check

from gradcheck.answer import Ruling, RunOptions
from gradcheck.dtypes import DEFAULT_DTYPES, DTYPES
from gradcheck.points.generate import generate
from gradcheck.run.ruling import rule

PLAIN = {"gradcheck": torch.autograd.gradcheck, "gradgradcheck": torch.autograd.gradgradcheck}


def main() -> None:
    """Print for each dtype a table of faults and witnesses, then the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--points", type=int, default=RunOptions().points)
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    for dtype in DEFAULT_DTYPES:
        report(dtype, options.seeds, options.points)
    print(f"{time.perf_counter() - started:.0f} s")


def report(dtype: str, seeds: int, points: int) -> None:
    """The share of seeds that convict, for each fault and each witness, and their mean."""
    columns = {
        **{row: lambda fault, seed, row=row: convicts(fault, row, dtype, RunOptions(points, seed))
           for row in WITNESSES},
        **{f"plain {name}": lambda fault, seed, name=name: plainly(fault, name, dtype, points, seed)
           for name in PLAIN},
    }  # fmt: skip
    print(f"\n{dtype}, {points} points, {seeds} seeds: % of the seeds that convict")
    print(f"{'':26}" + "".join(f"{name:>20}" for name in columns))
    shares: dict[str, list[float]] = {name: [] for name in columns}
    for fault in (*FAULTS, TWIN):
        line = []
        for name, tries in columns.items():
            planted = [tries(fault, seed) for seed in range(seeds)]
            line.append(100 * sum(planted) / seeds)
            if fault is not TWIN and (name, fault.name) != ("value", "ignores the direction"):
                shares[name].append(line[-1])
        print(f"{fault.name:26}" + "".join(f"{share:20.0f}" for share in line))
    means = (sum(each) / len(each) for each in shares.values())
    print(f"{'all but none':26}" + "".join(f"{mean:20.1f}" for mean in means))


def convicts(fault: Fault, row: str, dtype: str, run_options: RunOptions) -> bool:
    """Whether our witness finds the fault where it is planted for it."""
    return rule(planted_check(fault, row, dtype), run_options).verdict is Ruling.DISAGREE


def plainly(fault: Fault, name: str, dtype: str, count: int, seed: int) -> bool:
    """Whether PyTorch's own examination fails at one of so many ordinary points."""
    place = "backward" if name == "gradcheck" else "second"
    inputs = case_of(fault.base.declaration).inputs
    points = generate(inputs, "bulk", seed, count, DTYPES[dtype])
    function = culprit(fault, place)
    for k in range(count):
        leaves = [
            torch.tensor(points[each.name][k], dtype=getattr(torch, dtype), requires_grad=True)
            for each in inputs
        ]
        torch.manual_seed(seed)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                PLAIN[name](function, leaves, check_batched_grad=False)
        except GradcheckError:
            return True
    return False


if __name__ == "__main__":
    assert TWIN.base is PLANE
    main()
