"""Known defects of PyTorch in a user's code: named where a probe tells, excused nowhere else."""

import numpy as np
import pytest
import torch
from invocations import Itself, PlainSine, batch, claims, invocation, remarks
from torch.nn import functional

from gradcheck.answer import Ruling
from gradcheck.errors import Misconduct
from gradcheck.methods import METHODS, second
from gradcheck.methods import functional as functional_witness
from gradcheck.methods._torch.defects import DEFECTS, silent_defect

pytestmark = pytest.mark.skipif(
    not torch.__version__.startswith("2.13"), reason="defects of PyTorch 2.13"
)

QKV = [[0.5, 1.0], [0.25, -1.0]]
MATRIX = [[2.0, 0.5], [0.25, 1.5]]
FIXED = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
RR, FR = second.REVERSE_REVERSE, second.FORWARD_REVERSE
RF, FF = second.REVERSE_FORWARD, second.FORWARD_FORWARD


def attention(q):
    return (torch.softmax(q @ q.T, 1) @ q).sum()


RAISING = {
    "attention": (attention, QKV, "softmax", {RF}),
    "log_softmax": (lambda x: torch.log_softmax(x, 0)[0], [0.5, 1.0], "log_softmax", {RF}),
    "cross_entropy": (
        lambda x: functional.cross_entropy(x[None], torch.tensor([1])),
        [0.5, 1.0],
        "log_softmax",
        {RF},
    ),
    "logsumexp": (lambda x: torch.logsumexp(x * x, 0), [0.5, 1.0], "logsumexp", {RF}),
    "scaled_dot_product_attention": (
        lambda q: functional.scaled_dot_product_attention(*[q[None]] * 3).sum(),
        QKV,
        "scaled_dot_product_attention",
        {RF},
    ),
    "logcumsumexp": (lambda x: torch.logcumsumexp(x, 0)[1], [0.5, 1.0], "logcumsumexp", {RF}),
    "the 1-norm": (lambda x: torch.linalg.vector_norm(x * x, 1), [0.5, -1.0], "1-norm", {RF}),
    "mse_loss": (
        lambda x: functional.mse_loss(x, torch.ones_like(x)) * 2,
        [0.5, -1.0],
        "mse_loss",
        {FR},
    ),
}

SILENT = {
    "det": (lambda x: torch.linalg.det(x).exp(), MATRIX, "det", {FR, RF, FF}),
    "solve": (
        lambda x: torch.linalg.solve(x, x.sum(0)).sum(),
        MATRIX,
        "solve",
        {FR, RF, FF},
    ),
    "logdet": (lambda x: torch.logdet(x) * 2, MATRIX, "slogdet", {FR, RF, FF}),
    "layer_norm": (
        lambda x: functional.layer_norm(x, (3,))[0] * x[1],
        [0.5, 1.0, -2.0],
        "layer_norm",
        {RF, FF},
    ),
    "batch_norm": (
        lambda x: functional.batch_norm(x[:, None], None, None, training=True)[0, 0] * x[1],
        [0.5, 1.0, -2.0],
        "batch_norm",
        {RF, FF},
    ),
    "instance_norm": (
        lambda x: functional.instance_norm(x[None, None])[0, 0, 0],
        [0.5, 1.0, -2.0],
        "batch_norm",
        {RF, FF},
    ),
    "eigh": (lambda x: torch.linalg.eigh(x + x.T)[1][0, 0] ** 2, MATRIX, "eigh", {RF}),
    "binary_cross_entropy": (
        lambda x: functional.binary_cross_entropy(torch.sigmoid(x), torch.ones_like(x)),
        -3.0,
        "binary_cross_entropy",
        {RR, FR, RF, FF},
    ),
    "cumprod": (lambda x: torch.cumprod(x, 0)[-1], [2.0, 0.0, 3.0], "cumprod", {FR, RF, FF}),
    "prod": (torch.prod, [0.0, 0.0, 3.0], "prod", {FR}),
    "logaddexp": (lambda x: torch.logaddexp(*x), [-1000.0, 0.0], "logaddexp", {RR, FR, RF, FF}),
    "sinc": (lambda x: torch.sinc(x) * 2, 0.0, "sinc", {RR, FR, RF, FF}),
}


@pytest.mark.parametrize(("function", "at", "name", "calls"), RAISING.values(), ids=RAISING)
def test_a_known_defect_that_raises_below_a_users_code_is_named_and_not_laid_on_it(
    function, at, name, calls
):
    told = remarks(second.answer(invocation(function, at, own_code=True)))
    assert {(each.ruling, each.incapable) for each in told} == {(Ruling.ABSTAIN, True)}
    assert {each.label for each in told} == calls
    assert all(each.reason.startswith(f"a known defect of PyTorch's {name}: ") for each in told)


