"""Known defects of PyTorch's operators at orders 2 and 3, named in code that calls them.

A defect explains one call of a witness where three things hold: PyTorch's operator alone, asked the
same way, fails (the probe); the operator stands in the backward graph, with inputs of that kind;
and where the operator raises, the call raised the same. docs/findings.md tells of each.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradcheck.answer import Answer, Invocation, Question
from gradcheck.dtypes import DTYPES
from gradcheck.errors import Misconduct
from gradcheck.methods._torch.calling import input_leaves, result_of
from gradcheck.methods._torch.graph import nodes, runs_own_function
from gradcheck.query import Port


def _always(_: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Defect:
    """What one operator gets wrong.

    ``node`` is what stands for it in a backward graph, without its number; ``concerns`` says of
    such a node whether what it saved is of the kind that fails. ``alone`` is
    PyTorch's function, ``written`` the same
    function of sound operators, both of one tensor [n] or [n, n] and with a scalar result; at
    ``at`` the first fails.
    """

    name: str
    node: str
    because: str
    issue: str
    alone: Callable[[Tensor], Tensor]
    written: Callable[[Tensor], Tensor]
    at: tuple[Any, ...]
    concerns: Callable[[Any], bool] = _always

    def __str__(self) -> str:
        return f"a known defect of PyTorch's {self.name}: {self.because} ({self.issue})"


def _issue(number: int) -> str:
    return f"https://github.com/pytorch/pytorch/issues/{number}"


_UNREPORTED = "not reported"
_IN_PLACE = "the forward formula multiplies in place what the backward has saved"
_FACTORS = "the LU factors are taken for constants when the derivative is derived"
_MATRIX = ((2.0, 0.5), (0.25, 1.5))


def _entry(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: function(x)[0]


def _share(x: Tensor) -> Tensor:
    powers = x.exp()
    return powers[0] / powers.sum()


def _minor(x: Tensor) -> Tensor:
    return x[0, 0] * x[1, 1] - x[0, 1] * x[1, 0]


def _layer_norm(x: Tensor) -> Tensor:
    centred = x - x.mean()
    return (centred / ((centred * centred).mean() + 1e-5).sqrt())[0]


def _dot_product_attention(x: Tensor) -> Tensor:
    qkv = x[None]  # of four dimensions another kernel would be taken
    return torch.nn.functional.scaled_dot_product_attention(qkv, qkv, qkv)


def _attention(x: Tensor) -> Tensor:
    weights = (x @ x.T / math.sqrt(x.shape[1])).exp()
    return (weights / weights.sum(1, keepdim=True) @ x)[0, 0]


def _first_eigenvector(x: Tensor) -> Tensor:
    """The square of its first entry, for a symmetric matrix [2, 2]."""
    half = (x[0, 0] - x[1, 1]) / 2
    return (1 - half / (half * half + x[0, 1] * x[1, 0]).sqrt()) / 2


def _adds_to_the_variance(node: Any) -> bool:
    """Whether 1e-12 is not lost beside p (1 - p)."""
    p = node._saved_self
    variance = p * (1 - p)
    return bool((variance + 1e-12 != variance).any())


def _zeros(node: Any) -> int:
    return int((node._saved_self == 0).sum())


def _far_apart(node: Any) -> bool:
    """Whether the smaller of two terms vanishes beside the other."""
    gap = (node._saved_self - node._saved_other).abs()
    return bool(((-gap).exp() == 0).any())


def _sparse_product(x: Tensor) -> Tensor:
    place = torch.zeros(2, 1, dtype=torch.int64)
    sparse = torch.sparse_coo_tensor(place, x[:1], (1, 1), check_invariants=True)
    found: Tensor = torch.sparse.mm(sparse, torch.ones_like(x[:1, None]))
    return found[0, 0]


DEFECTS = (
    Defect(
        "softmax",
        "SoftmaxBackward",
        _IN_PLACE,
        _issue(162350),
        _entry(lambda x: torch.softmax(x, 0)),
        _share,
        (0.5, 1.0),
    ),
    Defect(
        "log_softmax",
        "LogSoftmaxBackward",
        _IN_PLACE,
        _issue(162350),
        _entry(lambda x: torch.log_softmax(x, 0)),
        lambda x: _share(x).log(),
        (0.5, 1.0),
    ),
    Defect(
        "logsumexp",
        "LogsumexpBackward",
        _IN_PLACE,
        _issue(162350),
        lambda x: torch.logsumexp(x, 0),
        lambda x: x.exp().sum().log(),
        (0.5, 1.0),
    ),
    Defect(
        "logcumsumexp",
        "LogcumsumexpBackward",
        "the forward formula changes in place what the backward has saved",
        _UNREPORTED,
        lambda x: torch.logcumsumexp(x, 0)[-1],
        lambda x: x.exp().sum().log(),
        (0.5, 1.0),
    ),
    Defect(
        "scaled_dot_product_attention",
        "SafeSoftmaxBackward",
        _IN_PLACE,
        _issue(162350),
        lambda x: _dot_product_attention(x)[0, 0, 0],
        _attention,
        _MATRIX,
    ),
    Defect(
        "1-norm",
        "LinalgVectorNormBackward",
        "the forward formula of the 1-norm changes in place what the backward has saved",
        _UNREPORTED,
        lambda x: torch.linalg.vector_norm(x, 1),
        lambda x: x.abs().sum(),
        (0.5, -1.0),
        lambda node: node._saved_ord == 1,
    ),
    Defect(
        "mse_loss",
        "MseLossBackward",
        "the double backward divides a ZeroTensor in place",
        _issue(123996),
        lambda x: torch.nn.functional.mse_loss(x, torch.ones_like(x)),
        lambda x: ((x - 1) * (x - 1)).mean(),
        (0.5, -1.0),
    ),
    Defect(
        "binary_cross_entropy_with_logits",
        "BinaryCrossEntropyWithLogitsBackward",
        "the forward formula writes into a ZeroTensor",
        _UNREPORTED,
        lambda x: torch.nn.functional.binary_cross_entropy_with_logits(x[0], torch.ones_like(x[0])),
        lambda x: (1 + (-x[0]).exp()).log(),
        (0.5,),
    ),
    Defect(
        "det",
        "LinalgDetBackward",
        _FACTORS,
        _issue(192540),
        torch.linalg.det,
        _minor,
        _MATRIX,
    ),
    Defect(
        "solve",
        "LinalgSolveExBackward",
        _FACTORS,
        _issue(192540),
        lambda x: torch.linalg.solve(x, torch.ones_like(x[0]))[0],
        lambda x: (x[1, 1] - x[0, 1]) / _minor(x),
        _MATRIX,
    ),
    Defect(
        "slogdet",
        "LinalgSlogdetBackward",
        _FACTORS,
        _issue(196697),
        torch.logdet,
        lambda x: _minor(x).log(),
        _MATRIX,
    ),
    Defect(
        "layer_norm",
        "NativeLayerNormBackward",
        "the tangents of mean and rstd are taken for constants",
        _issue(196700),
        _entry(lambda x: torch.nn.functional.layer_norm(x, x.shape)),
        _layer_norm,
        (0.5, 1.0, -2.0),
    ),
    Defect(
        "batch_norm",
        "NativeBatchNormBackward",
        "the tangents of mean and invstd are taken for constants",
        _UNREPORTED,
        lambda x: torch.nn.functional.batch_norm(x[:, None], None, None, training=True)[0, 0],
        _layer_norm,
        (0.5, 1.0, -2.0),
        lambda node: bool(node._saved_training),
    ),
    Defect(
        "weight_norm",
        "WeightNormInterfaceBackward",
        "the norms that the backward has saved are taken for constants when it is derived",
        _UNREPORTED,
        lambda x: torch._weight_norm(x[None], torch.ones_like(x[:1, None]))[0, 0],
        lambda x: x[0] / (x * x).sum().sqrt(),
        (0.5, 1.0),
    ),
    Defect(
        "torch.sparse.mm",
        "SparseAddmmBackward",
        "the gradient by the sparse factor is not derived again",
        _UNREPORTED,
        lambda x: _sparse_product(x).square(),
        lambda x: x[0] * x[0],
        (0.5,),
        lambda node: node.next_functions[1][0] is not None,
    ),
    Defect(
        "eigh",
        "LinalgEighBackward",
        "the derivative of the eigenvectors' forward formula is not a number",
        _UNREPORTED,
        lambda x: torch.linalg.eigh((x + x.T) / 2)[1][0, 0] ** 2,
        lambda x: _first_eigenvector((x + x.T) / 2),
        _MATRIX,
    ),
    Defect(
        "cumprod",
        "CumprodBackward",
        "the formulas for a zero factor are not derivable again",
        _issue(196701),
        lambda x: torch.cumprod(x, 0)[-1],
        lambda x: x[0] * x[1] * x[2],
        (2.0, 0.0, 3.0),
        lambda node: _zeros(node) > 0,
    ),
    Defect(
        "prod",
        "ProdBackward",
        "outside of grad mode the double backward returns 0 where two factors are 0",
        _UNREPORTED,
        torch.prod,
        lambda x: x[0] * x[1] * x[2],
        (0.0, 0.0, 3.0),
        lambda node: _zeros(node) > 1,
    ),
    Defect(
        "logaddexp",
        "LogaddexpBackward",
        "inf / inf where the smaller term vanishes",
        _issue(196704),
        lambda x: torch.logaddexp(x[0], x[1]),
        lambda x: x[1] + torch.log1p((x[0] - x[1]).exp()),
        (-1000.0, 0.0),
        _far_apart,
    ),
    Defect(
        "binary_cross_entropy",
        "BinaryCrossEntropyBackward",
        "the double backward adds 1e-12 to p (1 - p)",
        _UNREPORTED,
        lambda x: torch.nn.functional.binary_cross_entropy(x[0], torch.ones_like(x[0])),
        lambda x: -x[0].log(),
        (1e-12,),
        _adds_to_the_variance,
    ),
    Defect(
        "sinc",
        "SincBackward",
        "the second derivative is not a number, or has no digit, at 0",
        _issue(196703),
        lambda x: torch.sinc(x)[0],
        lambda x: (1 - (torch.pi * x) ** 2 / 6)[0],
        (0.0,),
        lambda node: _zeros(node) > 0,
    ),
)


def defects_met(invocation: Invocation) -> list[Defect]:
    """Return the defects of the operators in the backward graph of the invocation's result."""
    try:
        found = list(nodes(result_of(invocation, input_leaves(invocation, requires_grad=True))))
        return [each for each in DEFECTS if any(_is_met(each, node) for node in found)]
    except (Exception, SystemExit):  # whoever asks in earnest sees it again
        return []


