"""What is lacking, told from what is wrong: PyTorch's words, and who raised them."""

import functools
import re
import warnings

import numpy as np
import pytest
import torch
from invocations import (
    FINE,
    PlainSine,
    Sine,
    SineOnce,
    SineWrongInForward,
    claims,
    invocation,
    remarks,
    said,
)
from torch.utils.checkpoint import checkpoint

from gradcheck.answer import Answer, Ruling
from gradcheck.methods import contract, forward, functional, gradcheck, reverse, second, value
from gradcheck.methods._torch.calling import densified, dual_level, layouts, warm_up
from gradcheck.methods._torch.lacks import LACKS, Lack

FOUR = (
    second.REVERSE_REVERSE,
    second.FORWARD_REVERSE,
    second.REVERSE_FORWARD,
    second.FORWARD_FORWARD,
)
ONE = torch.ones(2, dtype=torch.float64)


def grown():
    return ONE.clone().requires_grad_()


def in_forward_mode(function):
    with dual_level():
        dual = torch.autograd.forward_ad.make_dual(grown(), ONE)
        result = function(dual)
        tangent = torch.autograd.forward_ad.unpack_dual(result).tangent
    torch.autograd.grad(tangent.sum(), dual)


def twice(function, x):
    (slope,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
    slope.sum().backward()


class SineWithoutJvp(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.sin()

    @staticmethod
    def setup_context(context, inputs, output):
        context.save_for_backward(*inputs)

    @staticmethod
    def backward(context, cotangent):
        return cotangent * context.saved_tensors[0].cos()


class SineAndSign(SineWithoutJvp):
    """Its second output is marked, and its jvp gives it no tangent, as PyTorch asks for."""

    @staticmethod
    def forward(x):
        return x.sin(), x.sign()

    @staticmethod
    def setup_context(context, inputs, output):
        context.save_for_backward(*inputs)
        context.save_for_forward(*inputs)
        context.mark_non_differentiable(output[1])

    @staticmethod
    def backward(context, cotangent, _):
        return cotangent * context.saved_tensors[0].cos()

    @staticmethod
    def jvp(context, tangent):
        return tangent * context.saved_tensors[0].cos(), None


def sine_and_sign(x):
    return SineAndSign.apply(x)[0]


class WithoutBackward(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x * 1


def marked_once():
    y = SineOnce.apply(grown())
    weight = torch.ones_like(y).requires_grad_()
    (slope,) = torch.autograd.grad(y, y.grad_fn.next_functions[0][0].variable, weight,
                                   create_graph=True)  # fmt: skip
    slope.sum().backward()


@torch.library.custom_op("gradcheck_lacks::slope", mutates_args=())
def slope_of_the_cube(x: torch.Tensor) -> torch.Tensor:
    return 3 * x * x


@torch.library.custom_op("gradcheck_lacks::cube", mutates_args=())
def cube_by_kernels(x: torch.Tensor) -> torch.Tensor:
    return x * x * x


cube_by_kernels.register_autograd(
    lambda ctx, cotangent: cotangent * slope_of_the_cube(*ctx.saved_tensors),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
)


TOTAL = torch.zeros((), dtype=torch.float64)


def with_running_total(x):
    TOTAL.add_(x.sum().detach())
    return x.sin()


def without_tangents(graph, _):
    """As what inductor compiles: a kernel sees numbers only."""
    return lambda *tensors: graph(
        *(torch.autograd.forward_ad.unpack_dual(t).primal for t in tensors)
    )


compiled_to_kernels = torch.compile(lambda x: x.sin() * x, backend=without_tangents)


def looked_up(x):
    return torch.nn.functional.embedding(torch.tensor([1, 0]), x, sparse=True) * 2


def stored_elsewhere():
    with torch.autograd.graph.save_on_cpu():
        return torch.func.grad(lambda x: x.sin().sum())(ONE)


def of_a_missing_kernel():
    library = torch.library.Library("gradcheck_lacks", "DEF")
    library.define("elsewhere(Tensor x) -> Tensor")
    library.impl("elsewhere", lambda x: x, "CUDA")
    try:
        torch.ops.gradcheck_lacks.elsewhere(ONE)
    finally:
        library._destroy()


def two_zeros(x):
    index = torch.zeros(2, dtype=torch.int64)
    return torch.ones(1, dtype=x.dtype).scatter_reduce(0, index, x, "prod")


compiled = torch.compile(lambda x: x.sin() * x, backend="aot_eager")


def attention(x):
    return torch.nn.functional.scaled_dot_product_attention(x, x, x)


def unpacked_in_vmap():
    with dual_level():
        torch.vmap(lambda x: torch.autograd.forward_ad.unpack_dual(x).primal)(ONE)


class ReadTwice(PlainSine):
    @staticmethod
    def backward(context, cotangent):
        return cotangent * context.saved_tensors[0].cos() + 0 * context.saved_tensors[0]


def differentiating_within(x):
    """A slope that the code works out itself, of an input that requires a gradient anyway."""
    return torch.autograd.grad((x**3).sum(), x, create_graph=torch.is_grad_enabled())[0]


def within_checkpoint(x):
    return checkpoint(lambda t: t.sin() * t, x, use_reentrant=False)


def reentrant(x):
    return checkpoint(lambda t: t.sin() * t, x, use_reentrant=True)


@functools.cache
def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and still in use
        return torch.jit.CompilationUnit("def f(x):\n  return x**3\n").f


def scripted_cube(x):
    return scripted()(x)


def sparse_rows():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sparse rows are in beta
        return torch.eye(2).to_sparse_csr()


PROVOKED = {
    "running statistics of a batch": lambda: torch.vmap(torch.nn.BatchNorm1d(2).train())(
        torch.ones(3, 4, 2)
    ),
    "NumPy of a negated view": lambda: torch._neg_view(torch.ones(2)).numpy(),
    "forward mode": lambda: in_forward_mode(lambda x: torch.cdist(x[:, None], x[:, None])),
    "a jvp": lambda: in_forward_mode(PlainSine.apply),
    "a jvp, where vmap is made": lambda: torch.func.jvp(
        torch.vmap(SineWithoutJvp.apply), (ONE,), (ONE,)
    ),
    "a marked output, where vmap is made": lambda: torch.func.jvp(
        torch.vmap(sine_and_sign), (ONE,), (ONE,)
    ),
    "strides of a sparse row": lambda: sparse_rows().stride(),
    "contiguity of a sparse row": lambda: sparse_rows().is_contiguous(),
    "whether sparse rows are coalesced": lambda: sparse_rows().is_coalesced(),
    "a backward": lambda: WithoutBackward.apply(grown()).sum().backward(),
    "a formula": lambda: twice(attention, torch.ones(1, 1, 2, 2, requires_grad=True)),
    "a second formula": lambda: twice(two_zeros, torch.zeros(2, requires_grad=True)),
    "once_differentiable": marked_once,
    "aot_autograd": lambda: twice(compiled, grown()),
    "a kernel for a backward": lambda: twice(cube_by_kernels, grown()),
    "a captured tensor": lambda: torch.func.jvp(with_running_total, (ONE,), (ONE,)),
    "a branch on numbers under vmap": lambda: torch.vmap(lambda x: x if x > 0 else -x)(
        torch.ones(2)
    ),
    "a comparison under vmap": lambda: torch.vmap(lambda x: torch.allclose(x, x))(torch.ones(2)),
    "a selection under vmap": lambda: torch.vmap(lambda x: x.masked_select(x > 0))(
        torch.ones(2, 3)
    ),
    "strides beyond the memory under vmap": lambda: torch.vmap(lambda x: x.as_strided((9,), (3,)))(
        torch.ones(2, 3)
    ),
    "no rule for vmap": lambda: torch.vmap(Sine.apply)(torch.ones(2)),
    "a sparse tensor": lambda: torch.eye(2).to_sparse().reshape(4),
    "sparse gradients of many": lambda: torch.vmap(
        lambda x: torch.func.vjp(looked_up, x)[1](torch.ones(2, 2))
    )(torch.ones(3, 2, 2)),
    "reentrant checkpoint": lambda: torch.autograd.grad(reentrant(x := grown()).sum(), x),
    "TorchScript": lambda: checkpoint(scripted_cube, grown(), use_reentrant=False).sum().backward(),
    "what was saved, read twice": lambda: torch.autograd.grad(
        checkpoint(ReadTwice.apply, x := grown(), use_reentrant=False).sum(), x
    ),
    "checkpoint": lambda: in_forward_mode(within_checkpoint),
    "no grad": lambda: ONE.sum().backward(),
    "setup_context": lambda: torch.func.jvp(PlainSine.apply, (ONE,), (ONE,)),
    "transforms": lambda: torch.func.grad(lambda x: x.requires_grad_().sum())(ONE),
    "saved tensor hooks": stored_elsewhere,
    "a batching rule": unpacked_in_vmap,
    "a pointer": lambda: torch.func.jvp(lambda x: torch.tensor(x.numpy()), (ONE,), (ONE,)),
    "a storage": lambda: ONE.to_sparse().untyped_storage(),
    "sparse in gradcheck": lambda: torch.autograd.gradcheck(
        torch.Tensor.to_sparse, (grown(),), check_batched_grad=False
    ),
    "a kernel": of_a_missing_kernel,
    "CUDA": ONE.cuda,
    "a kernel in half precision": lambda: torch.linalg.det(torch.eye(2, dtype=torch.float16)),
    "a dotted kernel in half precision": lambda: torch.linalg.lu_solve(
        torch.eye(2, dtype=torch.bfloat16),
        torch.tensor([1, 2], dtype=torch.int32),
        torch.eye(2, dtype=torch.bfloat16),
    ),
    "a transform in half precision": lambda: torch.stft(
        torch.ones(6, dtype=torch.bfloat16), 4, window=torch.ones(4).bfloat16(), return_complex=True
    ),
    "half precision": lambda: torch.linalg.inv(torch.eye(2, dtype=torch.bfloat16)),
    "complex outputs": lambda: torch.nn.functional.silu((1j * ONE).requires_grad_()),
    "an order of complex numbers": lambda: torch.maximum(1j * ONE, ONE + 1j),
}


def provoked(action):
    warm_up()  # else the first use of forward mode warns of what PyTorch deprecates
    with pytest.raises((RuntimeError, AssertionError, ValueError)) as caught:
        action()
    return caught.value


def rows(text):
    return [each for each in LACKS if re.search(each.words, text)]


@pytest.mark.parametrize("action", PROVOKED.values(), ids=PROVOKED)
def test_pytorch_still_says_so_in_words_of_the_table(action):
    assert rows(str(provoked(action)))


def test_each_row_is_provoked_or_names_its_source():
    met = {row for action in PROVOKED.values() for row in rows(str(provoked(action)))}
    assert {row for row in LACKS if row not in met} == {row for row in LACKS if row.source}


def of(label, answers):
    return [each for each in answers if each.label.startswith(label)]


# what is lacking abstains


def cube_of(name, backward=3):
    """A custom operator x³ whose backward multiplies by a factor; None: it has none."""

    @torch.library.custom_op(name, mutates_args=())
    def cube(x: torch.Tensor) -> torch.Tensor:
        return x * x * x

    if backward is not None:
        cube.register_autograd(
            lambda ctx, slope: slope * backward * ctx.saved_tensors[0] ** 2,
            setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
        )
    return cube


cube = cube_of("gradcheck_tests::cube")
library = torch.library.Library("gradcheck_tests_lib", "DEF")
library.define("cube(Tensor x) -> Tensor")
library.impl("cube", lambda x: x * x * x, "CompositeExplicitAutograd")
torch.library.register_autograd(
    "gradcheck_tests_lib::cube",
    lambda ctx, slope: slope * 3 * ctx.saved_tensors[0] ** 2,
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
)
library.define("tripled(Tensor x) -> Tensor")
library.impl("tripled", lambda x: x + x + x, "CompositeImplicitAutograd")


class CubeByHand(Sine):
    """A kernel behind a rule of one's own for either mode, as one should write it."""

    factor = 3

    @staticmethod
    def forward(x):
        return cube(x)

    @staticmethod
    def backward(context, cotangent):
        return 3 * context.saved_tensors[0] ** 2 * cotangent

    @staticmethod
    def jvp(context, tangent):
        return 3 * context.saved_tensors[0] ** 2 * tangent


class CubeWrongInForward(CubeByHand):
    @staticmethod
    def jvp(context, tangent):
        return 2 * context.saved_tensors[0] ** 2 * tangent


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (cube, "gradcheck_tests::cube"),
        (torch.ops.gradcheck_tests.cube, "gradcheck_tests::cube"),
        (torch.ops.gradcheck_tests_lib.cube, "gradcheck_tests_lib::cube"),
        (lambda x: x.sin() + cube(x * x), "gradcheck_tests::cube"),
        (lambda x: torch.vmap(cube)(x[None])[0], "gradcheck_tests::cube"),
    ],
)
def test_forward_mode_of_a_custom_operator_abstains_and_names_it(function, name):
    (finding,) = forward.answer(invocation(function, 2.0, own_code=True))
    assert (finding.ruling, finding.incapable) == (Ruling.ABSTAIN, True)
    assert finding.reason == (
        f"PyTorch has no forward mode for custom operators: {name} drops its tangent "
        "(`without: {forward: why}` leaves forward mode out)"
    )


def test_second_derivatives_of_a_custom_operator_are_asked_in_reverse_alone():
    answers = list(second.answer(invocation(cube, 2.0, own_code=True)))
    assert [(each.label, each.numbers.shape) for each in claims(answers)] == [
        (second.REVERSE_REVERSE, (1, 1))
    ]
    mixed = [each for label in FOUR[1:3] for each in of(label, answers)]
    assert {each.reason for each in mixed} == {
        "PyTorch has no forward mode for custom operators: gradcheck_tests::cube drops its tangent"
    }


@pytest.mark.parametrize("function", [CubeByHand.apply, torch.ops.gradcheck_tests_lib.tripled,
                                      lambda x: cube(x.detach()) * 0 + x.sin()])  # fmt: skip
def test_a_tangent_that_is_not_dropped_is_judged(function):
    (claim,) = forward.answer(invocation(function, 2.0, own_code=True))
    assert claim.numbers.all()


def test_a_wrong_jvp_over_a_custom_operator_is_not_excused():
    (claim,) = forward.answer(invocation(CubeWrongInForward.apply, 2.0, own_code=True))
    (right,) = forward.answer(invocation(CubeByHand.apply, 2.0, own_code=True))
    assert (claim.numbers / right.numbers).tolist() == [[2 / 3]]


@pytest.mark.parametrize("witness", [reverse, gradcheck])
def test_a_custom_operator_without_a_backward_disagrees(witness):
    first, *_ = witness.answer(
        invocation(cube_of("gradcheck_tests::cube_alone", None), 2.0, first=FINE, own_code=True)
    )
    assert first.ruling is Ruling.DISAGREE
    assert "no autograd formula was registered" in first.reason


def test_gradgradcheck_abstains_where_a_backward_is_differentiable_once():
    first, last = gradcheck.answer(invocation(SineOnce.apply, 1.0, first=FINE, second=FINE))
    assert (first.ruling, last.ruling, last.incapable) == (Ruling.AGREE, Ruling.ABSTAIN, True)
    assert last.reason == (
        "a backward here is marked with @once_differentiable (`order: 1` leaves second "
        "derivatives out)"
    )


@pytest.mark.parametrize(
    ("function", "witness", "label"),
    [
        (compiled, second, "reverse over reverse"),
        (compiled, gradcheck, "torch.autograd.gradgradcheck"),
        (reentrant, reverse, "torch.autograd.grad"),
        (reentrant, gradcheck, "torch.autograd.gradcheck"),
        (reentrant, second, "reverse over reverse"),
        (within_checkpoint, second, "reverse over forward"),
        (ReadTwice.apply, contract, "under torch.utils.checkpoint"),
        (scripted_cube, contract, "under torch.utils.checkpoint"),
        (differentiating_within, contract, "in the value where gradients are asked for"),
        (cube_by_kernels, second, "reverse over reverse"),
        (cube_by_kernels, gradcheck, "torch.autograd.gradgradcheck"),
        (with_running_total, second, "forward over forward"),
        (compiled_to_kernels, forward, "torch.autograd.forward_ad"),
    ],
)
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad:UserWarning")
def test_what_pytorch_does_not_support_abstains_in_that_call(function, witness, label):
    answers = witness.answer(invocation(function, 1.0, first=FINE, second=FINE, own_code=True))
    assert {each.ruling for each in remarks(of(label, answers))} == {Ruling.ABSTAIN}


def test_a_sparse_gradient_of_a_matrix_is_no_mistake_in_any_call():
    answers = second.answer(
        invocation(looked_up, [[1.0, 2.0]] * 3, output_shape=(2, 2), own_code=True)
    )
    assert {each.ruling for each in remarks(answers)} <= {Ruling.ABSTAIN}


def test_what_has_no_tangent_without_the_compiler_either_is_judged():
    (claim,) = forward.answer(
        invocation(lambda x: compiled_to_kernels(x.detach()), 1.0, own_code=True)
    )
    assert claim.label == forward.LABEL + " (the result has no tangent: zeros)"


@pytest.mark.parametrize(
    ("function", "witness", "fix"),
    [
        (
            PlainSine.apply,
            forward,
            "write a jvp, or `without: {forward: why}` leaves forward mode out",
        ),
        (WithoutBackward.apply, reverse, "`without: {reverse: why}` leaves reverse mode out"),
        (
            lambda x: torch.cdist(x.reshape(1, 1), torch.ones(1, 1, dtype=x.dtype)).sum(),
            forward,
            "`without: {forward: why}` leaves forward mode out",
        ),
    ],
)
def test_a_lack_ends_in_what_the_author_can_do(function, witness, fix):
    told = remarks(witness.answer(invocation(function, 2.0, own_code=True)))
    assert {each.reason.endswith(f" ({fix})") for each in told} == {True}


def test_reentrant_checkpoint_is_judged_by_its_backward():
    answers = claims(reverse.answer(invocation(reentrant, 1.0)))
    assert [each.label for each in answers] == [reverse.BACKWARD]


class FloatOnly(PlainSine):
    """As a kernel that was built for one dtype."""

    @staticmethod
    def forward(context, x):
        if x.dtype is not torch.float32:
            raise TypeError("expected scalar type Float")
        return PlainSine.forward(context, x)


def float_only_by_assertion(x):
    assert x.dtype == torch.float32
    return x.sin()


def refuses_all(x):
    raise TypeError(f"dtype {x.dtype} is not supported")


def refuses_without_a_word_on_dtypes(x):
    if x.element_size() == 8:
        raise ValueError("not today")
    return x.sin()


def in_both_dtypes(function, witness):
    elsewhere = {"float32": lambda: function}
    return list(witness.answer(invocation(function, 1.0, elsewhere=elsewhere, own_code=True)))


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (FloatOnly.apply, " (expected scalar type Float)"),
        (float_only_by_assertion, " (assert torch.float64 == torch.float32"),
        (
            lambda x: torch.dot(x.reshape(1), torch.ones(1)),
            " (dot : expected both vectors to have same dtype",
        ),
    ],
)
@pytest.mark.parametrize("witness", [value, reverse, forward])
def test_a_dtype_that_is_refused_while_another_works_abstains(function, why, witness):
    told = in_both_dtypes(function, witness)
    assert {(each.ruling, each.incapable) for each in told} == {(Ruling.ABSTAIN, True)}
    start = "float64 is refused, float32 is not: state `dtypes: [float32]`"
    assert all(each.reason.startswith(start + why) for each in told)