@pytest.mark.parametrize(("function", "at", "name", "calls"), SILENT.values(), ids=SILENT)
def test_where_the_derivatives_are_pytorchs_alone_its_wrong_number_is_judged_and_named(
    function, at, name, calls
):
    answers = list(second.answer(invocation(function, at, own_code=True)))
    named = [each for each in claims(answers) if each.because]
    assert not remarks(answers)
    assert {each.label for each in named} == calls
    assert all(each.because.startswith(f"a known defect of PyTorch's {name}: ") for each in named)


@pytest.mark.parametrize(("function", "at", "name", "calls"), SILENT.values(), ids=SILENT)
def test_a_silent_defect_is_not_laid_on_code_with_a_derivative_of_its_own(
    function, at, name, calls
):
    def code(x):
        return function(Itself.apply(x))

    told = remarks(second.answer(invocation(code, at, own_code=True)))
    named = {each.label for each in told if each.reason.startswith("a known defect of PyTorch's ")}
    assert {each.ruling for each in told} == {Ruling.ABSTAIN}
    assert named == calls


def test_a_defect_of_an_operator_without_forward_mode_is_named_where_it_shows():
    def code(x):
        return torch._weight_norm(x, x[:, :1], 0).sum()

    named = [
        each
        for each in claims(second.answer(invocation(code, MATRIX, own_code=True)))
        if each.because
    ]
    assert {each.label for each in named} == {RR}
    assert named[0].because.startswith("a known defect of PyTorch's weight_norm: ")


def test_the_reason_names_the_upstream_issue():
    (told,) = remarks(second.answer(invocation(attention, QKV, own_code=True)))
    assert told.reason == (
        "a known defect of PyTorch's softmax: the forward formula multiplies in place what the "
        "backward has saved (https://github.com/pytorch/pytorch/issues/162350)"
    )


def test_of_pytorchs_own_functions_the_defect_stays_a_disagreement():
    (told,) = remarks(second.answer(invocation(attention, QKV)))
    assert (told.label, told.ruling) == (RF, Ruling.DISAGREE)


SOUND = {
    "cumprod without a zero": (lambda x: torch.cumprod(x, 0)[-1], [2.0, 1.0, 3.0]),
    "prod with one zero": (torch.prod, [2.0, 0.0, 3.0]),
    "another norm": (lambda x: torch.linalg.vector_norm(x, 2), [0.5, -1.0]),
    "logaddexp": (lambda x: torch.logaddexp(x[0], x[1]), [0.5, 1.0]),
    "batch_norm of fixed statistics": (
        lambda x: functional.batch_norm(x[:, None], *FIXED)[0, 0] * x[1],
        [0.5, 1.0, -2.0],
    ),
    "sinc off zero": (torch.sinc, 0.5),
}


@pytest.mark.parametrize(("function", "at"), SOUND.values(), ids=SOUND)
def test_arguments_of_another_kind_are_judged_in_all_four_calls(function, at):
    answers = list(second.answer(invocation(function, at, own_code=True)))
    assert not remarks(answers)
    assert len({each.label for each in claims(answers)}) == 4


@pytest.mark.parametrize("witness", ["functional", "second"])
def test_code_of_several_inputs_is_judged_beside_a_defect(witness):
    """The defect is probed by an operator of one input."""

    def code(x, y, z):
        return torch.softmax(x * y, 0)[0] * z

    asked = invocation(code, [0.5, 1.0], [1.0, 2.0], 3.0, own_code=True)
    answers = list(METHODS[witness].answer(asked))
    assert claims(answers)
    assert {each.ruling for each in remarks(answers)} <= {Ruling.ABSTAIN}


class SineOfWrongFactor(PlainSine):
    @staticmethod
    def backward(context, cotangent):
        return 1.25 * cotangent * context.saved_tensors[0].cos()


def test_a_wrong_backward_beside_a_softmax_gives_itself_away():
    def culprit(x):
        return SineOfWrongFactor.apply(x).sum() + torch.softmax(x, 0)[0]

    def twin(x):
        return PlainSine.apply(x).sum() + torch.softmax(x, 0)[0]

    def said(function):
        answers = second.answer(invocation(function, [0.5, 1.0], own_code=True))
        return {each.label: each.numbers for each in claims(answers)}

    wrong, right = said(culprit), said(twin)
    assert set(wrong) == set(right) == {RR}
    assert np.abs(wrong[RR] - right[RR]).max() > 0.05


