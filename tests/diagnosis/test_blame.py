"""Who is wrong, and what the error looks like: said in whole sentences, for each pattern."""

import pytest
import torch
from culprits import FAULTS, PLANE, case_of, check_of, culprit

from gradcheck.answer import EntryReport, Ruling, RunOptions, Statement
from gradcheck.diagnosis import examine
from gradcheck.diagnosis.blame import WrongCalls, attribute

BRIEF = RunOptions(points=64)
BY_NAME = {fault.name: fault for fault in FAULTS}
VALUE = "the value is wrong: the forward computation is not the formula's"
BACKWARD = "the backward is wrong"
FORWARD = "the forward mode (jvp) is wrong"
BOTH = "the backward and the forward mode (jvp) are both wrong"
SECOND = "the second derivative is wrong"
ANOTHER = "another function than the formula is computed: value and gradient are both off"
NOISE = "only finite differences disagree: the implementation is not smooth in its rounding"
UNDER_TRANSFORMS = "the derivative under torch.func is wrong, and finite differences disagree"
ONLY_AT_ONCE = (
    "the backward is wrong, but only where several derivatives or points are asked for at once"
)
FAILS = "the implementation itself fails, whatever is asked of it"
NAMES = ("value", "reverse", "functional", "forward", "contract", "gradcheck", "second")


def convicted(declaration, function, witness):
    outcome = examine(check_of(case_of(declaration, function), witness), BRIEF)
    assert outcome.verdict is Ruling.DISAGREE
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
    assert str(outcome.guess) == "a constant factor of 2"


@pytest.mark.parametrize("witness", ["value", "reverse"])
def test_a_formula_that_means_another_function_is_blamed_before_pytorch(witness):
    wrong = "{formula: 2*x + 1, inputs: {x: real}}"
    assert convicted(wrong, lambda x: 3 * x, witness).blame == ANOTHER


def test_every_witness_is_heard_about_the_smallest_input():
    outcome = planted("wrong sign", "backward", "reverse")
    assert [each.witness for each in outcome.statements] == ["symbolic", *NAMES]
    told = {each.witness: each for each in outcome.statements}
    assert told["symbolic"].note == "2 of 2 derivatives enclosed, by symbolic+reverse"
    assert {name: told[name].ruling for name in NAMES} == {
        "value": Ruling.AGREE,
        "reverse": Ruling.DISAGREE,
        "functional": Ruling.DISAGREE,
        "forward": Ruling.AGREE,
        "contract": Ruling.DISAGREE,
        "gradcheck": Ruling.DISAGREE,
        "second": Ruling.DISAGREE,
    }
    assert told["gradcheck"].entry_report is None


def said(wrong, how=Ruling.DISAGREE):
    """What the witnesses say at one input, where some are wrong, in numbers."""
    return tuple(
        Statement(name, how if name in wrong else Ruling.AGREE, EVIDENCE) for name in NAMES
    )


EVIDENCE = EntryReport({"x": 1.0}, "y", "value", 1.0, "2", "0", 1.0, 1.0, Ruling.DISAGREE, "off")


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
        (("functional", "gradcheck"), UNDER_TRANSFORMS),
        ((), ONLY_AT_ONCE),
    ],
)
def test_the_pattern_of_disagreement_decides(wrong, text):
    assert attribute("reverse", Ruling.DISAGREE, said(wrong)).text == text


@pytest.mark.parametrize(
    ("order", "text"), [(1, "right in eager mode, wrong under torch.vmap"), (2, SECOND)]
)
def test_a_wrong_second_derivative_hides_no_call_for_a_first_one(order, text):
    calls = WrongCalls("wrong under torch.vmap", order)
    statements = said(("functional", "second"))
    assert attribute("functional", Ruling.DISAGREE, statements, calls=calls).text == text


def doubles_its_input(x):
    return x.detach().mul_(2) * 0 + x.mul(1)


