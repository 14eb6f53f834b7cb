"""A network that sorts two numbers."""

from diffsort.functional import sort
from diffsort.networks import get_sorting_network
from torch import Tensor

NETWORK = get_sorting_network("odd_even", 2, "cpu")


def sort_by_logistic(x: Tensor) -> Tensor:
    return sort(NETWORK, x, 2.0, distribution="logistic")[0]


def sort_by_cauchy(x: Tensor) -> Tensor:
    return sort(NETWORK, x, 2.0, distribution="cauchy")[0]
