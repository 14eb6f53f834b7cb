"""The zeros without memory that PyTorch gives for a derivative that vanishes (ZeroTensors).

PyTorch's operators have rules for them, but a dispatch mode stands below these: there an operator
that is made of others, as ``ldexp`` is, reads memory that does not exist, which ends the process.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from gradcheck.methods._torch.kernels import single_values


def with_memory(function: Any, arguments: Any, keywords: Any) -> tuple[Any, Any]:
    """Return what an operator is given below a mode, with zeros that it can read."""
    given = single_values((*arguments, *keywords.values()))
    if not (any(map(_has_no_memory, given)) and _reads(function)):
        return arguments, keywords
    found: tuple[Any, Any] = tree_map_only(Tensor, _in_memory, (arguments, keywords))
    return found


def _has_no_memory(value: Any) -> bool:
    return isinstance(value, Tensor) and value._is_zerotensor()


def _in_memory(tensor: Tensor) -> Tensor:
    if not tensor._is_zerotensor():
        return tensor
    return torch.zeros(tensor.shape, dtype=tensor.dtype, device=tensor.device)


@lru_cache(maxsize=1024)
def _reads(function: Any) -> bool:
    """Whether an operator makes a tensor of numbers that it is given: no view, nor a question."""
    made = [each for each in function._schema.returns if str(each.type).startswith("Tensor")]
    return bool(made) and all(each.alias_info is None for each in made)