class ChangesWhatItSaved(torch.autograd.Function):
    """A user's own mistake with the very words of the defect, in the very call."""

    @staticmethod
    def forward(x):
        return x.sin()

    @staticmethod
    def setup_context(context, inputs, output):
        context.save_for_backward(*inputs)
        context.save_for_forward(*inputs)

    @staticmethod
    def backward(context, cotangent):
        return cotangent * context.saved_tensors[0].cos()

    @staticmethod
    def jvp(context, tangent):
        slope = context.saved_tensors[0].cosh().tanh()
        product = slope * tangent * context.saved_tensors[0]
        slope.mul_(2)
        return product


def test_a_mistake_of_the_users_own_with_the_same_words_is_not_excused():
    def culprit(x):
        # The softmax is run, but of what no tangent reaches, so that it does not raise.
        return ChangesWhatItSaved.apply(x)[0] + torch.softmax(x.detach(), 0)[0]

    told = [
        each
        for each in remarks(second.answer(invocation(culprit, [0.5, 1.0], own_code=True)))
        if each.label == RF
    ]
    assert {each.ruling for each in told} == {Ruling.DISAGREE}
    assert "modified by an inplace operation" in told[0].reason


class Determinant(torch.autograd.Function):
    """det with rules of its own, so that PyTorch's defect does not show."""

    @staticmethod
    def forward(x):
        return torch.linalg.det(x)

    @staticmethod
    def setup_context(context, inputs, output):
        context.save_for_backward(*inputs)
        context.save_for_forward(*inputs)

    @staticmethod
    def rule(x, tangent):
        return (
            tangent[0, 0] * x[1, 1]
            + tangent[1, 1] * x[0, 0]
            - tangent[0, 1] * x[1, 0]
            - tangent[1, 0] * x[0, 1]
        )

    @staticmethod
    def backward(context, cotangent):
        (x,) = context.saved_tensors
        return cotangent * torch.stack(
            [torch.stack([x[1, 1], -x[1, 0]]), torch.stack([-x[0, 1], x[0, 0]])]
        )

    @staticmethod
    def jvp(context, tangent):
        return Determinant.rule(context.saved_tensors[0], tangent)


def test_an_operator_below_a_rule_of_ones_own_excuses_nothing():
    answers = list(second.answer(invocation(Determinant.apply, MATRIX, own_code=True)))
    assert {each.label for each in claims(answers)} == {RR, FR, RF}


def test_each_defect_is_told_of_in_the_findings(request):
    told = (request.config.rootpath / "docs" / "findings.md").read_text(encoding="utf-8")
    issues = {each.issue.rpartition("/")[2] for each in DEFECTS if each.issue != "not reported"}
    assert issues
    assert [issue for issue in issues if issue not in told] == []


def test_a_probe_that_sound_operators_fail_too_tells_nothing():
    """As where PyTorch gives another dtype to all that a Python float takes part in."""
    (softmax,) = (each for each in DEFECTS if each.name == "softmax")

    def question(asked):
        if asked.function is softmax.written:
            raise Misconduct("the gradient of input 0 has dtype torch.float64")
        return second.answer(asked)

    call = invocation(attention, QKV)
    assert silent_defect([softmax], "a probe", question, call) is None


def test_a_question_about_many_points_that_the_operator_alone_is_not_made_for_tells_nothing():
    """`sinc` met at 0 in a batch: alone it has one entry, and gives a number without an axis."""
    call = batch(torch.sinc, [0.0, 0.5], own_code=True)
    (told,) = [each for each in functional_witness.answer(call) if each.label == "under torch.vmap"]
    assert told.numbers.ravel().tolist() == pytest.approx([1.0, 2 / np.pi])


def sparse_product(values, others):
    places = [[0, 1], [0, 1]]
    diagonal = torch.sparse_coo_tensor(places, values, (2, 2), check_invariants=True)
    return torch.sparse.mm(diagonal, others[:, None]).square().sum()


@pytest.mark.parametrize(
    ("code", "is_named"),
    [
        (lambda x: sparse_product(x, x.exp()), True),
        (lambda x: sparse_product(torch.ones_like(x), x.exp()), False),  # no gradient by the factor
    ],
)
def test_a_sparse_factor_that_is_not_derived_again_is_named(code, is_named):
    answers = list(second.answer(invocation(code, [0.5, 1.0], own_code=True)))
    named = {each.label for each in claims(answers) if each.because}
    assert named == ({RR} if is_named else set())
    assert all(each.ruling is Ruling.ABSTAIN for each in remarks(answers))
