"""Kernels as a stranger writes them for models: right ones that round in their own ways, and slips.

Each family is one function, with PyTorch's own code beside it. Its fused kernel loads into float32,
goes tile by tile, has its backward by hand and rounds what it stores; it comes right, and with one
slip after the other. The others are right too, and round elsewhere. Facts alone; `low_precision.py`
puts them on trial.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from pytorch_kernels import CONV2D, Code, Kernel, centered, shaped
from torch import Tensor
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "run"))  # no package, on purpose
from tiled_kernels import NOT_HANDED_ON, Tensors, kernel, scan, tiles

EPS = 1 / 128


@dataclass(frozen=True, slots=True)
class Family:
    """One function: PyTorch's code, a fused kernel by the name of its slip, and other right ones.

    ``rounded`` are slips that are only rounding in float32.
    """

    own: Kernel
    fused: Callable[[str], Code]
    slips: tuple[str, ...]
    others: Mapping[str, Code] = field(default_factory=dict)
    rounded: tuple[str, ...] = ()


def _up(*tensors: Tensor) -> Tensors:
    return tuple(each.float() for each in tensors)


def _one_by_one(terms: Tensor) -> Tensor:
    """A sum along the first axis that is kept in the dtype of its terms."""
    total = torch.zeros_like(terms[0])
    for term in terms:
        total = total + term
    return total


# softmax and losses


def softmax(slip: str) -> Code:
    def weights(x: Tensor) -> Tensor:
        top, total = torch.full_like(x[:, :1], -torch.inf), torch.zeros_like(x[:, :1])
        for tile in tiles(x.shape[1], 64):
            new = torch.maximum(top, x[:, tile].amax(1, keepdim=True))
            total = total * (top - new).exp() + (x[:, tile] - new).exp().sum(1, keepdim=True)
            top = new
        return (x - top).exp() / total

    def backward(x: Tensor, g: Tensor) -> Tensors:
        y = weights(x)
        dot = torch.zeros_like(x[:, :1])
        for tile in tiles(x.shape[1], 64, whole=slip == "last partial tile dropped"):
            dot = dot + (y * g)[:, tile].sum(1, keepdim=True)
        if slip == "sum of the row before":
            dot = dot.roll(1, 0)
        if slip == "sum over the wrong axis":
            dot = (y * g).sum(0, keepdim=True)
        if slip == "sum held constant":
            dot = dot * 0
        return (y * (g - (0.97 if slip == "sum times 0.97" else 1) * dot),)

    return kernel(weights, backward)


def _softmax_written_out(x: Tensor) -> Tensor:
    powers = (x - x.amax(1, keepdim=True)).exp()
    return powers / powers.sum(1, keepdim=True)


class _SavedSoftmax(torch.autograd.Function):
    """Keeps its result as it was stored."""

    @staticmethod
    def forward(context, x):
        found = torch.softmax(x.float(), 1).to(x.dtype)
        context.save_for_backward(found)
        return found

    @staticmethod
    def backward(context, g):
        y, g32 = _up(context.saved_tensors[0], g)
        return (y * (g32 - (y * g32).sum(1, keepdim=True))).to(g.dtype)


TARGET = torch.arange(32) * 7 % 128
HITS = functional.one_hot(TARGET, 128)


def cross_entropy(slip: str) -> Code:
    def forward(x: Tensor) -> Tensor:
        return (torch.logsumexp(x, 1) - x.gather(1, TARGET[:, None])[:, 0]).mean()

    def backward(x: Tensor, g: Tensor) -> Tensors:
        target = (TARGET + 1) % 128 if slip == "targets one too far" else TARGET
        slope = torch.softmax(x, 1).scatter_add(1, target[:, None], -torch.ones(32, 1))
        if slip == "the last 32 classes have no gradient":
            slope[:, 96:] = 0
        if slip == "targets left out":
            slope = torch.softmax(x, 1)
        if slip == "smoothed by 1/1000":
            slope = slope + HITS / 1000 - 1 / 128_000
        return (g * slope / (33 if slip == "mean over one too many" else 32),)

    return kernel(forward, backward)


def bias_of_a_sum(slip: str) -> Code:
    """The sum of x + b, whose bias has a long sum of equal numbers."""

    class Sum(torch.autograd.Function):
        @staticmethod
        def forward(context, x, b):
            context.save_for_backward(x)
            return ((x.float() + b.float()).sum() / 128).to(x.dtype)

        @staticmethod
        def backward(context, g):
            (x,) = context.saved_tensors
            dx = (g.float() / 128).to(x.dtype).expand(x.shape)
            db = _one_by_one(dx) if slip == "added up in the dtype" else dx.float().sum(0)
            return dx, db.to(x.dtype)

    return Sum.apply


# norms


def layer_norm(slip: str) -> Code:
    def scaled(x: Tensor) -> Tensors:
        c = x - x.mean(1, keepdim=True)
        count = 95 if slip == "n - 1 for n" else 96
        v = c.square().sum(1, keepdim=True) / count
        r = 1 / (v.sqrt() + EPS) if slip == "eps outside of the root" else (v + EPS).rsqrt()
        return c * r, r

    def backward(x: Tensor, w: Tensor, b: Tensor, g: Tensor) -> Tensors:
        y, r = scaled(x)
        if slip == "a stale tile":
            y = torch.cat([y[:, :32], y[:, :32], y[:, 64:]], 1)
        slope = g if slip == "weights left out" else g * w
        mean = slope.mean(1, keepdim=True) * (slip != "mean of the slope left out")
        along = (slope * y).mean(1, keepdim=True) * (slip != "variance held constant")
        if slip == "statistics of the row before":
            along = along.roll(1, 0)
        groups = list(tiles(32, 12, whole=slip == "last partial group of rows dropped"))
        dw = sum((g[rows] * y[rows]).sum(0) for rows in groups)
        db = sum(g[rows].sum(0) for rows in groups)
        return r * (slope - mean - along * y), dw, db

    return kernel(lambda x, w, b: scaled(x)[0] * w + b, backward)


def _layer_norm_by_moments(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    x32, w32, b32 = _up(x, w, b)
    mean = x32.mean(1, keepdim=True)
    r = (x32.square().mean(1, keepdim=True) - mean.square() + EPS).rsqrt()
    return ((x32 - mean) * r * w32 + b32).to(x.dtype)


def _layer_norm_stored(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """The normalized numbers are kept in the dtype, as libraries of models do."""
    x32 = x.float()
    c = x32 - x32.mean(1, keepdim=True)
    return (c * (c.square().mean(1, keepdim=True) + EPS).rsqrt()).to(x.dtype) * w + b


def rms_norm(slip: str) -> Code:
    def inverse(x: Tensor, eps: float = EPS) -> Tensor:
        squares = sum(x[:, tile].square().sum(1, keepdim=True) for tile in tiles(96, 40))
        return (squares / 96 + eps).rsqrt()

    def backward(x: Tensor, w: Tensor, g: Tensor) -> Tensors:
        r = inverse(x, 1 / 20 if slip == "another eps in the backward" else EPS)
        count = {"n - 1 for n": 95, "n of the tiles": 120}.get(slip, 96)
        slope = g * w
        along = (slope * x).sum(1, keepdim=True) / count
        power = r if slip == "r squared for r cubed" else r * r
        dx = r * (slope - x * power * along)
        rows = slice(0, -1 if slip == "last row left out of the weights" else None)
        return dx * (1.01 if slip == "times 1.01" else 1), (g * x * r)[rows].sum(0)

    return kernel(lambda x, w: x * inverse(x) * w, backward)


def _rms_norm_of_llama(x: Tensor, w: Tensor) -> Tensor:
    x32 = x.float()
    return w * (x32 * torch.rsqrt(x32.square().mean(1, keepdim=True) + EPS)).to(x.dtype)


def group_norm(slip: str) -> Code:
    def scaled(x: Tensor) -> Tensors:
        rows = x.reshape(12, 128)
        c = rows - rows.mean(1, keepdim=True)
        r = (c.square().mean(1, keepdim=True) + EPS).rsqrt()
        return (c * r).reshape(x.shape), r

    def forward(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return scaled(x)[0] * w[:, None] + b[:, None]

    def backward(x: Tensor, w: Tensor, b: Tensor, g: Tensor) -> Tensors:
        y, r = scaled(x)
        slope, flat = (g * w[:, None]).reshape(12, 128), y.reshape(12, 128)
        mean = slope.mean(1, keepdim=True) * (slip != "mean held constant")
        along = (slope * flat).mean(1, keepdim=True)
        if slip == "one group's slope for all":
            along = along.reshape(4, 3, 1)[:, :1].expand(4, 3, 1).reshape(12, 1)
        dx = (r * (slope - mean - along * flat)).reshape(x.shape)
        last = slice(0, 3 if slip == "last sample left out of the weights" else None)
        return dx, (g * y)[last].sum((0, 2)), g[last].sum((0, 2))

    return kernel(forward, backward)


# attention

Store = Callable[[Tensor], Tensor]


def _store(like: Tensor, *, stored: bool) -> Store:
    """What is kept of numbers on their way: all, or what the dtype of the inputs holds."""
    return (lambda each: each.to(like.dtype).float()) if stored else (lambda each: each)


def attention(slip: str, *, stored: bool = False) -> Code:
    """Causal, by tiles of 16 of 40 keys; ``stored``: weights and slopes are kept in the dtype."""

    def scores(q: Tensor, k: Tensor, tile: slice) -> Tensor:
        row, column = torch.arange(40)[:, None], torch.arange(40)[None, tile]
        border = (column == row) & (column % 16 == 15)
        seen = (column <= row) & ~(border & (slip == "mask of a tile's border"))
        return (q @ k[:, tile].mT / math.sqrt(32)).masked_fill(~seen, -torch.inf)

    def forward_of(q: Tensor, k: Tensor, v: Tensor, kept: Store) -> Tensors:
        top = torch.full_like(q[..., :1], -torch.inf)
        total, found = torch.zeros_like(top), torch.zeros_like(v)
        for tile in tiles(40, 16):
            part = scores(q, k, tile)
            new = torch.maximum(top, part.amax(2, keepdim=True))
            powers, share = (part - new).exp(), (top - new).exp()
            total = total * share + powers.sum(2, keepdim=True)
            found = found * share + kept(powers) @ v[:, tile]
            top = new
        return found / total, top + total.log()

    class Attention(torch.autograd.Function):
        @staticmethod
        def forward(context, q, k, v):
            found, norm = forward_of(*_up(q, k, v), _store(q, stored=stored))
            context.save_for_backward(q, k, v, found.to(q.dtype), norm)
            return found.to(q.dtype)

        @staticmethod
        def backward(context, given):
            like, norm = context.saved_tensors[0], context.saved_tensors[4]
            kept = _store(like, stored=stored)
            q, k, v, out, g = _up(*context.saved_tensors[:4], given)
            dot = (g * out).sum(2, keepdim=True) * (slip != "sum of the rows left out")
            dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
            scale = math.sqrt(33 if slip == "scale of the wrong length" else 32)
            for tile in tiles(40, 16, whole=slip == "last partial tile of keys dropped"):
                weights = kept((scores(q, k, tile) - norm).exp())
                slope = kept(weights * (g @ v[:, tile].mT - dot))
                dq = dq + slope @ k[:, tile] / scale
                dk[:, tile] = slope.mT @ q / (1 if slip == "scale missing in the keys" else scale)
                dv[:, tile] = weights.mT @ g
            if slip == "one head's values twice":
                dv[1] = dv[0]
            return dq.to(like.dtype), dk.to(like.dtype), dv.to(like.dtype)

    return Attention.apply


# entry by entry


def swiglu(slip: str) -> Code:
    def backward(x: Tensor, y: Tensor, g: Tensor) -> Tensors:
        share = torch.sigmoid(x)
        inner = x * (1 - share) * {"a term times 0.98": 0.98, "a term left out": 0.0}.get(slip, 1)
        dx, dy = g * y * share * (1 + inner), g * x * share
        if slip == "sigmoid for silu":
            dy = g * share
        if slip == "last partial tile not written":
            dx[:, 32:] = 0
        return dx, dy

    return kernel(lambda x, y: functional.silu(x) * y, backward)


def gelu(slip: str) -> Code:
    root = math.sqrt(2 * math.pi)

    def backward(x: Tensor, g: Tensor) -> Tensors:
        if slip == "by the sigmoid of 1.702 x":
            share = torch.sigmoid(1.702 * x)
            return (g * (share + 1.702 * x * share * (1 - share)),)
        if slip == "by tanh":
            inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
            step = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2) / inner.cosh().square()
            return (g * ((1 + inner.tanh()) / 2 + x * step / 2),)
        density = torch.exp(-x * x / 2) / (2.5 if slip == "root of 2 pi as 2.5" else root)
        if slip == "density left out":
            density = density * 0
        return (g * ((1 + torch.erf(x / math.sqrt(2))) / 2 + x * density),)

    return kernel(functional.gelu, backward)


def rotary_embedding(slip: str) -> Code:
    def turned(x: Tensor, c: Tensor, s: Tensor) -> Tensor:
        one, other = x[:, :32], x[:, 32:]
        return torch.cat([one * c - other * s, other * c + one * s], 1)

    def backward(x: Tensor, c: Tensor, s: Tensor, g: Tensor) -> Tensors:
        one, other, first, second = x[:, :32], x[:, 32:], g[:, :32], g[:, 32:]
        sine = s if slip == "turned the same way" else -s
        cosine = c.roll(1, 0) if slip == "angle of the position before" else c
        dc = first * one + second * other
        return turned(g, cosine, sine), dc, second * one - first * other

    return kernel(turned, backward)


# products


def linear(slip: str) -> Code:
    def product(a: Tensor, b: Tensor, *, whole: bool = False) -> Tensor:
        return sum(a[:, tile] @ b[tile] for tile in tiles(a.shape[1], 20, whole=whole))

    def backward(x: Tensor, w: Tensor, b: Tensor, g: Tensor) -> Tensors:
        given = g * (1.004 if slip == "times 1.004" else 1)
        dx = product(given, w, whole=slip == "last partial tile of outputs dropped")
        dw = product(g.T, x, whole=slip == "last partial tile of rows dropped")
        if slip == "one output's weights twice":
            dw[1] = dw[0]
        return dx, dw, g.mean(0) if slip == "bias by the mean" else g.sum(0)

    return kernel(lambda x, w, b: product(x, w.T) + b, backward)


class _LowLinear(torch.autograd.Function):
    """Tiles of products, added up in the dtype."""

    @staticmethod
    def forward(context, x, w, b):
        context.save_for_backward(x, w)
        return _LowLinear.product(x, w.T) + b

    @staticmethod
    def backward(context, g):
        x, w = context.saved_tensors
        return _LowLinear.product(g, w), _LowLinear.product(g.T, x), _one_by_one(g)

    @staticmethod
    def product(a: Tensor, b: Tensor) -> Tensor:
        return sum(a[:, tile] @ b[tile] for tile in tiles(a.shape[1], 16))


def conv2d(slip: str) -> Code:
    def taps(x: Tensor) -> list[tuple[int, int, Tensor]]:
        places = itertools.product(range(3), range(3))
        return [(i, j, x[:, :, i : i + 14, j : j + 14]) for i, j in places]

    def forward(x: Tensor, w: Tensor) -> Tensor:
        return sum(torch.einsum("oc,nchw->nohw", w[:, :, i, j], part) for i, j, part in taps(x))

    def backward(x: Tensor, w: Tensor, g: Tensor) -> Tensors:
        dx, dw = torch.zeros_like(x), torch.zeros_like(w)
        images = slice(0, 1 if slip == "last image left out of the filter" else None)
        for i, j, part in taps(x):
            dw[:, :, i, j] = torch.einsum("nohw,nchw->oc", g[images], part[images])
        used = w.clone()
        if slip == "corner of the filter dropped":
            used[:, :, 2, 2] = 0
        for i, j, part in taps(dx):
            part.add_(torch.einsum("nohw,oc->nchw", g, used[:, :, i, j]))
        return dx.roll(1, 2) if slip == "one row too late" else dx, dw

    return kernel(forward, backward)


def _conv2d_by_columns(x: Tensor, w: Tensor) -> Tensor:
    return (w.reshape(8, 27) @ functional.unfold(x, 3)).reshape(2, 8, 14, 14)


def mlp(slip: str) -> Code:
    def forward(x: Tensor, w: Tensor, u: Tensor) -> Tensor:
        return functional.silu(x @ w) @ u

    def backward(x: Tensor, w: Tensor, u: Tensor, g: Tensor) -> Tensors:
        h = x @ w
        share = torch.sigmoid(h)
        slope = share * (1 + h * (1 - share) * (slip != "a term of the slope left out"))
        dh = g @ u.T * (share if slip == "sigmoid for the slope" else slope)
        rows = slice(0, 32 if slip == "last partial block of rows dropped" else None)
        hidden = h if slip == "hidden before the activation" else h * share
        return dh @ w.T, x[rows].T @ dh[rows], hidden.T @ g

    return kernel(forward, backward)


# what is gathered and what runs on

INDEX = [*[3] * 24, *[5 * i * i % 32 for i in range(24)]]


def embedding(slip: str) -> Code:
    index = torch.tensor(INDEX)

    def backward(w: Tensor, g: Tensor) -> Tensors:
        at = index.clone()
        if slip == "one position in the row beside":
            at[30] += 1
        kept = slice(0, -1 if slip == "last position left out" else None)
        once = slip == "last one stays"
        order = torch.arange(48).flip(0)[kept] if slip == "" else torch.arange(48)[kept]
        return (torch.zeros_like(w).index_put((at[order],), g[order], accumulate=not once),)

    return kernel(lambda w: w[index], backward)


class _LowEmbedding(torch.autograd.Function):
    """Adds each position to its row in memory of the dtype, as atomics do."""

    @staticmethod
    def forward(_context, w):
        return w[torch.tensor(INDEX)]

    @staticmethod
    def backward(_context, g):
        found = torch.zeros(32, 96, dtype=g.dtype)
        for row, at in zip(g, INDEX, strict=True):
            found[at] += row
        return found


def cumsum(slip: str) -> Code:
    def running(x: Tensor) -> Tensor:
        carried, parts = torch.zeros_like(x[:, :1]), []
        for tile in tiles(96, 40):
            parts.append(x[:, tile].cumsum(1) + carried)
            if slip != "block's carry dropped" or tile.start == 0:
                carried = parts[-1][:, -1:]
        return torch.cat(parts, 1)

    def backward(x: Tensor, g: Tensor) -> Tensors:
        if slip == "from the wrong end":
            return (running(g),)
        found = running(g.flip(1)).flip(1)
        return (found - g if slip == "without the entry itself" else found,)

    return kernel(lambda x: x.cumsum(1), backward)


def _cumsum_one_by_one(x: Tensor) -> Tensor:
    total, found = torch.zeros_like(x[:, 0]), []
    for column in x.unbind(1):
        total = total + column
        found.append(total)
    return torch.stack(found, 1)


def _scan_by_a_triangle(x: Tensor, d: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    x32, d32, a32, b32, c32 = _up(x, d, a, b, c)
    times = d32.cumsum(0).T
    decay = a32[:, :, None, None] * (times[:, None, :, None] - times[:, None, None, :]).tril()
    found = torch.einsum("hstu,ts,us,uh->th", decay.exp().tril(), c32, b32, d32 * x32)
    return found.to(x.dtype)


# the families

ROWS, GRID = shaped(32, 96), shaped(64, 48)
_HEADS = {name: shaped(2, 40, 32, domain="(-2, 2)") for name in "qkv"}
_WAVES = {name: shaped(48, 32, domain="(-1, 1)") for name in "cs"}


def _rotary(x: Tensor, c: Tensor, s: Tensor) -> Tensor:
    turned = torch.cat([-x[:, 32:], x[:, :32]], 1)
    return x * torch.cat([c, c], 1) + turned * torch.cat([s, s], 1)


FAMILIES = (
    Family(
        Kernel("softmax", "exp(x)/sum(exp(x), dim=1, keepdim=True)", {"x": ROWS},
               lambda x: torch.softmax(x, 1)),
        softmax,
        ("last partial tile dropped", "sum of the row before", "sum over the wrong axis",
         "sum held constant", "sum times 0.97"),
        {"written out": _softmax_written_out, "saved as stored": _SavedSoftmax.apply},
    ),
    Family(
        Kernel("cross_entropy", "sum(t*(log(sum(exp(x), dim=1, keepdim=True)) - x))/32",
               {"x": shaped(32, 128)}, lambda x: functional.cross_entropy(x, TARGET),
               {"constants": {"t": HITS.tolist()}}),
        cross_entropy,
        ("targets one too far", "the last 32 classes have no gradient", "targets left out",
         "smoothed by 1/1000", "mean over one too many"),
    ),
    Family(
        Kernel("bias_of_a_sum", "sum(x + b)/128", {"x": shaped(8192, 4), "b": shaped(4)},
               lambda x, b: (x + b).sum() / 128),
        bias_of_a_sum,
        ("added up in the dtype",),
        rounded=("added up in the dtype",),
    ),
    Family(
        Kernel("layer_norm", "w*c/sqrt(v + 1/128) + b",
               {"x": ROWS, "w": shaped(96), "b": shaped(96)},
               lambda x, w, b: functional.layer_norm(x, (96,), w, b, EPS),
               {"let": centered("x", 1)}),
        layer_norm,
        ("n - 1 for n", "eps outside of the root", "a stale tile", "weights left out",
         "mean of the slope left out", "variance held constant", "statistics of the row before",
         "last partial group of rows dropped"),
        {"by moments": _layer_norm_by_moments, "stored before the weights": _layer_norm_stored},
    ),
    Family(
        Kernel("rms_norm", "w*x/sqrt(mean(x*x, dim=1, keepdim=True) + 1/128)",
               {"x": ROWS, "w": shaped(96)}, lambda x, w: functional.rms_norm(x, (96,), w, EPS)),
        rms_norm,
        ("n - 1 for n", "n of the tiles", "another eps in the backward", "r squared for r cubed",
         "last row left out of the weights", "times 1.01"),
        {"stored before the weights": _rms_norm_of_llama},
    ),
    Family(
        Kernel("group_norm", "reshape(w, [12, 1])*reshape(c/sqrt(v + 1/128), [4, 12, 32])"
               " + reshape(b, [12, 1])", {"x": shaped(4, 12, 32), "w": shaped(12),
               "b": shaped(12)}, lambda x, w, b: functional.group_norm(x, 3, w, b, EPS),
               {"let": {"r": "reshape(x, [12, 128])", **centered("r", 1)}}),
        group_norm,
        ("mean held constant", "one group's slope for all", "last sample left out of the weights"),
    ),
    Family(
        Kernel("causal_attention", "e @ v/sum(e, dim=2, keepdim=True)", _HEADS,
               lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, is_causal=True),
               {"let": {"e": "tril(exp(q @ transpose(k, 1, 2)/sqrt(32)))"}}),
        attention,
        ("mask of a tile's border", "sum of the rows left out", "scale of the wrong length",
         "scale missing in the keys", "last partial tile of keys dropped",
         "one head's values twice"),
        {"weights kept in the dtype": attention("", stored=True)},
    ),
    Family(
        Kernel("swiglu", "x*y/(1 + exp(-x))", {"x": GRID, "y": GRID},
               lambda x, y: functional.silu(x) * y),
        swiglu,
        ("a term times 0.98", "a term left out", "sigmoid for silu",
         "last partial tile not written"),
        {"by the sigmoid": lambda x, y: x * torch.sigmoid(x) * y},
    ),
    Family(
        Kernel("gelu", "x*(1 + erf(x/sqrt(2)))/2", {"x": GRID}, functional.gelu),
        gelu,
        ("by the sigmoid of 1.702 x", "by tanh", "root of 2 pi as 2.5", "density left out"),
        {"by erfc": lambda x: x * torch.special.erfc(-x.float() / math.sqrt(2)).to(x.dtype) / 2},
    ),
    Family(
        Kernel("rotary_embedding",
               "concat([x[:, 0:32]*c - x[:, 32:64]*s, x[:, 32:64]*c + x[:, 0:32]*s], 1)",
               {"x": shaped(48, 64), **_WAVES}, _rotary),
        rotary_embedding,
        ("turned the same way", "angle of the position before"),
        {"of complex numbers": lambda x, c, s: torch.view_as_real(
            torch.complex(*_up(x[:, :32], x[:, 32:])) * torch.complex(*_up(c, s))
         ).mT.reshape(48, 64).to(x.dtype)},
    ),
    Family(
        Kernel("linear", "x @ transpose(w, 0, 1) + b",
               {"x": GRID, "w": shaped(32, 48), "b": shaped(32)}, functional.linear),
        linear,
        ("times 1.004", "last partial tile of outputs dropped",
         "last partial tile of rows dropped", "one output's weights twice", "bias by the mean"),
        {"added up in the dtype": _LowLinear.apply},
    ),
    Family(
        Kernel("conv2d", CONV2D, {"x": shaped(2, 3, 16, 16), "w": shaped(8, 3, 3, 3)},
               functional.conv2d),
        conv2d,
        ("last image left out of the filter", "corner of the filter dropped", "one row too late"),
        {"by columns": _conv2d_by_columns},
    ),
    Family(
        Kernel("mlp", "h/(1 + exp(-h)) @ u",
               {"x": GRID, "w": shaped(48, 32, domain="(-1/2, 1/2)"), "u": shaped(32, 32)},
               lambda x, w, u: functional.silu(x @ w) @ u, {"let": {"h": "x @ w"}}),
        mlp,
        ("a term of the slope left out", "sigmoid for the slope",
         "last partial block of rows dropped", "hidden before the activation"),
    ),
    Family(
        Kernel("embedding", "[w[index[i]] for i in range(48)]", {"w": ROWS},
               lambda w: functional.embedding(torch.tensor(INDEX), w),
               {"constants": {"index": INDEX}}),
        embedding,
        ("one position in the row beside", "last position left out", "last one stays"),
        {"added up in the dtype": _LowEmbedding.apply},
    ),
    Family(
        Kernel("cumsum", "cumsum(x, 1)", {"x": ROWS}, lambda x: x.cumsum(1)),
        cumsum,
        ("block's carry dropped", "from the wrong end", "without the entry itself"),
        {"one by one": _cumsum_one_by_one},
    ),
    Family(
        Kernel("selective_scan", "transpose(sum(states*transpose(c, 0, 1), dim=1), 0, 1)",
               {"x": shaped(44, 24, domain="(-2, 2)"), "d": shaped(44, 24, domain="(1/16, 1/2)"),
                "a": shaped(24, 4, domain="(-2, -1/8)"), "b": shaped(44, 4, domain="(-2, 2)"),
                "c": shaped(44, 4, domain="(-2, 2)")}, _scan_by_a_triangle,
               {"let": {
                   "times": "transpose(cumsum(d, dim=0), 0, 1)",
                   "passed": "tril(reshape(times, [24, 1, 44, 1])"
                             " - reshape(times, [24, 1, 1, 44]))",
                   "decay": "tril(exp(reshape(a, [24, 4, 1, 1])*passed))",
                   "taken": "reshape(transpose(d*x, 0, 1), [24, 1, 44])*transpose(b, 0, 1)",
                   "states": "reshape(decay @ reshape(taken, [24, 4, 44, 1]), [24, 4, 44])",
               }}),
        scan,
        ("decay held constant", "decay of the step before", NOT_HANDED_ON),
    ),
)  # fmt: skip