def has_own_derivative(invocation: Invocation) -> bool:
    """Whether an ``autograd.Function`` or a custom operator takes part in the result.

    Only where a backward graph could be looked into, as where a defect was met.
    """
    return runs_own_function(result_of(invocation, input_leaves(invocation, requires_grad=True)))


def _is_met(defect: Defect, node: Any) -> bool:
    return node.name().rstrip("0123456789") == defect.node and defect.concerns(node)


def silent_defect(
    met: list[Defect], label: str, question: Question, invocation: Invocation
) -> Defect | None:
    """Return the defect by which PyTorch's answer is silently wrong, or None."""
    home = invocation.dtype, invocation.device
    return next((each for each in met if _failure(each, label, question, home) == _WRONG), None)


def raising_defect(
    error: str, met: list[Defect], label: str, question: Question, invocation: Invocation
) -> Defect | None:
    """Return the defect by which PyTorch raised an error with this text, or None."""
    home, outline = (invocation.dtype, invocation.device), _outline(error)
    return next((each for each in met if _failure(each, label, question, home) == outline), None)


_WRONG = "wrong"


_FAILURES: dict[tuple[Defect, str, tuple[str, str]], str] = {}
"""A label stands for its question, which may be a function made anew for each call."""


def _failure(defect: Defect, label: str, question: Question, home: tuple[str, str]) -> str:
    """How PyTorch's operator fails alone: silently, with an error of such an outline, or never."""
    key = defect, label, home
    if key not in _FAILURES:
        _FAILURES[key] = _failure_anew(defect, question, home)
    return _FAILURES[key]


