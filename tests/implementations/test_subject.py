"""One callable for whatever spelled the implementation."""

import sys
from fractions import Fraction
from types import SimpleNamespace

import pytest
import torch

from gradcheck.catalog.case import Implementation
from gradcheck.errors import Where
from gradcheck.implementations.compiled import TooLargeError
from gradcheck.implementations.subject import (
    ChangedSettingError,
    acts_on_each_point,
    subject_of,
)
from gradcheck.language.parse import parse
from gradcheck.methods._torch.calling import warm_up
from gradcheck.query import Port

HERE = Where("cases/a.yaml", 1, 1)


class Declared(SimpleNamespace):
    """Like a case, it equals only itself."""

    calling, parameters = None, ()

    __hash__ = object.__hash__


CASE = Declared(
    formula=parse("k*s*x + y**d"),
    lets={"s": parse("1/4")},
    constants={"k": Fraction(2), "mean": [Fraction(1, 2)]},
)
PORTS = SimpleNamespace(ports=(Port("x", ()), Port("y", ())))
VARIANT = Declared(values={"d": Fraction(2)}, formula=PORTS)
INPUTS = torch.tensor([3.0]), torch.tensor([5.0])


def subject(**implementation):
    text = str(implementation)
    return subject_of(CASE, VARIANT, Implementation(text, HERE, **implementation), "float32", "cpu")


def test_without_code_the_formula_is_on_trial():
    assert subject()(*INPUTS).item() == 26.5


def test_an_expression_sees_inputs_constants_and_sweep_values():
    assert subject(tree=parse("k*x*mean + torch.pow(y, d)"))(*INPUTS).item() == 28.0


def test_a_function_is_called_with_the_inputs_in_their_order():
    assert subject(function="operator:sub")(*INPUTS).item() == -2.0


def test_a_constant_that_is_written_into_is_fresh_at_each_call():
    batch_norm = "F.batch_norm(x.reshape([1, 1]), mean, mean, training=False) + mean.add_(1) - mean"
    first = subject(tree=parse(batch_norm))
    assert torch.equal(first(*INPUTS), first(*INPUTS))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x.repeat(10**5, 10**5)", "repeat builds a tensor of shape [100000, 100000]"),
        ("torch.ones_like(x).expand(2**19).cumsum(0).outer(y.expand(9))[0]", "mul builds a tensor"),
    ],
)
def test_a_giant_is_refused_before_it_is_built(text, found):
    with pytest.raises(TooLargeError) as caught:
        subject(tree=parse(text))(*INPUTS)
    assert str(caught.value).startswith(found)
    assert str(caught.value).endswith("more than 4,194,304 elements")


def test_what_stands_between_may_be_as_large_as_in_a_formula():
    scores = subject(tree=parse("torch.ones_like(x).expand(2**11).outer(y.expand(2**11)).sum()"))
    assert scores(*INPUTS) == 2**22 * INPUTS[1]


@pytest.mark.parametrize("text", ["torch.ones_like(x) * x.item()", "x + y.tolist()"])
def test_what_looks_at_numbers_runs_all_the_same(text):
    assert subject(tree=parse(text))(*INPUTS).item() in (3.0, 8.0)


@pytest.mark.parametrize(
    ("text", "kind"), [("torch.max(x, dim=0)", torch.return_types.max), ("x.ndim", int)]
)
def test_what_is_no_tensor_is_returned_as_it_is(text, kind):
    assert type(subject(tree=parse(text))(*INPUTS)) in (kind, tuple)


def without_gradients(x, y):
    torch.set_grad_enabled(False)
    return x * y


def in_another_dtype(x, y):
    torch.set_default_dtype(torch.float16)
    return x * y


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (without_gradients, "the implementation left torch.set_grad_enabled(False)"),
        (in_another_dtype, "the implementation left torch.set_default_dtype(torch.float16)"),
    ],
)
def test_a_setting_left_changed_is_misconduct_and_does_not_reach_the_next_call(function, found):
    with pytest.raises(ChangedSettingError) as caught:
        subject(given=function)(*INPUTS)
    assert str(caught.value) == found
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() is torch.float32


