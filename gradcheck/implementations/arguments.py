"""Whether a user's function can be called with the inputs in their order, and what to do if not."""

from __future__ import annotations

import inspect
import os
import re
import traceback
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import torch

from gradcheck.errors import Misconduct

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
