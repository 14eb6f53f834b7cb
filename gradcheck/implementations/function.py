"""The user's own code, as ``function: module:attribute`` names it, called with the inputs.

Importing runs code: ask ``gradcheck.implementations.trust`` first.
"""

from __future__ import annotations

import copy
import inspect
import os
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradcheck.catalog.case import Implementation, Parameter
from gradcheck.errors import CatalogError, Misconduct, Problem
from gradcheck.implementations.tensors import Home
from gradcheck.spelling import nearest


def load_function(implementation: Implementation, home: Home) -> Callable[..., Any]:
    """Return what is called: a function, whoever names it or hands it over.

    An ``autograd.Function`` subclass gives its ``apply``; an ``nn.Module`` a copy of itself in the
    dtype and on the device under test, its parameters being constants.

    Errors: CatalogError, at the case's own place, where nothing of the kind is found there.
    """
    if implementation.given is not None:
        return _callable(implementation.given, implementation, home)
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
            "install it, or correct the name; the current folder (of pytest: its rootdir) and "
            "sys.path are searched",
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


def _callable(found: Any, implementation: Implementation, home: Home) -> Callable[..., Any]:
    if isinstance(found, torch.nn.Module):
        with torch.no_grad():  # else a scripted module's parameters would be no leaves
            module = copy.deepcopy(found)
        module._apply(partial(_moved, home=home))  # type: ignore[no-untyped-call]
        for parameter in module.parameters():  # a scripted module cannot be asked as a whole
            parameter.requires_grad = False
        return module
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
    r"|got an unexpected keyword argument|got multiple values for argument"
    r"|expected at most \d+ argument|too many positional arguments"
)
"""How Python and PyTorch say that arguments do not fit."""

_LONGEST = 120
_NOT_THE_USERS = (f"{Path(torch.__file__).parent}{os.sep}", inspect.__file__)


class WrongArgumentsError(Misconduct):
    """A function on trial takes other arguments than it is called with."""


def taking_inputs(
    function: Callable[..., Any], how: str, entered: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """Return the function, made to say ``how`` it is called where that does not fit.

    ``entered`` is what takes the arguments, where it is not the function itself.

    Errors: the function's own; WrongArgumentsError in place of those by which it was not entered.
    """

    entered = function if entered is None else entered

    @wraps(function, updated=())
    def call(*arguments: Any, **keywords: Any) -> Any:
        try:
            return function(*arguments, **keywords)
        except (TypeError, RuntimeError) as error:
            is_about_them = _WORDS.search(str(error)) is not None
            if not is_about_them or not _was_not_entered(entered, arguments, keywords, error):
                raise
            said = str(error).strip().partition("\n")[0][:_LONGEST]
            told = f"{said} - the function is called {how}{_signature(entered)}"
            raise WrongArgumentsError(told) from error

    return call


def _was_not_entered(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    keywords: Mapping[str, Any],
    error: Exception,
) -> bool:
    try:
        inspect.signature(_forward_of(function)).bind(*arguments, **keywords)
    except TypeError:
        return True
    except ValueError:  # of what is written in C++ nobody knows the signature
        pass
    _, *inner = traceback.extract_tb(error.__traceback__)  # the first is the call above
    return all(frame.filename.startswith(_NOT_THE_USERS) for frame in inner)


def _forward_of(function: Callable[..., Any]) -> Callable[..., Any]:
    return function.forward if isinstance(function, torch.nn.Module) else function


def _signature(function: Callable[..., Any]) -> str:
    """What the function takes, where it can tell."""
    owner = getattr(function, "__self__", None)
    if inspect.isclass(owner) and issubclass(owner, torch.autograd.Function):
        function = owner.forward
    try:
        found = str(inspect.signature(_forward_of(function)))
    except ValueError:
        return ""
    return "" if "*args" in found else f" (its signature: {found})"


# the module with inputs in the place of its parameters


def check_parameters(
    function: Callable[..., Any],
    implementation: Implementation,
    parameters: Sequence[Parameter],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Raise unless the function is a module with these parameters, of the shapes of their inputs.

    Errors: CatalogError, at the place of each parameter that is none, is the same as another, or
            is of another shape.
    """
    text = implementation.text
    if not isinstance(function, torch.nn.Module) or isinstance(function, torch.jit.ScriptModule):
        scripted = "a scripted module, whose parameters nothing can take the place of"
        found = scripted if isinstance(function, torch.nn.Module) else "no module"
        fix = "name the module itself" if found == scripted else "name one, or leave it out"
        expected = "an instance of nn.Module, whose parameters these are"
        raise CatalogError([Problem(parameters[0].where, f"{text!r} is {found}", expected, fix)])
    known = dict(function.named_parameters(remove_duplicate=False))
    first: dict[int, str] = {}
    complaints = [
        (each.where, _complaint(each, known, first, text, shapes[each.input]))
        for each in parameters
    ]
    problems = [Problem(where, *complaint) for where, complaint in complaints if complaint]
    if problems:
        raise CatalogError(problems)


def _complaint(
    parameter: Parameter,
    known: Mapping[str, Tensor],
    first: dict[int, str],
    text: str,
    shape: tuple[int, ...],
) -> tuple[str, str, str] | None:
    """What is wrong with a parameter; ``first`` are the names of those before it."""
    name, found = parameter.name, known.get(parameter.name)
    if found is None:
        expected = f"one of {', '.join(known)}" if known else "nothing: it has no parameters"
        fix = nearest(name, tuple(known), "correct the name")
        return f"{text!r} has no parameter {name!r}", expected, fix
    if id(found) in first:
        both = f"{name!r} and {first[id(found)]!r}, which are one parameter of {text!r}"
        expected = "each parameter once: an input takes the place of all its names"
        return both, expected, "remove one of the two"
    first[id(found)] = name
    if tuple(found.shape) == shape:
        return None
    given = f"the input {parameter.input!r} of shape {list(shape)} for the parameter {name!r}"
    fix = f"write shape: {list(found.shape)}"
    return given, f"the parameter's shape, {list(found.shape)}", fix
