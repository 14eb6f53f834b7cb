"""Calling the implementation of an invocation, and reading tensors back as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gradcheck.answer import Floats, Invocation
from gradcheck.errors import Misconduct


def leaves(invocation: Invocation, *, requires_grad: bool) -> tuple[Tensor, ...]:
    """The invocation's inputs as fresh leaf tensors.

    Shapes: [count] each where the invocation is batched, else the input's own.
    """
    return tuple(
        _tensor(array if invocation.batched else array[0], invocation).requires_grad_(requires_grad)
        for array in invocation.inputs
    )


def _tensor(array: Floats, invocation: Invocation) -> Tensor:
    numbers = torch.from_numpy(np.array(array, dtype=np.float64))
    return numbers.to(dtype=getattr(torch, invocation.dtype), device=invocation.device)


def input_size(invocation: Invocation) -> int:
    """How many input entries a point has (n)."""
    return sum(math.prod(array.shape[1:]) for array in invocation.inputs)


def output_size(invocation: Invocation) -> int:
    """How many output entries a point has (m)."""
    return math.prod(output_shape(invocation))


def output_shape(invocation: Invocation) -> tuple[int, ...]:
    """The shape of the only output."""
    (port,) = invocation.outputs
    assert port is not None
    return port.shape


def result_of(invocation: Invocation, tensors: Sequence[Tensor]) -> Tensor:
    """What the implementation gives.

    Errors: Misconduct where it is no dense tensor of the right shape, dtype and device; and what
            the implementation raises.
    """
    result = invocation.function(*tensors)
    shape = (invocation.count,) if invocation.batched else output_shape(invocation)
    check("the result", result, like=(shape, tensors))
    assert isinstance(result, Tensor)
    return result


def check(what: str, found: object, like: tuple[Sequence[int], Sequence[Tensor]]) -> None:
    """Nothing, where ``found`` is a dense tensor of that shape, and else like the inputs.

    Errors: Misconduct, which names the first thing that is not so.
    """
    shape, inputs = like
    if not isinstance(found, Tensor):
        raise Misconduct(f"{what} is a {type(found).__name__}, expected a tensor")
    if tuple(found.shape) != tuple(shape):
        raise Misconduct(f"{what} has shape {list(found.shape)}, expected {list(shape)}")
    for dtype in {tensor.dtype for tensor in inputs} - {found.dtype}:
        raise Misconduct(f"{what} has dtype {found.dtype}, expected {dtype}")
    for device in {tensor.device for tensor in inputs} - {found.device}:
        raise Misconduct(f"{what} is on {found.device}, expected {device}")
    if found.layout is not torch.strided:
        raise Misconduct(
            f"{what} has layout {found.layout}, expected torch.strided: return it by to_dense()"
        )


def split(direction: Floats, invocation: Invocation) -> tuple[Tensor, ...]:
    """A direction over all input entries as one tensor for each input.

    Shapes: ``direction`` is [count, n]; the tensors have the shapes of ``leaves``.
    """
    sizes = [math.prod(array.shape[1:]) for array in invocation.inputs]
    parts = np.split(direction, np.cumsum(sizes)[:-1], axis=1)
    return tuple(
        _tensor(
            part.reshape(array.shape) if invocation.batched else part.reshape(array.shape)[0],
            invocation,
        )
        for part, array in zip(parts, invocation.inputs, strict=True)
    )


def output_direction(direction: Floats, invocation: Invocation) -> Tensor:
    """A direction [count, m] over the output entries as a tensor shaped like the result."""
    shape = (invocation.count,) if invocation.batched else output_shape(invocation)
    return _tensor(direction.reshape(shape), invocation)


def joined(
    gradients: Sequence[Tensor | None], invocation: Invocation, inputs: Sequence[Tensor]
) -> Floats:
    """Gradients of all inputs as [count, n]; None, for an input that is not used, as zeros.

    A sparse gradient is judged as the dense tensor that it stands for.

    Errors: Misconduct where one has another shape, dtype or device than its input.
    """
    columns = []
    for number, (gradient, leaf) in enumerate(zip(gradients, inputs, strict=True)):
        dense = torch.zeros_like(leaf) if gradient is None else densified(gradient)
        check(f"the gradient of input {number}", dense, like=(leaf.shape, [leaf]))
        assert dense is not None
        columns.append(numbers_of(dense).reshape(invocation.count, -1))
    return np.concatenate(columns, axis=1)


def densified(gradient: Tensor | None) -> Tensor | None:
    """The dense tensor that a sparse one stands for; a dense one, or None, as it is."""
    if isinstance(gradient, Tensor) and gradient.layout is not torch.strided:
        return gradient.to_dense()
    return gradient


def layouts(gradients: Sequence[Tensor | None]) -> str:
    """What a label adds about gradients that are not dense; empty where all are."""
    found = [
        f"the gradient of input {number} is {gradient.layout}, judged as dense"
        for number, gradient in enumerate(gradients)
        if gradient is not None and gradient.layout is not torch.strided
    ]
    return f" ({'; '.join(found)})" if found else ""


def entries(result: Tensor, invocation: Invocation) -> Floats:
    """A tensor shaped like the result as [count, m]."""
    return numbers_of(result).reshape(invocation.count, output_size(invocation))


def numbers_of(tensor: Tensor) -> Floats:
    """The tensor's numbers as float64, exactly."""
    # By force, since PyTorch answers some zero derivatives with tensors that have no memory.
    return np.array(tensor.to(torch.float64).numpy(force=True), dtype=np.float64)