def test_a_setting_that_is_changed_back_is_nobodys_business():
    assert subject(given=torch.no_grad()(torch.mul))(*INPUTS).item() == 15.0


POINTS = (torch.tensor([0.5, 1.5, -2.0]), torch.tensor([1.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: x * y + torch.sin(x),
        lambda x, y: torch.log(x) * y,  # NaN at a negative x, in both
        torch.hypot,
        lambda x, y: [x, y],
        lambda x, y: (x * y, None, "words"),
    ],
)
def test_elementwise_functions_act_on_each_point(function):
    assert acts_on_each_point(function, POINTS)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: torch.softmax(x, 0) * y,
        lambda x, y: (x * y).sum(),
        lambda x, y: x * y if x > 0 else -x,
        lambda x, y: [x, (x * y).sum()],
        lambda x, y: (x * y, y - y.mean()),
        lambda x, y: 3,
        lambda x, y: torch.ones(()),
        lambda x, y: (x * y).reshape(-1),
        lambda x, y: x[..., 0] + y,
        lambda x, y: x - x.mean() + y,
        lambda x, y: sys.exit(1),
    ],
)
def test_functions_that_mix_points_or_refuse_batches_do_not(function):
    assert not acts_on_each_point(function, POINTS)


def test_the_points_are_not_changed_by_the_trial():
    acts_on_each_point(lambda x, y: x.mul_(y), POINTS)
    assert POINTS[0].tolist() == [0.5, 1.5, -2.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.complex64])
def test_kernels_that_round_differently_act_on_each_point_all_the_same(dtype):
    points = [torch.linspace(0.1, 3, 37).to(dtype)]
    step = torch.finfo(dtype).eps
    batched = lambda x: x.exp() * (1 + 2 * step * (x.ndim > 0))  # noqa: E731
    assert acts_on_each_point(batched, points)
    assert not acts_on_each_point(lambda x: x.exp() * (1 + 0.5 * (x.ndim > 0)), points)


def several(**implementation):
    """The subject of a formula with three outputs, of which the second is not judged."""
    tree = {"product": parse("x*y"), "other": None, "total": parse("x + k*y")}
    case = Declared(formula=tree, lets={}, constants={"k": Fraction(2)})
    implementation = Implementation(str(implementation), HERE, **implementation)
    return subject_of(case, VARIANT, implementation, "float32", "cpu")


@pytest.mark.parametrize(
    "text", [None, "[x*y, 1/3, x + k*y]", "[x*y, x, torch.add(x, y, alpha=2)]"]
)
def test_several_outputs_come_in_a_tuple_whatever_spells_them(text):
    first, _, last = several(tree=None if text is None else parse(text))(*INPUTS)
    assert (first.item(), last.item()) == (15.0, 13.0)


def test_a_tuple_that_pytorch_returns_is_the_outputs_in_order():
    largest, position = several(tree=parse("torch.max(x*y, dim=0)"))(*INPUTS)
    assert (largest.item(), position.item()) == (15.0, 0)


def test_a_list_is_one_tensor_where_the_formula_has_one_output():
    assert subject(tree=parse("[x, y]"))(*INPUTS).tolist() == [[3.0], [5.0]]


PAIR = (Port("z", (2,), "complex"), Port("x", (2,)))


def complex_subject(dtype="complex64", *, formula="z", text=None, constants=None, ports=PAIR):
    case = Declared(formula=parse(formula), lets={}, constants=constants or {})
    where = Declared(values={}, formula=SimpleNamespace(ports=ports))
    tree = None if text is None else parse(text)
    return subject_of(case, where, Implementation(text or "", HERE, tree=tree), dtype, "cpu")


