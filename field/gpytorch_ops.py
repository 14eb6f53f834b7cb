"""gpytorch's own autograd Functions, called with distances of the points 0, 1 and 5/2."""

import torch
from gpytorch.functions.matern_covariance import MaternCovariance
from gpytorch.functions.rbf_covariance import RBFCovariance


def _squares(a, b):
    return (a.unsqueeze(-2) - b.unsqueeze(-3)).pow(2).sum(-1)


def _distances(a, b):
    return _squares(a, b).sqrt()


def _points(scale):
    return torch.tensor([[0.0], [1.0], [2.5]], dtype=scale.dtype)


def rbf(scale):
    x = _points(scale)
    return RBFCovariance.apply(x, x, scale.reshape(1, 1), _squares)


def matern(scale, nu):
    x = _points(scale)
    return MaternCovariance.apply(x, x, scale.reshape(1, 1), nu, _distances)
