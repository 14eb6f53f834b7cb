"""Seconds and memory of certified gradients at the size of kernels, judged whole.

Run by hand or by `tox -e bench`; never a test. One case a process, since memory is a peak; seconds
are those of the processor, on one thread. Enclosures are by reverse mode, held by forward, and
split into floats as the judge takes them; bounds are the error bounds of float32, for all entries.
`--baseline PATH` runs the same cases by the script of another checkout (`git worktree add PATH
COMMIT`) in turn. Small functions follow, in points a second, and by `throughput.py` the entries
per second of certified `reverse` beside `torch.autograd.gradcheck`.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from gradcheck.dtypes import DTYPES
from gradcheck.graph import shapes as shape_limits
from gradcheck.graph.graph import Graph
from gradcheck.graph.lower import lower
from gradcheck.language.parse import parse
from gradcheck.query import Port, Query
from gradcheck.reference.array_bounds import error_bounds
from gradcheck.reference.ball_arrays import floats_of
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction
from gradcheck.reference.enclosures import Status, enclose

Shapes = tuple[tuple[int, ...], ...]
Build = Callable[..., int]


def softmax(graph: Graph, x: int) -> int:
    powers = graph.elementwise("exp", x)
    return graph.div(powers, _sum(graph, powers))


def attention(graph: Graph, q: int, k: int, v: int) -> int:
    width = graph.shape(q)[-1]
    root = graph.elementwise("sqrt", graph.constant(Fraction(1, width)))
    return graph.bmm(softmax(graph, graph.mul(graph.bmm(q, graph.transposed(k)), root)), v)


def layer_norm(graph: Graph, x: int, weight: int, bias: int) -> int:
    centred = graph.sub(x, _mean(graph, x))
    variance = graph.add(_mean(graph, graph.mul(centred, centred)), graph.constant(Fraction(1e-5)))
    scaled = graph.div(centred, graph.elementwise("sqrt", variance))
    return graph.add(graph.mul(scaled, weight), bias)


def cross_entropy(graph: Graph, x: int) -> int:
    """The mean over rows; the right class of row k is 7 k."""
    rows, classes = graph.shape(x)
    total = graph.elementwise("log", _sum(graph, graph.elementwise("exp", x)))
    chosen = graph.gather(x, np.arange(rows) * classes + 7 * np.arange(rows))
    lost = graph.sub(graph.reshape(total, (rows,)), chosen)
    return graph.mul(graph.sum(lost, (0,)), graph.constant(Fraction(1, rows)))


def _sum(graph: Graph, x: int) -> int:
    return graph.sum(x, (len(graph.shape(x)) - 1,), keepdim=True)


def _mean(graph: Graph, x: int) -> int:
    return graph.mul(_sum(graph, x), graph.constant(Fraction(1, graph.shape(x)[-1])))


def _elementwise(name: str) -> Build:
    return lambda graph, x: graph.elementwise(name, x)


CASES: dict[str, tuple[Build, Shapes]] = {
    "attention [2, 4, 32, 64]": (attention, ((2, 4, 32, 64),) * 3),
    "attention [1, 8, 512, 64]": (attention, ((1, 8, 512, 64),) * 3),
    "softmax [64, 1024]": (softmax, ((64, 1024),)),
    "layer norm [64, 1024]": (layer_norm, ((64, 1024), (1024,), (1024,))),
    "cross-entropy [64, 4096]": (cross_entropy, ((64, 4096),)),
    "product [256, 256]": (lambda graph, a, b: graph.bmm(a, b), ((256, 256),) * 2),
    "exp [1000000]": (_elementwise("exp"), ((1_000_000,),)),
    "tanh [1000000]": (_elementwise("tanh"), ((1_000_000,),)),
}


SMALL: dict[str, tuple[str, dict[str, tuple[int, ...]]]] = {
    "cubic": ("x**3 - 2*x + 1", {"x": ()}),
    "of two numbers": ("x*y + sin(x)*exp(y)", {"x": (), "y": ()}),
    "a sum of squares": ("sum(x**2)", {"x": (4,)}),
    "normalized": ("x/sqrt(sum(x**2) + 1)", {"x": (3,)}),
}
COUNTS = (1, 256, 4096)
QUERIES = {"value": 0, "vjp": 1, "Hessian": 2}


def main() -> None:
    """Print a line for each case, or for the one named, and the small functions' points."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--bounds", action="store_true", help="with --case: error bounds too")
    parser.add_argument("--baseline", type=Path, help="another checkout, measured in turn")
    options = parser.parse_args()
    if options.case:
        measure(options.case, bounds=options.bounds)
        return
    print(f"{'case':28} {'entries':>10} {'seconds':>9} {'settled':>8} {'GiB':>6} {'bounds, s':>10}")
    for name in CASES:
        for root in (None, options.baseline) if options.baseline else (None,):
            print(_line(name, root) + ("" if root is None else "   (baseline)"), flush=True)
    measure_small()
    subprocess.run([sys.executable, Path(__file__).parent / "throughput.py"], check=False)


