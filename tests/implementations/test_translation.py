"""The formula's own translation, held against NumPy."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from gradcheck.graph.functions import ARRAY_FUNCTIONS
from gradcheck.implementations.tensors import home_of
from gradcheck.implementations.translation import FUNCTIONS, translate
from gradcheck.language.parse import parse

X = np.array([[1.5, -2.0, 3.0], [0.25, 5.0, -0.5]])
A = np.array([[2.0, 1.0], [-1.0, 3.0]])
V = np.array([3.0, 1.0, 2.0])
INDEX = [[Fraction(0), Fraction(2)], [Fraction(1), Fraction(0)]]


def value(text, *, lets=None, dtype="float64", **values):
    tensors = {name: torch.tensor(array) for name, array in (("x", X), ("A", A), ("v", V))}
    known = {"index": INDEX, "n": Fraction(2), **tensors, **values}
    trees = {name: parse(tree) for name, tree in (lets or {}).items()}
    return translate(parse(text), trees, known, home_of(dtype, "cpu"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3*x**2 - 1/3", 3 * X**2 - 1 / 3),
        ("x % 2", X % 2),
        ("7 % (x + 10)", 7 % (X + 10)),
        ("x // 2", X // 2),
        ("sum(x)", X.sum()),
        ("sum(x, dim=1, keepdim=True)", X.sum(1, keepdims=True)),
        ("sum(x, dim=[0, 1])", X.sum()),
        ("sum(x, 0)", X.sum(0)),
        ("prod(x)", X.prod()),
        ("prod(x, dim=-1)", X.prod(-1)),
        ("mean(x, dim=0)", X.mean(0)),
        ("amin(x)", X.min()),
        ("amax(x, dim=1)", X.max(1)),
        ("cumsum(x)", X.cumsum(0)),
        ("cumprod(x, dim=1)", X.cumprod(1)),
        ("dot(v, v)", V @ V),
        ("outer(v, v)", np.outer(V, V)),
        ("trace(A)", np.trace(A)),
        ("det(A)", np.linalg.det(A)),
        ("inv(A)", np.linalg.inv(A)),
        ("tril(x)", np.tril(X)),
        ("triu(x, diagonal=1)", np.triu(X, 1)),
        ("transpose(x) @ x", X.T @ X),
        ("transpose(x, 0, 1)", X.T),
        ("reshape(x, [3, 2])", X.reshape(3, 2)),
        ("reshape(x, -1)", X.reshape(-1)),
        ("concat([v, v[0:1], [1]])", np.concatenate([V, V[:1], [1]])),
        ("concat([x, x], dim=1)", np.concatenate([X, X], axis=1)),
        ("stack([v, 2*v], dim=1)", np.stack([V, 2 * V], axis=1)),
        ("diag(v)", np.diag(V)),
        ("diag(A)", np.diag(A)),
        ("A + eye(2)", A + np.eye(2)),
        ("v + zeros(3) + ones([3])", V + 1),
        ("x.T", X.T),
        ("sum(x) / x.shape[1]", X.sum() / 3),
        ("x[:, ::-1]", X[:, ::-1]),
        ("x[..., 0]", X[..., 0]),
        ("[x[i, index[i, j]] for i in range(n) for j in range(2)]", X[[0, 0, 1, 1], [0, 2, 1, 0]]),
        ("[[x[i, index[i, j]] for j in range(2)] for i in range(2)]", [[1.5, 3.0], [5.0, 0.25]]),
        ("x[0, index]", X[0][[[0, 2], [1, 0]]]),
        ("[v[0], 1, pi]", [3.0, 1.0, np.pi]),
        ("x[:, floor(5/2)]", X[:, 2]),
        ("[sum(v[i:i+2]) for i in range(2)]", [4.0, 3.0]),
        ("max(x, 0)", np.maximum(X, 0)),
        ("min(x, 0, -1)", np.minimum(X, -1)),
        ("where(x > 0 and x < 2, x, -x)", np.where((X > 0) & (X < 2), X, -X)),
        ("where(not x > 0, 1, 0)", np.where(X > 0, 0, 1)),
        ("heaviside(x - 5)", np.heaviside(X - 5, 0.5)),
        ("sqrt(2/pi) * v", np.sqrt(2 / np.pi) * V),
        ("exp(v)/sum(exp(v))", np.exp(V) / np.exp(V).sum()),
        ("polygamma(0, v)", [0.9227843350984671, -0.5772156649015329, 0.42278433509846713]),
        ("e * v", np.e * V),
        ("cbrt(x)", np.cbrt(X)),
        ("[[sum(v * x[i]) for i in range(2)]]", [X @ V]),
        ("1 < 2 < 3", True),
    ],
)
def test_the_translation_is_what_numpy_says(text, expected):
    np.testing.assert_allclose(value(text).numpy(), np.asarray(expected), rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "halves"),  # the gamma function at these is so many times sqrt(pi): DLMF 5.4.6, 5.5.1
    [("gamma(1/2 + 0*sum(v))", 1), ("gamma(0*v[0] - 1/2)", -2), ("gamma(0*v[0] - 3/2)", 4 / 3)],
)
def test_the_gamma_function_has_its_sign_at_negative_numbers(text, halves):
    assert value(text) == pytest.approx(halves * np.sqrt(np.pi), rel=1e-14)


@pytest.mark.parametrize("text", ["x // 2", "7 // x", "7 % x"])
def test_what_python_divides_without_a_derivative_has_one(text):
    x = torch.tensor([3.0, 4.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(value(text, x=x).sum(), x)
    expected = [-2.0, -1.0] if "%" in text else [0.0, 0.0]
    assert gradient.tolist() == expected


def test_lets_are_taken_in_order_and_may_take_the_name_e():
    found = value("e / s", lets={"e": "exp(v)", "s": "sum(e)"})
    np.testing.assert_allclose(found.numpy(), np.exp(V) / np.exp(V).sum(), rtol=1e-12)


@pytest.mark.parametrize(
    "text", ["x/3 + pi", "sqrt(2) + x", "[x[0], 1/3]", "zeros(2)", "where(x > 1, 0, x)", "7"]
)
def test_everything_has_the_dtype_under_test(text):
    x = torch.tensor([1.0, 2.0], dtype=torch.float32)
    assert value(text, x=x, dtype="float32").dtype == torch.float32


def test_a_third_is_not_rounded_to_float32_on_the_way():
    x = torch.tensor(3.0, dtype=torch.float64)
    assert value("(1/3)*3*x - 3", x=x).item() == 0.0


def test_the_array_functions_are_those_of_the_formula_language():
    assert set(FUNCTIONS) == set(ARRAY_FUNCTIONS)
