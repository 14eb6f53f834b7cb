"""PyTorch's own finite differences."""

import numpy as np
import pytest
import torch
from invocations import FINE, Sine, SineOfWrongSign, batch, invocation, said

from gradcheck.answer import FiniteDifferenceSettings, Ruling
from gradcheck.methods import gradcheck


def rulings(answers):
    return [(answer.label.rpartition(".")[2], answer.ruling) for answer in answers]


def product(x, y):
    return x.sin() * y


def test_right_code_passes_both():
    answers = said(gradcheck.answer(invocation(product, 1.0, 2.0, first=FINE, second=FINE)))
    assert rulings(answers) == [
        ("gradcheck", Ruling.AGREE),
        ("gradgradcheck", Ruling.AGREE),
    ]
    assert [answer.entries for answer in answers] == [2, 2]


def test_a_batch_is_examined_point_by_point():
    points = batch(product, [1.0, 2.0, 3.0], [0.5, 0.25, 0.125], first=FINE, second=FINE)
    assert [answer.entries for answer in gradcheck.answer(points)] == [6, 6]


def test_order_one_leaves_the_second_out():
    answers = said(gradcheck.answer(invocation(torch.sin, 1.0, first=FINE, order=1)))
    assert rulings(answers) == [("gradcheck", Ruling.AGREE)]


def test_without_settings_it_abstains():
    assert rulings(gradcheck.answer(invocation(torch.sin, 1.0))) == [
        ("gradcheck", Ruling.ABSTAIN),
        ("gradgradcheck", Ruling.ABSTAIN),
    ]


@pytest.mark.parametrize("function", [SineOfWrongSign.apply, lambda x: x.detach() * 3])
def test_a_culprit_is_convicted(function):
    first, *_ = gradcheck.answer(invocation(function, 1.0, first=FINE))
    assert first.ruling is Ruling.DISAGREE
    assert first.reason.startswith("at 1.0: ")


def test_a_culprit_at_one_point_of_a_batch_is_convicted_there():
    def kinked(x):
        return torch.where(x > 2, x.detach(), x)

    answers = said(gradcheck.answer(batch(kinked, [1.0, 3.0, 4.0], first=FINE, order=1)))
    assert rulings(answers) == [("gradcheck", Ruling.DISAGREE), ("gradcheck", Ruling.AGREE)]
    assert answers[0].reason.startswith("at 3.0: ")


def test_in_float32_no_warning_escapes():
    coarse = FiniteDifferenceSettings(step=2.0**-8, atol=1e-2, rtol=1e-2)
    single = invocation(product, 1.0, 2.0, dtype="float32", first=coarse, second=coarse)
    assert [ruling for _, ruling in rulings(gradcheck.answer(single))] == [Ruling.AGREE] * 2


def test_the_same_seed_gives_the_same_text_and_leaves_the_generator_alone():
    culprit = invocation(SineOfWrongSign.apply, 1.0, first=FINE, second=FINE)
    state = torch.get_rng_state()
    one, two = said(gradcheck.answer(culprit)), said(gradcheck.answer(culprit))
    assert one == two
    assert torch.equal(torch.get_rng_state(), state)


def test_a_constant_has_no_second_derivative_to_examine():
    constant = invocation(lambda x: torch.ones((), dtype=x.dtype), 1.0, first=FINE, second=FINE)
    assert rulings(gradcheck.answer(constant)) == [
        ("gradcheck", Ruling.AGREE),
        ("gradgradcheck", Ruling.ABSTAIN),
    ]


def test_linear_and_unused_inputs_pass():
    linear = invocation(lambda x, y: 3 * x, 1.0, 2.0, first=FINE, second=FINE)
    assert [ruling for _, ruling in rulings(gradcheck.answer(linear))] == [Ruling.AGREE] * 2


def test_an_own_function_passes():
    own = invocation(Sine.apply, np.array([0.5, 1.0]), output_shape=(2,), first=FINE, second=FINE)
    assert [ruling for _, ruling in rulings(gradcheck.answer(own))] == [Ruling.AGREE] * 2


