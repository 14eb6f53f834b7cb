"""PyTorch's own kernels, each with its formula and ordinary inputs of about 1,000 entries or more.

Facts alone; `low_precision.py` puts them on trial.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Code = Callable[..., Tensor]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A function, its formula and its inputs."""

    name: str
    formula: str
    inputs: dict[str, Any]
    code: Code
    keys: dict[str, Any] = field(default_factory=dict)


def shaped(*shape: int, domain: str = "(-4, 4)") -> dict[str, Any]:
    return {"shape": list(shape), "domain": domain}


def centered(of: str, dim: int) -> dict[str, str]:
    """A formula's deviations from the mean, and their variance."""
    return {
        "c": f"{of} - mean({of}, dim={dim}, keepdim=True)",
        "v": f"mean(c*c, dim={dim}, keepdim=True)",
    }


GRID, ROWS, HALF = shaped(64, 48), shaped(32, 96), "(1/4, 4)"
EPS = 2.0**-17
SOFTMAX = {"e": "exp(x)", "p": "e / sum(e, dim=1, keepdim=True)"}
ATTENTION = {
    "s": "q @ transpose(k, 1, 2) / sqrt(32)",
    "e": "exp(s)",
}
HEADS = {"q": shaped(4, 24, 32), "k": shaped(4, 24, 32), "v": shaped(4, 24, 32)}
CHANNELS, IMAGES = shaped(4, 12, 32), shaped(2, 3, 16, 16)
CONV2D = (
    "reshape(sum([w[:, :, i, j] @ reshape(x[:, :, i:i + 14, j:j + 14], [2, 3, 196])"
    " for i in range(3) for j in range(3)], dim=0), [2, 8, 14, 14])"
)
SIGMOID = "1/(1 + exp(-x))"
TARGET = torch.arange(32) * 7 % 96
ONE_HOT = functional.one_hot(TARGET, 96).tolist()
INDEX = [7 * i * i % 32 for i in range(48)]
TWICE = functional.interpolate(torch.eye(16).double()[None], scale_factor=2, mode="linear")[0].T


