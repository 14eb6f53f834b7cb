"""What a case states at a point holds for PyTorch, whatever the formula is or is not there."""

import math

import pytest
import torch
from wrongs import ruled

from gradcheck.answer import Ruling

NAN, INF = math.nan, math.inf


class Rigged(torch.autograd.Function):
    """A function of one number whose value, slope or second derivative at one place is changed."""

    @staticmethod
    def forward(x, parts, change):
        return change(x, parts[0](x), "value")

    @staticmethod
    def setup_context(context, inputs, output):
        context.save_for_backward(inputs[0])
        context.save_for_forward(inputs[0])
        context.rest = inputs[1:]

    @staticmethod
    def backward(context, cotangent):
        (x,) = context.saved_tensors
        return cotangent * slope_of(x, *context.rest), None, None

    @staticmethod
    def jvp(context, tangent, *_):
        (x,) = context.saved_tensors
        return tangent * slope_of(x, *context.rest)


def slope_of(x, parts, change):
    if len(parts) == 2:
        return change(x, parts[1](x), "slope")
    return Rigged.apply(x, parts[1:], lambda at, number, what: change(at, number, WHAT[what]))


WHAT = {"value": "slope", "slope": "second"}


def rigged(parts, at, what, number):
    """The function of ``parts`` (value, slope, second), whose ``what`` at ``at`` is ``number``."""

    def change(x, found, about):
        return torch.where(x == at, number, found) if about == what else found

    return lambda x: Rigged.apply(x, parts, change)


def zero(x):
    return torch.zeros_like(x)


# a kink (hull [-1/2, 1/2] of what is |x|/2), a jump, a branch that overflows, an open quotient
HALF = ("max(x, -x) - abs(x)/2", 0.0, (lambda x: x.abs() / 2, lambda x: x.sign() / 2, zero))
STEP = ("floor(x)", 0.0, (torch.floor, zero, zero))
FAR = (
    "where(x <= 0, exp(x), 1 + x)",
    900.0,
    (
        lambda x: torch.where(x <= 0, x.clamp(max=0).exp(), 1 + x),
        lambda x: torch.where(x <= 0, x.clamp(max=0).exp(), 1.0),
        lambda x: torch.where(x <= 0, x.clamp(max=0).exp(), 0.0),
    ),
)
OPEN = ("x**4*sin(1/x)/x", 0.0, (zero, zero, zero))
SMOOTH = ("x**2", 3.0, (torch.square, lambda x: 2 * x, lambda x: 0 * x + 2))
PLACES = {"kink": HALF, "jump": STEP, "overflow": FAR, "undefined": OPEN, "smooth": SMOOTH}

ANSWERS = {
    "kink": {"value": 0, "slope": 0},
    "jump": {"value": 0, "slope": 0, "second": 0},
    "overflow": {"value": 901, "slope": 1, "second": 0},
    "undefined": {"value": 0, "slope": 0, "second": 0},
    "smooth": {"value": 9, "slope": 6, "second": 2},
}
KEYS = {"value": "value: %s", "slope": "gradient: {x: %s}", "second": "hessian: {x: {x: %s}}"}
WITNESSES = {"value": ["value"], "slope": ["reverse", "forward"], "second": ["second"]}
ROWS = [
    (place, what, witness)
    for place, answers in ANSWERS.items()
    for what in answers
    for witness in WITNESSES[what]
]


def stated(place, what, witness, number, known):
    """How the answer ``known`` fares where PyTorch gives ``number``; the inputs are that place."""
    formula, at, parts = PLACES[place]
    answer = ", " + KEYS[what] % known if known is not None else ""
    return ruled(
        f"{{formula: '{formula}', inputs: {{x: '[{at}, {at}]'}},"
        f" points: [{{at: {{x: {at}}}{answer}}}]}}",
        witness,
        rigged(parts, at, what, torch.tensor(float(number), dtype=torch.float64)),
    )


@pytest.mark.parametrize(("place", "what", "witness"), ROWS)
@pytest.mark.parametrize("wrong", [1.25, -7.0, NAN, INF, -INF])
def test_what_is_not_the_written_answer_disagrees(place, what, witness, wrong):
    outcome = stated(place, what, witness, ANSWERS[place][what] + wrong, ANSWERS[place][what])
    assert (outcome.verdict, outcome.place) == (Ruling.DISAGREE, "")
    assert outcome.blame != "the case itself"
    assert outcome.counts["disagree"] > 0


@pytest.mark.parametrize(("place", "what", "witness"), ROWS)
def test_what_is_the_written_answer_agrees(place, what, witness):
    known = ANSWERS[place][what]
    outcome = stated(place, what, witness, known, known)
    assert (outcome.verdict, outcome.counts.get("disagree", 0)) in (
        (Ruling.AGREE, 0),
        (Ruling.ABSTAIN, 0),  # nested forward mode knows no autograd.Function
    )
    assert outcome.counts["agree"] > 0


@pytest.mark.parametrize(
    ("place", "what", "witness", "number", "verdict"),
    [
        ("kink", "slope", "reverse", 0.25, "agree"),  # within the hull
        ("overflow", "slope", "reverse", NAN, "inaccurate"),
        ("overflow", "slope", "forward", NAN, "inaccurate"),
    ],
)
def test_without_the_written_answer_only_the_formula_speaks(place, what, witness, number, verdict):
    assert stated(place, what, witness, number, None).verdict.value == verdict
    held = stated(place, what, witness, number, ANSWERS[place][what])
    assert held.verdict is Ruling.DISAGREE


