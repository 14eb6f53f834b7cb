"""Right implementations as authors of kernels write them: streaming statistics, compensated sums,
minimax approximations, reduced ranges, tables, backward formulas by the output, implicit gradients.

`false_alarms.py` puts them on trial. Each is right wherever its domain lets it be looked at, within
what its own operations round; the domain is narrower than the formula's where one of them would
overflow, or have no digit left, beyond it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

Right = tuple[str, Any, dict[str, Any], Callable[..., Any]]
"""What the code does, a formula, inputs, the code."""


def _made(
    name: str,
    forward: Callable[..., Any],
    setup: Callable[..., None],
    backward: Callable[..., Any],
    **more: Any,
) -> Callable[..., Any]:
    """An ``autograd.Function`` of the newer form."""

    def value(*inputs: Any) -> Any:  # a signature, which built-in functions lack
        return forward(*inputs)

    parts = {"forward": value, "setup_context": setup, "backward": backward, **more}
    made = type(name, (torch.autograd.Function,), {k: staticmethod(v) for k, v in parts.items()})
    return made.apply  # type: ignore[attr-defined, no-any-return]


def _keep_inputs(context: Any, inputs: tuple[Any, ...], output: Any) -> None:
    context.save_for_backward(*(each for each in inputs if isinstance(each, Tensor)))
    context.save_for_forward(*(each for each in inputs if isinstance(each, Tensor)))


def _keep_output(context: Any, inputs: tuple[Any, ...], output: Any) -> None:
    context.save_for_backward(output)
    context.save_for_forward(output)


def _by_output(name: str, value: Callable[..., Any], slope: Callable[..., Any]) -> Any:
    """A function whose derivative is told by its output, backward and forward."""

    def both(context: Any, change: Tensor) -> Tensor:
        (y,) = context.saved_tensors
        return slope(y, change)

    return _made(name, value, _keep_output, both, jvp=both, generate_vmap_rule=True)


def _made_with_vmap(name: str, value: Any, backward: Any, rule: Any) -> Any:
    return _made(name, value, _keep_inputs, backward, vmap=rule)


# approximations and reduced ranges

_LN2_HIGH, _LN2_LOW = 0.693145751953125, math.log(2) - 0.693145751953125


def _reduced_exp(x: Tensor) -> Tensor:
    """2**k times a polynomial of what is left, Cody and Waite."""
    k = (x.detach() / math.log(2)).round()
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    total = torch.full_like(r, 1 / math.factorial(14))
    for n in range(13, -1, -1):
        total = total * r + 1 / math.factorial(n)
    return total * torch.exp2(k)


def _reduced_sine(x: Tensor) -> Tensor:
    """Half turns taken off in three parts, then a Taylor polynomial."""
    k = (x.detach() / math.pi).round()
    r = ((x - k * 3.140625) - k * 9.67502593994140625e-4) - k * 1.509957990978376432e-7
    r = r - k * (math.pi - 3.140625 - 9.67502593994140625e-4 - 1.509957990978376432e-7)
    total = torch.zeros_like(r)
    for n in range(12, -1, -1):
        total = total * r * r + (-1) ** n / math.factorial(2 * n + 1)
    return (1 - 2 * (k.remainder(2))) * r * total


def _atanh_log(x: Tensor) -> Tensor:
    """The logarithm by exponent and an odd series of (m - 1)/(m + 1)."""
    exponent = torch.frexp(x.detach())[1]
    m = x * torch.exp2(-exponent.to(x.dtype))
    low = m.detach() < math.sqrt(0.5)
    m, exponent = torch.where(low, 2 * m, m), exponent - low.to(exponent.dtype)
    s = (m - 1) / (m + 1)
    total = torch.zeros_like(s)
    for n in range(14, -1, -1):
        total = total * s * s + 2 / (2 * n + 1)
    return exponent.to(x.dtype) * math.log(2) + s * total


def _log1p_by_atanh(x: Tensor) -> Tensor:
    s = x / (2 + x)
    total = torch.zeros_like(s)
    for n in range(19, -1, -1):
        total = total * s * s + 2 / (2 * n + 1)
    return s * total


def _log1p_of_goldberg(x: Tensor) -> Tensor:
    """log(1 + x)·x/((1 + x) - 1), its derivative written down."""
    w = 1 + x
    return torch.where(w == 1, x, w.log() * x / torch.where(w == 1, 1.0, w - 1))


def _pade_tanh(x: Tensor) -> Tensor:
    """A continued fraction, good to float64 for small numbers."""
    square, total = x * x, torch.full_like(x, 31.0)
    for n in range(29, 0, -2):
        total = n + square / total
    return x / total


def _table_exp(x: Tensor) -> Tensor:
    """exp of a multiple of 1/8 from a table, times a polynomial."""
    k = (x.detach() * 8).round()
    table = torch.arange(-32, 33, dtype=x.dtype).div(8).exp()
    r = x - k / 8
    total = torch.ones_like(r)
    for n in range(10, 0, -1):
        total = 1 + total * r / n
    return table[(k + 32).long()] * total


def _branched_softplus(x: Tensor) -> Tensor:
    """x itself above 40, exp(x) below -40, where neither shows in float64."""
    inner = x.clamp(-40, 40)
    return torch.where(x > 40, x, torch.where(x < -40, x.clamp(max=-40).exp(), inner.exp().log1p()))


def _branched_sigmoid(x: Tensor) -> Tensor:
    """exp(-|x|) never overflows."""
    small = torch.exp(-x.abs())
    return torch.where(x >= 0, 1 / (1 + small), small / (1 + small))


def _sigmoid_with_slope() -> Any:
    def backward(context: Any, c: Tensor) -> Tensor:
        (y,) = context.saved_tensors
        return c * y * (1 - y)

    return _made("Sigmoid", _branched_sigmoid, _keep_output, backward)


def _branched_gelu(x: Tensor) -> Tensor:
    """By erfc below, by erf above: each where it keeps its digits."""
    low, high = x.clamp(max=0), x.clamp(min=0)
    below = low * 0.5 * torch.erfc(-low / math.sqrt(2))
    return torch.where(x < 0, below, high * 0.5 * (1 + torch.erf(high / math.sqrt(2))))


def _gelu_backward(context: Any, c: Tensor) -> Tensor:
    (x,) = context.saved_tensors
    share = 0.5 * torch.erfc(-x / math.sqrt(2))
    return c * (share + x * torch.exp(-0.5 * x * x) / math.sqrt(2 * math.pi))


def _logsigmoid(x: Tensor) -> Tensor:
    return torch.minimum(x, torch.zeros_like(x)) - torch.log1p(torch.exp(-x.abs()))


def _smooth_logsigmoid_backward(context: Any, c: Tensor) -> Tensor:
    (x,) = context.saved_tensors
    small = torch.exp(-x.abs())
    return c * torch.where(x >= 0, small / (1 + small), 1 / (1 + small))


# sums


def _neumaier(x: Tensor) -> Tensor:
    total = lost = torch.zeros_like(x[0])
    for each in x.unbind(0):
        new = total + each
        lost = lost + torch.where(
            total.abs() >= each.abs(), (total - new) + each, (each - new) + total
        )
        total = new
    return total + lost


def _two_product_dot(x: Tensor, y: Tensor) -> Tensor:
    """A dot product with Veltkamp's split and Dekker's product, compensated."""
    factor = 2.0 ** (27 if x.dtype == torch.float64 else 12) + 1

    def split(a: Tensor) -> tuple[Tensor, Tensor]:
        scaled = factor * a
        high = scaled - (scaled - a)
        return high, a - high

    total = lost = torch.zeros_like(x[0])
    for a, b in zip(x.unbind(0), y.unbind(0), strict=True):
        p = a * b
        (a1, a2), (b1, b2) = split(a), split(b)
        error = a2 * b2 - (((p - a1 * b1) - a2 * b1) - a1 * b2)
        new = total + p
        step = new - total
        lost = lost + ((total - (new - step)) + (p - step)) + error
        total = new
    return total + lost


def _pairwise(x: Tensor) -> Tensor:
    if len(x) <= 2:
        return x.sum(0)
    half = len(x) // 2
    return _pairwise(x[:half]) + _pairwise(x[half:])


def _two_pass_variance(x: Tensor) -> Tensor:
    away = x - x.mean()
    return ((away * away).sum() - away.sum() ** 2 / len(x)) / len(x)


def _chan(x: Tensor) -> Tensor:
    """Count, mean and squares of two halves, merged."""

    def of(part: Tensor) -> tuple[int, Tensor, Tensor]:
        if len(part) == 1:
            return 1, part[0], torch.zeros_like(part[0])
        (n, a, s), (m, b, t) = of(part[: len(part) // 2]), of(part[len(part) // 2 :])
        gap = b - a
        return n + m, a + gap * m / (n + m), s + t + gap * gap * n * m / (n + m)

    count, _, squares = of(x)
    return squares / count


def _welford_backward(context: Any, c: Tensor) -> Tensor:
    (x,) = context.saved_tensors
    return c * 2 * (x - x.mean()) / x.numel()


def _shifted_variance(x: Tensor) -> Tensor:
    away = x - x[0].detach()
    return (away * away).mean() - away.mean() ** 2


def _chunked_logsumexp(x: Tensor) -> Tensor:
    """Chunks of two, each with its largest, merged."""
    parts = [(part.detach().amax(), part) for part in x.split(2)]
    tops = torch.stack([top for top, _ in parts])
    sums = torch.stack([(part - top).exp().sum() for top, part in parts])
    top = tops.amax()
    return top + (sums * (tops - top).exp()).sum().log()


def _logsumexp_backward(context: Any, c: Tensor) -> Tensor:
    x, out = context.saved_tensors
    return c * (x - out).exp()


def _keep_both(context: Any, inputs: tuple[Any, ...], output: Any) -> None:
    context.save_for_backward(*inputs, output)


def _online_softmax(x: Tensor) -> Tensor:
    top, total = x[..., :1], torch.ones_like(x[..., :1])
    for each in x[..., 1:].split(1, -1):
        new = torch.maximum(top, each)
        total = total * (top - new).exp() + (each - new).exp()
        top = new
    return (x - top).exp() / total


def _softmax_slope(y: Tensor, g: Tensor) -> Tensor:
    return y * (g - (g * y).sum(-1, keepdim=True))


def _log_softmax_slope(context: Any, g: Tensor) -> Tensor:
    (y,) = context.saved_tensors
    return g - y.exp() * g.sum(-1, keepdim=True)


def _scaled_hypot(x: Tensor, y: Tensor) -> Tensor:
    large, small = torch.maximum(x.abs(), y.abs()), torch.minimum(x.abs(), y.abs())
    ratio = small / large
    return large * (1 + ratio * ratio).sqrt()


def _norm_by_powers_of_two(x: Tensor) -> Tensor:
    scale = torch.exp2(torch.frexp(x.detach().abs().amax() + 1)[1].to(x.dtype))
    return scale * ((x / scale).square().sum() + 1 / scale**2).sqrt()


# backward formulas


def _recomputed(context: Any, c: Tensor) -> Tensor:
    (x,) = context.saved_tensors
    with torch.enable_grad():
        again = x.detach().requires_grad_()
        y = (again * torch.tanh(functional.softplus(again, threshold=100))).sum()
        (slope,) = torch.autograd.grad(y, again)
    return c * slope


def _upcast(context: Any, c: Tensor) -> Tensor:
    (x,) = context.saved_tensors
    wide = x.double()
    return (c.double() * (1 - wide.tanh() ** 2)).to(x.dtype)


def _rsqrt_norm(x: Tensor) -> Tensor:
    return x * torch.rsqrt((x * x).sum(-1, keepdim=True) + 1)


def _rsqrt_norm_backward(context: Any, c: Tensor) -> Tensor:
    (x,) = context.saved_tensors
    r = torch.rsqrt((x * x).sum(-1, keepdim=True) + 1)
    y = x * r
    return r * (c - y * (c * y).sum(-1, keepdim=True))


def _matmul_backward(context: Any, c: Tensor) -> tuple[Tensor, Tensor]:
    a, b = context.saved_tensors
    return c.contiguous() @ b.mT.contiguous(), (c.mT.contiguous() @ a).mT


def _linear_backward(context: Any, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x, w, _ = context.saved_tensors
    return c @ w, torch.einsum("no,ni->oi", c, x), c.sum(0)


def _inverse_backward(context: Any, c: Tensor) -> Tensor:
    (y,) = context.saved_tensors
    return -y.mT @ c @ y.mT


def _logdet_backward(context: Any, c: Tensor) -> Tensor:
    (a,) = context.saved_tensors
    return c * torch.linalg.inv(a).mT


def _max_pool_backward(context: Any, c: Tensor) -> Tensor:
    x, y = context.saved_tensors
    chosen = (x == y.repeat_interleave(2)).to(c.dtype).view(-1, 2)
    return (chosen / chosen.sum(1, keepdim=True)).view(-1) * c.repeat_interleave(2)


def _dropped_log(x: Tensor) -> Tensor:
    """An intermediate that is worked on in place."""
    y = x * x
    y.add_(1)
    return y.log_()


def _written_rows(x: Tensor) -> Tensor:
    """A result that is filled row by row."""
    out = torch.empty_like(x)
    for k in range(len(x)):
        out[k] = x[k].cumsum(0) if k % 2 else x[k] * 2
    return out


@torch.jit.script
def _scripted_mish(x: Tensor) -> Tensor:
    return x * torch.tanh(torch.log1p(torch.exp(-torch.abs(x))) + torch.clamp(x, min=0.0))


@torch.library.custom_op("right_kernels::silu", mutates_args=())
def _silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


@_silu.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


def _silu_backward(context: Any, c: Tensor) -> Tensor:
    (x,) = context.saved_tensors
    share = torch.sigmoid(x)
    return c * share * (1 + x * (1 - share))


_silu.register_autograd(
    _silu_backward, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs)
)


# implicit gradients


def _cube_root_newton(x: Tensor) -> Tensor:
    y = x.detach().log().div(3).exp()
    for _ in range(4):
        y = y - (y * y * y - x.detach()) / (3 * y * y)
    return y


def _cube_root_backward(context: Any, c: Tensor) -> Tensor:
    (y,) = context.saved_tensors
    return c / (3 * y * y)


def _lambert_newton(x: Tensor) -> Tensor:
    """w e**w = x."""
    w = torch.log1p(x.detach())
    for _ in range(8):
        e = w.exp()
        w = w - (w * e - x.detach()) / (e * (1 + w))
    return w


def _one_more_step(x: Tensor) -> Tensor:
    """The inverse of y + y**3, by bisection without a gradient and one Newton step with it."""
    low, high = torch.minimum(x, 0 * x).detach() - 1, torch.maximum(x, 0 * x).detach() + 1
    for _ in range(80):
        middle = (low + high) / 2
        above = middle + middle**3 > x
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    y = ((low + high) / 2).detach()
    for _ in range(2):  # the second makes the second derivative right
        y = y - (y + y**3 - x) / (1 + 3 * y * y)
    return y


# complex numbers by their parts, batches, mixed precision


def _power_by_parts(x: Tensor, y: Tensor) -> Tensor:
    """(x + iy)³."""
    a, b = x * x - y * y, 2 * x * y
    return torch.stack([a * x - b * y, a * y + b * x])


def _quotient_by_smith(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """(a + ib)/(c + id), Smith's way on either side."""
    wide = c.abs() >= d.abs()
    p, q = torch.where(wide, c, d), torch.where(wide, d, c)
    r = q / p
    bottom = p + q * r
    re = torch.where(wide, a + b * r, a * r + b) / bottom
    return torch.stack([re, torch.where(wide, b - a * r, b * r - a) / bottom])


