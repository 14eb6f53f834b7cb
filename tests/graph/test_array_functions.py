"""Arrays of a formula behave as NumPy's, entry by entry and exactly."""

from fractions import Fraction

import numpy as np
import pytest
from exact_run import of_constants, of_inputs
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gradcheck.graph.functions import ARRAY_FUNCTIONS

SHAPES = {"s": (), "y": (3,), "x": (2, 3), "z": (2, 1), "a": (3, 3), "b": (2, 2, 3), "t": (2, 3, 2)}
FRACTIONS = st.builds(Fraction, st.integers(-6, 6).filter(bool), st.integers(1, 5))


@st.composite
def arrays(draw):
    found = {}
    for name, shape in SHAPES.items():
        count = int(np.prod(shape, dtype=int))
        found[name] = np.empty(count, dtype=object)
        found[name][:] = draw(st.lists(FRACTIONS, min_size=count, max_size=count))
        found[name] = found[name].reshape(shape)
    return found


def eliminated(matrix):
    """Determinant and inverse by Gauss and Jordan's elimination; None where singular."""
    n = len(matrix)
    rows = [[*row, *(Fraction(i == j) for j in range(n))] for i, row in enumerate(matrix)]
    det = Fraction(1)
    for k in range(n):
        pivot = next((i for i in range(k, n) if rows[i][k]), None)
        if pivot is None:
            return Fraction(0), None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        det *= rows[k][k] if pivot == k else -rows[k][k]
        rows[k] = [value / rows[k][k] for value in rows[k]]
        for i in range(n):
            if i != k:
                rows[i] = [p - rows[i][k] * q for p, q in zip(rows[i], rows[k], strict=True)]
    return det, [row[n:] for row in rows]


