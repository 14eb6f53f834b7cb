"""Arrays in float32, float16 and bfloat16: false alarms over PyTorch's kernels, and kill rates.

Run by hand; `--part alarms` or `--part kills`, `--seeds 0 20`, `--dtype`, `--kernel`. Alarms: each
of PyTorch's CPU kernels at one ordinary point for each seed; an alarm is a gradient array that is
convicted as an array. Kills: kernels that compute in float32 and round their result once, with a
fault planted before that; beside the judge stand three habits of today on the same answers:
`torch.testing.assert_close` at its defaults against a reference in float64, no more than twice the
error of PyTorch's own kernel, and `allclose(1e-2, 1e-2)`. Each habit's alarms on the right twin are
told too.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
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
HABITS = ("assert_close", "twice PyTorch's error", "allclose(1e-2)")
Code = Callable[..., Tensor]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A function, its formula and its inputs."""

    name: str
    formula: str
    inputs: dict[str, Any]
    code: Code
    keys: dict[str, Any] = field(default_factory=dict)


def _of(*shape: int, domain: str = "(-4, 4)") -> dict[str, Any]:
    return {"shape": list(shape), "domain": domain}


GRID, ROWS, HALF = _of(64, 48), _of(32, 96), "(1/4, 4)"
EPS = 2.0**-17
SOFTMAX = {"e": "exp(x)", "p": "e / sum(e, dim=1, keepdim=True)"}
CENTERED = {
    "c": "x - mean(x, dim=1, keepdim=True)",
    "v": "mean(c*c, dim=1, keepdim=True)",
}
ATTENTION = {
    "s": "q @ transpose(k, 1, 2) / sqrt(32)",
    "e": "exp(s)",
}
HEADS = {"q": _of(4, 24, 32), "k": _of(4, 24, 32), "v": _of(4, 24, 32)}
SIGMOID = "1/(1 + exp(-x))"
TARGET = torch.arange(32) * 7 % 96
ONE_HOT = functional.one_hot(TARGET, 96).tolist()


def _batch_norm(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return functional.batch_norm(x, None, None, w, b, training=True, eps=EPS)


def _entrywise(name: str, formula: str, code: Code, domain: str = "(-4, 4)") -> Kernel:
    return Kernel(name, formula, {"x": _of(64, 48, domain=domain)}, code)


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
    Kernel("div", "x/y", {"x": GRID, "y": _of(64, 48, domain=HALF)}, torch.div),
    Kernel("hypot", "sqrt(x*x + y*y)", {"x": GRID, "y": GRID}, torch.hypot),
    Kernel("scale_rows", "x*w", {"x": GRID, "w": _of(48)}, torch.mul),
    Kernel("swiglu", "x*y/(1 + exp(-x))", {"x": GRID, "y": GRID},
           lambda x, y: functional.silu(x) * y),
    Kernel("softmax", "p", {"x": ROWS}, lambda x: torch.softmax(x, 1), {"let": SOFTMAX}),
    Kernel("log_softmax", "x - log(sum(exp(x), dim=1, keepdim=True))", {"x": ROWS},
           lambda x: torch.log_softmax(x, 1)),
    Kernel("logsumexp", "log(sum(exp(x), dim=1))", {"x": ROWS}, lambda x: torch.logsumexp(x, 1)),
    Kernel("sum", "sum(x, dim=1)", {"x": ROWS}, lambda x: x.sum(1)),
    Kernel("mean", "mean(x, dim=1)", {"x": ROWS}, lambda x: x.mean(1)),
    Kernel("var", "96/95*mean(c*c, dim=1)", {"x": ROWS}, lambda x: x.var(1),
           {"let": {"c": CENTERED["c"]}}),
    Kernel("std", "sqrt(96/95*mean(c*c, dim=1))", {"x": ROWS}, lambda x: x.std(1),
           {"let": {"c": CENTERED["c"]}}),
    Kernel("norm", "sqrt(sum(x*x, dim=1))", {"x": ROWS}, lambda x: x.norm(dim=1)),
    Kernel("cumsum", "cumsum(x, 1)", {"x": ROWS}, lambda x: x.cumsum(1)),
    Kernel("layer_norm", "w*c/sqrt(v + 2**-17) + b", {"x": ROWS, "w": _of(96), "b": _of(96)},
           lambda x, w, b: functional.layer_norm(x, (96,), w, b, EPS), {"let": CENTERED}),
    Kernel("rms_norm", "w*x/sqrt(mean(x*x, dim=1, keepdim=True) + 2**-17)",
           {"x": ROWS, "w": _of(96)}, lambda x, w: functional.rms_norm(x, (96,), w, EPS)),
    Kernel("batch_norm", "w*c/sqrt(v + 2**-17) + b", {"x": ROWS, "w": _of(96), "b": _of(96)},
           _batch_norm,
           {"let": {"c": "x - mean(x, dim=0, keepdim=True)",
                    "v": "mean(c*c, dim=0, keepdim=True)"}}),
    Kernel("cosine_similarity", "sum(x*y, dim=1)/sqrt(sum(x*x, dim=1)*sum(y*y, dim=1))",
           {"x": ROWS, "y": ROWS}, lambda x, y: functional.cosine_similarity(x, y, dim=1)),
    Kernel("normalize", "x/sqrt(sum(x*x, dim=1, keepdim=True))", {"x": ROWS}, functional.normalize),
    Kernel("cross_entropy", "sum(t*(log(sum(exp(x), dim=1, keepdim=True)) - x))/32", {"x": ROWS},
           lambda x: functional.cross_entropy(x, TARGET), {"constants": {"t": ONE_HOT}}),
    Kernel("mse_loss", "mean((x - y)**2)", {"x": GRID, "y": GRID}, functional.mse_loss),
    Kernel("binary_cross_entropy_with_logits", "mean(log(1 + exp(x)) - x*y)",
           {"x": GRID, "y": _of(64, 48, domain="(0, 1)")},
           functional.binary_cross_entropy_with_logits),
    Kernel("matmul", "a @ b", {"a": _of(64, 48), "b": _of(48, 32)}, torch.matmul),
    Kernel("bmm", "a @ b", {"a": _of(4, 24, 32), "b": _of(4, 32, 24)}, torch.bmm),
    Kernel("linear", "x @ transpose(w, 0, 1) + b", {"x": _of(64, 48), "w": _of(32, 48),
           "b": _of(32)}, functional.linear),
    Kernel("attention", "e/sum(e, dim=2, keepdim=True) @ v", HEADS,
           lambda q, k, v: torch.softmax(q @ k.mT / 32**0.5, -1) @ v, {"let": ATTENTION}),
    Kernel("scaled_dot_product_attention", "e/sum(e, dim=2, keepdim=True) @ v", HEADS,
           functional.scaled_dot_product_attention, {"let": ATTENTION}),
)  # fmt: skip


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
    points = generate(session.variant.inputs, ORDINARY, seed, 1, session.dtype)
    return observe(session, points, seed)


