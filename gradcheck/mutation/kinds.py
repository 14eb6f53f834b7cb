"""The kinds of fault that are planted: one table, its rows made of few tables.

A kind says where it strikes (the backward, the forward rule, the backward of the backward, the
cotangent, how calls hang together) and what it does there. The conditions are those that kernels
branch on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any

import torch
from torch import Tensor

Act = Callable[[Tensor, Tensor], Tensor]
"""Is given a right number and the input that it belongs to; of a direction, that twice."""


class FaultPlace(StrEnum):
    """Where a fault strikes."""

    BACKWARD = "backward"  # the gradient of an input
    JVP = "jvp"  # the tangent of an input, in forward mode
    SECOND = "second"  # the derivative of the gradient
    COTANGENT = "cotangent"  # what the backward is asked for
    CALL = "call"  # all gradients, in some calls
    REDUCTION = "reduction"  # of a broadcast input
    PAIR = "pair"  # the gradients of the first two inputs
    COMPILED = "compiled"  # the backward, under torch.compile


NEEDED = dict.fromkeys(FaultPlace, "reverse") | {
    FaultPlace.JVP: "forward", FaultPlace.SECOND: "second", FaultPlace.COMPILED: "compiled",
}  # fmt: skip
"""The witness that must have something to say of the right code."""


@dataclass(slots=True)
class FaultyCall:
    """One call of a mutant. State: its backward fills it.

    ``last`` are the inputs of the mutant's last call, ``number`` counts its calls, ``backwards``
    those of this call's backward with ``task``, the one that runs, and ``cotangent`` is its own.
    """

    inputs: tuple[Tensor, ...]
    number: int
    last: Callable[[], tuple[Tensor, ...]]
    needs: tuple[bool, ...] = ()
    cotangent: Tensor | None = None
    task: int = -1
    backwards: int = 0
    all_backwards: Callable[[], int] = lambda: 0


@dataclass(frozen=True, slots=True)
class Region:
    """Numbers at which a fault strikes: those between two ends, points, or all integers."""

    low: float = math.inf
    high: float = -math.inf
    points: tuple[float, ...] = ()
    integers: bool = False


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault; ``act`` alters numbers and ``strikes`` says of which calls.

    ``region`` is where alone it strikes, None for everywhere. ``factor`` is what it multiplies
    numbers with, where it does no more than that: a zero stays one. ``moves`` says that it moves or
    drops entries, whatever they are. ``through`` is a dtype to which it rounds.
    ``inputs`` is how many inputs a case must have, ``first`` and ``last`` name the only input that
    is concerned; ``arrays`` and ``matrices`` are what inputs or, of a cotangent, outputs must be.
    """

    name: str
    group: str
    place: FaultPlace
    act: Act = field(default=lambda number, x: number)
    strikes: Callable[[FaultyCall], bool] | None = None
    harms: Callable[[FaultyCall], None] | None = None
    region: Region | None = None
    factor: float | None = None
    moves: bool = False
    through: str = ""
    beyond_entries: int = 0
    concerned: str = ""
    inputs: int = 1
    arrays: bool = False
    complex_only: bool = False
    real_only: bool = True

    def inputs_concerned(self, count: int) -> range:
        """The numbers of those inputs, of so many, that it concerns."""
        return {"first": range(1), "last": range(count - 1, count)}.get(
            self.concerned, range(count)
        )


def _wrong(number: Tensor, x: Tensor) -> Tensor:
    return 1.01 * number + 0.01


def _very_wrong(number: Tensor, x: Tensor) -> Tensor:
    return 1.5 * number + 0.5


def _where(condition: Callable[[Tensor], Tensor], act: Act = _wrong) -> Act:
    return lambda number, x: torch.where(condition(x), act(number, x), number)


def _through(dtype: torch.dtype) -> Act:
    return lambda number, x: number.to(dtype).to(number.dtype)