# Where NumPy has another name or none, the expected value is spelled out with what it has.
ALIKE = {
    # arithmetic and broadcasting
    "x + y": lambda v: v.x + v.y,
    "x*z - y/s": lambda v: v.x * v.z - v.y / v.s,
    "x*b - z": lambda v: v.x * v.b - v.z,
    "-x + +s": lambda v: -v.x + v.s,
    "2*x**3 - x**2/7 + x**0": lambda v: 2 * v.x**3 - v.x**2 / 7 + 1,
    "y**-2": lambda v: v.y**-2,
    "s**[1, 2, -3]": lambda v: np.array([v.s**1, v.s**2, v.s**-3]),
    "z**[[1, 2], [0, 3]]": lambda v: v.z ** np.array([[1, 2], [0, 3]]),
    "abs(x) + sign(x)": lambda v: np.abs(v.x) + np.sign(v.x),
    "floor(x)": lambda v: np.floor(v.x),
    "ceil(x)": lambda v: np.ceil(v.x),
    "round(x)": lambda v: np.rint(v.x.astype(float)),  # np.rint takes no fractions
    "min(x, y)": lambda v: np.minimum(v.x, v.y),
    "max(x, y, s)": lambda v: np.maximum(np.maximum(v.x, v.y), v.s),
    # products
    "x @ y": lambda v: v.x @ v.y,
    "y @ y": lambda v: v.y @ v.y,
    "y @ x.T": lambda v: v.y @ v.x.T,
    "x @ a @ x.T": lambda v: v.x @ v.a @ v.x.T,
    "b @ t": lambda v: v.b @ v.t,
    "b @ y": lambda v: v.b @ v.y,
    "y @ t": lambda v: v.y @ v.t,
    "x @ t": lambda v: v.x @ v.t,
    "dot(y, y)": lambda v: v.y @ v.y,
    "outer(y, x[0])": lambda v: np.multiply.outer(v.y, v.x[0]),
    "trace(a)": lambda v: np.trace(v.a),
    # reductions
    "sum(x)": lambda v: v.x.sum(),
    "sum(b, dim=1)": lambda v: v.b.sum(axis=1),
    "sum(b, -1, keepdim=True)": lambda v: v.b.sum(axis=-1, keepdims=True),
    "sum(b, dim=[0, 2])": lambda v: v.b.sum(axis=(0, 2)),
    "sum(b, [2, 0], keepdim=True)": lambda v: v.b.sum(axis=(0, 2), keepdims=True),
    "sum(s)": lambda v: v.s,
    "prod(x, dim=0)": lambda v: v.x.prod(axis=0),
    "mean(x)": lambda v: v.x.sum() / 6,
    "mean(b, dim=-2, keepdim=True)": lambda v: v.b.sum(axis=-2, keepdims=True) / 2,
    "amin(x, dim=1)": lambda v: v.x.min(axis=1),
    "amax(x)": lambda v: v.x.max(),
    "amax(b, [0, 1])": lambda v: v.b.max(axis=(0, 1)),
    "cumsum(y)": lambda v: v.y.cumsum(),
    "cumsum(b, dim=1)": lambda v: v.b.cumsum(axis=1),
    "cumprod(x, -1)": lambda v: v.x.cumprod(axis=-1),
    # matrices
    "det(a)": lambda v: eliminated(v.a)[0],
    "det(x @ t)": lambda v: np.array([eliminated(m)[0] for m in v.x @ v.t]),
    "tril(a)": lambda v: np.tril(v.a),
    "triu(b, 1)": lambda v: np.triu(v.b, 1),
    "tril(x, diagonal=-1)": lambda v: np.tril(v.x, -1),
    "diag(y)": lambda v: np.where(np.eye(3), v.y, 0),
    "diag(x)": lambda v: np.diagonal(v.x),
    "s*eye(2)": lambda v: v.s * np.array([[1, 0], [0, 1]]),
    # shapes
    "transpose(x)": lambda v: v.x.T,
    "transpose(b, 0, 2)": lambda v: v.b.swapaxes(0, 2),
    "b.T": lambda v: v.b.T,
    "reshape(x, [3, 2])": lambda v: v.x.reshape(3, 2),
    "reshape(x.T, -1)": lambda v: v.x.T.reshape(-1),
    "concat([x, x + 1])": lambda v: np.concatenate([v.x, v.x + 1]),
    "concat([z, x, z], dim=-1)": lambda v: np.concatenate([v.z, v.x, v.z], axis=-1),
    "concat(b)": lambda v: np.concatenate(list(v.b)),
    "stack([y, 2*y], 1)": lambda v: np.stack([v.y, 2 * v.y], 1),
    "stack([x[i] for i in range(2)], -1)": lambda v: v.x.T,
    "zeros([2, 3]) + ones(3)*s": lambda v: np.full((2, 3), v.s),
    "x.shape[0]*s + b.shape[-1]": lambda v: 2 * v.s + 3,
    # indices
    "x[1]": lambda v: v.x[1],
    "x[-1, 1:]": lambda v: v.x[-1, 1:],
    "x[:, ::2]": lambda v: v.x[:, ::2],
    "x[::-1, 0]": lambda v: v.x[::-1, 0],
    "b[..., 0]": lambda v: v.b[..., 0],
    "b[1, ..., -2:9]": lambda v: v.b[1, ..., -2:9],
    "x[[1, 0, 1]]": lambda v: v.x[[1, 0, 1]],
    "x[[0, 1], [2, 0]]": lambda v: v.x[[0, 1], [2, 0]],
    "b[:, [1, 0], 1:]": lambda v: v.b[:, [1, 0], 1:],
    "y[[[0, 1], [2, 2]]]": lambda v: v.y[[[0, 1], [2, 2]]],
    "x[x.shape[0] - 1, 2*1]": lambda v: v.x[1, 2],
    # lists and loops
    "[[s, 1/3], [x[0, 0], 2]]": lambda v: np.array([[v.s, Fraction(1, 3)], [v.x[0, 0], 2]]),
    "[x[0], y]": lambda v: np.stack([v.x[0], v.y]),
    "[[x[i, j]*i for j in range(3)] for i in range(2)]": lambda v: v.x * [[0], [1]],
    "[s*i + j for i in range(2) for j in range(i, 3)]": lambda v: np.array(
        [v.s * i + j for i in range(2) for j in range(i, 3)]
    ),
    "[y[i] for i in range(2, -1, -1)]": lambda v: v.y[::-1],
    "[sum(x[:, i:i + 2]) for i in range(2)]": lambda v: np.array(
        [v.x[:, :2].sum(), v.x[:, 1:].sum()]
    ),
    "sum(y[i]*i for i in range(3))": lambda v: v.y @ [0, 1, 2],
    "[i for i in range(2)] + [i for i in range(2, 4)]": lambda v: np.array([2, 4]),
    # conditions
    "where(x < y, x, y)": lambda v: np.where(v.x < v.y, v.x, v.y),
    "where(x >= s, 1, x*x)": lambda v: np.where(v.x >= v.s, 1, v.x * v.x),
    "where(0 < x <= 2, x, -x)": lambda v: np.where((v.x > 0) & (v.x <= 2), v.x, -v.x),
    "where(x[0] == y or not y != x[1], 1, 0)": lambda v: np.where(
        (v.x[0] == v.y) | (v.x[1] == v.y), 1, 0
    ),
    "where(x > y and x > s, x - y, 0*x)": lambda v: np.where(
        (v.x > v.y) & (v.x > v.s), v.x - v.y, 0
    ),
}


