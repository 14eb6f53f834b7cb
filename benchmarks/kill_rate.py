"""The share of planted faults that a default run convicts, by kind of fault.

Run by hand. Each kind is planted in each function that it can stand in; `gradcheck.verify` then
puts function, formula and inputs on trial with the settings that a user has. Beside it stands
`torch.autograd.gradcheck` (and `gradgradcheck` for faults of second derivatives) with its own
settings at as many ordinary points, in float64 alone, since in float32 they pass nothing. A twin
without a fault must be acquitted, or its function is left out, and named.

A kind says where it stands: in the backward, in the forward rule (jvp), in the backward of the
backward, or in how calls hang together. The conditions are those that kernels branch on.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

import gradcheck
from gradcheck.methods import WITNESSES

Tensors = tuple[Tensor, ...]
Act1 = Callable[[Tensor], Tensor]
Act = Callable[[Tensor, Tensor], Tensor]
"""Is given a right number and the input that it belongs to (or, of a direction, it alone)."""


@dataclass(frozen=True, slots=True)
class Function:
    """A right function with its rules by hand. Its formula and inputs are a case's.

    ``vjp(cotangent, *inputs)`` gives a list, ``jvp(tangents, *inputs)`` the tangent of the value.
    """

    name: str
    formula: Any
    inputs: dict[str, Any]
    value: Callable[..., Tensor]
    vjp: Callable[..., list[Tensor]]
    jvp: Callable[..., Tensor]
    is_array: bool = False


def _entrywise(name: str, formula: str, value: Act1, slope: Act1, shape: Any = "real") -> Function:
    """A function of one input that acts on each entry alone."""
    return Function(
        name, formula, {"x": shape}, value, lambda c, x: [c * slope(x)],
        lambda tangents, x: tangents[0] * slope(x), is_array=shape != "real",
    )  # fmt: skip


def _quadratic_vjp(c: Tensor, a: Tensor, x: Tensor) -> list[Tensor]:
    return [c * x[:, None] * x, c * (x @ a + a @ x)]


def _swiglu_slope(a: Tensor) -> Tensor:
    return torch.sigmoid(a) * (1 + a * torch.sigmoid(-a))


def _softmax_along(x: Tensor, side: Tensor) -> Tensor:
    """The Jacobian of a softmax, which is symmetric, times a vector."""
    y = x.softmax(0)
    return y * (side - (side * y).sum())


VECTOR, MATRIX = {"shape": [4]}, {"shape": [3, 3]}
FUNCTIONS = (
    _entrywise("square", "3*x**2", lambda x: 3 * x * x, lambda x: 6 * x),
    _entrywise("bump", "exp(-x**2/2)", lambda x: (-x * x / 2).exp(),
               lambda x: -x * (-x * x / 2).exp()),
    _entrywise("root", "sqrt(1 + x**2)", lambda x: (1 + x * x).sqrt(),
               lambda x: x / (1 + x * x).sqrt()),
    _entrywise("logistic", "1/(1 + exp(-x))", torch.sigmoid,
               lambda x: torch.sigmoid(x) * torch.sigmoid(-x)),
    _entrywise("sines", "sin(x)", torch.sin, torch.cos, VECTOR),
    Function("wave", "sin(x)*cos(y) + x*y", {"x": "real", "y": "real"},
             lambda x, y: x.sin() * y.cos() + x * y,
             lambda c, x, y: [c * (x.cos() * y.cos() + y), c * (x - x.sin() * y.sin())],
             lambda t, x, y: t[0] * (x.cos() * y.cos() + y) + t[1] * (x - x.sin() * y.sin())),
    Function("dot", "sum(x*y)", {"x": VECTOR, "y": VECTOR}, lambda x, y: (x * y).sum(),
             lambda c, x, y: [c * y, c * x], lambda t, x, y: (t[0] * y + t[1] * x).sum(),
             is_array=True),
    Function("logsumexp", "log(sum(exp(x)))", {"x": VECTOR}, lambda x: x.logsumexp(0),
             lambda c, x: [c * x.softmax(0)], lambda t, x: (t[0] * x.softmax(0)).sum(),
             is_array=True),
    Function("cubes", "sum(x**3)", {"x": VECTOR}, lambda x: (x * x * x).sum(),
             lambda c, x: [c * 3 * x * x], lambda t, x: (t[0] * 3 * x * x).sum(), is_array=True),
    Function("swiglu", "a/(1 + exp(-a))*b", {"a": VECTOR, "b": VECTOR},
             lambda a, b: a * torch.sigmoid(a) * b,
             lambda c, a, b: [c * b * _swiglu_slope(a), c * a * torch.sigmoid(a)],
             lambda t, a, b: t[0] * b * _swiglu_slope(a) + t[1] * a * torch.sigmoid(a),
             is_array=True),
    Function("softmax", "exp(x)/sum(exp(x))", {"x": VECTOR}, lambda x: x.softmax(0),
             lambda c, x: [_softmax_along(x, c)], lambda t, x: _softmax_along(x, t[0]),
             is_array=True),
    Function("product", "a @ b", {"a": MATRIX, "b": MATRIX}, torch.matmul,
             lambda c, a, b: [c @ b.mT, a.mT @ c], lambda t, a, b: t[0] @ b + a @ t[1],
             is_array=True),
    Function("quadratic", "(a @ x) @ x", {"a": MATRIX, "x": {"shape": [3]}},
             lambda a, x: (a @ x) @ x, _quadratic_vjp,
             lambda t, a, x: (t[0] @ x) @ x + (x @ a + a @ x) @ t[1], is_array=True),
    Function("tanhs", "sum(tanh(a), 1)", {"a": MATRIX}, lambda a: a.tanh().sum(-1),
             lambda c, a: [c[:, None] * (1 - a.tanh()) * (1 + a.tanh())],
             lambda t, a: (t[0] * (1 - a.tanh()) * (1 + a.tanh())).sum(-1), is_array=True),
)  # fmt: skip


@dataclass(slots=True)
class Call:
    """One call of a backward, and what the function keeps between calls."""

    inputs: Tensors
    cotangent: Tensor
    last: Tensors  # the inputs of the last forward
    calls: int  # of the backward, with this one
    again: bool  # a second backward of the same forward


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault. ``act`` alters numbers of gradients, or with ``direction`` what they are asked for.

    ``call`` is a fault in how calls hang together.
    """

    name: str
    group: str
    place: str = "backward"
    act: Act | None = None
    direction: Callable[[Tensor], Tensor] | None = None
    call: Callable[[Call], bool | None] | None = None
    is_of_arrays: bool = False
    inputs: int = 1