def batch_norm(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return functional.batch_norm(x, None, None, w, b, training=True, eps=EPS)


def _entrywise(name: str, formula: str, code: Code, domain: str = "(-4, 4)") -> Kernel:
    return Kernel(name, formula, {"x": shaped(64, 48, domain=domain)}, code)


KERNELS = (
    _entrywise("gelu", "x*(1 + erf(x/sqrt(2)))/2", functional.gelu),
    _entrywise("gelu_tanh", "x*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))/2",
               lambda x: functional.gelu(x, approximate="tanh")),
    _entrywise("silu", "x/(1 + exp(-x))", functional.silu),
    _entrywise("sigmoid", SIGMOID, torch.sigmoid),
    _entrywise("tanh", "tanh(x)", torch.tanh),
    _entrywise("softplus", "log(1 + exp(x))", functional.softplus),
    _entrywise("logsigmoid", "-log(1 + exp(-x))", functional.logsigmoid),
    _entrywise("mish", "x*tanh(log(1 + exp(x)))", functional.mish),
    _entrywise("elu", "where(x > 0, x, exp(x) - 1)", functional.elu),
    _entrywise("leaky_relu", "where(x > 0, x, x/100)", functional.leaky_relu),
    _entrywise("exp", "exp(x)", torch.exp),
    _entrywise("log", "log(x)", torch.log, HALF),
    _entrywise("sqrt", "sqrt(x)", torch.sqrt, HALF),
    _entrywise("rsqrt", "1/sqrt(x)", torch.rsqrt, HALF),
    _entrywise("erf", "erf(x)", torch.erf),
    _entrywise("sin", "sin(x)", torch.sin),
    _entrywise("cube", "x**3", lambda x: x**3),
    Kernel("mul", "x*y", {"x": GRID, "y": GRID}, torch.mul),
    Kernel("div", "x/y", {"x": GRID, "y": shaped(64, 48, domain=HALF)}, torch.div),
    Kernel("hypot", "sqrt(x*x + y*y)", {"x": GRID, "y": GRID}, torch.hypot),
    Kernel("scale_rows", "x*w", {"x": GRID, "w": shaped(48)}, torch.mul),
    Kernel("swiglu", "x*y/(1 + exp(-x))", {"x": GRID, "y": GRID},
           lambda x, y: functional.silu(x) * y),
    Kernel("softmax", "p", {"x": ROWS}, lambda x: torch.softmax(x, 1), {"let": SOFTMAX}),
    Kernel("log_softmax", "x - log(sum(exp(x), dim=1, keepdim=True))", {"x": ROWS},
           lambda x: torch.log_softmax(x, 1)),
    Kernel("logsumexp", "log(sum(exp(x), dim=1))", {"x": ROWS}, lambda x: torch.logsumexp(x, 1)),
    Kernel("sum", "sum(x, dim=1)", {"x": ROWS}, lambda x: x.sum(1)),
    Kernel("mean", "mean(x, dim=1)", {"x": ROWS}, lambda x: x.mean(1)),
    Kernel("var", "96/95*reshape(v, [32])", {"x": ROWS}, lambda x: x.var(1),
           {"let": centered("x", 1)}),
    Kernel("std", "sqrt(96/95*reshape(v, [32]))", {"x": ROWS}, lambda x: x.std(1),
           {"let": centered("x", 1)}),
    Kernel("norm", "sqrt(sum(x*x, dim=1))", {"x": ROWS}, lambda x: x.norm(dim=1)),
    Kernel("cumsum", "cumsum(x, 1)", {"x": ROWS}, lambda x: x.cumsum(1)),
    Kernel("layer_norm", "w*c/sqrt(v + 2**-17) + b", {"x": ROWS, "w": shaped(96), "b": shaped(96)},
           lambda x, w, b: functional.layer_norm(x, (96,), w, b, EPS), {"let": centered("x", 1)}),
    Kernel("rms_norm", "w*x/sqrt(mean(x*x, dim=1, keepdim=True) + 2**-17)",
           {"x": ROWS, "w": shaped(96)}, lambda x, w: functional.rms_norm(x, (96,), w, EPS)),
    Kernel("batch_norm", "w*c/sqrt(v + 2**-17) + b", {"x": ROWS, "w": shaped(96), "b": shaped(96)},
           batch_norm,
           {"let": centered("x", 0)}),
    Kernel("cosine_similarity", "sum(x*y, dim=1)/sqrt(sum(x*x, dim=1)*sum(y*y, dim=1))",
           {"x": ROWS, "y": ROWS}, lambda x, y: functional.cosine_similarity(x, y, dim=1)),
    Kernel("normalize", "x/sqrt(sum(x*x, dim=1, keepdim=True))", {"x": ROWS}, functional.normalize),
    Kernel("cross_entropy", "sum(t*(log(sum(exp(x), dim=1, keepdim=True)) - x))/32", {"x": ROWS},
           lambda x: functional.cross_entropy(x, TARGET), {"constants": {"t": ONE_HOT}}),
    Kernel("mse_loss", "mean((x - y)**2)", {"x": GRID, "y": GRID}, functional.mse_loss),
    Kernel("binary_cross_entropy_with_logits", "mean(log(1 + exp(x)) - x*y)",
           {"x": GRID, "y": shaped(64, 48, domain="(0, 1)")},
           functional.binary_cross_entropy_with_logits),
    Kernel("matmul", "a @ b", {"a": shaped(64, 48), "b": shaped(48, 32)}, torch.matmul),
    Kernel("bmm", "a @ b", {"a": shaped(4, 24, 32), "b": shaped(4, 32, 24)}, torch.bmm),
    Kernel("linear", "x @ transpose(w, 0, 1) + b", {"x": shaped(64, 48), "w": shaped(32, 48),
           "b": shaped(32)}, functional.linear),
    Kernel("attention", "e/sum(e, dim=2, keepdim=True) @ v", HEADS,
           lambda q, k, v: torch.softmax(q @ k.mT / 32**0.5, -1) @ v, {"let": ATTENTION}),
    Kernel("scaled_dot_product_attention", "e/sum(e, dim=2, keepdim=True) @ v", HEADS,
           functional.scaled_dot_product_attention, {"let": ATTENTION}),
    _entrywise("celu", "where(x > 0, x, 2*(exp(x/2) - 1))", lambda x: functional.celu(x, 2.0)),
    _entrywise("softsign", "x/(1 + abs(x))", functional.softsign),
    _entrywise("expm1", "exp(x) - 1", torch.expm1),
    _entrywise("log1p", "log(1 + x)", torch.log1p, HALF),
    _entrywise("atan", "atan(x)", torch.atan),
    _entrywise("pow", "x**2.5", lambda x: x**2.5, HALF),
    Kernel("pow_of_two", "x**y", {"x": shaped(64, 48, domain=HALF), "y": GRID}, torch.pow),
    Kernel("atan2", "atan2(x, y)", {"x": GRID, "y": shaped(64, 48, domain=HALF)}, torch.atan2),
    Kernel("logaddexp", "log(exp(x) + exp(y))", {"x": GRID, "y": GRID}, torch.logaddexp),
    Kernel("addcdiv", "x + y/z", {"x": GRID, "y": GRID, "z": shaped(64, 48, domain=HALF)},
           torch.addcdiv),
    Kernel("lerp", "x + z*(y - x)", {"x": GRID, "y": GRID, "z": shaped(64, 48, domain="(0, 1)")},
           torch.lerp),
    Kernel("glu", "x[:, :24]/(1 + exp(-x[:, 24:]))", {"x": GRID}, functional.glu),
    Kernel("prelu", "where(x > 0, x, w*x)", {"x": GRID, "w": shaped(48)}, functional.prelu),
    Kernel("huber_loss", "mean(where(abs(x - y) < 1, (x - y)**2/2, abs(x - y) - 1/2))",
           {"x": GRID, "y": GRID}, functional.huber_loss),
    Kernel("kl_div", "mean(y*(log(y) - x))", {"x": GRID, "y": shaped(64, 48, domain="(1/8, 1)")},
           functional.kl_div),
    Kernel("poisson_nll_loss", "mean(exp(x) - y*x)", {"x": GRID, "y": GRID},
           functional.poisson_nll_loss),
    Kernel("logcumsumexp", "log(cumsum(exp(x), 1))", {"x": ROWS},
           lambda x: torch.logcumsumexp(x, 1)),
    Kernel("cumprod", "cumprod(x, 1)", {"x": shaped(96, 12, domain="(1/2, 2)")},
           lambda x: x.cumprod(1)),
    Kernel("prod", "prod(x, dim=1)", {"x": shaped(96, 12, domain="(1/2, 2)")},
           lambda x: x.prod(1)),
    Kernel("amax", "amax(x, dim=1)", {"x": ROWS}, lambda x: x.amax(1)),
    Kernel("sort", "sum(x*x, dim=1)", {"x": ROWS}, lambda x: x.sort(1).values.square().sum(1)),
    Kernel("cdist", "sqrt(sum((reshape(x, [24, 1, 48]) - reshape(y, [1, 32, 48]))**2, dim=2))",
           {"x": shaped(24, 48), "y": shaped(32, 48)}, torch.cdist),
    Kernel("pairwise_distance", "sqrt(sum((x - y)**2, dim=1))", {"x": ROWS, "y": ROWS},
           lambda x, y: functional.pairwise_distance(x, y, eps=0.0)),
    Kernel("group_norm", "reshape(w, [12, 1])*reshape(c/sqrt(v + 2**-17), [4, 12, 32])"
           " + reshape(b, [12, 1])", {"x": CHANNELS, "w": shaped(12), "b": shaped(12)},
           lambda x, w, b: functional.group_norm(x, 3, w, b, EPS),
           {"let": {"r": "reshape(x, [12, 128])", **centered("r", 1)}}),
    Kernel("instance_norm", "c/sqrt(v + 2**-17)", {"x": CHANNELS},
           lambda x: functional.instance_norm(x, eps=EPS), {"let": centered("x", 2)}),
    Kernel("conv1d", "sum([w[:, :, k] @ x[:, :, k:k + 28] for k in range(5)], dim=0)"
           " + reshape(b, [10, 1])",
           {"x": CHANNELS, "w": shaped(10, 12, 5), "b": shaped(10)}, functional.conv1d),
    Kernel("conv2d", CONV2D, {"x": IMAGES, "w": shaped(8, 3, 3, 3)}, functional.conv2d),
    Kernel("conv_transpose1d", "sum([concat([zeros([4, 10, k]), transpose(w[:, :, k], 0, 1) @ x,"
           " zeros([4, 10, 4 - k])], 2) for k in range(5)], dim=0)",
           {"x": CHANNELS, "w": shaped(12, 10, 5)}, functional.conv_transpose1d),
    Kernel("interpolate", "up @ x @ transpose(up, 0, 1)", {"x": IMAGES},
           lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear"),
           {"constants": {"up": TWICE.tolist()}}),
    Kernel("avg_pool2d", "(x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2]"
           " + x[:, :, 1::2, 1::2])/4", {"x": IMAGES}, lambda x: functional.avg_pool2d(x, 2)),
    Kernel("embedding", "[w[index[i]] for i in range(48)]", {"w": shaped(32, 96)},
           lambda w: functional.embedding(torch.tensor(INDEX), w), {"constants": {"index": INDEX}}),
    Kernel("addmm", "b + x @ w", {"b": shaped(32), "x": GRID, "w": shaped(48, 32)}, torch.addmm),
    Kernel("bilinear", "reshape(sum((x @ w)*y, dim=2), [8, 32])",
           {"x": shaped(32, 16), "y": shaped(32, 16), "w": shaped(8, 16, 16)},
           lambda x, y, w: functional.bilinear(x, y, w).T),
    Kernel("causal_attention", "e @ v/sum(e, dim=2, keepdim=True)", HEADS,
           lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, is_causal=True),
           {"let": {"e": "tril(exp(q @ transpose(k, 1, 2)/sqrt(32)))"}}),
    Kernel("rms_norm_written_out", "x/sqrt(mean(x*x, dim=1, keepdim=True) + 2**-17)*w",
           {"x": ROWS, "w": shaped(96)},
           lambda x, w: x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + EPS) * w),
    Kernel("lstm_gates", "s[:, 12:24]*c + s[:, :12]*tanh(x[:, 24:36])",
           {"x": GRID, "c": shaped(64, 12)},
           lambda x, c: x[:, 12:24].sigmoid() * c + x[:, :12].sigmoid() * x[:, 24:36].tanh(),
           {"let": {"s": SIGMOID}}),
)  # fmt: skip