class Values:
    """The drawn arrays, by attribute."""

    def __init__(self, drawn):
        self.__dict__.update({k: v if v.ndim else v.item() for k, v in drawn.items()})


@pytest.mark.parametrize("way", [of_inputs, of_constants])
@pytest.mark.parametrize("text", ALIKE)
@settings(max_examples=4, derandomize=True)
@given(drawn=arrays())
def test_a_formula_gives_what_numpy_gives(text, way, drawn):
    expected = np.asarray(ALIKE[text](Values(drawn)), dtype=object)
    got = way(text, drawn)
    assert got.shape == expected.shape
    assert got.tolist() == expected.tolist()


def test_every_array_function_is_tested():
    untested = [name for name in ARRAY_FUNCTIONS if not any(f"{name}(" in text for text in ALIKE)]
    assert untested == ["inv"]  # below


SQUARES = st.lists(FRACTIONS | st.just(Fraction(0)), min_size=16, max_size=16).map(
    lambda entries: np.array(entries, dtype=object).reshape(4, 4)
)


@pytest.mark.parametrize("way", [of_inputs, of_constants])
@settings(max_examples=25)
@given(matrix=SQUARES)
def test_the_determinant_is_that_of_elimination(way, matrix):
    assert way("det(m)", {"m": matrix}).item() == eliminated(matrix)[0]


@pytest.mark.parametrize("way", [of_inputs, of_constants])
@settings(max_examples=25)
@given(matrix=SQUARES)
def test_the_inverse_is_that_of_elimination(way, matrix):
    assume(eliminated(matrix)[0] != 0)
    assert way("inv(m)", {"m": matrix}).tolist() == eliminated(matrix)[1]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("zeros([0, 3])", []),
        ("sum(zeros([0, 3]), dim=0)", [0, 0, 0]),
        ("prod(zeros([2, 0]), dim=1)", [1, 1]),
        ("sum([])", 0),
        ("cumsum(zeros([0]))", []),
        ("zeros([2, 0]) @ zeros([0, 3])", [[0, 0, 0], [0, 0, 0]]),
        ("det(zeros([0, 0]))", 1),
        ("det(zeros([0, 2, 2]))", []),
        ("inv(zeros([0, 0]))", []),
        ("concat([zeros(0), ones(2)])", [1, 1]),
        ("[i for i in range(3, 0)]", []),
        ("eye(0)", []),
        ("ones(3)[5:]", []),
        ("reshape(zeros([0, 3]), [3, 0])", [[], [], []]),
    ],
)
def test_an_array_without_entries_is_an_array(text, value):
    assert of_constants(text, {}).tolist() == value