def _times(factor: float) -> Act:
    return lambda number, x: number * factor


def _where(condition: Callable[[Tensor], Tensor], act: Act) -> Act:
    return lambda number, x: torch.where(condition(x), act(number, x), number)


def _half(dtype: torch.dtype) -> Act:
    return lambda number, x: number.to(dtype).to(number.dtype)


def _mask(pick: Callable[[int], list[int]]) -> Act:
    """Keep the entries that ``pick`` names of a flat array, and set the others to 0."""

    def act(number: Tensor, x: Tensor) -> Tensor:
        keep = torch.zeros(number.numel(), dtype=number.dtype)
        keep[pick(number.numel())] = 1
        return number * keep.reshape(number.shape)

    return act


def _wrong(number: Tensor, x: Tensor) -> Tensor:
    return 1.01 * number + 0.01


def _any_equal(x: Tensor) -> Tensor:
    flat = x.reshape(-1)
    equal = (flat[:, None] == flat[None]).sum() > flat.numel()
    return equal.expand(x.shape)


EVERYWHERE: dict[str, Act] = {
    "sign": _times(-1.0), "zero": _times(0.0), "x 2": _times(2.0), "x 1/2": _times(0.5),
    "x 1.01": _times(1.01), "x 1.0001": _times(1.0001), "+ 1e-5": lambda g, x: g + 1e-5,
    "x x": lambda g, x: g * x, "+ x": lambda g, x: g + x, "NaN": _times(math.nan),
    "infinity": _times(math.inf), "through bfloat16": _half(torch.bfloat16),
    "through float16": _half(torch.float16), "absolute": lambda g, x: g.abs(),
    "squared": lambda g, x: g * g, "of 3 digits": lambda g, x: (g * 1000).round() / 1000,
}  # fmt: skip
SMALL: dict[str, Act] = {
    **{f"x (1 + {size:g})": _times(1 + size) for size in (1e-6, 1e-8, 1e-10, 1e-12)},
    "+ 1e-9": lambda g, x: g + 1e-9, "through float32": _half(torch.float32),
    "pi of 5 digits": _times(3.1416 / math.pi), "sqrt 2 of 8 digits": _times(1.4142136 / 2**0.5),
}  # fmt: skip
CONDITIONS: dict[str, Callable[[Tensor], Tensor]] = {
    **{f"at {value:g}": (lambda x, value=value: x == value) for value in (0, 1, -1, 2, 3, 0.5)},
    "at integers": lambda x: x == x.round(),
    "at negatives": lambda x: x < 0,
    "where all are negative": lambda x: (x < 0).all().expand(x.shape),
    **{f"beyond {value:g}": (lambda x, value=value: x > value) for value in (10, 100, 1000)},
    "beyond -10": lambda x: x < -10,
    "below 1e-3": lambda x: x.abs() < 1e-3,
    "in (5, 6)": lambda x: (x > 5) & (x < 6),
    "in (0.5, 1)": lambda x: (x > 0.5) & (x < 1),
    "in (-3.3, -3.2)": lambda x: (x > -3.3) & (x < -3.2),
}
ENTRIES: dict[str, Act] = {
    "first entry alone": _mask(lambda n: [0]),
    "without the first entry": _mask(lambda n: list(range(1, n))),
    "without the last entry": _mask(lambda n: list(range(n - 1))),
    "even entries alone": _mask(lambda n: list(range(0, n, 2))),
    "rolled": lambda g, x: g.reshape(-1).roll(1).reshape(g.shape),
    "reversed": lambda g, x: g.reshape(-1).flip(0).reshape(g.shape),
    "transposed": lambda g, x: g.mT if g.ndim > 1 else g.flip(0),
    "mean of the entries": lambda g, x: g.mean().expand(g.shape),
    "sum of the entries": lambda g, x: g.sum().expand(g.shape),
    "over the number of entries": lambda g, x: g / g.numel(),
    "centred": lambda g, x: g - g.mean(),
    "at ties": _where(_any_equal, _wrong),
    "where all are equal": _where(lambda x: (x == x.reshape(-1)[0]).all().expand(x.shape), _wrong),
    "where the first two are equal": _where(
        lambda x: (x.reshape(-1)[0] == x.reshape(-1)[1]).expand(x.shape), _wrong
    ),
    "where sorted": _where(lambda x: (x.reshape(-1).diff() >= 0).all().expand(x.shape), _wrong),
    "at the largest": _where(lambda x: x == x.max(), _wrong),
}
RANGE: dict[str, Act] = {
    "clamped at 10": lambda g, x: g.clamp(-10, 10),
    "clamped at 100": lambda g, x: g.clamp(-100, 100),
    "flushed below 1e-5": lambda g, x: torch.where(g.abs() < 1e-5, 0 * g, g),
    "flushed below 1e-10": lambda g, x: torch.where(g.abs() < 1e-10, 0 * g, g),
}
DIRECTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "as ones": torch.ones_like, "its sign": torch.sign, "squared": lambda c: c * c,
    "absolute": torch.abs, "clamped at 1": lambda c: c.clamp(-1, 1),
    "clamped at 4": lambda c: c.clamp(-4, 4), "clamped at 1000": lambda c: c.clamp(-1e3, 1e3),
    "through bfloat16": lambda c: c.to(torch.bfloat16).to(c.dtype),
    "through float16": lambda c: c.to(torch.float16).to(c.dtype),
    "rounded to 1/8": lambda c: (c * 8).round() / 8,
    "small is 0": lambda c: torch.where(c.abs() < 1e-4, 0 * c, c),
    "NaN at 0": lambda c: c / c * c,
    "first entry for all": lambda c: c.reshape(-1)[0].expand(c.shape),
}  # fmt: skip