def test_what_is_no_wrong_number_is_said_to_look_like_nothing():
    outcome = convicted("{formula: x, inputs: {x: real}}", doubles_its_input, "value")
    assert outcome.reason == "the implementation changed its input 0"
    assert (outcome.blame, outcome.guess) == (outcome.reason, None)


CHANGED = Statement("value", Ruling.DISAGREE, note="the implementation changed its input 0")


@pytest.mark.parametrize(
    ("others", "text"),
    [
        ((), CHANGED.note),
        (("gradcheck",), CHANGED.note),
        (NAMES[1:], FAILS),
    ],
)
def test_what_only_some_calls_show_is_not_said_of_all(others, text):
    statements = (CHANGED, *said(others)[1:])
    assert attribute("value", Ruling.DISAGREE, statements).text == text


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (("reverse",), "accuracy is lost in the backward: no formula is wrong"),
        (
            ("reverse", "forward"),
            "accuracy is lost in the backward and the forward mode: no formula is wrong",
        ),
        (
            ("value", "reverse", "second"),
            "accuracy is lost in the value, the backward and the second derivative: "
            "no formula is wrong",
        ),
        ((), ONLY_AT_ONCE),
    ],
)
def test_where_accuracy_alone_is_lost_nobody_is_called_wrong(wrong, text):
    assert attribute("reverse", Ruling.INACCURATE, said(wrong, Ruling.INACCURATE)).text == text


def test_an_inaccurate_value_is_not_laid_to_a_wrong_backward():
    witnesses = (
        Statement("value", Ruling.INACCURATE, EVIDENCE),
        Statement("reverse", Ruling.DISAGREE, EVIDENCE),
    )
    text = attribute("value", Ruling.INACCURATE, witnesses).text
    assert text == "accuracy is lost in the value: no formula is wrong"
    assert attribute("reverse", Ruling.DISAGREE, witnesses).text == BACKWARD


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
    assert outcome.blame == FAILS


def test_who_is_wrong_at_one_of_the_inputs_is_wrong_and_that_input_is_shown():
    """A wrong first derivative of a bilinear function vanishes at 0, where shrinking ends."""
    at_zero, before = said(("second",)), said(("reverse", "second"))
    alone = attribute("second", Ruling.DISAGREE, at_zero)
    assert (alone.text, alone.place) == (SECOND, 0)
    both = attribute("second", Ruling.DISAGREE, at_zero, before)
    assert (both.text, both.place) == (BACKWARD, 1)


def test_of_inputs_that_tell_the_same_the_first_is_shown():
    same = said(("reverse",)), said(("reverse", "second"))
    assert attribute("reverse", Ruling.DISAGREE, *same).place == 0


def test_an_abstention_contradicts_nobody():
    witnesses = (
        Statement("value", Ruling.ABSTAIN, note="no"),
        Statement("reverse", Ruling.DISAGREE, note="no"),
        Statement("forward", Ruling.ABSTAIN, note="no"),
    )
    assert attribute("reverse", Ruling.DISAGREE, witnesses).text == BACKWARD


def test_a_value_that_is_no_number_means_that_the_code_fails():
    witnesses = (
        Statement("value", Ruling.DISAGREE, note="raised ValueError: no"),
        Statement("reverse", Ruling.DISAGREE, note="raised ValueError: no"),
    )
    assert attribute("reverse", Ruling.DISAGREE, witnesses).text == FAILS


# text and table


