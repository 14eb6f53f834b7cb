"""The torch language on tensors, against PyTorch called by hand."""

import math
from fractions import Fraction

import pytest
import torch

from gradcheck.errors import ExpressionError
from gradcheck.implementations.tensors import constant_of, home_of, nearest_float, plain
from gradcheck.implementations.torch_language import evaluate_torch
from gradcheck.language.nodes import Pointed
from gradcheck.language.parse import parse

HOME = home_of("float32", "cpu")
X = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]])


def value(text, **values):
    return evaluate_torch(parse(text), {"x": X, **values}, HOME)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("torch.softmax(x, dim=1)", torch.softmax(X, 1)),
        ("F.gelu(x, approximate='tanh')", torch.nn.functional.gelu(X, approximate="tanh")),
        ("x.softmax(0)", X.softmax(0)),
        ("torch.max(x, dim=1)[0]", X.amax(1)),
        ("x.shape[1] * x", 3 * X),
        ("x[:, 1:] @ x.T[0:2, :]", X[:, 1:] @ X.T[:2]),
        ("x[0, ::-1]", X[0].flip(0)),
        ("[x[i, i] for i in range(2)]", X.diagonal()),
        ("[x[i // 3, i % 3] for i in range(6)]", X.reshape(6)),
        ("x % 4", X.remainder(4)),
        ("x // 4", X.floor_divide(4)),
        ("-7 // 2 * x", -4 * X),
        ("[[x[i, j] for j in range(2)] for i in range(2)]", X[:, :2]),
        ("[x[i, j] for i in range(2) for j in range(2)]", X[:, :2].reshape(4)),
        ("torch.stack([x[0], x[1]], dim=1)", X.T),
        ("torch.stack([x[0, 0], 2])", torch.tensor([1.0, 2.0])),
        ("torch.linalg.det([[x[0, 0], 1], [0, 2]])", torch.tensor(2.0)),
        ("torch.einsum('ij->j', x)", X.sum(0)),
        ("x.to(torch.float64)", X.double()),
        ("torch.where(1 < x < 5, x, 0)", torch.where((X > 1) & (X < 5), X, 0)),
        ("torch.where(not x > 2 or x == 5, x, 0)", torch.where(~(X > 2) | (X == 5), X, 0)),
        ("x * (4/2)**2", 4 * X),
        ("x / 10**30", X / 1e30),
        ("x**-0.5", X**-0.5),
        ("F.relu(x, inplace=True)", X),
        ("x[index, 0]", X[[1, 0], 0]),
        ("x.reshape([3, 2])", X.reshape(3, 2)),
        ("torch.sum(x, dim=d, keepdim=k)", X.sum(1, keepdim=True)),
        ("torch.norm(x, p='fro')", X.norm()),
        ("F.pad(x, [1, 0])", torch.nn.functional.pad(X, [1, 0])),
    ],
)
def test_an_expression_means_what_pytorch_means(text, expected):
    index = constant_of([Fraction(1), Fraction(0)], HOME)
    found = value(text, index=index, d=Fraction(1), k=True)
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_an_in_place_method_leaves_its_input_and_stays_in_the_graph():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    result = value("x.exp_()", x=x)
    (gradient,) = torch.autograd.grad(result.sum(), x)
    assert x.tolist() == [1.0, 2.0]
    torch.testing.assert_close(gradient, x.detach().exp())


@pytest.mark.parametrize("text", ["torch.load('a')", "x.numpy()", "x.__class__", "x.data"])
def test_the_fold_itself_refuses_what_is_not_allowed(text):
    with pytest.raises(ExpressionError):
        value(text)


def test_a_text_of_the_sweep_has_no_methods():
    with pytest.raises(TypeError):
        value("s.index('a')", s="mean")


def test_an_exception_of_pytorch_comes_through():
    with pytest.raises(TypeError, match="sum"):
        value("torch.sum('a')")


def test_comprehensions_end_at_a_limit():
    with pytest.raises(ExpressionError, match="65,536"):
        value("[[0 for i in range(300)] for j in range(300)]")


@pytest.mark.parametrize(
    ("written", "dtype"),
    [
        ([Fraction(0), Fraction(2)], torch.int64),
        ([True, False], torch.bool),
        ([Pointed(1), Pointed(2)], torch.float32),
        ([[Fraction(1, 2)], [Fraction(1)]], torch.float32),
    ],
)
def test_a_list_of_constants_becomes_a_tensor(written, dtype):
    assert constant_of(written, HOME).dtype == dtype


def test_a_single_constant_stays_a_number():
    assert constant_of(Fraction(1, 3), HOME) == Fraction(1, 3)


def test_a_number_written_with_a_point_reaches_pytorch_as_a_float():
    assert [type(plain(number)) for number in (Pointed(2), Fraction(2))] == [float, int]


def test_numbers_stay_exact_until_they_meet_a_tensor():
    x = torch.tensor(1.0, dtype=torch.float64)
    found = evaluate_torch(parse("x * (1/3)"), {"x": x}, home_of("float64", "cpu"))
    assert found.item() == 1 / 3


def test_numbers_that_would_outgrow_the_limit_become_floats():
    assert value("x * 0**10**9 + (10**9999)**9999").isinf().all()


@pytest.mark.parametrize(("number", "nearest"), [(10**400, math.inf), (-(10**400), -math.inf)])
def test_the_nearest_float_beyond_the_range_is_infinite(number, nearest):
    assert nearest_float(Fraction(number)) == nearest