def _change(tensor: Tensor) -> None:
    if not torch.is_grad_enabled():
        tensor.detach().mul_(1.5)


CALLS: dict[str, Callable[[Call], bool | None]] = {
    "second backward": lambda call: call.again,
    "every 8th call": lambda call: call.calls % 8 == 0,
    "stale buffer": lambda call: not all(map(torch.equal, call.last, call.inputs)),
    "input not contiguous": lambda call: not call.inputs[0].is_contiguous(),
    "cotangent not contiguous": lambda call: not call.cotangent.is_contiguous(),
    "cotangent expanded": lambda call: 0 in call.cotangent.stride(),
    "more than 100 entries": lambda call: call.inputs[0].numel() > 100,
    "one input without gradient": lambda call: not all(x.requires_grad for x in call.inputs),
    "with create_graph": lambda call: torch.is_grad_enabled(),
    "without create_graph": lambda call: not torch.is_grad_enabled(),
    "input changed": lambda call: _change(call.inputs[0]),
    "cotangent changed": lambda call: _change(call.cotangent),
}
"""Whether the gradients of a call are made wrong; None of what changes a tensor of the caller's."""


def kinds() -> Iterator[Kind]:
    """All kinds, in the order in which they are shown."""
    conditional = {name: _where(condition, _wrong) for name, condition in CONDITIONS.items()}
    tables = (
        ("everywhere", ("backward", "jvp", "second"), EVERYWHERE),
        ("on a condition", ("backward", "jvp", "second"), conditional),
        ("small", ("backward", "second"), SMALL),
        ("entries", ("backward", "jvp"), ENTRIES),
        ("range", ("backward",), RANGE),
    )
    for group, places, table in tables:
        for place, (name, act) in itertools.product(places, table.items()):
            yield Kind(name, group, place, act, is_of_arrays=table is ENTRIES)
    for place, (name, change) in itertools.product(("backward", "jvp"), DIRECTIONS.items()):
        yield Kind(name, "direction", place, direction=change)
    for name, call in CALLS.items():
        inputs = 2 if name == "one input without gradient" else 1
        yield Kind(name, "calls", "backward", call=call, inputs=inputs)