def _batched_inverse(a: Tensor) -> Tensor:
    """2 by 2 matrices, by hand."""
    p, q, r, s = a[..., 0, 0], a[..., 0, 1], a[..., 1, 0], a[..., 1, 1]
    top, bottom = torch.stack([s, -q], -1), torch.stack([-r, p], -1)
    return torch.stack([top, bottom], -2) / (p * s - q * r)[..., None, None]


def _blocked_cholesky_logdet(a: Tensor) -> Tensor:
    b = (a + a.mT) / 2
    p = b[0, 0]
    rest = b[1:, 1:] - torch.outer(b[1:, 0], b[0, 1:]) / p
    return p.log() + rest[0, 0].log() + (rest[1, 1] - rest[0, 1] * rest[1, 0] / rest[0, 0]).log()


def _wide_inside(x: Tensor) -> Tensor:
    y = x.double()
    return ((y - y.mean()) / (y.var(unbiased=False) + 1).sqrt()).to(x.dtype)


def _signed_product_by_logs(x: Tensor) -> Tensor:
    return x.sign().detach().prod() * x.abs().log().sum().exp()


def _cumulative_by_doubling(x: Tensor) -> Tensor:
    step = 1
    while step < len(x):
        x = torch.cat([x[:step], x[step:] * x[:-step]])
        step *= 2
    return x