def _factor(name: str, factor: float) -> FaultKind:
    return FaultKind(name, "everywhere", FaultPlace.BACKWARD, lambda g, x: g * factor,
                     factor=factor, real_only=False)  # fmt: skip


def _kind(name: str, group: str, act: Act, **facts: Any) -> FaultKind:
    return FaultKind(name, group, facts.pop("place", FaultPlace.BACKWARD), act, **facts)


_EVERYWHERE = (
    _factor("sign", -1.0), _factor("zero", 0.0), _factor("x 2", 2.0), _factor("x 1/2", 0.5),
    _factor("x 1.01", 1.01), _factor("x 1.0001", 1.0001), _factor("NaN", math.nan),
    _factor("infinity", math.inf),
    _kind("+ 1e-5", "everywhere", lambda g, x: g + 1e-5, real_only=False),
    _kind("x x", "everywhere", lambda g, x: g * x),
    _kind("+ x", "everywhere", lambda g, x: g + x),
    _kind("absolute", "everywhere", lambda g, x: g.abs()),
    _kind("squared", "everywhere", lambda g, x: g * g),
    _kind("of 3 digits", "everywhere", lambda g, x: (g * 1000).round() / 1000),
    _kind("conjugate", "everywhere", lambda g, x: g.conj(), complex_only=True, real_only=False),
    _kind("real part alone", "everywhere", lambda g, x: g.real.to(g.dtype), complex_only=True,
          real_only=False),
)  # fmt: skip
_ROUNDED = (
    _kind("through bfloat16", "rounded", _through(torch.bfloat16), through="bfloat16"),
    _kind("through float16", "rounded", _through(torch.float16), through="float16"),
    _kind("through float32", "rounded", _through(torch.float32), through="float32"),
)
_SMALL = (
    *(
        replace(_factor(f"x (1 + {size:g})", 1 + size), group="small")
        for size in (1e-6, 1e-8, 1e-10, 1e-12)
    ),
    _kind("+ 1e-9", "small", lambda g, x: g + 1e-9, real_only=False),
    replace(_factor("pi of 5 digits", 3.1416 / math.pi), group="small"),
    replace(_factor("sqrt 2 of 8 digits", 1.4142136 / 2**0.5), group="small"),
)


def _between(x: Tensor, low: float, high: float) -> Tensor:
    return (x > low) & (x < high)


_BANDS = {
    "at negatives": (-math.inf, 0.0), "beyond 10": (10.0, math.inf),
    "beyond 100": (100.0, math.inf), "beyond 1000": (1000.0, math.inf),
    "beyond -10": (-math.inf, -10.0), "below 1e-3": (-1e-3, 1e-3), "between 5 and 6": (5.0, 6.0),
    "between 0.5 and 1": (0.5, 1.0), "between -3.3 and -3.2": (-3.3, -3.2),
}  # fmt: skip
_SPECIAL = (0.0, 1.0, -1.0, 2.0, 3.0, 0.5)
_CONDITIONS = (
    *(
        _kind(f"at {value:g}", "at special values", _where(partial(torch.eq, other=value)),
              region=Region(points=(value,)))
        for value in _SPECIAL
    ),
    _kind("NaN at 0", "at special values",
          _where(lambda x: x == 0, lambda g, x: g * math.nan), region=Region(points=(0.0,))),
    _kind("at integers", "at special values", _where(lambda x: x == x.round()),
          region=Region(integers=True)),
    *(
        _kind(name, "in a band", _where(partial(_between, low=ends[0], high=ends[1])),
              region=Region(*ends))
        for name, ends in _BANDS.items()
    ),
    _kind("where all are negative", "in a band",
          _where(lambda x: (x < 0).all().expand(x.shape)), region=Region(-math.inf, 0.0)),
)  # fmt: skip


