"""What PyTorch's linear operators do, by NumPy alone: the matrix of each for any sample.

Operators that pick, move, pad, add up or average entries have a derivative that is a matrix of
exact numbers. It is found by putting the unit vectors through a NumPy function that takes the
arguments of PyTorch's. No code of PyTorch's takes part; what is linear in no input is not here.
"""

# Signatures are PyTorch's.
# ruff: noqa: PLR0913, FBT002

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Linear:
    """Results as ``matrices @ inputs + offset``, of each in its shape."""

    matrices: tuple[Array, ...]
    offset: Array
    shapes: tuple[tuple[int, ...], ...]
    several: bool


def linear_map(function: Callable[[list[Array]], Any], shapes: Sequence[tuple[int, ...]]) -> Linear:
    """The map of a function of arrays of integers, entry by entry."""
    zeros = [np.zeros(shape, dtype=object) for shape in shapes]
    results = function(zeros)
    several = isinstance(results, list | tuple)
    offset = _row(results)
    columns = []
    for k, shape in enumerate(shapes):
        moved = [_row(function([*zeros[:k], unit, *zeros[k + 1 :]])) - offset
                 for unit in _units(shape)]  # fmt: skip
        columns.append(np.stack(moved, axis=1))
    sizes = tuple(np.shape(each) for each in (results if several else [results]))
    return Linear(tuple(columns), offset, sizes, several)


def _units(shape: tuple[int, ...]) -> Iterator[Array]:
    for place in np.ndindex(shape):
        unit = np.zeros(shape, dtype=object)
        unit[place] = 1
        yield unit


def _row(results: Any) -> Array:
    some = results if isinstance(results, list | tuple) else [results]
    return np.concatenate([np.asarray(each, dtype=object).reshape(-1) for each in some])


# ---- moves


def _axes(dims: Any, rank: int) -> tuple[int, ...]:
    dims = (dims,) if isinstance(dims, int) else tuple(dims)
    return tuple(each % max(rank, 1) for each in dims)


def _sizes(first: Any, rest: tuple[Any, ...]) -> tuple[int, ...]:
    """What is given as one list, or number by number."""
    return (first, *rest) if isinstance(first, int) else tuple(first)


def _roll(x: Array, shifts: Any, dims: Any = None) -> Array:
    none = dims is None or dims == ()
    return np.roll(x, shifts, None if none else dims)


