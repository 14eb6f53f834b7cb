"""Matrices of an array graph: products, determinants, inverses, triangles, diagonals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gradcheck.graph.graph import Graph, NodeId, positions
from gradcheck.graph.shapes import Misuse, axis_of, bounded

Indices = tuple[int, ...]
LARGEST_MATRIX = 8


def matmul(graph: Graph, a: NodeId, b: NodeId) -> NodeId:
    """``a @ b`` with NumPy's rules for vectors, matrices and batches of them."""
    left, right = graph.shape(a), graph.shape(b)
    if not (left and right) or left[-1] != right[-2 if len(right) > 1 else 0]:
        raise Misuse(f"{list(left)} @ {list(right)}", "inner dimensions that agree")
    rows = a if len(left) > 1 else graph.reshape(a, (1, *left))
    columns = b if len(right) > 1 else graph.reshape(b, (*right, 1))
    product = graph.bmm(rows, columns)
    shape = list(graph.shape(product))
    if len(right) == 1:
        del shape[-1]
    if len(left) == 1:
        del shape[-1 if len(right) == 1 else -2]
    return graph.reshape(product, shape)


def dot(graph: Graph, a: NodeId, b: NodeId) -> NodeId:
    left, right = graph.shape(a), graph.shape(b)
    if len(left) != 1 or left != right:
        raise Misuse(f"dot of {list(left)} and {list(right)}", "two vectors of one length")
    return matmul(graph, a, b)


def outer(graph: Graph, a: NodeId, b: NodeId) -> NodeId:
    left, right = graph.shape(a), graph.shape(b)
    if len(left) != 1 or len(right) != 1:
        raise Misuse(f"outer of {list(left)} and {list(right)}", "two vectors")
    return graph.mul(graph.reshape(a, (*left, 1)), graph.reshape(b, (1, *right)))


def _square(graph: Graph, x: NodeId, name: str) -> int:
    shape = graph.shape(x)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise Misuse(f"{name} of shape {list(shape)}", "a square matrix")
    n = shape[-1]
    if n > LARGEST_MATRIX:
        raise Misuse(f"{name} of a {n}x{n} matrix", f"at most {LARGEST_MATRIX}x{LARGEST_MATRIX}")
    return n


def trace(graph: Graph, x: NodeId) -> NodeId:
    if len(graph.shape(x)) != 2:
        raise Misuse(f"trace of shape {list(graph.shape(x))}", "a matrix")
    return graph.sum(graph.gather(x, np.diagonal(positions(graph.shape(x)))), [0])


def det(graph: Graph, x: NodeId) -> NodeId:
    """The determinants of matrices, without a division, so that they may be singular."""
    every = tuple(range(_square(graph, x, "det")))
    return _minors(graph, x)(every, every)


def _minors(graph: Graph, x: NodeId) -> Callable[[Indices, Indices], NodeId]:
    """Determinants of submatrices, by expansion along the first row, once each."""
    known: dict[tuple[Indices, Indices], NodeId] = {}
    batch = graph.shape(x)[:-2]

    def minor(rows: Indices, columns: Indices) -> NodeId:
        if not rows:
            return graph.constant(1, batch)
        if (rows, columns) not in known:
            total = graph.constant(0, batch)
            for k, column in enumerate(columns):
                rest = minor(rows[1:], columns[:k] + columns[k + 1 :])
                term = graph.mul(graph.index(x, (..., rows[0], column)), rest)
                total = graph.elementwise("sub" if k % 2 else "add", total, term)
            known[rows, columns] = total
        return known[rows, columns]

    return minor


def inv(graph: Graph, x: NodeId) -> NodeId:
    n = _square(graph, x, "inv")
    if graph.exact(x) is None or not graph.nodes[x].size:
        return graph.inverse(x) if graph.nodes[x].size else x
    return _by_cofactors(graph, x, n)


def _by_cofactors(graph: Graph, x: NodeId, n: int) -> NodeId:
    """The inverse of constants, exactly."""
    every = tuple(range(n))
    minor = _minors(graph, x)
    entries = []
    for i in every:
        for j in every:
            cofactor = minor(every[:j] + every[j + 1 :], every[:i] + every[i + 1 :])
            signed = graph.neg(cofactor) if (i + j) % 2 else cofactor
            entries.append(graph.div(signed, minor(every, every)))
    batch = graph.shape(x)[:-2]
    return graph.reshape(graph.stack(entries, len(batch)), graph.shape(x))


def _above(graph: Graph, x: NodeId) -> NDArray[np.int_]:
    """How far each entry of a matrix stands above its diagonal."""
    if len(graph.shape(x)) < 2:
        raise Misuse(f"a triangle of shape {list(graph.shape(x))}", "a matrix")
    rows, columns = graph.shape(x)[-2:]
    graph.spend(rows * columns // 8)
    return np.arange(columns) - np.arange(rows)[:, None]


def _kept(graph: Graph, x: NodeId, keep: NDArray[np.bool_]) -> NodeId:
    if not keep.size:
        return x
    return graph.elementwise("where", graph.constant(keep.astype(object)), x, graph.constant(0))


def tril(graph: Graph, x: NodeId, diagonal: int = 0) -> NodeId:
    return _kept(graph, x, _above(graph, x) <= diagonal)


def triu(graph: Graph, x: NodeId, diagonal: int = 0) -> NodeId:
    return _kept(graph, x, _above(graph, x) >= diagonal)


def transpose(graph: Graph, x: NodeId, dim0: int = -2, dim1: int = -1) -> NodeId:
    ndim = len(graph.shape(x))
    if ndim < 2:
        return x
    order = list(range(ndim))
    a, b = axis_of(dim0, ndim), axis_of(dim1, ndim)
    order[a], order[b] = order[b], order[a]
    return graph.transpose(x, order)


def diag(graph: Graph, x: NodeId) -> NodeId:
    shape = graph.shape(x)
    if len(shape) == 2:
        return graph.gather(x, np.diagonal(positions(shape)))
    if len(shape) != 1:
        raise Misuse(f"diag of shape {list(shape)}", "a vector or a matrix")
    (n,) = shape
    square = bounded((n, n))
    if graph.exact(x) is not None:
        return _kept(graph, graph.broadcast(x, square), np.eye(n, dtype=bool))
    return graph.scatter(x, np.arange(n) * (n + 1), square)


def eye(graph: Graph, n: int) -> NodeId:
    bounded((n, n))
    return graph.constant(np.eye(n, dtype=int).astype(object))
