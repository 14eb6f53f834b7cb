"""Indexing as NumPy does it, of tensors, lists and tuples."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradcheck.implementations.tensors import Home, as_tensor, leaves


def element(base: Any, indices: tuple[Any, ...], home: Home) -> Any:
    """``base[indices]``.

    A list of exact numbers gives exact numbers, one position in a list or a tuple what stands
    there; anything else counts as a tensor.
    """
    if isinstance(base, list | tuple):
        if len(indices) == 1 and isinstance(indices[0], int | slice):
            return base[indices[0]]
        if not any(isinstance(item, Tensor) for item in (*leaves(base), *indices)):
            found = np.array(base, dtype=object)[indices]
            return found.tolist() if isinstance(found, np.ndarray) else found
    tensor = as_tensor(base, home)
    return _forwards(tensor, indices)


def _forwards(tensor: Tensor, indices: tuple[Any, ...]) -> Tensor:
    """PyTorch has no negative steps; such an axis is picked entry by entry first."""
    taken = sum(_width(index) for index in indices)
    axis, positive = 0, []
    for index in indices:
        if isinstance(index, slice) and index.step is not None and index.step < 0:
            positions = list(range(*index.indices(tensor.shape[axis])))
            picked = torch.tensor(positions, dtype=torch.int64, device=tensor.device)
            tensor = tensor.index_select(axis, picked)
            index = slice(None)  # noqa: PLW2901 - what is left to do on this axis
        positive.append(index)
        axis += tensor.ndim - taken if index is ... else _width(index)
    return tensor[tuple(positive)]


def _width(index: Any) -> int:
    """How many axes an index uses up."""
    if index is None or index is ... or isinstance(index, bool):
        return 0
    if isinstance(index, Tensor) and index.dtype is torch.bool:
        return index.ndim
    return 1
