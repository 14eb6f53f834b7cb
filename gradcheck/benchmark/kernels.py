"""Seconds and memory of certified reverse mode at the size of kernels, a process for each."""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from gradcheck.benchmark.figures import Figures, Target
from gradcheck.benchmark.timing import cost_of
from gradcheck.catalog.checks import plan
from gradcheck.catalog.load import load

SIZES = Path(__file__).parent / "kernels.yaml"
_TARGETS = {
    "attention_of_32": (0.5, 0.0),
    "attention_of_512": (15.0, 2.0),
    "softmax": (1.0, 0.0),
    "layer_norm": (1.0, 0.0),
    "cross_entropy": (1.0, 0.0),
}
"""Of each kernel the seconds and GiB that it may take; 0 where nothing is asked."""
_BARE_RUNS = 5
_PROGRAM = "import sys; from gradcheck.benchmark.kernels import measure; measure(sys.argv[1])"


def kernels(*, names: Collection[str] = ()) -> Iterator[Figures]:
    """Yield seconds and memory of all kernels, or of those that are named."""
    rows, targets = [], []
    for case in load(SIZES):
        if names and case.name not in names:
            continue
        done = cost_of([sys.executable, "-c", _PROGRAM, case.name], Path.cwd(), {})
        found = json.loads(done.printed)
        entries = sum(math.prod(each.shape) for each in case.inputs)
        rows.append(
            (case.summary, entries, found["certified"], found["certified"] / found["bare"],
             done.peak / 2**30, found["rulings"])
        )  # fmt: skip
        most, memory = _TARGETS.get(case.name, (0.0, 0.0))
        if most:
            what, met = f"{case.summary} under {most:g} s", found["certified"] < most
            seen = f"{found['certified']:.2f} s"
            if memory:
                what, seen = f"{what} and {memory:g} GiB", f"{seen}, {done.peak / 2**30:.2f} GiB"
                met = met and done.peak < memory * 2**30
            targets.append(Target(what, seen, met))
    yield Figures(
        "At the sizes of models",
        "certified `reverse` at one point, in float32: PyTorch's gradient by two calls, its truth "
        "by two derivations, the error bounds of all entries, the judging; the first time, when "
        "nothing is warm but PyTorch. Beside it one forward and backward of PyTorch alone. Memory "
        "is the peak of the process, of which PyTorch itself takes about 0.3 GiB.",
        ("kernel", "input entries", "seconds", "times a bare pass", "GiB", "numbers by ruling"),
        tuple(rows),
        tuple(targets),
    )


def measure(name: str) -> None:
    """Print the figures of one kernel as JSON: the life of a process."""
    import torch

    from gradcheck.points.generate import generate
    from gradcheck.run.observation import observe
    from gradcheck.run.session import session_of

    torch.set_num_threads(1)
    (case,) = (each for each in load(SIZES) if each.name == name)
    (check,) = plan([case], devices=("cpu",), dtypes=("float32",), witnesses=("reverse",))
    session = session_of(check)
    points = generate(case.inputs, "bulk", 0, 1, session.dtype)
    inputs = [torch.tensor(points[x.name][0], dtype=torch.float32) for x in case.inputs]
    leaves = [each.requires_grad_() for each in inputs]
    bare = []
    for _ in range(_BARE_RUNS):
        start = time.process_time()
        result = session.subject(*leaves)
        torch.autograd.grad(result, leaves, torch.ones_like(result))
        bare.append(time.process_time() - start)
    start = time.process_time()
    observation = observe(session, points, seed=0)
    certified = time.process_time() - start
    rulings: Counter[str] = Counter()
    for each in observation.judged:
        counts = each.judgements.counts().items()
        rulings.update({ruling.value: count for ruling, count in counts if count})
    print(json.dumps({
        "certified": certified,
        "bare": statistics.median(bare),
        "rulings": ", ".join(f"{count:,} {ruling}" for ruling, count in rulings.items()),
    }))  # fmt: skip
