"""A right implementation with a fault in its derivatives: the value stays right in every mode.

Identities that autograd sees stand before and behind the code: what goes back, or forward, through
them is altered. The derivatives of the code itself stay PyTorch's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _disable_current_modes

from gradcheck.implementations.departures import looking
from gradcheck.implementations.subject import Subject
from gradcheck.mutation.kinds import FaultKind, FaultPlace, FaultyCall, is_wrapped


@dataclass(slots=True)
class Strikes:
    """What a fault did so far. State: it adds up.

    ``calls`` is how often the place was passed, ``changed`` how many numbers came out otherwise,
    and ``largest`` by how much at most, relative to the largest of their array (0 in batches of
    ``torch.vmap``, whose numbers cannot be read).
    """

    calls: int = 0
    changed: int = 0
    largest: float = 0.0

    def note(self, before: Tensor, after: Tensor) -> None:
        self.calls += 1
        if is_wrapped(before) or not before.numel():
            return
        before, after = before.detach(), after.detach()
        differs = (after != before) & ~(after.isnan() & before.isnan())
        if bool(differs.any()):
            self.changed += int(differs.sum())
            size = before.abs().max().double()
            change = ((after - before).abs().double() / size).nan_to_num(torch.inf, torch.inf)
            self.largest = max(self.largest, float(change[differs].max()))


@dataclass(slots=True)
class Mutant:
    """Code with a fault, called like the code. State: it counts its calls, as some faults do.

    ``wide`` are the shapes to which broadcast inputs are widened, where that is where it strikes.
    """

    subject: Subject
    kind: FaultKind
    strikes: Strikes
    wide: tuple[torch.Size | None, ...] = ()
    calls: int = 0
    backwards: int = 0
    last: tuple[Tensor, ...] = ()

    def __call__(self, *inputs: Tensor) -> Any:
        if self.kind.place is FaultPlace.COMPILED:
            return self.subject(*map(_COMPILED[self.kind.name], inputs))
        self.calls += 1
        call = FaultyCall(
            inputs, self.calls, lambda: self.last, tuple(x.requires_grad for x in inputs),
            all_backwards=lambda: self.backwards,
        )  # fmt: skip
        self.last = tuple(x.detach().clone() for x in inputs)
        result = self.subject(*self._entered(inputs, call))
        if isinstance(result, list | tuple):
            return type(result)(self._left(each, call) for each in result)
        return self._left(result, call)

    def _entered(self, inputs: Sequence[Tensor], call: FaultyCall) -> list[Tensor]:
        if self.kind.place is FaultPlace.PAIR:
            first, second, *others = inputs
            return [*_Swapped.apply(first, second, self.strikes), *others]  # type: ignore[no-untyped-call]
        if self.kind.place is FaultPlace.REDUCTION:
            return [
                x if shape is None else _Widened.apply(x, shape, self.kind.act, self.strikes)  # type: ignore[no-untyped-call]
                for x, shape in zip(inputs, self.wide, strict=True)
            ]
        concerned = self.kind.inputs_concerned(len(inputs))
        return [
            _Entry.apply(x, self, call) if k in concerned else x  # type: ignore[no-untyped-call]
            for k, x in enumerate(inputs)
        ]

    def _left(self, output: Any, call: FaultyCall) -> Any:
        judged = isinstance(output, Tensor) and (output.is_floating_point() or output.is_complex())
        return _Exit.apply(output, self, call) if judged else output  # type: ignore[no-untyped-call]

    def acted(self, number: Tensor, x: Tensor) -> Tensor:
        """The altered number. Nobody listens: a kernel shows none of its comparisons either."""
        is_judged = not (torch._C._len_torch_dispatch_stack() > 0 or looking.get())
        with _disable_current_modes():
            found = self.kind.act(number, x)
            if is_judged:
                self.strikes.note(number, found)
        return found


class _Identity(torch.autograd.Function):
    """Of a tensor; ``mutant`` and ``call`` go along."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, mutant: Mutant, call: FaultyCall) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(context: Any, inputs: Any, output: Any) -> None:
        x, context.mutant, context.call = inputs
        context.set_materialize_grads(False)
        context.save_for_backward(x)
        context.save_for_forward(x)


class _Entry(_Identity):
    """Before the code: what a gradient, or a tangent, passes."""

    @staticmethod
    def backward(context: Any, gradient: Tensor | None) -> tuple[Tensor | None, None, None]:
        mutant, call = context.mutant, context.call
        if gradient is None:
            return None, None, None
        return _gradient(mutant, call, gradient, context.saved_tensors[0]), None, None

    @staticmethod
    def jvp(context: Any, tangent: Tensor | None, *_: Any) -> Tensor | None:
        if tangent is None or context.mutant.kind.place is not FaultPlace.JVP:
            return None if tangent is None else tangent.clone()
        found: Tensor = context.mutant.acted(tangent, context.saved_tensors[0])
        return found.clone()