def _any_equal(x: Tensor) -> Tensor:
    flat = x.reshape(-1)
    equal = (flat[:, None] == flat[None]).sum() > flat.numel()
    return equal.expand(x.shape)


def _flat(change: Callable[[Tensor], Tensor]) -> Act:
    """What is done to the entries in their order, whatever the shape."""
    return lambda g, x: change(g.reshape(-1)).reshape(g.shape)


def _kept(pick: Callable[[Tensor], Tensor]) -> Act:
    """Keep the entries at the positions that ``pick`` names, and set the others to 0."""

    def act(number: Tensor, x: Tensor) -> Tensor:
        positions = torch.arange(number.numel(), device=number.device).reshape(number.shape)
        return torch.where(pick(positions), number, torch.zeros_like(number))

    return act


def _of_rows(act: Act) -> Act:
    """Acts on what has rows, and leaves the rest alone."""
    return lambda g, x: act(g, x) if g.ndim > 1 else g


_TIES = (
    _kind("at ties", "at ties", _where(_any_equal), arrays=True),
    _kind("where all are equal", "at ties",
          _where(lambda x: (x == x.reshape(-1)[0]).all().expand(x.shape)), arrays=True),
    _kind("where the first two are equal", "at ties",
          _where(lambda x: (x.reshape(-1)[0] == x.reshape(-1)[1 % x.numel()]).expand(x.shape)),
          arrays=True),
    _kind("where sorted", "at ties",
          _where(lambda x: (x.reshape(-1).diff() >= 0).all().expand(x.shape)), arrays=True),
    _kind("at the largest", "at ties", _where(lambda x: x == x.max()), arrays=True),
)  # fmt: skip


def _moved(name: str, act: Act) -> FaultKind:
    return _kind(name, "entries", act, arrays=True, moves=True, real_only=False)


def _one_wrong(name: str, number: Callable[[Tensor], int]) -> FaultKind:
    """One entry a hundredth too large."""
    found = _moved(name, lambda g, x: torch.where(_positions(g) == number(g), 1.01 * g, g))
    return replace(found, factor=1.01)