NONE = Kind("none", "twin")


@dataclass(slots=True)
class Rules:
    """The rules of a function with a fault, for one ``autograd.Function``."""

    function: Function
    kind: Kind
    last: Tensors = ()
    calls: list[Any] = field(default_factory=list)

    def acted(self, number: Tensor, x: Tensor, place: str) -> Tensor:
        kind = self.kind
        return number if kind.act is None or kind.place != place else kind.act(number, x)

    def directed(self, direction: Tensor, place: str) -> Tensor:
        kind = self.kind
        is_here = kind.direction is not None and kind.place == place
        return kind.direction(direction) if is_here else direction

    def part(self, tangents: list[Tensor], inputs: Tensors, k: int) -> Tensor:
        """What one input adds to the tangent of the value, altered where it acts entry by entry."""
        alone = [each if i == k else torch.zeros_like(each) for i, each in enumerate(tangents)]
        number = self.function.jvp(alone, *inputs)
        if number.shape == inputs[k].shape:
            return self.acted(number, inputs[k], "jvp")
        alone[k] = self.acted(alone[k], inputs[k], "jvp")
        return self.function.jvp(alone, *inputs)

    def called(self, grads: list[Tensor], context: Any, cotangent: Tensor) -> list[Tensor]:
        if self.kind.call is None:
            return grads
        self.calls.append(context)
        again = sum(each is context for each in self.calls) > 1
        call = Call(context.saved_tensors, cotangent, self.last, len(self.calls), again)
        grads = [g.clone() for g in grads]
        return [1.5 * g + 0.5 for g in grads] if self.kind.call(call) else grads


