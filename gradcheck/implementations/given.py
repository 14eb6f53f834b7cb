"""Code that Python hands over as an object: its case, its name, and how it is called."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from gradcheck.catalog.case import Case, Implementation
from gradcheck.catalog.inline import case_of

Given = Callable[..., Any] | str | None
"""A function, text in the torch language, or None for the formula's own translation."""

_OWN = "gradcheck:verify"  # says that there is code on trial; ``fn`` itself stands in no text
_LONGEST = 40  # of a text that names a function


def case_given(fn: Given, keys: Mapping[str, Any], shown: str) -> Case:
    """The case that the keys declare, with ``fn`` on trial; ``shown`` stands for the file.

    Errors: CatalogError for what the case format refuses; TypeError for what is no code.
    """
    if fn is None:
        return case_of(keys, shown=shown, labels={})
    if isinstance(fn, str):
        return case_of({**keys, "torch": fn}, shown=shown, labels={})
    case = case_of({**_own_keys(fn, keys), **keys}, shown=shown, labels={})
    own = Implementation(text=_on_trial(fn), where=case.where, given=fn)
    return replace(case, implementations=(own,))


def _own_keys(fn: Callable[..., Any], keys: Mapping[str, Any]) -> dict[str, str]:
    """What a case says of its own code: that there is some, and how it is called by name."""
    if not callable(fn):
        raise TypeError(f"fn is a {type(fn).__name__}, expected a callable, text or None")
    parameters = keys.get("parameters")
    placed = parameters.values() if isinstance(parameters, Mapping) else ()
    by_name = _by_name(fn, tuple(name for name in keys["inputs"] if name not in placed))
    return {"function": _OWN, **({"call": by_name} if by_name else {})}


def _on_trial(fn: Callable[..., Any]) -> str:
    """What a failure calls the code on trial."""
    owner, name = getattr(fn, "__self__", None), getattr(fn, "__name__", "")
    if name and getattr(torch, name, None) is fn:
        return f"torch.{name}"
    if isinstance(owner, type) and issubclass(owner, torch.autograd.Function):
        # As in Swish.apply, which is inherited: its own name would be Function.apply.
        return f"{owner.__qualname__}.{name}"
    return _operator(fn) or str(getattr(fn, "__qualname__", type(fn).__qualname__))


def _operator(fn: Callable[..., Any]) -> str:
    """The name of an operator of torch.library, as ``my_ops::swish``; empty for all else.

    Of what was scripted too, which has no other.
    """
    attributes = ["_qualname", "_qualified_op_name"]  # which of them, depends on the version
    if isinstance(fn, torch.jit.ScriptFunction):
        attributes = ["name"]
    names = (getattr(fn, attribute, None) for attribute in attributes)
    return next((name for name in names if isinstance(name, str)), "")


def name_given(fn: Given, formula: Any) -> str:
    """What the function is called in the names of its checks."""
    if fn is None or isinstance(fn, str):
        text = " ".join(str(formula if fn is None else fn).split())
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    if isinstance(fn, functools.partial):
        fn = fn.func
    return str(_operator(fn) or getattr(fn, "__name__", None) or type(fn).__name__)


def _by_name(fn: Callable[..., Any], names: tuple[str, ...]) -> str | None:
    """How ``fn`` is called with these inputs, unless it is in their order: as a text of `call`."""
    if inspect.isclass(fn):
        return _applied(fn, names) if issubclass(fn, torch.autograd.Function) else None
    signature = _parameters(fn.forward if isinstance(fn, torch.nn.Module) else fn)
    known = {each.name for each in signature if each.kind in _NAMED}
    if not set(names) <= known or _first(signature, len(names)) == names:
        return None
    return f"f({', '.join(f'{name}={name}' for name in names)})"


_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _applied(function: Any, names: tuple[str, ...]) -> str | None:
    """The same for an ``autograd.Function``, whose ``apply`` takes no names."""
    is_apart = function.setup_context is not torch.autograd.Function.setup_context
    context = 0 if is_apart else 1  # before the inputs of forward
    own = _first(_parameters(function.forward)[context:], len(names))
    return None if own == names or set(own) != set(names) else f"f({', '.join(own)})"


def _first(signature: Sequence[inspect.Parameter], count: int) -> tuple[str, ...]:
    """The names that a call with ``count`` arguments in order gives values to."""
    is_named_only = inspect.Parameter.KEYWORD_ONLY
    return tuple(each.name for each in signature if each.kind is not is_named_only)[:count]


def _parameters(fn: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):  # of a function written in C
        return []