def _line(name: str, root: Path | None) -> str:
    """The figures of one case, by this checkout or by another's own script."""
    here = Path(__file__).resolve()
    script = here if root is None else root.resolve() / "benchmarks" / here.name
    env = {**os.environ, "PYTHONPATH": str(script.parent.parent)}
    command = [sys.executable, script, "--case", name, "--bounds"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"{name:28} {(done.stderr.splitlines() or ['failed'])[-1][:60]}"
    return done.stdout.rstrip()


def measure(name: str, *, bounds: bool) -> None:
    """Print the figures of one case."""
    build, shapes = CASES[name]
    shape_limits.MOST_ELEMENTS = 1 << 24  # what a case may have is less than what is measured here
    graph = Graph()
    inputs = tuple(graph.input(Port(f"x{k}", shape)) for k, shape in enumerate(shapes))
    graphs = DerivativeGraphs(GraphFunction(graph, inputs, (build(graph, *inputs),)))
    rng = np.random.default_rng(0)
    size = sum(math.prod(shape) for shape in shapes)
    points = rng.standard_normal((1, size)).astype(np.float32).astype(float)
    query = Query(1, rng.standard_normal((1, graphs.function.width)), (None,))
    start = time.process_time()
    found = enclose(graphs, query, points)
    floats_of(found.balls)
    middle = time.process_time()
    settled = float((found.status == Status.SETTLED).mean())
    if bounds:
        error_bounds(graphs, query, points, DTYPES["float32"])
    more = f"{time.process_time() - middle:10.2f}" if bounds else f"{'':>10}"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{name:28} {size:10,} {middle - start:9.2f} {settled:8.4f} {memory:6.2f} {more}")


def measure_small() -> None:
    """Print how many points a second small functions take, by order and number of points."""
    print(f"\n{'points a second':24} {'points':>7}" + "".join(f" {name:>12}" for name in QUERIES))
    for name, (text, shapes) in SMALL.items():
        lowered = lower(parse(text), inputs=shapes, names={}, lets={}, conditions=())
        graphs = DerivativeGraphs(GraphFunction.of(lowered))
        for count in COUNTS:
            rates = [_rate(graphs, order, count) for order in QUERIES.values()]
            print(f"{name:24} {count:7,}" + "".join(f" {rate:12,.0f}" for rate in rates))


def _rate(graphs: DerivativeGraphs, order: int, count: int) -> float:
    points = np.random.default_rng(0).standard_normal((count, graphs.function.size))
    cotangent = np.ones((1, graphs.function.width)) if order else None
    query = Query(order, cotangent, (None,) * order)
    enclose(graphs, query, points)
    start, runs = time.process_time(), 0
    while time.process_time() - start < 0.2:
        enclose(graphs, query, points)
        runs += 1
    return count * runs / (time.process_time() - start)


if __name__ == "__main__":
    main()
