"""Matrices of an array graph: products, determinants, inverses, triangles, diagonals."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.graph.graph import Graph, NodeId, positions
from gradcheck.graph.shapes import Misuse, axis_of, bounded

LARGEST_DETERMINANT = 16


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
    return shape[-1]


def trace(graph: Graph, x: NodeId) -> NodeId:
    if len(graph.shape(x)) != 2:
        raise Misuse(f"trace of shape {list(graph.shape(x))}", "a matrix")
    return graph.sum(graph.gather(x, np.diagonal(positions(graph.shape(x)))), [0])


def det(graph: Graph, x: NodeId) -> NodeId:
    """The determinants of matrices, without a division, so that they may be singular.

    By minors, those of all sets S of k columns at once, of the last k rows:
    M(S) = sum over j of (-1)**j x[row, S_j] M(S without S_j).
    """
    n = _square(graph, x, "det")
    if n > LARGEST_DETERMINANT:
        most = f"at most {LARGEST_DETERMINANT}x{LARGEST_DETERMINANT}"
        raise Misuse(f"det of a {n}x{n} matrix", most)
    batch = graph.shape(x)[:-2]
    if 0 in batch:
        return graph.constant(1, batch)
    minors = graph.constant(1, (*batch, 1))
    for k in range(1, n + 1):
        columns, rest = _column_sets(n, k)
        entries = graph.index(x, (..., n - k, columns))
        terms = graph.mul(entries, graph.index(minors, (..., rest)))
        axis = len(graph.shape(terms)) - 1
        even, odd = (graph.index(terms, (..., slice(start, None, 2))) for start in (0, 1))
        minors = graph.sub(graph.sum(even, [axis]), graph.sum(odd, [axis]))
    return graph.index(minors, (..., 0))


@cache
def _column_sets(n: int, k: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """All sets of k of n columns, and the number of each set without its j-th among the smaller.

    Shapes: [sets, k] each.
    """
    smaller = {columns: number for number, columns in enumerate(combinations(range(n), k - 1))}
    sets = list(combinations(range(n), k))
    rest = [[smaller[one[:j] + one[j + 1 :]] for j in range(k)] for one in sets]
    return np.array(sets, dtype=int), np.array(rest, dtype=int)


def inv(graph: Graph, x: NodeId) -> NodeId:
    _square(graph, x, "inv")
    known = graph.exact(x)
    if not graph.nodes[x].size:
        return x
    return graph.inverse(x) if known is None else graph.constant(_inverse(graph, known))


def _inverse(graph: Graph, matrices: NDArray[Any]) -> NDArray[Any]:
    """The inverses of constants, exactly, by Gauss and Jordan.

    Errors: ZeroDivisionError for a singular matrix.
    """
    n = matrices.shape[-1]
    graph.spend(2 * matrices.size * n)
    found = np.empty(matrices.shape, dtype=object)
    for which in np.ndindex(*matrices.shape[:-2]):
        rows = np.concatenate([matrices[which], np.eye(n, dtype=int).astype(object)], axis=1)
        for k in range(n):
            pivot = next((row for row in range(k, n) if rows[row, k]), None)
            if pivot is None:
                raise ZeroDivisionError
            rows[[k, pivot]] = rows[[pivot, k]]
            rows[k] = rows[k] / Fraction(rows[k, k])
            others = np.arange(n) != k
            rows[others] = rows[others] - rows[others, k, None] * rows[k]
        found[which] = rows[:, n:]
    return found


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
