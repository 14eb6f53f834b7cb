"""What zuko takes functions for, and a transform that is an object."""

import zuko
from torch import Tensor


def root_of_cubic(y: Tensor, p: Tensor) -> Tensor:
    return zuko.utils.bisection(lambda x: x**3 + p * x, y, -10.0, 10.0, n=60, phi=(p,))


def integral(a: Tensor, b: Tensor, p: Tensor) -> Tensor:
    return zuko.utils.gauss_legendre(lambda x: p * x**4, a, b, n=3, phi=(p,))


def signed_power(x: Tensor, a: Tensor) -> Tensor:
    return zuko.transforms.SignedPowerTransform(a)(x)
