"""Who is wrong, and what the error looks like: said in whole sentences, for each pattern."""

import pytest
import torch
from culprits import FAULTS, PLANE, case_of, check_of, culprit

from gradcheck.answer import Effort, Ruling
from gradcheck.run import examine
from gradcheck.run.blame import blame

BRIEF = Effort(points=64)
BY_NAME = {fault.name: fault for fault in FAULTS}
VALUE = "the implementation's value is wrong: its forward computation is not the formula's"
BACKWARD = "the backward is wrong: value and forward mode are not contradicted"
FORWARD = "the forward mode (jvp) is wrong: value and backward are right"
BOTH = "the backward and the forward mode are both wrong: the value is right"
SECOND = "the second derivative is wrong: value and first derivatives are right"
ANOTHER = (
    "the implementation computes another function than the formula: its value and its gradient "
    "are both off; compare what the code means with what the case states"
)
NOISE = "only finite differences disagree: the implementation is not smooth in its rounding"


def convicted(declaration, function, witness):
    outcome = examine(check_of(case_of(declaration, function), witness), BRIEF)
    assert outcome.ruling is Ruling.DISAGREE
    return outcome


def planted(name, place, witness):
    fault = BY_NAME[name]
    return convicted(fault.base.declaration, culprit(fault, place), witness)


def doubled(x):
    """Twice the slope of the identity, in both modes."""
    return x + (x - x.detach())


@pytest.mark.parametrize(
    ("place", "witness", "text"),
    [
        ("value", "value", VALUE),
        ("backward", "reverse", BACKWARD),
        ("jvp", "forward", FORWARD),
        ("second", "second", SECOND),
        ("backward", "gradcheck", BACKWARD),
    ],
)
def test_the_place_of_the_fault_is_named(place, witness, text):
    assert planted("wrong sign", place, witness).blame == text


@pytest.mark.parametrize("witness", ["reverse", "forward"])
def test_a_fault_in_both_modes_is_named_so(witness):
    outcome = convicted("{formula: sin(x), inputs: {x: real}}", lambda x: doubled(x).sin(), witness)
    assert outcome.blame == BOTH
    assert outcome.guess == "a constant factor of 2"


@pytest.mark.parametrize("witness", ["value", "reverse"])
def test_a_formula_that_means_another_function_is_blamed_before_pytorch(witness):
    wrong = "{formula: 2*x + 1, inputs: {x: real}}"
    assert convicted(wrong, lambda x: 3 * x, witness).blame == ANOTHER


def test_every_witness_is_heard_about_the_smallest_input():
    outcome = planted("wrong sign", "backward", "reverse")
    assert [witness for witness, _ in outcome.statements] == [
        "symbolic",
        "value",
        "reverse",
        "forward",
        "gradcheck",
        "second",
    ]
    told = dict(outcome.statements)
    assert told["symbolic"] == "2 of 2 derivatives enclosed, by two derivations that agree"
    assert told["value"].startswith("agrees: y = ")
    assert told["reverse"].startswith("disagrees: ")
    assert told["forward"].startswith("agrees: ")
    assert told["gradcheck"].startswith("disagrees: ")


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (("value",), VALUE),
        (("value", "gradcheck", "second"), VALUE),
        (("value", "reverse", "gradcheck"), ANOTHER),
        (("value", "reverse", "forward", "gradcheck", "second"), ANOTHER),
        (("value", "forward"), VALUE),
        (("reverse",), BACKWARD),
        (("reverse", "gradcheck", "second"), BACKWARD),
        (("reverse", "forward", "second"), BOTH),
        (("forward", "second"), FORWARD),
        (("second", "gradcheck"), SECOND),
        (("gradcheck",), NOISE),
        ((), "reverse is wrong only in other calls than a single point's"),
    ],
)
@pytest.mark.parametrize("how", ["disagrees: y = 1, true 2", "is inaccurate: y = 1, true 2"])
def test_the_pattern_of_disagreement_decides(wrong, text, how):
    names = ("value", "reverse", "forward", "gradcheck", "second")
    said = tuple((name, how if name in wrong else "agrees: y = 1") for name in names)
    assert blame("reverse", said) == text


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (
            lambda x: x.nonsense(),
            "raised AttributeError: 'Tensor' object has no attribute 'nonsense'",
        ),
        (lambda x: x.reshape(1), "the result has shape [1], expected []"),
    ],
)
@pytest.mark.parametrize("witness", ["value", "reverse"])
def test_code_that_fails_is_not_blamed_on_mathematics(function, reason, witness):
    outcome = convicted("{formula: x**2, inputs: {x: real}}", function, witness)
    assert outcome.reason == reason
    assert outcome.blame == "the implementation itself fails, whatever is asked of it"


