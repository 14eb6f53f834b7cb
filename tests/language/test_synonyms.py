"""What is advised for a name of another library computes what the name means there."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from gradcheck.graph.lower import lower
from gradcheck.graph.unknown import SYNONYMS, form_of
from gradcheck.language.parse import parse
from gradcheck.ops.balls import working
from gradcheck.reference.ball_arrays import Balls, lift
from gradcheck.reference.interpret import evaluate

F = torch.nn.functional
X, Y = 0.75, 2.5
V = torch.tensor([0.75, -0.5, 2.0], dtype=torch.float64)

SCALAR = {
    "Abs": abs, "fabs": math.fabs, "sgn": np.sign, "arcsin": np.arcsin, "arccos": np.arccos,
    "arctan": np.arctan, "arcsinh": np.arcsinh, "arctanh": np.arctanh, "arsinh": math.asinh,
    "ln": math.log, "lb": math.log2, "lg": math.log10, "tg": math.tan, "sh": math.sinh,
    "ceiling": math.ceil, "rint": np.rint, "gammaln": math.lgamma, "tgamma": math.gamma,
    "cot": lambda x: 1 / math.tan(x), "sec": lambda x: 1 / math.cos(x),
    "csc": lambda x: 1 / math.sin(x), "sech": lambda x: 1 / math.cosh(x), "sinc": np.sinc,
    "coth": lambda x: 1 / math.tanh(x), "csch": lambda x: 1 / math.sinh(x),
    "degrees": math.degrees, "radians": math.radians, "factorial": lambda x: math.gamma(x + 1),
    "trunc": math.trunc, "square": np.square, "sqr": np.square,
    "reciprocal": np.reciprocal, "neg": np.negative,
}  # fmt: skip
TORCH = {
    "sigmoid": torch.sigmoid, "expit": torch.special.expit, "logsigmoid": F.logsigmoid,
    "logit": torch.logit, "relu": torch.relu, "relu6": F.relu6, "leaky_relu": F.leaky_relu,
    "elu": F.elu, "softplus": F.softplus, "softsign": F.softsign, "silu": F.silu, "gelu": F.gelu,
    "mish": F.mish, "rsqrt": torch.rsqrt, "frac": torch.frac, "ndtr": torch.special.ndtr,
    "psi": torch.digamma, "j0": torch.special.bessel_j0, "i1": torch.special.i1,
}  # fmt: skip
PAIRS = {
    "Max": max, "minimum": min, "arctan2": math.atan2, "pow": math.pow, "hypot": math.hypot,
    "logaddexp": np.logaddexp, "fmod": math.fmod, "mod": np.mod, "add": np.add,
    "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide,
}  # fmt: skip
VECTORS = {
    "softmax": lambda v: torch.softmax(v, -1), "log_softmax": lambda v: torch.log_softmax(v, -1),
    "logsumexp": lambda v: torch.logsumexp(v, -1), "norm": torch.linalg.vector_norm,
    "average": torch.mean, "product": torch.prod, "flatten": torch.flatten,
}  # fmt: skip


def value(text, **inputs):
    arrays = {name: torch.as_tensor(each, dtype=torch.float64) for name, each in inputs.items()}
    formula = lower(
        parse(text),
        inputs={name: tuple(array.shape) for name, array in arrays.items()},
        names={"n": Fraction(3)},
        lets={},
        conditions=(),
    )
    numbers = [lift(array.numpy()[None]) for array in arrays.values()]
    with working(128, exact=True):
        (found,) = evaluate(formula.graph, formula.results, numbers, Balls())
    return [float(ball) for ball in found.reshape(-1)]


@pytest.mark.parametrize("name", SCALAR)
def test_a_function_of_one_number(name):
    assert value(form_of(name), x=X) == pytest.approx([float(SCALAR[name](X))])


@pytest.mark.parametrize("name", TORCH)
def test_a_function_of_pytorch(name):
    expected = TORCH[name](torch.tensor(X, dtype=torch.float64)).item()
    assert value(form_of(name), x=X) == pytest.approx([expected])


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(("x", "y"), [(X, Y), (Y, X)])
def test_a_function_of_two_numbers(name, x, y):
    assert value(form_of(name), x=x, y=y) == pytest.approx([float(PAIRS[name](x, y))])


@pytest.mark.parametrize("name", VECTORS)
def test_a_function_of_a_vector(name):
    expected = VECTORS[name](V).flatten().tolist()
    assert value(form_of(name), x=V) == pytest.approx(expected)


@pytest.mark.parametrize(("name", "correction"), [("var", 1), ("std", 1)])
def test_a_spread_of_a_vector_as_pytorch_has_it(name, correction):
    expected = getattr(torch, name)(V, correction=correction).item()
    assert value(form_of(name), x=V) == pytest.approx([expected])


@pytest.mark.parametrize("form", sorted(set(SYNONYMS.values())))
def test_what_is_advised_is_a_text_of_the_language(form):
    assert parse(form) is not None


@pytest.mark.parametrize("name", ["foo", "softmin", "print"])
def test_nothing_is_advised_for_what_is_not_known(name):
    assert form_of(name) is None
