"""Derivatives by complex numbers follow PyTorch's convention, to the second order."""

import numpy as np
import pytest
import torch
from numpy_graph import run

from gradcheck.graph import derivatives
from gradcheck.graph.derivatives import jvp, vjp
from gradcheck.graph.lower import in_real_coordinates, lower
from gradcheck.language.parse import parse
from gradcheck.query import Port

SHAPES = {"z": (3,), "a": (3, 3)}
FORMULAS = {
    "z**2": lambda z, a: z**2,
    "exp(z)": lambda z, a: z.exp(),
    "log(z)": lambda z, a: z.log(),
    "sin(z)*z": lambda z, a: z.sin() * z,
    "tan(z)": lambda z, a: z.tan(),
    "1/z": lambda z, a: 1 / z,
    "tanh(z)": lambda z, a: z.tanh(),
    "sqrt(z)": lambda z, a: z.sqrt(),
    "z**(1/3)": lambda z, a: z ** (1 / 3),
    "z**z": lambda z, a: z**z,
    "asin(z)": lambda z, a: z.asin(),
    "acos(z)": lambda z, a: z.acos(),
    "atan(z)": lambda z, a: z.atan(),
    "asinh(z)": lambda z, a: z.asinh(),
    "acosh(z)": lambda z, a: z.acosh(),
    "atanh(z)": lambda z, a: z.atanh(),
    "abs(z)": lambda z, a: z.abs(),
    "arg(z)": lambda z, a: z.angle(),
    "sign(z)": lambda z, a: z.sgn(),
    "z*conj(z)": lambda z, a: z * z.conj(),
    "re(z)*z + im(z)": lambda z, a: z.real * z + z.imag,
    "exp(I*re(z))": lambda z, a: (1j * z.real).exp(),
    "where(re(z) > 0, z*I, 2)": lambda z, a: torch.where(z.real > 0, z * 1j, 2 + 0 * z),
    "[z[0], z[2]*z[1]]": lambda z, a: torch.stack([z[0], z[2] * z[1]]),
    "prod(z)": lambda z, a: z.prod(),
    "a @ z": lambda z, a: a @ z,
    "inv(a)": lambda z, a: torch.linalg.inv(a),
    "det(a)": lambda z, a: torch.linalg.det(a),
}
STEP = 1e-6


def drawn(shape, seed, kind="complex"):
    real, imag = np.random.default_rng(seed).standard_normal((2, *shape))
    return real + 1j * imag if kind == "complex" else real


class Both:
    """A formula in our graph and in PyTorch, at one point, with directions and a cotangent."""

    def __init__(self, text):
        ports = {name: Port(name, shape, "complex") for name, shape in SHAPES.items()}
        formula = lower(parse(text), inputs=ports, names={}, lets={}, conditions=())
        self.graph, (self.result,), self.inputs = formula.graph, formula.results, formula.inputs
        kind, shape = self.graph.kind(self.result), self.graph.shape(self.result)
        self.c = self.graph.input(Port("c", shape, kind))
        self.t = [self.graph.input(Port(f"t{name}", SHAPES[name], "complex")) for name in SHAPES]
        self.function = FORMULAS[text]
        self.point = [drawn(shape, seed) for seed, shape in enumerate(SHAPES.values())]
        self.directions = [drawn(shape, 7 + seed) for seed, shape in enumerate(SHAPES.values())]
        self.cotangent = drawn(shape, 5, kind)

    def run(self, nodes):
        return run(self.graph, nodes, [*self.point, self.cotangent, *self.directions])

    def torch_gradients(self, step=0.0):
        moved = zip(self.point, self.directions, strict=True)
        z, a = (torch.tensor(x + step * t, requires_grad=True) for x, t in moved)
        cotangent = torch.tensor(self.cotangent)
        found = torch.autograd.grad(self.function(z, a), (z, a), cotangent, materialize_grads=True)
        return [one.resolve_conj().numpy() for one in found]


@pytest.mark.parametrize("text", FORMULAS)
def test_values_and_gradients_are_those_of_pytorch(text):
    both = Both(text)
    value, *gradients = both.run(
        [both.result, *vjp(both.graph, [both.result], both.inputs, [both.c])]
    )
    expected = both.function(*map(torch.tensor, both.point)).resolve_conj().numpy()
    np.testing.assert_allclose(value, expected, rtol=1e-13, atol=1e-15)
    for got, truth in zip(gradients, both.torch_gradients(), strict=True):
        np.testing.assert_allclose(got, truth, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("text", FORMULAS)
def test_second_derivatives_are_differences_of_pytorch_s_gradients(text):
    both = Both(text)
    gradients = vjp(both.graph, [both.result], both.inputs, [both.c])
    found = both.run(jvp(both.graph, gradients, both.inputs, both.t))
    ends = zip(both.torch_gradients(STEP), both.torch_gradients(-STEP), strict=True)
    differences = [(after - before) / (2 * STEP) for after, before in ends]
    for got, truth in zip(found, differences, strict=True):
        np.testing.assert_allclose(got, truth, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("text", FORMULAS)
def test_the_function_of_real_coordinates_is_that_of_the_complex_numbers(text):
    both = Both(text)
    ports = {name: Port(name, shape, "complex") for name, shape in SHAPES.items()}
    formula = lower(parse(text), inputs=ports, names={}, lets={}, conditions=())
    real = in_real_coordinates(formula)
    pairs = [torch.view_as_real(torch.tensor(x)).numpy() for x in both.point]
    (value,) = run(real.graph, real.results, pairs)
    expected = both.function(*map(torch.tensor, both.point)).resolve_conj()
    expected = torch.view_as_real(expected) if expected.is_complex() else expected
    np.testing.assert_allclose(value, expected.numpy(), rtol=1e-13, atol=1e-15)
    assert [port.kind for port in (*real.ports, *real.judged)] == ["real"] * 3


def test_a_real_function_is_its_own_in_real_coordinates():
    formula = lower(parse("sin(x)"), inputs={"x": ()}, names={}, lets={}, conditions=())
    assert in_real_coordinates(formula) is formula


def test_a_gradient_without_its_conjugate_is_caught(monkeypatch):
    both = Both("exp(z)")
    monkeypatch.setattr(type(both.graph), "conj", lambda graph, node: node)
    (gradient, _) = both.run(vjp(both.graph, [both.result], both.inputs, [both.c]))
    assert not np.allclose(gradient, both.torch_gradients()[0])


def test_a_derivative_on_the_wrong_branch_is_caught(monkeypatch):
    right = derivatives.local_derivative
    wrong = parse("1/sqrt((x - 1)*(x + 1))")  # acosh's for real numbers alone
    monkeypatch.setattr(
        derivatives,
        "local_derivative",
        lambda op, k, **_form: wrong if op == "acosh" else right(op, k),
    )
    both = Both("acosh(z)")
    (gradient, _) = both.run(vjp(both.graph, [both.result], both.inputs, [both.c]))
    assert not np.allclose(gradient, both.torch_gradients()[0])