def test_who_is_wrong_at_one_of_the_points_is_wrong():
    """A wrong first derivative of a bilinear function vanishes at 0, where shrinking ends."""
    at_zero = (("value", "agrees: y = 0"), ("reverse", "agrees: 0"), ("second", "disagrees: 1"))
    before = (("value", "agrees: y = 6"), ("reverse", "disagrees: 2"), ("second", "disagrees: 1"))
    assert blame("second", at_zero) == SECOND
    assert blame("second", at_zero, before) == BACKWARD


def test_an_abstention_contradicts_nobody():
    said = (("value", "abstains: no"), ("reverse", "disagrees: no"), ("forward", "abstains: no"))
    assert blame("reverse", said) == BACKWARD


# guesses


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("wrong sign", "the sign"),
        ("zero", "zero, where the truth is not"),
        ("factor 1.01", "a constant factor of 1.01"),
        ("ignores the direction", "ignores the cotangent"),
        ("computed in float32", "lost accuracy, as if computed in lower precision"),
        ("factor 1 + 1e-9", "a constant factor of 1 + 1e-09"),
        ("factor 1 + 1e-6", "a constant factor of 1 + 1e-06"),
        ("NaN", "not a number"),
    ],
)
def test_a_wrong_backward_is_guessed(name, guess):
    assert planted(name, "backward", "reverse").guess == guess


def test_an_error_that_fits_nothing_is_not_guessed_at():
    """One number at one point: a factor and a missing term look alike."""
    declaration = "{formula: x**2, inputs: {x: real}, order: 1, points: [{at: {x: 3}}]}"
    function = lambda x: x**2 + (x - x.detach()) * (x == 3)  # noqa: E731 - read beside its formula
    assert convicted(declaration, function, "reverse").guess == ""


def test_a_backward_that_ignores_the_cotangent_is_guessed_from_its_second_derivative():
    outcome = planted("ignores the direction", "backward", "second")
    assert outcome.guess == "ignores the cotangent"


def test_a_missing_term_is_guessed():
    assert planted("dropped term", "backward", "reverse").guess == "a missing or an extra term"


def test_a_term_too_many_is_guessed():
    outcome = convicted(
        "{formula: x**2 + y, inputs: {x: '[1, 2]', y: '[1, 2]'}}",
        lambda x, y: x**2 + y + (x - x.detach()) * 0.5 + (y - y.detach()) * 3,
        "reverse",
    )
    assert outcome.guess == "a missing or an extra term"


def test_a_gradient_of_a_constant_is_guessed():
    outcome = convicted(
        "{formula: x + 0*y, inputs: {x: real, y: real}}",
        lambda x, y: x + (y - y.detach()),
        "reverse",
    )
    assert outcome.guess == "not zero, where the truth is"


class TransposedBackward(torch.autograd.Function):
    """The sum of the weighted entries of a matrix, with the weights transposed in the backward."""

    @staticmethod
    def forward(x):
        return (x * weights(x)).sum()

    @staticmethod
    def setup_context(context, inputs, output):
        context.save_for_backward(*inputs)

    @staticmethod
    def backward(context, cotangent):
        (x,) = context.saved_tensors
        return cotangent * weights(x).T


def weights(x):
    return torch.tensor([[1.0, 2.0], [4.0, 8.0]], dtype=x.dtype)


def test_a_transposed_gradient_is_guessed():
    outcome = convicted(
        "{formula: sum(k * x), inputs: {x: {shape: [2, 2]}}, order: 1,"
        " constants: {k: [[1, 2], [4, 8]]}}",
        TransposedBackward.apply,
        "reverse",
    )
    assert outcome.guess == "transposed: the right numbers in the wrong places"


def test_the_plane_is_still_smooth_enough_for_these_tests():
    check = check_of(case_of(PLANE.declaration), "reverse")
    assert examine(check, BRIEF).ruling is Ruling.AGREE