class BadSwish(torch.autograd.Function):
    """x·sigmoid(x) with x·x for x in its backward: at 0 that shows in the second derivative."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(context, cotangent):
        (x,) = context.saved_tensors
        s = torch.sigmoid(x)
        return cotangent * (s + x * x * s * (1 - s))


SWISH = "{formula: x / (1 + exp(-x)), inputs: {x: '(-5, 5)'}}"


def ruling_of(outcome, witness):
    return next(each.ruling for each in outcome.statements if each.witness == witness)


def test_the_backward_is_called_wrong_beside_an_input_where_it_is():
    outcome = convicted(SWISH, BadSwish.apply, "second")
    assert outcome.smallest[0].at == {"x": 0.0}
    assert outcome.blame == BACKWARD
    assert outcome.stated_at != {"x": 0.0}
    assert ruling_of(outcome, "reverse") is Ruling.DISAGREE


def test_the_smallest_input_is_kept_where_the_fault_shows_there():
    outcome = convicted(SWISH, BadSwish.apply, "reverse")
    assert outcome.stated_at == outcome.smallest[0].at
    assert ruling_of(outcome, "reverse") is Ruling.DISAGREE


def test_a_loss_of_accuracy_is_not_called_wrong():
    lossy = case_of("{formula: expm1(x), inputs: {x: '(-60, -30)'}, torch: torch.expm1(x)}")
    outcome = examine(check_of(lossy, "reverse"), RunOptions(points=64, strict_accuracy=True))
    assert outcome.verdict is Ruling.INACCURATE
    assert outcome.blame.startswith("accuracy is lost in the backward")


# plain derivatives


class Cubic(torch.autograd.Function):
    """3x², with the gradient of 3x³."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return 3 * x**2

    @staticmethod
    def backward(context, cotangent):
        (x,) = context.saved_tensors
        return cotangent * 9 * x**2


SQUARE = "{formula: 3*x**2, inputs: {x: real}, order: 1}"


def test_derivatives_are_told_without_a_cotangent_and_each_once():
    outcome = convicted(SQUARE, Cubic.apply, "reverse")
    (entry,) = outcome.smallest
    assert entry.index == "∂y/∂x"
    assert (entry.at, entry.got, float(entry.true)) == ({"x": 1.0}, 9.0, 6.0)
    assert entry.label == "torch.autograd.grad and Tensor.backward"
    assert (entry.directions, entry.only_so) == ((), False)


def test_the_worst_input_is_told_in_derivatives_too():
    bounded = SQUARE.replace("real", "'(-100, 100)'")  # beyond, 9x² overflows along 1 alone
    outcome = convicted(bounded, Cubic.apply, "reverse")
    entry = outcome.failures[0]
    assert (entry.index, entry.directions) == ("∂y/∂x", ())
    assert outcome.worst == entry
    assert outcome.reason == entry.reason
    assert [each.at for each in outcome.failures].count(entry.at) == 1


def test_the_table_tells_derivatives_too():
    outcome = convicted(SQUARE, Cubic.apply, "reverse")
    told = next(each for each in outcome.statements if each.witness == "reverse")
    assert (told.entry_report.index, told.entry_report.got) == ("∂y/∂x", 9.0)


class SineWithoutCotangent(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(context, cotangent):
        (x,) = context.saved_tensors
        return x.cos()


def test_where_a_contraction_alone_fails_its_cotangent_is_told():
    sine = "{formula: sin(x), inputs: {x: '(-3, 3)'}, order: 1}"
    outcome = convicted(sine, SineWithoutCotangent.apply, "reverse")
    (entry,) = outcome.smallest
    ((name, (weight,)),) = entry.directions
    assert (name, entry.only_so) == ("cotangent", True)
    assert entry.index == f"{weight:g}·∂y/∂x"
    assert (entry.got, float(entry.true)) == (1.0, weight)


def test_a_sum_of_derivatives_names_those_that_are_not_zero():
    """Of twelve outputs not each has a call of its own: a cotangent of ones adds them up."""
    wide = "{formula: x**2, inputs: {x: {domain: '(-3, 3)', shape: [12]}}, order: 1}"
    outcome = convicted(wide, lambda x: 2 * x**2 - (x**2).detach(), "reverse")
    entry = outcome.smallest[0]
    number = entry.index.partition("[")[2].partition("]")[0]
    assert entry.index == f"∂y[{number}]/∂x[{number}]"
    assert (entry.directions, entry.only_so) == ((("cotangent", (1.0,) * 12),), False)


# guesses


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("wrong sign", "the sign"),
        ("zero", "zero, where the truth is not"),
        ("factor 1.01", "a constant factor of 1.01"),
        ("ignores the direction", "ignores the cotangent"),
        ("computed in float32", "lost accuracy, as if computed in float32"),
        ("factor 1 + 1e-9", "a constant factor of 1 + 1e-09: a constant of 9 digits"),
        ("factor 1 + 1e-6", "a constant factor of 1 + 1e-06: a constant of 6 digits"),
        ("NaN", "not a number"),
        ("wrong at negative inputs", "wrong, only where x < 0"),
        ("wrong at exactly 0", "wrong, only where x = 0"),
        ("wrong at ties", "wrong, only where x = y"),
        ("only the first entry", "zero, where the truth is not, only in x[1:]"),
        ("dropped term", "a missing term: in sin(x)*cos(y) + x*y the derivative by x*y"),
    ],
)
def test_a_wrong_backward_is_guessed(name, guess):
    assert str(planted(name, "backward", "reverse").guess) == guess


