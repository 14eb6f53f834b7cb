"""The implementation's own output, and whether it leaves its inputs alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from gradcheck.answer import Claim, Finding, Ruling, Trial
from gradcheck.methods._torch.call import entries, leaves, result_of
from gradcheck.methods._torch.exceptions import hear


def testify(trial: Trial) -> Iterator[Claim | Finding]:
    yield from hear("value", _value, trial)


def _value(trial: Trial) -> Iterator[Claim | Finding]:
    inputs = leaves(trial, requires_grad=False)
    copies = [tensor.clone() for tensor in inputs]
    versions = [_version(tensor) for tensor in inputs]
    result = result_of(trial, inputs)
    yield Claim("value", 0, entries(result, trial))
    for number, (tensor, copy, version) in enumerate(zip(inputs, copies, versions, strict=True)):
        if _version(tensor) != version or not torch.equal(tensor, copy):
            yield Finding(
                Ruling.DISAGREE, f"the implementation changed its input {number}", 1, "value"
            )


def _version(tensor: torch.Tensor) -> int:
    """How often the tensor was written to; in inference mode PyTorch does not count."""
    return 0 if tensor.is_inference() else tensor._version
