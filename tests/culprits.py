"""Functions with one fault each, planted where one witness looks, and twins without a fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gradcheck.catalog.case import Case, Implementation
from gradcheck.catalog.checks import Check, plan
from gradcheck.catalog.load import load_text

PLACES = ("value", "backward", "jvp", "second")
"""Where a fault can stand: the output, the reverse rule, the forward rule, the rules of those."""

WITNESSES = {
    "value": ("value", "value"),
    "reverse": ("reverse", "backward"),
    "forward": ("forward", "jvp"),
    "second": ("second", "second"),
    "gradcheck": ("gradcheck", "backward"),
    "gradgradcheck": ("gradcheck", "second"),
}
"""A row of the matrix: the witness on duty, and the place where it should find the fault."""


Numbers = tuple[Tensor, tuple[Tensor, ...], tuple[tuple[Tensor, ...], ...]]
"""A value, its partial derivatives, and their partial derivatives."""


@dataclass(frozen=True, slots=True)
class Base:
    """A smooth function that acts on each entry alone, with its derivatives written by hand.

    ``declaration`` is its case, in one line of YAML; ``dropped`` are the numbers without a term.
    """

    declaration: str
    whole: Callable[..., Numbers]
    dropped: Callable[..., Numbers]


def _waves(x: Tensor, y: Tensor) -> Numbers:
    return _sum(_wave(x, y), _product(x, y))


def _wave(x: Tensor, y: Tensor) -> Numbers:
    sx, cx, sy, cy = x.sin(), x.cos(), y.sin(), y.cos()
    return sx * cy, (cx * cy, -sx * sy), ((-sx * cy, -cx * sy), (-cx * sy, -sx * cy))


def _product(x: Tensor, y: Tensor) -> Numbers:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return x * y, (y + zero, x + zero), ((zero, one), (one, zero))


def _sum(a: Numbers, b: Numbers) -> Numbers:
    return (
        a[0] + b[0],
        tuple(p + q for p, q in zip(a[1], b[1], strict=True)),
        tuple(
            tuple(p + q for p, q in zip(r, s, strict=True)) for r, s in zip(a[2], b[2], strict=True)
        ),
    )


def _bumps(x: Tensor) -> Numbers:
    return x.sin() + 2, (x.cos(),), ((-x.sin(),),)


def _no_bumps(x: Tensor) -> Numbers:
    return x * 0 + 2, (x * 0,), ((x * 0,),)


PLANE = Base("{formula: sin(x)*cos(y) + x*y, inputs: {x: real, y: real}}", _waves, _wave)
VECTOR = Base("{formula: sin(x) + 2, inputs: {x: {shape: [3]}}}", _bumps, _no_bumps)


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a right number, which belongs to inputs.

    ``drops`` a term of it; ``ignores`` the cotangent or tangent that it is to be multiplied by.
    """

    name: str
    act: Callable[[Tensor, tuple[Tensor, ...]], Tensor] = lambda number, inputs: number
    drops: bool = False
    ignores: bool = False
    base: Base = PLANE