def _failure_anew(defect: Defect, question: Question, home: tuple[str, str]) -> str:
    try:
        found = _numbers(question, _invocation(defect.alone, defect.at, home))
    except (RuntimeError, Misconduct) as error:
        return _outline(str(error))
    except Exception:  # a question about many points, which the operator is not called with here
        return ""
    try:
        truth = _numbers(question, _invocation(defect.written, defect.at, home))
    except (RuntimeError, Misconduct):  # sound operators fail so too: nothing is known of this one
        return ""
    near = max(1e-2, 32 * DTYPES[home[0]].unit_roundoff)
    return "" if np.allclose(found, truth, rtol=near, atol=near / 10) else _WRONG


def _invocation(
    function: Callable[[Tensor], Tensor], at: tuple[Any, ...], home: tuple[str, str]
) -> Invocation:
    dtype, device = home
    inputs = (np.array([at], dtype=np.float64),)
    return Invocation(
        function,
        inputs,
        batched=False,
        outputs=(Port("", ()),),
        order=2,
        dtype=dtype,
        device=device,
        seed=0,
    )


def _numbers(question: Question, invocation: Invocation) -> list[complex]:
    claims = [each for each in question(invocation) if isinstance(each, Answer)]
    return [number for claim in claims for number in claim.numbers.ravel().tolist()]


def _outline(text: str) -> str:
    """An error's words without its shapes, dtypes and counts."""
    return " ".join(re.sub(r"\[torch\.\w+ \[[^]]*\]\]|\d+", "", text).split())