_ENTRIES = (
    _moved("first entry alone", _kept(lambda at: at == 0)),
    _moved("without the first entry", _kept(lambda at: at != 0)),
    _moved("without the last entry", _kept(lambda at: at != at.numel() - 1)),
    _moved("even entries alone", _kept(lambda at: at % 2 == 0)),
    _moved("without the rest beyond fours", _kept(lambda at: at < at.numel() // 4 * 4)),
    _moved("first row alone", _of_rows(_kept(lambda at: at < at[0].numel()))),
    _moved("without the last row", _of_rows(_kept(lambda at: at < at[:-1].numel()))),
    _moved("rolled", _flat(lambda g: g.roll(1))),
    _moved("reversed", _flat(lambda g: g.flip(0))),
    _moved("transposed", lambda g, x: _transposed(g)),
    _moved("mean of the entries", lambda g, x: g.mean().expand(g.shape)),
    _moved("sum of the entries", lambda g, x: g.sum().expand(g.shape)),
    _moved("mean of each row", _of_rows(lambda g, x: g.mean(-1, keepdim=True).expand(g.shape))),
    _moved("over the number of entries", lambda g, x: g / g.numel()),
    _moved("centred", lambda g, x: g - g.mean()),
    _one_wrong("first entry wrong", lambda g: 0),
    _one_wrong("last entry wrong", lambda g: g.numel() - 1),
)


def _positions(x: Tensor) -> Tensor:
    return torch.arange(x.numel(), device=x.device).reshape(x.shape)


def _transposed(g: Tensor) -> Tensor:
    """A square matrix transposed; of other matrices the entries read in the other order."""
    return g.mT.reshape(g.shape) if g.ndim > 1 else g


_RANGE = (
    _kind("clamped at 10", "range", lambda g, x: g.clamp(-10, 10)),
    _kind("clamped at 100", "range", lambda g, x: g.clamp(-100, 100)),
    _kind("flushed below 1e-5", "range", lambda g, x: torch.where(g.abs() < 1e-5, 0 * g, g)),
    _kind("flushed below 1e-10", "range", lambda g, x: torch.where(g.abs() < 1e-10, 0 * g, g)),
)
_OF_ONE_INPUT = (
    *(
        replace(_factor(f"{what} of the {which} input", factor), group="of one input",
                concerned=which, inputs=2)
        for which, (what, factor) in itertools.product(
            ("first", "last"), {"zero": 0.0, "sign": -1.0, "half": 0.5}.items()
        )
    ),
)  # fmt: skip
_DIRECTIONS = (
    _kind("as ones", "cotangent", lambda c, x: torch.ones_like(c), real_only=False),
    _kind("its sign", "cotangent", lambda c, x: torch.sign(c)),
    _kind("squared", "cotangent", lambda c, x: c * c),
    _kind("absolute", "cotangent", lambda c, x: c.abs()),
    _kind("clamped at 1", "cotangent", lambda c, x: c.clamp(-1, 1)),
    _kind("clamped at 4", "cotangent", lambda c, x: c.clamp(-4, 4)),
    _kind("clamped at 1000", "cotangent", lambda c, x: c.clamp(-1e3, 1e3)),
    _kind("through bfloat16", "cotangent", _through(torch.bfloat16), through="bfloat16"),
    _kind("through float16", "cotangent", _through(torch.float16), through="float16"),
    _kind("rounded to 1/8", "cotangent", lambda c, x: (c * 8).round() / 8),
    _kind("small is 0", "cotangent", lambda c, x: torch.where(c.abs() < 1e-4, 0 * c, c)),
    _kind("NaN at 0", "cotangent", lambda c, x: c / c * c),
    _kind("first entry for all", "cotangent", lambda c, x: c.reshape(-1)[0].expand(c.shape),
          moves=True, real_only=False),
    _kind("conjugate", "cotangent", lambda c, x: c.conj(), complex_only=True, real_only=False),
)  # fmt: skip


def _changes(tensor: Tensor | None) -> None:
    if tensor is not None and not torch.is_grad_enabled() and not is_wrapped(tensor):
        tensor.detach().mul_(1.5)


def is_wrapped(tensor: Tensor) -> bool:
    """Whether it is one of ``torch.func``, whose numbers cannot be read."""
    found: bool = torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    return found


def _is_stale(call: FaultyCall) -> bool:
    pairs = list(zip(call.last(), call.inputs, strict=True))
    if any(is_wrapped(each) for pair in pairs for each in pair):
        return False
    return not all(torch.equal(*pair) for pair in pairs)


def _in_batch(tensor: Tensor | None) -> bool:
    return tensor is not None and torch._C._functorch.is_batchedtensor(tensor)


def _call(name: str, strikes: Callable[[FaultyCall], bool], **facts: Any) -> FaultKind:
    return FaultKind(name, "calls", FaultPlace.CALL, _very_wrong, strikes, real_only=False, **facts)


def _entries_of(call: FaultyCall) -> int:
    return max(x.numel() for x in call.inputs)


def _is_dense(tensor: Tensor | None) -> bool:
    return tensor is None or tensor.is_contiguous()


_CALLS = (
    _call("second backward", lambda call: call.backwards > 1),
    _call("every 8th call", lambda call: call.all_backwards() % 8 == 0),
    _call("but the first call", lambda call: call.all_backwards() > 1),
    _call("stale saved tensor", _is_stale),
    _call("input not contiguous", lambda call: not all(map(_is_dense, call.inputs))),
    _call("input expanded", lambda call: any(0 in x.stride() for x in call.inputs)),
    _call("input with an offset", lambda call: any(x.storage_offset() for x in call.inputs)),
    _call("cotangent not contiguous", lambda call: not _is_dense(call.cotangent)),
    _call("cotangent expanded",
          lambda call: call.cotangent is not None and 0 in call.cotangent.stride()),
    _call("more than 100 entries", lambda call: _entries_of(call) > 100, beyond_entries=100),
    _call("more than 127 entries", lambda call: _entries_of(call) > 127, beyond_entries=127),
    _call("one input without gradient", lambda call: not all(call.needs), inputs=2),
    _call("first input alone with gradient", lambda call: call.needs[0] and sum(call.needs) == 1,
          inputs=2),
    _call("last input alone with gradient", lambda call: call.needs[-1] and sum(call.needs) == 1,
          inputs=2),
    _call("with create_graph", lambda call: torch.is_grad_enabled()),
    _call("without create_graph", lambda call: not torch.is_grad_enabled()),
    _call("cotangent in a batch of vmap", lambda call: _in_batch(call.cotangent)),
    FaultKind("input changed", "calls", FaultPlace.CALL,
              harms=lambda call: _changes(call.inputs[0]), real_only=False),
    FaultKind("cotangent changed", "calls", FaultPlace.CALL,
              harms=lambda call: _changes(call.cotangent), real_only=False),
)  # fmt: skip
_OTHERS = (
    FaultKind("first slice alone of a broadcast input", "broadcast", FaultPlace.REDUCTION,
              lambda g, x: g[:1].sum(0), inputs=2, real_only=False),
    FaultKind("mean over a broadcast dimension", "broadcast", FaultPlace.REDUCTION,
              lambda g, x: g.mean(0), inputs=2, real_only=False),
    FaultKind("without the last slice of a broadcast input", "broadcast", FaultPlace.REDUCTION,
              lambda g, x: g[:-1].sum(0), inputs=2, real_only=False),
    FaultKind("gradients of two inputs swapped", "of one input", FaultPlace.PAIR, inputs=2,
              real_only=False),
    FaultKind("x 1.5", "only when compiled", FaultPlace.COMPILED, lambda g, x: g * 1.5, factor=1.5,
              real_only=False),
    FaultKind("zero", "only when compiled", FaultPlace.COMPILED, lambda g, x: g * 0.0, factor=0.0,
              real_only=False),
    FaultKind("at negatives", "only when compiled", FaultPlace.COMPILED, _where(lambda x: x < 0),
              region=Region(-math.inf, 0.0)),
)  # fmt: skip


def _kinds() -> Iterator[FaultKind]:
    numbers = (*_EVERYWHERE, *_ROUNDED, *_SMALL, *_CONDITIONS, *_TIES, *_ENTRIES, *_OF_ONE_INPUT)
    for kind in (*numbers, *_RANGE):
        yield kind
    for kind in (*_EVERYWHERE, *_ROUNDED, *_CONDITIONS, *_TIES, *_ENTRIES, *_OF_ONE_INPUT):
        yield replace(kind, place=FaultPlace.JVP)
    for kind in (*_EVERYWHERE, *_ROUNDED, *_SMALL, *_CONDITIONS, *_TIES):
        yield replace(kind, place=FaultPlace.SECOND)
    for kind in _DIRECTIONS:
        yield replace(kind, place=FaultPlace.COTANGENT)
        yield replace(kind, place=FaultPlace.JVP)
    yield from (*_CALLS, *_OTHERS)


def _named(kind: FaultKind) -> FaultKind:
    """With its place before its name, as it is chosen and shown."""
    place = "tangent" if (kind.group, kind.place) == ("cotangent", "jvp") else kind.place
    return replace(kind, name=f"{place}: {kind.name}")


FAULT_KINDS: dict[str, FaultKind] = {kind.name: kind for kind in map(_named, _kinds())}
"""All kinds by name, in the order in which they are shown."""

TWIN = FaultKind("twin", "twin", FaultPlace.BACKWARD, real_only=False)
"""No fault: the same wrapper around the same code."""