def convicted(session: Session, observation: Observation) -> tuple[list[str], bool]:
    """What is said of the arrays, and whether an entry alone is convicted."""
    heard = [(observation, (ORDINARY,))]
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
                total[dtype, "arrays"] += len(kernel.inputs) * len(observation.judged)
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
        "wrong axis": _batch_norm,
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


def mutants(kernel: Kernel, seed: int) -> Iterator[tuple[str, Code]]:
    for name, fault in FAULTS.items():
        yield name, planted(kernel.code, kernel.code, fault, seed)
    for name, code in WRONG.get(kernel.name, {}).items():
        yield name, planted(kernel.code, code, FAULTS["none"], seed)


def kills(kernels: Sequence[Kernel], dtypes: Sequence[str], seeds: range) -> None:
    """Print how many planted faults each way of judging convicts."""
    rates: dict[tuple[str, str], list[tuple[bool, ...]]] = defaultdict(list)
    for dtype in dtypes:
        for kernel in kernels:
            if kernel.name not in HOSTS:
                continue
            session = sessions(kernel, dtype)
            for seed in seeds:
                own, _ = _columns(seen(session, seed))
                for name, code in mutants(kernel, seed):
                    mutant = with_code(session, code)
                    observation = seen(mutant, seed)
                    got, true = _columns(observation)
                    found, entries = convicted(mutant, observation)
                    told = (bool(found) or entries, *habits(got, true, own, dtype))
                    kind = "right" if name == "none" else "wrong"
                    rates[dtype, kind].append(told)
                    rates[dtype, f"{kernel.name}: {name}"].append(told)
            faults = [told for (kind, name), each in rates.items() for told in each
                      if kind == dtype and name.startswith(f"{kernel.name}: ")
                      and not name.endswith("none")]  # fmt: skip
            print(_line(dtype, kernel.name, faults), flush=True)
    print(f"\n{'':60}" + "".join(f"{name:>24}" for name in ("judge", *HABITS)))
    for (dtype, name), told in sorted(rates.items()):
        print(_line(dtype, name, told))


def _line(dtype: str, name: str, told: Sequence[tuple[bool, ...]]) -> str:
    shares = 100 * np.mean(told, axis=0)
    return f"{dtype:9} {name:50}" + "".join(f"{share:23.0f}%" for share in shares)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("alarms", "kills"))
    parser.add_argument("--seeds", type=int, nargs=2, default=(100, 120))
    parser.add_argument("--dtype", choices=DTYPES, action="append")
    parser.add_argument("--kernel", choices=[each.name for each in KERNELS], action="append")
    given = parser.parse_args()
    kernels = [each for each in KERNELS if not given.kernel or each.name in given.kernel]
    seeds, dtypes = range(*given.seeds), given.dtype or DTYPES
    warnings.simplefilter("ignore")
    if given.part != "kills":
        alarms(kernels, dtypes, seeds)
    if given.part != "alarms":
        kills(kernels, dtypes, seeds)


if __name__ == "__main__":
    main()
