"""A fused softmax over rows in Triton, with a backward written by hand.

A program takes a tile of whole rows and adds up in float32, or in float64 where the data are.

Unless `TRITON_INTERPRET=0` stands in the environment, Triton's interpreter runs these kernels with
NumPy, one program after the other: it needs no GPU.
"""

import os

os.environ.setdefault("TRITON_INTERPRET", "1")  # before triton, whose import reads it

import torch
import triton
import triton.language as tl

ROWS = 4  # of a tile; it is as wide as the power of 2 that holds a row


@triton.jit
def _forward(  # noqa: PLR0913 - a kernel takes no objects
    x, y, down, right, rows, columns, tall: tl.constexpr, wide: tl.constexpr
):
    row = tl.program_id(0) * tall + tl.arange(0, tall)[:, None]
    column = tl.arange(0, wide)[None, :]
    inside = (row < rows) & (column < columns)
    entry = tl.load(x + row * down + column * right, mask=inside, other=0)
    entry = entry.to(tl.float64 if entry.dtype == tl.float64 else tl.float32)
    entry = tl.where(column < columns, entry, float("-inf"))  # not whole rows: -inf - -inf is NaN
    weight = tl.exp(entry - tl.max(entry, axis=1, keep_dims=True))
    weight = weight / tl.sum(weight, axis=1, keep_dims=True)
    tl.store(y + row * columns + column, weight.to(y.dtype.element_ty), mask=inside)


@triton.jit
def _backward(  # noqa: PLR0913
    y, dy, dx, down, right, rows, columns, tall: tl.constexpr, wide: tl.constexpr
):
    row = tl.program_id(0) * tall + tl.arange(0, tall)[:, None]
    column = tl.arange(0, wide)[None, :]
    inside = (row < rows) & (column < columns)
    weight = tl.load(y + row * columns + column, mask=inside, other=0)
    slope = tl.load(dy + row * down + column * right, mask=inside, other=0)
    sums = tl.float64 if weight.dtype == tl.float64 else tl.float32
    weight, slope = weight.to(sums), slope.to(sums)
    change = weight * (slope - tl.sum(weight * slope, axis=1, keep_dims=True))
    tl.store(dx + row * columns + column, change.to(dx.dtype.element_ty), mask=inside)


def _tiles(rows, columns):
    """Return the grid and the sizes of a tile."""
    return (triton.cdiv(rows, ROWS),), {"tall": ROWS, "wide": triton.next_power_of_2(columns)}


class Softmax(torch.autograd.Function):
    """Softmax along the last axis of a tensor with any number of axes, in any layout."""

    @staticmethod
    def forward(ctx, x):
        rows = x.reshape(-1, x.shape[-1])
        y = torch.empty(rows.shape, dtype=x.dtype, device=x.device)
        grid, tile = _tiles(*rows.shape)
        _forward[grid](rows, y, *rows.stride(), *rows.shape, **tile)
        ctx.save_for_backward(y)
        return y.reshape(x.shape)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, dy):
        (y,) = ctx.saved_tensors
        slopes = dy.reshape(y.shape)
        dx = torch.empty_like(y)
        grid, tile = _tiles(*y.shape)
        _backward[grid](y, slopes, dx, *slopes.stride(), *y.shape, **tile)
        return dx.reshape(dy.shape)