def test_the_reason_names_the_answer_in_the_case():
    outcome = stated("overflow", "slope", "reverse", NAN, 1)
    assert outcome.reason == "NaN where the answer in the case is finite"
    kink = stated("kink", "slope", "reverse", 0.25, 0)
    assert kink.reason.startswith("off by ")
    assert " from the answer in the case, where rounding explains " in kink.reason


JACOBIAN = (
    "{formula: '[max(x, y), x*y]', inputs: {x: '[2, 2]', y: '[2, 2]'}, order: 1,"
    " points: [{at: {x: 2, y: 2}, jacobian: {x: [1/2, 2], y: [1/2, 2]}}]}"
)


@pytest.mark.parametrize("witness", ["reverse", "forward"])
def test_a_written_jacobian_is_held_entry_by_entry_also_at_a_tie(witness):
    shared = ruled(JACOBIAN, witness, lambda x, y: torch.stack([torch.maximum(x, y), x * y]))
    assert shared.verdict is Ruling.AGREE
    chosen = ruled(JACOBIAN, witness, lambda x, y: torch.stack([torch.where(x >= y, x, y), x * y]))
    assert chosen.verdict is Ruling.DISAGREE
    free = JACOBIAN.replace(", jacobian: {x: [1/2, 2], y: [1/2, 2]}", "")
    chosen = ruled(free, witness, lambda x, y: torch.stack([torch.where(x >= y, x, y), x * y]))
    assert chosen.verdict is Ruling.AGREE


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_answer_that_is_written_for_an_exact_point_holds_for_the_float_beside_it(dtype):
    point = "{at: {x: pi}, value: 0, gradient: {x: -1}, hessian: {x: {x: 0}}}"
    for witness in ("value", "reverse", "forward", "second"):
        outcome = ruled(f"{{formula: sin(x), inputs: {{x: real}}, points: [{point}]}}", witness,
                        dtype=dtype)  # fmt: skip
        assert (outcome.verdict, outcome.reason) == (Ruling.AGREE, "")


MODULUS = (
    "{formula: sqrt(re(z)**2 + im(z)**2), inputs: {z: {domain: '|z| < 2'}}, order: 1,"
    " points: [{at: {z: 0}, gradient: {z: %s}}]}"
)


@pytest.mark.parametrize("witness", ["reverse", "forward"])
@pytest.mark.parametrize(("known", "agrees"), [("0", True), ("1/2", False), ("I/2", False)])
def test_a_written_gradient_by_a_complex_number_is_held_in_both_parts(witness, known, agrees):
    """Where the formula has none: PyTorch says 0."""
    outcome = ruled(MODULUS % known, witness, torch.abs, dtype="complex128")
    assert outcome.blame != "the case itself"
    assert (outcome.counts.get("disagree", 0) == 0) is agrees


@pytest.mark.parametrize(("known", "agrees"), [("0", True), ("I/2", False)])
def test_a_written_derivative_of_a_complex_output_is_held_in_both_parts(known, agrees):
    stated = (
        "{formula: I*abs(x), inputs: {x: '[-1, 1]'}, order: 1,"
        f" points: [{{at: {{x: 0}}, jacobian: {{x: {known}}}}}]}}"
    )
    outcome = ruled(stated, "reverse", lambda x: torch.complex(0 * x, x.abs()))
    assert outcome.blame != "the case itself"
    assert (outcome.counts.get("disagree", 0) == 0) is agrees


# answers that the formula itself contradicts


@pytest.mark.parametrize(
    ("formula", "at", "known", "told"),
    [
        (
            "abs(x)",
            0,
            "gradient: {x: 2}",
            "gradient in x 2.0000000000000000, expected the formula's, which lies between "
            "-1.00000 and 1.00000",
        ),
        ("x**2", 3, "value: inf", "value inf, expected the formula's, 9.0000000000000000"),
        (
            "x + I*x**2",
            1,
            "jacobian: {x: 1 - 2*I}",
            "jacobian in x 1.0000000000000000 - 2.0000000000000000j, expected the formula's, "
            "1.0000000000000000 + 2.0000000000000000j",
        ),
    ],
)
def test_an_answer_outside_the_formulas_is_a_fault_of_the_case(formula, at, known, told):
    outcome = ruled(
        f"{{formula: {formula}, inputs: {{x: real}}, order: 1,"
        f" points: [{{at: {{x: {at}}}, {known}}}]}}"
    )
    assert outcome.blame == "the case itself"
    assert outcome.reason.partition(": the ")[2] == told


@pytest.mark.parametrize(
    ("formula", "at", "known"),
    [
        ("abs(x)", "0", "gradient: {x: 0}"),
        ("floor(x)", "0", "gradient: {x: 0}"),
        ("sqrt(x)", "0", "gradient: {x: inf}"),
        ("zeta(x, 2)", "3", "gradient: {x: -0.15}"),  # no closed form is known
    ],
)
def test_where_the_formula_has_none_an_answer_is_the_users_word(formula, at, known):
    outcome = ruled(
        f"{{formula: '{formula}', inputs: {{x: '[0, 4]'}}, order: 1,"
        f" points: [{{at: {{x: {at}}}, {known}}}]}}"
    )
    assert outcome.blame != "the case itself"
