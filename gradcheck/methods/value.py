"""The implementation's own output, and whether it leaves its inputs alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from gradcheck.answer import (
    Answer,
    Invocation,
    Said,
    Violation,
)
from gradcheck.methods import Method
from gradcheck.methods._torch.calling import input_leaves, output_rows, result_of
from gradcheck.methods._torch.exceptions import guarded
from gradcheck.query import Query

METHOD = Method(
    name="value",
    order=0,
    share=1,
    share_alone=0.375,
    subject="the value",
)


def answer(invocation: Invocation) -> Iterator[Said]:
    yield from guarded("value", _value, invocation)


def _value(invocation: Invocation) -> Iterator[Said]:
    inputs = input_leaves(invocation, requires_grad=False)
    copies = [tensor.clone() for tensor in inputs]
    versions = [_version(tensor) for tensor in inputs]
    results = result_of(invocation, inputs)
    yield Answer("value", Query(0), output_rows(results, invocation))
    for number, (tensor, copy, version) in enumerate(zip(inputs, copies, versions, strict=True)):
        if _version(tensor) != version or not torch.equal(tensor, copy):
            yield Violation(f"the implementation changed its input {number}", "value")


def _version(tensor: torch.Tensor) -> int:
    """How often the tensor was written to; in inference mode PyTorch does not count."""
    return 0 if tensor.is_inference() else tensor._version
