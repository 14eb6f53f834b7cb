"""From numbers, lists and tensors, mixed as an expression mixes them, to tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from gradcheck.floats import nearest_float
from gradcheck.language.nodes import Pointed


@dataclass(frozen=True, slots=True)
class Home:
    """Where the numbers of an expression become tensors.

    ``dtype`` is that of real numbers: of a complex dtype under test that of its parts.
    ``floats_as_tensors``: numbers that are no integers meet tensors as tensors of the dtype, not
    as Python's floats, which PyTorch's forward mode promotes (pytorch/pytorch#90065).
    """

    dtype: torch.dtype
    device: torch.device
    floats_as_tensors: bool = False

    @property
    def complex_dtype(self) -> torch.dtype:
        return self.dtype.to_complex()


def home_of(dtype: str, device: str) -> Home:
    """The home by its names, as the plan of a run spells them (``float64``, ``cuda:0``)."""
    return Home(getattr(torch, dtype).to_real(), torch.device(device))


def plain(value: Any) -> Any:
    """A Python number that PyTorch takes, from an exact one; lists element by element.

    What was written with a point is a float. Integers beyond 64 bits become floats too, and
    floats beyond the range infinity.
    """
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, bool) or not isinstance(value, Fraction | int):
        return value
    return int(value) if _is_whole(value) and -(2**63) <= value < 2**63 else nearest_float(value)


def as_tensor(value: Any, home: Home) -> Tensor:
    """A tensor, from a tensor (itself), a number, a boolean, or nested lists of them (stacked).

    Errors: TypeError for anything else; RuntimeError from PyTorch for lists that are ragged.
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, bool):
        return torch.tensor(value, device=home.device)
    if isinstance(value, Fraction | int | float):
        return torch.tensor(nearest_float(value), dtype=home.dtype, device=home.device)
    if isinstance(value, complex):
        return torch.tensor(value, dtype=home.complex_dtype, device=home.device)
    if isinstance(value, list | tuple):
        items = [as_tensor(item, home) for item in value]
        if not items:
            return torch.empty(0, dtype=home.dtype, device=home.device)
        return torch.stack(_alike(items, home))
    raise TypeError(f"{value!r} is not a number, a tensor or a list of them")


def _alike(items: list[Tensor], home: Home) -> list[Tensor]:
    """Numbers beside tensors of another type take the dtype under test."""
    if len({item.dtype for item in items}) == 1:
        return items
    items = alike(items)
    return [item if _holds_fractions(item) else item.to(home.dtype) for item in items]


def _holds_fractions(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def alike(tensors: list[Tensor]) -> list[Tensor]:
    """The same, all complex if one is: functions of several tensors do not always do that."""
    found = next((each.dtype for each in tensors if each.is_complex()), None)
    if found is None:
        return tensors
    return [each if each.is_complex() else each.to(found) for each in tensors]


def constant_of(value: Any, home: Home) -> Any:
    """A constant of a case, as the torch language sees it.

    A number stays a number. A list becomes a tensor: of booleans, of int64 where every number
    is whole and written without a point, and of the dtype under test elsewhere.
    """
    if not isinstance(value, list | tuple):
        return value
    numbers = list(items_of(value))
    if numbers and all(isinstance(number, bool) for number in numbers):
        return torch.tensor(value, device=home.device)
    if numbers and all(map(_is_whole, numbers)):
        return torch.tensor(_whole(value), dtype=torch.int64, device=home.device)
    return as_tensor(value, home)


def _is_whole(number: Fraction | int) -> bool:
    return number.denominator == 1 and not isinstance(number, Pointed)


def whole_numbers(value: Any, home: Home) -> Tensor:
    """Nested lists of whole numbers or booleans as an index."""
    if all(isinstance(number, bool) for number in items_of(value)):
        return torch.tensor(value, dtype=torch.bool, device=home.device)
    return torch.tensor(_whole(value), dtype=torch.int64, device=home.device)


def items_of(value: Any) -> Iterator[Any]:
    """Everything in nested lists that is not a list."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from items_of(item)
    else:
        yield value


def _whole(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    if int(value) != value:
        raise TypeError(f"{nearest_float(value)} is not a whole number")
    return int(value)
