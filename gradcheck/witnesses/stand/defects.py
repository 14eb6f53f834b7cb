"""Known defects of PyTorch's operators at order 2, which are not laid on code that calls them.

A defect excuses one call of a witness where three things hold: PyTorch's operator alone, asked the
same way, fails (the probe); the call ran that operator, on arguments of that kind; and where the
operator raises, the call raised the same. docs/findings.md tells of each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradcheck.answer import Claim, Finding, Trial
from gradcheck.witnesses.stand.operators import Known, Seen, watch

Answer = Callable[[Trial], Iterator[Claim | Finding]]
"""How a witness asks one question about a trial."""


def _always(_: tuple[Any, ...]) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Defect:
    """What one operator gets wrong.

    ``operators`` are its names below autograd; ``concerns`` says of an operator's arguments
    whether they are of the kind that fails. ``alone`` is PyTorch's function, ``written`` the same
    function of sound operators, both of one tensor [n] or [n, n] and with a scalar result; at
    ``at`` the first fails. ``users`` are operators whose own formulas call this one, rightly.
    """

    name: str
    operators: tuple[str, ...]
    because: str
    issue: str
    alone: Callable[[Tensor], Tensor]
    written: Callable[[Tensor], Tensor]
    at: tuple[Any, ...]
    concerns: Callable[[tuple[Any, ...]], bool] = _always
    users: frozenset[str] = frozenset()

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


def _zeros(args: tuple[Any, ...]) -> int:
    return int((args[0] == 0).sum())


def _far_apart(args: tuple[Any, ...]) -> bool:
    return bool(((args[0] - args[1]).abs() > torch.finfo(args[0].dtype).max ** 0.5).any()) or bool(
        torch.exp(-(args[0] - args[1]).abs()).eq(0).any()
    )


DEFECTS = (
    Defect(
        "softmax",
        ("aten::_softmax",),
        _IN_PLACE,
        _issue(162350),
        _entry(lambda x: torch.softmax(x, 0)),
        _share,
        (0.5, 1.0),
    ),
    Defect(
        "log_softmax",
        ("aten::_log_softmax",),
        _IN_PLACE,
        _issue(162350),
        _entry(lambda x: torch.log_softmax(x, 0)),
        lambda x: _share(x).log(),
        (0.5, 1.0),
    ),
    Defect(
        "logsumexp",
        ("aten::logsumexp",),
        _IN_PLACE,
        _issue(162350),
        lambda x: torch.logsumexp(x, 0),
        lambda x: x.exp().sum().log(),
        (0.5, 1.0),
    ),
    Defect(
        "1-norm",
        ("aten::linalg_vector_norm", "aten::norm"),
        "the forward formula of the 1-norm changes in place what the backward has saved",
        _UNREPORTED,
        lambda x: torch.linalg.vector_norm(x, 1),
        lambda x: x.abs().sum(),
        (0.5, -1.0),
        lambda args: len(args) > 1 and args[1] == 1,
    ),
    Defect(
        "mse_loss",
        ("aten::mse_loss",),
        "the double backward divides a ZeroTensor in place",
        _issue(123996),
        lambda x: torch.nn.functional.mse_loss(x, torch.ones_like(x)),
        lambda x: ((x - 1) * (x - 1)).mean(),
        (0.5, -1.0),
    ),
    Defect(
        "binary_cross_entropy_with_logits",
        ("aten::binary_cross_entropy_with_logits",),
        "the forward formula writes into a ZeroTensor",
        _UNREPORTED,
        lambda x: torch.nn.functional.binary_cross_entropy_with_logits(x[0], torch.ones_like(x[0])),
        lambda x: (1 + (-x[0]).exp()).log(),
        (0.5,),
    ),
    Defect(
        "det",
        ("aten::_linalg_det",),
        _FACTORS,
        _issue(192540),
        torch.linalg.det,
        _minor,
        _MATRIX,
    ),
    Defect(
        "solve",
        ("aten::_linalg_solve_ex",),
        _FACTORS,
        _issue(192540),
        lambda x: torch.linalg.solve(x, torch.ones_like(x[0]))[0],
        lambda x: (x[1, 1] - x[0, 1]) / _minor(x),
        _MATRIX,
    ),
    Defect(
        "slogdet",
        ("aten::_linalg_slogdet",),
        _FACTORS,
        _issue(196697),
        torch.logdet,
        lambda x: _minor(x).log(),
        _MATRIX,
    ),
    Defect(
        "layer_norm",
        ("aten::native_layer_norm",),
        "the tangents of mean and rstd are taken for constants",
        _issue(196700),
        _entry(lambda x: torch.nn.functional.layer_norm(x, x.shape)),
        _layer_norm,
        (0.5, 1.0, -2.0),
    ),
    Defect(
        "cumprod",
        ("aten::cumprod",),
        "the formulas for a zero factor are not derivable again",
        _issue(196701),
        lambda x: torch.cumprod(x, 0)[-1],
        lambda x: x[0] * x[1] * x[2],
        (2.0, 0.0, 3.0),
        lambda args: _zeros(args) > 0,
        frozenset({"aten::prod"}),
    ),
    Defect(
        "prod",
        ("aten::prod",),
        "outside of grad mode the double backward returns 0 where two factors are 0",
        _UNREPORTED,
        torch.prod,
        lambda x: x[0] * x[1] * x[2],
        (0.0, 0.0, 3.0),
        lambda args: _zeros(args) > 1,
    ),
    Defect(
        "logaddexp",
        ("aten::logaddexp",),
        "inf / inf where the smaller term vanishes",
        _issue(196704),
        lambda x: torch.logaddexp(x[0], x[1]),
        lambda x: x[1] + torch.log1p((x[0] - x[1]).exp()),
        (-1000.0, 0.0),
        _far_apart,
    ),
    Defect(
        "sinc",
        ("aten::sinc",),
        "the second derivative is not a number, or has no digit, at 0",
        _issue(196703),
        lambda x: torch.sinc(x)[0],
        lambda x: (1 - (torch.pi * x) ** 2 / 6)[0],
        (0.0,),
        lambda args: _zeros(args) > 0,
    ),
)


def watched(answer: Answer, trial: Trial) -> Seen:
    """Return what a question makes PyTorch run: custom operators that drop tangents, defects met.

    The question is put once more for this, because watching may change how code is run.
    """
    with watch(_known()) as seen:
        try:
            list(answer(trial))
        except (Exception, SystemExit):  # whoever asks in earnest sees it again
            return seen
    return seen


@lru_cache(maxsize=1)
def _known() -> Known:
    def of(name: str) -> Callable[[tuple[Any, ...]], list[Any]]:
        about = [defect for defect in DEFECTS if name in defect.operators]
        return lambda args: [defect for defect in about if defect.concerns(args)]

    return {name: of(name) for defect in DEFECTS for name in defect.operators}


def silent_defect(seen: Seen, label: str, answer: Answer, trial: Trial) -> str | None:
    """Return the defect by which PyTorch's answer is silently wrong, or None."""
    for defect in _met(seen):
        if _failure(defect, label, answer, (trial.dtype, trial.device)) == _WRONG:
            return str(defect)
    return None


