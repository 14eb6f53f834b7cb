"""The user's own code, as ``function: module:attribute`` names it, called with the inputs.

Importing runs code: ask ``gradcheck.implementations.trust`` first.
"""

from __future__ import annotations

import copy
import inspect
import os
import re
import traceback
from collections.abc import Callable, Sequence
from functools import partial, wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradcheck.catalog.case import Implementation
from gradcheck.errors import CatalogError, Misconduct, Problem
from gradcheck.implementations.tensors import Home
from gradcheck.spelling import nearest


def load_function(implementation: Implementation, home: Home) -> Callable[..., Any]:
    """What is called with the inputs in their order.

    An ``autograd.Function`` subclass gives its ``apply``; an ``nn.Module`` a copy of itself in the
    dtype and on the device under test, its parameters being constants.

    Errors: CatalogError, at the case's own place, where nothing of the kind is found there.
    """
    text = implementation.function or ""
    module, _, attribute = text.partition(":")
    try:
        with torch.enable_grad():  # a module may switch gradients off; then only for itself
            found: Any = import_module(module)
    except (Exception, SystemExit) as error:
        raise _problem(
            implementation,
            f"importing {module!r} raised {type(error).__name__}: {_first_line(error)}",
            "a module that can be imported",
            "install it, or correct the name; pytest looks in its rootdir and on sys.path",
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise _problem(
                implementation,
                f"{text!r}: there is no {part!r} in {getattr(found, '__name__', found)!r}",
                "a function, an autograd.Function or an nn.Module of that name",
                nearest(part, _public(found), "correct the name after the colon"),
            )
        found = getattr(found, part)
    return _callable(found, implementation, home)


def _public(holder: Any) -> list[str]:
    return [each for each in dir(holder) if not each.startswith("__")]


def load_callable(implementation: Implementation, home: Home) -> Callable[..., Any]:
    """The same for an object that a Python program handed over. Errors: as there."""
    return _callable(implementation.call, implementation, home)


def _callable(found: Any, implementation: Implementation, home: Home) -> Callable[..., Any]:
    if isinstance(found, torch.nn.Module):
        module = copy.deepcopy(found)
        module._apply(partial(_moved, home=home))  # type: ignore[no-untyped-call]
        return module.requires_grad_(requires_grad=False)
    if inspect.isclass(found) and issubclass(found, torch.autograd.Function):
        apply: Callable[..., Any] = found.apply
        return apply
    if callable(found) and not inspect.isclass(found):
        return found  # type: ignore[no-any-return]
    kind = f"the class {found.__name__}" if inspect.isclass(found) else f"a {type(found).__name__}"
    is_module = inspect.isclass(found) and issubclass(found, torch.nn.Module)
    raise _problem(
        implementation,
        f"{implementation.text!r} is {kind}",
        "a function, a subclass of autograd.Function or an instance of nn.Module",
        "name an instance of it" if is_module else "name something that can be called on tensors",
    )


def _moved(tensor: Tensor, home: Home) -> Tensor:
    """A parameter or buffer in the dtype under test; a real one stays real, an integer as it is."""
    if tensor.is_complex():
        return tensor.to(device=home.device, dtype=home.complex_dtype)
    return tensor.to(device=home.device, dtype=home.dtype if tensor.is_floating_point() else None)


def _problem(implementation: Implementation, found: str, expected: str, fix: str) -> CatalogError:
    return CatalogError([Problem(implementation.where, found, expected, fix)])


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


_WORDS = re.compile(
    r"missing \d+ required|missing a required|takes (?:from )?\d+ .*positional arguments?"
    r"|is missing value for argument|received an invalid combination of arguments"
    r"|expected at most \d+ argument|too many positional arguments"
)
"""How Python and PyTorch say that arguments do not fit."""

_LONGEST = 120
_NOT_THE_USERS = (f"{Path(torch.__file__).parent}{os.sep}", inspect.__file__)


class WrongArgumentsError(Misconduct):
    """A function on trial takes other arguments than the inputs in their order."""


def taking_inputs(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, made to say what it is called with where that does not fit.

    Errors: the function's own; WrongArgumentsError in place of those by which it was not entered.
    """

    @wraps(function, updated=())
    def call(*tensors: Any) -> Any:
        try:
            return function(*tensors)
        except (TypeError, RuntimeError) as error:
            if not _WORDS.search(str(error)) or not _was_not_entered(function, tensors, error):
                raise
            raise WrongArgumentsError(_explained(function, len(tensors), error)) from error

    return call


def _was_not_entered(
    function: Callable[..., Any], tensors: Sequence[Any], error: Exception
) -> bool:
    try:
        inspect.signature(function).bind(*tensors)
    except TypeError:
        return True
    except ValueError:  # of what is written in C++ nobody knows the signature
        pass
    _, *inner = traceback.extract_tb(error.__traceback__)  # the first is the call above
    return all(frame.filename.startswith(_NOT_THE_USERS) for frame in inner)


def _explained(function: Callable[..., Any], count: int, error: Exception) -> str:
    said = str(error).strip().partition("\n")[0][:_LONGEST]
    given = "the one input" if count == 1 else f"the {count} inputs in their order"
    return (
        f"{said} - the function is called with {given} and nothing else: constants and values of "
        f"a sweep are not passed; name a function that fills them in{_signature(function)}"
    )


def _signature(function: Callable[..., Any]) -> str:
    """What the function takes, where it can tell."""
    owner = getattr(function, "__self__", None)
    if inspect.isclass(owner) and issubclass(owner, torch.autograd.Function):
        function = owner.forward
    elif isinstance(function, torch.nn.Module):
        function = function.forward
    try:
        found = str(inspect.signature(function))
    except ValueError:
        return ""
    return "" if "*args" in found else f" (its signature: {found})"
