"""Arrays in float32, float16 and bfloat16: false alarms over PyTorch's kernels, and kill rates.

Run by hand; `--part alarms`, `planted` or `written`, `--seeds 0 20`, `--dtype`, `--kernel`. At each
seed two ordinary points are looked at. Alarms: PyTorch's own CPU kernels; an alarm is a gradient
array, or two of them together, that is convicted. Planted: kernels that compute in float32 and
round their result once, with a fault before that. Written: kernels as a stranger writes them, right
ones and those with a slip. Beside the judge stand three habits of today on the same answers:
`torch.testing.assert_close` at its defaults against a reference in float64, no more than twice the
error of PyTorch's own kernel, and `allclose(1e-2, 1e-2)`. Of all of them the right code that they
convict is told too.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from fused_kernels import FAMILIES, Family
from pytorch_kernels import EPS, KERNELS, Code, Kernel, batch_norm
from torch import Tensor
from torch.nn import functional

from gradcheck.answer import Ruling
from gradcheck.catalog.case import Implementation
from gradcheck.catalog.checks import plan
from gradcheck.catalog.inline import case_of
from gradcheck.points.generate import generate
from gradcheck.run.array_judging import ORDINARY, array_findings
from gradcheck.run.observation import Observation, observe
from gradcheck.run.session import Session, session_of

DTYPES = ("float32", "float16", "bfloat16")
POINTS = 2
"""As many ordinary ones as a check with default settings has at least."""
HABITS = ("assert_close", "twice PyTorch's error", "allclose(1e-2)")


class Remembered:
    """A reference that answers a question again from memory: mutants of a kernel ask the same."""

    def __init__(self, reference: Any) -> None:
        self._reference, self._known = reference, {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._reference, name)
        if name not in ("enclose", "rounding_errors", "error_bounds"):
            return found

        def ask(query: Any, points: Any, *rest: Any, **more: Any) -> Any:
            sides = tuple(None if side is None else side.tobytes() for side in query.sides)
            key = name, query.order, sides, points.tobytes(), rest, tuple(more.items())
            if key not in self._known:
                self._known[key] = found(query, points, *rest, **more)
            return self._known[key]

        return ask


def sessions(kernel: Kernel, dtype: str) -> Session:
    keys = {"formula": kernel.formula, "inputs": kernel.inputs, "order": 1, "dtypes": [dtype],
            "function": "gradcheck:verify", **kernel.keys}  # fmt: skip
    case = case_of(keys, shown=kernel.name, labels={})
    own = Implementation(text=kernel.name, where=case.where, given=kernel.code)
    case = replace(case, implementations=(own,))
    (check,) = plan([case], devices=("cpu",), dtypes=(dtype,), witnesses=("reverse",))
    found = session_of(check)
    return replace(found, reference=Remembered(found.reference))


def with_code(session: Session, code: Code) -> Session:
    own = replace(session.check.implementation, given=code)
    check = replace(session.check, implementation=own)
    return replace(session_of(check), reference=session.reference, batched=session.batched)


def seen(session: Session, seed: int) -> Observation:
    points = generate(session.variant.inputs, ORDINARY, seed, POINTS, session.dtype)
    return observe(session, points, seed)


def convicted(session: Session, observation: Observation) -> tuple[list[str], bool]:
    """What is said of the arrays, and whether an entry alone is convicted."""
    heard = [(observation, (ORDINARY,) * POINTS)]
    found = [finding.remark.reason for _, finding in array_findings(session, heard)]
    entries = any(each.judgements.is_ruled(Ruling.DISAGREE).any() for each in observation.judged)
    return found, entries


def alarms(kernels: Sequence[Kernel], dtypes: Sequence[str], seeds: range) -> None:
    """Print how many arrays of PyTorch's own kernels are convicted."""
    total: Counter[str] = Counter()
    for dtype in dtypes:
        for kernel in kernels:
            started = time.perf_counter()
            session = sessions(kernel, dtype)
            for seed in seeds:
                observation = seen(session, seed)
                found, entries = convicted(session, observation)
                total[dtype, "arrays"] += POINTS * len(kernel.inputs) * len(observation.judged)
                total[dtype, "alarms"] += len(found)
                total[dtype, "entries"] += entries
                for text in found:
                    print(f"  {kernel.name} {dtype} seed {seed}: {text}", flush=True)
                if entries:
                    print(f"  {kernel.name} {dtype} seed {seed}: by entry", flush=True)
            seconds = time.perf_counter() - started
            print(f"{dtype:9} {kernel.name:34} {seconds:6.1f} s", flush=True)
    for dtype in dtypes:
        arrays, wrong, entries = (total[dtype, k] for k in ("arrays", "alarms", "entries"))
        print(f"{dtype}: {wrong} alarms in {arrays} arrays; {entries} draws convicted by entry")


# faults

Fault = Callable[[list[Tensor], int], list[Tensor]]


