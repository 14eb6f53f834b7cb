"""Matrices of a kind: drawn exactly, from small dyadic numbers, and told from others.

The orthogonal ones are orthogonal up to rounding, except for signed permutations; all other kinds
hold exactly in the dtype.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gradcheck.answer import Floats
from gradcheck.dtypes import Dtype
from gradcheck.floats import round_to
from gradcheck.query import Array
from gradcheck.randomness import derive_key, random_below

MADE = frozenset({"positive_definite", "invertible", "orthogonal"})
"""Kinds whose entries depend on each other; the rest are ordinary entries, mirrored or cut."""

SCALED = frozenset({"positive_definite", "invertible"})
"""Made kinds that a power of two may multiply."""

_ATTEMPTS = 8
_EXACT = 24  # bits, in which matrices of small dyadic numbers are held exactly
_PIVOT = 2.0**-20  # a smaller pivot, relatively, is no well-conditioned matrix's


def make_matrices(
    kind: str,
    contains: Callable[[Floats], NDArray[np.bool_]],
    dtype: Dtype,
    key: int,
    shape: tuple[int, ...],
) -> Floats:
    """Return matrices of a made kind, with entries in the domain where a few attempts find them.

    In half precision they are of their kind when they are rounded.

    Shapes: ``shape`` is [count, ..., size, size]. A point without a fitting matrix keeps the last
            attempt: the caller drops it.
    """
    matrices = np.zeros(shape)
    wanted = np.ones(shape, dtype=np.bool_)
    for attempt in range(_ATTEMPTS):
        build = {"positive_definite": _definite, "invertible": _invertible}.get(kind, _orthogonal)
        fresh = build(derive_key(key, attempt), shape, 0 if attempt % 2 else -4)
        matrices = np.where(wanted, fresh, matrices)
        fits = contains(matrices).all(axis=(-2, -1), keepdims=True)
        if dtype.precision < _EXACT:
            fits &= _kept(kind, round_to(matrices, dtype), dtype)
        wanted = np.broadcast_to(~fits, shape)
    return matrices


def _kept(kind: str, matrices: Floats, dtype: Dtype) -> NDArray[np.bool_]:
    """Which rounded matrices are of the kind. Shapes: [..., size, size]; [..., 1, 1]."""
    flat = matrices.reshape(-1, *matrices.shape[-2:])
    good = [belongs(kind, matrix[None], dtype) for matrix in flat]
    return np.array(good, dtype=np.bool_).reshape(*matrices.shape[:-2], 1, 1)


def phased(kind: str, matrices: Floats, key: int) -> Array:
    """Return matrices of the kind with complex entries: rows turned by 1, i, -1 or -i.

    Definite ones are Hermitian then, and orthogonal ones unitary.
    """
    turn = np.array([1, 1j, -1, -1j])[
        random_below(4, derive_key(key, "phase"), matrices.shape[:-1])
    ]
    turned: Array = turn[..., :, None] * matrices
    return turned * turn.conj()[..., None, :] if kind == "positive_definite" else turned


def project(kind: str, entries: Array, diagonal: Array) -> Array:
    """Return the symmetric or lower triangular matrices that the lower triangles determine.

    A triangular matrix takes ``diagonal`` where its own diagonal is zero.
    Shapes: all [..., size, size].
    """
    lower = np.tril(entries)
    if kind == "symmetric":
        return lower + np.swapaxes(np.tril(entries, -1), -1, -2)
    eye = np.eye(entries.shape[-1], dtype=np.bool_)
    return np.where(eye & (entries == 0), diagonal, lower)


def belongs(kind: str, matrices: Array, dtype: Dtype) -> bool:
    """Say whether every matrix is of the kind, and well enough conditioned for it."""
    transposed = np.swapaxes(matrices, -1, -2)
    if kind == "symmetric":
        return bool((matrices == transposed).all())
    if kind == "lower_triangular":
        nonzero = bool((np.diagonal(matrices, axis1=-2, axis2=-1) != 0).all())
        return nonzero and bool((np.triu(matrices, 1) == 0).all())
    size = matrices.shape[-1]
    if kind == "orthogonal":
        slack = 8 * max(size, 1) * dtype.unit_roundoff
        return bool((np.abs(matrices @ transposed.conj() - np.eye(size)) <= slack).all())
    pivots = [_pivots(matrix) for matrix in matrices.reshape(-1, size, size)]
    if kind == "invertible":
        return all(bool((np.abs(found) > 0).all()) for found in pivots)
    unpivoted = [_pivots(matrix, exchange=False) for matrix in matrices.reshape(-1, size, size)]
    hermitian = bool((matrices == transposed.conj()).all())
    return hermitian and all(bool((found.real > 0).all()) for found in unpivoted)


def _pivots(matrix: Array, *, exchange: bool = True) -> Array:
    """Return the pivots of Gaussian elimination; 0 for one too small to divide by."""
    rest = matrix.copy()
    size = len(rest)
    scale = np.abs(rest).max(initial=0.0)
    pivots = np.zeros(size, dtype=matrix.dtype)
    for step in range(size):
        if exchange:
            chosen = step + int(np.argmax(np.abs(rest[step:, step])))
            rest[[step, chosen]] = rest[[chosen, step]]
        if not abs(rest[step, step]) > _PIVOT * scale:
            break
        pivots[step] = rest[step, step]
        rest[step + 1 :] -= rest[step + 1 :, step, None] / pivots[step] * rest[step]
    return pivots


def _fractions(key: int, shape: tuple[int, ...], least: int) -> Floats:
    """Return dyadic numbers of which a row's magnitudes add up to less than 1."""
    size = max(shape[-1], 1)
    quarter = 2.0 ** -((4 * size).bit_length())
    return (random_below(5 - least, key, shape) + least).astype(np.float64) * quarter