def _diagonal(x: Array, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Array:
    return np.diagonal(x, offset, dim1, dim2)


def _diag_embed(x: Array, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Array:
    n = x.shape[-1] + abs(offset)
    out = np.zeros((*x.shape[:-1], n, n), dtype=object)
    for k in range(x.shape[-1]):
        out[..., k + max(-offset, 0), k + max(offset, 0)] = x[..., k]
    return np.moveaxis(out, (-2, -1), _axes((dim1, dim2), out.ndim))


def _expand(x: Array, size: Any, *rest: int) -> Array:
    sizes = list(_sizes(size, rest))
    lead = len(sizes) - x.ndim
    return np.broadcast_to(
        x, [x.shape[k - lead] if each == -1 else each for k, each in enumerate(sizes)]
    )


def _repeat(x: Array, size: Any, *rest: int) -> Array:
    return np.tile(x, _sizes(size, rest))


def _unfold(x: Array, dimension: int, size: int, step: int) -> Array:
    if not x.ndim:
        return x.reshape(1)[:size]
    windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=dimension)
    return np.take(windows, range(0, windows.shape[dimension], step), axis=dimension)


def _narrow(x: Array, dim: int, start: Any, length: int) -> Array:
    begin = int(start) % max(x.shape[dim], 1) if int(start) < x.shape[dim] else int(start)
    return np.take(x, range(begin, begin + length), axis=dim)


def _squeeze(x: Array, dim: Any = None) -> Array:
    axes = range(x.ndim) if dim is None else _axes(dim, x.ndim)
    return np.squeeze(x, tuple(k for k in axes if x.ndim and x.shape[k] == 1))


def _flatten(x: Array, start_dim: int = 0, end_dim: int = -1) -> Array:
    if not x.ndim:
        return x.reshape(1)
    first, last = _axes((start_dim, end_dim), x.ndim)
    return x.reshape(*x.shape[:first], -1, *x.shape[last + 1 :])


def _unflatten(x: Array, dim: int, sizes: Any) -> Array:
    (dim,) = _axes(dim, x.ndim)
    return x.reshape(*x.shape[:dim], *_sizes(sizes, ()), *x.shape[dim + 1 :])


def _reshape(x: Array, shape: Any, *rest: int) -> Array:
    return x.reshape(_sizes(shape, rest))


def _split(x: Array, sizes: Any, dim: int = 0) -> list[Array]:
    if isinstance(sizes, int):
        places = list(range(sizes, x.shape[dim], sizes))
    else:
        places = list(np.cumsum(sizes))[:-1]
    return np.split(x, places, axis=dim)


def _chunk(x: Array, chunks: int, dim: int = 0) -> list[Array]:
    return _split(x, -(-x.shape[dim] // chunks), dim)


def _tensor_split(x: Array, sections: Any, dim: int = 0) -> list[Array]:
    return np.array_split(x, sections if np.ndim(sections) else int(sections), axis=dim)


def _unbind(x: Array, dim: int = 0) -> list[Array]:
    return list(np.moveaxis(x, dim, 0))


def _as_strided(x: Array, size: Any, stride: Any, storage_offset: int = 0) -> Array:
    flat, out = x.reshape(-1), np.zeros(size, dtype=object)
    for place in np.ndindex(*size):
        out[place] = flat[storage_offset + int(np.dot(place, stride)) if size else storage_offset]
    return out


# ---- places by an index


def _gather(x: Array, dim: int, index: Array) -> Array:
    if not x.ndim:
        return x.reshape(1)[index]
    (dim,) = _axes(dim, x.ndim)
    cut = tuple(slice(None) if k == dim else slice(n) for k, n in enumerate(index.shape))
    return np.take_along_axis(x[cut], index, dim)


def _index_select(x: Array, dim: int, index: Array) -> Array:
    return np.take(x if x.ndim else x.reshape(1), index, axis=dim).reshape(
        index.shape if not x.ndim else -1 if x.ndim == 1 else
        [*x.shape[: dim % x.ndim], index.size, *x.shape[dim % x.ndim + 1 :]]
    )  # fmt: skip


def _take_along_dim(x: Array, indices: Array, dim: int | None = None) -> Array:
    if dim is None:
        return x.reshape(-1)[indices.reshape(-1)]
    return np.take_along_axis(x, indices, dim)


def _masked_select(x: Array, mask: Array) -> Array:
    return np.broadcast_arrays(x, mask)[0][np.broadcast_arrays(x, mask)[1]]


def _along(x: Array, dim: int, index: Any) -> tuple[Any, ...]:
    (dim,) = _axes(dim, x.ndim)
    return (*[slice(None)] * dim, index)


def _index_fill(x: Array, dim: int, index: Array, value: Any) -> Array:
    out = x.copy().reshape(x.shape or (1,))
    out[_along(out, dim, index.reshape(-1))] = _exact(value)
    return out.reshape(x.shape)


def _index_copy(x: Array, dim: int, index: Array, source: Array) -> Array:
    out = x.copy().reshape(x.shape or (1,))
    out[_along(out, dim, index.reshape(-1))] = source.reshape(source.shape or (1,))
    return out.reshape(x.shape)


def _index_add(x: Array, dim: int, index: Array, source: Array, alpha: Any = 1) -> Array:
    out, parts = x.copy().reshape(x.shape or (1,)), source.reshape(source.shape or (1,))
    for k, place in enumerate(index.reshape(-1)):
        out[_along(out, dim, place)] = out[_along(out, dim, place)] \
            + _exact(alpha) * parts[_along(parts, dim, k)]  # fmt: skip
    return out.reshape(x.shape)


def _scattered(x: Array, dim: int, index: Array, source: Any, *, adds: bool) -> Array:
    out, index = x.copy().reshape(x.shape or (1,)), index.reshape(index.shape or (1,))
    source = np.broadcast_to(source, index.shape) if np.ndim(source) == 0 else source
    (dim,) = _axes(dim, out.ndim)
    for place in np.ndindex(index.shape):
        target = (*place[:dim], int(index[place]), *place[dim + 1 :])
        out[target] = source[place] + (out[target] if adds else 0)
    return out.reshape(x.shape)


def _scatter(x: Array, dim: int, index: Array, src: Any) -> Array:
    return _scattered(
        x, dim, index, src if isinstance(src, np.ndarray) else _exact(src), adds=False
    )


def _scatter_add(x: Array, dim: int, index: Array, src: Array) -> Array:
    return _scattered(x, dim, index, src, adds=True)


def _select_scatter(x: Array, src: Array, dim: int, index: int) -> Array:
    out = x.copy()
    out[_along(x, dim, index)] = src if src.ndim else src.item()
    return out


def _slice_scatter(
    x: Array, src: Array, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Array:
    out = x.copy()
    out[_along(x, dim, slice(start, end, step))] = src
    return out


def _diagonal_scatter(x: Array, src: Array, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Array:
    places = np.arange(x.size).reshape(x.shape)
    out = x.copy().reshape(-1)
    out[np.diagonal(places, offset, dim1, dim2).reshape(-1)] = src.reshape(-1)
    return out.reshape(x.shape)


def _masked_scatter(x: Array, mask: Array, source: Array) -> Array:
    shape = np.broadcast_shapes(x.shape, mask.shape)
    out, kept = np.broadcast_to(x, shape).copy(), np.broadcast_to(mask, shape)
    out[kept] = source.reshape(-1)[: kept.sum()]
    return out


def _masked_fill(x: Array, mask: Array, value: Any) -> Array:
    given = value if isinstance(value, np.ndarray) else _exact(value)
    return np.where(mask, given, x)


def _getitem(x: Array, index: Any) -> Array:
    return x[index]


def _exact(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value if value.dtype == object else Fraction(value.item())
    return value if isinstance(value, int) else Fraction(value)


# ---- several inputs


def _meshgrid(*tensors: Any, indexing: str = "ij") -> list[Array]:
    some = tensors[0] if isinstance(tensors[0], list | tuple) else tensors
    return list(np.meshgrid(*[each.reshape(-1) for each in some], indexing=indexing))


def _block_diag(*tensors: Array) -> Array:
    some = [np.atleast_2d(each) for each in tensors]
    out = np.zeros(np.sum([each.shape for each in some], axis=0), dtype=object)
    row = column = 0
    for each in some:
        out[row : row + each.shape[0], column : column + each.shape[1]] = each
        row, column = row + each.shape[0], column + each.shape[1]
    return out


def _cartesian_prod(*tensors: Array) -> Array:
    if len(tensors) == 1:
        return tensors[0]
    rows = list(itertools.product(*[each.tolist() for each in tensors]))
    return np.array(rows, dtype=object).reshape(-1, len(tensors))


def _combinations(x: Array, r: int = 2, with_replacement: bool = False) -> Array:  # noqa: FBT001
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(x.tolist(), r))
    return np.array(rows, dtype=object).reshape(-1, r)


def _joined(join: Callable[..., Array]) -> Callable[..., Array]:
    return lambda *tensors: join(
        tensors[0] if len(tensors) == 1 and isinstance(tensors[0], list | tuple) else tensors
    )


def _broadcast_tensors(*tensors: Array) -> list[Array]:
    return list(np.broadcast_arrays(*tensors))


# ---- sums, differences and means


def _sum_to_size(x: Array, *size: Any) -> Array:
    shape = _sizes(size[0], size[1:]) if size else ()
    lead = x.ndim - len(shape)
    out = x.sum(tuple(range(lead))) if lead else x
    axes = tuple(k for k, n in enumerate(shape) if n == 1 and out.shape[k] != 1)
    return np.asarray(np.sum(out, axes, keepdims=True) if axes else out, dtype=object)


def _diff(x: Array, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Array:
    parts = [each for each in (prepend, x, append) if each is not None]
    out = np.concatenate(parts, axis=dim)
    for _ in range(n):
        out = np.diff(out, axis=dim)
    return out


def _pad(x: Array, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Array:
    for k in range(len(pad) // 2):
        axis, ends = x.ndim - 1 - k, (pad[2 * k], pad[2 * k + 1])
        x = _padded(x, axis, ends, mode, value)
    return x


_PADS = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def _padded(x: Array, axis: int, ends: tuple[int, int], mode: str, value: Any) -> Array:
    cut = slice(max(-ends[0], 0), x.shape[axis] - max(-ends[1], 0))
    more = [(0, 0)] * x.ndim
    more[axis] = (max(ends[0], 0), max(ends[1], 0))
    x = x[_along(x, axis, cut)]
    if mode == "constant":
        return np.pad(x, more, constant_values=_exact(value or 0))
    return np.pad(x, more, mode=_PADS[mode])


def _constant_pad(x: Array, pad: Sequence[int], value: Any = 0) -> Array:
    return _pad(x, pad, value=value)


def _pixel_shuffle(x: Array, upscale_factor: int) -> Array:
    r, (c, h, w) = upscale_factor, x.shape[-3:]
    out = x.reshape(*x.shape[:-3], c // r**2, r, r, h, w)
    n = out.ndim
    out = np.transpose(out, (*range(n - 4), n - 2, n - 4, n - 1, n - 3))
    return out.reshape(*x.shape[:-3], c // r**2, h * r, w * r)


def _pixel_unshuffle(x: Array, downscale_factor: int) -> Array:
    r, (c, h, w) = downscale_factor, x.shape[-3:]
    out = x.reshape(*x.shape[:-3], c, h // r, r, w // r, r)
    n = out.ndim
    out = np.transpose(out, (*range(n - 4), n - 3, n - 1, n - 4, n - 2))
    return out.reshape(*x.shape[:-3], c * r**2, h // r, w // r)


def _channel_shuffle(x: Array, groups: int) -> Array:
    parts = x.reshape(x.shape[0], groups, -1, *x.shape[2:])
    return np.swapaxes(parts, 1, 2).reshape(x.shape)


def _each(value: Any, count: int) -> tuple[int, ...]:
    several = (value,) * count if isinstance(value, int) else tuple(value)
    return several * count if len(several) == 1 else several


def _spans(
    length: int, kernel: int, stride: int, padding: int, *, ceil: bool, dilation: int = 1
) -> list[list[int]]:
    """The places of each window along an axis; some lie in the padding."""
    reach = length + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-reach // stride) if ceil else reach // stride) + 1
    if ceil and (count - 1) * stride >= length + padding:
        count -= 1
    starts = [k * stride - padding for k in range(count)]
    return [[start + dilation * j for j in range(kernel)] for start in starts]


def _pooled(x: Array, spans: Sequence[list[list[int]]], reduce: Callable[..., Any]) -> Array:
    rank = len(spans)
    out = np.zeros((*x.shape[: x.ndim - rank], *map(len, spans)), dtype=object)
    for place in np.ndindex(*map(len, spans)):
        window = [spans[k][j] for k, j in enumerate(place)]
        inside = [[j for j in row if 0 <= j < x.shape[x.ndim - rank + k]]
                  for k, row in enumerate(window)]  # fmt: skip
        part = x[(..., *np.ix_(*inside))] if rank else x
        out[(..., *place)] = reduce(part.reshape(*x.shape[: x.ndim - rank], -1), window)
    return out


def avg_pool(rank: int) -> Callable[..., Array]:
    def pool(
        x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: Any = False,
        count_include_pad: Any = True, divisor_override: Any = None,
    ) -> Array:  # fmt: skip
        kernel = _each(kernel_size, rank)
        steps = kernel if stride in (None, (), []) else _each(stride, rank)
        pads, lengths = _each(padding, rank), x.shape[x.ndim - rank :]
        spans = [_spans(*each, ceil=ceil_mode)
                 for each in zip(lengths, kernel, steps, pads, strict=True)]  # fmt: skip

        def mean(part: Array, window: list[list[int]]) -> Any:
            limits = [(n + p if count_include_pad else n, -p if count_include_pad else 0)
                      for n, p in zip(lengths, pads, strict=True)]  # fmt: skip
            counted = [sum(low <= j < high for j in row)
                       for row, (high, low) in zip(window, limits, strict=True)]  # fmt: skip
            return part.sum(-1) * Fraction(1, divisor_override or int(np.prod(counted)))

        return _pooled(x, spans, mean)

    return pool


def adaptive_spans(lengths: Sequence[int], output_size: Any) -> list[list[list[int]]]:
    wanted = _outputs(output_size, len(lengths))
    sizes = [n if o is None else o for n, o in zip(lengths, wanted, strict=True)]
    return [
        [list(range(j * n // o, -(-(j + 1) * n // o))) for j in range(o)]
        for n, o in zip(lengths, sizes, strict=True)
    ]


def _outputs(output_size: Any, rank: int) -> tuple[Any, ...]:
    several = (output_size,) * rank if isinstance(output_size, int) else tuple(output_size)
    return several * rank if len(several) == 1 else several


def adaptive_avg_pool(rank: int) -> Callable[..., Array]:
    def pool(x: Array, output_size: Any) -> Array:
        spans = adaptive_spans(x.shape[x.ndim - rank :], output_size)
        return _pooled(
            x, spans, lambda part, _: part.sum(-1) * Fraction(1, part.shape[-1])
        )  # fmt: skip

    return pool


def _unfold_images(
    x: Array, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Array:
    batch = x if x.ndim == 4 else x[None]
    kernel, steps = _each(kernel_size, 2), _each(stride, 2)
    pads, gaps = _each(padding, 2), _each(dilation, 2)
    full = np.pad(batch, [(0, 0), (0, 0), (pads[0],) * 2, (pads[1],) * 2], constant_values=0)
    rows, columns = (
        _spans(full.shape[2 + k], kernel[k], steps[k], 0, ceil=False, dilation=gaps[k])
        for k in range(2)
    )
    blocks = [full[(slice(None), slice(None), *np.ix_(r, c))].reshape(len(batch), -1)
              for r in rows for c in columns]  # fmt: skip
    out = np.stack(blocks, axis=-1)
    return out if x.ndim == 4 else out[0]


_FAMILIES: Mapping[str, Callable[..., Any]] = {
    "flip": lambda x, dims: np.flip(x, dims),  # noqa: PLW0108
    "fliplr": np.fliplr,
    "flipud": np.flipud,
    "roll": _roll,
    "rot90": lambda x, k=1, dims=(0, 1): np.rot90(x, k, dims),
    "permute permute_copy": lambda x, dims, *rest: np.transpose(x, _sizes(dims, rest)),
    "movedim": np.moveaxis,
    "transpose transpose_copy swapaxes": np.swapaxes,
    "diag": lambda x, diagonal=0: np.diag(x, diagonal),
    "diagonal diagonal_copy": _diagonal,
    "linalg.diagonal": lambda x, *, offset=0, dim1=-2, dim2=-1: _diagonal(x, offset, dim1, dim2),
    "diag_embed": _diag_embed,
    "diagflat": lambda x, offset=0: np.diagflat(x, offset),
    "expand expand_copy broadcast_to": _expand,
    "repeat tile": _repeat,
    "unfold unfold_copy": _unfold,
    "narrow narrow_copy": _narrow,
    "select": lambda x, dim, index: np.take(x, index, axis=dim),
    "squeeze squeeze_copy": _squeeze,
    "unsqueeze unsqueeze_copy": np.expand_dims,
    "ravel": lambda x: x.reshape(-1),
    "flatten": _flatten,
    "unflatten": _unflatten,
    "reshape view view_copy": _reshape,
    "split split_with_sizes split_with_sizes_copy unsafe_split": _split,
    "chunk unsafe_chunk": _chunk,
    "tensor_split": _tensor_split,
    "hsplit": lambda x, sections: _tensor_split(x, sections, min(x.ndim - 1, 1)),
    "vsplit": lambda x, sections: _tensor_split(x, sections, 0),
    "dsplit": lambda x, sections: _tensor_split(x, sections, 2),
    "unbind unbind_copy": _unbind,
    "as_strided as_strided_copy": _as_strided,
    "gather": _gather,
    "index_select": _index_select,
    "take": lambda x, index: x.reshape(-1)[index],
    "take_along_dim": _take_along_dim,
    "masked_select": _masked_select,
    "masked_fill": _masked_fill,
    "masked_scatter": _masked_scatter,
    "index_fill": _index_fill,
    "index_copy": _index_copy,
    "index_add": _index_add,
    "scatter": _scatter,
    "scatter_add": _scatter_add,
    "select_scatter": _select_scatter,
    "slice_scatter": _slice_scatter,
    "diagonal_scatter": _diagonal_scatter,
    "__getitem__": _getitem,
    "meshgrid": _meshgrid,
    "block_diag": _block_diag,
    "cartesian_prod": _cartesian_prod,
    "combinations": _combinations,
    "column_stack": _joined(np.column_stack),
    "dstack": _joined(np.dstack),
    "broadcast_tensors": _broadcast_tensors,
    "sum_to_size": _sum_to_size,
    "diff": _diff,
    "nn.functional.pad": _pad,
    "constant_pad_nd": _constant_pad,
    "nn.functional.pixel_shuffle": _pixel_shuffle,
    "nn.functional.pixel_unshuffle": _pixel_unshuffle,
    "nn.functional.channel_shuffle": _channel_shuffle,
    "nn.functional.unfold": _unfold_images,
    "nn.functional.avg_pool1d": avg_pool(1),
    "nn.functional.avg_pool2d": avg_pool(2),
    "nn.functional.avg_pool3d": avg_pool(3),
    "nn.functional.adaptive_avg_pool1d": adaptive_avg_pool(1),
    "nn.functional.adaptive_avg_pool2d": adaptive_avg_pool(2),
    "nn.functional.adaptive_avg_pool3d": adaptive_avg_pool(3),
}
LINEAR = {name: function for names, function in _FAMILIES.items() for name in names.split()}
"""By PyTorch's name a function that takes arrays where PyTorch's takes tensors."""


def _windows(x: Array, spans: Sequence[list[list[int]]]) -> Array:
    """The entries of each window along a last axis; what lies in the padding, by another of it."""
    rank, kept = len(spans), []
    lead = x.ndim - rank
    for place in np.ndindex(*map(len, spans)):
        rows = []
        for k, j in enumerate(place):
            inside = [i for i in spans[k][j] if 0 <= i < x.shape[lead + k]]
            rows.append([i if i in inside else inside[0] for i in spans[k][j]])
        kept.append(x[(..., *np.ix_(*rows))].reshape(*x.shape[:lead], -1))
    width = max(each.shape[-1] for each in kept)
    even = [each[..., np.arange(width) % each.shape[-1]] for each in kept]
    return np.stack(even, axis=lead).reshape(*x.shape[:lead], *map(len, spans), width)


def max_pool(rank: int) -> Callable[..., Array]:
    def pool(
        x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: Any = False, return_indices: Any = False,
    ) -> Array:  # fmt: skip
        del return_indices  # which only adds a result
        kernel = _each(kernel_size, rank)
        steps = kernel if stride in (None, (), []) else _each(stride, rank)
        places = zip(x.shape[x.ndim - rank :], kernel, steps, _each(padding, rank),
                     _each(dilation, rank), strict=True)  # fmt: skip
        return _windows(x, [_spans(n, k, s, p, ceil=ceil_mode, dilation=d)
                            for n, k, s, p, d in places])  # fmt: skip

    return pool


def adaptive_max_pool(rank: int) -> Callable[..., Array]:
    def pool(x: Array, output_size: Any, return_indices: Any = False) -> Array:
        del return_indices  # which only adds a result
        return _windows(x, adaptive_spans(x.shape[x.ndim - rank :], output_size))

    return pool


WINDOWS = {
    **{f"nn.functional.max_pool{rank}d": max_pool(rank) for rank in (1, 2, 3)},
    **{f"nn.functional.adaptive_max_pool{rank}d": adaptive_max_pool(rank) for rank in (1, 2, 3)},
}
"""Functions that give the entries of which PyTorch's takes the largest, along a last axis."""
