"""linear_operator's functions of operators, made from tensors and turned into tensors again."""

import torch
from linear_operator import (
    diagonalization,
    dsmm,
    pivoted_cholesky,
    root_decomposition,
    to_linear_operator,
)
from linear_operator.operators import ToeplitzLinearOperator


def root_times_itself(a):
    root = root_decomposition(a).root.to_dense()
    return root @ root.mT


def pivoted_times_itself(a):
    root = pivoted_cholesky(a, rank=2)
    return root @ root.mT


def eigenvalues(a):
    values, _ = diagonalization(a, method="symeig")
    return values.sort().values


def matmul(a, b):
    return to_linear_operator(a).matmul(b)


def toeplitz_matmul(column, b):
    return ToeplitzLinearOperator(column).matmul(b)


def sparse_times(b):
    matrix = torch.tensor([[2.0, 0.0], [3.0, -1.0]], dtype=b.dtype)
    return dsmm(matrix.to_sparse(), b)