def _diagonal(key: int, shape: tuple[int, ...]) -> Floats:
    """Return diagonal matrices of 1, 1.25, ..., 2."""
    diagonal: Floats = (1 + random_below(5, key, shape) / 4) * np.eye(shape[-1])
    return diagonal


def _definite(key: int, shape: tuple[int, ...], least: int) -> Floats:
    """Return L Lᵀ; every product and sum is exact, so it is exactly symmetric."""
    strict = np.tril(_fractions(derive_key(key, "off"), shape, least), -1)
    root = strict + _diagonal(derive_key(key, "diagonal"), shape)
    return _product(root, np.swapaxes(root, -1, -2))


def _invertible(key: int, shape: tuple[int, ...], least: int) -> Floats:
    """Return diagonally dominant matrices with their rows permuted."""
    off = _fractions(derive_key(key, "off"), shape, least) * (1 - np.eye(shape[-1]))
    return _permuted(off + _diagonal(derive_key(key, "diagonal"), shape), derive_key(key, "rows"))


def _orthogonal(key: int, shape: tuple[int, ...], least: int) -> Floats:
    """Return signed permutations; half of them turned by a rotation in neighbouring axes."""
    matrices = np.broadcast_to(np.eye(shape[-1]), shape)
    for axis in range(shape[-1] - 1):
        turn = random_below(4, derive_key(key, "turn", axis), (*shape[:-2], 1))
        cosine = np.choose(turn, [1.0, 1.0, 0.6, 5 / 13])
        sine = np.choose(turn, [0.0, 0.0, 0.8, 12 / 13])
        upper, lower = matrices[..., axis, :], matrices[..., axis + 1, :]
        rotated = matrices.copy()
        rotated[..., axis, :] = cosine * upper - sine * lower
        rotated[..., axis + 1, :] = sine * upper + cosine * lower
        matrices = rotated
    signs = 1.0 - 2.0 * random_below(2, derive_key(key, "sign"), (*shape[:-1], 1))
    return _permuted(matrices, derive_key(key, "rows")) * signs + 0.0  # no negative zeros


def _permuted(matrices: Floats, key: int) -> Floats:
    places: NDArray[np.int64] = random_below(2**62, key, matrices.shape[:-1])
    order = np.argsort(places, axis=-1, kind="stable")
    return np.take_along_axis(matrices, order[..., None], axis=-2)


def _product(left: Floats, right: Floats) -> Floats:
    """Multiply matrices with sums in one order, which a matrix library does not promise."""
    total = np.zeros(left.shape)
    for inner in range(left.shape[-1]):
        total = total + left[..., :, inner, None] * right[..., None, inner, :]
    return total


def rounded(kind: str, matrices: Array, dtype: Dtype) -> Array:
    """Return the matrices in the dtype; others than orthogonal ones change in half precision."""
    if kind == "orthogonal" or dtype.precision < _EXACT:
        return round_to(matrices, dtype)
    return matrices