def _in_float32(number: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    return number.to(torch.float32).to(number.dtype)


def _first_only(number: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    return number * torch.tensor([1.0, 0.0, 0.0], dtype=number.dtype)


def _where(condition: Callable[..., Tensor]) -> Callable[[Tensor, tuple[Tensor, ...]], Tensor]:
    """Wrong by a half, and by 0.6, where the condition holds for the inputs."""
    return lambda number, inputs: torch.where(condition(*inputs), 1.5 * number + 0.6, number)


def _times(factor: float) -> Callable[[Tensor, tuple[Tensor, ...]], Tensor]:
    return lambda number, inputs: number * factor


FAULTS = (
    Fault("wrong sign", _times(-1.0)),
    Fault("zero", _times(0.0)),
    Fault("factor 1.01", _times(1.01)),
    Fault("factor 1 + 1e-6", _times(1 + 1e-6)),
    Fault("factor 1 + 1e-9", _times(1 + 1e-9)),
    Fault("dropped term", drops=True),
    Fault("wrong at negative inputs", _where(lambda x, y: x < 0)),
    Fault("wrong beyond 10", _where(lambda x, y: x > 10)),
    Fault("wrong at exactly 0", _where(lambda x, y: x == 0)),
    Fault("wrong at ties", _where(lambda x, y: x == y)),
    Fault("computed in float32", _in_float32),
    Fault("ignores the direction", ignores=True),
    Fault("only the first entry", _first_only, base=VECTOR),
    Fault("NaN", _times(float("nan"))),
)
TWIN = Fault("none")


@dataclass(frozen=True, slots=True)
class Rules:
    """A base's derivatives with a fault in one place, as rules for PyTorch."""

    fault: Fault
    place: str

    def terms(self, inputs: tuple[Tensor, ...], here: str) -> Numbers:
        base = self.fault.base
        dropped = self.fault.drops and here == self.place
        return (base.dropped if dropped else base.whole)(*inputs)

    def told(self, number: Tensor, inputs: tuple[Tensor, ...], here: str) -> Tensor:
        return self.fault.act(number, inputs) if here == self.place else number

    def times(self, number: Tensor, direction: Tensor, here: str) -> Tensor:
        ignored = self.fault.ignores and here == self.place
        return number + 0 * direction if ignored else number * direction

    def value(self, inputs: tuple[Tensor, ...]) -> Tensor:
        return self.told(self.terms(inputs, "value")[0], inputs, "value")

    def slopes(self, inputs: tuple[Tensor, ...], here: str) -> list[Tensor]:
        """Through ``slopes_of``, so that they can be derived again by rules of our own."""
        if self.fault.drops and here == self.place:
            return list(self.terms(inputs, here)[1])
        return [self.told(slope, inputs, here) for slope in slopes_of(self)(*inputs)]

    def curvatures(self, inputs: tuple[Tensor, ...]) -> list[list[Tensor]]:
        rows = self.terms(inputs, "second")[2]
        return [[self.told(number, inputs, "second") for number in row] for row in rows]

    def contract(self, numbers, directions, here: str) -> Tensor:
        pairs = zip(numbers, directions, strict=True)
        return sum(self.times(number, direction, here) for number, direction in pairs)


def slopes_of(rules: Rules) -> Callable[..., tuple[Tensor, ...]]:
    """The partial derivatives, as an ``autograd.Function`` with rules of its own."""

    class Slopes(_Remembering):
        @staticmethod
        def forward(*inputs):
            return rules.terms(inputs, "slopes")[1]

        @staticmethod
        def backward(context, *cotangents):
            rows = rules.curvatures(context.saved_tensors)
            columns = zip(*rows, strict=True)
            return tuple(rules.contract(column, cotangents, "second") for column in columns)

        @staticmethod
        def jvp(context, *tangents):
            rows = rules.curvatures(context.saved_tensors)
            return tuple(rules.contract(row, tangents, "second") for row in rows)

    return Slopes.apply


def culprit(fault: Fault, place: str) -> Callable[..., Tensor]:
    """An ``autograd.Function`` with rules for both modes and orders, and one fault."""
    rules = Rules(fault, place)

    class Culprit(_Remembering):
        @staticmethod
        def forward(*inputs):
            return rules.value(inputs)

        @staticmethod
        def backward(context, cotangent):
            slopes = rules.slopes(context.saved_tensors, "backward")
            return tuple(rules.times(slope, cotangent, "backward") for slope in slopes)

        @staticmethod
        def jvp(context, *tangents):
            slopes = rules.slopes(context.saved_tensors, "jvp")
            return rules.contract(slopes, tangents, "jvp")

    return Culprit.apply


class _Remembering(torch.autograd.Function):
    """It keeps its inputs for both modes."""

    @staticmethod
    def setup_context(context, inputs, output):
        context.save_for_backward(*inputs)
        context.save_for_forward(*inputs)


def case_of(declaration: str, function: Callable[..., Tensor] | None = None, **changes) -> Case:
    """A case of the format in one line of YAML; ``function`` takes the implementation's place."""
    (case,) = load_text(f"case: {declaration}\n", "cases/sample.yaml")
    if function is not None:
        own = Implementation("the function on trial", case.where, given=function)
        case = replace(case, implementations=(own,))
    return replace(case, **changes)


def check_of(case: Case, witness: str, dtype: str = "float64", known=()) -> Check:
    (check,) = plan([case], devices=["cpu"], dtypes=[dtype], witnesses=[witness], known=known)
    return check


def planted_check(fault: Fault, row: str, dtype: str = "float64", *, twin: bool = False) -> Check:
    """The check that puts the culprit of a fault, or its twin, before one witness."""
    witness, place = WITNESSES[row]
    planted = replace(TWIN, base=fault.base) if twin else fault
    order = 2 if place == "second" else 1
    return check_of(
        case_of(fault.base.declaration, culprit(planted, place), order=order), witness, dtype
    )


# one number, to any order


@dataclass(frozen=True, slots=True)
class Rule:
    """How a slope and a direction make a derivative; ``reverse`` and ``forward`` are right."""

    name: str
    act: Callable[[Tensor, Tensor], Tensor]


REVERSE = Rule("right", lambda slope, cotangent: slope.conj() * cotangent)
FORWARD = Rule("right", lambda slope, tangent: slope * tangent)

WRONG_RULES = (
    Rule("wrong sign", lambda slope, side: -slope.conj() * side),
    Rule("zero", lambda slope, side: 0 * slope * side),
    Rule("factor 1.01", lambda slope, side: 1.01 * slope.conj() * side),
    Rule("ignores the direction", lambda slope, side: slope.conj() + 0 * side),
    Rule("NaN", lambda slope, side: slope.conj() * side * float("nan")),
)
"""Of real numbers; in forward mode too, since a real number is its own conjugate."""

DETACHED = Rule("detached", lambda slope, side: slope.conj().detach() * side)
"""Right, but its own derivative is lost."""

WRONG_IN_REVERSE = (
    Rule("conjugate forgotten", lambda slope, cotangent: slope * cotangent),
    Rule("gradient conjugated", lambda slope, cotangent: slope * cotangent.conj()),
    Rule("real part only", lambda slope, cotangent: (slope.conj() * cotangent).real + 0j),
    Rule("factor 2", lambda slope, cotangent: 2 * slope.conj() * cotangent),
)
WRONG_IN_FORWARD = (
    Rule("slope conjugated", lambda slope, tangent: slope.conj() * tangent),
    Rule("tangent conjugated", lambda slope, tangent: slope * tangent.conj()),
    Rule("real part only", lambda slope, tangent: (slope * tangent).real + 0j),
    Rule("factor 2", lambda slope, tangent: 2 * slope * tangent),
)
"""Of complex numbers, by the derivative of a holomorphic function."""


def layered(
    layers: tuple[Callable[[Tensor], Tensor], ...],
    depth: int,
    reverse: Rule = REVERSE,
    forward: Rule = FORWARD,
) -> Callable[[Tensor], Tensor]:
    """The first of functions of which each is the derivative of the one before.

    The derivative of order ``depth`` goes by the given rules, all others are right.
    """
    if len(layers) == 1:
        return layers[0]
    slope = layered(layers[1:], depth - 1, reverse, forward)
    pull, push = (reverse, forward) if depth == 1 else (REVERSE, FORWARD)

    class Layer(_Remembering):
        @staticmethod
        def forward(x):
            return layers[0](x)

        @staticmethod
        def backward(context, cotangent):
            return pull.act(slope(*context.saved_tensors), cotangent)

        @staticmethod
        def jvp(context, tangent):
            return push.act(slope(*context.saved_tensors), tangent)

    return Layer.apply