def _first(change: Callable[[Tensor, torch.Generator], Tensor]) -> Fault:
    """A fault of the first gradient."""

    def plant(gradients: list[Tensor], seed: int) -> list[Tensor]:
        random = torch.Generator().manual_seed(seed)
        return [change(gradients[0].clone(), random), *gradients[1:]]

    return plant


def _some(tensor: Tensor, axis: int, random: torch.Generator) -> int:
    return int(torch.randint(tensor.shape[axis], (), generator=random))


def _times(factor: float, axis: int | None = None, block: int = 1) -> Fault:
    def change(x: Tensor, random: torch.Generator) -> Tensor:
        if axis is None:
            return x * factor
        start = _some(x, axis, random) // block * block
        x.narrow(axis, start, min(block, x.shape[axis] - start)).mul_(factor)
        return x

    return _first(change)


def _entry(x: Tensor, random: torch.Generator) -> Tensor:
    place = int(torch.randint(x.numel(), (), generator=random))
    x.view(-1)[place] *= 1.5
    return x


def _stale(x: Tensor, _random: torch.Generator) -> Tensor:
    x[..., 16:32] = x[..., 0:16].clone()
    return x


FAULTS: dict[str, Fault] = {
    "none": lambda gradients, _seed: gradients,
    "x 1.05": _times(1.05),
    "x 1.01": _times(1.01),
    "x 1.003": _times(1.003),
    "x 1.001": _times(1.001),
    "bias of 1/100 rms": _first(lambda x, _: x + 0.01 * x.pow(2).mean().sqrt()),
    "one row 0": _times(0.0, 0),
    "one row x 1.05": _times(1.05, 0),
    "one row x 1.01": _times(1.01, 0),
    "one column x 1.01": _times(1.01, -1),
    "a block x 1.01": _times(1.01, -1, 16),
    "one entry x 1.5": _first(_entry),
    "a stale tile": _first(_stale),
}
WRONG: dict[str, dict[str, Code]] = {
    "layer_norm": {
        "wrong eps": lambda x, w, b: functional.layer_norm(x, (96,), w, b, 1e-1),
        "variance over n - 1": lambda x, w, b: (
            w * (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True) + EPS).sqrt() + b
        ),
        "mean left out of the backward": lambda x, w, b: (
            w * (x - x.mean(1, keepdim=True).detach())
            / (x.var(1, keepdim=True, correction=0) + EPS).sqrt() + b
        ),
        "variance held constant": lambda x, w, b: (
            w * (x - x.mean(1, keepdim=True))
            / (x.var(1, keepdim=True, correction=0).detach() + EPS).sqrt() + b
        ),
        "wrong axis": batch_norm,
    },
    "softmax": {
        "sum held constant": lambda x: x.exp() / x.exp().sum(1, keepdim=True).detach(),
        "wrong axis": lambda x: torch.softmax(x, 0),
        "one too few": lambda x: torch.cat([torch.softmax(x[:, :-1], 1), x[:, -1:] * 0], 1),
    },
    "scaled_dot_product_attention": {
        "scale of the wrong length": lambda q, k, v: torch.softmax(q @ k.mT / 33**0.5, -1) @ v,
        "sum held constant": lambda q, k, v: (
            (q @ k.mT / 32**0.5).exp() / (q @ k.mT / 32**0.5).exp().sum(-1, keepdim=True).detach()
        ) @ v,
        "a key too few": lambda q, k, v: (
            torch.softmax(q @ k[:, :-1].mT / 32**0.5, -1) @ v[:, :-1]
        ),
        "causal by mistake": lambda q, k, v: functional.scaled_dot_product_attention(
            q, k, v, is_causal=True
        ),
    },
    "gelu": {
        "by tanh": lambda x: functional.gelu(x, approximate="tanh"),
        "by the sigmoid": lambda x: x * torch.sigmoid(1.702 * x),
    },
    "matmul": {"a row of b too few": lambda a, b: a[:, :-1] @ b[:-1]},
}  # fmt: skip
HOSTS = ("layer_norm", "softmax", "scaled_dot_product_attention", "gelu", "matmul", "mse_loss",
         "rms_norm", "silu")  # fmt: skip


def planted(right: Code, backward: Code, fault: Fault, seed: int) -> Code:
    """Code with the right value, whose gradients are another's, in float32, with a fault."""

    class Planted(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, *inputs: Tensor) -> Tensor:
            context.save_for_backward(*inputs)
            return right(*(each.float() for each in inputs)).to(inputs[0].dtype)

        @staticmethod
        def backward(context: Any, cotangent: Tensor) -> Any:  # type: ignore[override]
            inputs = [each.float().requires_grad_() for each in context.saved_tensors]
            with torch.enable_grad():
                value = backward(*inputs)
            found = list(torch.autograd.grad(value, inputs, cotangent.float()))
            return tuple(each.to(cotangent.dtype) for each in fault(found, seed))

    return Planted.apply


