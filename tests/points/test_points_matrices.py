"""Matrices of a kind are of that kind, in the domain, in every regime."""

import numpy as np
import pytest
from input_samples import BRAIN, DOUBLE, HALF, SINGLE, variable

from gradcheck.points.generate import generate
from gradcheck.points.matrices import belongs

KINDS = ("positive_definite", "symmetric", "invertible", "lower_triangular", "orthogonal")


def draw(kind, regime="bulk", shape=(2, 3, 3), domain="real", dtype=DOUBLE):
    return generate((variable("A", domain, shape, kind),), regime, 5, 40, dtype)["A"]


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE, HALF, BRAIN], ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("regime", ["bulk", "tails", "integers", "mixed", "singular"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_matrix_is_of_its_kind(kind, regime, dtype):
    matrices = draw(kind, regime, dtype=dtype)
    assert matrices.shape == (40, 2, 3, 3)
    assert belongs(kind, matrices, dtype)


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (64, 64)])
@pytest.mark.parametrize("kind", ["positive_definite", "invertible"])
def test_made_matrices_are_well_conditioned_at_any_size(kind, shape):
    assert np.linalg.cond(draw(kind, shape=shape)).max() < 40


def test_positive_definite_matrices_have_positive_eigenvalues():
    assert np.linalg.eigvalsh(draw("positive_definite")).min() > 0.1


def test_orthogonal_matrices_are_not_all_permutations():
    matrices = draw("orthogonal")
    assert 0 < np.mean(np.isin(matrices, [-1.0, 0.0, 1.0]).all(axis=(-2, -1))) < 1
    assert {-1.0, 1.0} <= set(np.rint(np.linalg.det(matrices)).ravel().tolist())


@pytest.mark.parametrize("kind", ["positive_definite", "symmetric"])
def test_entries_respect_the_domain(kind):
    matrices = draw(kind, shape=(2, 2), domain="positive")
    assert len(matrices) == 40
    assert (matrices > 0).all()


def test_no_point_is_drawn_where_no_matrix_fits():
    assert draw("lower_triangular", domain="positive").shape == (0, 2, 3, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_empty_matrices_are_of_every_kind(kind):
    assert draw(kind, shape=(0, 0)).shape == (40, 0, 0)


@pytest.mark.parametrize(
    ("kind", "matrix"),
    [
        ("positive_definite", [[1.0, 2.0], [2.0, 1.0]]),
        ("positive_definite", [[2.0, 1.0], [0.0, 2.0]]),
        ("symmetric", [[1.0, 2.0], [3.0, 1.0]]),
        ("invertible", [[1.0, 2.0], [2.0, 4.0]]),
        ("lower_triangular", [[1.0, 1.0], [0.0, 1.0]]),
        ("lower_triangular", [[1.0, 0.0], [1.0, 0.0]]),
        ("orthogonal", [[1.0, 0.0], [0.0, 2.0]]),
    ],
)
def test_an_impostor_is_recognised(kind, matrix):
    assert not belongs(kind, np.array([matrix]), DOUBLE)


@pytest.mark.parametrize(
    ("kind", "matrix"),
    [
        ("invertible", [[0.0, 1.0], [1.0, 0.0]]),
        ("orthogonal", [[0.6, -0.8], [0.8, 0.6]]),
        ("positive_definite", [[1.0, 0.0], [0.0, 1.0]]),
    ],
)
def test_a_true_one_is_recognised(kind, matrix):
    assert belongs(kind, np.array([matrix]), DOUBLE)
