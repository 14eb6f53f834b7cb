"""Right implementations that round in a way of their own, and what is planted in them.

Each loses digits, or leaves the range, where the formula of its case does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Twin:
    """A case in one line of YAML, and other code for the same function."""

    name: str
    declaration: str
    code: Callable[..., Tensor]


def _logsumexp_by_log1p(x: Tensor) -> Tensor:
    top = x.max()
    others = (x - top).exp().sum() - 1
    return top + torch.log1p(others)


def _variance_by_moments(x: Tensor) -> Tensor:
    return (x * x).mean() - x.mean() ** 2


def _layer_norm_by_moments(x: Tensor) -> Tensor:
    mean = x.mean()
    return (x - mean) / ((x * x).mean() - mean * mean + 0.1).sqrt()


def _convolution_by_fft(x: Tensor, w: Tensor) -> Tensor:
    found: Tensor = torch.fft.irfft(torch.fft.rfft(x) * torch.fft.rfft(w), n=4)
    return found


def _sum_backwards(x: Tensor) -> Tensor:
    total = x[3]
    for k in (2, 1, 0):
        total = total + x[k]
    return total.exp()


def _distance_multiplied_out(x: Tensor, y: Tensor) -> Tensor:
    return (x * x).sum() + (y * y).sum() - 2 * (x * y).sum()


def _product_by_logarithms(x: Tensor) -> Tensor:
    return x.log().sum().exp()


def _softmax_unshifted(x: Tensor) -> Tensor:
    powers = x.exp()
    return powers / powers.sum()


def _polynomial_expanded(x: Tensor) -> Tensor:
    return x**4 - 4 * x**3 + 6 * x**2 - 4 * x + 1


def _normalized_by_power(x: Tensor) -> Tensor:
    return x * (x * x).sum() ** -0.5


_FOUR = "inputs: {x: {shape: [4], domain: '[-30, 30]'}}"
_TWO_BY_FOUR = "inputs: {x: {shape: [4], domain: '[-9, 9]'}, y: {shape: [4], domain: '[-9, 9]'}}"
_ODD = "inputs: {x: '[-30, 30]'}"

TWINS = [
    Twin("logsumexp by log1p", f"{{formula: 'log(sum(exp(x)))', {_FOUR}}}", _logsumexp_by_log1p),
    Twin(
        "variance by moments",
        f"{{formula: 'mean((x - mean(x))**2)', {_FOUR}}}",
        _variance_by_moments,
    ),
    Twin(
        "layer norm by moments",
        f"{{formula: '(x - mean(x))/sqrt(mean((x - mean(x))**2) + 1/10)', {_FOUR}}}",
        _layer_norm_by_moments,
    ),
    Twin(
        "convolution by fft",
        "{formula: '[sum(x*[w[0], w[3], w[2], w[1]]), sum(x*[w[1], w[0], w[3], w[2]]), "
        "sum(x*[w[2], w[1], w[0], w[3]]), sum(x*[w[3], w[2], w[1], w[0]])]', "
        f"{_TWO_BY_FOUR.replace('y:', 'w:')}}}",
        _convolution_by_fft,
    ),
    Twin(
        "cosh by exponentials",
        f"{{formula: cosh(x), {_ODD}}}",
        lambda x: (x.exp() + (-x).exp()) / 2,
    ),
    Twin(
        "sinh by exponentials",
        f"{{formula: sinh(x), {_ODD}}}",
        lambda x: (x.exp() - (-x).exp()) / 2,
    ),
    Twin(
        "tanh by exponentials",
        f"{{formula: tanh(x), {_ODD}}}",
        lambda x: 1 - 2 / ((2 * x).exp() + 1),
    ),
    Twin("expm1 by exp", f"{{formula: expm1(x), {_ODD}}}", lambda x: x.exp() - 1),
    Twin("log1p by log", "{formula: log1p(x), inputs: {x: '[-0.5, 9]'}}", lambda x: (1 + x).log()),
    Twin(
        "swish by reciprocal",
        f"{{formula: x/(1 + exp(-x)), {_ODD}}}",
        lambda x: x * (1 + (-x).exp()) ** -1,
    ),
    Twin(
        "swish by tanh",
        f"{{formula: x/(1 + exp(-x)), {_ODD}}}",
        lambda x: x * (1 + (x / 2).tanh()) / 2,
    ),
    Twin(
        "softplus by log",
        f"{{formula: log(1 + exp(x)), {_ODD}}}",
        lambda x: x + (1 + (-x).exp()).log(),
    ),
    Twin("complement of erf", "{formula: erfc(x), inputs: {x: '[-3, 6]'}}", lambda x: 1 - x.erf()),
    Twin("versine", f"{{formula: 2*sin(x/2)**2, {_ODD}}}", lambda x: 1 - x.cos()),
    Twin("square of the sine", f"{{formula: sin(x)**2, {_ODD}}}", lambda x: 1 - x.cos() ** 2),
    Twin(
        "power by logarithm",
        "{formula: x**2.5, inputs: {x: '[1e-6, 1e6]'}}",
        lambda x: (2.5 * x.log()).exp(),
    ),
    Twin(
        "power by roots",
        "{formula: x**2.5, inputs: {x: '[1e-6, 1e6]'}}",
        lambda x: x * x * x.sqrt(),
    ),
    Twin(
        "difference of squares",
        "{formula: (x - y)*(x + y), inputs: {x: '[-9, 9]', y: '[-9, 9]'}}",
        lambda x, y: x * x - y * y,
    ),
    Twin(
        "quotient by logarithms",
        "{formula: x/y, inputs: {x: '[1e-3, 9]', y: '[1e-3, 9]'}}",
        lambda x, y: (x.log() - y.log()).exp(),
    ),
    Twin(
        "polynomial expanded", "{formula: (x - 1)**4, inputs: {x: '[-3, 5]'}}", _polynomial_expanded
    ),
    Twin(
        "distance multiplied out",
        f"{{formula: 'sum((x - y)**2)', {_TWO_BY_FOUR}}}",
        _distance_multiplied_out,
    ),
    Twin(
        "product by logarithms",
        "{formula: prod(x), inputs: {x: {shape: [4], domain: '[0.01, 9]'}}}",
        _product_by_logarithms,
    ),
    Twin(
        "sum backwards",
        "{formula: exp(sum(x)), inputs: {x: {shape: [4], domain: '[-9, 9]'}}}",
        _sum_backwards,
    ),
    Twin(
        "softmax by its definition", f"{{formula: exp(x)/sum(exp(x)), {_FOUR}}}", _softmax_unshifted
    ),
    Twin(
        "normalized by a power",
        "{formula: x/sqrt(sum(x**2)), inputs: {x: {shape: [4], domain: '[0.1, 9]'}}}",
        _normalized_by_power,
    ),
    Twin(
        "root of a square",
        "{formula: abs(x), inputs: {x: '[1e-9, 1e9]'}}",
        lambda x: (x * x).sqrt(),
    ),
    Twin(
        "mean of reciprocals",
        "{formula: x*y/(x + y), inputs: {x: '[1e-9, 1e9]', y: '[1e-9, 1e9]'}}",
        lambda x, y: 1 / (1 / x + 1 / y),
    ),
    Twin(
        "atanh by logarithms",
        "{formula: atanh(x), inputs: {x: '[-0.99, 0.99]'}}",
        lambda x: ((1 + x).log() - (1 - x).log()) / 2,
    ),
    Twin(
        "asinh by logarithm",
        "{formula: asinh(x), inputs: {x: '[-9, 9]'}}",
        lambda x: (x + (x * x + 1).sqrt()).log(),
    ),
]
