"""torch_semiring_einsum with its equations compiled."""

import torch_semiring_einsum as semiring

_PRODUCT = semiring.compile_equation("ij,jk->ik")


def log_product(a, b, **options):
    return semiring.log_einsum(_PRODUCT, a, b, **options)


def product(a, b):
    return semiring.einsum(_PRODUCT, a, b, block_size=semiring.AUTOMATIC_BLOCK_SIZE)