@pytest.mark.parametrize("function", [refuses_all, refuses_without_a_word_on_dtypes])
def test_a_refusal_of_every_dtype_or_for_another_reason_disagrees(function):
    assert {each.ruling for each in in_both_dtypes(function, value)} == {Ruling.DISAGREE}


# who raised it


class RaisesOnPurpose(PlainSine):
    @staticmethod
    def backward(context, cotangent):
        raise NotImplementedError("the derivative for 'my_op' is not implemented")


def test_what_the_code_raises_itself_is_a_mistake_whatever_its_words():
    answers = list(reverse.answer(invocation(RaisesOnPurpose.apply, 1.0)))
    assert {(each.ruling, each.reason) for each in answers} == {
        (
            Ruling.DISAGREE,
            "raised NotImplementedError: the derivative for 'my_op' is not implemented",
        )
    }


class WithoutOptionalRules(SineWithoutJvp):
    generate_vmap_rule = False

    @staticmethod
    def backward(context, cotangent):
        return SlopeOfSine.apply(*context.saved_tensors) * cotangent

    @staticmethod
    def jvp(context, tangent):
        raise NotImplementedError

    @staticmethod
    def vmap(info, in_dims, x):
        raise NotImplementedError("no vmap yet")


class SlopeOfSine(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x.cos()

    @staticmethod
    def setup_context(context, inputs, output):
        pass

    @staticmethod
    def backward(context, cotangent):
        raise NotImplementedError("no double backward")


@pytest.mark.parametrize(
    ("witness", "reason"),
    [
        (forward, "the code raises NotImplementedError (`without: {forward: why}`"),
        (second, "the code raises NotImplementedError: no double backward (`order: 1` "),
        (functional, "the code raises NotImplementedError: no vmap yet (`without: {functional"),
    ],
)
def test_a_rule_that_is_said_not_to_be_implemented_is_lacking(witness, reason):
    answers = said(witness.answer(invocation(WithoutOptionalRules.apply, 1.0)))
    lacking = [each for each in answers if not isinstance(each, Answer)]
    assert {(each.ruling, each.incapable) for each in lacking} == {(Ruling.ABSTAIN, True)}
    assert any(each.reason.startswith(reason) for each in lacking)


def test_a_checkpoint_that_recomputes_something_else_is_a_mistake_in_reverse_mode():
    saved = iter(range(100))

    def fickle(x):
        def inner(t):
            return t * 2.0 if next(saved) % 2 else t.sin() * t

        return checkpoint(inner, x, use_reentrant=False)

    first, *_ = reverse.answer(invocation(fickle, 1.0))
    assert first.ruling is Ruling.DISAGREE
    assert first.reason.startswith("raised CheckpointError")


def test_words_that_mean_a_lack_in_some_calls_mean_nothing_in_others():
    row = Lack("element 0", calls=("value",))
    assert row.means("element 0 of tensors", "value")
    assert not row.means("element 0 of tensors", "reverse")


# sparse gradients


def embedded(w):
    return torch.nn.functional.embedding(torch.tensor([1, 1, 3]), w, sparse=True)


class OfLayout(torch.autograd.Function):
    """2 x, whose backward answers in another layout; wrong where it drops an entry."""

    @staticmethod
    def forward(context, x, answer):
        context.answer = answer
        return 2 * x

    @staticmethod
    def backward(context, cotangent):
        return context.answer(2 * cotangent), None


TABLE = [[1.0, 2.0], [3.0, 4.0]]


def test_a_sparse_gradient_is_judged_as_the_dense_one_and_its_layout_is_named():
    def doubled(x):
        return OfLayout.apply(x, torch.Tensor.to_sparse)

    answers = list(reverse.answer(invocation(doubled, TABLE, output_shape=(2, 2))))
    assert not remarks(answers)
    note = " (the gradient of input 0 is torch.sparse_coo, judged as dense)"
    assert {each.label for each in answers} == {reverse.GRAD + note, reverse.BACKWARD + note}
    assert all((each.numbers == 2 * each.query.cotangent).all() for each in answers)


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
def test_each_sparse_layout_stands_for_a_dense_tensor(layout):
    table = torch.tensor(TABLE, dtype=torch.float64)
    sparse = table.to_sparse(layout=layout)
    assert torch.equal(densified(sparse), table)
    assert layouts([None, sparse]) == f" (the gradient of input 1 is {layout}, judged as dense)"
    assert layouts([table, None]) == ""


def test_a_wrong_sparse_gradient_is_not_excused():
    def wrong(x):
        return OfLayout.apply(x, lambda slope: slope.tril().to_sparse())

    answers = claims(reverse.answer(invocation(wrong, TABLE, output_shape=(2, 2))))
    assert any((each.numbers != 2 * each.query.cotangent).any() for each in answers)


def test_every_witness_takes_the_sparse_gradient_of_an_embedding():
    weights = np.arange(8.0).reshape(4, 2)
    sparse = invocation(embedded, weights, output_shape=(3, 2), first=FINE, second=FINE)
    said = [each for witness in (reverse, gradcheck, second) for each in witness.answer(sparse)]
    assert {each.ruling for each in remarks(said)} == {Ruling.AGREE}
    assert {each.label for each in claims(said) if "over" in each.label} == set(FOUR)


def test_a_wrong_jvp_is_not_excused_for_being_a_users_own():
    (claim,) = forward.answer(invocation(SineWrongInForward.apply, 1.0, own_code=True))
    assert claim.numbers.tolist() != [[0.0]]
