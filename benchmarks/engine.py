"""Seconds and memory of certified gradients at the size of kernels: reverse mode, held by forward.

Run by hand or by `tox -e bench`; never a test. One case a process, since memory is a peak; seconds
are those of the processor, on one thread. `--bounds` adds the error bounds of float32.
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

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from gradcheck.dtypes import DTYPES
from gradcheck.graph import shapes as shape_limits
from gradcheck.graph.graph import Graph
from gradcheck.query import Port, Query
from gradcheck.reference.array_bounds import error_bounds
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


def main() -> None:
    """Print a line for each case, or for the one named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--bounds", action="store_true")
    options = parser.parse_args()
    if options.case:
        measure(options.case, bounds=options.bounds)
        return
    print(f"{'case':28} {'entries':>10} {'seconds':>9} {'settled':>8} {'GiB':>6} {'bounds, s':>10}")
    extra = ["--bounds"] if options.bounds else []
    for name in CASES:
        subprocess.run([sys.executable, __file__, "--case", name, *extra], check=False)


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
    middle = time.process_time()
    settled = float((found.status == Status.SETTLED).mean())
    if bounds:
        error_bounds(graphs, query, points, DTYPES["float32"])
    more = f"{time.process_time() - middle:10.2f}" if bounds else f"{'':>10}"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{name:28} {size:10,} {middle - start:9.2f} {settled:8.4f} {memory:6.2f} {more}")


if __name__ == "__main__":
    main()
