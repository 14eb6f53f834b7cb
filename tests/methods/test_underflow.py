"""What a matrix product loses below the smallest normal number is told, and no more than that."""

import pytest
import torch

from gradcheck.methods._torch.underflow import flushed, vanished

TINY = 2.0**-127
"""Subnormal in bfloat16 and float32."""
MM = torch.ops.aten.mm.default


def lost(x, w, result, dtype=torch.bfloat16):
    """What one entry of a product lost."""
    call = MM, (torch.tensor([x], dtype=dtype), torch.tensor([w], dtype=dtype).T), {}
    return [each.item() for _, each in flushed(call, [torch.tensor([[result]], dtype=dtype)])]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_product_that_took_subnormal_operands_for_0_lost_what_they_make(dtype):
    x, w = [TINY, 1.0], [8.0, 2.0**-120]
    assert lost(x, w, 2.0**-120, dtype) == [8 * TINY]


def test_one_that_lost_nothing_lost_nothing():
    assert lost([TINY, 1.0], [8.0, 2.0**-120], 8 * TINY + 2.0**-120) == [0]


def test_one_that_took_subnormal_products_for_0_lost_at_most_a_normal_number_for_each():
    x = [2.0**-64, 2.0**-64]
    assert lost(x, x, 0.0) == [2 * 2.0**-128]
    assert lost([2.0**-62, 2.0**-62], x, 0.0) == [2 * 2.0**-126]
    assert lost([2.0**-60, 2.0**-60], x, 0.0) == [2 * 2.0**-126]  # a normal one is not lost so


def test_what_is_wrong_otherwise_is_no_loss():
    assert lost([TINY, 1.0], [8.0, 2.0**-120], 1.0) == [-8 * TINY - 2 * 2.0**-126]
    assert lost([1.0, 2.0], [3.0, 4.0], 12.0) == []


def test_in_float64_nothing_is_finer():
    assert lost([TINY], [1e-300], 0.0, torch.float64) == []


def test_each_of_several_results_that_vanished_is_told():
    x, w = torch.full((1, 1, 1, 2), 1e-30), torch.full((1, 1, 1, 2), 1e-30)
    backward = torch.ops.aten.convolution_backward.default
    options = [0], [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [True, True, False]
    cotangent = torch.full((1, 1, 1, 1), 1e-30)
    call = backward, (cotangent, x, w, *options), {}
    first, second, third = vanished(call, backward(cotangent, x, w, *options))
    assert first.all()
    assert second.all()
    assert third is None