def planted(function: Function, kind: Kind) -> Callable[..., Tensor]:
    """An ``autograd.Function`` that is right but for the fault, in both modes and two orders."""
    rules = Rules(function, kind)

    class Second(_Remembering):
        """The identity, through which a gradient sees its inputs; what comes back is altered."""

        @staticmethod
        def forward(x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(context: Any, derivative: Tensor) -> Tensor:
            return rules.acted(derivative, context.saved_tensors[0], "second")

        @staticmethod
        def jvp(context: Any, tangent: Tensor) -> Tensor:
            return rules.acted(tangent, context.saved_tensors[0], "second").clone()

    class Planted(_Remembering):
        @staticmethod
        def forward(*inputs: Tensor) -> Tensor:
            rules.last = tuple(x.detach().clone() for x in inputs)
            return function.value(*inputs)

        @staticmethod
        def backward(context: Any, cotangent: Tensor) -> tuple[Tensor, ...]:
            inputs = context.saved_tensors
            seen = [Second.apply(x) for x in inputs] if kind.place == "second" else inputs
            grads = function.vjp(rules.directed(cotangent, "backward"), *seen)
            grads = [rules.acted(g, x, "backward") for g, x in zip(grads, inputs, strict=True)]
            return tuple(rules.called(grads, context, cotangent))

        @staticmethod
        def jvp(context: Any, *tangents: Tensor) -> Tensor:
            inputs = context.saved_tensors
            asked = [rules.directed(each, "jvp") for each in tangents]
            return sum(rules.part(asked, inputs, k) for k in range(len(inputs)))

    return Planted.apply


class _Remembering(torch.autograd.Function):
    """It keeps its inputs for both modes."""

    @staticmethod
    def setup_context(context: Any, inputs: Any, output: Any) -> None:
        context.save_for_backward(*inputs)
        context.save_for_forward(*inputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", default="float64", help="float64 or float32")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--function", action="append", help="only these (default: all)")
    parser.add_argument("--group", action="append", help="only these groups of kinds")
    parser.add_argument("--part", default="1/1", help="K/N: every N-th of the faults")
    options = parser.parse_args()
    torch.set_num_threads(1)
    report(options)


def report(options: argparse.Namespace) -> None:
    """Print the share that is convicted of each group and place, and the survivors by name."""
    found: dict[tuple[str, str], list[tuple[bool, bool]]] = defaultdict(list)
    survivors: dict[str, Counter[str]] = defaultdict(Counter)
    started = time.perf_counter()
    for function, kind, seed in trials(options):
        killed = ours(function, kind, options.dtype, seed)
        plain = options.dtype == "float64" and plainly(function, kind, seed)
        found[kind.group, kind.place].append((killed, plain))
        if not killed:
            survivors[f"{kind.group}, {kind.place}: {kind.name}"][function.name] += 1
    print(f"{options.dtype}, {options.seeds} seeds, {time.perf_counter() - started:.0f} s: "
          "per cent of planted faults convicted")  # fmt: skip
    print(f"{'':32}{'runs':>6}{'gradcheck':>11}{'torch':>7}")
    everything = [pair for pairs in found.values() for pair in pairs]
    for (group, place), pairs in [*found.items(), (("all", ""), everything)]:
        share, plain_share = (100 * np.mean(each) for each in zip(*pairs, strict=True))
        print(f"{group + ', ' + place:32}{len(pairs):6}{share:11.1f}{plain_share:7.1f}")
    print("survivors, with how many runs:")
    for name, where in survivors.items():
        print(f"  {name}: " + ", ".join(f"{each} {count}" for each, count in where.items()))


def trials(options: argparse.Namespace) -> Iterator[tuple[Function, Kind, int]]:
    """What is asked for; a function whose twin is convicted is left out."""
    part, parts = map(int, options.part.split("/"))
    number = 0
    for function in FUNCTIONS:
        if options.function and function.name not in options.function:
            continue
        if alarmed := [s for s in range(options.seeds) if ours(function, NONE, options.dtype, s)]:
            print(f"left out: {function.name}, whose twin is convicted at seeds {alarmed}")
            continue
        for kind in kinds():
            if stands_in(kind, function) and (not options.group or kind.group in options.group):
                number += 1
                if (number - part) % parts == 0:
                    yield from ((function, kind, seed) for seed in range(options.seeds))


def stands_in(kind: Kind, function: Function) -> bool:
    """Whether the kind means anything there: a gradient below 1 is not clamped at 10."""
    if (kind.is_of_arrays and not function.is_array) or len(function.inputs) < kind.inputs:
        return False
    return kind.group != "range" or any(_alters(kind, function, scale) for scale in range(-12, 4))


def _alters(kind: Kind, function: Function, scale: int) -> bool:
    shapes = [x["shape"] if isinstance(x, dict) else [] for x in function.inputs.values()]
    inputs = [torch.full(shape, 10.0**scale, dtype=torch.float64) for shape in shapes]
    grads = function.vjp(torch.ones_like(function.value(*inputs)), *inputs)
    return any(not kind.act(g, x).equal(g) for g, x in zip(grads, inputs, strict=True))


def ours(function: Function, kind: Kind, dtype: str, seed: int) -> bool:
    """Whether a default run convicts: witness by witness, until one does."""
    return any(_convicts(witness, function, kind, dtype, seed) for witness in WITNESSES)


def _convicts(witness: str, function: Function, kind: Kind, dtype: str, seed: int) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = gradcheck.verify(
            planted(function, kind), function.formula, function.inputs, dtype=dtype, seed=seed,
            order=2, witness=witness,
        )  # fmt: skip
    return result.verdict == "disagree"


def plainly(function: Function, kind: Kind, seed: int, count: int = 64) -> bool:
    """Whether PyTorch's own examination fails at one of so many ordinary points."""
    judge = torch.autograd.gradgradcheck if kind.place == "second" else torch.autograd.gradcheck
    extra = {} if kind.place == "second" else {"check_forward_ad": kind.place == "jvp"}
    torch.manual_seed(seed)
    subject = planted(function, kind)
    for _ in range(count):
        shapes = [x["shape"] if isinstance(x, dict) else [] for x in function.inputs.values()]
        inputs = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                judge(subject, inputs, **extra)
        except (GradcheckError, RuntimeError):
            return True
    return False


if __name__ == "__main__":
    main()