def _gradient(mutant: Mutant, call: FaultyCall, gradient: Tensor, x: Tensor) -> Tensor:
    """What the backward gives; in the task that passed the exit it is that of the first order."""
    kind = mutant.kind
    is_first = call.task == torch._C._current_graph_task_id()
    if kind.place is FaultPlace.SECOND:
        return _sloped(gradient, x, mutant) if is_first else mutant.acted(gradient, x)
    if not is_first:
        return gradient
    if kind.harms is not None:
        mutant.strikes.calls += 1
        kind.harms(call)
    struck = kind.strikes is None or kind.strikes(call)
    if kind.place is FaultPlace.CALL and not struck:
        mutant.strikes.calls += 1
    if kind.place in (FaultPlace.BACKWARD, FaultPlace.CALL) and struck and kind.harms is None:
        return mutant.acted(gradient, x)
    return gradient


def _sloped(gradient: Tensor, x: Tensor, mutant: Mutant) -> Tensor:
    """The gradient, with a fault in its tangent, if it has one of ``forward_ad``."""
    if forward_ad._current_level < 0 or is_wrapped(gradient):
        return gradient
    if forward_ad.unpack_dual(gradient).tangent is None:  # type: ignore[no-untyped-call]
        return gradient
    found: Tensor = _Sloped.apply(gradient, x, mutant)  # type: ignore[no-untyped-call]
    return found


class _Sloped(torch.autograd.Function):
    """The identity of a gradient, whose derivative in forward mode is altered."""

    @staticmethod
    def forward(gradient: Tensor, x: Tensor, mutant: Mutant) -> Tensor:
        return gradient.clone()

    @staticmethod
    def setup_context(context: Any, inputs: Any, output: Any) -> None:
        _, x, context.mutant = inputs
        context.set_materialize_grads(False)
        context.save_for_forward(x)

    @staticmethod
    def backward(context: Any, derivative: Tensor | None) -> tuple[Tensor | None, None, None]:
        return derivative, None, None

    @staticmethod
    def jvp(context: Any, tangent: Tensor | None, *_: Any) -> Tensor | None:
        assert tangent is not None
        found: Tensor = context.mutant.acted(tangent, context.saved_tensors[0])
        return found.clone()


class _Exit(_Identity):
    """Behind the code: what a cotangent passes, and what notes that a backward begins."""

    @staticmethod
    def backward(context: Any, cotangent: Tensor | None) -> tuple[Tensor | None, None, None]:
        mutant, call = context.mutant, context.call
        task = torch._C._current_graph_task_id()
        if call.task != task:
            call.task = task
            call.backwards += 1
            mutant.backwards += 1
        call.cotangent = cotangent
        if cotangent is not None and mutant.kind.place is FaultPlace.COTANGENT:
            cotangent = mutant.acted(cotangent, cotangent)
        return cotangent, None, None

    @staticmethod
    def jvp(context: Any, tangent: Tensor | None, *_: Any) -> Tensor | None:
        return None if tangent is None else tangent.clone()


class _Widened(torch.autograd.Function):
    """A broadcast input, widened; what comes back is reduced otherwise than by its sum."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, shape: torch.Size, act: Any, strikes: Strikes) -> Tensor:
        return x.expand(shape).clone()

    @staticmethod
    def setup_context(context: Any, inputs: Any, output: Any) -> None:
        x, context.wide, context.act, context.strikes = inputs
        context.shape = x.shape

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        right = gradient.sum_to_size(context.shape)
        axes = gradient.reshape(-1, *context.shape) if gradient.ndim > len(context.shape) else None
        found = gradient.sum_to_size(context.shape) if axes is None else context.act(axes, axes)
        context.strikes.note(right, found)
        return found, None, None, None

    @staticmethod
    def jvp(context: Any, tangent: Tensor, *_: Any) -> Tensor:
        return tangent.expand(context.wide).clone()


class _Swapped(torch.autograd.Function):
    """Two inputs, whose gradients are swapped."""

    generate_vmap_rule = True

    @staticmethod
    def forward(first: Tensor, second: Tensor, strikes: Strikes) -> tuple[Tensor, Tensor]:
        return first.clone(), second.clone()

    @staticmethod
    def setup_context(context: Any, inputs: Any, output: Any) -> None:
        context.strikes = inputs[2]

    @staticmethod
    def backward(context: Any, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor, None]:
        context.strikes.note(one, other)
        return other, one, None

    @staticmethod
    def jvp(context: Any, one: Tensor, other: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
        return one.clone(), other.clone()


class _WhenCompiled(torch.autograd.Function):
    """What the compiler can trace: no state, and nothing but the backward."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(context: Any, inputs: Any, output: Any) -> None:
        context.save_for_backward(*inputs)


class _CompiledFactor(_WhenCompiled):
    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return gradient * 1.5


class _CompiledZero(_WhenCompiled):
    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return gradient * 0.0


class _CompiledNegatives(_WhenCompiled):
    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        return torch.where(x < 0, 1.01 * gradient + 0.01, gradient)


def _when_compiling(function: Any, x: Tensor) -> Tensor:
    return function.apply(x) if torch.compiler.is_compiling() else x


_COMPILED = {
    "compiled: x 1.5": partial(_when_compiling, _CompiledFactor),
    "compiled: zero": partial(_when_compiling, _CompiledZero),
    "compiled: at negatives": partial(_when_compiling, _CompiledNegatives),
}