def raising_defect(error: str, seen: Seen, label: str, answer: Answer, trial: Trial) -> str | None:
    """Return the defect by which PyTorch raised an error with this text, or None."""
    for defect in _met(seen):
        if _failure(defect, label, answer, (trial.dtype, trial.device)) == _outline(error):
            return str(defect)
    return None


def _met(seen: Seen) -> list[Defect]:
    return [defect for defect in dict.fromkeys(seen.met) if not defect.users & seen.ran]


_WRONG = "wrong"


@lru_cache(maxsize=256)
def _failure(defect: Defect, label: str, answer: Answer, home: tuple[str, str]) -> str:
    """How PyTorch's operator alone fails: silently, with an error of this outline, or not at all.

    Part of the key is ``label``, because a question may be asked by a function made for it.
    """
    try:
        found = _numbers(answer, _trial(defect.alone, defect.at, home))
    except RuntimeError as error:
        return _outline(str(error))
    truth = _numbers(answer, _trial(defect.written, defect.at, home))
    return "" if np.allclose(found, truth, rtol=1e-2, atol=1e-3) else _WRONG


def _trial(
    function: Callable[[Tensor], Tensor], at: tuple[Any, ...], home: tuple[str, str]
) -> Trial:
    dtype, device = home
    inputs = (np.array([at], dtype=np.float64),)
    return Trial(
        function,
        inputs,
        batched=False,
        output_shape=(),
        order=2,
        dtype=dtype,
        device=device,
        seed=0,
    )


def _numbers(answer: Answer, trial: Trial) -> list[float]:
    claims = [each for each in answer(trial) if isinstance(each, Claim)]
    return [number for claim in claims for number in claim.numbers.ravel().tolist()]


def _outline(text: str) -> str:
    """An error's words without its shapes, dtypes and counts."""
    return " ".join(re.sub(r"\[torch\.\w+ \[[^]]*\]\]|\d+", "", text).split())
