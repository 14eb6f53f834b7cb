"""Kernels as a device runs them: tile by tile, sums in float32, the backward by hand.

Each comes right, and with one slip of the kind that its case is there to find.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

Tensors = tuple[Tensor, ...]
EPS = 1 / 128


def kernel(
    forward: Callable[..., Tensor], backward: Callable[..., Tensors]
) -> Callable[..., Tensor]:
    """Return what loads its arguments into float32, and rounds what it stores."""

    class Kernel(torch.autograd.Function):
        @staticmethod
        def forward(context, *inputs):
            context.save_for_backward(*inputs)
            return forward(*(each.float() for each in inputs)).to(inputs[0].dtype)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(context, cotangent):
            inputs = context.saved_tensors
            found = backward(*(each.float() for each in inputs), cotangent.float())
            return tuple(each.to(cotangent.dtype) for each in found)

    return Kernel.apply


def tiles(length: int, width: int, *, whole: bool = False) -> Iterator[slice]:
    """The tiles of an axis; with ``whole`` only those that it fills, as if there were no rest."""
    last = length - length % width if whole else length
    return (slice(start, min(start + width, last)) for start in range(0, last, width))


def softmax(*, slips: bool) -> Callable[..., Tensor]:
    """Slip: the backward's sum leaves out the last tile, where the row does not fill it."""

    def weights(x: Tensor) -> Tensor:
        top, total = torch.full_like(x[:, :1], -torch.inf), torch.zeros_like(x[:, :1])
        for tile in tiles(x.shape[1], 128):
            new = torch.maximum(top, x[:, tile].amax(1, keepdim=True))
            total = total * (top - new).exp() + (x[:, tile] - new).exp().sum(1, keepdim=True)
            top = new
        return (x - top).exp() / total

    def backward(x: Tensor, g: Tensor) -> Tensors:
        found = weights(x)
        terms = (found * g)[:, : x.shape[1]]
        dot = torch.zeros_like(x[:, :1])
        for tile in tiles(x.shape[1], 128, whole=slips):
            dot = dot + terms[:, tile].sum(1, keepdim=True)
        return (found * (g - dot),)

    return kernel(weights, backward)


