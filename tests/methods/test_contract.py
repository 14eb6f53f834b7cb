"""Each clause of the contract has a culprit that breaks it alone, and a twin that keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from invocations import invocation, labels, remarks, said

import gradcheck
from gradcheck.answer import Ruling
from gradcheck.methods import contract
from gradcheck.methods._torch.directions import PLAIN
from gradcheck.methods._torch.rounding import Repeated

WAVE = {"formula": "sin(x)*y", "inputs": {"x": "(0.5, 1.5)", "y": "(0.5, 1.5)"}}
SHAPED = {"domain": "(0.5, 1.5)", "shape": [2, 3]}
GRID = {"formula": "sin(x)*y", "inputs": {"x": SHAPED, "y": SHAPED}}
BOX, IMAGES = (
    {**GRID, "inputs": {name: {**SHAPED, "shape": shape} for name in "xy"}}
    for shape in ([2, 3, 2], [2, 2, 2, 2])
)
FOUR = {
    "formula": "sin(x)*y + a*b",
    "inputs": dict.fromkeys("xyab", "(0.5, 1.5)"),
}
PRODUCT = {"formula": "x @ y", "inputs": {key: {**SHAPED, "shape": [2, 2]} for key in "xy"}}
PAIR = {**WAVE, "formula": {"up": "sin(x)*y", "down": "sin(x)*y"}}
QUICK = {"dtype": "float64", "points": 32, "order": 1}


class Wave(torch.autograd.Function):
    """sin(x) y, right in every way; ``spoil`` is what a culprit multiplies its derivative by."""

    @classmethod
    def forward(cls, context, x, y):
        context.save_for_backward(x, y)
        return x.sin() * y

    @classmethod
    def spoil(cls, context, x, y, cotangent):
        return 1.0

    @classmethod
    def backward(cls, context, cotangent):
        x, y = context.saved_tensors
        cotangent = cotangent * cls.spoil(context, x, y, cotangent)
        return cotangent * x.cos() * y, cotangent * x.sin()


def wrong_where(condition, of=Wave):
    """A culprit: its derivative is a half too large where the condition holds."""

    class Spoilt(of):
        @classmethod
        def spoil(cls, context, x, y, cotangent):
            return 1.5 if condition(context, x, y, cotangent) else 1.0

    return Spoilt.apply


def where_backward_meets(condition):
    return wrong_where(lambda context, x, y, cotangent: condition(cotangent))


def where_input(condition):
    return wrong_where(lambda context, x, y, cotangent: condition(x))


def passing(change):
    """A culprit: its backward takes something else for the cotangent."""

    class Changing(Wave):
        @classmethod
        def backward(cls, context, cotangent):
            return Wave.backward.__func__(cls, context, change(cotangent))

    return Changing.apply


class Counting(Wave):
    """Tells its backward the number of the call."""

    calls = 0

    @classmethod
    def forward(cls, context, x, y):
        Counting.calls += 1
        context.number = Counting.calls
        return Wave.forward.__func__(cls, context, x, y)


class UsedUp(Wave):
    """Wrong from the second backward of a forward on."""

    @classmethod
    def spoil(cls, context, x, y, cotangent):
        context.turn = getattr(context, "turn", 0) + 1
        return 1.0 if context.turn == 1 else 1.5


class OnePlace(Wave):
    """What the backward needs stands in one place for all calls."""

    @classmethod
    def forward(cls, context, x, y):
        OnePlace.place = x.detach().clone(), y.detach().clone()
        return x.sin() * y

    @classmethod
    def backward(cls, context, cotangent):
        x, y = OnePlace.place
        return cotangent * x.cos() * y, cotangent * x.sin()


class Remembering(Wave):
    """Keeps what it has computed of a tensor, as long as the tensor lives in the same place."""

    known: ClassVar = {}

    @classmethod
    def forward(cls, context, x, y):
        if cls.known.get("at") != (x.data_ptr(), x.shape):
            cls.known.update(at=(x.data_ptr(), x.shape), alive=x.detach(), slope=x.cos())
        context.slope = cls.known["slope"]
        return Wave.forward.__func__(cls, context, x, y)

    @classmethod
    def backward(cls, context, cotangent):
        x, y = context.saved_tensors
        return cotangent * context.slope * y, cotangent * x.sin()


class OverwritingCotangent(Wave):
    @classmethod
    def backward(cls, context, cotangent):
        x, y = context.saved_tensors
        return cotangent * x.cos() * y, cotangent.mul_(x.sin())


class OverwritingCotangentOnce(Wave):
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, cotangent):
        x, y = context.saved_tensors
        return cotangent * x.cos() * y, cotangent.mul_(x.sin())


class OverwritingInput(Wave):
    @classmethod
    def backward(cls, context, cotangent):
        x, y = context.saved_tensors
        slopes = cotangent * x.cos() * y, cotangent * x.sin()
        x.data.mul_(0.5)
        return slopes


class OverwritingSaved(Wave):
    @classmethod
    def forward(cls, context, x, y):
        context.save_for_backward(x.cos() * y, x.sin())
        return x.sin() * y

    @classmethod
    def backward(cls, context, cotangent):
        by_x, by_y = context.saved_tensors
        return by_x.data.mul_(cotangent), by_y * cotangent


class Resetting(Wave):
    """Clears the .grad of its input before it gives a gradient."""

    @classmethod
    def backward(cls, context, cotangent):
        x, y = context.saved_tensors
        if x.is_leaf and x.grad is not None:
            x.grad.zero_()
        return cotangent * x.cos() * y, cotangent * x.sin()


class Writing(Wave):
    """Writes the gradient itself."""

    @classmethod
    def backward(cls, context, cotangent):
        x, y = context.saved_tensors
        x.grad = cotangent * x.cos() * y
        return cotangent * x.cos() * y, cotangent * x.sin()


def needing(asked):
    return wrong_where(lambda context, x, y, cotangent: context.needs_input_grad == asked)


class OfFour(Wave):
    """sin(x) y + a b."""

    @classmethod
    def forward(cls, context, x, y, a, b):
        context.save_for_backward(x, y, a, b)
        return x.sin() * y + a * b

    @classmethod
    def backward(cls, context, cotangent):
        x, y, a, b = context.saved_tensors
        cotangent = cotangent * cls.spoil(context, x, y, cotangent)
        return (cotangent * x.cos() * y, cotangent * x.sin(), cotangent * b, cotangent * a)


def needing_of_four(asked):
    return wrong_where(lambda context, *_: context.needs_input_grad == asked, OfFour)


class ForgettingTheRest(Wave):
    """Reads what it has not written: here only what is certain to stand there for once."""

    @classmethod
    def spoil(cls, context, x, y, cotangent):
        return 1.5 if torch.empty(7).isnan().all() else 1.0


class Undefined(Wave):
    """Asks for cotangents as they are, and does not look whether they are None."""

    @classmethod
    def forward(cls, context, x, y):
        context.set_materialize_grads(False)
        return Wave.forward.__func__(cls, context, x, y)


class DefinedOrNot(Undefined):
    @classmethod
    def backward(cls, context, cotangent):
        if cotangent is None:
            return None, None
        return Wave.backward.__func__(cls, context, cotangent)


class Signed(Wave):
    """Tells its backward whether the input is a view that is negated when it is read."""

    @classmethod
    def forward(cls, context, x, y):
        context.is_neg = x.is_neg()
        return Wave.forward.__func__(cls, context, x, y)


class Placed(Wave):
    """Knows what it saved by its place in memory."""

    @classmethod
    def forward(cls, context, x, y):
        context.place = x.data_ptr()
        return Wave.forward.__func__(cls, context, x, y)


class Leafy(Wave):
    """Tells its backward whether the input is a leaf."""

    @classmethod
    def forward(cls, context, x, y):
        context.is_leaf = x.is_leaf
        return Wave.forward.__func__(cls, context, x, y)


class Forward(torch.autograd.Function):
    """sin(x) y with a forward mode."""

    @classmethod
    def change(cls, tangent):
        return tangent

    @staticmethod
    def forward(x, y):
        return x.sin() * y

    @staticmethod
    def setup_context(context, inputs, output):
        context.save_for_backward(*inputs)
        context.save_for_forward(*inputs)

    @staticmethod
    def backward(context, cotangent):
        x, y = context.saved_tensors
        return cotangent * x.cos() * y, cotangent * x.sin()

    @classmethod
    def jvp(cls, context, by_x, by_y):
        x, y = context.saved_tensors
        return cls.change(by_x) * x.cos() * y + by_y * x.sin()


def pushing(change):
    """A culprit: its jvp takes something else for the tangent."""
    return type("Changing", (Forward,), {"change": staticmethod(change)}).apply


class HalfTold(Forward):
    @staticmethod
    def jvp(context, by_x, by_y):
        x, y = context.saved_tensors
        slope = by_x * x.cos() * y + by_y * x.sin()
        return slope if by_y.any() else 1.5 * slope


def value_under_grad(x, y):
    return Wave.apply(x, y) + (0.5 if x.requires_grad else 0.0)


def needs_grad_mode(x, y):
    if x.requires_grad and not torch.is_grad_enabled():
        raise AssertionError("call it with gradients, or without")
    return Wave.apply(x, y)


class Cast(Wave):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(context, x, y):
        return Wave.forward.__func__(Wave, context, x, y)


def rounded_under_autocast(x, y):
    if torch.is_autocast_enabled("cpu"):
        x = x.bfloat16().to(x.dtype)
    return Cast.apply(x, y)


class CastBackAndForth(Cast):
    """Says of its backward too what it does under autocast."""

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(context, cotangent):
        return Wave.backward.__func__(Wave, context, cotangent)


def multiplied(context, x, y):
    context.save_for_backward(x, y)
    return x @ y


class Product(torch.autograd.Function):
    """x @ y, by a forward that autocast rounds."""

    forward = staticmethod(torch.amp.custom_fwd(multiplied, device_type="cpu"))

    @staticmethod
    def backward(context, cotangent):
        x, y = context.saved_tensors
        return cotangent @ y.mT, x.mT @ cotangent


class ProductBackAndForth(Product):
    backward = staticmethod(torch.amp.custom_bwd(Product.backward, device_type="cpu"))


class ProductForOtherDevices(Product):
    """Says nothing of the CPU, where autocast rounds its product."""

    forward = staticmethod(torch.amp.custom_fwd(multiplied, device_type="cuda"))


class Rounded(Cast):
    """Its backward has a product of matrices, which autocast rounds."""

    @staticmethod
    def backward(context, cotangent):
        x, y = context.saved_tensors
        by_x = (cotangent * x.cos() * y).reshape(-1, 1) @ torch.ones(1, 1)
        return by_x.reshape(x.shape), cotangent * x.sin()


class RoundedNowhere(Rounded):
    backward = staticmethod(torch.amp.custom_bwd(Rounded.backward, device_type="cpu"))


class Pair(torch.autograd.Function):
    """sin(x) y twice."""

    idle = 1.0

    @classmethod
    def forward(cls, context, x, y):
        context.save_for_backward(x, y)
        return x.sin() * y, x.sin() * y

    @classmethod
    def backward(cls, context, up, down):
        x, y = context.saved_tensors
        total = up + down if up.any() and down.any() else cls.idle * (up + down)
        return total * x.cos() * y, total * x.sin()


class LeftOut(Pair):
    """Takes zeros for no cotangent at all; an output that is left out has none."""

    idle = 1.5

    @classmethod
    def forward(cls, context, x, y):
        context.set_materialize_grads(False)
        return Pair.forward.__func__(cls, context, x, y)

    @classmethod
    def backward(cls, context, up, down):
        if up is None and down is None:
            return None, None
        if up is None or down is None:
            x, y = context.saved_tensors
            total = up if down is None else down
            return total * x.cos() * y, total * x.sin()
        return Pair.backward.__func__(cls, context, up, down)


LIBRARY = torch.library.Library("gradcheck_contract", "DEF")
for _name, _kernel in {"alias": lambda x: x, "copy": torch.clone}.items():
    LIBRARY.define(f"{_name}(Tensor x) -> Tensor")
    LIBRARY.impl(_name, _kernel, "CPU")
    torch.library.register_autograd(
        f"gradcheck_contract::{_name}", lambda ctx, cotangent: cotangent.clone(), lib=LIBRARY
    )


FAKES = {"shapeless": lambda x: x.new_empty(()), "shaped": torch.empty_like}
for _name, _fake in FAKES.items():
    LIBRARY.define(f"{_name}(Tensor x) -> Tensor")
    LIBRARY.impl(_name, lambda x: 2 * x, "CPU")
    torch.library.register_fake(f"gradcheck_contract::{_name}", _fake, lib=LIBRARY)
    torch.library.register_autograd(
        f"gradcheck_contract::{_name}", lambda ctx, cotangent: 2 * cotangent, lib=LIBRARY
    )


def to_bfloat16(t):
    return t.bfloat16().to(t.dtype)


def small_to_zero(t):
    return torch.where(t.abs() < 1e-3, 0.0, t)


def minute_to_zero(t):
    return torch.where(t.abs() < 1e-10, 0.0, t)


def clamped(t):
    return t.clamp(-4, 4)


def below_a_thousand(t):
    return t.clamp(-1000, 1000)


def over_itself(t):
    """The same, but NaN for 0."""
    return t / t * t


def is_strided(t):
    return t.ndim == 1 and t.numel() > 1 and t.stride(0) > 1


def is_transposed(t):
    return t.ndim == 2 and t.stride(0) < t.stride(1)


def is_expanded(t):
    return t.numel() > 1 and 0 in t.stride()


def is_sliced(t):
    return t.storage_offset() != 0 and t.is_contiguous()


def is_permuted(t):
    return t.ndim == 3 and t.stride(0) < t.stride(1)


def is_channels_last(t):
    return not t.is_contiguous() and t.is_contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Culprit:
    """A function that breaks one clause, what names the clause, and a right twin."""

    named: str
    function: Any
    twin: Any = Wave.apply
    case: dict[str, Any] = field(default_factory=lambda: WAVE)
    dtype: str = "float64"


CULPRITS = {
    "on every eighth call": Culprit(
        "wrong on call ", wrong_where(lambda context, *_: context.number % 8 == 0, Counting),
        Counting.apply,
    ),
    "on the second backward": Culprit("wrong on the second backward", UsedUp.apply),
    "with create_graph": Culprit(
        "wrong with create_graph", where_backward_meets(lambda _: torch.is_grad_enabled())
    ),
    "after another forward": Culprit("wrong after another forward in between", OnePlace.apply),
    "after an update": Culprit("wrong after an update of the inputs in place", Remembering.apply),
    "an overwritten cotangent": Culprit(
        "the backward overwrites the cotangent of the result", OverwritingCotangent.apply
    ),
    "an overwritten cotangent, differentiable once": Culprit(
        "the backward overwrites the cotangent of the result", OverwritingCotangentOnce.apply
    ),
    "an overwritten input": Culprit("the backward changes input 0", OverwritingInput.apply),
    "an overwritten saved tensor": Culprit("wrong on the second backward", OverwritingSaved.apply),
    "a .grad that is reset": Culprit("wrong into a .grad that is there", Resetting.apply),
    "a .grad that is written": Culprit("the backward writes to the .grad of input 0",
                                       Writing.apply),
    "only the first input": Culprit("wrong where only input 0 requires a gradient",
                                    needing((True, False))),
    "only the second input": Culprit("wrong where only input 1 requires a gradient",
                                     needing((False, True))),
    "two inputs of four": Culprit(
        "wrong where only inputs 0 and 1 require a gradient",
        needing_of_four((True, True, False, False)), OfFour.apply, FOUR,
    ),
    "a strided input": Culprit("wrong for strided inputs", where_input(is_strided)),
    "a transposed input": Culprit("wrong for transposed inputs", where_input(is_transposed)),
    "a transposed input of an array": Culprit("wrong for transposed inputs",
                                              where_input(is_transposed), case=GRID),
    "an expanded input": Culprit("wrong for expanded inputs", where_input(is_expanded)),
    "a sliced input": Culprit("wrong for sliced inputs", where_input(is_sliced)),
    "inputs that lie differently": Culprit(
        "wrong for strided inputs beside others",
        wrong_where(lambda context, x, y, _: x.stride() != y.stride()),
    ),
    "an input that is no leaf": Culprit(
        "wrong for inputs that are no leaves",
        wrong_where(lambda context, *_: not context.is_leaf, Leafy), Leafy.apply,
    ),
    "a strided cotangent": Culprit("wrong for a cotangent that is strided",
                                   where_backward_meets(is_strided)),
    "a transposed cotangent": Culprit("and for a cotangent from .T",
                                      where_backward_meets(is_transposed), case=GRID),
    "a cotangent expanded along one axis": Culprit(
        "wrong for a cotangent from .sum(dim=0)",
        where_backward_meets(lambda t: t.ndim == 2 and t.stride(0) == 0 < t.stride(1)), case=GRID,
    ),
    "a lazily negated cotangent": Culprit("wrong for a cotangent that is lazily negated",
                                          where_backward_meets(torch.Tensor.is_neg)),
    "a lazily negated input": Culprit("wrong for lazily negated inputs",
                                      wrong_where(lambda context, *_: context.is_neg, Signed),
                                      Signed.apply),
    "a permuted cotangent": Culprit(
        "wrong for a cotangent that is permuted", where_backward_meets(is_permuted), case=BOX
    ),
    "channels-last inputs": Culprit(
        "wrong for channels-last inputs", where_input(is_channels_last), case=IMAGES
    ),
    "a cotangent behind sum": Culprit("wrong for a cotangent from .sum()",
                                      where_backward_meets(is_expanded)),
    "a cotangent behind cat": Culprit("wrong for a cotangent from cat",
                                      where_backward_meets(is_sliced)),
    "a clamped cotangent": Culprit("wrong for a large cotangent", passing(clamped)),
    "a clamped cotangent, as losses are scaled in float16": Culprit(
        "wrong for a large cotangent", passing(below_a_thousand), dtype="float16"
    ),
    "a cotangent in bfloat16": Culprit("cotangent with all its bits", passing(to_bfloat16)),
    "a cotangent in bfloat16, in float32": Culprit(
        "cotangent with all its bits", passing(to_bfloat16), dtype="float32"
    ),
    "a small cotangent for none": Culprit("wrong for a tiny cotangent", passing(small_to_zero)),
    "a minute cotangent for none": Culprit("wrong for a minute cotangent",
                                           passing(minute_to_zero)),
    "a minute tangent for none": Culprit("wrong for a minute tangent", pushing(minute_to_zero),
                                         Forward.apply),
    "a cotangent that is divided by": Culprit("a cotangent with zeros", passing(over_itself)),
    "a tangent that is divided by": Culprit("a tangent with zeros", pushing(over_itself),
                                            Forward.apply),
    "a clamped tangent": Culprit("wrong for a large tangent", pushing(clamped), Forward.apply),
    "a small tangent for none": Culprit("for a tiny tangent", pushing(small_to_zero),
                                        Forward.apply),
    "one tangent alone": Culprit("wrong for a tangent of input 0 alone", HalfTold.apply,
                                 Forward.apply),
    "a strided tangent": Culprit(
        "wrong for strided tangents",
        pushing(lambda t: t * (1.5 if is_strided(t) else 1.0)), Forward.apply,
    ),
    "many entries": Culprit("wrong for more than 128 entries",
                            where_input(lambda x: x.numel() > 128)),
    "a second block": Culprit("wrong for more than 5,000 entries",
                              where_input(lambda x: x.numel() > 4096)),
    "a vector that is not full": Culprit(
        "wrong for more than 128 entries",
        where_input(lambda x: x.numel() > 100 and x.numel() % 16 > 0),
    ),
    "one entry": Culprit("wrong for one entry", where_input(lambda x: x.shape == (1,))),
    "no entries": Culprit(
        "fails for no entries", passing(lambda c: c / (1 if c.numel() else 1 // c.numel()))
    ),
    "the value under grad": Culprit("wrong in the value where gradients are asked for",
                                    value_under_grad),
    "an undefined cotangent": Culprit("fails for an undefined cotangent", Undefined.apply,
                                      DefinedOrNot.apply),
    "checkpoint without gradients": Culprit("fails under torch.utils.checkpoint, reentrant",
                                            needs_grad_mode),
    "saved tensors that are handed out as copies": Culprit(
        "wrong under saved_tensors_hooks",
        wrong_where(lambda context, x, *_: context.place != x.data_ptr(), Placed), Placed.apply,
    ),
    "memory that nobody wrote": Culprit("wrong with uninitialized memory filled",
                                        ForgettingTheRest.apply),
    "autocast": Culprit("wrong under autocast", rounded_under_autocast, Cast.apply,
                        dtype="float32"),
    "a backward under autocast": Culprit(
        "wrong under autocast, with its backward", Rounded.apply, RoundedNowhere.apply,
        dtype="float32",
    ),
    "a forward under autocast": Culprit(
        "mark it with torch.amp.custom_bwd", Product.apply, ProductBackAndForth.apply, PRODUCT,
        dtype="float32",
    ),
    "zeros for one output": Culprit("with cotangents of zeros for all but output 'up'",
                                    LeftOut.apply, Pair.apply, PAIR),
    "an operator that gives what it promises to copy": Culprit(
        "torch.library.opcheck says of gradcheck_contract::alias",
        torch.ops.gradcheck_contract.alias, torch.ops.gradcheck_contract.copy,
        {"formula": "x", "inputs": {"x": "real"}},
    ),
    "an operator whose fake kernel has another shape": Culprit(
        "torch.library.opcheck says of gradcheck_contract::shapeless",
        torch.ops.gradcheck_contract.shapeless, torch.ops.gradcheck_contract.shaped,
        {"formula": "2*x", "inputs": {"x": {"shape": [2]}}},
    ),
}  # fmt: skip


def judged(function, culprit, witness="contract"):
    options = {**QUICK, "dtype": culprit.dtype, "witness": witness}
    return gradcheck.verify(function, **culprit.case, **options)


@pytest.mark.parametrize("name", CULPRITS)
def test_a_culprit_is_convicted_by_the_clause_that_it_breaks(name):
    culprit = CULPRITS[name]
    result = judged(culprit.function, culprit)
    assert result.verdict == "disagree"
    assert culprit.named in " ".join(result.blocks[0].split())


def test_what_is_said_of_autocast_on_another_device_is_no_claim_here():
    product = Culprit("", ProductForOtherDevices.apply, None, PRODUCT, dtype="float32")
    assert judged(product.function, product).verdict == "agree"


@pytest.mark.parametrize("name", CULPRITS)
def test_its_twin_is_acquitted(name):
    culprit = CULPRITS[name]
    result = judged(culprit.twin, culprit)
    assert result.verdict == "agree", result.blocks
    assert all(outcome.entries > 0 for outcome in result.outcomes.values())


# what it says of right code


def asked(function, *inputs, **options):
    return said(contract.answer(invocation(function, *inputs, own_code=True, **options)))


def test_a_call_that_gives_the_bits_of_the_first_one_says_nothing_more():
    assert labels(asked(Forward.apply, 0.75, 1.25)) == [
        "torch.autograd.grad",
        "for a cotangent from .sum()",
        "for a large cotangent with all its bits",
        "for a tiny cotangent with all its bits",
        "for a minute cotangent with all its bits",
        "for a cotangent with zeros",
        "for strided tangents",
        "for a large tangent with all its bits",
        "for a tiny tangent with all its bits",
        "for a minute tangent with all its bits",
        "for a tangent with zeros",
        "for a tangent of input 0 alone",
        "for a tangent of input 1 alone",
    ]


def test_where_every_direction_is_1_there_are_no_other_directions():
    assert labels(asked(Forward.apply, 0.75, 1.25, seed=PLAIN)) == [
        "torch.autograd.grad",
        "for a cotangent from .sum()",
        "for strided tangents",
        "for a tangent of input 0 alone",
        "for a tangent of input 1 alone",
    ]


def contiguous_alone(x, y):
    if not (x.is_contiguous() and y.is_contiguous()):
        raise ValueError("lay it out first")
    return Wave.apply(x, y)


def test_a_forward_may_refuse_a_layout():
    grid = [[0.5, 0.75], [1.0, 1.25]]
    answers = asked(contiguous_alone, grid, grid, output_shape=(2, 2))
    assert {each.ruling for each in remarks(answers)} == {Ruling.ABSTAIN}
    refused = [each.label for each in remarks(answers) if "lay it out first" in each.reason]
    assert refused[:2] == ["for transposed inputs", "for strided inputs"]


class Addressing(Wave):
    """Reads numbers as they stand in memory, as a kernel does that is given an address."""

    @classmethod
    def backward(cls, context, cotangent):
        stored = cotangent.untyped_storage()
        where = cotangent.storage_offset(), cotangent.shape, cotangent.stride()
        return Wave.backward.__func__(cls, context, cotangent.new_empty(0).set_(stored, *where))


class Compacting(Addressing):
    """Has them written out as one stretch of memory before."""

    @classmethod
    def backward(cls, context, cotangent):
        return Addressing.backward.__func__(cls, context, cotangent.contiguous())


PAIRS = [0.75, 1.25], [0.5, -2.0]


@pytest.mark.parametrize(
    ("kernel", "inputs", "refused"),
    [
        (Addressing, (0.75, 1.25), ["for a cotangent that is lazily negated"]),
        (Addressing, PAIRS, ["for a cotangent that is lazily negated"]),
        (Compacting, PAIRS, []),
    ],
    ids=["numbers", "arrays", "contiguous"],
)
def test_a_kernel_that_is_given_addresses_is_not_held_to_lazily_negated_views(
    kernel, inputs, refused
):
    """But what `contiguous()` writes out it reads as it is."""
    remarked = remarks(asked(kernel.apply, *inputs, output_shape=np.shape(inputs[0])))
    assert refused == [r.label for r in remarked if "resolve_neg() and resolve" in r.reason]
    assert {r.ruling for r in remarked} == {Ruling.ABSTAIN}


class Viewing(Wave):
    """Its backward takes a cotangent only where it is one stretch of memory."""

    @classmethod
    def backward(cls, context, cotangent):
        return Wave.backward.__func__(cls, context, cotangent.view(-1).view(cotangent.shape))


def test_a_backward_may_not_refuse_a_layout():
    grid = [[0.5, 0.75], [1.0, 1.25]]
    answers = asked(Viewing.apply, grid, grid, output_shape=(2, 2))
    failed = [each.label for each in remarks(answers) if each.ruling is Ruling.DISAGREE]
    assert failed == [
        "for a cotangent from .T",
        "for a cotangent from cat",
        "for a cotangent from .sum(dim=0)",
        "for a cotangent from .sum(dim=-1)",
    ]


def test_a_case_without_reverse_mode_has_no_contract():
    (remark,) = asked(Wave.apply, 0.75, 1.25, without={"reverse": "for a test"})
    assert (remark.ruling, remark.reason) == (Ruling.ABSTAIN, "for a test")


@pytest.mark.parametrize(("without", "some"), [({}, True), ({"forward": "for a test"}, False)])
def test_a_case_without_forward_mode_has_no_tangents(without, some):
    told = labels(asked(Forward.apply, 0.75, 1.25, without=without))
    assert any("tangents" in label for label in told) is some


def test_what_only_a_call_in_between_makes_wrong_is_guessed_to_be_stale():
    result = gradcheck.verify(OnePlace.apply, **WAVE, witness="contract", **QUICK)
    (outcome,) = result.outcomes.values()
    assert str(outcome.guess).startswith("stale: it belongs to another call")


def test_the_settings_of_pytorch_are_left_as_they_were():
    asked(Wave.apply, 0.75, 1.25)
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_pytorchs_own_operators_are_not_asked_what_autograd_answers_for():
    calls = []

    def counted(x):
        calls.append(x)
        return x.sin()

    said(contract.answer(invocation(counted, 0.75, own_code=True)))
    of_users = len(calls)
    said(contract.answer(invocation(counted, 0.75)))
    assert of_users > len(calls) - of_users + 8


def test_a_clause_of_code_that_cancels_is_asked_again_while_its_operations_round_otherwise():
    call = invocation(lambda x: (x.exp() - 1 - x) / x, 1e-9)
    repeated = Repeated.of(contract.answer, call)
    assert ("for a cotangent from .sum()", 0) in repeated.answers
    found = repeated.in_full()
    assert {rounding.opaque for rounding in found.values()} == {""}
    assert min(rounding.spread.max() for rounding in found.values()) > 1e-10


# the in-place spelling


def switched(x, y, inplace=False):  # noqa: FBT002 - as PyTorch's own functions have it
    return x.sin_().mul_(y) if inplace else x.sin() * y


def wrongly_switched(x, y, inplace=False):  # noqa: FBT002
    return x.sin_().mul_(y.detach()) if inplace else x.sin() * y


def beside(x, y):
    return x.sin() * y


def beside_(x, y):
    return x.sin_().mul_(y)


def wrong_beside(x, y):
    return x.sin() * y


def wrong_beside_(x, y):
    return x.sin_().mul_(y.detach())


def apart(x, y):
    return x.sin() * y


def apart_(x, y, z):
    raise NotImplementedError


class Layer(torch.nn.Module):
    def __init__(self, wrong):
        super().__init__()
        self.inplace, self.wrong = False, wrong

    def forward(self, x, y):
        return (wrongly_switched if self.wrong else switched)(x, y, inplace=self.inplace)


IN_PLACE_CULPRITS = {
    "an argument": wrongly_switched,
    "a function beside it": wrong_beside,
    "an attribute of a module": Layer(wrong=True),
}


def hooked(x, y):
    """A wave whose hook, as most are, takes it that there is a gradient."""
    wave = Wave.apply(x, y)
    if wave.requires_grad:
        wave.register_hook(lambda cotangent: cotangent.contiguous())
    return wave


def test_a_hook_that_takes_no_undefined_gradient_is_acquitted():
    result = gradcheck.verify(hooked, **WAVE, **QUICK, witness="contract")
    assert result.verdict == Ruling.AGREE


IN_PLACE_TWINS = {
    "an argument": switched,
    "a function beside it": beside,
    "an attribute of a module": Layer(wrong=False),
    "a function of another signature": apart,
}


@pytest.mark.parametrize("name", IN_PLACE_CULPRITS)
def test_an_in_place_spelling_that_is_wrong_is_convicted_by_name(name):
    result = gradcheck.verify(IN_PLACE_CULPRITS[name], **WAVE, **QUICK, witness="contract")
    assert result.verdict == "disagree"
    assert "in the in-place spelling" in " ".join(result.blocks[0].split())


@pytest.mark.parametrize("name", IN_PLACE_CULPRITS)
def test_no_other_witness_sees_what_is_wrong_in_place(name):
    others = ("value", "reverse", "forward", "functional")
    result = gradcheck.verify(IN_PLACE_CULPRITS[name], **WAVE, **QUICK, witness=others)
    assert result.verdict == "agree"


@pytest.mark.parametrize("name", IN_PLACE_TWINS)
def test_a_right_in_place_spelling_is_acquitted(name):
    result = gradcheck.verify(IN_PLACE_TWINS[name], **WAVE, **QUICK, witness="contract")
    assert result.verdict == "agree"


@pytest.mark.parametrize(("wrong", "verdict"), [(True, "disagree"), (False, "agree")])
def test_pytorchs_operators_are_asked_in_place_too(monkeypatch, wrong, verdict):
    write, calls = torch.Tensor.sin_, []

    def sin_(tensor):
        calls.append(tensor)
        return write(tensor).mul(1.5 if wrong else 1.0)

    monkeypatch.setattr(torch.Tensor, "sin_", sin_)
    result = gradcheck.verify("torch.sin(x)*y", **WAVE, **QUICK, witness="contract")
    assert (result.verdict, bool(calls)) == (verdict, True)
