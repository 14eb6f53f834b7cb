"""The spelling of an implementation that writes into its argument: ``x.sin_()`` for ``sin(x)``.

What a user's code has beside it is found by convention alone: an attribute or an argument
``inplace``, or a function of the same module and signature with an underscore more in its name.
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gradcheck.catalog.case import Case, Implementation, Variant
from gradcheck.implementations.function import load_function
from gradcheck.implementations.subject import Subject, subject_of
from gradcheck.implementations.tensors import home_of

_RANDOM = frozenset({
    "bernoulli", "cauchy", "exponential", "geometric", "log_normal", "normal", "random", "uniform",
})  # fmt: skip
"""Methods that fill a tensor with random numbers, whatever it was."""


def in_place_subject(
    case: Case, variant: Variant, implementation: Implementation, dtype: str, device: str
) -> Subject | None:
    """Return a user's code in its in-place spelling; None where it has none.

    It may write into the tensors that it is called with.

    Errors: CatalogError where ``function`` cannot be loaded.
    """
    found = variant_in_place(load_function(implementation, home_of(dtype, device)))
    if found is None:
        return None
    return subject_of(case, variant, replace(implementation, given=found), dtype, device)


def variant_in_place(code: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return what a user's code has for writing into its argument, or None."""
    if isinstance(code, torch.nn.Module):
        if getattr(code, "inplace", None) is not False:
            return None
        module: Any = copy.deepcopy(code)
        module.inplace = True
        return module  # type: ignore[no-any-return]
    try:
        signature = inspect.signature(code)
    except (TypeError, ValueError):  # of what is written in C++ nobody knows it
        return None
    switch = signature.parameters.get("inplace")
    if switch is not None and switch.default is False:
        return partial(code, inplace=True)
    name = getattr(code, "__name__", "")
    module = sys.modules.get(getattr(code, "__module__", None) or "")
    sibling: Any = getattr(module, f"{name}_", None)
    is_alike = inspect.isfunction(sibling) and inspect.isfunction(code)
    return sibling if is_alike and inspect.signature(sibling) == signature else None


def rewritten_in_place(subject: Subject, *tensors: Tensor) -> Any:
    """Call an implementation with each operator in its in-place spelling, where it has one."""
    with _InPlace():
        return subject(*tensors)


class _InPlace(TorchFunctionMode):
    """Every operator that has a method which writes is called by that, on a clone."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        method = getattr(torch.Tensor, f"{name}_", None)
        if method is None or name in _RANDOM or not _may_stand_for(args, result):
            return result
        try:
            return method(args[0].clone(), *args[1:], **kwargs)
        except TypeError:  # the two take other arguments
            return result


def _may_stand_for(args: tuple[Any, ...], result: Any) -> bool:
    """Whether the result fits into the first argument."""
    first = args[0] if args else None
    return (
        isinstance(first, Tensor)
        and isinstance(result, Tensor)
        and (first.shape, first.dtype) == (result.shape, result.dtype)
    )