def attention(kind: str, *, slips: bool) -> Callable[..., Tensor]:
    """Attention of heads in groups, by tiles of keys.

    Slips: the gradient of the keys forgets the scale; the window is one wider; of a group of heads
    the first alone gives keys and values a gradient.
    """

    def scores(q: Tensor, k: Tensor, tile: slice) -> Tensor:
        row, column = torch.arange(q.shape[2])[:, None], torch.arange(q.shape[2])[None, tile]
        seen = column <= row
        if kind == "masked":
            seen &= (column > row - (21 if slips else 20)) & (column < q.shape[2] - 9)
        return (q @ k[:, :, tile].mT / 4).masked_fill(~seen, -torch.inf)

    def normalizer(q: Tensor, k: Tensor) -> Tensor:
        parts = [scores(q, k, tile) for tile in tiles(q.shape[2], 32)]
        top = torch.stack([part.amax(3) for part in parts]).amax(0)[..., None]
        return top + sum((part - top).exp().sum(3, keepdim=True) for part in parts).log()

    def forward(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        k, v = _spread(q, k), _spread(q, v)
        norm, parts = normalizer(q, k), tiles(q.shape[2], 32)
        return sum((scores(q, k, tile) - norm).exp() @ v[:, :, tile] for tile in parts)

    def backward(q: Tensor, k: Tensor, v: Tensor, g: Tensor) -> Tensors:
        dot = (forward(q, k, v) * g).sum(3, keepdim=True)
        members = slice(0, 1 if slips and kind == "grouped" else None)
        shared, k, v = k, _spread(q, k), _spread(q, v)
        norm, scale = normalizer(q, k), 1 if slips and kind == "causal" else 4
        dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for tile in tiles(q.shape[2], 32):
            weights = (scores(q, k, tile) - norm).exp()
            slope = weights * (g @ v[:, :, tile].mT - dot)
            dq = dq + slope @ k[:, :, tile] / 4
            dk[:, :, tile], dv[:, :, tile] = slope.mT @ q / scale, weights.mT @ g
        return dq, _gathered(dk, shared, members), _gathered(dv, shared, members)

    return kernel(forward, backward)


def _spread(q: Tensor, shared: Tensor) -> Tensor:
    """Keys or values, each for every head of queries that shares them."""
    return shared.repeat_interleave(q.shape[1] // shared.shape[1], 1)


def _gathered(each: Tensor, shared: Tensor, members: slice) -> Tensor:
    """The sum over the heads that share keys or values."""
    heads = each.reshape(1, shared.shape[1], -1, *each.shape[2:])
    return heads[:, :, members].sum(2)


def layer_norm(*, slips: bool) -> Callable[..., Tensor]:
    """Slip: the rows beyond the last full block of 64 are left out of the sums."""

    def scaled(x: Tensor) -> Tensors:
        centred = x - x.mean(1, keepdim=True)
        rstd = (centred.square().mean(1, keepdim=True) + EPS).rsqrt()
        return centred * rstd, rstd

    def backward(x: Tensor, w: Tensor, b: Tensor, g: Tensor) -> Tensors:
        y, rstd = scaled(x)
        slope = g * w
        dx = slope - slope.mean(1, keepdim=True) - y * (slope * y).mean(1, keepdim=True)
        return rstd * dx, over_rows(g * y), over_rows(g)

    def over_rows(terms: Tensor) -> Tensor:
        whole = len(terms) // 64 * 64 if slips else len(terms)
        return terms[:whole].sum(0)

    return kernel(lambda x, w, b: scaled(x)[0] * w + b, backward)


def rms_norm(*, slips: bool) -> Callable[..., Tensor]:
    """Slip: the backward's mean is over the width of the tiles, not that of the row."""

    def rstd(x: Tensor) -> Tensor:
        squares = torch.zeros_like(x[:, :1])
        for tile in tiles(x.shape[1], 32):
            squares = squares + x[:, tile].square().sum(1, keepdim=True)
        return (squares / x.shape[1] + EPS).rsqrt()

    def backward(x: Tensor, w: Tensor, g: Tensor) -> Tensors:
        y, slope = x * rstd(x), g * w
        width = -(-x.shape[1] // 32) * 32 if slips else x.shape[1]
        dx = rstd(x) * (slope - y * (slope * y).sum(1, keepdim=True) / width)
        return dx, sum((g * y)[tile].sum(0) for tile in tiles(len(x), 32))

    return kernel(lambda x, w: x * rstd(x) * w, backward)


def group_norm(*, slips: bool) -> Callable[..., Tensor]:
    """Slip: the backward takes the mean for a constant."""

    def scaled(x: Tensor) -> Tensors:
        rows = x.reshape(2, 3, -1)
        total = sum(rows[:, :, tile].sum(2, keepdim=True) for tile in tiles(rows.shape[2], 128))
        centred = rows - total / rows.shape[2]
        rstd = (centred.square().mean(2, keepdim=True) + EPS).rsqrt()
        return centred * rstd, rstd

    def forward(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return scaled(x)[0].reshape(x.shape) * w[:, None, None] + b[:, None, None]

    def backward(x: Tensor, w: Tensor, b: Tensor, g: Tensor) -> Tensors:
        y, rstd = scaled(x)
        slope = (g * w[:, None, None]).reshape(y.shape)
        mean = 0 if slips else slope.mean(2, keepdim=True)
        dx = rstd * (slope - mean - y * (slope * y).mean(2, keepdim=True))
        return dx.reshape(x.shape), (g * y.reshape(x.shape)).sum((0, 2, 3)), g.sum((0, 2, 3))

    return kernel(forward, backward)


def batch_norm(*, slips: bool) -> Callable[..., Tensor]:
    """Slip: the sums over images leave out the last tile, where the batch does not fill it."""

    def scaled(x: Tensor) -> Tensors:
        centred = x - x.mean((0, 2), keepdim=True)
        rstd = (centred.square().mean((0, 2), keepdim=True) + EPS).rsqrt()
        return centred * rstd, rstd

    def forward(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return scaled(x)[0] * w[:, None] + b[:, None]

    def backward(x: Tensor, w: Tensor, b: Tensor, g: Tensor) -> Tensors:
        y, rstd = scaled(x)
        parts = list(tiles(len(x), 16, whole=slips))
        db = sum(g[tile].sum((0, 2)) for tile in parts)
        dw = sum((g * y)[tile].sum((0, 2)) for tile in parts)
        count = x.shape[0] * x.shape[2]
        dx = g - (db[:, None] + y * dw[:, None]) / count
        return rstd * w[:, None] * dx, dw, db

    return kernel(forward, backward)


def cross_entropy(*, slips: bool) -> Callable[..., Tensor]:
    """Slip: the ignored rows are counted."""
    target = torch.tensor([1, -100, 0, 4, 4, 65, 127, 128, -100, 200, 254, 255])
    counted = target >= 0
    number = 12 if slips else 10

    def normalizer(x: Tensor) -> Tensor:
        top = x.amax(1, keepdim=True)
        parts = tiles(x.shape[1], 128)
        return top + sum((x[:, tile] - top).exp().sum(1, keepdim=True) for tile in parts).log()

    def labels(x: Tensor) -> Tensor:
        hits = functional.one_hot(target.clamp(min=0), x.shape[1])
        return (0.75 * hits + 0.25 / x.shape[1]) * counted[:, None]

    def forward(x: Tensor) -> Tensor:
        return -((x - normalizer(x)) * labels(x)).sum() / 10

    def backward(x: Tensor, g: Tensor) -> Tensors:
        weights = (x - normalizer(x)).exp() * counted[:, None]
        return (g * (weights - labels(x)) / number,)

    return kernel(forward, backward)


def conv2d(stride: int, *, slips: bool) -> Callable[..., Tensor]:
    """A sum over the taps of the filter. Slip: the image's gradient is cut one row too late."""

    def forward(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        parts = _taps(functional.pad(x, (1, 1, 1, 1)), stride, (x.shape[2] - 1) // stride + 1)
        total = sum(torch.einsum("oc,nchw->nohw", w[:, :, i, j], part) for i, j, part in parts)
        return total + b[:, None, None]

    def backward(x: Tensor, w: Tensor, b: Tensor, g: Tensor) -> Tensors:
        padded = functional.pad(x, (1, 1, 1, 1))
        dx, dw = torch.zeros_like(padded), torch.zeros_like(w)
        for i, j, part in _taps(padded, stride, g.shape[2]):
            dw[:, :, i, j] = torch.einsum("nohw,nchw->oc", g, part)
        for i, j, part in _taps(dx, stride, g.shape[2]):
            part.add_(torch.einsum("nohw,oc->nchw", g, w[:, :, i, j]))
        kept = slice(2, None) if slips else slice(1, -1)
        return dx[:, :, kept, 1:-1], dw, g.sum((0, 2, 3))

    return kernel(forward, backward)


def _taps(padded: Tensor, stride: int, size: int) -> Iterator[tuple[int, int, Tensor]]:
    """Each place of a filter of 3 by 3, and what it meets of the image."""
    reach = stride * (size - 1) + 1
    for i, j in itertools.product(range(3), range(3)):
        yield i, j, padded[:, :, i : i + reach : stride, j : j + reach : stride]


def linear(*, slips: bool) -> Callable[..., Tensor]:
    """Products by tiles of the axis that is summed. Slip: they leave out one that is not full."""

    def product(a: Tensor, b: Tensor) -> Tensor:
        total = torch.zeros(len(a), b.shape[1])
        for tile in tiles(a.shape[1], 32, whole=slips):
            total = total + a[:, tile] @ b[tile]
        return total

    def backward(x: Tensor, w: Tensor, b: Tensor, g: Tensor) -> Tensors:
        return product(g, w), product(g.T, x), g.sum(0)

    return kernel(lambda x, w, b: product(x, w.T) + b, backward)


def embedding(*, slips: bool) -> Callable[..., Tensor]:
    """Slip: of the gradients of a row that comes again, the last one stays."""
    index = torch.tensor([*[3] * 30, 49, 0, 3, 3, 3])

    def backward(w: Tensor, g: Tensor) -> Tensors:
        return (torch.zeros_like(w).index_put((index,), g, accumulate=not slips),)

    return kernel(lambda w: w[index], backward)


def swiglu(*, slips: bool) -> Callable[..., Tensor]:
    """Slip: the gate's gradient is not written in the last tile, where the row does not fill it."""

    def backward(x: Tensor, y: Tensor, g: Tensor) -> Tensors:
        dx, dy = torch.zeros_like(x), g * functional.silu(x)
        for tile in tiles(x.shape[1], 128, whole=slips):
            share = torch.sigmoid(x[:, tile])
            slope = share * (1 + x[:, tile] * (1 - share))
            dx[:, tile] = g[:, tile] * y[:, tile] * slope
        return dx, dy

    return kernel(lambda x, y: functional.silu(x) * y, backward)


def rotary_embedding(*, slips: bool) -> Callable[..., Tensor]:
    """Slip: the backward turns the same way as the forward."""

    def turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        one, other = x[..., :8], x[..., 8:]
        return torch.cat([one * cosine - other * sine, other * cosine + one * sine], -1)

    def backward(x: Tensor, cosine: Tensor, sine: Tensor, g: Tensor) -> Tensors:
        found = turned(g, cosine, sine if slips else -sine)
        return found, torch.zeros_like(cosine), torch.zeros_like(sine)

    return kernel(turned, backward)


NOT_HANDED_ON = "state not handed to the next chunk"


def selective_scan(*, slips: bool) -> Callable[..., Tensor]:
    """Slip: the backward does not hand its state to the next chunk."""
    return scan(NOT_HANDED_ON if slips else "")


def scan(slip: str) -> Callable[..., Tensor]:
    """A state that decays by exp(d a) and takes in d x b, step by step, in chunks of 16.

    ``slip`` names what is wrong with the backward, if anything.
    """

    def states(x: Tensor, d: Tensor, a: Tensor, b: Tensor) -> Tensor:
        state, found = torch.zeros_like(a), []
        for t in range(len(x)):
            state = (d[t, :, None] * a).exp() * state + (d[t] * x[t])[:, None] * b[t]
            found.append(state)
        return torch.stack(found)

    def forward(x: Tensor, d: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return (states(x, d, a, b) * c[:, None]).sum(2)

    def backward(*given: Tensor) -> Tensors:
        x, d, a, b, c, g = given
        state = states(x, d, a, b)
        before = torch.cat([torch.zeros_like(a)[None], state[:-1]])
        dx, dd, da, db = (torch.zeros_like(each) for each in (x, d, a, b))
        carried = torch.zeros_like(a)
        for t in reversed(range(len(x))):
            at = carried + g[t, :, None] * c[t]
            decay = (d[t, :, None] * a).exp()
            dx[t] = (at * b[t]).sum(1) * d[t]
            past = 0 if slip == "decay held constant" else decay * before[t] * a
            dd[t] = (at * (past + x[t, :, None] * b[t])).sum(1)
            da += at * decay * before[t] * d[t, :, None]
            db[t] = (at * (d[t] * x[t])[:, None]).sum(0)
            if slip == "decay of the step before":
                decay = (d[max(t - 1, 0), :, None] * a).exp()
            drops = slip == NOT_HANDED_ON and t % 16 == 0
            carried = torch.zeros_like(a) if drops else at * decay
        return dx, dd, da, db, (g[:, :, None] * state).sum(1)

    return kernel(forward, backward)