def habits(got: list[Any], true: list[Any], own: list[Any], dtype: str) -> tuple[bool, ...]:
    """Which of today's habits convict."""
    kind = getattr(torch, dtype)
    far = any(
        not np.isfinite(g).all() or np.abs(g - t).max() > 2 * np.abs(o - t).max()
        for g, t, o in zip(got, true, own, strict=True)
    )
    loose = not all(np.allclose(g, t, 1e-2, 1e-2) for g, t in zip(got, true, strict=True))
    return not all(_is_close(g, t, kind) for g, t in zip(got, true, strict=True)), far, loose


def _is_close(got: Any, true: Any, kind: torch.dtype) -> bool:
    try:
        torch.testing.assert_close(torch.tensor(got).to(kind), torch.tensor(true).to(kind))
    except AssertionError:
        return False
    return True


def _columns(observation: Observation) -> tuple[list[Any], list[Any]]:
    judged = observation.judged[0]
    true = np.ldexp(judged.truth.middle, -judged.truth.exponent)
    return [judged.got], [true]


@dataclass(frozen=True, slots=True)
class Trial:
    """Code that is right, or not, and what it is called."""

    name: str
    code: Code
    is_right: bool


Subject = tuple[Kernel, Callable[[str, int], Iterator[Trial]]]
"""PyTorch's kernel, and what is put on trial beside it in a dtype, at a seed."""


def mutants_of(kernel: Kernel) -> Subject:
    def trials(_dtype: str, seed: int) -> Iterator[Trial]:
        for name, fault in FAULTS.items():
            yield Trial(name, planted(kernel.code, kernel.code, fault, seed), name == "none")
        for name, code in WRONG.get(kernel.name, {}).items():
            yield Trial(name, planted(kernel.code, code, FAULTS["none"], seed), is_right=False)

    return kernel, trials


def written_of(family: Family) -> Subject:
    def trials(dtype: str, _seed: int) -> Iterator[Trial]:
        right = {"PyTorch's": family.own.code, "fused": family.fused(""), **family.others}
        for name, code in right.items():
            yield Trial(name, code, is_right=True)
        for slip in family.slips:
            only_rounds = dtype == "float32" and slip in family.rounded
            yield Trial(slip, family.fused(slip), is_right=only_rounds)

    return family.own, trials


def kills(subjects: Sequence[Subject], dtypes: Sequence[str], seeds: range) -> None:
    """Print how many wrong kernels, and how many right ones, each way of judging convicts."""
    rates: dict[tuple[str, str], list[tuple[bool, ...]]] = defaultdict(list)
    for dtype in dtypes:
        for kernel, trials in subjects:
            session = sessions(kernel, dtype)
            for seed in seeds:
                own, _ = _columns(seen(session, seed))
                for trial in trials(dtype, seed):
                    told = _told(with_code(session, trial.code), seed, own, dtype)
                    kind = "right" if trial.is_right else "wrong"
                    rates[dtype, kind].append(told)
                    rates[dtype, f"{kernel.name}, {kind}"].append(told)
                    if told[0] is trial.is_right:
                        print(f"  {dtype} {kernel.name}, {kind}: {trial.name}, seed {seed}")
            print(_line(dtype, kernel.name, rates[dtype, f"{kernel.name}, wrong"]), flush=True)
    print(f"\n{'':60}" + "".join(f"{name:>24}" for name in ("judge", *HABITS)))
    for (dtype, name), told in sorted(rates.items()):
        print(_line(dtype, f"{name} ({len(told)})", told))


def _told(session: Session, seed: int, own: list[Any], dtype: str) -> tuple[bool, ...]:
    """Whether the judge convicts some code, and whether each habit does."""
    observation = seen(session, seed)
    found, entries = convicted(session, observation)
    return bool(found) or entries, *habits(*_columns(observation), own, dtype)


def _line(dtype: str, name: str, told: Sequence[tuple[bool, ...]]) -> str:
    shares = 100 * np.mean(told, axis=0) if told else ()
    return f"{dtype:9} {name:50}" + "".join(f"{share:23.0f}%" for share in shares)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("alarms", "planted", "written"), required=True)
    parser.add_argument("--seeds", type=int, nargs=2, default=(600, 605))
    parser.add_argument("--dtype", choices=DTYPES, action="append")
    parser.add_argument("--kernel", action="append", help="by its name; else all")
    given = parser.parse_args()
    seeds, dtypes = range(*given.seeds), given.dtype or DTYPES
    kernels = [each for each in KERNELS if not given.kernel or each.name in given.kernel]
    warnings.simplefilter("ignore")
    if given.part == "alarms":
        alarms(kernels, dtypes, seeds)
    elif given.part == "planted":
        kills([mutants_of(each) for each in kernels if each.name in HOSTS], dtypes, seeds)
    else:
        families = [each for each in FAMILIES if not given.kernel or each.own.name in given.kernel]
        kills([written_of(each) for each in families], dtypes, seeds)


if __name__ == "__main__":
    main()