def _silu_vmap(_: Any, dims: tuple[int | None, ...], x: Tensor) -> tuple[Tensor, int | None]:
    return _made_silu(x), dims[0]


_made_silu = _made_with_vmap(
    "SiluWithVmap", lambda x: x * torch.sigmoid(x), _silu_backward, _silu_vmap
)

REAL, POSITIVE = {"x": "real"}, {"x": "positive"}
ROW, ROWS = {"x": {"shape": [4]}}, {"x": {"shape": [2, 4]}}
TAME = {"x": {"shape": [4], "domain": "(-1e6, 1e6)"}}
_VARIANCE = "mean((x - mean(x))**2)"
_SOFTMAX = "exp(x)/sum(exp(x), 1, keepdim=True)"
_MISH = "x*tanh(log(1 + exp(x)))"
_NEAR = "(1e-3, 1e3)"
_MATRIX = {"shape": [3, 3], "kind": "invertible"}

WRITTEN: tuple[Right, ...] = (
    ("exp by a reduced range", "exp(x)", {"x": "(-80, 80)"}, _reduced_exp),
    ("exp by a table", "exp(x)", {"x": "(-4, 4)"}, _table_exp),
    ("sine by a reduced range", "sin(x)", {"x": "(-3, 3)"}, _reduced_sine),
    ("log by its exponent and a series", "log(x)", {"x": "(1e-30, 1e30)"}, _atanh_log),
    ("log1p by a series of atanh", "log(1 + x)", {"x": "(-0.4, 0.5)"}, _log1p_by_atanh),
    ("log1p of Goldberg", "log(1 + x)", {"x": "(-0.9, 1e3)"}, _made(
        "Log1p", _log1p_of_goldberg, _keep_inputs,
        lambda context, c: c / (1 + context.saved_tensors[0]))),
    ("tanh by a continued fraction", "tanh(x)", {"x": "(-2, 2)"}, _pade_tanh),
    ("softplus in branches", "log(1 + exp(x))", REAL, _branched_softplus),
    ("sigmoid in branches", "1/(1 + exp(-x))", REAL, _made(
        "BranchedSigmoid", _branched_sigmoid, _keep_inputs,
        lambda context, c: c * _branched_sigmoid(x := context.saved_tensors[0])
        * _branched_sigmoid(-x))),
    ("sigmoid, y (1 - y)", "1/(1 + exp(-x))", REAL, _sigmoid_with_slope()),
    ("tanh, 1 - y**2", "tanh(x)", REAL, _by_output(
        "Tanh", torch.tanh, lambda y, g: g * (1 - y * y))),
    ("tanh, (1 - y)(1 + y)", "tanh(x)", REAL, _by_output(
        "Tanh", torch.tanh, lambda y, g: g * (1 - y) * (1 + y))),
    ("exp, y", "exp(x)", REAL, _by_output("Exp", torch.exp, lambda y, g: g * y)),
    ("root, 1/(2 y)", "sqrt(x)", POSITIVE, _by_output(
        "Root", torch.sqrt, lambda y, g: g / (2 * y))),
    ("inverse, -y**2", "1/x", {"x": "(1e-9, 1e9)"}, _by_output(
        "Inverse", torch.reciprocal, lambda y, g: -g * y * y)),
    ("tan, 1 + y**2", "tan(x)", {"x": "(-1.5, 1.5)"}, _by_output(
        "Tan", torch.tan, lambda y, g: g * (1 + y * y))),
    ("gelu in branches", "x*(1 + erf(x/sqrt(2)))/2", REAL, _branched_gelu),
    ("gelu by hand", "x*(1 + erf(x/sqrt(2)))/2", {"x": "(-1e9, 1e9)"}, _made(
        "Gelu", _branched_gelu, _keep_inputs, _gelu_backward)),
    ("logsigmoid by its minimum", "-log(1 + exp(-x))", {"x": "nonzero"}, _made(
        "LogSigmoid", _logsigmoid, _keep_inputs, _smooth_logsigmoid_backward)),
    ("sum of Neumaier", "sum(x)", ROW, _neumaier),
    ("sum in pairs, recursive", "sum(x)", {"x": {"shape": [7]}}, _pairwise),
    ("dot product of Dekker", "sum(x*y)", {**TAME, "y": TAME["x"]}, _two_product_dot),
    ("variance in two passes", _VARIANCE, TAME, _two_pass_variance),
    ("variance of Chan", _VARIANCE, ROW, _chan),
    ("variance, shifted", _VARIANCE, TAME, _shifted_variance),
    ("variance by Welford, by hand", _VARIANCE, ROW, _made(
        "Variance", _chan, _keep_inputs, _welford_backward)),
    ("logsumexp in chunks", "log(sum(exp(x)))", {"x": {"shape": [5]}}, _chunked_logsumexp),
    ("logsumexp in chunks, by hand", "log(sum(exp(x)))", {"x": {"shape": [5]}}, _made(
        "LogSumExp", _chunked_logsumexp, _keep_both, _logsumexp_backward)),
    ("softmax online", _SOFTMAX, ROWS, _online_softmax),
    ("softmax online, by its output", _SOFTMAX, ROWS, _by_output(
        "Softmax", _online_softmax, _softmax_slope)),
    ("log softmax by its output", "x - log(sum(exp(x), 1, keepdim=True))", ROWS, _made(
        "LogSoftmax", lambda x: x - x.logsumexp(1, keepdim=True), _keep_output,
        _log_softmax_slope)),
    ("hypotenuse, scaled", "sqrt(x**2 + y**2)", {"x": "(1e-3, 1)", "y": "(1, 1e3)"},
     _scaled_hypot),
    ("norm, scaled by a power of two", "sqrt(sum(x**2) + 1)", ROW, _norm_by_powers_of_two),
    ("mish, computed again", _MISH, REAL, _made(
        "Mish", lambda x: x * torch.tanh(functional.softplus(x, threshold=100)), _keep_inputs,
        once_differentiable(_recomputed))),
    ("mish, scripted", _MISH, {"x": "nonzero"}, _scripted_mish),
    ("tanh with a wider backward", "tanh(x)", REAL, _made(
        "WideTanh", torch.tanh, _keep_inputs, _upcast)),
    ("unit rows by hand", "x/sqrt(sum(x**2, 1, keepdim=True) + 1)",
     {"x": {"shape": [2, 4], "domain": "(-1e6, 1e6)"}}, _made(
        "Unit", _rsqrt_norm, _keep_inputs, _rsqrt_norm_backward)),
    ("matmul, contiguous", "a @ b", {"a": {"shape": [2, 3]}, "b": {"shape": [3, 2]}}, _made(
        "Matmul", torch.matmul, _keep_inputs, _matmul_backward)),
    ("linear by hand", "x @ w.T + b", {
        "x": {"shape": [3, 2]}, "w": {"shape": [2, 2]}, "b": {"shape": [2]}}, _made(
        "Linear", functional.linear, _keep_inputs, _linear_backward)),
    ("inverse of a matrix by its output", "inv(a)", {"a": _MATRIX}, _made(
        "MatrixInverse", torch.linalg.inv, _keep_output, _inverse_backward)),
    ("log of a determinant by hand", "log(abs(det(a)))", {"a": _MATRIX}, _made(
        "LogDet", lambda a: torch.linalg.slogdet(a)[1], _keep_inputs, _logdet_backward)),
    ("largest of pairs by hand", "[max(x[0], x[1]), max(x[2], x[3])]", ROW, _made(
        "MaxPool", lambda x: x.view(2, 2).amax(1), _keep_both, _max_pool_backward)),
    ("in place on an intermediate", "log(1 + x**2)", {"x": "(-1e6, 1e6)"}, _dropped_log),
    ("rows written one by one", "[2*x[0], cumsum(x[1])]", ROWS, _written_rows),
    ("silu as a custom operator", "x/(1 + exp(-x))", REAL, _silu),
    ("silu with a rule for vmap", "x/(1 + exp(-x))", REAL, _made_silu),
    ("cube root by Newton, implicit", "x**(1/3)", {"x": "(1e-6, 1e6)"}, _made(
        "CubeRoot", _cube_root_newton, _keep_output, _cube_root_backward)),
    ("x e**x inverted, twice over", "x*exp(x)", {"x": "(0.1, 3)"}, lambda x: (
        w := _lambert_newton(x * x.exp())) * w.exp() + x * x.exp() - (x * x.exp()).detach()),
    ("inverse by bisection and Newton", "x", {"x": "(-3, 3)"},
     lambda x: _one_more_step(x + x**3)),
    ("cube of a complex number by parts", "[x**3 - 3*x*y**2, 3*x**2*y - y**3]",
     {"x": "(-1e6, 1e6)", "y": "(-1e6, 1e6)"}, _power_by_parts),
    ("complex quotient of Smith", "[(a*c + b*d)/(c**2 + d**2), (b*c - a*d)/(c**2 + d**2)]",
     dict.fromkeys("abcd", _NEAR), _quotient_by_smith),
    ("inverses of a batch", "inv(a)", {"a": {"shape": [2, 2, 2], "kind": "invertible"}},
     _batched_inverse),
    ("log of a determinant by blocks", "log(det((a + a.T)/2))",
     {"a": {"shape": [3, 3], "kind": "positive_definite"}}, _blocked_cholesky_logdet),
    ("layer norm in a wider dtype", "(x - mean(x))/sqrt(mean((x - mean(x))**2) + 1)", ROW,
     _wide_inside),
    ("signed product by logs", "prod(x)", {"x": {"shape": [4], "domain":
     "(-10, -0.1) | (0.1, 10)"}}, _signed_product_by_logs),
    ("running product by doubling", "cumprod(x)", ROW, _cumulative_by_doubling),
    ("cubic loss, partially applied", "mean(abs(x - y)**3)", {"x": ROW["x"], "y": ROW["x"]},
     partial(lambda p, x, y: (x - y).abs().pow(p).mean(), 3)),
)  # fmt: skip