@pytest.mark.parametrize(
    ("place", "witness", "guess"),
    [
        ("jvp", "forward", "ignores the tangent"),
        (
            "backward",
            "second",
            "ignores the cotangent, only by forward over reverse and reverse over reverse",
        ),
    ],
)
def test_a_direction_that_is_ignored_is_guessed_in_other_modes(place, witness, guess):
    assert str(planted("ignores the direction", place, witness).guess) == guess


class SineWithoutGraph(torch.autograd.Function):
    """Its backward multiplies by a number of the forward, of which autograd knows nothing."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x.cos())
        return x.sin()

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0]


def test_a_double_backward_of_zeros_says_what_its_author_is_to_do():
    sine = "{formula: sin(x), inputs: {x: '(-3, 3)'}}"
    guess = convicted(sine, SineWithoutGraph.apply, "second").guess
    assert str(guess) == "double backward returns zeros: mark it once_differentiable"


def test_a_value_without_a_term_is_guessed():
    guess = planted("dropped term", "value", "value").guess
    assert str(guess) == "x*y is left out of sin(x)*cos(y) + x*y"


def test_each_input_may_have_an_error_of_its_own():
    outcome = convicted(
        "{formula: x**2 + y, inputs: {x: '[1, 2]', y: '[1, 2]'}}",
        lambda x, y: x**2 + y + (x - x.detach()) * 0.5 + (y - y.detach()) * 3,
        "reverse",
    )
    assert str(outcome.guess) == "in x off by a constant by x: 0.5; in y a constant factor of 4"


def test_a_gradient_where_there_is_none_is_guessed():
    outcome = convicted(
        "{formula: x + floor(y), inputs: {x: real, y: '(0, 9)'}}",
        lambda x, y: x + y.floor() + (y**2 - (y**2).detach()),
        "reverse",
    )
    assert str(outcome.guess) == "not zero, where the truth is"


def test_the_plane_is_still_smooth_enough_for_these_tests():
    check = check_of(case_of(PLANE.declaration), "reverse")
    assert examine(check, BRIEF).verdict is Ruling.AGREE


class WrongPushOfComplexNumbers(torch.autograd.Function):
    """|z|², whose jvp has a wrong sign in the imaginary part."""

    @staticmethod
    def forward(z):
        return z.real**2 + z.imag**2

    @staticmethod
    def setup_context(context, inputs, output):
        context.save_for_forward(*inputs)
        context.save_for_backward(*inputs)

    @staticmethod
    def backward(context, cotangent):
        return 2 * cotangent * context.saved_tensors[0]

    @staticmethod
    def jvp(context, tangent):
        (z,) = context.saved_tensors
        return 2 * (z.real * tangent.real - z.imag * tangent.imag)


def test_who_is_wrong_is_said_of_complex_numbers_too():
    case = case_of("{formula: re(z)**2 + im(z)**2, inputs: {z: complex}}",
                   WrongPushOfComplexNumbers.apply)  # fmt: skip
    outcome = examine(check_of(case, "forward", "complex128"), BRIEF)
    assert outcome.blame == FORWARD
    assert outcome.statements[0].note.startswith("2 of 2 derivatives enclosed")