Z, REAL = torch.tensor([1 + 2j, -0.5j]), torch.tensor([0.25, -3.0])


@pytest.mark.parametrize(
    ("formula", "text", "expected"),
    [
        ("I*z/3 + x", "I*z/3 + x", 1j * Z / 3 + REAL),
        ("re(z)*im(z) + im(x)", "z.real*z.imag", Z.real * Z.imag),
        ("conj(z)*x", "torch.conj(z)*x", Z.conj() * REAL),
        ("arg(z) + arg(x)", "torch.angle(z) + torch.angle(x)", Z.angle() + REAL.angle()),
        ("abs(z)", "torch.abs(z)", Z.abs()),
        ("sign(z)", "torch.sgn(z)", Z / Z.abs()),
        ("z + stop(z)", "z + z.detach()", 2 * Z),
        ("[z[0], x[0], 1/3]", "[z[0], x[0], 1/3]", torch.tensor([1 + 2j, 0.25, 1 / 3])),
        ("exp(I*x)", "torch.exp(I*x)", torch.exp(1j * REAL)),
        ("(1 + I)**2 * z", "(1 + I)**2 * z", 2j * Z),
        ("k*x", "k*x", torch.tensor([0.5, 1.5]) * REAL),
    ],
)
def test_complex_numbers_are_those_of_pytorch_and_real_ones_stay_real(formula, text, expected):
    constants = {"k": [Fraction(1, 2), Fraction(3, 2)]}
    for code in (None, text):
        subject = complex_subject(formula=formula, text=code, constants=constants)
        found = subject(Z, REAL)
        assert found.dtype == expected.dtype
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("[[1, 2], [3, 4]] @ z", torch.tensor([[1, 2], [3, 4]]) + 0j),
        ("dot(x, z)", REAL + 0j),
        ("stack([z, x])", None),
    ],
)
def test_a_formula_joins_real_and_complex_arrays(formula, expected):
    found = complex_subject(formula=formula)(Z, REAL)
    torch.testing.assert_close(
        found, torch.stack([Z, REAL + 0j]) if expected is None else expected @ Z
    )


@pytest.mark.parametrize("text", ["x/3 + pi + sqrt(2)*x", "[x[0], 1/3]", "7 + zeros(2)", "stop(x)"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "complex128"])
def test_a_formula_of_real_numbers_gives_the_real_dtype_under_test(dtype, text):
    real = getattr(torch, dtype).to_real()
    assert complex_subject(dtype, formula=text, ports=PAIR[1:])(REAL.to(real)).dtype == real


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_a_formula_of_complex_numbers_gives_the_dtype_under_test(dtype):
    kind = getattr(torch, dtype)
    found = complex_subject(dtype, formula="z/3 + pi + sqrt(2)*x + I")
    assert found(Z.to(kind), REAL.to(kind.to_real())).dtype == kind


def test_a_stopped_value_has_no_derivative_and_its_twin_has_one():
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    stopped = complex_subject(formula="x * stop(x)")(Z, x).sum()
    (gradient,) = torch.autograd.grad(stopped, x)
    assert gradient.tolist() == [2.0, 3.0]
    (gradient,) = torch.autograd.grad(complex_subject(formula="x * x")(Z, x).sum(), x)
    assert gradient.tolist() == [4.0, 6.0]


@pytest.mark.parametrize("text", [None, "I*x*x"])
def test_the_imaginary_unit_promotes_no_tangent_of_a_tangent(text):
    warm_up()
    port = (Port("x", ()),)
    subject = complex_subject(formula="I*x*x", text=text, ports=port)
    one = (torch.ones(()),)
    slope = lambda x: torch.func.jvp(subject, (x,), one)[1]  # noqa: E731
    found = torch.func.jvp(slope, (torch.tensor(3.0),), one)[1]
    assert (found.dtype, found.item()) == (torch.complex64, 2j)