def test_an_exception_is_a_disagreement():
    def refuse(x):
        raise ValueError("not today")

    first, *_ = gradcheck.answer(invocation(refuse, 1.0, first=FINE))
    assert (first.ruling, first.reason) == (Ruling.DISAGREE, "raised ValueError: not today")


def of_a_symmetric(x):
    if not torch.equal(x, x.mT):
        raise ValueError("no symmetric matrix")
    return x[0, 1] * x[1, 0]


def test_code_that_refuses_what_differences_take_is_not_judged_by_them():
    """But what raises at the point itself is a disagreement."""
    asked = {"first": FINE, "second": FINE}
    refused = said(gradcheck.answer(invocation(of_a_symmetric, [[1.0, 0.5], [0.5, 1.0]], **asked)))
    assert rulings(refused) == [("gradcheck", Ruling.ABSTAIN), ("gradgradcheck", Ruling.ABSTAIN)]
    assert all("beside the point" in each.reason for each in refused)
    wrong = said(gradcheck.answer(invocation(of_a_symmetric, [[1.0, 0.5], [0.0, 1.0]], **asked)))
    assert {each.ruling for each in wrong} == {Ruling.DISAGREE}


def shifted(x):
    """The identity, by numbers a million times as large: a difference of step 1e-6 has 4 digits."""
    return (x + 1e6) - 1e6


def steeper(x):
    return shifted(x) + (x - x.detach()) / 2


@pytest.mark.parametrize(
    ("function", "most", "ruling"),
    [
        (shifted, 1e-2, Ruling.AGREE),
        (steeper, 1e-2, Ruling.DISAGREE),
        (shifted, 1e-4, Ruling.ABSTAIN),  # the noise is more than what proves anything
    ],
)
def test_the_noise_of_the_code_itself_is_allowed_for(function, most, ruling):
    settings = FiniteDifferenceSettings(step=1e-6, atol=1e-8, rtol=1e-6, most=most)
    (answer,) = said(gradcheck.answer(invocation(function, 1.3, first=settings, order=1)))
    assert answer.ruling is ruling


class NoisyForward(torch.autograd.Function):
    """A square whose jvp loses digits when derived; its second derivative is 2 + ``fault``."""

    fault = 0.0

    @staticmethod
    def forward(x):
        return x * x

    setup_context = staticmethod(Sine.setup_context)

    @classmethod
    def backward(cls, context, cotangent):
        (x,) = context.saved_tensors
        return (2 * x + cls.fault * (x - x.detach())) * cotangent

    @staticmethod
    def jvp(context, tangent):
        (x,) = context.saved_tensors
        return (x * 1e13 - x * (1e13 - 2)) * tangent


class NoisyForwardOfWrongSecond(NoisyForward):
    fault = 1e-3


@pytest.mark.parametrize(
    ("function", "ruling"),
    [(NoisyForward, Ruling.AGREE), (NoisyForwardOfWrongSecond, Ruling.DISAGREE)],
)
def test_noise_of_calls_that_are_not_compared_excuses_nothing(function, ruling):
    settings = FiniteDifferenceSettings(step=1e-4, atol=1e-8, rtol=1e-6, most=1.0)
    call = invocation(function.apply, 1.3, first=settings, second=settings)
    assert rulings(said(gradcheck.answer(call)))[-1] == ("gradgradcheck", ruling)


def by_numpy(x):
    return torch.as_tensor(shifted(x.detach().numpy())) + x - x.detach()


@pytest.mark.parametrize(("unseen", "ruling"), [(1e-2, Ruling.AGREE), (0.0, Ruling.DISAGREE)])
def test_what_cannot_be_looked_into_is_allowed_what_the_formula_is(unseen, ruling):
    settings = FiniteDifferenceSettings(step=1e-6, atol=1e-8, rtol=1e-6, unseen=unseen)
    (answer,) = said(gradcheck.answer(invocation(by_numpy, 1.3, first=settings, order=1)))
    assert answer.ruling is ruling
